/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HUP: loads the configuration again and applies what may change while the agent runs. What needs a
 * restart is named in the log and the new configuration as a whole is refused, so that file and
 * agent never agree by halves. Thread: control.
 */
#ifndef SL_AGENT_RELOAD_H
#define SL_AGENT_RELOAD_H

#include "config/config.h"

struct sl_agent;

/* 0; -EINVAL with errors, -EBUSY with changes that need a restart: then all stays as it was. Both
 * are logged. */
int sl_reload(struct sl_agent *agent, const struct sl_config_source *source);

#endif
