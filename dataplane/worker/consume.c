/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the rings into batches, a run of records at a time: headers are checked, keys hashed and partitions found for the
 * run, then each record is appended. The order of a ring is kept because its records are appended in ring order, and its
 * cursor is stored only after all of them.
 */
#include "dataplane/worker/internal.h"

#include "dataplane/wire/error_code.h"

enum {
	RECORD_OVERHEAD_MAX = 21 + SL_BATCH_HEADER_BYTES, /* of the wire, above a record's tail */
	NEXT_EXTRA_BYTES = 24, /* of the next record's usual head, its run, and what the first run took */
};

enum step {
	STEP_TAKEN,
	STEP_FULL, /* the batch, which is closed now: the record goes to the next one */
	STEP_WAITS_INBOX,
	STEP_WAITS_TOPIC,
	STEP_WAITS_ARENA,
	STEP_WAITS_SHARE, /* that partition's broker or topic has no room: other partitions may have */
	STEP_TOO_LARGE,
	STEP_POISON_TAIL,
	STEP_POISON_TOPIC,
};

bool sl_ring_may_consume(const struct ring *ring)
{
	return ring->open && ring->reading && !ring->parked && !ring->waits_topic && !ring->waits_arena;
}

static struct topic *item_topic(struct sl_worker *w, const struct ring *ring, const struct sl_ring_item *item)
{
	uint16_t topic = w->segments[ring->segment].topics[item->topic_slot];

	return topic == UINT16_MAX ? NULL : &w->topics[topic];
}

/* The next partition for records without a key: one that is short of work and has a leader. */
void sl_topic_sticky_next(struct sl_worker *w, struct topic *topic)
{
	struct sl_sticky_load load = {
		.partition_count = topic->partition_count,
		.queue = topic->settings.adaptive ? topic->tables->queue : NULL,
		.available = topic->tables->available,
	};

	sl_sticky_next(&topic->sticky, &load, w->env->random(w->env->ctx));
}

/* How the record finds its partition; *key and *key_bytes are what is hashed, if anything is. */
static enum sl_partitioner_way item_way(const struct topic *topic, const struct sl_ring_item *item, const uint8_t **key,
					int32_t *key_bytes)
{
	enum sl_partitioner kind = topic->settings.partitioner;
	enum sl_partitioner_way way;

	/* A key that does not fit its record is found when the record is checked. */
	if (!sl_ring_item_key(item, key, key_bytes))
		*key_bytes = -1;
	way = sl_partitioner_way(kind, *key_bytes);
	return way == SL_PARTITIONER_WAY_HASH && topic->settings.ignore_keys ? SL_PARTITIONER_WAY_STICKY : way;
}

struct hash_run { /* keys that one partitioner hashes */
	const uint8_t *keys[ITEMS_A_RUN];
	uint32_t bytes[ITEMS_A_RUN], hashes[ITEMS_A_RUN], at[ITEMS_A_RUN];
	enum sl_partitioner kind;
	uint32_t count;
};

static void hash_run_end(struct sl_worker *w, struct hash_run *run)
{
	uint32_t i;

	sl_partitioner_hash_run(run->kind, run->keys, run->bytes, run->hashes, run->count);
	for (i = 0; i < run->count; i++)
		w->hashes[run->at[i]] = run->hashes[i];
	run->count = 0;
}

/* Finds each item's way, and hashes the keys together, so that the latencies of their hashes overlap. */
static void items_hash(struct sl_worker *w, const struct ring *ring, uint32_t count)
{
	struct hash_run run;
	uint32_t i;

	run.count = 0;
	for (i = 0; i < count; i++) {
		const struct sl_ring_item *item = &w->items[i];
		const struct topic *topic;
		const uint8_t *key = NULL;
		int32_t key_bytes;

		if (item->type != SL_RECORD_DATA || item->partition >= 0)
			continue;
		topic = item_topic(w, ring, item);
		if (!topic)
			continue;
		w->ways[i] = (uint8_t)item_way(topic, item, &key, &key_bytes);
		if (w->ways[i] != SL_PARTITIONER_WAY_HASH)
			continue;
		if (run.count > 0 && run.kind != (enum sl_partitioner)topic->settings.partitioner)
			hash_run_end(w, &run);
		run.kind = topic->settings.partitioner;
		run.keys[run.count] = key;
		run.bytes[run.count] = key_bytes > 0 ? (uint32_t)key_bytes : 0;
		run.at[run.count++] = i;
	}
	if (run.count > 0)
		hash_run_end(w, &run);
}

