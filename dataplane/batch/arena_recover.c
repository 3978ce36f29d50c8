/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was cut short is finished or undone, and the memory beside the file is built anew. Nothing
 * that is not reachable from a live descriptor is in use: no crash can leak. Every store here may
 * be the last one; the next load does the rest.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/batch/arena_internal.h"
#include "dataplane/batch/batch.h"
#include "dataplane/wire/error_code.h"

/* Pieces of a split stand in for one batch that was in flight: a level of cuts adds one. */
enum { SENT_BATCHES_MAX = 5 + 21 };
#define BIRTH_ONE (UINT64_C(1) << 20)
#define BIRTH_LIMIT (UINT64_C(1) << 62)

struct recovery {
	struct sl_arena *a;
	struct sl_arena_loaded *loaded;
	uint32_t *owner; /* by chunk: its batch, or SL_NONE */
	uint8_t *sent;   /* by partition: batches that are SENT */
	uint8_t *lost;   /* by batch: its chain is nobody's to trust */
};

/* ---- steps 1 and 2: what never became visible ---- */

/* The original goes last: its pieces are found from it. */
static void replacement_finish(struct sl_arena *a, uint32_t batch)
{
	uint32_t piece = sl_batch_life(a, batch).base_seq, steps;

	for (steps = 0; piece < a->batch_count && steps < a->batch_count; steps++) {
		struct sl_life life = sl_batch_life(a, piece);

		if (life.state == SL_BATCH_SHADOW) {
			life.state = SL_BATCH_SENT;
			sl_life_store(&a->batches[piece], life);
		}
		piece = a->batches[piece].sibling;
	}
	sl_life_store(&a->batches[batch], (struct sl_life){.state = SL_BATCH_FREE});
}

static void unborn_free(struct sl_arena *a)
{
	uint32_t i;

	for (i = 0; i < a->batch_count; i++)
		if (sl_batch_life(a, i).state == SL_BATCH_REPLACED)
			replacement_finish(a, i);
	for (i = 0; i < a->batch_count; i++) {
		enum sl_batch_state state = sl_batch_life(a, i).state;

		if (state == SL_BATCH_SHADOW ||
		    (state == SL_BATCH_OPEN && sl_batch_records(a, i) == 0))
			sl_life_store(&a->batches[i], (struct sl_life){.state = SL_BATCH_FREE});
	}
}

/* ---- damage ---- */

/* The batch goes no further: its records are told an outcome that holds whatever it said. */
static void condemn(struct recovery *r, uint32_t batch)
{
	struct sl_arena_batch *b = &r->a->batches[batch];
	struct sl_life life = sl_life_load(b);
	enum sl_outcome outcome = life.state == SL_BATCH_SENT || life.state == SL_BATCH_RESOLVED
					  ? SL_OUTCOME_UNKNOWN
					  : SL_OUTCOME_FAILED;

	if (life.state == SL_BATCH_OPEN)
		sl_chain_close(r->a, batch);
	b->partition = SL_NONE;
	b->error = sl_error_pack(outcome, SL_KAFKA_CORRUPT_MESSAGE);
	b->base_offset = -1;
	life.state = SL_BATCH_RESOLVED;
	life.pid_slot = SL_ARENA_PID_NONE;
	life.epoch = 0;
	life.base_seq = 0;
	sl_life_store(b, life);
	r->loaded->condemned++;
}

static void judge_all(struct recovery *r)
{
	uint32_t i, rival;

	for (i = 0; i < r->a->batch_count; i++) {
		enum sl_walk_result result;

		if (sl_batch_life(r->a, i).state == SL_BATCH_FREE)
			continue;
		result = sl_batch_walk(r->a, i, r->owner, &rival);
		if (result == SL_WALK_FIELDS)
			condemn(r, i);
		r->lost[i] = result == SL_WALK_CHAIN;
		if (rival != SL_NONE) /* one of the two is wrong: nobody knows which */
			r->lost[rival] = 1;
	}
}

