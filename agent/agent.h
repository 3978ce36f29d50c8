/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent: everything that the control thread knows, in one struct that each room of this folder
 * takes first. Only the control thread reads or writes it, except where a field says otherwise.
 * Time enters through env alone, and workers are reached through their two message rings alone, so
 * that the simulator and unit tests run the same code on virtual time.
 *
 *   cluster.c   which brokers exist and where          admission.c  who may connect, quotas
 *   metadata.c  asking the cluster, when               client.c     one application's conversation
 *   topics.c    topics that were bound, their leaders  segment.c    its shared memory, from OPEN to
 * the last report routes.c    leaders to workers                     status.c     what `sluice
 * status` shows reconnect.c, retry.c, producer_id.c                shutdown.c   TERM to the ledger
 */
#ifndef SL_AGENT_AGENT_H
#define SL_AGENT_AGENT_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/cluster.h"
#include "agent/keeper.h"
#include "agent/known.h"
#include "agent/log.h"
#include "agent/metadata.h"
#include "agent/producer_id.h"
#include "agent/reconnect.h"
#include "agent/recorder.h"
#include "agent/resolution.h"
#include "agent/shutdown.h"
#include "agent/timers.h"
#include "agent/topics.h"
#include "config/config.h"
#include "dataplane/base/env.h"
#include "dataplane/base/msg_ring.h"
#include "dataplane/worker/messages.h"
#include "dataplane/worker/worker.h"

struct sl_admission;
struct sl_agent_segment;
struct sl_codec;
struct sl_resolve;

enum {
	SL_BROKERS_MAX =
		256, /* indices: nodes, the seed that is asked, and addresses that are being left */
	SL_CODECS_MAX = 64,          /* different (codec, level) of a worker; reloads add to them */
	SL_CONTROL_DRAIN_MAX = 1024, /* messages taken from one worker in one turn */
};

struct sl_agent_codec {
	uint32_t number;
	int32_t level;
	struct sl_codec *codec;
};

/* One worker as the control thread sees it. */
struct sl_agent_worker {
	uint32_t index;
	struct sl_worker *worker;
	struct sl_msg_ring *inbox, *outbox;
	/* Messages that did not fit into the inbox, in order; while there are any, all go behind
	 * them. */
	struct sl_msg *backlog;
	uint32_t backlog_first, backlog_count, backlog_room;
	bool told; /* something was pushed since the worker was last woken */
	bool stopped;
	bool kept;           /* stopped with records left in its arena */
	uint32_t ring_count; /* rings that it reads */
	struct sl_producer_id_state producer;
	struct sl_agent_codec codecs[SL_CODECS_MAX];
	uint32_t codec_count;
	/* For status; filled by who runs the worker. */
	int32_t core;
	const char *transport;
	void *thread;
};

/* What the surroundings do for the control logic; tests give their own. */
struct sl_agent_hooks {
	void *ctx;
	/* The worker's inbox got messages: it may sleep. NULL: somebody polls. */
	void (*worker_wake)(void *ctx, uint32_t worker);
	/* Look a name up; the answer comes by sl_cluster_resolved(). The request moves. */
	void (*resolve)(void *ctx, struct sl_resolve *request);
	/* CPU time of a worker's thread in ns for status; NULL: 0. */
	uint64_t (*worker_cpu_ns)(void *ctx, uint32_t worker);
	/*
	 * Has the worker make a cut of its books, and waits for it a moment. False: it does not answer,
	 * or has stopped. NULL: nobody else runs it now, the cut is made on the spot.
	 */
	bool (*worker_cut)(void *ctx, uint32_t worker);
	/* Feature `index` of a worker's transport for status; false past the last. */
	bool (*transport_feature)(void *ctx, uint32_t worker, uint32_t index, const char **name,
				  bool *in_use);
};

struct sl_agent {
	const struct sl_config *config; /* replaced as a whole by a reload */
	struct sl_log log;
	struct sl_recorder recorder; /* what the log was told, see worker/flight.h for the rest */
	struct sl_env env;
	struct sl_agent_hooks hooks;
	struct sl_keeper *keeper;
	uint64_t started_ns;
	uint32_t epoch; /* of this agent; grows from start to start */
	char socket_path[108];

	struct sl_agent_worker *workers;
	uint32_t worker_count;

	struct sl_timers timers;
	struct sl_cluster cluster;
	struct sl_refresh refresh;
	struct sl_topics topics;
	struct sl_reconnect reconnect;
	struct sl_resolutions resolutions;
	struct sl_shutdown shutdown;
	struct sl_known known;          /* what the arenas held at start */
	struct sl_admission *admission; /* NULL: no applications (tests of the cluster's side) */
	uint64_t dropped_gone;          /* records that segments which are gone had dropped */
};

struct sl_agent_options {
	const struct sl_config *config;
	struct sl_env env;
	struct sl_agent_hooks hooks;
	int log_fd;
	bool log_journal;
	uint32_t epoch;
};

/* Prepares everything but workers and admission. 0 or -errno. */
int sl_agent_init(struct sl_agent *agent, const struct sl_agent_options *options,
		  struct sl_error *err);

/* Workers must have been destroyed; their inboxes are not looked at. */
void sl_agent_fini(struct sl_agent *agent);

/* Adds a worker that exists. Before the first turn. */
int sl_agent_worker_add(struct sl_agent *agent, struct sl_worker *worker, struct sl_msg_ring *inbox,
			struct sl_msg_ring *outbox);

/*
 * Sends a message; order is kept. It never fails for want of room: what does not fit waits here.
 * -ENOMEM when even that cannot be had; then the object stays the caller's.
 */
int sl_agent_tell(struct sl_agent *agent, uint32_t worker, const struct sl_msg *msg);

/*
 * Frees what a message to a worker carries when nobody will read it any more. Topics and segments
 * stay: whoever added them frees them after the workers.
 */
void sl_agent_msg_free(const struct sl_msg *msg);

static inline uint64_t sl_agent_now_ns(const struct sl_agent *agent)
{
	return agent->env.now_ns(agent->env.ctx);
}

/*
 * Nominal time with jitter: 80 to 120 % of base * 2^attempts, at most max. Source of the form:
 * Kafka's exponential backoff (KIP-580).
 */
uint64_t sl_agent_backoff_ns(const struct sl_agent *agent, uint64_t base_us, uint64_t max_us,
			     uint32_t attempts);

#endif
