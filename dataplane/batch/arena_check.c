/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The validator: what must hold after every store, crash or not. It believes the file no more than
 * a loader would, so that every walk is bounded by the marks of chunks seen.
 */
#include <errno.h>
#include <stdlib.h>

#include "dataplane/base/crc32c.h"
#include "dataplane/batch/arena.h"
#include "dataplane/batch/arena_internal.h"

/* Pieces of a split stand in for one batch that was in flight: a level of cuts adds one. */
enum { SENT_BATCHES_MAX = 5 + 21 };

struct check {
	const struct sl_arena *a;
	struct sl_error *err;
	uint32_t *owner; /* by chunk: the batch, or SL_NONE */
	uint64_t *births;
	uint32_t birth_count, live_count;
	uint32_t *sent; /* by partition */
	bool crashed;
};

#define BAD(c, ...) sl_error_set((c)->err, -EBADMSG, __VA_ARGS__)

/* State of a walk along a chain. */
struct walk {
	uint32_t batch, chunk;
	uint32_t bytes_left, runs_left, records;
	uint32_t run_index_next; /* least first_index that the next run may have */
	uint32_t crc;
	bool first_run, trim;
};

static int runs_check(struct check *c, struct walk *w, uint32_t runs)
{
	const uint64_t *run = (const uint64_t *)(c->a->base + sl_chunk_end(c->a, w->chunk));
	uint32_t i;

	for (i = 0; i < runs; i++) {
		uint64_t word = *--run;
		uint32_t index = sl_run_first_index(word), ring = sl_run_ring(word);

		if (index < w->run_index_next || index >= w->records ||
		    (w->first_run && index != 0))
			return BAD(c, "batch %u: run at %u is out of order", w->batch, index);
		if (ring != SL_RUN_RING_TOMB && ring >= c->a->ring_count)
			return BAD(c, "batch %u: run of ring %u", w->batch, ring);
		w->run_index_next = index + 1;
		w->first_run = false;
	}
	return 0;
}

static int chunk_check(struct check *c, struct walk *w)
{
	struct sl_arena_chunk entry;
	uint32_t bytes, runs;

	if (w->chunk >= c->a->chunk_count)
		return BAD(c, "batch %u: chain ends early, %u bytes and %u runs short", w->batch,
			   w->bytes_left, w->runs_left);
	if (c->owner[w->chunk] != SL_NONE)
		return BAD(c, "chunk %u belongs to batches %u and %u", w->chunk, c->owner[w->chunk],
			   w->batch);
	c->owner[w->chunk] = w->batch;
	entry = c->a->dir[w->chunk];
	bytes = entry.bytes;
	runs = entry.runs;
	if (w->trim) { /* an OPEN chain may have been closed for a record that was never published
			*/
		bytes = bytes == 0xffff || bytes > w->bytes_left ? w->bytes_left : bytes;
		runs = runs == 0xffff || runs > w->runs_left ? w->runs_left : runs;
	}
	if (bytes > w->bytes_left || runs > w->runs_left ||
	    bytes + runs * sizeof(uint64_t) > c->a->chunk_bytes)
		return BAD(c, "batch %u: chunk %u claims %u bytes, %u runs", w->batch, w->chunk,
			   bytes, runs);
	if (runs_check(c, w, runs) < 0)
		return -EBADMSG;
	w->crc = sl_crc32c(w->crc, c->a->base + sl_arena_chunk_offset(c->a, w->chunk), bytes);
	w->bytes_left -= bytes;
	w->runs_left -= runs;
	w->chunk = entry.next;
	return 0;
}

static int chain_check(struct check *c, uint32_t batch, const struct sl_arena_batch *b,
		       struct sl_life life)
{
	uint64_t tail = sl_tail_load(b);
	bool frozen = life.state != SL_BATCH_OPEN;
	const struct sl_arena_chain *chain = &b->chain[life.selector];
	struct walk w = {
		.batch = batch,
		.chunk = chain->first_chunk,
		.bytes_left = frozen ? sl_chain_bytes(chain->bytes_codec) : sl_tail_bytes(tail),
		.runs_left = sl_tail_runs(tail),
		.records = sl_tail_records(tail),
		.first_run = true,
		.trim = !frozen,
	};