static void lost_free(struct recovery *r)
{
	struct sl_arena *a = r->a;
	uint32_t i;

	for (i = 0; i < a->batch_count; i++) {
		if (!r->lost[i])
			continue;
		sl_life_store(&a->batches[i], (struct sl_life){.state = SL_BATCH_FREE});
		r->loaded->lost++;
	}
	for (i = 0; i < a->chunk_count; i++)
		if (r->owner[i] != SL_NONE && r->lost[r->owner[i]])
			r->owner[i] = SL_NONE;
}

/* ---- order ---- */

static int birth_compare(const void *x, const void *y, void *arg)
{
	const struct sl_arena *a = arg;
	uint32_t i = *(const uint32_t *)x, j = *(const uint32_t *)y;
	uint64_t one = a->batches[i].birth, other = a->batches[j].birth;

	return one != other ? (one < other ? -1 : 1) : (i < j ? -1 : i > j);
}

static uint64_t births_end(const struct sl_arena *a)
{
	uint64_t end = 1;
	uint32_t i;

	for (i = 0; i < a->by_birth_count; i++) {
		uint64_t birth = a->batches[a->by_birth[i]].birth;

		if (birth < BIRTH_LIMIT && birth / BIRTH_ONE >= end)
			end = birth / BIRTH_ONE + 1;
	}
	/* Retired slots are measured by it, though all that was older is gone. */
	for (i = 0; i < a->ring_count; i++)
		if (a->rings[i].retire_birth < BIRTH_LIMIT &&
		    (a->rings[i].retire_birth + BIRTH_ONE - 1) / BIRTH_ONE > end)
			end = (a->rings[i].retire_birth + BIRTH_ONE - 1) / BIRTH_ONE;
	return end * BIRTH_ONE;
}

/* A birth that is another's, or beyond all reason, is replaced by one of its own. */
static bool births_mend(struct recovery *r)
{
	struct sl_arena *a = r->a;
	uint64_t last = 0;
	bool mended = false;
	uint32_t i;

	for (i = 0; i < a->by_birth_count; i++) {
		struct sl_arena_batch *b = &a->batches[a->by_birth[i]];

		if ((i > 0 && b->birth == last) || b->birth >= BIRTH_LIMIT) {
			if (sl_life_load(b).state != SL_BATCH_RESOLVED)
				condemn(r, a->by_birth[i]);
			b->birth = a->birth_next;
			SL_ORDER();
			a->birth_next += BIRTH_ONE;
			mended = true;
		} else {
			last = b->birth;
		}
	}
	return mended;
}

static void births_sort(struct recovery *r)
{
	struct sl_arena *a = r->a;
	uint32_t i;

	a->by_birth_count = 0;
	for (i = 0; i < a->batch_count; i++)
		if (sl_batch_life(a, i).state != SL_BATCH_FREE)
			a->by_birth[a->by_birth_count++] = i;
	qsort_r(a->by_birth, a->by_birth_count, sizeof(*a->by_birth), birth_compare, a);
	a->birth_next = births_end(a);
	if (births_mend(r))
		qsort_r(a->by_birth, a->by_birth_count, sizeof(*a->by_birth), birth_compare, a);
}

/* ---- steps 5 and 6: numbers ---- */

static void sent_recover(struct recovery *r, uint32_t batch)
{
	struct sl_arena_batch *b = &r->a->batches[batch];
	struct sl_arena_partition *p = &r->a->partitions[b->partition];
	struct sl_life life = sl_life_load(b);
	struct sl_partition_seq seq =
		sl_partition_seq_unpack(atomic_load_explicit(&p->seq, memory_order_relaxed));
	uint32_t end = sl_seq_add(life.base_seq, sl_batch_records(r->a, batch));

	if (life.pid_slot == SL_ARENA_PID_NONE) {
		/* Sent again it might be there twice, not sent again not at all. */
		sl_batch_resolve(r->a, batch, SL_OUTCOME_UNKNOWN, SL_KAFKA_NETWORK_EXCEPTION, -1);
		r->loaded->unknown++;
	} else if (seq.pid_slot != life.pid_slot || seq.epoch != life.epoch) {
		sl_batch_unnumber(r->a, batch); /* a bump that was cut short */
		r->loaded->unnumbered++;
	} else if (++r->sent[b->partition] > SENT_BATCHES_MAX) {
		condemn(r, batch);
	} else if (((seq.next_seq - end) & INT32_MAX) > INT32_MAX / 2) {
		seq.next_seq = end;
		SL_ORDER();
		atomic_store_explicit(&p->seq, sl_partition_seq_pack(seq), memory_order_relaxed);
		SL_ORDER();
	}
}

