/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sender that stamps: puts the header on each record and keeps the journal. One for each ring, in its thread; its
 * sequence is the ring's own number, so the ring must be a fresh one. stamping_begin() is called once for a command.
 */
#ifndef SLUICE_TOOL_STAMPER_H
#define SLUICE_TOOL_STAMPER_H

#include "dataplane/client/sluice.h"
#include "tools/sluice/journal.h"
#include "tools/sluice/stamp.h"

enum { STAMP_HEADER_COST_BYTES = STAMP_HEADER_NAME_BYTES + STAMP_BYTES + 4 };

/* What the senders of one run share. */
struct stamping {
	uint64_t stream;
	bool journals; /* false: no folder for them could be used, and none was asked for */
	bool asked;    /* the user named the folder: one that cannot be used is an error */
	char folder[3072];
	char cluster[JOURNAL_CLUSTER_BYTES];
};

struct stamper {
	struct stamp stamp; /* of the next record */
	struct journal journal;
	uint64_t exceptions; /* failed and unknown records that the journal has */
	uint8_t value[STAMP_BYTES];
	struct sluice_header *headers; /* of the record that is being sent, ours last */
	uint32_t headers_room;
};

/* Draws the stream, finds the folder (NULL: the default one) and asks the agent for its cluster. 0, or a negative errno
 * that was told on stderr. */
int stamping_begin(struct stamping *s, const char *socket, const char *folder);

/* 0 or a negative errno that was told. A default folder that cannot be written to is told and done without. */
int stamper_open(struct stamper *st, struct stamping *s, const char *topic, uint32_t sender);
void stamper_close(struct stamper *st);

/* Copies record with the stamp as its last header, in the place of one that it has. 0 or -ENOMEM. */
int stamper_stamp(struct stamper *st, const struct sluice_record *record, struct sluice_record *stamped);

/* Around the hand-over of the record that was stamped last. */
static inline void stamper_claim(struct stamper *st)
{
	if (st->journal.file)
		journal_claim(&st->journal, st->stamp.sequence);
}

static inline void stamper_commit(struct stamper *st)
{
	if (st->journal.file)
		journal_commit(&st->journal, st->stamp.sequence);
	st->stamp.sequence++;
}

void stamper_reported(struct stamper *st, const struct sluice_report *report);

/* After every report that there was when stats were taken. */
void stamper_settled(struct stamper *st, const struct sluice_stats *stats);

/* Nothing will be sent or read any more. */
void stamper_end(struct stamper *st, const struct sluice_stats *stats);

/* Nanoseconds that a stamp costs here, journal's words included, tried on records of this size. */
double stamper_cost_ns(uint32_t key_bytes, uint32_t value_bytes);

#endif
