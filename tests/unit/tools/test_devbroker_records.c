/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "dataplane/base/crc32c.h"
#include "tools/devbroker/records.h"

enum { BATCH_BYTES_MAX = 256 };

static const struct sl_db_rules lenient = {.batch_bytes_max = 1000, .timestamp_ms_max = INT64_MAX};

/* Three records, not idempotent; then the same in each codec. Accepted by real brokers. */
static const char batch_none[] =
	"00000000000000000000005cffffffff0232b9e75b0000000000020000018bcfe568000000018bcfe56807"
	"ffffffffffffffffffffffffffff000000031a000000046b310a68656c6c6f002a000a02010a776f726c64"
	"04046831047631046832010c000e04000100";

struct bytes {
	uint8_t data[BATCH_BYTES_MAX];
	uint32_t count;
};

static struct bytes from_hex(const char *hex)
{
	struct bytes b = {.count = 0};
	unsigned int byte;

	for (; *hex; hex += 2) {
		assert_int_equal(sscanf(hex, "%2x", &byte), 1);
		b.data[b.count++] = (uint8_t)byte;
	}
	return b;
}

static void crc_mend(struct bytes *b)
{
	sl_store_be32(b->data + 17, sl_crc32c(0, b->data + 21, b->count - 21));
}

static int check(const struct bytes *b, const struct sl_db_rules *rules)
{
	struct sl_db_inflater inflater = {0};
	struct sl_db_refusal why;
	struct sl_db_batch batch;
	int16_t error;

	error = sl_db_batch_open((struct sl_slice){b->data, b->count}, rules, &batch, &why);
	if (!error)
		error = sl_db_batch_walk(&batch, rules, &inflater, &why);
	sl_db_inflater_fini(&inflater);
	return error;
}

/* The plain batch with its records wrapped: before them head, after them tail. */
static struct bytes wrapped(uint8_t codec, const char *head, const char *tail)
{
	struct bytes b = from_hex(batch_none), h = from_hex(head), t = from_hex(tail);
	uint8_t records[43];

	memcpy(records, b.data + 61, sizeof(records));
	memcpy(b.data + 61, h.data, h.count);
	memcpy(b.data + 61 + h.count, records, sizeof(records));
	memcpy(b.data + 61 + h.count + sizeof(records), t.data, t.count);
	b.count += h.count + t.count;
	b.data[22] = codec;
	sl_store_be32(b.data + 8, b.count - 12);
	crc_mend(&b);
	return b;
}

static void test_every_codec_is_read(void **state)
{
	struct bytes b = from_hex(batch_none);

	assert_int_equal(check(&b, &lenient), 0);
	b = wrapped(1, "1f8b08000000000000ff012b00d4ff", "02d736bd2b000000");
	assert_int_equal(check(&b, &lenient), 0);
	b = wrapped(2, "2ba8", "");
	assert_int_equal(check(&b, &lenient), 0);
	b = wrapped(2, "82534e415050590000000001000000010000002d2ba8", "");
	assert_int_equal(check(&b, &lenient), 0);
	b = wrapped(3, "04224d186040822b000080", "00000000");
	assert_int_equal(check(&b, &lenient), 0);
	b = wrapped(4, "28b52ffd202b590100", "");
	assert_int_equal(check(&b, &lenient), 0);
}

static void test_what_java_cannot_decompress_is_refused(void **state)
{
	/* Linked lz4 blocks (flag byte 40, its header checksum c0). */
	struct bytes b = wrapped(3, "04224d184040c02b000080", "00000000");

	assert_int_equal(check(&b, &lenient), SL_DB_CORRUPT_MESSAGE);
	b = wrapped(3, "04224d186040822b000080", "");
	assert_int_equal(check(&b, &lenient), SL_DB_CORRUPT_MESSAGE);
	b = wrapped(4, "28b52ffd202b590100", "00");
	assert_int_equal(check(&b, &lenient), SL_DB_CORRUPT_MESSAGE);
	b = wrapped(2, "2ca8", "");
	assert_int_equal(check(&b, &lenient), SL_DB_CORRUPT_MESSAGE);
}

static void test_each_false_field_is_refused(void **state)
{
	static const struct {
		uint32_t at;
		uint8_t value;
		int16_t error;
	} rows[] = {
		{7, 1, SL_DB_INVALID_RECORD},      /* base offset */
		{11, 0x5b, SL_DB_INVALID_RECORD},  /* length: one byte is left over */
		{11, 0x5d, SL_DB_CORRUPT_MESSAGE}, /* length: one is missing */
		{16, 1, SL_DB_INVALID_RECORD},     /* magic */
		{22, 0x20, SL_DB_INVALID_RECORD},  /* control */
		{22, 0x08, SL_DB_INVALID_TIMESTAMP},
		{22, 0x05, SL_DB_INVALID_RECORD}, /* no such codec */
		{26, 3, SL_DB_INVALID_RECORD},    /* last offset delta */
		{60, 2, SL_DB_INVALID_RECORD},    /* count */
		{61, 0x18, SL_DB_INVALID_RECORD}, /* a record's length */
		{64, 0x02, SL_DB_INVALID_RECORD}, /* its offset delta */
		{65, 0x40, SL_DB_INVALID_RECORD}, /* its key's length */
		{74, 0x02, SL_DB_INVALID_RECORD}, /* its header count */
	};
	uint32_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct bytes b = from_hex(batch_none);

		b.data[rows[i].at] = rows[i].value;
		if (rows[i].at > 16)
			crc_mend(&b);
		if (check(&b, &lenient) != rows[i].error)
			fail_msg("byte %u: %d", rows[i].at, check(&b, &lenient));
	}
}

static void test_any_flipped_bit_under_the_crc_is_seen(void **state)
{
	uint32_t at;

	for (at = 17; at < 104; at++) {
		struct bytes b = from_hex(batch_none);

		b.data[at] ^= 0x10;
		assert_int_equal(check(&b, &lenient), SL_DB_CORRUPT_MESSAGE);
	}
}

static void test_rules_of_the_topic(void **state)
{
	struct bytes b = from_hex(batch_none);
	struct sl_db_rules rules = lenient;

	rules.batch_bytes_max = 103;
	assert_int_equal(check(&b, &rules), SL_DB_MESSAGE_TOO_LARGE);
	rules = lenient;
	rules.compacted = true;
	assert_int_equal(check(&b, &rules), SL_DB_INVALID_RECORD);
	rules = lenient;
	rules.timestamp_ms_max = INT64_C(1700000000006);
	assert_int_equal(check(&b, &rules), SL_DB_INVALID_TIMESTAMP);
	b.data[7] = 1;
	rules = lenient;
	rules.before_2_4 = true;
	assert_int_equal(check(&b, &rules), SL_DB_CORRUPT_MESSAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_codec_is_read),
		cmocka_unit_test(test_what_java_cannot_decompress_is_refused),
		cmocka_unit_test(test_each_false_field_is_refused),
		cmocka_unit_test(test_any_flipped_bit_under_the_crc_is_seen),
		cmocka_unit_test(test_rules_of_the_topic),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
