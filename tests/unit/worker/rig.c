/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/worker/rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/base/clock.h"
#include "dataplane/batch/partitioner.h"
#include "dataplane/worker/ledger.h"
#include "tests/unit/worker/guard.h"
#include "tests/unit/worker/rig_broker.h"

static uint64_t rig_now(void *ctx)
{
	return ((struct rig *)ctx)->now_ns;
}

static uint64_t rig_realtime(void *ctx)
{
	return UINT64_C(1700000000000) + ((struct rig *)ctx)->now_ns / SL_NS_PER_MS;
}

static uint64_t rig_random(void *ctx)
{
	return sl_random_next(&((struct rig *)ctx)->random);
}

struct sl_topic_settings rig_settings(void)
{
	return (struct sl_topic_settings){
		.acks = SL_ACKS_ALL,
		.idempotent = true,
		.partitioner = SL_PARTITIONER_MURMUR2_RANDOM,
		.adaptive = true,
		.linger_ns = 5 * SL_NS_PER_MS,
		.delivery_timeout_ns = 120 * SL_NS_PER_S,
		.batch_bytes = 16 * 1024,
		.request_bytes_max = 1024 * 1024,
	};
}

static void arena_small(struct sl_arena_options *arena)
{
	arena->chunk_bytes = 4096;
	arena->bytes = 1 << 20;
	arena->partitions_max = 8;
	arena->topics_max = 2;
	arena->segments_max = 1;
	arena->rings_max = 1;
	arena->batch_bytes_max = 4096;
	arena->batch_records_max = 100;
}

static void worker_small(struct sl_worker_options *worker, struct sl_sim_options *sim)
{
	worker->partitions_max = 8;
	worker->topics_max = 2;
	worker->segments_max = 1;
	worker->rings_max = 1;
	worker->brokers_max = RIG_BROKERS;
	worker->request_bytes_max = 16 * 1024;
	worker->record_bytes_max = 1024;
	worker->request_timeout_ns = 2 * SL_NS_PER_S;
	worker->connect_timeout_ns = SL_NS_PER_S;
	sim->conns_max = 8;
	sim->recv_buffer_bytes = 512;
	sim->recv_buffer_count = 16;
	sim->wire_bytes = 8 * 1024;
}

/* What the test keeps of what it sees. */
static void books_make(struct rig *rig)
{
	uint32_t i;

	rig->records_max = rig->small ? 256 : RIG_RECORDS_MAX;
	rig->outcomes_max = rig->small ? 256 : RIG_OUTCOMES_MAX;
	rig->frame_bytes_max = rig->small ? 32 * 1024 : 4 << 20;
	rig->outcomes = calloc(rig->outcomes_max, sizeof(*rig->outcomes));
	for (i = 0; i < RIG_PARTITIONS; i++)
		rig->logs[i].records = calloc(rig->records_max, sizeof(*rig->logs[i].records));
}

static void worker_create(struct rig *rig)
{
	struct sl_worker_options worker = {
		.rings_max = 16,
		.segments_max = 8,
		.topics_max = 8,
		.partitions_max = 64,
		.brokers_max = 8,
		.in_flight_max = 5,
		.request_bytes_max = 1024 * 1024,
		.record_bytes_max = 1024 * 1024,
		.request_timeout_ns = 30 * SL_NS_PER_S,
		.connect_timeout_ns = 10 * SL_NS_PER_S,
		.orphan_ttl_ns = RIG_ORPHAN_MS * SL_NS_PER_MS,
		.resume_strict = rig->resume_strict,
		.client_id = "rig",
	};
	struct sl_sim_options sim = {
		.now_ns = &rig->now_ns,
		.conns_max = 64,
		.sends_max = 16,
		.recv_buffer_bytes = 4096,
		.recv_buffer_count = 64,
		.wire_bytes = 4 << 20,
	};
	struct sl_error err;

	if (rig->small)
		worker_small(&worker, &sim);
	assert_int_equal(sl_worker_create(&worker, rig->arena, &rig->worker, &err), 0);
	assert_int_equal(sl_sim_create(&sim, &rig->transport, &err), 0);
	rig->env = (struct sl_env){rig_now, rig_realtime, rig_random, rig->transport, rig};
}

