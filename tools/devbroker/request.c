/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/devbroker/request.h"

#include <inttypes.h>
#include <stdlib.h>

#include "dataplane/base/assert.h"

enum {
	API_PRODUCE = 0,
	API_API_VERSIONS = 18,
	OUT_BYTES_MIN = 16 << 10,
	OUT_BYTES_MAX = 1 << 30,
	NOT_OFFERED = -1,
};

struct api_row {
	int16_t key;
	int16_t min;         /* that is served */
	int16_t min_offered; /* librdkafka draws conclusions from Produce 0 (KAFKA-18659) */
	int16_t flexible_min;
	int16_t max[SL_DB_RELEASE_COUNT]; /* 2.1, 2.4, 2.8, 3.7, 4.0, newest */
	enum sl_db_verdict (*serve)(struct sl_db_call *call);
	const char *name;
};

static const struct api_row api_rows[] = {
	{0, 3, 0, 9, {7, 8, 9, 10, 12, 13}, sl_db_serve_produce, "Produce"},
	{1, 4, 4, 12, {10, 11, 12, 16, 17, 17}, sl_db_serve_fetch, "Fetch"},
	{2, 1, 1, 6, {4, 5, 6, 8, 10, 10}, sl_db_serve_list_offsets, "ListOffsets"},
	{3, 0, 0, 9, {7, 9, 11, 12, 13, 13}, sl_db_serve_metadata, "Metadata"},
	{18, 0, 0, 3, {2, 3, 3, 3, 4, 4}, sl_db_serve_api_versions, "ApiVersions"},
	{19, 2, 2, 5, {3, 5, 7, 7, 7, 7}, sl_db_serve_create_topics, "CreateTopics"},
	{20, 1, 1, 4, {3, 4, 6, 6, 6, 6}, sl_db_serve_delete_topics, "DeleteTopics"},
	{22, 0, 0, 2, {1, 2, 4, 4, 5, 5}, sl_db_serve_init_producer_id, "InitProducerId"},
	{60, 0, 0, 0, {-1, -1, 0, 1, 1, 1}, sl_db_serve_describe_cluster, "DescribeCluster"},
	{61, 0, 0, 0, {-1, -1, 0, 0, 0, 0}, sl_db_serve_describe_producers, "DescribeProducers"},
};

void sl_db_out_room(struct sl_db_out *out, size_t bytes)
{
	size_t used = out->base ? (size_t)(out->w.pos - out->base) : 0;
	size_t capacity = out->base ? (size_t)(out->w.end - out->base) : OUT_BYTES_MIN;
	uint8_t *base;

	if (out->w.overflow || (out->base && (size_t)(out->w.end - out->w.pos) >= bytes))
		return;
	while (capacity < used + bytes && capacity < OUT_BYTES_MAX)
		capacity *= 2;
	base = capacity >= used + bytes ? realloc(out->base, capacity) : NULL;
	if (!base) {
		out->w.overflow = true;
		return;
	}
	out->base = base;
	out->w = (struct sl_wbuf){base + used, base + capacity, false};
}

static const struct api_row *row_find(int16_t api_key)
{
	uint32_t i;

	for (i = 0; i < SL_ARRAY_COUNT(api_rows); i++)
		if (api_rows[i].key == api_key)
			return &api_rows[i];
	return NULL;
}

bool sl_db_request_is_produce(struct sl_slice frame)
{
	return frame.bytes >= 2 && sl_load_be16(frame.data) == API_PRODUCE;
}

static bool header_read(struct sl_db_call *call, struct sl_slice frame)
{
	const struct api_row *row;

	call->r = sl_rbuf_on(frame.data, frame.bytes);
	call->api_key = sl_get_i16(&call->r);
	call->version = sl_get_i16(&call->r);
	call->correlation_id = sl_get_i32(&call->r);
	call->client_id = sl_get_nullable_string(&call->r, false);
	row = row_find(call->api_key);
	call->flexible = row && call->version >= row->flexible_min;
	sl_skip_tags(&call->r, call->flexible);
	return !call->r.bad;
}

static enum sl_db_verdict refuse(const struct sl_db_call *call, const char *why)
{
	sl_db_log_event(call->db, "warning",
			"request_refused peer=%s client=%.*s api=%d version=%d"
			" reason=\"%s\"",
			call->peer, (int)call->client_id.bytes, (const char *)call->client_id.data,
			call->api_key, call->version, why);
	return SL_DB_CLOSE;
}

