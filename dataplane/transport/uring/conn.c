/* SPDX-License-Identifier: Apache-2.0 */
/* Connections: begun, pumped, ended. */
#include "dataplane/transport/uring/internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

void sl_uring_list_push(struct sl_uring *u, enum sl_uring_list_kind kind,
			struct sl_uring_conn *conn)
{
	struct sl_uring_list *list = &u->lists[kind];

	if (conn->listed[kind])
		return;
	conn->listed[kind] = true;
	conn->link[kind] = NULL;
	if (list->last)
		list->last->link[kind] = conn;
	else
		list->first = conn;
	list->last = conn;
}

struct sl_uring_conn *sl_uring_list_pop(struct sl_uring *u, enum sl_uring_list_kind kind)
{
	struct sl_uring_list *list = &u->lists[kind];
	struct sl_uring_conn *conn = list->first;

	if (!conn)
		return NULL;
	list->first = conn->link[kind];
	if (!list->first)
		list->last = NULL;
	conn->listed[kind] = false;
	return conn;
}

/* Returns the length, 0 for a family that we do not know. */
static socklen_t peer_set(struct sl_uring_conn *conn, const struct sl_address *to)
{
	memset(&conn->peer, 0, sizeof(conn->peer));
	if (to->family == 4) {
		conn->peer.in.sin_family = AF_INET;
		conn->peer.in.sin_port = htons(to->port);
		memcpy(&conn->peer.in.sin_addr, to->ip, 4);
		return sizeof(conn->peer.in);
	}
	if (to->family == 6) {
		conn->peer.in6.sin6_family = AF_INET6;
		conn->peer.in6.sin6_port = htons(to->port);
		conn->peer.in6.sin6_scope_id = to->scope_id;
		memcpy(&conn->peer.in6.sin6_addr, to->ip, 16);
		return sizeof(conn->peer.in6);
	}
	return 0;
}

static int option_set(int fd, int level, int name, uint32_t value)
{
	int v = value > INT32_MAX ? INT32_MAX : (int)value;

	return setsockopt(fd, level, name, &v, sizeof(v)) < 0 ? -errno : 0;
}

static int keepalive_set(int fd, uint32_t seconds)
{
	int rc = option_set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);

	if (rc == 0)
		rc = option_set(fd, IPPROTO_TCP, TCP_KEEPIDLE, seconds);
	if (rc == 0)
		rc = option_set(fd, IPPROTO_TCP, TCP_KEEPINTVL, seconds);
	return rc;
}

static int socket_options_set(int fd, const struct sl_uring_options *options)
{
	int rc = option_set(fd, IPPROTO_TCP, TCP_NODELAY, 1);

	if (rc == 0 && options->socket_send_bytes)
		rc = option_set(fd, SOL_SOCKET, SO_SNDBUF, options->socket_send_bytes);
	if (rc == 0 && options->socket_receive_bytes)
		rc = option_set(fd, SOL_SOCKET, SO_RCVBUF, options->socket_receive_bytes);
	if (rc == 0 && options->user_timeout_ms)
		rc = option_set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, options->user_timeout_ms);
	if (rc == 0 && options->keepalive_s)
		rc = keepalive_set(fd, options->keepalive_s);
	return rc;
}

/*
 * The descriptor stays in blocking mode: io_uring never blocks on a socket but polls it, and some
 * kernels hand the EAGAIN of a non-blocking one back instead.
 */
static int socket_open(const struct sl_uring *u, int family)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int rc;

	if (fd < 0)
		return -errno;
	rc = socket_options_set(fd, &u->options);
	if (rc < 0) {
		close(fd);
		return rc;
	}
	return fd;
}

/* Everything of the last user goes, but the slot's memory, its generation and its places on the
 * lists. */
static void conn_reset(struct sl_uring_conn *conn)
{
	conn->ops = conn->cancels = 0;
	conn->connect_armed = conn->send_armed = conn->recv_armed = false;
	conn->cancel_connect = conn->cancel_send = conn->cancel_recv = false;
	conn->starved = conn->abortive = conn->kicked = conn->zero_copy = false;
	conn->end_error = conn->token_error = 0;
	conn->head = conn->next = conn->tail = 0;
	conn->next_iov = 0;
	conn->next_skip = 0;
	conn->send_number = conn->sends_done = 0;
	conn->sends_mask = 0;
	memset(&conn->stats, 0, sizeof(conn->stats));
}

