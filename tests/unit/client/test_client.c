/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: the library keeps what sluice.h promises, against an agent that speaks through the real
 * shm/ code. */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "dataplane/client/sluice.h"
#include "tests/unit/client/fake_agent.h"

struct fixture {
	struct fake_agent agent;
	sluice_client *client;
	sluice_ring *ring;
	sluice_topic *topic;
	char path[64];
};

static void begin(struct fixture *f, uint32_t mode, uint32_t policy, uint32_t timeout_ms)
{
	struct sluice_options options = SLUICE_OPTIONS_INIT;
	struct sluice_ring_options ring_options = SLUICE_RING_OPTIONS_INIT;
	char text[256] = "";

	memset(f, 0, sizeof(*f));
	snprintf(f->path, sizeof(f->path), "/tmp/sluice-test-%d.sock", (int)getpid());
	fake_agent_start(&f->agent, f->path);
	options.socket_path = f->path;
	options.ring_bytes = 65536;
	options.ring_count = 2;
	options.report_slots = 64;
	options.report_mode = mode;
	options.error_text = text;
	options.error_text_bytes = sizeof(text);
	if (sluice_open(&options, &f->client) != 0)
		fail_msg("%s", text);
	ring_options.full_policy = policy;
	ring_options.full_timeout_ms = timeout_ms;
	assert_int_equal(sluice_ring_get(f->client, &ring_options, &f->ring), 0);
	assert_int_equal(sluice_topic_bind(f->client, "readings", &f->topic), 0);
}

static void end(struct fixture *f)
{
	sluice_close(f->client);
	fake_agent_free(&f->agent);
	assert_int_equal(atomic_load(&f->agent.tail_errors), 0);
	assert_int_equal(atomic_load(&f->agent.poison), 0);
}

static int64_t send_one(struct fixture *f)
{
	struct sluice_record record = {
		.key = "0123456789abcdef", .key_bytes = 16, .value_bytes = 100};
	static const char value[100] = "v";

	record.value = value;
	return sluice_send(f->ring, f->topic, &record);
}

static void pause_agent(struct fixture *f, bool paused)
{
	atomic_store(&f->agent.paused, paused);
	while (atomic_load(&f->agent.quiet) != paused)
		usleep(100);
}

static void test_all_shapes_in_all_modes(void **state)
{
	static const uint8_t bytes[7000] = {1};
	uint32_t mode;

	(void)state;
	for (mode = SLUICE_REPORT_ALL; mode <= SLUICE_REPORT_NONE; mode++) {
		struct sluice_header headers[2] = {{"name", "value", 4, 5}, {"null", NULL, 4, 0}};
		struct sluice_report reports[64];
		struct sluice_stats stats;
		struct fixture f;
		uint64_t told = 0;
		int64_t i;

		begin(&f, mode, SLUICE_FULL_WAIT, 0);
		for (i = 0; i < 3000; i++) {
			struct sluice_record record = {
				.key = i % 3 ? bytes : NULL,
				.key_bytes = i % 3 ? (int32_t)(i % 200) : 0,
				.value = i % 5 ? bytes : NULL,
				.value_bytes = i % 5 ? (int32_t)(i * 7 % 7000) : 0,
				.headers = headers,
				.header_count = i % 7 == 0 ? 2 : 0,
				.timestamp_ms = i % 2,
			};
			int count = sluice_poll_reports(f.ring, reports, 64);

			for (int n = 0; n < count; n++) {
				assert_true(reports[n].first_seq == told);
				assert_ptr_equal(reports[n].topic, f.topic);
				told += reports[n].count;
			}
			assert_true(sluice_send(f.ring, f.topic, &record) == i);
		}
		assert_int_equal(sluice_flush(f.ring, 5000), 0);
		assert_int_equal(sluice_ring_stats(f.ring, &stats), 0);
		assert_true(stats.sent == 3000 && stats.settled == 3000 && stats.failed == 0);
		assert_true(atomic_load(&f.agent.records) == 3000);
		for (int count; (count = sluice_poll_reports(f.ring, reports, 64)) > 0;)
			for (int n = 0; n < count; n++)
				told += reports[n].count;
		assert_true(told == (mode == SLUICE_REPORT_ALL ? 3000 : 0));
		end(&f);
	}
}

static void test_claims(void **state)
{
	struct sluice_sizes sizes = {.key_bytes = SLUICE_NULL, .value_bytes = 5};
	struct sluice_claim claim, stale;
	struct fixture f;

	(void)state;
	begin(&f, SLUICE_REPORT_ERRORS, SLUICE_FULL_FAIL, 0);
	assert_int_equal(sluice_claim(f.ring, f.topic, &sizes, &claim), 0);
	assert_null(claim.key);
	memcpy(claim.value, "hello", 5);
	stale = claim;
	sluice_abort(f.ring, &claim);
	assert_true(sluice_commit(f.ring, &claim) == -EINVAL);
	assert_int_equal(sluice_claim(f.ring, f.topic, &sizes, &claim), 0);
	memcpy(claim.value, "world", 5);
	assert_true(sluice_commit(f.ring, &claim) == 0);
	assert_true(sluice_commit(f.ring, &stale) == -EINVAL);
	sizes.value_bytes = 65536 / 8;
	assert_int_equal(sluice_claim(f.ring, f.topic, &sizes, &claim), -EMSGSIZE);
	sizes.value_bytes = -2;
	assert_int_equal(sluice_claim(f.ring, f.topic, &sizes, &claim), -EINVAL);
	assert_int_equal(sluice_flush(f.ring, 5000), 0);
	assert_true(atomic_load(&f.agent.records) == 1);
	end(&f);
}

