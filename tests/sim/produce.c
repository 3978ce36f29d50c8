/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Produce, as a leader serves it. The order of the checks is Kafka's, and it matters: too few
 * replicas and too large come before the test for a duplicate.
 */
#include <errno.h>
#include <string.h>

#include "dataplane/wire/error_code.h"
#include "tests/sim/sim.h"

/* Followers fetch what was appended, each in its own time. */
static void followers_wake(struct sim *sim, struct part *part)
{
	for (uint32_t b = 0; b < sim->world.broker_count; b++) {
		uint64_t due_ns = sim->now_ns + sim_between(sim, 1000, sim->world.fetch_ns_max);

		if (due_ns < part->at[b].fetch_due_ns)
			part->at[b].fetch_due_ns = due_ns;
	}
	cluster_soon(sim, sim->now_ns);
}

static void batch_view(struct sim *sim, struct sl_slice records, struct sl_batch_view *view)
{
	int rc = sl_batch_parse(records.data, records.bytes, view);

	if (rc != 0)
		sim_violation(sim, "a broker got a batch that is not one: %s",
			      rc == -EILSEQ ? "wrong CRC" : "malformed");
	if (view->batch_bytes != records.bytes)
		sim_violation(sim, "a broker got %u bytes for a batch of %u", records.bytes,
			      view->batch_bytes);
	if (sl_batch_produce_check(view) != 0)
		sim_violation(sim, "a broker got a batch that it refuses with %d",
			      sl_batch_produce_check(view));
}

/* Only batches that are not compressed: of the others a broker looks at each record. */
static bool timestamps_good(const struct sim *sim, const struct sim_topic_spec *spec,
			    const struct sl_batch_view *view)
{
	int64_t now_ms = sim_realtime_ms(sim);

	return (spec->before_ms_max == 0 ||
		now_ms - view->base_timestamp_ms <= spec->before_ms_max) &&
	       (spec->after_ms_max == 0 || view->max_timestamp_ms - now_ms <= spec->after_ms_max);
}

static uint32_t min_isr(const struct part *part, const struct sim_topic_spec *spec)
{
	uint32_t replicas = (uint32_t)__builtin_popcount(part->replicas);

	return spec->min_isr < replicas ? spec->min_isr : replicas;
}

static int16_t store(struct sim *sim, uint32_t broker, struct call *call, int16_t acks,
		     struct sl_slice records)
{
	struct part *part = &call->topic->parts[call->partition];
	struct replica *replica = &part->at[broker];
	const struct sim_topic_spec *spec = &sim->world.topics[call->topic->spec];
	struct sl_batch_view view;
	bool duplicate = false;
	int16_t error = 0;

	if (replica->leader != (int32_t)broker)
		return SL_KAFKA_NOT_LEADER_OR_FOLLOWER;
	batch_view(sim, records, &view);
	call->start_offset = replica->start_offset;
	if (acks == -1 && (uint32_t)__builtin_popcount(replica->isr) < min_isr(part, spec))
		return SL_KAFKA_NOT_ENOUGH_REPLICAS;
	if (spec->message_bytes_max && records.bytes > spec->message_bytes_max) {
		call->start_offset = -1;
		return SL_KAFKA_MESSAGE_TOO_LARGE;
	}
	if (!timestamps_good(sim, spec, &view))
		return SL_KAFKA_INVALID_TIMESTAMP;
	if (view.producer_id >= 0)
		batch_same_check(sim, call->topic->spec, call->partition, &view);
	if (view.producer_id >= 0)
		error = producer_check(sim, replica, &view, sim->cluster.brokers[broker].release,
				       &duplicate, call);
	if (error == 0 && !duplicate) {
		uint32_t batch = batch_note(sim, call->topic->spec, call->partition, &view);

		call->base_offset = log_append(sim, replica, batch, replica->epoch);
		followers_wake(sim, part);
	}
	TRACE(sim,
	      "broker {} topic {} partition {}: pid {} epoch {} sequence {} +{} acks {} error {} "
	      "duplicate {} offset {}",
	      broker, call->topic->spec, call->partition, view.producer_id, view.producer_epoch,
	      view.base_sequence, view.record_count, acks, error, duplicate, call->base_offset);
	if (error == 0 && acks == -1)
		call->wait_offset = call->base_offset + view.record_count;
	call->epoch = replica->epoch;
	return error;
}

