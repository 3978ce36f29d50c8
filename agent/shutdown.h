/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end: RUNNING -ask-> DRAINING -all stopped, or time is up-> STOPPING -all stopped-> OVER; a
 * second ask goes from DRAINING to STOPPING. DRAINING admits nobody, reads what was committed by
 * then and sends it without linger; STOPPING leaves in the arena what is not acknowledged. Thread:
 * control.
 */
#ifndef SL_AGENT_SHUTDOWN_H
#define SL_AGENT_SHUTDOWN_H

#include <stdbool.h>
#include <stdint.h>

struct sl_agent;

enum sl_shutdown_state { SL_RUNNING, SL_DRAINING, SL_STOPPING, SL_OVER };

struct sl_shutdown {
	enum sl_shutdown_state state;
	uint64_t deadline_ns;
};

/* What the ledger's law names; in = persisted + failed + unknown + dropped + queued by
 * construction. */
struct sl_ledger {
	uint64_t in, persisted, failed, unknown, dropped, queued;
};

/* TERM or INT. */
void sl_shutdown_ask(struct sl_agent *agent);

/* SL_MSG_STOPPED. */
void sl_shutdown_stopped(struct sl_agent *agent, uint32_t worker, bool kept);

uint64_t sl_shutdown_turn(struct sl_agent *agent, uint64_t now_ns);
bool sl_shutdown_over(const struct sl_agent *agent);

void sl_ledger_read(const struct sl_agent *agent, struct sl_ledger *out);

/* Logs the ledger and returns enum sl_exit: SL_EXIT_KEPT when records stay in an arena. */
int sl_shutdown_finish(struct sl_agent *agent);

#endif
