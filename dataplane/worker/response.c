/* SPDX-License-Identifier: Apache-2.0 */
/* What a broker said of each batch of a Produce request, and what is made of silence. */
#include "dataplane/worker/internal.h"

#include "dataplane/wire/error_code.h"

enum { RETRY_FEW_MAX = 5 };

/* The request's batch that a result speaks of, looked for from *hint on, since brokers mostly keep the order. */
static uint32_t batch_find(struct sl_worker *w, struct request *r, const struct sl_produce_result *result, uint32_t *hint)
{
	uint32_t n;

	for (n = 0; n < r->batch_count; n++) {
		uint32_t i = (*hint + n) % r->batch_count;
		uint32_t batch = r->batches[i];
		struct partition *p;
		struct topic *topic;

		if (batch == NONE)
			continue;
		p = sl_batch_partition(w, batch);
		topic = &w->topics[p->topic];
		if (p->index != result->index)
			continue;
		if (result->topic.data ? !sl_slice_equal(result->topic, sl_slice_of(topic->object->name))
				       : memcmp(&topic->id, &result->topic_id, sizeof(topic->id)) != 0)
			continue;
		r->batches[i] = NONE;
		*hint = (i + 1) % r->batch_count;
		return batch;
	}
	return NONE;
}

static void landed(struct sl_worker *w, struct partition *p, uint32_t batch)
{
	w->extras[batch].in_flight = false;
	SL_ASSERT(p->in_flight > 0);
	p->in_flight--;
}

static void settle_sent(struct sl_worker *w, struct partition *p, uint32_t batch, enum sl_outcome outcome, int16_t error,
			int64_t base_offset)
{
	sl_sent_remove(w, p, batch);
	sl_batch_settle(w, batch, outcome, error, base_offset);
}

/*
 * Written. With sequences this proves every batch before it too: the leader would have refused this one had any of them
 * been missing. Their offsets are not known.
 */
static void succeeded(struct sl_worker *w, struct partition *p, uint32_t batch, int64_t base_offset)
{
	if (sl_partition_idempotent(w, p)) {
		while (p->sent_head != batch && !w->extras[p->sent_head].in_flight)
			settle_sent(w, p, p->sent_head, SL_OUTCOME_PERSISTED, 0, -1);
		sl_arena_partition_acked(w->arena, p->slot, (int64_t)w->env->realtime_ms(w->env->ctx),
					 w->arena->batches[batch].max_ts, base_offset);
	}
	settle_sent(w, p, batch, SL_OUTCOME_PERSISTED, 0, base_offset);
	sl_doubt_gone(p, batch);
	p->warm = true;
	p->success_ns = w->now_ns;
	sl_flight_mended(w, p);
	p->attempts = 0;
}

/* No attempt of it can succeed. Unless some attempt went unanswered it is certainly not in the log. */
static void failed(struct sl_worker *w, struct partition *p, uint32_t batch, int16_t error)
{
	struct sl_msg msg = {SL_MSG_PARTITION_FAILED, p->topic, (uint32_t)p->index, (uint16_t)error, NULL};
	bool unclean = w->extras[batch].unclean;

	p->warm = false;
	p->attempts = 0;
	if (!unclean && sl_partition_idempotent(w, p) && p->gap_seq < 0)
		p->gap_seq = (int32_t)sl_batch_life(w->arena, batch).base_seq;
	settle_sent(w, p, batch, unclean ? SL_OUTCOME_UNKNOWN : SL_OUTCOME_FAILED, error, -1);
	sl_worker_tell(w, &msg);
}

/*
 * The leader does not accept the sequence. Behind an unresolved batch that is its consequence and costs nothing. At the
 * head the leader has lost what it knew, or a batch whose outcome is unknown left a gap: the partition starts over.
 */
static void out_of_sequence(struct sl_worker *w, struct partition *p, uint32_t batch, int16_t error)
{
	p->warm = false;
	if (p->sent_head == batch && p->gap_seq < 0) {
		p->lost = true;
		w->extras[batch].error = error;
	}
}

static void failed_unless_none(struct sl_worker *w, struct partition *p, uint32_t batch, int16_t error)
{
	if (batch != NONE)
		failed(w, p, batch, error);
}

