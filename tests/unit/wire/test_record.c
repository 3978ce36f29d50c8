/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: batches and records have the bytes of the reference, and the tail check agrees with a naive
 * one on any bytes. */
#include <errno.h>

#include "dataplane/base/crc32c.h"
#include "dataplane/wire/batch_header.h"
#include "dataplane/wire/record.h"
#include "tests/unit/wire/support.h"

#define RECORDS_A                                                                                  \
	"1a000000046b310a68656c6c6f002a000a02010a776f726c6404046831047631046832010c000e04000100"
#define BATCH_A                                                                                    \
	"00000000000000000000005cffffffff0232b9e75b0000000000020000018bcfe568000000018bcfe56807"   \
	"ffffffffffffffffffffffffffff00000003" RECORDS_A
#define BATCH_B                                                                                    \
	"00000000000000000000006bffffffff02f3e4565a0000000000020000018bcfe5687b0000018bcfe5687b"   \
	"000000000000109200037ffffffe00000003280000000e757365722d34320e7b2261223a317d00"           \
	"3a002d020e757365722d34320e7b2261223a327d020a74726163650400010c000004010000"

/* Captured from a real producer. */
#define BATCH_REAL                                                                                 \
	"000000000000000000000088ffffffff02fdd43d16000000000001000001a085feba41000001a085feba4b"   \
	"ffffffffffffffffffffffffffff00000002800100000002311c766563746f722d76616c75652d310418"     \
	"636f6e74656e742d74797065206170706c69636174696f6e2f6a736f6e1074726163652d696406616263"     \
	"28001402011c766563746f722d76616c75652d3200"

#define NO_HEADERS                                                                                 \
	{                                                                                          \
		{                                                                                  \
			SL_SLICE_NULL, SL_SLICE_NULL                                               \
		}                                                                                  \
	}

struct record_in {
	int64_t timestamp_delta_ms;
	struct sl_slice key, value;
	struct sl_kafka_header headers[2];
	uint32_t header_count;
};

static struct sl_slice text(const char *s)
{
	return sl_slice_of(s);
}

static struct bytes payload_of(const struct record_in *in, int32_t count)
{
	struct bytes b = {.count = 0};
	int32_t i;

	for (i = 0; i < count; i++) {
		uint8_t *start = b.at + b.count, *p;
		uint32_t tail_bytes = sl_record_tail_bytes(in[i].key, in[i].value, in[i].headers,
							   in[i].header_count);
		uint32_t bytes = sl_record_bytes(tail_bytes, in[i].timestamp_delta_ms, i);

		p = sl_record_head_put(start, tail_bytes, in[i].timestamp_delta_ms, i);
		p = sl_record_tail_put(p, in[i].key, in[i].value, in[i].headers,
				       in[i].header_count);
		assert_int_equal(p - start, bytes);
		b.count += bytes;
	}
	return b;
}

static void batch_expect(const struct bytes *payload, struct sl_batch_header h, const char *hex)
{
	uint8_t out[512];

	h.payload_bytes = (uint32_t)payload->count;
	h.payload_crc = sl_crc32c(0, payload->at, payload->count);
	sl_batch_header_write(out, &h);
	memcpy(out + SL_BATCH_HEADER_BYTES, payload->at, payload->count);
	assert_bytes(out, SL_BATCH_HEADER_BYTES + payload->count, hex);
}

static const struct sl_batch_header header_a = {
	1700000000000, 1700000000007, -1, -1, -1, 3, SL_CODEC_NONE, 0, 0};

static void test_batch_a(void **state)
{
	struct record_in in[3] = {
		{0, text("k1"), text("hello"), NO_HEADERS, 0},
		{5,
		 SL_SLICE_NULL,
		 text("world"),
		 {{text("h1"), text("v1")}, {text("h2"), SL_SLICE_NULL}},
		 2},
		{7, text(""), SL_SLICE_NULL, NO_HEADERS, 0},
	};
	struct bytes payload = payload_of(in, 3);

	(void)state;
	assert_bytes(payload.at, payload.count, RECORDS_A);
	batch_expect(&payload, header_a, BATCH_A);
}

static void test_batch_b(void **state)
{
	static const uint8_t one[] = {0, 1};
	struct record_in in[3] = {
		{0, text("user-42"), text("{\"a\":1}"), NO_HEADERS, 0},
		{-23, text("user-42"), text("{\"a\":2}"), {{text("trace"), {one, 2}}}, 1},
		{0, SL_SLICE_NULL, text(""), NO_HEADERS, 0},
	};
	struct sl_batch_header h = {
		1700000000123, 1700000000123, 4242, 3, 2147483646, 3, SL_CODEC_NONE, 0, 0};
	struct bytes payload = payload_of(in, 3);

	(void)state;
	batch_expect(&payload, h, BATCH_B);
}

