/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/metadata.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/request.h"
#include "dataplane/base/clock.h"
#include "dataplane/wire/error_code.h"

enum { RESPONSE_BYTES_START = 256 * 1024, RESPONSE_BYTES_MAX = 64 * 1024 * 1024 };

int sl_refresh_init(struct sl_agent *agent)
{
	struct sl_refresh *refresh = &agent->refresh;

	refresh->carry = calloc(1, sizeof(*refresh->carry));
	refresh->response_bytes_max = RESPONSE_BYTES_START;
	refresh->response = malloc(RESPONSE_BYTES_START);
	return refresh->carry && refresh->response ? 0 : -ENOMEM;
}

void sl_refresh_fini(struct sl_agent *agent)
{
	struct sl_refresh *refresh = &agent->refresh;

	/* One that is in flight went down with its worker. */
	if (!refresh->in_flight)
		free(refresh->carry);
	free(refresh->response);
	sl_refresh_request_free(refresh->request);
}

void sl_refresh_want(struct sl_agent *agent)
{
	struct sl_refresh *refresh = &agent->refresh;
	uint64_t now_ns = sl_agent_now_ns(agent);
	uint64_t due_ns = now_ns;

	if (refresh->in_flight) {
		refresh->again = true;
		return;
	}
	if (refresh->asked_ns &&
	    refresh->asked_ns + agent->config->retry_backoff_us * SL_NS_PER_US > due_ns)
		due_ns = refresh->asked_ns + agent->config->retry_backoff_us * SL_NS_PER_US;
	/* While rounds fail, their backoff rules: a wish does not make a dead cluster be asked
	 * faster. */
	if (due_ns < refresh->due_ns && refresh->failures == 0)
		refresh->due_ns = due_ns;
}

void sl_refresh_resume(struct sl_agent *agent)
{
	if (agent->refresh.resolving) {
		agent->refresh.resolving = false;
		agent->refresh.due_ns = sl_agent_now_ns(agent);
	}
}

static void round_failed(struct sl_agent *agent, uint64_t now_ns)
{
	struct sl_refresh *refresh = &agent->refresh;

	refresh->due_ns = now_ns + sl_agent_backoff_ns(agent, agent->config->retry_backoff_us,
						       agent->config->retry_backoff_us_max,
						       refresh->failures);
	if (refresh->failures < 32)
		refresh->failures++;
}

/* In turn; one that has stopped reads no messages any more, while others still drain. */
static uint32_t worker_next(const struct sl_agent *agent, uint32_t last)
{
	for (uint32_t i = 1; i <= agent->worker_count; i++) {
		uint32_t next = (last + i) % agent->worker_count;

		if (!agent->workers[next].stopped)
			return next;
	}
	return last;
}

static int carry_send(struct sl_agent *agent, uint32_t broker)
{
	struct sl_refresh *refresh = &agent->refresh;
	struct sl_carry *carry = refresh->carry;
	struct sl_refresh_request *request = sl_refresh_request_new(agent);
	int rc;

	if (!request)
		return -ENOMEM;
	sl_refresh_request_free(refresh->request);
	refresh->request = request;
	memset(carry, 0, sizeof(*carry));
	carry->broker = broker;
	carry->api_key = SL_API_METADATA;
	carry->timeout_ns = agent->config->request_timeout_us * SL_NS_PER_US;
	carry->encode = sl_refresh_request_encode;
	carry->context = request;
	carry->response = refresh->response;
	carry->response_bytes_max = refresh->response_bytes_max;
	refresh->worker_next = worker_next(agent, refresh->worker_next);
	rc = sl_agent_tell(agent, refresh->worker_next,
			   &(struct sl_msg){.kind = SL_MSG_CARRY, .object = carry});
	if (rc < 0)
		return rc;
	refresh->in_flight = true;
	refresh->broker = broker;
	refresh->asked_ns = sl_agent_now_ns(agent);
	refresh->asked_count++;
	return 0;
}

static uint64_t refresh_ask(struct sl_agent *agent, uint64_t now_ns)
{
	struct sl_refresh *refresh = &agent->refresh;
	int broker = sl_cluster_pick(agent);

	if (broker >= 0) {
		if (carry_send(agent, (uint32_t)broker) == 0)
			return SL_DEADLINE_NONE;
		sl_cluster_asked(agent, (uint32_t)broker, false);
		broker = -ENOMEM;
	}
	if (broker == -EAGAIN) {
		refresh->resolving = true;
		return SL_DEADLINE_NONE;
	}
	round_failed(agent, now_ns);
	return refresh->due_ns;
}

