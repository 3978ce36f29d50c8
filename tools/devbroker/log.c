/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/devbroker/log.h"

#include <stdlib.h>

#include "dataplane/base/assert.h"
#include "dataplane/wire/batch_header.h"

enum {
	SEGMENT_BYTES_MIN = 64 << 10, /* an idle partition costs little */
	SEGMENT_BYTES_MAX = 4 << 20,
	LEADER_EPOCH_OFFSET = 12,
	LAST_OFFSET_DELTA_OFFSET = 23,
};

void sl_db_log_init(struct sl_db_log *log, struct sl_db_pool *pool)
{
	*log = (struct sl_db_log){.pool = pool};
}

static void pool_unlink(struct sl_db_pool *pool, struct sl_db_segment *segment)
{
	if (segment->pool_prev)
		segment->pool_prev->pool_next = segment->pool_next;
	else
		pool->oldest = segment->pool_next;
	if (segment->pool_next)
		segment->pool_next->pool_prev = segment->pool_prev;
	else
		pool->newest = segment->pool_prev;
	SL_ASSERT(pool->bytes >= segment->capacity_bytes);
	pool->bytes -= segment->capacity_bytes;
}

static void pool_link(struct sl_db_pool *pool, struct sl_db_segment *segment)
{
	segment->pool_next = NULL;
	segment->pool_prev = pool->newest;
	if (pool->newest)
		pool->newest->pool_next = segment;
	else
		pool->oldest = segment;
	pool->newest = segment;
	pool->bytes += segment->capacity_bytes;
}

/* Takes a log's first segment out; the caller frees or reuses it. */
static struct sl_db_segment *first_take(struct sl_db_log *log)
{
	struct sl_db_segment *segment = log->first;

	log->first = segment->next;
	if (!log->first)
		log->last = NULL;
	log->start_offset = log->first ? log->first->base_offset : log->end_offset;
	if (log->hint_segment == segment)
		log->hint_segment = NULL;
	pool_unlink(log->pool, segment);
	return segment;
}

static void log_empty(struct sl_db_log *log)
{
	while (log->first)
		free(first_take(log));
}

void sl_db_log_fini(struct sl_db_log *log)
{
	log_empty(log);
}

/*
 * Makes room for a segment of capacity_bytes and returns one, NULL when there is no memory. A
 * segment that had to go is used again where it fits: fresh memory costs a page fault every 4 KiB.
 */
static struct sl_db_segment *segment_new(struct sl_db_pool *pool, uint32_t capacity_bytes)
{
	struct sl_db_segment *segment = NULL;

	while (pool->oldest && pool->bytes + capacity_bytes > pool->bytes_max) {
		free(segment);
		/* The oldest of all is also the oldest of its log: both lists grow at the end. */
		SL_ASSERT(pool->oldest->log->first == pool->oldest);
		segment = first_take(pool->oldest->log);
	}
	if (segment && segment->capacity_bytes != capacity_bytes) {
		free(segment);
		segment = NULL;
	}
	if (!segment)
		segment = malloc(sizeof(*segment) + capacity_bytes);
	if (segment)
		segment->capacity_bytes = capacity_bytes;
	return segment;
}

static struct sl_db_segment *segment_for(struct sl_db_log *log, uint32_t bytes)
{
	struct sl_db_pool *pool = log->pool;
	struct sl_db_segment *segment = log->last;
	uint32_t capacity = SEGMENT_BYTES_MIN;

