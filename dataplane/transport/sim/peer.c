/* SPDX-License-Identifier: Apache-2.0 */
/* The network's and the peer's side of the in-memory transport. */
#include "dataplane/transport/sim/internal.h"

#include <errno.h>
#include <stddef.h>

int sl_sim_reach_set(struct sl_transport *t, const struct sl_address *address,
		     enum sl_sim_reach reach)
{
	struct sl_sim *sim = (struct sl_sim *)t;
	uint32_t i;

	for (i = 0; i < sim->reach_count; i++)
		if (sl_address_equal(&sim->reaches[i].address, address))
			break;
	if (i == SL_SIM_ADDRESSES_MAX)
		return -ENOSPC;
	if (i == sim->reach_count)
		sim->reach_count++;
	sim->reaches[i].address = *address;
	sim->reaches[i].reach = reach;
	return 0;
}

void sl_sim_delay_set(struct sl_transport *t, uint64_t delay_ns)
{
	((struct sl_sim *)t)->delay_ns = delay_ns;
}

void sl_sim_connect_fail_next(struct sl_transport *t, int error)
{
	((struct sl_sim *)t)->connect_error = error;
}

void sl_sim_send_step_set(struct sl_transport *t, uint32_t bytes)
{
	((struct sl_sim *)t)->send_step = bytes;
}

static bool connect_waits(const struct sl_sim_conn *conn)
{
	return conn->peer == SL_SIM_PEER_WAITS && conn->reach == SL_SIM_LISTENING &&
	       (conn->state == SL_SIM_CONNECTING || conn->state == SL_SIM_OPEN ||
		conn->state == SL_SIM_FLUSHING);
}

uint64_t sl_sim_next_arrival_ns(const struct sl_transport *t)
{
	const struct sl_sim *sim = (const struct sl_sim *)t;
	uint64_t next = SL_DEADLINE_NONE, at;
	uint32_t i, pos;

	for (i = 0; i < sim->options.conns_max; i++) {
		const struct sl_sim_conn *conn = &sim->conns[i];

		if (connect_waits(conn) && conn->syn_at_ns > sl_sim_now(sim) &&
		    conn->syn_at_ns < next)
			next = conn->syn_at_ns;
		if (conn->peer != SL_SIM_PEER_HELD)
			continue;
		for (pos = conn->up.first; pos != conn->up.last; pos++) {
			at = conn->up.segments[pos % SL_SIM_SEGMENTS_MAX].at_ns;
			if (at > sl_sim_now(sim) && at < next)
				next = at;
		}
		if (conn->up.end_at_ns > sl_sim_now(sim) && conn->up.end_at_ns < next)
			next = conn->up.end_at_ns;
	}
	return next;
}

void sl_sim_conn_settle(struct sl_sim_conn *conn)
{
	if (conn->state == SL_SIM_CLOSED && conn->peer != SL_SIM_PEER_HELD) {
		conn->state = SL_SIM_FREE;
		conn->generation++;
	}
}

int sl_sim_accept(struct sl_transport *t, const struct sl_address *address, uint32_t *peer)
{
	struct sl_sim *sim = (struct sl_sim *)t;
	struct sl_sim_conn *oldest = NULL;
	uint32_t i;

	for (i = 0; i < sim->options.conns_max; i++) {
		struct sl_sim_conn *conn = &sim->conns[i];

		if (!connect_waits(conn) || conn->syn_at_ns > sl_sim_now(sim))
			continue;
		if (address && !sl_address_equal(address, &conn->to))
			continue;
		if (!oldest || conn->order < oldest->order)
			oldest = conn;
	}
	if (!oldest)
		return -EAGAIN;
	oldest->peer = SL_SIM_PEER_HELD;
	*peer = (uint32_t)oldest->generation << 16 | oldest->index;
	return 0;
}

/* NULL for a dead handle. */
static struct sl_sim_conn *peer_conn(const struct sl_transport *t, uint32_t peer)
{
	const struct sl_sim *sim = (const struct sl_sim *)t;
	struct sl_sim_conn *conn;

