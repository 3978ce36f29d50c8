/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/shutdown.h"

#include "agent/admission.h"
#include "agent/agent.h"
#include "agent/notify.h"
#include "agent/options.h"
#include "agent/segment.h"

/* What a worker gets to obey an immediate stop. It takes one turn; after this it is taken for
 * stuck. */
#define STOP_NOW_NS (2 * SL_NS_PER_S)

static void all_tell(struct sl_agent *agent, uint32_t kind, uint32_t a)
{
	for (uint32_t i = 0; i < agent->worker_count; i++)
		if (!agent->workers[i].stopped)
			sl_agent_tell(agent, i, &(struct sl_msg){.kind = kind, .a = a});
}

static void stop_now(struct sl_agent *agent, const char *why)
{
	agent->shutdown.state = SL_STOPPING;
	agent->shutdown.deadline_ns = sl_agent_now_ns(agent) + STOP_NOW_NS;
	SL_LOG(&agent->log, SL_LOG_WARNING, "stopping_now", SL_T("reason", why));
	all_tell(agent, SL_MSG_STOP, 1);
}

void sl_shutdown_ask(struct sl_agent *agent)
{
	struct sl_shutdown *shutdown = &agent->shutdown;

	if (shutdown->state == SL_DRAINING)
		stop_now(agent, "asked again");
	if (shutdown->state != SL_RUNNING)
		return;
	shutdown->state = SL_DRAINING;
	shutdown->deadline_ns =
		sl_agent_now_ns(agent) + agent->config->shutdown_timeout_us * SL_NS_PER_US;
	sl_notify("STOPPING=1");
	SL_LOG(&agent->log, SL_LOG_INFO, "stopping",
	       SL_N("timeout_ms", agent->config->shutdown_timeout_us / 1000));
	if (agent->admission)
		sl_admission_stop(agent);
	all_tell(agent, SL_MSG_FLUSH, 1);
	all_tell(agent, SL_MSG_STOP, 0);
}

void sl_shutdown_stopped(struct sl_agent *agent, uint32_t worker, bool kept)
{
	agent->workers[worker].stopped = true;
	agent->workers[worker].kept = kept;
}

static bool all_stopped(const struct sl_agent *agent)
{
	for (uint32_t i = 0; i < agent->worker_count; i++)
		if (!agent->workers[i].stopped)
			return false;
	return true;
}

uint64_t sl_shutdown_turn(struct sl_agent *agent, uint64_t now_ns)
{
	struct sl_shutdown *shutdown = &agent->shutdown;

	if (shutdown->state == SL_RUNNING || shutdown->state == SL_OVER)
		return SL_DEADLINE_NONE;
	if (all_stopped(agent)) {
		shutdown->state = SL_OVER;
		return now_ns;
	}
	if (now_ns < shutdown->deadline_ns)
		return shutdown->deadline_ns;
	if (shutdown->state == SL_DRAINING) {
		stop_now(agent, "shutdown.timeout.ms is over");
		return shutdown->deadline_ns;
	}
	SL_LOG(&agent->log, SL_LOG_ERROR, "worker_stuck", SL_N("workers", agent->worker_count));
	shutdown->state = SL_OVER;
	return now_ns;
}

bool sl_shutdown_over(const struct sl_agent *agent)
{
	return agent->shutdown.state == SL_OVER;
}

static uint64_t load(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

void sl_ledger_read(const struct sl_agent *agent, struct sl_ledger *out)
{
	*out = (struct sl_ledger){.dropped = sl_agent_segments_dropped(agent)};
	for (uint32_t i = 0; i < agent->worker_count; i++) {
		const struct sl_worker_stats *stats = sl_worker_stats(agent->workers[i].worker);
		uint64_t persisted = load(&stats->persisted);
		uint64_t failed = load(&stats->failed);
		uint64_t unknown = load(&stats->unknown);
		uint64_t consumed;

		/* Read after the outcomes, which it is stored before: so nothing is settled that
		 * was not consumed. */
		atomic_thread_fence(memory_order_acquire);
		consumed = load(&stats->consumed);
		out->persisted += persisted;
		out->failed += failed;
		out->unknown += unknown;
		if (consumed > persisted + failed + unknown)
			out->queued += consumed - persisted - failed - unknown;
	}
	out->in = out->persisted + out->failed + out->unknown + out->dropped + out->queued;
}

int sl_shutdown_finish(struct sl_agent *agent)
{
	struct sl_ledger ledger;
	bool kept = false;

	for (uint32_t i = 0; i < agent->worker_count; i++)
		kept |= agent->workers[i].kept || !agent->workers[i].stopped;
	sl_ledger_read(agent, &ledger);
	kept |= ledger.queued > 0;
	SL_LOG(&agent->log, kept ? SL_LOG_WARNING : SL_LOG_INFO, "ledger", SL_N("in", ledger.in),
	       SL_N("persisted", ledger.persisted), SL_N("failed", ledger.failed),
	       SL_N("unknown", ledger.unknown), SL_N("dropped", ledger.dropped),
	       SL_N("queued", ledger.queued));
	return kept ? SL_EXIT_KEPT : SL_EXIT_OK;
}
