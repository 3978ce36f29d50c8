/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/wire/describe_producers.h"

#include <errno.h>

enum { TOPIC_BYTES_MIN = 3, PARTITION_BYTES_MIN = 9, STATE_BYTES_MIN = 8 + 4 + 4 + 8 + 4 + 8 + 1 };

int sl_describe_producers_encode(struct sl_wbuf *w, const struct sl_request_head *head,
				 struct sl_slice topic, int32_t partition)
{
	uint8_t *frame;

	if (head->version != 0)
		return -EPROTONOSUPPORT;
	frame = sl_request_begin(w, SL_API_DESCRIBE_PRODUCERS, head);
	sl_put_array(w, true, 1);
	sl_put_string(w, true, topic);
	sl_put_array(w, true, 1);
	sl_put_i32(w, partition);
	sl_put_tags(w, true);
	sl_put_tags(w, true);
	return sl_frame_end(w, frame);
}

static struct sl_producer_state state_get(struct sl_rbuf *r)
{
	struct sl_producer_state s;

	s.producer_id = sl_get_i64(r);
	s.producer_epoch = sl_get_i32(r);
	s.last_sequence = sl_get_i32(r);
	s.last_timestamp_ms = sl_get_i64(r);
	sl_get_i32(r); /* coordinator epoch */
	sl_get_i64(r); /* start of its transaction */
	sl_skip_tags(r, true);
	return s;
}

int sl_describe_producers_decode(const struct sl_rbuf *body,
				 struct sl_describe_producers_answer *out)
{
	struct sl_rbuf r = *body;
	int32_t i;

	out->throttle_ms = sl_get_i32(&r);
	if (sl_get_array(&r, true, TOPIC_BYTES_MIN) != 1)
		return -EBADMSG;
	out->topic = sl_get_string(&r, true);
	if (sl_get_array(&r, true, PARTITION_BYTES_MIN) != 1)
		return -EBADMSG;
	out->partition = sl_get_i32(&r);
	out->error_code = sl_get_i16(&r);
	out->error_message = sl_get_nullable_string(&r, true);
	out->states_left = sl_get_array(&r, true, STATE_BYTES_MIN);
	out->states = r;
	for (i = 0; i < out->states_left && !r.bad; i++)
		state_get(&r);
	sl_skip_tags(&r, true);
	sl_skip_tags(&r, true);
	sl_skip_tags(&r, true);
	return r.bad || sl_rbuf_left(&r) != 0 ? -EBADMSG : 0;
}

int sl_producer_state_next(struct sl_describe_producers_answer *answer,
			   struct sl_producer_state *out)
{
	if (answer->states_left <= 0)
		return 0;
	answer->states_left--;
	*out = state_get(&answer->states);
	return 1;
}
