/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cluster.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/metadata.h"
#include "agent/routes.h"

#define LOOK_UP_PAUSE_NS (1 * SL_NS_PER_S)

int sl_cluster_init(struct sl_agent *agent)
{
	struct sl_cluster *cluster = &agent->cluster;

	cluster->seed_count = agent->config->bootstrap_server_count;
	cluster->brokers = calloc(SL_BROKERS_MAX, sizeof(*cluster->brokers));
	cluster->nodes = calloc(SL_BROKERS_MAX, sizeof(*cluster->nodes));
	cluster->seeds =
		calloc(cluster->seed_count ? cluster->seed_count : 1, sizeof(*cluster->seeds));
	cluster->seed_broker = -1;
	return cluster->brokers && cluster->nodes && cluster->seeds ? 0 : -ENOMEM;
}

void sl_cluster_fini(struct sl_agent *agent)
{
	free(agent->cluster.brokers);
	free(agent->cluster.nodes);
	free(agent->cluster.seeds);
}

const char *sl_cluster_state_name(enum sl_cluster_state state)
{
	static const char *const names[] = {"bootstrapping", "ready", "unreachable"};

	return names[state];
}

/* ---- indices ---- */

static int broker_tell(struct sl_agent *agent, uint32_t index)
{
	for (uint32_t i = 0; i < agent->worker_count; i++) {
		struct sl_worker_broker *object = calloc(1, sizeof(*object));
		struct sl_msg msg = {.kind = SL_MSG_BROKER_SET, .a = index, .object = object};

		if (!object)
			return -ENOMEM;
		object->address = agent->cluster.brokers[index].address;
		object->node = agent->cluster.brokers[index].node;
		if (sl_agent_tell(agent, i, &msg) < 0) {
			free(object);
			return -ENOMEM;
		}
	}
	return 0;
}

static void broker_leave(struct sl_agent *agent, int32_t index)
{
	struct sl_broker *broker = &agent->cluster.brokers[index];

	SL_ASSERT(broker->used && !broker->leaving);
	broker->leaving = true;
	broker->gone_wait = agent->worker_count;
	for (uint32_t i = 0; i < agent->worker_count; i++)
		sl_agent_tell(agent, i,
			      &(struct sl_msg){.kind = SL_MSG_BROKER_REMOVE, .a = (uint32_t)index});
	if (agent->worker_count == 0)
		broker->used = false;
}

/* A new index for an address, known to all workers; -1 when all are in use. */
static int32_t broker_add(struct sl_agent *agent, const struct sl_address *address, int32_t node)
{
	for (int32_t i = 0; i < SL_BROKERS_MAX; i++) {
		struct sl_broker *broker = &agent->cluster.brokers[i];

		if (broker->used)
			continue;
		broker->used = true;
		broker->leaving = false;
		broker->generation++;
		broker->node = node;
		broker->address = *address;
		sl_reconnect_forget(agent, (uint32_t)i);
		if (broker_tell(agent, (uint32_t)i) < 0) {
			broker_leave(agent, i);
			return -1;
		}
		return i;
	}
	SL_LOG(&agent->log, SL_LOG_ERROR, "brokers_exhausted", SL_N("max", SL_BROKERS_MAX));
	return -1;
}

void sl_cluster_broker_gone(struct sl_agent *agent, uint32_t index)
{
	struct sl_broker *broker = &agent->cluster.brokers[index];

	SL_ASSERT(index < SL_BROKERS_MAX && broker->leaving && broker->gone_wait > 0);
	if (--broker->gone_wait == 0)
		broker->used = broker->leaving = false;
}

/* ---- looking names up ---- */

static void look_up(struct sl_agent *agent, enum sl_resolve_for what, int32_t who, const char *host,
		    uint16_t port)
{
	struct sl_resolve *request = calloc(1, sizeof(*request));

	if (!request)
		return; /* asked again at the next turn that needs it */
	request->what = what;
	request->who = who;
	request->port = port;
	memcpy(request->host, host, strnlen(host, SL_HOST_BYTES - 1));
	if (sl_resolve_literal(request)) {
		sl_cluster_resolved(agent, request);
		return;
	}
	request->error = 0;
	agent->hooks.resolve(agent->hooks.ctx, request);
}

static struct sl_node *node_find(struct sl_agent *agent, int32_t id)
{
	for (uint32_t i = 0; i < SL_BROKERS_MAX; i++)
		if (agent->cluster.nodes[i].used && agent->cluster.nodes[i].id == id)
			return &agent->cluster.nodes[i];
	return NULL;
}

