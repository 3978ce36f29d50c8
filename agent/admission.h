/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may connect and how much they get: the listener, the table of clients, `allow:` and the
 * quotas. Thread: control.
 */
#ifndef SL_AGENT_ADMISSION_H
#define SL_AGENT_ADMISSION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/client.h"
#include "agent/segment.h"
#include "dataplane/base/error.h"
#include "dataplane/shm/handshake.h"

struct sl_agent;
struct sl_control;

enum { SL_ADMISSION_CLIENTS_SPARE = 64 }; /* beyond segments: tools, handshakes */

struct sl_admission {
	struct sl_control *control;
	int listen_fd;
	bool stopped; /* shutdown: nobody is admitted any more */
	struct sl_agent_client *clients;
	uint32_t clients_max, clients_open;
	struct sl_agent_segment *segments;
	uint32_t segments_max;
	uint64_t segment_id_next;
	uint64_t mapped_bytes; /* of all D */
	uint64_t accepted, refused, timed_out;
	/* Why, by code: how often and the last reason's words. */
	struct sl_admission_refusals {
		uint64_t count;
		char text[SL_HS_TEXT_BYTES];
	} refusals[SL_REFUSE_COUNT];
	uint64_t poisonings[SL_POISON_COUNT]; /* rings, by enum sl_poison */
	uint64_t listen_again_ns;  /* the listener rests until then; SL_DEADLINE_NONE: it does not */
	bool accept_failing;       /* said so, and nobody was accepted since */
	uint64_t process_check_ns; /* when applications that hung up are looked at again */
};

/* Gives agent->admission. listen_fd stays the caller's. */
int sl_admission_create(struct sl_agent *agent, struct sl_control *control, int listen_fd,
			struct sl_error *err);

/* Closes and unmaps everything; the workers have ended. */
void sl_admission_destroy(struct sl_agent *agent);

/* Counts a refusal, of a client or of a topic; status shows it. */
void sl_admission_refused(struct sl_agent *agent, enum sl_refuse code, const char *text);

/* The listener is readable. */
void sl_admission_accept(struct sl_agent *agent);

/* No new client and no new segment from now on. */
void sl_admission_stop(struct sl_agent *agent);

/* Time-outs of handshakes, applications that died. Returns when it wants to be called again. */
uint64_t sl_admission_turn(struct sl_agent *agent, uint64_t now_ns);

/* May this user do anything here; may it write to this topic (NULL: to any at all)? By `allow:`. */
bool sl_admission_allowed(const struct sl_agent *agent, uid_t uid, gid_t gid, const char *topic);

/* May this user have so many bytes more of rings and reports? -EDQUOT: its own quota, -ENOSPC:
 * rings.bytes.total.
 */
int sl_admission_room(const struct sl_agent *agent, uid_t uid, uint64_t bytes,
		      struct sl_error *err);

#endif
