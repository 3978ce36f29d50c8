/* SPDX-License-Identifier: Apache-2.0 */
/* Source: snappy's format_description.txt. Greedy: the last position with the same hash of four
 * bytes is tried. */
#include <string.h>

#include "dataplane/base/assert.h"
#include "dataplane/base/endian.h"
#include "dataplane/base/varint.h"
#include "dataplane/batch/codec_internal.h"

enum {
	TAG_LITERAL = 0,
	TAG_COPY1 = 1,
	TAG_COPY2 = 2,
	MATCH_MIN = 4,
	COPY_MAX = 64,
	COPY1_OFFSET_MAX = 2047
};

static uint32_t hash4(const uint8_t *p)
{
	return (sl_load_le32(p) * 0x1e35a7bdu) >> (32 - SNAPPY_TABLE_BITS);
}

static uint8_t *literal_put(uint8_t *out, const uint8_t *from, uint32_t bytes)
{
	uint32_t n = bytes - 1;

	if (bytes == 0)
		return out;
	if (n < 60) {
		*out++ = (uint8_t)(n << 2 | TAG_LITERAL);
	} else if (n < 256) {
		*out++ = 60 << 2 | TAG_LITERAL;
		*out++ = (uint8_t)n;
	} else {
		*out++ = 61 << 2 | TAG_LITERAL;
		*out++ = (uint8_t)n;
		*out++ = (uint8_t)(n >> 8);
	}
	memcpy(out, from, bytes);
	return out + bytes;
}

static uint8_t *copy_put(uint8_t *out, uint32_t offset, uint32_t bytes)
{
	while (bytes > 0) {
		uint32_t n = bytes < COPY_MAX ? bytes : COPY_MAX;

		if (n >= 4 && n <= 11 && offset <= COPY1_OFFSET_MAX) {
			*out++ = (uint8_t)((offset >> 8) << 5 | (n - 4) << 2 | TAG_COPY1);
			*out++ = (uint8_t)offset;
		} else {
			*out++ = (uint8_t)((n - 1) << 2 | TAG_COPY2);
			*out++ = (uint8_t)offset;
			*out++ = (uint8_t)(offset >> 8);
		}
		bytes -= n;
	}
	return out;
}

static uint32_t match_bytes(const uint8_t *old, const uint8_t *p, const uint8_t *end)
{
	const uint8_t *from = p;

	while (end - p >= 8) {
		uint64_t differ = sl_load_le64(old) ^ sl_load_le64(p);

		if (differ)
			return (uint32_t)(p - from) + (uint32_t)__builtin_ctzll(differ) / 8;
		p += 8;
		old += 8;
	}
	while (p < end && *old == *p) {
		p++;
		old++;
	}
	return (uint32_t)(p - from);
}

uint32_t sl_snappy_block(uint16_t *table, const uint8_t *in, uint32_t in_bytes, uint8_t *out)
{
	const uint8_t *p = in, *end = in + in_bytes, *literal = in;
	uint8_t *begin = out;
	uint32_t misses = 32;

	SL_ASSERT(in_bytes <= SNAPPY_BLOCK_BYTES);
	memset(table, 0, sizeof(*table) << SNAPPY_TABLE_BITS);
	out = sl_uvarint_put(out, in_bytes);
	/* The hash reads four bytes; position 0 stands for "none", so it starts at the second. */
	for (p = in + 1; end - p >= MATCH_MIN;) {
		uint16_t *slot = &table[hash4(p)];
		const uint8_t *old = in + *slot;
		uint32_t bytes;

		*slot = (uint16_t)(p - in);
		if (sl_load_le32(old) != sl_load_le32(p)) {
			/* What did not match for a while is stepped over faster. */
			p += misses++ >> 5;
			continue;
		}
		bytes = match_bytes(old, p, end);
		out = literal_put(out, literal, (uint32_t)(p - literal));
		out = copy_put(out, (uint32_t)(p - old), bytes);
		p += bytes;
		literal = p;
		misses = 32;
	}
	out = literal_put(out, literal, (uint32_t)(end - literal));
	return (uint32_t)(out - begin);
}
