/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/segment.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/admission.h"
#include "agent/agent.h"
#include "agent/control.h"
#include "agent/keeper_use.h"

#define PROCESS_CHECK_FIRST_NS (100 * SL_NS_PER_MS)

static const uint32_t state_next[SL_SEGMENT_STATE_COUNT] = {
	[SL_SEGMENT_FREE] = 1u << SL_SEGMENT_ADDING,
	[SL_SEGMENT_ADDING] = 1u << SL_SEGMENT_LIVE,
	[SL_SEGMENT_LIVE] = 1u << SL_SEGMENT_DRAINING,
	[SL_SEGMENT_DRAINING] = 1u << SL_SEGMENT_FREE,
};

const char *sl_agent_segment_state_name(enum sl_agent_segment_state state)
{
	static const char *const names[] = {"free", "adding", "live", "draining"};

	return names[state];
}

const char *sl_agent_poison_name(uint64_t code)
{
	static const char *const names[SL_POISON_COUNT] = {
		"none",  "position", "type", "length",    "sequence",
		"topic", "tail",     "pad",  "partition", "reports",
	};

	return code < SL_POISON_COUNT ? names[code] : "other";
}

static struct sl_agent_segment *segment_of(struct sl_agent *agent, uint32_t index)
{
	SL_ASSERT(index < agent->admission->segments_max);
	return &agent->admission->segments[index];
}

static void state_move(struct sl_agent_segment *segment, enum sl_agent_segment_state next)
{
	SL_ASSERT(state_next[segment->state] & 1u << next);
	segment->state = next;
}

static void fd_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static uint64_t ring_dropped(const struct sl_agent_segment *segment, uint32_t ring)
{
	const struct sl_app_page *page = sl_segment_app_page(segment->data, ring);

	return atomic_load_explicit(&page->dropped_count, memory_order_relaxed);
}

uint64_t sl_agent_segment_dropped(const struct sl_agent_segment *segment)
{
	uint64_t sum = 0;

	for (uint32_t r = 0; segment->data && r < segment->geometry.ring_count; r++)
		sum += ring_dropped(segment, r);
	return sum;
}

uint64_t sl_agent_segments_dropped(const struct sl_agent *agent)
{
	uint64_t sum = agent->dropped_gone;

	if (!agent->admission)
		return sum;
	for (uint32_t i = 0; i < agent->admission->segments_max; i++)
		sum += sl_agent_segment_dropped(&agent->admission->segments[i]);
	return sum;
}

void sl_agent_segment_release(struct sl_agent *agent, uint32_t index)
{
	struct sl_agent_segment *segment = segment_of(agent, index);
	uint32_t generation = segment->generation + 1;

	agent->dropped_gone += sl_agent_segment_dropped(segment);
	for (uint32_t r = 0; r < segment->geometry.ring_count; r++)
		agent->workers[segment->worker[r]].ring_count--;
	agent->admission->mapped_bytes -= sl_segment_bytes(&segment->geometry);
	if (segment->data)
		sl_segment_unmap(segment->data, sl_segment_data_bytes(&segment->geometry));
	if (segment->status)
		sl_segment_unmap(segment->status, sl_segment_status_bytes(&segment->geometry));
	if (segment->pidfd >= 0)
		sl_control_unwatch(agent->admission->control, segment->pidfd);
	fd_close(&segment->pidfd);
	fd_close(&segment->data_fd);
	fd_close(&segment->status_fd);
	fd_close(&segment->status_ro_fd);
	fd_close(&segment->bell_fd);
	free(segment->topics);
	for (uint32_t i = 0; i < agent->worker_count; i++)
		free(segment->objects[i]);
	memset(segment, 0, sizeof(*segment));
	segment->generation = generation;
	segment->client = -1;
}

/* ---- what the workers said ---- */

/* Some worker had no room for its rings: the application is refused, and what was added is given
 * back. */
