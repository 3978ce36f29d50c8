/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control thread's loop. sl_control_turn() is all of its logic that is not bound to a
 * descriptor: it runs on the agent's env, so tests and the simulator call it on virtual time.
 * sl_control_poll() is the real one around it: it sleeps in epoll until a descriptor or the next
 * deadline, so an idle agent costs nothing.
 */
#ifndef SL_AGENT_CONTROL_H
#define SL_AGENT_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/base/error.h"

struct sl_agent;
struct sl_control;

/* Takes what the workers said, does what is due, hands over what waited. Returns when it wants to
 * be called again. */
uint64_t sl_control_turn(struct sl_agent *agent);

/* What woke the loop. The index is that of a client or a segment; generation tells a place that was
 * used again. */
enum sl_control_source {
	SL_SOURCE_WORKERS = 1, /* eventfd: workers' outboxes and the resolver */
	SL_SOURCE_SIGNAL,
	SL_SOURCE_LISTENER,
	SL_SOURCE_CLIENT,
	SL_SOURCE_PROCESS, /* pidfd of a segment's application */
	SL_SOURCE_KEEPER,  /* it never speaks unasked: it is lost */
};

/* Real time: epoll, eventfd, signals. listen_fd may be -1. Signals TERM, INT and HUP must be
 * blocked in all threads. */
int sl_control_create(struct sl_agent *agent, int listen_fd, struct sl_control **out,
		      struct sl_error *err);
void sl_control_destroy(struct sl_control *control);

/* Any thread: wakes the loop. ctx is the struct sl_control. */
void sl_control_notify(void *ctx);

/* One sleep (at most timeout_ms, -1 as long as needed) and one turn. False once the shutdown is
 * over. */
bool sl_control_poll(struct sl_control *control, int timeout_ms);

/* Descriptors of admission and segments. 0 or -errno. */
int sl_control_watch(struct sl_control *control, int fd, enum sl_control_source source,
		     uint32_t index, uint32_t generation);
void sl_control_unwatch(struct sl_control *control, int fd);

/* Stop accepting: the listener is no longer watched. */
void sl_control_unlisten(struct sl_control *control);

/* What is done on HUP; ctx as given. */
void sl_control_on_reload(struct sl_control *control, void (*reload)(void *ctx), void *ctx);

#endif
