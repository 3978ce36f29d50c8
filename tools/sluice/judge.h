/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `sluice verify` finds: the stamps of records as they stand in the topics, against each other and against the
 * senders' journals. First the journals are given, then the records of one partition after the other, each partition in
 * the order of its offsets, then the verdict is asked for. Knows neither Kafka nor files. One thread.
 *
 * Memory: a bit for each sequence of a sender (seen.h) within a budget, 32 bytes for each key of a partition up to
 * JUDGE_KEYS_MAX.
 */
#ifndef SLUICE_TOOL_JUDGE_H
#define SLUICE_TOOL_JUDGE_H

#include "tools/sluice/journal_read.h"
#include "tools/sluice/seen.h"
#include "tools/sluice/stamp.h"

enum { JUDGE_SENDERS_MAX = 1 << 16, JUDGE_KEYS_MAX = 1 << 21 };

/* What must not be. */
enum defect {
	DEFECT_LOST,       /* handed over, neither failed nor unknown nor dropped, and absent */
	DEFECT_DOUBLED,    /* there more than once; counts the copies beyond the first */
	DEFECT_REORDERED,  /* behind a record of the same sender and partition that was sent later */
	DEFECT_KEY_ORDER,  /* of those, behind one with the same key */
	DEFECT_CORRUPTED,  /* the checksum is not that of key and value */
	DEFECT_BEYOND,     /* a number that the sender never gave */
	DEFECT_NOT_FAILED, /* there, though reported as failed or dropped */
	DEFECT_MISPLACED,  /* in another topic than the journal's */
	DEFECT_COUNT
};

/* What cannot be decided. */
enum doubt {
	DOUBT_UNDER_WAY, /* absent, no outcome yet, and the sender runs */
	DOUBT_SPILLED,   /* absent, where the journal's table was full */
	DOUBT_GAP,       /* absent in the middle, and there is no journal that could say why */
	DOUBT_NO_JOURNAL, /* 1: the end of this sender's records is not known */
	DOUBT_EXPIRED,   /* would be lost, but the topic's beginning was deleted */
	DOUBT_OTHER_RUN, /* 1: a journal that nobody named, of which the topic has nothing */
	DOUBT_ROOM,      /* records that found no memory */
	DOUBT_COUNT
};

const char *defect_name(enum defect d);
const char *doubt_name(enum doubt d);

struct verdict {
	uint64_t defects[DEFECT_COUNT];
	struct place first[DEFECT_COUNT]; /* of each; for lost ones: sequence, and where a neighbour is */
	bool placed[DEFECT_COUNT];        /* first has a place */
	uint64_t doubts[DOUBT_COUNT];
	uint64_t records;        /* seen, copies included */
	uint64_t lost_unseen;    /* of the lost: the sender did not live to see an outcome */
	uint64_t unknown_present, unknown_absent;
	uint64_t failed_absent, dropped_absent;
	uint64_t tail_present, tail_absent; /* claimed, not committed: either is right */
};

struct sender_state {
	uint64_t stream;
	uint32_t sender;
	struct journal_view *journal; /* NULL: none */
	uint32_t journal_topic;       /* the caller's number of its topic; UINT32_MAX: not read */
	bool named;                   /* the user named the journal */
	bool expired;                 /* the beginning of its topic was deleted */
	struct seen seen;
	struct verdict verdict;
	/* In the partition that is read: */
	uint32_t order_epoch;
	uint64_t order_next; /* one past the largest sequence so far */
};

struct judge;

struct judge *judge_create(uint64_t bytes_max);
void judge_destroy(struct judge *j);

/* A journal, kept by the caller. topic: number of its topic or UINT32_MAX. -EEXIST: a second one of this sender. */
int judge_journal(struct judge *j, struct journal_view *journal, uint32_t topic, bool named);

/* What follows is of another partition. start_offset above 0: its beginning was deleted. */
void judge_partition(struct judge *j, uint32_t topic, int32_t partition, int64_t start_offset);

/* A record of it. stamp: its header's value, data NULL when it has none. */
void judge_record(struct judge *j, int64_t offset, struct sl_slice stamp, struct sl_slice key, struct sl_slice value);

/* A batch that is damaged as a whole. */
void judge_batch_corrupted(struct judge *j, int64_t offset);

/* Completes every sender's verdict and returns the sum of all; senders in the order in which they were met. */
const struct verdict *judge_finish(struct judge *j);
const struct sender_state *judge_sender(const struct judge *j, uint32_t index);
uint32_t judge_sender_count(const struct judge *j);

/* Records that carry no stamp. */
uint64_t judge_unstamped(const struct judge *j);

/* Keys whose order was followed, counted in each partition, and whether there were more than fit. */
uint64_t judge_keys(const struct judge *j, bool *more);

#endif
