/* SPDX-License-Identifier: Apache-2.0 */
/* Fetch and ListOffsets: reading back. Without sessions, which every client can do without. */
#include <inttypes.h>

#include "dataplane/base/clock.h"
#include "tools/devbroker/request.h"

enum {
	FETCH_SESSIONS = 7, /* versions that brought what the name says */
	FETCH_LEADER_EPOCH = 9,
	FETCH_RACK = 11,
	FETCH_LAST_EPOCH = 12,
	FETCH_TOPIC_IDS = 13,
	FETCH_REPLICA_TAG = 15,
	LIST_ISOLATION = 2,
	LIST_LEADER_EPOCH = 4,
	PARTITION_REPLY_BYTES_MAX = 128,
	TIMESTAMP_LATEST = -1,
	TIMESTAMP_EARLIEST = -2,
	TIMESTAMP_MAX = -3,
	TIMESTAMP_EARLIEST_LOCAL = -4,
};

struct fetch {
	struct sl_db_call *call;
	int32_t max_wait_ms;
	int32_t min_bytes;
	uint32_t bytes_left;
	uint64_t bytes;
	bool failed; /* some partition did: answer at once */
};

static int16_t epoch_check(const struct sl_db_call *call, const struct sl_db_topic *topic,
			   int32_t index, int32_t epoch, bool by_id)
{
	const struct sl_db_partition *partition = sl_db_partition_of(topic, index);

	if (!topic && by_id)
		return SL_DB_UNKNOWN_TOPIC_ID;
	if (!partition)
		return SL_DB_UNKNOWN_TOPIC_OR_PARTITION;
	if (sl_db_leader_of(call->db, topic, index) != call->node->id)
		return SL_DB_NOT_LEADER;
	if (epoch >= 0 && epoch < partition->leader_epoch)
		return SL_DB_FENCED_LEADER_EPOCH;
	if (epoch > partition->leader_epoch)
		return SL_DB_UNKNOWN_LEADER_EPOCH;
	return SL_DB_NONE;
}

static void fetch_partition_put(struct fetch *f, const struct sl_db_partition *partition,
				int32_t index, int16_t error, struct sl_slice records)
{
	struct sl_db_call *call = f->call;
	bool known = partition && error != SL_DB_UNKNOWN_TOPIC_OR_PARTITION;
	int64_t end = known ? partition->log.end_offset : -1;
	struct sl_wbuf *w;

	sl_db_out_room(call->out, PARTITION_REPLY_BYTES_MAX + records.bytes);
	w = &call->out->w;
	sl_put_i32(w, index);
	sl_put_i16(w, error);
	sl_put_i64(w, end); /* high watermark */
	sl_put_i64(w, end); /* last stable offset */
	if (call->version >= 5)
		sl_put_i64(w, known ? partition->log.start_offset : -1);
	sl_put_array(w, call->flexible, -1); /* aborted transactions */
	if (call->version >= FETCH_RACK)
		sl_put_i32(w, -1); /* preferred read replica */
	sl_put_bytes_length(w, call->flexible, records.bytes);
	sl_put_raw(w, records.data, records.bytes);
	sl_put_tags(w, call->flexible);
}

static void fetch_partition(struct fetch *f, struct sl_db_topic *topic, struct sl_rbuf *r)
{
	struct sl_db_call *call = f->call;
	int32_t index = sl_get_i32(r);
	int32_t epoch = call->version >= FETCH_LEADER_EPOCH ? sl_get_i32(r) : -1;
	int64_t offset = sl_get_i64(r);
	struct sl_slice records = SL_SLICE_NULL;
	struct sl_db_partition *partition = sl_db_partition_of(topic, index);
	int32_t bytes_max;
	int16_t error;

	if (call->version >= FETCH_LAST_EPOCH)
		sl_get_i32(r);
	if (call->version >= 5)
		sl_get_i64(r); /* log start offset: of followers */
	bytes_max = sl_get_i32(r);
	sl_skip_tags(r, call->flexible);
	if (r->bad)
		return;
	error = epoch_check(call, topic, index, epoch, call->version >= FETCH_TOPIC_IDS);
	if (!error && (offset < partition->log.start_offset || offset > partition->log.end_offset))
		error = SL_DB_OFFSET_OUT_OF_RANGE;
	if (!error) {
		uint32_t limit = bytes_max < 0 ? 0 : (uint32_t)bytes_max;

		records = sl_db_log_read(&partition->log, offset,
					 limit < f->bytes_left ? limit : f->bytes_left,
					 f->bytes == 0);
	}
	f->failed = f->failed || error;
	f->bytes += records.bytes;
	f->bytes_left -= records.bytes < f->bytes_left ? records.bytes : f->bytes_left;
	fetch_partition_put(f, partition, index, error, records);
}

