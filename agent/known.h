/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the workers found in their arenas, as the control thread needs it: topics, which it adds
 * before all others, and segments of applications that were attached to an earlier agent. Such a
 * segment is taken again when its application comes back or the keeper gives it, or is given up.
 * Thread: control.
 */
#ifndef SL_AGENT_KNOWN_H
#define SL_AGENT_KNOWN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "config/config.h"
#include "dataplane/shm/handshake.h"
#include "dataplane/shm/layout.h"

struct sl_agent;
struct sl_arena;

enum { SL_KNOWN_NOWHERE = 0xffff };

struct sl_known_segment {
	bool taken; /* or given up */
	uint32_t uid, gid, ring_count;
	uint64_t ring_bytes, data_dev, data_ino, status_dev, status_ino;
	uint8_t client_id[SL_HS_CLIENT_ID_BYTES], token[SL_HS_TOKEN_BYTES];
	uint64_t worker_mask;                 /* bit i: worker i's arena has it ... */
	uint32_t slot[SL_CONFIG_WORKERS_MAX]; /* ... here */
	uint16_t worker[SL_SHM_RINGS_MAX];    /* who reads the ring, or SL_KNOWN_NOWHERE */
	uint8_t report_mode[SL_SHM_RINGS_MAX];
	int32_t topics[SL_SHM_TOPICS_MAX]; /* by the application's slot: index, -1 not bound */
};

struct sl_known {
	struct sl_known_segment *list;
	uint32_t count, room, waiting;
	uint64_t give_up_ns;
};

/*
 * Reads the arenas (by worker; NULL: a new one) and tells the workers of all their topics. Before
 * anything else is told to them. 0 or -ENOMEM, -ENOSPC: more topics than topics.max.
 */
int sl_known_begin(struct sl_agent *agent, struct sl_arena *const *arenas, bool give_up,
		   struct sl_error *err);
void sl_known_fini(struct sl_agent *agent);

/* The segment of these two files, or NULL. token and client_id: NULL when they are not known. */
struct sl_known_segment *sl_known_find(struct sl_agent *agent, int data_fd, int status_fd,
				       const uint8_t *client_id, const uint8_t *token);

/* It is read again, by a segment of this agent. */
void sl_known_take(struct sl_agent *agent, struct sl_known_segment *known);

/* Gives up whoever has not come back in time. Returns when it wants to be called again. */
uint64_t sl_known_turn(struct sl_agent *agent, uint64_t now_ns);

#endif
