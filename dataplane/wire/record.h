/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records of a batch v2. A record is a head (length, attributes, timestamp delta, offset delta),
 *which the batch decides, and a tail (key, value, headers), which the application decides and which
 *is copied as it is:
 *
 *	head: varint length of what follows | int8 0 | varlong timestamp delta | varint offset delta
 *	tail: varint key length (-1 null) | key | varint value length (-1 null) | value | varint
 *header count | headers header: varint key length (>= 0) | key | varint value length (-1 null) |
 *value
 *
 * sl_record_tail_check() runs once for each record that an application hands over and so has a fast
 *path for the usual shape. Any thread; pure. Source: Kafka documentation, "Record".
 */
#ifndef SL_WIRE_RECORD_H
#define SL_WIRE_RECORD_H

#include "dataplane/base/assert.h"
#include "dataplane/wire/buf.h"

enum {
	SL_RECORD_HEAD_BYTES_MAX = 5 + 1 + 10 + 5,
	SL_RECORD_TAIL_BYTES_MIN = 3, /* null key, null value, no header */
	SL_RECORD_TAIL_BYTES_MAX = INT32_MAX - SL_RECORD_HEAD_BYTES_MAX,
};

struct sl_kafka_header {
	struct sl_slice key;   /* not null */
	struct sl_slice value; /* may be null */
};

/* Where things stand in a tail that was checked. Lengths of -1 mean null; offsets are from the
 * tail's start. */
struct sl_record_tail {
	int32_t key_bytes;
	uint32_t key_offset;
	int32_t value_bytes;
	uint32_t value_offset;
	uint32_t header_count;
	uint32_t headers_offset;
};

/* ---- head ---- */

/* Bytes of the record after its length field. */
static inline uint32_t sl_record_body_bytes(uint32_t tail_bytes, int64_t timestamp_delta_ms,
					    int32_t offset_delta)
{
	return 1 + sl_varint64_bytes(timestamp_delta_ms) + sl_varint32_bytes(offset_delta) +
	       tail_bytes;
}

/* Bytes of the whole record. tail_bytes is at most SL_RECORD_TAIL_BYTES_MAX. */
static inline uint32_t sl_record_bytes(uint32_t tail_bytes, int64_t timestamp_delta_ms,
				       int32_t offset_delta)
{
	uint32_t body_bytes = sl_record_body_bytes(tail_bytes, timestamp_delta_ms, offset_delta);

	return sl_varint32_bytes((int32_t)body_bytes) + body_bytes;
}

/* Writes the head (SL_RECORD_HEAD_BYTES_MAX suffice) and returns where the tail goes. */
static inline uint8_t *sl_record_head_put(uint8_t *p, uint32_t tail_bytes,
					  int64_t timestamp_delta_ms, int32_t offset_delta)
{
	uint32_t body_bytes = sl_record_body_bytes(tail_bytes, timestamp_delta_ms, offset_delta);

	p = sl_varint32_put(p, (int32_t)body_bytes);
	*p++ = 0;
	p = sl_varint64_put(p, timestamp_delta_ms);
	return sl_varint32_put(p, offset_delta);
}

/* ---- tail ---- */

/* Exact bytes of a tail; 0 when it would exceed SL_RECORD_TAIL_BYTES_MAX or a header's key is null.
 */
uint32_t sl_record_tail_bytes(struct sl_slice key, struct sl_slice value,
			      const struct sl_kafka_header *headers, uint32_t header_count);

/* Writes a tail into as many bytes as sl_record_tail_bytes() said, and returns its end. */
uint8_t *sl_record_tail_put(uint8_t *p, struct sl_slice key, struct sl_slice value,
			    const struct sl_kafka_header *headers, uint32_t header_count);

/* The whole check, for any shape. */
int sl_record_tail_check_any(const uint8_t *tail, uint32_t bytes, struct sl_record_tail *out);

/*
 * True when tail is key (null or up to 63 bytes), value (up to 8191 bytes) and no header, and ends
 * exactly there. False says nothing but that sl_record_tail_check_any() has to look.
 */
static inline bool sl_record_tail_is_plain(const uint8_t *tail, uint32_t bytes,
					   struct sl_record_tail *out)
{
	uint32_t key_code, key_bytes, at, value_code, value_at;

	if (bytes < SL_RECORD_TAIL_BYTES_MIN)
		return false;
	/* Zigzag: even is a length, 1 is -1 for null, any other odd is a negative length. */
	key_code = tail[0];
	if (key_code >= 0x80 || ((key_code & 1) && key_code != 1))
		return false;
	key_bytes = key_code >> 1;
	at = 1 + key_bytes;
	/* A value length of up to two bytes and the header count must still be inside. */
	if (at + 3 > bytes)
		return false;
	value_code = tail[at];
	value_at = at + 1;
	if (value_code >= 0x80) {
		value_code = (value_code & 0x7f) | (uint32_t)tail[at + 1] << 7;
		value_at++;
		if (value_code >= 0x80u << 7)
			return false;
	}
	if ((value_code & 1) || value_at + (value_code >> 1) + 1 != bytes || tail[bytes - 1] != 0)
		return false;
	out->key_bytes = (int32_t)key_bytes - (int32_t)(key_code & 1);
	out->key_offset = 1;
	out->value_bytes = (int32_t)(value_code >> 1);
	out->value_offset = value_at;
	out->header_count = 0;
	out->headers_offset = bytes;
	return true;
}

/*
 * Checks every varint and length of a tail and that it ends exactly at bytes. Returns 0 and where
 * things stand, or -EBADMSG. tail must not change meanwhile: check the copy that will be sent, not
 * what the application can still write.
 */
static inline int sl_record_tail_check(const uint8_t *tail, uint32_t bytes,
				       struct sl_record_tail *out)
{
	if (SL_LIKELY(sl_record_tail_is_plain(tail, bytes, out)))
		return 0;
	return sl_record_tail_check_any(tail, bytes, out);
}

/* ---- readers ---- */

/* Walks the records of an uncompressed payload; and the headers of one of them. */
struct sl_record_iter {
	const uint8_t *pos;
	const uint8_t *end;
	int32_t left;
};

struct sl_record {
	int64_t timestamp_delta_ms;
	int32_t offset_delta;
	struct sl_slice key;
	struct sl_slice value;
	uint32_t header_count;
	struct sl_slice headers; /* for sl_record_headers_on() */
};

struct sl_record_headers {
	struct sl_rbuf r;
	uint32_t left;
};

static inline struct sl_record_iter sl_record_iter_on(const void *payload, size_t bytes,
						      int32_t record_count)
{
	const uint8_t *pos = payload;

	return (struct sl_record_iter){pos, pos + bytes, record_count};
}

/* Returns 1 with a record, 0 when all were read and the payload ends there, -EBADMSG. */
int sl_record_next(struct sl_record_iter *it, struct sl_record *out);

static inline struct sl_record_headers sl_record_headers_on(const struct sl_record *record)
{
	return (struct sl_record_headers){sl_rbuf_on(record->headers.data, record->headers.bytes),
					  record->header_count};
}

/* Returns 1 with a header, 0 after the last. The record was checked, so this does not fail. */
int sl_record_header_next(struct sl_record_headers *headers, struct sl_kafka_header *out);

#endif
