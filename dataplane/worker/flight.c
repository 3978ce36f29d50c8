/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/worker/flight.h"

#include "dataplane/worker/internal.h"

int sl_flights_init(struct sl_worker *w)
{
	int rc = sl_flight_init(&w->flight, SL_FLIGHT_EVENTS);

	return rc < 0 ? rc : sl_flight_init(&w->unknowns, SL_FLIGHT_UNKNOWNS);
}

void sl_flights_fini(struct sl_worker *w)
{
	sl_flight_fini(&w->flight);
	sl_flight_fini(&w->unknowns);
}

const struct sl_flight *sl_worker_events(const struct sl_worker *w)
{
	return &w->flight;
}

const struct sl_flight *sl_worker_unknowns(const struct sl_worker *w)
{
	return &w->unknowns;
}

void sl_flight_note(struct sl_worker *w, const struct sl_flight_event *event)
{
	struct sl_flight_event stamped = *event;

	stamped.at_ms = w->env->realtime_ms(w->env->ctx);
	sl_flight_put(&w->flight, &stamped);
}

/* The broker's node, since its index may mean another one by the time that somebody reads. */
static uint64_t node_word(const struct sl_worker *w, uint32_t broker)
{
	return (uint64_t)(int64_t)(broker == NONE ? SL_FLIGHT_NODE_NONE : w->brokers[broker].node);
}

/* The first leader of a partition is no news. */
void sl_flight_leader(struct sl_worker *w, struct partition *p, uint32_t before)
{
	bool news = p->led && before != p->broker;

	p->led = p->led || p->broker != NONE;
	if (!news)
		return;
	sl_flight_note(w, &(struct sl_flight_event){.kind = SL_FLIGHT_LEADER,
						    .a = p->topic,
						    .b = p->index,
						    .c = node_word(w, before),
						    .d = node_word(w, p->broker),
						    .e = (uint64_t)(int64_t)p->leader_epoch});
}

void sl_flight_refused(struct sl_worker *w, const struct partition *p, uint32_t batch,
		       int16_t error)
{
	struct sl_life life = sl_batch_life(w->arena, batch);

	sl_flight_note(w, &(struct sl_flight_event){.kind = SL_FLIGHT_REFUSED,
						    .a = p->topic,
						    .b = p->index,
						    .code = error,
						    .c = node_word(w, p->broker),
						    .d = sl_batch_records(w->arena, batch),
						    .e = life.base_seq,
						    .f = life.epoch});
}

/* Called at each success: attempts counts what went before it. */
void sl_flight_mended(struct sl_worker *w, const struct partition *p)
{
	if (p->attempts == 0)
		return;
	sl_flight_note(w, &(struct sl_flight_event){.kind = SL_FLIGHT_MENDED,
						    .a = p->topic,
						    .b = p->index,
						    .d = p->attempts});
}

/* The partition has its new epoch, and still knows why. */
void sl_flight_epoch(struct sl_worker *w, const struct partition *p)
{
	uint64_t seq =
		atomic_load_explicit(&w->arena->partitions[p->slot].seq, memory_order_relaxed);

	sl_flight_note(w, &(struct sl_flight_event){
				  .kind = SL_FLIGHT_EPOCH,
				  .a = p->topic,
				  .b = p->index,
				  .code = p->sent_head != NONE ? w->extras[p->sent_head].error : 0,
				  .d = p->lost ? SL_FLIGHT_WHY_LOST : SL_FLIGHT_WHY_GAP,
				  .e = sl_partition_seq_unpack(seq).epoch});
}

void sl_flight_throttled(struct sl_worker *w, const struct conn *c, int32_t throttle_ms)
{
	sl_flight_note(w, &(struct sl_flight_event){.kind = SL_FLIGHT_THROTTLED,
						    .b = (int32_t)c->class,
						    .c = node_word(w, c->broker),
						    .d = (uint64_t)throttle_ms});
}

static void unknown_put(struct sl_worker *w, const struct partition *p, uint32_t batch,
			int16_t error)
{
	struct sl_life life = sl_batch_life(w->arena, batch);
	struct sl_flight_event event = {
		.at_ms = w->env->realtime_ms(w->env->ctx),
		.kind = SL_FLIGHT_UNKNOWN,
		.a = p->topic,
		.b = p->index,
		.code = error,
		.c = (uint64_t)INT64_C(-1),
		.d = (uint64_t)sl_batch_records(w->arena, batch) << 32,
		.f = node_word(w, p->broker),
	};

	if (life.pid_slot < SL_ARENA_PIDS) {
		event.c = (uint64_t)w->arena->header->pids[life.pid_slot].producer_id;
		event.d |= life.epoch;
		event.e = life.base_seq;
	}
	sl_flight_put(&w->unknowns, &event);
}

void sl_flight_ended(struct sl_worker *w, const struct partition *p, uint32_t batch,
		     enum sl_outcome outcome, int16_t error)
{
	if (outcome == SL_OUTCOME_PERSISTED)
		return;
	if (outcome == SL_OUTCOME_UNKNOWN)
		unknown_put(w, p, batch, error);
	sl_flight_note(w, &(struct sl_flight_event){.kind = outcome == SL_OUTCOME_UNKNOWN
								    ? SL_FLIGHT_UNKNOWN
								    : SL_FLIGHT_FAILED,
						    .a = p->topic,
						    .b = p->index,
						    .code = error,
						    .d = sl_batch_records(w->arena, batch)});
}
