/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/worker/worker.h"

#include <stdlib.h>

#include "dataplane/worker/internal.h"

enum { PARKED_LOOK_NS = 2 * 1000 * 1000 }; /* an application that reads reports again is noticed within */

static uint32_t scratch_bytes(const struct sl_worker_options *o)
{
	uint32_t produce = SL_PRODUCE_HEAD_BYTES_MAX + (uint32_t)sizeof(o->client_id) +
			   REQUEST_BATCHES_MAX * (SL_PRODUCE_TOPIC_BYTES_MAX + SL_TOPIC_NAME_BYTES +
						  SL_PRODUCE_PARTITION_BYTES_MAX);

	return (produce + 63) & ~63u;
}

/* Requests that can be out at once: what the connections may have in flight, within reason. */
static uint32_t request_count(const struct sl_worker_options *o)
{
	uint32_t all = o->brokers_max * SL_CONN_CLASS_COUNT * o->in_flight_max;

	return all < REQUESTS_MAX ? all : REQUESTS_MAX;
}

static uint32_t outbox_bound(const struct sl_worker_options *o)
{
	return 8 * o->brokers_max * SL_CONN_CLASS_COUNT + 4 * o->partitions_max + 4 * o->segments_max + o->rings_max +
	       4 * INBOX_MESSAGES;
}

uint64_t sl_worker_memory_bytes(const struct sl_worker_options *o)
{
	uint64_t conns = (uint64_t)o->brokers_max * SL_CONN_CLASS_COUNT;

	return sizeof(struct sl_worker) + o->rings_max * (sizeof(struct ring) + 12) +
	       o->segments_max * sizeof(struct segment) + o->topics_max * sizeof(struct topic) +
	       o->partitions_max * (sizeof(struct partition) + 24 + 9) +
	       conns * sizeof(struct conn) + (uint64_t)FRAMES_MAX * FRAME_BYTES + o->brokers_max * sizeof(struct broker) +
	       request_count(o) * (sizeof(struct request) + scratch_bytes(o)) +
	       (INBOX_MESSAGES + OUTBOX_MESSAGES + outbox_bound(o)) * sizeof(struct sl_msg) +
	       sl_ledger_memory_bytes(o) + (SL_FLIGHT_EVENTS + SL_FLIGHT_UNKNOWNS) * sizeof(struct sl_flight_slot);
}

static void conns_init(struct sl_worker *w)
{
	uint32_t i;

	for (i = 0; i < FRAMES_MAX; i++)
		w->frame_stack[w->frames_free++] = i;
	for (i = 0; i < w->options.brokers_max * SL_CONN_CLASS_COUNT; i++) {
		struct conn *c = &w->conns[i];

		c->state = CONN_IDLE;
		c->broker = i / SL_CONN_CLASS_COUNT;
		c->class = i % SL_CONN_CLASS_COUNT;
		c->ready_head = NONE;
		c->ready_tail = NONE;
		c->frame = NONE;
	}
}

static void requests_init(struct sl_worker *w)
{
	uint32_t count = request_count(&w->options);
	uint32_t i;

	w->request_free = NONE;
	for (i = count; i-- > 0;) {
		w->requests[i].kind = REQUEST_FREE;
		w->requests[i].scratch = w->scratch + (size_t)i * w->scratch_bytes;
		w->requests[i].next_free = w->request_free;
		w->request_free = i;
	}
}

struct sl_topic_tables *sl_topic_tables_create(uint32_t partition_count)
{
	struct sl_topic_tables *tables = calloc(1, sizeof(*tables));

	if (!tables)
		return NULL;
	tables->count = partition_count;
	tables->partitions = calloc(partition_count, sizeof(*tables->partitions));
	tables->queue = calloc(partition_count, sizeof(*tables->queue));
	tables->available = calloc(partition_count, sizeof(*tables->available));
	if (tables->partitions && tables->queue && tables->available)
		return tables;
	sl_topic_tables_free(tables);
	return NULL;
}

void sl_topic_tables_free(struct sl_topic_tables *tables)
{
	if (!tables)
		return;
	free(tables->partitions);
	free(tables->queue);
	free(tables->available);
	free(tables);
}

