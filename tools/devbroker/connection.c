/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/devbroker/connection.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dataplane/base/assert.h"
#include "dataplane/base/clock.h"

enum {
	IN_BYTES_MIN = 64 << 10, /* where a connection begins: most never send much */
	IN_BYTES_LOAD = 2 << 20, /* where one that fills it goes */
	READS_PER_EVENT = 8,     /* then the others have their turn */
	OUT_BYTES_QUEUED_MAX = 256 << 10,
	FRAME_SIZE_BYTES = 4,
};

static void watch(struct sl_db_conn *conn, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.ptr = conn};

	if (conn->events == events || conn->dead)
		return;
	conn->events = events;
	epoll_ctl(conn->db->epoll_fd, EPOLL_CTL_MOD, conn->fd, &ev);
}

static void names_set(struct sl_db_conn *conn)
{
	struct sockaddr_storage at;
	socklen_t bytes = sizeof(at);
	char host[64], port[8];

	if (getpeername(conn->fd, (struct sockaddr *)&at, &bytes) == 0 &&
	    getnameinfo((struct sockaddr *)&at, bytes, host, sizeof(host), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV) == 0)
		snprintf(conn->peer, sizeof(conn->peer), "%s:%s", host, port);
	bytes = sizeof(at);
	if (getsockname(conn->fd, (struct sockaddr *)&at, &bytes) != 0 ||
	    getnameinfo((struct sockaddr *)&at, bytes, conn->local_host, sizeof(conn->local_host),
			NULL, 0, NI_NUMERICHOST) != 0)
		snprintf(conn->local_host, sizeof(conn->local_host), "127.0.0.1");
}

struct sl_db_conn *sl_db_conn_open(struct sl_db *db, const struct sl_db_node *node, int fd)
{
	struct sl_db_conn *conn = calloc(1, sizeof(*conn));
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = conn};
	int on = 1;

	if (!conn || epoll_ctl(db->epoll_fd, EPOLL_CTL_ADD, fd, &ev) != 0) {
		close(fd);
		free(conn);
		return NULL;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	conn->db = db;
	conn->node = node;
	conn->fd = fd;
	conn->events = EPOLLIN;
	conn->wake_ns = SL_DEADLINE_NONE;
	conn->slow_since_ns = db->now_ns;
	names_set(conn);
	conn->next = db->conns;
	if (conn->next)
		conn->next->prev = conn;
	db->conns = conn;
	db->conn_count++;
	return conn;
}

void sl_db_conn_close(struct sl_db_conn *conn)
{
	if (conn->prev)
		conn->prev->next = conn->next;
	else
		conn->db->conns = conn->next;
	if (conn->next)
		conn->next->prev = conn->prev;
	close(conn->fd);
	free(conn->in);
	free(conn->out.base);
	free(conn);
}

static void die(struct sl_db_conn *conn, const char *why)
{
	if (why)
		sl_db_log_event(conn->db, "warning", "connection_closed peer=%s reason=\"%s\"",
				conn->peer, why);
	conn->dead = true;
}

static bool out_pending(const struct sl_db_conn *conn)
{
	return conn->out.base && conn->out.w.pos > conn->out.base + conn->out.sent_bytes;
}

static void flush(struct sl_db_conn *conn)
{
	struct sl_db_out *out = &conn->out;

	while (!conn->dead && out_pending(conn)) {
		ssize_t n = send(conn->fd, out->base + out->sent_bytes,
				 (size_t)(out->w.pos - out->base) - out->sent_bytes, MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) {
			die(conn, NULL);
			return;
		}
		out->sent_bytes += (size_t)n;
	}
	out->sent_bytes = 0;
	out->w.pos = out->base;
	if (conn->last_words)
		die(conn, "a fault asked for it");
}

/* What a lying broker does to a response that stands at frame_at in the output. */
static void garbage_make(struct sl_db_conn *conn, size_t frame_at)
{
	uint64_t *dice = &conn->db->options.faults.random_state;
	uint8_t *frame = conn->out.base + frame_at;
	size_t bytes = (size_t)(conn->out.w.pos - frame), i;
	static const char *const kinds[] = {"cut", "oversized", "of another request", "random"};
	uint64_t kind = sl_random_next(dice) % SL_ARRAY_COUNT(kinds);

	switch (kind) {
	case 0:
		conn->out.w.pos = frame + bytes / 2;
		conn->last_words = true;
		break;
	case 1:
		sl_store_be32(frame, INT32_MAX);
		break;
	case 2:
		sl_store_be32(frame + 4, ~sl_load_be32(frame + 4));
		break;
	default:
		for (i = 8; i < bytes; i++)
			frame[i] = (uint8_t)sl_random_next(dice);
	}
	sl_db_log_event(conn->db, "info", "garbage_sent peer=%s kind=\"%s\"", conn->peer,
			kinds[kind]);
}

