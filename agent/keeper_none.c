/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/keeper.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static int none_keep(struct sl_keeper *keeper, uint64_t id, const int fds[SL_KEEPER_FDS])
{
	return 0;
}

static void none_drop(struct sl_keeper *keeper, uint64_t id)
{
}

static int none_list(struct sl_keeper *keeper, struct sl_keeper_kept *out, uint32_t max)
{
	return 0;
}

static int none_listener_put(struct sl_keeper *keeper, const struct sl_keeper_listener *listener)
{
	return 0;
}

static int none_listener_get(struct sl_keeper *keeper, struct sl_keeper_listener *out)
{
	return -ENOENT;
}

static void none_goodbye(struct sl_keeper *keeper)
{
}

static void none_destroy(struct sl_keeper *keeper)
{
	free(keeper);
}

static const struct sl_keeper_ops none_ops = {
	"none",       none_keep,    none_drop, none_list, none_listener_put, none_listener_get,
	none_goodbye, none_destroy,
};

struct sl_keeper *sl_keeper_none(const char *reason)
{
	struct sl_keeper *keeper = calloc(1, sizeof(*keeper));

	if (!keeper)
		return NULL;
	keeper->ops = &none_ops;
	keeper->watch_fd = -1;
	snprintf(keeper->reason, sizeof(keeper->reason), "%s", reason);
	return keeper;
}