uint64_t sl_refresh_turn(struct sl_agent *agent, uint64_t now_ns)
{
	struct sl_refresh *refresh = &agent->refresh;
	uint64_t next_ns = sl_cluster_turn(agent, now_ns);
	uint64_t ask_ns;

	if (refresh->in_flight || refresh->resolving || agent->worker_count == 0)
		return next_ns;
	ask_ns = refresh->due_ns <= now_ns ? refresh_ask(agent, now_ns) : refresh->due_ns;
	return ask_ns < next_ns ? ask_ns : next_ns;
}

/* Of the whole response. 0, or what is done about it. */
static int response_error(struct sl_agent *agent, struct sl_metadata_reader m)
{
	int16_t code;

	if (sl_metadata_end(&m, &code) < 0 || code == 0)
		return 0;
	SL_LOG(&agent->log, SL_LOG_WARNING, "metadata_refused", SL_N("code", code),
	       SL_T("error", sl_kafka_error_name(code)));
	if (sl_kafka_error_action(code) != SL_ACTION_REBOOTSTRAP)
		return -EPROTO;
	sl_cluster_rebootstrap(agent);
	return -ESTALE;
}

static int response_apply(struct sl_agent *agent)
{
	const struct sl_carry *carry = agent->refresh.carry;
	struct sl_rbuf body = sl_rbuf_on(carry->response, carry->response_bytes);
	struct sl_metadata_reader m;
	int rc = sl_metadata_begin(&m, &body, carry->version);

	if (rc == 0)
		rc = sl_metadata_check(&m);
	if (rc == 0)
		rc = response_error(agent, m);
	if (rc == 0)
		rc = sl_cluster_apply(agent, m);
	if (rc == 0)
		sl_topics_apply(agent, m);
	return rc;
}

/* A cluster of many partitions answers with more than we had room for: once more, with twice as
 * much. */
static int response_grow(struct sl_refresh *refresh)
{
	uint32_t room = refresh->response_bytes_max * 2;
	uint8_t *response;

	if (room > RESPONSE_BYTES_MAX)
		return -EMSGSIZE;
	response = realloc(refresh->response, room);
	if (!response)
		return -ENOMEM;
	refresh->response = response;
	refresh->response_bytes_max = room;
	return 0;
}

/* When to ask next after a good answer: soon while something is open, else when it has grown old.
 */
static void due_after_success(struct sl_agent *agent, uint64_t now_ns)
{
	struct sl_refresh *refresh = &agent->refresh;
	uint64_t open_ns = sl_topics_open_ns(agent, now_ns);

	refresh->due_ns = now_ns + agent->config->metadata_age_us_max * SL_NS_PER_US;
	refresh->urges = open_ns == SL_DEADLINE_NONE ? 0 : refresh->urges + 1;
	if (open_ns < refresh->due_ns)
		refresh->due_ns = open_ns;
}

void sl_refresh_carried(struct sl_agent *agent)
{
	struct sl_refresh *refresh = &agent->refresh;
	uint64_t now_ns = sl_agent_now_ns(agent);
	bool was_seed = (int32_t)refresh->broker == agent->cluster.seed_broker;
	int rc = refresh->carry->error;

	SL_ASSERT(refresh->in_flight);
	refresh->in_flight = false;
	if (rc == -EMSGSIZE && response_grow(refresh) == 0) {
		sl_cluster_asked(agent, refresh->broker, true);
		refresh->due_ns = now_ns;
		return;
	}
	if (rc == 0)
		rc = response_apply(agent);
	sl_cluster_asked(agent, refresh->broker, rc == 0);
	if (rc < 0) {
		/* The first, the second, the fourth ...: a cluster that is away for days fills no log. */
		refresh->failed++;
		if ((refresh->failed & (refresh->failed - 1)) == 0)
			SL_LOG(&agent->log, SL_LOG_WARNING, "metadata_failed",
			       SL_T("error", strerror(-rc)), SL_T("from", was_seed ? "seed" : "broker"),
			       SL_N("broker", refresh->broker), SL_N("in_a_row", refresh->failed));
		refresh->due_ns = now_ns; /* the next broker or seed at once; a whole failed round
					     backs off */
		return;
	}
	refresh->failures = refresh->failed = 0;
	refresh->good_ns = now_ns;
	refresh->good_count++;
	due_after_success(agent, now_ns);
	if (refresh->again) {
		refresh->again = false;
		sl_refresh_want(agent);
	}
}
