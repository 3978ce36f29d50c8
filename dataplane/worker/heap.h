/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A binary heap of indices by deadline, each index in it at most once: the worker's timers. Memory is the caller's, sized
 * at start; every operation is O(log n) and happens per batch, never per record. Thread: the owner's.
 */
#ifndef SL_WORKER_HEAP_H
#define SL_WORKER_HEAP_H

#include <stdint.h>

enum { SL_HEAP_OUT = -1 };

struct sl_heap {
	uint32_t *items;      /* heap order; items_max of them */
	int32_t *positions;   /* of index i in items, or SL_HEAP_OUT */
	uint64_t *deadlines;  /* of index i; valid while it is in */
	uint32_t count;
	uint32_t items_max;
};

/* Allocates; 0 or -ENOMEM. */
int sl_heap_init(struct sl_heap *heap, uint32_t items_max);
void sl_heap_fini(struct sl_heap *heap);

/* Puts index in, or moves it when it is in. */
void sl_heap_set(struct sl_heap *heap, uint32_t index, uint64_t deadline_ns);

/* Takes index out; nothing happens when it is not in. */
void sl_heap_remove(struct sl_heap *heap, uint32_t index);

/* Earliest deadline, or SL_DEADLINE_NONE. */
uint64_t sl_heap_deadline_ns(const struct sl_heap *heap);

/* Takes out the earliest index when its deadline is at or before now; -1 when none is. */
int32_t sl_heap_pop_due(struct sl_heap *heap, uint64_t now_ns);

#endif