static void node_look_up(struct sl_agent *agent, struct sl_node *node)
{
	if (node->resolving)
		return;
	node->resolving = true;
	node->resolve_due_ns = sl_agent_now_ns(agent) + LOOK_UP_PAUSE_NS;
	look_up(agent, SL_RESOLVE_NODE, node->id, node->host, node->port);
}

/* The node moves to one of its addresses: a new index, and the old one is left. */
static void node_move(struct sl_agent *agent, struct sl_node *node, uint32_t address)
{
	int32_t old = node->broker;
	char text[SL_ADDRESS_TEXT_BYTES];

	node->address_current = address;
	node->broker = broker_add(agent, &node->addresses[address], node->id);
	if (old >= 0)
		broker_leave(agent, old);
	agent->cluster.changes++;
	sl_routes_all_dirty(agent);
	SL_LOG(&agent->log, SL_LOG_INFO, "broker_address", SL_N("node", node->id),
	       SL_T("host", node->host),
	       SL_T("address", sl_address_text(&node->addresses[address], text)));
}

static void node_resolved(struct sl_agent *agent, struct sl_node *node,
			  const struct sl_resolve *answer)
{
	uint32_t keep = 0;
	bool known = false;

	node->resolving = false;
	if (strcmp(node->host, answer->host) != 0 || node->port != answer->port) {
		node_look_up(agent, node); /* it moved while we looked */
		return;
	}
	if (answer->error < 0) {
		SL_LOG(&agent->log, SL_LOG_WARNING, "resolve_failed", SL_T("host", node->host),
		       SL_N("node", node->id), SL_T("error", strerror(-answer->error)));
		return;
	}
	for (uint32_t i = 0; i < answer->count && node->broker >= 0; i++)
		if (sl_address_equal(&answer->addresses[i],
				     &agent->cluster.brokers[node->broker].address)) {
			keep = i;
			known = true;
		}
	memcpy(node->addresses, answer->addresses, sizeof(node->addresses));
	node->address_count = answer->count;
	node->address_current = keep;
	if (!known)
		node_move(agent, node, 0);
}

static void seed_resolved(struct sl_agent *agent, struct sl_seed *seed,
			  const struct sl_resolve *answer)
{
	seed->resolving = false;
	seed->address_next = 0;
	seed->address_count = answer->error == 0 ? answer->count : 0;
	seed->tried = answer->error < 0;
	memcpy(seed->addresses, answer->addresses, sizeof(seed->addresses));
	if (answer->error < 0)
		SL_LOG(&agent->log, SL_LOG_WARNING, "resolve_failed", SL_T("host", answer->host),
		       SL_T("error", strerror(-answer->error)));
}

void sl_cluster_resolved(struct sl_agent *agent, struct sl_resolve *answer)
{
	struct sl_node *node;

	if (answer->what == SL_RESOLVE_SEED && (uint32_t)answer->who < agent->cluster.seed_count) {
		seed_resolved(agent, &agent->cluster.seeds[answer->who], answer);
		sl_refresh_resume(agent);
	} else if (answer->what == SL_RESOLVE_NODE) {
		node = node_find(agent, answer->who);
		if (node)
			node_resolved(agent, node, answer);
	}
	free(answer);
}

void sl_cluster_address_failed(struct sl_agent *agent, uint32_t broker)
{
	int32_t id = sl_cluster_node_of(agent, broker);
	struct sl_node *node = id >= 0 ? node_find(agent, id) : NULL;

	if (!node || node->broker != (int32_t)broker)
		return;
	if (node->address_current + 1 < node->address_count) {
		node_move(agent, node, node->address_current + 1);
		return;
	}
	/* All were tried: the name may point elsewhere by now. */
	if (node->address_count > 1)
		node_move(agent, node, 0);
	if (sl_agent_now_ns(agent) >= node->resolve_due_ns)
		node_look_up(agent, node);
}

uint64_t sl_cluster_turn(struct sl_agent *agent, uint64_t now_ns)
{
	uint64_t next_ns = SL_DEADLINE_NONE;

	for (uint32_t i = 0; i < SL_BROKERS_MAX; i++) {
		struct sl_node *node = &agent->cluster.nodes[i];

		if (!node->used || node->broker >= 0 || node->resolving)
			continue;
		if (node->resolve_due_ns <= now_ns)
			node_look_up(agent, node);
		if (node->broker < 0 && node->resolve_due_ns < next_ns)
			next_ns = node->resolve_due_ns;
	}
	return next_ns;
}

