/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/wire/init_producer_id.h"

#include <errno.h>

enum { VERSION_PRODUCER_ID = 3, VERSION_MAX = 5 };

/* Brokers look at the timeout only for transactions, but it must be there. */
enum { TRANSACTION_TIMEOUT_MS = 60000 };

static bool version_ok(int16_t version)
{
	return version >= 0 && version <= VERSION_MAX;
}

int sl_init_producer_id_request_encode(struct sl_wbuf *w, const struct sl_request_head *head)
{
	bool flexible = sl_api_flexible(SL_API_INIT_PRODUCER_ID, head->version);
	uint8_t *frame;

	if (!version_ok(head->version))
		return -EPROTONOSUPPORT;
	frame = sl_request_begin(w, SL_API_INIT_PRODUCER_ID, head);
	sl_put_string(w, flexible, SL_SLICE_NULL);
	sl_put_i32(w, TRANSACTION_TIMEOUT_MS);
	if (head->version >= VERSION_PRODUCER_ID) {
		sl_put_i64(w, -1);
		sl_put_i16(w, -1);
	}
	sl_put_tags(w, flexible);
	return sl_frame_end(w, frame);
}

int sl_init_producer_id_response_decode(const struct sl_rbuf *body, int16_t version,
					struct sl_init_producer_id_answer *out)
{
	struct sl_rbuf r = *body;

	if (!version_ok(version))
		return -EPROTONOSUPPORT;
	out->throttle_ms = sl_get_i32(&r);
	out->error_code = sl_get_i16(&r);
	out->producer_id = sl_get_i64(&r);
	out->producer_epoch = sl_get_i16(&r);
	sl_skip_tags(&r, sl_api_flexible(SL_API_INIT_PRODUCER_ID, version));
	if (r.bad || sl_rbuf_left(&r) != 0)
		return -EBADMSG;
	if (out->error_code == 0 && (out->producer_id < 0 || out->producer_epoch < 0))
		return -EBADMSG;
	return 0;
}
