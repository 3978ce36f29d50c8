/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/admission.h"
#include "agent/agent.h"
#include "agent/control.h"
#include "agent/status.h"
#include "dataplane/shm/wake.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

/* A tool that shows the status again and again keeps its connection meanwhile. */
#define STATUS_STAY_NS (60 * SL_NS_PER_S)

/* Where a state may go. */
static const uint32_t state_next[SL_CLIENT_STATE_COUNT] = {
	[SL_CLIENT_FREE] = 1u << SL_CLIENT_NEW,
	[SL_CLIENT_NEW] = 1u << SL_CLIENT_GREETED | 1u << SL_CLIENT_FREE,
	[SL_CLIENT_GREETED] = 1u << SL_CLIENT_OPENING | 1u << SL_CLIENT_FREE,
	[SL_CLIENT_OPENING] = 1u << SL_CLIENT_OPEN | 1u << SL_CLIENT_GREETED | 1u << SL_CLIENT_FREE,
	[SL_CLIENT_OPEN] = 1u << SL_CLIENT_CLOSING | 1u << SL_CLIENT_BINDING | 1u << SL_CLIENT_FREE,
	[SL_CLIENT_CLOSING] = 1u << SL_CLIENT_GREETED | 1u << SL_CLIENT_FREE,
	[SL_CLIENT_BINDING] = 1u << SL_CLIENT_OPEN | 1u << SL_CLIENT_FREE,
};

#define TYPE_BIT(type) (1u << ((type)-SL_HS_HELLO))

/* What is taken in a state. */
static const uint32_t state_takes[SL_CLIENT_STATE_COUNT] = {
	[SL_CLIENT_NEW] = TYPE_BIT(SL_HS_HELLO),
	[SL_CLIENT_GREETED] =
		TYPE_BIT(SL_HS_OPEN) | TYPE_BIT(SL_HS_REATTACH) | TYPE_BIT(SL_HS_STATUS),
	[SL_CLIENT_OPEN] = TYPE_BIT(SL_HS_TOPIC) | TYPE_BIT(SL_HS_WAKE) | TYPE_BIT(SL_HS_STATUS) |
			   TYPE_BIT(SL_HS_CLOSE),
};

const char *sl_agent_client_state_name(enum sl_client_state state)
{
	static const char *const names[] = {"free", "new",     "greeted", "opening",
					    "open", "closing", "binding"};

	return names[state];
}

static struct sl_agent_client *client_of(struct sl_agent *agent, uint32_t index)
{
	SL_ASSERT(index < agent->admission->clients_max);
	return &agent->admission->clients[index];
}

static uint64_t stage_deadline(const struct sl_agent *agent)
{
	return sl_agent_now_ns(agent) + agent->config->handshake_timeout_us * SL_NS_PER_US;
}

static bool state_reads(enum sl_client_state state)
{
	return state_takes[state] != 0;
}

/* Moves on, with the stage's time limit and whether the socket is listened to. */
static void state_move(struct sl_agent *agent, uint32_t index, enum sl_client_state next)
{
	struct sl_agent_client *client = client_of(agent, index);
	bool reads = state_reads(client->state);

	SL_ASSERT(state_next[client->state] & 1u << next);
	client->state = next;
	client->deadline_ns = next == SL_CLIENT_NEW || next == SL_CLIENT_GREETED
				      ? stage_deadline(agent)
				      : SL_DEADLINE_NONE;
	if (state_reads(next) && !reads)
		sl_control_watch(agent->admission->control, client->sock, SL_SOURCE_CLIENT, index,
				 client->generation);
	else if (!state_reads(next) && reads)
		sl_control_unwatch(agent->admission->control, client->sock);
}

void sl_agent_client_end(struct sl_agent *agent, uint32_t index, const char *reason)
{
	struct sl_agent_client *client = client_of(agent, index);
	int32_t segment = client->segment;

	SL_LOG(&agent->log, SL_LOG_DEBUG, "client_ended", SL_N("pid", client->pid),
	       SL_N("uid", client->uid), SL_T("name", client->name),
	       SL_T("state", sl_agent_client_state_name(client->state)), SL_T("reason", reason));
	state_move(agent, index, SL_CLIENT_FREE);
	close(client->sock);
	if (client->pidfd >= 0)
		close(client->pidfd);
	client->sock = -1;
	client->pidfd = -1;
	client->segment = -1;
	client->generation++;
	agent->admission->clients_open--;
	if (segment >= 0)
		sl_agent_segment_hung_up(agent, (uint32_t)segment);
}

