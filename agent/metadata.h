/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asking the cluster: one Metadata request at a time, for all topics that applications bound. It is
 * sent because somebody wants it (a new topic, a partition in trouble, a leader that is missing) or
 * because the last answer is old. Wishes during a request are one wish after it. Rounds that fail
 * back off exponentially with jitter. Thread: control.
 */
#ifndef SL_AGENT_METADATA_H
#define SL_AGENT_METADATA_H

#include <stdbool.h>
#include <stdint.h>

struct sl_agent;
struct sl_carry;
struct sl_refresh_request;

struct sl_refresh {
	struct sl_carry *carry;             /* while !in_flight ours, else the worker's */
	struct sl_refresh_request *request; /* what it encodes; constant while it is in flight */
	uint8_t *response;
	uint32_t response_bytes_max;
	bool in_flight;
	bool again;           /* wanted while in flight */
	bool resolving;       /* waits for a name; sl_refresh_resume() goes on */
	uint32_t broker;      /* that is asked */
	uint32_t worker_next; /* carries the next one */
	uint32_t failures;    /* rounds in a row */
	uint32_t failed;      /* requests in a row */
	uint32_t urges;       /* answers in a row that left something open */
	uint64_t due_ns;
	uint64_t asked_ns, good_ns; /* when last; 0 = never */
	uint64_t asked_count, good_count;
};

int sl_refresh_init(struct sl_agent *agent);
void sl_refresh_fini(struct sl_agent *agent);

/* Somebody needs fresh metadata: now, or as soon after the last request as retry.backoff.ms allows.
 */
void sl_refresh_want(struct sl_agent *agent);

/* A seed's name was looked up. */
void sl_refresh_resume(struct sl_agent *agent);

/* The carry came back. */
void sl_refresh_carried(struct sl_agent *agent);

/* Sends what is due; returns when something is. */
uint64_t sl_refresh_turn(struct sl_agent *agent, uint64_t now_ns);

#endif
