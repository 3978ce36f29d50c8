/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/wire/list_offsets.h"

#include <errno.h>

enum { VERSION_MIN = 4, VERSION_MAX = 7, TOPIC_BYTES_MIN = 2, PARTITION_BYTES_MIN = 26 };

static bool version_ok(int16_t version)
{
	return version >= VERSION_MIN && version <= VERSION_MAX;
}

int sl_list_offsets_encode(struct sl_wbuf *w, const struct sl_request_head *head,
			   const struct sl_list_offsets_request *request)
{
	bool flexible = sl_api_flexible(SL_API_LIST_OFFSETS, head->version);
	uint8_t *frame;

	if (!version_ok(head->version))
		return -EPROTONOSUPPORT;
	frame = sl_request_begin(w, SL_API_LIST_OFFSETS, head);
	sl_put_i32(w, -1); /* a client, not a replica */
	sl_put_i8(w, 0);   /* read uncommitted */
	sl_put_array(w, flexible, 1);
	sl_put_string(w, flexible, request->topic);
	sl_put_array(w, flexible, 1);
	sl_put_i32(w, request->partition);
	sl_put_i32(w, request->leader_epoch);
	sl_put_i64(w, request->timestamp_ms);
	sl_put_tags(w, flexible);
	sl_put_tags(w, flexible);
	sl_put_tags(w, flexible);
	return sl_frame_end(w, frame);
}

int sl_list_offsets_decode(const struct sl_rbuf *body, int16_t version,
			   struct sl_list_offsets_answer *out)
{
	bool flexible = sl_api_flexible(SL_API_LIST_OFFSETS, version);
	struct sl_rbuf r = *body;

	if (!version_ok(version))
		return -EPROTONOSUPPORT;
	out->throttle_ms = sl_get_i32(&r);
	if (sl_get_array(&r, flexible, TOPIC_BYTES_MIN) != 1)
		return -EBADMSG;
	out->topic = sl_get_string(&r, flexible);
	if (sl_get_array(&r, flexible, PARTITION_BYTES_MIN) != 1)
		return -EBADMSG;
	out->partition = sl_get_i32(&r);
	out->error_code = sl_get_i16(&r);
	out->timestamp_ms = sl_get_i64(&r);
	out->offset = sl_get_i64(&r);
	out->leader_epoch = sl_get_i32(&r);
	sl_skip_tags(&r, flexible);
	sl_skip_tags(&r, flexible);
	sl_skip_tags(&r, flexible);
	return r.bad || sl_rbuf_left(&r) != 0 ? -EBADMSG : 0;
}
