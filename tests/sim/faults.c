/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/faults.h"

#include <string.h>

#include "dataplane/transport/sim/sim.h"
#include "dataplane/wire/error_code.h"
#include "tests/sim/order.h"
#include "tests/sim/sim.h"

/* A day and an hour: longer than producer.id.expiration.ms. */
#define DAY_NS (UINT64_C(25) * 3600 * SL_NS_PER_S)

static const char *const names[] = {
#define X(name, unknown, fails) #name,
	FAULT_LIST(X)
#undef X
};

static const bool doubtful[] = {
#define X(name, unknown, fails) unknown,
	FAULT_LIST(X)
#undef X
};

static const bool harmful[] = {
#define X(name, unknown, fails) fails,
	FAULT_LIST(X)
#undef X
};

/* Nothing was written, and it is worth another try. */
static const int16_t refusals[] = {
	SL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION,
	SL_KAFKA_LEADER_NOT_AVAILABLE,
	SL_KAFKA_NOT_LEADER_OR_FOLLOWER,
	SL_KAFKA_BROKER_NOT_AVAILABLE,
	SL_KAFKA_REPLICA_NOT_AVAILABLE,
	SL_KAFKA_NOT_ENOUGH_REPLICAS,
	SL_KAFKA_KAFKA_STORAGE_ERROR,
	SL_KAFKA_LISTENER_NOT_FOUND,
	SL_KAFKA_FENCED_LEADER_EPOCH,
	SL_KAFKA_UNKNOWN_LEADER_EPOCH,
	SL_KAFKA_THROTTLING_QUOTA_EXCEEDED,
	SL_KAFKA_REQUEST_TIMED_OUT,
	SL_KAFKA_CORRUPT_MESSAGE,
	SL_KAFKA_UNKNOWN_SERVER_ERROR,
	SL_KAFKA_UNKNOWN_TOPIC_ID,
	SL_KAFKA_INCONSISTENT_TOPIC_ID,
};

/* Written all the same. */
static const int16_t refusals_after[] = {
	SL_KAFKA_UNKNOWN_SERVER_ERROR,
	SL_KAFKA_NOT_LEADER_OR_FOLLOWER,
	SL_KAFKA_REQUEST_TIMED_OUT,
	SL_KAFKA_NETWORK_EXCEPTION,
	SL_KAFKA_NOT_ENOUGH_REPLICAS_AFTER_APPEND,
	SL_KAFKA_KAFKA_STORAGE_ERROR,
	SL_KAFKA_OFFSET_OUT_OF_RANGE,
	4711,
};

/* Nothing was written and nothing like it ever will be. */
static const int16_t failures[] = {
	SL_KAFKA_MESSAGE_TOO_LARGE,
	SL_KAFKA_INVALID_TOPIC_EXCEPTION,
	SL_KAFKA_RECORD_LIST_TOO_LARGE,
	SL_KAFKA_TOPIC_AUTHORIZATION_FAILED,
	SL_KAFKA_INVALID_TIMESTAMP,
	SL_KAFKA_UNSUPPORTED_FOR_MESSAGE_FORMAT,
	SL_KAFKA_POLICY_VIOLATION,
	SL_KAFKA_INVALID_RECORD,
	SL_KAFKA_CLUSTER_AUTHORIZATION_FAILED,
	SL_KAFKA_INVALID_REQUEST,
	SL_KAFKA_UNSUPPORTED_COMPRESSION_TYPE,
};

const char *fault_name(uint32_t kind)
{
	return names[kind];
}

bool faults_harmful(const struct sim *sim)
{
	for (uint32_t i = 0; i < FAULT_COUNT; i++)
		if (harmful[i] && sim->faults.counts[i])
			return true;
	return sim->faults.failing || sim->faults.doubt;
}

static bool enabled(const struct sim *sim, enum fault_kind kind)
{
	return !sim->faults.over && sim->world.faults >> kind & 1;
}

