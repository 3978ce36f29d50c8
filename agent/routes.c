/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/routes.h"

#include <stdlib.h>
#include <string.h>

#include "agent/agent.h"

void sl_routes_all_dirty(struct sl_agent *agent)
{
	for (uint32_t i = 0; i < agent->topics.count; i++)
		agent->topics.list[i].dirty = true;
}

void sl_routes_free(struct sl_topic_routes *routes)
{
	if (routes)
		sl_topic_tables_free(routes->tables);
	free(routes);
}

static size_t routes_bytes(const struct sl_topic_routes *routes)
{
	return sizeof(*routes) + routes->partition_count * sizeof(routes->partitions[0]);
}

static struct sl_topic_routes *routes_make(const struct sl_agent *agent,
					   const struct sl_topic *topic)
{
	struct sl_topic_routes *routes;

	routes =
		calloc(1, sizeof(*routes) + topic->partition_count * sizeof(routes->partitions[0]));
	if (!routes)
		return NULL;
	routes->error = topic->error;
	memcpy(routes->topic_id, topic->id.bytes, sizeof(routes->topic_id));
	routes->partition_count = topic->partition_count;
	for (uint32_t i = 0; i < topic->partition_count; i++) {
		routes->partitions[i].broker = sl_cluster_broker_of(agent, topic->leaders[i].node);
		routes->partitions[i].leader_epoch = topic->leaders[i].epoch;
	}
	return routes;
}

static bool routes_equal(const struct sl_topic_routes *a, const struct sl_topic_routes *b)
{
	return b && a->partition_count == b->partition_count && memcmp(a, b, routes_bytes(a)) == 0;
}

static void routes_tell(struct sl_agent *agent, uint32_t topic,
			const struct sl_topic_routes *routes)
{
	for (uint32_t i = 0; i < agent->worker_count; i++) {
		struct sl_topic_routes *copy = malloc(routes_bytes(routes));
		struct sl_msg msg = {.kind = SL_MSG_TOPIC_ROUTES, .a = topic, .object = copy};

		if (!copy)
			return;
		memcpy(copy, routes, routes_bytes(routes));
		copy->tables = routes->partition_count
				       ? sl_topic_tables_create(routes->partition_count)
				       : NULL;
		if ((routes->partition_count && !copy->tables) || sl_agent_tell(agent, i, &msg) < 0)
			sl_routes_free(copy);
	}
}

void sl_routes_turn(struct sl_agent *agent)
{
	for (uint32_t i = 0; i < agent->topics.count; i++) {
		struct sl_topic *topic = &agent->topics.list[i];
		struct sl_topic_routes *routes;

		if (!topic->dirty)
			continue;
		topic->dirty = false;
		if (!topic->known && !topic->error)
			continue;
		routes = routes_make(agent, topic);
		if (!routes || routes_equal(routes, topic->sent)) {
			topic->dirty = !routes;
			free(routes);
			continue;
		}
		routes_tell(agent, i, routes);
		free(topic->sent);
		topic->sent = routes;
	}
}
