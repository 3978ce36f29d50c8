/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tools/devbroker/errors.h"
#include "tools/devbroker/producer_state.h"

static struct sl_db_claim claim(int64_t id, int16_t epoch, int32_t base, uint32_t count)
{
	return (struct sl_db_claim){id, epoch, base, count, 1};
}

/* What the broker says; notes the batch at offset when it is new. -2: a duplicate. */
static int append(struct sl_db_producers *p, struct sl_db_claim c, int64_t offset)
{
	const struct sl_db_producer_batch *duplicate;
	int16_t error = sl_db_producers_check(p, &c, &duplicate);

	if (error)
		return error;
	if (duplicate)
		return duplicate->base_offset == offset ? -2 : -3;
	sl_db_producers_note(p, &c, offset);
	return 0;
}

static void test_the_last_five_batches_are_recognised(void **state)
{
	struct sl_db_producers p;
	int i;

	sl_db_producers_init(&p, false);
	for (i = 0; i < 6; i++)
		assert_int_equal(append(&p, claim(1, 0, i * 3, 3), 100 + i * 3), 0);
	for (i = 1; i < 6; i++)
		assert_int_equal(append(&p, claim(1, 0, i * 3, 3), 100 + i * 3), -2);
	assert_int_equal(append(&p, claim(1, 0, 0, 3), 100), SL_DB_OUT_OF_ORDER_SEQUENCE);
	/* A batch cut anew is no duplicate, and neither is a gap. */
	assert_int_equal(append(&p, claim(1, 0, 15, 2), 0), SL_DB_OUT_OF_ORDER_SEQUENCE);
	assert_int_equal(append(&p, claim(1, 0, 19, 1), 0), SL_DB_OUT_OF_ORDER_SEQUENCE);
	assert_int_equal(append(&p, claim(1, 0, 18, 1), 118), 0);
	sl_db_producers_fini(&p);
}

static void test_epochs_fence_and_start_at_zero(void **state)
{
	struct sl_db_producers p;

	sl_db_producers_init(&p, false);
	assert_int_equal(append(&p, claim(1, 3, 0, 5), 0), 0);
	assert_int_equal(append(&p, claim(1, 2, 5, 1), 0), SL_DB_INVALID_PRODUCER_EPOCH);
	assert_int_equal(append(&p, claim(1, 4, 5, 1), 0), SL_DB_OUT_OF_ORDER_SEQUENCE);
	assert_int_equal(append(&p, claim(1, 4, 0, 1), 5), 0);
	assert_int_equal(append(&p, claim(1, 3, 0, 5), 0), SL_DB_INVALID_PRODUCER_EPOCH);
	sl_db_producers_fini(&p);
}

static void test_sequences_wrap_to_zero(void **state)
{
	struct sl_db_producers p;

	sl_db_producers_init(&p, false);
	assert_int_equal(append(&p, claim(1, 0, SL_DB_SEQUENCE_MAX - 1, 3), 0), 0);
	assert_int_equal(append(&p, claim(1, 0, SL_DB_SEQUENCE_MAX - 1, 3), 0), -2);
	assert_int_equal(append(&p, claim(1, 0, 1, 1), 3), 0);
	assert_int_equal(append(&p, claim(1, 0, 2, UINT32_C(0x7ffffffe)), 4), 0);
	assert_int_equal(append(&p, claim(1, 0, 0, 1), 9), 0);
	sl_db_producers_fini(&p);
}

static void test_unknown_producers_depend_on_the_release(void **state)
{
	struct sl_db_producers p;

	sl_db_producers_init(&p, false);
	assert_int_equal(append(&p, claim(8, 0, 77, 1), 0), 0);
	sl_db_producers_forget(&p);
	assert_int_equal(append(&p, claim(8, 0, 500, 1), 0), 0);
	sl_db_producers_fini(&p);
	sl_db_producers_init(&p, true);
	assert_int_equal(append(&p, claim(8, 0, 77, 1), 0), SL_DB_UNKNOWN_PRODUCER_ID);
	assert_int_equal(append(&p, claim(8, 0, 0, 1), 0), 0);
	sl_db_producers_fini(&p);
}

static void test_many_producers_are_kept_apart(void **state)
{
	struct sl_db_producers p;
	int64_t id;

	sl_db_producers_init(&p, false);
	for (id = 0; id < 5000; id++)
		assert_int_equal(append(&p, claim(id, 0, 0, 2), id), 0);
	for (id = 0; id < 5000; id++)
		assert_int_equal(append(&p, claim(id, 0, 0, 2), id), -2);
	assert_int_equal(p.count, 5000);
	sl_db_producers_fini(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_last_five_batches_are_recognised),
		cmocka_unit_test(test_epochs_fence_and_start_at_zero),
		cmocka_unit_test(test_sequences_wrap_to_zero),
		cmocka_unit_test(test_unknown_producers_depend_on_the_release),
		cmocka_unit_test(test_many_producers_are_kept_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
