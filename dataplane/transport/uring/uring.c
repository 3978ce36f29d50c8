/* SPDX-License-Identifier: Apache-2.0 */
/* The vtable, the turn, construction. */
#include "dataplane/transport/uring/uring.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>

#include "dataplane/base/clock.h"
#include "dataplane/transport/uring/internal.h"

/* Passes over the kernel in one poll() before it returns 0 all the same; the rest follows in the
 * next. */
enum { ROUNDS_MAX = 4 };

/* Only what is on the list now: a connection that cannot go on is looked at again in the next pass.
 */
static void pump_dirty(struct sl_uring *u, struct sl_uring_out *out)
{
	struct sl_uring_conn *last = u->lists[SL_URING_LIST_DIRTY].last;
	struct sl_uring_conn *conn;

	do {
		conn = sl_uring_list_pop(u, SL_URING_LIST_DIRTY);
		if (conn && !sl_uring_pump(u, conn, out))
			sl_uring_list_push(u, SL_URING_LIST_DIRTY, conn);
	} while (conn && conn != last);
}

static void complete(struct sl_uring *u, const struct io_uring_cqe *cqe, struct sl_uring_out *out)
{
	enum sl_uring_op op = (enum sl_uring_op)(cqe->user_data >> 60);
	uint32_t index =
		(uint32_t)(cqe->user_data >> SL_URING_GENERATION_BITS) & (SL_URING_CONNS_MAX - 1);
	struct sl_uring_conn *conn;

	if (op == SL_URING_OP_PROVIDE) {
		sl_uring_provided(u, cqe);
		return;
	}
	SL_ASSERT(index < u->options.conns_max);
	conn = &u->conns[index];
	SL_ASSERT(conn->generation == (uint32_t)cqe->user_data && conn->ops > 0);
	if (!(cqe->flags & IORING_CQE_F_MORE))
		conn->ops--;
	if (op == SL_URING_OP_SEND)
		sl_uring_sent(u, conn, cqe);
	else if (op == SL_URING_OP_RECV)
		sl_uring_received(u, conn, cqe, out);
	else if (op == SL_URING_OP_CONNECT)
		sl_uring_connected(u, conn, cqe->res, out);
	else
		sl_uring_cancelled(u, conn);
	sl_uring_list_push(u, SL_URING_LIST_DIRTY, conn);
}

/* Each completion gives at most one event here, so room for one is enough to take it. */
static void reap(struct sl_uring *u, struct sl_uring_out *out)
{
	struct io_uring_cqe *cqe;
	uint32_t head, taken = 0;

	io_uring_for_each_cqe(&u->ring, head, cqe)
	{
		if (sl_uring_out_full(out))
			break;
		complete(u, cqe, out);
		taken++;
	}
	if (taken)
		io_uring_cq_advance(&u->ring, taken);
}

/*
 * A pass takes what is submitted to the kernel and brings completions back. Passes go on while
 * there is work and nothing to tell: once there is, the caller's answer to it leaves together with
 * what is left over here.
 */
static uint32_t uring_poll(struct sl_transport *t, struct sl_event *events, uint32_t events_max)
{
	struct sl_uring *u = (struct sl_uring *)t;
	struct sl_uring_out out = {.events = events, .max = events_max};
	uint32_t round;

	for (round = 0; round < ROUNDS_MAX && out.count == 0; round++) {
		if (!sl_uring_has_reason(u) && sl_uring_bell_arm(u))
			return 0;
		sl_uring_bell_disarm(u);
		sl_uring_buffers_provide(u);
		pump_dirty(u, &out);
		sl_uring_enter(u);
		reap(u, &out);
		pump_dirty(u, &out);
	}
	if (out.count == 0)
		sl_uring_enter(u);
	return out.count;
}

static int uring_wait_fd(const struct sl_transport *t)
{
	return ((const struct sl_uring *)t)->bell_fd;
}

/* Work that no completion announces (the kernel was full, passes were used up) is due now. */
static uint64_t uring_next_deadline_ns(const struct sl_transport *t)
{
	return sl_uring_has_reason((const struct sl_uring *)t) ? 0 : SL_DEADLINE_NONE;
}

static void uring_stats(const struct sl_transport *t, uint32_t index, struct sl_conn_stats *out)
{
	const struct sl_uring *u = (const struct sl_uring *)t;
	const struct sl_uring_conn *conn;
	struct tcp_info info = {0};
	socklen_t bytes = sizeof(info);

	SL_ASSERT(index < u->options.conns_max);
	conn = &u->conns[index];
	*out = conn->stats;
	if (conn->state != SL_URING_FREE &&
	    getsockopt(conn->fd, IPPROTO_TCP, TCP_INFO, &info, &bytes) == 0)
		out->rtt_us = info.tcpi_rtt;
}

static bool uring_feature(const struct sl_transport *t, uint32_t index, const char **name,
			  bool *in_use)
{
	*name = sl_uring_feature_name(index);
	if (!*name)
		return false;
	*in_use = ((const struct sl_uring *)t)->in_use[index];
	return true;
}

