/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/wire/batch_header.h"

#include <errno.h>

#include "dataplane/base/assert.h"
#include "dataplane/base/crc32c.h"
#include "dataplane/base/endian.h"

/* Where the fields stand, from the start of the batch. */
enum {
	AT_BASE_OFFSET = 0,
	AT_LENGTH = 8,
	AT_LEADER_EPOCH = 12,
	AT_MAGIC = 16,
	AT_CRC = SL_BATCH_CRC_OFFSET,
	AT_ATTRIBUTES = SL_BATCH_CRC_FROM,
	AT_LAST_OFFSET_DELTA = 23,
	AT_BASE_TIMESTAMP = 27,
	AT_MAX_TIMESTAMP = 35,
	AT_PRODUCER_ID = 43,
	AT_PRODUCER_EPOCH = 51,
	AT_BASE_SEQUENCE = 53,
	AT_RECORD_COUNT = 57,
};

static_assert(AT_RECORD_COUNT + 4 == SL_BATCH_HEADER_BYTES, "record batch v2");
static_assert(AT_LENGTH + 4 == SL_BATCH_PREFIX_BYTES, "the length counts from behind itself");

enum { KAFKA_INVALID_TIMESTAMP = 32, KAFKA_INVALID_RECORD = 87 };

void sl_batch_header_write(uint8_t out[static SL_BATCH_HEADER_BYTES],
			   const struct sl_batch_header *h)
{
	uint32_t crc;

	SL_ASSERT(h->record_count >= 1 && h->record_count <= INT32_MAX);
	SL_ASSERT(h->payload_bytes <= INT32_MAX - SL_BATCH_HEADER_BYTES);
	/* Brokers demand offset 0 of a producer and fill in the leader epoch, which the CRC leaves
	 * out. */
	sl_store_be64(out + AT_BASE_OFFSET, 0);
	sl_store_be32(out + AT_LENGTH,
		      h->payload_bytes + SL_BATCH_HEADER_BYTES - SL_BATCH_PREFIX_BYTES);
	sl_store_be32(out + AT_LEADER_EPOCH, UINT32_MAX);
	out[AT_MAGIC] = SL_BATCH_MAGIC;
	sl_store_be16(out + AT_ATTRIBUTES, (uint16_t)h->codec);
	sl_store_be32(out + AT_LAST_OFFSET_DELTA, h->record_count - 1);
	sl_store_be64(out + AT_BASE_TIMESTAMP, (uint64_t)h->base_timestamp_ms);
	sl_store_be64(out + AT_MAX_TIMESTAMP, (uint64_t)h->max_timestamp_ms);
	sl_store_be64(out + AT_PRODUCER_ID, (uint64_t)h->producer_id);
	sl_store_be16(out + AT_PRODUCER_EPOCH, (uint16_t)h->producer_epoch);
	sl_store_be32(out + AT_BASE_SEQUENCE, (uint32_t)h->base_sequence);
	sl_store_be32(out + AT_RECORD_COUNT, h->record_count);
	crc = sl_crc32c(0, out + SL_BATCH_CRC_FROM, SL_BATCH_HEADER_BYTES - SL_BATCH_CRC_FROM);
	crc = sl_crc32c_combine(crc, h->payload_crc, h->payload_bytes);
	sl_store_be32(out + AT_CRC, crc);
}

static void view_fill(struct sl_batch_view *v, const uint8_t *p, uint32_t batch_bytes)
{
	uint16_t attributes = sl_load_be16(p + AT_ATTRIBUTES);

	*v = (struct sl_batch_view){
		.base_offset = (int64_t)sl_load_be64(p + AT_BASE_OFFSET),
		.batch_bytes = batch_bytes,
		.partition_leader_epoch = (int32_t)sl_load_be32(p + AT_LEADER_EPOCH),
		.crc = sl_load_be32(p + AT_CRC),
		.attributes = (int16_t)attributes,
		.codec = (enum sl_codec_id)(attributes & SL_BATCH_ATTR_CODEC_MASK),
		.last_offset_delta = (int32_t)sl_load_be32(p + AT_LAST_OFFSET_DELTA),
		.base_timestamp_ms = (int64_t)sl_load_be64(p + AT_BASE_TIMESTAMP),
		.max_timestamp_ms = (int64_t)sl_load_be64(p + AT_MAX_TIMESTAMP),
		.producer_id = (int64_t)sl_load_be64(p + AT_PRODUCER_ID),
		.producer_epoch = (int16_t)sl_load_be16(p + AT_PRODUCER_EPOCH),
		.base_sequence = (int32_t)sl_load_be32(p + AT_BASE_SEQUENCE),
		.record_count = (int32_t)sl_load_be32(p + AT_RECORD_COUNT),
		.payload = p + SL_BATCH_HEADER_BYTES,
		.payload_bytes = batch_bytes - SL_BATCH_HEADER_BYTES,
	};
}

int sl_batch_parse(const void *data, size_t bytes, struct sl_batch_view *out)
{
	const uint8_t *p = data;
	uint32_t length;

	if (bytes < SL_BATCH_PREFIX_BYTES)
		return -EAGAIN;
	length = sl_load_be32(p + AT_LENGTH);
	if (length < SL_BATCH_HEADER_BYTES - SL_BATCH_PREFIX_BYTES ||
	    length > INT32_MAX - SL_BATCH_PREFIX_BYTES)
		return -EBADMSG;
	if (bytes < (size_t)length + SL_BATCH_PREFIX_BYTES)
		return -EAGAIN;
	if (p[AT_MAGIC] != SL_BATCH_MAGIC)
		return -EBADMSG;
	view_fill(out, p, length + SL_BATCH_PREFIX_BYTES);
	if (out->crc != sl_crc32c(0, p + SL_BATCH_CRC_FROM, out->batch_bytes - SL_BATCH_CRC_FROM))
		return -EILSEQ;
	/* A compacted batch keeps its last offset but may have lost any of its records, all of them
	 * too. */
	if (out->codec >= SL_CODEC_COUNT || out->record_count < 0 || out->last_offset_delta < 0 ||
	    out->record_count > (int64_t)out->last_offset_delta + 1)
		return -EBADMSG;
	return 0;
}

int16_t sl_batch_produce_check(const struct sl_batch_view *batch)
{
	if (batch->attributes & SL_BATCH_ATTR_LOG_APPEND_TIME)
		return KAFKA_INVALID_TIMESTAMP;
	if (batch->base_offset != 0 || batch->record_count < 1 ||
	    batch->record_count != (int64_t)batch->last_offset_delta + 1)
		return KAFKA_INVALID_RECORD;
	if (batch->attributes & SL_BATCH_ATTR_CONTROL)
		return KAFKA_INVALID_RECORD;
	if (batch->producer_id >= 0 && (batch->base_sequence < 0 || batch->producer_epoch < 0))
		return KAFKA_INVALID_RECORD;
	return 0;
}