static void test_batch_compressed(void **state)
{
	static const struct {
		enum sl_codec_id codec;
		uint32_t length, crc;
		const char *payload;
	} rows[] = {
		{SL_CODEC_GZIP, 0x73, 0x38794f6b,
		 "1f8b08000000000000ff012b00d4ff" RECORDS_A "02d736bd2b000000"},
		{SL_CODEC_SNAPPY, 0x5e, 0x411df5cb, "2ba8" RECORDS_A},
		{SL_CODEC_SNAPPY, 0x72, 0x2a27d818,
		 "82534e415050590000000001000000010000002d2ba8" RECORDS_A},
		{SL_CODEC_LZ4, 0x6b, 0xf8222f4e, "04224d186040822b000080" RECORDS_A "00000000"},
		{SL_CODEC_ZSTD, 0x65, 0x69a8a0ca, "28b52ffd202b590100" RECORDS_A},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct bytes payload = bytes_of(rows[i].payload);
		struct sl_batch_header h = header_a;
		uint8_t out[512];
		struct sl_batch_view view;

		h.codec = rows[i].codec;
		h.payload_bytes = (uint32_t)payload.count;
		h.payload_crc = sl_crc32c(0, payload.at, payload.count);
		sl_batch_header_write(out, &h);
		memcpy(out + SL_BATCH_HEADER_BYTES, payload.at, payload.count);
		assert_int_equal(sl_batch_parse(out, SL_BATCH_HEADER_BYTES + payload.count, &view),
				 0);
		assert_int_equal(view.batch_bytes, rows[i].length + SL_BATCH_PREFIX_BYTES);
		assert_int_equal(view.crc, rows[i].crc);
		assert_int_equal(view.codec, rows[i].codec);
	}
}

static void batch_read(const char *hex, int32_t records_want)
{
	struct bytes b = bytes_of(hex);
	struct sl_batch_view view;
	struct sl_record_iter it;
	struct sl_record record;
	int32_t records = 0;
	size_t cut;

	assert_int_equal(sl_batch_parse(b.at, b.count, &view), 0);
	assert_int_equal(sl_batch_produce_check(&view), 0);
	assert_int_equal(view.record_count, records_want);
	it = sl_record_iter_on(view.payload, view.payload_bytes, view.record_count);
	while (sl_record_next(&it, &record) == 1)
		assert_int_equal(record.offset_delta, records++);
	assert_int_equal(records, records_want);
	assert_int_equal(sl_record_next(&it, &record), 0);
	for (cut = 0; cut < b.count; cut++) {
		uint8_t *copy = malloc(cut ? cut : 1);

		memcpy(copy, b.at, cut);
		assert_int_equal(sl_batch_parse(copy, cut, &view), -EAGAIN);
		free(copy);
	}
}

static void test_batch_read(void **state)
{
	(void)state;
	batch_read(BATCH_A, 3);
	batch_read(BATCH_B, 3);
	batch_read(BATCH_REAL, 2);
}

static void test_record_fields(void **state)
{
	struct bytes b = bytes_of(BATCH_REAL);
	struct sl_batch_view view;
	struct sl_record_iter it;
	struct sl_record record;
	struct sl_record_headers headers;
	struct sl_kafka_header h;

	(void)state;
	assert_int_equal(sl_batch_parse(b.at, b.count, &view), 0);
	it = sl_record_iter_on(view.payload, view.payload_bytes, view.record_count);
	assert_int_equal(sl_record_next(&it, &record), 1);
	assert_text(record.key, "1");
	assert_text(record.value, "vector-value-1");
	headers = sl_record_headers_on(&record);
	assert_int_equal(sl_record_header_next(&headers, &h), 1);
	assert_text(h.key, "content-type");
	assert_text(h.value, "application/json");
	assert_int_equal(sl_record_header_next(&headers, &h), 1);
	assert_text(h.key, "trace-id");
	assert_int_equal(sl_record_header_next(&headers, &h), 0);
	assert_int_equal(sl_record_next(&it, &record), 1);
	assert_null(record.key.data);
	assert_int_equal(record.timestamp_delta_ms, 10);
}

/* Any flipped bit behind the CRC is seen by it; before it by the other checks, but for offset and
 * leader epoch. */
static void test_batch_flips(void **state)
{
	struct bytes b = bytes_of(BATCH_B);
	struct sl_batch_view view;
	size_t bit;

	(void)state;
	for (bit = 16 * 8; bit < b.count * 8; bit++) {
		b.at[bit / 8] ^= (uint8_t)(1u << (bit % 8));
		assert_true(sl_batch_parse(b.at, b.count, &view) < 0);
		b.at[bit / 8] ^= (uint8_t)(1u << (bit % 8));
	}
	b.at[0] = 1;
	assert_int_equal(sl_batch_parse(b.at, b.count, &view), 0);
	assert_int_equal(sl_batch_produce_check(&view), 87);
}

/* ---- the tail ---- */

static bool naive_varint(const uint8_t *tail, uint32_t bytes, uint32_t *at, int32_t *out)
{
	uint64_t v = 0;
	uint32_t i;

	for (i = 0; i < 5; i++) {
		if (*at >= bytes)
			return false;
		v |= (uint64_t)(tail[*at] & 0x7f) << (7 * i);
		if (!(tail[(*at)++] & 0x80)) {
			*out = (int32_t)(v >> 1) ^ -(int32_t)(v & 1);
			return v <= UINT32_MAX;
		}
	}
	return false;
}

