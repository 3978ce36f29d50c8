/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ApiVersions (api 18), versions 0 and 3: the first request on every connection. Ask with version
 * 3; an older broker answers error 35 in the layout of version 0 and says what it speaks, and the
 * answer's retry_version tells what to ask next on the same connection. If the connection drops
 * instead, reconnect and ask with version 0. Any thread; pure. Source: KIP-511.
 */
#ifndef SL_WIRE_API_VERSIONS_H
#define SL_WIRE_API_VERSIONS_H

#include "dataplane/wire/api.h"

struct sl_api_versions_answer {
	int16_t error_code;
	int16_t retry_version; /* with error 35: ask again with this one, always lower than asked;
				  -1: give up */
	int32_t throttle_ms;
	struct sl_api_versions table; /* valid when error_code is 0 */
};

/*
 * Versions 0 to 3. software_name and _version (sent by 3 only) must match
 * [a-zA-Z0-9]([a-zA-Z0-9.-]*[a-zA-Z0-9])?, else brokers answer 42. Returns the bytes of the frame
 * or a negative errno (api.h).
 */
int sl_api_versions_request_encode(struct sl_wbuf *w, const struct sl_request_head *head,
				   struct sl_slice software_name, struct sl_slice software_version);

/* body: after sl_response_begin(); version: the one asked. Returns 0 (also with an error_code), or
 * -EBADMSG. */
int sl_api_versions_response_decode(const struct sl_rbuf *body, int16_t version,
				    struct sl_api_versions_answer *out);

#endif
