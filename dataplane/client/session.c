/* SPDX-License-Identifier: Apache-2.0 */
/* The socket to the agent: connecting, asking, and what each question looks like. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "dataplane/base/clock.h"
#include "dataplane/client/client.h"

int sl_session_connect(const char *path, struct sl_error *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int sock, code;

	if (strlen(path) >= sizeof(address.sun_path))
		return sl_error_set(err, -ENAMETOOLONG, "socket path longer than %zu: %s",
				    sizeof(address.sun_path) - 1, path);
	strcpy(address.sun_path, path);
	sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (sock < 0)
		return sl_error_set(err, -errno, "socket: %s", strerror(errno));
	/* A Unix connect that does not block either succeeds at once or says EAGAIN: the agent's
	 * backlog is full. */
	if (connect(sock, (const struct sockaddr *)&address, sizeof(address)) == 0)
		return sock;
	code = -errno;
	close(sock);
	return sl_error_set(err, code, "connect to the agent at %s: %s", path, strerror(-code));
}

int sl_session_answer_errno(uint32_t refuse_code)
{
	switch (refuse_code) {
	case SL_REFUSE_ACCESS:
		return -EACCES;
	case SL_REFUSE_LIMIT:
		return -E2BIG;
	case SL_REFUSE_TOPIC:
		return -ENOENT;
	case SL_REFUSE_UNKNOWN:
		return -ENOTCONN;
	case SL_REFUSE_STOPPING:
	case SL_REFUSE_BUSY:
		return -EAGAIN;
	default:
		return -EPROTO;
	}
}

static int answer_wait(int sock, uint32_t timeout_ms, struct sl_error *err)
{
	uint64_t deadline = sl_clock_monotonic_ns() + timeout_ms * SL_NS_PER_MS;
	struct pollfd pfd = {.fd = sock, .events = POLLIN};

	for (;;) {
		uint64_t now = sl_clock_monotonic_ns();
		int left_ms = now >= deadline ? 0 : (int)((deadline - now) / SL_NS_PER_MS) + 1;
		int rc = poll(&pfd, 1, left_ms);

		if (rc > 0)
			return 0;
		if (rc < 0 && errno != EINTR)
			return sl_error_set(err, -errno, "poll: %s", strerror(errno));
		if (rc == 0 && sl_clock_monotonic_ns() >= deadline)
			return sl_error_set(err, -ETIMEDOUT,
					    "the agent did not answer within %u ms", timeout_ms);
	}
}

int sl_session_exchange(int sock, const union sl_hs_message *ask, const int *send_fds,
			uint32_t timeout_ms, union sl_hs_message *answer, int *fds,
			struct sl_error *err)
{
	int received[SL_HS_FDS_MAX];
	uint32_t i;
	int rc;

	rc = sl_handshake_send(sock, ask, send_fds, err);
	if (rc == 0)
		rc = answer_wait(sock, timeout_ms, err);
	if (rc == 0)
		rc = sl_handshake_recv(sock, SL_HS_FROM_AGENT, answer, received, err);
	if (rc < 0)
		return rc;
	if (answer->head.type == SL_HS_REFUSE || answer->head.type == SL_HS_TOPIC_REFUSED)
		return sl_error_set(err, sl_session_answer_errno(answer->refuse.code),
				    "the agent refused: %s: %s",
				    sl_refuse_name(answer->refuse.code), answer->refuse.text);
	for (i = 0; i < SL_HS_FDS_MAX; i++) {
		if (fds)
			fds[i] = received[i];
		else if (received[i] >= 0)
			close(received[i]);
	}
	return 0;
}

void sl_session_hello_fill(union sl_hs_message *msg, const uint8_t *client_id, const char *name)
{
	sl_handshake_init(msg, SL_HS_HELLO);
	msg->hello.proto_min = msg->hello.proto_max = SL_HS_PROTO;
	msg->hello.layout_min = msg->hello.layout_max = SL_SHM_LAYOUT;
	msg->hello.pid = (uint32_t)getpid();
	memcpy(msg->hello.client_id, client_id, sizeof(msg->hello.client_id));
	snprintf(msg->hello.name, sizeof(msg->hello.name), "%s", name);
}

int sl_session_hello(int sock, const uint8_t *client_id, const char *name, uint32_t timeout_ms,
		     struct sl_hs_welcome *welcome, struct sl_error *err)
{
	union sl_hs_message ask, answer;
	int rc;

	sl_session_hello_fill(&ask, client_id, name);
	rc = sl_session_exchange(sock, &ask, NULL, timeout_ms, &answer, NULL, err);
	if (rc < 0)
		return rc;
	if (answer.head.type != SL_HS_WELCOME || answer.welcome.proto != SL_HS_PROTO ||
	    answer.welcome.layout != SL_SHM_LAYOUT)
		return sl_error_set(err, -EPROTO, "the agent speaks another version");
	*welcome = answer.welcome;
	return 0;
}

void sl_session_open_fill(union sl_hs_message *msg, const sluice_client *client, bool again)
{
	sl_handshake_init(msg, again ? SL_HS_REATTACH : SL_HS_OPEN);
	msg->open.ring_bytes = client->geometry.ring_bytes;
	msg->open.ring_count = client->geometry.ring_count;
	msg->open.report_slots = client->geometry.report_slots;
	memcpy(msg->open.client_id, client->client_id, sizeof(msg->open.client_id));
	memcpy(msg->open.report_mode, client->report_mode, sizeof(msg->open.report_mode));
	if (again) {
		msg->open.segment_id = client->segment_id;
		memcpy(msg->open.token, client->token, sizeof(msg->open.token));
	}
}

void sl_session_topic_fill(union sl_hs_message *msg, uint32_t slot, const char *name)
{
	sl_handshake_init(msg, SL_HS_TOPIC);
	msg->topic.slot = slot;
	snprintf(msg->topic.name, sizeof(msg->topic.name), "%s", name);
}

void sl_session_wake_fill(union sl_hs_message *msg, uint32_t ring)
{
	sl_handshake_init(msg, SL_HS_WAKE);
	msg->ring.ring = ring;
}
