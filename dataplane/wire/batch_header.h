/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The 61-byte header of a record batch (magic 2), written from a struct and read back with every
 * check. Any thread; pure. The header's CRC is combined from the payload's own, so the payload is
 * not read again. Source: Kafka documentation, "Record Batch"; Kafka's LogValidator for what a
 * broker refuses.
 */
#ifndef SL_WIRE_BATCH_HEADER_H
#define SL_WIRE_BATCH_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	SL_BATCH_HEADER_BYTES = 61,
	SL_BATCH_PREFIX_BYTES =
		12, /* base offset and batch length: what the length does not count */
	SL_BATCH_MAGIC = 2,
	SL_BATCH_CRC_OFFSET = 17,
	SL_BATCH_CRC_FROM = 21, /* the CRC covers from the attributes to the end */
};

enum sl_codec_id {
	SL_CODEC_NONE = 0,
	SL_CODEC_GZIP = 1,
	SL_CODEC_SNAPPY = 2,
	SL_CODEC_LZ4 = 3,
	SL_CODEC_ZSTD = 4,
	SL_CODEC_COUNT
};

enum {
	SL_BATCH_ATTR_CODEC_MASK = 0x07,
	SL_BATCH_ATTR_LOG_APPEND_TIME = 0x08,
	SL_BATCH_ATTR_TRANSACTIONAL = 0x10,
	SL_BATCH_ATTR_CONTROL = 0x20,
};

/* What a producer says about a sealed batch. Not idempotent: producer_id, producer_epoch and
 * base_sequence are -1. */
struct sl_batch_header {
	int64_t base_timestamp_ms; /* of the first record */
	int64_t max_timestamp_ms;
	int64_t producer_id;
	int16_t producer_epoch;
	int32_t base_sequence;
	uint32_t record_count; /* 1.. */
	enum sl_codec_id codec;
	uint32_t payload_bytes; /* the records, compressed if codec says so */
	uint32_t payload_crc;   /* sl_crc32c(0, payload, payload_bytes) */
};

/* A batch as it stands in somebody's bytes. payload points into them. */
struct sl_batch_view {
	int64_t base_offset;
	uint32_t batch_bytes; /* whole, prefix included */
	int32_t partition_leader_epoch;
	uint32_t crc;
	int16_t attributes;
	enum sl_codec_id codec; /* of the attributes */
	int32_t last_offset_delta;
	int64_t base_timestamp_ms;
	int64_t max_timestamp_ms;
	int64_t producer_id;
	int16_t producer_epoch;
	int32_t base_sequence;
	int32_t record_count;
	const uint8_t *payload;
	uint32_t payload_bytes;
};

/* Writes the header. record_count must be 1..2^31-1 and the batch must fit an int32 (asserted). */
void sl_batch_header_write(uint8_t out[static SL_BATCH_HEADER_BYTES],
			   const struct sl_batch_header *h);

/*
 * Reads the batch at data, as a log or a fetch response holds it (compacted ones included). Returns
 * 0; -EAGAIN when fewer than the whole batch's bytes are there (a fetch may end so); -EBADMSG for a
 * wrong length, magic, codec or count; -EILSEQ when the CRC does not match.
 */
int sl_batch_parse(const void *data, size_t bytes, struct sl_batch_view *out);

/*
 * What a broker answers to a producer for this (parsed) header: 0, or a Kafka error code (87
 * invalid record, 32 invalid timestamp). The number of records in the payload is not counted here.
 */
int16_t sl_batch_produce_check(const struct sl_batch_view *batch);

#endif