static int tables_alloc(struct sl_worker *w)
{
	const struct sl_worker_options *o = &w->options;
	uint32_t conns = o->brokers_max * SL_CONN_CLASS_COUNT;

	w->scratch_bytes = scratch_bytes(o);
	w->backlog_max = outbox_bound(o);
	w->rings = calloc(o->rings_max, sizeof(*w->rings));
	w->touched = calloc(o->rings_max, sizeof(*w->touched));
	w->ring_of_slot = calloc(w->arena->ring_count, sizeof(*w->ring_of_slot));
	w->segments = calloc(o->segments_max, sizeof(*w->segments));
	w->topics = calloc(o->topics_max, sizeof(*w->topics));
	w->partitions = calloc(o->partitions_max, sizeof(*w->partitions));
	w->active = calloc(o->partitions_max, sizeof(*w->active));
	w->extras = calloc(w->arena->batch_count, sizeof(*w->extras));
	w->conns = calloc(conns, sizeof(*w->conns));
	w->brokers = calloc(o->brokers_max, sizeof(*w->brokers));
	w->requests = calloc(request_count(o), sizeof(*w->requests));
	w->scratch = calloc(request_count(o), w->scratch_bytes);
	w->frames = calloc(FRAMES_MAX, FRAME_BYTES);
	w->backlog = calloc(w->backlog_max, sizeof(*w->backlog));
	if (!w->rings || !w->touched || !w->ring_of_slot || !w->segments || !w->topics || !w->partitions ||
	    !w->active || !w->extras || !w->conns || !w->brokers || !w->requests || !w->scratch || !w->frames ||
	    !w->backlog || sl_ledger_init(w) < 0 || sl_flights_init(w) < 0 || sl_heap_init(&w->linger, o->partitions_max) < 0 ||
	    sl_msg_ring_init(&w->inbox, INBOX_MESSAGES) < 0 || sl_msg_ring_init(&w->outbox, OUTBOX_MESSAGES) < 0)
		return -ENOMEM;
	return 0;
}

static int options_check(const struct sl_worker_options *o, const struct sl_arena *arena, struct sl_error *err)
{
	if (o->rings_max == 0 || o->rings_max > SL_RUN_RING_TOMB || o->rings_max > arena->ring_count)
		return sl_error_set(err, -EINVAL, "%u rings, the arena has room for %u", o->rings_max,
				    arena->ring_count);
	if (o->partitions_max > arena->partition_count || o->topics_max > arena->topic_count ||
	    o->segments_max > arena->segment_count)
		return sl_error_set(err, -EINVAL, "more partitions, topics or segments than the arena has room for");
	if (o->in_flight_max == 0 || o->in_flight_max > SENT_MAX || o->brokers_max == 0)
		return sl_error_set(err, -EINVAL, "%u requests in flight, %u brokers", o->in_flight_max, o->brokers_max);
	return 0;
}

int sl_worker_create(const struct sl_worker_options *options, struct sl_arena *arena, struct sl_worker **out,
		     struct sl_error *err)
{
	struct sl_worker *w;
	int rc = options_check(options, arena, err);

	if (rc < 0)
		return rc;
	w = calloc(1, sizeof(*w));
	if (!w)
		return sl_error_set(err, -ENOMEM, "worker %u: no memory", options->index);
	w->options = *options;
	w->arena = arena;
	rc = tables_alloc(w);
	if (rc == 0)
		rc = sl_splitter_create(&w->splitter, arena, err);
	if (rc < 0) {
		sl_worker_destroy(w);
		return sl_error_set(err, rc, "worker %u: no memory for its tables", options->index);
	}
	conns_init(w);
	requests_init(w);
	w->compressing = NONE;
	w->compress_head = NONE;
	w->resolved_head = NONE;
	w->resolved_tail = NONE;
	w->stats.arena_chunks = arena->chunk_count;
	rc = sl_resume_begin(w);
	if (rc < 0) {
		sl_worker_destroy(w);
		return sl_error_set(err, rc, "worker %u: its arena holds more partitions than partitions.max",
				    options->index);
	}
	*out = w;
	return 0;
}

void sl_worker_destroy(struct sl_worker *w)
{
	uint32_t i;

	if (!w)
		return;
	for (i = 0; w->topics && i < w->options.topics_max; i++)
		sl_topic_tables_free(w->topics[i].tables);
	sl_splitter_destroy(w->splitter);
	sl_msg_ring_fini(&w->inbox);
	sl_msg_ring_fini(&w->outbox);
	sl_heap_fini(&w->linger);
	sl_ledger_fini(w);
	sl_flights_fini(w);
	free(w->rings);
	free(w->touched);
	free(w->ring_of_slot);
	free(w->segments);
	free(w->topics);
	free(w->partitions);
	free(w->active);
	free(w->extras);
	free(w->conns);
	free(w->brokers);
	free(w->requests);
	free(w->scratch);
	free(w->frames);
	free(w->backlog);
	free(w);
}

struct sl_msg_ring *sl_worker_inbox(struct sl_worker *w)
{
	return &w->inbox;
}

struct sl_msg_ring *sl_worker_outbox(struct sl_worker *w)
{
	return &w->outbox;
}

const struct sl_worker_stats *sl_worker_stats(const struct sl_worker *w)
{
	return &w->stats;
}

const struct sl_topic_stats *sl_worker_topic_stats(const struct sl_worker *w, uint32_t topic)
{
	return &w->topics[topic].stats;
}

static uint32_t timers(struct sl_worker *w)
{
	uint32_t fired = 0;
	int32_t due;

	while ((due = sl_heap_pop_due(&w->linger, w->now_ns)) >= 0) {
		struct partition *p = &w->partitions[due];

		p->leave = true;
		sl_partition_update(w, p);
		fired++;
	}
	if (w->scan_at_ns <= w->now_ns) {
		w->scan_at_ns = w->now_ns + SCAN_NS;
		sl_partitions_scan(w);
		sl_conns_scan(w);
		sl_limits_scan(w);
	}
	return fired;
}

