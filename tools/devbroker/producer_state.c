/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/devbroker/producer_state.h"

#include <stdlib.h>
#include <string.h>

#include "dataplane/base/assert.h"
#include "tools/devbroker/errors.h"

enum { SLOT_COUNT_MIN = 8 };

void sl_db_producers_init(struct sl_db_producers *producers, bool first_sequence_zero)
{
	*producers = (struct sl_db_producers){.first_sequence_zero = first_sequence_zero};
}

void sl_db_producers_fini(struct sl_db_producers *producers)
{
	sl_db_producers_forget(producers);
}

void sl_db_producers_forget(struct sl_db_producers *producers)
{
	free(producers->slots);
	producers->slots = NULL;
	producers->slot_count = 0;
	producers->count = 0;
}

int32_t sl_db_sequence_last(int32_t base, uint32_t count)
{
	SL_ASSERT(base >= 0 && count >= 1);
	return (int32_t)(((uint32_t)base + (count - 1)) & (uint32_t)SL_DB_SEQUENCE_MAX);
}

static int32_t sequence_next(int32_t sequence)
{
	return sequence == SL_DB_SEQUENCE_MAX ? 0 : sequence + 1;
}

/* The producer's slot, or the free one where it belongs; there is always a free one. */
static struct sl_db_producer *slot_of(struct sl_db_producer *slots, uint32_t slot_count, int64_t id)
{
	/* Ids are handed out one by one: spread them. */
	uint32_t at = (uint32_t)(((uint64_t)id * UINT64_C(0x9E3779B97F4A7C15)) >> 32);

	for (;; at++) {
		struct sl_db_producer *slot = &slots[at & (slot_count - 1)];

		if (slot->id == id || slot->id < 0)
			return slot;
	}
}

static const struct sl_db_producer *find(const struct sl_db_producers *producers, int64_t id)
{
	const struct sl_db_producer *slot;

	if (producers->count == 0)
		return NULL;
	slot = slot_of(producers->slots, producers->slot_count, id);
	return slot->id == id ? slot : NULL;
}

static bool grow(struct sl_db_producers *producers)
{
	uint32_t slot_count = producers->slot_count ? producers->slot_count * 2 : SLOT_COUNT_MIN;
	struct sl_db_producer *slots = malloc(slot_count * sizeof(*slots));
	uint32_t i;

	if (!slots)
		return false;
	for (i = 0; i < slot_count; i++)
		slots[i].id = -1;
	for (i = 0; i < producers->slot_count; i++)
		if (producers->slots[i].id >= 0)
			*slot_of(slots, slot_count, producers->slots[i].id) = producers->slots[i];
	free(producers->slots);
	producers->slots = slots;
	producers->slot_count = slot_count;
	return true;
}

static const struct sl_db_producer_batch *duplicate_find(const struct sl_db_producer *producer,
							 const struct sl_db_claim *claim)
{
	int32_t last = sl_db_sequence_last(claim->base_sequence, claim->record_count);
	uint32_t i;

	if (producer->epoch != claim->epoch)
		return NULL;
	for (i = 0; i < producer->batch_count; i++)
		if (producer->batches[i].first_sequence == claim->base_sequence &&
		    producer->batches[i].last_sequence == last)
			return &producer->batches[i];
	return NULL;
}

int16_t sl_db_producers_check(const struct sl_db_producers *producers,
			      const struct sl_db_claim *claim,
			      const struct sl_db_producer_batch **duplicate)
{
	const struct sl_db_producer *producer = find(producers, claim->producer_id);
	int32_t last;

	SL_ASSERT(claim->producer_id >= 0 && claim->base_sequence >= 0);
	*duplicate = NULL;
	if (!producer) {
		if (producers->first_sequence_zero && claim->base_sequence != 0)
			return SL_DB_UNKNOWN_PRODUCER_ID;
		return SL_DB_NONE;
	}
	*duplicate = duplicate_find(producer, claim);
	if (*duplicate)
		return SL_DB_NONE;
	if (claim->epoch < producer->epoch)
		return SL_DB_INVALID_PRODUCER_EPOCH;
	if (claim->epoch > producer->epoch)
		return claim->base_sequence == 0 ? SL_DB_NONE : SL_DB_OUT_OF_ORDER_SEQUENCE;
	SL_ASSERT(producer->batch_count > 0);
	last = producer->batches[producer->batch_count - 1].last_sequence;
	return claim->base_sequence == sequence_next(last) ? SL_DB_NONE
							   : SL_DB_OUT_OF_ORDER_SEQUENCE;
}

void sl_db_producers_note(struct sl_db_producers *producers, const struct sl_db_claim *claim,
			  int64_t base_offset)
{
	struct sl_db_producer *producer;

	/* At most half full, so that a search ends soon. */
	if (producers->count * 2 >= producers->slot_count && !grow(producers))
		return;
	producer = slot_of(producers->slots, producers->slot_count, claim->producer_id);
	if (producer->id < 0) {
		producers->count++;
		producer->id = claim->producer_id;
		producer->epoch = claim->epoch;
		producer->batch_count = 0;
	}
	if (producer->epoch != claim->epoch) {
		producer->epoch = claim->epoch;
		producer->batch_count = 0;
	}
	if (producer->batch_count == SL_DB_PRODUCER_BATCHES_MAX) {
		producer->batch_count--;
		memmove(&producer->batches[0], &producer->batches[1],
			producer->batch_count * sizeof(producer->batches[0]));
	}
	producer->batches[producer->batch_count++] = (struct sl_db_producer_batch){
		.first_sequence = claim->base_sequence,
		.last_sequence = sl_db_sequence_last(claim->base_sequence, claim->record_count),
		.base_offset = base_offset,
		.max_timestamp_ms = claim->max_timestamp_ms,
	};
}
