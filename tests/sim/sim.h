/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulator: agent, workers, applications and a model of a Kafka cluster in one process, one
 * thread and virtual time, all of it decided by one seed. The code under test is the real one: the
 * control thread's turn with admission, the workers' turns on the in-memory transport, and
 * libsluice with its handshake over real descriptors. README.md beside this file tells how to read
 * a trace and how to add a fault.
 *
 *   world.c     what a seed makes of a run          faults.c    what goes wrong, and when
 *   box.c       the agent and its workers           app.c       applications
 *   order.c     death at a store                    ledger.c    each record and what became of it
 *   keeper.c    who holds what a dead agent had     os.c        clock, locks and waiting
 *   cluster.c   leaders, replicas, elections        check.c     what must hold
 *   log.c       one replica's log                   run.c       the loop
 *   producer_state.c, conn.c, serve.c, produce.c: one broker
 */
#ifndef SL_SIM_SIM_H
#define SL_SIM_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/base/clock.h"
#include "tests/sim/app.h"
#include "tests/sim/box.h"
#include "tests/sim/cluster.h"
#include "tests/sim/faults.h"
#include "tests/sim/ledger.h"
#include "tests/sim/world.h"

struct sim {
	uint64_t seed, random;
	uint64_t now_ns;
	int64_t realtime_shift_ms; /* what jumps of the wall clock add up to */
	bool verbose;
	uint64_t hash; /* of the trace so far: two runs of one seed must agree */
	uint64_t events, steps;
	uint64_t idle_steps; /* in a row, without the clock moving */
	uint64_t load_end_ns, heal_ns;
	uint32_t depth; /* of calls that wait: the world goes on beneath them */
	struct sim_world world;
	struct cluster cluster;
	struct box box;
	struct app apps[SIM_APPS_MAX];
	struct ledger ledger;
	struct faults faults;
};

enum { SIM_REALTIME_BASE_S = 1700000000 };

/* The run that the process is in: what the functions of os.c, which the linker puts in the place of
 * system calls, cannot be given. */
extern struct sim *sim_current;

uint64_t sim_random(struct sim *sim);
/* 0 .. below - 1; 0 for 0. */
uint64_t sim_below(struct sim *sim, uint64_t below);
/* low .. high, both included. */
uint64_t sim_between(struct sim *sim, uint64_t low, uint64_t high);
/* True in `percent` of 100 calls. */
bool sim_chance(struct sim *sim, uint32_t percent);
/* Spread over magnitudes: mostly small, seldom up to max. */
uint64_t sim_skewed(struct sim *sim, uint64_t max);

int64_t sim_realtime_ms(const struct sim *sim);

/*
 * One event of the trace: always into the hash, and printed when verbose. Each {} of the text is
 * one of the values, in order.
 */
void sim_trace_values(struct sim *sim, const char *text, const int64_t *values, uint32_t count);
#define TRACE_VALUES(...) ((const int64_t[]){__VA_ARGS__})
#define TRACE(sim, text, ...)                                                                      \
	sim_trace_values((sim), (text), TRACE_VALUES(__VA_ARGS__),                                 \
			 sizeof(TRACE_VALUES(__VA_ARGS__)) / sizeof(int64_t))

/* Something that must hold does not: says what, how to see it again, and ends the process. */
__attribute__((noreturn, format(printf, 2, 3))) void sim_violation(struct sim *sim,
								   const char *format, ...);

/* run.c: one step of everything, then the clock moves. */
void sim_step(struct sim *sim);

#endif
