/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/agent.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/routes.h"
#include "dataplane/base/clock.h"
#include "dataplane/batch/codec.h"

static uint64_t log_now_ns(void *ctx)
{
	const struct sl_agent *agent = ctx;

	return sl_agent_now_ns(agent);
}

int sl_agent_init(struct sl_agent *agent, const struct sl_agent_options *options,
		  struct sl_error *err)
{
	memset(agent, 0, sizeof(*agent));
	agent->config = options->config;
	agent->env = options->env;
	agent->hooks = options->hooks;
	agent->epoch = options->epoch;
	agent->started_ns = sl_agent_now_ns(agent);
	sl_log_init(&agent->log, options->log_fd, options->log_journal, log_now_ns, agent);
	if (sl_recorder_init(&agent->recorder, agent->env.realtime_ms, agent->env.ctx) == 0)
		agent->log.recorder = &agent->recorder;
	agent->log.level_max = (enum sl_log_level)options->config->log_level;
	sl_timers_init(&agent->timers);
	agent->workers = calloc(SL_CONFIG_WORKERS_MAX, sizeof(*agent->workers));
	agent->keeper = sl_keeper_none("it was not opened");
	if (!agent->workers || !agent->keeper || !agent->log.recorder || sl_cluster_init(agent) < 0 ||
	    sl_topics_init(agent) < 0 || sl_reconnect_init(agent) < 0 ||
	    sl_refresh_init(agent) < 0) {
		sl_agent_fini(agent);
		return sl_error_set(err, -ENOMEM, "no memory for the agent's tables");
	}
	return 0;
}

void sl_agent_msg_free(const struct sl_msg *msg)
{
	if (msg->kind == SL_MSG_TOPIC_ROUTES)
		sl_routes_free(msg->object);
	else if (msg->kind == SL_MSG_CARRY && ((const struct sl_carry *)msg->object)->borrowed)
		return;
	else if (msg->kind != SL_MSG_TOPIC_ADD && msg->kind != SL_MSG_SEGMENT_ADD)
		free(msg->object);
}

void sl_agent_fini(struct sl_agent *agent)
{
	for (uint32_t i = 0; i < agent->worker_count; i++) {
		struct sl_agent_worker *worker = &agent->workers[i];

		for (uint32_t j = 0; j < worker->backlog_count; j++)
			sl_agent_msg_free(&worker->backlog[worker->backlog_first + j]);
		free(worker->backlog);
		for (uint32_t j = 0; j < worker->codec_count; j++)
			sl_codec_destroy(worker->codecs[j].codec);
		sl_producer_fini(&worker->producer);
	}
	sl_known_fini(agent);
	sl_refresh_fini(agent);
	sl_resolutions_fini(agent);
	sl_reconnect_fini(agent);
	sl_topics_fini(agent);
	sl_cluster_fini(agent);
	sl_timers_fini(&agent->timers);
	if (agent->keeper)
		agent->keeper->ops->destroy(agent->keeper);
	free(agent->workers);
	sl_recorder_fini(&agent->recorder);
	memset(agent, 0, sizeof(*agent));
}

int sl_agent_worker_add(struct sl_agent *agent, struct sl_worker *worker, struct sl_msg_ring *inbox,
			struct sl_msg_ring *outbox)
{
	struct sl_agent_worker *entry = &agent->workers[agent->worker_count];

	if (agent->worker_count == SL_CONFIG_WORKERS_MAX)
		return -ENOSPC;
	memset(entry, 0, sizeof(*entry));
	entry->index = agent->worker_count++;
	entry->worker = worker;
	entry->inbox = inbox;
	entry->outbox = outbox;
	entry->core = SL_CONFIG_CORE_ANY;
	entry->transport = "none";
	return 0;
}

static int backlog_add(struct sl_agent_worker *worker, const struct sl_msg *msg)
{
	if (worker->backlog_first + worker->backlog_count == worker->backlog_room) {
		uint32_t room = worker->backlog_count * 2 + 64;
		struct sl_msg *backlog = malloc(room * sizeof(*backlog));

		if (!backlog)
			return -ENOMEM;
		if (worker->backlog_count)
			memcpy(backlog, worker->backlog + worker->backlog_first,
			       worker->backlog_count * sizeof(*backlog));
		free(worker->backlog);
		worker->backlog = backlog;
		worker->backlog_room = room;
		worker->backlog_first = 0;
	}
	worker->backlog[worker->backlog_first + worker->backlog_count++] = *msg;
	return 0;
}

int sl_agent_tell(struct sl_agent *agent, uint32_t index, const struct sl_msg *msg)
{
	struct sl_agent_worker *worker = &agent->workers[index];

	SL_ASSERT(index < agent->worker_count);
	worker->told = true;
	if (worker->backlog_count == 0 && sl_msg_ring_push(worker->inbox, msg))
		return 0;
	return backlog_add(worker, msg);
}

uint64_t sl_agent_backoff_ns(const struct sl_agent *agent, uint64_t base_us, uint64_t max_us,
			     uint32_t attempts)
{
	uint64_t base_ns = base_us * SL_NS_PER_US;
	uint64_t max_ns = max_us * SL_NS_PER_US;
	uint64_t term_ns = attempts < 20 ? base_ns << attempts : max_ns;

	if (term_ns > max_ns)
		term_ns = max_ns;
	/* 80 to 120 % in steps of 1/1024. */
	return term_ns * 4 / 5 + term_ns / 1024 * (agent->env.random(agent->env.ctx) % 410);
}
