/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/transport/transport.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

const char *sl_address_text(const struct sl_address *address, char *text)
{
	char ip[INET6_ADDRSTRLEN];

	if (address->family == 4) {
		inet_ntop(AF_INET, address->ip, ip, sizeof(ip));
		snprintf(text, SL_ADDRESS_TEXT_BYTES, "%s:%u", ip, address->port);
	} else if (address->family == 6) {
		inet_ntop(AF_INET6, address->ip, ip, sizeof(ip));
		if (address->scope_id)
			snprintf(text, SL_ADDRESS_TEXT_BYTES, "[%.39s%%%u]:%u", ip,
				 address->scope_id, address->port);
		else
			snprintf(text, SL_ADDRESS_TEXT_BYTES, "[%s]:%u", ip, address->port);
	} else {
		snprintf(text, SL_ADDRESS_TEXT_BYTES, "(no address)");
	}
	return text;
}

bool sl_address_equal(const struct sl_address *a, const struct sl_address *b)
{
	if (a->family != b->family || a->port != b->port || a->scope_id != b->scope_id)
		return false;
	return memcmp(a->ip, b->ip, a->family == 4 ? 4 : sizeof(a->ip)) == 0;
}