/* ---- whom to ask ---- */

int sl_cluster_node_pick(struct sl_agent *agent)
{
	uint32_t start = (uint32_t)(agent->env.random(agent->env.ctx) % SL_BROKERS_MAX);

	for (uint32_t i = 0; i < SL_BROKERS_MAX; i++) {
		const struct sl_node *node = &agent->cluster.nodes[(start + i) % SL_BROKERS_MAX];

		if (node->used && node->broker >= 0 && !node->failed)
			return node->broker;
	}
	return -ENOENT;
}

static void round_reset(struct sl_cluster *cluster)
{
	for (uint32_t i = 0; i < cluster->seed_count; i++) {
		cluster->seeds[i].tried = false;
		cluster->seeds[i].address_count = 0;
	}
	for (uint32_t i = 0; i < SL_BROKERS_MAX; i++)
		cluster->nodes[i].failed = false;
}

/* The next address of one seed: an index, -EAGAIN while its name is looked up, -ENOENT when it has
 * no more. */
static int seed_ask(struct sl_agent *agent, uint32_t index)
{
	const struct sl_config_endpoint *endpoint = &agent->config->bootstrap_servers[index];
	struct sl_seed *seed = &agent->cluster.seeds[index];

	if (!seed->tried && !seed->resolving && seed->address_count == 0) {
		seed->resolving = true;
		look_up(agent, SL_RESOLVE_SEED, (int32_t)index, endpoint->host, endpoint->port);
	}
	if (seed->resolving)
		return -EAGAIN;
	if (seed->tried || seed->address_next >= seed->address_count) {
		seed->tried = true;
		return -ENOENT;
	}
	agent->cluster.seed_broker = broker_add(agent, &seed->addresses[seed->address_next++], -1);
	return agent->cluster.seed_broker >= 0 ? agent->cluster.seed_broker : -ENOENT;
}

int sl_cluster_pick(struct sl_agent *agent)
{
	struct sl_cluster *cluster = &agent->cluster;
	int broker = sl_cluster_node_pick(agent);
	bool waiting = false;

	if (broker >= 0)
		return broker;
	SL_ASSERT(cluster->seed_broker < 0);
	for (uint32_t i = 0; i < cluster->seed_count; i++) {
		broker = seed_ask(agent, (cluster->seed_current + i) % cluster->seed_count);
		if (broker >= 0)
			return broker;
		waiting |= broker == -EAGAIN;
	}
	if (waiting)
		return -EAGAIN;
	cluster->seed_current = (cluster->seed_current + 1) % cluster->seed_count;
	round_reset(cluster);
	if (cluster->state != SL_CLUSTER_UNREACHABLE)
		SL_LOG(&agent->log, SL_LOG_ERROR, "cluster_unreachable",
		       SL_N("seeds", cluster->seed_count),
		       SL_T("first", agent->config->bootstrap_servers[0].host));
	cluster->state = SL_CLUSTER_UNREACHABLE;
	return -EHOSTUNREACH;
}

void sl_cluster_rebootstrap(struct sl_agent *agent)
{
	for (uint32_t i = 0; i < SL_BROKERS_MAX; i++)
		agent->cluster.nodes[i].failed = agent->cluster.nodes[i].used;
}

void sl_cluster_asked(struct sl_agent *agent, uint32_t broker, bool good)
{
	struct sl_cluster *cluster = &agent->cluster;
	struct sl_node *node;

	if ((int32_t)broker == cluster->seed_broker) {
		cluster->seed_broker = -1;
		broker_leave(agent, (int32_t)broker);
	} else if (!good) {
		node = node_find(agent, cluster->brokers[broker].node);
		if (node)
			node->failed = true;
	}
	if (good)
		round_reset(cluster);
}

int32_t sl_cluster_broker_of(const struct sl_agent *agent, int32_t id)
{
	for (uint32_t i = 0; i < SL_BROKERS_MAX && id >= 0; i++)
		if (agent->cluster.nodes[i].used && agent->cluster.nodes[i].id == id)
			return agent->cluster.nodes[i].broker;
	return SL_INDEX_NONE;
}

int32_t sl_cluster_node_of(const struct sl_agent *agent, uint32_t broker)
{
	return broker < SL_BROKERS_MAX && agent->cluster.brokers[broker].used
		       ? agent->cluster.brokers[broker].node
		       : -1;
}

