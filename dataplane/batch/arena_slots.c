/* SPDX-License-Identifier: Apache-2.0 */
/* The small tables: producer ids, topics, partitions, segments, rings. All fields first, then the
 * state. */
#include <errno.h>
#include <string.h>

#include "dataplane/batch/arena.h"
#include "dataplane/batch/arena_internal.h"

static uint32_t state_load(const _Atomic uint32_t *state)
{
	return atomic_load_explicit(state, memory_order_relaxed);
}

static void state_store(_Atomic uint32_t *state, enum sl_slot_state value)
{
	SL_ORDER(); /* the slot's fields are complete, or no longer needed */
	atomic_store_explicit(state, value, memory_order_relaxed);
	SL_ORDER();
}

int sl_arena_pid_add(struct sl_arena *a, int64_t producer_id, uint64_t now_realtime_ms,
		     uint32_t *slot)
{
	uint32_t i;

	SL_ASSERT(producer_id >= 0);
	for (i = 0; i < SL_ARENA_PIDS; i++) {
		struct sl_arena_pid *pid = &a->header->pids[i];

		if (pid->producer_id >= 0)
			continue;
		pid->created_realtime_ms = (int64_t)now_realtime_ms;
		pid->epoch_floor = 0;
		SL_ORDER(); /* in use from here */
		pid->producer_id = producer_id;
		SL_ORDER();
		*slot = i;
		return 0;
	}
	return -ENOSPC;
}

bool sl_arena_cluster_known(const struct sl_arena *a)
{
	return a->header->cluster_id[0] != 0;
}

bool sl_arena_cluster_is(const struct sl_arena *a, const char *id)
{
	return strncmp(a->header->cluster_id, id, sizeof(a->header->cluster_id) - 1) == 0;
}

/* Its first letter is taken away first and comes back last: half an id is none. */
void sl_arena_cluster_store(struct sl_arena *a, const char *id)
{
	char *to = a->header->cluster_id;
	size_t bytes = strnlen(id, sizeof(a->header->cluster_id) - 1);

	to[0] = 0;
	SL_ORDER();
	memset(to + 1, 0, sizeof(a->header->cluster_id) - 1);
	if (bytes > 1)
		memcpy(to + 1, id + 1, bytes - 1);
	SL_ORDER();
	to[0] = id[0];
	SL_ORDER();
}

/* Partitions first: one whose producer id is gone would start over in an epoch that it had. */
void sl_arena_pids_forget(struct sl_arena *a)
{
	uint32_t i;

	for (i = 0; i < a->partition_count; i++) {
		atomic_store_explicit(&a->partitions[i].seq,
				      sl_partition_seq_pack((struct sl_partition_seq){
					      .pid_slot = SL_ARENA_PID_NONE}),
				      memory_order_relaxed);
		SL_ORDER();
	}
	for (i = 0; i < SL_ARENA_PIDS; i++) {
		a->header->pids[i].producer_id = -1;
		SL_ORDER();
	}
}

int sl_arena_topic_add(struct sl_arena *a, const char *name, const uint8_t topic_id[16],
		       uint32_t *slot)
{
	size_t name_bytes = strlen(name);
	uint32_t i;

	if (name_bytes > sizeof(a->topics->name))
		return -EINVAL;
	for (i = 0; i < a->topic_count; i++) {
		struct sl_arena_topic *topic = &a->topics[i];

		if (state_load(&topic->state) != SL_SLOT_FREE)
			continue;
		topic->partition_count = 0;
		memcpy(topic->topic_id, topic_id, sizeof(topic->topic_id));
		memset(topic->name, 0, sizeof(topic->name));
		memcpy(topic->name, name, name_bytes);
		topic->name_bytes = (uint8_t)name_bytes;
		state_store(&topic->state, SL_SLOT_LIVE);
		*slot = i;
		return 0;
	}
	return -ENOSPC;
}

void sl_arena_topic_partitions_store(struct sl_arena *a, uint32_t topic_slot,
				     uint32_t partition_count)
{
	SL_ASSERT(topic_slot < a->topic_count);
	SL_ORDER();
	a->topics[topic_slot].partition_count = partition_count;
	SL_ORDER();
}

void sl_arena_topic_drop(struct sl_arena *a, uint32_t topic_slot)
{
	SL_ASSERT(topic_slot < a->topic_count);
	state_store(&a->topics[topic_slot].state, SL_SLOT_FREE);
}

