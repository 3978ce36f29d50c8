/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/worker/internal.h"

/*
 * A worker never waits for the control thread, and no message may be lost: what finds the ring full stays in a backlog.
 * Its bound holds because every message answers something of bounded number (segments, carries, connections, partitions).
 */
void sl_worker_tell(struct sl_worker *w, const struct sl_msg *msg)
{
	bool was_empty = sl_msg_ring_empty(&w->outbox);

	if (w->backlog_count > 0 || !sl_msg_ring_push(&w->outbox, msg)) {
		SL_ASSERT(w->backlog_count < w->backlog_max);
		w->backlog[w->backlog_count++] = *msg;
		return;
	}
	if (was_empty && w->options.hooks.notify_control)
		w->options.hooks.notify_control(w->options.hooks.ctx);
}

uint32_t sl_worker_outbox_flush(struct sl_worker *w)
{
	uint32_t sent = 0;

	while (sent < w->backlog_count && sl_msg_ring_push(&w->outbox, &w->backlog[sent]))
		sent++;
	if (sent == 0)
		return 0;
	w->backlog_count -= sent;
	memmove(w->backlog, w->backlog + sent, w->backlog_count * sizeof(*w->backlog));
	if (w->options.hooks.notify_control)
		w->options.hooks.notify_control(w->options.hooks.ctx);
	return sent;
}
