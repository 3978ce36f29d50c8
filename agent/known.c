/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/known.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/agent.h"
#include "dataplane/base/clock.h"
#include "dataplane/batch/arena.h"

/* How long an application may take to come back. Without a keeper nobody can say whether it lives;
 * its library tries at least once a second. */
#define REATTACH_GRACE_NS (5 * SL_NS_PER_S)

static bool live(const _Atomic uint32_t *state)
{
	return atomic_load_explicit(state, memory_order_relaxed) == SL_SLOT_LIVE;
}

static bool same(const struct sl_known_segment *known, const struct sl_arena_segment *s)
{
	return known->data_dev == s->data_dev && known->data_ino == s->data_ino &&
	       known->status_dev == s->status_dev && known->status_ino == s->status_ino &&
	       memcmp(known->token, s->token, sizeof(known->token)) == 0;
}

static struct sl_known_segment *segment_new(struct sl_known *known,
					    const struct sl_arena_segment *from)
{
	struct sl_known_segment *segment;

	if (known->count == known->room) {
		uint32_t room = known->room * 2 + 16;

		segment = realloc(known->list, room * sizeof(*segment));
		if (!segment)
			return NULL;
		known->list = segment;
		known->room = room;
	}
	segment = &known->list[known->count++];
	memset(segment, 0, sizeof(*segment));
	segment->uid = from->uid;
	segment->gid = from->gid;
	segment->ring_count = from->ring_count;
	segment->ring_bytes = from->ring_bytes;
	segment->data_dev = from->data_dev;
	segment->data_ino = from->data_ino;
	segment->status_dev = from->status_dev;
	segment->status_ino = from->status_ino;
	memcpy(segment->client_id, from->client_id, sizeof(segment->client_id));
	memcpy(segment->token, from->token, sizeof(segment->token));
	memset(segment->worker, 0xff, sizeof(segment->worker)); /* SL_KNOWN_NOWHERE */
	memset(segment->topics, 0xff, sizeof(segment->topics));
	known->waiting++;
	return segment;
}

/* Its rings may be spread over workers; each arena has a part of it. */
static struct sl_known_segment *segment_of(struct sl_known *known,
					   const struct sl_arena_segment *from)
{
	for (uint32_t i = 0; i < known->count; i++)
		if (same(&known->list[i], from))
			return &known->list[i];
	return segment_new(known, from);
}

static void topics_read(struct sl_known_segment *segment, const struct sl_arena_segment *from,
			const int32_t *index_of)
{
	for (uint32_t t = 0; t < SL_SHM_TOPICS_MAX; t++)
		if (from->topics[t] != SL_SEGMENT_TOPIC_NONE)
			segment->topics[t] = index_of[from->topics[t]];
}

static int segments_read(struct sl_agent *agent, uint32_t worker, const struct sl_arena *arena,
			 const int32_t *index_of)
{
	for (uint32_t i = 0; i < arena->segment_count; i++) {
		const struct sl_arena_segment *from = &arena->segments[i];
		struct sl_known_segment *segment;

		if (!live(&from->state))
			continue;
		segment = segment_of(&agent->known, from);
		if (!segment)
			return -ENOMEM;
		segment->worker_mask |= UINT64_C(1) << worker;
		segment->slot[worker] = i;
		topics_read(segment, from, index_of);
		for (uint32_t r = 0; r < arena->ring_count; r++) {
			const struct sl_arena_ring *ring = &arena->rings[r];

			if (!live(&ring->state) || ring->segment != i)
				continue;
			segment->worker[ring->index] = (uint16_t)worker;
			segment->report_mode[ring->index] =
				(uint8_t)(ring->report_mode ? ring->report_mode : SL_REPORT_ALL);
		}
	}
	return 0;
}

static int topics_bind(struct sl_agent *agent, const struct sl_arena *arena, int32_t *index_of)
{
	for (uint32_t i = 0; i < arena->topic_count; i++) {
		index_of[i] = -1;
		if (!live(&arena->topics[i].state))
			continue;
		index_of[i] = sl_topics_bind(agent, arena->topics[i].name);
		if (index_of[i] < 0)
			return index_of[i];
	}
	return 0;
}

