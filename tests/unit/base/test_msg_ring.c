/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: messages arrive whole, in order, once, across two threads; full and empty are told. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dataplane/base/msg_ring.h"

enum { MESSAGES = 200000 };

static void *producer(void *arg)
{
	struct sl_msg_ring *ring = arg;
	uint64_t i;

	for (i = 0; i < MESSAGES; i++) {
		struct sl_msg msg = {.kind = 1, .a = (uint32_t)i, .b = i, .c = ~i};

		while (!sl_msg_ring_push(ring, &msg))
			;
	}
	return NULL;
}

static void test_two_threads(void **state)
{
	struct sl_msg_ring ring;
	pthread_t thread;
	uint64_t i = 0;

	(void)state;
	assert_int_equal(sl_msg_ring_init(&ring, 64), 0);
	assert_int_equal(pthread_create(&thread, NULL, producer, &ring), 0);
	while (i < MESSAGES) {
		struct sl_msg msg;

		if (!sl_msg_ring_pop(&ring, &msg))
			continue;
		assert_true(msg.b == i && msg.c == ~i && msg.a == (uint32_t)i);
		i++;
	}
	pthread_join(thread, NULL);
	assert_true(sl_msg_ring_empty(&ring));
	sl_msg_ring_fini(&ring);
}

static void test_full(void **state)
{
	struct sl_msg_ring ring;
	struct sl_msg msg = {.kind = 7};

	(void)state;
	assert_int_equal(sl_msg_ring_init(&ring, 2), 0);
	assert_true(sl_msg_ring_push(&ring, &msg));
	assert_int_equal(sl_msg_ring_room(&ring), 1);
	assert_true(sl_msg_ring_push(&ring, &msg));
	assert_false(sl_msg_ring_push(&ring, &msg));
	assert_true(sl_msg_ring_pop(&ring, &msg));
	assert_true(sl_msg_ring_push(&ring, &msg));
	sl_msg_ring_fini(&ring);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_two_threads),
		cmocka_unit_test(test_full),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