static void happened(struct sim *sim, enum fault_kind kind)
{
	sim->faults.counts[kind]++;
	sim->faults.doubt |= doubtful[kind];
	TRACE(sim, "fault {}", kind);
	if (sim->verbose)
		sim_trace_values(sim, names[kind], NULL, 0);
}

static bool strikes(struct sim *sim, enum fault_kind kind, uint32_t percent)
{
	if (!enabled(sim, kind) || !sim_chance(sim, percent))
		return false;
	happened(sim, kind);
	return true;
}

void faults_doubt(struct sim *sim, uint32_t broker)
{
	(void)broker;
	sim->faults.doubt = true;
}

/* ---- while a request is served ---- */

bool faults_produce_before(struct sim *sim, uint32_t broker, struct call *call, int16_t *error)
{
	if (strikes(sim, FAULT_REFUSE, 5)) {
		*error = refusals[sim_below(sim, SL_ARRAY_COUNT(refusals))];
		return true;
	}
	if (strikes(sim, FAULT_FAIL, 3)) {
		*error = failures[sim_below(sim, SL_ARRAY_COUNT(failures))];
		return true;
	}
	return false;
}

bool faults_produce_after(struct sim *sim, uint32_t broker, struct call *call, int16_t *error)
{
	if (!strikes(sim, FAULT_REFUSE_AFTER, 4))
		return false;
	*error = refusals_after[sim_below(sim, SL_ARRAY_COUNT(refusals_after))];
	return true;
}

void faults_answered(struct sim *sim, const struct call *call)
{
	if (sl_kafka_error_written(call->error) != SL_WRITTEN_NO)
		sim->faults.doubt = true;
	sim->faults.failing = true;
}

void faults_answer(struct sim *sim, uint32_t broker, struct broker_conn *conn)
{
	static const uint8_t garbage[] = {0x7f, 0xff, 0xff, 0xff, 1, 2, 3, 4, 5, 6, 7, 8};

	if (strikes(sim, FAULT_LOSE_ANSWER, 3)) {
		conn->cut_at = 0;
	} else if (strikes(sim, FAULT_CUT_ANSWER, 3)) {
		conn->cut_at = (int64_t)sim_below(sim, conn->out_bytes);
	} else if (strikes(sim, FAULT_SILENCE, 1)) {
		conn->mute_forever = true;
	} else if (strikes(sim, FAULT_WRONG_ID, 1)) {
		conn->out[7] ^= 0x55;
	} else if (strikes(sim, FAULT_GARBAGE, 1) && conn->out_bytes > sizeof(garbage)) {
		memcpy(conn->out, garbage, sizeof(garbage));
		conn->cut_at = sizeof(garbage) + 1;
	}
}

uint32_t faults_throttle(struct sim *sim)
{
	return strikes(sim, FAULT_THROTTLE, 5) ? (uint32_t)sim_between(sim, 1, 200) : 0;
}

int16_t faults_producer_id(struct sim *sim)
{
	static const int16_t errors[] = {
		SL_KAFKA_COORDINATOR_LOAD_IN_PROGRESS,
		SL_KAFKA_COORDINATOR_NOT_AVAILABLE,
		SL_KAFKA_NOT_COORDINATOR,
		SL_KAFKA_CONCURRENT_TRANSACTIONS,
	};

	return strikes(sim, FAULT_PRODUCER_ID, 60) ? errors[sim_below(sim, SL_ARRAY_COUNT(errors))]
						   : 0;
}

bool faults_name_lost(struct sim *sim)
{
	return strikes(sim, FAULT_NAMES, 20);
}

/* ---- on their own ---- */

static struct model_topic *topic_any(struct sim *sim)
{
	struct model_topic *topic = &sim->cluster.topics[sim_below(sim, sim->cluster.topic_count)];

	return topic->deleted ? NULL : topic;
}

