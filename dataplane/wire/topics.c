/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/wire/topics.h"

#include <errno.h>

enum {
	CREATE_VERSION_DETAILS = 5, /* partitions, replicas and configurations in the answer */
	CREATE_VERSION_TOPIC_ID = 7,
	DELETE_VERSION_MESSAGE = 5,
	DELETE_VERSION_TOPIC_ID = 6,
};

enum { TOPIC_BYTES_MIN = 1 + 2, CONFIG_BYTES_MIN = 1 + 1 + 1 + 1 + 1 + 1 };

static bool version_ok(int16_t api_key, int16_t version)
{
	struct sl_api_range spoken = sl_api_spoken(api_key);

	return version >= spoken.min && version <= spoken.max;
}

int sl_create_topic_encode(struct sl_wbuf *w, const struct sl_request_head *head,
			   const struct sl_topic_create *topic)
{
	bool flexible = sl_api_flexible(SL_API_CREATE_TOPICS, head->version);
	uint8_t *frame;
	uint32_t i;

	if (!version_ok(SL_API_CREATE_TOPICS, head->version))
		return -EPROTONOSUPPORT;
	frame = sl_request_begin(w, SL_API_CREATE_TOPICS, head);
	sl_put_array(w, flexible, 1);
	sl_put_string(w, flexible, topic->name);
	sl_put_i32(w, topic->partition_count);
	sl_put_i16(w, topic->replication_factor);
	sl_put_array(w, flexible, 0); /* no manual assignment */
	sl_put_array(w, flexible, (int32_t)topic->config_count);
	for (i = 0; i < topic->config_count && !w->overflow; i++) {
		sl_put_string(w, flexible, topic->configs[i].name);
		sl_put_string(w, flexible, topic->configs[i].value);
		sl_put_tags(w, flexible);
	}
	sl_put_tags(w, flexible);
	sl_put_i32(w, topic->timeout_ms);
	sl_put_bool(w, false); /* not only to validate */
	sl_put_tags(w, flexible);
	return sl_frame_end(w, frame);
}

int sl_delete_topic_encode(struct sl_wbuf *w, const struct sl_request_head *head,
			   struct sl_slice name, int32_t timeout_ms)
{
	static const struct sl_uuid by_name;
	bool flexible = sl_api_flexible(SL_API_DELETE_TOPICS, head->version);
	uint8_t *frame;

	if (!version_ok(SL_API_DELETE_TOPICS, head->version))
		return -EPROTONOSUPPORT;
	frame = sl_request_begin(w, SL_API_DELETE_TOPICS, head);
	sl_put_array(w, flexible, 1);
	sl_put_string(w, flexible, name);
	if (head->version >= DELETE_VERSION_TOPIC_ID) {
		sl_put_uuid(w, &by_name);
		sl_put_tags(w, flexible);
	}
	sl_put_i32(w, timeout_ms);
	sl_put_tags(w, flexible);
	return sl_frame_end(w, frame);
}

static void configs_skip(struct sl_rbuf *r)
{
	int32_t count = sl_get_nullable_array(r, true, CONFIG_BYTES_MIN);

	while (count-- > 0 && !r->bad) {
		sl_get_string(r, true);
		sl_get_nullable_string(r, true);
		sl_get_bool(r); /* read only */
		sl_get_i8(r);   /* where it comes from */
		sl_get_bool(r); /* sensitive */
		sl_skip_tags(r, true);
	}
}

static int answer_end(struct sl_rbuf *r, bool flexible)
{
	sl_skip_tags(r, flexible); /* of the topic */
	sl_skip_tags(r, flexible); /* of the response */
	return r->bad || sl_rbuf_left(r) != 0 ? -EBADMSG : 0;
}

int sl_create_topic_decode(const struct sl_rbuf *body, int16_t version, struct sl_topic_answer *out)
{
	bool flexible = sl_api_flexible(SL_API_CREATE_TOPICS, version);
	struct sl_rbuf r = *body;

	if (!version_ok(SL_API_CREATE_TOPICS, version))
		return -EPROTONOSUPPORT;
	out->throttle_ms = sl_get_i32(&r);
	if (sl_get_array(&r, flexible, TOPIC_BYTES_MIN) != 1)
		return -EBADMSG;
	out->name = sl_get_string(&r, flexible);
	if (version >= CREATE_VERSION_TOPIC_ID)
		sl_get_uuid(&r);
	out->error_code = sl_get_i16(&r);
	out->error_message = sl_get_nullable_string(&r, flexible);
	if (version >= CREATE_VERSION_DETAILS) {
		sl_get_i32(&r); /* partitions */
		sl_get_i16(&r); /* replication factor */
		configs_skip(&r);
	}
	return answer_end(&r, flexible);
}

int sl_delete_topic_decode(const struct sl_rbuf *body, int16_t version, struct sl_topic_answer *out)
{
	bool flexible = sl_api_flexible(SL_API_DELETE_TOPICS, version);
	struct sl_rbuf r = *body;

	if (!version_ok(SL_API_DELETE_TOPICS, version))
		return -EPROTONOSUPPORT;
	out->throttle_ms = sl_get_i32(&r);
	if (sl_get_array(&r, flexible, TOPIC_BYTES_MIN) != 1)
		return -EBADMSG;
	out->name = sl_get_nullable_string(&r, flexible);
	if (version >= DELETE_VERSION_TOPIC_ID)
		sl_get_uuid(&r);
	out->error_code = sl_get_i16(&r);
	out->error_message = SL_SLICE_NULL;
	if (version >= DELETE_VERSION_MESSAGE)
		out->error_message = sl_get_nullable_string(&r, flexible);
	return answer_end(&r, flexible);
}
