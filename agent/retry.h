/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Partitions in trouble: when they are tried again, and whether metadata is asked first. The worker
 * holds the partition until routes move it or its retry comes. Thread: control.
 */
#ifndef SL_AGENT_RETRY_H
#define SL_AGENT_RETRY_H

#include <stdint.h>

#include "dataplane/base/msg_ring.h"

struct sl_agent;
struct sl_timer;

/* PARTITION_TROUBLE. A leader that the broker hinted at is a reason to ask at once, never a fact by
 * itself. */
void sl_retry_trouble(struct sl_agent *agent, uint32_t worker, const struct sl_msg *msg);

/* PARTITION_FAILED: for the log. */
void sl_retry_failed(struct sl_agent *agent, uint32_t worker, const struct sl_msg *msg);

/* BATCH_CUT: for the log. */
void sl_retry_cut(struct sl_agent *agent, uint32_t worker, const struct sl_msg *msg);

void sl_retry_due(struct sl_agent *agent, const struct sl_timer *timer);

#endif