static struct sl_db_call call_make(struct sl_db_conn *conn)
{
	return (struct sl_db_call){
		.db = conn->db,
		.node = conn->node,
		.out = &conn->out,
		.peer = conn->peer,
		.local_host = conn->local_host,
		.first_try = !conn->retry,
		.wake_ns = conn->wake_ns,
	};
}

/* Faults that strike before a Produce request is served. True when it must not be served now. */
static bool produce_hindered(struct sl_db_conn *conn)
{
	struct sl_db_faults *faults = &conn->db->options.faults;

	if (sl_db_fault_strikes(faults, faults->close_probability)) {
		die(conn, "a fault asked for it");
		return true;
	}
	if (faults->delay_ns && sl_db_fault_strikes(faults, faults->delay_probability)) {
		conn->retry = true;
		conn->wake_ns = conn->db->now_ns + faults->delay_ns;
		return true;
	}
	return false;
}

/* Serves one frame. Returns true when it is done with. */
static bool frame_serve(struct sl_db_conn *conn, struct sl_slice frame)
{
	struct sl_db_faults *faults = &conn->db->options.faults;
	size_t frame_at = conn->out.base ? (size_t)(conn->out.w.pos - conn->out.base) : 0;
	struct sl_db_call call = call_make(conn);
	enum sl_db_verdict verdict;

	if (!conn->retry && sl_db_request_is_produce(frame) && produce_hindered(conn))
		return false;
	verdict = sl_db_request_serve(&call, frame);
	conn->retry = verdict == SL_DB_WAIT;
	conn->fetch_waits = verdict == SL_DB_WAIT;
	conn->wake_ns = verdict == SL_DB_WAIT ? call.wake_ns : SL_DEADLINE_NONE;
	if (verdict == SL_DB_WAIT)
		return false;
	if (verdict == SL_DB_CLOSE) {
		/* Earlier requests of the connection were served: their answers go out. */
		flush(conn);
		die(conn, call.fault_closed ? "a fault asked for it" : "request refused");
		return false;
	}
	if (verdict == SL_DB_REPLY && sl_db_fault_strikes(faults, faults->garbage_probability))
		garbage_make(conn, frame_at);
	if (call.mute_ns)
		conn->wake_ns = call.mute_ns;
	return true;
}

/* The frame at the front: its size in *bytes (size field included), 0 when that is not there. */
static bool frame_size(struct sl_db_conn *conn, size_t *bytes)
{
	int32_t size;

	*bytes = 0;
	if (conn->in_end - conn->in_start < FRAME_SIZE_BYTES)
		return true;
	size = (int32_t)sl_load_be32(conn->in + conn->in_start);
	if (size < 0 || size > SL_DB_FRAME_BYTES_MAX) {
		char why[64];

		snprintf(why, sizeof(why), "frame of %" PRId32 " bytes", size);
		die(conn, why);
		return false;
	}
	*bytes = (size_t)size + FRAME_SIZE_BYTES;
	return true;
}

static bool muted(const struct sl_db_conn *conn)
{
	return conn->wake_ns != SL_DEADLINE_NONE;
}

/* Serves what is there, until something must wait. */
static void serve(struct sl_db_conn *conn)
{
	size_t bytes;

	while (!conn->dead && !conn->last_words && !muted(conn)) {
		struct sl_slice frame;

		if (!frame_size(conn, &bytes) || bytes == 0 ||
		    conn->in_end - conn->in_start < bytes)
			break;
		if (conn->out.base && conn->out.w.pos - conn->out.base > OUT_BYTES_QUEUED_MAX) {
			flush(conn);
			if (out_pending(conn))
				break;
		}
		frame = (struct sl_slice){conn->in + conn->in_start + FRAME_SIZE_BYTES,
					  (uint32_t)(bytes - FRAME_SIZE_BYTES)};
		if (!frame_serve(conn, frame))
			break;
		conn->in_start += bytes;
	}
	if (conn->in_start == conn->in_end)
		conn->in_start = conn->in_end = 0;
	flush(conn);
}