/* ---- metadata ---- */

/* Before any route: numbers that the workers found in their arenas are this cluster's, or nobody's.
 */
static int id_tell(struct sl_agent *agent, const char *id)
{
	for (uint32_t i = 0; i < agent->worker_count; i++) {
		char *object = calloc(1, SL_CLUSTER_ID_BYTES);
		struct sl_msg msg = {.kind = SL_MSG_CLUSTER, .object = object};

		if (!object)
			return -ENOMEM;
		memcpy(object, id, strnlen(id, SL_CLUSTER_ID_BYTES - 1));
		if (sl_agent_tell(agent, i, &msg) < 0) {
			free(object);
			return -ENOMEM;
		}
	}
	return 0;
}

static int cluster_id_check(struct sl_agent *agent, const struct sl_slice *id)
{
	struct sl_cluster *cluster = &agent->cluster;
	char text[SL_CLUSTER_ID_BYTES] = "";

	if (!id->data || id->bytes == 0 || id->bytes >= sizeof(text))
		return 0;
	memcpy(text, id->data, id->bytes);
	if (cluster->id[0] && strcmp(cluster->id, text) != 0) {
		SL_LOG(&agent->log, SL_LOG_ERROR, "cluster_changed", SL_T("expected", cluster->id),
		       SL_T("found", text));
		return -EXDEV;
	}
	if (!cluster->id[0] && text[0] && id_tell(agent, text) < 0)
		return -ENOMEM;
	memcpy(cluster->id, text, sizeof(text));
	return 0;
}

static struct sl_node *node_add(struct sl_agent *agent, int32_t id)
{
	for (uint32_t i = 0; i < SL_BROKERS_MAX; i++) {
		struct sl_node *node = &agent->cluster.nodes[i];

		if (node->used)
			continue;
		memset(node, 0, sizeof(*node));
		node->used = true;
		node->id = id;
		node->broker = -1;
		return node;
	}
	return NULL;
}

static void node_apply(struct sl_agent *agent, const struct sl_metadata_broker *from)
{
	struct sl_node *node = node_find(agent, from->id);
	char host[SL_HOST_BYTES] = "";

	if (!node)
		node = node_add(agent, from->id);
	if (!node || from->id < 0 || from->host.bytes >= SL_HOST_BYTES)
		return;
	memcpy(host, from->host.data, from->host.bytes);
	node->present = true;
	if (strcmp(host, node->host) == 0 && from->port == node->port)
		return;
	memcpy(node->host, host, sizeof(host));
	node->port = (uint16_t)from->port;
	node->address_count = 0;
	node_look_up(agent, node);
}

static void nodes_absent_drop(struct sl_agent *agent)
{
	for (uint32_t i = 0; i < SL_BROKERS_MAX; i++) {
		struct sl_node *node = &agent->cluster.nodes[i];

		if (!node->used || node->present)
			continue;
		SL_LOG(&agent->log, SL_LOG_INFO, "broker_left", SL_N("node", node->id),
		       SL_T("host", node->host));
		if (node->broker >= 0)
			broker_leave(agent, node->broker);
		node->used = false;
		agent->cluster.changes++;
		sl_routes_all_dirty(agent);
	}
}

int sl_cluster_apply(struct sl_agent *agent, struct sl_metadata_reader m)
{
	struct sl_metadata_reader brokers = m;
	struct sl_metadata_cluster info;
	struct sl_metadata_broker broker;
	uint32_t count = 0;
	int rc;

	while (sl_metadata_next_broker(&m, &broker) == 1)
		count++;
	rc = sl_metadata_cluster(&m, &info);
	if (rc < 0)
		return rc;
	if (count == 0)
		return -EPROTO;
	rc = cluster_id_check(agent, &info.cluster_id);
	if (rc < 0)
		return rc;
	for (uint32_t i = 0; i < SL_BROKERS_MAX; i++)
		agent->cluster.nodes[i].present = false;
	while (sl_metadata_next_broker(&brokers, &broker) == 1)
		node_apply(agent, &broker);
	nodes_absent_drop(agent);
	if (agent->cluster.state != SL_CLUSTER_READY)
		SL_LOG(&agent->log, SL_LOG_INFO, "cluster_ready", SL_T("id", agent->cluster.id),
		       SL_N("brokers", count));
	agent->cluster.state = SL_CLUSTER_READY;
	return 0;
}
