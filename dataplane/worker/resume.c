/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an earlier agent left in the arena, taken up: partitions with their batches at create, topics by name as the
 * control thread adds them, rings as their segments come back or are given up. Until all rings are one or the other the
 * arena's turn number stands still, and what was resolved of a missing ring waits: both are the evidence for its cursor.
 */
#include "dataplane/worker/internal.h"

#include <errno.h>
#include <stdlib.h>

#include "dataplane/wire/error_code.h"

static bool live(const _Atomic uint32_t *state)
{
	return atomic_load_explicit(state, memory_order_relaxed) == SL_SLOT_LIVE;
}

/* ---- create: control thread ---- */

static void rings_mark(struct sl_worker *w)
{
	uint32_t i;

	for (i = 0; i < w->arena->ring_count; i++) {
		w->ring_of_slot[i] = live(&w->arena->rings[i].state) ? RING_MISSING : RING_GONE;
		w->missing_rings += w->ring_of_slot[i] == RING_MISSING;
	}
}

/* by_slot: where each arena slot's partition is, or NONE. */
static int partitions_take(struct sl_worker *w, uint32_t *by_slot)
{
	uint32_t i;

	for (i = 0; i < w->arena->partition_count; i++) {
		const struct sl_arena_partition *from = &w->arena->partitions[i];

		by_slot[i] = NONE;
		if (!live(&from->state))
			continue;
		if (w->partition_count == w->options.partitions_max)
			return -E2BIG;
		by_slot[i] = w->partition_count;
		sl_partition_init(&w->partitions[w->partition_count++], NONE, from->index, i);
	}
	return 0;
}

/* At most five, mostly in order already. */
static void sent_insert(struct sl_worker *w, struct partition *p, uint32_t batch)
{
	uint32_t base = sl_batch_life(w->arena, batch).base_seq;
	uint32_t *link = &p->sent_head;

	while (*link != NONE &&
	       ((base - sl_batch_life(w->arena, *link).base_seq) & INT32_MAX) <= INT32_MAX / 2)
		link = &w->extras[*link].link;
	w->extras[batch].link = *link;
	*link = batch;
	if (w->extras[batch].link == NONE)
		p->sent_tail = batch;
	p->sent_count++;
	w->extras[batch].unclean = true; /* its last attempt was not answered, for all we know */
	w->extras[batch].error = SL_KAFKA_NETWORK_EXCEPTION;
}

static void batch_list(struct sl_worker *w, struct partition *p, uint32_t batch)
{
	switch (sl_batch_life(w->arena, batch).state) {
	case SL_BATCH_OPEN:
		/* It comes behind all others by birth. One before it had waited to be compressed. */
		if (p->open != NONE) {
			sl_batch_seal(w->arena, p->open);
			sl_ready_push(w, p, p->open);
		}
		p->open = batch;
		break;
	case SL_BATCH_SEALED:
		sl_ready_push(w, p, batch);
		break;
	default:
		sent_insert(w, p, batch);
		break;
	}
}

static void batches_take(struct sl_worker *w, const uint32_t *by_slot)
{
	uint32_t i;

	for (i = 0; i < w->arena->by_birth_count; i++) {
		uint32_t batch = w->arena->by_birth[i];
		uint32_t slot = w->arena->batches[batch].partition;
		uint32_t index = slot == SL_NONE ? NONE : by_slot[slot];
		uint32_t records = sl_batch_records(w->arena, batch);

		w->extras[batch] = (struct batch_extra){.link = NONE, .partition = index};
		STAT_ADD(w->stats.consumed, records);
		STAT_ADD(w->stats.queued, records);
		if (sl_batch_life(w->arena, batch).state == SL_BATCH_RESOLVED) {
			sl_outcome_count(w, NULL, sl_batch_outcome(w->arena, batch), records);
			sl_ledger_found(w, batch, sl_batch_outcome(w->arena, batch));
			sl_resolved_push(w, batch);
		} else {
			SL_ASSERT(index != NONE); /* the loader has given the others an outcome */
			batch_list(w, &w->partitions[index], batch);
			w->live_batches++;
		}
	}
}

/* New numbers go on under the producer id that came last. */
static uint32_t pid_latest(const struct sl_arena *a)
{
	uint32_t i, latest = NONE;

	for (i = 0; i < SL_ARENA_PIDS; i++)
		if (a->header->pids[i].producer_id >= 0 &&
		    (latest == NONE || a->header->pids[i].created_realtime_ms >=
					       a->header->pids[latest].created_realtime_ms))
			latest = i;
	return latest;
}

int sl_resume_begin(struct sl_worker *w)
{
	uint32_t *by_slot = malloc((w->arena->partition_count + 1) * sizeof(*by_slot));
	int rc;

	if (!by_slot)
		return -ENOMEM;
	w->waiting_head = NONE;
	rings_mark(w);
	w->pid_slot = pid_latest(w->arena);
	rc = partitions_take(w, by_slot);
	if (rc == 0)
		batches_take(w, by_slot);
	free(by_slot);
	return rc;
}

/* ---- topics ---- */

static uint64_t queued_records(const struct sl_worker *w, const struct partition *p, uint32_t *batches)
{
	uint64_t records = 0;
	uint32_t b;

	*batches = 0;
	for (b = p->sent_head; b != NONE; b = w->extras[b].link, (*batches)++)
		records += sl_batch_records(w->arena, b);
	for (b = p->ready_head; b != NONE; b = w->extras[b].link, (*batches)++)
		records += sl_batch_records(w->arena, b);
	if (p->open != NONE) {
		records += sl_batch_records(w->arena, p->open);
		(*batches)++;
	}
	return records;
}

