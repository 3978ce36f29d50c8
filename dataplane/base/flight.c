/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/base/flight.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/base/assert.h"

int sl_flight_init(struct sl_flight *flight, uint32_t slot_count)
{
	SL_ASSERT(slot_count > 0 && (slot_count & (slot_count - 1)) == 0);
	flight->slots = calloc(slot_count, sizeof(*flight->slots));
	flight->slot_count = slot_count;
	atomic_init(&flight->written, 0);
	return flight->slots ? 0 : -ENOMEM;
}

void sl_flight_fini(struct sl_flight *flight)
{
	free(flight->slots);
	flight->slots = NULL;
}

static struct sl_flight_slot *slot_of(const struct sl_flight *flight, uint64_t number)
{
	return &flight->slots[number & (flight->slot_count - 1)];
}

void sl_flight_put(struct sl_flight *flight, const struct sl_flight_event *event)
{
	uint64_t number = atomic_load_explicit(&flight->written, memory_order_relaxed);
	struct sl_flight_slot *slot = slot_of(flight, number);
	uint64_t words[SL_FLIGHT_WORDS];

	memcpy(words, event, sizeof(words));
	/* Pairs with the second look of a reader: whoever sees a word of this event sees the odd
	 * stamp or a later one. */
	atomic_store_explicit(&slot->stamp, 2 * number + 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	for (uint32_t i = 0; i < SL_FLIGHT_WORDS; i++)
		atomic_store_explicit(&slot->words[i], words[i], memory_order_relaxed);
	/* Pairs with a reader's first look. */
	atomic_store_explicit(&slot->stamp, 2 * number + 2, memory_order_release);
	atomic_store_explicit(&flight->written, number + 1, memory_order_release);
}

bool sl_flight_get(const struct sl_flight *flight, uint64_t number, struct sl_flight_event *out)
{
	const struct sl_flight_slot *slot = slot_of(flight, number);
	uint64_t words[SL_FLIGHT_WORDS];

	if (atomic_load_explicit(&slot->stamp, memory_order_acquire) != 2 * number + 2)
		return false;
	for (uint32_t i = 0; i < SL_FLIGHT_WORDS; i++)
		words[i] = atomic_load_explicit(&slot->words[i], memory_order_relaxed);
	atomic_thread_fence(memory_order_acquire);
	if (atomic_load_explicit(&slot->stamp, memory_order_relaxed) != 2 * number + 2)
		return false;
	memcpy(out, words, sizeof(*out));
	return true;
}
