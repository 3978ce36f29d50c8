/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A batch that some attempt left unanswered may be in the log, and a refusal of the next attempt does not deny it. Before
 * such a batch may be cut, fail, or get new numbers, the partition's leader is asked what it has of us (DescribeProducers,
 * KIP-664; the control thread does it, agent/resolution.c). What it says is its log's end, which a failover may still cut
 * off: it chooses what to send again, and the answer to that is the proof.
 *
 *   last sequence     then
 *   before the head   it was not written, once no orphan of an attempt can be executed any more: it goes out again as it
 *                     is, and what is said to that attempt is believed
 *   a batch's end     that one goes out again: it is in the leader's memory, and its success proves all before it
 *   unknown to us     or nobody may ask: those in doubt become unknown, the partition starts over
 */
#include "dataplane/worker/internal.h"

#include "dataplane/wire/error_code.h"

#define ASK_AGAIN_NS_MAX (2 * SL_NS_PER_S)
/* Half of the time after which brokers forget an idle producer (producer.id.expiration.ms, a day unless set). */
#define NUMBERS_AGE_MS (INT64_C(43200) * 1000)

static bool any_unclean(const struct sl_worker *w, const struct partition *p)
{
	uint32_t batch;

	for (batch = p->sent_head; batch != NONE; batch = w->extras[batch].link)
		if (w->extras[batch].unclean)
			return true;
	return false;
}

/* May the broker have forgotten the numbers of what is SENT? It would take any number then, and write twice. */
static bool numbers_old(const struct sl_worker *w, const struct partition *p)
{
	const struct sl_arena_partition *slot = &w->arena->partitions[p->slot];
	int64_t now_ms = (int64_t)w->env->realtime_ms(w->env->ctx);
	int64_t last_ms = (int64_t)w->arena->batches[p->sent_head].first_sent_realtime_s * 1000;

	if (slot->last_ack_realtime_ms > last_ms)
		last_ms = slot->last_ack_realtime_ms;
	if (slot->last_ack_max_ts >= 0 && now_ms - slot->last_ack_max_ts > NUMBERS_AGE_MS)
		return true;
	return now_ms - last_ms > NUMBERS_AGE_MS;
}

/* What a broker remembers lasts as long as the records' own timestamps say. */
static bool records_old(const struct sl_worker *w, const struct partition *p)
{
	int64_t now_ms = (int64_t)w->env->realtime_ms(w->env->ctx);
	uint32_t batch;

	for (batch = p->sent_head; batch != NONE; batch = w->extras[batch].link)
		if (now_ms - w->arena->batches[batch].max_ts > NUMBERS_AGE_MS)
			return true;
	return false;
}

/* Only numbers can be asked about. A reload may have changed what the topic's next batches get. */
static bool numbered(const struct sl_worker *w, uint32_t batch)
{
	return batch != NONE && sl_batch_life(w->arena, batch).pid_slot != SL_ARENA_PID_NONE;
}

bool sl_doubt_aged(const struct sl_worker *w, const struct partition *p)
{
	return numbered(w, p->sent_head) && any_unclean(w, p) && numbers_old(w, p);
}

/* The highest epoch that a batch was sent under: a leader of an older one does not know what we did since. */
static uint32_t epoch_sent(const struct sl_worker *w, const struct partition *p)
{
	int32_t sent = (int32_t)w->arena->partitions[p->slot].leader_epoch;

	return (uint32_t)(sent > p->leader_epoch ? sent : p->leader_epoch);
}

static void ask(struct sl_worker *w, struct partition *p)
{
	uint32_t pid_slot = sl_batch_life(w->arena, p->sent_head).pid_slot;
	struct sl_msg msg = {
		.kind = SL_MSG_PARTITION_DOUBT,
		.a = p->topic,
		.b = (uint32_t)p->index | (uint64_t)epoch_sent(w, p) << 32,
		.c = (uint64_t)w->arena->header->pids[pid_slot].producer_id,
	};

	p->doubt = DOUBT_ASKED;
	p->doubt_asked++;
	sl_worker_tell(w, &msg);
}

static void wait_until(struct partition *p, uint64_t due_ns)
{
	p->doubt = DOUBT_WAITS;
	p->doubt_due_ns = due_ns;
	p->proof = NONE;
}

static void ask_later(struct sl_worker *w, struct partition *p)
{
	uint64_t pause_ns = (SL_NS_PER_S / 10) << (p->doubt_asked < 6 ? p->doubt_asked : 6);

	wait_until(p, w->now_ns + (pause_ns < ASK_AGAIN_NS_MAX ? pause_ns : ASK_AGAIN_NS_MAX));
}

static void over(struct partition *p)
{
	p->doubt = DOUBT_NONE;
	p->doubt_asked = 0;
	p->proof = NONE;
}

bool sl_doubt_begin(struct sl_worker *w, struct partition *p)
{
	if (!numbered(w, p->sent_head) || !any_unclean(w, p))
		return false;
	ask(w, p);
	return true;
}

void sl_doubt_resumed(struct sl_worker *w, struct partition *p)
{
	p->lost = true;
	wait_until(p, w->now_ns); /* its leader has to be known first */
}

/* Answers after which the same batch is sent once more in any case. */
static bool sent_again(enum sl_error_action action)
{
	return action == SL_ACTION_RETRY || action == SL_ACTION_RETRY_FEW || action == SL_ACTION_REFRESH_RETRY ||
	       action == SL_ACTION_RENEGOTIATE || action == SL_ACTION_REBOOTSTRAP;
}