static void worker_make(struct rig *rig, const struct rig_options *o)
{
	struct sl_error err;

	rig->arena_options = (struct sl_arena_options){
		.chunk_bytes = 16 * 1024,
		.bytes = o->arena_bytes ? o->arena_bytes : 16 << 20,
		.partitions_max = 64,
		.topics_max = 8,
		.segments_max = 8,
		.rings_max = 16,
		.batch_bytes_max = 1024 * 1024,
		.batch_records_max = 100000,
		.brokers_max = 8,
		.broker_percent = o->broker_percent,
		.topic_percent = o->topic_percent,
	};
	if (rig->small)
		arena_small(&rig->arena_options);
	assert_int_equal(sl_arena_create_memory(&rig->arena, &rig->arena_options, &err), 0);
	worker_create(rig);
}

static void segment_make(struct rig *rig, const struct rig_options *o)
{
	struct sl_worker_segment *s = &rig->segment;
	uint64_t bytes;

	s->ring_bytes = o->ring_bytes ? o->ring_bytes : 1 << 20;
	s->ring_count = 1;
	s->report_slots = o->report_slots ? o->report_slots : 16384;
	s->record_bytes_max = 128 * 1024;
	s->report_mode[0] = (uint8_t)(o->report_mode ? o->report_mode : SL_REPORT_ALL);
	s->mine[0] = true;
	s->bell_fd = -1;
	bytes = sl_data_bytes(1, s->ring_bytes);
	rig->data = aligned_alloc(4096, bytes);
	memset(rig->data, 0, bytes);
	bytes = sl_status_bytes(1, s->report_slots);
	rig->status = aligned_alloc(4096, bytes);
	memset(rig->status, 0, bytes);
	s->data = rig->data;
	s->status = rig->status;
	rig_tell(rig, &(struct sl_msg){.kind = SL_MSG_SEGMENT_ADD, .object = s});
}

void rig_tell(struct rig *rig, const struct sl_msg *msg)
{
	assert_true(sl_msg_ring_push(sl_worker_inbox(rig->worker), msg));
}

static void brokers_make(struct rig *rig)
{
	uint32_t i;

	for (i = 0; i < RIG_BROKERS; i++) {
		struct sl_worker_broker *b = calloc(1, sizeof(*b));

		b->address = rig_address(i);
		b->node = (int32_t)i + 1;
		assert_int_equal(sl_sim_reach_set(rig->transport, &b->address, SL_SIM_LISTENING), 0);
		rig_tell(rig, &(struct sl_msg){.kind = SL_MSG_BROKER_SET, .a = i, .object = b});
	}
}

static void topics_tell(struct rig *rig)
{
	uint32_t i;

	for (i = 0; i < 2; i++)
		rig_tell(rig, &(struct sl_msg){.kind = SL_MSG_TOPIC_ADD, .a = i, .object = &rig->topic[i]});
}

static uint32_t control_turn(struct rig *rig);

struct rig *rig_create(const struct rig_options *o)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	uint32_t i;

	rig->now_ns = SL_NS_PER_S;
	rig->random = 42;
	rig->produce_version_max = o->produce_version_max ? o->produce_version_max : 13;
	rig->small = o->small;
	rig->resume_strict = o->resume_strict;
	books_make(rig);
	worker_make(rig, o);
	for (i = 0; i < RIG_PARTITIONS; i++) {
		rig->leader[i] = (int32_t)(i % RIG_BROKERS);
		rig->logs[i].producer_id = -1;
	}
	brokers_make(rig);
	for (i = 0; i < 2; i++) {
		strcpy(rig->topic[i].name, i == 0 ? "events" : "other");
		rig->topic[i].settings = o->settings_given ? o->settings : rig_settings();
	}
	topics_tell(rig);
	rig->partitions = o->partitions ? o->partitions : 3;
	rig->acks = rig->topic[0].settings.acks;
	segment_make(rig, o);
	for (i = 0; i < 2; i++)
		rig_tell(rig, &(struct sl_msg){.kind = SL_MSG_TOPIC_BIND, .a = 0, .b = i, .c = i});
	if (!o->no_metadata)
		rig_routes(rig, 0, 0, rig->partitions, 0);
	rig_settle(rig);
	return rig;
}

