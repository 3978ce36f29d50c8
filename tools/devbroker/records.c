/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/devbroker/records.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "dataplane/base/crc32c.h"

struct record {
	int64_t timestamp_delta;
	int32_t offset_delta;
	int32_t key_bytes; /* -1 null */
};

int16_t sl_db_refuse(struct sl_db_refusal *why, int16_t error, const char *fmt, ...)
{
	va_list args;

	why->error = error;
	why->record_index = -1;
	va_start(args, fmt);
	vsnprintf(why->text, sizeof(why->text), fmt, args);
	va_end(args);
	return error;
}

static int16_t refuse_record(struct sl_db_refusal *why, const struct sl_db_rules *rules,
			     int32_t index, const char *text)
{
	/* Brokers before 2.4 have no code for it. */
	return sl_db_refuse(why, rules->before_2_4 ? SL_DB_CORRUPT_MESSAGE : SL_DB_INVALID_RECORD,
			    "record %" PRId32 ": %s", index, text);
}

static int16_t size_check(struct sl_slice records, const struct sl_db_rules *rules,
			  struct sl_db_refusal *why)
{
	const uint8_t *p = records.data;
	uint64_t batch_bytes;
	int16_t invalid = rules->before_2_4 ? SL_DB_CORRUPT_MESSAGE : SL_DB_INVALID_RECORD;

	if (!p || records.bytes < SL_BATCH_HEADER_BYTES)
		return sl_db_refuse(why, invalid, "%" PRIu32 " bytes hold no batch", records.bytes);
	if (p[16] != SL_BATCH_MAGIC)
		return sl_db_refuse(why, invalid, "magic %u, not 2", p[16]);
	batch_bytes = (uint64_t)sl_load_be32(p + 8) + SL_BATCH_PREFIX_BYTES;
	if (batch_bytes < SL_BATCH_HEADER_BYTES || batch_bytes > records.bytes)
		return sl_db_refuse(why, SL_DB_CORRUPT_MESSAGE,
				    "batch says %" PRIu64 " bytes, there are %" PRIu32, batch_bytes,
				    records.bytes);
	if (batch_bytes < records.bytes)
		return sl_db_refuse(why, invalid, "%" PRIu64 " bytes after the batch",
				    records.bytes - batch_bytes);
	if (records.bytes > rules->batch_bytes_max)
		return sl_db_refuse(why, SL_DB_MESSAGE_TOO_LARGE,
				    "batch of %" PRIu32 " bytes, at most %" PRIu32, records.bytes,
				    rules->batch_bytes_max);
	return SL_DB_NONE;
}

static int16_t attributes_check(uint16_t attributes, const struct sl_db_rules *rules,
				struct sl_db_refusal *why)
{
	int16_t invalid = rules->before_2_4 ? SL_DB_CORRUPT_MESSAGE : SL_DB_INVALID_RECORD;

	if (attributes & SL_BATCH_ATTR_CONTROL)
		return sl_db_refuse(why, invalid, "control batch from a producer");
	if (attributes & SL_BATCH_ATTR_TRANSACTIONAL)
		return sl_db_refuse(why, SL_DB_INVALID_TXN_STATE, "no transactions here");
	if (attributes & SL_BATCH_ATTR_LOG_APPEND_TIME)
		return sl_db_refuse(why, SL_DB_INVALID_TIMESTAMP,
				    "producer marked the batch with log append time");
	if (attributes >> 6 || (attributes & SL_BATCH_ATTR_CODEC_MASK) >= SL_CODEC_COUNT)
		return sl_db_refuse(why, invalid, "attributes %#x", attributes);
	return SL_DB_NONE;
}

static void header_read(const uint8_t *p, uint32_t bytes, struct sl_db_batch *out)
{
	*out = (struct sl_db_batch){
		.whole = {p, bytes},
		.payload = {p + SL_BATCH_HEADER_BYTES, bytes - SL_BATCH_HEADER_BYTES},
		.codec = (enum sl_codec_id)(p[22] & SL_BATCH_ATTR_CODEC_MASK),
		.base_timestamp_ms = (int64_t)sl_load_be64(p + 27),
		.max_timestamp_ms = (int64_t)sl_load_be64(p + 35),
		.producer_id = (int64_t)sl_load_be64(p + 43),
		.producer_epoch = (int16_t)sl_load_be16(p + 51),
		.base_sequence = (int32_t)sl_load_be32(p + 53),
		.record_count = sl_load_be32(p + 57),
	};
}

