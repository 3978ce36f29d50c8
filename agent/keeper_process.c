/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's side of a keeper process: finding or starting it, and asking it. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/keeper_protocol.h"
#include "dataplane/base/clock.h"

struct process {
	struct sl_keeper keeper; /* first: the ops get a pointer to it */
	int sock;
};

static struct process *process_of(struct sl_keeper *keeper)
{
	return (struct process *)keeper;
}

/* ---- a question and its answer ---- */

static int answer_wait(int sock, uint64_t deadline_ns)
{
	struct pollfd polled = {.fd = sock, .events = POLLIN};

	for (;;) {
		uint64_t now_ns = sl_clock_monotonic_ns();
		int rc;

		if (now_ns >= deadline_ns)
			return -ETIMEDOUT;
		rc = poll(&polled, 1, (int)((deadline_ns - now_ns) / SL_NS_PER_MS) + 1);
		if (rc > 0)
			return 0;
		if (rc < 0 && errno != EINTR)
			return -errno;
	}
}

/* 0 with an answer, whatever its result; -errno when there is none, and then there never will be.
 */
static int ask(int sock, struct sl_keeper_packet *question, struct sl_keeper_packet *answer)
{
	uint64_t deadline_ns = sl_clock_monotonic_ns() + SL_KEEPER_TIMEOUT_MS * SL_NS_PER_MS;
	int rc = sl_keeper_packet_send(sock, question);

	do {
		if (rc == 0)
			rc = answer_wait(sock, deadline_ns);
		if (rc == 0)
			rc = sl_keeper_packet_recv(sock, answer);
	} while (rc == -EAGAIN && sl_clock_monotonic_ns() < deadline_ns);
	if (rc == 0 && answer->msg.kind != question->msg.kind) {
		sl_keeper_packet_close(answer);
		rc = -EBADMSG;
	}
	return rc == -EAGAIN ? -ETIMEDOUT : rc;
}

/* The same on the keeper's connection, with its result and how many descriptors it brings. */
static int process_ask(struct sl_keeper *keeper, struct sl_keeper_packet *question,
		       struct sl_keeper_packet *answer, uint32_t fds_expected)
{
	struct process *self = process_of(keeper);
	int rc;

	if (keeper->lost)
		return -EPIPE;
	rc = ask(self->sock, question, answer);
	if (rc == 0 && answer->msg.result == 0 && answer->fd_count != fds_expected) {
		sl_keeper_packet_close(answer);
		rc = -EBADMSG;
	}
	/* What came too late would be taken for the answer to the next question. */
	if (rc < 0 && rc != -EMFILE)
		keeper->lost = true;
	return rc < 0 ? rc : answer->msg.result;
}

/* ---- the interface ---- */

static int process_keep(struct sl_keeper *keeper, uint64_t id, const int fds[SL_KEEPER_FDS])
{
	struct sl_keeper_packet question, answer;
	int rc;

	sl_keeper_packet_init(&question, SL_KEEPER_KEEP);
	question.msg.id = id;
	memcpy(question.fds, fds, sizeof(question.fds));
	question.fd_count = SL_KEEPER_FDS;
	rc = process_ask(keeper, &question, &answer, 0);
	if (!keeper->lost)
		keeper->held = (uint32_t)answer.msg.a;
	return rc;
}

static void process_drop(struct sl_keeper *keeper, uint64_t id)
{
	struct sl_keeper_packet question, answer;

	sl_keeper_packet_init(&question, SL_KEEPER_DROP);
	question.msg.id = id;
	process_ask(keeper, &question, &answer, 0);
	if (!keeper->lost)
		keeper->held = (uint32_t)answer.msg.a;
}

static void kept_close(struct sl_keeper_kept *kept, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		for (uint32_t j = 0; j < SL_KEEPER_FDS; j++)
			close(kept[i].fds[j]);
}

static int process_list(struct sl_keeper *keeper, struct sl_keeper_kept *out, uint32_t max)
{
	struct sl_keeper_packet question, answer;
	uint32_t count = 0;
	int rc = 0;

	while (count < max) {
		sl_keeper_packet_init(&question, SL_KEEPER_LIST);
		question.msg.a = count;
		rc = process_ask(keeper, &question, &answer, SL_KEEPER_FDS);
		if (rc < 0)
			break;
		out[count].id = answer.msg.id;
		memcpy(out[count++].fds, answer.fds, sizeof(answer.fds));
	}
	if (rc < 0 && rc != -ENOENT) {
		kept_close(out, count);
		return rc;
	}
	return (int)count;
}