/* The connection that is reset is any one of any broker. */
static void reset_one(struct sim *sim)
{
	uint32_t broker = (uint32_t)sim_below(sim, sim->world.broker_count);

	for (uint32_t i = 0; i < MODEL_CONNS_MAX; i++) {
		struct broker_conn *conn = &sim->cluster.conns[broker][i];

		if (!conn->used || conn->orphan || !sim_chance(sim, 40))
			continue;
		happened(sim, FAULT_RESET);
		sl_sim_peer_reset(box_transport(sim, conn->worker), conn->handle);
		conn->orphan = true;
		conn->out_bytes = conn->out_done = 0;
		/* What it had read may be served yet, or not. */
		if (sim_chance(sim, 50) && conn->state == CONN_IDLE)
			conn->in_bytes = 0;
		cluster_soon(sim, sim->now_ns);
		return;
	}
}

/* Another leader for what this broker leads; the broker itself need not know. */
static void depose(struct sim *sim, uint32_t broker, bool leave_isr)
{
	for (uint32_t t = 0; t < sim->cluster.topic_count; t++) {
		struct model_topic *topic = &sim->cluster.topics[t];

		for (uint32_t i = 0; i < topic->part_count && !topic->deleted; i++) {
			struct part *part = &topic->parts[i];
			uint32_t others = part->isr & ~(1u << broker);

			if (part->leader != (int32_t)broker)
				continue;
			for (uint32_t b = 0; b < sim->world.broker_count; b++)
				if (others & 1u << b && sim->cluster.brokers[b].up &&
				    sim->cluster.brokers[b].paused_until_ns <= sim->now_ns) {
					if (leave_isr)
						part->isr = others;
					part_elect(sim, topic, i, (int32_t)b);
					break;
				}
		}
	}
}

static void pause_one(struct sim *sim)
{
	uint32_t broker = (uint32_t)sim_below(sim, sim->world.broker_count);
	uint64_t until_ns = sim->now_ns + sim_skewed(sim, 2 * SL_NS_PER_S);

	happened(sim, FAULT_PAUSE);
	sim->cluster.brokers[broker].paused_until_ns = until_ns;
	cluster_soon(sim, until_ns);
	if (sim_chance(sim, 60))
		depose(sim, broker, true);
}

static void leader_move(struct sim *sim)
{
	struct model_topic *topic = topic_any(sim);
	struct part *part;
	uint32_t index, broker = (uint32_t)sim_below(sim, sim->world.broker_count);

	if (!topic)
		return;
	index = (uint32_t)sim_below(sim, topic->part_count);
	part = &topic->parts[index];
	if (!(part->isr & 1u << broker) || !sim->cluster.brokers[broker].up ||
	    part->leader == (int32_t)broker)
		return;
	happened(sim, FAULT_MOVE_LEADER);
	part_elect(sim, topic, index, (int32_t)broker);
}

static void broker_down(struct sim *sim)
{
	uint32_t broker = (uint32_t)sim_below(sim, sim->world.broker_count);

	if (!sim->cluster.brokers[broker].up)
		return;
	happened(sim, FAULT_STOP_BROKER);
	sim->faults.state_lost = true;
	broker_stop(sim, broker, sim->now_ns + sim_skewed(sim, 3 * SL_NS_PER_S) + SL_NS_PER_MS);
}

/* Its follower fetches nothing for a while: it has to leave the in-sync replicas first. */
static void followers_lag(struct sim *sim)
{
	struct model_topic *topic = topic_any(sim);
	uint64_t until_ns = sim->now_ns + sim_skewed(sim, 3 * SL_NS_PER_S);

	if (!topic)
		return;
	happened(sim, FAULT_FEW_REPLICAS);
	for (uint32_t i = 0; i < topic->part_count; i++)
		for (uint32_t b = 0; b < sim->world.broker_count; b++)
			if (topic->parts[i].at[b].leader != (int32_t)b && sim_chance(sim, 70))
				topic->parts[i].at[b].fetch_due_ns = until_ns;
}

