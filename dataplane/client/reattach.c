/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Coming back to an agent that went away. A state machine that never waits: a thread that has
 * records to send must not stall on an agent that is starting. Each call does what can be done now;
 * who wants to wait calls it repeatedly.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dataplane/base/assert.h"
#include "dataplane/base/clock.h"
#include "dataplane/client/client.h"

bool sl_client_is_child(const sluice_client *client)
{
	return client->owner != getpid();
}

uint32_t sl_client_state(const sluice_client *client)
{
	switch (atomic_load_explicit(&client->state, memory_order_relaxed)) {
	case SESSION_ATTACHED:
		return SLUICE_ATTACHED;
	case SESSION_DETACHED:
		return SLUICE_DETACHED;
	default:
		return SLUICE_LOST;
	}
}

static void state_set(sluice_client *client, enum session_state state)
{
	atomic_store_explicit(&client->state, state, memory_order_relaxed);
}

static void socket_drop(sluice_client *client)
{
	if (client->sock >= 0)
		close(client->sock);
	client->sock = -1;
}

/* Half of the pause is random, so that the applications of a host do not come back all at once. */
static void retry_later(sluice_client *client)
{
	uint64_t pause_ns = client->retry_ms * SL_NS_PER_MS;

	socket_drop(client);
	client->retry_at_ns =
		sl_clock_monotonic_ns() + pause_ns / 2 + sl_random_next(&client->random) % pause_ns;
	client->retry_ms = client->retry_ms * 2 < CLIENT_RETRY_MS_MAX ? client->retry_ms * 2
								      : CLIENT_RETRY_MS_MAX;
	state_set(client, SESSION_WAITING);
}

static void detach(sluice_client *client)
{
	socket_drop(client);
	state_set(client, SESSION_DETACHED);
}

static void ask(sluice_client *client, enum session_state state, const union sl_hs_message *msg,
		const int *fds)
{
	if (sl_handshake_send(client->sock, msg, fds, &client->error) < 0) {
		retry_later(client);
		return;
	}
	client->answer_by_ns = sl_clock_monotonic_ns() + client->timeout_ms * SL_NS_PER_MS;
	state_set(client, state);
}