static int process_listener_put(struct sl_keeper *keeper, const struct sl_keeper_listener *listener)
{
	struct sl_keeper_packet question, answer;

	sl_keeper_packet_init(&question, SL_KEEPER_LISTENER_PUT);
	question.msg.a = listener->dev;
	question.msg.b = listener->ino;
	question.fds[0] = listener->fd;
	question.fd_count = 1;
	return process_ask(keeper, &question, &answer, 0);
}

static int process_listener_get(struct sl_keeper *keeper, struct sl_keeper_listener *out)
{
	struct sl_keeper_packet question, answer;
	int rc;

	sl_keeper_packet_init(&question, SL_KEEPER_LISTENER_GET);
	rc = process_ask(keeper, &question, &answer, 1);
	if (rc == 0)
		*out = (struct sl_keeper_listener){answer.fds[0], answer.msg.a, answer.msg.b};
	return rc;
}

static void process_goodbye(struct sl_keeper *keeper)
{
	struct sl_keeper_packet question, answer;

	sl_keeper_packet_init(&question, SL_KEEPER_GOODBYE);
	process_ask(keeper, &question, &answer, 0);
}

static void process_destroy(struct sl_keeper *keeper)
{
	close(process_of(keeper)->sock);
	free(keeper);
}

static const struct sl_keeper_ops process_ops = {
	"process",       process_keep,         process_drop,
	process_list,    process_listener_put, process_listener_get,
	process_goodbye, process_destroy,
};

/* ---- finding or starting one ---- */

struct place {
	const struct sl_keeper_options *options;
	int dir_fd;
	char name[SL_KEEPER_NAME_BYTES];
	struct sockaddr_un address;
};

/* A folder that is too long for a socket's address is named by its descriptor. */
static int place_set(struct place *place, const char *name)
{
	char path[512];
	int bytes = snprintf(path, sizeof(path), "%s/%s", place->options->private_path, name);

	if (bytes < 0 || (size_t)bytes >= sizeof(place->address.sun_path))
		bytes = snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", place->dir_fd, name);
	if (bytes < 0 || (size_t)bytes >= sizeof(place->address.sun_path))
		return -ENAMETOOLONG;
	memset(&place->address, 0, sizeof(place->address));
	place->address.sun_family = AF_UNIX;
	memcpy(place->address.sun_path, path, (size_t)bytes);
	snprintf(place->name, sizeof(place->name), "%s", name);
	return 0;
}

static int place_connect(const struct place *place, struct ucred *peer, struct sl_error *err)
{
	int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	socklen_t bytes = sizeof(*peer);
	int rc;

	if (sock < 0)
		return sl_error_set(err, -errno, "socket: %s", strerror(errno));
	if (connect(sock, (const struct sockaddr *)&place->address, sizeof(place->address)) < 0 ||
	    getsockopt(sock, SOL_SOCKET, SO_PEERCRED, peer, &bytes) < 0)
		rc = sl_error_set(err, -errno, "connect to %s: %s", place->name, strerror(errno));
	else if (peer->uid != geteuid())
		rc = sl_error_set(err, -EPERM, "%s belongs to user %u", place->name, peer->uid);
	else
		return sock;
	close(sock);
	return rc;
}

static int place_hello(const struct place *place, int sock, struct sl_keeper_packet *answer,
		       struct sl_error *err)
{
	struct sl_keeper_packet question;
	int rc;

	sl_keeper_packet_init(&question, SL_KEEPER_HELLO);
	question.msg.a = place->options->idle_ms ? place->options->idle_ms : SL_KEEPER_IDLE_MS;
	rc = ask(sock, &question, answer);
	if (rc < 0)
		return sl_error_set(err, rc, "the keeper behind %s does not answer: %s",
				    place->name, strerror(-rc));
	sl_keeper_packet_close(answer);
	answer->msg.build[sizeof(answer->msg.build) - 1] = 0;
	return answer->msg.result == -EPROTONOSUPPORT || answer->msg.version != SL_KEEPER_VERSION
		       ? -EPROTONOSUPPORT
		       : answer->msg.result;
}

