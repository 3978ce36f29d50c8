/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bounds-checked writer and reader of Kafka's primitive types, on the caller's memory. Client and
 * broker side use the same functions. Any thread; nothing is allocated and nothing outlives the
 * call.
 *
 * Errors are sticky: after the first one a writer writes nothing and a reader yields zeros and
 * nulls, so that a codec is a straight list of fields with one check at its end (sl_wbuf.overflow,
 * sl_rbuf.bad). A reader never touches a byte outside [pos, end).
 *
 * `flexible` selects the encoding of lengths: uvarint(n + 1) when true, fixed int16 or int32 when
 * false. Source: Kafka protocol guide, "Protocol Primitive Types"; KIP-482.
 */
#ifndef SL_WIRE_BUF_H
#define SL_WIRE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "dataplane/base/endian.h"
#include "dataplane/base/varint.h"

enum { SL_UUID_BYTES = 16 };

/* Text or bytes that somebody else owns. data is NULL for Kafka's null, which is not the empty
 * string. */
struct sl_slice {
	const void *data;
	uint32_t bytes;
};

#define SL_SLICE_NULL ((struct sl_slice){NULL, 0})

/* A topic id, big-endian. All zero means none. */
struct sl_uuid {
	uint8_t bytes[SL_UUID_BYTES];
};

struct sl_wbuf {
	uint8_t *pos;
	uint8_t *end;
	bool overflow;
};

struct sl_rbuf {
	const uint8_t *pos;
	const uint8_t *end;
	bool bad;
};

/* One field of a tag buffer; value reads the field's own bytes only. */
struct sl_tag {
	uint32_t tag;
	struct sl_rbuf value;
};

static inline struct sl_slice sl_slice_of(const char *text)
{
	return (struct sl_slice){text, text ? (uint32_t)strlen(text) : 0};
}

static inline bool sl_slice_equal(struct sl_slice a, struct sl_slice b)
{
	return (a.data == NULL) == (b.data == NULL) && a.bytes == b.bytes &&
	       (a.bytes == 0 || memcmp(a.data, b.data, a.bytes) == 0);
}

static inline bool sl_uuid_is_zero(const struct sl_uuid *id)
{
	static const struct sl_uuid zero;

	return memcmp(id, &zero, sizeof(zero)) == 0;
}

/* ---- writer ---- */

static inline struct sl_wbuf sl_wbuf_on(void *start, size_t bytes)
{
	uint8_t *pos = start;

	return (struct sl_wbuf){pos, pos + bytes, false};
}

/* Reserves bytes and returns where they start, or NULL when they do not fit. */
static inline uint8_t *sl_wbuf_take(struct sl_wbuf *w, size_t bytes)
{
	uint8_t *at = w->pos;

	if (w->overflow || (size_t)(w->end - w->pos) < bytes) {
		w->overflow = true;
		return NULL;
	}
	w->pos += bytes;
	return at;
}

static inline void sl_put_raw(struct sl_wbuf *w, const void *data, size_t bytes)
{
	uint8_t *at = sl_wbuf_take(w, bytes);

	if (at && bytes > 0)
		memcpy(at, data, bytes);
}

static inline void sl_put_i8(struct sl_wbuf *w, int8_t v)
{
	uint8_t *at = sl_wbuf_take(w, 1);

	if (at)
		*at = (uint8_t)v;
}

static inline void sl_put_bool(struct sl_wbuf *w, bool v)
{
	sl_put_i8(w, v ? 1 : 0);
}

static inline void sl_put_i16(struct sl_wbuf *w, int16_t v)
{
	uint8_t *at = sl_wbuf_take(w, 2);

	if (at)
		sl_store_be16(at, (uint16_t)v);
}

static inline void sl_put_i32(struct sl_wbuf *w, int32_t v)
{
	uint8_t *at = sl_wbuf_take(w, 4);

	if (at)
		sl_store_be32(at, (uint32_t)v);
}

static inline void sl_put_i64(struct sl_wbuf *w, int64_t v)
{
	uint8_t *at = sl_wbuf_take(w, 8);

	if (at)
		sl_store_be64(at, (uint64_t)v);
}

static inline void sl_put_uuid(struct sl_wbuf *w, const struct sl_uuid *id)
{
	sl_put_raw(w, id->bytes, SL_UUID_BYTES);
}

