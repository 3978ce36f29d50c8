/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/keeper.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Systemd started this very process (SYSTEMD_EXEC_PID, from 248 on), so it ends what that started
 * too. */
static bool under_systemd(void)
{
	const char *text = getenv("SYSTEMD_EXEC_PID");

	return text && strtol(text, NULL, 10) == getpid();
}

struct sl_keeper *sl_keeper_open(const struct sl_keeper_options *options)
{
	struct sl_keeper *keeper;

	if (sl_keeper_systemd_room())
		return sl_keeper_systemd();
	/* The kernel ends everything in a pid namespace together with its first process. */
	if (getpid() == 1)
		return sl_keeper_none("the agent is pid 1: a keeper would die with it");
	keeper = sl_keeper_process(options);
	if (keeper && keeper->pid && under_systemd())
		snprintf(keeper->reason, sizeof(keeper->reason),
			 "the unit has no FileDescriptorStoreMax=: systemd ends this keeper with "
			 "the agent unless KillMode=process");
	return keeper;
}
