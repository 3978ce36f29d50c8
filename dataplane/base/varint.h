/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Varints as in Kafka: base 128, least significant group first. Record fields are zigzag-coded signed
 * (sl_zigzag*), lengths in flexible messages are plain unsigned. Source: Kafka protocol guide, record batch v2.
 */
#ifndef SL_BASE_VARINT_H
#define SL_BASE_VARINT_H

#include <stddef.h>
#include <stdint.h>

enum { SL_VARINT32_BYTES_MAX = 5, SL_VARINT64_BYTES_MAX = 10 };

static inline uint32_t sl_zigzag32(int32_t v)
{
	return ((uint32_t)v << 1) ^ (uint32_t)(v >> 31);
}

static inline int32_t sl_unzigzag32(uint32_t v)
{
	return (int32_t)(v >> 1) ^ -(int32_t)(v & 1);
}

static inline uint64_t sl_zigzag64(int64_t v)
{
	return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
}

static inline int64_t sl_unzigzag64(uint64_t v)
{
	return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

/* Bytes that v takes as an unsigned varint: 1..10. */
static inline uint32_t sl_uvarint_bytes(uint64_t v)
{
	return (uint32_t)((70 - __builtin_clzll(v | 1)) / 7);
}

static inline uint32_t sl_varint32_bytes(int32_t v)
{
	return sl_uvarint_bytes(sl_zigzag32(v));
}

static inline uint32_t sl_varint64_bytes(int64_t v)
{
	return sl_uvarint_bytes(sl_zigzag64(v));
}

/* Writes v and returns the end. The caller has made room. */
static inline uint8_t *sl_uvarint_put(uint8_t *p, uint64_t v)
{
	while (v >= 0x80) {
		*p++ = (uint8_t)(v | 0x80);
		v >>= 7;
	}
	*p++ = (uint8_t)v;
	return p;
}

static inline uint8_t *sl_varint32_put(uint8_t *p, int32_t v)
{
	return sl_uvarint_put(p, sl_zigzag32(v));
}

static inline uint8_t *sl_varint64_put(uint8_t *p, int64_t v)
{
	return sl_uvarint_put(p, sl_zigzag64(v));
}

/*
 * Reads an unsigned varint of at most bytes_max groups from [p, end). Returns the end of it, or NULL when it is cut
 * short, longer than that, or (for 32 bits, bytes_max 5) does not fit.
 */
static inline const uint8_t *sl_uvarint_get(const uint8_t *p, const uint8_t *end, uint32_t bytes_max,
	uint64_t *out)
{
	uint64_t v = 0;
	uint32_t i;

	for (i = 0; i < bytes_max && p < end; i++) {
		uint8_t b = *p++;

		v |= (uint64_t)(b & 0x7f) << (7 * i);
		if (!(b & 0x80)) {
			if (bytes_max == SL_VARINT32_BYTES_MAX && v > UINT32_MAX)
				return NULL;
			if (i == 9 && b > 1)
				return NULL;
			*out = v;
			return p;
		}
	}
	return NULL;
}

static inline const uint8_t *sl_varint32_get(const uint8_t *p, const uint8_t *end, int32_t *out)
{
	uint64_t v;

	/* Lengths of keys, values and headers nearly always fit one byte. */
	if (p < end && *p < 0x80) {
		*out = sl_unzigzag32(*p);
		return p + 1;
	}
	p = sl_uvarint_get(p, end, SL_VARINT32_BYTES_MAX, &v);
	if (p)
		*out = sl_unzigzag32((uint32_t)v);
	return p;
}

static inline const uint8_t *sl_varint64_get(const uint8_t *p, const uint8_t *end, int64_t *out)
{
	uint64_t v;

	p = sl_uvarint_get(p, end, SL_VARINT64_BYTES_MAX, &v);
	if (p)
		*out = sl_unzigzag64(v);
	return p;
}

#endif
