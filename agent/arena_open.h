/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The arena of a worker at start: the one that is there, or a new one where it cannot be used. What
 * is put aside keeps its bytes: `.bad` is damaged or from before the host was started, `.suspect`
 * was there when three agents in a row crashed soon after their start. Thread: control.
 */
#ifndef SL_AGENT_ARENA_OPEN_H
#define SL_AGENT_ARENA_OPEN_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/base/error.h"

struct sl_agent;
struct sl_arena;

/*
 * Crashes in a row, each within 10 s of a start: a byte each in a file of the private folder,
 * appended by the handler of agent/crash.h, which has to be armed. SIGKILL leaves none: whoever
 * sends it has reasons outside of the arena.
 */
struct sl_crash_loop {
	bool open;    /* this start is not survived yet */
	bool suspect; /* there were three: the arenas that are there are not to be used */
	uint64_t until_ns;
	int fd; /* of that file, -1: it cannot be written */
};

void sl_crash_loop_begin(struct sl_agent *agent, struct sl_crash_loop *loop,
			 const char *private_path);

/* Survived: after 10 s, or in an orderly end. Returns when it wants to be asked again, in ms; -1
 * never. */
int sl_crash_loop_turn(struct sl_agent *agent, struct sl_crash_loop *loop, bool end);

/* 0 and *out; *loaded: it is an earlier agent's. -EPROTO: it belongs to another version of sluiced.
 */
int sl_arena_open(struct sl_agent *agent, uint32_t index, const char *path,
		  const struct sl_crash_loop *loop, struct sl_arena **out, bool *loaded,
		  struct sl_error *err);

#endif
