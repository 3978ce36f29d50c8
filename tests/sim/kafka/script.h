/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One script: what its seed makes of it, step by step, on the real broker and on the model, each
 * step compared. It has a partition of its own, on both sides. A step that differs ends the script.
 *
 * Topics are shared by scripts of one kind (struct topic_kind), but for those that do something to
 * the topic itself.
 */
#ifndef SL_SIM_KAFKA_SCRIPT_H
#define SL_SIM_KAFKA_SCRIPT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "tests/sim/kafka/mirror.h"
#include "tests/sim/kafka/real.h"

enum {
	SCRIPT_PRODUCERS_MAX = 4,
	SCRIPT_HISTORY = 12,
	SCRIPT_PARTITIONS = 8, /* of a shared topic */
	KIND_CONFIGS_MAX = 2,
};

enum topic_kind_id { KIND_PLAIN, KIND_SMALL, KIND_TIMES, KIND_IN_SYNC, KIND_OWN, KIND_COUNT };

struct topic_kind {
	const char *name;
	struct {
		const char *name, *value;
	} configs[KIND_CONFIGS_MAX];
	struct sim_topic_spec spec; /* the same, as the model has it */
};

extern const struct topic_kind topic_kinds[KIND_COUNT];

struct script_sent {
	int16_t epoch;
	int32_t base;
	uint32_t count;
};

struct script_producer { /* what the script believes; it only serves to draw */
	int64_t id;
	int16_t epoch;
	int32_t next;
	uint32_t sent_count;
	struct script_sent sent[SCRIPT_HISTORY]; /* the newest first */
};

struct script {
	uint64_t seed, random;
	enum topic_kind_id kind;
	bool verbose, failed;
	struct real *real;
	struct mirror *mirror;
	char topic[32];
	struct sl_uuid id, id_before;
	bool exists;
	uint32_t partitions; /* of the topic */
	int32_t partition;
	int32_t leader_epoch, model_epoch;
	struct script_producer producers[SCRIPT_PRODUCERS_MAX];
	uint32_t producer_count, producer; /* the current one */
	uint32_t lives;
	uint32_t steps;
	FILE *log;
	char *log_text;
	size_t log_bytes;
};

struct script_counts { /* of steps that agreed, by what they showed */
	uint64_t steps, produced, duplicates, out_of_order, old_epoch, too_large, times, unknown,
		others, described;
};

enum topic_kind_id script_kind(uint64_t seed);
/* The topic exists on the real broker already, unless the kind is KIND_OWN. */
void script_begin(struct script *script, struct real *real, uint64_t seed, const char *topic,
		  struct sl_uuid id, int32_t partition);
void script_end(struct script *script);
/* Some steps, and a look at the state at the end. */
void script_run(struct script *script, struct script_counts *counts);
/* The real broker has been restarted. */
void script_restarted(struct script *script, bool clean);
struct sl_uuid script_topic_create(struct real *real, enum topic_kind_id kind, const char *name,
				   uint32_t partitions);

#endif
