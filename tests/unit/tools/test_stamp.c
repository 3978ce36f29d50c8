/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "tools/sluice/stamp.h"

/* The null and the empty key, and a byte on either side of the border, are not the same. */
static void test_the_sum_knows_null_and_borders(void **state)
{
	struct stamp stamp = {.stream = 1};
	uint8_t header[STAMP_BYTES];
	struct sl_slice whole = {header, STAMP_BYTES};

	(void)state;
	stamp_put(header, &stamp, sl_slice_of("ab"), sl_slice_of("c"));
	assert_true(stamp_sum_is_right(whole, sl_slice_of("ab"), sl_slice_of("c")));
	assert_false(stamp_sum_is_right(whole, sl_slice_of("a"), sl_slice_of("bc")));
	stamp_put(header, &stamp, SL_SLICE_NULL, sl_slice_of(""));
	assert_true(stamp_sum_is_right(whole, SL_SLICE_NULL, sl_slice_of("")));
	assert_false(stamp_sum_is_right(whole, sl_slice_of(""), sl_slice_of("")));
	assert_false(stamp_sum_is_right(whole, SL_SLICE_NULL, SL_SLICE_NULL));
}

/* A sum over parts is the sum over the whole, on both sides of the size where the way changes. */
static void test_large_records_have_the_same_sum(void **state)
{
	static char text[2000];
	struct stamp stamp = {.stream = 1, .sequence = 9};
	uint8_t header[STAMP_BYTES];
	uint32_t bytes;

	(void)state;
	memset(text, 'x', sizeof(text));
	for (bytes = 400; bytes < sizeof(text); bytes += 7) {
		struct sl_slice value = {text, bytes}, key = {text, 16};

		stamp_put(header, &stamp, key, value);
		assert_true(stamp_sum_is_right((struct sl_slice){header, STAMP_BYTES}, key, value));
		text[bytes - 1] ^= 1;
		assert_false(
			stamp_sum_is_right((struct sl_slice){header, STAMP_BYTES}, key, value));
		text[bytes - 1] ^= 1;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_sum_knows_null_and_borders),
		cmocka_unit_test(test_large_records_have_the_same_sum),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
