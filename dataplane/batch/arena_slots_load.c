/* SPDX-License-Identifier: Apache-2.0 */
/* The small tables as they are found at load: a slot that cannot be one is freed, the rest is left
 * as it is. */
#include <string.h>

#include "dataplane/batch/arena_internal.h"
#include "dataplane/batch/batch.h"

static bool live(const _Atomic uint32_t *state)
{
	return atomic_load_explicit(state, memory_order_relaxed) == SL_SLOT_LIVE;
}

static void slot_free(_Atomic uint32_t *state, struct sl_arena_loaded *loaded)
{
	SL_ORDER();
	atomic_store_explicit(state, SL_SLOT_FREE, memory_order_relaxed);
	SL_ORDER();
	loaded->slots_lost++;
}

static void pids_recover(struct sl_arena *a)
{
	uint32_t i;

	for (i = 0; i < SL_ARENA_PIDS; i++) {
		struct sl_arena_pid *pid = &a->header->pids[i];

		if (pid->producer_id < -1)
			pid->producer_id = -1;
		if (pid->epoch_floor > SL_EPOCH_MAX + 1)
			pid->epoch_floor = SL_EPOCH_MAX + 1;
	}
}

static bool topic_good(const struct sl_arena_topic *topic)
{
	return topic->name_bytes > 0 && topic->name_bytes < sizeof(topic->name) &&
	       memchr(topic->name, 0, sizeof(topic->name)) == topic->name + topic->name_bytes;
}

static void topics_recover(struct sl_arena *a, struct sl_arena_loaded *loaded)
{
	uint32_t i;

	for (i = 0; i < a->topic_count; i++)
		if (live(&a->topics[i].state) && !topic_good(&a->topics[i]))
			slot_free(&a->topics[i].state, loaded);
}

/* Numbers of a producer id that is none: the partition starts over, above all that it may have
 * used. */
static void partition_seq_recover(struct sl_arena *a, struct sl_arena_partition *p)
{
	struct sl_partition_seq seq =
		sl_partition_seq_unpack(atomic_load_explicit(&p->seq, memory_order_relaxed));
	uint32_t i;

	if (seq.pid_slot == SL_ARENA_PID_NONE ||
	    (seq.pid_slot < SL_ARENA_PIDS && a->header->pids[seq.pid_slot].producer_id >= 0 &&
	     seq.epoch <= SL_EPOCH_MAX && seq.next_seq <= INT32_MAX))
		return;
	for (i = 0; i < SL_ARENA_PIDS && seq.epoch <= SL_EPOCH_MAX; i++)
		if (a->header->pids[i].epoch_floor < seq.epoch + 1)
			a->header->pids[i].epoch_floor = (uint16_t)(seq.epoch + 1);
	seq = (struct sl_partition_seq){.pid_slot = SL_ARENA_PID_NONE};
	SL_ORDER();
	atomic_store_explicit(&p->seq, sl_partition_seq_pack(seq), memory_order_relaxed);
	SL_ORDER();
}

static void partitions_recover(struct sl_arena *a, struct sl_arena_loaded *loaded)
{
	uint32_t i;

	for (i = 0; i < a->partition_count; i++) {
		struct sl_arena_partition *p = &a->partitions[i];

		if (!live(&p->state))
			continue;
		if (p->topic >= a->topic_count || !live(&a->topics[p->topic].state) || p->index < 0)
			slot_free(&p->state, loaded);
		else
			partition_seq_recover(a, p);
	}
}

static void segments_recover(struct sl_arena *a, struct sl_arena_loaded *loaded)
{
	uint32_t i, t;

	for (i = 0; i < a->segment_count; i++) {
		struct sl_arena_segment *s = &a->segments[i];

		if (!live(&s->state))
			continue;
		if (s->ring_count > SL_SHM_RINGS_MAX || (s->ring_bytes & (s->ring_bytes - 1)) ||
		    s->ring_bytes > SL_RING_BYTES_MAX) {
			slot_free(&s->state, loaded);
			continue;
		}
		loaded->segments++;
		for (t = 0; t < SL_SEGMENT_TOPICS; t++)
			if (s->topics[t] != SL_SEGMENT_TOPIC_NONE &&
			    (s->topics[t] >= a->topic_count ||
			     !live(&a->topics[s->topics[t]].state)))
				s->topics[t] = SL_SEGMENT_TOPIC_NONE;
	}
}

static bool ring_good(const struct sl_arena *a, uint32_t slot)
{
	const struct sl_arena_ring *ring = &a->rings[slot];

	return ring->segment < a->segment_count && live(&a->segments[ring->segment].state) &&
	       ring->index < SL_SHM_RINGS_MAX &&
	       sl_arena_ring_cursor(a, slot).pos % SL_RECORD_ALIGN == 0;
}

/* A ring that cannot be one is retired rather than freed: runs may still name it. */
static void rings_recover(struct sl_arena *a, struct sl_arena_loaded *loaded)
{
	uint32_t i;

	for (i = 0; i < a->ring_count; i++) {
		a->ring_seq[i] = sl_arena_ring_cursor(a, i).seq;
		if (!live(&a->rings[i].state))
			continue;
		if (ring_good(a, i)) {
			loaded->rings++;
			continue;
		}
		a->rings[i].retire_birth = UINT64_C(1) << 61;
		SL_ORDER();
		atomic_store_explicit(&a->rings[i].state, SL_SLOT_RETIRED, memory_order_relaxed);
		SL_ORDER();
		loaded->slots_lost++;
	}
}

void sl_slots_recover(struct sl_arena *a, struct sl_arena_loaded *loaded)
{
	uint32_t reporting = atomic_load_explicit(&a->header->reporting, memory_order_relaxed);

	if (reporting >= a->batch_count)
		atomic_store_explicit(&a->header->reporting, SL_NONE, memory_order_relaxed);
	pids_recover(a);
	topics_recover(a, loaded);
	partitions_recover(a, loaded);
	segments_recover(a, loaded);
	rings_recover(a, loaded);
}

/* ---- what nobody uses any more ---- */

static void topics_mark(const struct sl_arena *a, uint8_t *used)
{
	uint32_t i, t;

	for (i = 0; i < a->by_birth_count; i++) {
		uint32_t p = a->batches[a->by_birth[i]].partition;

		if (p != SL_NONE)
			used[a->partitions[p].topic] = 1;
	}
	for (i = 0; i < a->segment_count; i++)
		for (t = 0; live(&a->segments[i].state) && t < SL_SEGMENT_TOPICS; t++)
			if (a->segments[i].topics[t] != SL_SEGMENT_TOPIC_NONE)
				used[a->segments[i].topics[t]] = 1;
}

/* Topics of applications that are gone would fill the table from start to start. */
void sl_slots_tidy(struct sl_arena *a)
{
	uint8_t used[SL_ARENA_TOPICS_MAX + 1];
	uint32_t i;

	memset(used, 0, a->topic_count);
	topics_mark(a, used);
	for (i = 0; i < a->partition_count; i++)
		if (live(&a->partitions[i].state) && !used[a->partitions[i].topic])
			sl_arena_partition_drop(a, i);
	for (i = 0; i < a->topic_count; i++)
		if (live(&a->topics[i].state) && !used[i])
			sl_arena_topic_drop(a, i);
}
