/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/batch/budget.h"

#include "dataplane/batch/arena_internal.h"
#include "dataplane/batch/batch.h"

static uint32_t group_chunks(const struct sl_budget_group *group)
{
	return atomic_load_explicit(&group->chunks, memory_order_relaxed);
}

/* A single writer: no locked instruction. */
static void group_add(struct sl_budget_group *group, uint32_t change)
{
	atomic_store_explicit(&group->chunks, group_chunks(group) + change, memory_order_relaxed);
}

static struct sl_budget_group *topic_of(const struct sl_arena *a, uint32_t partition_slot)
{
	return &a->budget.topics[a->partitions[partition_slot].topic];
}

static struct sl_budget_group *broker_of(const struct sl_arena *a, uint32_t partition_slot)
{
	return &a->budget.brokers[a->budget.owners[partition_slot].broker];
}

/* So many percent of what the others have left, which is what is free and what it has. */
static uint64_t limit(const struct sl_arena *a, const struct sl_budget_group *group,
		      uint32_t percent)
{
	uint64_t left = (uint64_t)group_chunks(group) + sl_arena_chunks_free(a);
	uint64_t chunks = left * percent / 100;

	return chunks > a->budget.chunks_min ? chunks : a->budget.chunks_min;
}

static bool over(const struct sl_arena *a, const struct sl_budget_group *group, uint32_t percent,
		 uint32_t chunks)
{
	return group_chunks(group) + (uint64_t)chunks > limit(a, group, percent);
}

enum sl_budget_verdict sl_budget_ask(const struct sl_arena *a, uint32_t partition_slot,
				     uint32_t chunks)
{
	const struct sl_budget *budget = &a->budget;

	if (budget->broker_groups > 1 &&
	    over(a, broker_of(a, partition_slot), budget->broker_percent, chunks))
		return SL_BUDGET_BROKER_FULL;
	if (budget->topic_groups > 1 &&
	    over(a, topic_of(a, partition_slot), budget->topic_percent, chunks))
		return SL_BUDGET_TOPIC_FULL;
	return SL_BUDGET_ALLOWS;
}

/* An eighth below its limit. */
static bool roomy(const struct sl_arena *a, const struct sl_budget_group *group, uint32_t percent)
{
	uint64_t most = limit(a, group, percent);

	return group_chunks(group) <= most - most / 8;
}

bool sl_budget_broker_roomy(const struct sl_arena *a, uint32_t group)
{
	return a->budget.broker_groups < 2 ||
	       roomy(a, &a->budget.brokers[group], a->budget.broker_percent);
}

bool sl_budget_topic_roomy(const struct sl_arena *a, uint32_t topic_slot)
{
	return a->budget.topic_groups < 2 ||
	       roomy(a, &a->budget.topics[topic_slot], a->budget.topic_percent);
}

void sl_budget_hold(struct sl_arena *a, uint32_t batch, uint32_t chunks)
{
	uint32_t slot = a->batches[batch].partition;
	uint32_t change = chunks - a->links[batch].chunks; /* modulo 2^32 */

	if (slot == SL_NONE || change == 0)
		return;
	a->links[batch].chunks = chunks;
	a->budget.owners[slot].chunks += change;
	group_add(broker_of(a, slot), change);
	group_add(topic_of(a, slot), change);
}

static void member_add(struct sl_budget_group *group, uint32_t *groups)
{
	*groups += group->partitions++ == 0;
}

static void member_drop(struct sl_budget_group *group, uint32_t *groups)
{
	*groups -= --group->partitions == 0;
}

void sl_budget_move(struct sl_arena *a, uint32_t partition_slot, uint32_t broker)
{
	struct sl_budget *budget = &a->budget;
	struct sl_budget_owner *owner = &budget->owners[partition_slot];

	if (broker > budget->broker_count)
		broker = budget->broker_count;
	member_drop(&budget->brokers[owner->broker], &budget->broker_groups);
	group_add(&budget->brokers[owner->broker], 0 - owner->chunks);
	owner->broker = broker;
	member_add(&budget->brokers[broker], &budget->broker_groups);
	group_add(&budget->brokers[broker], owner->chunks);
}

void sl_budget_partition_add(struct sl_arena *a, uint32_t partition_slot)
{
	struct sl_budget *budget = &a->budget;

	budget->owners[partition_slot] = (struct sl_budget_owner){.broker = budget->broker_count};
	member_add(broker_of(a, partition_slot), &budget->broker_groups);
	member_add(topic_of(a, partition_slot), &budget->topic_groups);
}

void sl_budget_partition_drop(struct sl_arena *a, uint32_t partition_slot)
{
	SL_ASSERT(a->budget.owners[partition_slot].chunks == 0);
	member_drop(broker_of(a, partition_slot), &a->budget.broker_groups);
	member_drop(topic_of(a, partition_slot), &a->budget.topic_groups);
}

static bool waits(const struct sl_arena *a, uint32_t batch)
{
	enum sl_batch_state state = sl_batch_life(a, batch).state;

	return state == SL_BATCH_OPEN || state == SL_BATCH_SEALED || state == SL_BATCH_SENT;
}

static bool partition_live(const struct sl_arena *a, uint32_t slot)
{
	return atomic_load_explicit(&a->partitions[slot].state, memory_order_relaxed) ==
	       SL_SLOT_LIVE;
}

void sl_budget_recount(struct sl_arena *a)
{
	struct sl_budget *budget = &a->budget;
	uint32_t i;

	memset(budget->brokers, 0, (budget->broker_count + 1) * sizeof(*budget->brokers));
	memset(budget->topics, 0, a->topic_count * sizeof(*budget->topics));
	budget->broker_groups = budget->topic_groups = 0;
	for (i = 0; i < a->partition_count; i++)
		if (partition_live(a, i))
			sl_budget_partition_add(a, i);
	for (i = 0; i < a->by_birth_count; i++) {
		uint32_t batch = a->by_birth[i];

		a->links[batch].chunks = 0;
		if (waits(a, batch))
			sl_budget_hold(a, batch, sl_batch_chunks(a, batch));
	}
}

bool sl_budget_check(const struct sl_arena *a)
{
	uint64_t owned = 0, brokers = 0, topics = 0, held = 0;
	uint32_t i;

	for (i = 0; i < a->batch_count; i++) {
		uint32_t chunks =
			waits(a, i) && a->batches[i].partition != SL_NONE ? a->links[i].chunks : 0;

		held += chunks;
		/* Of one that is being closed or compressed the directory says the same. */
		if (chunks > 0 && chunks != sl_batch_chunks(a, i))
			return false;
	}
	for (i = 0; i < a->partition_count; i++)
		owned += partition_live(a, i) ? a->budget.owners[i].chunks : 0;
	for (i = 0; i <= a->budget.broker_count; i++)
		brokers += group_chunks(&a->budget.brokers[i]);
	for (i = 0; i < a->topic_count; i++)
		topics += group_chunks(&a->budget.topics[i]);
	return held == owned && held == brokers && held == topics;
}
