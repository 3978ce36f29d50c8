/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "dataplane/base/assert.h"
#include "tools/sluice/seen.h"

static void test_seen_counts_as_a_plain_list(void **state)
{
	struct seen_budget budget = {0, 1 << 24};
	struct seen s = {.budget = &budget};
	const uint64_t there[] = {0, 1, 63, 64, 65, 4095, 4096, 20000, SEEN_END - 1};
	struct place place = {0};
	uint32_t i;

	(void)state;
	for (i = 0; i < SL_ARRAY_COUNT(there); i++) {
		place.sequence = there[i];
		assert_int_equal(seen_add(&s, &place), 0);
		assert_int_equal(seen_add(&s, &place), 1);
	}
	assert_int_equal(seen_count(&s, 0, SEEN_END), SL_ARRAY_COUNT(there));
	assert_int_equal(seen_count(&s, 1, 65), 3);
	assert_int_equal(seen_count(&s, 66, 4095), 0);
	assert_int_equal(seen_first_absent(&s, 0, 100), 2);
	assert_int_equal(seen_first_absent(&s, 63, 66), 66);
	assert_int_equal(seen_first_absent(&s, 4095, 9000), 4097);
	assert_int_equal(seen_first_present(&s, 66, 30000), 4095);
	assert_int_equal(seen_first_present(&s, 4097, 20000), 20000);
	place.sequence = SEEN_END;
	assert_int_equal(seen_add(&s, &place), -E2BIG);
	budget.bytes_max = 0;
	place.sequence = 1 << 20;
	assert_int_equal(seen_add(&s, &place), -ENOMEM);
	seen_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_seen_counts_as_a_plain_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
