/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection to agent.sock. States, and what is taken in each:
 *
 *   NEW -HELLO-> GREETED -OPEN, REATTACH-> OPENING -all workers added it-> OPEN -CLOSE-> CLOSING
 * -drained-> GREETED
 *
 * STATUS is taken in GREETED and OPEN; TOPIC and WAKE in OPEN. Anything else ends the connection,
 * and so does a client that does not take its answer: one request is open at a time, so an answer
 * always fits a socket that is read. While OPENING and CLOSING nothing is read. A hang-up ends the
 * connection, never the segment: segment.c asks whether the application lives. Thread: control.
 */
#ifndef SL_AGENT_CLIENT_H
#define SL_AGENT_CLIENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "dataplane/shm/handshake.h"

struct sl_agent;

enum sl_client_state {
	SL_CLIENT_FREE,
	SL_CLIENT_NEW,
	SL_CLIENT_GREETED,
	SL_CLIENT_OPENING,
	SL_CLIENT_OPEN,
	SL_CLIENT_CLOSING,
	SL_CLIENT_BINDING, /* its topic is on the way to the workers' arenas */
	SL_CLIENT_STATE_COUNT,
};

enum {
	SL_CLIENT_MESSAGES_MAX = 16
}; /* taken from one client at a time: a flood makes only the flooder wait */

struct sl_agent_client {
	enum sl_client_state state;
	uint32_t generation;
	int sock;
	int pidfd; /* -1: the kernel gave none */
	pid_t pid;
	uid_t uid;
	gid_t gid;
	uint64_t deadline_ns; /* of the stage; SL_DEADLINE_NONE from OPEN on */
	int32_t segment;      /* -1: none */
	bool again;           /* OPENING by REATTACH */
	struct sl_hs_topic topic; /* BINDING: what it asked for */
	uint8_t client_id[SL_HS_CLIENT_ID_BYTES];
	char name[SL_HS_NAME_BYTES];
};

/* A new connection; the socket moves. */
void sl_agent_client_accept(struct sl_agent *agent, int sock);

void sl_agent_client_readable(struct sl_agent *agent, uint32_t index, uint32_t generation);

/* Its segment is read by all workers and kept: OPENED. */
void sl_agent_client_opened(struct sl_agent *agent, uint32_t index);

/* All that its segment's workers were told of topics lies in their arenas. */
void sl_agent_client_bound(struct sl_agent *agent, uint32_t index);

/* Its segment is gone: CLOSED, if it asked for that. */
void sl_agent_client_closed(struct sl_agent *agent, uint32_t index);

/* Ends the connection, for a reason that goes to the log. */
void sl_agent_client_end(struct sl_agent *agent, uint32_t index, const char *reason);

/* Its stage took longer than handshake.timeout.ms: the end. */
void sl_agent_client_time_out(struct sl_agent *agent, uint32_t index);

/* REFUSE with that text, then the end. */
void sl_agent_client_refuse(struct sl_agent *agent, uint32_t index, enum sl_refuse code,
			    const char *text);

const char *sl_agent_client_state_name(enum sl_client_state state);

#endif