static void unreachable(struct sim *sim)
{
	uint32_t broker = (uint32_t)sim_below(sim, sim->world.broker_count);

	happened(sim, FAULT_UNREACHABLE);
	sim->cluster.brokers[broker].reachable = !sim->cluster.brokers[broker].reachable;
	box_reach(sim, broker);
}

static void topic_again(struct sim *sim)
{
	struct model_topic *topic = topic_any(sim);

	if (!topic || sim->cluster.topic_count == MODEL_TOPICS_MAX)
		return;
	happened(sim, FAULT_TOPIC_AGAIN);
	TRACE(sim, "topic {} is deleted and made anew", topic->spec);
	topic->deleted = true;
	topic_make(sim, topic->spec);
	cluster_soon(sim, sim->now_ns);
}

static void topic_larger(struct sim *sim)
{
	struct model_topic *topic = topic_any(sim);

	if (!topic || topic->part_count == SIM_PARTITIONS_MAX)
		return;
	happened(sim, FAULT_TOPIC_GROWS);
	topic_grow(sim, topic, topic->part_count + 1);
}

static void network_slow(struct sim *sim)
{
	uint64_t delay_ns = sim_skewed(sim, 400 * SL_NS_PER_MS);

	happened(sim, FAULT_DELAY);
	sim->faults.delay_until_ns = sim->now_ns + sim_skewed(sim, SL_NS_PER_S);
	for (uint32_t i = 0; sim->box.running && i < sim->box.worker_count; i++)
		sl_sim_delay_set(sim->box.workers[i].transport, delay_ns);
}

static void network_mend(struct sim *sim)
{
	sim->faults.delay_until_ns = 0;
	for (uint32_t i = 0; sim->box.running && i < sim->box.worker_count; i++)
		sl_sim_delay_set(sim->box.workers[i].transport, sim->world.net_delay_ns);
}

static void app_fault(struct sim *sim, enum fault_kind kind)
{
	uint32_t index = (uint32_t)sim_below(sim, sim->world.app_count);

	happened(sim, kind);
	if (kind == FAULT_APP_DIES)
		app_die(sim, index);
	else
		sim->apps[index].next_ns += sim_skewed(sim, 2 * SL_NS_PER_S);
}

static void clock_jump(struct sim *sim)
{
	int64_t by_ms = (int64_t)sim_skewed(sim, 7200 * 1000);

	happened(sim, FAULT_CLOCK);
	sim->realtime_shift_ms += sim_chance(sim, 50) ? by_ms : -by_ms;
}

/* Between two turns, or at one of the stores to come. */
static void agent_kill(struct sim *sim)
{
	if (!sim->box.running || order_armed())
		return;
	happened(sim, FAULT_KILL_AGENT);
	if (sim_chance(sim, 25))
		box_kill(sim, sim->now_ns + sim_skewed(sim, SL_NS_PER_S));
	else
		order_arm(1 + sim_skewed(sim, 3000));
}

void faults_start(struct sim *sim)
{
	if (sim->box.life == 0 || !enabled(sim, FAULT_KILL_AGENT) || !sim_chance(sim, 30))
		return;
	happened(sim, FAULT_KILL_AGENT);
	order_arm(1 + sim_skewed(sim, 200));
}

void faults_killed(struct sim *sim)
{
	while (enabled(sim, FAULT_APP_DIES) && sim_chance(sim, 40)) {
		happened(sim, FAULT_APP_DIES);
		app_die(sim, (uint32_t)sim_below(sim, sim->world.app_count));
	}
}

static void agent_stop(struct sim *sim)
{
	if (!sim->box.running || sim->box.stopping)
		return;
	happened(sim, FAULT_STOP_AGENT);
	box_stop(sim, sim_chance(sim, 50) ? 10 * SL_NS_PER_S : sim_skewed(sim, 50 * SL_NS_PER_MS));
}

/*
 * A day on which nothing happens: at its end brokers know nothing of producers that were idle. The
 * agent has nothing under way then, or is dead with whatever it has.
 */
