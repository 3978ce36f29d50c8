/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: the contract of transport.h holds on every backend, with every kernel feature present or
 * missing. Method: one table of rows, run on each backend; rig.c asserts order, equality and tokens
 * on each event.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <cmocka.h>

#include "dataplane/base/assert.h"
#include "dataplane/base/clock.h"
#include "tests/unit/transport/peer.h"
#include "tests/unit/transport/rig.h"

static struct rig rig;

/* Counted while armed: nothing may allocate after the constructor. */
static bool alloc_armed;
static uint32_t alloc_count;
void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);

void *__wrap_malloc(size_t bytes)
{
	alloc_count += alloc_armed;
	return __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t bytes)
{
	alloc_count += alloc_armed;
	return __real_calloc(count, bytes);
}

void *__wrap_realloc(void *old, size_t bytes)
{
	alloc_count += alloc_armed;
	return __real_realloc(old, bytes);
}

static void echo_until_done(struct rig_link *link)
{
	RIG_UNTIL(&rig, (rig_peer_echo(&rig, link), link->received_bytes == link->sent_bytes));
	RIG_UNTIL(&rig, link->returned == link->submitted);
	assert_int_equal(link->failed, 0);
}

static void row_echo(const struct rig_backend *backend)
{
	struct sl_conn_stats stats;
	struct rig_link *link;
	uint32_t i;

	rig_open(&rig, backend, &(struct rig_sizes){0});
	link = rig_link(&rig);
	alloc_count = 0;
	alloc_armed = true;
	assert_int_equal(rig_submit(&rig, link, 1, 1), 0);
	assert_int_equal(rig_submit(&rig, link, 0, 1), 0);
	assert_int_equal(rig_submit(&rig, link, 4 << 20, 1024), 0);
	for (i = 0; i < 40; i++)
		assert_int_equal(
			rig_submit(&rig, link, rig_random(&rig, 90000), 1 + rig_random(&rig, 60)),
			0);
	echo_until_done(link);
	for (i = 0; i < 50; i++) {
		assert_int_equal(rig_submit(&rig, link, 1 + rig_random(&rig, 200), 2), 0);
		echo_until_done(link);
	}
	alloc_armed = false;
	assert_int_equal(alloc_count, 0);
	rig.t->ops->stats(rig.t, link->conn, &stats);
	assert_int_equal(stats.bytes_sent, link->sent_bytes);
	assert_int_equal(stats.bytes_received, link->received_bytes);
	rig.t->ops->close(rig.t, link->conn, false);
	RIG_UNTIL(&rig, link->closed);
	assert_int_equal(link->close_error, 0);
	rig_close(&rig);
}

/* What is submitted within a turn leaves in one send. */
static void row_gathered(const struct rig_backend *backend)
{
	struct sl_conn_stats stats;
	struct rig_link *link;
	uint32_t i;

	rig_open(&rig, backend, &(struct rig_sizes){0});
	link = rig_link(&rig);
	for (i = 0; i < 20; i++)
		assert_int_equal(rig_submit(&rig, link, 100, 3), 0);
	echo_until_done(link);
	rig.t->ops->stats(rig.t, link->conn, &stats);
	if (backend->send_step == 0)
		assert_int_equal(stats.sends, 1);
	rig_close(&rig);
}

static void row_many(const struct rig_backend *backend)
{
	enum { LINKS = 200 };
	uint32_t i, round, done = 0;
	uint64_t end = sl_clock_monotonic_ns() + 30 * SL_NS_PER_S;

	rig_open(&rig, backend,
		 &(struct rig_sizes){.conns = LINKS, .buffers = 32, .buffer_bytes = 4096});
	for (i = 0; i < LINKS; i++)
		rig_link(&rig);
	for (round = 0; round < 5; round++)
		for (i = 0; i < LINKS; i++)
			assert_int_equal(
				rig_submit(&rig, &rig.links[i], 1 + rig_random(&rig, 16000), 3), 0);
	while (done < LINKS) {
		rig_turn(&rig);
		for (i = 0, done = 0; i < LINKS; i++) {
			rig_peer_echo(&rig, &rig.links[i]);
			done += rig.links[i].received_bytes == rig.links[i].sent_bytes &&
				rig.links[i].returned == rig.links[i].submitted;
		}
		assert_true(sl_clock_monotonic_ns() < end);
	}
	rig_close(&rig);
}