/* Index of the partition, or -1 when there is no such one. */
static int32_t route(struct sl_worker *w, struct topic *topic, uint32_t i)
{
	const struct sl_ring_item *item = &w->items[i];
	struct sl_sticky_load load = {topic->partition_count, NULL, topic->tables->available};

	if (item->partition >= 0)
		return (uint32_t)item->partition < topic->partition_count ? item->partition : -1;
	switch (w->ways[i]) {
	case SL_PARTITIONER_WAY_HASH:
		return (int32_t)sl_modulus_of_hash(&topic->modulus, w->hashes[i]);
	case SL_PARTITIONER_WAY_ROUND_ROBIN:
		return (int32_t)sl_round_robin_next(&topic->round_robin, &load);
	case SL_PARTITIONER_WAY_RANDOM:
		return (int32_t)sl_random_partition(&load, w->env->random(w->env->ctx));
	default:
		return (int32_t)topic->sticky.partition;
	}
}

/* Chunks that a record and its run take in a batch that is empty. */
static uint32_t chunks_of(const struct sl_worker *w, uint32_t tail_bytes)
{
	return ((tail_bytes + NEXT_EXTRA_BYTES) >> w->arena->chunk_shift) + 1;
}

static int batch_open(struct sl_worker *w, struct partition *p, int64_t timestamp_ms)
{
	struct topic *topic = &w->topics[p->topic];
	uint64_t timeout_ns = topic->settings.delivery_timeout_ns;
	uint64_t deadline = timeout_ns == SL_DEADLINE_NONE ? INT64_MAX : sl_up_ns(w) + timeout_ns;
	uint32_t batch;

	if (sl_batch_open(w->arena, p->slot, timestamp_ms, deadline, &batch) < 0)
		return -ENOSPC;
	sl_batch_fill_set(w->arena, batch, topic->settings.batch_bytes);
	w->extras[batch] = (struct batch_extra){.link = NONE, .partition = (uint32_t)(p - w->partitions)};
	w->live_batches++;
	topic->tables->queue[p->index]++;
	p->open = batch;
	p->leave = topic->settings.linger_ns == 0 || w->flushing;
	if (!p->leave)
		sl_heap_set(&w->linger, (uint32_t)(p - w->partitions), w->now_ns + topic->settings.linger_ns);
	sl_partition_active(w, p);
	return 0;
}

/* Whether the next record would not fit, if it is like this one. Where runs take more, that record finds out. */
static bool batch_full(const struct sl_worker *w, const struct partition *p, uint32_t record_bytes)
{
	return sl_batch_bytes(w->arena, p->open) + record_bytes + NEXT_EXTRA_BYTES >
	       w->topics[p->topic].settings.batch_bytes;
}

static void close_full(struct sl_worker *w, struct partition *p)
{
	sl_partition_seal(w, p);
	sl_partition_update(w, p);
}

static enum step append_refused(struct sl_worker *w, struct partition *p, uint32_t tail_bytes, int rc)
{
	switch (rc) {
	case -E2BIG:
		close_full(w, p);
		return STEP_FULL;
	case -EBADMSG:
		return STEP_POISON_TAIL;
	case -EMSGSIZE:
		return STEP_TOO_LARGE;
	case -EDQUOT:
		sl_share_ask(w, p, chunks_of(w, tail_bytes)); /* notes whose share it is */
		return STEP_WAITS_SHARE;
	default:
		return STEP_WAITS_ARENA;
	}
}

