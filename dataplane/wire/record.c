/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/wire/record.h"

#include <errno.h>

/* A header takes two length bytes at least. */
enum { HEADER_BYTES_MIN = 2 };

static int32_t varint_get(struct sl_rbuf *r)
{
	int32_t v = 0;
	const uint8_t *next = r->bad ? NULL : sl_varint32_get(r->pos, r->end, &v);

	if (!next) {
		sl_rbuf_fail(r);
		return 0;
	}
	r->pos = next;
	return v;
}

/* A length and its bytes; null where the length is -1, which makes the reader bad unless it may be
 * so. */
static struct sl_slice field_get(struct sl_rbuf *r, bool nullable)
{
	int32_t length = varint_get(r);

	if (length == -1 && !nullable)
		sl_rbuf_fail(r);
	return sl_get_body(r, length);
}

static struct sl_kafka_header header_get(struct sl_rbuf *r)
{
	struct sl_kafka_header h;

	h.key = field_get(r, false);
	h.value = field_get(r, true);
	return h;
}

static void headers_skip(struct sl_rbuf *r, int32_t count)
{
	if (count < 0 || (size_t)count > sl_rbuf_left(r) / HEADER_BYTES_MIN) {
		sl_rbuf_fail(r);
		return; /* counting down from the lowest number would overflow */
	}
	while (count-- > 0 && !r->bad)
		header_get(r);
}

int sl_record_tail_check_any(const uint8_t *tail, uint32_t bytes, struct sl_record_tail *out)
{
	struct sl_rbuf r = sl_rbuf_on(tail, bytes);
	struct sl_slice key, value;
	int32_t header_count;

	if (bytes > SL_RECORD_TAIL_BYTES_MAX)
		return -EBADMSG;
	key = field_get(&r, true);
	out->key_bytes = key.data ? (int32_t)key.bytes : -1;
	out->key_offset = (uint32_t)(r.pos - tail) - key.bytes;
	value = field_get(&r, true);
	out->value_bytes = value.data ? (int32_t)value.bytes : -1;
	out->value_offset = (uint32_t)(r.pos - tail) - value.bytes;
	header_count = varint_get(&r);
	out->header_count = (uint32_t)header_count;
	out->headers_offset = (uint32_t)(r.pos - tail);
	headers_skip(&r, header_count);
	return r.bad || sl_rbuf_left(&r) != 0 ? -EBADMSG : 0;
}

static uint64_t field_bytes(struct sl_slice s)
{
	if (!s.data)
		return 1;
	return s.bytes + (uint64_t)sl_uvarint_bytes((uint64_t)s.bytes << 1);
}

uint32_t sl_record_tail_bytes(struct sl_slice key, struct sl_slice value,
			      const struct sl_kafka_header *headers, uint32_t header_count)
{
	uint64_t bytes = field_bytes(key) + field_bytes(value);
	uint32_t i;

	bytes += sl_uvarint_bytes((uint64_t)header_count << 1);
	for (i = 0; i < header_count; i++) {
		if (!headers[i].key.data)
			return 0;
		bytes += field_bytes(headers[i].key) + field_bytes(headers[i].value);
	}
	return bytes > SL_RECORD_TAIL_BYTES_MAX ? 0 : (uint32_t)bytes;
}

static uint8_t *field_put(uint8_t *p, struct sl_slice s)
{
	if (!s.data)
		return sl_varint32_put(p, -1);
	p = sl_varint32_put(p, (int32_t)s.bytes);
	memcpy(p, s.data, s.bytes);
	return p + s.bytes;
}

uint8_t *sl_record_tail_put(uint8_t *p, struct sl_slice key, struct sl_slice value,
			    const struct sl_kafka_header *headers, uint32_t header_count)
{
	uint32_t i;

	p = field_put(p, key);
	p = field_put(p, value);
	p = sl_varint32_put(p, (int32_t)header_count);
	for (i = 0; i < header_count; i++) {
		p = field_put(p, headers[i].key);
		p = field_put(p, headers[i].value);
	}
	return p;
}

/* Reads a record's body, which r covers exactly. */
static int record_get(struct sl_rbuf *r, struct sl_record *out)
{
	struct sl_record_tail tail;
	const uint8_t *p;

	sl_get_i8(r); /* attributes: unused, readers ignore them */
	p = sl_varint64_get(r->pos, r->end, &out->timestamp_delta_ms);
	p = p ? sl_varint32_get(p, r->end, &out->offset_delta) : NULL;
	if (!p || r->bad || out->offset_delta < 0 ||
	    sl_record_tail_check(p, (uint32_t)(r->end - p), &tail) < 0)
		return -EBADMSG;
	out->key = SL_SLICE_NULL;
	if (tail.key_bytes >= 0)
		out->key = (struct sl_slice){p + tail.key_offset, (uint32_t)tail.key_bytes};
	out->value = SL_SLICE_NULL;
	if (tail.value_bytes >= 0)
		out->value = (struct sl_slice){p + tail.value_offset, (uint32_t)tail.value_bytes};
	out->header_count = tail.header_count;
	out->headers.data = p + tail.headers_offset;
	out->headers.bytes = (uint32_t)(r->end - p) - tail.headers_offset;
	return 1;
}

int sl_record_next(struct sl_record_iter *it, struct sl_record *out)
{
	struct sl_rbuf body;
	int32_t length;
	const uint8_t *p;

	if (it->left <= 0)
		return it->left == 0 && it->pos == it->end ? 0 : -EBADMSG;
	p = sl_varint32_get(it->pos, it->end, &length);
	if (!p || length < 0 || length > it->end - p)
		return -EBADMSG;
	it->left--;
	it->pos = p + length;
	body = sl_rbuf_on(p, (size_t)length);
	return record_get(&body, out);
}

int sl_record_header_next(struct sl_record_headers *headers, struct sl_kafka_header *out)
{
	if (headers->left == 0)
		return 0;
	headers->left--;
	*out = header_get(&headers->r);
	return 1;
}