	if ((peer & 0xffff) >= sim->options.conns_max)
		return NULL;
	conn = &sim->conns[peer & 0xffff];
	return conn->generation == peer >> 16 && conn->peer == SL_SIM_PEER_HELD ? conn : NULL;
}

bool sl_sim_peer_identity(const struct sl_transport *t, uint32_t peer, uint32_t *conn_out,
			  uint64_t *user)
{
	const struct sl_sim_conn *conn = peer_conn(t, peer);

	if (!conn)
		return false;
	*conn_out = conn->index;
	*user = conn->user;
	return true;
}

static bool was_reset(const struct sl_sim *sim, const struct sl_sim_conn *conn)
{
	return conn->up.reset && sl_sim_stream_ended(sim, &conn->up);
}

uint32_t sl_sim_peer_peek(const struct sl_transport *t, uint32_t peer, void *out, uint32_t max)
{
	const struct sl_sim *sim = (const struct sl_sim *)t;
	const struct sl_sim_conn *conn = peer_conn(t, peer);

	return !conn || was_reset(sim, conn) ? 0
					     : sl_sim_stream_peek(sim, &conn->up, out, max, true);
}

uint32_t sl_sim_peer_readable(const struct sl_transport *t, uint32_t peer)
{
	return sl_sim_peer_peek(t, peer, NULL, UINT32_MAX);
}

uint32_t sl_sim_peer_read(struct sl_transport *t, uint32_t peer, void *out, uint32_t max)
{
	struct sl_sim_conn *conn = peer_conn(t, peer);
	uint32_t bytes = sl_sim_peer_peek(t, peer, out, max);

	if (bytes > 0)
		sl_sim_stream_consume(&conn->up, bytes);
	return bytes;
}

bool sl_sim_peer_ended(const struct sl_transport *t, uint32_t peer, bool *reset)
{
	const struct sl_sim *sim = (const struct sl_sim *)t;
	const struct sl_sim_conn *conn = peer_conn(t, peer);

	if (reset)
		*reset = conn && was_reset(sim, conn);
	return !conn || was_reset(sim, conn) ||
	       (sl_sim_stream_ended(sim, &conn->up) && conn->up.first == conn->up.last);
}

uint32_t sl_sim_peer_write(struct sl_transport *t, uint32_t peer, const void *data, uint32_t bytes)
{
	struct sl_sim *sim = (struct sl_sim *)t;
	struct sl_sim_conn *conn = peer_conn(t, peer);

	if (!conn || bytes == 0 || was_reset(sim, conn) ||
	    bytes > sl_sim_stream_room(sim, &conn->down))
		return 0;
	sl_sim_stream_write(sim, &conn->down, data, bytes, false);
	return bytes;
}

void sl_sim_peer_window_set(struct sl_transport *t, uint32_t peer, uint32_t bytes)
{
	struct sl_sim *sim = (struct sl_sim *)t;
	struct sl_sim_conn *conn = peer_conn(t, peer);

	if (conn)
		conn->window_bytes =
			bytes < sim->options.wire_bytes ? bytes : sim->options.wire_bytes;
}

static void peer_end(struct sl_transport *t, uint32_t peer, bool reset)
{
	struct sl_sim_conn *conn = peer_conn(t, peer);

	if (!conn)
		return;
	sl_sim_stream_end((struct sl_sim *)t, &conn->down, reset);
	conn->peer = SL_SIM_PEER_GONE;
	sl_sim_conn_settle(conn);
}

void sl_sim_peer_close(struct sl_transport *t, uint32_t peer)
{
	peer_end(t, peer, false);
}

void sl_sim_peer_reset(struct sl_transport *t, uint32_t peer)
{
	peer_end(t, peer, true);
}

void sl_sim_peer_release(struct sl_transport *t, uint32_t peer)
{
	peer_end(t, peer, false);
}
