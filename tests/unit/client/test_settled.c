/* SPDX-License-Identifier: Apache-2.0 */
/* Which records have an outcome: the window of words against one byte a record. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dataplane/base/clock.h"
#include "dataplane/client/client.h"

enum { RECORDS = 20000, SPREAD = 9000, ROUNDS = 20 };

struct truth {
	uint8_t settled[RECORDS];
	uint64_t random;
};

static uint64_t below(struct truth *truth, uint64_t n)
{
	return sl_random_next(&truth->random) % n;
}

static void mark(struct settled_map *map, struct truth *truth, uint64_t first, uint64_t count)
{
	uint64_t i;

	assert_int_equal(sl_settled_mark(map, first, count), 0);
	for (i = 0; i < count; i++)
		truth->settled[first + i] = 1;
}

/* All gaps as the map tells them, each marked as it is found, are the records that had none. */
static void gaps_match(struct settled_map *map, struct truth *truth, uint64_t end)
{
	uint64_t first, count, at = 0;

	while (sl_settled_gap(map, end, &first, &count)) {
		uint64_t i;

		assert_true(count > 0 && first >= at && first + count <= end);
		for (; at < first; at++)
			assert_int_equal(truth->settled[at], 1);
		for (i = 0; i < count; i++)
			assert_int_equal(truth->settled[first + i], 0);
		mark(map, truth, first, count);
	}
	for (; at < end; at++)
		assert_int_equal(truth->settled[at], 1);
}

/* Partitions answer in any order: runs of 1 to 200 records, some of them told twice, over a window
 * that grows. */
static void marks_in_any_order(void **state)
{
	uint64_t round;

	(void)state;
	for (round = 1; round <= ROUNDS; round++) {
		struct truth truth = {.random = round};
		struct settled_map map = {0};
		uint64_t base;

		for (base = 0; base + SPREAD + 200 < RECORDS; base += 50) {
			uint64_t runs = below(&truth, 30);

			while (runs-- > 0)
				mark(&map, &truth, base + below(&truth, SPREAD),
				     1 + below(&truth, below(&truth, 8) == 0 ? 200 : 2));
		}
		assert_true(map.bits >= SPREAD);
		gaps_match(&map, &truth, base);
		sl_settled_free(&map);
	}
}

/* In order the window never grows, and nothing is left behind it. */
static void marks_in_order(void **state)
{
	struct settled_map map = {0};
	uint64_t seq, first, count;

	(void)state;
	for (seq = 0; seq < 1000 * 1000; seq++)
		assert_int_equal(sl_settled_mark(&map, seq, 1), 0);
	assert_int_equal(map.bits, 4096);
	assert_int_equal(map.floor_seq, seq / 64 * 64);
	assert_false(sl_settled_gap(&map, seq, &first, &count));
	assert_true(sl_settled_gap(&map, seq + 1, &first, &count));
	assert_true(first == seq && count == 1);
	sl_settled_free(&map);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(marks_in_any_order),
		cmocka_unit_test(marks_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
