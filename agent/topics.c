/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/topics.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/settings.h"
#include "dataplane/base/clock.h"
#include "dataplane/wire/error_code.h"

/* How often a topic that is refused for good, as far as anybody can tell, is asked for again:
 * somebody may mend it. */
#define REFUSED_PAUSE_NS (5 * SL_NS_PER_S)

int sl_topics_init(struct sl_agent *agent)
{
	agent->topics.max = agent->config->topics_max;
	agent->topics.list = calloc(agent->topics.max, sizeof(*agent->topics.list));
	return agent->topics.list ? 0 : -ENOMEM;
}

void sl_topics_fini(struct sl_agent *agent)
{
	for (uint32_t i = 0; i < agent->topics.count; i++) {
		free(agent->topics.list[i].leaders);
		free(agent->topics.list[i].sent);
		free(agent->topics.list[i].objects);
	}
	free(agent->topics.list);
}

static int topic_tell(struct sl_agent *agent, uint32_t index)
{
	struct sl_topic *topic = &agent->topics.list[index];
	struct sl_config_topic config = sl_config_topic(agent->config, topic->name);

	topic->objects = calloc(agent->worker_count, sizeof(*topic->objects));
	if (!topic->objects)
		return -ENOMEM;
	for (uint32_t i = 0; i < agent->worker_count; i++) {
		struct sl_worker_topic *object = &topic->objects[i];
		struct sl_msg msg = {.kind = SL_MSG_TOPIC_ADD, .a = index, .object = object};

		memcpy(object->name, topic->name, sizeof(object->name));
		sl_settings_topic(agent, &agent->workers[i], &config, &object->settings);
		if (sl_agent_tell(agent, i, &msg) < 0)
			return -ENOMEM;
	}
	return 0;
}

int sl_topics_bind(struct sl_agent *agent, const char *name)
{
	struct sl_topics *topics = &agent->topics;
	struct sl_topic *topic;
	int rc;

	for (uint32_t i = 0; i < topics->count; i++)
		if (strcmp(topics->list[i].name, name) == 0)
			return (int)i;
	if (topics->count == topics->max)
		return -ENOSPC;
	topic = &topics->list[topics->count];
	memset(topic, 0, sizeof(*topic));
	memcpy(topic->name, name, strnlen(name, SL_TOPIC_NAME_BYTES - 1));
	topic->open = true;
	rc = topic_tell(agent, topics->count);
	if (rc < 0)
		return rc;
	SL_LOG(&agent->log, SL_LOG_INFO, "topic_added", SL_T("topic", name));
	sl_refresh_want(agent);
	return (int)topics->count++;
}

void sl_topics_settings_tell(struct sl_agent *agent)
{
	for (uint32_t t = 0; t < agent->topics.count; t++) {
		struct sl_config_topic config =
			sl_config_topic(agent->config, agent->topics.list[t].name);

		for (uint32_t i = 0; i < agent->worker_count; i++) {
			struct sl_topic_settings *object = calloc(1, sizeof(*object));
			struct sl_msg msg = {
				.kind = SL_MSG_TOPIC_SETTINGS, .a = t, .object = object};

			if (!object)
				return;
			sl_settings_topic(agent, &agent->workers[i], &config, object);
			if (sl_agent_tell(agent, i, &msg) < 0)
				free(object);
		}
	}
}

static struct sl_topic *topic_find(struct sl_agent *agent, struct sl_slice name)
{
	for (uint32_t i = 0; i < agent->topics.count; i++) {
		struct sl_topic *topic = &agent->topics.list[i];

		if (name.bytes == strlen(topic->name) &&
		    memcmp(name.data, topic->name, name.bytes) == 0)
			return topic;
	}
	return NULL;
}

/* Room for count partitions; new ones have no leader. */
static int leaders_grow(struct sl_topic *topic, uint32_t count)
{
	struct sl_topic_leader *leaders;

	if (count <= topic->partition_count)
		return 0;
	leaders = realloc(topic->leaders, count * sizeof(*leaders));
	if (!leaders)
		return -ENOMEM;
	topic->leaders = leaders;
	for (uint32_t i = topic->partition_count; i < count; i++)
		leaders[i] = (struct sl_topic_leader){-1, -1};
	topic->partition_count = count;
	return 0;
}

static void leader_apply(struct sl_topic *topic, const struct sl_metadata_partition *from)
{
	struct sl_topic_leader *leader;

	if ((uint32_t)from->index >= topic->partition_count)
		return; /* a hole in the numbers: not a partition that Kafka could have made */
	leader = &topic->leaders[from->index];
	/* An older epoch comes from a broker that has not heard yet. */
	if (from->leader_epoch >= 0 && from->leader_epoch < leader->epoch)
		return;
	leader->node = from->leader_id;
	if (from->leader_epoch >= 0)
		leader->epoch = from->leader_epoch;
}