static void day_pass(struct sim *sim)
{
	uint64_t queued = 0;

	for (uint32_t i = 0; sim->box.running && i < sim->box.worker_count; i++)
		queued += sl_worker_stats(sim->box.workers[i].worker)->queued;
	if (queued > 0 || !conns_idle(sim))
		return;
	sim->now_ns += DAY_NS;
	sim->load_end_ns += DAY_NS;
	happened(sim, FAULT_DAY);
	sim->faults.state_lost = true;
	cluster_producers_expire(sim);
}

static void inject(struct sim *sim, enum fault_kind kind)
{
	switch (kind) {
	case FAULT_RESET:
		reset_one(sim);
		break;
	case FAULT_SLOW:
		happened(sim, kind);
		sim->cluster.brokers[sim_below(sim, sim->world.broker_count)].slow_until_ns =
			sim->now_ns + sim_skewed(sim, SL_NS_PER_S);
		break;
	case FAULT_PAUSE:
		pause_one(sim);
		break;
	case FAULT_MOVE_LEADER:
		leader_move(sim);
		break;
	case FAULT_STOP_BROKER:
		if (sim_chance(sim, 30))
			broker_down(sim);
		break;
	case FAULT_FEW_REPLICAS:
		followers_lag(sim);
		break;
	case FAULT_UNREACHABLE:
		unreachable(sim);
		break;
	case FAULT_TOPIC_GROWS:
		topic_larger(sim);
		break;
	case FAULT_TOPIC_AGAIN:
		if (sim_chance(sim, 10))
			topic_again(sim);
		break;
	case FAULT_DELAY:
		network_slow(sim);
		break;
	case FAULT_APP_DIES:
	case FAULT_APP_STALLS:
		app_fault(sim, kind);
		break;
	case FAULT_CLOCK:
		clock_jump(sim);
		break;
	case FAULT_KILL_AGENT:
		if (sim_chance(sim, sim->world.deaths_only ? 40 : 15))
			agent_kill(sim);
		break;
	case FAULT_STOP_AGENT:
		if (sim_chance(sim, 10))
			agent_stop(sim);
		break;
	case FAULT_DAY:
		if (sim_chance(sim, 20))
			day_pass(sim);
		break;
	default: /* those that are done to a request */
		break;
	}
}

void faults_turn(struct sim *sim)
{
	struct faults *faults = &sim->faults;
	uint32_t kind;

	if (faults->delay_until_ns && faults->delay_until_ns <= sim->now_ns)
		network_mend(sim);
	if (faults->over || sim->world.faults == 0 || faults->next_ns > sim->now_ns)
		return;
	faults->next_ns = sim->now_ns + sim_below(sim, 2 * SL_NS_PER_S / sim->world.faults_per_s);
	kind = (uint32_t)sim_below(sim, FAULT_COUNT);
	for (uint32_t i = 0; i < FAULT_COUNT && !enabled(sim, kind); i++)
		kind = (kind + 1) % FAULT_COUNT;
	inject(sim, kind);
}

void faults_stop(struct sim *sim)
{
	struct cluster *cluster = &sim->cluster;

	sim->faults.over = true;
	order_arm(0);
	network_mend(sim);
	for (uint32_t b = 0; b < sim->world.broker_count; b++) {
		cluster->brokers[b].slow_until_ns = cluster->brokers[b].paused_until_ns = 0;
		cluster->brokers[b].reachable = true;
		if (!cluster->brokers[b].up)
			cluster->brokers[b].back_ns = sim->now_ns;
		box_reach(sim, b);
	}
	for (uint32_t t = 0; t < cluster->topic_count; t++)
		for (uint32_t i = 0; i < cluster->topics[t].part_count; i++)
			for (uint32_t b = 0; b < sim->world.broker_count; b++)
				cluster->topics[t].parts[i].at[b].fetch_due_ns = sim->now_ns;
	cluster_soon(sim, sim->now_ns);
	if (!sim->box.running)
		sim->box.restart_ns = sim->now_ns;
}
