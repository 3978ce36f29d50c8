/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who holds the segments of applications while no agent lives: D and S of a segment, by its id. An
 * application is told OPENED only after keep() has returned, so no record can be committed to a
 * ring that would not be kept. Thread: control.
 */
#ifndef SL_AGENT_KEEPER_H
#define SL_AGENT_KEEPER_H

#include <stdint.h>

enum { SL_KEEPER_FDS = 2 }; /* D, S */

struct sl_keeper;

struct sl_keeper_kept {
	uint64_t id;
	int fds[SL_KEEPER_FDS]; /* the caller's from then on */
};

struct sl_keeper_ops {
	const char *name; /* as `status` shows it */
	/* Returns when the descriptors are held elsewhere: 0 or -errno. They stay the caller's too.
	 */
	int (*keep)(struct sl_keeper *keeper, uint64_t id, const int fds[SL_KEEPER_FDS]);
	void (*drop)(struct sl_keeper *keeper, uint64_t id);
	/* What an earlier agent left: up to max entries into out; returns the count or -errno. */
	int (*list)(struct sl_keeper *keeper, struct sl_keeper_kept *out, uint32_t max);
	void (*destroy)(struct sl_keeper *keeper);
};

struct sl_keeper {
	const struct sl_keeper_ops *ops;
};

/*
 * Keeps nothing. What it costs: records committed but not yet consumed of an application that is
 * dead too when the agent comes back.
 */
struct sl_keeper *sl_keeper_none(void);

#endif
