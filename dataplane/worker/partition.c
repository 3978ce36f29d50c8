/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a partition sends next, and when. The rules that keep order and exactness (Kafka remembers five batches of a
 * producer id and partition, and a broker without memory takes any sequence as the first):
 *
 *   - a numbered batch keeps its bytes and numbers; it is sent again until it has a definite outcome;
 *   - batches that wait to be sent again go before new ones, the lowest first;
 *   - a second batch goes out only after a success on this connection that is not long ago (warm), never more than five;
 *   - without idempotence one batch is in flight, so that a retry cannot overtake.
 */
#include "dataplane/worker/internal.h"

#include "dataplane/wire/error_code.h"

void sl_partition_init(struct partition *p, uint32_t topic, int32_t index, uint32_t slot)
{
	*p = (struct partition){
		.topic = topic,
		.index = index,
		.slot = slot,
		.broker = NONE,
		.leader_epoch = -1,
		.open = NONE,
		.ready_head = NONE,
		.ready_tail = NONE,
		.sent_head = NONE,
		.sent_tail = NONE,
		.gap_seq = -1,
		.next_ready = NONE,
		.active_index = NONE,
		.proof = NONE,
	};
}

struct partition *sl_partition_add(struct sl_worker *w, uint32_t topic, int32_t index)
{
	struct partition *p;
	uint32_t slot;

	if (w->partition_count == w->options.partitions_max ||
	    sl_arena_partition_add(w->arena, w->topics[topic].slot, index, &slot) < 0)
		return NULL;
	p = &w->partitions[w->partition_count++];
	sl_partition_init(p, topic, index, slot);
	return p;
}

bool sl_partition_idempotent(const struct sl_worker *w, const struct partition *p)
{
	return w->topics[p->topic].settings.idempotent;
}

struct conn *sl_partition_conn(struct sl_worker *w, const struct partition *p)
{
	int16_t acks = w->topics[p->topic].settings.acks;
	enum sl_conn_class class = acks == SL_ACKS_ALL ? SL_CONN_ACKS_ALL
				   : acks == SL_ACKS_ONE ? SL_CONN_ACKS_ONE
							 : SL_CONN_ACKS_NONE;

	return &w->conns[p->broker * SL_CONN_CLASS_COUNT + class];
}

/* Is in worker->active exactly while it owns a batch. */
void sl_partition_active(struct sl_worker *w, struct partition *p)
{
	bool owns = p->open != NONE || p->compressing > 0 || p->ready_head != NONE || p->sent_head != NONE;
	uint32_t index = (uint32_t)(p - w->partitions);
	uint32_t last;

	if (owns == (p->active_index != NONE))
		return;
	if (owns) {
		p->active_index = w->active_count;
		w->active[w->active_count++] = index;
		return;
	}
	last = w->active[--w->active_count];
	w->active[p->active_index] = last;
	w->partitions[last].active_index = p->active_index;
	p->active_index = NONE;
}

static void list_append(struct sl_worker *w, uint32_t *head, uint32_t *tail, uint32_t batch)
{
	w->extras[batch].link = NONE;
	if (*head == NONE)
		*head = batch;
	else
		w->extras[*tail].link = batch;
	*tail = batch;
}

void sl_ready_push(struct sl_worker *w, struct partition *p, uint32_t batch)
{
	list_append(w, &p->ready_head, &p->ready_tail, batch);
}

uint32_t sl_ready_pop(struct sl_worker *w, struct partition *p)
{
	uint32_t batch = p->ready_head;

	SL_ASSERT(batch != NONE);
	p->ready_head = w->extras[batch].link;
	if (p->ready_head == NONE)
		p->ready_tail = NONE;
	return batch;
}

void sl_sent_push(struct sl_worker *w, struct partition *p, uint32_t batch)
{
	list_append(w, &p->sent_head, &p->sent_tail, batch);
	p->sent_count++;
	SL_ASSERT(p->sent_count <= SENT_MAX);
}

