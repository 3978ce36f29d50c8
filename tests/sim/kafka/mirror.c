/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/kafka/mirror.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/transport/sim/sim.h"
#include "tests/sim/sim.h"

enum {
	RELEASE_NEWEST = 5, /* row of the version table in serve.c */
	TURNS_MAX = 100000,
	WIRE_BYTES = 64 * 1024,
	EVENTS_MAX = 8,
};

struct mirror {
	struct sim sim;
	struct sl_transport *wire;
	uint32_t conn;
	bool connecting, connected, closed, sent;
	uint8_t in[WIRE_BYTES];
	uint32_t in_bytes;
};

/* ---- what the model asks of the rest of the simulator ---- */

struct sl_transport *box_transport(struct sim *sim, uint32_t worker)
{
	return ((struct mirror *)sim)->wire;
}
static_assert(offsetof(struct mirror, sim) == 0, "a simulation is the first thing in its mirror");

void box_reach(struct sim *sim, uint32_t broker)
{
	struct sl_address address = broker_address(broker);

	sl_sim_reach_set(((struct mirror *)sim)->wire, &address,
			 sim->cluster.brokers[broker].up ? SL_SIM_LISTENING : SL_SIM_REFUSED);
}

void box_leave(const struct sim *sim)
{
	fprintf(stderr, "or rather: tests/sim/model_vs_kafka --seed %" PRIu64 "\n", sim->seed);
}

bool faults_produce_before(struct sim *sim, uint32_t broker, struct call *call, int16_t *error)
{
	return false;
}

bool faults_produce_after(struct sim *sim, uint32_t broker, struct call *call, int16_t *error)
{
	return false;
}

void faults_answer(struct sim *sim, uint32_t broker, struct broker_conn *conn)
{
}

void faults_answered(struct sim *sim, const struct call *call)
{
}

uint32_t faults_throttle(struct sim *sim)
{
	return 0;
}

int16_t faults_producer_id(struct sim *sim)
{
	return 0;
}

void faults_doubt(struct sim *sim, uint32_t broker)
{
}

/* The records are nobody's. */
void ledger_identify(struct sim *sim, uint32_t topic, int32_t partition, struct sl_slice key,
		     struct sl_slice value, uint32_t *book, uint32_t *seq)
{
	*book = *seq = 0;
}

/* By the linker in the place of the simulator's own: here other records do come under the numbers
 * of a batch, to see what a broker makes of it. */
void __wrap_batch_same_check(struct sim *sim, uint32_t spec, int32_t partition,
			     const struct sl_batch_view *view);
void __wrap_batch_same_check(struct sim *sim, uint32_t spec, int32_t partition,
			     const struct sl_batch_view *view)
{
}

/* ---- time ---- */

static void event_take(struct mirror *m, const struct sl_event *event)
{
	switch (event->kind) {
	case SL_EVENT_CONNECTED:
		m->connected = true;
		break;
	case SL_EVENT_SENT:
		m->sent = true;
		break;
	case SL_EVENT_RECEIVED:
		if (event->bytes > sizeof(m->in) - m->in_bytes)
			sim_violation(&m->sim, "the model answers with more than fits");
		memcpy(m->in + m->in_bytes, event->data, event->bytes);
		m->in_bytes += event->bytes;
		m->wire->ops->recv_release(m->wire, event->buffer);
		break;
	case SL_EVENT_CLOSED:
		m->closed = true;
		break;
	}
}

/* One turn of both ends; false when nothing is left to happen. */
static bool turn(struct mirror *m)
{
	struct sl_event events[EVENTS_MAX];
	uint32_t work = cluster_turn(&m->sim);
	uint32_t count = m->wire->ops->poll(m->wire, events, EVENTS_MAX);
	uint64_t next_ns = m->sim.cluster.next_ns, other_ns;

	for (uint32_t i = 0; i < count; i++)
		event_take(m, &events[i]);
	if (work + count > 0)
		return true;
	other_ns = m->wire->ops->next_deadline_ns(m->wire);
	next_ns = other_ns < next_ns ? other_ns : next_ns;
	other_ns = sl_sim_next_arrival_ns(m->wire);
	next_ns = other_ns < next_ns ? other_ns : next_ns;
	if (next_ns == SL_DEADLINE_NONE)
		return false;
	m->sim.now_ns = next_ns > m->sim.now_ns ? next_ns : m->sim.now_ns + 1;
	return true;
}

static void settle(struct mirror *m)
{
	for (uint32_t i = 0; i < TURNS_MAX; i++)
		if (!turn(m))
			return;
	sim_violation(&m->sim, "the model does not come to rest");
}