static void test_full_policies(void **state)
{
	static const int expected[] = {0, -ETIMEDOUT, -EAGAIN, -ENOBUFS};
	uint32_t policy;

	(void)state;
	for (policy = SLUICE_FULL_WAIT; policy <= SLUICE_FULL_DROP; policy++) {
		struct sluice_stats stats;
		struct fixture f;
		int64_t rc, sent = 0;

		begin(&f, SLUICE_REPORT_NONE, policy, 30);
		pause_agent(&f, true);
		while ((rc = send_one(&f)) >= 0)
			sent++;
		assert_int_equal(rc, expected[policy]);
		assert_in_range(sent, 65536 / 160 - 1, 65536 / 140);
		sluice_ring_stats(f.ring, &stats);
		assert_true(stats.dropped == (policy == SLUICE_FULL_DROP));
		pause_agent(&f, false);
		assert_int_equal(sluice_flush(f.ring, 5000), 0);
		assert_true(atomic_load(&f.agent.records) == (uint64_t)sent);
		assert_true(send_one(&f) == sent);
		end(&f);
	}
}

static void test_no_wake_is_missed(void **state)
{
	struct fixture f;
	int64_t i;

	(void)state;
	begin(&f, SLUICE_REPORT_NONE, SLUICE_FULL_WAIT, 5000);
	atomic_store(&f.agent.sleepy, true);
	/* A bell that is missed costs the agent's whole sleep of 1 s; fifty would fail the flush.
	 */
	for (i = 0; i < 2000; i++) {
		assert_true(send_one(&f) == i);
		if (i % 4 == 0)
			assert_int_equal(sluice_flush(f.ring, 900), 0);
	}
	assert_true(atomic_load(&f.agent.sleeps) > 0);
	atomic_store(&f.agent.sleepy, false);
	assert_true(send_one(&f) == i);
	end(&f);
}

static void test_report_fd(void **state)
{
	struct sluice_report report;
	struct pollfd pfd = {.events = POLLIN};
	struct fixture f;
	int i;

	(void)state;
	begin(&f, SLUICE_REPORT_ALL, SLUICE_FULL_WAIT, 5000);
	pfd.fd = sluice_ring_fd(f.ring);
	assert_true(pfd.fd >= 0);
	for (i = 0; i < 200; i++) {
		while (sluice_poll_reports(f.ring, &report, 1) > 0)
			;
		assert_true(send_one(&f) == i);
		assert_int_equal(poll(&pfd, 1, 2000), 1);
	}
	end(&f);
}

static void test_full_reports_are_told(void **state)
{
	struct fixture f;
	int64_t i, rc;

	(void)state;
	begin(&f, SLUICE_REPORT_ALL, SLUICE_FULL_WAIT, 5000);
	for (i = 0; i < 64; i++) {
		assert_true(send_one(&f) == i);
		assert_int_equal(sluice_flush(f.ring, 2000), 0);
	}
	assert_true(send_one(&f) == i);
	assert_int_equal(rc = sluice_flush(f.ring, 2000), -ENOBUFS);
	end(&f);
}

