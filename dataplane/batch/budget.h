/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who holds the arena's chunks: by the broker and by the topic that their records wait for. A
 * broker that is dead fills its share and no more, so that the others find room at all times.
 *
 * A share is a part of what the others have left: with 50 percent one dead broker ends at half of
 * the arena, two end at a third each, and a third stays free. Nothing is set aside for brokers that
 * need nothing. Where only one broker leads, or only one topic is known, nobody is to be protected
 * from it and it may have everything.
 *
 * A chunk counts from when a batch takes it until the batch has its outcome: what waits for an
 * application that does not read its reports is not the broker's doing. Counts are in memory only
 * and are taken again at load. The arena's worker calls all of this; the counts of a group are read
 * by any thread, relaxed.
 */
#ifndef SL_BATCH_BUDGET_H
#define SL_BATCH_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

struct sl_arena;

struct sl_budget_group {
	_Atomic uint32_t chunks;
	uint32_t partitions; /* that belong to it */
	bool full; /* the worker's note that something was refused, and not enough of it left since
		    */
};

struct sl_budget_owner { /* of a partition slot */
	uint32_t broker; /* group */
	uint32_t chunks;
};

struct sl_budget {
	struct sl_budget_group *brokers; /* broker_count, and behind them that of no leader */
	struct sl_budget_group *topics;  /* by slot of the arena */
	struct sl_budget_owner *owners;  /* by partition slot */
	uint32_t broker_count;
	uint32_t broker_percent, topic_percent;
	uint32_t chunks_min; /* that a share has at least: one record of the largest size */
	uint32_t broker_groups, topic_groups; /* with partitions */
};

enum sl_budget_verdict { SL_BUDGET_ALLOWS, SL_BUDGET_BROKER_FULL, SL_BUDGET_TOPIC_FULL };

/* May this partition take so many more chunks? Whether the arena has them is not looked at. */
enum sl_budget_verdict sl_budget_ask(const struct sl_arena *a, uint32_t partition_slot,
				     uint32_t chunks);

/* Has the group enough room again for its `full` to be taken back? Less than what refuses, or it
 * would flutter. */
bool sl_budget_broker_roomy(const struct sl_arena *a, uint32_t group);
bool sl_budget_topic_roomy(const struct sl_arena *a, uint32_t topic_slot);

/* The batch has so many chunks from now on; 0 when it has its outcome. Nothing for a batch without
 * partition. */
void sl_budget_hold(struct sl_arena *a, uint32_t batch, uint32_t chunks);

/* The partition has another leader: what it holds moves along. broker: below broker_count, or more
 * for none. */
void sl_budget_move(struct sl_arena *a, uint32_t partition_slot, uint32_t broker);

/* A slot that becomes live, without leader and without batches; and one that is dropped, without
 * batches. */
void sl_budget_partition_add(struct sl_arena *a, uint32_t partition_slot);
void sl_budget_partition_drop(struct sl_arena *a, uint32_t partition_slot);

/* Everything anew from the tables, with no leader for anybody: after a load. */
void sl_budget_recount(struct sl_arena *a);

/* Are the counts those of the tables? For sl_arena_check(). */
bool sl_budget_check(const struct sl_arena *a);

#endif
