/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "dataplane/base/assert.h"
#include "dataplane/base/clock.h"
#include "tools/devbroker/connection.h"
#include "tools/devbroker/options.h"

enum { EVENTS_MAX = 64, LISTEN_BACKLOG = 512 };

/* Marks in epoll's data: below the number of nodes a listener, else a connection. */
struct server {
	struct sl_db db;
	int signal_fd;
	uint64_t leader_move_ns, stall_ns, forget_ns; /* when next */
	uint64_t appends_seen;
	bool stop;
};

static int node_listen(struct sl_db *db, struct sl_db_node *node, struct sl_error *err)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
	struct addrinfo *at;
	struct sockaddr_storage bound;
	socklen_t bytes = sizeof(bound);
	char port[8];
	int rc, on = 1;

	snprintf(port, sizeof(port), "%u", node->port);
	rc = getaddrinfo(db->options.host, port, &hints, &at);
	if (rc != 0)
		return sl_error_set(err, -EINVAL, "address %s: %s", db->options.host,
				    gai_strerror(rc));
	node->listen_fd = socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (node->listen_fd >= 0)
		setsockopt(node->listen_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	rc = 0;
	if (node->listen_fd < 0 || bind(node->listen_fd, at->ai_addr, at->ai_addrlen) != 0 ||
	    listen(node->listen_fd, LISTEN_BACKLOG) != 0 ||
	    getsockname(node->listen_fd, (struct sockaddr *)&bound, &bytes) != 0)
		rc = sl_error_set(err, -errno, "listen on %s:%u: %s", db->options.host, node->port,
				  strerror(errno));
	else if (bound.ss_family == AF_INET6)
		node->port = ntohs(((struct sockaddr_in6 *)&bound)->sin6_port);
	else
		node->port = ntohs(((struct sockaddr_in *)&bound)->sin_port);
	freeaddrinfo(at);
	return rc;
}

static int nodes_listen(struct sl_db *db, struct sl_error *err)
{
	int32_t i;

	for (i = 0; i < db->options.node_count; i++) {
		struct sl_db_node *node = &db->nodes[i];
		struct epoll_event ev = {.events = EPOLLIN, .data.ptr = node};
		uint16_t port = db->options.port;
		int rc;

		node->id = i + 1;
		/* With port 0 the kernel chooses each; else they follow one another. */
		node->port = port ? (uint16_t)(port + i) : 0;
		rc = node_listen(db, node, err);
		if (rc < 0)
			return rc;
		if (epoll_ctl(db->epoll_fd, EPOLL_CTL_ADD, node->listen_fd, &ev) != 0)
			return sl_error_set(err, -errno, "epoll");
	}
	return 0;
}

static void ready_print(const struct sl_db *db)
{
	const char *host = db->options.host;
	int32_t i;

	if (strcmp(host, "0.0.0.0") == 0)
		host = "127.0.0.1";
	printf("ready bootstrap=");
	for (i = 0; i < db->options.node_count; i++)
		printf(strchr(host, ':') ? "%s[%s]:%u" : "%s%s:%u", i ? "," : "", host,
		       db->nodes[i].port);
	printf("\n");
	fflush(stdout);
}

static void signal_take(struct server *s)
{
	struct signalfd_siginfo info;

	while (read(s->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGUSR1)
			sl_db_statistics(&s->db);
		else
			s->stop = true;
	}
}

static int signals_open(struct server *s)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = s};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGUSR1);
	if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
		return -errno;
	s->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (s->signal_fd < 0 || epoll_ctl(s->db.epoll_fd, EPOLL_CTL_ADD, s->signal_fd, &ev) != 0)
		return -errno;
	return 0;
}

static void accept_all(struct sl_db *db, const struct sl_db_node *node)
{
	for (;;) {
		int fd = accept4(node->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0)
			return;
		sl_db_conn_open(db, node, fd);
	}
}

/* Every that is due: runs and sets the next time. */
static bool due(uint64_t *next_ns, uint64_t now_ns, uint64_t every_ns)
{
	if (!every_ns || now_ns < *next_ns)
		return false;
	*next_ns = now_ns + every_ns;
	return true;
}

static void faults_run(struct server *s)
{
	const struct sl_db_faults *f = &s->db.options.faults;

	if (due(&s->leader_move_ns, s->db.now_ns, f->leader_move_every_ns))
		sl_db_leader_move(&s->db);
	if (due(&s->forget_ns, s->db.now_ns, f->forget_producers_every_ns))
		sl_db_producers_forget_all(&s->db);
	if (due(&s->stall_ns, s->db.now_ns, f->stall_every_ns)) {
		struct pollfd pfd = {.fd = s->signal_fd, .events = POLLIN};

		sl_db_log_event(&s->db, "info", "stalled ms=%" PRIu64, f->stall_ns / SL_NS_PER_MS);
		/* Signals alone are heard meanwhile. */
		poll(&pfd, 1, (int)(f->stall_ns / SL_NS_PER_MS));
	}
}

