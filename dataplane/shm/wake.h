/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the two sides wake each other without a fence on the application's commit.
 *
 * Application to worker. The application stores committed_pos, then loads `sleeping`, with only a
 * compiler barrier between them: the processor may do the load first. The worker stores `sleeping`,
 * calls sl_wake_order(), which puts a full barrier into every running thread of every registered
 * process, and then rescans committed_pos. So either the rescan sees the commit or the application
 * sees `sleeping`, and rings the bell.
 *
 * Worker to application. The application stores `waiting`, fences (it is a slow path) and looks
 * again before it waits on wake_word. The worker stores consumed_pos or report_write_pos of all its
 * rings, fences once a turn, and then calls sl_wake_app() for each ring that moved: the same
 * argument the other way round.
 */
#ifndef SL_SHM_WAKE_H
#define SL_SHM_WAKE_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/shm/layout.h"

/* The application, once at open: its threads take part in sl_wake_order(). 0, or -errno: it must
 * fence by itself. */
int sl_wake_register(void);

/* The agent, once at start: can sl_wake_order() be had? If not, WELCOME carries
 * SL_HS_WELCOME_FENCE. */
bool sl_wake_order_available(void);

/* The worker, between storing `sleeping` and its rescan. About 150 ns. Without membarrier it is a
 * seq_cst fence. */
void sl_wake_order(void);

/*
 * The worker, after the fence: has the application asked for any of these events (enum
 * sl_wait_bits)? Then it is woken (a futex call, which cannot block). Returns the bits that it
 * waits for, so that the caller may write to its WAKE descriptor too.
 */
uint32_t sl_wake_app(const struct sl_app_page *app, struct sl_agent_page *agent, uint32_t events);

/* The application: sleeps until wake_word is no longer seen, or timeout_ns. Spurious returns are
 * allowed. */
void sl_wake_wait(const struct sl_agent_page *agent, uint32_t seen, uint64_t timeout_ns);

#endif
