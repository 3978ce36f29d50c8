/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: varints round-trip, have the size announced, and refuse what is cut short or too long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dataplane/base/varint.h"

static const int64_t values[] = {0, 1, -1, 63, -64, 64, -65, 8191, 8192, -8193, 1048575, 1048576,
	INT32_MAX, INT32_MIN, (int64_t)INT32_MAX + 1, INT64_MAX, INT64_MIN};

static void test_round_trip_64(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		uint8_t buf[SL_VARINT64_BYTES_MAX];
		uint8_t *end = sl_varint64_put(buf, values[i]);
		int64_t back = 0;

		assert_int_equal((uint32_t)(end - buf), sl_varint64_bytes(values[i]));
		assert_ptr_equal(sl_varint64_get(buf, end, &back), end);
		assert_true(back == values[i]);
		assert_null(sl_varint64_get(buf, end - 1, &back));
	}
}

static void test_known_bytes(void **state)
{
	uint8_t buf[SL_VARINT32_BYTES_MAX];

	(void)state;
	assert_ptr_equal(sl_varint32_put(buf, -1), buf + 1);
	assert_int_equal(buf[0], 0x01);
	assert_ptr_equal(sl_varint32_put(buf, 64), buf + 2);
	assert_int_equal(buf[0], 0x80);
	assert_int_equal(buf[1], 0x01);
}

static void test_too_long_is_refused(void **state)
{
	static const uint8_t six[] = {0x80, 0x80, 0x80, 0x80, 0x80, 0x01};
	static const uint8_t above32[] = {0xff, 0xff, 0xff, 0xff, 0x1f};
	int32_t out;

	(void)state;
	assert_null(sl_varint32_get(six, six + sizeof(six), &out));
	assert_null(sl_varint32_get(above32, above32 + sizeof(above32), &out));
	assert_null(sl_varint32_get(six, six, &out));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip_64),
		cmocka_unit_test(test_known_bytes),
		cmocka_unit_test(test_too_long_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
