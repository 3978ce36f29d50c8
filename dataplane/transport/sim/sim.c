/* SPDX-License-Identifier: Apache-2.0 */
/* The worker's side of the in-memory transport. */
#include "dataplane/transport/sim/sim.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/transport/sim/internal.h"

struct out {
	struct sl_event *events;
	uint32_t count, max;
};

static struct sl_event *event_add(struct out *out, enum sl_event_kind kind,
				  const struct sl_sim_conn *conn)
{
	struct sl_event *event = &out->events[out->count++];

	SL_ASSERT(out->count <= out->max);
	*event = (struct sl_event){.kind = kind, .conn = conn->index, .user = conn->user};
	return event;
}

static enum sl_sim_reach reach_of(const struct sl_sim *sim, const struct sl_address *to)
{
	uint32_t i;

	for (i = 0; i < sim->reach_count; i++)
		if (sl_address_equal(&sim->reaches[i].address, to))
			return sim->reaches[i].reach;
	return SL_SIM_REFUSED;
}

static void conn_begin(struct sl_sim *sim, struct sl_sim_conn *conn, const struct sl_address *to,
		       uint64_t user)
{
	conn->state = SL_SIM_CONNECTING;
	conn->peer = SL_SIM_PEER_WAITS;
	conn->reach = reach_of(sim, to);
	conn->to = *to;
	conn->user = user;
	conn->order = sim->order_next++;
	conn->syn_at_ns = sl_sim_now(sim) + sim->delay_ns;
	conn->open_at_ns = conn->syn_at_ns + sim->delay_ns;
	conn->end_error = conn->token_error = 0;
	conn->window_bytes = sim->options.window_bytes;
	conn->head = conn->next = conn->tail = conn->next_iov = 0;
	conn->next_skip = 0;
	memset(&conn->stats, 0, sizeof(conn->stats));
	sl_sim_stream_reset(&conn->up);
	sl_sim_stream_reset(&conn->down);
	conn->down.last_at_ns = conn->open_at_ns; /* nothing overtakes the answer to the connect */
}

static int sim_connect(struct sl_transport *t, const struct sl_address *to, uint64_t user,
		       uint32_t *out)
{
	struct sl_sim *sim = (struct sl_sim *)t;
	int error = sim->connect_error;
	uint32_t i;

	sim->connect_error = 0;
	if (error)
		return error;
	for (i = 0; i < sim->options.conns_max; i++) {
		if (sim->conns[i].state != SL_SIM_FREE)
			continue;
		conn_begin(sim, &sim->conns[i], to, user);
		*out = i;
		return 0;
	}
	return -EMFILE;
}

static struct sl_sim_submission *submission_at(const struct sl_sim *sim,
					       const struct sl_sim_conn *conn, uint32_t pos)
{
	return &conn->queue[pos % sim->options.sends_max];
}

static int sim_submit(struct sl_transport *t, uint32_t index, const struct iovec *iov,
		      uint32_t iov_count, uint64_t token)
{
	struct sl_sim *sim = (struct sl_sim *)t;
	struct sl_sim_conn *conn;

	SL_ASSERT(index < sim->options.conns_max && iov_count <= SL_TRANSPORT_IOV_MAX);
	conn = &sim->conns[index];
	if (conn->state != SL_SIM_OPEN)
		return -ENOTCONN;
	if (conn->tail - conn->head == sim->options.sends_max)
		return -EAGAIN;
	*submission_at(sim, conn, conn->tail) =
		(struct sl_sim_submission){.iov = iov, .iov_count = iov_count, .token = token};
	conn->tail++;
	return 0;
}

static uint32_t sendable(const struct sl_sim *sim, const struct sl_sim_conn *conn)
{
	uint64_t on_wire = conn->up.write_pos - conn->up.read_pos;
	uint32_t room = sl_sim_stream_room(sim, &conn->up);

	if (on_wire >= conn->window_bytes)
		return 0;
	return conn->window_bytes - on_wire < room ? (uint32_t)(conn->window_bytes - on_wire)
						   : room;
}

static uint32_t piece_send(struct sl_sim *sim, struct sl_sim_conn *conn, const struct iovec *piece,
			   uint32_t budget)
{
	size_t left = piece->iov_len - conn->next_skip;
	uint32_t bytes = left < budget ? (uint32_t)left : budget;

	if (bytes > 0)
		sl_sim_stream_write(sim, &conn->up,
				    (const uint8_t *)piece->iov_base + conn->next_skip, bytes,
				    true);
	conn->next_skip += bytes;
	conn->stats.bytes_sent += bytes;
	return bytes;
}