static void row_short_sends(const struct rig_backend *backend)
{
	struct rig_link *link;
	uint32_t i;

	rig_open(&rig, backend,
		 &(struct rig_sizes){.socket_send_bytes = 4608, .peer_receive_bytes = 4608});
	link = rig_link(&rig);
	for (i = 0; i < 8; i++)
		assert_int_equal(rig_submit(&rig, link, 30000 + i, 7), 0);
	while (link->peer_read_bytes < 200000) {
		rig_turn(&rig);
		rig_peer_read(&rig, link, 1 + rig_random(&rig, 3000));
	}
	echo_until_done(link);
	rig_close(&rig);
}

static void submit_megabytes(struct rig_link *link)
{
	uint32_t i;

	for (i = 0; i < 8; i++)
		assert_int_equal(rig_submit(&rig, link, 1 << 20, 64), 0);
	for (i = 0; i < 50; i++)
		rig_turn(&rig);
	assert_true(link->returned < 8);
}

static const struct rig_sizes small_pipe = {.socket_send_bytes = 65536,
					    .peer_receive_bytes = 65536};

static void row_peer_reset(const struct rig_backend *backend)
{
	struct rig_link *link;

	rig_open(&rig, backend, &small_pipe);
	link = rig_link(&rig);
	submit_megabytes(link);
	RIG_UNTIL(&rig, rig_peer_read(&rig, link, 10000) > 0);
	rig_peer_reset(&rig, link);
	RIG_UNTIL(&rig, link->closed);
	assert_int_equal(link->close_error, -ECONNRESET);
	assert_int_equal(link->returned, 8);
	assert_true(link->failed > 0);
	assert_int_equal(rig.t->ops->submit(rig.t, link->conn, link->iov, 1, 9), -ENOTCONN);
	assert_int_equal(rig_turn(&rig), 0);
	rig_close(&rig);
}

static void row_peer_ends(const struct rig_backend *backend)
{
	struct rig_link *link;
	uint64_t wanted;

	rig_open(&rig, backend, &(struct rig_sizes){0});
	link = rig_link(&rig);
	assert_true(rig_peer_write(&rig, link, 30000) > 0);
	wanted = link->peer_written_bytes;
	rig_peer_close(&rig, link);
	RIG_UNTIL(&rig, link->closed);
	assert_int_equal(link->close_error, 0);
	assert_int_equal(link->received_bytes, wanted);
	rig_close(&rig);
}

static void row_refused(const struct rig_backend *backend)
{
	struct rig_link *link;

	rig_open(&rig, backend, &(struct rig_sizes){0});
	if (backend->sim)
		rig.address.port++;
	else
		peer_nobody(&rig.address);
	link = rig_connect(&rig);
	RIG_UNTIL(&rig, link->closed);
	assert_false(link->connected);
	assert_int_equal(link->close_error, -ECONNREFUSED);
	rig_close(&rig);
}

static void row_not_accepting(const struct rig_backend *backend)
{
	struct rig_link *link;

	rig_open(&rig, backend, &(struct rig_sizes){0});
	link = rig_connect(&rig);
	RIG_UNTIL(&rig, link->connected);
	assert_int_equal(rig_submit(&rig, link, 1000, 2), 0);
	if (!backend->sent_when_read)
		RIG_UNTIL(&rig, link->returned == 1);
	rig.t->ops->close(rig.t, link->conn, true);
	RIG_UNTIL(&rig, link->closed);
	assert_int_equal(link->close_error, 0);
	rig_close(&rig);
}

static void row_connecting_closed(const struct rig_backend *backend)
{
	struct rig_link *link = NULL;
	uint32_t i, conns = 0;

	/* A full backlog drops what knocks, so one of these stays unanswered. */
	rig_open(&rig, backend, &(struct rig_sizes){.backlog = 1});
	if (backend->sim)
		assert_int_equal(sl_sim_reach_set(rig.t, &rig.address, SL_SIM_SILENT), 0);
	for (i = 0; i < 4; i++) {
		link = rig_connect(&rig);
		while (rig_turn(&rig) > 0)
			;
	}
	usleep(backend->sim ? 0 : 20000);
	while (rig_turn(&rig) > 0)
		;
	assert_false(link->connected);
	assert_int_equal(rig.t->ops->connect(rig.t, &rig.address, 9, &conns), -EMFILE);
	rig.t->ops->close(rig.t, link->conn, false);
	rig.t->ops->close(rig.t, link->conn, true);
	RIG_UNTIL(&rig, link->closed);
	assert_int_equal(link->close_error, 0);
	rig_close(&rig);
}

