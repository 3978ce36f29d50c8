/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent with its workers: what one sluiced process is. It can be dropped at any turn without
 * any clean-up of what it shares with others (arena files, segments, sockets' bytes under way), and
 * made anew on the same files.
 */
#ifndef SL_SIM_BOX_H
#define SL_SIM_BOX_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/agent.h"
#include "agent/resolve.h"
#include "dataplane/batch/arena.h"
#include "tests/sim/keeper.h"
#include "tests/sim/world.h"

struct sim;
struct sl_control;

enum { BOX_RESOLVES_MAX = 32 };

struct box_worker {
	struct sim *sim;
	struct sl_worker *worker;
	struct sl_arena *arena;
	struct sl_transport *transport;
	struct sl_env env;
	char arena_path[128];
	int epoll_fd;
	bool asleep, told;
	bool bell_rung; /* some bell was: this one's epoll knows whether it concerns it */
	uint64_t next_ns;
	uint32_t past_due; /* turns without work though the deadline is over */
};

struct box {
	bool running;
	uint32_t life;
	struct sl_config *config;
	struct sl_agent agent;
	struct sl_control *control;
	int listen_fd, log_fd;
	char folder[64], socket_path[100];
	struct box_worker workers[SIM_WORKERS_MAX];
	uint32_t worker_count;
	bool notified; /* a worker told the control thread something */
	/* Looks at the descriptors that are still due since an application wrote to its socket or
	 * hung up: accepting, watching and reading take one each. */
	uint32_t socket_looks;
	uint64_t control_ns; /* when the control thread wants its next turn */
	uint64_t arrival_ns; /* when bytes reach a broker */
	bool wire_dirty;     /* a worker may have sent something */
	uint64_t restart_ns; /* while it is dead */
	struct kept_store kept;
	bool over;     /* its shutdown is */
	bool stopping; /* it was asked to stop, and another life follows */
	uint32_t kills, start_kills, stops, stops_kept;
	struct {
		struct sl_resolve *request;
		uint64_t due_ns;
	} resolves[BOX_RESOLVES_MAX];
	uint32_t resolve_count;
};

enum { BOX_SOCKET_LOOKS = 4 };

void box_init(struct sim *sim);
/* The start of the daemon: arenas are loaded, segments taken from the keeper. It may die in it. */
void box_start(struct sim *sim);
/* Frees it after its shutdown. */
void box_end(struct sim *sim);
/* kill -9: nothing is told, nothing is cleaned up. */
void box_kill(struct sim *sim, uint64_t restart_ns);
/* TERM, with so much time to drain; another life follows. */
void box_stop(struct sim *sim, uint64_t timeout_ns);
/* After the shutdown that box_stop() began. */
void box_stopped(struct sim *sim);
void box_fini(struct sim *sim);
/* Its files go: the process ends. */
void box_leave(const struct sim *sim);

/* The control thread, if it has something to do. */
uint32_t box_control_slice(struct sim *sim);
/* A worker, if it is awake or has a reason to wake. */
uint32_t box_worker_slice(struct sim *sim, uint32_t index);
/* The earliest time at which one of them wants to run. */
uint64_t box_next_ns(const struct sim *sim);

/* NULL while it is dead. */
struct sl_transport *box_transport(struct sim *sim, uint32_t worker);
/* How connects to this broker go, from its state. */
void box_reach(struct sim *sim, uint32_t broker);

#endif
