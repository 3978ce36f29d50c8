/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: the timers come out in order of their deadlines, whatever is moved or removed meanwhile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dataplane/base/clock.h"
#include "dataplane/worker/heap.h"

static void test_random_operations_against_a_scan(void **state)
{
	enum { ITEMS = 64, STEPS = 20000 };
	uint64_t deadlines[ITEMS], seed = 7;
	struct sl_heap heap;
	uint32_t step, i;

	(void)state;
	for (i = 0; i < ITEMS; i++)
		deadlines[i] = SL_DEADLINE_NONE;
	assert_int_equal(sl_heap_init(&heap, ITEMS), 0);
	for (step = 0; step < STEPS; step++) {
		uint32_t index = (uint32_t)(sl_random_next(&seed) % ITEMS);
		uint64_t earliest = SL_DEADLINE_NONE;

		if (sl_random_next(&seed) % 3 == 0) {
			sl_heap_remove(&heap, index);
			deadlines[index] = SL_DEADLINE_NONE;
		} else {
			deadlines[index] = sl_random_next(&seed) % 1000;
			sl_heap_set(&heap, index, deadlines[index]);
		}
		if (sl_random_next(&seed) % 4 == 0) {
			int32_t due = sl_heap_pop_due(&heap, 500);

			if (due >= 0) {
				assert_true(deadlines[due] <= 500);
				deadlines[due] = SL_DEADLINE_NONE;
			}
		}
		for (i = 0; i < ITEMS; i++)
			earliest = deadlines[i] < earliest ? deadlines[i] : earliest;
		assert_true(sl_heap_deadline_ns(&heap) == earliest);
	}
	sl_heap_fini(&heap);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_operations_against_a_scan)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