static int arena_read(struct sl_agent *agent, uint32_t worker, const struct sl_arena *arena)
{
	int32_t *index_of = malloc((arena->topic_count + 1) * sizeof(*index_of));
	struct sl_producer_id_state *producer = &agent->workers[worker].producer;
	int64_t latest_ms = INT64_MIN;
	int rc;

	if (!index_of)
		return -ENOMEM;
	/* Names first: segments of all workers speak of one index. */
	rc = topics_bind(agent, arena, index_of);
	if (rc == 0)
		rc = segments_read(agent, worker, arena, index_of);
	free(index_of);
	for (uint32_t i = 0; i < SL_ARENA_PIDS; i++) {
		const struct sl_arena_pid *pid = &arena->header->pids[i];

		if (pid->producer_id < 0 || pid->created_realtime_ms < latest_ms)
			continue;
		latest_ms = pid->created_realtime_ms;
		producer->id = pid->producer_id;
		producer->given = true;
	}
	return rc;
}

int sl_known_begin(struct sl_agent *agent, struct sl_arena *const *arenas, bool give_up,
		   struct sl_error *err)
{
	agent->known.give_up_ns = sl_agent_now_ns(agent) + (give_up ? 0 : REATTACH_GRACE_NS);
	for (uint32_t i = 0; i < agent->worker_count; i++) {
		int rc = arenas[i] ? arena_read(agent, i, arenas[i]) : 0;

		if (rc < 0)
			return sl_error_set(err, rc,
					    "what worker %u's arena knows does not fit: %s", i,
					    strerror(-rc));
	}
	return 0;
}

void sl_known_fini(struct sl_agent *agent)
{
	free(agent->known.list);
	memset(&agent->known, 0, sizeof(agent->known));
}

struct sl_known_segment *sl_known_find(struct sl_agent *agent, int data_fd, int status_fd,
				       const uint8_t *client_id, const uint8_t *token)
{
	struct stat data, status;

	if (agent->known.waiting == 0 || fstat(data_fd, &data) < 0 || fstat(status_fd, &status) < 0)
		return NULL;
	for (uint32_t i = 0; i < agent->known.count; i++) {
		struct sl_known_segment *k = &agent->known.list[i];

		if (!k->taken && k->data_dev == data.st_dev && k->data_ino == data.st_ino &&
		    k->status_dev == status.st_dev && k->status_ino == status.st_ino &&
		    (!client_id || memcmp(k->client_id, client_id, sizeof(k->client_id)) == 0) &&
		    (!token || memcmp(k->token, token, sizeof(k->token)) == 0))
			return k;
	}
	return NULL;
}

void sl_known_take(struct sl_agent *agent, struct sl_known_segment *known)
{
	SL_ASSERT(!known->taken && agent->known.waiting > 0);
	known->taken = true;
	agent->known.waiting--;
}

static void give_up(struct sl_agent *agent, struct sl_known_segment *known)
{
	sl_known_take(agent, known);
	for (uint32_t w = 0; w < agent->worker_count; w++) {
		struct sl_msg msg = {.kind = SL_MSG_SEGMENT_GIVE_UP, .a = known->slot[w]};

		if (known->worker_mask & UINT64_C(1) << w)
			sl_agent_tell(agent, w, &msg);
	}
	SL_LOG(&agent->log, SL_LOG_WARNING, "application_given_up", SL_N("uid", known->uid),
	       SL_N("rings", known->ring_count));
}

uint64_t sl_known_turn(struct sl_agent *agent, uint64_t now_ns)
{
	if (agent->known.waiting == 0)
		return SL_DEADLINE_NONE;
	if (now_ns < agent->known.give_up_ns)
		return agent->known.give_up_ns;
	for (uint32_t i = 0; i < agent->known.count; i++)
		if (!agent->known.list[i].taken)
			give_up(agent, &agent->known.list[i]);
	return SL_DEADLINE_NONE;
}