void sl_sent_remove(struct sl_worker *w, struct partition *p, uint32_t batch)
{
	uint32_t previous = NONE;
	uint32_t b = p->sent_head;

	while (b != batch) {
		SL_ASSERT(b != NONE);
		previous = b;
		b = w->extras[b].link;
	}
	if (previous == NONE)
		p->sent_head = w->extras[batch].link;
	else
		w->extras[previous].link = w->extras[batch].link;
	if (p->sent_tail == batch)
		p->sent_tail = previous;
	p->sent_count--;
}

void sl_sent_replace(struct sl_worker *w, struct partition *p, uint32_t batch, uint32_t first, uint32_t last,
		     uint32_t count)
{
	uint32_t b = p->sent_head;

	if (b == batch) {
		p->sent_head = first;
	} else {
		while (w->extras[b].link != batch)
			b = w->extras[b].link;
		w->extras[b].link = first;
	}
	if (p->sent_tail == batch)
		p->sent_tail = last;
	p->sent_count += count - 1;
}

/*
 * A leader that forgot an idle producer (producer.id.expiration.ms, a day unless it is set lower) takes any number as its
 * first: then a second batch could be written though the first was refused.
 */
static bool still_warm(const struct sl_worker *w, const struct partition *p)
{
	return p->warm && w->now_ns - p->success_ns < REMEMBERED_S * SL_NS_PER_S;
}

/* May one more batch be in flight, by the rules above? */
static bool window_open(const struct sl_worker *w, const struct partition *p)
{
	if (p->held || p->broker == NONE || p->gap_seq >= 0 || p->lost || p->doubt)
		return false;
	if (sl_partition_idempotent(w, p) && w->pid_slot == NONE)
		return false;
	/* Numbers of another producer id begin when nothing under the last one is open. */
	if (p->sent_head != NONE && sl_batch_life(w->arena, p->sent_head).pid_slot != w->pid_slot &&
	    sl_partition_idempotent(w, p))
		return false;
	if (p->in_flight == 0)
		return true;
	return still_warm(w, p) && sl_partition_idempotent(w, p) && p->sent_count < SENT_MAX;
}

static bool resend_open(const struct sl_worker *w, const struct partition *p)
{
	if (p->held || p->broker == NONE)
		return false;
	if (p->doubt)
		return p->doubt == DOUBT_PROVES && p->in_flight == 0;
	/* Pieces of a batch that was cut may make more than five: a broker remembers no more. Without sequences it would
	 * take a later piece though an earlier one has to be cut again. */
	return p->in_flight == 0 || (still_warm(w, p) && sl_partition_idempotent(w, p) && p->in_flight < SENT_MAX);
}

static bool open_leaves(const struct sl_worker *w, const struct partition *p)
{
	return p->open != NONE && p->leave && p->compressing == 0 && sl_batch_records(w->arena, p->open) > 0;
}

bool sl_partition_can_send(const struct sl_worker *w, const struct partition *p)
{
	if (p->in_flight < p->sent_count)
		return resend_open(w, p);
	if (!window_open(w, p))
		return false;
	return p->ready_head != NONE || (!w->topics[p->topic].settings.codec && open_leaves(w, p));
}

/* The batch that sl_partition_next_batch() would take; the partition can send. */
uint32_t sl_partition_peek(const struct sl_worker *w, const struct partition *p)
{
	uint32_t batch;

	if (p->in_flight == p->sent_count)
		return p->ready_head != NONE ? p->ready_head : p->open;
	if (p->doubt)
		return p->proof;
	for (batch = p->sent_head; w->extras[batch].in_flight; batch = w->extras[batch].link)
		;
	return batch;
}

