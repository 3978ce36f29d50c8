/* SPDX-License-Identifier: Apache-2.0 */
/* The path of a record: room, header, tail, commit. Everything rare is elsewhere. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "dataplane/base/assert.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/varint.h"
#include "dataplane/client/client.h"

struct shape {              /* of a record: what its header and its length need */
	uint32_t key_bytes; /* 0 when null */
	uint32_t value_bytes;
	int32_t key_length; /* as on the wire: -1 null */
	int32_t value_length;
	const struct sluice_header *headers;
	uint32_t header_count;
	int32_t partition;
	int64_t timestamp_ms;
};

/* Keys and small values: a few moves, the last one overlapping, cost less than the call of memcpy. */
static inline void bytes_copy(uint8_t *to, const void *from, uint32_t bytes)
{
	const uint8_t *p = from;
	uint32_t at;

	if (SL_LIKELY(bytes >= 8 && bytes <= 16)) {
		uint64_t first, last;

		memcpy(&first, p, 8);
		memcpy(&last, p + bytes - 8, 8);
		memcpy(to, &first, 8);
		memcpy(to + bytes - 8, &last, 8);
	} else if (bytes >= 32 && bytes <= 256) {
		for (at = 0; at + 32 < bytes; at += 32)
			memcpy(to + at, p + at, 32);
		memcpy(to + bytes - 32, p + bytes - 32, 32);
	} else if (bytes > 0) {
		memcpy(to, from, bytes);
	}
}

static inline uint8_t *length_put(uint8_t *p, int32_t length)
{
	uint32_t v = sl_zigzag32(length);

	if (SL_LIKELY(v < 0x80)) {
		*p = (uint8_t)v;
		return p + 1;
	}
	if (SL_LIKELY(v < 0x4000)) {
		p[0] = (uint8_t)(v | 0x80);
		p[1] = (uint8_t)(v >> 7);
		return p + 2;
	}
	return sl_uvarint_put(p, v);
}

static inline uint32_t length_bytes(int32_t length)
{
	uint32_t v = sl_zigzag32(length);

	return v < 0x80 ? 1 : v < 0x4000 ? 2 : sl_uvarint_bytes(v);
}

/* Bytes of the headers with their count, or a negative errno for lengths that cannot be. */
static int64_t headers_bytes(const struct sluice_header *headers, uint32_t count)
{
	int64_t bytes = length_bytes((int32_t)count);
	uint32_t i;

	if (count > INT32_MAX || !headers)
		return -EINVAL;
	for (i = 0; i < count; i++) {
		const struct sluice_header *header = &headers[i];

		if (!header->name || header->name_bytes < 0 || header->value_bytes < 0 ||
		    (!header->value && header->value_bytes != 0))
			return -EINVAL;
		bytes += (int64_t)length_bytes(header->name_bytes) + header->name_bytes;
		bytes += (int64_t)length_bytes(header->value ? header->value_bytes : -1) +
			 header->value_bytes;
		if (bytes > SL_RING_BYTES_MAX)
			return -EMSGSIZE;
	}
	return bytes;
}

static void headers_put(uint8_t *p, const struct sluice_header *headers, uint32_t count)
{
	uint32_t i;

	p = length_put(p, (int32_t)count);
	for (i = 0; i < count; i++) {
		const struct sluice_header *header = &headers[i];

		p = length_put(p, header->name_bytes);
		memcpy(p, header->name, (size_t)header->name_bytes);
		p += header->name_bytes;
		p = length_put(p, header->value ? header->value_bytes : -1);
		if (header->value_bytes > 0)
			memcpy(p, header->value, (size_t)header->value_bytes);
		p += header->value_bytes;
	}
}

static __attribute__((noinline, cold)) int misuse(const sluice_ring *ring,
						  const sluice_topic *topic)
{
	return !ring->app ? -ECHILD : topic ? -EINVAL : -EFAULT;
}

