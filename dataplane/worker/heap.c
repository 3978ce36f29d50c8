/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/worker/heap.h"

#include <errno.h>
#include <stdlib.h>

#include "dataplane/base/assert.h"
#include "dataplane/base/clock.h"

int sl_heap_init(struct sl_heap *heap, uint32_t items_max)
{
	uint32_t i;

	heap->items = calloc(items_max, sizeof(*heap->items));
	heap->positions = calloc(items_max, sizeof(*heap->positions));
	heap->deadlines = calloc(items_max, sizeof(*heap->deadlines));
	heap->count = 0;
	heap->items_max = items_max;
	if (!heap->items || !heap->positions || !heap->deadlines) {
		sl_heap_fini(heap);
		return -ENOMEM;
	}
	for (i = 0; i < items_max; i++)
		heap->positions[i] = SL_HEAP_OUT;
	return 0;
}

void sl_heap_fini(struct sl_heap *heap)
{
	free(heap->items);
	free(heap->positions);
	free(heap->deadlines);
	heap->items = NULL;
	heap->positions = NULL;
	heap->deadlines = NULL;
}

static void place(struct sl_heap *heap, uint32_t position, uint32_t index)
{
	heap->items[position] = index;
	heap->positions[index] = (int32_t)position;
}

static void sift_up(struct sl_heap *heap, uint32_t position)
{
	uint32_t index = heap->items[position];

	while (position > 0) {
		uint32_t parent = (position - 1) / 2;

		if (heap->deadlines[heap->items[parent]] <= heap->deadlines[index])
			break;
		place(heap, position, heap->items[parent]);
		position = parent;
	}
	place(heap, position, index);
}

static void sift_down(struct sl_heap *heap, uint32_t position)
{
	uint32_t index = heap->items[position];

	for (;;) {
		uint32_t child = 2 * position + 1;

		if (child >= heap->count)
			break;
		if (child + 1 < heap->count &&
		    heap->deadlines[heap->items[child + 1]] < heap->deadlines[heap->items[child]])
			child++;
		if (heap->deadlines[index] <= heap->deadlines[heap->items[child]])
			break;
		place(heap, position, heap->items[child]);
		position = child;
	}
	place(heap, position, index);
}

void sl_heap_set(struct sl_heap *heap, uint32_t index, uint64_t deadline_ns)
{
	SL_ASSERT(index < heap->items_max);
	heap->deadlines[index] = deadline_ns;
	if (heap->positions[index] == SL_HEAP_OUT) {
		SL_ASSERT(heap->count < heap->items_max);
		place(heap, heap->count, index);
		heap->count++;
	}
	sift_up(heap, (uint32_t)heap->positions[index]);
	sift_down(heap, (uint32_t)heap->positions[index]);
}

void sl_heap_remove(struct sl_heap *heap, uint32_t index)
{
	int32_t position = heap->positions[index];
	uint32_t last;

	if (position == SL_HEAP_OUT)
		return;
	heap->positions[index] = SL_HEAP_OUT;
	heap->count--;
	last = heap->items[heap->count];
	if (last == index)
		return;
	place(heap, (uint32_t)position, last);
	sift_up(heap, (uint32_t)position);
	sift_down(heap, (uint32_t)heap->positions[last]);
}

uint64_t sl_heap_deadline_ns(const struct sl_heap *heap)
{
	return heap->count > 0 ? heap->deadlines[heap->items[0]] : SL_DEADLINE_NONE;
}

int32_t sl_heap_pop_due(struct sl_heap *heap, uint64_t now_ns)
{
	uint32_t index;

	if (heap->count == 0 || heap->deadlines[heap->items[0]] > now_ns)
		return -1;
	index = heap->items[0];
	sl_heap_remove(heap, index);
	return (int32_t)index;
}
