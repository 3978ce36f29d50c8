/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Receives: buffers belong to no connection until bytes arrive, so that idle connections cost none.
 * They stand in a ring that the kernel takes from, or (before 5.19) are handed to it one by one
 * with an operation of their own.
 */
#include "dataplane/transport/uring/internal.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static uint8_t *buffer_at(const struct sl_uring *u, uint32_t buffer)
{
	return u->buffers + (size_t)buffer * u->options.recv_buffer_bytes;
}

static void buffer_ring_add(struct sl_uring *u, uint32_t buffer)
{
	io_uring_buf_ring_add(u->buffer_ring, buffer_at(u, buffer), u->options.recv_buffer_bytes,
			      (uint16_t)buffer,
			      io_uring_buf_ring_mask(u->options.recv_buffer_count), 0);
	io_uring_buf_ring_advance(u->buffer_ring, 1);
}

static void *pages_map(size_t bytes)
{
	void *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return pages == MAP_FAILED ? NULL : pages;
}

/* False when the kernel has none: buffers then go by operations. */
static bool buffer_ring_open(struct sl_uring *u)
{
	struct io_uring_buf_reg reg = {
		.ring_entries = u->options.recv_buffer_count,
		.bgid = SL_URING_BUFFER_GROUP,
	};
	uint32_t i;

	u->buffer_ring_bytes = u->options.recv_buffer_count * sizeof(struct io_uring_buf);
	u->buffer_ring = pages_map(u->buffer_ring_bytes);
	if (!u->buffer_ring)
		return false;
	reg.ring_addr = (uintptr_t)u->buffer_ring;
	if (io_uring_register_buf_ring(&u->ring, &reg, 0) < 0) {
		munmap(u->buffer_ring, u->buffer_ring_bytes);
		u->buffer_ring = NULL;
		return false;
	}
	io_uring_buf_ring_init(u->buffer_ring);
	for (i = 0; i < u->options.recv_buffer_count; i++)
		buffer_ring_add(u, i);
	return true;
}

int sl_uring_buffers_open(struct sl_uring *u, struct sl_error *err)
{
	uint32_t count = u->options.recv_buffer_count, i;

	u->buffers_bytes = (size_t)count * u->options.recv_buffer_bytes;
	u->buffers = pages_map(u->buffers_bytes);
	u->buffer_held = calloc(count, sizeof(*u->buffer_held));
	u->returned = calloc(count, sizeof(*u->returned));
	if (!u->buffers || !u->buffer_held || !u->returned)
		return sl_error_set(err, -ENOMEM, "%zu bytes of receive buffers", u->buffers_bytes);
	if (u->in_use[SL_URING_BUFFER_RING] && buffer_ring_open(u))
		return 0;
	u->in_use[SL_URING_BUFFER_RING] = false;
	for (i = 0; i < count; i++)
		u->returned[u->returned_count++] = (uint16_t)i;
	return 0;
}

/* After the ring is closed. */
void sl_uring_buffers_close(struct sl_uring *u)
{
	if (u->buffers)
		munmap(u->buffers, u->buffers_bytes);
	if (u->buffer_ring)
		munmap(u->buffer_ring, u->buffer_ring_bytes);
	free(u->buffer_held);
	free(u->returned);
}

bool sl_uring_recv_arm(struct sl_uring *u, struct sl_uring_conn *conn)
{
	struct io_uring_sqe *sqe;

	if (conn->recv_armed || conn->starved)
		return true;
	sqe = sl_uring_sqe(u);
	if (!sqe)
		return false;
	/* Multishot takes the length of each buffer, and wants to be told none. */
	io_uring_prep_recv(sqe, conn->fd, NULL,
			   u->in_use[SL_URING_RECV_MULTISHOT] ? 0 : u->options.recv_buffer_bytes,
			   0);
	if (u->in_use[SL_URING_RECV_MULTISHOT])
		sqe->ioprio |= IORING_RECV_MULTISHOT;
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = SL_URING_BUFFER_GROUP;
	io_uring_sqe_set_data64(
		sqe, sl_uring_user_data(SL_URING_OP_RECV, conn->index, conn->generation, 0));
	conn->recv_armed = true;
	conn->ops++;
	return true;
}

