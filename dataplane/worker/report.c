/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Outcomes on their way back. A resolved batch is reported run by run - an entry, the write position, then the run's tomb,
 * in this order, so that a kill between any two of them neither doubles nor drops a report - and freed when all its runs
 * are tombs. A ring whose slots are full parks its own runs; others of the batch are reported.
 */
#include "dataplane/worker/internal.h"

#include <sys/socket.h>

#include "dataplane/shm/wake.h"

enum { REPORT_BATCHES_A_TURN = 256 };

/* topic: NULL when it is not known. */
void sl_outcome_count(struct sl_worker *w, struct topic *topic, enum sl_outcome outcome, uint32_t records)
{
	switch (outcome) {
	case SL_OUTCOME_PERSISTED:
		STAT_ADD(w->stats.persisted, records);
		if (topic)
			STAT_ADD(topic->stats.persisted, records);
		break;
	case SL_OUTCOME_FAILED:
		STAT_ADD(w->stats.failed, records);
		if (topic)
			STAT_ADD(topic->stats.failed, records);
		break;
	case SL_OUTCOME_UNKNOWN:
		STAT_ADD(w->stats.unknown, records);
		if (topic)
			STAT_ADD(topic->stats.unknown, records);
		break;
	}
	STAT_ADD(w->stats.queued, (uint64_t)-(int64_t)records);
}

void sl_resolved_push(struct sl_worker *w, uint32_t batch)
{
	w->extras[batch].link = NONE;
	if (w->resolved_head == NONE)
		w->resolved_head = batch;
	else
		w->extras[w->resolved_tail].link = batch;
	w->resolved_tail = batch;
}

/* A batch that has left its partition's lists gets its outcome; its records are told at the end of the turn. */
void sl_batch_settle(struct sl_worker *w, uint32_t batch, enum sl_outcome outcome, int16_t error, int64_t base_offset)
{
	struct partition *p = sl_batch_partition(w, batch);

	sl_ledger_settled(w, batch, outcome, error);
	sl_batch_resolve(w->arena, batch, outcome, error, base_offset);
	if (p) {
		struct topic *topic = p->topic == NONE ? NULL : &w->topics[p->topic];

		sl_outcome_count(w, topic, outcome, sl_batch_records(w->arena, batch));
		/* Tables come with the first metadata, and not with every partition that was found at load. */
		if (topic && (uint32_t)p->index < topic->partition_count && topic->tables->queue[p->index] > 0)
			topic->tables->queue[p->index]--;
	}
	w->live_batches--;
	w->arena_freed = true; /* its share has room, even if its application does not read the report */
	sl_ledger_resolved(w, batch);
	sl_resolved_push(w, batch);
}

static bool room_for_report(struct sl_worker *w, struct ring *ring)
{
	enum sl_poison poison;
	uint32_t room;

	if (ring->report_write_pos - ring->report_read_pos < ring->report_slots)
		return true;
	poison = sl_report_room(ring->app, ring->report_write_pos, ring->report_slots, &ring->report_read_pos, &room);
	if (poison != SL_POISON_NONE) {
		/* It lies about what it has read: it gets no more reports, its records go on. */
		sl_ring_poison(w, ring, poison);
		ring->dead = true;
		return true;
	}
	return room > 0;
}

struct told { /* a batch's outcome, for its runs */
	enum sl_outcome outcome;
	int16_t error;
	int64_t base_offset;
	int32_t partition;
	uint32_t topic;
};

static uint16_t topic_slot_of(const struct sl_worker *w, const struct ring *ring, uint32_t topic)
{
	const struct segment *segment = &w->segments[ring->segment];
	uint16_t slot;

	for (slot = 0; slot < ring->reader.topic_slots; slot++)
		if (segment->topics[slot] == topic)
			return slot;
	return UINT16_MAX;
}