/* Appends to the partition's open batch; closes it when the next record of this size, or this one, would not fit. */
static enum step append(struct sl_worker *w, struct ring *ring, struct partition *p, const struct sl_ring_item *item,
			uint64_t seq, bool *boundary)
{
	struct sl_batch_record record = {ring->slot, seq, item->timestamp_ms, item->tail, item->tail_bytes};
	int rc;

	*boundary = false;
	if (p->open == NONE) {
		if (!sl_share_ask(w, p, chunks_of(w, item->tail_bytes)))
			return STEP_WAITS_SHARE;
		if (batch_open(w, p, item->timestamp_ms) < 0)
			return STEP_WAITS_ARENA;
		*boundary = true;
	}
	rc = sl_batch_append(w->arena, p->open, &record);
	if (SL_UNLIKELY(rc < 0))
		return append_refused(w, p, item->tail_bytes, rc);
	if (SL_UNLIKELY(batch_full(w, p, item->tail_bytes))) {
		*boundary = true;
		close_full(w, p);
	} else if (*boundary && p->leave) {
		sl_partition_update(w, p);
	}
	return STEP_TAKEN;
}

/* The record gets its outcome here: it fails alone, and the rest goes on. */
static enum step reject(struct sl_worker *w, struct ring *ring, struct topic *topic, uint64_t seq, int16_t error)
{
	if (sl_batch_reject(w->arena, ring->slot, seq, error) < 0)
		return STEP_WAITS_ARENA;
	STAT_ADD(w->stats.failed, 1);
	STAT_ADD(topic->stats.failed, 1);
	w->ledger.rejected[topic - w->topics]++;
	STAT_ADD(w->stats.queued, (uint64_t)-1); /* counted in with the run */
	return STEP_TAKEN;
}

/*
 * A slot that was never bound is a lie, unless the binding is on its way: in the inbox, which this turn has read before
 * the ring, or, where the ring outlived an agent, from an application that comes back and binds its topics again.
 */
static enum step topic_missing(const struct sl_worker *w, const struct ring *ring)
{
	if (ring->resumed && !ring->draining)
		return STEP_WAITS_TOPIC;
	return sl_msg_ring_empty(&w->inbox) ? STEP_POISON_TOPIC : STEP_WAITS_INBOX;
}

static bool item_sticky(const struct sl_worker *w, uint32_t i)
{
	return w->items[i].partition < 0 && w->ways[i] == SL_PARTITIONER_WAY_STICKY;
}

/* Where a record goes that found its batch full: if a change of partition is due, it is not left behind in a new batch. */
static int32_t route_again(struct sl_worker *w, struct topic *topic, uint32_t i, int32_t index)
{
	if (!item_sticky(w, i) || !sl_sticky_account(&topic->sticky, 0, topic->settings.batch_bytes, true))
		return index;
	sl_topic_sticky_next(w, topic);
	return (int32_t)topic->sticky.partition;
}

/*
 * The share of the record's partition is full. A record without a place of its own goes to one that has room, if any has:
 * then the step is to be done again, with *index. Each share that refuses is avoided from then on, so this ends.
 */
static enum step route_around(struct sl_worker *w, struct topic *topic, uint32_t i, int32_t *index)
{
	if (w->items[i].partition >= 0 || w->ways[i] == SL_PARTITIONER_WAY_HASH) {
		w->share_slot = w->partitions[topic->tables->partitions[*index]].slot;
		return STEP_WAITS_SHARE;
	}
	w->share_slot = NONE;
	*index = route(w, topic, i);
	return topic->tables->available[*index] ? STEP_FULL : STEP_WAITS_SHARE;
}

static enum step item_take(struct sl_worker *w, struct ring *ring, uint32_t i, uint64_t seq)
{
	const struct sl_ring_item *item = &w->items[i];
	struct topic *topic = item_topic(w, ring, item);
	int32_t index;
	bool boundary;
	enum step step;

