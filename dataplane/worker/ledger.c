/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/worker/ledger.h"

#include <errno.h>
#include <stdlib.h>

#include "dataplane/worker/internal.h"

uint64_t sl_ledger_memory_bytes(const struct sl_worker_options *o)
{
	return o->partitions_max * (sizeof(struct sl_counts) + sizeof(struct sl_partition_cut)) +
	       (o->brokers_max + UINT64_C(1)) * 2 * sizeof(struct sl_counts) +
	       o->topics_max * 2 * sizeof(uint64_t) + o->rings_max * sizeof(struct sl_ring_cut);
}

int sl_ledger_init(struct sl_worker *w)
{
	const struct sl_worker_options *o = &w->options;
	struct ledger *ledger = &w->ledger;
	struct sl_worker_cut *cut = &ledger->cut;

	ledger->partitions = calloc(o->partitions_max, sizeof(*ledger->partitions));
	ledger->brokers = calloc(o->brokers_max + 1, sizeof(*ledger->brokers));
	ledger->rejected = calloc(o->topics_max, sizeof(*ledger->rejected));
	cut->partitions = calloc(o->partitions_max, sizeof(*cut->partitions));
	cut->brokers = calloc(o->brokers_max + 1, sizeof(*cut->brokers));
	cut->broker_count = o->brokers_max;
	cut->rejected = calloc(o->topics_max, sizeof(*cut->rejected));
	cut->rings = calloc(o->rings_max, sizeof(*cut->rings));
	return ledger->partitions && ledger->brokers && ledger->rejected && cut->partitions &&
			       cut->brokers && cut->rejected && cut->rings
		       ? 0
		       : -ENOMEM;
}

void sl_ledger_fini(struct sl_worker *w)
{
	free(w->ledger.partitions);
	free(w->ledger.brokers);
	free(w->ledger.rejected);
	free(w->ledger.cut.partitions);
	free(w->ledger.cut.brokers);
	free(w->ledger.cut.rejected);
	free(w->ledger.cut.rings);
}

/* ---- counting, per batch ---- */

static uint64_t *count_of(struct sl_counts *counts, enum sl_outcome outcome)
{
	switch (outcome) {
	case SL_OUTCOME_PERSISTED:
		return &counts->persisted;
	case SL_OUTCOME_FAILED:
		return &counts->failed;
	default:
		return &counts->unknown;
	}
}

static struct sl_counts *broker_of(struct sl_worker *w, const struct partition *p)
{
	return &w->ledger.brokers[p && p->broker != NONE ? p->broker : w->options.brokers_max];
}

static struct sl_counts *partition_of(struct sl_worker *w, const struct partition *p)
{
	return p ? &w->ledger.partitions[p - w->partitions] : &w->ledger.unplaced;
}

void sl_ledger_settled(struct sl_worker *w, uint32_t batch, enum sl_outcome outcome, int16_t error)
{
	struct partition *p = sl_batch_partition(w, batch);
	uint32_t records = sl_batch_records(w->arena, batch);

	*count_of(partition_of(w, p), outcome) += records;
	*count_of(broker_of(w, p), outcome) += records;
	if (!p)
		return;
	if (outcome == SL_OUTCOME_UNKNOWN && error == 0)
		w->ledger.unknown_unacked += records;
	else
		sl_flight_ended(w, p, batch, outcome, error);
}

void sl_ledger_found(struct sl_worker *w, uint32_t batch, enum sl_outcome outcome)
{
	struct partition *p = sl_batch_partition(w, batch);
	uint32_t records = sl_batch_records(w->arena, batch);

	*count_of(partition_of(w, p), outcome) += records;
	*count_of(broker_of(w, NULL), outcome) += records;
	sl_ledger_resolved(w, batch);
}

void sl_ledger_resolved(struct sl_worker *w, uint32_t batch)
{
	w->extras[batch].told = 0;
	*count_of(&w->ledger.not_told, sl_batch_outcome(w->arena, batch)) +=
		sl_batch_records(w->arena, batch);
}

/* When all are told, those too that an earlier agent had told already. The batch is not yet free.
 */
void sl_ledger_told(struct sl_worker *w, uint32_t batch, uint32_t records, bool all)
{
	struct batch_extra *extra = &w->extras[batch];
	uint64_t *not_told = count_of(&w->ledger.not_told, sl_batch_outcome(w->arena, batch));

	if (all)
		records = sl_batch_records(w->arena, batch) - extra->told;
	SL_ASSERT(*not_told >= records);
	extra->told += records;
	*not_told -= records;
}

/* What the ring's page counts from before belongs to earlier agents. */
void sl_ledger_ring_begin(struct ring *ring)
{
	ring->settled_base = ring->settled;
	ring->failed_base = ring->failed;
	ring->unknown_base = ring->unknown;
}

