/* SPDX-License-Identifier: Apache-2.0 */
/* Applications' rings: taken in, poisoned, drained, given back. */
#include "dataplane/worker/internal.h"

#include <unistd.h>

static uint32_t ring_free_index(const struct sl_worker *w)
{
	uint32_t i;

	for (i = 0; i < w->options.rings_max; i++)
		if (!w->rings[i].open)
			return i;
	return NONE;
}

void sl_ring_reset_tell(struct ring *ring)
{
	struct sl_report *entry = &ring->reports[ring->report_write_pos & (ring->report_slots - 1)];

	*entry = (struct sl_report){
		.first_seq = ring->reset_seq,
		.base_offset = -1,
		.partition = -1,
		.topic_slot = UINT16_MAX,
		.outcome = SL_OUTCOME_UNKNOWN,
		.kind = SL_REPORT_KIND_RESET,
	};
	ring->reset_seq = 0;
	ring->report_write_pos++;
	atomic_store_explicit(&ring->page->report_write_pos, ring->report_write_pos, memory_order_release);
}

/*
 * A ring whose application came back from an agent that died: positions come from the control thread, counters from S,
 * bounded by what they may be. What the old agent had taken and not reported is unknown.
 */
static void ring_resume(struct sl_worker *w, struct ring *ring, uint64_t start_seq, bool reset)
{
	uint64_t settled = atomic_load_explicit(&ring->page->settled_count, memory_order_relaxed);
	uint64_t read = atomic_load_explicit(&ring->app->report_read_pos, memory_order_relaxed);

	ring->resumed = true;
	ring->report_write_pos = atomic_load_explicit(&ring->page->report_write_pos, memory_order_relaxed);
	if (ring->report_write_pos - read > ring->report_slots)
		ring->report_write_pos = read;
	ring->report_read_pos = read;
	ring->failed = atomic_load_explicit(&ring->page->failed_count, memory_order_relaxed);
	ring->unknown = atomic_load_explicit(&ring->page->unknown_count, memory_order_relaxed);
	ring->settled = settled <= start_seq ? settled : start_seq;
	if (!reset)
		return;
	ring->unknown += start_seq - ring->settled;
	ring->settled = start_seq;
	ring->reset_seq = start_seq;
	if (ring->report_write_pos - ring->report_read_pos < ring->report_slots) {
		sl_ring_reset_tell(ring);
	} else { /* it is told when the application has read some of what is there */
		ring->parked = true;
		w->parked_count++;
	}
}

static void ring_init(struct ring *ring, const struct sl_worker_segment *object, uint32_t segment, uint32_t index,
		      uint32_t slot)
{
	*ring = (struct ring){
		.app = (const void *)(object->data + sl_data_page_offset(index)),
		.page = (void *)(object->status + sl_status_page_offset(index)),
		.reports = (void *)(object->status +
				    sl_status_reports_offset(object->ring_count, object->report_slots, index)),
		.report_slots = object->report_slots,
		.report_mode = object->report_mode[index],
		.slot = slot,
		.segment = segment,
		.index = index,
		.last_topic = NONE,
		.wake_fd = -1,
		.open = true,
		.reading = true,
	};
}

static const uint8_t *ring_data(const struct sl_worker_segment *object, uint32_t index)
{
	return object->data + sl_data_ring_offset(object->ring_count, object->ring_bytes, index);
}

static void reader_init(struct ring *ring, const struct sl_worker_segment *object, uint64_t pos, uint64_t seq)
{
	sl_ring_reader_init(&ring->reader, ring_data(object, ring->index), object->ring_bytes,
			    object->record_bytes_max + SL_RECORD_HEADER_BYTES + SL_RECORD_SAMPLED_BYTES, pos, seq);
	ring->reader.topic_slots = SL_SHM_TOPICS_MAX; /* which of them are bound is looked up anyway */
}

static void ring_begin(struct sl_worker *w, struct ring *ring)
{
	uint32_t index = (uint32_t)(ring - w->rings);

	atomic_store_explicit(&ring->page->ring_state, SL_RING_WIRE_OPEN, memory_order_release);
	w->ring_of_slot[ring->slot] = index;
	w->segments[ring->segment].rings[ring->index] = index;
	if (index >= w->ring_count)
		w->ring_count = index + 1;
	sl_ledger_ring_begin(ring);
	sl_ring_touch(w, ring);
}

