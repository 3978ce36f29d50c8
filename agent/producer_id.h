/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Producer ids: each worker has its own, asked for when it says that it wants one, through that
 * worker. Errors that pass are retried with backoff; those that somebody has to mend (31, 53) are
 * logged and tried again every half minute, never worked around. Thread: control.
 */
#ifndef SL_AGENT_PRODUCER_ID_H
#define SL_AGENT_PRODUCER_ID_H

#include <stdbool.h>
#include <stdint.h>

struct sl_agent;
struct sl_carry;

enum { SL_PRODUCER_RESPONSE_BYTES = 256 };

struct sl_producer_id_state { /* of a worker */
	bool wanted;
	bool in_flight;
	uint32_t failures;
	uint64_t due_ns;
	int64_t id; /* the last that it was given; -1 or 0 before: see given */
	bool given;
	int16_t error; /* of the last answer */
	uint32_t broker;
	struct sl_carry *carry; /* made at the first wish; while in_flight the worker's */
	uint8_t response[SL_PRODUCER_RESPONSE_BYTES];
};

void sl_producer_wanted(struct sl_agent *agent, uint32_t worker);
void sl_producer_carried(struct sl_agent *agent, uint32_t worker);
uint64_t sl_producer_turn(struct sl_agent *agent, uint64_t now_ns);
void sl_producer_fini(struct sl_producer_id_state *state);

#endif