int sl_uring_connect(struct sl_transport *t, const struct sl_address *to, uint64_t user,
		     uint32_t *out)
{
	struct sl_uring *u = (struct sl_uring *)t;
	struct sl_uring_conn *conn;
	int fd;

	if (u->conn_free_count == 0)
		return -EMFILE;
	conn = &u->conns[u->conn_free[u->conn_free_count - 1]];
	SL_ASSERT(conn->state == SL_URING_FREE && conn->ops == 0);
	if (peer_set(conn, to) == 0)
		return -EAFNOSUPPORT;
	fd = socket_open(u, conn->peer.any.sa_family);
	if (fd < 0)
		return fd;
	u->conn_free_count--;
	conn_reset(conn);
	conn->generation++;
	conn->state = SL_URING_CONNECTING;
	conn->fd = fd;
	conn->user = user;
	sl_uring_list_push(u, SL_URING_LIST_DIRTY, conn);
	*out = conn->index;
	return 0;
}

static bool connect_arm(struct sl_uring *u, struct sl_uring_conn *conn)
{
	struct io_uring_sqe *sqe = sl_uring_sqe(u);
	socklen_t bytes = conn->peer.any.sa_family == AF_INET ? sizeof(conn->peer.in)
							      : sizeof(conn->peer.in6);

	if (!sqe)
		return false;
	io_uring_prep_connect(sqe, conn->fd, &conn->peer.any, bytes);
	io_uring_sqe_set_data64(
		sqe, sl_uring_user_data(SL_URING_OP_CONNECT, conn->index, conn->generation, 0));
	conn->connect_armed = true;
	conn->ops++;
	return true;
}

/* Loopback always copies and then pays for the notification besides; so does any address of this
 * host. */
