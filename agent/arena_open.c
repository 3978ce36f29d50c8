/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/arena_open.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/settings.h"
#include "dataplane/base/clock.h"
#include "dataplane/batch/arena.h"

enum { STARTS_MAX = 3, PATH_BYTES = 560, LOOK_MS = 250 };

/* An agent that lived so long did not die of what it loaded. */
#define SURVIVED_NS (10 * SL_NS_PER_S)

static void starts_write(const struct sl_arena_starts *starts, unsigned int count)
{
	FILE *f = fopen(starts->path, "we");

	if (!f)
		return;
	fprintf(f, "%u\n", count);
	fclose(f);
}

static uint64_t settled_count(const struct sl_agent *agent)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < agent->worker_count; i++) {
		const struct sl_worker_stats *stats = sl_worker_stats(agent->workers[i].worker);

		sum += atomic_load_explicit(&stats->persisted, memory_order_relaxed) +
		       atomic_load_explicit(&stats->failed, memory_order_relaxed) +
		       atomic_load_explicit(&stats->unknown, memory_order_relaxed);
	}
	return sum;
}

void sl_arena_starts_begin(struct sl_agent *agent, struct sl_arena_starts *starts,
			   const char *private_path)
{
	unsigned int count = 0;
	FILE *f;

	*starts = (struct sl_arena_starts){.open = true, .settled = UINT64_MAX};
	starts->until_ns = sl_agent_now_ns(agent) + SURVIVED_NS;
	snprintf(starts->path, sizeof(starts->path), "%s/starts", private_path);
	f = fopen(starts->path, "re");
	if (f && fscanf(f, "%u", &count) != 1)
		count = 0;
	if (f)
		fclose(f);
	starts->suspect = count >= STARTS_MAX;
	starts_write(starts, starts->suspect ? 1 : count + 1);
}

int sl_arena_starts_turn(struct sl_agent *agent, struct sl_arena_starts *starts, bool force)
{
	uint64_t settled;

	if (!starts->open)
		return -1;
	settled = settled_count(agent);
	if (starts->settled == UINT64_MAX)
		starts->settled = settled; /* what was resolved at load is no progress */
	if (!force && settled == starts->settled && sl_agent_now_ns(agent) < starts->until_ns)
		return LOOK_MS;
	starts->open = false;
	unlink(starts->path);
	return -1;
}

/* One of each kind is kept. */
static int put_aside(struct sl_agent *agent, const char *path, const char *suffix,
		     const char *reason, struct sl_error *err)
{
	char aside[PATH_BYTES];

	snprintf(aside, sizeof(aside), "%s.%s", path, suffix);
	if (rename(path, aside) < 0)
		return sl_error_set(err, -errno, "move %s aside: %s", path, strerror(errno));
	SL_LOG(&agent->log, SL_LOG_ERROR, "arena_set_aside", SL_T("path", aside),
	       SL_T("reason", reason));
	return 0;
}

static void loaded_tell(struct sl_agent *agent, uint32_t index,
			const struct sl_arena_loaded *loaded, uint64_t took_ns)
{
	bool damaged = loaded->condemned + loaded->lost + loaded->slots_lost > 0;

	if (loaded->records > 0 || loaded->segments > 0 || damaged)
		SL_LOG(&agent->log, damaged ? SL_LOG_ERROR : SL_LOG_INFO, "arena_loaded",
		       SL_N("worker", index), SL_N("records", loaded->records),
		       SL_N("open", loaded->open), SL_N("sealed", loaded->sealed),
		       SL_N("sent", loaded->sent), SL_N("resolved", loaded->resolved),
		       SL_N("unknown", loaded->unknown), SL_N("condemned", loaded->condemned),
		       SL_N("lost", loaded->lost), SL_N("slots_lost", loaded->slots_lost),
		       SL_N("segments", loaded->segments), SL_N("rings", loaded->rings),
		       SL_N("took_us", took_ns / SL_NS_PER_US));
}

int sl_arena_open(struct sl_agent *agent, uint32_t index, const char *path,
		  const struct sl_arena_starts *starts, struct sl_arena **out, bool *loaded,
		  struct sl_error *err)
{
	uint64_t begun_ns = sl_agent_now_ns(agent);
	struct sl_arena_options options;
	struct sl_arena_loaded found;
	char reason[sizeof(err->text)];
	int rc;

	sl_settings_arena(agent->config, index, &options);
	if (starts->suspect && access(path, F_OK) == 0) {
		rc = put_aside(agent, path, "suspect", "three agents died soon after their start",
			       err);
		if (rc < 0)
			return rc;
	}
	rc = sl_arena_load(out, &options, path, &found, err);
	*loaded = rc == 0;
	if (rc == 0) {
		loaded_tell(agent, index, &found, sl_agent_now_ns(agent) - begun_ns);
		return 0;
	}
	if (rc == -EBADMSG) {
		snprintf(reason, sizeof(reason), "%s", err->text);
		rc = put_aside(agent, path, "bad", reason, err);
	} else if (rc == -ESTALE) {
		rc = unlink(path) < 0 ? -errno : 0;
	} else if (rc == -ENOENT) {
		rc = 0;
	}
	return rc < 0 ? rc : sl_arena_create(out, &options, path, err);
}
