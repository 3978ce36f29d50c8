/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of `sluice verify` share: what was asked for, what was read, and the telling of it. */
#ifndef SLUICE_TOOL_VERIFY_H
#define SLUICE_TOOL_VERIFY_H

#include "tools/sluice/judge.h"
#include "tools/sluice/kafka_read.h"

enum { VERIFY_TOPICS_MAX = 256, VERIFY_PATHS_MAX = 1024 };

enum verify_exit { VERIFY_CLEAN = 0, VERIFY_VIOLATED = 1, VERIFY_UNDECIDED = 2 };

struct verify_topic {
	const char *name;
	struct kafka_partition *partitions;
	uint32_t partition_count;
	uint64_t records; /* read */
};

struct verify {
	struct verify_topic topics[VERIFY_TOPICS_MAX];
	uint32_t topic_count;
	const char *paths[VERIFY_PATHS_MAX]; /* of --journal */
	uint32_t path_count;
	const char *bootstrap, *socket;
	uint64_t memory_bytes;
	bool json;
	struct journal_view **journals;
	uint32_t journal_count, journal_room;
	uint64_t journals_elsewhere; /* of another cluster, so not looked at */
	struct judge *judge;
	struct verify_topic *reading;
	double seconds; /* of reading */
};

/* Reads the journals that were named, or those of the default folder. 0 or an exit code. */
int verify_journals_load(struct verify *v);

/* Once the ends of the topics are known: reads them again and gives them to the judge. cluster: its id or "". */
int verify_journals_judge(struct verify *v, const char *cluster);
void verify_journals_free(struct verify *v);

/* Tells the verdict on stdout and returns the exit code that goes with it. */
int verify_report(const struct verify *v, const struct verdict *sum);

#endif