static void states_recover(struct recovery *r)
{
	uint32_t i;

	for (i = 0; i < r->a->by_birth_count; i++) {
		uint32_t batch = r->a->by_birth[i];
		struct sl_arena_batch *b = &r->a->batches[batch];
		struct sl_life life = sl_life_load(b);

		if (life.state == SL_BATCH_SENT) {
			sent_recover(r, batch);
		} else if (life.state == SL_BATCH_OPEN && b->partition == SL_NONE) {
			/* Rejected records; their outcome was stored when the batch was opened. */
			if (sl_error_outcome(b->error) == 0)
				b->error =
					sl_error_pack(SL_OUTCOME_FAILED, SL_KAFKA_CORRUPT_MESSAGE);
			sl_chain_close(r->a, batch);
			life.state = SL_BATCH_RESOLVED;
			sl_life_store(b, life);
		}
	}
}

/* ---- step 7: the memory beside the file ---- */

static void evidence_take(struct recovery *r, uint32_t batch)
{
	struct sl_arena *a = r->a;
	bool last_turn = a->batches[batch].turn_tag == a->turn;
	struct sl_batch_run_iter it;
	struct sl_batch_run run;

	sl_batch_runs_begin(a, batch, &it);
	while (sl_batch_runs_next(&it, &run)) {
		struct sl_ring_evidence *of;

		if (run.tomb)
			continue;
		of = &a->evidence[run.ring];
		of->live += run.count;
		r->loaded->records += run.count;
		if (last_turn && run.first_seq + run.count > of->end_seq)
			of->end_seq = run.first_seq + run.count;
	}
}

static void batches_count(struct recovery *r)
{
	uint32_t i;

	for (i = 0; i < r->a->by_birth_count; i++) {
		uint32_t batch = r->a->by_birth[i];

		switch (sl_batch_life(r->a, batch).state) {
		case SL_BATCH_OPEN:
			r->loaded->open++;
			break;
		case SL_BATCH_SEALED:
			r->loaded->sealed++;
			break;
		case SL_BATCH_SENT:
			r->loaded->sent++;
			break;
		default:
			r->loaded->resolved++;
		}
		evidence_take(r, batch);
	}
}

static void stacks_fill(struct recovery *r)
{
	struct sl_arena *a = r->a;
	uint32_t i;

	a->chunks_free = a->batches_free = 0;
	for (i = a->chunk_count; i-- > 0;)
		if (r->owner[i] == SL_NONE)
			a->chunk_stack[a->chunks_free++] = i;
	for (i = a->batch_count; i-- > 0;) {
		a->links[i].chunks_left = UINT32_MAX;
		if (sl_batch_life(a, i).state == SL_BATCH_FREE)
			a->batch_stack[a->batches_free++] = i;
	}
	atomic_store_explicit(&a->header->live_count, a->by_birth_count, memory_order_relaxed);
}

int sl_batches_recover(struct sl_arena *a, struct sl_arena_loaded *loaded, struct sl_error *err)
{
	struct recovery r = {.a = a, .loaded = loaded};
	size_t owner_bytes = a->chunk_count * sizeof(*r.owner);
	int rc = 0;

	r.owner = malloc(owner_bytes);
	r.sent = calloc((size_t)a->partition_count + 1, sizeof(*r.sent));
	r.lost = calloc(a->batch_count, sizeof(*r.lost));
	if (r.owner && r.sent && r.lost) {
		memset(r.owner, 0xff, owner_bytes); /* SL_NONE */
		unborn_free(a);
		judge_all(&r);
		lost_free(&r);
		births_sort(&r);
		states_recover(&r);
		batches_count(&r);
		stacks_fill(&r);
	} else {
		rc = sl_error_set(err, -ENOMEM, "no memory to read the arena");
	}
	free(r.owner);
	free(r.sent);
	free(r.lost);
	return rc;
}
