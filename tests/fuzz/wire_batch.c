/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A record batch. Its CRC is put right first, or hardly an input would pass. Oracle: a batch that a
 * broker would take from a producer is written again byte for byte by our own writer, and its
 * records are read without leaving it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/base/assert.h"
#include "dataplane/base/crc32c.h"
#include "dataplane/base/endian.h"
#include "dataplane/wire/batch_header.h"
#include "dataplane/wire/record.h"
#include "tests/fuzz/fuzz.h"

static void write_again(const uint8_t *batch, const struct sl_batch_view *v)
{
	struct sl_batch_header h = {v->base_timestamp_ms,
				    v->max_timestamp_ms,
				    v->producer_id,
				    v->producer_epoch,
				    v->base_sequence,
				    (uint32_t)v->record_count,
				    v->codec,
				    v->payload_bytes,
				    sl_crc32c(0, v->payload, v->payload_bytes)};
	uint8_t out[SL_BATCH_HEADER_BYTES];

	if (v->attributes & ~SL_BATCH_ATTR_CODEC_MASK)
		return;
	sl_batch_header_write(out, &h);
	memcpy(out + SL_BATCH_PREFIX_BYTES, batch + SL_BATCH_PREFIX_BYTES, 4); /* leader epoch */
	SL_ASSERT(memcmp(out, batch, sizeof(out)) == 0);
}

static void records_walk(const struct sl_batch_view *v)
{
	struct sl_record_iter it = sl_record_iter_on(v->payload, v->payload_bytes, v->record_count);
	const uint8_t *end = v->payload + v->payload_bytes;
	struct sl_record record;

	while (sl_record_next(&it, &record) == 1) {
		const uint8_t *headers = record.headers.data;

		SL_ASSERT(headers >= v->payload && headers + record.headers.bytes <= end);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	uint8_t *copy = malloc(bytes ? bytes : 1);
	struct sl_batch_view v;
	int rc;

	memcpy(copy, data, bytes);
	rc = sl_batch_parse(copy, bytes, &v);
	if (rc == -EILSEQ) {
		sl_store_be32(
			copy + SL_BATCH_CRC_OFFSET,
			sl_crc32c(0, copy + SL_BATCH_CRC_FROM, v.batch_bytes - SL_BATCH_CRC_FROM));
		rc = sl_batch_parse(copy, bytes, &v);
	}
	if (rc == 0) {
		SL_ASSERT(v.payload + v.payload_bytes <= copy + bytes);
		if (sl_batch_produce_check(&v) == 0)
			write_again(copy, &v);
		records_walk(&v);
	}
	free(copy);
	return 0;
}
