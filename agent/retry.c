/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/retry.h"

#include "agent/agent.h"
#include "dataplane/wire/error_code.h"

/* Besides what the table says: an epoch that the broker does not know yet may be ours that is ahead
 * of it. */
static bool wants_metadata(int16_t code)
{
	enum sl_error_action action = sl_kafka_error_action(code);

	return action == SL_ACTION_REFRESH_RETRY || action == SL_ACTION_REBOOTSTRAP ||
	       code == SL_KAFKA_UNKNOWN_LEADER_EPOCH;
}

static const char *topic_name(const struct sl_agent *agent, uint32_t topic)
{
	SL_ASSERT(topic < agent->topics.count);
	return agent->topics.list[topic].name;
}

void sl_retry_trouble(struct sl_agent *agent, uint32_t worker, const struct sl_msg *msg)
{
	uint32_t attempts = (uint32_t)(msg->b >> 32);
	int16_t code = (int16_t)(uint16_t)msg->c;
	struct sl_timer timer = {.kind = SL_TIMER_PARTITION_RETRY,
				 .worker = worker,
				 .a = msg->a,
				 .b = (uint32_t)msg->b};

	SL_LOG(&agent->log, SL_LOG_WARNING, "partition_trouble",
	       SL_T("topic", topic_name(agent, msg->a)), SL_N("partition", (uint32_t)msg->b),
	       SL_N("code", code), SL_T("error", sl_kafka_error_name(code)),
	       SL_N("attempts", attempts), SL_N("leader_hint", (int32_t)(uint32_t)(msg->c >> 16)));
	timer.due_ns =
		sl_agent_now_ns(agent) + sl_agent_backoff_ns(agent, agent->config->retry_backoff_us,
							     agent->config->retry_backoff_us_max,
							     attempts ? attempts - 1 : 0);
	if (sl_timers_add(&agent->timers, &timer) < 0)
		sl_retry_due(agent, &timer);
	if (wants_metadata(code))
		sl_refresh_want(agent);
}

void sl_retry_failed(struct sl_agent *agent, uint32_t worker, const struct sl_msg *msg)
{
	int16_t code = (int16_t)(uint16_t)msg->c;

	SL_LOG(&agent->log, SL_LOG_ERROR, "records_failed",
	       SL_T("topic", topic_name(agent, msg->a)),
	       SL_N("partition", (int32_t)(uint32_t)msg->b), SL_N("code", code),
	       SL_T("error", sl_kafka_error_name(code)), SL_N("worker", worker));
}

void sl_retry_cut(struct sl_agent *agent, uint32_t worker, const struct sl_msg *msg)
{
	int16_t code = (int16_t)(uint16_t)msg->c;

	SL_LOG(&agent->log, SL_LOG_WARNING, "batch_cut", SL_T("topic", topic_name(agent, msg->a)),
	       SL_N("partition", (int32_t)(uint32_t)msg->b), SL_N("code", code),
	       SL_T("error", sl_kafka_error_name(code)), SL_N("batch_size", msg->c >> 16),
	       SL_N("worker", worker));
}

void sl_retry_due(struct sl_agent *agent, const struct sl_timer *timer)
{
	sl_agent_tell(
		agent, timer->worker,
		&(struct sl_msg){.kind = SL_MSG_PARTITION_RETRY, .a = timer->a, .b = timer->b});
}
