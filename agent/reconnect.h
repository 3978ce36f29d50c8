/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections as far as the control thread decides about them: after one went down it may be made
 * again when a backoff is over (reconnect.backoff.ms doubling to its maximum, with jitter), per
 * worker, broker and class. A connection that had worked and that the peer closed while idle is no
 * failure. Thread: control.
 */
#ifndef SL_AGENT_RECONNECT_H
#define SL_AGENT_RECONNECT_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/base/msg_ring.h"

struct sl_agent;
struct sl_timer;

struct sl_conn_note {
	bool up;
	bool tried;       /* up or down was told at least once */
	uint8_t failures; /* in a row */
	uint32_t downs;
	int32_t error; /* of the last CONN_DOWN */
};

struct sl_reconnect {
	struct sl_conn_note *notes; /* by worker, broker, class */
};

int sl_reconnect_init(struct sl_agent *agent);
void sl_reconnect_fini(struct sl_agent *agent);

void sl_reconnect_up(struct sl_agent *agent, uint32_t worker, const struct sl_msg *msg);
void sl_reconnect_down(struct sl_agent *agent, uint32_t worker, const struct sl_msg *msg);

/* A timer is due: the connection may be made again. */
void sl_reconnect_due(struct sl_agent *agent, const struct sl_timer *timer);

/* A broker index gets a new meaning. */
void sl_reconnect_forget(struct sl_agent *agent, uint32_t broker);

const struct sl_conn_note *sl_reconnect_note(const struct sl_agent *agent, uint32_t worker,
					     uint32_t broker, uint32_t conn_class);

#endif