	do {
		if (chunk_check(c, &w) < 0)
			return -EBADMSG;
	} while (frozen ? w.chunk != SL_NONE : w.bytes_left > 0 || w.runs_left > 0);
	if (w.bytes_left || w.runs_left)
		return BAD(c, "batch %u: chain is %u bytes and %u runs short", batch, w.bytes_left,
			   w.runs_left);
	frozen = frozen && life.state != SL_BATCH_RESOLVED; /* only its runs are read then */
	if (frozen && b->payload_crc != w.crc)
		return BAD(c, "batch %u: payload does not match its sum", batch);
	if (frozen && b->frozen_sum != sl_batch_frozen_sum(b, life.selector))
		return BAD(c, "batch %u: descriptor does not match its sum", batch);
	return 0;
}

static int partition_check(struct check *c, uint32_t batch, const struct sl_arena_batch *b,
			   struct sl_life life)
{
	if (b->partition == SL_NONE)
		return life.state == SL_BATCH_OPEN || life.state == SL_BATCH_RESOLVED
			       ? 0
			       : BAD(c, "reject batch %u in state %d", batch, life.state);
	if (b->partition >= c->a->partition_count ||
	    atomic_load_explicit(&c->a->partitions[b->partition].state, memory_order_relaxed) !=
		    SL_SLOT_LIVE)
		return BAD(c, "batch %u: partition slot %u is not live", batch, b->partition);
	if (life.state != SL_BATCH_SENT || life.pid_slot == SL_ARENA_PID_NONE)
		return 0;
	if (life.pid_slot >= SL_ARENA_PIDS || c->a->header->pids[life.pid_slot].producer_id < 0)
		return BAD(c, "batch %u: producer id slot %u is not in use", batch, life.pid_slot);
	if (++c->sent[b->partition] > SENT_BATCHES_MAX)
		return BAD(c, "partition slot %u has more than %d batches sent", b->partition,
			   SENT_BATCHES_MAX);
	return 0;
}

static int batch_check(struct check *c, uint32_t batch)
{
	const struct sl_arena_batch *b = &c->a->batches[batch];
	struct sl_life life = sl_life_load(b);
	uint64_t tail = sl_tail_load(b);
	uint32_t records = sl_tail_records(tail);

	if (life.state == SL_BATCH_FREE)
		return 0;
	if (life.state >= SL_BATCH_STATE_COUNT)
		return BAD(c, "batch %u: state %d", batch, life.state);
	if (sl_tail_runs(tail) > records || (records > 0 && sl_tail_runs(tail) == 0))
		return BAD(c, "batch %u: %u runs for %u records", batch, sl_tail_runs(tail),
			   records);
	if (b->partition != SL_NONE && sl_tail_bytes(tail) < 7 * (uint64_t)records)
		return BAD(c, "batch %u: %u bytes for %u records", batch, sl_tail_bytes(tail),
			   records);
	if (life.state != SL_BATCH_OPEN && records == 0)
		return BAD(c, "batch %u: sealed without records", batch);
	c->live_count++;
	/* The first piece of a split has the birth of what it replaces. */
	if (life.state != SL_BATCH_REPLACED && life.state != SL_BATCH_SHADOW)
		c->births[c->birth_count++] = b->birth;
	if (partition_check(c, batch, b, life) < 0)
		return -EBADMSG;
	return chain_check(c, batch, b, life);
}

static int compare_u64(const void *x, const void *y)
{
	uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;

	return a < b ? -1 : a > b;
}

static int births_check(struct check *c)
{
	uint32_t i;

	qsort(c->births, c->birth_count, sizeof(*c->births), compare_u64);
	for (i = 1; i < c->birth_count; i++)
		if (c->births[i] == c->births[i - 1])
			return BAD(c, "birth %llx twice", (unsigned long long)c->births[i]);
	return 0;
}

/* Each partition's SENT batches of one producer id and epoch follow each other and end where the
 * next one begins. */