static void entry_write(struct sl_worker *w, struct ring *ring, const struct sl_batch_run *run, const struct told *told)
{
	struct sl_report *entry = &ring->reports[ring->report_write_pos & (ring->report_slots - 1)];

	entry->base_offset = told->base_offset < 0 ? -1 : told->base_offset + run->first_index;
	entry->partition = told->partition;
	entry->count = run->count;
	entry->error = told->error;
	entry->topic_slot = ring->last_topic == told->topic ? ring->last_topic_slot : topic_slot_of(w, ring, told->topic);
	ring->last_topic = told->topic;
	ring->last_topic_slot = entry->topic_slot;
	entry->outcome = (uint8_t)told->outcome;
	entry->kind = SL_REPORT_KIND_RECORDS;
	entry->zero = 0;
	entry->first_seq = run->first_seq; /* last: recovery knows an entry by it */
	ring->report_write_pos++;
	/* Pairs with the application's acquire: whoever sees the position sees the entry. */
	atomic_store_explicit(&ring->page->report_write_pos, ring->report_write_pos, memory_order_release);
}

static bool entry_wanted(const struct ring *ring, const struct told *told)
{
	if (ring->dead || ring->report_mode == SL_REPORT_NONE)
		return false;
	return ring->report_mode == SL_REPORT_ALL || told->outcome != SL_OUTCOME_PERSISTED;
}

static void ring_settled(struct sl_worker *w, struct ring *ring, enum sl_outcome outcome, uint32_t count)
{
	ring->settled += count;
	/* Stored at once: unlike the records settled, these cannot be derived by the next agent. */
	if (outcome == SL_OUTCOME_FAILED)
		atomic_store_explicit(&ring->page->failed_count, ring->failed += count, memory_order_relaxed);
	else if (outcome == SL_OUTCOME_UNKNOWN)
		atomic_store_explicit(&ring->page->unknown_count, ring->unknown += count, memory_order_relaxed);
	sl_ring_touch(w, ring);
}

enum reported { REPORTED_ALL, REPORTED_PARKED, REPORTED_MISSING };

/* A run of a ring that nobody reads: true when it is done with. */
static bool run_discard(struct sl_worker *w, struct sl_batch_run_iter *it, uint32_t ring)
{
	if (ring == RING_MISSING)
		return false; /* it may come back, and its runs are the evidence of where it stands */
	STAT_ADD(w->stats.reports_discarded, 1);
	sl_batch_run_entomb(it);
	return true;
}

/* Tells whether some run has to wait: for its application to read, or to come back. */
static enum reported runs_report(struct sl_worker *w, uint32_t batch, const struct told *told)
{
	struct sl_batch_run_iter it;
	struct sl_batch_run run;
	enum reported all = REPORTED_ALL;
	uint32_t records = 0;

	sl_arena_reporting_store(w->arena, batch);
	sl_batch_runs_begin(w->arena, batch, &it);
	while (sl_batch_runs_next(&it, &run)) {
		struct ring *ring;
		uint32_t index;

		if (run.tomb)
			continue;
		index = w->ring_of_slot[run.ring];
		if (SL_UNLIKELY(index >= RING_MISSING)) {
			if (run_discard(w, &it, index))
				records += run.count;
			else if (all == REPORTED_ALL)
				all = REPORTED_MISSING;
			continue;
		}
		ring = &w->rings[index];
		if (entry_wanted(ring, told)) {
			if (SL_UNLIKELY(!room_for_report(w, ring))) {
				w->parked_count += !ring->parked;
				ring->parked = true;
				all = REPORTED_PARKED;
				continue;
			}
			entry_write(w, ring, &run, told);
		} else if (ring->dead) {
			STAT_ADD(w->stats.reports_discarded, 1);
		}
		sl_batch_run_entomb(&it);
		ring_settled(w, ring, told->outcome, run.count);
		records += run.count;
	}
	sl_ledger_told(w, batch, records, all == REPORTED_ALL);
	return all;
}