int sl_arena_partition_add(struct sl_arena *a, uint32_t topic_slot, int32_t index, uint32_t *slot)
{
	struct sl_partition_seq seq = {.pid_slot = SL_ARENA_PID_NONE};
	uint32_t i;

	SL_ASSERT(topic_slot < a->topic_count);
	for (i = 0; i < a->partition_count; i++) {
		struct sl_arena_partition *p = &a->partitions[i];

		if (state_load(&p->state) != SL_SLOT_FREE)
			continue;
		atomic_store_explicit(&p->seq, sl_partition_seq_pack(seq), memory_order_relaxed);
		p->topic = topic_slot;
		p->index = index;
		p->last_ack_realtime_ms = p->last_ack_max_ts = p->last_ack_offset = -1;
		p->leader_epoch = 0;
		state_store(&p->state, SL_SLOT_LIVE);
		sl_budget_partition_add(a, i);
		*slot = i;
		return 0;
	}
	return -ENOSPC;
}

/*
 * Whoever makes the partition anew, under this producer id, starts above the epochs that were used:
 * else the broker knows sequence 0 of that epoch, answers "duplicate", and the data is gone.
 */
static void epoch_floor_raise(struct sl_arena *a, struct sl_partition_seq seq)
{
	struct sl_arena_pid *pid;

	if (seq.pid_slot >= SL_ARENA_PIDS)
		return;
	pid = &a->header->pids[seq.pid_slot];
	if (pid->epoch_floor < seq.epoch + 1)
		pid->epoch_floor = (uint16_t)(seq.epoch + 1);
	SL_ORDER();
}

void sl_arena_partition_drop(struct sl_arena *a, uint32_t partition_slot)
{
	struct sl_arena_partition *p = &a->partitions[partition_slot];

	SL_ASSERT(partition_slot < a->partition_count);
	epoch_floor_raise(
		a, sl_partition_seq_unpack(atomic_load_explicit(&p->seq, memory_order_relaxed)));
	sl_budget_partition_drop(a, partition_slot);
	state_store(&p->state, SL_SLOT_FREE);
}

int sl_partition_pid_move(struct sl_arena *a, struct sl_arena_partition *p, uint32_t pid_slot)
{
	struct sl_partition_seq old =
		sl_partition_seq_unpack(atomic_load_explicit(&p->seq, memory_order_relaxed));
	struct sl_partition_seq seq = {.epoch = a->header->pids[pid_slot].epoch_floor,
				       .pid_slot = (uint8_t)pid_slot};

	if (seq.epoch > SL_EPOCH_MAX)
		return -EOVERFLOW;
	epoch_floor_raise(a, old);
	atomic_store_explicit(&p->seq, sl_partition_seq_pack(seq), memory_order_relaxed);
	SL_ORDER();
	return 0;
}

void sl_arena_partition_acked(struct sl_arena *a, uint32_t partition_slot, int64_t now_realtime_ms,
			      int64_t max_ts, int64_t offset)
{
	struct sl_arena_partition *p = &a->partitions[partition_slot];

	SL_ASSERT(partition_slot < a->partition_count);
	p->last_ack_realtime_ms = now_realtime_ms;
	p->last_ack_max_ts = max_ts;
	p->last_ack_offset = offset;
}

void sl_arena_partition_leader_store(struct sl_arena *a, uint32_t partition_slot,
				     uint32_t leader_epoch)
{
	SL_ASSERT(partition_slot < a->partition_count);
	a->partitions[partition_slot].leader_epoch = leader_epoch;
	SL_ORDER(); /* before the first byte of a request to that leader */
}

int sl_arena_segment_add(struct sl_arena *a, const struct sl_arena_segment_init *init,
			 uint32_t *slot)
{
	uint32_t i;

	for (i = 0; i < a->segment_count; i++) {
		struct sl_arena_segment *s = &a->segments[i];

		if (state_load(&s->state) != SL_SLOT_FREE)
			continue;
		s->uid = init->uid;
		s->gid = init->gid;
		s->ring_first = init->ring_first;
		s->ring_count = init->ring_count;
		s->ring_bytes = init->ring_bytes;
		s->data_dev = init->data_dev;
		s->data_ino = init->data_ino;
		s->status_dev = init->status_dev;
		s->status_ino = init->status_ino;
		memcpy(s->client_id, init->client_id, sizeof(s->client_id));
		memcpy(s->token, init->token, sizeof(s->token));
		memset(s->topics, 0xff, sizeof(s->topics)); /* SL_SEGMENT_TOPIC_NONE */
		state_store(&s->state, SL_SLOT_LIVE);
		*slot = i;
		return 0;
	}
	return -ENOSPC;
}

