/* SPDX-License-Identifier: Apache-2.0 */
/* Hands each message of a worker to the room that it is for. Thread: control. */
#ifndef SL_AGENT_DISPATCH_H
#define SL_AGENT_DISPATCH_H

#include <stdint.h>

#include "dataplane/base/msg_ring.h"

struct sl_agent;

void sl_dispatch(struct sl_agent *agent, uint32_t worker, const struct sl_msg *msg);

#endif
