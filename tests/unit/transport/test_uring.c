/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "dataplane/base/clock.h"
#include "dataplane/transport/uring/uring.h"
#include "tests/unit/transport/peer.h"

static void wait_event(struct sl_transport *t, struct sl_event *event, enum sl_event_kind kind)
{
	uint64_t end = sl_clock_monotonic_ns() + 5 * SL_NS_PER_S;

	while (t->ops->poll(t, event, 1) == 0)
		assert_true(sl_clock_monotonic_ns() < end);
	assert_int_equal(event->kind, kind);
}

static void test_life(void **state)
{
	struct sl_uring_options options = {
		.conns_max = 4, .sends_max = 8, .recv_buffer_bytes = 4096, .recv_buffer_count = 8};
	struct iovec iov[2] = {{(void *)"hello ", 6}, {(void *)"world", 5}};
	struct sl_transport *t;
	struct sl_address address;
	struct sl_event event;
	struct sl_error err;
	char text[16];
	uint32_t conn;
	int listener = peer_listen(&address, 4, 0), peer;

	(void)state;
	assert_int_equal(sl_uring_create(&options, &t, &err), 0);
	assert_int_equal(t->ops->connect(t, &address, 77, &conn), 0);
	assert_int_equal(t->ops->submit(t, conn, iov, 2, 5), -ENOTCONN);
	wait_event(t, &event, SL_EVENT_CONNECTED);
	assert_int_equal(event.user, 77);
	peer = peer_accept(listener);
	assert_true(peer >= 0);
	assert_int_equal(t->ops->submit(t, conn, iov, 2, 5), 0);
	wait_event(t, &event, SL_EVENT_SENT);
	assert_true(event.token == 5 && event.error == 0);
	assert_int_equal(peer_read(peer, text, sizeof(text)), 11);
	assert_memory_equal(text, "hello world", 11);
	assert_int_equal(peer_write(peer, text, 11), 11);
	wait_event(t, &event, SL_EVENT_RECEIVED);
	assert_int_equal(event.bytes, 11);
	assert_memory_equal(event.data, "hello world", 11);
	t->ops->recv_release(t, event.buffer);
	t->ops->close(t, conn, false);
	wait_event(t, &event, SL_EVENT_CLOSED);
	assert_int_equal(event.error, 0);
	assert_int_equal(peer_read(peer, text, sizeof(text)), -1);
	close(peer);
	close(listener);
	t->ops->destroy(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_life),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