	if (segment && segment->capacity_bytes - segment->used_bytes >= bytes)
		return segment;
	if (segment)
		capacity = segment->capacity_bytes < SEGMENT_BYTES_MAX / 2
				   ? segment->capacity_bytes * 2
				   : SEGMENT_BYTES_MAX;
	/* One partition's segment must not be most of a small cap. */
	while (capacity > SEGMENT_BYTES_MIN && capacity > pool->bytes_max / 8)
		capacity /= 2;
	if (capacity < bytes)
		capacity = bytes;
	if (capacity > pool->bytes_max)
		return NULL;
	segment = segment_new(pool, capacity);
	if (!segment)
		return NULL;
	segment->next = NULL;
	segment->log = log;
	segment->base_offset = log->end_offset;
	segment->used_bytes = 0;
	pool_link(pool, segment);
	/* Making room may have emptied this very log. */
	if (log->last)
		log->last->next = segment;
	else
		log->first = segment;
	log->last = segment;
	log->start_offset = log->first->base_offset;
	return segment;
}

int64_t sl_db_log_append(struct sl_db_log *log, struct sl_slice batch, uint32_t record_count,
			 int32_t leader_epoch)
{
	int64_t base_offset = log->end_offset;
	struct sl_db_segment *segment = segment_for(log, batch.bytes);
	uint8_t *at;

	SL_ASSERT(batch.bytes >= SL_BATCH_HEADER_BYTES);
	if (!segment)
		return sl_db_log_discard(log, record_count);
	at = segment->data + segment->used_bytes;
	memcpy(at, batch.data, batch.bytes);
	sl_store_be64(at, (uint64_t)base_offset);
	sl_store_be32(at + LEADER_EPOCH_OFFSET, (uint32_t)leader_epoch);
	segment->used_bytes += batch.bytes;
	log->end_offset += record_count;
	return base_offset;
}

int64_t sl_db_log_discard(struct sl_db_log *log, uint32_t record_count)
{
	int64_t base_offset = log->end_offset;

	log_empty(log);
	log->end_offset += record_count;
	log->start_offset = log->end_offset;
	return base_offset;
}

static uint32_t batch_bytes_at(const struct sl_db_segment *segment, uint32_t at)
{
	uint32_t bytes = SL_BATCH_PREFIX_BYTES + sl_load_be32(segment->data + at + 8);

	SL_ASSERT(bytes <= segment->used_bytes - at);
	return bytes;
}

static int64_t batch_last_offset(const struct sl_db_segment *segment, uint32_t at)
{
	const uint8_t *p = segment->data + at;

	return (int64_t)sl_load_be64(p) + (int32_t)sl_load_be32(p + LAST_OFFSET_DELTA_OFFSET);
}

/* The segment and the place in it of the batch that holds offset; false at the log's end. */
static bool batch_find(const struct sl_db_log *log, int64_t offset, struct sl_db_segment **segment,
		       uint32_t *at)
{
	struct sl_db_segment *s = log->first;

	*at = 0;
	if (log->hint_segment && log->hint_offset == offset) {
		s = log->hint_segment;
		*at = log->hint_at;
		if (*at == s->used_bytes) {
			s = s->next;
			*at = 0;
		}
	} else {
		while (s && s->next && s->next->base_offset <= offset)
			s = s->next;
	}
	if (!s)
		return false;
	while (*at < s->used_bytes && batch_last_offset(s, *at) < offset)
		*at += batch_bytes_at(s, *at);
	*segment = s;
	return *at < s->used_bytes;
}

struct sl_slice sl_db_log_read(struct sl_db_log *log, int64_t offset, uint32_t bytes_max,
			       bool at_least_one)
{
	struct sl_db_segment *segment;
	uint32_t from, to, last;

	SL_ASSERT(offset >= log->start_offset && offset <= log->end_offset);
	if (offset == log->end_offset || !batch_find(log, offset, &segment, &from))
		return SL_SLICE_NULL;
	last = to = from;
	while (to < segment->used_bytes) {
		uint32_t bytes = batch_bytes_at(segment, to);

		if (to - from + (uint64_t)bytes > bytes_max && !(at_least_one && to == from))
			break;
		last = to;
		to += bytes;
	}
	if (to == from)
		return SL_SLICE_NULL;
	log->hint_segment = segment;
	log->hint_offset = batch_last_offset(segment, last) + 1;
	log->hint_at = to;
	return (struct sl_slice){segment->data + from, to - from};
}
