/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/sluice/stamp.h"

#include "dataplane/base/crc32c.h"

enum { STREAM_AT = 1, SENDER_AT = 9, SEQUENCE_AT = 13, CRC_AT = 21, LENGTHS_BYTES = 8 };

static uint32_t length_word(struct sl_slice s)
{
	return s.data ? s.bytes : UINT32_MAX;
}

static uint32_t sum(const uint8_t *stamp, struct sl_slice key, struct sl_slice value)
{
	uint8_t head[CRC_AT + LENGTHS_BYTES];
	uint32_t crc;

	memcpy(head, stamp, CRC_AT);
	sl_store_be32(head + CRC_AT, length_word(key));
	sl_store_be32(head + CRC_AT + 4, length_word(value));
	crc = sl_crc32c(0, head, sizeof(head));
	if (key.bytes > 0)
		crc = sl_crc32c(crc, key.data, key.bytes);
	return value.bytes > 0 ? sl_crc32c(crc, value.data, value.bytes) : crc;
}

void stamp_put(uint8_t out[static STAMP_BYTES], const struct stamp *stamp, struct sl_slice key, struct sl_slice value)
{
	out[0] = STAMP_VERSION;
	sl_store_be64(out + STREAM_AT, stamp->stream);
	sl_store_be32(out + SENDER_AT, stamp->sender);
	sl_store_be64(out + SEQUENCE_AT, stamp->sequence);
	sl_store_be32(out + CRC_AT, sum(out, key, value));
}

bool stamp_get(struct sl_slice header, struct stamp *out)
{
	const uint8_t *p = header.data;

	if (!p || header.bytes != STAMP_BYTES || p[0] != STAMP_VERSION)
		return false;
	out->stream = sl_load_be64(p + STREAM_AT);
	out->sender = sl_load_be32(p + SENDER_AT);
	out->sequence = sl_load_be64(p + SEQUENCE_AT);
	out->crc = sl_load_be32(p + CRC_AT);
	return true;
}

bool stamp_sum_is_right(struct sl_slice header, struct sl_slice key, struct sl_slice value)
{
	const uint8_t *p = header.data;

	return sum(p, key, value) == sl_load_be32(p + CRC_AT);
}