static void not_added(struct sl_agent *agent, uint32_t index)
{
	struct sl_agent_segment *segment = segment_of(agent, index);
	int32_t client = segment->client;

	if (client >= 0)
		sl_agent_client_refuse(agent, (uint32_t)client, SL_REFUSE_LIMIT,
				       "the workers have no room for more rings now");
	if (segment->state == SL_SEGMENT_LIVE)
		sl_agent_segment_drain(agent, index, true);
}

void sl_agent_segment_added(struct sl_agent *agent, uint32_t worker, uint32_t index, bool ok)
{
	struct sl_agent_segment *segment = segment_of(agent, index);
	int fds[SL_KEEPER_FDS] = {segment->data_fd, segment->status_fd};

	segment->wait_mask &= ~(UINT64_C(1) << worker);
	segment->no_room = segment->no_room || !ok;
	if (segment->state != SL_SEGMENT_ADDING || segment->wait_mask)
		return;
	state_move(segment, SL_SEGMENT_LIVE);
	if (segment->no_room) {
		not_added(agent, index);
		return;
	}
	/* One that cannot be kept is opened all the same: an agent without a keeper serves too. */
	if (!segment->kept)
		sl_agent_keep(agent, segment->id, fds);
	if (segment->client >= 0) {
		SL_LOG(&agent->log, SL_LOG_INFO, "application_opened", SL_N("pid", segment->pid),
		       SL_N("uid", segment->uid), SL_T("name", segment->name),
		       SL_N("segment", index), SL_N("rings", segment->geometry.ring_count),
		       SL_N("ring_bytes", segment->geometry.ring_bytes));
		sl_agent_client_opened(agent, (uint32_t)segment->client);
	} else {
		sl_agent_segment_hung_up(agent, index);
	}
}

void sl_agent_segment_gone(struct sl_agent *agent, uint32_t worker, uint32_t index, void *object)
{
	struct sl_agent_segment *segment = segment_of(agent, index);
	int32_t client = segment->client;

	free(object);
	segment->objects[worker] = NULL;
	SL_ASSERT(segment->state == SL_SEGMENT_DRAINING);
	segment->wait_mask &= ~(UINT64_C(1) << worker);
	if (segment->wait_mask)
		return;
	SL_LOG(&agent->log, SL_LOG_INFO, "application_closed", SL_N("pid", segment->pid),
	       SL_N("uid", segment->uid), SL_T("name", segment->name), SL_N("segment", index),
	       SL_T("reason", segment->dead ? "died" : "closed"));
	sl_agent_keep_drop(agent, segment->id);
	sl_agent_segment_release(agent, index);
	if (client >= 0)
		sl_agent_client_closed(agent, (uint32_t)client);
}

void sl_agent_segment_poisoned(struct sl_agent *agent, uint32_t worker, const struct sl_msg *msg)
{
	struct sl_agent_segment *segment = segment_of(agent, msg->a);
	uint32_t ring = (uint32_t)msg->b;

	SL_ASSERT(ring < SL_SHM_RINGS_MAX && msg->c < SL_POISON_COUNT);
	segment->poison[ring] = (uint8_t)msg->c;
	agent->admission->poisonings[msg->c]++;
	SL_LOG(&agent->log, SL_LOG_ERROR, "ring_poisoned", SL_N("pid", segment->pid),
	       SL_N("uid", segment->uid), SL_T("name", segment->name), SL_N("segment", msg->a),
	       SL_N("ring", ring), SL_T("reason", sl_agent_poison_name(msg->c)),
	       SL_N("worker", worker));
}

/* ---- the end of an application ---- */