static int16_t numbers_check(const struct sl_db_batch *b, const struct sl_db_rules *rules,
			     struct sl_db_refusal *why)
{
	const uint8_t *p = b->whole.data;
	int32_t last_offset_delta = (int32_t)sl_load_be32(p + 23);
	int16_t invalid = rules->before_2_4 ? SL_DB_CORRUPT_MESSAGE : SL_DB_INVALID_RECORD;

	if (sl_load_be64(p) != 0)
		return sl_db_refuse(why, invalid, "base offset %" PRId64 ", not 0",
				    (int64_t)sl_load_be64(p));
	if (b->record_count == 0 || b->record_count > INT32_MAX)
		return sl_db_refuse(why, invalid, "%" PRId32 " records", (int32_t)b->record_count);
	if (last_offset_delta != (int32_t)b->record_count - 1)
		return sl_db_refuse(why, invalid,
				    "last offset delta %" PRId32 " of %" PRIu32 " records",
				    last_offset_delta, b->record_count);
	if (b->producer_id >= 0 && (b->base_sequence < 0 || b->producer_epoch < 0))
		return sl_db_refuse(why, invalid,
				    "producer %" PRId64 " with epoch %d, sequence %" PRId32,
				    b->producer_id, b->producer_epoch, b->base_sequence);
	if (b->producer_id < -1)
		return sl_db_refuse(why, invalid, "producer id %" PRId64, b->producer_id);
	if (b->max_timestamp_ms > rules->timestamp_ms_max)
		return sl_db_refuse(why, SL_DB_INVALID_TIMESTAMP,
				    "max timestamp %" PRId64 " lies too far ahead",
				    b->max_timestamp_ms);
	return SL_DB_NONE;
}

int16_t sl_db_batch_open(struct sl_slice records, const struct sl_db_rules *rules,
			 struct sl_db_batch *out, struct sl_db_refusal *why)
{
	const uint8_t *p = records.data;
	int16_t error = size_check(records, rules, why);
	uint32_t crc;

	if (error)
		return error;
	crc = sl_crc32c(0, p + SL_BATCH_CRC_FROM, records.bytes - SL_BATCH_CRC_FROM);
	if (crc != sl_load_be32(p + SL_BATCH_CRC_OFFSET))
		return sl_db_refuse(why, SL_DB_CORRUPT_MESSAGE,
				    "crc %08" PRIx32 ", the bytes have %08" PRIx32,
				    sl_load_be32(p + SL_BATCH_CRC_OFFSET), crc);
	error = attributes_check(sl_load_be16(p + 21), rules, why);
	if (error)
		return error;
	header_read(p, records.bytes, out);
	return numbers_check(out, rules, why);
}

/* Steps over the bytes of a key, value or header part; -1 is null where that is allowed. */
static bool part_skip(struct sl_rbuf *r, bool nullable, int32_t *bytes)
{
	const uint8_t *next = sl_varint32_get(r->pos, r->end, bytes);

	if (!next || *bytes < (nullable ? -1 : 0))
		return false;
	r->pos = next;
	return *bytes <= 0 || sl_rbuf_take(r, (size_t)*bytes);
}

static const char *headers_skip(struct sl_rbuf *r)
{
	int32_t count, bytes;
	const uint8_t *next = sl_varint32_get(r->pos, r->end, &count);

	if (!next || count < 0)
		return "bad header count";
	r->pos = next;
	while (count-- > 0) {
		if (!part_skip(r, false, &bytes))
			return "bad header key";
		if (!part_skip(r, true, &bytes))
			return "bad header value";
	}
	return NULL;
}

