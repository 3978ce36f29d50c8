/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a partition's leader has of our producer, asked when a batch is in doubt
 * (dataplane/worker/doubt.c). Followers and deposed leaders answer DescribeProducers too, with what
 * they last knew, so only a proven leader's word counts: on one connection ListOffsets with the
 * leader's epoch, DescribeProducers, ListOffsets again. It needs brokers from 2.8 on and READ on
 * the topic, which is tried when a topic becomes known. Thread: control. Sources: KIP-664, KIP-320.
 */
#ifndef SL_AGENT_RESOLUTION_H
#define SL_AGENT_RESOLUTION_H

#include <stdint.h>

#include "dataplane/base/msg_ring.h"

struct sl_agent;
struct sl_carry;
struct sl_resolution;

/* Of a topic: can batches in doubt be resolved? */
enum sl_resolution_way {
	SL_RESOLUTION_UNTRIED,
	SL_RESOLUTION_FULL,
	SL_RESOLUTION_UNKNOWN_ONLY, /* nobody may ask: they become unknown */
};

struct sl_resolutions {
	struct sl_resolution *first; /* in the order of asking */
	uint32_t in_flight;
};

/* PARTITION_DOUBT: answered by PARTITION_SEEN in any case. */
void sl_resolution_want(struct sl_agent *agent, uint32_t worker, const struct sl_msg *msg);

/* Finds out whether doubts about this topic, which is known now, could be resolved. */
void sl_resolution_probe(struct sl_agent *agent, uint32_t index);

/* An answer, or that there is none. A carry that is nobody's is ignored. */
void sl_resolution_carried(struct sl_agent *agent, struct sl_carry *carry);

void sl_resolutions_turn(struct sl_agent *agent);
void sl_resolutions_fini(struct sl_agent *agent);

/* At most, when so many partitions (of all workers) are in doubt at a time: for --dump-config. */
uint64_t sl_resolutions_bytes(uint64_t partitions);

/* For `status`; NULL while it is not known. */
const char *sl_resolution_way_name(enum sl_resolution_way way);

#endif
