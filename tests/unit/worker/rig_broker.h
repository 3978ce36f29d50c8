/* SPDX-License-Identifier: Apache-2.0 */
/* The broker's part of the rig: answers ApiVersions and Produce, keeps logs and the five-batch window, plays faults. */
#ifndef SL_TEST_WORKER_RIG_BROKER_H
#define SL_TEST_WORKER_RIG_BROKER_H

#include "tests/unit/worker/rig.h"

struct sl_address rig_address(uint32_t broker);

/* Accepts, reads and answers what has arrived. Returns what it did. */
uint32_t rig_broker_turn(struct rig *rig);

/* The record lies at the offset that the report named, or somewhere once when it named none. */
void rig_log_check(struct rig *rig, uint64_t number, const struct rig_outcome *outcome);

/* No log holds a number twice, or one after a later one of the same partition. */
void rig_logs_in_order(struct rig *rig);

#endif
