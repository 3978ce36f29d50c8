/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The worker's side of an application ring: bounded, validating reads of memory that a hostile
 * application may change at any moment. Header fields are copied once and checked on the copy; what
 * lies behind the header is only pointed at (it stays inside the ring whatever it holds) and its
 * structure is checked on the worker's own copy.
 *
 * Use, each turn:
 *     if (reader.read_pos == reader.committed_pos)     (a reader with a backlog need not look
 * again) poison = sl_ring_reader_refresh(&reader, app_page); n = sl_ring_reader_walk(&reader,
 * items, SL_ARRAY_COUNT(items), &poison);
 *     ... copy the items out ...
 *     sl_ring_reader_publish(&reader, agent_page);      (gives the room back)
 *
 * Thread: the worker that owns the ring. Nothing here blocks or allocates. Errors are enum
 * sl_poison: the ring is not read any further, other rings are untouched; reader.poison_pos says
 * where.
 */
#ifndef SL_SHM_RING_READER_H
#define SL_SHM_RING_READER_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "dataplane/base/assert.h"
#include "dataplane/base/varint.h"
#include "dataplane/shm/layout.h"

/* The shortest tail: null key, null value, no headers, a byte each. */
enum { SL_RING_TAIL_BYTES_MIN = 3 };

struct sl_ring_reader {
	const uint8_t *data;    /* the ring's bytes in D, mapped read-only */
	uint64_t mask;          /* ring_bytes - 1 */
	uint64_t read_pos;      /* next record to walk */
	uint64_t committed_pos; /* as last refreshed */
	uint64_t next_seq;      /* number of the record at read_pos */
	uint64_t consumed_pos;  /* as last published: what the application has seen of read_pos */
	uint64_t ring_bytes;
	uint64_t poison_pos;
	uint32_t record_bytes_max; /* of header.length: the agent's limit, at most ring_bytes / 8 */
	uint32_t topic_slots; /* slots below this were bound; the worker raises it as topics are
				 bound */
};

/* One walked record. tail points into D: its bytes may change until they are copied out. */
struct sl_ring_item {
	uint64_t pos; /* of its header */
	const uint8_t *tail;
	uint32_t tail_bytes;
	uint32_t span; /* bytes it takes in the ring; a pad before it is not counted */
	int64_t timestamp_ms;
	int32_t partition; /* >= -1 */
	uint16_t topic_slot;
	uint8_t type; /* SL_RECORD_DATA or SL_RECORD_FLUSH (tail_bytes 0, takes no sequence) */
	uint8_t flags;
	uint64_t
		sent_ns; /* 0 unless SL_RECORD_SAMPLED; the application's word, not to be trusted */
};

/*
 * data and ring_bytes as mapped after the segment's checks; pos and seq are where reading starts (0
 * for a new ring, the arena's cursor after a restart).
 */
static inline void sl_ring_reader_init(struct sl_ring_reader *reader, const uint8_t *data,
				       uint64_t ring_bytes, uint32_t record_bytes_max, uint64_t pos,
				       uint64_t seq)
{
	uint64_t share = ring_bytes / SL_RING_RECORD_SHARE;

	SL_ASSERT((ring_bytes & (ring_bytes - 1)) == 0 && ring_bytes >= SL_RING_BYTES_MIN);
	SL_ASSERT(pos % SL_RECORD_ALIGN == 0);
	*reader = (struct sl_ring_reader){
		.data = data,
		.mask = ring_bytes - 1,
		.read_pos = pos,
		.committed_pos = pos,
		.next_seq = seq,
		.consumed_pos = pos,
		.ring_bytes = ring_bytes,
		.record_bytes_max = record_bytes_max < share ? record_bytes_max : (uint32_t)share,
	};
}

/* Looks once at committed_pos (acquire: pairs with the application's release in commit). enum
 * sl_poison. */
