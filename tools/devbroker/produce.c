/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>

#include "dataplane/base/clock.h"
#include "tools/devbroker/lie.h"
#include "tools/devbroker/request.h"

enum {
	VERSION_LOG_START = 5,
	VERSION_THROTTLE_MUTES = 6,
	VERSION_ZSTD = 7,
	VERSION_RECORD_ERRORS = 8,
	VERSION_HINTS = 10,
	VERSION_TOPIC_IDS = 13,
	PARTITION_REPLY_BYTES_MAX = 512,
};

/* Kafka 4.0's default of message.timestamp.after.max.ms. */
#define TIMESTAMP_AHEAD_MS_MAX INT64_C(3600000)

struct produce {
	struct sl_db_call *call;
	int16_t acks;
	bool refused;          /* some partition was */
	uint64_t hinted_nodes; /* bit id-1: named as a leader in this response */
};

struct outcome {
	int16_t error;
	int64_t base_offset;
	int64_t log_append_time_ms;
	struct sl_db_refusal why;
};

static struct sl_db_topic *topic_read(const struct sl_db_call *call, struct sl_rbuf *r,
				      struct sl_slice *name, struct sl_uuid *id)
{
	if (call->version >= VERSION_TOPIC_IDS) {
		*id = sl_get_uuid(r);
		return sl_db_topic_by_id(call->db, id);
	}
	*name = sl_get_string(r, call->flexible);
	return r->bad ? NULL : sl_db_topic_by_name(call->db, *name);
}

/* Reads the whole request without doing anything: a malformed one must not be half appended. */
static void request_check(struct sl_db_call *call, struct sl_rbuf *r)
{
	bool f = call->flexible;
	int32_t topics = sl_get_array(r, f, 2);

	while (topics-- > 0 && !r->bad) {
		int32_t partitions;

		if (call->version >= VERSION_TOPIC_IDS)
			sl_get_uuid(r);
		else
			sl_get_string(r, f);
		partitions = sl_get_array(r, f, 5);
		while (partitions-- > 0 && !r->bad) {
			sl_get_i32(r);
			sl_get_nullable_bytes(r, f);
			sl_skip_tags(r, f);
		}
		sl_skip_tags(r, f);
	}
	sl_skip_tags(r, f);
	if (r->pos != r->end)
		sl_rbuf_fail(r);
}

static int16_t batch_append(struct produce *p, struct sl_db_topic *topic,
			    struct sl_db_partition *partition, const struct sl_db_batch *batch,
			    struct outcome *out)
{
	const struct sl_db_producer_batch *duplicate = NULL;
	struct sl_db_claim claim = {batch->producer_id, batch->producer_epoch, batch->base_sequence,
				    batch->record_count, batch->max_timestamp_ms};
	int16_t error;

	if (batch->producer_id >= 0) {
		error = sl_db_producers_check(&partition->producers, &claim, &duplicate);
		if (error)
			return sl_db_refuse(&out->why, error,
					    "producer %" PRId64 " epoch %d"
					    " sequence %" PRId32 " does not follow",
					    claim.producer_id, claim.epoch, claim.base_sequence);
	}
	if (duplicate) {
		topic->duplicates++;
		out->base_offset = duplicate->base_offset;
		out->log_append_time_ms = duplicate->max_timestamp_ms;
		return SL_DB_NONE;
	}
	out->base_offset = p->call->db->options.discard
				   ? sl_db_log_discard(&partition->log, batch->record_count)
				   : sl_db_lie_append(p->call->db, partition, batch->whole,
						      batch->record_count);
	if (batch->producer_id >= 0)
		sl_db_producers_note(&partition->producers, &claim, out->base_offset);
	p->call->db->appends++;
	topic->batches++;
	topic->records += batch->record_count;
	topic->bytes += batch->whole.bytes;
	return SL_DB_NONE;
}

static int16_t leader_check(const struct sl_db_call *call, const struct sl_db_topic *topic,
			    int32_t index, struct sl_db_refusal *why)
{
	if (!topic && call->version >= VERSION_TOPIC_IDS)
		return sl_db_refuse(why, SL_DB_UNKNOWN_TOPIC_ID, "unknown topic id");
	if (!sl_db_partition_of(topic, index))
		return sl_db_refuse(why, SL_DB_UNKNOWN_TOPIC_OR_PARTITION,
				    "unknown topic or partition");
	if (sl_db_leader_of(call->db, topic, index) != call->node->id)
		return sl_db_refuse(why, SL_DB_NOT_LEADER, "node %" PRId32 " does not lead",
				    call->node->id);
	return SL_DB_NONE;
}