/* Makes room for the frame at the front, whole; moves its beginning only when it must. */
static bool in_room(struct sl_db_conn *conn, size_t frame_bytes)
{
	size_t capacity = conn->in_capacity ? conn->in_capacity : IN_BYTES_MIN;
	size_t held = conn->in_end - conn->in_start;
	uint8_t *in;

	/* Twice the largest frame: a read of half the room never leaves a frame without space. */
	while (capacity < frame_bytes * 2)
		capacity *= 2;
	/* It fills what it is given: fewer and larger reads. */
	if (conn->in_filled && held == 0 && capacity < IN_BYTES_LOAD)
		capacity *= 2;
	conn->in_filled = false;
	if (capacity != conn->in_capacity) {
		in = malloc(capacity);
		if (!in)
			return false;
		if (held)
			memcpy(in, conn->in + conn->in_start, held);
		free(conn->in);
		conn->in = in;
		conn->in_capacity = capacity;
		conn->in_start = 0;
		conn->in_end = held;
	} else if (conn->in_start + (frame_bytes ? frame_bytes : FRAME_SIZE_BYTES) > capacity) {
		memmove(conn->in, conn->in + conn->in_start, held);
		conn->in_start = 0;
		conn->in_end = held;
	}
	return true;
}

/* Bytes that the slow fault lets through now; mutes the connection when there are none. */
static size_t slow_allowance(struct sl_db_conn *conn, size_t bytes)
{
	uint64_t rate = conn->db->options.faults.slow_bytes_per_s;
	double credit;

	if (!rate)
		return bytes;
	credit = conn->slow_credit_bytes + (double)(conn->db->now_ns - conn->slow_since_ns) *
						   (double)rate / (double)SL_NS_PER_S;
	conn->slow_since_ns = conn->db->now_ns;
	/* No more than a tenth of a second may be saved up. */
	if (credit > (double)rate / 10 + 1)
		credit = (double)rate / 10 + 1;
	conn->slow_credit_bytes = credit;
	if (credit < 1) {
		conn->wake_ns = conn->db->now_ns + 10 * SL_NS_PER_MS;
		return 0;
	}
	return credit < (double)bytes ? (size_t)credit : bytes;
}

/* How much to read: the rest of a frame exactly, so that the next one begins at the front. */
static size_t read_size(const struct sl_db_conn *conn, size_t frame_bytes)
{
	size_t room = conn->in_capacity - conn->in_end;
	size_t held = conn->in_end - conn->in_start;

	if (frame_bytes > held)
		return frame_bytes - held;
	return held == 0 && room > conn->in_capacity / 2 ? conn->in_capacity / 2 : room;
}

/* Reads once. False when there is nothing more to do now. */
static bool read_some(struct sl_db_conn *conn)
{
	size_t frame_bytes, want;
	ssize_t n;

	if (!frame_size(conn, &frame_bytes))
		return false;
	if (!in_room(conn, frame_bytes)) {
		die(conn, "no memory for its frame");
		return false;
	}
	want = slow_allowance(conn, read_size(conn, frame_bytes));
	if (want == 0)
		return false;
	n = recv(conn->fd, conn->in + conn->in_end, want, 0);
	if (n < 0 && errno == EAGAIN)
		return false;
	if (n <= 0) {
		die(conn, n == 0 && conn->in_end > conn->in_start ? "left within a frame" : NULL);
		return false;
	}
	conn->in_end += (size_t)n;
	conn->in_filled = (size_t)n == want && want >= conn->in_capacity / 2;
	if (conn->db->options.faults.slow_bytes_per_s)
		conn->slow_credit_bytes -= (double)n;
	return true;
}

static void watch_anew(struct sl_db_conn *conn)
{
	uint32_t events = 0;

	if (out_pending(conn))
		events |= EPOLLOUT;
	else if (!muted(conn))
		events |= EPOLLIN;
	watch(conn, events);
}

void sl_db_conn_event(struct sl_db_conn *conn, uint32_t events)
{
	int i;

	if (events & EPOLLOUT) {
		flush(conn);
		if (!out_pending(conn))
			serve(conn);
	}
	if (events & (EPOLLHUP | EPOLLERR) && !(events & EPOLLIN))
		die(conn, NULL);
	for (i = 0; i < READS_PER_EVENT && !conn->dead && !muted(conn) && !out_pending(conn); i++) {
		if (!read_some(conn))
			break;
		serve(conn);
	}
	watch_anew(conn);
}

void sl_db_conn_wake(struct sl_db_conn *conn)
{
	if (conn->fetch_waits) {
		/* Still muted by its own deadline, so that serve() would not look at it. */
		struct sl_slice frame = {conn->in + conn->in_start + FRAME_SIZE_BYTES,
					 sl_load_be32(conn->in + conn->in_start)};

		if (frame_serve(conn, frame))
			conn->in_start += frame.bytes + FRAME_SIZE_BYTES;
	} else {
		conn->wake_ns = SL_DEADLINE_NONE;
	}
	serve(conn);
	watch_anew(conn);
}