static void test_child_owns_nothing(void **state)
{
	struct fixture f;
	int status;
	pid_t pid;

	(void)state;
	begin(&f, SLUICE_REPORT_ERRORS, SLUICE_FULL_WAIT, 5000);
	assert_true(send_one(&f) == 0);
	pid = fork();
	if (pid == 0) {
		struct sluice_stats stats;
		struct sluice_report report;
		sluice_topic *topic;
		int good = send_one(&f) == -ECHILD && sluice_flush(f.ring, 10) == -ECHILD &&
			   sluice_ring_stats(f.ring, &stats) == -ECHILD &&
			   sluice_ping(f.client) == -ECHILD &&
			   sluice_poll_reports(f.ring, &report, 1) == -ECHILD &&
			   sluice_ring_fd(f.ring) == -ECHILD &&
			   sluice_topic_bind(f.client, "other", &topic) == -ECHILD;

		sluice_close(f.client);
		_exit(good ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_true(send_one(&f) == 1);
	assert_int_equal(sluice_flush(f.ring, 5000), 0);
	assert_int_equal(sluice_ping(f.client), SLUICE_ATTACHED);
	end(&f);
}

static void settle_state(struct fixture *f, int state)
{
	int i;

	for (i = 0; i < 5000 && sluice_ping(f->client) != state; i++)
		usleep(1000);
	assert_int_equal(sluice_ping(f->client), state);
}

static void test_agent_comes_back(void **state)
{
	struct fixture f;
	int64_t seq = 0;
	int round, fd;

	(void)state;
	begin(&f, SLUICE_REPORT_ERRORS, SLUICE_FULL_FAIL, 0);
	fd = sluice_ring_fd(f.ring);
	for (round = 1; round <= 3; round++) {
		fake_agent_kill(&f.agent);
		settle_state(&f, SLUICE_LOST);
		assert_true(send_one(&f) == seq++);
		memset(f.agent.topics, 0, sizeof(f.agent.topics));
		fake_agent_start(&f.agent, f.path);
		settle_state(&f, SLUICE_ATTACHED);
		assert_string_equal(f.agent.topics[0], "readings");
		atomic_store(&f.agent.sleepy, true);
		usleep(2000);
		/* The new bell has taken the old one's place: this record wakes the new agent. */
		assert_true(send_one(&f) == seq++);
		assert_int_equal(sluice_flush(f.ring, 900), 0);
		atomic_store(&f.agent.sleepy, false);
		assert_true(send_one(&f) == seq++);
	}
	assert_int_equal(sluice_ring_fd(f.ring), fd);
	assert_int_equal(atomic_load(&f.agent.reattached), 3);
	end(&f);
}

static void test_agent_forgot(void **state)
{
	struct sluice_stats stats;
	struct fixture f;

	(void)state;
	begin(&f, SLUICE_REPORT_ERRORS, SLUICE_FULL_FAIL, 0);
	pause_agent(&f, true);
	assert_true(send_one(&f) == 0);
	fake_agent_kill(&f.agent);
	settle_state(&f, SLUICE_LOST);
	atomic_store(&f.agent.forget, true);
	fake_agent_start(&f.agent, f.path);
	settle_state(&f, SLUICE_DETACHED);
	assert_int_equal(sluice_flush(f.ring, 1000), -ENOTCONN);
	assert_int_equal(sluice_ring_stats(f.ring, &stats), 0);
	assert_true(stats.unknown == 1 && stats.settled == 1);
	end(&f);
}

static void test_reset_tells_each_once(void **state)
{
	struct sluice_report reports[8];
	struct fixture f;
	int i;

	(void)state;
	begin(&f, SLUICE_REPORT_ALL, SLUICE_FULL_FAIL, 0);
	for (i = 0; i < 10; i++)
		assert_true(send_one(&f) == i);
	assert_int_equal(sluice_flush(f.ring, 5000), 0);
	pause_agent(&f, true);
	for (; i < 15; i++)
		assert_true(send_one(&f) == i);
	fake_agent_reset(&f.agent, 13);
	fake_agent_reset(&f.agent, 14);
	uint64_t persisted = 0, unknown = 0;
	for (int count; (count = sluice_poll_reports(f.ring, reports, 1)) > 0;) {
		if (reports[0].outcome == SLUICE_UNKNOWN)
			assert_true(reports[0].first_seq == 10 + unknown);
		*(reports[0].outcome == SLUICE_UNKNOWN ? &unknown : &persisted) += reports[0].count;
	}
	assert_true(persisted == 10 && unknown == 4);
	end(&f);
}

static void test_mistakes(void **state)
{
	struct sluice_record record = {.key_bytes = 3};
	struct sluice_options options = SLUICE_OPTIONS_INIT;
	sluice_client *client;
	sluice_topic *topic;
	sluice_ring *ring;
	struct fixture f;

	(void)state;
	options.socket_path = "/nonexistent/agent.sock";
	assert_int_equal(sluice_open(&options, &client), -ENOENT);
	begin(&f, SLUICE_REPORT_ERRORS, SLUICE_FULL_FAIL, 0);
	assert_true(sluice_send(f.ring, f.topic, &record) == -EINVAL);
	record = (struct sluice_record){.flags = SLUICE_TO_PARTITION, .partition = -2};
	assert_true(sluice_send(f.ring, f.topic, &record) == -EINVAL);
	assert_true(sluice_send(f.ring, NULL, &record) < 0);
	assert_int_equal(sluice_topic_bind(f.client, "forbidden", &topic), -EACCES);
	assert_non_null(strstr(sluice_last_error(f.client), "not allowed"));
	assert_int_equal(sluice_topic_bind(f.client, "..", &topic), -EINVAL);
	assert_int_equal(sluice_topic_bind(f.client, "readings", &topic), 0);
	assert_ptr_equal(topic, f.topic);
	assert_int_equal(sluice_ring_get(f.client, NULL, &ring), 0);
	assert_int_equal(sluice_ring_get(f.client, NULL, &ring), -ENOENT);
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_shapes_in_all_modes),
		cmocka_unit_test(test_claims),
		cmocka_unit_test(test_full_policies),
		cmocka_unit_test(test_no_wake_is_missed),
		cmocka_unit_test(test_report_fd),
		cmocka_unit_test(test_full_reports_are_told),
		cmocka_unit_test(test_child_owns_nothing),
		cmocka_unit_test(test_agent_comes_back),
		cmocka_unit_test(test_agent_forgot),
		cmocka_unit_test(test_reset_tells_each_once),
		cmocka_unit_test(test_mistakes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