static bool ring_add(struct sl_worker *w, uint32_t segment, uint32_t index)
{
	const struct sl_worker_segment *object = w->segments[segment].object;
	uint32_t free_index = ring_free_index(w);
	struct ring *ring;
	uint32_t slot;

	if (free_index == NONE || sl_arena_ring_add_at(w->arena, w->segments[segment].slot, index, object->start_pos[index],
						       object->start_seq[index], &slot) < 0)
		return false;
	sl_arena_ring_mode_store(w->arena, slot, object->report_mode[index]);
	ring = &w->rings[free_index];
	ring_init(ring, object, segment, index, slot);
	reader_init(ring, object, object->start_pos[index], object->start_seq[index]);
	/* An agent that died before it consumed anything left both at 0: its ring is a resumed one all the same. */
	if (object->reset[index] || object->start_seq[index] > 0 || object->start_pos[index] > 0)
		ring_resume(w, ring, object->start_seq[index], object->reset[index]);
	ring_begin(w, ring);
	return true;
}

/* A ring that an earlier agent read: it goes on where the arena says. */
static bool ring_attach(struct sl_worker *w, uint32_t segment, uint32_t index, uint32_t slot)
{
	const struct sl_worker_segment *object = w->segments[segment].object;
	uint32_t free_index = ring_free_index(w);
	struct sl_arena_ring_attached at;
	struct sl_arena_ring_memory memory = {
		.data = ring_data(object, index),
		.ring_bytes = object->ring_bytes,
		.report_slots = object->report_slots,
		.record_bytes_max = UINT32_MAX, /* what was taken under another limit is walked over too */
	};
	enum sl_poison poison;
	struct ring *ring;

	if (free_index == NONE)
		return false;
	ring = &w->rings[free_index];
	ring_init(ring, object, segment, index, slot);
	memory.app = ring->app;
	memory.page = ring->page;
	memory.reports = ring->reports;
	poison = sl_arena_ring_attach(w->arena, slot, &memory, &at);
	reader_init(ring, object, at.pos, at.seq);
	ring->resumed = true;
	ring->report_write_pos = at.report_write_pos;
	ring->report_read_pos = atomic_load_explicit(&ring->app->report_read_pos, memory_order_relaxed);
	ring->settled = at.settled;
	ring->failed = atomic_load_explicit(&ring->page->failed_count, memory_order_relaxed) +
		       (at.outcome == SL_OUTCOME_FAILED ? at.count : 0);
	ring->unknown = atomic_load_explicit(&ring->page->unknown_count, memory_order_relaxed) +
			(at.outcome == SL_OUTCOME_UNKNOWN ? at.count : 0);
	ring_begin(w, ring);
	sl_resume_ring_found(w);
	if (poison == SL_POISON_REPORTS)
		ring->dead = true; /* where its next report belongs nobody knows */
	if (poison != SL_POISON_NONE)
		sl_ring_poison(w, ring, poison);
	return true;
}

/* The segment's place in the arena is there already, with its topics and rings. */
static bool segment_attach(struct sl_worker *w, uint32_t index)
{
	struct segment *segment = &w->segments[index];
	const struct sl_worker_segment *object = segment->object;
	const struct sl_arena_segment *from = &w->arena->segments[object->arena_slot];
	bool complete = true;
	uint32_t i;

	SL_ASSERT(object->arena_slot < w->arena->segment_count);
	segment->slot = object->arena_slot;
	for (i = 0; i < SL_SHM_TOPICS_MAX; i++)
		segment->topics[i] = sl_resume_topic_of(w, from->topics[i]);
	for (i = 0; i < w->arena->ring_count; i++) {
		const struct sl_arena_ring *ring = &w->arena->rings[i];

		if (w->ring_of_slot[i] != RING_MISSING || ring->segment != segment->slot)
			continue;
		if (ring->index >= object->ring_count || !object->mine[ring->index] ||
		    segment->rings[ring->index] != NONE)
			sl_resume_ring_drop(w, i);
		else
			complete &= ring_attach(w, index, ring->index, i);
	}
	return complete;
}

