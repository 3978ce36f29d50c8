/* SPDX-License-Identifier: Apache-2.0 */
/*
 * InitProducerId (api 22), versions 0 to 5, for an idempotent producer: any broker hands out a new
 * producer id with epoch 0. Any thread; pure. Source: KIP-98, KIP-360.
 */
#ifndef SL_WIRE_INIT_PRODUCER_ID_H
#define SL_WIRE_INIT_PRODUCER_ID_H

#include "dataplane/wire/api.h"

struct sl_init_producer_id_answer {
	int32_t throttle_ms;
	int16_t error_code;
	int64_t producer_id; /* >= 0 when error_code is 0 */
	int16_t producer_epoch;
};

/* Returns the bytes of the frame or a negative errno (api.h). */
int sl_init_producer_id_request_encode(struct sl_wbuf *w, const struct sl_request_head *head);

/* body: after sl_response_begin(). Returns 0 (also with an error_code), -EBADMSG or
 * -EPROTONOSUPPORT. */
int sl_init_producer_id_response_decode(const struct sl_rbuf *body, int16_t version,
					struct sl_init_producer_id_answer *out);

#endif