static enum reported batch_report(struct sl_worker *w, uint32_t batch)
{
	struct partition *p = sl_batch_partition(w, batch);
	struct told told = {
		.outcome = sl_batch_outcome(w->arena, batch),
		.error = sl_batch_error(w->arena, batch),
		.base_offset = w->arena->batches[batch].base_offset,
		.partition = p ? p->index : -1,
		.topic = p ? p->topic : NONE,
	};

	enum reported all = runs_report(w, batch, &told);

	if (all == REPORTED_ALL)
		sl_batch_free(w->arena, batch);
	return all;
}

/* Rings whose application has read some reports meanwhile. */
static void rings_unpark(struct sl_worker *w)
{
	uint32_t i;

	w->parked_count = 0;
	for (i = 0; i < w->ring_count; i++) {
		struct ring *ring = &w->rings[i];

		if (!ring->open || !ring->parked)
			continue;
		ring->parked = !room_for_report(w, ring);
		w->parked_count += ring->parked;
		if (!ring->parked && ring->reset_seq != 0 && !ring->dead)
			sl_ring_reset_tell(ring);
	}
}

/* Reports what was resolved. What has to wait for a slow application is tried again in a later turn. */
uint32_t sl_reports_turn(struct sl_worker *w)
{
	uint32_t done = 0, seen = 0;
	uint32_t stop = w->resolved_tail;

	if (w->parked_count > 0)
		rings_unpark(w);
	while (w->resolved_head != NONE && seen < REPORT_BATCHES_A_TURN) {
		uint32_t batch = w->resolved_head;
		enum reported all;

		w->resolved_head = w->extras[batch].link;
		all = batch_report(w, batch);
		if (all == REPORTED_ALL)
			done++;
		else if (all == REPORTED_MISSING)
			sl_resume_wait(w, batch);
		else
			sl_resolved_push(w, batch);
		seen++;
		if (batch == stop)
			break; /* what was pushed back stays for the next turn */
	}
	if (done > 0)
		w->arena_freed = true;
	return done;
}

static void ring_publish(struct ring *ring)
{
	struct sl_agent_page *page = ring->page;

	atomic_store_explicit(&page->failed_count, ring->failed, memory_order_relaxed);
	atomic_store_explicit(&page->unknown_count, ring->unknown, memory_order_relaxed);
	atomic_store_explicit(&page->settled_count, ring->settled, memory_order_release);
}

/*
 * A producer that waits for room is woken when half of its ring is free, or nothing more will be taken for now: woken at
 * each little bit of room, it and the worker would take turns record by record.
 */
static uint32_t wake_events(const struct ring *ring)
{
	const struct sl_ring_reader *reader = &ring->reader;
	bool room = reader->committed_pos - reader->read_pos <= reader->ring_bytes / 2 || !sl_ring_may_consume(ring);

	return SL_WAIT_REPORTS | (room ? SL_WAIT_ROOM : 0);
}

/* Neither of the two ways can block, whatever the application did to its end. */
static void ring_wake(struct sl_worker *w, struct ring *ring)
{
	static const char byte;

	if (sl_wake_app(ring->app, ring->page, wake_events(ring)) != 0)
		STAT_ADD(w->stats.wakes, 1);
	if (ring->wake_fd >= 0 && ring->report_write_pos != ring->report_told_pos) {
		ring->report_told_pos = ring->report_write_pos;
		send(ring->wake_fd, &byte, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	}
}

/* Publishes the counts of rings that had outcomes or gave room back in this turn, and wakes those who wait for it. */
void sl_rings_wake(struct sl_worker *w)
{
	uint32_t i;

	if (w->touched_count == 0)
		return;
	for (i = 0; i < w->touched_count; i++)
		ring_publish(&w->rings[w->touched[i]]);
	/*
	 * Pairs with the fence of an application that stores `waiting` and then looks at its positions once more: either it
	 * sees what was stored above, or we see that it waits.
	 */
	atomic_thread_fence(memory_order_seq_cst);
	for (i = 0; i < w->touched_count; i++) {
		struct ring *ring = &w->rings[w->touched[i]];

		ring->touched = false;
		ring_wake(w, ring);
	}
	w->touched_count = 0;
}
