/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/reconnect.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent.h"

int sl_reconnect_init(struct sl_agent *agent)
{
	agent->reconnect.notes =
		calloc((size_t)SL_CONFIG_WORKERS_MAX * SL_BROKERS_MAX * SL_CONN_CLASS_COUNT,
		       sizeof(*agent->reconnect.notes));
	return agent->reconnect.notes ? 0 : -ENOMEM;
}

void sl_reconnect_fini(struct sl_agent *agent)
{
	free(agent->reconnect.notes);
}

static struct sl_conn_note *note_of(const struct sl_agent *agent, uint32_t worker, uint32_t broker,
				    uint32_t conn_class)
{
	SL_ASSERT(worker < SL_CONFIG_WORKERS_MAX && broker < SL_BROKERS_MAX &&
		  conn_class < SL_CONN_CLASS_COUNT);
	return &agent->reconnect.notes[(worker * SL_BROKERS_MAX + broker) * SL_CONN_CLASS_COUNT +
				       conn_class];
}

const struct sl_conn_note *sl_reconnect_note(const struct sl_agent *agent, uint32_t worker,
					     uint32_t broker, uint32_t conn_class)
{
	return note_of(agent, worker, broker, conn_class);
}

void sl_reconnect_forget(struct sl_agent *agent, uint32_t broker)
{
	for (uint32_t i = 0; i < SL_CONFIG_WORKERS_MAX; i++)
		memset(note_of(agent, i, broker, 0), 0,
		       sizeof(struct sl_conn_note) * SL_CONN_CLASS_COUNT);
}

void sl_reconnect_up(struct sl_agent *agent, uint32_t worker, const struct sl_msg *msg)
{
	struct sl_conn_note *note = note_of(agent, worker, msg->a, (uint32_t)msg->b);

	if (note->failures)
		SL_LOG(&agent->log, SL_LOG_INFO, "broker_connected",
		       SL_N("node", sl_cluster_node_of(agent, msg->a)), SL_N("worker", worker),
		       SL_N("class", msg->b), SL_N("failures", note->failures));
	else
		SL_RECORD(&agent->log, "broker_connected",
			  SL_N("node", sl_cluster_node_of(agent, msg->a)), SL_N("worker", worker),
			  SL_N("class", msg->b));
	note->up = true;
	note->tried = true;
	note->failures = 0;
}

static void down_log(struct sl_agent *agent, uint32_t worker, const struct sl_msg *msg, bool was_up)
{
	const struct sl_broker *broker = &agent->cluster.brokers[msg->a];
	char text[SL_ADDRESS_TEXT_BYTES];
	int error = (int)msg->c;

	SL_LOG(&agent->log, error ? SL_LOG_WARNING : SL_LOG_DEBUG,
	       was_up ? "broker_disconnected" : "broker_connect_failed", SL_N("node", broker->node),
	       SL_T("address", sl_address_text(&broker->address, text)), SL_N("worker", worker),
	       SL_N("class", msg->b), SL_T("error", error ? strerror(abs(error)) : "closed"));
	if (!error)
		SL_RECORD(&agent->log, "broker_disconnected", SL_N("node", broker->node),
			  SL_N("worker", worker), SL_N("class", msg->b), SL_T("error", "closed"));
}

void sl_reconnect_down(struct sl_agent *agent, uint32_t worker, const struct sl_msg *msg)
{
	struct sl_conn_note *note = note_of(agent, worker, msg->a, (uint32_t)msg->b);
	const struct sl_broker *broker = &agent->cluster.brokers[msg->a];
	bool was_up = note->up;
	bool failed = !was_up || (int)msg->c != 0;
	struct sl_timer timer = {.kind = SL_TIMER_CONN_RELEASE,
				 .worker = worker,
				 .a = msg->a,
				 .b = (uint32_t)msg->b};

	if (!broker->used || broker->leaving)
		return;
	note->up = false;
	note->tried = true;
	note->downs++;
	note->error = (int32_t)msg->c;
	down_log(agent, worker, msg, was_up);
	timer.c = broker->generation;
	timer.due_ns = sl_agent_now_ns(agent);
	if (failed)
		timer.due_ns += sl_agent_backoff_ns(agent, agent->config->reconnect_backoff_us,
						    agent->config->reconnect_backoff_us_max,
						    note->failures);
	if (failed && note->failures < 32)
		note->failures++;
	if (sl_timers_add(&agent->timers, &timer) < 0)
		sl_reconnect_due(agent, &timer);
	/* A leader that went away has often handed its partitions over: ask. */
	if (failed)
		sl_refresh_want(agent);
	if (!was_up)
		sl_cluster_address_failed(agent, msg->a);
}

void sl_reconnect_due(struct sl_agent *agent, const struct sl_timer *timer)
{
	const struct sl_broker *broker = &agent->cluster.brokers[timer->a];

	if (!broker->used || broker->leaving || broker->generation != timer->c)
		return;
	sl_agent_tell(agent, timer->worker,
		      &(struct sl_msg){.kind = SL_MSG_CONN_RELEASE, .a = timer->a, .b = timer->b});
}