static inline enum sl_poison sl_ring_reader_refresh(struct sl_ring_reader *reader,
						    const struct sl_app_page *page)
{
	uint64_t committed = atomic_load_explicit(&page->committed_pos, memory_order_acquire);

	/* The differences wrap when committed moved back, so two comparisons bound it on both
	 * sides. */
	if (SL_UNLIKELY(committed - reader->committed_pos > reader->ring_bytes ||
			committed - reader->consumed_pos > reader->ring_bytes ||
			committed % SL_RECORD_ALIGN != 0)) {
		reader->poison_pos = reader->committed_pos;
		return SL_POISON_POSITION;
	}
	reader->committed_pos = committed;
	return SL_POISON_NONE;
}

/* Tells the application that all before read_pos may be overwritten. Only after the bytes were
 * copied out. */
static inline void sl_ring_reader_publish(struct sl_ring_reader *reader, struct sl_agent_page *page)
{
	reader->consumed_pos = reader->read_pos;
	atomic_store_explicit(&page->consumed_seq, reader->next_seq, memory_order_relaxed);
	/* Release: pairs with the acquire in the application's look for room, so that it cannot
	 * overwrite too early. */
	atomic_store_explicit(&page->consumed_pos, reader->read_pos, memory_order_release);
}

static inline uint64_t sl_ring_word(const uint8_t *p)
{
	/* One load that the compiler may neither split nor repeat; 8-aligned by construction. */
	return __atomic_load_n((const uint64_t *)(const void *)p, __ATOMIC_RELAXED);
}

/*
 * Validates the record header at pos (read_pos <= pos < committed_pos, 8-aligned; asserted in debug
 * builds) on one copy of it, which *item describes afterwards. seq is the number expected there.
 * SL_RECORD_PAD is returned as an item too, with tail_bytes 0. The item is undefined when the
 * return value is not SL_POISON_NONE.
 */
static inline enum sl_poison sl_ring_reader_peek(const struct sl_ring_reader *reader, uint64_t pos,
						 uint64_t seq, struct sl_ring_item *item)
{
	uint64_t offset = pos & reader->mask;
	uint64_t to_end = reader->ring_bytes - offset;
	uint64_t committed = reader->committed_pos - pos;
	uint64_t limit = committed < to_end ? committed : to_end;
	const uint8_t *at = reader->data + offset;
	uint64_t word0, word1;
	uint32_t length, head;
	uint64_t span;

	SL_DASSERT(pos % SL_RECORD_ALIGN == 0 && committed - 1 < reader->ring_bytes);
	/* The first word is always there; only a pad may be shorter than a header. */
	word0 = sl_ring_word(at);
	length = (uint32_t)word0;
	span = sl_record_span(length);
	item->pos = pos;
	item->tail = at;
	item->tail_bytes = 0;
	item->span = (uint32_t)span;
	item->timestamp_ms = 0;
	item->partition = -1;
	item->type = (uint8_t)(word0 >> 32);
	item->flags = (uint8_t)(word0 >> 40);
	item->topic_slot = (uint16_t)(word0 >> 48);
	item->sent_ns = 0;
	if (SL_UNLIKELY(item->type != SL_RECORD_DATA)) {
		if (item->type == SL_RECORD_PAD) {
			/* Shorter than any record may be long: so pads never follow each other. */
			if (item->flags != 0)
				return SL_POISON_TYPE;
			return length == to_end && span <= committed &&
					       span <= reader->ring_bytes / SL_RING_RECORD_SHARE
				       ? SL_POISON_NONE
				       : SL_POISON_PAD;
		}
		if (item->type != SL_RECORD_FLUSH || item->flags != 0)
			return SL_POISON_TYPE;
		return length == SL_RECORD_HEADER_BYTES && span <= limit ? SL_POISON_NONE
									 : SL_POISON_LENGTH;
	}
	if (SL_UNLIKELY(item->flags & ~SL_RECORD_SAMPLED))
		return SL_POISON_TYPE;
	head = SL_RECORD_HEADER_BYTES + item->flags * (uint32_t)SL_RECORD_SAMPLED_BYTES;
	if (SL_UNLIKELY(length < head + SL_RING_TAIL_BYTES_MIN ||
			length > reader->record_bytes_max || span > limit))
		return SL_POISON_LENGTH;
	word1 = sl_ring_word(at + 8);
	item->partition = (int32_t)(uint32_t)(word1 >> 32);
	item->timestamp_ms = (int64_t)sl_ring_word(at + 16);
	if (SL_UNLIKELY((uint32_t)word1 != (uint32_t)seq))
		return SL_POISON_SEQUENCE;
	if (SL_UNLIKELY(item->topic_slot >= reader->topic_slots))
		return SL_POISON_TOPIC;
	if (SL_UNLIKELY(item->partition < -1))
		return SL_POISON_PARTITION;
	if (SL_UNLIKELY(item->flags & SL_RECORD_SAMPLED))
		item->sent_ns = sl_ring_word(at + SL_RECORD_HEADER_BYTES);
	item->tail = at + head;
	item->tail_bytes = length - head;
	return SL_POISON_NONE;
}