static bool peer_is_local(const struct sl_uring_conn *conn)
{
	struct sockaddr_in6 own = {0};
	socklen_t bytes = sizeof(own);

	if (getsockname(conn->fd, (struct sockaddr *)&own, &bytes) < 0)
		return true;
	if (conn->peer.any.sa_family == AF_INET) {
		const struct sockaddr_in *own4 = (const struct sockaddr_in *)(const void *)&own;

		return own4->sin_addr.s_addr == conn->peer.in.sin_addr.s_addr ||
		       ntohl(conn->peer.in.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
	}
	return memcmp(&own.sin6_addr, &conn->peer.in6.sin6_addr, sizeof(own.sin6_addr)) == 0;
}

void sl_uring_connected(struct sl_uring *u, struct sl_uring_conn *conn, int res,
			struct sl_uring_out *out)
{
	conn->connect_armed = false;
	if (conn->state != SL_URING_CONNECTING)
		return; /* closed meanwhile */
	if (res < 0) {
		sl_uring_end(u, conn, res, res);
		return;
	}
	conn->state = SL_URING_OPEN;
	conn->zero_copy =
		u->in_use[SL_URING_SEND_ZC] && (u->options.send_zc_local || !peer_is_local(conn));
	sl_uring_event(out, SL_EVENT_CONNECTED, conn);
}

void sl_uring_end(struct sl_uring *u, struct sl_uring_conn *conn, int end_error, int token_error)
{
	if (conn->state == SL_URING_ENDING || conn->state == SL_URING_FREE)
		return;
	conn->end_error = conn->state == SL_URING_FLUSHING ? 0 : end_error;
	conn->token_error = token_error;
	conn->state = SL_URING_ENDING;
	conn->cancel_connect = conn->connect_armed;
	conn->cancel_send = conn->send_armed;
	conn->cancel_recv = conn->recv_armed;
	sl_uring_list_push(u, SL_URING_LIST_DIRTY, conn);
}

void sl_uring_close(struct sl_transport *t, uint32_t index, bool abortive)
{
	struct sl_uring *u = (struct sl_uring *)t;
	struct sl_uring_conn *conn;

	SL_ASSERT(index < u->options.conns_max);
	conn = &u->conns[index];
	if (conn->state == SL_URING_FREE)
		return;
	conn->abortive |= abortive;
	if (conn->state == SL_URING_OPEN && !abortive)
		conn->state = SL_URING_FLUSHING;
	else
		sl_uring_end(u, conn, 0, -ECANCELED);
	/* An orderly end that waits (for a zero-copy notification, say) must see that it may now be
	 * rude. */
	sl_uring_list_push(u, SL_URING_LIST_DIRTY, conn);
}

static bool cancel_arm(struct sl_uring *u, struct sl_uring_conn *conn, enum sl_uring_op op,
		       bool *wanted)
{
	uint32_t number = op == SL_URING_OP_SEND ? conn->send_number - 1 : 0;
	struct io_uring_sqe *sqe;

	if (!*wanted)
		return true;
	sqe = sl_uring_sqe(u);
	if (!sqe)
		return false;
	*wanted = false;
	io_uring_prep_cancel64(sqe, sl_uring_user_data(op, conn->index, conn->generation, number),
			       0);
	io_uring_sqe_set_data64(
		sqe, sl_uring_user_data(SL_URING_OP_CANCEL, conn->index, conn->generation, 0));
	conn->ops++;
	conn->cancels++;
	return true;
}

/* The answer does not matter: either the operation's completion comes too, or kick() makes it come.
 */
void sl_uring_cancelled(struct sl_uring *u, struct sl_uring_conn *conn)
{
	SL_ASSERT(conn->cancels > 0);
	conn->cancels--;
}

/* Reset at once: a TCP socket that is told to connect to nowhere drops its queues and sends RST. */
static void disconnect(const struct sl_uring_conn *conn)
{
	const struct sockaddr nowhere = {.sa_family = AF_UNSPEC};

	(void)connect(conn->fd, &nowhere, sizeof(nowhere));
}

/*
 * What cancellation did not end. Zero-copy notifications of an abort come only when TCP drops its
 * queue; an operation that was on its way while it was to be cancelled ends on the socket's
 * shutdown.
 */
static void kick(struct sl_uring_conn *conn)
{
	bool op_armed = conn->connect_armed || conn->send_armed || conn->recv_armed;

	if (conn->kicked)
		return;
	if (conn->abortive || conn->end_error < 0) {
		conn->kicked = true;
		disconnect(conn);
	} else if (op_armed) {
		conn->kicked = true;
		(void)shutdown(conn->fd, SHUT_RDWR);
	}
}

static bool ending_cancel(struct sl_uring *u, struct sl_uring_conn *conn)
{
	if (!cancel_arm(u, conn, SL_URING_OP_CONNECT, &conn->cancel_connect) ||
	    !cancel_arm(u, conn, SL_URING_OP_SEND, &conn->cancel_send) ||
	    !cancel_arm(u, conn, SL_URING_OP_RECV, &conn->cancel_recv))
		return false;
	if (conn->ops > 0 && conn->cancels == 0)
		kick(conn);
	return true;
}

static void conn_free(struct sl_uring *u, struct sl_uring_conn *conn, struct sl_uring_out *out)
{
	const struct linger at_once = {.l_onoff = 1, .l_linger = 0};

	if (conn->abortive)
		(void)setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	close(conn->fd);
	conn->fd = -1;
	sl_uring_event(out, SL_EVENT_CLOSED, conn)->error = conn->end_error;
	conn->state = SL_URING_FREE;
	u->conn_free[u->conn_free_count++] = conn->index;
}

static bool ending_pump(struct sl_uring *u, struct sl_uring_conn *conn, struct sl_uring_out *out)
{
	if (!ending_cancel(u, conn))
		return false;
	if (conn->ops > 0)
		return true;
	if (!sl_uring_report(u, conn, out) || sl_uring_out_full(out))
		return false;
	SL_ASSERT(conn->head == conn->tail);
	conn_free(u, conn, out);
	return true;
}

bool sl_uring_pump(struct sl_uring *u, struct sl_uring_conn *conn, struct sl_uring_out *out)
{
	switch (conn->state) {
	case SL_URING_FREE:
		return true;
	case SL_URING_CONNECTING:
		return conn->connect_armed || connect_arm(u, conn);
	case SL_URING_OPEN:
	case SL_URING_FLUSHING:
		if (!sl_uring_report(u, conn, out))
			return false;
		if (!sl_uring_send_arm(u, conn) || !sl_uring_recv_arm(u, conn))
			return false;
		if (conn->state == SL_URING_OPEN || conn->next != conn->tail || conn->send_armed)
			return true;
		sl_uring_end(u, conn, 0, -ECANCELED);
		return ending_pump(u, conn, out);
	case SL_URING_ENDING:
		return ending_pump(u, conn, out);
	}
	return true;
}

/* Before the memory goes: no socket may have anything left to read or send. */
void sl_uring_disconnect_all(struct sl_uring *u)
{
	uint32_t i;

	for (i = 0; i < u->options.conns_max; i++) {
		if (u->conns[i].state == SL_URING_FREE)
			continue;
		disconnect(&u->conns[i]);
		close(u->conns[i].fd);
	}
}
