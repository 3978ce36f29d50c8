/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/base/msg_ring.h"

#include <errno.h>
#include <stdlib.h>

int sl_msg_ring_init(struct sl_msg_ring *ring, uint32_t slot_count)
{
	SL_ASSERT(slot_count != 0 && (slot_count & (slot_count - 1)) == 0);
	ring->slots = calloc(slot_count, sizeof(*ring->slots));
	if (!ring->slots)
		return -ENOMEM;
	ring->slot_count = slot_count;
	atomic_init(&ring->write_pos, 0);
	atomic_init(&ring->read_pos, 0);
	return 0;
}

void sl_msg_ring_fini(struct sl_msg_ring *ring)
{
	free(ring->slots);
	ring->slots = NULL;
}

bool sl_msg_ring_push(struct sl_msg_ring *ring, const struct sl_msg *msg)
{
	uint32_t pos = atomic_load_explicit(&ring->write_pos, memory_order_relaxed);

	/* Pairs with the release in pop: the consumer has read the slot before we write it again. */
	if (pos - atomic_load_explicit(&ring->read_pos, memory_order_acquire) == ring->slot_count)
		return false;
	ring->slots[pos & (ring->slot_count - 1)] = *msg;
	/* Pairs with the acquire in pop: whoever sees the new position sees the slot. */
	atomic_store_explicit(&ring->write_pos, pos + 1, memory_order_release);
	return true;
}

bool sl_msg_ring_pop(struct sl_msg_ring *ring, struct sl_msg *out)
{
	uint32_t pos = atomic_load_explicit(&ring->read_pos, memory_order_relaxed);

	/* Pairs with the release in push. */
	if (pos == atomic_load_explicit(&ring->write_pos, memory_order_acquire))
		return false;
	*out = ring->slots[pos & (ring->slot_count - 1)];
	/* Pairs with the acquire in push. */
	atomic_store_explicit(&ring->read_pos, pos + 1, memory_order_release);
	return true;
}
