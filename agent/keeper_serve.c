/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keeper process: one loop over poll, one thread, nothing mapped, nothing allocated once it
 * runs. It holds descriptors and hands out duplicates; what is in them it never looks at.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/keeper_protocol.h"
#include "dataplane/base/clock.h"

/* Whoever connects says HELLO within this. */
#define HELLO_NS (1 * SL_NS_PER_S)
/* While nobody is connected it looks whether its socket still has a name: without one nobody can
 * ever ask for what it holds. */
#define PATH_CHECK_NS (10 * SL_NS_PER_S)
#define PATH_CHECK_NS_MIN (100 * SL_NS_PER_MS)

#define IDLE_MS_MAX (24 * UINT64_C(3600000))

struct conn {
	int fd; /* -1: free */
	bool greeted;
	uint64_t since_ns;
};

struct entry {
	uint64_t id;
	int fds[SL_KEEPER_FDS];
};

struct server {
	const struct sl_keeper_server_options *options;
	struct conn conns[SL_KEEPER_CONNS_MAX];
	uint32_t conn_count;
	struct entry entries[SL_KEEPER_ENTRIES_MAX];
	uint32_t entry_count;
	struct sl_keeper_listener listener; /* fd -1: none */
	dev_t own_dev;                      /* of the socket's own file */
	ino_t own_ino;
	uid_t own_uid;
	uint64_t idle_ns;
	uint64_t alone_since_ns; /* nobody is connected */
	bool goodbye;
};

/* ---- questions ---- */

static struct entry *entry_find(struct server *server, uint64_t id)
{
	for (uint32_t i = 0; i < server->entry_count; i++)
		if (server->entries[i].id == id)
			return &server->entries[i];
	return NULL;
}

static void entry_close(struct entry *entry)
{
	for (uint32_t i = 0; i < SL_KEEPER_FDS; i++)
		close(entry->fds[i]);
}

