/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one step that happens for each record: from the application's ring into a batch. Inline;
 * touches one line of the descriptor, the payload and, when the record does not continue the last
 * run, eight bytes of origin.
 */
#ifndef SL_BATCH_APPEND_H
#define SL_BATCH_APPEND_H

#include <errno.h>
#include <string.h>

#include "dataplane/base/varint.h"
#include "dataplane/batch/arena.h"
#include "dataplane/wire/record.h"

struct sl_batch_record {
	uint32_t ring; /* slot */
	uint64_t seq;  /* in the ring */
	int64_t timestamp_ms;
	const uint8_t *tail; /* in the application's memory, which may change meanwhile: copied
				once, checked on the copy */
	uint32_t tail_bytes;
};

enum {
	SL_APPEND_HEAD_BYTES_MAX =
		5 + 1 + 10 + 3, /* length, attributes, timestamp delta, offset delta */
	SL_APPEND_ROOM_BYTES =
		16, /* behind a record on the fast path: its run, and the head's spill of up to 4 */
	SL_APPEND_TAIL_FAST = 4096, /* so that the length takes at most two bytes */
};

/* The cases that the fast path leaves: records that span chunks, chunks that are full, long heads.
 * Same returns. */
int sl_batch_append_slow(struct sl_arena *a, uint32_t batch, const struct sl_batch_record *r);

/*
 * Copies at least 3 bytes. Sizes differ from record to record, so that a call of memcpy costs a
 * mispredicted jump for many of them; a loop of whole 32 bytes and one overlapping rest does not.
 */
static inline void sl_append_copy(uint8_t *to, const uint8_t *from, uint32_t bytes)
{
	uint32_t at;

	if (SL_UNLIKELY(bytes > 512)) {
		memcpy(to, from, bytes);
	} else if (bytes >= 32) {
		for (at = 0; at + 32 < bytes; at += 32)
			memcpy(to + at, from + at, 32);
		memcpy(to + bytes - 32, from + bytes - 32, 32);
	} else if (bytes >= 8) {
		if (bytes >= 16) {
			memcpy(to, from, 16);
			memcpy(to + bytes - 16, from + bytes - 16, 16);
		} else {
			memcpy(to, from, 8);
			memcpy(to + bytes - 8, from + bytes - 8, 8);
		}
	} else {
		for (at = 0; at < bytes; at++)
			to[at] = from[at];
	}
}

/* A varint below 2^14 as bytes in a word, and how many they are. */
static inline uint64_t sl_append_varint14(uint32_t v, uint32_t *bytes)
{
	*bytes = 1 + (v >= 0x80);
	return v < 0x80 ? v : (v & 0x7f) | 0x80 | (v & 0x3f80) << 1;
}

/* The commit: what tail covers is complete before, and no store of the next record moves up. */
static inline void sl_append_commit(struct sl_arena_batch *b, uint64_t tail)
{
	SL_ORDER();
	atomic_store_explicit(&b->tail, tail, memory_order_relaxed);
	SL_ORDER();
}

/*
 * Appends to an OPEN batch that is not being compressed.
 *   0
 *   -E2BIG     the batch would exceed batch_bytes_max, batch_records_max or the chunks of
 *              sl_batch_fill_set(): seal it and open another
 *   -EMSGSIZE  not even an empty batch could hold this record
 *   -ENOSPC    no chunk outside the reserve; nothing is stored
 *   -EDQUOT    the share of its broker or topic is full; nothing is stored
 *   -EBADMSG   the tail is malformed; nothing is stored
 */
static inline int sl_batch_append(struct sl_arena *a, uint32_t batch,
				  const struct sl_batch_record *r)
{
	struct sl_arena_batch *b = &a->batches[batch];
	uint64_t tail = atomic_load_explicit(&b->tail, memory_order_relaxed);
	uint64_t time = sl_zigzag64((int64_t)((uint64_t)r->timestamp_ms - (uint64_t)b->base_ts));
	uint32_t index = sl_tail_records(tail);
	uint32_t time_bytes, index_bytes, length_bytes, head_bytes, wire_bytes;
	struct sl_record_tail parts;
	uint64_t head, index_word;
	uint8_t *to;

	/* One test for all that is rare: 2 * index must fit 14 bits, as must the other varints. */
	if (SL_UNLIKELY(time >> 14 || index >> 13 ||
			r->tail_bytes - SL_RECORD_TAIL_BYTES_MIN > SL_APPEND_TAIL_FAST))
		return sl_batch_append_slow(a, batch, r);
	head = sl_append_varint14((uint32_t)time, &time_bytes) << 8; /* attributes are 0 */
	index_word = sl_append_varint14(2 * index, &index_bytes);
	head |= index_word << (8 + 8 * time_bytes);
	head_bytes = 1 + time_bytes + index_bytes;
	wire_bytes = head_bytes + r->tail_bytes;
	index_word = sl_append_varint14(2 * wire_bytes, &length_bytes);
	head = head << (8 * length_bytes) | index_word;
	head_bytes += length_bytes;
	wire_bytes += length_bytes;
	if (SL_UNLIKELY(b->run_offset - b->write_offset < wire_bytes + SL_APPEND_ROOM_BYTES ||
			sl_tail_bytes(tail) + wire_bytes > a->batch_bytes_max ||
			index >= a->batch_records_max))
		return sl_batch_append_slow(a, batch, r);

	to = a->base + b->write_offset;
	memcpy(to, &head, sizeof(head));
	sl_append_copy(to + head_bytes, r->tail, r->tail_bytes);
	if (SL_UNLIKELY(sl_record_tail_check(to + head_bytes, r->tail_bytes, &parts) < 0))
		return -EBADMSG;
	/* Lines of this batch's next record: with many partitions nothing else fetches them before
	 * their turn comes. */
	__builtin_prefetch(to + wire_bytes + 64, 1);
	__builtin_prefetch(to + wire_bytes + 128, 1);
	if (b->turn_tag != a->turn)
		b->turn_tag = a->turn;
	if (r->seq != b->run_next_seq || r->ring != b->run_ring) {
		uint64_t run = sl_run_pack(r->seq, index, r->ring);

		b->run_offset -= sizeof(run);
		memcpy(a->base + b->run_offset, &run, sizeof(run));
		b->run_ring = r->ring;
		tail += SL_TAIL_ONE_RUN;
	}
	b->run_next_seq = r->seq + 1;
	b->write_offset += wire_bytes;
	if (r->timestamp_ms > b->max_ts)
		b->max_ts = r->timestamp_ms;
	sl_append_commit(b, tail + wire_bytes + SL_TAIL_ONE_RECORD);
	return 0;
}

#endif
