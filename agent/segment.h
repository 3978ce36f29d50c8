/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An application's two segments inside the agent:
 *
 *   FREE -OPEN, REATTACH-> ADDING -SEGMENT_ADDED of all-> LIVE -CLOSE, death-> DRAINING
 * -SEGMENT_GONE of all-> FREE
 *
 * Its rings are spread over the workers, the least loaded first; one index names it towards all of
 * them. The connection may end while it is LIVE: then the application either comes back by REATTACH
 * or is found dead. Alive means that the lock on byte 0 of D is held; the pidfd only tells when to
 * look. Thread: control.
 */
#ifndef SL_AGENT_SEGMENT_H
#define SL_AGENT_SEGMENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "config/config.h"
#include "dataplane/base/msg_ring.h"
#include "dataplane/shm/handshake.h"
#include "dataplane/shm/segment.h"

struct sl_agent;
struct sl_agent_client;
struct sl_known_segment;
struct sl_worker_segment;

enum sl_agent_segment_state {
	SL_SEGMENT_FREE,
	SL_SEGMENT_ADDING,
	SL_SEGMENT_LIVE,
	SL_SEGMENT_DRAINING,
	SL_SEGMENT_STATE_COUNT,
};

struct sl_agent_segment {
	enum sl_agent_segment_state state;
	uint32_t generation;
	uint64_t id;
	int32_t client; /* its connection, -1 while there is none */
	int data_fd, status_fd, status_ro_fd, bell_fd, pidfd;
	void *data, *status;
	struct sl_segment_geometry geometry;
	pid_t pid;
	uid_t uid;
	gid_t gid;
	bool dead;                      /* its application is */
	bool kept;                      /* the keeper has it from an earlier agent */
	struct sl_known_segment *known; /* while it is ADDING: the arenas have it */
	bool close_asked;
	uint8_t client_id[SL_HS_CLIENT_ID_BYTES], token[SL_HS_TOKEN_BYTES];
	char name[SL_HS_NAME_BYTES];
	uint64_t worker_mask; /* bit i: worker i reads a ring of it */
	uint64_t wait_mask;   /* workers that have not answered SEGMENT_ADD or SEGMENT_DRAIN yet */
	uint32_t binds_told, binds_done; /* bindings that workers were told of, and that they stored */
	bool no_room;         /* a worker could not take its rings */
	uint16_t worker[SL_SHM_RINGS_MAX];
	uint8_t report_mode[SL_SHM_RINGS_MAX];
	uint8_t poison[SL_SHM_RINGS_MAX];
	bool wake_set[SL_SHM_RINGS_MAX];
	/* By worker, which holds it until SEGMENT_GONE or its own end. */
	struct sl_worker_segment *objects[SL_CONFIG_WORKERS_MAX];
	int32_t *topics; /* by slot; -1 not bound */
};

/* Why an OPEN was refused. */
struct sl_agent_refusal {
	enum sl_refuse code;
	struct sl_error err;
};

/*
 * OPEN: fds[0] is D and moves in any case. 0 (the answer comes by sl_agent_client_opened()) or a
 * negative errno with the refusal.
 */
int sl_agent_segment_open(struct sl_agent *agent, uint32_t client, const struct sl_hs_open *open,
			  int data_fd, struct sl_agent_refusal *refusal);

/* REATTACH, to this agent or to a later one without kept state. Both descriptors move in any case.
 */
int sl_agent_segment_reattach(struct sl_agent *agent, uint32_t client,
			      const struct sl_hs_open *open, int data_fd, int status_fd,
			      struct sl_agent_refusal *refusal);

/*
 * What the keeper holds from an earlier agent: segments that an arena knows are read at once, those
 * of dead applications until they are empty. Before anybody is admitted.
 */
void sl_agent_segments_kept(struct sl_agent *agent);

/*
 * TOPIC: binds a slot. 0: it is bound, with the number of partitions, -1 not known yet. 1: it, or
 * what was asked before it, is not with all workers yet; ask again after sl_agent_client_bound().
 * Or refused, the code in refusal and return -EACCES etc.
 */
int sl_agent_segment_topic(struct sl_agent *agent, uint32_t segment,
			   const struct sl_hs_topic *topic, int32_t *partitions,
			   struct sl_agent_refusal *refusal);

/* A worker has stored a binding. */
void sl_agent_segment_bound(struct sl_agent *agent, uint32_t segment);

/* WAKE: the descriptor moves. */
int sl_agent_segment_wake(struct sl_agent *agent, uint32_t segment, uint32_t ring, int fd,
			  struct sl_agent_refusal *refusal);

/* CLOSE (dead = false) or death: rings are drained, then it goes. */
void sl_agent_segment_drain(struct sl_agent *agent, uint32_t segment, bool dead);

/* The connection ended. */
void sl_agent_segment_hung_up(struct sl_agent *agent, uint32_t segment);

/* The pidfd told that the process ended. */
void sl_agent_segment_process_ended(struct sl_agent *agent, uint32_t segment, uint32_t generation);

/* Looks whether the application lives; drains if it does not. True while it may still be alive. */
bool sl_agent_segment_check(struct sl_agent *agent, uint32_t segment);

void sl_agent_segment_added(struct sl_agent *agent, uint32_t worker, uint32_t segment, bool ok);
void sl_agent_segment_gone(struct sl_agent *agent, uint32_t worker, uint32_t segment, void *object);
/* Worker `worker` reads a ring no further. */
void sl_agent_segment_poisoned(struct sl_agent *agent, uint32_t worker, const struct sl_msg *msg);

/* Closes and unmaps, whoever still reads: only after the workers ended. */
void sl_agent_segment_release(struct sl_agent *agent, uint32_t segment);

/* Records that applications had to drop, those of segments that are gone included. */
uint64_t sl_agent_segments_dropped(const struct sl_agent *agent);

/* The same of one segment; 0 where there is none. */
uint64_t sl_agent_segment_dropped(const struct sl_agent_segment *segment);

/* Words for enum sl_poison. */
const char *sl_agent_poison_name(uint64_t code);

const char *sl_agent_segment_state_name(enum sl_agent_segment_state state);

#endif