/* Takes the next batch (sealed by now), numbers it unless it is sent again, and counts it as in flight. NONE: no numbers to be had. */
uint32_t sl_partition_next_batch(struct sl_worker *w, struct partition *p)
{
	bool again = p->in_flight < p->sent_count;
	uint32_t batch = sl_partition_peek(w, p);

	if (again) {
		sl_batch_resent(w->arena, batch);
		STAT_ADD(w->stats.batches_resent, 1);
	} else {
		uint32_t now_s = (uint32_t)(w->env->realtime_ms(w->env->ctx) / 1000);
		uint32_t pid_slot = sl_partition_idempotent(w, p) ? w->pid_slot : (uint32_t)SL_ARENA_PID_NONE;

		if (sl_batch_number(w->arena, batch, pid_slot, now_s) == -EOVERFLOW) {
			w->pid_slot = NONE; /* its epochs are used up: everything waits for a new one */
			w->pid_lost = true;
			return NONE;
		}
		SL_ASSERT(sl_ready_pop(w, p) == batch);
		sl_sent_push(w, p, batch);
		STAT_ADD(w->stats.batches_sent, 1);
	}
	w->extras[batch].in_flight = true;
	p->in_flight++;
	return batch;
}

/* Puts the partition on its connection's list, or takes it off, as what it may send has changed. */
void sl_partition_update(struct sl_worker *w, struct partition *p)
{
	bool can;

	sl_partition_active(w, p);
	/* With compression the open batch closes as soon as the pipe is free, since compressing takes a while. */
	if (w->topics[p->topic].settings.codec && p->ready_head == NONE && open_leaves(w, p) && window_open(w, p) &&
	    p->in_flight == p->sent_count)
		sl_partition_seal(w, p);
	can = sl_partition_can_send(w, p);
	if (can && !p->listed_in)
		sl_conn_ready_push(w, sl_partition_conn(w, p), p);
	else if (!can && p->listed_in)
		sl_conn_ready_remove(w, p);
}

void sl_partition_update_all(struct sl_worker *w)
{
	uint32_t i;

	for (i = 0; i < w->active_count; i++)
		sl_partition_update(w, &w->partitions[w->active[i]]);
}

/* The open batch waits for nobody any more. */
void sl_partition_leave(struct sl_worker *w, struct partition *p)
{
	if (p->open == NONE)
		return;
	sl_heap_remove(&w->linger, (uint32_t)(p - w->partitions));
	p->leave = true;
	sl_partition_update(w, p);
}

/* Holds the partition until the control thread says how to go on. */
void sl_partition_trouble(struct sl_worker *w, struct partition *p, int16_t error, int32_t leader_hint)
{
	struct sl_msg msg = {
		.kind = SL_MSG_PARTITION_TROUBLE,
		.a = p->topic,
		.b = (uint32_t)p->index | (uint64_t)p->attempts << 32,
		.c = (uint16_t)error | (uint64_t)(uint32_t)leader_hint << 16,
	};

	p->warm = false;
	if (p->held)
		return;
	p->held = true;
	sl_available_update(w, p);
	p->attempts++;
	sl_worker_tell(w, &msg);
}

bool sl_sequence_before(uint32_t a, uint32_t b)
{
	return ((b - a) & INT32_MAX) < (1u << 30) && a != b;
}

/* Numbers that went to the broker but are in its log by no account: their batches get new ones. */
static void renumber(struct sl_worker *w, struct partition *p)
{
	uint32_t first = p->sent_head, last = p->sent_tail;
	uint32_t batch;

	for (batch = first; batch != NONE; batch = w->extras[batch].link)
		sl_batch_unnumber(w->arena, batch);
	if (first != NONE) { /* they go before what was never numbered */
		w->extras[last].link = p->ready_head;
		if (p->ready_head == NONE)
			p->ready_tail = last;
		p->ready_head = first;
	}
	p->sent_head = NONE;
	p->sent_tail = NONE;
	p->sent_count = 0;
	p->gap_seq = -1;
	p->lost = false;
	p->warm = false;
	STAT_ADD(w->stats.producer_epochs_bumped, 1);
}

