/* SPDX-License-Identifier: Apache-2.0 */
/* Applications: they use libsluice as a program does, one after the other in the simulator's
 * thread. */
#ifndef SL_SIM_APP_H
#define SL_SIM_APP_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/client/sluice.h"
#include "tests/sim/world.h"

struct sim;

/* ABSENT -> RUNNING -> DRAINING -> DONE; a death goes back to ABSENT while lives are left. */
enum app_state { APP_ABSENT, APP_RUNNING, APP_DRAINING, APP_DONE };

struct app_ring {
	sluice_ring *ring;
	uint32_t book;
	uint32_t sent, dropped;
};

struct app {
	uint32_t index;
	enum app_state state;
	bool busy; /* inside a call that waits */
	uint32_t life, lives;
	uint64_t next_ns, report_ns;
	sluice_client *client;
	sluice_topic *topics[SIM_TOPICS_MAX];
	struct app_ring rings[SIM_APP_RINGS_MAX];
};

void apps_init(struct sim *sim);
/* What this application does now, if anything. */
uint32_t app_turn(struct sim *sim, uint32_t index);
uint64_t apps_next_ns(const struct sim *sim);
/* No more records; when all of them have an outcome it is DONE. */
void apps_finish(struct sim *sim);
/* A few small records of each ring, to show that all goes on after what went wrong. */
void apps_probe(struct sim *sim);
bool apps_done(const struct sim *sim);
/* Dies between two instructions: no call of its own tells anybody. */
void app_die(struct sim *sim, uint32_t index);
/* The counts that the library shows are what was told. For a ring whose records all have outcomes.
 */
void app_check(struct sim *sim, uint32_t index);
void apps_close(struct sim *sim);
/* Those that are not attached are given up by the agent. */
void apps_given_up(struct sim *sim);
/* The agent has ended, and nobody keeps the rings of those that are dead. */
void apps_unkept(struct sim *sim);
/* What keeps it from being done, for a violation's text. */
void app_describe(struct sim *sim, uint32_t index, char *text, uint32_t bytes);

#endif
