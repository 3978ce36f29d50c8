/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shares of the arena, as the worker sees them (dataplane/batch/budget.h counts). A broker or topic that was refused
 * room is noted as full until some of its share is free again. Meanwhile records that may go anywhere avoid its
 * partitions, as they avoid those without a leader and those whose leader's connection is down; a ring whose next record
 * has to go there waits, and the other rings go on.
 */
#include "dataplane/worker/internal.h"

static bool available(struct sl_worker *w, const struct partition *p)
{
	const struct sl_budget *budget = &w->arena->budget;

	return p->broker != NONE && !p->held && !sl_partition_conn(w, p)->down &&
	       !budget->brokers[budget->owners[p->slot].broker].full && !budget->topics[w->topics[p->topic].slot].full;
}

void sl_available_set(struct sl_worker *w, const struct partition *p)
{
	/* A partition that was found at load has no topic, or stands in no table, until metadata speaks of it. */
	if (p->topic != NONE && (uint32_t)p->index < w->topics[p->topic].partition_count)
		w->topics[p->topic].tables->available[p->index] = available(w, p);
}

/* Records without a key do not stay where they cannot be sent. */
static void sticky_leave(struct sl_worker *w, struct topic *topic)
{
	if (topic->partition_count > 0 && !topic->tables->available[topic->sticky.partition])
		sl_topic_sticky_next(w, topic);
}

void sl_available_update(struct sl_worker *w, const struct partition *p)
{
	sl_available_set(w, p);
	if (p->topic != NONE)
		sticky_leave(w, &w->topics[p->topic]);
}

/* Of a connection's partitions, or NULL: of all. */
static void update_many(struct sl_worker *w, const struct conn *c)
{
	uint32_t i;

	for (i = 0; i < w->partition_count; i++) {
		const struct partition *p = &w->partitions[i];

		if (!c || (p->topic != NONE && p->broker == c->broker && sl_partition_conn(w, p) == c))
			sl_available_set(w, p);
	}
	for (i = 0; i < w->options.topics_max; i++)
		sticky_leave(w, &w->topics[i]);
}

void sl_conn_down_set(struct sl_worker *w, struct conn *c, bool down)
{
	if (c->down == down)
		return;
	c->down = down;
	update_many(w, c);
}

static void full_note(struct sl_worker *w, struct sl_budget_group *group, uint32_t *count)
{
	STAT_ADD(w->stats.share_full, 1);
	if (group->full)
		return;
	group->full = true;
	(*count)++;
	update_many(w, NULL);
}

bool sl_share_ask(struct sl_worker *w, const struct partition *p, uint32_t chunks)
{
	struct sl_budget *budget = &w->arena->budget;

	switch (sl_budget_ask(w->arena, p->slot, chunks)) {
	case SL_BUDGET_BROKER_FULL:
		full_note(w, &budget->brokers[budget->owners[p->slot].broker], &w->brokers_full);
		return false;
	case SL_BUDGET_TOPIC_FULL:
		full_note(w, &budget->topics[w->topics[p->topic].slot], &w->topics_full);
		return false;
	case SL_BUDGET_ALLOWS:
		break;
	}
	return true;
}

uint32_t sl_worker_broker_chunks(const struct sl_worker *w, uint32_t broker)
{
	const struct sl_budget *budget = &w->arena->budget;
	uint32_t group = broker < budget->broker_count ? broker : budget->broker_count;

	return atomic_load_explicit(&budget->brokers[group].chunks, memory_order_relaxed);
}

void sl_share_move(struct sl_worker *w, const struct partition *p)
{
	sl_budget_move(w->arena, p->slot, p->broker);
	w->arena_freed = true; /* a ring may have waited for the share that it leaves */
}

static void shares_look_again(struct sl_worker *w)
{
	struct sl_budget *budget = &w->arena->budget;
	uint32_t before = w->brokers_full + w->topics_full, i;

	for (i = 0; w->brokers_full > 0 && i <= budget->broker_count; i++)
		if (budget->brokers[i].full && sl_budget_broker_roomy(w->arena, i)) {
			budget->brokers[i].full = false;
			w->brokers_full--;
		}
	for (i = 0; w->topics_full > 0 && i < w->arena->topic_count; i++)
		if (budget->topics[i].full && sl_budget_topic_roomy(w->arena, i)) {
			budget->topics[i].full = false;
			w->topics_full--;
		}
	if (w->brokers_full + w->topics_full != before)
		update_many(w, NULL);
}

/* Something was given back: rings look again, but for those that wait for a share in which nothing is free. */
void sl_arena_waiters_release(struct sl_worker *w)
{
	uint32_t i;

	w->arena_freed = false;
	shares_look_again(w);
	for (i = 0; i < w->ring_count; i++) {
		struct ring *ring = &w->rings[i];

		if (ring->waits_arena &&
		    (ring->waits_slot == NONE || sl_budget_ask(w->arena, ring->waits_slot, 1) == SL_BUDGET_ALLOWS))
			ring->waits_arena = false;
	}
}