static bool is_file(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

/* The descriptors move from the packet into the table. */
static int keep(struct server *server, struct sl_keeper_packet *packet)
{
	struct entry *entry = entry_find(server, packet->msg.id);

	if (!is_file(packet->fds[0]) || !is_file(packet->fds[1]))
		return -EBADF;
	if (!entry && server->entry_count == SL_KEEPER_ENTRIES_MAX)
		return -ENOSPC;
	if (entry)
		entry_close(entry);
	else
		entry = &server->entries[server->entry_count++];
	entry->id = packet->msg.id;
	memcpy(entry->fds, packet->fds, sizeof(entry->fds));
	packet->fd_count = 0;
	return 0;
}

static int drop(struct server *server, uint64_t id)
{
	struct entry *entry = entry_find(server, id);

	if (!entry)
		return -ENOENT;
	entry_close(entry);
	*entry = server->entries[--server->entry_count];
	return 0;
}

static void listener_close(struct server *server)
{
	if (server->listener.fd >= 0)
		close(server->listener.fd);
	server->listener.fd = -1;
}

static int listener_put(struct server *server, struct sl_keeper_packet *packet)
{
	int listens = 0;
	socklen_t bytes = sizeof(listens);

	if (getsockopt(packet->fds[0], SOL_SOCKET, SO_ACCEPTCONN, &listens, &bytes) < 0 || !listens)
		return -EBADF;
	listener_close(server);
	server->listener =
		(struct sl_keeper_listener){packet->fds[0], packet->msg.a, packet->msg.b};
	packet->fd_count = 0;
	return 0;
}

/* How many descriptors a question has to bring. */
static uint32_t fds_expected(uint32_t kind)
{
	return kind == SL_KEEPER_KEEP ? SL_KEEPER_FDS : kind == SL_KEEPER_LISTENER_PUT ? 1 : 0;
}

/* What is held and what is lent with an answer: those descriptors stay the table's. */
static void hello(struct server *server, struct conn *conn, const struct sl_keeper_msg *ask,
		  struct sl_keeper_packet *answer)
{
	answer->msg.b = SL_KEEPER_ENTRIES_MAX;
	if (ask->version != SL_KEEPER_VERSION) {
		answer->msg.result = -EPROTONOSUPPORT;
		return;
	}
	conn->greeted = true;
	server->idle_ns = (ask->a < IDLE_MS_MAX ? ask->a : IDLE_MS_MAX) * SL_NS_PER_MS;
}

static void lend_entry(const struct server *server, uint64_t index, struct sl_keeper_packet *answer)
{
	if (index >= server->entry_count) {
		answer->msg.result = -ENOENT;
		return;
	}
	answer->msg.id = server->entries[index].id;
	memcpy(answer->fds, server->entries[index].fds, sizeof(answer->fds));
	answer->fd_count = SL_KEEPER_FDS;
}

static void lend_listener(const struct server *server, struct sl_keeper_packet *answer)
{
	if (server->listener.fd < 0) {
		answer->msg.result = -ENOENT;
		return;
	}
	answer->msg.a = server->listener.dev;
	answer->msg.b = server->listener.ino;
	answer->fds[0] = server->listener.fd;
	answer->fd_count = 1;
}

static void answer_make(struct server *server, struct conn *conn, struct sl_keeper_packet *ask,
			struct sl_keeper_packet *answer)
{
	sl_keeper_packet_init(answer, (enum sl_keeper_kind)ask->msg.kind);
	answer->msg.a = server->entry_count;
	switch ((enum sl_keeper_kind)ask->msg.kind) {
	case SL_KEEPER_HELLO:
		hello(server, conn, &ask->msg, answer);
		break;
	case SL_KEEPER_KEEP:
		answer->msg.result = keep(server, ask);
		break;
	case SL_KEEPER_DROP:
		answer->msg.result = drop(server, ask->msg.id);
		break;
	case SL_KEEPER_LIST:
		lend_entry(server, ask->msg.a, answer);
		return;
	case SL_KEEPER_LISTENER_PUT:
		answer->msg.result = listener_put(server, ask);
		break;
	case SL_KEEPER_LISTENER_GET:
		lend_listener(server, answer);
		return;
	default: /* GOODBYE: others were refused before */
		listener_close(server);
		server->goodbye = true;
		break;
	}
	answer->msg.a = server->entry_count;
}

/* ---- connections ---- */

static void conn_end(struct server *server, struct conn *conn)
{
	close(conn->fd);
	conn->fd = -1;
	server->conn_count--;
	server->alone_since_ns = sl_clock_monotonic_ns();
}

/* HELLO comes first and may have any version: later words of another one have no meaning here. */
static bool ask_fits(const struct conn *conn, const struct sl_keeper_packet *ask)
{
	const struct sl_keeper_msg *msg = &ask->msg;

	if (ask->fd_count != fds_expected(msg->kind))
		return false;
	if (!conn->greeted)
		return msg->kind == SL_KEEPER_HELLO;
	return msg->version == SL_KEEPER_VERSION && msg->kind >= SL_KEEPER_HELLO &&
	       msg->kind < SL_KEEPER_KIND_END;
}

static void conn_read(struct server *server, struct conn *conn)
{
	struct sl_keeper_packet ask, answer;
	int rc = sl_keeper_packet_recv(conn->fd, &ask);

	if (rc == -EAGAIN)
		return;
	if (rc == -EMFILE && conn->greeted) {
		sl_keeper_packet_init(&answer, (enum sl_keeper_kind)ask.msg.kind);
		answer.msg.result = -EMFILE;
		answer.msg.a = server->entry_count;
		rc = sl_keeper_packet_send(conn->fd, &answer);
	} else if (rc == 0 && ask_fits(conn, &ask)) {
		answer_make(server, conn, &ask, &answer);
		rc = sl_keeper_packet_send(conn->fd, &answer);
	} else {
		rc = -EBADMSG;
	}
	sl_keeper_packet_close(&ask);
	if (rc < 0)
		conn_end(server, conn);
}

static void conn_accept(struct server *server)
{
	struct ucred peer = {0};
	socklen_t bytes = sizeof(peer);
	int fd = accept4(server->options->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	for (uint32_t i = 0; i < SL_KEEPER_CONNS_MAX; i++) {
		if (server->conns[i].fd >= 0)
			continue;
		if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) < 0 ||
		    peer.uid != server->own_uid)
			break;
		server->conns[i] = (struct conn){.fd = fd, .since_ns = sl_clock_monotonic_ns()};
		server->conn_count++;
		server->goodbye = false;
		return;
	}
	close(fd);
}