static void row_abort(const struct rig_backend *backend)
{
	struct rig_link *link;

	rig_open(&rig, backend, &small_pipe);
	link = rig_link(&rig);
	submit_megabytes(link);
	rig.t->ops->close(rig.t, link->conn, true);
	rig.t->ops->close(rig.t, link->conn, false);
	assert_int_equal(rig.t->ops->submit(rig.t, link->conn, link->iov, 1, 9), -ENOTCONN);
	RIG_UNTIL(&rig, link->closed);
	assert_int_equal(link->close_error, 0);
	assert_true(link->failed > 0);
	RIG_UNTIL(&rig, (rig_peer_read(&rig, link, 100000), link->peer_ended));
	assert_true(link->peer_read_bytes < link->sent_bytes);
	rig_close(&rig);
}

static void row_flush(const struct rig_backend *backend)
{
	struct rig_link *link;

	rig_open(&rig, backend, &small_pipe);
	link = rig_link(&rig);
	submit_megabytes(link);
	rig.t->ops->close(rig.t, link->conn, false);
	RIG_UNTIL(&rig, (rig_peer_read(&rig, link, 100000), link->peer_ended));
	assert_int_equal(link->peer_read_bytes, link->sent_bytes);
	RIG_UNTIL(&rig, link->closed);
	assert_int_equal(link->close_error, 0);
	assert_int_equal(link->failed, 0);
	rig_close(&rig);
}

/* An orderly end that the peer does not let happen can be made rude. */
static void row_flush_then_abort(const struct rig_backend *backend)
{
	struct rig_link *link;
	uint32_t i;

	rig_open(&rig, backend, &small_pipe);
	link = rig_link(&rig);
	submit_megabytes(link);
	rig.t->ops->close(rig.t, link->conn, false);
	for (i = 0; i < 20; i++)
		rig_turn(&rig);
	assert_false(link->closed);
	rig.t->ops->close(rig.t, link->conn, true);
	RIG_UNTIL(&rig, link->closed);
	assert_int_equal(link->close_error, 0);
	rig_close(&rig);
}

static void write_wanted(struct rig_link *links[3], uint64_t bytes)
{
	uint32_t i;

	for (i = 0; i < 3; i++)
		if (links[i]->peer_written_bytes < bytes)
			rig_peer_write(&rig, links[i],
				       (uint32_t)(bytes - links[i]->peer_written_bytes));
	rig_turn(&rig);
}

static void row_buffers_exhausted(const struct rig_backend *backend)
{
	const uint64_t bytes = 300000;
	struct rig_link *links[3];
	uint32_t i;

	rig_open(&rig, backend, &(struct rig_sizes){.buffers = 4, .buffer_bytes = 1000});
	for (i = 0; i < 3; i++)
		links[i] = rig_link(&rig);
	rig.hold = true;
	RIG_UNTIL(&rig, (write_wanted(links, bytes), rig.held_count == 4));
	for (i = 0; i < 100; i++)
		write_wanted(links, bytes);
	assert_int_equal(rig.held_count, 4);
	/* Full buffers are no reason to refuse sends. */
	assert_int_equal(rig_submit(&rig, links[0], 10, 1), 0);
	RIG_UNTIL(&rig, (rig_peer_read(&rig, links[0], 10), links[0]->returned == 1));
	RIG_UNTIL(&rig, (write_wanted(links, bytes), rig_release_held(&rig),
			 links[0]->received_bytes == bytes && links[1]->received_bytes == bytes &&
				 links[2]->received_bytes == bytes));
	rig_close(&rig);
}

