/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which brokers exist and where they listen. A node is what metadata named (id, host, port); a
 * broker index stands for one address of it towards the workers. A node whose address changes gets
 * a new index and leaves the old one, so an index never means two addresses. While no node can be
 * asked, one seed address at a time has an index, for the bootstrap request alone. Seeds are never
 * forgotten and are looked up anew at each bootstrap. Thread: control.
 */
#ifndef SL_AGENT_CLUSTER_H
#define SL_AGENT_CLUSTER_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/resolve.h"
#include "dataplane/wire/metadata.h"

struct sl_agent;

enum { SL_CLUSTER_ID_BYTES = 64 };

enum sl_cluster_state { SL_CLUSTER_BOOTSTRAPPING, SL_CLUSTER_READY, SL_CLUSTER_UNREACHABLE };

struct sl_broker { /* by index */
	bool used;
	bool leaving;        /* BROKER_REMOVE was sent */
	uint32_t gone_wait;  /* workers that have to say BROKER_GONE */
	uint32_t generation; /* of this index */
	int32_t node;        /* -1: a seed */
	struct sl_address address;
};

struct sl_node {
	bool used;
	bool present; /* named by the metadata that is being applied */
	bool resolving;
	bool failed; /* the last request to it failed; asked after the others */
	int32_t id;
	char host[SL_HOST_BYTES];
	uint16_t port;
	uint32_t address_count, address_current;
	struct sl_address addresses[SL_RESOLVE_ADDRESSES_MAX];
	int32_t broker;          /* index or -1 */
	uint64_t resolve_due_ns; /* when a look-up that failed is tried again */
};

struct sl_seed {
	uint32_t address_count, address_next;
	bool resolving;
	bool tried; /* in this round of the bootstrap */
	struct sl_address addresses[SL_RESOLVE_ADDRESSES_MAX];
};

struct sl_cluster {
	enum sl_cluster_state state;
	char id[SL_CLUSTER_ID_BYTES]; /* "" until told */
	struct sl_broker *brokers;    /* SL_BROKERS_MAX */
	struct sl_node *nodes;        /* SL_BROKERS_MAX */
	struct sl_seed *seeds;        /* as configured */
	uint32_t seed_count, seed_current;
	int32_t seed_broker; /* index of the seed address that is asked, or -1 */
	uint64_t changes;    /* of the node table; for status */
};

int sl_cluster_init(struct sl_agent *agent);
void sl_cluster_fini(struct sl_agent *agent);

/*
 * The broker to ask: a node that did not fail lately, else a seed. Index >= 0; -EAGAIN while a name
 * is being looked up (sl_refresh_want_now() is called when it is known); -EHOSTUNREACH when a whole
 * round of seeds is through: the next call begins another.
 */
int sl_cluster_pick(struct sl_agent *agent);

/* A node that did not fail lately, at random; negative when there is none. */
int sl_cluster_node_pick(struct sl_agent *agent);

/* The nodes that are known are not worth asking (KIP-1102): the seeds are, looked up anew. They stay known until then. */
void sl_cluster_rebootstrap(struct sl_agent *agent);

/* What came of asking that broker. */
void sl_cluster_asked(struct sl_agent *agent, uint32_t broker, bool good);

/*
 * Takes brokers and cluster id of a response that was checked as a whole. 0; -EPROTO when it names
 * no broker; -EXDEV when it is another cluster (nothing is changed, logged as error).
 */
int sl_cluster_apply(struct sl_agent *agent, struct sl_metadata_reader m);

/* Index of a node's broker or -1. */
int32_t sl_cluster_broker_of(const struct sl_agent *agent, int32_t node);
int32_t sl_cluster_node_of(const struct sl_agent *agent, uint32_t broker);

/* A broker's connection could not be made: the next of its node's addresses is tried, if it has
 * several. */
void sl_cluster_address_failed(struct sl_agent *agent, uint32_t broker);

/* Takes the answer of a look-up; frees it. */
void sl_cluster_resolved(struct sl_agent *agent, struct sl_resolve *answer);

void sl_cluster_broker_gone(struct sl_agent *agent, uint32_t broker);

/* Look-ups that are due again. Returns the next such time. */
uint64_t sl_cluster_turn(struct sl_agent *agent, uint64_t now_ns);

const char *sl_cluster_state_name(enum sl_cluster_state state);

#endif
