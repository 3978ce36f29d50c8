/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last so many events of one thread, in memory of fixed size: what happened before something
 * went wrong. One thread writes and never waits, allocates or fails: the oldest event is written
 * over. Any thread reads at any time, and so does a signal handler: a slot that is being written
 * over meanwhile reads as gone, never as a mixture.
 *
 * What the words mean belongs to the two ends (worker/flight.h).
 */
#ifndef SL_BASE_FLIGHT_H
#define SL_BASE_FLIGHT_H

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct sl_flight_event {
	uint64_t at_ms; /* Unix time */
	uint32_t kind;
	uint32_t a;
	int32_t b;
	int32_t code;
	uint64_t c, d, e, f;
};
static_assert(sizeof(struct sl_flight_event) == 56, "with its stamp, a cache line");

enum { SL_FLIGHT_WORDS = sizeof(struct sl_flight_event) / sizeof(uint64_t) };

struct sl_flight_slot {
	/* 2 * number + 2 of the event that lies here; odd while it is being written. 0: none yet.
	 */
	_Atomic uint64_t stamp;
	_Atomic uint64_t words[SL_FLIGHT_WORDS];
};

struct sl_flight {
	struct sl_flight_slot *slots; /* slot_count of them; set at init, then constant */
	uint32_t slot_count;
	/* written by: the owner (release, after the slot); read by: anybody (acquire) */
	_Atomic uint64_t written; /* events ever; the last slot_count of them are there */
};

/* slot_count: a power of two. 0 or -ENOMEM. Thread: whoever sets up. fini takes one that was never
 * initialised (zero). */
int sl_flight_init(struct sl_flight *flight, uint32_t slot_count);
void sl_flight_fini(struct sl_flight *flight);

/* Thread: the owner. */
void sl_flight_put(struct sl_flight *flight, const struct sl_flight_event *event);

static inline uint64_t sl_flight_written(const struct sl_flight *flight)
{
	return atomic_load_explicit(&flight->written, memory_order_acquire);
}

/* The number of the oldest event that is kept, of `written` in all. */
static inline uint64_t sl_flight_first(const struct sl_flight *flight, uint64_t written)
{
	return written > flight->slot_count ? written - flight->slot_count : 0;
}

/* Event `number`, counted from 0. False: it is not there, not yet or no more. Any thread, signal
 * handlers. */
bool sl_flight_get(const struct sl_flight *flight, uint64_t number, struct sl_flight_event *out);

#endif