static int place_start(const struct place *place, bool *sandboxed, struct sl_error *err)
{
	struct sl_keeper_server_options server = {
		.dir_fd = place->dir_fd,
		.idle_ms = place->options->idle_ms ? place->options->idle_ms : SL_KEEPER_IDLE_MS,
		.title = place->options->title,
		.title_bytes = place->options->title_bytes,
	};
	int rc = 0;

	snprintf(server.name, sizeof(server.name), "%s", place->name);
	/* We have the folder's lock and nobody answers here: whoever made this is dead. */
	unlinkat(place->dir_fd, place->name, 0);
	server.listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (server.listen_fd < 0 ||
	    bind(server.listen_fd, (const struct sockaddr *)&place->address,
		 sizeof(place->address)) < 0 ||
	    fchmodat(place->dir_fd, place->name, 0600, 0) < 0)
		rc = sl_error_set(err, -errno, "make %s: %s", place->name, strerror(errno));
	/* The process listens itself, so that its peers see its pid and not ours. */
	if (rc == 0)
		rc = sl_keeper_spawn(&server, sandboxed, err);
	if (server.listen_fd >= 0)
		close(server.listen_fd);
	return rc;
}

static bool is_nobody(int rc)
{
	return rc == -ENOENT || rc == -ECONNREFUSED || rc == -EPIPE || rc == -ECONNRESET;
}

struct found {
	int sock;
	struct ucred peer;
	struct sl_keeper_packet hello;
	bool sandboxed;
};

/* One that answers here, or a new one. -EPROTONOSUPPORT: one of another version lives here. */
static int place_settle(const struct place *place, struct found *found, struct sl_error *err)
{
	int rc = 0;

	for (int attempt = 0; attempt < 2; attempt++) {
		if (attempt > 0)
			rc = place_start(place, &found->sandboxed, err);
		if (rc < 0)
			return rc;
		rc = found->sock = place_connect(place, &found->peer, err);
		if (rc >= 0) {
			rc = place_hello(place, found->sock, &found->hello, err);
			if (rc == 0)
				return 0;
			close(found->sock);
		}
		if (!is_nobody(rc))
			return rc;
		rc = 0;
	}
	return -ECONNREFUSED;
}

static int settle(struct place *place, struct found *found, char *note, size_t note_bytes,
		  struct sl_error *err)
{
	char name[SL_KEEPER_NAME_BYTES];
	int rc = place_set(place, "keeper.sock");

	if (rc == 0)
		rc = place_settle(place, found, err);
	if (rc != -EPROTONOSUPPORT)
		return rc;
	/* It stays as it is, with what it holds: only an agent of its build can ask for that. */
	snprintf(note, note_bytes,
		 "a keeper of build %s (pid %d, protocol %u, ours %d) stays with %u segments: run "
		 "that build, or end it",
		 found->hello.msg.build, found->peer.pid, found->hello.msg.version,
		 SL_KEEPER_VERSION, (uint32_t)found->hello.msg.a);
	snprintf(name, sizeof(name), "keeper-%d.sock", SL_KEEPER_VERSION);
	rc = place_set(place, name);
	return rc < 0 ? rc : place_settle(place, found, err);
}

static struct sl_keeper *process_make(const struct found *found, const char *note)
{
	struct process *self = calloc(1, sizeof(*self));

	if (!self) {
		close(found->sock);
		return NULL;
	}
	self->keeper.ops = &process_ops;
	self->keeper.held = (uint32_t)found->hello.msg.a;
	self->keeper.watch_fd = found->sock;
	self->keeper.pid = found->peer.pid;
	self->sock = found->sock;
	snprintf(self->keeper.reason, sizeof(self->keeper.reason), "%s",
		 note[0]            ? note
		 : found->sandboxed ? ""
				    : "it runs without a system call filter");
	return &self->keeper;
}

struct sl_keeper *sl_keeper_process(const struct sl_keeper_options *options)
{
	struct place place = {.options = options};
	struct found found = {.sandboxed = true};
	struct sl_error err = {0};
	char note[200] = "";
	int rc;

	place.dir_fd = open(options->private_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (place.dir_fd < 0)
		return sl_keeper_none("its folder cannot be opened");
	rc = settle(&place, &found, note, sizeof(note), &err);
	close(place.dir_fd);
	if (rc < 0)
		return sl_keeper_none(err.text[0] ? err.text : strerror(-rc));
	return process_make(&found, note);
}
