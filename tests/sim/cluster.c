/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The controller's part: topics, leaders and epochs, in-sync replicas, and how each broker hears of
 * them. A leader is only ever elected from the in-sync replicas, so what is below the high
 * watermark is never lost.
 */
#include "tests/sim/cluster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/transport/sim/sim.h"
#include "tests/sim/sim.h"

#define LAG_MAX_NS (1 * SL_NS_PER_S) /* replica.lag.time.max.ms, shorter than Kafka's */

struct sl_address broker_address(uint32_t broker)
{
	return (struct sl_address){.family = 4,
				   .port = (uint16_t)(9092 + broker),
				   .ip = {10, 0, 0, (uint8_t)(broker + 1)}};
}

void cluster_soon(struct sim *sim, uint64_t at_ns)
{
	if (at_ns < sim->cluster.next_ns)
		sim->cluster.next_ns = at_ns;
}

/* ---- topics ---- */

static void part_begin(struct sim *sim, struct model_topic *topic, uint32_t index)
{
	const struct sim_topic_spec *spec = &sim->world.topics[topic->spec];
	struct part *part = &topic->parts[index];

	memset(part, 0, sizeof(*part));
	for (uint32_t i = 0; i < spec->replicas; i++)
		part->replicas |= 1u << ((index + i) % sim->world.broker_count);
	part->isr = part->replicas;
	part->leader = (int32_t)(index % sim->world.broker_count);
	for (uint32_t b = 0; b < SIM_BROKERS_MAX; b++) {
		struct replica *replica = &part->at[b];

		replica->leader = part->leader;
		replica->isr = part->isr;
		replica->view_due_ns = SL_DEADLINE_NONE;
		replica->caught_up_ns = sim->now_ns;
		for (uint32_t i = 0; i < MODEL_PRODUCERS_MAX; i++)
			replica->producers[i].id = -1;
	}
	if (!sim->cluster.brokers[part->leader].up)
		part_elect(sim, topic, index, -1);
}

struct model_topic *topic_make(struct sim *sim, uint32_t spec)
{
	struct cluster *cluster = &sim->cluster;
	struct model_topic *topic = &cluster->topics[cluster->topic_count];

	if (cluster->topic_count == MODEL_TOPICS_MAX)
		return NULL;
	memset(topic, 0, sizeof(*topic));
	snprintf(topic->name, sizeof(topic->name), "topic-%u", spec);
	topic->spec = spec;
	for (uint32_t i = 0; i < sizeof(topic->id.bytes); i++)
		topic->id.bytes[i] = (uint8_t)(sim_random(sim) >> 24 | 1);
	cluster->topic_count++;
	topic_grow(sim, topic, sim->world.topics[spec].partitions);
	return topic;
}

void topic_grow(struct sim *sim, struct model_topic *topic, uint32_t part_count)
{
	while (topic->part_count < part_count && topic->part_count < SIM_PARTITIONS_MAX)
		part_begin(sim, topic, topic->part_count++);
}

struct model_topic *topic_by_name(struct sim *sim, struct sl_slice name)
{
	for (uint32_t i = 0; i < sim->cluster.topic_count; i++) {
		struct model_topic *topic = &sim->cluster.topics[i];

		if (!topic->deleted && sl_slice_equal(name, sl_slice_of(topic->name)))
			return topic;
	}
	return NULL;
}

struct model_topic *topic_by_id(struct sim *sim, const struct sl_uuid *id)
{
	for (uint32_t i = 0; i < sim->cluster.topic_count; i++) {
		struct model_topic *topic = &sim->cluster.topics[i];

		if (!topic->deleted && memcmp(&topic->id, id, sizeof(*id)) == 0)
			return topic;
	}
	return NULL;
}

void cluster_producers_expire(struct sim *sim)
{
	for (uint32_t t = 0; t < sim->cluster.topic_count; t++)
		for (uint32_t i = 0; i < sim->cluster.topics[t].part_count; i++)
			for (uint32_t b = 0; b < sim->world.broker_count; b++) {
				struct replica *at = &sim->cluster.topics[t].parts[i].at[b];

				for (uint32_t p = 0; p < MODEL_PRODUCERS_MAX; p++)
					at->producers[p].id = -1;
			}
}

/* ---- elections ---- */

/* Each broker hears of it at a time of its own. */
static void views_spread(struct sim *sim, struct part *part)
{
	for (uint32_t b = 0; b < sim->world.broker_count; b++) {
		uint64_t due_ns = sim->now_ns + sim_skewed(sim, sim->world.view_ns_max);

		part->at[b].view_due_ns = due_ns;
		cluster_soon(sim, due_ns);
	}
}

void part_elect(struct sim *sim, struct model_topic *topic, uint32_t index, int32_t leader)
{
	struct part *part = &topic->parts[index];

	part->leader = leader;
	part->epoch++;
	sim->cluster.elections++;
	TRACE(sim, "election: topic {} partition {} leader {} epoch {} isr {}", topic->spec, index,
	      leader, part->epoch, part->isr);
	views_spread(sim, part);
}

