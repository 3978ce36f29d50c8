/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Topics that applications bound, and what metadata said of them. A topic stays known until the
 * agent ends, since ring slots and batches name its index. Thread: control.
 */
#ifndef SL_AGENT_TOPICS_H
#define SL_AGENT_TOPICS_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/resolution.h"
#include "dataplane/wire/metadata.h"
#include "dataplane/worker/messages.h"

struct sl_agent;

struct sl_topic_leader {
	int32_t node;  /* -1: none */
	int32_t epoch; /* -1: not known */
};

struct sl_topic {
	char name[SL_TOPIC_NAME_BYTES];
	bool known;                /* metadata named its partitions at least once */
	bool dirty;                /* routes have to be worked out */
	bool open;                 /* something is missing: asked again soon */
	bool answered;             /* by the response that is being applied */
	int16_t error;             /* what its records fail with, 0: they wait or go */
	int16_t trouble;           /* what metadata said last; for status and log */
	uint64_t unknown_since_ns; /* 0: it is not unknown */
	enum sl_resolution_way resolution; /* see resolution.h */
	struct sl_uuid id;
	uint32_t partition_count;
	struct sl_topic_leader *leaders;
	struct sl_worker_topic *objects; /* by worker, which hold them until they are destroyed */
	struct sl_topic_routes *sent;    /* what the workers have; NULL: nothing yet */
};

struct sl_topics {
	struct sl_topic *list; /* topics_max of the configuration at start */
	uint32_t count, max;
};

int sl_topics_init(struct sl_agent *agent);
void sl_topics_fini(struct sl_agent *agent);

/*
 * The index of a topic; a new one is told to all workers and asked for. -ENOSPC when topics.max is
 * reached, -ENOMEM.
 */
int sl_topics_bind(struct sl_agent *agent, const char *name);

/* Takes the topics of a checked response. */
void sl_topics_apply(struct sl_agent *agent, struct sl_metadata_reader m);

/* When metadata should be asked again because a topic lacks something; SL_DEADLINE_NONE when none
 * does. */
uint64_t sl_topics_open_ns(const struct sl_agent *agent, uint64_t now_ns);

/* Settings changed: every worker is told those of every topic. */
void sl_topics_settings_tell(struct sl_agent *agent);

#endif
