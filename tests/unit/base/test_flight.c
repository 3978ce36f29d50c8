/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: the last events are there in order, older ones are known to be gone, and nobody reads a
 * mixture of two. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>

#include "dataplane/base/flight.h"

enum { SLOTS = 16, EVENTS = 200000 };

/* All words of event n say n. */
static struct sl_flight_event event_of(uint64_t n)
{
	return (struct sl_flight_event){.at_ms = n,
					.kind = (uint32_t)n,
					.a = (uint32_t)n,
					.b = (int32_t)n,
					.code = (int32_t)n,
					.c = n,
					.d = n,
					.e = n,
					.f = n};
}

static bool event_is(const struct sl_flight_event *e, uint64_t n)
{
	return e->at_ms == n && e->kind == n && e->a == n && e->b == (int32_t)n &&
	       e->code == (int32_t)n && e->c == n && e->d == n && e->e == n && e->f == n;
}

static void test_the_last_are_kept(void **state)
{
	struct sl_flight flight = {0};
	struct sl_flight_event event;

	(void)state;
	assert_int_equal(sl_flight_init(&flight, SLOTS), 0);
	assert_false(sl_flight_get(&flight, 0, &event));
	for (uint64_t n = 0; n < 3 * SLOTS + 5; n++) {
		event = event_of(n);
		sl_flight_put(&flight, &event);
		assert_int_equal(sl_flight_written(&flight), n + 1);
		for (uint64_t i = 0; i <= n + 1; i++) {
			bool kept = i <= n && i >= sl_flight_first(&flight, n + 1);

			assert_int_equal(sl_flight_get(&flight, i, &event), kept);
			if (kept)
				assert_true(event_is(&event, i));
		}
	}
	sl_flight_fini(&flight);
}

static void *write_all(void *arg)
{
	for (uint64_t n = 0; n < EVENTS; n++) {
		struct sl_flight_event event = event_of(n);

		sl_flight_put(arg, &event);
	}
	return NULL;
}

static void test_no_mixture(void **state)
{
	struct sl_flight flight = {0};
	pthread_t thread;
	uint64_t written = 0;

	(void)state;
	assert_int_equal(sl_flight_init(&flight, SLOTS), 0);
	assert_int_equal(pthread_create(&thread, NULL, write_all, &flight), 0);
	while (written < EVENTS) {
		struct sl_flight_event event;

		written = sl_flight_written(&flight);
		for (uint64_t n = sl_flight_first(&flight, written); n < written; n++)
			if (sl_flight_get(&flight, n, &event))
				assert_true(event_is(&event, n));
	}
	pthread_join(thread, NULL);
	sl_flight_fini(&flight);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_last_are_kept),
		cmocka_unit_test(test_no_mixture),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