static void row_queue_full(const struct rig_backend *backend)
{
	struct rig_link *link;
	uint32_t i;

	rig_open(&rig, backend,
		 &(struct rig_sizes){
			 .sends = 3, .socket_send_bytes = 65536, .peer_receive_bytes = 65536});
	link = rig_link(&rig);
	for (i = 0; i < 3; i++)
		assert_int_equal(rig_submit(&rig, link, 1 << 20, 9), 0);
	assert_int_equal(rig_submit(&rig, link, 1, 1), -EAGAIN);
	RIG_UNTIL(&rig, (rig_peer_read(&rig, link, 100000), link->returned > 0));
	assert_int_equal(rig_submit(&rig, link, 1, 1), 0);
	echo_until_done(link);
	rig_close(&rig);
}

static void row_slot_reuse(const struct rig_backend *backend)
{
	uint32_t i;

	rig_open(&rig, backend, &(struct rig_sizes){.conns = 2});
	for (i = 0; i < 200; i++) {
		struct rig_link *link = rig_link(&rig);

		assert_int_equal(rig_submit(&rig, link, 20000, 3), 0);
		if (i % 2)
			rig_peer_write(&rig, link, 5000);
		if (i % 3 == 0)
			rig_peer_reset(&rig, link);
		if (i % 5)
			rig_turn(&rig);
		rig.t->ops->close(rig.t, link->conn, i % 4 < 3);
		RIG_UNTIL(&rig,
			  (link->peer >= 0 ? rig_peer_read(&rig, link, 100000) : 0, link->closed));
		if (link->peer >= 0)
			rig_peer_close(&rig, link);
	}
	rig_close(&rig);
}

static void row_destroy_busy(const struct rig_backend *backend)
{
	struct rig_link *link;

	rig_open(&rig, backend, &small_pipe);
	link = rig_link(&rig);
	rig_connect(&rig);
	submit_megabytes(link);
	rig_peer_write(&rig, link, 50000);
	rig.t->ops->close(rig.t, rig_connect(&rig)->conn, true);
	rig_close(&rig);
}

/* Nothing happens, nothing wakes; but for late task work (of a ring before this one, too) that acts
 * like a signal. */
static void expect_quiet(int epoll)
{
	struct epoll_event ready;
	uint32_t tries;
	int rc = -1;

	for (tries = 0; tries < 20 && rc < 0; tries++) {
		while (rig_turn(&rig) > 0)
			;
		rc = epoll_wait(epoll, &ready, 1, 20);
		assert_true(rc == 0 || (rc < 0 && errno == EINTR));
	}
	assert_int_equal(rc, 0);
}

struct late { /* what a second thread does while the first sleeps */
	struct rig_link *link;
	bool ends;
};

static void *late_run(void *arg)
{
	const struct late *late = arg;

	usleep(3000);
	if (late->ends)
		rig_peer_close(&rig, late->link);
	else
		rig_peer_write(&rig, late->link, 1);
	return NULL;
}

/* Returns whether the descriptor itself woke us; task work that is notified like a signal ends the
 * wait, too. */
static bool expect_wake(int epoll, struct rig_link *link, bool ends)
{
	struct late late = {.link = link, .ends = ends};
	uint32_t tries = 0, events = 0;
	struct epoll_event ready;
	pthread_t thread;
	int rc;

	while (rig_turn(&rig) > 0)
		;
	assert_int_equal(pthread_create(&thread, NULL, late_run, &late), 0);
	do {
		rc = epoll_wait(epoll, &ready, 1, 3000);
		events = rc == 0 ? 0 : rig_turn(&rig);
	} while (rc < 0 && events == 0 && ++tries < 20);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_true(events > 0);
	return rc == 1;
}

static void row_wait_fd(const struct rig_backend *backend)
{
	struct epoll_event want = {.events = EPOLLIN};
	uint32_t i, by_descriptor = 0;
	struct rig_link *link;
	int epoll;

	if (backend->sim)
		return;
	rig_open(&rig, backend, &(struct rig_sizes){0});
	epoll = epoll_create1(EPOLL_CLOEXEC);
	assert_int_equal(epoll_ctl(epoll, EPOLL_CTL_ADD, rig.t->ops->wait_fd(rig.t), &want), 0);
	link = rig_link(&rig);
	while (rig_turn(&rig) > 0)
		;
	assert_int_equal(rig.t->ops->next_deadline_ns(rig.t), SL_DEADLINE_NONE);
	expect_quiet(epoll);
	for (i = 0; i < 20; i++) {
		by_descriptor += expect_wake(epoll, link, false);
		RIG_UNTIL(&rig, link->received_bytes == link->peer_written_bytes);
	}
	/* Deferred task work sends no such notification: the descriptor is all there is. */
	if (!backend->disabled[SL_URING_DEFER_TASKRUN] &&
	    !backend->disabled[SL_URING_SINGLE_ISSUER])
		assert_true(by_descriptor > i / 2);
	expect_wake(epoll, link, true);
	RIG_UNTIL(&rig, link->closed);
	close(epoll);
	rig_close(&rig);
}

