/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who holds the segments of applications while no agent lives: D and S of a segment, by its id, and
 * the socket that listens on agent.sock. An application is told OPENED only after keep() has
 * returned, so no record can be committed to a ring that would not be kept.
 *
 *   systemd   its file descriptor store, where the unit has one (keeper_systemd.c)
 *   process   a small process of our own that outlives the agent (keeper_process.c: our side)
 *   none      nobody; `reason` says why
 *
 * Every question is bounded by SL_KEEPER_TIMEOUT_MS. One that a keeper does not answer in time
 * marks it as lost: from then on it refuses everything at once, and the caller replaces it by none.
 * Thread: control.
 */
#ifndef SL_AGENT_KEEPER_H
#define SL_AGENT_KEEPER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "config/config.h"

enum {
	SL_KEEPER_FDS = 2, /* D, S */
	SL_KEEPER_ENTRIES_MAX = SL_CONFIG_SEGMENTS_MAX,
	SL_KEEPER_TIMEOUT_MS = 1000,
	SL_KEEPER_IDLE_MS = 60000, /* a process that holds nothing for nobody ends after this */
};

struct sl_keeper;

struct sl_keeper_kept {
	uint64_t id;
	int fds[SL_KEEPER_FDS]; /* the caller's from then on */
};

/* A listening socket and the file in the folder that leads to it: a socket whose file was replaced
 * is of no use. */
struct sl_keeper_listener {
	int fd;
	uint64_t dev, ino;
};

struct sl_keeper_ops {
	const char *name; /* as `status` shows it */
	/*
	 * Returns when the descriptors are held elsewhere: 0 or -errno. They stay the caller's too.
	 * An id that is held already is replaced. -ENOSPC: the keeper is full; -EMFILE: its limit
	 * of descriptors.
	 */
	int (*keep)(struct sl_keeper *keeper, uint64_t id, const int fds[SL_KEEPER_FDS]);
	/* One that is not held is no error. */
	void (*drop)(struct sl_keeper *keeper, uint64_t id);
	/*
	 * What an earlier agent left: up to max entries into out; returns the count or -errno. They
	 * stay with the keeper until they are dropped, so that an agent that dies while it looks at
	 * them loses nothing.
	 */
	int (*list)(struct sl_keeper *keeper, struct sl_keeper_kept *out, uint32_t max);
	/* Holds the listening socket, so that connects wait while no agent lives. 0 or -errno. */
	int (*listener_put)(struct sl_keeper *keeper, const struct sl_keeper_listener *listener);
	/* What an earlier agent gave; the descriptor is the caller's. -ENOENT without one. */
	int (*listener_get)(struct sl_keeper *keeper, struct sl_keeper_listener *out);
	/* The agent ends in good order and listens no more. What is kept stays kept. */
	void (*goodbye)(struct sl_keeper *keeper);
	void (*destroy)(struct sl_keeper *keeper);
};

struct sl_keeper {
	const struct sl_keeper_ops *ops;
	uint32_t held;    /* segments */
	bool lost;        /* it stopped answering */
	int watch_fd;     /* readable or hung up: it is lost. -1: nothing to watch */
	pid_t pid;        /* of the process, 0 without one */
	char reason[200]; /* why it is none, or what an operator should know; "" */
};

struct sl_keeper_options {
	const char *private_path; /* runtime.dir/private, locked by this agent */
	uint32_t idle_ms;         /* 0: SL_KEEPER_IDLE_MS */
	/* argv's own bytes, which the process overwrites with its name; NULL: they stay. */
	char *title;
	size_t title_bytes;
};

/*
 * The best keeper there is: systemd's store, else a process, which is started when none answers,
 * else none. Never NULL but for want of memory. Call it before there are threads and mappings: a
 * process that is started is a fork.
 */
struct sl_keeper *sl_keeper_open(const struct sl_keeper_options *options);

/*
 * Keeps nothing. What it costs: records committed but not yet consumed of an application that is
 * dead too when the agent comes back.
 */
struct sl_keeper *sl_keeper_none(const char *reason);

/* By environment: is there a store, how many descriptors does it take? 0: none. */
uint32_t sl_keeper_systemd_room(void);

/* Systemd's store, with what it handed to this process (LISTEN_FDS). NULL for want of memory. */
struct sl_keeper *sl_keeper_systemd(void);

/* A process of our own; none, with the reason, when that does not work. NULL for want of memory. */
struct sl_keeper *sl_keeper_process(const struct sl_keeper_options *options);

#endif
