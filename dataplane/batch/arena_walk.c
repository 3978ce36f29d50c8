/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One descriptor as it is found at load. Every index, count and state is checked before it is used,
 * and a walk along a chain ends at the first chunk that somebody has already, so that the work is
 * bounded by the number of chunks.
 */
#include "dataplane/batch/arena_internal.h"
#include "dataplane/batch/batch.h"

/* State of a walk along a chain. */
struct walk {
	uint32_t chunk, last;
	uint32_t bytes_left, runs_left, records;
	uint32_t last_bytes, last_runs; /* in the last chunk */
	uint32_t index_next;            /* least first_index that the next run may have */
	bool trim, trimmed; /* an OPEN one; its last entry claimed more than the tail covers */
};

static bool slot_live(const _Atomic uint32_t *state)
{
	return atomic_load_explicit(state, memory_order_relaxed) == SL_SLOT_LIVE;
}

static bool runs_good(const struct sl_arena *a, struct walk *w, uint32_t runs)
{
	const uint64_t *run = (const uint64_t *)(a->base + sl_chunk_end(a, w->chunk));
	uint32_t i;

	for (i = 0; i < runs; i++) {
		uint64_t word = *--run;
		uint32_t index = sl_run_first_index(word), ring = sl_run_ring(word);

		if (index < w->index_next || index >= w->records ||
		    (w->index_next == 0 && index != 0) ||
		    (ring != SL_RUN_RING_TOMB && ring >= a->ring_count))
			return false;
		w->index_next = index + 1;
	}
	return true;
}

/* Takes the chunk into the walk. False: it is not what a chain may hold here. */
static bool chunk_good(const struct sl_arena *a, struct walk *w, uint32_t batch, uint32_t *owner,
		       uint32_t *rival)
{
	struct sl_arena_chunk entry;
	uint32_t bytes, runs;

	if (w->chunk >= a->chunk_count)
		return false;
	if (owner[w->chunk] != SL_NONE) {
		*rival = owner[w->chunk];
		return false;
	}
	owner[w->chunk] = batch;
	entry = a->dir[w->chunk];
	bytes = entry.bytes;
	runs = entry.runs;
	if (w->trimmed)
		return false; /* only the last one may */
	if (w->trim) {        /* it may have been closed for a record that was never published */
		bytes = bytes > w->bytes_left ? w->bytes_left : bytes;
		runs = runs > w->runs_left ? w->runs_left : runs;
		w->trimmed = bytes != entry.bytes || runs != entry.runs;
	}
	if (bytes > w->bytes_left || runs > w->runs_left ||
	    bytes + runs * sizeof(uint64_t) > a->chunk_bytes || !runs_good(a, w, runs))
		return false;
	w->bytes_left -= bytes;
	w->runs_left -= runs;
	w->last = w->chunk;
	w->last_bytes = bytes;
	w->last_runs = runs;
	w->chunk = entry.next;
	return true;
}

/* The chain covers its tail, no more and no less; an OPEN one's ends where its tail does. */
static bool chain_good(const struct sl_arena *a, uint32_t batch, struct sl_life life,
		       struct walk *w, uint32_t *owner, uint32_t *rival)
{
	const struct sl_arena_batch *b = &a->batches[batch];
	const struct sl_arena_chain *chain = &b->chain[life.selector];
	uint64_t tail = sl_tail_load(b);
	bool open = life.state == SL_BATCH_OPEN;

	*w = (struct walk){
		.chunk = chain->first_chunk,
		.bytes_left = open ? sl_tail_bytes(tail) : sl_chain_bytes(chain->bytes_codec),
		.runs_left = sl_tail_runs(tail),
		.records = sl_tail_records(tail),
		.trim = open,
	};
	do {
		if (!chunk_good(a, w, batch, owner, rival))
			return false;
	} while (open ? w->bytes_left > 0 || w->runs_left > 0 : w->chunk != SL_NONE);
	return w->bytes_left == 0 && w->runs_left == 0;
}

/* Counts that no chain could make right. */
static bool counts_good(const struct sl_arena *a, const struct sl_arena_batch *b,
			struct sl_life life)
{
	uint64_t tail = sl_tail_load(b);
	uint32_t records = sl_tail_records(tail);

	if (records == 0 || sl_tail_runs(tail) == 0 || sl_tail_runs(tail) > records)
		return false;
	return life.state != SL_BATCH_OPEN || life.selector == 0;
}

static bool owner_good(const struct sl_arena *a, const struct sl_arena_batch *b,
		       struct sl_life life)
{
	if (b->partition == SL_NONE)
		return life.state == SL_BATCH_OPEN || life.state == SL_BATCH_RESOLVED;
	return b->partition < a->partition_count && slot_live(&a->partitions[b->partition].state) &&
	       sl_tail_bytes(sl_tail_load(b)) >=
		       7 * (uint64_t)sl_batch_records(a, (uint32_t)(b - a->batches));
}

static bool numbers_good(const struct sl_arena *a, struct sl_life life)
{
	if (life.state != SL_BATCH_SENT || life.pid_slot == SL_ARENA_PID_NONE)
		return true;
	return life.pid_slot < SL_ARENA_PIDS && a->header->pids[life.pid_slot].producer_id >= 0 &&
	       life.epoch <= SL_EPOCH_MAX && life.base_seq <= INT32_MAX;
}

static bool frozen_good(const struct sl_arena_batch *b, struct sl_life life)
{
	const struct sl_arena_chain *chain = &b->chain[life.selector];

	if (life.state != SL_BATCH_SEALED && life.state != SL_BATCH_SENT)
		return true;
	return b->frozen_sum == sl_batch_frozen_sum(b, life.selector) &&
	       sl_chain_codec(chain->bytes_codec) <= 4;
}

static bool outcome_good(const struct sl_arena_batch *b, struct sl_life life)
{
	return life.state != SL_BATCH_RESOLVED ||
	       (sl_error_outcome(b->error) >= SL_OUTCOME_PERSISTED && b->base_offset >= -1);
}

/* Where appends go on. The last chunk may have been closed for a record that was never published,
 * and an append would then tear the chain. */
static void open_restore(struct sl_arena *a, uint32_t batch, const struct walk *w)
{
	struct sl_arena_batch *b = &a->batches[batch];

	a->links[batch].last_chunk = w->last;
	b->write_offset = sl_arena_chunk_offset(a, w->last) + w->last_bytes;
	b->run_offset = sl_chunk_end(a, w->last) - w->last_runs * sizeof(uint64_t);
	b->run_ring = SL_NONE;
	b->run_next_seq = 0;
	sl_dir_store(a, w->last, (struct sl_arena_chunk){SL_NONE, 0xffff, 0xffff});
}

enum sl_walk_result sl_batch_walk(struct sl_arena *a, uint32_t batch, uint32_t *owner,
				  uint32_t *rival)
{
	struct sl_arena_batch *b = &a->batches[batch];
	struct sl_life life = sl_life_load(b);
	struct walk w;

	*rival = SL_NONE;
	if (life.state >= SL_BATCH_REPLACED || !counts_good(a, b, life) ||
	    !chain_good(a, batch, life, &w, owner, rival))
		return SL_WALK_CHAIN;
	if (life.state == SL_BATCH_OPEN)
		open_restore(a, batch, &w);
	return owner_good(a, b, life) && numbers_good(a, life) && frozen_good(b, life) &&
			       outcome_good(b, life)
		       ? SL_WALK_GOOD
		       : SL_WALK_FIELDS;
}
