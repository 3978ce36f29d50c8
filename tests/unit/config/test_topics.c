/* SPDX-License-Identifier: Apache-2.0
 *
 * Entries of topics and allow, and what a reload finds changed.
 */
#include "tests/unit/config/loading.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_exact_name_beats_longest_prefix(void **state)
{
	struct loading loading = load_text("linger.ms: 1\n"
					   "topics:\n"
					   "  \"*\": {linger.ms: 2}\n"
					   "  \"metrics.*\": {linger.ms: 3, acks: 1}\n"
					   "  \"metrics.cpu.*\": {linger.ms: 4}\n"
					   "  metrics.cpu.user: {compression.type: lz4}\n",
					   NULL);
	assert_string_equal(loading.errors, "");
	assert_int_equal(sl_config_topic(loading.cfg, "orders").linger_us, 2000);
	assert_int_equal(sl_config_topic(loading.cfg, "metrics.net").linger_us, 3000);
	assert_int_equal(sl_config_topic(loading.cfg, "metrics.net").acks, 1);
	assert_int_equal(sl_config_topic(loading.cfg, "metrics.cpu.idle").linger_us, 4000);
	assert_int_equal(sl_config_topic(loading.cfg, "metrics.cpu.idle").acks, SL_CONFIG_ACKS_ALL);
	assert_int_equal(sl_config_topic(loading.cfg, "metrics.cpu.user").linger_us, 1000);
	assert_int_equal(sl_config_topic(loading.cfg, "metrics.cpu.user").compression,
			 SL_CONFIG_COMPRESSION_LZ4);
	check_round_trip(loading.cfg);
	loading_fini(&loading);
}

static void test_largest_request_counts_every_topic(void **state)
{
	struct loading loading =
		load_text("topics: {big: {max.request.size: 4MiB}}\nworkers: 2", NULL);
	assert_int_equal(sl_config_request_bytes_max(loading.cfg), 4 << 20);
	loading_fini(&loading);
}

static void test_allow(void **state)
{
	struct loading loading = load_text(
		"allow: {\"user:alice\": [\"metrics.*\", x], \"group:sensors\": \"*\", \"*\": []}",
		NULL);
	assert_string_equal(loading.errors, "");
	assert_int_equal(loading.cfg->allow_count, 3);
	assert_int_equal(loading.cfg->allow[0].who, SL_CONFIG_WHO_USER);
	assert_string_equal(loading.cfg->allow[0].name, "alice");
	assert_int_equal(loading.cfg->allow[0].pattern_count, 2);
	assert_int_equal(loading.cfg->allow[1].who, SL_CONFIG_WHO_GROUP);
	assert_true(sl_config_pattern_matches(loading.cfg->allow[1].patterns[0], "anything"));
	assert_int_equal(loading.cfg->allow[2].who, SL_CONFIG_WHO_ANYBODY);
	check_round_trip(loading.cfg);
	loading_fini(&loading);
	loading = load_text("allow: {}", NULL);
	assert_int_equal(loading.cfg->allow_count, 0);
	check_round_trip(loading.cfg);
	loading_fini(&loading);
}

static void test_pattern(void **state)
{
	assert_true(sl_config_pattern_matches("a*", "a"));
	assert_true(sl_config_pattern_matches("a*", "ab"));
	assert_false(sl_config_pattern_matches("a*", "ba"));
	assert_true(sl_config_pattern_matches("a", "a"));
	assert_false(sl_config_pattern_matches("a", "ab"));
}

static void change_append(void *ctx, const char *topic, const char *key, bool reloadable)
{
	fprintf(ctx, "%s/%s/%s\n", topic ? topic : "", key, reloadable ? "reload" : "restart");
}

static void check_diff(const char *before, const char *after, uint32_t restarts,
		       const char *expected)
{
	struct loading old_loading = load_text(before, NULL), new_loading = load_text(after, NULL);
	char *text = NULL;
	size_t bytes = 0;
	FILE *out = open_memstream(&text, &bytes);
	assert_string_equal(old_loading.errors, "");
	assert_string_equal(new_loading.errors, "");
	assert_int_equal(sl_config_diff(old_loading.cfg, new_loading.cfg, change_append, out),
			 restarts);
	fclose(out);
	assert_string_equal(text, expected);
	free(text);
	loading_fini(&old_loading);
	loading_fini(&new_loading);
}

static void test_diff(void **state)
{
	check_diff("", "", 0, "");
	check_diff("", "linger.ms: 5ms\ntopics: {a: {}}", 0, "");
	check_diff("", "linger.ms: 6\narena.bytes: 32MiB\nworkers: 2", 2,
		   "/workers/restart\n/arena.bytes/restart\n/linger.ms/reload\n");
	check_diff("topics: {a: {linger.ms: 1}}", "topics: {\"b*\": {acks: 1}}", 0,
		   "a/linger.ms/reload\nb*/acks/reload\nb*/enable.idempotence/reload\n");
	check_diff("topics: {a: {}}", "topics: {a: {max.request.size: 512KiB}}", 1,
		   "a/max.request.size/restart\n");
	check_diff("allow: {\"*\": [a]}", "allow: {\"*\": [b]}", 0, "/allow/reload\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exact_name_beats_longest_prefix),
		cmocka_unit_test(test_largest_request_counts_every_topic),
		cmocka_unit_test(test_allow),
		cmocka_unit_test(test_pattern),
		cmocka_unit_test(test_diff),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
