/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A keeper for the agent of a box: descriptors that outlive each of its lives, behind the same
 * interface as the daemon's keepers. A world has one or has none.
 */
#ifndef SL_SIM_KEEPER_H
#define SL_SIM_KEEPER_H

#include <stdbool.h>
#include <stdint.h>

struct sim;
struct sl_keeper;

enum { KEPT_MAX = 32 };

struct kept_store {
	struct {
		bool used;
		uint64_t id;
		int fds[2]; /* D, S */
	} list[KEPT_MAX];
	int listen_fd;
};

void keeper_init(struct sim *sim);
/* What one life of the agent asks. NULL for want of memory. */
struct sl_keeper *keeper_make(struct sim *sim);
uint32_t keeper_held(const struct sim *sim);
void keeper_fini(struct sim *sim);

#endif