static void fetch_topic(struct fetch *f, struct sl_rbuf *r)
{
	struct sl_db_call *call = f->call;
	bool by_id = call->version >= FETCH_TOPIC_IDS;
	struct sl_uuid id = {{0}};
	struct sl_slice name = SL_SLICE_NULL;
	struct sl_db_topic *topic;
	int32_t partitions;

	sl_db_out_room(call->out, PARTITION_REPLY_BYTES_MAX + SL_DB_TOPIC_NAME_BYTES_MAX);
	if (by_id) {
		id = sl_get_uuid(r);
		sl_put_uuid(&call->out->w, &id);
		topic = sl_db_topic_by_id(call->db, &id);
	} else {
		name = sl_get_string(r, call->flexible);
		sl_db_out_room(call->out, PARTITION_REPLY_BYTES_MAX + name.bytes);
		sl_put_string(&call->out->w, call->flexible, name);
		topic = sl_db_topic_by_name(call->db, name);
	}
	partitions = sl_get_array(r, call->flexible, 16);
	sl_put_array(&call->out->w, call->flexible, partitions);
	while (partitions-- > 0 && !r->bad)
		fetch_partition(f, topic, r);
	sl_skip_tags(r, call->flexible);
	sl_db_out_room(call->out, PARTITION_REPLY_BYTES_MAX);
	sl_put_tags(&call->out->w, call->flexible);
}

/* What follows the topics in a request says nothing to a broker without sessions. */
static void fetch_tail_skip(const struct sl_db_call *call, struct sl_rbuf *r)
{
	bool flexible = call->flexible;
	int32_t forgotten = call->version >= FETCH_SESSIONS ? sl_get_array(r, flexible, 2) : 0;

	while (forgotten-- > 0 && !r->bad) {
		if (call->version >= FETCH_TOPIC_IDS)
			sl_get_uuid(r);
		else
			sl_get_string(r, flexible);
		sl_skip_i32_array(r, flexible);
		sl_skip_tags(r, flexible);
	}
	if (call->version >= FETCH_RACK)
		sl_get_string(r, flexible);
	sl_skip_tags(r, flexible);
}

static bool fetch_waits(const struct fetch *f)
{
	struct sl_db_call *call = f->call;

	if (f->failed || f->max_wait_ms <= 0 || (int64_t)f->bytes >= f->min_bytes)
		return false;
	if (call->first_try)
		call->wake_ns = call->db->now_ns + (uint64_t)f->max_wait_ms * SL_NS_PER_MS;
	return call->db->now_ns < call->wake_ns;
}

enum sl_db_verdict sl_db_serve_fetch(struct sl_db_call *call)
{
	struct sl_rbuf *r = &call->r;
	struct fetch f = {.call = call};
	struct sl_wbuf *w = &call->out->w;
	int32_t max_bytes, topics;

	if (call->version < FETCH_REPLICA_TAG)
		sl_get_i32(r); /* replica id */
	f.max_wait_ms = sl_get_i32(r);
	f.min_bytes = sl_get_i32(r);
	max_bytes = sl_get_i32(r);
	f.bytes_left = max_bytes < 0 ? 0 : (uint32_t)max_bytes;
	sl_get_i8(r); /* isolation: there are no transactions */
	if (call->version >= FETCH_SESSIONS)
		sl_get_i64(r); /* session id and epoch */
	sl_put_i32(w, 0);      /* throttle */
	if (call->version >= FETCH_SESSIONS) {
		sl_put_i16(w, SL_DB_NONE);
		sl_put_i32(w, 0); /* no session */
	}
	topics = sl_get_array(r, call->flexible, 2);
	sl_put_array(w, call->flexible, topics);
	while (topics-- > 0 && !r->bad)
		fetch_topic(&f, r);
	fetch_tail_skip(call, r);
	if (r->bad)
		return SL_DB_CLOSE;
	if (fetch_waits(&f))
		return SL_DB_WAIT;
	sl_db_out_room(call->out, PARTITION_REPLY_BYTES_MAX);
	sl_put_tags(&call->out->w, call->flexible);
	return SL_DB_REPLY;
}

struct found {
	int64_t wanted_ms; /* at least; INT64_MIN: the largest there is */
	int64_t base_offset;
	int64_t timestamp_ms;
	int64_t offset;
};

static bool found_by_time(void *ctx, int64_t timestamp_ms, int32_t offset_delta)
{
	struct found *f = ctx;
	bool largest = f->wanted_ms == INT64_MIN;

	if (largest ? f->offset >= 0 && timestamp_ms <= f->timestamp_ms
		    : timestamp_ms < f->wanted_ms)
		return true;
	f->timestamp_ms = timestamp_ms;
	f->offset = f->base_offset + offset_delta;
	return largest;
}