static void sent_unknown(struct sl_worker *w, struct partition *p)
{
	while (p->sent_head != NONE) {
		uint32_t batch = p->sent_head;

		sl_sent_remove(w, p, batch);
		sl_doubt_gone(p, batch);
		sl_batch_settle(w, batch, SL_OUTCOME_UNKNOWN, SL_KAFKA_NETWORK_EXCEPTION, -1);
	}
}

static void partition_adopt(struct sl_worker *w, struct partition *p, uint32_t index)
{
	struct topic *topic = &w->topics[index];
	uint32_t batches;

	p->topic = index;
	STAT_ADD(topic->stats.consumed, queued_records(w, p, &batches));
	if (p->sent_head != NONE)
		p->orphan_ns = w->now_ns; /* what the dead agent had asked may be executed yet */
	if (sl_doubt_aged(w, p))
		sl_doubt_resumed(w, p);
	if (p->open != NONE) {
		p->leave = topic->settings.linger_ns == 0 || w->flushing;
		if (!p->leave)
			sl_heap_set(&w->linger, (uint32_t)(p - w->partitions),
				    w->now_ns + topic->settings.linger_ns);
	}
	sl_partition_active(w, p);
}

/* The arena's slot of that name, or NONE. */
static uint32_t topic_slot_find(const struct sl_arena *a, const char *name)
{
	size_t bytes = strlen(name);
	uint32_t i;

	for (i = 0; i < a->topic_count; i++)
		if (live(&a->topics[i].state) && a->topics[i].name_bytes == bytes &&
		    memcmp(a->topics[i].name, name, bytes) == 0)
			return i;
	return NONE;
}

bool sl_resume_topic(struct sl_worker *w, uint32_t index)
{
	struct topic *topic = &w->topics[index];
	uint32_t i;

	topic->slot = topic_slot_find(w->arena, topic->object->name);
	if (topic->slot == NONE)
		return false;
	topic->resumed = true;
	for (i = 0; i < w->partition_count; i++) {
		struct partition *p = &w->partitions[i];

		if (p->topic == NONE && w->arena->partitions[p->slot].topic == topic->slot)
			partition_adopt(w, p, index);
	}
	return true;
}

struct partition *sl_resume_partition(struct sl_worker *w, uint32_t index, int32_t partition)
{
	struct topic *topic = &w->topics[index];
	uint32_t n, batches;

	/* Slots were taken in the order of the numbers, mostly: the next one is right behind the last. */
	for (n = 0; topic->resumed && n < w->partition_count; n++) {
		struct partition *p = &w->partitions[(topic->resume_next + n) % w->partition_count];

		if (p->topic != index || p->index != partition)
			continue;
		topic->resume_next = (uint32_t)(p - w->partitions) + 1;
		queued_records(w, p, &batches);
		topic->tables->queue[partition] = batches;
		return p;
	}
	return NULL;
}

/* ---- rings ---- */

static void waiting_release(struct sl_worker *w)
{
	uint32_t batch, next;

	for (batch = w->waiting_head; batch != NONE; batch = next) {
		next = w->extras[batch].link;
		sl_resolved_push(w, batch);
	}
	w->waiting_head = NONE;
}

void sl_resume_wait(struct sl_worker *w, uint32_t batch)
{
	w->extras[batch].link = w->waiting_head;
	w->waiting_head = batch;
}

void sl_resume_ring_found(struct sl_worker *w)
{
	SL_ASSERT(w->missing_rings > 0);
	w->missing_rings--;
	waiting_release(w);
}

void sl_resume_ring_drop(struct sl_worker *w, uint32_t slot)
{
	w->ring_of_slot[slot] = RING_GONE;
	sl_arena_ring_retire(w->arena, slot);
	sl_resume_ring_found(w);
}

void sl_resume_give_up(struct sl_worker *w, uint32_t segment_slot)
{
	uint32_t i;

	if (segment_slot >= w->arena->segment_count)
		return;
	for (i = 0; i < w->arena->ring_count; i++)
		if (w->ring_of_slot[i] == RING_MISSING && w->arena->rings[i].segment == segment_slot)
			sl_resume_ring_drop(w, i);
	sl_arena_segment_drop(w->arena, segment_slot);
}

uint16_t sl_resume_topic_of(const struct sl_worker *w, uint32_t arena_topic)
{
	uint32_t i;

	for (i = 0; arena_topic != SL_SEGMENT_TOPIC_NONE && i < w->options.topics_max; i++)
		if (w->topics[i].object && w->topics[i].slot == arena_topic)
			return (uint16_t)i;
	return UINT16_MAX;
}

/* ---- cluster ---- */

/* Numbers mean nothing to another cluster, and what was sent to the last one was not sent to this. */
void sl_resume_cluster(struct sl_worker *w, const char *id)
{
	uint32_t i;

	if (sl_arena_cluster_is(w->arena, id))
		return;
	for (i = 0; i < w->partition_count && sl_arena_cluster_known(w->arena); i++)
		sent_unknown(w, &w->partitions[i]);
	if (sl_arena_cluster_known(w->arena)) {
		sl_arena_pids_forget(w->arena);
		w->pid_slot = NONE;
		w->pid_lost = true;
	}
	sl_arena_cluster_store(w->arena, id);
	sl_partition_update_all(w);
}