static void memory_free(struct sl_uring *u)
{
	sl_uring_buffers_close(u);
	free(u->conns);
	free(u->conn_free);
	free(u->queues);
	free(u->pieces);
	free(u);
}

/* Sockets are reset before the ring goes: whatever the kernel still runs for us then finds nothing
 * to copy. */
static void uring_destroy(struct sl_transport *t)
{
	struct sl_uring *u = (struct sl_uring *)t;

	sl_uring_disconnect_all(u);
	sl_uring_ring_close(u);
	memory_free(u);
}

static const struct sl_transport_ops uring_ops = {
	.name = "uring",
	.connect = sl_uring_connect,
	.submit = sl_uring_submit,
	.poll = uring_poll,
	.recv_release = sl_uring_recv_release,
	.close = sl_uring_close,
	.wait_fd = uring_wait_fd,
	.next_deadline_ns = uring_next_deadline_ns,
	.stats = uring_stats,
	.feature = uring_feature,
	.destroy = uring_destroy,
};

static int options_check(const struct sl_uring_options *o, struct sl_error *err)
{
	uint32_t buffers = o->recv_buffer_count;

	if (o->conns_max == 0 || o->conns_max > SL_URING_CONNS_MAX)
		return sl_error_set(err, -EINVAL, "connections: %u", o->conns_max);
	if (o->sends_max == 0 || o->sends_max > 1u << 16)
		return sl_error_set(err, -EINVAL, "submissions a connection: %u", o->sends_max);
	if (o->recv_buffer_bytes == 0 || o->recv_buffer_bytes > INT32_MAX)
		return sl_error_set(err, -EINVAL, "receive buffer of %u bytes",
				    o->recv_buffer_bytes);
	if (buffers == 0 || buffers > SL_URING_BUFFERS_MAX || (buffers & (buffers - 1)) != 0)
		return sl_error_set(err, -EINVAL, "%u receive buffers", buffers);
	return 0;
}

static uint32_t queue_slots_of(const struct sl_uring_options *options)
{
	uint32_t slots = 1;

	while (slots < options->sends_max)
		slots *= 2;
	return slots;
}

uint64_t sl_uring_memory_bytes(const struct sl_uring_options *options)
{
	uint64_t conn_bytes = sizeof(struct sl_uring_conn) + sizeof(uint32_t) +
			      queue_slots_of(options) * sizeof(struct sl_uring_submission) +
			      SL_TRANSPORT_IOV_MAX * sizeof(struct iovec);
	uint64_t buffer_bytes = options->recv_buffer_bytes + sizeof(struct io_uring_buf) +
				sizeof(bool) + sizeof(uint16_t);

	return sizeof(struct sl_uring) + options->conns_max * conn_bytes +
	       options->recv_buffer_count * buffer_bytes;
}

static int conns_open(struct sl_uring *u, struct sl_error *err)
{
	uint32_t conns_max = u->options.conns_max, queue_slots = queue_slots_of(&u->options), i;

	u->queue_mask = queue_slots - 1;
	u->conns = calloc(conns_max, sizeof(*u->conns));
	u->conn_free = calloc(conns_max, sizeof(*u->conn_free));
	u->queues = calloc((size_t)conns_max * queue_slots, sizeof(*u->queues));
	u->pieces = calloc((size_t)conns_max * SL_TRANSPORT_IOV_MAX, sizeof(*u->pieces));
	if (!u->conns || !u->conn_free || !u->queues || !u->pieces)
		return sl_error_set(err, -ENOMEM, "%u connections", conns_max);
	for (i = 0; i < conns_max; i++) {
		u->conns[i].index = i;
		u->conns[i].fd = -1;
		u->conns[i].queue = &u->queues[(size_t)i * queue_slots];
		u->conns[i].pieces = &u->pieces[(size_t)i * SL_TRANSPORT_IOV_MAX];
		u->conn_free[u->conn_free_count++] = conns_max - 1 - i;
	}
	return 0;
}

int sl_uring_create(const struct sl_uring_options *options, struct sl_transport **out,
		    struct sl_error *err)
{
	struct sl_uring *u;
	int rc = options_check(options, err);

	if (rc < 0)
		return rc;
	u = calloc(1, sizeof(*u));
	if (!u)
		return sl_error_set(err, -ENOMEM, "transport");
	u->base.ops = &uring_ops;
	u->options = *options;
	rc = conns_open(u, err);
	if (rc < 0)
		goto out_memory;
	rc = sl_uring_ring_open(u, err);
	if (rc < 0)
		goto out_memory;
	rc = sl_uring_buffers_open(u, err);
	if (rc < 0)
		goto out_ring;
	*out = &u->base;
	return 0;
out_ring:
	sl_uring_ring_close(u);
out_memory:
	memory_free(u);
	return rc;
}