static int16_t batch_serve(struct produce *p, struct sl_db_topic *topic, int32_t index,
			   struct sl_slice records, struct outcome *out)
{
	struct sl_db *db = p->call->db;
	struct sl_db_rules rules = {
		.batch_bytes_max = db->options.batch_bytes_max,
		.timestamp_ms_max = sl_db_time_ms() + TIMESTAMP_AHEAD_MS_MAX,
		.compacted = topic->compacted,
		.before_2_4 = db->options.faults.release < SL_DB_RELEASE_2_4,
	};
	struct sl_db_batch batch;
	int16_t fault = sl_db_fault_error(&db->options.faults);
	int16_t error;

	/* These two say that the leader has the batch and its replicas have not. */
	if (fault && fault != SL_DB_REQUEST_TIMED_OUT &&
	    fault != SL_DB_NOT_ENOUGH_REPLICAS_AFTER_APPEND)
		return sl_db_refuse(&out->why, fault, "a fault asked for");
	error = sl_db_batch_open(records, &rules, &batch, &out->why);
	if (!error && batch.codec == SL_CODEC_ZSTD && p->call->version < VERSION_ZSTD)
		error = sl_db_refuse(&out->why, SL_DB_UNSUPPORTED_COMPRESSION_TYPE,
				     "zstd needs Produce 7");
	if (!error && !db->options.trust)
		error = sl_db_batch_walk(&batch, &rules, &db->inflater, &out->why);
	if (!error)
		error = batch_append(p, topic, &topic->partitions[index], &batch, out);
	if (!error && fault)
		return sl_db_refuse(&out->why, fault, "a fault asked for, after the append");
	return error;
}

static struct outcome partition_serve(struct produce *p, struct sl_db_topic *topic, int32_t index,
				      struct sl_slice records)
{
	struct outcome out = {.base_offset = -1, .log_append_time_ms = -1};

	out.why.record_index = -1;
	if (p->acks < -1 || p->acks > 1)
		out.error = sl_db_refuse(&out.why, SL_DB_INVALID_REQUIRED_ACKS, "acks %d", p->acks);
	if (!out.error)
		out.error = leader_check(p->call, topic, index, &out.why);
	if (!out.error)
		out.error = batch_serve(p, topic, index, records, &out);
	if (!out.error)
		return out;
	p->refused = true;
	if (topic)
		topic->refused++;
	sl_db_log_event(p->call->db, "warning",
			"batch_refused peer=%s topic=%s partition=%" PRId32
			" error=%d reason=\"%s\"",
			p->call->peer, topic ? topic->name : "?", index, out.error, out.why.text);
	return out;
}

static void record_errors_put(const struct produce *p, const struct outcome *o)
{
	struct sl_wbuf *w = &p->call->out->w;
	bool f = p->call->flexible;

	if (o->why.record_index >= 0 && o->error) {
		sl_put_array(w, f, 1);
		sl_put_i32(w, o->why.record_index);
		sl_put_string(w, f, SL_SLICE_NULL);
		sl_put_tags(w, f);
	} else {
		sl_put_array(w, f, 0);
	}
	sl_put_string(w, f, o->error ? sl_slice_of(o->why.text) : SL_SLICE_NULL);
}

/* The partition's tags: who leads, where this node does not (KIP-951). */
static void hint_put(struct produce *p, const struct sl_db_topic *topic, int32_t index,
		     const struct outcome *o)
{
	struct sl_wbuf *w = &p->call->out->w;
	int32_t leader = -1;

	if (o->error == SL_DB_NOT_LEADER && p->call->version >= VERSION_HINTS &&
	    sl_db_partition_of(topic, index))
		leader = sl_db_leader_of(p->call->db, topic, index);
	if (leader < 0) {
		sl_put_tags(w, p->call->flexible);
		return;
	}
	sl_put_uvarint(w, 1); /* fields */
	sl_put_uvarint(w, 0); /* tag */
	sl_put_uvarint(w, 9); /* bytes */
	sl_put_i32(w, leader);
	sl_put_i32(w, topic->partitions[index].leader_epoch);
	sl_put_tags(w, true);
	p->hinted_nodes |= UINT64_C(1) << (leader - 1);
}

static void partition_put(struct produce *p, const struct sl_db_topic *topic, int32_t index,
			  const struct outcome *o)
{
	const struct sl_db_partition *partition = sl_db_partition_of(topic, index);
	struct sl_wbuf *w;

	sl_db_out_room(p->call->out, PARTITION_REPLY_BYTES_MAX);
	w = &p->call->out->w;
	sl_put_i32(w, index);
	sl_put_i16(w, o->error);
	sl_put_i64(w, o->base_offset);
	sl_put_i64(w, o->log_append_time_ms);
	if (p->call->version >= VERSION_LOG_START)
		sl_put_i64(w, partition && !o->error ? partition->log.start_offset : -1);
	if (p->call->version >= VERSION_RECORD_ERRORS)
		record_errors_put(p, o);
	hint_put(p, topic, index, o);
}

