/* SPDX-License-Identifier: Apache-2.0 */
/* What the keepers' tests share: a pair of files that says whose it is, and time. */
#ifndef SL_TESTS_KEEPER_FILES_H
#define SL_TESTS_KEEPER_FILES_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "agent/keeper.h"

static inline int files_make(uint64_t id, int fds[SL_KEEPER_FDS])
{
	for (int i = 0; i < SL_KEEPER_FDS; i++) {
		uint64_t words[2] = {id, (uint64_t)i};

		fds[i] = memfd_create("kept", MFD_CLOEXEC);
		if (fds[i] < 0 || pwrite(fds[i], words, sizeof(words), 0) != sizeof(words))
			return -1;
	}
	return 0;
}

static inline int files_are(uint64_t id, const int fds[SL_KEEPER_FDS])
{
	for (int i = 0; i < SL_KEEPER_FDS; i++) {
		uint64_t words[2] = {0};

		if (pread(fds[i], words, sizeof(words), 0) != sizeof(words) || words[0] != id ||
		    words[1] != (uint64_t)i)
			return 0;
	}
	return 1;
}

static inline void files_close(const int fds[SL_KEEPER_FDS])
{
	for (int i = 0; i < SL_KEEPER_FDS; i++)
		close(fds[i]);
}

/* Makes a pair, keeps it, closes it: from then on the keeper alone has it. */
static inline int files_keep(struct sl_keeper *keeper, uint64_t id)
{
	int fds[SL_KEEPER_FDS];
	int rc = files_make(id, fds);

	if (rc == 0)
		rc = keeper->ops->keep(keeper, id, fds);
	files_close(fds);
	return rc;
}

#endif