bool sl_doubt_refused(struct sl_worker *w, struct partition *p, uint32_t batch, int16_t error)
{
	enum sl_error_action action = sl_kafka_error_action(error);

	if (!w->extras[batch].unclean || !numbered(w, batch) || sent_again(action))
		return false;
	if (action == SL_ACTION_RESOLVE && p->doubt == DOUBT_NONE)
		return false; /* what it means depends on what is before it */
	p->warm = false;
	p->lost = true;
	if (p->doubt)
		ask_later(w, p);
	return true;
}

/* No attempt is left that could still write them. */
static bool orphans_dead(const struct sl_worker *w, const struct partition *p)
{
	return p->orphan_ns == 0 || w->now_ns - p->orphan_ns >= w->options.orphan_ttl_ns;
}

static void nobody_knows(struct sl_worker *w, struct partition *p)
{
	over(p);
	sl_partition_start_over(w, p);
}

static void not_written(struct sl_worker *w, struct partition *p, bool continues)
{
	uint32_t batch;

	if (w->options.resume_strict) {
		nobody_knows(w, p);
		return;
	}
	if (!orphans_dead(w, p)) {
		wait_until(p, p->orphan_ns + w->options.orphan_ttl_ns);
		return;
	}
	for (batch = p->sent_head; batch != NONE; batch = w->extras[batch].link)
		w->extras[batch].unclean = false;
	over(p);
	p->lost = !continues; /* behind a batch that never came to be, the numbers have to start over */
	sl_partition_recover(w, p);
}

static uint32_t batch_ending_at(const struct sl_worker *w, const struct partition *p, uint32_t last_seq)
{
	uint32_t batch = p->sent_head;

	while (batch != NONE) {
		uint32_t end = sl_batch_life(w->arena, batch).base_seq + sl_batch_records(w->arena, batch) - 1;

		if ((end & INT32_MAX) == last_seq)
			break;
		batch = w->extras[batch].link;
	}
	return batch;
}

/*
 * Somebody else numbers under our producer id (an arena that was copied). Ours go on beyond its epoch: with the same epoch
 * the leader would take them for duplicates of the other's.
 */
static void fenced(struct sl_worker *w, struct partition *p, int16_t epoch)
{
	_Atomic uint64_t *seq = &w->arena->partitions[p->slot].seq;

	nobody_knows(w, p);
	while (sl_partition_seq_unpack(atomic_load_explicit(seq, memory_order_relaxed)).epoch <= epoch)
		if (!sl_partition_epoch_next(w, p))
			return;
}

/* The leader has nothing under this epoch: so it is if nothing was ever there, and it cannot have been forgotten. */
static void nothing_seen(struct sl_worker *w, struct partition *p)
{
	uint32_t head = p->sent_head;
	uint64_t now_s = w->env->realtime_ms(w->env->ctx) / 1000;
	uint32_t first_s = w->arena->batches[head].first_sent_realtime_s;

	if (sl_batch_life(w->arena, head).base_seq == 0 && now_s < (uint64_t)first_s + REMEMBERED_S && !records_old(w, p))
		not_written(w, p, true);
	else
		nobody_knows(w, p);
}

static void last_seen(struct sl_worker *w, struct partition *p, uint32_t last_seq)
{
	uint32_t base = sl_batch_life(w->arena, p->sent_head).base_seq;
	uint32_t batch = batch_ending_at(w, p, last_seq);

	if (batch != NONE) {
		p->doubt = DOUBT_PROVES;
		p->proof = batch;
	} else if (sl_sequence_before(last_seq, base)) {
		not_written(w, p, ((last_seq + 1) & INT32_MAX) == base);
	} else {
		nobody_knows(w, p);
	}
}

void sl_doubt_seen(struct sl_worker *w, struct partition *p, enum sl_seen seen, int16_t epoch, uint32_t last_seq)
{
	int16_t ours;

	if (p->doubt != DOUBT_ASKED)
		return; /* its batches have expired meanwhile */
	ours = (int16_t)sl_batch_life(w->arena, p->sent_head).epoch;
	if (seen == SL_SEEN_AGAIN)
		ask_later(w, p);
	else if (seen == SL_SEEN_AT && epoch > ours)
		fenced(w, p, epoch);
	else if (seen == SL_SEEN_NEVER)
		nobody_knows(w, p);
	else if (seen == SL_SEEN_NONE || epoch < ours)
		nothing_seen(w, p);
	else
		last_seen(w, p, last_seq);
}

/* Another leader: what the last one said counts no more. An answer that is on its way is of a proven leader, or none. */
void sl_doubt_moved(struct sl_worker *w, struct partition *p)
{
	if (p->doubt == DOUBT_PROVES)
		wait_until(p, w->now_ns);
}

/* The batch has left the partition. */
void sl_doubt_gone(struct partition *p, uint32_t batch)
{
	if (p->doubt == DOUBT_NONE)
		return;
	if (p->proof == batch) {
		over(p); /* proven, and the leader goes on from there; or expired, and the next answer tells */
		p->lost = false;
	} else if (p->sent_head == NONE) {
		over(p);
	}
}

void sl_doubt_scan(struct sl_worker *w, struct partition *p)
{
	if (p->doubt == DOUBT_WAITS && p->in_flight == 0 && p->broker != NONE && p->doubt_due_ns <= w->now_ns)
		ask(w, p);
}