static void inbox_free(struct rig *rig)
{
	struct sl_msg msg;

	while (sl_msg_ring_pop(sl_worker_inbox(rig->worker), &msg)) {
		if (msg.kind == SL_MSG_TOPIC_ROUTES)
			sl_topic_tables_free(((struct sl_topic_routes *)msg.object)->tables);
		if (msg.kind != SL_MSG_TOPIC_ADD && msg.kind != SL_MSG_SEGMENT_ADD)
			free(msg.object);
	}
}

void rig_die(struct rig *rig)
{
	uint32_t i;

	if (rig->worker) {
		inbox_free(rig);
		control_turn(rig);
		inbox_free(rig);
		rig->transport->ops->destroy(rig->transport);
		sl_worker_destroy(rig->worker);
	}
	rig->worker = NULL;
	if (rig->arena) {
		rig->base = rig->arena->base;
		free(rig->arena);
	}
	rig->arena = NULL;
	for (i = 0; i < SL_ARRAY_COUNT(rig->peers); i++) {
		free(rig->peers[i].frame);
		rig->peers[i] = (struct rig_peer){0};
	}
	rig->retry_count = 0;
}

void rig_load(struct rig *rig)
{
	struct sl_error err;

	if (sl_arena_load_memory(&rig->arena, &rig->arena_options, rig->base,
				 sl_arena_file_bytes(&rig->arena_options), &rig->loaded, &err) < 0)
		fail_msg("load: %s", err.text);
}

void rig_attach(struct rig *rig)
{
	uint32_t i;

	rig->segment.known = true;
	rig_tell(rig, &(struct sl_msg){.kind = SL_MSG_SEGMENT_ADD, .object = &rig->segment});
	for (i = 0; i < 2; i++)
		rig_tell(rig, &(struct sl_msg){.kind = SL_MSG_TOPIC_BIND, .a = 0, .b = i, .c = i});
}

void rig_resume(struct rig *rig, bool attach)
{
	rig->reborn = true;
	worker_create(rig);
	topics_tell(rig);
	brokers_make(rig);
	if (attach)
		rig_attach(rig);
	rig_routes(rig, 0, 0, rig->partitions, 0);
}

void rig_routes(struct rig *rig, uint32_t topic, int16_t error, uint32_t partitions, int32_t epoch)
{
	struct sl_topic_routes *routes = calloc(1, sizeof(*routes) + partitions * sizeof(routes->partitions[0]));
	uint32_t i;

	routes->error = error;
	routes->partition_count = partitions;
	routes->tables = sl_topic_tables_create(partitions);
	if (rig->topic_ids)
		memset(routes->topic_id, 7, sizeof(routes->topic_id));
	for (i = 0; i < partitions; i++) {
		routes->partitions[i].broker = rig->leader[i];
		routes->partitions[i].leader_epoch = epoch;
	}
	rig_tell(rig, &(struct sl_msg){.kind = SL_MSG_TOPIC_ROUTES, .a = topic, .object = routes});
}

void rig_fault(struct rig *rig, enum rig_fault_kind kind, int32_t partition, int16_t error, uint32_t count)
{
	assert_true(rig->fault_count < RIG_FAULTS_MAX);
	rig->faults[rig->fault_count++] = (struct rig_fault){kind, partition, error, count};
}

/* ---- the application ---- */

static struct sl_app_page *app_page(struct rig *rig)
{
	return (void *)(rig->data + sl_data_page_offset(0));
}

static struct sl_agent_page *agent_page(struct rig *rig)
{
	return (void *)(rig->status + sl_status_page_offset(0));
}

