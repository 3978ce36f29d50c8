/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections as a broker has them: one request at a time, answers in order, and a request that was
 * read is served even when nobody waits for the answer any more.
 */
#include <stdlib.h>
#include <string.h>

#include "dataplane/base/endian.h"
#include "dataplane/transport/sim/sim.h"
#include "tests/sim/sim.h"

enum { FRAME_BYTES_MAX = 8 << 20, PIECE_BYTES = 1400 };

static struct sl_transport *wire(struct sim *sim, const struct broker_conn *conn)
{
	return box_transport(sim, conn->worker);
}

static void conn_free(struct broker_conn *conn)
{
	uint8_t *in = conn->in, *out = conn->out;
	uint32_t in_room = conn->in_room, out_room = conn->out_room;

	memset(conn, 0, sizeof(*conn));
	conn->in = in;
	conn->out = out;
	conn->in_room = in_room;
	conn->out_room = out_room;
}

/* Nobody hears the answers any more; what is complete is served all the same. */
static void conn_orphan(struct broker_conn *conn)
{
	conn->orphan = true;
	conn->out_bytes = conn->out_done = 0;
	conn->mute_forever = false;
}

static void conn_reset(struct sim *sim, struct broker_conn *conn)
{
	if (!conn->orphan)
		sl_sim_peer_reset(wire(sim, conn), conn->handle);
	conn_orphan(conn);
}

void conns_reset(struct sim *sim, uint32_t broker)
{
	for (uint32_t i = 0; i < MODEL_CONNS_MAX; i++) {
		struct broker_conn *conn = &sim->cluster.conns[broker][i];

		if (!conn->used)
			continue;
		faults_doubt(sim, broker);
		conn_reset(sim, conn);
		conn_free(conn);
	}
}

static uint32_t accept_all(struct sim *sim, uint32_t broker)
{
	struct sl_address address = broker_address(broker);
	uint32_t work = 0, handle = 0;

	for (uint32_t w = 0; w < sim->world.worker_count; w++) {
		struct sl_transport *transport = box_transport(sim, w);

		while (transport && sl_sim_accept(transport, &address, &handle) == 0) {
			uint32_t i = 0;

			while (i < MODEL_CONNS_MAX && sim->cluster.conns[broker][i].used)
				i++;
			if (i == MODEL_CONNS_MAX)
				sim_violation(sim,
					      "more connections to broker %u than there can be",
					      broker);
			sim->cluster.conns[broker][i].used = true;
			sim->cluster.conns[broker][i].worker = w;
			sim->cluster.conns[broker][i].handle = handle;
			sim->cluster.conns[broker][i].cut_at = -1;
			work++;
		}
	}
	return work;
}

static uint32_t conn_read(struct sim *sim, struct broker_conn *conn)
{
	struct sl_transport *transport = wire(sim, conn);
	uint32_t bytes = conn->orphan ? 0 : sl_sim_peer_readable(transport, conn->handle);

	if (bytes > 0) {
		if (conn->in_bytes + bytes > conn->in_room) {
			conn->in_room = (conn->in_bytes + bytes) * 2;
			conn->in = realloc(conn->in, conn->in_room);
			if (!conn->in)
				sim_violation(sim, "no memory");
		}
		conn->in_bytes +=
			sl_sim_peer_read(transport, conn->handle, conn->in + conn->in_bytes, bytes);
	}
	if (!conn->orphan && sl_sim_peer_ended(transport, conn->handle, NULL)) {
		sl_sim_peer_release(transport, conn->handle);
		conn_orphan(conn);
		bytes++;
	}
	return bytes;
}

/* Bytes of the next whole frame with its size field, or 0. */
static uint32_t frame_next(struct sim *sim, const struct broker_conn *conn)
{
	uint32_t bytes;

	if (conn->in_bytes < 4)
		return 0;
	bytes = sl_load_be32(conn->in);
	if (bytes > FRAME_BYTES_MAX)
		sim_violation(sim, "a broker got a frame of %u bytes", bytes);
	return conn->in_bytes - 4 >= bytes ? bytes + 4 : 0;
}

static void frame_drop(struct broker_conn *conn)
{
	memmove(conn->in, conn->in + conn->frame_bytes, conn->in_bytes - conn->frame_bytes);
	conn->in_bytes -= conn->frame_bytes;
	conn->frame_bytes = 0;
}

static void frame_begin(struct sim *sim, uint32_t broker, struct broker_conn *conn)
{
	const struct broker *self = &sim->cluster.brokers[broker];
	uint64_t service_ns = sim_skewed(sim, sim->world.service_ns_max);

	if (self->slow_until_ns > sim->now_ns)
		service_ns = service_ns * 20 + 20 * SL_NS_PER_MS;
	conn->state = CONN_SERVICE;
	conn->due_ns = sim->now_ns + service_ns;
}

/* The answer stands; it leaves a little later, whole or not. */
static void answer_begin(struct sim *sim, uint32_t broker, struct broker_conn *conn)
{
	conn->state = CONN_DELAY;
	conn->due_ns = sim->now_ns + sim_skewed(sim, sim->world.service_ns_max);
	if (!conn->orphan)
		faults_answer(sim, broker, conn);
}

static void served(struct sim *sim, uint32_t broker, struct broker_conn *conn,
		   enum serve_result result)
{
	switch (result) {
	case SERVE_ANSWER:
		answer_begin(sim, broker, conn);
		break;
	case SERVE_WAIT:
		conn->state = CONN_WAIT;
		break;
	case SERVE_SILENT:
		conn->state = CONN_IDLE;
		frame_drop(conn);
		break;
	case SERVE_CLOSE:
		frame_drop(conn);
		conn->state = CONN_IDLE;
		conn->in_bytes = 0;
		if (!conn->orphan)
			sl_sim_peer_close(wire(sim, conn), conn->handle);
		conn_orphan(conn);
		break;
	}
}

