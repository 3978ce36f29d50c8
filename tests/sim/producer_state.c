/* SPDX-License-Identifier: Apache-2.0 */
/* What a broker remembers of each producer on one partition, and what it makes of a batch's
 * numbers. */
#include <string.h>

#include "dataplane/wire/error_code.h"
#include "tests/sim/sim.h"

struct model_producer *producer_find(struct replica *replica, int64_t producer_id)
{
	for (uint32_t i = 0; i < MODEL_PRODUCERS_MAX; i++)
		if (replica->producers[i].id == producer_id)
			return &replica->producers[i];
	return NULL;
}

void producer_forget(struct replica *replica, int64_t producer_id)
{
	struct model_producer *producer = producer_find(replica, producer_id);

	if (producer)
		producer->id = -1;
}

static int32_t last_of(int32_t base, uint32_t count)
{
	return (int32_t)(((uint32_t)base + count - 1) & INT32_MAX);
}

int16_t producer_check(struct sim *sim, struct replica *replica, const struct sl_batch_view *view,
		       uint32_t release, bool *duplicate, struct call *call)
{
	struct model_producer *producer = producer_find(replica, view->producer_id);
	int32_t last = last_of(view->base_sequence, (uint32_t)view->record_count);

	*duplicate = false;
	if (!producer) /* brokers of 2.5 and later take any sequence as the first */
		return release > 1 || view->base_sequence == 0 ? 0 : SL_KAFKA_UNKNOWN_PRODUCER_ID;
	if (producer->epoch == view->producer_epoch)
		for (uint32_t i = 0; i < producer->window_count; i++)
			if (producer->window[i].first == view->base_sequence &&
			    producer->window[i].last == last) {
				*duplicate = true;
				call->base_offset = producer->window[i].offset;
				call->append_time_ms = producer->window[i].timestamp_ms;
				sim->cluster.duplicates++;
				return 0;
			}
	if (view->producer_epoch < producer->epoch)
		return SL_KAFKA_INVALID_PRODUCER_EPOCH;
	if (view->producer_epoch > producer->epoch
		    ? view->base_sequence != 0
		    : view->base_sequence != last_of(producer->last_sequence, 2)) {
		sim->cluster.out_of_order++;
		return SL_KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER;
	}
	return 0;
}

void producer_note(struct sim *sim, struct replica *replica, const struct model_batch *batch,
		   int64_t offset)
{
	struct model_producer *producer;
	int32_t last = last_of(batch->base_sequence, batch->count);

	if (batch->producer_id < 0)
		return;
	producer = producer_find(replica, batch->producer_id);
	if (!producer) {
		producer = producer_find(replica, -1);
		if (!producer)
			sim_violation(sim, "more producer ids than the model has room for");
		*producer = (struct model_producer){.id = batch->producer_id,
						    .epoch = batch->producer_epoch};
	}
	if (producer->epoch != batch->producer_epoch)
		producer->window_count = 0;
	producer->epoch = batch->producer_epoch;
	producer->last_sequence = last;
	producer->last_timestamp_ms = batch->max_timestamp_ms;
	if (producer->window_count == MODEL_WINDOW) {
		memmove(&producer->window[0], &producer->window[1],
			(MODEL_WINDOW - 1) * sizeof(producer->window[0]));
		producer->window_count--;
	}
	producer->window[producer->window_count].first = batch->base_sequence;
	producer->window[producer->window_count].last = last;
	producer->window[producer->window_count].timestamp_ms = batch->max_timestamp_ms;
	producer->window[producer->window_count++].offset = offset;
}