/* Room for span bytes in one piece, behind a pad where the ring's end is nearer. NULL: full. */
static uint8_t *ring_room(struct rig *rig, uint64_t span)
{
	uint64_t ring_bytes = rig->segment.ring_bytes;
	uint64_t offset = rig->write_pos & (ring_bytes - 1);
	uint64_t pad = offset + span > ring_bytes ? ring_bytes - offset : 0;
	uint8_t *ring = rig->data + sl_data_ring_offset(1, ring_bytes, 0);

	if (rig->write_pos + pad + span - atomic_load(&agent_page(rig)->consumed_pos) > ring_bytes)
		return NULL;
	if (pad > 0) {
		uint64_t word = pad | (uint64_t)SL_RECORD_PAD << 32;

		memcpy(ring + offset, &word, sizeof(word));
		rig->write_pos += pad;
		offset = 0;
	}
	return ring + offset;
}

bool rig_send_raw(struct rig *rig, uint16_t topic_slot, int32_t partition, const void *tail, uint32_t tail_bytes)
{
	struct sl_record_header header = {
		.length = SL_RECORD_HEADER_BYTES + tail_bytes,
		.type = SL_RECORD_DATA,
		.topic_slot = topic_slot,
		.seq_lo = (uint32_t)rig->seq,
		.partition = partition,
		.timestamp_ms = (int64_t)rig_realtime(rig),
	};
	uint8_t *at = ring_room(rig, sl_record_span(header.length));

	if (!at)
		return false;
	memcpy(at, &header, sizeof(header));
	memcpy(at + sizeof(header), tail, tail_bytes);
	rig->write_pos += sl_record_span(header.length);
	rig->seq++;
	atomic_store_explicit(&app_page(rig)->committed_pos, rig->write_pos, memory_order_release);
	return true;
}

void rig_flush_record(struct rig *rig)
{
	struct sl_record_header header = {.length = SL_RECORD_HEADER_BYTES, .type = SL_RECORD_FLUSH};
	uint8_t *at = ring_room(rig, SL_RECORD_HEADER_BYTES);

	assert_non_null(at);
	memcpy(at, &header, sizeof(header));
	rig->write_pos += SL_RECORD_HEADER_BYTES;
	atomic_store_explicit(&app_page(rig)->committed_pos, rig->write_pos, memory_order_release);
}

bool rig_send(struct rig *rig, const char *key, int32_t partition, uint32_t value_bytes)
{
	static uint8_t tail[256 * 1024];
	uint8_t *p = tail;

	assert_true(value_bytes >= 8 && value_bytes < sizeof(tail) - 64);
	p = sl_varint32_put(p, key ? (int32_t)strlen(key) : -1);
	if (key) {
		memcpy(p, key, strlen(key));
		p += strlen(key);
	}
	p = sl_varint32_put(p, (int32_t)value_bytes);
	memset(p, 'v', value_bytes);
	memcpy(p, &rig->seq, sizeof(rig->seq));
	p += value_bytes;
	*p++ = 0;
	return rig_send_raw(rig, 0, partition, tail, (uint32_t)(p - tail));
}

static void outcome_set(struct rig *rig, uint64_t seq, const struct sl_report *r, uint32_t i)
{
	struct rig_outcome *o = &rig->outcomes[seq];

	assert_true(seq < rig->outcomes_max && seq < rig->seq);
	assert_false(o->told); /* each report once */
	*o = (struct rig_outcome){true, r->outcome, r->error, r->partition, r->base_offset < 0 ? -1 : r->base_offset + i};
	rig->outcome_count++;
}

void rig_reports_read(struct rig *rig)
{
	const struct sl_report *reports =
		(void *)(rig->status + sl_status_reports_offset(1, rig->segment.report_slots, 0));
	uint64_t end = atomic_load_explicit(&agent_page(rig)->report_write_pos, memory_order_acquire);

	assert_true(end - rig->report_pos <= rig->segment.report_slots);
	for (; rig->report_pos != end; rig->report_pos++) {
		const struct sl_report *r = &reports[rig->report_pos & (rig->segment.report_slots - 1)];
		uint32_t i;

		assert_int_equal(r->kind, SL_REPORT_KIND_RECORDS);
		for (i = 0; i < r->count; i++)
			outcome_set(rig, r->first_seq + i, r, i);
	}
	atomic_store_explicit(&app_page(rig)->report_read_pos, end, memory_order_release);
}