static void refused(struct sl_worker *w, struct partition *p, uint32_t batch, const struct sl_produce_result *result)
{
	struct batch_extra *extra = &w->extras[batch];
	int16_t error = result->error_code;

	extra->error = error;
	sl_flight_refused(w, p, batch, error);
	if (sl_kafka_error_written(error) != SL_WRITTEN_NO)
		extra->unclean = true;
	else if (sl_doubt_refused(w, p, batch, error))
		return;
	switch (sl_kafka_error_action(error)) {
	case SL_ACTION_RESOLVE:
		out_of_sequence(w, p, batch, error);
		break;
	case SL_ACTION_RETRY_FEW:
		if (p->attempts >= RETRY_FEW_MAX) {
			failed(w, p, batch, error);
			break;
		}
		sl_partition_trouble(w, p, error, result->leader_id);
		break;
	case SL_ACTION_SPLIT:
		failed_unless_none(w, p, sl_cut_large(w, p, batch), error);
		break;
	case SL_ACTION_FAIL_RECORDS:
		failed_unless_none(w, p, sl_cut_records(w, p, batch, &result->record_errors), error);
		break;
	case SL_ACTION_RECOMPRESS:
		failed_unless_none(w, p, sl_cut_codec(w, p, batch), error);
		break;
	case SL_ACTION_RETRY:
	case SL_ACTION_REFRESH_RETRY:
	case SL_ACTION_RENEGOTIATE:
	case SL_ACTION_REBOOTSTRAP:
		sl_partition_trouble(w, p, error, result->leader_id);
		break;
	default:
		failed(w, p, batch, error);
		break;
	}
}

static void result_apply(struct sl_worker *w, uint32_t batch, const struct sl_produce_result *result)
{
	struct partition *p = sl_batch_partition(w, batch);

	landed(w, p, batch);
	if (sl_kafka_error_action(result->error_code) == SL_ACTION_OK)
		succeeded(w, p, batch, result->error_code == 0 ? result->base_offset : -1);
	else
		refused(w, p, batch, result);
	sl_partition_recover(w, p);
	sl_partition_update(w, p);
}

/* What was asked and not answered: it may be in the log. */
static void in_doubt(struct sl_worker *w, uint32_t batch, int16_t error)
{
	struct partition *p = sl_batch_partition(w, batch);

	landed(w, p, batch);
	w->extras[batch].unclean = true;
	w->extras[batch].error = error;
	p->orphan_ns = w->now_ns;
	p->warm = false;
	if (w->topics[p->topic].settings.acks == SL_ACKS_NONE)
		settle_sent(w, p, batch, SL_OUTCOME_UNKNOWN, error, -1);
	sl_partition_recover(w, p);
	sl_partition_update(w, p);
}

static void rest_in_doubt(struct sl_worker *w, struct request *r, int16_t error)
{
	uint32_t i;

	for (i = 0; i < r->batch_count; i++) {
		uint32_t batch = r->batches[i];

		if (batch == NONE)
			continue;
		r->batches[i] = NONE;
		in_doubt(w, batch, error);
	}
	r->batch_count = 0;
}

/* Mutes the connection for as long as the broker says (KIP-219), in bounds of sense. */
static void throttle(struct sl_worker *w, struct conn *c, int32_t throttle_ms)
{
	if (throttle_ms <= 0)
		return;
	if (throttle_ms > 60 * 1000)
		throttle_ms = 60 * 1000;
	c->mute_until_ns = w->now_ns + (uint64_t)throttle_ms * SL_NS_PER_MS;
	sl_flight_throttled(w, c, throttle_ms);
}

/* Returns 0, or a negative errno for an answer that is malformed: the connection is then of no use. */
int sl_produce_answered(struct sl_worker *w, struct request *r, const struct sl_rbuf *body)
{
	struct sl_produce_reader reader, checker;
	struct sl_produce_result result;
	struct sl_produce_end end;
	uint32_t hint = 0;
	int rc = sl_produce_response_begin(&reader, body, r->version);

	/* Nothing is believed of an answer that is malformed further on. */
	checker = reader;
	if (rc == 0)
		rc = sl_produce_response_end(&checker, &end);
	if (rc < 0)
		return rc;
	throttle(w, &w->conns[r->conn], end.throttle_ms);
	while (sl_produce_response_next(&reader, &result) == 1) {
		uint32_t batch = batch_find(w, r, &result, &hint);

		if (sl_kafka_error_action(result.error_code) == SL_ACTION_RENEGOTIATE)
			w->conns[r->conn].versions_stale = true;
		if (batch != NONE)
			result_apply(w, batch, &result);
	}
	/* A partition that the answer leaves out is in doubt, and is sent again like one whose connection broke. */
	rest_in_doubt(w, r, SL_KAFKA_NETWORK_EXCEPTION);
	return 0;
}

void sl_produce_unanswered(struct sl_worker *w, struct request *r, int error)
{
	rest_in_doubt(w, r, error == -ETIMEDOUT ? SL_KAFKA_REQUEST_TIMED_OUT : SL_KAFKA_NETWORK_EXCEPTION);
}

/* acks=0: there is no answer. The bytes are with the kernel; what became of them nobody will say, so nor do we. */
void sl_produce_sent_unacked(struct sl_worker *w, struct request *r)
{
	uint32_t i;

	for (i = 0; i < r->batch_count; i++) {
		struct partition *p = sl_batch_partition(w, r->batches[i]);

		landed(w, p, r->batches[i]);
		settle_sent(w, p, r->batches[i], SL_OUTCOME_UNKNOWN, 0, -1);
		sl_partition_update(w, p);
	}
	r->batch_count = 0;
}