/* Walks the batches whose max timestamp can matter; only those are decompressed. */
static struct found time_find(struct sl_db *db, const struct sl_db_log *log, int64_t wanted_ms)
{
	struct found f = {.wanted_ms = wanted_ms, .timestamp_ms = -1, .offset = -1};
	const struct sl_db_segment *s;

	for (s = log->first; s; s = s->next) {
		uint32_t at = 0;

		while (at < s->used_bytes) {
			const uint8_t *batch = s->data + at;
			int64_t max_ms = (int64_t)sl_load_be64(batch + 35);
			int64_t floor_ms = wanted_ms == INT64_MIN ? f.timestamp_ms + 1 : wanted_ms;

			f.base_offset = (int64_t)sl_load_be64(batch);
			if (max_ms >= floor_ms)
				sl_db_batch_visit(batch, &db->inflater, found_by_time, &f);
			if (f.offset >= 0 && wanted_ms != INT64_MIN)
				return f;
			at += SL_BATCH_PREFIX_BYTES + sl_load_be32(batch + 8);
		}
	}
	return f;
}

static struct found offset_find(struct sl_db *db, const struct sl_db_log *log, int64_t timestamp)
{
	struct found f = {.timestamp_ms = -1, .offset = -1};

	if (timestamp == TIMESTAMP_LATEST)
		f.offset = log->end_offset;
	else if (timestamp == TIMESTAMP_EARLIEST || timestamp == TIMESTAMP_EARLIEST_LOCAL)
		f.offset = log->start_offset;
	else if (timestamp == TIMESTAMP_MAX)
		f = time_find(db, log, INT64_MIN);
	else if (timestamp >= 0)
		f = time_find(db, log, timestamp);
	return f;
}

static void list_partition(struct sl_db_call *call, const struct sl_db_topic *topic)
{
	struct sl_rbuf *r = &call->r;
	int32_t index = sl_get_i32(r);
	int32_t epoch = call->version >= LIST_LEADER_EPOCH ? sl_get_i32(r) : -1;
	int64_t timestamp = sl_get_i64(r);
	struct found f = {.timestamp_ms = -1, .offset = -1};
	struct sl_wbuf *w;
	int16_t error;

	sl_skip_tags(r, call->flexible);
	if (r->bad)
		return;
	error = epoch_check(call, topic, index, epoch, false);
	if (!error)
		f = offset_find(call->db, &topic->partitions[index].log, timestamp);
	sl_db_out_room(call->out, PARTITION_REPLY_BYTES_MAX);
	w = &call->out->w;
	sl_put_i32(w, index);
	sl_put_i16(w, error);
	sl_put_i64(w, f.timestamp_ms);
	sl_put_i64(w, f.offset);
	if (call->version >= LIST_LEADER_EPOCH)
		sl_put_i32(w, error ? -1 : topic->partitions[index].leader_epoch);
	sl_put_tags(w, call->flexible);
}

enum sl_db_verdict sl_db_serve_list_offsets(struct sl_db_call *call)
{
	struct sl_rbuf *r = &call->r;
	int32_t topics;

	sl_get_i32(r); /* replica id */
	if (call->version >= LIST_ISOLATION) {
		sl_get_i8(r);
		sl_put_i32(&call->out->w, 0); /* throttle */
	}
	topics = sl_get_array(r, call->flexible, 2);
	sl_put_array(&call->out->w, call->flexible, topics);
	while (topics-- > 0 && !r->bad) {
		struct sl_slice name = sl_get_string(r, call->flexible);
		struct sl_db_topic *topic = sl_db_topic_by_name(call->db, name);
		int32_t partitions = sl_get_array(r, call->flexible, 12);

		sl_db_out_room(call->out, PARTITION_REPLY_BYTES_MAX + name.bytes);
		sl_put_string(&call->out->w, call->flexible, name);
		sl_put_array(&call->out->w, call->flexible, partitions);
		while (partitions-- > 0 && !r->bad)
			list_partition(call, topic);
		sl_skip_tags(r, call->flexible);
		sl_db_out_room(call->out, PARTITION_REPLY_BYTES_MAX);
		sl_put_tags(&call->out->w, call->flexible);
	}
	if (call->version >= 10)
		sl_get_i32(r); /* timeout, for offsets in remote storage */
	sl_skip_tags(r, call->flexible);
	sl_put_tags(&call->out->w, call->flexible);
	return r->bad ? SL_DB_CLOSE : SL_DB_REPLY;
}
