/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a message: what is accepted has its exact size, and its texts end. */
#include <stdlib.h>
#include <string.h>

#include "dataplane/shm/handshake.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	union sl_hs_message msg;
	struct sl_error err;
	enum sl_hs_side side;

	if (size < 2)
		return 0;
	side = input[0] & 1 ? SL_HS_FROM_APP : SL_HS_FROM_AGENT;
	if (sl_handshake_check(input + 2, size - 2, input[1] & 3, side, &err) < 0)
		return 0;
	memset(&msg, 0xff, sizeof(msg));
	memcpy(&msg, input + 2, size - 2);
	if (size - 2 != sl_handshake_bytes(msg.head.type) ||
	    (input[1] & 3) != sl_handshake_fds(msg.head.type))
		abort();
	if (msg.head.type == SL_HS_HELLO &&
	    strnlen(msg.hello.name, sizeof(msg.hello.name)) >= SL_HS_NAME_BYTES)
		abort();
	if (msg.head.type == SL_HS_TOPIC && !sl_topic_name_ok(msg.topic.name))
		abort();
	if (msg.head.type == SL_HS_OPEN &&
	    (msg.open.ring_count == 0 || msg.open.ring_count > SL_SHM_RINGS_MAX))
		abort();
	return 0;
}
