/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the control thread does later: a heap of small entries by due time. Entries are not
 * cancelled; whoever takes one out looks whether it still matters. Grows as needed, up to
 * SL_TIMERS_MAX. Thread: control.
 */
#ifndef SL_AGENT_TIMERS_H
#define SL_AGENT_TIMERS_H

#include <stdbool.h>
#include <stdint.h>

enum { SL_TIMERS_MAX = 1 << 20 };

enum sl_timer_kind {
	SL_TIMER_CONN_RELEASE = 1, /* worker, a = broker, b = class, c = its generation */
	SL_TIMER_PARTITION_RETRY,  /* worker, a = topic, b = partition */
};

struct sl_timer {
	uint64_t due_ns;
	uint32_t kind;
	uint32_t worker;
	uint32_t a;
	uint32_t b;
	uint32_t c;
};

struct sl_timers {
	struct sl_timer *heap;
	uint32_t count, room;
};

void sl_timers_init(struct sl_timers *timers);
void sl_timers_fini(struct sl_timers *timers);

/* 0, -ENOMEM or -ENOSPC. */
int sl_timers_add(struct sl_timers *timers, const struct sl_timer *timer);

/* Takes the earliest out when it is due. */
bool sl_timers_pop(struct sl_timers *timers, uint64_t now_ns, struct sl_timer *out);

/* When the earliest is due, or SL_DEADLINE_NONE. */
uint64_t sl_timers_next_ns(const struct sl_timers *timers);

#endif