/* False when the budget was used up before the submission's end. */
static bool submission_send(struct sl_sim *sim, struct sl_sim_conn *conn, uint32_t *budget)
{
	struct sl_sim_submission *sub = submission_at(sim, conn, conn->next);

	while (conn->next_iov < sub->iov_count) {
		const struct iovec *piece = &sub->iov[conn->next_iov];
		uint32_t room = sendable(sim, conn);

		*budget -= piece_send(sim, conn, piece, room < *budget ? room : *budget);
		if (conn->next_skip < piece->iov_len)
			return false;
		conn->next_iov++;
		conn->next_skip = 0;
	}
	sub->end_pos = conn->up.write_pos;
	conn->next_iov = 0;
	conn->next++;
	return true;
}

static void sends_move(struct sl_sim *sim, struct sl_sim_conn *conn)
{
	uint32_t budget = sim->send_step ? sim->send_step : UINT32_MAX;
	uint64_t before = conn->stats.bytes_sent;

	while (conn->next != conn->tail && submission_send(sim, conn, &budget))
		;
	if (conn->stats.bytes_sent != before)
		conn->stats.sends++;
}

static void sent_report(struct sl_sim *sim, struct sl_sim_conn *conn, struct out *out)
{
	while (conn->head != conn->tail && out->count < out->max) {
		const struct sl_sim_submission *sub = submission_at(sim, conn, conn->head);
		bool entered = conn->head != conn->next;
		bool sent = entered &&
			    (!sim->options.sent_when_read || conn->up.read_pos >= sub->end_pos);
		struct sl_event *event;

		if (!sent && conn->state != SL_SIM_ENDING)
			return;
		event = event_add(out, SL_EVENT_SENT, conn);
		event->token = sub->token;
		event->error = sent ? 0 : conn->token_error;
		conn->head++;
		if (!entered)
			conn->next++;
	}
}

static void receive(struct sl_sim *sim, struct sl_sim_conn *conn, struct out *out)
{
	while (out->count < out->max && sim->buffer_free_count > 0) {
		uint32_t buffer = sim->buffer_free[sim->buffer_free_count - 1];
		uint8_t *data = sim->buffers + (size_t)buffer * sim->options.recv_buffer_bytes;
		uint32_t bytes = sl_sim_stream_peek(sim, &conn->down, data,
						    sim->options.recv_buffer_bytes, false);
		struct sl_event *event;

		if (bytes == 0)
			return;
		sl_sim_stream_consume(&conn->down, bytes);
		conn->stats.bytes_received += bytes;
		if (conn->state != SL_SIM_OPEN)
			continue; /* after close() nobody reads */
		sim->buffer_free_count--;
		sim->buffer_held[buffer] = true;
		event = event_add(out, SL_EVENT_RECEIVED, conn);
		event->data = data;
		event->bytes = bytes;
		event->buffer = buffer;
	}
}

static void end(struct sl_sim_conn *conn, int end_error, int token_error)
{
	conn->end_error = conn->state == SL_SIM_FLUSHING ? 0 : end_error;
	conn->token_error = token_error;
	conn->state = SL_SIM_ENDING;
}

static void connecting_poll(struct sl_sim *sim, struct sl_sim_conn *conn, struct out *out)
{
	if (conn->reach == SL_SIM_SILENT || conn->open_at_ns > sl_sim_now(sim) ||
	    out->count == out->max)
		return;
	if (conn->reach == SL_SIM_REFUSED) {
		end(conn, -ECONNREFUSED, -ECONNREFUSED);
		return;
	}
	conn->state = SL_SIM_OPEN;
	event_add(out, SL_EVENT_CONNECTED, conn);
}

static void open_poll(struct sl_sim *sim, struct sl_sim_conn *conn, struct out *out)
{
	bool ended = sl_sim_stream_ended(sim, &conn->down);

	if (ended && conn->down.reset) {
		end(conn, -ECONNRESET, -ECONNRESET);
		return;
	}
	sends_move(sim, conn);
	sent_report(sim, conn, out);
	receive(sim, conn, out);
	if (ended && conn->down.first == conn->down.last) {
		end(conn, 0, -EPIPE);
	} else if (conn->state == SL_SIM_FLUSHING && conn->head == conn->tail) {
		sl_sim_stream_end(sim, &conn->up, false);
		end(conn, 0, -ECANCELED);
	}
}

