/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Death at a store. The arena's code is built with a point at each SL_ORDER(); when a countdown
 * that was armed comes to its end there, the agent stops at that very store and never comes back:
 * the stores before it stand, no later one does. Points count only between enter and leave, which
 * are the places where a whole agent may be left by a jump.
 */
#ifndef SL_SIM_ORDER_H
#define SL_SIM_ORDER_H

#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>

extern jmp_buf order_dead;

/* Dies at this many points from now; 0: not at all. */
void order_arm(uint64_t points);
bool order_armed(void);

/* if (setjmp(order_dead) == 0) { order_enter(); ...; order_leave(); } else { it died } */
void order_enter(void);
void order_leave(void);

/* What a load that was left holds is given back, as the end of a process does: the mapping of the
 * arena with its lock, and the descriptor. */
void order_load_begin(void);
void order_load_end(void);
void order_load_drop(void);

#endif
