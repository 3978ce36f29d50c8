/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sends: one in flight a connection, so that bytes keep their order without linked operations, and
 * so that what is submitted meanwhile leaves together with the next one.
 */
#include "dataplane/transport/uring/internal.h"

#include <errno.h>

int sl_uring_submit(struct sl_transport *t, uint32_t index, const struct iovec *iov,
		    uint32_t iov_count, uint64_t token)
{
	struct sl_uring *u = (struct sl_uring *)t;
	struct sl_uring_conn *conn;

	SL_ASSERT(index < u->options.conns_max);
	SL_ASSERT(iov_count <= SL_TRANSPORT_IOV_MAX);
	conn = &u->conns[index];
	if (conn->state != SL_URING_OPEN)
		return -ENOTCONN;
	if (conn->tail - conn->head >= u->options.sends_max)
		return -EAGAIN;
	conn->queue[conn->tail & u->queue_mask] =
		(struct sl_uring_submission){.iov = iov, .iov_count = iov_count, .token = token};
	conn->tail++;
	sl_uring_list_push(u, SL_URING_LIST_DIRTY, conn);
	return 0;
}

/* Fills pieces[] from the queue's first unsent byte on; returns the bytes. Submissions beyond the
 * first go whole or not. */
static uint64_t gather(const struct sl_uring *u, struct sl_uring_conn *conn)
{
	uint32_t pos = conn->next, iov_index = conn->next_iov, count = 0, i;
	size_t skip = conn->next_skip;
	uint64_t bytes = 0;

	while (pos != conn->tail && bytes < SL_URING_GATHER_BYTES) {
		const struct sl_uring_submission *sub = &conn->queue[pos & u->queue_mask];

		if (count + sub->iov_count - iov_index > SL_TRANSPORT_IOV_MAX)
			break;
		for (i = iov_index; i < sub->iov_count; i++) {
			struct iovec *piece = &conn->pieces[count++];

			piece->iov_base = (uint8_t *)sub->iov[i].iov_base + skip;
			piece->iov_len = sub->iov[i].iov_len - skip;
			bytes += piece->iov_len;
			skip = 0;
		}
		iov_index = 0;
		pos++;
	}
	conn->message = (struct msghdr){.msg_iov = conn->pieces, .msg_iovlen = count};
	return bytes;
}

/*
 * Moves the queue's position by what a send took, and writes its number on each submission that it
 * finished. Submissions of no bytes finish with whatever is sent before them.
 */
static void advance(const struct sl_uring *u, struct sl_uring_conn *conn, uint64_t bytes,
		    uint32_t number)
{
	while (conn->next != conn->tail) {
		struct sl_uring_submission *sub = &conn->queue[conn->next & u->queue_mask];

		while (conn->next_iov < sub->iov_count) {
			size_t left = sub->iov[conn->next_iov].iov_len - conn->next_skip;

			if (bytes < left) {
				conn->next_skip += bytes;
				return;
			}
			bytes -= left;
			conn->next_iov++;
			conn->next_skip = 0;
		}
		sub->last_send = number;
		conn->next_iov = 0;
		conn->next++;
		if (bytes == 0)
			return;
	}
	SL_ASSERT(bytes == 0);
}

static void send_through(struct sl_uring_conn *conn, uint32_t number)
{
	SL_ASSERT(number - conn->sends_done < SL_URING_ZC_WINDOW);
	conn->sends_mask |= UINT64_C(1) << (number - conn->sends_done);
	while (conn->sends_mask & 1) {
		conn->sends_mask >>= 1;
		conn->sends_done++;
	}
}

bool sl_uring_send_arm(struct sl_uring *u, struct sl_uring_conn *conn)
{
	/* MSG_WAITALL: the kernel goes on by itself after a short send, without a turn of ours
	 * between. */
	const unsigned int flags = MSG_NOSIGNAL | MSG_WAITALL;
	struct io_uring_sqe *sqe;

	if (conn->send_armed || conn->next == conn->tail)
		return true;
	if (conn->send_number - conn->sends_done >= SL_URING_ZC_WINDOW)
		return true; /* a notification will bring us back */
	sqe = sl_uring_sqe(u);
	if (!sqe)
		return false;
	(void)gather(u, conn);
	io_uring_prep_sendmsg(sqe, conn->fd, &conn->message, flags);
	if (conn->zero_copy)
		sqe->opcode = SL_URING_KERNEL_SENDMSG_ZC;
	io_uring_sqe_set_data64(sqe, sl_uring_user_data(SL_URING_OP_SEND, conn->index,
							conn->generation, conn->send_number));
	conn->send_number++;
	conn->send_armed = true;
	conn->ops++;
	return true;
}

/* Of a zero-copy send there are two completions: the bytes are in TCP's queue (F_MORE), and TCP let
 * them go (F_NOTIF). */
void sl_uring_sent(struct sl_uring *u, struct sl_uring_conn *conn, const struct io_uring_cqe *cqe)
{
	uint32_t low = (uint32_t)(cqe->user_data >> 52) & 0xff;
	uint32_t number = conn->sends_done + ((low - conn->sends_done) & 0xff);
	int error;

	if (cqe->flags & IORING_CQE_F_NOTIF) {
		send_through(conn, number);
		return;
	}
	conn->send_armed = false;
	if (cqe->res >= 0) {
		advance(u, conn, (uint64_t)cqe->res, number);
		conn->stats.bytes_sent += (uint64_t)cqe->res;
		conn->stats.sends++;
	}
	if (!(cqe->flags & IORING_CQE_F_MORE))
		send_through(conn, number);
	/* EPIPE is what the second to ask hears of a reset. */
	error = cqe->res == -EPIPE ? -ECONNRESET : cqe->res;
	if (error < 0 && error != -EINTR && error != -EAGAIN)
		sl_uring_end(u, conn, error, error);
}

/* Reports what may be reported; at the end that is everything. False when out is full. */
bool sl_uring_report(struct sl_uring *u, struct sl_uring_conn *conn, struct sl_uring_out *out)
{
	bool ended = conn->state == SL_URING_ENDING && conn->ops == 0;

	while (conn->head != conn->tail) {
		const struct sl_uring_submission *sub = &conn->queue[conn->head & u->queue_mask];
		bool sent = conn->head != conn->next;
		struct sl_event *event;

		if (!ended && (!sent || (int32_t)(conn->sends_done - sub->last_send) <= 0))
			return true;
		if (sl_uring_out_full(out))
			return false;
		event = sl_uring_event(out, SL_EVENT_SENT, conn);
		event->token = sub->token;
		event->error = sent ? 0 : conn->token_error;
		conn->head++;
		if (!sent)
			conn->next++;
	}
	return true;
}