void sl_agent_segment_drain(struct sl_agent *agent, uint32_t index, bool dead)
{
	struct sl_agent_segment *segment = segment_of(agent, index);
	struct sl_msg msg = {.kind = SL_MSG_SEGMENT_DRAIN, .a = index, .b = dead};
	bool news = dead && !segment->dead;

	segment->dead |= dead;
	if (segment->state == SL_SEGMENT_LIVE) {
		state_move(segment, SL_SEGMENT_DRAINING);
		segment->wait_mask = segment->worker_mask;
	} else if (segment->state != SL_SEGMENT_DRAINING || !news) {
		return; /* ADDING: looked at again when it is added */
	}
	for (uint32_t i = 0; i < agent->worker_count; i++)
		if (segment->wait_mask & UINT64_C(1) << i)
			sl_agent_tell(agent, i, &msg);
}

/* One that closed its client without a word is alive all the same; without a pidfd nobody knows. */
static bool process_ended(const struct sl_agent_segment *segment)
{
	struct pollfd ended = {.fd = segment->pidfd, .events = POLLIN};

	return segment->pidfd < 0 || poll(&ended, 1, 0) > 0;
}

bool sl_agent_segment_check(struct sl_agent *agent, uint32_t index)
{
	struct sl_agent_segment *segment = segment_of(agent, index);

	if (sl_segment_alive(segment->data_fd) != 0)
		return true;
	SL_LOG(&agent->log, SL_LOG_INFO,
	       process_ended(segment) ? "application_died" : "application_left",
	       SL_N("pid", segment->pid), SL_N("uid", segment->uid), SL_T("name", segment->name),
	       SL_N("segment", index));
	sl_agent_segment_drain(agent, index, true);
	return false;
}

void sl_agent_segment_hung_up(struct sl_agent *agent, uint32_t index)
{
	struct sl_agent_segment *segment = segment_of(agent, index);
	uint64_t check_ns = sl_agent_now_ns(agent) + PROCESS_CHECK_FIRST_NS;

	segment->client = -1;
	/* One that was closing and hung up does not wait for its last reports any more. */
	if (segment->state == SL_SEGMENT_DRAINING && sl_segment_alive(segment->data_fd) == 0)
		sl_agent_segment_drain(agent, index, true);
	if (segment->state != SL_SEGMENT_LIVE || !sl_agent_segment_check(agent, index))
		return;
	/* A dying process closes its socket a moment before its lock is gone. */
	if (check_ns < agent->admission->process_check_ns)
		agent->admission->process_check_ns = check_ns;
}

void sl_agent_segment_process_ended(struct sl_agent *agent, uint32_t index, uint32_t generation)
{
	struct sl_agent_segment *segment = segment_of(agent, index);

	if (segment->state == SL_SEGMENT_FREE || (segment->generation & 0xffffff) != generation ||
	    segment->pidfd < 0)
		return;
	sl_control_unwatch(agent->admission->control, segment->pidfd);
	fd_close(&segment->pidfd);
	if (segment->state == SL_SEGMENT_DRAINING && sl_segment_alive(segment->data_fd) == 0)
		sl_agent_segment_drain(agent, index, true);
	if (segment->state == SL_SEGMENT_LIVE)
		sl_agent_segment_check(agent, index);
}

/* ---- requests of a living one ---- */

/*
 * An application that has its answer commits records of the topic, and may die with the agent in the
 * next moment: by then the binding lies in the arena of each worker that reads a ring of it. In an
 * inbox it would die too, and the next agent would have to poison an honest ring.
 */
static void binding_tell(struct sl_agent *agent, uint32_t index, uint32_t slot, int32_t topic)
{
	struct sl_agent_segment *segment = segment_of(agent, index);
	struct sl_msg msg = {
		.kind = SL_MSG_TOPIC_BIND, .a = index, .b = slot, .c = (uint64_t)topic};

	for (uint32_t i = 0; i < agent->worker_count; i++) {
		if (!(segment->worker_mask & UINT64_C(1) << i))
			continue;
		sl_agent_tell(agent, i, &msg);
		segment->binds_told++;
	}
	segment->topics[slot] = topic;
}