/* Bytes of the tag that names the hinted nodes, without tag and size. */
static void nodes_put(const struct produce *p, struct sl_wbuf *w, const struct sl_db *db)
{
	int32_t i, count = __builtin_popcountll(p->hinted_nodes);

	sl_put_array(w, true, count);
	for (i = 0; i < db->options.node_count; i++) {
		if (!(p->hinted_nodes >> i & 1))
			continue;
		sl_put_i32(w, db->nodes[i].id);
		sl_put_string(w, true, sl_slice_of(p->call->local_host));
		sl_put_i32(w, db->nodes[i].port);
		sl_put_string(w, true, SL_SLICE_NULL);
		sl_put_tags(w, true);
	}
}

static void end_put(struct produce *p)
{
	struct sl_db *db = p->call->db;
	uint8_t *nodes = db->scratch;
	struct sl_wbuf n = sl_wbuf_on(nodes, sizeof(db->scratch));
	struct sl_wbuf *w;

	sl_db_out_room(p->call->out, sizeof(db->scratch) + 64);
	w = &p->call->out->w;
	sl_put_i32(w, (int32_t)db->options.faults.throttle_ms);
	if (!p->hinted_nodes) {
		sl_put_tags(w, p->call->flexible);
		return;
	}
	nodes_put(p, &n, db);
	sl_put_uvarint(w, 1);
	sl_put_uvarint(w, 0);
	sl_put_uvarint(w, (uint32_t)(n.pos - nodes));
	sl_put_raw(w, nodes, (size_t)(n.pos - nodes));
}

static void topic_serve(struct produce *p, struct sl_rbuf *r)
{
	struct sl_db_call *call = p->call;
	struct sl_slice name = SL_SLICE_NULL;
	struct sl_uuid id = {{0}};
	struct sl_db_topic *topic = topic_read(call, r, &name, &id);
	int32_t partitions = sl_get_array(r, call->flexible, 5);

	sl_db_out_room(call->out, PARTITION_REPLY_BYTES_MAX + name.bytes);
	if (call->version >= VERSION_TOPIC_IDS)
		sl_put_uuid(&call->out->w, &id);
	else
		sl_put_string(&call->out->w, call->flexible, name);
	sl_put_array(&call->out->w, call->flexible, partitions);
	while (partitions-- > 0) {
		int32_t index = sl_get_i32(r);
		struct sl_slice records = sl_get_nullable_bytes(r, call->flexible);
		struct outcome outcome = partition_serve(p, topic, index, records);

		sl_skip_tags(r, call->flexible);
		partition_put(p, topic, index, &outcome);
	}
	sl_skip_tags(r, call->flexible);
	sl_db_out_room(call->out, PARTITION_REPLY_BYTES_MAX);
	sl_put_tags(&call->out->w, call->flexible);
}

static enum sl_db_verdict verdict_of(struct produce *p)
{
	struct sl_db_call *call = p->call;
	struct sl_db_faults *faults = &call->db->options.faults;

	if (faults->throttle_ms && call->version >= VERSION_THROTTLE_MUTES)
		call->mute_ns = call->db->now_ns + faults->throttle_ms * SL_NS_PER_MS;
	if (sl_db_fault_strikes(faults, faults->close_after_append_probability)) {
		call->fault_closed = true;
		return SL_DB_CLOSE;
	}
	if (p->acks != 0)
		return SL_DB_REPLY;
	/* The only way to tell a client that asked for no answer. */
	return p->refused ? SL_DB_CLOSE : SL_DB_NO_REPLY;
}

enum sl_db_verdict sl_db_serve_produce(struct sl_db_call *call)
{
	struct produce p = {.call = call};
	struct sl_slice transactional_id = sl_get_nullable_string(&call->r, call->flexible);
	struct sl_rbuf topics;
	int32_t count;

	p.acks = sl_get_i16(&call->r);
	sl_get_i32(&call->r); /* timeout: replicas here are never late */
	topics = call->r;
	request_check(call, &call->r);
	if (call->r.bad)
		return SL_DB_CLOSE;
	if (transactional_id.data) {
		sl_db_log_event(call->db, "warning", "transactions_unsupported peer=%s",
				call->peer);
		return SL_DB_CLOSE;
	}
	count = sl_get_array(&topics, call->flexible, 2);
	sl_put_array(&call->out->w, call->flexible, count);
	while (count-- > 0)
		topic_serve(&p, &topics);
	end_put(&p);
	return verdict_of(&p);
}
