/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/producer_id.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/request.h"
#include "dataplane/base/clock.h"
#include "dataplane/wire/error_code.h"
#include "dataplane/wire/init_producer_id.h"

#define REFUSED_PAUSE_NS (30 * SL_NS_PER_S)

void sl_producer_fini(struct sl_producer_id_state *state)
{
	if (!state->in_flight)
		free(state->carry);
}

void sl_producer_wanted(struct sl_agent *agent, uint32_t worker)
{
	struct sl_producer_id_state *state = &agent->workers[worker].producer;

	if (state->wanted)
		return;
	state->wanted = true;
	state->due_ns = sl_agent_now_ns(agent);
}

static void retry_later(struct sl_agent *agent, struct sl_producer_id_state *state, bool refused)
{
	uint64_t pause_ns =
		sl_agent_backoff_ns(agent, agent->config->retry_backoff_us,
				    agent->config->retry_backoff_us_max, state->failures);

	state->due_ns = sl_agent_now_ns(agent) + (refused ? REFUSED_PAUSE_NS : pause_ns);
	if (state->failures < 32)
		state->failures++;
}

static void ask(struct sl_agent *agent, uint32_t worker)
{
	struct sl_producer_id_state *state = &agent->workers[worker].producer;
	int32_t broker = sl_cluster_node_pick(agent);
	struct sl_carry *carry = state->carry;

	if (!carry)
		carry = state->carry = calloc(1, sizeof(*carry));
	if (broker < 0 || !carry) {
		sl_refresh_want(agent);
		retry_later(agent, state, false);
		return;
	}
	memset(carry, 0, sizeof(*carry));
	carry->broker = (uint32_t)broker;
	carry->api_key = SL_API_INIT_PRODUCER_ID;
	carry->timeout_ns = agent->config->request_timeout_us * SL_NS_PER_US;
	carry->encode = sl_producer_request_encode;
	carry->response = state->response;
	carry->response_bytes_max = SL_PRODUCER_RESPONSE_BYTES;
	if (sl_agent_tell(agent, worker, &(struct sl_msg){.kind = SL_MSG_CARRY, .object = carry}) <
	    0) {
		retry_later(agent, state, false);
		return;
	}
	state->broker = (uint32_t)broker;
	state->in_flight = true;
}

uint64_t sl_producer_turn(struct sl_agent *agent, uint64_t now_ns)
{
	uint64_t next_ns = SL_DEADLINE_NONE;

	for (uint32_t i = 0; i < agent->worker_count; i++) {
		struct sl_producer_id_state *state = &agent->workers[i].producer;

		if (!state->wanted || state->in_flight)
			continue;
		/* Without any node there is nobody to ask; metadata is on its way, or fails by its
		 * own backoff. */
		if (state->due_ns <= now_ns)
			ask(agent, i);
		if (!state->in_flight && state->due_ns < next_ns)
			next_ns = state->due_ns;
	}
	return next_ns;
}

static bool code_passes(int16_t code)
{
	switch (code) {
	case SL_KAFKA_COORDINATOR_LOAD_IN_PROGRESS:
	case SL_KAFKA_COORDINATOR_NOT_AVAILABLE:
	case SL_KAFKA_NOT_COORDINATOR:
	case SL_KAFKA_CONCURRENT_TRANSACTIONS:
	case SL_KAFKA_REQUEST_TIMED_OUT:
	case SL_KAFKA_KAFKA_STORAGE_ERROR:
		return true;
	default:
		return false;
	}
}

static void give(struct sl_agent *agent, uint32_t worker, int64_t id)
{
	struct sl_producer_id_state *state = &agent->workers[worker].producer;

	state->wanted = false;
	state->failures = 0;
	state->id = id;
	state->given = true;
	sl_agent_tell(agent, worker,
		      &(struct sl_msg){.kind = SL_MSG_PRODUCER_ID, .b = (uint64_t)id});
	SL_LOG(&agent->log, SL_LOG_INFO, "producer_id", SL_N("worker", worker), SL_N("id", id));
}

void sl_producer_carried(struct sl_agent *agent, uint32_t worker)
{
	struct sl_producer_id_state *state = &agent->workers[worker].producer;
	const struct sl_carry *carry = state->carry;
	struct sl_init_producer_id_answer answer = {.error_code = 0};
	struct sl_rbuf body = sl_rbuf_on(carry->response, carry->response_bytes);
	int rc = carry->error;
	int16_t code;

	SL_ASSERT(state->in_flight);
	state->in_flight = false;
	if (rc == 0)
		rc = sl_init_producer_id_response_decode(&body, carry->version, &answer);
	code = answer.error_code;
	state->error = code;
	if (rc == 0 && code == 0) {
		give(agent, worker, answer.producer_id);
		return;
	}
	sl_cluster_asked(agent, state->broker, rc == 0);
	if (rc < 0)
		SL_LOG(&agent->log, SL_LOG_WARNING, "producer_id_failed", SL_N("worker", worker),
		       SL_T("error", strerror(-rc)));
	else
		SL_LOG(&agent->log, code_passes(code) ? SL_LOG_WARNING : SL_LOG_ERROR,
		       "producer_id_refused", SL_N("worker", worker), SL_N("code", code),
		       SL_T("error", sl_kafka_error_name(code)));
	retry_later(agent, state, rc == 0 && !code_passes(code));
}