/*
 * Walks up to count_max records from read_pos into items[] and moves read_pos and next_seq behind
 * them; pads are swallowed. Returns how many; *poison says why it stopped early (read_pos and
 * poison_pos are then at the bad record, and the items before it are good). A pad before the first
 * item belongs to nobody: read_pos has moved over it.
 */
static inline uint32_t sl_ring_reader_walk(struct sl_ring_reader *reader,
					   struct sl_ring_item *items, uint32_t count_max,
					   enum sl_poison *poison)
{
	uint64_t pos = reader->read_pos;
	uint64_t seq = reader->next_seq;
	uint32_t count = 0;

	*poison = SL_POISON_NONE;
	while (count < count_max && pos != reader->committed_pos) {
		struct sl_ring_item *item = &items[count];
		enum sl_poison bad = sl_ring_reader_peek(reader, pos, seq, item);

		if (SL_UNLIKELY(bad != SL_POISON_NONE)) {
			reader->poison_pos = pos;
			*poison = bad;
			break;
		}
		pos += item->span;
		seq += item->type == SL_RECORD_DATA;
		count += item->type != SL_RECORD_PAD;
	}
	reader->read_pos = pos;
	reader->next_seq = seq;
	return count;
}

/*
 * The key for the partitioner's hash, read from D within the record: *key is NULL and *key_bytes -1
 * for a null key. The bytes may change afterwards, which only moves the record to another
 * partition. False: the length does not fit the tail (SL_POISON_TAIL).
 */
static inline bool sl_ring_item_key(const struct sl_ring_item *item, const uint8_t **key,
				    int32_t *key_bytes)
{
	const uint8_t *end = item->tail + item->tail_bytes;
	const uint8_t *p;
	int32_t bytes = 0;

	p = sl_varint32_get(item->tail, end, &bytes);
	if (SL_UNLIKELY(!p || bytes < -1 || bytes > end - p))
		return false;
	*key = bytes < 0 ? NULL : p;
	*key_bytes = bytes;
	return true;
}

/*
 * Report slots that are free, given where the worker writes next (counts of entries, not bytes;
 * entry n lies in slot n & (report_slots - 1)) and *read_pos as last seen, which is kept up to
 * date. enum sl_poison.
 */
static inline enum sl_poison sl_report_room(const struct sl_app_page *page, uint64_t write_pos,
					    uint32_t report_slots, uint64_t *read_pos,
					    uint32_t *room)
{
	/* Acquire: pairs with the application's release after it copied the entries out. */
	uint64_t seen = atomic_load_explicit(&page->report_read_pos, memory_order_acquire);

	if (SL_UNLIKELY(seen - *read_pos > write_pos - *read_pos))
		return SL_POISON_REPORTS;
	*read_pos = seen;
	*room = report_slots - (uint32_t)(write_pos - seen);
	return SL_POISON_NONE;
}

#endif
