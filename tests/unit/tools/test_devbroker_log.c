/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tools/devbroker/log.h"

enum { BATCH_BYTES = 1000, RECORDS = 10 };

static uint8_t batch_bytes[BATCH_BYTES];

static struct sl_slice batch(uint8_t mark)
{
	sl_store_be32(batch_bytes + 8, BATCH_BYTES - 12);
	sl_store_be32(batch_bytes + 23, RECORDS - 1);
	batch_bytes[BATCH_BYTES - 1] = mark;
	return (struct sl_slice){batch_bytes, BATCH_BYTES};
}

static void test_read_returns_whole_batches_from_the_one_asked_for(void **state)
{
	struct sl_db_pool pool = {.bytes_max = 1 << 20};
	struct sl_db_log log;
	struct sl_slice got;
	uint8_t i;

	sl_db_log_init(&log, &pool);
	for (i = 0; i < 5; i++)
		assert_int_equal(sl_db_log_append(&log, batch(i), RECORDS, 7), i * RECORDS);
	/* The middle of the third batch gives that batch, and as many more as fit. */
	got = sl_db_log_read(&log, 25, 2 * BATCH_BYTES + 1, false);
	assert_int_equal(got.bytes, 2 * BATCH_BYTES);
	assert_int_equal(sl_load_be64(got.data), 20);
	assert_int_equal(sl_load_be32((const uint8_t *)got.data + 12), 7);
	got = sl_db_log_read(&log, 40, 10 * BATCH_BYTES, false);
	assert_int_equal(got.bytes, BATCH_BYTES);
	assert_int_equal(((const uint8_t *)got.data)[BATCH_BYTES - 1], 4);
	assert_null(sl_db_log_read(&log, 50, BATCH_BYTES, true).data);
	assert_null(sl_db_log_read(&log, 0, BATCH_BYTES - 1, false).data);
	assert_int_equal(sl_db_log_read(&log, 0, 1, true).bytes, BATCH_BYTES);
	sl_db_log_fini(&log);
	assert_int_equal(pool.bytes, 0);
}

static void test_cap_drops_the_oldest_of_any_log(void **state)
{
	struct sl_db_pool pool = {.bytes_max = 512 << 10};
	struct sl_db_log idle, busy;
	int64_t offset;
	int i;

	sl_db_log_init(&idle, &pool);
	sl_db_log_init(&busy, &pool);
	sl_db_log_append(&idle, batch(0), RECORDS, 0);
	for (i = 0; i < 5000; i++) {
		sl_db_log_append(&busy, batch(0), RECORDS, 0);
		assert_true(pool.bytes <= pool.bytes_max);
	}
	assert_int_equal(idle.start_offset, RECORDS);
	assert_int_equal(idle.end_offset, RECORDS);
	assert_true(busy.start_offset > 0);
	assert_int_equal(busy.end_offset, 5000 * RECORDS);
	/* A reader in order sees each batch that is left, once. */
	for (offset = busy.start_offset; offset < busy.end_offset;) {
		struct sl_slice got = sl_db_log_read(&busy, offset, 3 * BATCH_BYTES, true);

		assert_int_equal(sl_load_be64(got.data), offset);
		offset += got.bytes / BATCH_BYTES * RECORDS;
	}
	assert_int_equal(offset, busy.end_offset);
	sl_db_log_append(&idle, batch(9), RECORDS, 0);
	assert_int_equal(sl_load_be64(sl_db_log_read(&idle, RECORDS, 1, true).data), RECORDS);
	sl_db_log_fini(&idle);
	sl_db_log_fini(&busy);
	assert_int_equal(pool.bytes, 0);
}

static void test_batch_beyond_the_cap_leaves_its_offsets(void **state)
{
	struct sl_db_pool pool = {.bytes_max = BATCH_BYTES / 2};
	struct sl_db_log log;

	sl_db_log_init(&log, &pool);
	assert_int_equal(sl_db_log_append(&log, batch(0), RECORDS, 0), 0);
	assert_int_equal(log.start_offset, RECORDS);
	assert_int_equal(log.end_offset, RECORDS);
	sl_db_log_fini(&log);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read_returns_whole_batches_from_the_one_asked_for),
		cmocka_unit_test(test_cap_drops_the_oldest_of_any_log),
		cmocka_unit_test(test_batch_beyond_the_cap_leaves_its_offsets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
