/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/wire/fetch.h"

#include <errno.h>

enum { VERSION_MIN = 10, VERSION_RACK = 11, VERSION_LAST_EPOCH = 12, VERSION_MAX = 12 };
enum {
	TOPIC_BYTES_MIN = 2,
	PARTITION_BYTES_MIN = 4 + 2 + 8 + 8 + 8 + 1 + 1,
	ABORTED_BYTES_MIN = 16
};

static bool version_ok(int16_t version)
{
	return version >= VERSION_MIN && version <= VERSION_MAX;
}

static void put_partition(struct sl_wbuf *w, int16_t version,
			  const struct sl_fetch_request *request)
{
	sl_put_i32(w, request->partition);
	sl_put_i32(w, -1); /* leader epoch: do not check */
	sl_put_i64(w, request->offset);
	if (version >= VERSION_LAST_EPOCH)
		sl_put_i32(w, -1);
	sl_put_i64(w, -1); /* log start: only replicas have one */
	sl_put_i32(w, request->max_bytes);
}

int sl_fetch_encode(struct sl_wbuf *w, const struct sl_request_head *head,
		    const struct sl_fetch_request *request)
{
	bool flexible = sl_api_flexible(SL_API_FETCH, head->version);
	uint8_t *frame;

	if (!version_ok(head->version))
		return -EPROTONOSUPPORT;
	frame = sl_request_begin(w, SL_API_FETCH, head);
	sl_put_i32(w, -1); /* a client, not a replica */
	sl_put_i32(w, request->max_wait_ms);
	sl_put_i32(w, request->min_bytes);
	sl_put_i32(w, request->max_bytes);
	sl_put_i8(w, 0);   /* read uncommitted */
	sl_put_i32(w, 0);  /* no session */
	sl_put_i32(w, -1); /* nor one to come */
	sl_put_array(w, flexible, 1);
	sl_put_string(w, flexible, request->topic);
	sl_put_array(w, flexible, 1);
	put_partition(w, head->version, request);
	sl_put_tags(w, flexible);
	sl_put_tags(w, flexible);
	sl_put_array(w, flexible, 0); /* nothing forgotten */
	if (head->version >= VERSION_RACK)
		sl_put_string(w, flexible, sl_slice_of(""));
	sl_put_tags(w, flexible);
	return sl_frame_end(w, frame);
}

static void partition_get(struct sl_rbuf *r, int16_t version, struct sl_fetch_answer *out)
{
	bool flexible = sl_api_flexible(SL_API_FETCH, version);
	int32_t aborted;
	int16_t error_code;

	out->partition = sl_get_i32(r);
	error_code = sl_get_i16(r);
	if (out->error_code == 0)
		out->error_code = error_code;
	out->high_watermark = sl_get_i64(r);
	sl_get_i64(r); /* last stable offset */
	out->log_start_offset = sl_get_i64(r);
	aborted = sl_get_nullable_array(r, flexible, ABORTED_BYTES_MIN);
	while (aborted-- > 0 && !r->bad) {
		sl_rbuf_take(r, ABORTED_BYTES_MIN);
		sl_skip_tags(r, flexible);
	}
	if (version >= VERSION_RACK)
		sl_get_i32(r); /* preferred replica */
	out->records = sl_get_nullable_bytes(r, flexible);
	sl_skip_tags(r, flexible);
}

int sl_fetch_decode(const struct sl_rbuf *body, int16_t version, struct sl_fetch_answer *out)
{
	bool flexible = sl_api_flexible(SL_API_FETCH, version);
	struct sl_rbuf r = *body;
	int32_t topics;

	if (!version_ok(version))
		return -EPROTONOSUPPORT;
	*out = (struct sl_fetch_answer){.throttle_ms = sl_get_i32(&r), .partition = -1};
	out->error_code = sl_get_i16(&r);
	sl_get_i32(&r); /* session */
	topics = sl_get_array(&r, flexible, TOPIC_BYTES_MIN);
	/* No topic at all is how a broker says that the request as a whole failed. */
	if (topics > 1 || (topics == 0 && out->error_code == 0))
		return -EBADMSG;
	if (topics == 1) {
		out->topic = sl_get_string(&r, flexible);
		if (sl_get_array(&r, flexible, PARTITION_BYTES_MIN) != 1)
			return -EBADMSG;
		partition_get(&r, version, out);
		sl_skip_tags(&r, flexible);
	}
	sl_skip_tags(&r, flexible);
	return r.bad || sl_rbuf_left(&r) != 0 ? -EBADMSG : 0;
}