static void attached_look(sluice_client *client)
{
	char byte;
	ssize_t bytes = recv(client->sock, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	if (bytes > 0 || (bytes < 0 && (errno == EAGAIN || errno == EINTR)))
		return;
	sl_error_set(&client->error, -EPIPE, "the agent has gone; waiting for it to come back");
	client->retry_ms = CLIENT_RETRY_MS_MIN;
	retry_later(client);
}

static void hello_ask(sluice_client *client)
{
	union sl_hs_message msg;

	if (sl_clock_monotonic_ns() < client->retry_at_ns)
		return;
	client->sock = sl_session_connect(client->path, &client->error);
	if (client->sock < 0) {
		retry_later(client);
		return;
	}
	sl_session_hello_fill(&msg, client->client_id, client->name);
	ask(client, SESSION_HELLO, &msg, NULL);
}

/* Topics get their slots back, then rings their descriptors; one question is open at a time. */
static void rest_ask(sluice_client *client)
{
	uint32_t topics = atomic_load_explicit(&client->topic_count, memory_order_relaxed);
	enum session_state state = atomic_load_explicit(&client->state, memory_order_relaxed);
	union sl_hs_message msg;

	if (state == SESSION_TOPICS && client->step < topics) {
		sl_session_topic_fill(&msg, client->step, client->topics[client->step]->name);
		ask(client, SESSION_TOPICS, &msg, NULL);
		return;
	}
	if (state == SESSION_TOPICS) {
		client->step = 0;
		state_set(client, SESSION_WAKES);
	}
	for (; client->step < client->geometry.ring_count; client->step++) {
		struct ring_cold *cold = ring_cold(client->rings[client->step]);

		if (cold->wake[1] >= 0) {
			sl_session_wake_fill(&msg, client->step);
			ask(client, SESSION_WAKES, &msg, &cold->wake[1]);
			return;
		}
	}
	client->retry_ms = CLIENT_RETRY_MS_MIN;
	client->error = (struct sl_error){0};
	state_set(client, SESSION_ATTACHED);
}

/*
 * A worker that read the ring before we came back may sleep, and a ring that rang for that sleep
 * did so with the old bell: it will not ring again. Once with the new one finds whatever was
 * committed meanwhile.
 */
static void bell_ring_anew(sluice_client *client)
{
	const uint64_t one = 1;

	/* A full counter wakes as well. */
	(void)!write(client->bell, &one, sizeof(one));
}

static void opened_again(sluice_client *client, const union sl_hs_message *answer,
			 int fds[SL_HS_FDS_MAX])
{
	bool same = sl_segment_same(fds[0], client->status_fd);

	close(fds[0]);
	if (!same || dup3(fds[1], client->bell, O_CLOEXEC) < 0) {
		/* The new bell takes the old one's number, so that no ring has to learn of it. */
		sl_error_set(&client->error, -EPROTO,
			     "the agent came back with another status segment");
		close(fds[1]);
		detach(client);
		return;
	}
	close(fds[1]);
	bell_ring_anew(client);
	client->segment_id = answer->opened.segment_id;
	memcpy(client->token, answer->opened.token, sizeof(client->token));
	client->step = 0;
	state_set(client, SESSION_TOPICS);
	rest_ask(client);
}

static void refused(sluice_client *client, const union sl_hs_message *answer)
{
	uint32_t code = answer->refuse.code;

	sl_error_set(&client->error, sl_session_answer_errno(code),
		     "the agent refused to take us back: %s: %s", sl_refuse_name(code),
		     answer->refuse.text);
	if (code == SL_REFUSE_BUSY || code == SL_REFUSE_STOPPING || code == SL_REFUSE_INTERNAL)
		retry_later(client);
	else
		detach(client);
}

static void answered(sluice_client *client, const union sl_hs_message *answer,
		     int fds[SL_HS_FDS_MAX])
{
	enum session_state state = atomic_load_explicit(&client->state, memory_order_relaxed);
	int send_fds[SL_HS_FDS_MAX] = {client->data_fd, client->status_fd};
	union sl_hs_message msg;
	uint32_t i;

	if (state == SESSION_HELLO && answer->head.type == SL_HS_WELCOME) {
		sl_session_open_fill(&msg, client, true);
		ask(client, SESSION_REATTACH, &msg, send_fds);
	} else if (state == SESSION_REATTACH && answer->head.type == SL_HS_OPENED) {
		opened_again(client, answer, fds);
	} else if (state == SESSION_TOPICS || state == SESSION_WAKES) {
		/* A refused topic stays refused; its records wait in the ring. */
		client->step++;
		rest_ask(client);
	} else if (answer->head.type == SL_HS_REFUSE) {
		refused(client, answer);
	} else {
		for (i = 0; i < SL_HS_FDS_MAX; i++)
			if (fds[i] >= 0)
				close(fds[i]);
		retry_later(client);
	}
}

static void answer_look(sluice_client *client)
{
	union sl_hs_message answer;
	int fds[SL_HS_FDS_MAX];
	int rc = sl_handshake_recv(client->sock, SL_HS_FROM_AGENT, &answer, fds, &client->error);

	if (rc == 0)
		answered(client, &answer, fds);
	else if (rc != -EAGAIN || sl_clock_monotonic_ns() > client->answer_by_ns)
		retry_later(client);
}

uint32_t sl_client_step(sluice_client *client)
{
	/* Another thread is at it, or waits for a topic: no need to do it twice. */
	if (pthread_mutex_trylock(&client->lock) != 0)
		return sl_client_state(client);
	switch ((enum session_state)atomic_load_explicit(&client->state, memory_order_relaxed)) {
	case SESSION_ATTACHED:
		attached_look(client);
		break;
	case SESSION_WAITING:
		hello_ask(client);
		break;
	case SESSION_DETACHED:
		break;
	default:
		answer_look(client);
	}
	pthread_mutex_unlock(&client->lock);
	return sl_client_state(client);
}

uint32_t sl_client_settle(sluice_client *client, uint32_t timeout_ms)
{
	uint64_t deadline = sl_clock_monotonic_ns() + timeout_ms * SL_NS_PER_MS;
	uint32_t state;

	while ((state = sl_client_step(client)) == SLUICE_LOST &&
	       sl_clock_monotonic_ns() < deadline)
		poll(NULL, 0, 1);
	return state;
}