/* False: the client did not take it and was ended. */
static bool answer(struct sl_agent *agent, uint32_t index, const union sl_hs_message *msg,
		   const int *fds)
{
	struct sl_error err = {0};

	if (sl_handshake_send(client_of(agent, index)->sock, msg, fds, &err) == 0)
		return true;
	sl_agent_client_end(agent, index, "does not take its answer");
	return false;
}

void sl_agent_client_refuse(struct sl_agent *agent, uint32_t index, enum sl_refuse code,
			    const char *text)
{
	struct sl_agent_client *client = client_of(agent, index);
	union sl_hs_message msg;

	sl_admission_refused(agent, code, text);
	SL_LOG(&agent->log, SL_LOG_WARNING, "client_refused", SL_N("pid", client->pid),
	       SL_N("uid", client->uid), SL_T("name", client->name),
	       SL_T("code", sl_refuse_name(code)), SL_T("reason", text));
	sl_handshake_refuse(&msg, SL_HS_REFUSE, code, 0, text);
	if (answer(agent, index, &msg, NULL))
		sl_agent_client_end(agent, index, "refused");
}

void sl_agent_client_time_out(struct sl_agent *agent, uint32_t index)
{
	struct sl_agent_client *client = client_of(agent, index);

	agent->admission->timed_out++;
	SL_LOG(&agent->log, SL_LOG_WARNING, "client_timed_out", SL_N("pid", client->pid),
	       SL_N("uid", client->uid), SL_T("name", client->name),
	       SL_T("state", sl_agent_client_state_name(client->state)));
	sl_agent_client_end(agent, index, "took longer than handshake.timeout.ms");
}

static int peer_pidfd(int sock, pid_t pid)
{
	socklen_t bytes = sizeof(int);
	int fd = -1;

	if (getsockopt(sock, SOL_SOCKET, SO_PEERPIDFD, &fd, &bytes) == 0)
		return fd;
	/* Without it the pid may have been used again by now; then the lock on D still tells the
	 * truth. */
	return pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
}

static int32_t client_place(struct sl_agent *agent, uid_t uid)
{
	struct sl_admission *admission = agent->admission;
	uint32_t own = 0;
	int32_t place = -1;

	for (uint32_t i = 0; i < admission->clients_max; i++) {
		if (admission->clients[i].state == SL_CLIENT_FREE && place < 0)
			place = (int32_t)i;
		own += admission->clients[i].state != SL_CLIENT_FREE &&
		       admission->clients[i].uid == uid;
	}
	/* A quarter stays for the others, root among them. */
	return own < admission->clients_max - admission->clients_max / 4 || uid == 0 ? place : -1;
}

/* A refusal to somebody who gets no place in the table. */
static void turn_away(struct sl_agent *agent, int sock, const struct ucred *peer,
		      enum sl_refuse code, const char *text)
{
	union sl_hs_message msg;

	sl_admission_refused(agent, code, text);
	SL_LOG(&agent->log, SL_LOG_WARNING, "client_refused", SL_N("pid", peer->pid),
	       SL_N("uid", peer->uid), SL_T("code", sl_refuse_name(code)), SL_T("reason", text));
	sl_handshake_refuse(&msg, SL_HS_REFUSE, code, 0, text);
	sl_handshake_send(sock, &msg, NULL, NULL);
	close(sock);
}