static void ending_poll(struct sl_sim *sim, struct sl_sim_conn *conn, struct out *out)
{
	sent_report(sim, conn, out);
	if (conn->head != conn->tail || out->count == out->max)
		return;
	event_add(out, SL_EVENT_CLOSED, conn)->error = conn->end_error;
	sl_sim_stream_end(sim, &conn->up, false);
	conn->state = SL_SIM_CLOSED;
	sl_sim_conn_settle(conn);
}

static uint32_t sim_poll(struct sl_transport *t, struct sl_event *events, uint32_t events_max)
{
	struct sl_sim *sim = (struct sl_sim *)t;
	struct out out = {.events = events, .max = events_max};
	uint32_t i;

	for (i = 0; i < sim->options.conns_max && out.count < out.max; i++) {
		struct sl_sim_conn *conn = &sim->conns[(sim->cursor + i) % sim->options.conns_max];

		if (conn->state == SL_SIM_CONNECTING)
			connecting_poll(sim, conn, &out);
		if (conn->state == SL_SIM_OPEN || conn->state == SL_SIM_FLUSHING)
			open_poll(sim, conn, &out);
		if (conn->state == SL_SIM_ENDING)
			ending_poll(sim, conn, &out);
	}
	sim->cursor = (sim->cursor + i) % sim->options.conns_max;
	return out.count;
}

static void sim_recv_release(struct sl_transport *t, uint32_t buffer)
{
	struct sl_sim *sim = (struct sl_sim *)t;

	SL_ASSERT(buffer < sim->options.recv_buffer_count && sim->buffer_held[buffer]);
	sim->buffer_held[buffer] = false;
	sim->buffer_free[sim->buffer_free_count++] = buffer;
}

static void sim_close(struct sl_transport *t, uint32_t index, bool abortive)
{
	struct sl_sim *sim = (struct sl_sim *)t;
	struct sl_sim_conn *conn;

	SL_ASSERT(index < sim->options.conns_max);
	conn = &sim->conns[index];
	if (conn->state == SL_SIM_OPEN && !abortive) {
		conn->state = SL_SIM_FLUSHING;
	} else if (conn->state == SL_SIM_CONNECTING || conn->state == SL_SIM_OPEN ||
		   conn->state == SL_SIM_FLUSHING) {
		sl_sim_stream_end(sim, &conn->up, abortive);
		end(conn, 0, -ECANCELED);
	}
}

static int sim_wait_fd(const struct sl_transport *t)
{
	return -1;
}

static uint64_t conn_deadline_ns(const struct sl_sim *sim, const struct sl_sim_conn *conn)
{
	uint64_t next;

	switch (conn->state) {
	case SL_SIM_CONNECTING:
		return conn->reach == SL_SIM_SILENT ? SL_DEADLINE_NONE : conn->open_at_ns;
	case SL_SIM_OPEN:
	case SL_SIM_FLUSHING:
		if (conn->next != conn->tail && sendable(sim, conn) > 0)
			return sl_sim_now(sim);
		next = sl_sim_stream_next_ns(&conn->down);
		/* Bytes that wait for a buffer wait for the caller, not for the clock. */
		if (next <= sl_sim_now(sim) && sim->buffer_free_count == 0)
			return SL_DEADLINE_NONE;
		return next;
	case SL_SIM_ENDING:
		return sl_sim_now(sim);
	case SL_SIM_FREE:
	case SL_SIM_CLOSED:
		break;
	}
	return SL_DEADLINE_NONE;
}

static uint64_t sim_next_deadline_ns(const struct sl_transport *t)
{
	const struct sl_sim *sim = (const struct sl_sim *)t;
	uint64_t next = SL_DEADLINE_NONE;
	uint32_t i;

	for (i = 0; i < sim->options.conns_max; i++) {
		uint64_t at = conn_deadline_ns(sim, &sim->conns[i]);

		if (at < next)
			next = at;
	}
	return next;
}

static void sim_stats(const struct sl_transport *t, uint32_t index, struct sl_conn_stats *out)
{
	const struct sl_sim *sim = (const struct sl_sim *)t;

	SL_ASSERT(index < sim->options.conns_max);
	*out = sim->conns[index].stats;
	out->rtt_us = (uint32_t)(sim->delay_ns * 2 / SL_NS_PER_US);
}