static void call_execute(struct sim *sim, uint32_t broker, struct broker_conn *conn,
			 struct call *call, struct sl_slice records)
{
	int16_t error = 0;

	call->wait_offset = -1;
	call->base_offset = call->append_time_ms = call->start_offset = -1;
	if (!call->topic)
		call->error = conn->version >= 13 ? SL_KAFKA_UNKNOWN_TOPIC_ID
						  : SL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
	else if (call->partition < 0 || (uint32_t)call->partition >= call->topic->part_count)
		call->error = SL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
	else if (faults_produce_before(sim, broker, call, &error))
		call->error = error;
	else
		call->error = store(sim, broker, call, conn->acks, records);
	if (call->error == 0 && faults_produce_after(sim, broker, call, &error)) {
		call->error = error;
		call->wait_offset = -1;
	}
	if (call->error != 0) {
		TRACE(sim, "broker {} answers partition {} with {}", broker, call->partition,
		      call->error);
		faults_answered(sim, call);
	}
}

static void topic_execute(struct sim *sim, uint32_t broker, struct broker_conn *conn,
			  struct sl_rbuf *r, bool flexible)
{
	struct sl_slice name = SL_SLICE_NULL;
	struct sl_uuid id = {{0}};
	struct model_topic *topic;
	int32_t parts;

	if (conn->version >= 13)
		id = sl_get_uuid(r);
	else
		name = sl_get_string(r, flexible);
	topic = conn->version >= 13 ? topic_by_id(sim, &id) : topic_by_name(sim, name);
	parts = sl_get_array(r, flexible, 8);
	while (parts-- > 0) {
		struct call *call = &conn->calls[conn->call_count++];
		struct sl_slice records;

		if (conn->call_count == MODEL_CALLS_MAX)
			sim_violation(sim, "a request of more than %d partitions", MODEL_CALLS_MAX);
		*call = (struct call){.topic = topic, .id = id};
		if (name.bytes >= sizeof(call->name))
			sim_violation(sim, "a topic's name that nobody gave");
		memcpy(call->name, name.data ? name.data : "", name.bytes);
		call->partition = sl_get_i32(r);
		records = sl_get_nullable_bytes(r, flexible);
		sl_skip_tags(r, flexible);
		if (r->bad || !records.data)
			sim_violation(sim, "malformed Produce request");
		for (uint32_t i = 0; i + 1 < conn->call_count; i++)
			if (conn->calls[i].topic == topic && topic &&
			    conn->calls[i].partition == call->partition)
				sim_violation(sim, "partition %d twice in one request",
					      call->partition);
		call_execute(sim, broker, conn, call, records);
	}
	sl_skip_tags(r, flexible);
}

enum serve_result produce_execute(struct sim *sim, uint32_t broker, struct broker_conn *conn,
				  struct sl_rbuf *r)
{
	bool flexible = conn->version >= 9;
	int32_t timeout_ms, topics;

	conn->call_count = 0;
	if (conn->version < 3 || sl_get_nullable_string(r, flexible).data)
		sim_violation(sim, "Produce version %d, or a transactional id", conn->version);
	conn->acks = sl_get_i16(r);
	timeout_ms = sl_get_i32(r);
	topics = sl_get_array(r, flexible, 8);
	while (topics-- > 0)
		topic_execute(sim, broker, conn, r, flexible);
	sl_skip_tags(r, flexible);
	if (sl_rbuf_left(r) != 0)
		sim_violation(sim, "bytes behind a Produce request");
	conn->throttle_ms = faults_throttle(sim);
	if (conn->acks == 0) {
		for (uint32_t i = 0; i < conn->call_count; i++)
			if (conn->calls[i].error)
				return SERVE_CLOSE;
		return SERVE_SILENT;
	}
	conn->due_ns = sim->now_ns + (uint64_t)timeout_ms * SL_NS_PER_MS;
	if (!produce_decide(sim, broker, conn, false))
		return SERVE_WAIT;
	return SERVE_ANSWER;
}