void sl_agent_client_accept(struct sl_agent *agent, int sock)
{
	struct sl_agent_client *client;
	struct ucred peer = {0};
	socklen_t bytes = sizeof(peer);
	uint32_t generation;
	int32_t place;

	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) < 0) {
		close(sock);
		return;
	}
	if (!sl_admission_allowed(agent, peer.uid, peer.gid, NULL)) {
		turn_away(agent, sock, &peer, SL_REFUSE_ACCESS,
			  "this user is not in the agent's allow list");
		return;
	}
	place = client_place(agent, peer.uid);
	if (place < 0) {
		turn_away(agent, sock, &peer, SL_REFUSE_BUSY, "too many connections");
		return;
	}
	client = client_of(agent, (uint32_t)place);
	generation = client->generation;
	memset(client, 0, sizeof(*client));
	client->generation = generation;
	client->sock = sock;
	client->pid = peer.pid;
	client->uid = peer.uid;
	client->gid = peer.gid;
	client->pidfd = peer_pidfd(sock, peer.pid);
	client->segment = -1;
	agent->admission->clients_open++;
	state_move(agent, (uint32_t)place, SL_CLIENT_NEW);
}

/* ---- messages ---- */

static void take_hello(struct sl_agent *agent, uint32_t index, const struct sl_hs_hello *hello)
{
	struct sl_agent_client *client = client_of(agent, index);
	const struct sl_config *config = agent->config;
	struct sl_segment_geometry largest = {.ring_bytes = config->ring_bytes_max,
					      .ring_count = config->segment_rings_max,
					      .report_slots = config->report_slots_max};
	union sl_hs_message msg;

	if (hello->proto_min > SL_HS_PROTO || hello->proto_max < SL_HS_PROTO ||
	    hello->layout_min > SL_SHM_LAYOUT || hello->layout_max < SL_SHM_LAYOUT) {
		sl_agent_client_refuse(agent, index, SL_REFUSE_VERSION,
				       "this agent speaks protocol 1, layout 1");
		return;
	}
	memcpy(client->client_id, hello->client_id, sizeof(client->client_id));
	memcpy(client->name, hello->name, sizeof(client->name));
	sl_handshake_init(&msg, SL_HS_WELCOME);
	msg.welcome.proto = SL_HS_PROTO;
	msg.welcome.layout = SL_SHM_LAYOUT;
	msg.welcome.flags = sl_wake_order_available() ? 0 : SL_HS_WELCOME_FENCE;
	msg.welcome.agent_epoch = agent->epoch;
	msg.welcome.rings_max = config->segment_rings_max;
	msg.welcome.ring_bytes_max = config->ring_bytes_max;
	msg.welcome.segment_bytes_max = sl_segment_data_bytes(&largest);
	msg.welcome.report_slots_max = config->report_slots_max;
	msg.welcome.record_bytes_max = (uint32_t)sl_config_request_bytes_max(config) +
				       SL_RECORD_HEADER_BYTES + SL_RECORD_SAMPLED_BYTES;
	msg.welcome.topics_max = SL_SHM_TOPICS_MAX;
	if (answer(agent, index, &msg, NULL))
		state_move(agent, index, SL_CLIENT_GREETED);
}

static void take_open(struct sl_agent *agent, uint32_t index, const union sl_hs_message *msg,
		      int fds[SL_HS_FDS_MAX])
{
	struct sl_agent_client *client = client_of(agent, index);
	struct sl_agent_refusal refusal = {.code = SL_REFUSE_INTERNAL};
	uint32_t generation = client->generation;
	bool again = msg->head.type == SL_HS_REATTACH;
	int rc;

	if (!again &&
	    memcmp(msg->open.client_id, client->client_id, sizeof(client->client_id)) != 0) {
		close(fds[0]);
		sl_agent_client_refuse(agent, index, SL_REFUSE_MALFORMED,
				       "OPEN names another client_id than HELLO");
		return;
	}
	client->again = again;
	state_move(agent, index, SL_CLIENT_OPENING);
	if (again)
		rc = sl_agent_segment_reattach(agent, index, &msg->open, fds[0], fds[1], &refusal);
	else
		rc = sl_agent_segment_open(agent, index, &msg->open, fds[0], &refusal);
	if (rc == 0 || client->generation != generation)
		return;
	if (again && refusal.code == SL_REFUSE_UNKNOWN) {
		/* It goes on as a new client, on this connection. */
		union sl_hs_message no;

		state_move(agent, index, SL_CLIENT_GREETED);
		sl_admission_refused(agent, refusal.code, refusal.err.text);
		SL_LOG(&agent->log, SL_LOG_WARNING, "not_attached_again", SL_N("pid", client->pid),
		       SL_N("uid", client->uid), SL_T("name", client->name),
		       SL_T("reason", refusal.err.text));
		sl_handshake_refuse(&no, SL_HS_REFUSE, refusal.code, 0, refusal.err.text);
		answer(agent, index, &no, NULL);
		return;
	}
	sl_agent_client_refuse(agent, index, refusal.code, refusal.err.text);
}

