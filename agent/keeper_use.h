/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's one keeper: taking it at start, asking it, and going on without one that is lost.
 * Thread: control. */
#ifndef SL_AGENT_KEEPER_USE_H
#define SL_AGENT_KEEPER_USE_H

#include "agent/keeper.h"
#include "agent/runtime_dir.h"
#include "dataplane/base/error.h"

struct sl_agent;

/*
 * Replaces agent->keeper by the best there is, listens on the socket that it holds or on a new one,
 * and gives it that. The folder is taken; there are no threads yet. 0 or -errno: without a keeper
 * the agent starts all the same.
 */
int sl_agent_keeper_begin(struct sl_agent *agent, struct sl_runtime_dir *dir,
			  const struct sl_keeper_options *options, struct sl_error *err);

/* As the keeper's keep() and drop(). */
int sl_agent_keep(struct sl_agent *agent, uint64_t id, const int fds[SL_KEEPER_FDS]);
void sl_agent_keep_drop(struct sl_agent *agent, uint64_t id);

/* It hung up or does not answer: from now on nothing is kept. The applications go on. */
void sl_agent_keeper_lost(struct sl_agent *agent);

#endif