static void segment_init_fill(struct sl_arena_segment_init *init, const struct sl_worker_segment *object)
{
	*init = (struct sl_arena_segment_init){
		.uid = object->uid,
		.gid = object->gid,
		.ring_count = object->ring_count,
		.ring_bytes = object->ring_bytes,
		.data_dev = object->data_dev,
		.data_ino = object->data_ino,
		.status_dev = object->status_dev,
		.status_ino = object->status_ino,
	};
	memcpy(init->client_id, object->client_id, sizeof(init->client_id));
	memcpy(init->token, object->token, sizeof(init->token));
}

void sl_segment_add(struct sl_worker *w, uint32_t index, struct sl_worker_segment *object)
{
	struct segment *segment = &w->segments[index];
	struct sl_arena_segment_init init;
	struct sl_msg added = {SL_MSG_SEGMENT_ADDED, index, 1, 0, NULL};
	uint32_t i;

	SL_ASSERT(index < w->options.segments_max && !segment->object);
	segment->object = object;
	segment->draining = false;
	memset(segment->topics, 0xff, sizeof(segment->topics));
	for (i = 0; i < SL_SHM_RINGS_MAX; i++)
		segment->rings[i] = NONE;
	segment_init_fill(&init, object);
	if (object->known)
		added.b = segment_attach(w, index);
	else if (sl_arena_segment_add(w->arena, &init, &segment->slot) < 0)
		added.b = 0;
	for (i = 0; i < object->ring_count && added.b; i++)
		if (object->mine[i] && segment->rings[i] == NONE && !ring_add(w, index, i))
			added.b = 0;
	if (w->options.hooks.bell_add)
		w->options.hooks.bell_add(w->options.hooks.ctx, object->bell_fd);
	sl_worker_tell(w, &added);
}

void sl_segment_bind(struct sl_worker *w, uint32_t index, uint32_t slot, uint32_t topic)
{
	const struct sl_msg bound = {.kind = SL_MSG_TOPIC_BOUND, .a = index};
	struct segment *segment = &w->segments[index];
	uint32_t i;

	if (!segment->object || slot >= SL_SHM_TOPICS_MAX)
		return;
	segment->topics[slot] = (uint16_t)topic;
	for (i = 0; i < SL_SHM_RINGS_MAX; i++)
		if (segment->rings[i] != NONE)
			w->rings[segment->rings[i]].waits_topic = false;
	sl_arena_segment_topic_store(w->arena, segment->slot, slot, w->topics[topic].slot);
	sl_worker_tell(w, &bound);
}

void sl_segment_wake_fd(struct sl_worker *w, uint32_t index, uint32_t ring_index, int fd)
{
	struct segment *segment = &w->segments[index];
	struct ring *ring;

	if (!segment->object || ring_index >= SL_SHM_RINGS_MAX || segment->rings[ring_index] == NONE) {
		close(fd);
		return;
	}
	ring = &w->rings[segment->rings[ring_index]];
	if (ring->wake_fd >= 0)
		close(ring->wake_fd);
	ring->wake_fd = fd;
	ring->report_told_pos = ring->report_write_pos - 1; /* say it once, whatever was missed */
	sl_ring_touch(w, ring);
}

/*
 * What is committed by now is still read; nothing after it. A stop leaves what comes later to the next agent, but not
 * when the application dies meanwhile: then its segment is given back, and this is the last look at it.
 */
static void ring_drain(struct sl_worker *w, struct ring *ring, bool dead)
{
	uint32_t state = atomic_load_explicit(&ring->page->ring_state, memory_order_relaxed);
	enum sl_poison poison;

	if (dead && !ring->dead && ring->draining && state != SL_RING_WIRE_POISONED) {
		ring->reading = true;
		ring->draining = false;
	}
	if (ring->reading && !ring->draining) {
		poison = sl_ring_reader_refresh(&ring->reader, ring->app);
		if (poison != SL_POISON_NONE)
			sl_ring_poison(w, ring, poison);
	}
	ring->draining = true;
	ring->waits_topic = ring->waits_topic && !ring->resumed; /* no binding comes any more */
	ring->dead = ring->dead || dead;
	if (dead)
		ring->parked = false;
	if (ring->reading && ring->reader.read_pos == ring->reader.committed_pos)
		ring->reading = false;
}

/* Nobody will read what is committed from now on: its application need not wait for room. */
static void ring_end_tell(struct ring *ring)
{
	if (atomic_load_explicit(&ring->page->ring_state, memory_order_relaxed) == SL_RING_WIRE_OPEN)
		atomic_store_explicit(&ring->page->ring_state, SL_RING_WIRE_DRAINING, memory_order_release);
}

