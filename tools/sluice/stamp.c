/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/sluice/stamp.h"

#include "dataplane/base/crc32c.h"

enum {
	STREAM_AT = 1,
	SENDER_AT = 9,
	SEQUENCE_AT = 13,
	CRC_AT = 21,
	LENGTHS_BYTES = 8,
	WHOLE_BYTES = 512
};

static uint32_t length_word(struct sl_slice s)
{
	return s.data ? s.bytes : UINT32_MAX;
}

static uint32_t sum(const uint8_t *stamp, struct sl_slice key, struct sl_slice value)
{
	uint8_t whole[WHOLE_BYTES];
	uint32_t bytes = CRC_AT + LENGTHS_BYTES, crc;

	memcpy(whole, stamp, CRC_AT);
	sl_store_be32(whole + CRC_AT, length_word(key));
	sl_store_be32(whole + CRC_AT + 4, length_word(value));
	/* A small record is summed in one call: beginning a sum costs more than copying it
	 * together. */
	if ((uint64_t)key.bytes + value.bytes <= sizeof(whole) - bytes) {
		if (key.bytes > 0)
			memcpy(whole + bytes, key.data, key.bytes);
		bytes += key.bytes;
		if (value.bytes > 0)
			memcpy(whole + bytes, value.data, value.bytes);
		return sl_crc32c(0, whole, bytes + value.bytes);
	}
	crc = sl_crc32c(0, whole, bytes);
	if (key.bytes > 0)
		crc = sl_crc32c(crc, key.data, key.bytes);
	return value.bytes > 0 ? sl_crc32c(crc, value.data, value.bytes) : crc;
}

void stamp_put(uint8_t out[static STAMP_BYTES], const struct stamp *stamp, struct sl_slice key,
	       struct sl_slice value)
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
