/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: CRC-32C is Kafka's, can be continued, and two parts combine to the whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dataplane/base/clock.h"
#include "dataplane/base/crc32c.h"

static void test_check_value(void **state)
{
	(void)state;
	assert_int_equal(sl_crc32c(0, "123456789", 9), 0xe3069283u);
	assert_int_equal(sl_crc32c(0, "", 0), 0);
}

static void test_continued_and_combined(void **state)
{
	uint8_t data[3000];
	uint64_t seed = 42;
	size_t cut, i;

	(void)state;
	for (i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)sl_random_next(&seed);
	for (cut = 0; cut <= sizeof(data); cut += 7) {
		uint32_t whole = sl_crc32c(0, data, sizeof(data));
		uint32_t first = sl_crc32c(0, data, cut);
		uint32_t second = sl_crc32c(0, data + cut, sizeof(data) - cut);

		assert_int_equal(sl_crc32c(first, data + cut, sizeof(data) - cut), whole);
		assert_int_equal(sl_crc32c_combine(first, second, sizeof(data) - cut), whole);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_check_value),
		cmocka_unit_test(test_continued_and_combined),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