static void row_features(const struct rig_backend *backend)
{
	const char *name;
	bool in_use;
	uint32_t i;

	rig_open(&rig, backend, &(struct rig_sizes){0});
	for (i = 0; rig.t->ops->feature(rig.t, i, &name, &in_use); i++) {
		assert_string_equal(name, sl_uring_feature_name(i));
		if (backend->disabled[i])
			assert_false(in_use);
	}
	assert_int_equal(i, backend->sim ? 0 : SL_URING_FEATURE_COUNT);
	rig_close(&rig);
}

#define WITHOUT(feature) .disabled = {[feature] = true}

static const struct rig_backend backends[] = {
	{.name = "uring"},
	{.name = "uring-single_issuer", WITHOUT(SL_URING_SINGLE_ISSUER)},
	{.name = "uring-defer_taskrun", WITHOUT(SL_URING_DEFER_TASKRUN)},
	{.name = "uring-coop_taskrun", WITHOUT(SL_URING_COOP_TASKRUN)},
	{.name = "uring-submit_all", WITHOUT(SL_URING_SUBMIT_ALL)},
	{.name = "uring-buffer_ring", WITHOUT(SL_URING_BUFFER_RING)},
	{.name = "uring-recv_multishot", WITHOUT(SL_URING_RECV_MULTISHOT)},
	{.name = "uring-ring_fd", WITHOUT(SL_URING_RING_FD)},
	{.name = "uring-nothing", .disabled = {true, true, true, true, true, true, true, true}},
	{.name = "uring-plain-ring", .disabled = {true, true, true}},
	{.name = "uring+send_zc", .zero_copy = true},
	{.name = "sim", .sim = true},
	{.name = "sim+delay", .sim = true, .delay_ns = 500000, .send_step = 7000},
	{.name = "sim+sent_when_read", .sim = true, .delay_ns = 1, .sent_when_read = true},
};

static const struct row {
	const char *name;
	void (*run)(const struct rig_backend *backend);
} rows[] = {
	{"features", row_features},
	{"echo", row_echo},
	{"gathered", row_gathered},
	{"many", row_many},
	{"short_sends", row_short_sends},
	{"peer_reset", row_peer_reset},
	{"peer_ends", row_peer_ends},
	{"refused", row_refused},
	{"not_accepting", row_not_accepting},
	{"connecting_closed", row_connecting_closed},
	{"abort", row_abort},
	{"flush", row_flush},
	{"flush_then_abort", row_flush_then_abort},
	{"buffers_exhausted", row_buffers_exhausted},
	{"queue_full", row_queue_full},
	{"slot_reuse", row_slot_reuse},
	{"destroy_busy", row_destroy_busy},
	{"wait_fd", row_wait_fd},
};

struct cell {
	char name[64];
	const struct rig_backend *backend;
	const struct row *row;
};

static void cell_run(void **state)
{
	const struct cell *cell = *state;

	cell->row->run(cell->backend);
}

int main(int argc, char **argv)
{
	static struct cell cells[SL_ARRAY_COUNT(rows) * SL_ARRAY_COUNT(backends)];
	static struct CMUnitTest tests[SL_ARRAY_COUNT(cells)];
	size_t i;

	for (i = 0; i < SL_ARRAY_COUNT(cells); i++) {
		cells[i].backend = &backends[i / SL_ARRAY_COUNT(rows)];
		cells[i].row = &rows[i % SL_ARRAY_COUNT(rows)];
		snprintf(cells[i].name, sizeof(cells[i].name), "%s/%s", cells[i].backend->name,
			 cells[i].row->name);
		tests[i] = (struct CMUnitTest){
			.name = cells[i].name, .test_func = cell_run, .initial_state = &cells[i]};
	}
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests_name("transport", tests, NULL, NULL);
}