void sl_agent_client_opened(struct sl_agent *agent, uint32_t index)
{
	struct sl_agent_client *client = client_of(agent, index);
	const struct sl_agent_segment *segment = &agent->admission->segments[client->segment];
	int fds[SL_HS_FDS_MAX] = {segment->status_ro_fd, segment->bell_fd};
	union sl_hs_message msg;

	state_move(agent, index, SL_CLIENT_OPEN);
	sl_handshake_init(&msg, SL_HS_OPENED);
	msg.opened.segment_id = segment->id;
	memcpy(msg.opened.token, segment->token, sizeof(segment->token));
	msg.opened.ring_count = segment->geometry.ring_count;
	msg.opened.agent_epoch = agent->epoch;
	msg.opened.flags = client->again ? SL_HS_OPENED_AGAIN : 0;
	memcpy(msg.opened.worker, segment->worker, sizeof(segment->worker));
	answer(agent, index, &msg, fds);
}

void sl_agent_client_closed(struct sl_agent *agent, uint32_t index)
{
	union sl_hs_message msg;

	client_of(agent, index)->segment = -1;
	if (client_of(agent, index)->state == SL_CLIENT_BINDING)
		sl_agent_client_end(agent, index, "its segment is gone");
	if (client_of(agent, index)->state != SL_CLIENT_CLOSING)
		return;
	state_move(agent, index, SL_CLIENT_GREETED);
	sl_handshake_init(&msg, SL_HS_CLOSED);
	answer(agent, index, &msg, NULL);
}

static void take_topic(struct sl_agent *agent, uint32_t index, const struct sl_hs_topic *topic)
{
	struct sl_agent_client *client = client_of(agent, index);
	struct sl_agent_refusal refusal = {.code = SL_REFUSE_INTERNAL};
	union sl_hs_message msg;
	int32_t partitions = -1;
	int rc = sl_agent_segment_topic(agent, (uint32_t)client->segment, topic, &partitions,
					&refusal);

	if (rc > 0) {
		client->topic = *topic;
		state_move(agent, index, SL_CLIENT_BINDING);
		return;
	}
	if (rc < 0) {
		sl_admission_refused(agent, refusal.code, refusal.err.text);
		SL_LOG(&agent->log, SL_LOG_WARNING, "topic_not_bound", SL_N("pid", client->pid),
		       SL_N("uid", client->uid), SL_T("topic", topic->name),
		       SL_T("reason", refusal.err.text));
		sl_handshake_refuse(&msg, SL_HS_TOPIC_REFUSED, refusal.code, topic->slot,
				    refusal.err.text);
	} else {
		sl_handshake_init(&msg, SL_HS_TOPIC_OK);
		msg.topic_ok.slot = topic->slot;
		msg.topic_ok.partitions = partitions;
	}
	answer(agent, index, &msg, NULL);
}

void sl_agent_client_bound(struct sl_agent *agent, uint32_t index)
{
	struct sl_agent_client *client = client_of(agent, index);
	struct sl_hs_topic topic = client->topic;

	if (client->state != SL_CLIENT_BINDING)
		return;
	state_move(agent, index, SL_CLIENT_OPEN);
	take_topic(agent, index, &topic);
}

static void take_wake(struct sl_agent *agent, uint32_t index, const struct sl_hs_ring *ring, int fd)
{
	struct sl_agent_refusal refusal = {.code = SL_REFUSE_MALFORMED};
	union sl_hs_message msg;

	if (sl_agent_segment_wake(agent, (uint32_t)client_of(agent, index)->segment, ring->ring, fd,
				  &refusal) < 0) {
		sl_agent_client_refuse(agent, index, refusal.code, refusal.err.text);
		return;
	}
	sl_handshake_init(&msg, SL_HS_WAKE_OK);
	msg.ring.ring = ring->ring;
	answer(agent, index, &msg, NULL);
}