static bool naive_field(const uint8_t *tail, uint32_t bytes, uint32_t *at, int32_t min)
{
	int32_t length;

	if (!naive_varint(tail, bytes, at, &length) || length < min)
		return false;
	if (length > 0 && (uint32_t)length > bytes - *at)
		return false;
	*at += length > 0 ? (uint32_t)length : 0;
	return true;
}

static bool naive_tail(const uint8_t *tail, uint32_t bytes)
{
	uint32_t at = 0;
	int32_t count;

	if (!naive_field(tail, bytes, &at, -1) || !naive_field(tail, bytes, &at, -1))
		return false;
	if (!naive_varint(tail, bytes, &at, &count) || count < 0)
		return false;
	while (count-- > 0)
		if (!naive_field(tail, bytes, &at, 0) || !naive_field(tail, bytes, &at, -1))
			return false;
	return at == bytes;
}

static void tail_compare(const uint8_t *bytes, uint32_t count)
{
	uint8_t *copy = malloc(count ? count : 1);
	struct sl_record_tail fast, any;
	int rc;

	memcpy(copy, bytes, count);
	rc = sl_record_tail_check(copy, count, &fast);
	assert_int_equal(rc, naive_tail(copy, count) ? 0 : -EBADMSG);
	assert_int_equal(sl_record_tail_check_any(copy, count, &any), rc);
	if (rc == 0)
		assert_memory_equal(&fast, &any, sizeof(fast));
	free(copy);
}

/* Every tail of up to three bytes, and every first three bytes of longer ones. */
static void test_tail_all_short(void **state)
{
	uint32_t v, count;

	(void)state;
	for (count = 0; count <= 3; count++)
		for (v = 0; v < 1u << (8 * count); v += count == 3 ? 7 : 1) {
			uint8_t b[8] = {(uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16)};

			tail_compare(b, count);
			tail_compare(b, count + 3);
		}
}

static void tail_cuts_and_flips(struct sl_slice key, struct sl_slice value,
				const struct sl_kafka_header *headers, uint32_t header_count)
{
	uint8_t b[9000 + 300];
	uint32_t bytes = sl_record_tail_bytes(key, value, headers, header_count), at;
	struct sl_record_tail tail;

	assert_ptr_equal(sl_record_tail_put(b, key, value, headers, header_count), b + bytes);
	assert_int_equal(sl_record_tail_check(b, bytes, &tail), 0);
	assert_int_equal(tail.key_bytes, key.data ? (int32_t)key.bytes : -1);
	assert_int_equal(tail.value_bytes, value.data ? (int32_t)value.bytes : -1);
	assert_int_equal(tail.header_count, header_count);
	for (at = 0; at<bytes; at += bytes> 400 ? 97 : 1) {
		tail_compare(b, at);
		assert_true(sl_record_tail_check(b, at, &tail) < 0);
	}
	for (at = 0; at < (bytes < 400 ? bytes : 400) * 8; at++) {
		b[at / 8] ^= (uint8_t)(1u << (at % 8));
		tail_compare(b, bytes);
		b[at / 8] ^= (uint8_t)(1u << (at % 8));
	}
}

static void test_tail_shapes(void **state)
{
	static const int64_t sizes[] = {-1, 0, 1, 16, 63, 64, 100, 200, 8191, 8192, 9000};
	static const uint8_t zeros[9000];
	struct sl_kafka_header headers[2] = {{text("a"), text("bc")}, {text(""), SL_SLICE_NULL}};
	size_t k, v;
	uint32_t h;

	(void)state;
	for (k = 0; k < 8; k++)
		for (v = 0; v < sizeof(sizes) / sizeof(sizes[0]); v++)
			for (h = 0; h <= 2; h++) {
				struct sl_slice key = {zeros, (uint32_t)sizes[k]};
				struct sl_slice value = {zeros, (uint32_t)sizes[v]};

				tail_cuts_and_flips(sizes[k] < 0 ? SL_SLICE_NULL : key,
						    sizes[v] < 0 ? SL_SLICE_NULL : value, headers,
						    h);
			}
}

static void test_tail_limits(void **state)
{
	struct sl_kafka_header null_key = {SL_SLICE_NULL, SL_SLICE_NULL};
	struct sl_slice huge = {"", INT32_MAX};

	(void)state;
	assert_int_equal(sl_record_tail_bytes(SL_SLICE_NULL, SL_SLICE_NULL, &null_key, 1), 0);
	assert_int_equal(sl_record_tail_bytes(huge, SL_SLICE_NULL, NULL, 0), 0);
	assert_int_equal(sl_record_tail_bytes(SL_SLICE_NULL, SL_SLICE_NULL, NULL, 0), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_batch_a),          cmocka_unit_test(test_batch_b),
		cmocka_unit_test(test_batch_compressed), cmocka_unit_test(test_batch_read),
		cmocka_unit_test(test_record_fields),    cmocka_unit_test(test_batch_flips),
		cmocka_unit_test(test_tail_all_short),   cmocka_unit_test(test_tail_shapes),
		cmocka_unit_test(test_tail_limits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