/* ---- the end, and waiting for it ---- */

static bool has_name(const struct server *server)
{
	struct stat st;

	return fstatat(server->options->dir_fd, server->options->name, &st, AT_SYMLINK_NOFOLLOW) ==
		       0 &&
	       st.st_dev == server->own_dev && st.st_ino == server->own_ino;
}

static bool is_over(const struct server *server, uint64_t now_ns)
{
	if (server->conn_count)
		return false;
	if (server->entry_count == 0 &&
	    (server->goodbye || now_ns - server->alone_since_ns >= server->idle_ns))
		return true;
	return !has_name(server);
}

/* Ends those that did not say HELLO; returns how long it may sleep, -1 for ever. */
static int sleep_ms(struct server *server, uint64_t now_ns)
{
	uint64_t sleep_ns = SL_DEADLINE_NONE;

	for (uint32_t i = 0; i < SL_KEEPER_CONNS_MAX; i++) {
		struct conn *conn = &server->conns[i];

		if (conn->fd < 0 || conn->greeted)
			continue;
		if (now_ns - conn->since_ns >= HELLO_NS)
			conn_end(server, conn);
		else if (conn->since_ns + HELLO_NS - now_ns < sleep_ns)
			sleep_ns = conn->since_ns + HELLO_NS - now_ns;
	}
	if (server->conn_count == 0)
		sleep_ns = server->idle_ns < PATH_CHECK_NS ? server->idle_ns : PATH_CHECK_NS;
	if (server->conn_count == 0 && server->entry_count && sleep_ns < PATH_CHECK_NS_MIN)
		sleep_ns = PATH_CHECK_NS_MIN;
	return sleep_ns == SL_DEADLINE_NONE ? -1 : (int)(sleep_ns / SL_NS_PER_MS) + 1;
}

static void turn(struct server *server)
{
	struct pollfd polls[1 + SL_KEEPER_CONNS_MAX] = {
		{.fd = server->options->listen_fd, .events = POLLIN}};
	int timeout_ms = sleep_ms(server, sl_clock_monotonic_ns());

	for (uint32_t i = 0; i < SL_KEEPER_CONNS_MAX; i++)
		polls[1 + i] = (struct pollfd){.fd = server->conns[i].fd, .events = POLLIN};
	if (poll(polls, 1 + SL_KEEPER_CONNS_MAX, timeout_ms) <= 0)
		return;
	for (uint32_t i = 0; i < SL_KEEPER_CONNS_MAX; i++)
		if (polls[1 + i].revents)
			conn_read(server, &server->conns[i]);
	if (polls[0].revents)
		conn_accept(server);
}

static int begin(struct server *server, const struct sl_keeper_server_options *options)
{
	struct stat st;

	server->options = options;
	server->own_uid = geteuid();
	server->idle_ns = options->idle_ms * SL_NS_PER_MS;
	server->listener.fd = -1;
	server->alone_since_ns = sl_clock_monotonic_ns();
	for (uint32_t i = 0; i < SL_KEEPER_CONNS_MAX; i++)
		server->conns[i].fd = -1;
	if (fstatat(options->dir_fd, options->name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    listen(options->listen_fd, SL_KEEPER_CONNS_MAX) < 0)
		return -errno;
	server->own_dev = st.st_dev;
	server->own_ino = st.st_ino;
	return 0;
}

/* The answer to whoever started this process; by sendmsg(), which its filter has room for. */
static int ready_tell(int ready_fd)
{
	struct sl_keeper_packet ready;
	int rc = sl_keeper_sandbox();

	sl_keeper_packet_init(&ready, SL_KEEPER_HELLO);
	ready.msg.result = rc;
	rc = sl_keeper_packet_send(ready_fd, &ready);
	close(ready_fd);
	return rc;
}

int sl_keeper_serve(const struct sl_keeper_server_options *options)
{
	struct server *server = calloc(1, sizeof(*server));
	int rc = server ? begin(server, options) : -ENOMEM;

	if (rc == 0)
		rc = ready_tell(options->ready_fd);
	while (rc == 0 && !is_over(server, sl_clock_monotonic_ns()))
		turn(server);
	return rc; /* the process ends: nothing is freed, which would take more system calls */
}
