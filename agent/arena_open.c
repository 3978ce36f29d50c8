/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/arena_open.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/crash.h"
#include "agent/settings.h"
#include "dataplane/base/clock.h"
#include "dataplane/batch/arena.h"

enum { CRASHES_MAX = 3, PATH_BYTES = 560, ASIDE_MAX = 1000 };

/* An agent that lived so long did not crash because of what it loaded. */
#define SURVIVED_NS (10 * SL_NS_PER_S)

void sl_crash_loop_begin(struct sl_agent *agent, struct sl_crash_loop *loop,
			 const char *private_path)
{
	char path[PATH_BYTES];
	struct stat st = {0};
	int fd;

	*loop = (struct sl_crash_loop){
		.open = true, .fd = -1, .until_ns = sl_agent_now_ns(agent) + SURVIVED_NS};
	snprintf(path, sizeof(path), "%s/crashes", private_path);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || fstat(fd, &st) < 0)
		return;
	loop->suspect = st.st_size >= CRASHES_MAX;
	if (loop->suspect && ftruncate(fd, 0) < 0)
		loop->suspect = false;
	loop->fd = fd;
	sl_crash_count_to(fd);
}

int sl_crash_loop_turn(struct sl_agent *agent, struct sl_crash_loop *loop, bool end)
{
	uint64_t now_ns = sl_agent_now_ns(agent);
	int fd = loop->fd;

	if (!loop->open)
		return -1;
	if (!end && now_ns < loop->until_ns)
		return (int)((loop->until_ns - now_ns) / SL_NS_PER_MS) + 1;
	loop->open = false;
	sl_crash_count_to(-1);
	if (fd >= 0 && ftruncate(fd, 0) < 0)
		SL_LOG(&agent->log, SL_LOG_WARNING, "crashes_not_cleared",
		       SL_T("error", strerror(errno)));
	if (fd >= 0)
		close(fd);
	return -1;
}

/* Under the first name that is free: what was set aside before may be all that is left of records.
 */
static int put_aside(struct sl_agent *agent, const char *path, const char *suffix,
		     const char *reason, struct sl_error *err)
{
	char aside[PATH_BYTES];
	uint32_t number = 1;
	int rc;

	snprintf(aside, sizeof(aside), "%s.%s", path, suffix);
	while ((rc = renameat2(AT_FDCWD, path, AT_FDCWD, aside, RENAME_NOREPLACE)) < 0 &&
	       errno == EEXIST && number < ASIDE_MAX)
		snprintf(aside, sizeof(aside), "%s.%s.%u", path, suffix, ++number);
	if (rc < 0)
		return sl_error_set(err, -errno, "move %s aside, as %s: %s", path, aside,
				    strerror(errno));
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
		  const struct sl_crash_loop *loop, struct sl_arena **out, bool *loaded,
		  struct sl_error *err)
{
	uint64_t begun_ns = sl_agent_now_ns(agent);
	struct sl_arena_options options;
	struct sl_arena_loaded found;
	char reason[sizeof(err->text)];
	int rc;

	sl_settings_arena(agent->config, index, &options);
	if (loop->suspect && access(path, F_OK) == 0) {
		rc = put_aside(agent, path, "suspect",
			       "three agents crashed soon after their start", err);
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
