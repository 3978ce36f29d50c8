/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A journal read back: a copy of what its sender had stored by then, checked (the file is whoever's who can write it) and
 * its exceptions sorted. One thread; the sender may still be writing.
 */
#ifndef SLUICE_TOOL_JOURNAL_READ_H
#define SLUICE_TOOL_JOURNAL_READ_H

#include "tools/sluice/journal.h"

struct journal_view {
	char path[4096];
	char topic[JOURNAL_TOPIC_BYTES];
	char cluster[JOURNAL_CLUSTER_BYTES];
	uint64_t stream;
	uint32_t sender;
	int64_t started_ms;
	bool alive; /* its sender still holds the lock */
	uint64_t claimed, committed, settled_below;
	uint64_t counts[JOURNAL_OUTCOMES];
	uint64_t spill_low, spill_high;
	enum journal_end end;
	struct journal_slot *slots; /* sorted by first, without overlap; journal_view_free() */
	uint32_t slot_count;
};

/* 0; -EBADMSG: not a journal, or one that contradicts itself; -EPROTONOSUPPORT: of another version; errno of open(2). */
int journal_read(const char *path, struct journal_view *out, struct sl_error *err);

/* The sender's words once more, after the topic's ends were asked for: claimed, and the exceptions since. */
int journal_reread(struct journal_view *view, struct sl_error *err);

void journal_view_free(struct journal_view *view);

#endif