static bool can_lead(const struct sim *sim, const struct part *part, uint32_t broker)
{
	return sim->cluster.brokers[broker].up && part->isr & 1u << broker;
}

static int32_t candidate(struct sim *sim, const struct part *part)
{
	uint32_t first = (uint32_t)sim_below(sim, sim->world.broker_count);

	for (uint32_t i = 0; i < sim->world.broker_count; i++) {
		uint32_t broker = (first + i) % sim->world.broker_count;

		if (can_lead(sim, part, broker))
			return (int32_t)broker;
	}
	return -1;
}

/* Partitions whose leader is down get another, those without one get one that came back. */
static void elections_turn(struct sim *sim, struct model_topic *topic)
{
	for (uint32_t i = 0; i < topic->part_count; i++) {
		struct part *part = &topic->parts[i];
		int32_t leader = part->leader;

		if (leader >= 0 && can_lead(sim, part, (uint32_t)leader))
			continue;
		leader = candidate(sim, part);
		if (leader != part->leader)
			part_elect(sim, topic, i, leader);
	}
}

void broker_stop(struct sim *sim, uint32_t broker, uint64_t back_ns)
{
	struct cluster *cluster = &sim->cluster;

	TRACE(sim, "broker {} stops", broker);
	cluster->brokers[broker].up = false;
	cluster->brokers[broker].back_ns = back_ns;
	conns_reset(sim, broker);
	cluster_soon(sim, back_ns);
	for (uint32_t t = 0; t < cluster->topic_count; t++)
		for (uint32_t i = 0; i < cluster->topics[t].part_count; i++) {
			struct part *part = &cluster->topics[t].parts[i];

			/* The last one stays in sync, whatever happens: no unclean election. */
			if (part->isr != 1u << broker)
				part->isr &= ~(1u << broker);
		}
	box_reach(sim, broker);
}

void broker_flush(struct sim *sim, uint32_t broker)
{
	struct cluster *cluster = &sim->cluster;

	for (uint32_t t = 0; t < cluster->topic_count; t++)
		for (uint32_t i = 0; i < cluster->topics[t].part_count; i++)
			log_keep(&cluster->topics[t].parts[i].at[broker]);
}

static void broker_start(struct sim *sim, uint32_t broker)
{
	struct cluster *cluster = &sim->cluster;

	TRACE(sim, "broker {} starts", broker);
	cluster->brokers[broker].up = true;
	for (uint32_t t = 0; t < cluster->topic_count; t++)
		for (uint32_t i = 0; i < cluster->topics[t].part_count; i++) {
			struct part *part = &cluster->topics[t].parts[i];
			struct replica *replica = &part->at[broker];

			log_reload(sim, replica);
			replica->fetch_epoch = -1;
			/* It asks the controller before it serves. */
			replica->leader = part->leader;
			replica->epoch = part->epoch;
			replica->isr = part->isr;
		}
	box_reach(sim, broker);
}

/* ---- replication ---- */

static void view_apply(struct sim *sim, struct part *part, uint32_t broker)
{
	struct replica *replica = &part->at[broker];

	replica->view_due_ns = SL_DEADLINE_NONE;
	if (replica->epoch != part->epoch)
		replica->fetch_due_ns = sim->now_ns;
	replica->leader = part->leader;
	replica->epoch = part->epoch;
	replica->isr = part->isr;
	if (replica->leader == (int32_t)broker)
		replica->fetch_epoch = replica->epoch;
}

static bool follows(const struct part *part, uint32_t broker, const struct replica *leader)
{
	return part->replicas & 1u << broker && part->at[broker].leader == leader->leader &&
	       part->at[broker].epoch == leader->epoch;
}

/* A leader's high watermark: what all that it believes to be in sync have fetched from it. */
static bool watermark_move(struct sim *sim, struct part *part, uint32_t broker)
{
	struct replica *leader = &part->at[broker];
	int64_t low = leader->end_offset;

	for (uint32_t b = 0; b < sim->world.broker_count; b++) {
		const struct replica *other = &part->at[b];

		if (b == broker || !(leader->isr & 1u << b))
			continue;
		if (!follows(part, b, leader) || other->fetch_epoch != leader->epoch)
			return false;
		if (other->end_offset < low)
			low = other->end_offset;
	}
	if (low <= leader->high_watermark)
		return false;
	leader->high_watermark = low;
	return true;
}