static bool through(const struct sl_worker *w)
{
	return w->stop_at_once ||
	       (sl_rings_drained(w) && atomic_load_explicit(&w->stats.queued, memory_order_relaxed) == 0 &&
		(w->resolved_head == NONE || w->parked_count > 0));
}

static void stop_check(struct sl_worker *w)
{
	struct sl_msg msg = {.kind = SL_MSG_STOPPED};

	if (!w->stopping || w->stopped || !through(w))
		return;
	msg.a = atomic_load_explicit(&w->stats.queued, memory_order_relaxed) != 0 || !sl_rings_drained(w);
	w->stopped = true;
	sl_flight_note(w, &(struct sl_flight_event){.kind = SL_FLIGHT_STOPPED,
						    .d = atomic_load_explicit(&w->stats.queued, memory_order_relaxed)});
	sl_worker_tell(w, &msg);
}

/* The first turn learns the clocks; every one moves the arena's up-clock, on which deadlines run. */
static void clock_tick(struct sl_worker *w)
{
	w->now_ns = w->env->now_ns(w->env->ctx);
	if (w->up_boot_ns == 0) {
		w->up_boot_ns = w->now_ns;
		w->up_base_ns = atomic_load_explicit(&w->arena->header->up_ns, memory_order_relaxed);
		/* Not where an earlier agent's count stood when an application last rang for it. */
		w->sleep_number = (uint32_t)w->env->random(w->env->ctx);
	}
	atomic_store_explicit(&w->arena->header->up_ns, sl_up_ns(w), memory_order_relaxed);
}

uint32_t sl_worker_turn(struct sl_worker *w, const struct sl_env *env)
{
	uint32_t work = 0;

	w->env = env;
	clock_tick(w);
	work += sl_worker_outbox_flush(w);
	work += sl_worker_messages(w);
	if (w->stopped)
		return work;
	work += sl_conns_events(w);
	work += timers(w);
	work += sl_reports_turn(w);
	work += sl_consume(w);
	work += sl_compress_turn(w);
	work += sl_requests_send(w);
	work += sl_carries_turn(w);
	sl_rings_wake(w);
	sl_segments_check_gone(w);
	stop_check(w);
	STAT_ADD(w->stats.turns, 1);
	if (work == 0)
		STAT_ADD(w->stats.turns_idle, 1);
	atomic_store_explicit(&w->stats.arena_chunks_free, sl_arena_chunks_free(w->arena), memory_order_relaxed);
	sl_ledger_turn(w);
	return work;
}

uint64_t sl_worker_next_deadline_ns(const struct sl_worker *w, const struct sl_env *env)
{
	uint64_t deadline = sl_heap_deadline_ns(&w->linger);
	uint64_t others[] = {
		sl_requests_deadline_ns(w),
		env->transport->ops->next_deadline_ns(env->transport),
		w->parked_count > 0 ? w->now_ns + PARKED_LOOK_NS : SL_DEADLINE_NONE,
		/* Deadlines of batches and connections are looked at by a scan, only while there are any. */
		w->active_count > 0 || w->carry_count > 0 || sl_conns_pending(w) ? w->scan_at_ns : SL_DEADLINE_NONE,
	};
	uint32_t i;

	for (i = 0; i < SL_ARRAY_COUNT(others); i++)
		deadline = others[i] < deadline ? others[i] : deadline;
	return deadline;
}

static void sleeping_store(struct sl_worker *w, uint32_t sleeping)
{
	uint32_t i;

	for (i = 0; i < w->ring_count; i++)
		if (w->rings[i].open)
			atomic_store_explicit(&w->rings[i].page->sleeping, sleeping, memory_order_relaxed);
}

/* Each sleep has a number of its own, so that an application rings once a sleep and not once a record. */
void sl_worker_sleep_prepare(struct sl_worker *w)
{
	w->sleep_number = w->sleep_number + 1 ? w->sleep_number + 1 : 1;
	sleeping_store(w, w->sleep_number);
	STAT_ADD(w->stats.sleeps, 1);
}

bool sl_worker_sleep_recheck(const struct sl_worker *w)
{
	uint32_t i;

	if (!sl_msg_ring_empty(&w->inbox))
		return true;
	for (i = 0; i < w->ring_count; i++) {
		const struct ring *ring = &w->rings[i];

		if (sl_ring_may_consume(ring) && !ring->draining &&
		    atomic_load_explicit(&ring->app->committed_pos, memory_order_acquire) != ring->reader.read_pos)
			return true;
		if (ring->open && ring->parked &&
		    atomic_load_explicit(&ring->app->report_read_pos, memory_order_acquire) != ring->report_read_pos)
			return true;
	}
	return false;
}

void sl_worker_sleep_wake(struct sl_worker *w)
{
	sleeping_store(w, 0);
}

bool sl_worker_stopped(const struct sl_worker *w)
{
	return w->stopped;
}