bool sl_partition_epoch_next(struct sl_worker *w, const struct partition *p)
{
	if (sl_partition_epoch_bump(w->arena, p->slot) == 0)
		return true;
	w->pid_slot = NONE; /* its epochs are used up: everything waits for a new one */
	w->pid_lost = true;
	return false;
}

void sl_partition_start_over(struct sl_worker *w, struct partition *p)
{
	uint32_t batch, next;

	for (batch = p->sent_head; batch != NONE; batch = next) {
		next = w->extras[batch].link;
		if (!w->extras[batch].unclean)
			continue;
		sl_sent_remove(w, p, batch);
		sl_batch_settle(w, batch, SL_OUTCOME_UNKNOWN, w->extras[batch].error, -1);
	}
	sl_partition_epoch_next(w, p);
	sl_flight_epoch(w, p);
	renumber(w, p);
}

/*
 * After a batch that failed for good, or when the leader does not accept our sequence: this partition alone starts over
 * under the next epoch, once nothing of it is in flight. A batch of which some attempt went unanswered may be in the log,
 * and must not be written under new numbers: then its leader is asked first.
 */
void sl_partition_recover(struct sl_worker *w, struct partition *p)
{
	if (p->in_flight > 0 || p->doubt)
		return;
	if (sl_doubt_aged(w, p))
		p->lost = true;
	if (p->gap_seq < 0 && !p->lost)
		return;
	if (!p->lost && p->sent_head != NONE &&
	    sl_sequence_before(sl_batch_life(w->arena, p->sent_head).base_seq, (uint32_t)p->gap_seq))
		return; /* sent before the gap: those go on under their numbers */
	if (!sl_doubt_begin(w, p))
		sl_partition_start_over(w, p);
}

/* Batches whose delivery deadline is over. What is in flight is left to its answer or the connection's end. */
static void expire(struct sl_worker *w, struct partition *p)
{
	uint64_t up_ns = sl_up_ns(w);

	while (p->in_flight == 0 && p->sent_head != NONE && sl_batch_left_ns(w->arena, p->sent_head, up_ns) <= 0) {
		uint32_t batch = p->sent_head;
		struct batch_extra *extra = &w->extras[batch];
		uint32_t base_seq = sl_batch_life(w->arena, batch).base_seq;
		bool unclean = extra->unclean;

		sl_sent_remove(w, p, batch);
		sl_doubt_gone(p, batch);
		if (!unclean && sl_partition_idempotent(w, p))
			p->gap_seq = (int32_t)base_seq;
		sl_batch_settle(w, batch, unclean ? SL_OUTCOME_UNKNOWN : SL_OUTCOME_FAILED,
				extra->error ? extra->error : SL_KAFKA_REQUEST_TIMED_OUT, -1);
		sl_partition_recover(w, p);
	}
	if (p->sent_head != NONE)
		return; /* those in front first: outcomes follow the order of records */
	while (p->ready_head != NONE && sl_batch_left_ns(w->arena, p->ready_head, up_ns) <= 0)
		sl_batch_settle(w, sl_ready_pop(w, p), SL_OUTCOME_FAILED, SL_KAFKA_REQUEST_TIMED_OUT, -1);
	if (p->open != NONE && p->ready_head == NONE && p->compressing == 0 &&
	    sl_batch_left_ns(w->arena, p->open, up_ns) <= 0 && sl_batch_records(w->arena, p->open) > 0) {
		uint32_t batch = p->open;

		sl_heap_remove(&w->linger, (uint32_t)(p - w->partitions));
		p->open = NONE;
		sl_batch_settle(w, batch, SL_OUTCOME_FAILED, SL_KAFKA_REQUEST_TIMED_OUT, -1);
	}
}

void sl_partitions_scan(struct sl_worker *w)
{
	uint32_t i = w->active_count;

	while (i-- > 0) { /* backwards: a partition that is through leaves the list */
		struct partition *p = &w->partitions[w->active[i]];

		expire(w, p);
		sl_partition_recover(w, p);
		sl_doubt_scan(w, p);
		sl_partition_update(w, p);
	}
}