/* A topic that was deleted and made again starts anew: epochs begin at 0, and there may be fewer
 * partitions. */
static void topic_id_apply(struct sl_agent *agent, struct sl_topic *topic, const struct sl_uuid *id)
{
	if (sl_uuid_is_zero(id) || memcmp(id, &topic->id, sizeof(*id)) == 0)
		return;
	if (!sl_uuid_is_zero(&topic->id)) {
		SL_LOG(&agent->log, SL_LOG_WARNING, "topic_recreated", SL_T("topic", topic->name));
		free(topic->leaders);
		topic->leaders = NULL;
		topic->partition_count = 0;
	}
	topic->id = *id;
}

static void partitions_apply(struct sl_agent *agent, struct sl_topic *topic,
			     const struct sl_metadata_topic *from, struct sl_metadata_reader *m)
{
	struct sl_metadata_partition partition;
	bool was_known = topic->known;

	topic_id_apply(agent, topic, &from->id);
	if (from->partition_count <= 0 || leaders_grow(topic, (uint32_t)from->partition_count) < 0)
		return;
	while (sl_metadata_next_partition(m, &partition) == 1)
		leader_apply(topic, &partition);
	topic->known = true;
	topic->open = false;
	for (uint32_t i = 0; i < topic->partition_count; i++)
		topic->open |= topic->leaders[i].node < 0;
	if (!was_known || topic->error || topic->unknown_since_ns)
		SL_LOG(&agent->log, SL_LOG_INFO, "topic_known", SL_T("topic", topic->name),
		       SL_N("partitions", topic->partition_count));
	topic->error = 0;
	topic->unknown_since_ns = 0;
	if (!was_known)
		sl_resolution_probe(agent, (uint32_t)(topic - agent->topics.list));
}

static void topic_refuse(struct sl_agent *agent, struct sl_topic *topic, int16_t code)
{
	if (topic->error != code)
		SL_LOG(&agent->log, SL_LOG_ERROR, "topic_refused", SL_T("topic", topic->name),
		       SL_N("code", code), SL_T("error", sl_kafka_error_name(code)));
	topic->error = code;
}

/* Metadata answered with an error for the whole topic. */
static void topic_error(struct sl_agent *agent, struct sl_topic *topic, int16_t code)
{
	uint64_t now_ns = sl_agent_now_ns(agent);

	topic->open = true;
	if (code == SL_KAFKA_INVALID_TOPIC_EXCEPTION ||
	    code == SL_KAFKA_TOPIC_AUTHORIZATION_FAILED) {
		topic_refuse(agent, topic, code);
		return;
	}
	if (code != SL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION && code != SL_KAFKA_UNKNOWN_TOPIC_ID)
		return; /* 5 while it is being made, and whatever passes */
	if (topic->unknown_since_ns == 0) {
		topic->unknown_since_ns = now_ns;
		SL_LOG(&agent->log, SL_LOG_WARNING, "topic_unknown", SL_T("topic", topic->name),
		       SL_N("grace_ms", agent->config->topic_unknown_grace_us / 1000));
	}
	if (now_ns - topic->unknown_since_ns >=
	    agent->config->topic_unknown_grace_us * SL_NS_PER_US)
		topic_refuse(agent, topic, SL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
}

void sl_topics_apply(struct sl_agent *agent, struct sl_metadata_reader m)
{
	struct sl_metadata_broker broker;
	struct sl_metadata_cluster cluster;
	struct sl_metadata_topic from;

	while (sl_metadata_next_broker(&m, &broker) == 1)
		;
	if (sl_metadata_cluster(&m, &cluster) < 0)
		return;
	while (sl_metadata_next_topic(&m, &from) == 1) {
		struct sl_topic *topic = from.name.data ? topic_find(agent, from.name) : NULL;

		if (!topic)
			continue;
		topic->trouble = from.error_code;
		if (from.error_code == 0)
			partitions_apply(agent, topic, &from, &m);
		else
			topic_error(agent, topic, from.error_code);
		topic->dirty = true;
	}
}

uint64_t sl_topics_open_ns(const struct sl_agent *agent, uint64_t now_ns)
{
	uint64_t next_ns = SL_DEADLINE_NONE;

	for (uint32_t i = 0; i < agent->topics.count; i++) {
		const struct sl_topic *topic = &agent->topics.list[i];
		uint64_t due_ns;

		if (!topic->open)
			continue;
		due_ns = now_ns +
			 (topic->error ? REFUSED_PAUSE_NS
				       : sl_agent_backoff_ns(agent, agent->config->retry_backoff_us,
							     agent->config->retry_backoff_us_max,
							     agent->refresh.urges));
		if (due_ns < next_ns)
			next_ns = due_ns;
	}
	return next_ns;
}