/* The text in a sealed memfd: it may be longer than a message, and the reader cannot be made to
 * wait for it. */
static int status_memfd(struct sl_agent *agent, size_t *bytes)
{
	char *text = sl_status_json(agent, bytes);
	int fd = text ? memfd_create("sluice-status", MFD_CLOEXEC | MFD_ALLOW_SEALING) : -1;

	if (fd >= 0 && (write(fd, text, *bytes) != (ssize_t)*bytes ||
			fcntl(fd, F_ADD_SEALS,
			      F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)) {
		close(fd);
		fd = -1;
	}
	free(text);
	return fd;
}

static void take_status(struct sl_agent *agent, uint32_t index, const struct sl_hs_status *status)
{
	struct sl_agent_client *client = client_of(agent, index);
	union sl_hs_message msg;
	size_t bytes = 0;
	int fds[SL_HS_FDS_MAX] = {-1, -1};

	fds[0] = status_memfd(agent, &bytes);
	if (fds[0] < 0) {
		sl_agent_client_refuse(agent, index, SL_REFUSE_INTERNAL,
				       "no memory for the status");
		return;
	}
	if (client->state == SL_CLIENT_GREETED)
		client->deadline_ns = sl_agent_now_ns(agent) + STATUS_STAY_NS;
	sl_handshake_init(&msg, SL_HS_STATUS_REPLY);
	msg.status.format = status->format;
	msg.status.text_bytes = bytes;
	answer(agent, index, &msg, fds);
	close(fds[0]);
}

static void fds_close(int fds[SL_HS_FDS_MAX])
{
	for (uint32_t i = 0; i < SL_HS_FDS_MAX; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

static void take(struct sl_agent *agent, uint32_t index, const union sl_hs_message *msg,
		 int fds[SL_HS_FDS_MAX])
{
	struct sl_agent_client *client = client_of(agent, index);

	if (!(state_takes[client->state] & TYPE_BIT(msg->head.type))) {
		fds_close(fds);
		sl_agent_client_refuse(agent, index, SL_REFUSE_MALFORMED, "a message out of order");
		return;
	}
	switch ((enum sl_hs_type)msg->head.type) {
	case SL_HS_HELLO:
		take_hello(agent, index, &msg->hello);
		break;
	case SL_HS_OPEN:
	case SL_HS_REATTACH:
		take_open(agent, index, msg, fds);
		break;
	case SL_HS_TOPIC:
		take_topic(agent, index, &msg->topic);
		break;
	case SL_HS_WAKE:
		take_wake(agent, index, &msg->ring, fds[0]);
		break;
	case SL_HS_STATUS:
		take_status(agent, index, &msg->status);
		break;
	default: /* CLOSE, by the table above */
		state_move(agent, index, SL_CLIENT_CLOSING);
		sl_agent_segment_drain(agent, (uint32_t)client->segment, false);
		break;
	}
}

void sl_agent_client_readable(struct sl_agent *agent, uint32_t index, uint32_t generation)
{
	struct sl_agent_client *client = client_of(agent, index);

	for (uint32_t i = 0; i < SL_CLIENT_MESSAGES_MAX; i++) {
		int fds[SL_HS_FDS_MAX] = {-1, -1};
		struct sl_error err = {0};
		union sl_hs_message msg;
		int rc;

		if (client->state == SL_CLIENT_FREE ||
		    (client->generation & 0xffffff) != (generation & 0xffffff) ||
		    !state_reads(client->state))
			return;
		rc = sl_handshake_recv(client->sock, SL_HS_FROM_APP, &msg, fds, &err);
		if (rc == -EAGAIN)
			return;
		if (rc == -EPROTO)
			sl_agent_client_refuse(agent, index, SL_REFUSE_MALFORMED, err.text);
		else if (rc < 0)
			sl_agent_client_end(agent, index, "hung up");
		else
			take(agent, index, &msg, fds);
	}
}