/* ---- the control thread ---- */

static void trouble(struct rig *rig, const struct sl_msg *msg)
{
	rig->troubles++;
	rig->last_trouble_error = (uint16_t)msg->c;
	assert_true(rig->retry_count < RIG_PARTITIONS * 8);
	rig->retries[rig->retry_count++] =
		(struct sl_msg){.kind = SL_MSG_PARTITION_RETRY, .a = msg->a, .b = (uint32_t)msg->b};
}

static void doubt(struct rig *rig, const struct sl_msg *msg)
{
	const struct rig_log *log = &rig->logs[(uint32_t)msg->b];
	enum sl_seen seen = rig->seen_given ? rig->seen
			    : log->producer_id == (int64_t)msg->c && log->batches > 0 ? SL_SEEN_AT
										      : SL_SEEN_NONE;

	rig->doubts++;
	rig->doubt_epoch = (int32_t)(uint32_t)(msg->b >> 32);
	assert_true(rig->retry_count < RIG_PARTITIONS * 8);
	rig->retries[rig->retry_count++] = (struct sl_msg){
		.kind = SL_MSG_PARTITION_SEEN,
		.a = msg->a,
		.b = (uint32_t)msg->b | (uint64_t)seen << 32,
		.c = (uint16_t)log->epoch | (uint64_t)(uint32_t)log->last_seq << 32,
	};
}

static void told(struct rig *rig, const struct sl_msg *msg)
{
	switch (msg->kind) {
	case SL_MSG_RELEASE:
		if (msg->a == SL_MSG_TOPIC_ROUTES)
			sl_topic_tables_free(((struct sl_topic_routes *)msg->object)->tables);
		free(msg->object);
		break;
	case SL_MSG_PRODUCER_ID_WANTED:
		rig_tell(rig, &(struct sl_msg){.kind = SL_MSG_PRODUCER_ID, .b = 4242});
		break;
	case SL_MSG_CONN_DOWN:
		rig->conn_downs++;
		rig_tell(rig, &(struct sl_msg){.kind = SL_MSG_CONN_RELEASE, .a = msg->a, .b = msg->b});
		break;
	case SL_MSG_PARTITION_TROUBLE:
		trouble(rig, msg);
		break;
	case SL_MSG_PARTITION_DOUBT:
		doubt(rig, msg);
		break;
	case SL_MSG_RING_POISONED:
		rig->poisoned = (uint32_t)msg->c;
		break;
	case SL_MSG_STOPPED:
		rig->stopped = 1 + msg->a;
		break;
	case SL_MSG_SEGMENT_GONE:
		rig->gone++;
		break;
	}
}

static uint32_t control_turn(struct rig *rig)
{
	struct sl_msg msg;
	uint32_t n = 0;

	while (sl_msg_ring_pop(sl_worker_outbox(rig->worker), &msg)) {
		told(rig, &msg);
		n++;
	}
	return n;
}

static void counts_same(const struct sl_counts *a, const struct sl_counts *b)
{
	assert_int_equal(a->persisted, b->persisted);
	assert_int_equal(a->failed, b->failed);
	assert_int_equal(a->unknown, b->unknown);
	assert_int_equal(a->queued, b->queued);
}

