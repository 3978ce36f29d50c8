/* SPDX-License-Identifier: Apache-2.0
 *
 * Settings that contradict each other, and those that follow others.
 */
#include "tests/unit/config/loading.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_contradictions_are_refused(void **state)
{
	/* The text, and what the one error must say. */
	static const char *const rows[][2] = {
		{"enable.idempotence: true\nacks: 1",
		 "test.yaml:1: enable.idempotence: true contradicts acks"},
		{"topics: {a: {acks: 0, enable.idempotence: true}}",
		 "test.yaml:1: topics: a: enable.idempotence: true"},
		{"acks: 1\ntopics: {a: {enable.idempotence: true}}",
		 "test.yaml:2: topics: a: enable.idempotence: true"},
		{"max.in.flight: 6",
		 "test.yaml:1: max.in.flight.requests.per.connection: expected at most 5"},
		{"delivery.timeout.ms: 30004", "which is 30005 ms; found 30004 ms"},
		{"delivery.timeout.ms: 1m\ntopics: {a: {linger.ms: 31s}}",
		 "topics: a: delivery.timeout.ms: expected"},
		{"batch.size: 9MiB\nmax.request.size: 10MiB",
		 "batch.size: expected at most arena.bytes / 8, which is 8MiB"},
		{"arena.bytes: 32MiB\nmax.request.size: 10MiB",
		 "max.request.size: expected at most arena.bytes / 4"},
		{"batch.size: 2MiB",
		 "batch.size: expected at most max.request.size, which is 1MiB"},
		{"ring.bytes.max: 4MiB", "ring.bytes.max: expected at least 8 times"},
		{"ring.bytes: 32MiB\nring.bytes.max: 16MiB",
		 "ring.bytes: expected at most ring.bytes.max"},
		{"retry.backoff.ms: 10\nretry.backoff.max.ms: 9",
		 "retry.backoff.ms: expected at most retry.backoff.max.ms"},
		{"workers: [{core: 1}, {core: 1}]", "core 1 has a worker already"},
		{"workers: [{core: 4}]", "core 4 is not among the CPUs"},
		{"runtime.dir: run", "runtime.dir: expected an absolute path"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct loading loading = load_text(rows[i][0], NULL);
		if (loading.report.error_count != 1 || !strstr(loading.errors, rows[i][1]))
			fail_msg("%s\ngives: %s", rows[i][0], loading.errors);
		loading_fini(&loading);
	}
}

static void test_what_is_not_given_follows(void **state)
{
	/* The text, and what the one notice must say. */
	static const struct {
		const char *text, *notice;
	} rows[] = {
		{"acks: 1", "is false, because acks is 1"},
		{"topics: {a: {acks: 1}}", "is false, because acks is 1"},
		{"linger.ms: 2m", "is 150000 ms, to go with linger.ms"},
		{"request.timeout.ms: 3m", "is 180005 ms, to go with request.timeout.ms"},
		{"topics: {a: {linger.ms: 2m}}", "is 150000 ms, to go with linger.ms"},
		{"max.request.size: 64KiB", "is 64KiB, to go with max.request.size"},
		{"max.request.size: 15MiB", "is 128MiB, to go with max.request.size"},
		{"ring.bytes: 32MiB", "is 32MiB, to go with ring.bytes"},
		{"retry.backoff.max.ms: 20", "is 20 ms, to go with retry.backoff.max.ms"},
		{"rings.max: 16", "is 16, to go with rings.max"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct loading loading = load_text(rows[i].text, NULL);
		assert_string_equal(loading.errors, "");
		if (loading.report.notice_count != 1 ||
		    !strstr(loading.report.notices[0].text, rows[i].notice))
			fail_msg("%s: %u notices, %s", rows[i].text, loading.report.notice_count,
				 loading.report.notice_count ? loading.report.notices[0].text : "");
		check_round_trip(loading.cfg);
		loading_fini(&loading);
	}
}

/* The level above has acks=1, so idempotence went off there; an entry that goes back to all gets it
 * back. */
static void test_idempotence_is_resolved_per_level(void **state)
{
	struct loading loading =
		load_text("acks: 1\ntopics: {a: {acks: all}, b: {}, c: {linger.ms: 1}}", NULL);
	assert_string_equal(loading.errors, "");
	assert_false(loading.cfg->topic.enable_idempotence);
	assert_true(sl_config_topic(loading.cfg, "a").enable_idempotence);
	assert_false(sl_config_topic(loading.cfg, "b").enable_idempotence);
	assert_false(sl_config_topic(loading.cfg, "c").enable_idempotence);
	assert_int_equal(loading.report.notice_count, 1);
	check_round_trip(loading.cfg);
	loading_fini(&loading);
}

static void test_a_refused_value_makes_no_second_error(void **state)
{
	struct loading loading =
		load_text("acks: 3\nenable.idempotence: true\ndelivery.timeout.ms: soon\n"
			  "linger.ms: 10m\nring.bytes.max: 3MiB\n",
			  NULL);
	assert_int_equal(loading.report.error_count, 3);
	loading_fini(&loading);
}

static void test_set_wins_over_the_file(void **state)
{
	struct loading loading = load_text("linger.ms: 7", "queue.buffering.max.ms=9");
	assert_int_equal(loading.cfg->topic.linger_us, 9000);
	loading_fini(&loading);
	loading = load_text("workers: 1", "workers=[{core: 2}, {core: any}]");
	assert_int_equal(loading.cfg->worker_count, 2);
	assert_int_equal(loading.cfg->workers[0].core, 2);
	loading_fini(&loading);
	loading = load_text("topics: {a: {acks: 1}}", "topics={b: {acks: 0}}");
	assert_int_equal(loading.cfg->topic_rule_count, 1);
	assert_int_equal(sl_config_topic(loading.cfg, "b").acks, SL_CONFIG_ACKS_NONE);
	loading_fini(&loading);
	loading = load_text("!", "bootstrap.servers=[::1]:9092,h-1.example:1");
	assert_int_equal(loading.cfg->bootstrap_server_count, 2);
	assert_string_equal(loading.cfg->bootstrap_servers[0].host, "::1");
	check_round_trip(loading.cfg);
	loading_fini(&loading);
	loading = load_text("", "io_uring.disable=[send_zc, buffer_ring]");
	assert_int_equal(loading.cfg->io_uring_disable,
			 SL_CONFIG_URING_SEND_ZC | SL_CONFIG_URING_BUFFER_RING);
	check_round_trip(loading.cfg);
	loading_fini(&loading);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_contradictions_are_refused),
		cmocka_unit_test(test_what_is_not_given_follows),
		cmocka_unit_test(test_idempotence_is_resolved_per_level),
		cmocka_unit_test(test_a_refused_value_makes_no_second_error),
		cmocka_unit_test(test_set_wins_over_the_file),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
