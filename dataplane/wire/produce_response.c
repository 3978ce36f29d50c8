/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "dataplane/wire/produce.h"

enum {
	VERSION_MIN = 3,
	VERSION_LOG_START = 5,
	VERSION_RECORD_ERRORS = 8,
	VERSION_HINTS = 10,
	VERSION_MAX = 13,
};

/* Least bytes that an element can take, in the shorter of both encodings: bounds the counts. */
enum {
	TOPIC_BYTES_MIN = 1 + 1,
	PARTITION_BYTES_MIN = 4 + 2 + 8 + 8,
	RECORD_ERROR_BYTES_MIN = 4 + 1,
	NODE_BYTES_MIN = 4 + 1 + 4 + 1 + 1,
};

enum { TAG_CURRENT_LEADER = 0, TAG_NODE_ENDPOINTS = 0 };

static int reader_fail(struct sl_produce_reader *pr)
{
	sl_rbuf_fail(&pr->r);
	return -EBADMSG;
}

int sl_produce_response_begin(struct sl_produce_reader *pr, const struct sl_rbuf *body,
			      int16_t version)
{
	if (version < VERSION_MIN || version > VERSION_MAX)
		return -EPROTONOSUPPORT;
	*pr = (struct sl_produce_reader){
		.r = *body,
		.version = version,
		.flexible = sl_api_flexible(SL_API_PRODUCE, version),
	};
	pr->topics_left = sl_get_array(&pr->r, pr->flexible, TOPIC_BYTES_MIN);
	return pr->r.bad ? -EBADMSG : 0;
}

static struct sl_produce_record_error record_error_get(struct sl_rbuf *r, bool flexible)
{
	struct sl_produce_record_error e;

	e.batch_index = sl_get_i32(r);
	e.message = sl_get_nullable_string(r, flexible);
	sl_skip_tags(r, flexible);
	return e;
}

/* Walks the list once to check it and remembers where it stands for the caller's own walk. */
static struct sl_produce_record_errors record_errors_get(struct sl_produce_reader *pr)
{
	struct sl_produce_record_errors errors = {.flexible = pr->flexible};
	int32_t i;

	errors.left = sl_get_array(&pr->r, pr->flexible, RECORD_ERROR_BYTES_MIN);
	errors.r = pr->r;
	for (i = 0; i < errors.left && !pr->r.bad; i++)
		if (record_error_get(&pr->r, pr->flexible).batch_index < 0)
			sl_rbuf_fail(&pr->r);
	return errors;
}

int sl_produce_record_error_next(struct sl_produce_record_errors *errors,
				 struct sl_produce_record_error *out)
{
	if (errors->left <= 0)
		return 0;
	errors->left--;
	*out = record_error_get(&errors->r, errors->flexible);
	return 1;
}

static void current_leader_get(struct sl_rbuf *value, struct sl_produce_result *out)
{
	out->leader_id = sl_get_i32(value);
	out->leader_epoch = sl_get_i32(value);
	sl_skip_tags(value, true);
}

static void partition_tags_get(struct sl_produce_reader *pr, struct sl_produce_result *out)
{
	uint32_t count = sl_get_tag_count(&pr->r, pr->flexible);

	while (count-- > 0 && !pr->r.bad) {
		struct sl_tag t = sl_get_tag(&pr->r);

		if (t.tag != TAG_CURRENT_LEADER || pr->version < VERSION_HINTS)
			continue;
		current_leader_get(&t.value, out);
		if (t.value.bad)
			sl_rbuf_fail(&pr->r);
	}
}

static void partition_get(struct sl_produce_reader *pr, struct sl_produce_result *out)
{
	*out = (struct sl_produce_result){
		.topic = pr->topic,
		.topic_id = pr->topic_id,
		.log_start_offset = -1,
		.leader_id = -1,
		.leader_epoch = -1,
	};
	out->index = sl_get_i32(&pr->r);
	out->error_code = sl_get_i16(&pr->r);
	out->base_offset = sl_get_i64(&pr->r);
	out->log_append_time_ms = sl_get_i64(&pr->r);
	if (pr->version >= VERSION_LOG_START)
		out->log_start_offset = sl_get_i64(&pr->r);
	if (pr->version >= VERSION_RECORD_ERRORS) {
		out->record_errors = record_errors_get(pr);
		out->error_message = sl_get_nullable_string(&pr->r, pr->flexible);
	}
	partition_tags_get(pr, out);
}

static void topic_get(struct sl_produce_reader *pr)
{
	pr->topics_left--;
	if (pr->version >= SL_PRODUCE_VERSION_TOPIC_ID)
		pr->topic_id = sl_get_uuid(&pr->r);
	else
		pr->topic = sl_get_string(&pr->r, pr->flexible);
	pr->partitions_left = sl_get_array(&pr->r, pr->flexible, PARTITION_BYTES_MIN);
	pr->topic_open = true;
}

int sl_produce_response_next(struct sl_produce_reader *pr, struct sl_produce_result *out)
{
	while (!pr->r.bad && pr->partitions_left == 0) {
		if (pr->topic_open)
			sl_skip_tags(&pr->r, pr->flexible);
		pr->topic_open = false;
		if (pr->topics_left == 0)
			return pr->r.bad ? -EBADMSG : 0;
		topic_get(pr);
	}
	if (pr->r.bad)
		return -EBADMSG;
	pr->partitions_left--;
	partition_get(pr, out);
	if (pr->r.bad || out->index < 0)
		return reader_fail(pr);
	return 1;
}

static struct sl_produce_node node_get(struct sl_rbuf *r)
{
	struct sl_produce_node node;

	node.id = sl_get_i32(r);
	node.host = sl_get_string(r, true);
	node.port = sl_get_i32(r);
	sl_get_nullable_string(r, true); /* rack */
	sl_skip_tags(r, true);
	if (node.id < 0 || node.host.bytes == 0 || node.port < 1 || node.port > UINT16_MAX)
		sl_rbuf_fail(r);
	return node;
}

static struct sl_produce_nodes nodes_get(struct sl_rbuf *value)
{
	struct sl_produce_nodes nodes;
	int32_t i;

	nodes.left = sl_get_array(value, true, NODE_BYTES_MIN);
	nodes.r = *value;
	for (i = 0; i < nodes.left && !value->bad; i++)
		node_get(value);
	return nodes;
}

int sl_produce_node_next(struct sl_produce_nodes *nodes, struct sl_produce_node *out)
{
	if (nodes->left <= 0)
		return 0;
	nodes->left--;
	*out = node_get(&nodes->r);
	return 1;
}

int sl_produce_response_end(struct sl_produce_reader *pr, struct sl_produce_end *out)
{
	struct sl_produce_result skipped;
	uint32_t tags;
	int rc = 1;

	*out = (struct sl_produce_end){0};
	while (rc == 1)
		rc = sl_produce_response_next(pr, &skipped);
	if (rc < 0)
		return rc;
	out->throttle_ms = sl_get_i32(&pr->r);
	tags = sl_get_tag_count(&pr->r, pr->flexible);
	while (tags-- > 0 && !pr->r.bad) {
		struct sl_tag t = sl_get_tag(&pr->r);

		if (t.tag != TAG_NODE_ENDPOINTS || pr->version < VERSION_HINTS)
			continue;
		out->nodes = nodes_get(&t.value);
		if (t.value.bad)
			sl_rbuf_fail(&pr->r);
	}
	if (pr->r.bad || sl_rbuf_left(&pr->r) != 0)
		return reader_fail(pr);
	return 0;
}
