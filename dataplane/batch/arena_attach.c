/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ring that outlived its agent, taken in again. Why its cursor needs no redo record: its records
 * are appended in ring order and each tail is stored before the next record is touched, so whatever
 * was found last in a batch tells that all before it is there too. The bytes between the stored
 * cursor and the true one are still in D, since the application sees S.consumed_pos only after the
 * cursor.
 */
#include "dataplane/batch/arena_internal.h"
#include "dataplane/batch/batch.h"
#include "dataplane/shm/ring_reader.h"

/* The run that begins with this record, if the batch is RESOLVED and has it untold. */
static bool run_entomb(struct sl_arena *a, uint32_t batch, uint32_t ring, uint64_t first_seq,
		       struct sl_arena_ring_attached *out)
{
	struct sl_batch_run_iter it;
	struct sl_batch_run run;

	if (batch >= a->batch_count || sl_batch_life(a, batch).state != SL_BATCH_RESOLVED)
		return false;
	sl_batch_runs_begin(a, batch, &it);
	while (sl_batch_runs_next(&it, &run)) {
		if (run.tomb || run.ring != ring || run.first_seq != first_seq)
			continue;
		sl_batch_run_entomb(&it);
		a->evidence[ring].live -= run.count;
		out->outcome = (uint8_t)sl_batch_outcome(a, batch);
		out->count = run.count;
		return true;
	}
	return false;
}

/*
 * The only run in doubt is the one whose entry is published and whose tomb is not. The entry is
 * then the ring's last, and (ring, first_seq) never repeats. Where other rings were reported
 * meanwhile, header.reporting has moved on: so all batches are looked at.
 */
static enum sl_poison last_report_note(struct sl_arena *a, uint32_t ring, uint64_t end_seq,
				       const struct sl_arena_ring_memory *m,
				       struct sl_arena_ring_attached *out)
{
	uint64_t write_pos = atomic_load_explicit(&m->page->report_write_pos, memory_order_relaxed);
	uint64_t read_pos = atomic_load_explicit(&m->app->report_read_pos, memory_order_relaxed);
	struct sl_report last;
	uint32_t i;

	out->report_write_pos = write_pos;
	if (write_pos - read_pos > m->report_slots)
		return SL_POISON_REPORTS;
	if (write_pos == 0)
		return SL_POISON_NONE;
	last = m->reports[(write_pos - 1) & (m->report_slots - 1)];
	if (last.kind != SL_REPORT_KIND_RECORDS)
		return last.first_seq > end_seq ? SL_POISON_REPORTS : SL_POISON_NONE;
	if (last.first_seq >= end_seq)
		return SL_POISON_REPORTS;
	if (run_entomb(a, atomic_load_explicit(&a->header->reporting, memory_order_relaxed), ring,
		       last.first_seq, out))
		return SL_POISON_NONE;
	for (i = 0; i < a->by_birth_count; i++)
		if (run_entomb(a, a->by_birth[i], ring, last.first_seq, out))
			break;
	return SL_POISON_NONE;
}

/* Walks D from the stored cursor, validating, to the record behind the last that is in a batch. */
static enum sl_poison cursor_derive(struct sl_arena *a, uint32_t ring, uint64_t end_seq,
				    const struct sl_arena_ring_memory *m,
				    struct sl_arena_ring_attached *out)
{
	struct sl_arena_ring_cursor stored = sl_arena_ring_cursor(a, ring);
	struct sl_ring_reader reader;
	enum sl_poison poison;

	out->pos = stored.pos;
	out->seq = stored.seq;
	sl_ring_reader_init(&reader, m->data, m->ring_bytes, m->record_bytes_max, stored.pos,
			    stored.seq);
	reader.topic_slots = SL_SHM_TOPICS_MAX;
	poison = sl_ring_reader_refresh(&reader, m->app);
	while (poison == SL_POISON_NONE && out->seq < end_seq) {
		struct sl_ring_item item;

		if (out->pos == reader.committed_pos)
			return SL_POISON_POSITION;
		poison = sl_ring_reader_peek(&reader, out->pos, out->seq, &item);
		if (poison != SL_POISON_NONE)
			break;
		out->pos += item.span;
		out->seq += item.type == SL_RECORD_DATA;
	}
	return poison;
}

enum sl_poison sl_arena_ring_attach(struct sl_arena *a, uint32_t ring_slot,
				    const struct sl_arena_ring_memory *memory,
				    struct sl_arena_ring_attached *out)
{
	struct sl_arena_ring_cursor stored = sl_arena_ring_cursor(a, ring_slot);
	uint64_t end_seq = a->evidence[ring_slot].end_seq;
	enum sl_poison poison;

	SL_ASSERT(ring_slot < a->ring_count);
	*out = (struct sl_arena_ring_attached){.pos = stored.pos, .seq = stored.seq};
	if (end_seq < stored.seq)
		end_seq = stored.seq;
	poison = last_report_note(a, ring_slot, end_seq, memory, out);
	if (poison == SL_POISON_NONE)
		poison = cursor_derive(a, ring_slot, end_seq, memory, out);
	out->settled =
		end_seq > a->evidence[ring_slot].live ? end_seq - a->evidence[ring_slot].live : 0;
	if (poison != SL_POISON_NONE) {
		out->pos = stored.pos;
		out->seq = end_seq; /* so many are in the arena, whatever the application says */
		return poison;
	}
	if (out->seq != stored.seq || out->pos != stored.pos)
		sl_arena_ring_cursor_store(a, ring_slot, out->pos, out->seq);
	atomic_store_explicit(&memory->page->consumed_seq, out->seq, memory_order_relaxed);
	/* Release: the application may overwrite what is before it. */
	atomic_store_explicit(&memory->page->consumed_pos, out->pos, memory_order_release);
	return SL_POISON_NONE;
}