/* In or out of sync: decided with the controller, who refuses a leader of an old epoch. */
static void isr_turn(struct sim *sim, struct part *part, uint32_t broker)
{
	struct replica *leader = &part->at[broker];
	uint32_t isr = leader->isr;

	if (part->leader != (int32_t)broker || part->epoch != leader->epoch)
		return;
	for (uint32_t b = 0; b < sim->world.broker_count; b++) {
		struct replica *other = &part->at[b];
		uint32_t bit = 1u << b;

		if (b == broker || !(part->replicas & bit))
			continue;
		if (isr & bit &&
		    (!sim->cluster.brokers[b].up || other->caught_up_ns + LAG_MAX_NS < sim->now_ns))
			isr &= ~bit;
		else if (!(isr & bit) && sim->cluster.brokers[b].up && follows(part, b, leader) &&
			 other->fetch_epoch == leader->epoch &&
			 other->end_offset >= leader->high_watermark &&
			 other->caught_up_ns + LAG_MAX_NS >= sim->now_ns)
			isr |= bit;
	}
	if (isr != leader->isr)
		TRACE(sim, "isr {} of leader {} epoch {}", isr, broker, leader->epoch);
	leader->isr = part->isr = isr;
}

static uint32_t fetch(struct sim *sim, struct part *part, uint32_t broker)
{
	struct replica *replica = &part->at[broker];
	const struct broker *self = &sim->cluster.brokers[broker];
	uint32_t work = 0;

	replica->fetch_due_ns =
		sim->now_ns + sim_between(sim, SL_NS_PER_US * 50, sim->world.fetch_ns_max);
	if (replica->leader >= 0 && self->up && self->paused_until_ns <= sim->now_ns) {
		const struct replica *leader = &part->at[replica->leader];
		const struct broker *other = &sim->cluster.brokers[replica->leader];

		if (other->up && other->paused_until_ns <= sim->now_ns &&
		    leader->leader == replica->leader && leader->epoch == replica->epoch) {
			work = log_follow(sim, replica, leader);
			replica->caught_up_ns = sim->now_ns;
		}
	}
	/* Nothing to fetch: look again when a leader appended, or to be counted as alive. */
	if (!work)
		replica->fetch_due_ns = sim->now_ns + LAG_MAX_NS / 4;
	cluster_soon(sim, replica->fetch_due_ns);
	return work;
}

static uint32_t part_turn(struct sim *sim, struct part *part)
{
	uint32_t work = 0;

	for (uint32_t b = 0; b < sim->world.broker_count; b++) {
		struct replica *replica = &part->at[b];

		if (!sim->cluster.brokers[b].up)
			continue;
		if (replica->view_due_ns <= sim->now_ns &&
		    sim->cluster.brokers[b].paused_until_ns <= sim->now_ns) {
			view_apply(sim, part, b);
			work++;
		} else if (replica->view_due_ns > sim->now_ns) {
			cluster_soon(sim, replica->view_due_ns);
		} else {
			cluster_soon(sim, sim->cluster.brokers[b].paused_until_ns);
		}
		if (!(part->replicas & 1u << b))
			continue;
		if (replica->leader == (int32_t)b) {
			isr_turn(sim, part, b);
			work += watermark_move(sim, part, b);
		} else if (replica->fetch_due_ns <= sim->now_ns) {
			work += fetch(sim, part, b);
		} else {
			cluster_soon(sim, replica->fetch_due_ns);
		}
	}
	return work;
}

uint32_t cluster_turn(struct sim *sim)
{
	struct cluster *cluster = &sim->cluster;
	uint32_t work = 0;

	cluster->next_ns = SL_DEADLINE_NONE;
	for (uint32_t b = 0; b < sim->world.broker_count; b++) {
		if (!cluster->brokers[b].up && cluster->brokers[b].back_ns <= sim->now_ns)
			broker_start(sim, b);
		if (!cluster->brokers[b].up)
			cluster_soon(sim, cluster->brokers[b].back_ns);
	}
	for (uint32_t t = 0; t < cluster->topic_count; t++) {
		struct model_topic *topic = &cluster->topics[t];

		if (topic->deleted)
			continue;
		elections_turn(sim, topic);
		for (uint32_t i = 0; i < topic->part_count; i++)
			work += part_turn(sim, &topic->parts[i]);
	}
	return work + conns_turn(sim);
}

void cluster_init(struct sim *sim)
{
	struct cluster *cluster = &sim->cluster;

	cluster->producer_id_next = 1000;
	for (uint32_t b = 0; b < sim->world.broker_count; b++)
		cluster->brokers[b] = (struct broker){
			.up = true, .reachable = true, .release = sim->world.release};
	for (uint32_t i = 0; i < sim->world.topic_count; i++)
		topic_make(sim, i);
}

void cluster_fini(struct sim *sim)
{
	struct cluster *cluster = &sim->cluster;

	for (uint32_t t = 0; t < cluster->topic_count; t++)
		for (uint32_t i = 0; i < cluster->topics[t].part_count; i++)
			for (uint32_t b = 0; b < SIM_BROKERS_MAX; b++)
				free(cluster->topics[t].parts[i].at[b].entries);
	for (uint32_t b = 0; b < SIM_BROKERS_MAX; b++)
		for (uint32_t i = 0; i < MODEL_CONNS_MAX; i++) {
			free(cluster->conns[b][i].in);
			free(cluster->conns[b][i].out);
		}
	free(cluster->batches);
	free(cluster->ids);
}