	if (SL_UNLIKELY(!topic))
		return topic_missing(w, ring);
	if (SL_UNLIKELY(!topic->known))
		return STEP_WAITS_TOPIC;
	if (SL_UNLIKELY(topic->error != 0))
		return reject(w, ring, topic, seq, topic->error);
	if (SL_UNLIKELY(item->tail_bytes > topic->settings.request_bytes_max - RECORD_OVERHEAD_MAX))
		return reject(w, ring, topic, seq, SL_KAFKA_MESSAGE_TOO_LARGE);
	index = route(w, topic, i);
	if (SL_UNLIKELY(index < 0))
		return reject(w, ring, topic, seq, SL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
	do { /* at most three times a share: a batch that was just opened is not full, and a change of partition is due once */
		step = append(w, ring, &w->partitions[topic->tables->partitions[index]], item, seq, &boundary);
		if (SL_UNLIKELY(step == STEP_FULL))
			index = route_again(w, topic, i, index);
		else if (SL_UNLIKELY(step == STEP_WAITS_SHARE))
			step = route_around(w, topic, i, &index);
	} while (SL_UNLIKELY(step == STEP_FULL));
	if (SL_UNLIKELY(step == STEP_TOO_LARGE))
		return reject(w, ring, topic, seq, SL_KAFKA_MESSAGE_TOO_LARGE);
	if (step == STEP_TAKEN && item_sticky(w, i) &&
	    sl_sticky_account(&topic->sticky, item->tail_bytes, topic->settings.batch_bytes, boundary))
		sl_topic_sticky_next(w, topic);
	return step;
}

static void run_count(struct sl_worker *w, struct ring *ring, uint32_t taken)
{
	uint32_t i = 0;

	while (i < taken) { /* counters by runs of one topic */
		struct topic *topic = item_topic(w, ring, &w->items[i]);
		uint64_t records = 0, bytes = 0;

		do {
			records += w->items[i].type == SL_RECORD_DATA;
			bytes += w->items[i].tail_bytes;
			i++;
		} while (i < taken && w->items[i].topic_slot == w->items[i - 1].topic_slot);
		if (!topic || records == 0)
			continue;
		STAT_ADD(w->stats.consumed, records);
		STAT_ADD(w->stats.consumed_bytes, bytes);
		STAT_ADD(w->stats.queued, records);
		STAT_ADD(topic->stats.consumed, records);
		STAT_ADD(topic->stats.bytes, bytes);
	}
}

static void step_stop(struct sl_worker *w, struct ring *ring, enum step step, const struct sl_ring_item *item)
{
	switch (step) {
	case STEP_WAITS_TOPIC:
		ring->waits_topic = true;
		break;
	case STEP_WAITS_ARENA:
		ring->waits_arena = true;
		ring->waits_slot = NONE;
		STAT_ADD(w->stats.arena_full, 1);
		break;
	case STEP_WAITS_SHARE:
		ring->waits_arena = true;
		ring->waits_slot = w->share_slot;
		break;
	case STEP_POISON_TAIL:
	case STEP_POISON_TOPIC:
		ring->reader.poison_pos = item->pos;
		sl_ring_poison(w, ring, step == STEP_POISON_TAIL ? SL_POISON_TAIL : SL_POISON_TOPIC);
		break;
	case STEP_WAITS_INBOX: /* looked at again in the next turn */
	case STEP_FULL: /* went to another batch */
	case STEP_TOO_LARGE:
	case STEP_TAKEN:
		break;
	}
}

/* Takes items[0, count). Returns how many it took; the reader is moved back to the first that it did not. */
static uint32_t run_take(struct sl_worker *w, struct ring *ring, uint32_t count, uint64_t seq)
{
	uint32_t i;

	items_hash(w, ring, count);
	for (i = 0; i < count; i++) {
		enum step step = STEP_TAKEN;

		if (SL_UNLIKELY(w->items[i].type == SL_RECORD_FLUSH)) {
			w->flush_now = true;
			continue;
		}
		step = item_take(w, ring, i, seq);
		if (SL_UNLIKELY(step != STEP_TAKEN)) {
			ring->reader.read_pos = w->items[i].pos;
			ring->reader.next_seq = seq;
			step_stop(w, ring, step, &w->items[i]);
			break;
		}
		seq++;
	}
	run_count(w, ring, i);
	return i;
}

static void turn_open(struct sl_worker *w)
{
	if (w->turn_open)
		return;
	w->turn_open = true;
	if (w->missing_rings == 0) /* else it would untag the evidence for theirs */
		sl_arena_turn_begin(w->arena);
}

static uint32_t ring_consume(struct sl_worker *w, struct ring *ring)
{
	uint64_t start = ring->reader.read_pos;
	uint32_t taken = 0;

	turn_open(w);
	while (ring->reader.read_pos - start < RING_BYTES_A_TURN && sl_ring_may_consume(ring)) {
		uint64_t seq = ring->reader.next_seq;
		enum sl_poison poison;
		uint32_t count = sl_ring_reader_walk(&ring->reader, w->items, ITEMS_A_RUN, &poison);
		uint32_t got = run_take(w, ring, count, seq);

		taken += got;
		if (SL_UNLIKELY(poison != SL_POISON_NONE && got == count)) {
			sl_ring_poison(w, ring, poison);
			break;
		}
		if (got < count || count == 0)
			break;
	}
	if (ring->draining && ring->reader.read_pos == ring->reader.committed_pos)
		ring->reading = false;
	if (ring->reader.read_pos != start) {
		sl_arena_ring_cursor_store(w->arena, ring->slot, ring->reader.read_pos, ring->reader.next_seq);
		sl_ring_reader_publish(&ring->reader, ring->page);
		sl_ring_touch(w, ring);
	}
	return taken;
}

/* Anything to take? The application's line is looked at only when what was seen of it is used up. */
static bool ring_ready(struct sl_worker *w, struct ring *ring)
{
	enum sl_poison poison;

	if (!sl_ring_may_consume(ring))
		return false;
	if (ring->reader.read_pos != ring->reader.committed_pos)
		return true;
	if (ring->draining)
		return false;
	poison = sl_ring_reader_refresh(&ring->reader, ring->app);
	if (SL_UNLIKELY(poison != SL_POISON_NONE)) {
		sl_ring_poison(w, ring, poison);
		return false;
	}
	return ring->reader.read_pos != ring->reader.committed_pos;
}

static void rejects_resolve(struct sl_worker *w)
{
	uint32_t batches[SL_REJECT_ERRORS_MAX];
	uint32_t count = sl_arena_rejects_resolve(w->arena, batches, SL_ARRAY_COUNT(batches));
	uint32_t i;

	for (i = 0; i < count; i++) {
		w->extras[batches[i]] = (struct batch_extra){.link = NONE, .partition = NONE};
		sl_ledger_resolved(w, batches[i]);
		sl_resolved_push(w, batches[i]);
	}
}

static void flush_apply(struct sl_worker *w)
{
	uint32_t i;

	w->flush_now = false;
	for (i = 0; i < w->active_count; i++)
		sl_partition_leave(w, &w->partitions[w->active[i]]);
}

uint32_t sl_consume(struct sl_worker *w)
{
	uint32_t taken = 0, n;

	if (w->arena_freed)
		sl_arena_waiters_release(w);
	w->turn_open = false;
	for (n = 0; n < w->ring_count; n++) {
		struct ring *ring = &w->rings[(w->ring_next + n) % w->ring_count];

		if (ring_ready(w, ring))
			taken += ring_consume(w, ring);
	}
	if (!w->turn_open)
		return 0;
	w->ring_next++;
	rejects_resolve(w);
	if (w->flush_now)
		flush_apply(w);
	return taken;
}