static inline int64_t now_ms(sluice_ring *ring)
{
	struct timespec ts;
	int64_t ms;

	/* The coarse clock costs 5 ns here, the fine one 25; Kafka's timestamps are milliseconds.
	 */
	clock_gettime(CLOCK_REALTIME_COARSE, &ts);
	ms = (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
	if (SL_UNLIKELY(ring_look_due(ring, (uint64_t)ms)))
		sl_ring_look(ring, (uint64_t)ms);
	return ms;
}

static inline void word_put(uint8_t *p, uint64_t word)
{
	memcpy(p, &word, sizeof(word));
}

/* A pad from write_pos to the ring's end. Nobody sees it before the commit of what follows. */
static inline uint64_t pad_put(sluice_ring *ring, uint64_t to_end)
{
	word_put(ring->data + (ring->write_pos & ring->mask),
		 to_end | (uint64_t)SL_RECORD_PAD << 32);
	return ring->write_pos + to_end;
}

/* Where a record of this length goes: room is there, and a pad before it when it would not fit to
 * the end. */
static inline int record_place(sluice_ring *ring, uint64_t length, uint64_t *pos)
{
	uint64_t span = sl_record_span((uint32_t)length);
	uint64_t to_end = ring->mask + 1 - (ring->write_pos & ring->mask);
	uint64_t need = SL_LIKELY(span <= to_end) ? span : span + to_end;

	if (SL_UNLIKELY(length > ring->record_bytes_max))
		return ring->app ? -EMSGSIZE : -ECHILD;
	if (SL_UNLIKELY(ring->write_pos + need > ring->limit_pos)) {
		int rc = sl_ring_room(ring, need);

		if (rc < 0)
			return rc;
	}
	*pos = SL_LIKELY(need == span) ? ring->write_pos : pad_put(ring, to_end);
	return 0;
}

static inline void commit_until(sluice_ring *ring, uint64_t end_pos)
{
	uint32_t sleep;

	ring->write_pos = end_pos;
	/* Release: pairs with the acquire in sl_ring_reader_refresh(), after the record's bytes. */
	atomic_store_explicit(&ring->app->committed_pos, end_pos, memory_order_release);
	/* Only the compiler is held: the worker's sl_wake_order() fences for us. See shm/wake.h. */
	atomic_signal_fence(memory_order_seq_cst);
	if (SL_UNLIKELY(ring->fence))
		atomic_thread_fence(memory_order_seq_cst);
	sleep = atomic_load_explicit(&ring->agent->sleeping, memory_order_relaxed);
	if (SL_UNLIKELY(sleep != 0))
		sl_ring_ring_bell(ring, sleep);
}

/* Header, lengths and headers of a record at its place; key and value are the caller's to fill. */
static inline int record_put(sluice_ring *ring, sluice_topic *topic, const struct shape *shape,
			     struct sluice_claim *claim)
{
	uint32_t sampled =
		SL_UNLIKELY((ring->seq & CLIENT_SAMPLE_MASK) == 0) ? SL_RECORD_SAMPLED : 0;
	uint64_t length = SL_RECORD_HEADER_BYTES + sampled * SL_RECORD_SAMPLED_BYTES + 1 +
			  (uint64_t)shape->key_bytes + shape->value_bytes +
			  length_bytes(shape->key_length) + length_bytes(shape->value_length);
	int64_t timestamp_ms = shape->timestamp_ms;
	uint64_t pos = 0;
	uint8_t *p;
	int rc;

	if (SL_UNLIKELY(!topic || topic->client != ring->client))
		return misuse(ring, topic);
	if (SL_UNLIKELY(shape->header_count != 0)) {
		int64_t bytes = headers_bytes(shape->headers, shape->header_count);

		if (bytes < 0)
			return (int)bytes;
		length += (uint64_t)bytes - 1;
	}
	rc = record_place(ring, length, &pos);
	if (SL_UNLIKELY(rc < 0))
		return rc;
	if (timestamp_ms == 0)
		timestamp_ms = now_ms(ring);
	p = ring->data + (pos & ring->mask);
	claim->seq = ring->seq;
	claim->end_pos = pos + sl_record_span((uint32_t)length);
	word_put(p, length | (uint64_t)SL_RECORD_DATA << 32 | (uint64_t)sampled << 40 |
			    (uint64_t)topic->slot << 48);
	word_put(p + 8, (uint32_t)ring->seq | (uint64_t)(uint32_t)shape->partition << 32);
	word_put(p + 16, (uint64_t)timestamp_ms);
	p += SL_RECORD_HEADER_BYTES;
	if (SL_UNLIKELY(sampled)) {
		word_put(p, sl_clock_monotonic_ns());
		p += SL_RECORD_SAMPLED_BYTES;
	}
	p = length_put(p, shape->key_length);
	claim->key = p;
	p = length_put(p + shape->key_bytes, shape->value_length);
	claim->value = p;
	p += shape->value_bytes;
	if (SL_LIKELY(shape->header_count == 0))
		*p = 0;
	else
		headers_put(p, shape->headers, shape->header_count);
	return 0;
}

int64_t sluice_send(sluice_ring *ring, sluice_topic *topic, const struct sluice_record *record)
{
	struct sluice_claim claim = {0};
	struct shape shape = {
		.key_bytes = (uint32_t)record->key_bytes,
		.value_bytes = (uint32_t)record->value_bytes,
		.key_length = record->key ? record->key_bytes : -1,
		.value_length = record->value ? record->value_bytes : -1,
		.headers = record->headers,
		.header_count = record->header_count,
		.partition = record->flags & SLUICE_TO_PARTITION ? record->partition : -1,
		.timestamp_ms = record->timestamp_ms,
	};
	int rc;

	/* Sizes without bytes are a mistake, and negative ones (they read as -1: null) are too. */
	if (SL_UNLIKELY((record->key_bytes | record->value_bytes) < 0 ||
			(!record->key && record->key_bytes) ||
			(!record->value && record->value_bytes) || shape.partition < -1 ||
			(record->flags & ~(uint32_t)SLUICE_TO_PARTITION)))
		return -EINVAL;
	rc = record_put(ring, topic, &shape, &claim);
	if (SL_UNLIKELY(rc < 0))
		return rc;
	bytes_copy(claim.key, record->key, shape.key_bytes);
	bytes_copy(claim.value, record->value, shape.value_bytes);
	ring->claim_end = 0;
	ring->seq++;
	commit_until(ring, claim.end_pos);
	return (int64_t)claim.seq;
}

int sluice_claim(sluice_ring *ring, sluice_topic *topic, const struct sluice_sizes *sizes,
		 struct sluice_claim *claim)
{
	struct shape shape = {
		.key_bytes = sizes->key_bytes < 0 ? 0 : (uint32_t)sizes->key_bytes,
		.value_bytes = sizes->value_bytes < 0 ? 0 : (uint32_t)sizes->value_bytes,
		.key_length = sizes->key_bytes,
		.value_length = sizes->value_bytes,
		.headers = sizes->headers,
		.header_count = sizes->header_count,
		.partition = sizes->flags & SLUICE_TO_PARTITION ? sizes->partition : -1,
		.timestamp_ms = sizes->timestamp_ms,
	};
	int rc;

	if (SL_UNLIKELY(sizes->key_bytes < SLUICE_NULL || sizes->value_bytes < SLUICE_NULL ||
			shape.partition < -1 || (sizes->flags & ~(uint32_t)SLUICE_TO_PARTITION)))
		return -EINVAL;
	rc = record_put(ring, topic, &shape, claim);
	if (SL_UNLIKELY(rc < 0))
		return rc;
	if (sizes->key_bytes < 0)
		claim->key = NULL;
	if (sizes->value_bytes < 0)
		claim->value = NULL;
	ring->claim_end = claim->end_pos;
	return 0;
}

int64_t sluice_commit(sluice_ring *ring, const struct sluice_claim *claim)
{
	if (SL_UNLIKELY(ring->claim_end != claim->end_pos || ring->claim_end == 0 ||
			claim->seq != ring->seq))
		return ring->app ? -EINVAL : -ECHILD;
	ring->claim_end = 0;
	ring->seq++;
	commit_until(ring, claim->end_pos);
	return (int64_t)claim->seq;
}

void sluice_abort(sluice_ring *ring, const struct sluice_claim *claim)
{
	/* Nothing of it was visible: forgetting it is enough. */
	if (ring->claim_end == claim->end_pos)
		ring->claim_end = 0;
}

int sl_ring_flush_record(sluice_ring *ring)
{
	uint64_t pos = 0;
	int rc = record_place(ring, SL_RECORD_HEADER_BYTES, &pos);
	uint8_t *p;

	if (rc < 0)
		return rc;
	p = ring->data + (pos & ring->mask);
	memset(p, 0, SL_RECORD_HEADER_BYTES);
	word_put(p, SL_RECORD_HEADER_BYTES | (uint64_t)SL_RECORD_FLUSH << 32);
	commit_until(ring, pos + SL_RECORD_HEADER_BYTES);
	return 0;
}
