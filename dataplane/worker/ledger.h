/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker's books: what became of each record that it took, by partition, by broker and by
 * application.
 *
 * What is exact. A cut is made by the worker between two of its turns, all of it at one instant. In
 * it, to the record:
 *
 *   total   = sum of partitions + sum of rejected + unplaced          in each of persisted, failed,
 * unknown and queued total   = sum of brokers                                          (records
 * without one count under brokers[brokers]) persisted, failed, unknown of total = those of the
 * rings + not_told + those of rings that have gone
 *
 * `total` is counted on its own, record by record taken and batch by batch ended; `queued` of
 * partitions is counted anew for each cut by walking the batches that are there. So the first line
 * is a check and no tautology.
 *
 * What is a snapshot. Cuts of several workers are made one behind the other, some microseconds
 * apart; each is whole. Between a batch's outcome and its report to the application it counts as
 * not_told, and with the application as queued.
 *
 * Counts begin with this agent: what was found in the arena counts as taken at its start.
 */
#ifndef SL_WORKER_LEDGER_H
#define SL_WORKER_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

struct sl_worker;
struct sl_worker_options;

struct sl_counts { /* records */
	uint64_t persisted, failed, unknown, queued;
};

static inline uint64_t sl_counts_in(const struct sl_counts *counts)
{
	return counts->persisted + counts->failed + counts->unknown + counts->queued;
}

static inline void sl_counts_add(struct sl_counts *to, const struct sl_counts *from)
{
	to->persisted += from->persisted;
	to->failed += from->failed;
	to->unknown += from->unknown;
	to->queued += from->queued;
}

struct sl_partition_cut {
	uint32_t topic; /* index, or UINT32_MAX: from the arena, and not named yet */
	int32_t index;
	struct sl_counts counts;
};

struct sl_ring_cut {
	uint32_t segment, index; /* of the ring in its segment */
	struct sl_counts counts; /* as told to the application; queued: not told yet */
};

struct sl_worker_cut {
	struct sl_counts total;
	struct sl_counts not_told; /* have their outcome, wait for their report; queued is 0 */
	struct sl_counts
		unplaced; /* outcomes of an earlier agent's rejected records: no topic is known */
	struct sl_partition_cut *partitions;
	uint32_t partition_count;
	uint64_t *rejected; /* by topic: failed before they came to a partition */
	/*
	 * By broker index, and one more. Outcomes count where the partition's leader was when they
	 * became known, what is queued where it is now. What a broker that has left did counts
	 * under the last one, like what never had a leader.
	 */
	struct sl_counts *brokers;
	uint32_t broker_count; /* without that one */
	struct sl_ring_cut *rings;
	uint32_t ring_count;
	uint64_t unknown_unacked; /* of total.unknown: acks=0, where unknown is all that can be said
				   */
};

/* Asks for a cut; then wakes the worker, who makes it in its next turn. Thread: control. */
void sl_worker_cut_ask(struct sl_worker *worker);
/* It is there; it stays as it is until the next is asked for. Thread: control. */
bool sl_worker_cut_ready(const struct sl_worker *worker);
/* Makes it here and now. Thread: the one that runs the worker's turns, between two of them. */
void sl_worker_cut_make(struct sl_worker *worker);
const struct sl_worker_cut *sl_worker_cut(const struct sl_worker *worker);

#endif