/* Reads the fields of one record, whose bytes r is. Returns NULL, or what is wrong. */
static const char *record_read(struct sl_rbuf *r, struct record *out)
{
	const char *why;
	int32_t bytes;

	sl_get_i8(r); /* attributes: none are in use, and brokers ignore them */
	r->pos = r->bad ? NULL : sl_varint64_get(r->pos, r->end, &out->timestamp_delta);
	if (!r->pos)
		return "bad timestamp delta";
	r->pos = sl_varint32_get(r->pos, r->end, &out->offset_delta);
	if (!r->pos)
		return "bad offset delta";
	if (!part_skip(r, true, &out->key_bytes))
		return "bad key";
	if (!part_skip(r, true, &bytes))
		return "bad value";
	why = headers_skip(r);
	if (why)
		return why;
	return r->pos == r->end ? NULL : "bytes after the headers";
}

static const char *record_next(struct sl_rbuf *r, struct record *out)
{
	struct sl_rbuf body;
	int32_t bytes;
	const uint8_t *next = sl_varint32_get(r->pos, r->end, &bytes);

	if (!next || bytes < 0 || bytes > r->end - next)
		return "bad record length";
	body = sl_rbuf_on(next, (size_t)bytes);
	r->pos = next + bytes;
	return record_read(&body, out);
}

static int16_t record_check(const struct sl_db_batch *batch, const struct sl_db_rules *rules,
			    const struct record *record, int32_t index, struct sl_db_refusal *why)
{
	/* Added as unsigned: a hostile delta may overflow. */
	int64_t timestamp =
		(int64_t)((uint64_t)batch->base_timestamp_ms + (uint64_t)record->timestamp_delta);

	if (record->offset_delta != index)
		return refuse_record(why, rules, index, "offset delta out of order");
	if (rules->compacted && record->key_bytes < 0) {
		refuse_record(why, rules, index, "null key in a compacted topic");
		why->record_index = index;
		return why->error;
	}
	if (timestamp > rules->timestamp_ms_max) {
		sl_db_refuse(why, SL_DB_INVALID_TIMESTAMP,
			     "record %" PRId32 ": timestamp %" PRId64 " lies too far ahead", index,
			     timestamp);
		why->record_index = index;
		return why->error;
	}
	return SL_DB_NONE;
}

int16_t sl_db_batch_walk(const struct sl_db_batch *batch, const struct sl_db_rules *rules,
			 struct sl_db_inflater *inflater, struct sl_db_refusal *why)
{
	struct sl_slice plain;
	const char *text = sl_db_inflate(inflater, batch->codec, batch->payload, &plain);
	int32_t index, count = (int32_t)batch->record_count;
	struct sl_rbuf r;

	if (text)
		return sl_db_refuse(why, SL_DB_CORRUPT_MESSAGE, "%s", text);
	r = sl_rbuf_on(plain.data, plain.bytes);
	for (index = 0; index < count; index++) {
		struct record record;
		int16_t error;

		text = record_next(&r, &record);
		if (text)
			return refuse_record(why, rules, index, text);
		error = record_check(batch, rules, &record, index, why);
		if (error)
			return error;
	}
	if (r.pos != r.end)
		return refuse_record(why, rules, index, "bytes after the last record");
	return SL_DB_NONE;
}

void sl_db_batch_visit(const void *data, struct sl_db_inflater *inflater, sl_db_record_fn fn,
		       void *ctx)
{
	const uint8_t *p = data;
	struct sl_db_batch batch;
	struct sl_slice plain;
	struct sl_rbuf r;
	uint32_t i;

	header_read(p, sl_load_be32(p + 8) + SL_BATCH_PREFIX_BYTES, &batch);
	if (sl_db_inflate(inflater, batch.codec, batch.payload, &plain))
		return;
	r = sl_rbuf_on(plain.data, plain.bytes);
	for (i = 0; i < batch.record_count; i++) {
		struct record record;

		/* With --trust nobody has looked at the records before. */
		if (record_next(&r, &record))
			return;
		if (!fn(ctx, batch.base_timestamp_ms + record.timestamp_delta, record.offset_delta))
			return;
	}
}