/* ---- waiting for replicas ---- */

static void call_decide(struct sim *sim, uint32_t broker, struct call *call, bool timed_out)
{
	const struct part *part = &call->topic->parts[call->partition];
	const struct replica *replica = &part->at[broker];
	const struct sim_topic_spec *spec = &sim->world.topics[call->topic->spec];

	if (call->topic->deleted)
		call->error = SL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
	else if (replica->leader != (int32_t)broker || replica->epoch != call->epoch)
		call->error = SL_KAFKA_NOT_LEADER_OR_FOLLOWER;
	else if (replica->high_watermark >= call->wait_offset)
		call->error = (uint32_t)__builtin_popcount(replica->isr) < min_isr(part, spec)
				      ? SL_KAFKA_NOT_ENOUGH_REPLICAS_AFTER_APPEND
				      : 0;
	else if (timed_out)
		call->error = SL_KAFKA_REQUEST_TIMED_OUT;
	else
		return;
	call->wait_offset = -1;
	if (call->error) {
		TRACE(sim, "broker {} answers partition {} with {} after it waited", broker,
		      call->partition, call->error);
		faults_answered(sim, call);
	}
}

bool produce_decide(struct sim *sim, uint32_t broker, struct broker_conn *conn, bool timed_out)
{
	bool open = false;

	for (uint32_t i = 0; i < conn->call_count; i++) {
		if (conn->calls[i].wait_offset >= 0)
			call_decide(sim, broker, &conn->calls[i], timed_out);
		open |= conn->calls[i].wait_offset >= 0;
	}
	if (!open)
		produce_answer(sim, broker, conn);
	return !open;
}

/* KIP-951: who leads now, as far as this broker knows. */
static void hint_put(struct sl_wbuf *w, const struct call *call, uint32_t broker)
{
	const struct replica *view = &call->topic->parts[call->partition].at[broker];

	sl_put_uvarint(w, 1);
	sl_put_uvarint(w, 0);
	sl_put_uvarint(w, 9);
	sl_put_i32(w, view->leader < 0 ? -1 : view->leader + 1);
	sl_put_i32(w, view->epoch);
	sl_put_tags(w, true);
}

static void call_put(struct sl_wbuf *w, const struct call *call, int16_t version, uint32_t broker)
{
	bool flexible = version >= 9;

	sl_put_i32(w, call->partition);
	sl_put_i16(w, call->error);
	/* A real broker names the offset with some errors too. */
	sl_put_i64(w, call->base_offset);
	sl_put_i64(w, call->append_time_ms);
	if (version >= 5)
		sl_put_i64(w, call->start_offset);
	if (version >= 8) {
		sl_put_array(w, flexible, 0);
		sl_put_string(w, flexible, SL_SLICE_NULL);
	}
	if (version >= 10 && call->topic && call->error == SL_KAFKA_NOT_LEADER_OR_FOLLOWER &&
	    (uint32_t)call->partition < call->topic->part_count)
		hint_put(w, call, broker);
	else
		sl_put_tags(w, flexible);
}

void produce_answer(struct sim *sim, uint32_t broker, struct broker_conn *conn)
{
	bool flexible = conn->version >= 9;
	uint8_t *frame;
	struct sl_wbuf w = conn_answer_begin(sim, conn, &frame, 128 + conn->call_count * 256);

	/* One topic entry a partition: legal, and another grouping than the request's. */
	sl_put_array(&w, flexible, (int32_t)conn->call_count);
	for (uint32_t i = 0; i < conn->call_count; i++) {
		const struct call *call = &conn->calls[i];

		if (conn->version >= 13)
			sl_put_uuid(&w, &call->id);
		else
			sl_put_string(&w, flexible, sl_slice_of(call->name));
		sl_put_array(&w, flexible, 1);
		call_put(&w, call, conn->version, broker);
		sl_put_tags(&w, flexible);
	}
	sl_put_i32(&w, (int32_t)conn->throttle_ms);
	sl_put_tags(&w, flexible);
	conn_answer_end(sim, conn, &w, frame);
}
