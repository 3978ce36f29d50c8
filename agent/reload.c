/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/reload.h"

#include <errno.h>

#include "agent/agent.h"
#include "agent/settings.h"
#include "dataplane/worker/messages.h"

static void change_log(void *ctx, const char *topic, const char *key, bool reloadable)
{
	struct sl_agent *agent = ctx;

	SL_LOG(&agent->log, reloadable ? SL_LOG_INFO : SL_LOG_ERROR,
	       reloadable ? "config_changed" : "config_needs_restart", SL_T("key", key),
	       SL_T("topic", topic));
}

static void errors_log(struct sl_agent *agent, const struct sl_config_report *report)
{
	for (uint32_t i = 0; i < report->error_count; i++)
		SL_LOG(&agent->log, SL_LOG_ERROR, "config_error",
		       SL_T("place", report->errors[i].place), SL_T("key", report->errors[i].key),
		       SL_T("text", report->errors[i].text));
}

static void timeouts_tell(struct sl_agent *agent)
{
	struct sl_worker_options options;
	struct sl_msg msg = {.kind = SL_MSG_TIMEOUTS};

	sl_settings_worker(agent->config, 0, &options);
	msg.b = options.request_timeout_ns;
	msg.c = options.connect_timeout_ns;
	for (uint32_t i = 0; i < agent->worker_count; i++)
		sl_agent_tell(agent, i, &msg);
}

int sl_reload(struct sl_agent *agent, const struct sl_config_source *source)
{
	struct sl_config_report report = {0};
	struct sl_config *fresh = NULL;
	struct sl_config *old = (struct sl_config *)(uintptr_t)agent->config;
	int rc = sl_config_load(source, &fresh, &report);

	if (rc < 0) {
		errors_log(agent, &report);
	} else if (sl_config_diff(old, fresh, change_log, agent) > 0) {
		sl_config_free(fresh);
		rc = -EBUSY;
	}
	sl_config_report_fini(&report);
	if (rc < 0) {
		SL_LOG(&agent->log, SL_LOG_ERROR, "reload_refused", SL_N("rc", rc));
		return rc;
	}
	agent->config = fresh;
	agent->log.level_max = (enum sl_log_level)fresh->log_level;
	sl_topics_settings_tell(agent);
	timeouts_tell(agent);
	sl_config_free(old);
	SL_LOG(&agent->log, SL_LOG_INFO, "reloaded", SL_N("topics", agent->topics.count));
	return 0;
}