/* Its index may be given to another one. */
void sl_ledger_broker_gone(struct sl_worker *w, uint32_t broker)
{
	sl_counts_add(&w->ledger.brokers[w->options.brokers_max], &w->ledger.brokers[broker]);
	w->ledger.brokers[broker] = (struct sl_counts){0};
}

/* ---- the cut ---- */

static void queued_add(struct sl_worker *w, uint32_t batch)
{
	struct sl_worker_cut *cut = &w->ledger.cut;
	const struct partition *p = sl_batch_partition(w, batch);
	uint32_t records = sl_batch_records(w->arena, batch);

	cut->partitions[p - w->partitions].counts.queued += records;
	cut->brokers[p->broker != NONE ? p->broker : cut->broker_count].queued += records;
}

static void list_add(struct sl_worker *w, uint32_t batch)
{
	for (; batch != NONE; batch = w->extras[batch].link)
		queued_add(w, batch);
}

/* Every batch that has no outcome is in one of these lists. */
static void queued_cut(struct sl_worker *w)
{
	uint32_t i;

	for (i = 0; i < w->active_count; i++) {
		const struct partition *p = &w->partitions[w->active[i]];

		list_add(w, p->sent_head);
		list_add(w, p->ready_head);
		if (p->open != NONE)
			queued_add(w, p->open);
	}
	list_add(w, w->compress_head);
	if (w->compressing != NONE)
		queued_add(w, w->compressing);
}

static void partitions_cut(struct sl_worker *w)
{
	struct sl_worker_cut *cut = &w->ledger.cut;
	uint32_t i;

	cut->partition_count = w->partition_count;
	for (i = 0; i < w->partition_count; i++)
		cut->partitions[i] = (struct sl_partition_cut){
			w->partitions[i].topic, w->partitions[i].index, w->ledger.partitions[i]};
	memcpy(cut->brokers, w->ledger.brokers, (cut->broker_count + 1) * sizeof(*cut->brokers));
	memcpy(cut->rejected, w->ledger.rejected, w->options.topics_max * sizeof(*cut->rejected));
	for (i = 0; i < w->options.topics_max; i++)
		cut->brokers[cut->broker_count].failed += cut->rejected[i];
}

static void rings_cut(struct sl_worker *w)
{
	struct sl_worker_cut *cut = &w->ledger.cut;
	uint32_t i;

	cut->ring_count = 0;
	for (i = 0; i < w->ring_count; i++) {
		const struct ring *ring = &w->rings[i];
		struct sl_counts counts = {
			.failed = ring->failed - ring->failed_base,
			.unknown = ring->unknown - ring->unknown_base,
			.queued = ring->reader.next_seq - ring->settled,
		};

		if (!ring->open)
			continue;
		counts.persisted =
			ring->settled - ring->settled_base - counts.failed - counts.unknown;
		cut->rings[cut->ring_count++] =
			(struct sl_ring_cut){ring->segment, ring->index, counts};
	}
}

void sl_worker_cut_make(struct sl_worker *w)
{
	struct sl_worker_cut *cut = &w->ledger.cut;

	cut->total = (struct sl_counts){
		.persisted = atomic_load_explicit(&w->stats.persisted, memory_order_relaxed),
		.failed = atomic_load_explicit(&w->stats.failed, memory_order_relaxed),
		.unknown = atomic_load_explicit(&w->stats.unknown, memory_order_relaxed),
		.queued = atomic_load_explicit(&w->stats.queued, memory_order_relaxed),
	};
	cut->not_told = w->ledger.not_told;
	cut->unplaced = w->ledger.unplaced;
	cut->unknown_unacked = w->ledger.unknown_unacked;
	partitions_cut(w);
	queued_cut(w);
	rings_cut(w);
}

/* One load a turn, unless somebody asks. */
void sl_ledger_turn(struct sl_worker *w)
{
	uint32_t asked = atomic_load_explicit(&w->ledger.cut_asked, memory_order_relaxed);

	if (SL_LIKELY(asked == atomic_load_explicit(&w->ledger.cut_done, memory_order_relaxed)))
		return;
	sl_worker_cut_make(w);
	/* Pairs with the acquire of whoever asked. */
	atomic_store_explicit(&w->ledger.cut_done, asked, memory_order_release);
}

void sl_worker_cut_ask(struct sl_worker *w)
{
	STAT_ADD(w->ledger.cut_asked, 1);
}

bool sl_worker_cut_ready(const struct sl_worker *w)
{
	return atomic_load_explicit(&w->ledger.cut_done, memory_order_acquire) ==
	       atomic_load_explicit(&w->ledger.cut_asked, memory_order_relaxed);
}

const struct sl_worker_cut *sl_worker_cut(const struct sl_worker *w)
{
	return &w->ledger.cut;
}