/* Wakes the connections whose time has come, and frees the dead. Returns when the next is due. */
static uint64_t conns_tend(struct server *s)
{
	struct sl_db *db = &s->db;
	bool appended = db->appends != s->appends_seen;
	struct sl_db_conn *conn, *next;
	uint64_t due_ns = SL_DEADLINE_NONE;

	s->appends_seen = db->appends;
	for (conn = db->conns; conn; conn = next) {
		next = conn->next;
		if (!conn->dead && conn->wake_ns != SL_DEADLINE_NONE &&
		    (conn->wake_ns <= db->now_ns || (appended && conn->fetch_waits)))
			sl_db_conn_wake(conn);
		if (conn->dead)
			sl_db_conn_close(conn);
		else if (conn->wake_ns < due_ns)
			due_ns = conn->wake_ns;
	}
	return due_ns;
}

static uint64_t min_if(uint64_t a, uint64_t b, uint64_t every_ns)
{
	return every_ns && b < a ? b : a;
}

static int timeout_ms(const struct server *s, uint64_t due_ns)
{
	const struct sl_db_faults *f = &s->db.options.faults;
	uint64_t now_ns = sl_clock_monotonic_ns();

	/* A wake may have appended, or closed, what others wait for. */
	if (s->db.appends != s->appends_seen)
		return 0;
	due_ns = min_if(due_ns, s->leader_move_ns, f->leader_move_every_ns);
	due_ns = min_if(due_ns, s->stall_ns, f->stall_every_ns);
	due_ns = min_if(due_ns, s->forget_ns, f->forget_producers_every_ns);
	if (due_ns == SL_DEADLINE_NONE)
		return -1;
	if (due_ns <= now_ns)
		return 0;
	return (int)((due_ns - now_ns) / SL_NS_PER_MS < INT32_MAX - 1
			     ? (due_ns - now_ns) / SL_NS_PER_MS + 1
			     : INT32_MAX);
}

static bool is_node(const struct sl_db *db, const void *p)
{
	return (const char *)p >= (const char *)db->nodes &&
	       (const char *)p < (const char *)(db->nodes + SL_DB_NODES_MAX);
}

static void turn(struct server *s, uint64_t due_ns)
{
	struct epoll_event events[EVENTS_MAX];
	int i, count = epoll_wait(s->db.epoll_fd, events, EVENTS_MAX, timeout_ms(s, due_ns));

	s->db.now_ns = sl_clock_monotonic_ns();
	for (i = 0; i < count; i++) {
		void *p = events[i].data.ptr;

		if (p == s)
			signal_take(s);
		else if (is_node(&s->db, p))
			accept_all(&s->db, p);
		else if (!((struct sl_db_conn *)p)->dead)
			sl_db_conn_event(p, events[i].events);
	}
}

static int serve(struct server *s, const struct sl_db_settings *settings, struct sl_error *err)
{
	int rc;
	uint32_t i;
	uint64_t due_ns = SL_DEADLINE_NONE;

	s->db.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (s->db.epoll_fd < 0 || signals_open(s) < 0)
		return sl_error_set(err, -errno, "epoll, signalfd: %s", strerror(errno));
	for (i = 0; i < settings->topic_count; i++) {
		struct sl_db_topic *topic;

		if (sl_db_topic_create(&s->db, sl_slice_of(settings->topics[i].name),
				       settings->topics[i].partition_count, &topic) != SL_DB_NONE)
			return sl_error_set(err, -EINVAL, "topic '%s': bad name, count, or twice",
					    settings->topics[i].name);
		topic->compacted = settings->topics[i].compacted;
	}
	rc = nodes_listen(&s->db, err);
	if (rc < 0)
		return rc;
	ready_print(&s->db);
	while (!s->stop) {
		turn(s, due_ns);
		faults_run(s);
		due_ns = conns_tend(s);
	}
	return 0;
}

static void files_limit_raise(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static void server_fini(struct server *s)
{
	int32_t i;

	while (s->db.conns)
		sl_db_conn_close(s->db.conns);
	for (i = 0; i < s->db.options.node_count; i++)
		if (s->db.nodes[i].listen_fd > 0)
			close(s->db.nodes[i].listen_fd);
	if (s->signal_fd > 0)
		close(s->signal_fd);
	if (s->db.epoll_fd >= 0)
		close(s->db.epoll_fd);
	sl_db_fini(&s->db);
}

int main(int argc, char **argv)
{
	static struct sl_db_settings settings;
	static struct server server;
	struct sl_error err = {0};
	int rc = sl_db_settings_parse(&settings, argc, argv, &err);

	if (rc > 0)
		return 0;
	if (rc == 0) {
		files_limit_raise();
		sl_db_init(&server.db, &settings.options);
		rc = serve(&server, &settings, &err);
		if (rc == 0)
			sl_db_statistics(&server.db);
		server_fini(&server);
	}
	if (rc < 0)
		fprintf(stderr, "devbroker: %s\n", err.text);
	return rc < 0;
}
