/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The only way in which the control thread and a worker talk: a bounded ring of fixed-size messages, one producer
 * thread, one consumer thread. Neither side ever waits for the other.
 */
#ifndef SL_BASE_MSG_RING_H
#define SL_BASE_MSG_RING_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "dataplane/base/assert.h"

struct sl_msg {
	uint32_t kind; /* meaning belongs to the two ends */
	uint32_t a;
	uint64_t b;
	uint64_t c;
	void *object; /* ownership moves with the message */
};
static_assert(sizeof(struct sl_msg) == 32, "two messages a cache line");

struct sl_msg_ring {
	struct sl_msg *slots; /* slot_count of them; set at init, then constant */
	uint32_t slot_count;
	/* written by: producer (release, after the slot); read by: consumer (acquire) */
	alignas(128) _Atomic uint32_t write_pos;
	/* written by: consumer (release, after the slot was read); read by: producer (acquire) */
	alignas(128) _Atomic uint32_t read_pos;
};

/* slot_count: a power of two. Allocates the slots; 0 or -ENOMEM. Thread: whoever sets up. */
int sl_msg_ring_init(struct sl_msg_ring *ring, uint32_t slot_count);
void sl_msg_ring_fini(struct sl_msg_ring *ring);

/* Producer. False when full: the caller keeps the message and its object. */
bool sl_msg_ring_push(struct sl_msg_ring *ring, const struct sl_msg *msg);

/* Consumer. False when empty. */
bool sl_msg_ring_pop(struct sl_msg_ring *ring, struct sl_msg *out);

/* Either end; a hint by the time it returns. */
static inline bool sl_msg_ring_empty(const struct sl_msg_ring *ring)
{
	return atomic_load_explicit(&ring->write_pos, memory_order_acquire) ==
	       atomic_load_explicit(&ring->read_pos, memory_order_relaxed);
}

static inline uint32_t sl_msg_ring_room(const struct sl_msg_ring *ring)
{
	return ring->slot_count - (atomic_load_explicit(&ring->write_pos, memory_order_relaxed) -
				   atomic_load_explicit(&ring->read_pos, memory_order_acquire));
}

#endif