static inline void sl_put_uvarint(struct sl_wbuf *w, uint32_t v)
{
	uint8_t *at = sl_wbuf_take(w, sl_uvarint_bytes(v));

	if (at)
		sl_uvarint_put(at, v);
}

/* A string, or null when s.data is NULL. One that its length field cannot express counts as
 * overflow. */
static inline void sl_put_string(struct sl_wbuf *w, bool flexible, struct sl_slice s)
{
	if (s.bytes > INT16_MAX) {
		w->overflow = true;
		return;
	}
	if (flexible)
		sl_put_uvarint(w, s.data ? s.bytes + 1 : 0);
	else
		sl_put_i16(w, s.data ? (int16_t)s.bytes : -1);
	sl_put_raw(w, s.data, s.data ? s.bytes : 0);
}

/* The length of BYTES or RECORDS, whose bytes the caller puts (or sends) after it. */
static inline void sl_put_bytes_length(struct sl_wbuf *w, bool flexible, uint32_t bytes)
{
	if (bytes > INT32_MAX - 1)
		w->overflow = true;
	else if (flexible)
		sl_put_uvarint(w, bytes + 1);
	else
		sl_put_i32(w, (int32_t)bytes);
}

/* BYTES or RECORDS, or null when s.data is NULL. */
static inline void sl_put_bytes(struct sl_wbuf *w, bool flexible, struct sl_slice s)
{
	if (s.data) {
		sl_put_bytes_length(w, flexible, s.bytes);
		sl_put_raw(w, s.data, s.bytes);
	} else if (flexible) {
		sl_put_uvarint(w, 0);
	} else {
		sl_put_i32(w, -1);
	}
}

/* The count of an array, -1 for null. The elements follow. */
static inline void sl_put_array(struct sl_wbuf *w, bool flexible, int32_t count)
{
	if (flexible)
		sl_put_uvarint(w, (uint32_t)(count + 1));
	else
		sl_put_i32(w, count);
}

/* The empty tag buffer that ends every struct of a flexible message; nothing otherwise. */
static inline void sl_put_tags(struct sl_wbuf *w, bool flexible)
{
	if (flexible)
		sl_put_i8(w, 0);
}

/* ---- reader ---- */

static inline struct sl_rbuf sl_rbuf_on(const void *start, size_t bytes)
{
	const uint8_t *pos = start;

	return (struct sl_rbuf){pos, pos + bytes, false};
}

static inline size_t sl_rbuf_left(const struct sl_rbuf *r)
{
	return (size_t)(r->end - r->pos);
}

static inline void sl_rbuf_fail(struct sl_rbuf *r)
{
	r->bad = true;
	r->pos = r->end;
}

/* Steps over bytes and returns where they start, or NULL when they are not all there. */
static inline const uint8_t *sl_rbuf_take(struct sl_rbuf *r, size_t bytes)
{
	const uint8_t *at = r->pos;

	if (r->bad || sl_rbuf_left(r) < bytes) {
		sl_rbuf_fail(r);
		return NULL;
	}
	r->pos += bytes;
	return at;
}

static inline int8_t sl_get_i8(struct sl_rbuf *r)
{
	const uint8_t *at = sl_rbuf_take(r, 1);

	return at ? (int8_t)*at : 0;
}

static inline bool sl_get_bool(struct sl_rbuf *r)
{
	return sl_get_i8(r) != 0;
}

static inline int16_t sl_get_i16(struct sl_rbuf *r)
{
	const uint8_t *at = sl_rbuf_take(r, 2);

	return at ? (int16_t)sl_load_be16(at) : 0;
}

static inline int32_t sl_get_i32(struct sl_rbuf *r)
{
	const uint8_t *at = sl_rbuf_take(r, 4);

	return at ? (int32_t)sl_load_be32(at) : 0;
}

static inline int64_t sl_get_i64(struct sl_rbuf *r)
{
	const uint8_t *at = sl_rbuf_take(r, 8);

	return at ? (int64_t)sl_load_be64(at) : 0;
}

static inline struct sl_uuid sl_get_uuid(struct sl_rbuf *r)
{
	const uint8_t *at = sl_rbuf_take(r, SL_UUID_BYTES);
	struct sl_uuid id = {{0}};

	if (at)
		memcpy(id.bytes, at, SL_UUID_BYTES);
	return id;
}

