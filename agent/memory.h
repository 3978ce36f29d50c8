/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the agent keeps resident at most, added up from the configuration: `sluiced --dump-config`
 * prints it, and a test holds the kernel's count against it. Everything in bytes. Sizes of tables
 * are exact; what only the cluster or libraries decide is an allowance, named as one. Any thread.
 */
#ifndef SL_AGENT_MEMORY_H
#define SL_AGENT_MEMORY_H

#include <stdint.h>
#include <stdio.h>

#include "config/config.h"

struct sl_memory {
	/* Of each worker. */
	uint64_t arena_bytes;        /* the file with its tables */
	uint64_t arena_tables_bytes; /* beside it */
	uint64_t worker_bytes;       /* requests, rings, topics, partitions, connections */
	uint64_t transport_bytes;    /* with the receive buffers */
	uint64_t codecs_bytes;       /* of the codecs that the configuration names */
	uint64_t stack_bytes;

	uint64_t workers_bytes;  /* all of the above, of all workers */
	uint64_t rings_bytes;    /* rings and reports of all applications */
	uint64_t clients_bytes;  /* tables of applications and connections */
	uint64_t cluster_bytes;  /* brokers, topics, partitions, metadata */
	uint64_t recorder_bytes; /* the control thread's flight recorder */
	uint64_t status_bytes;   /* the text of `sluice status` while it is written */
	uint64_t program_bytes;  /* code, libraries, the other stacks, the allocator's own */
	uint64_t total_bytes;
};

void sl_memory_of(const struct sl_config *config, struct sl_memory *out);

/* As YAML comments; the last line is the sum. */
void sl_memory_print(FILE *out, const struct sl_config *config);

#endif