static bool sim_feature(const struct sl_transport *t, uint32_t index, const char **name,
			bool *in_use)
{
	return false;
}

static void sim_destroy(struct sl_transport *t)
{
	struct sl_sim *sim = (struct sl_sim *)t;

	free(sim->conns);
	free(sim->buffers);
	free(sim->buffer_free);
	free(sim->buffer_held);
	free(sim->wire);
	free(sim->segments);
	free(sim->queues);
	free(sim);
}

static const struct sl_transport_ops sim_ops = {
	.name = "sim",
	.connect = sim_connect,
	.submit = sim_submit,
	.poll = sim_poll,
	.recv_release = sim_recv_release,
	.close = sim_close,
	.wait_fd = sim_wait_fd,
	.next_deadline_ns = sim_next_deadline_ns,
	.stats = sim_stats,
	.feature = sim_feature,
	.destroy = sim_destroy,
};

static int options_check(const struct sl_sim_options *o, struct sl_error *err)
{
	if (!o->now_ns || o->conns_max == 0 || o->conns_max > UINT16_MAX || o->sends_max == 0)
		return sl_error_set(err, -EINVAL, "clock, connections or submissions");
	if (o->recv_buffer_bytes == 0 || o->recv_buffer_count == 0)
		return sl_error_set(err, -EINVAL, "receive buffers");
	if (o->wire_bytes == 0 || (o->wire_bytes & (o->wire_bytes - 1)) != 0)
		return sl_error_set(err, -EINVAL, "wire of %u bytes", o->wire_bytes);
	return 0;
}

static bool memory_open(struct sl_sim *sim)
{
	const struct sl_sim_options *o = &sim->options;
	size_t conns = o->conns_max;

	sim->conns = calloc(conns, sizeof(*sim->conns));
	sim->queues = calloc(conns * o->sends_max, sizeof(*sim->queues));
	sim->wire = calloc(conns * 2, o->wire_bytes);
	sim->segments = calloc(conns * 2 * SL_SIM_SEGMENTS_MAX, sizeof(*sim->segments));
	sim->buffers = calloc(o->recv_buffer_count, o->recv_buffer_bytes);
	sim->buffer_free = calloc(o->recv_buffer_count, sizeof(*sim->buffer_free));
	sim->buffer_held = calloc(o->recv_buffer_count, sizeof(*sim->buffer_held));
	return sim->conns && sim->queues && sim->wire && sim->segments && sim->buffers &&
	       sim->buffer_free && sim->buffer_held;
}

static void conns_init(struct sl_sim *sim)
{
	const struct sl_sim_options *o = &sim->options;
	uint32_t i;

	for (i = 0; i < o->conns_max; i++) {
		struct sl_sim_conn *conn = &sim->conns[i];

		conn->index = i;
		conn->queue = &sim->queues[(size_t)i * o->sends_max];
		conn->up.data = &sim->wire[(size_t)i * 2 * o->wire_bytes];
		conn->down.data = conn->up.data + o->wire_bytes;
		conn->up.segments = &sim->segments[(size_t)i * 2 * SL_SIM_SEGMENTS_MAX];
		conn->down.segments = conn->up.segments + SL_SIM_SEGMENTS_MAX;
	}
	for (i = 0; i < o->recv_buffer_count; i++)
		sim->buffer_free[sim->buffer_free_count++] = o->recv_buffer_count - 1 - i;
}

int sl_sim_create(const struct sl_sim_options *options, struct sl_transport **out,
		  struct sl_error *err)
{
	struct sl_sim *sim;
	int rc = options_check(options, err);

	if (rc < 0)
		return rc;
	sim = calloc(1, sizeof(*sim));
	if (!sim)
		return sl_error_set(err, -ENOMEM, "transport");
	sim->base.ops = &sim_ops;
	sim->options = *options;
	if (options->window_bytes == 0 || options->window_bytes > options->wire_bytes)
		sim->options.window_bytes = options->wire_bytes;
	sim->delay_ns = options->delay_ns;
	if (!memory_open(sim)) {
		sim_destroy(&sim->base);
		return sl_error_set(err, -ENOMEM, "%u connections", options->conns_max);
	}
	conns_init(sim);
	*out = &sim->base;
	return 0;
}