/* False while the wire takes no more. */
static bool answer_push(struct sim *sim, struct broker_conn *conn)
{
	uint32_t limit = conn->out_bytes;

	if (conn->cut_at >= 0 && (uint64_t)conn->cut_at < limit)
		limit = (uint32_t)conn->cut_at;
	while (!conn->orphan && conn->out_done < limit) {
		uint32_t bytes =
			limit - conn->out_done < PIECE_BYTES ? limit - conn->out_done : PIECE_BYTES;

		if (sl_sim_peer_write(wire(sim, conn), conn->handle, conn->out + conn->out_done,
				      bytes) != bytes)
			return sl_sim_peer_ended(wire(sim, conn), conn->handle, NULL);
		conn->out_done += bytes;
	}
	return true;
}

static void answered(struct sim *sim, struct broker_conn *conn)
{
	bool cut = conn->cut_at >= 0;

	conn->out_bytes = conn->out_done = 0;
	conn->cut_at = -1;
	frame_drop(conn);
	conn->state = conn->throttle_ms ? CONN_MUTED : CONN_IDLE;
	conn->due_ns = sim->now_ns + conn->throttle_ms * SL_NS_PER_MS;
	conn->throttle_ms = 0;
	if (cut)
		conn_reset(sim, conn);
}

static uint32_t conn_turn(struct sim *sim, uint32_t broker, struct broker_conn *conn)
{
	uint32_t work = conn_read(sim, conn);

	if (sim->cluster.brokers[broker].paused_until_ns > sim->now_ns) {
		cluster_soon(sim, sim->cluster.brokers[broker].paused_until_ns);
		return work;
	}
	if (conn->state == CONN_IDLE) {
		conn->frame_bytes = frame_next(sim, conn);
		if (conn->frame_bytes && !conn->mute_forever) {
			frame_begin(sim, broker, conn);
			work++;
		} else if (conn->orphan) {
			conn_free(conn);
			return work;
		}
	}
	if (conn->state == CONN_WAIT &&
	    produce_decide(sim, broker, conn, conn->due_ns <= sim->now_ns)) {
		answer_begin(sim, broker, conn);
		work++;
	}
	if (conn->state != CONN_IDLE && conn->due_ns > sim->now_ns)
		cluster_soon(sim, conn->due_ns);
	if (conn->state == CONN_SERVICE && conn->due_ns <= sim->now_ns) {
		served(sim, broker, conn, serve(sim, broker, conn));
		cluster_soon(sim, sim->now_ns);
		work++;
	} else if (conn->state == CONN_DELAY && conn->due_ns <= sim->now_ns &&
		   !conn->mute_forever && answer_push(sim, conn)) {
		answered(sim, conn);
		cluster_soon(sim, sim->now_ns);
		work++;
	} else if (conn->state == CONN_MUTED && conn->due_ns <= sim->now_ns) {
		conn->state = CONN_IDLE;
		cluster_soon(sim, sim->now_ns);
	}
	return work;
}

uint32_t conns_turn(struct sim *sim)
{
	uint32_t work = 0;

	for (uint32_t b = 0; b < sim->world.broker_count; b++) {
		if (!sim->cluster.brokers[b].up)
			continue;
		work += accept_all(sim, b);
		for (uint32_t i = 0; i < MODEL_CONNS_MAX; i++)
			if (sim->cluster.conns[b][i].used)
				work += conn_turn(sim, b, &sim->cluster.conns[b][i]);
	}
	return work;
}

void conns_orphan_all(struct sim *sim)
{
	uint64_t now_ns = sim->now_ns;

	/* What has left arrives, though its sender is dead: the wire is read to its end. */
	sim->now_ns += 3600 * SL_NS_PER_S;
	for (uint32_t b = 0; b < sim->world.broker_count; b++)
		for (uint32_t i = 0; i < MODEL_CONNS_MAX; i++) {
			struct broker_conn *conn = &sim->cluster.conns[b][i];

			if (!conn->used)
				continue;
			conn_read(sim, conn);
			conn_orphan(conn);
		}
	sim->now_ns = now_ns;
	cluster_soon(sim, now_ns);
}

bool conns_idle(const struct sim *sim)
{
	for (uint32_t b = 0; b < sim->world.broker_count; b++)
		for (uint32_t i = 0; i < MODEL_CONNS_MAX; i++)
			if (sim->cluster.conns[b][i].used &&
			    (sim->cluster.conns[b][i].state != CONN_IDLE ||
			     sim->cluster.conns[b][i].in_bytes > 0))
				return false;
	return true;
}

struct sl_wbuf conn_answer_begin(struct sim *sim, struct broker_conn *conn, uint8_t **frame,
				 uint32_t bytes)
{
	struct sl_wbuf w;

	if (conn->out_room < bytes) {
		conn->out_room = bytes * 2;
		conn->out = realloc(conn->out, conn->out_room);
		if (!conn->out)
			sim_violation(sim, "no memory");
	}
	w = sl_wbuf_on(conn->out, conn->out_room);
	*frame = sl_response_put_head(&w, conn->api_key, conn->version, conn->correlation_id);
	return w;
}

void conn_answer_end(struct sim *sim, struct broker_conn *conn, struct sl_wbuf *w, uint8_t *frame)
{
	int bytes = sl_frame_end(w, frame);

	if (bytes < 0)
		sim_violation(sim, "the model's answer does not fit");
	conn->out_bytes = (uint32_t)bytes;
	conn->out_done = 0;
}
