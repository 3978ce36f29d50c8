/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/keeper.h"
#include "tests/sim/sim.h"

struct box_keeper {
	struct sl_keeper keeper;
	struct sim *sim;
};

static struct sim *sim_of(struct sl_keeper *keeper)
{
	return ((struct box_keeper *)keeper)->sim;
}

static int copy(struct sim *sim, int fd)
{
	int out = fcntl(fd, F_DUPFD_CLOEXEC, 3);

	if (out < 0)
		sim_violation(sim, "no descriptor for the keeper");
	return out;
}

static void forget(struct sim *sim, uint32_t i)
{
	if (!sim->box.kept.list[i].used)
		return;
	close(sim->box.kept.list[i].fds[0]);
	close(sim->box.kept.list[i].fds[1]);
	sim->box.kept.list[i].used = false;
}

static void store_drop(struct sl_keeper *keeper, uint64_t id)
{
	struct sim *sim = sim_of(keeper);

	for (uint32_t i = 0; i < KEPT_MAX; i++)
		if (sim->box.kept.list[i].id == id)
			forget(sim, i);
}

static int store_keep(struct sl_keeper *keeper, uint64_t id, const int fds[SL_KEEPER_FDS])
{
	struct sim *sim = sim_of(keeper);
	struct kept_store *store = &sim->box.kept;

	store_drop(keeper, id);
	for (uint32_t i = 0; i < KEPT_MAX; i++) {
		if (store->list[i].used)
			continue;
		store->list[i].used = true;
		store->list[i].id = id;
		store->list[i].fds[0] = copy(sim, fds[0]);
		store->list[i].fds[1] = copy(sim, fds[1]);
		return 0;
	}
	sim_violation(sim, "more than %d segments are kept", KEPT_MAX);
}

static int store_list(struct sl_keeper *keeper, struct sl_keeper_kept *out, uint32_t max)
{
	struct sim *sim = sim_of(keeper);
	int count = 0;

	for (uint32_t i = 0; i < KEPT_MAX && (uint32_t)count < max; i++) {
		if (!sim->box.kept.list[i].used)
			continue;
		out[count].id = sim->box.kept.list[i].id;
		out[count].fds[0] = copy(sim, sim->box.kept.list[i].fds[0]);
		out[count++].fds[1] = copy(sim, sim->box.kept.list[i].fds[1]);
	}
	return count;
}

/* The box asks for the listener itself, as the runtime folder does in the daemon. */
static int store_listener_put(struct sl_keeper *keeper, const struct sl_keeper_listener *listener)
{
	struct sim *sim = sim_of(keeper);

	if (sim->box.kept.listen_fd < 0)
		sim->box.kept.listen_fd = copy(sim, listener->fd);
	return 0;
}

static int store_listener_get(struct sl_keeper *keeper, struct sl_keeper_listener *out)
{
	struct sim *sim = sim_of(keeper);

	if (sim->box.kept.listen_fd < 0)
		return -ENOENT;
	*out = (struct sl_keeper_listener){.fd = copy(sim, sim->box.kept.listen_fd)};
	return 0;
}

static void store_goodbye(struct sl_keeper *keeper)
{
}

static void store_destroy(struct sl_keeper *keeper)
{
	free(keeper);
}

static const struct sl_keeper_ops store_ops = {
	"box",         store_keep,         store_drop,
	store_list,    store_listener_put, store_listener_get,
	store_goodbye, store_destroy,
};

void keeper_init(struct sim *sim)
{
	sim->box.kept.listen_fd = -1;
}

struct sl_keeper *keeper_make(struct sim *sim)
{
	struct box_keeper *made = calloc(1, sizeof(*made));

	if (!made)
		return NULL;
	made->sim = sim;
	made->keeper.ops = &store_ops;
	made->keeper.watch_fd = -1;
	made->keeper.held = keeper_held(sim);
	return &made->keeper;
}

uint32_t keeper_held(const struct sim *sim)
{
	uint32_t held = 0;

	for (uint32_t i = 0; i < KEPT_MAX; i++)
		held += sim->box.kept.list[i].used;
	return held;
}

void keeper_fini(struct sim *sim)
{
	for (uint32_t i = 0; i < KEPT_MAX; i++)
		forget(sim, i);
	if (sim->box.kept.listen_fd >= 0)
		close(sim->box.kept.listen_fd);
}