static inline uint32_t sl_get_uvarint(struct sl_rbuf *r)
{
	uint64_t v = 0;
	const uint8_t *next = NULL;

	if (!r->bad)
		next = sl_uvarint_get(r->pos, r->end, SL_VARINT32_BYTES_MAX, &v);
	if (!next) {
		sl_rbuf_fail(r);
		return 0;
	}
	r->pos = next;
	return (uint32_t)v;
}

/* The bytes of a nullable string or byte string whose length (-1 null) was just read. */
static inline struct sl_slice sl_get_body(struct sl_rbuf *r, int64_t length)
{
	const uint8_t *at;

	if (length == -1 && !r->bad)
		return SL_SLICE_NULL;
	if (length < 0) {
		sl_rbuf_fail(r);
		return SL_SLICE_NULL;
	}
	at = sl_rbuf_take(r, (size_t)length);
	return at ? (struct sl_slice){at, (uint32_t)length} : SL_SLICE_NULL;
}

static inline struct sl_slice sl_get_nullable_string(struct sl_rbuf *r, bool flexible)
{
	int64_t length = flexible ? (int64_t)sl_get_uvarint(r) - 1 : sl_get_i16(r);

	/* No length of a string exceeds what its old-style form can say. */
	if (length > INT16_MAX)
		sl_rbuf_fail(r);
	return sl_get_body(r, length);
}

/* A string that must not be null: null makes the reader bad. */
static inline struct sl_slice sl_get_string(struct sl_rbuf *r, bool flexible)
{
	struct sl_slice s = sl_get_nullable_string(r, flexible);

	if (!s.data)
		sl_rbuf_fail(r);
	return s;
}

static inline struct sl_slice sl_get_nullable_bytes(struct sl_rbuf *r, bool flexible)
{
	return sl_get_body(r, flexible ? (int64_t)sl_get_uvarint(r) - 1 : sl_get_i32(r));
}

/*
 * The count of an array, -1 for null. A count whose elements, each of at least element_bytes_min
 * (>= 1) bytes, cannot fit in what is left makes the reader bad and gives 0, so no loop over it
 * runs longer than the frame is.
 */
static inline int32_t sl_get_nullable_array(struct sl_rbuf *r, bool flexible,
					    uint32_t element_bytes_min)
{
	int64_t count = flexible ? (int64_t)sl_get_uvarint(r) - 1 : sl_get_i32(r);

	if (r->bad)
		return 0;
	if (count < -1 || (count > 0 && (uint64_t)count > sl_rbuf_left(r) / element_bytes_min)) {
		sl_rbuf_fail(r);
		return 0;
	}
	return (int32_t)count;
}

/* As above, but null makes the reader bad. */
static inline int32_t sl_get_array(struct sl_rbuf *r, bool flexible, uint32_t element_bytes_min)
{
	int32_t count = sl_get_nullable_array(r, flexible, element_bytes_min);

	if (count < 0) {
		sl_rbuf_fail(r);
		return 0;
	}
	return count;
}

/* Steps over an array of int32, as of replica ids. */
static inline void sl_skip_i32_array(struct sl_rbuf *r, bool flexible)
{
	int32_t count = sl_get_array(r, flexible, 4);

	sl_rbuf_take(r, (size_t)count * 4);
}

/* How many tagged fields follow; 0 without reading anything when the message is not flexible. */
static inline uint32_t sl_get_tag_count(struct sl_rbuf *r, bool flexible)
{
	uint32_t count = flexible ? sl_get_uvarint(r) : 0;

	/* A field takes a byte of tag and one of size at least. */
	if (count > sl_rbuf_left(r) / 2) {
		sl_rbuf_fail(r);
		return 0;
	}
	return count;
}

/* Reads one tagged field and steps over it. Unknown ones are skipped by doing nothing with value.
 */
static inline struct sl_tag sl_get_tag(struct sl_rbuf *r)
{
	struct sl_tag t = {0};
	const uint8_t *at;
	uint32_t bytes;

	t.tag = sl_get_uvarint(r);
	bytes = sl_get_uvarint(r);
	at = sl_rbuf_take(r, bytes);
	t.value = at ? sl_rbuf_on(at, bytes) : (struct sl_rbuf){r->end, r->end, true};
	return t;
}

static inline void sl_skip_tags(struct sl_rbuf *r, bool flexible)
{
	uint32_t count = sl_get_tag_count(r, flexible);

	while (count-- > 0 && !r->bad)
		sl_get_tag(r);
}

#endif