void sl_segment_drain(struct sl_worker *w, uint32_t index, bool dead)
{
	struct segment *segment = &w->segments[index];
	uint32_t i;

	if (!segment->object)
		return;
	w->draining_count += !segment->draining;
	segment->draining = true;
	for (i = 0; i < SL_SHM_RINGS_MAX; i++)
		if (segment->rings[i] != NONE) {
			ring_drain(w, &w->rings[segment->rings[i]], dead);
			ring_end_tell(&w->rings[segment->rings[i]]);
		}
	sl_segments_check_gone(w);
}

static bool ring_through(const struct ring *ring)
{
	return !ring->reading && ring->settled == ring->reader.next_seq;
}

static void ring_remove(struct sl_worker *w, struct ring *ring)
{
	atomic_store_explicit(&ring->page->ring_state, SL_RING_WIRE_CLOSED, memory_order_release);
	if (ring->wake_fd >= 0)
		close(ring->wake_fd);
	sl_arena_ring_retire(w->arena, ring->slot);
	w->ring_of_slot[ring->slot] = RING_GONE;
	ring->open = false;
	ring->page = NULL;
}

/* Gives a drained segment back once all of its rings are through. */
static bool segment_gone(struct sl_worker *w, uint32_t index)
{
	struct segment *segment = &w->segments[index];
	struct sl_msg gone = {SL_MSG_SEGMENT_GONE, index, 0, 0, segment->object};
	uint32_t i;

	for (i = 0; i < SL_SHM_RINGS_MAX; i++)
		if (segment->rings[i] != NONE && !ring_through(&w->rings[segment->rings[i]]))
			return false;
	sl_rings_wake(w); /* the last outcomes, while the pages are still there */
	for (i = 0; i < SL_SHM_RINGS_MAX; i++)
		if (segment->rings[i] != NONE)
			ring_remove(w, &w->rings[segment->rings[i]]);
	sl_arena_segment_drop(w->arena, segment->slot);
	if (w->options.hooks.bell_remove)
		w->options.hooks.bell_remove(w->options.hooks.ctx, segment->object->bell_fd);
	segment->object = NULL;
	sl_worker_tell(w, &gone);
	return true;
}

void sl_segments_check_gone(struct sl_worker *w)
{
	uint32_t i;

	if (w->draining_count == 0)
		return;
	for (i = 0; i < w->options.segments_max; i++)
		if (w->segments[i].object && w->segments[i].draining && segment_gone(w, i))
			w->draining_count--;
}

/* The ring is read no further; what was taken from it goes on. Nobody else notices. */
void sl_ring_poison(struct sl_worker *w, struct ring *ring, enum sl_poison code)
{
	struct sl_msg msg = {SL_MSG_RING_POISONED, ring->segment, ring->index, code, NULL};

	if (atomic_load_explicit(&ring->page->ring_state, memory_order_relaxed) == SL_RING_WIRE_POISONED)
		return;
	ring->reading = false;
	atomic_store_explicit(&ring->page->poison_pos, ring->reader.poison_pos, memory_order_relaxed);
	atomic_store_explicit(&ring->page->poison_code, (uint32_t)code, memory_order_relaxed);
	atomic_store_explicit(&ring->page->ring_state, SL_RING_WIRE_POISONED, memory_order_release);
	STAT_ADD(w->stats.rings_poisoned, 1);
	sl_ring_touch(w, ring);
	sl_worker_tell(w, &msg);
}

/* The agent stops: every ring is read to where it is committed now, and by the next agent from there. */
void sl_rings_stop(struct sl_worker *w)
{
	uint32_t i;

	for (i = 0; i < w->ring_count; i++)
		if (w->rings[i].open)
			ring_drain(w, &w->rings[i], false);
}

bool sl_rings_drained(const struct sl_worker *w)
{
	uint32_t i;

	for (i = 0; i < w->ring_count; i++)
		if (w->rings[i].open && w->rings[i].reading)
			return false;
	return true;
}

void sl_ring_touch(struct sl_worker *w, struct ring *ring)
{
	if (ring->touched)
		return;
	ring->touched = true;
	w->touched[w->touched_count++] = (uint32_t)(ring - w->rings);
}
