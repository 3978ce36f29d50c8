/* SPDX-License-Identifier: Apache-2.0 */
/* What must hold when a run is over. Each function ends the process with what it found. */
#ifndef SL_SIM_CHECK_H
#define SL_SIM_CHECK_H

#include <stdint.h>

struct sim;

/* While the agent still runs and every record has its outcome: memory is given back, no timer is
 * left. */
void check_at_rest(struct sim *sim);
/* What was loaded is whole. */
void check_arena_loaded(struct sim *sim, uint32_t worker);
/* The arenas, after the last turn. */
void check_arenas(struct sim *sim);

/* What a worker counts by partition, broker and ring makes its totals, between any two turns. */
void check_books(struct sim *sim, uint32_t worker);
/* What was reported against what lies in the logs. */
void check_records(struct sim *sim);

#endif