static void conn_make(struct mirror *m)
{
	struct sl_address address = broker_address(0);

	if (m->connected && !m->closed)
		return;
	m->connected = m->closed = false;
	m->in_bytes = 0;
	if (m->wire->ops->connect(m->wire, &address, 0, &m->conn) != 0)
		sim_violation(&m->sim, "the model cannot be connected to");
	settle(m);
	if (!m->connected || m->closed)
		sim_violation(&m->sim, "the model refuses a connection");
}

int mirror_ask(struct mirror *m, const uint8_t *frame, uint32_t bytes, struct sl_rbuf *body)
{
	struct iovec iov = {(void *)(uintptr_t)frame, bytes};

	conn_make(m);
	m->in_bytes = 0;
	if (m->wire->ops->submit(m->wire, m->conn, &iov, 1, 0) != 0)
		sim_violation(&m->sim, "the model takes no request");
	settle(m);
	if (m->closed)
		return -EPIPE;
	if (m->in_bytes == 0)
		return 0;
	if (m->in_bytes < 4 || sl_load_be32(m->in) != m->in_bytes - 4)
		sim_violation(&m->sim, "the model's answer is torn");
	*body = sl_rbuf_on(m->in + 4, m->in_bytes - 4);
	return 1;
}

void mirror_clock_set(struct mirror *m, int64_t realtime_ms)
{
	m->sim.realtime_shift_ms += realtime_ms - sim_realtime_ms(&m->sim);
}

void mirror_producer_id_set(struct mirror *m, int64_t id)
{
	m->sim.cluster.producer_id_next = id;
}

/* ---- topics and brokers ---- */

static struct model_topic *topic_of(struct mirror *m)
{
	return &m->sim.cluster.topics[m->sim.cluster.topic_count - 1];
}

static void topic_name(struct mirror *m, const struct mirror_topic *topic)
{
	struct model_topic *model = topic_of(m);

	if (strlen(topic->name) >= sizeof(model->name))
		sim_violation(&m->sim, "a topic's name is too long for the model");
	strcpy(model->name, topic->name);
	model->id = topic->id;
}

void mirror_topic_make(struct mirror *m, const struct mirror_topic *topic)
{
	m->sim.world.topics[0] = topic->spec;
	if (!topic_make(&m->sim, 0))
		sim_violation(&m->sim, "more lives of a topic than the model has room for");
	topic_name(m, topic);
	settle(m);
}

void mirror_topic_delete(struct mirror *m)
{
	topic_of(m)->deleted = true;
}

void mirror_topic_grow(struct mirror *m, uint32_t partitions)
{
	topic_grow(&m->sim, topic_of(m), partitions);
	settle(m);
}

void mirror_restart(struct mirror *m, bool clean)
{
	if (clean)
		broker_flush(&m->sim, 0);
	broker_stop(&m->sim, 0, m->sim.now_ns + SL_NS_PER_S);
	settle(m);
}

int16_t mirror_records_delete(struct mirror *m, int32_t partition, int64_t offset, int64_t *low)
{
	struct replica *replica = &topic_of(m)->parts[partition].at[0];
	int16_t error = log_delete(replica, offset);

	*low = error ? -1 : replica->start_offset;
	return error;
}

struct mirror *mirror_create(uint64_t seed, const struct mirror_topic *topic)
{
	struct mirror *m = calloc(1, sizeof(*m));
	struct sl_sim_options options = {.conns_max = 4,
					 .sends_max = 4,
					 .recv_buffer_bytes = WIRE_BYTES,
					 .recv_buffer_count = 2,
					 .wire_bytes = WIRE_BYTES};
	struct sl_error error;

	if (!m)
		abort();
	m->sim.seed = seed;
	m->sim.random = seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
	m->sim.world.broker_count = m->sim.world.topic_count = m->sim.world.worker_count = 1;
	m->sim.world.release = RELEASE_NEWEST;
	m->sim.world.topics[0] = topic->spec;
	options.now_ns = &m->sim.now_ns;
	if (sl_sim_create(&options, &m->wire, &error) != 0)
		sim_violation(&m->sim, "no network: %s", error.text);
	cluster_init(&m->sim);
	topic_name(m, topic);
	box_reach(&m->sim, 0);
	settle(m);
	return m;
}

void mirror_destroy(struct mirror *m)
{
	cluster_fini(&m->sim);
	m->wire->ops->destroy(m->wire);
	free(m);
}