static void buffer_return(struct sl_uring *u, uint32_t buffer)
{
	struct sl_uring_conn *conn;

	if (u->buffer_ring) {
		buffer_ring_add(u, buffer);
	} else {
		SL_ASSERT(u->returned_count < u->options.recv_buffer_count);
		u->returned[u->returned_count++] = (uint16_t)buffer;
	}
	/*
	 * All of them, in the order in which they starved: the kernel refuses also those for which
	 * no bytes wait, and such a one, woken alone, would leave the buffer unused while another
	 * starves on.
	 */
	while ((conn = sl_uring_list_pop(u, SL_URING_LIST_STARVED)) != NULL) {
		conn->starved = false;
		sl_uring_list_push(u, SL_URING_LIST_DIRTY, conn);
	}
}

void sl_uring_recv_release(struct sl_transport *t, uint32_t buffer)
{
	struct sl_uring *u = (struct sl_uring *)t;

	SL_ASSERT(buffer < u->options.recv_buffer_count && u->buffer_held[buffer]);
	u->buffer_held[buffer] = false;
	u->buffers_held--;
	buffer_return(u, buffer);
}

/*
 * A buffer may have come back between the kernel's refusal and now: then no further release need
 * follow, and we ask again at once. Otherwise every buffer is with the caller, whose release wakes
 * us.
 */
static void starve(struct sl_uring *u, struct sl_uring_conn *conn)
{
	if (u->buffers_held < u->options.recv_buffer_count)
		return;
	conn->starved = true;
	sl_uring_list_push(u, SL_URING_LIST_STARVED, conn);
}

static void deliver(struct sl_uring *u, struct sl_uring_conn *conn, uint32_t buffer, uint32_t bytes,
		    struct sl_uring_out *out)
{
	struct sl_event *event = sl_uring_event(out, SL_EVENT_RECEIVED, conn);

	event->data = buffer_at(u, buffer);
	event->bytes = bytes;
	event->buffer = buffer;
	u->buffer_held[buffer] = true;
	u->buffers_held++;
}

/*
 * A socket tells an error once. A send that had moved bytes before a reset keeps it to itself, and
 * the receive then sees nothing but an end; TCP's state still knows: after the peer's orderly end
 * it is not CLOSE.
 */
static int end_of_stream_error(const struct sl_uring_conn *conn)
{
	struct tcp_info info = {0};
	socklen_t bytes = sizeof(info);

	if (getsockopt(conn->fd, IPPROTO_TCP, TCP_INFO, &info, &bytes) < 0)
		return 0;
	return info.tcpi_state == TCP_CLOSE ? -ECONNRESET : 0;
}

void sl_uring_received(struct sl_uring *u, struct sl_uring_conn *conn,
		       const struct io_uring_cqe *cqe, struct sl_uring_out *out)
{
	bool has_buffer = cqe->flags & IORING_CQE_F_BUFFER;
	uint32_t buffer = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
	int error;

	if (!(cqe->flags & IORING_CQE_F_MORE))
		conn->recv_armed = false;
	if (cqe->res > 0)
		conn->stats.bytes_received += (uint32_t)cqe->res;
	if (cqe->res > 0 && conn->state == SL_URING_OPEN)
		deliver(u, conn, buffer, (uint32_t)cqe->res, out);
	else if (has_buffer)
		buffer_return(u, buffer); /* after close() nobody reads */
	error = cqe->res == 0 ? end_of_stream_error(conn) : 0;
	if (cqe->res == 0)
		sl_uring_end(u, conn, error, error ? error : -EPIPE);
	else if (cqe->res == -ENOBUFS)
		starve(u, conn);
	else if (cqe->res < 0 && cqe->res != -EINTR && cqe->res != -EAGAIN)
		sl_uring_end(u, conn, cqe->res, cqe->res);
}

/* An operation a buffer: what came back within a turn is rarely consecutive. */
void sl_uring_buffers_provide(struct sl_uring *u)
{
	while (u->returned_count > 0) {
		struct io_uring_sqe *sqe = sl_uring_sqe(u);
		uint32_t buffer;

		if (!sqe)
			return;
		buffer = u->returned[--u->returned_count];
		io_uring_prep_provide_buffers(sqe, buffer_at(u, buffer),
					      (int)u->options.recv_buffer_bytes, 1,
					      SL_URING_BUFFER_GROUP, (int)buffer);
		io_uring_sqe_set_data64(sqe, sl_uring_user_data(SL_URING_OP_PROVIDE, buffer, 0, 0));
	}
}

/* The kernel had no memory for its note of the buffer: offered again in the next turn. */
void sl_uring_provided(struct sl_uring *u, const struct io_uring_cqe *cqe)
{
	if (cqe->res < 0)
		u->returned[u->returned_count++] =
			(uint16_t)(cqe->user_data >> SL_URING_GENERATION_BITS);
}