void sl_arena_segment_topic_store(struct sl_arena *a, uint32_t segment_slot,
				  uint32_t client_topic_slot, uint32_t topic_slot)
{
	SL_ASSERT(segment_slot < a->segment_count && client_topic_slot < SL_SEGMENT_TOPICS);
	SL_ASSERT(topic_slot < a->topic_count || topic_slot == SL_SEGMENT_TOPIC_NONE);
	a->segments[segment_slot].topics[client_topic_slot] = (uint16_t)topic_slot;
	SL_ORDER(); /* before the application hears of its slot */
}

void sl_arena_segment_drop(struct sl_arena *a, uint32_t segment_slot)
{
	SL_ASSERT(segment_slot < a->segment_count);
	state_store(&a->segments[segment_slot].state, SL_SLOT_FREE);
}

static uint64_t oldest_birth(const struct sl_arena *a)
{
	uint64_t oldest = a->birth_next;
	uint32_t b;

	for (b = 0; b < a->batch_count; b++)
		if (sl_life_load(&a->batches[b]).state != SL_BATCH_FREE &&
		    a->batches[b].birth < oldest)
			oldest = a->batches[b].birth;
	return oldest;
}

static int ring_slot_find(const struct sl_arena *a, uint32_t *slot)
{
	uint64_t oldest = 0;
	uint32_t i;

	for (i = 0; i < a->ring_count; i++) {
		if (state_load(&a->rings[i].state) == SL_SLOT_FREE) {
			*slot = i;
			return 0;
		}
	}
	/* A retired ring's slot is free when all batches that could name it are gone. */
	for (i = 0; i < a->ring_count; i++) {
		if (state_load(&a->rings[i].state) != SL_SLOT_RETIRED)
			continue;
		if (oldest == 0)
			oldest = oldest_birth(a);
		if (oldest >= a->rings[i].retire_birth) {
			*slot = i;
			return 0;
		}
	}
	return -ENOSPC;
}

int sl_arena_ring_add(struct sl_arena *a, uint32_t segment_slot, uint32_t index, uint32_t *slot)
{
	return sl_arena_ring_add_at(a, segment_slot, index, 0, 0, slot);
}

int sl_arena_ring_add_at(struct sl_arena *a, uint32_t segment_slot, uint32_t index, uint64_t pos, uint64_t seq,
			 uint32_t *slot)
{
	struct sl_arena_ring *ring;

	SL_ASSERT(segment_slot < a->segment_count);
	if (ring_slot_find(a, slot) < 0)
		return -ENOSPC;
	ring = &a->rings[*slot];
	/* A retired slot must not look live with half of its fields. */
	state_store(&ring->state, SL_SLOT_FREE);
	atomic_store_explicit(&ring->generation, 0, memory_order_relaxed);
	memset(ring->slot, 0, sizeof(ring->slot));
	ring->poison = 0;
	ring->segment = segment_slot;
	ring->index = index;
	ring->retire_birth = 0;
	ring->report_mode = 0;
	memset(&a->evidence[*slot], 0, sizeof(a->evidence[*slot]));
	a->ring_seq[*slot] = 0;
	/* Before it is live: who finds it without would read the ring from its beginning. */
	if (pos > 0 || seq > 0)
		sl_arena_ring_cursor_store(a, *slot, pos, seq);
	state_store(&ring->state, SL_SLOT_LIVE);
	return 0;
}

void sl_arena_ring_mode_store(struct sl_arena *a, uint32_t ring_slot, uint32_t report_mode)
{
	SL_ASSERT(ring_slot < a->ring_count);
	a->rings[ring_slot].report_mode = report_mode;
	SL_ORDER(); /* before the application hears that it is open */
}

void sl_arena_ring_retire(struct sl_arena *a, uint32_t ring_slot)
{
	SL_ASSERT(ring_slot < a->ring_count);
	a->rings[ring_slot].retire_birth = a->birth_next;
	state_store(&a->rings[ring_slot].state, SL_SLOT_RETIRED);
}
