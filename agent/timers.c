/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/timers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/base/clock.h"

void sl_timers_init(struct sl_timers *timers)
{
	memset(timers, 0, sizeof(*timers));
}

void sl_timers_fini(struct sl_timers *timers)
{
	free(timers->heap);
	sl_timers_init(timers);
}

static void swap(struct sl_timer *a, struct sl_timer *b)
{
	struct sl_timer t = *a;

	*a = *b;
	*b = t;
}

static int grow(struct sl_timers *timers)
{
	uint32_t room = timers->room ? timers->room * 2 : 64;
	struct sl_timer *heap;

	if (timers->count < timers->room)
		return 0;
	if (room > SL_TIMERS_MAX)
		return -ENOSPC;
	heap = realloc(timers->heap, room * sizeof(*heap));
	if (!heap)
		return -ENOMEM;
	timers->heap = heap;
	timers->room = room;
	return 0;
}

int sl_timers_add(struct sl_timers *timers, const struct sl_timer *timer)
{
	struct sl_timer *heap;
	uint32_t i;
	int rc = grow(timers);

	if (rc < 0)
		return rc;
	heap = timers->heap;
	i = timers->count++;
	heap[i] = *timer;
	while (i > 0 && heap[i].due_ns < heap[(i - 1) / 2].due_ns) {
		swap(&heap[i], &heap[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	return 0;
}

bool sl_timers_pop(struct sl_timers *timers, uint64_t now_ns, struct sl_timer *out)
{
	struct sl_timer *heap = timers->heap;
	uint32_t i = 0;

	if (timers->count == 0 || heap[0].due_ns > now_ns)
		return false;
	*out = heap[0];
	heap[0] = heap[--timers->count];
	for (;;) {
		uint32_t least = i;

		for (uint32_t child = 2 * i + 1; child <= 2 * i + 2; child++)
			if (child < timers->count && heap[child].due_ns < heap[least].due_ns)
				least = child;
		if (least == i)
			return true;
		swap(&heap[i], &heap[least]);
		i = least;
	}
}

uint64_t sl_timers_next_ns(const struct sl_timers *timers)
{
	return timers->count ? timers->heap[0].due_ns : SL_DEADLINE_NONE;
}