/* The parts make the whole, by partition, by broker and by ring. */
static void parts_check(struct rig *rig)
{
	const struct sl_worker_cut *cut = sl_worker_cut(rig->worker);
	struct sl_counts partitions = {0}, brokers = {0}, rings = {0};
	uint32_t i;

	sl_worker_cut_make(rig->worker);
	sl_counts_add(&partitions, &cut->unplaced);
	for (i = 0; i < cut->partition_count; i++)
		sl_counts_add(&partitions, &cut->partitions[i].counts);
	for (i = 0; i < SL_ARRAY_COUNT(rig->topic); i++)
		partitions.failed += cut->rejected[i];
	counts_same(&partitions, &cut->total);
	for (i = 0; i <= cut->broker_count; i++)
		sl_counts_add(&brokers, &cut->brokers[i]);
	counts_same(&brokers, &cut->total);
	sl_counts_add(&rings, &cut->not_told);
	for (i = 0; i < cut->ring_count; i++)
		sl_counts_add(&rings, &cut->rings[i].counts);
	rings.queued -= sl_counts_in(&cut->not_told);
	if (cut->ring_count > 0 && !rig->reborn && rig->gone == 0)
		counts_same(&rings, &cut->total);
	assert_true(rings.persisted <= cut->total.persisted && rings.failed <= cut->total.failed &&
		    rings.unknown <= cut->total.unknown);
}

static void law_check(struct rig *rig)
{
	const struct sl_worker_stats *s = sl_worker_stats(rig->worker);

	assert_true(atomic_load(&s->consumed) == atomic_load(&s->persisted) + atomic_load(&s->failed) +
							atomic_load(&s->unknown) + atomic_load(&s->queued));
	parts_check(rig);
}

void rig_settle(struct rig *rig)
{
	uint32_t idle = 0, turns = 0;

	while (idle < 3) {
		uint32_t work;

		guard_begin();
		work = sl_worker_turn(rig->worker, &rig->env);
		guard_end();
		law_check(rig);
		work += control_turn(rig);
		work += rig_broker_turn(rig);
		idle = work == 0 ? idle + 1 : 0;
		assert_true(++turns < 1000000);
	}
}

void rig_run(struct rig *rig, uint64_t ms)
{
	uint64_t i;

	for (i = 0; i < ms; i++) {
		rig->now_ns += SL_NS_PER_MS;
		while (rig->retry_count > 0 && !rig->retry_held)
			rig_tell(rig, &rig->retries[--rig->retry_count]);
		rig_settle(rig);
	}
}

void rig_check_told(struct rig *rig, uint64_t count[4])
{
	struct sl_error err = {0};
	uint64_t seq;

	rig_reports_read(rig);
	for (seq = 0; seq < rig->seq; seq++) {
		if (!rig->outcomes[seq].told)
			fail_msg("record %lu has no outcome", (unsigned long)seq);
		count[rig->outcomes[seq].outcome]++;
	}
	if (sl_arena_check(rig->arena, false, &err) < 0)
		fail_msg("arena: %s", err.text);
	assert_true(atomic_load(&agent_page(rig)->settled_count) == rig->seq);
}

void rig_check_all(struct rig *rig, uint64_t persisted, uint64_t failed, uint64_t unknown)
{
	uint64_t count[4] = {0}, seq;

	rig_check_told(rig, count);
	for (seq = 0; seq < rig->seq; seq++) {
		const struct rig_outcome *o = &rig->outcomes[seq];

		if (o->outcome == SL_OUTCOME_PERSISTED && rig->acks != 0)
			rig_log_check(rig, seq, o);
	}
	assert_int_equal(count[SL_OUTCOME_PERSISTED], persisted);
	assert_int_equal(count[SL_OUTCOME_FAILED], failed);
	assert_int_equal(count[SL_OUTCOME_UNKNOWN], unknown);
	rig_logs_in_order(rig);
}

void rig_destroy(struct rig *rig)
{
	uint32_t i;

	control_turn(rig);
	sl_worker_turn(rig->worker, &rig->env);
	control_turn(rig);
	rig->transport->ops->destroy(rig->transport);
	sl_worker_destroy(rig->worker);
	sl_arena_destroy(rig->arena, true);
	for (i = 0; i < 32; i++)
		free(rig->peers[i].frame);
	for (i = 0; i < RIG_PARTITIONS; i++)
		free(rig->logs[i].records);
	free(rig->outcomes);
	free(rig->data);
	free(rig->status);
	free(rig);
}