void sl_agent_segment_bound(struct sl_agent *agent, uint32_t index)
{
	struct sl_agent_segment *segment = segment_of(agent, index);

	SL_ASSERT(segment->binds_done != segment->binds_told);
	if (++segment->binds_done == segment->binds_told && segment->client >= 0)
		sl_agent_client_bound(agent, (uint32_t)segment->client);
}

int sl_agent_segment_topic(struct sl_agent *agent, uint32_t index, const struct sl_hs_topic *topic,
			   int32_t *partitions, struct sl_agent_refusal *refusal)
{
	struct sl_agent_segment *segment = segment_of(agent, index);
	int32_t bound;
	int found;

	refusal->code = SL_REFUSE_LIMIT;
	if (topic->slot >= SL_SHM_TOPICS_MAX)
		return sl_error_set(&refusal->err, -ERANGE, "slot %u: the last is %d", topic->slot,
				    SL_SHM_TOPICS_MAX - 1);
	if (!sl_admission_allowed(agent, segment->uid, segment->gid, topic->name)) {
		refusal->code = SL_REFUSE_ACCESS;
		return sl_error_set(&refusal->err, -EACCES, "user %u may not write to this topic",
				    segment->uid);
	}
	/* Records in the ring name the slot: what it means must not change under them. */
	bound = segment->topics[topic->slot];
	if (bound >= 0 && strcmp(agent->topics.list[bound].name, topic->name) != 0) {
		refusal->code = SL_REFUSE_MALFORMED;
		return sl_error_set(&refusal->err, -EBUSY, "slot %u is bound to another topic",
				    topic->slot);
	}
	found = sl_topics_bind(agent, topic->name);
	if (found < 0)
		return sl_error_set(&refusal->err, found, "this agent knows %u topics, its limit",
				    agent->topics.count);
	/* One at a time: what workers have to answer stays bounded by the number of segments. */
	if (bound < 0 && segment->binds_done == segment->binds_told)
		binding_tell(agent, index, topic->slot, found);
	if (segment->binds_done != segment->binds_told)
		return 1;
	*partitions = agent->topics.list[found].known
			      ? (int32_t)agent->topics.list[found].partition_count
			      : -1;
	return 0;
}

/* One end of a Unix datagram pair: sending a byte to it can neither block nor raise a signal. */
static int wake_fd_check(int fd, struct sl_error *err)
{
	int domain = 0, type = 0;
	socklen_t bytes = sizeof(int);

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &bytes) < 0)
		return sl_error_set(err, -ENOTSOCK, "the descriptor of WAKE is no socket");
	bytes = sizeof(int);
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &bytes) < 0 || domain != AF_UNIX ||
	    type != SOCK_DGRAM)
		return sl_error_set(err, -EPROTOTYPE,
				    "the descriptor of WAKE is no Unix datagram socket");
	return 0;
}

int sl_agent_segment_wake(struct sl_agent *agent, uint32_t index, uint32_t ring, int fd,
			  struct sl_agent_refusal *refusal)
{
	struct sl_agent_segment *segment = segment_of(agent, index);
	struct sl_msg msg = {
		.kind = SL_MSG_SEGMENT_WAKE_FD, .a = index, .b = ring, .c = (uint64_t)fd};
	int rc = wake_fd_check(fd, &refusal->err);

	refusal->code = SL_REFUSE_MALFORMED;
	if (rc == 0 && ring >= segment->geometry.ring_count)
		rc = sl_error_set(&refusal->err, -ERANGE, "WAKE for ring %u of %u", ring,
				  segment->geometry.ring_count);
	if (rc == 0 && segment->wake_set[ring])
		rc = sl_error_set(&refusal->err, -EBUSY, "WAKE was sent twice for ring %u", ring);
	if (rc == 0)
		rc = sl_agent_tell(agent, segment->worker[ring], &msg);
	if (rc < 0) {
		close(fd);
		return rc;
	}
	segment->wake_set[ring] = true;
	return 0;
}