static enum sl_db_verdict row_serve(struct sl_db_call *call, const struct api_row *row)
{
	size_t frame_at;
	enum sl_db_verdict verdict;

	sl_db_out_room(call->out, OUT_BYTES_MIN);
	if (call->out->w.overflow)
		return refuse(call, "no memory for a response");
	frame_at = (size_t)(call->out->w.pos - call->out->base);
	sl_put_i32(&call->out->w, 0);
	sl_put_i32(&call->out->w, call->correlation_id);
	sl_put_tags(&call->out->w, call->flexible && row->key != API_API_VERSIONS);
	verdict = row->serve(call);
	if (verdict == SL_DB_REPLY && !call->out->w.overflow) {
		uint8_t *frame = call->out->base + frame_at;

		sl_store_be32(frame, (uint32_t)(call->out->w.pos - frame - 4));
		return verdict;
	}
	call->out->w.pos = call->out->base + frame_at;
	return verdict == SL_DB_REPLY ? refuse(call, "response grows too large") : verdict;
}

enum sl_db_verdict sl_db_request_serve(struct sl_db_call *call, struct sl_slice frame)
{
	const struct api_row *row;
	enum sl_db_verdict verdict;
	int16_t max;

	if (!header_read(call, frame))
		return refuse(call, "malformed request header");
	row = row_find(call->api_key);
	if (!row)
		return refuse(call, "unknown api");
	max = row->max[call->db->options.faults.release];
	/* ApiVersions alone answers versions it does not know: that is how they are negotiated. */
	if (row->key != API_API_VERSIONS && (call->version < row->min || call->version > max))
		return refuse(call, "version is not offered");
	verdict = row_serve(call, row);
	if (call->r.bad)
		return refuse(call, "malformed request body");
	return verdict;
}

static bool software_name_legal(struct sl_slice s)
{
	const char *text = s.data;
	uint32_t i;

	for (i = 0; i < s.bytes; i++) {
		char c = text[i];
		bool inner = i > 0 && i + 1 < s.bytes && (c == '-' || c == '.');

		if (!inner && !(c >= '0' && c <= '9') && !((c | 32) >= 'a' && (c | 32) <= 'z'))
			return false;
	}
	return s.bytes > 0;
}

static void api_versions_put(struct sl_db_call *call, int16_t error, int16_t version)
{
	enum sl_db_release release = call->db->options.faults.release;
	bool flexible = version >= 3;
	struct sl_wbuf *w = &call->out->w;
	int32_t count = 0;
	uint32_t i;

	/* Brokers before 2.4 say nothing beside the error; later ones name the range to retry with.
	 */
	bool all = error != SL_DB_UNSUPPORTED_VERSION;
	bool hint = !all && release >= SL_DB_RELEASE_2_4;

	for (i = 0; i < SL_ARRAY_COUNT(api_rows); i++)
		if (api_rows[i].max[release] != NOT_OFFERED &&
		    (all || (hint && api_rows[i].key == API_API_VERSIONS)))
			count++;
	sl_put_i16(w, error);
	sl_put_array(w, flexible, count);
	for (i = 0; i < SL_ARRAY_COUNT(api_rows); i++) {
		const struct api_row *row = &api_rows[i];

		if (row->max[release] == NOT_OFFERED ||
		    !(all || (hint && row->key == API_API_VERSIONS)))
			continue;
		sl_put_i16(w, row->key);
		sl_put_i16(w, row->min_offered);
		sl_put_i16(w, row->max[release]);
		sl_put_tags(w, flexible);
	}
	if (version >= 1)
		sl_put_i32(w, 0);
	sl_put_tags(w, flexible);
}

enum sl_db_verdict sl_db_serve_api_versions(struct sl_db_call *call)
{
	int16_t max = row_find(API_API_VERSIONS)->max[call->db->options.faults.release];
	int16_t error = SL_DB_NONE;

	if (call->version < 0 || call->version > max) {
		/* What follows the header is unknown, and so is how to answer but in version 0. */
		call->r.bad = false;
		api_versions_put(call, SL_DB_UNSUPPORTED_VERSION, 0);
		return SL_DB_REPLY;
	}
	if (call->version >= 3) {
		struct sl_slice name = sl_get_string(&call->r, true);
		struct sl_slice version = sl_get_string(&call->r, true);

		sl_skip_tags(&call->r, true);
		if (!call->r.bad && (!software_name_legal(name) || !software_name_legal(version)))
			error = SL_DB_INVALID_REQUEST;
	}
	api_versions_put(call, error, call->version);
	return SL_DB_REPLY;
}
