/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/keeper_use.h"

#include <errno.h>
#include <string.h>

#include "agent/agent.h"

static void keeper_tell(struct sl_agent *agent)
{
	const struct sl_keeper *keeper = agent->keeper;

	SL_LOG(&agent->log, keeper->reason[0] ? SL_LOG_WARNING : SL_LOG_INFO, "keeper",
	       SL_T("kind", keeper->ops->name), SL_N("pid", keeper->pid),
	       SL_N("held", keeper->held), SL_T("note", keeper->reason));
}

int sl_agent_keeper_begin(struct sl_agent *agent, struct sl_runtime_dir *dir,
			  const struct sl_keeper_options *options, struct sl_error *err)
{
	struct sl_keeper *keeper = sl_keeper_open(options);
	struct sl_keeper_listener listener;
	bool earlier;
	int rc;

	if (!keeper)
		return sl_error_set(err, -ENOMEM, "no memory for a keeper");
	agent->keeper->ops->destroy(agent->keeper);
	agent->keeper = keeper;
	earlier = keeper->ops->listener_get(keeper, &listener) == 0;
	rc = sl_runtime_dir_listen(dir, earlier ? &listener : NULL, err);
	if (rc < 0)
		return rc;
	rc = sl_runtime_dir_listener(dir, &listener);
	if (rc == 0)
		rc = keeper->ops->listener_put(keeper, &listener);
	keeper_tell(agent);
	if (rc < 0)
		SL_LOG(&agent->log, SL_LOG_WARNING, "listener_not_kept",
		       SL_T("error", strerror(-rc)));
	if (keeper->lost)
		sl_agent_keeper_lost(agent);
	return 0;
}

void sl_agent_keeper_lost(struct sl_agent *agent)
{
	struct sl_keeper *lost = agent->keeper;
	struct sl_keeper *none;

	none = sl_keeper_none("it was lost while the agent ran; the next start finds another one");
	SL_LOG(&agent->log, SL_LOG_ERROR, "keeper_lost", SL_T("kind", lost->ops->name),
	       SL_N("pid", lost->pid), SL_N("held", lost->held));
	lost->lost = true; /* without memory for another one it refuses everything */
	if (!none)
		return;
	agent->keeper = none;
	lost->ops->destroy(lost);
}

int sl_agent_keep(struct sl_agent *agent, uint64_t id, const int fds[SL_KEEPER_FDS])
{
	int rc = agent->keeper->ops->keep(agent->keeper, id, fds);

	if (rc < 0)
		SL_LOG(&agent->log, SL_LOG_ERROR, "keep_failed", SL_N("id", id),
		       SL_T("error", strerror(-rc)));
	if (agent->keeper->lost)
		sl_agent_keeper_lost(agent);
	return rc;
}

void sl_agent_keep_drop(struct sl_agent *agent, uint64_t id)
{
	agent->keeper->ops->drop(agent->keeper, id);
	if (agent->keeper->lost)
		sl_agent_keeper_lost(agent);
}
