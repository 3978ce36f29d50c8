/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The arena of a worker at start: the one that is there, or a new one where it cannot be used. What
 * is put aside keeps its bytes: `.bad` is damaged or from before the host was started, `.suspect`
 * was there when three agents in a row died soon after their start. Thread: control.
 */
#ifndef SL_AGENT_ARENA_OPEN_H
#define SL_AGENT_ARENA_OPEN_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/base/error.h"

struct sl_agent;
struct sl_arena;

/* The count of starts that were not survived, in a file of the private folder. */
struct sl_arena_starts {
	char path[512];
	bool open;    /* this start is not survived yet */
	bool suspect; /* the arenas that are there are not to be used */
	uint64_t until_ns, settled;
};

void sl_arena_starts_begin(struct sl_agent *agent, struct sl_arena_starts *starts,
			   const char *private_path);

/*
 * The start counts as survived: after 10 s, when a record of it got its outcome, or in an orderly
 * end (force). Returns when it wants to be asked again, in ms; -1 never.
 */
int sl_arena_starts_turn(struct sl_agent *agent, struct sl_arena_starts *starts, bool force);

/* 0 and *out; *loaded: it is an earlier agent's. -EPROTO: it belongs to another version of sluiced.
 */
int sl_arena_open(struct sl_agent *agent, uint32_t index, const char *path,
		  const struct sl_arena_starts *starts, struct sl_arena **out, bool *loaded,
		  struct sl_error *err);

#endif