static int sequences_check(struct check *c)
{
	uint32_t batch, other, followers;

	for (batch = 0; batch < c->a->batch_count; batch++) {
		const struct sl_arena_batch *b = &c->a->batches[batch];
		struct sl_life life = sl_life_load(b);
		struct sl_partition_seq seq;
		uint32_t end;

		if (life.state != SL_BATCH_SENT || life.pid_slot == SL_ARENA_PID_NONE)
			continue;
		end = sl_seq_add(life.base_seq, sl_tail_records(sl_tail_load(b)));
		seq = sl_partition_seq_unpack(atomic_load_explicit(
			&c->a->partitions[b->partition].seq, memory_order_relaxed));
		if (seq.pid_slot != life.pid_slot || seq.epoch != life.epoch || seq.next_seq == end)
			continue;
		followers = 0;
		for (other = 0; other < c->a->batch_count; other++) {
			struct sl_life l = sl_life_load(&c->a->batches[other]);

			followers += l.state >= SL_BATCH_SENT && l.pid_slot == life.pid_slot &&
				     l.epoch == life.epoch && l.base_seq == end &&
				     c->a->batches[other].partition == b->partition;
		}
		/* Killed between life and next_seq: recovery takes the larger. Freed followers
		 * leave no trace. */
		if (!c->crashed && followers == 0 &&
		    ((seq.next_seq - end) & INT32_MAX) > INT32_MAX / 2)
			return BAD(c, "partition slot %u: next sequence %u is behind batch %u",
				   b->partition, seq.next_seq, batch);
	}
	return 0;
}

/* Free stacks and live batches share nothing and leave nothing out. */
static int stacks_check(struct check *c)
{
	const struct sl_arena *a = c->a;
	uint32_t i, owned = 0;

	for (i = 0; i < a->chunk_count; i++)
		owned += c->owner[i] != SL_NONE;
	for (i = 0; i < a->chunks_free; i++) {
		if (c->owner[a->chunk_stack[i]] != SL_NONE)
			return BAD(c, "chunk %u is free and of batch %u, or free twice",
				   a->chunk_stack[i], c->owner[a->chunk_stack[i]]);
		c->owner[a->chunk_stack[i]] = SL_NONE - 1;
	}
	if (owned + a->chunks_free != a->chunk_count)
		return BAD(c, "%u chunks leaked", a->chunk_count - owned - a->chunks_free);
	if (c->live_count + a->batches_free != a->batch_count)
		return BAD(c, "%u live and %u free descriptors of %u", c->live_count,
			   a->batches_free, a->batch_count);
	for (i = 0; i < a->batches_free; i++)
		if (sl_life_load(&a->batches[a->batch_stack[i]]).state != SL_BATCH_FREE)
			return BAD(c, "live batch %u on the free stack", a->batch_stack[i]);
	if (c->live_count != atomic_load_explicit(&a->header->live_count, memory_order_relaxed))
		return BAD(c, "%u live batches, the header says %u", c->live_count,
			   a->header->live_count);
	if (!sl_budget_check(a))
		return BAD(c, "the budget's counts are not those of the chains");
	return 0;
}

static int tables_check(struct check *c)
{
	const struct sl_arena *a = c->a;
	uint32_t i;

	for (i = 0; i < a->chunk_count; i++)
		c->owner[i] = SL_NONE;
	for (i = 0; i < a->batch_count; i++)
		if (batch_check(c, i) < 0)
			return -EBADMSG;
	if (births_check(c) < 0 || sequences_check(c) < 0)
		return -EBADMSG;
	return c->crashed ? 0 : stacks_check(c);
}

int sl_arena_check(const struct sl_arena *a, bool crashed, struct sl_error *err)
{
	struct check c = {.a = a, .err = err, .crashed = crashed};
	int rc = -ENOMEM;

	if (a->header->fixed_sum != sl_arena_header_sum(a->header))
		return sl_error_set(err, -EBADMSG, "the header does not match its sum");
	c.owner = malloc(a->chunk_count * sizeof(*c.owner));
	c.births = malloc(a->batch_count * sizeof(*c.births));
	c.sent = calloc((size_t)a->partition_count + 1, sizeof(*c.sent));
	if (c.owner && c.births && c.sent)
		rc = tables_check(&c);
	free(c.owner);
	free(c.births);
	free(c.sent);
	return rc;
}
