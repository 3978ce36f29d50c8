/* SPDX-License-Identifier: Apache-2.0
 *
 * The messages of broken files, and the dump of good ones, word for word. SL_GOLDEN_WRITE=1 writes
 * the files anew.
 */
#include "tests/unit/config/loading.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char *file_read(const char *path)
{
	char *text = calloc(1, SL_CONFIG_TEXT_BYTES_MAX + 1);
	FILE *in = fopen(path, "r");
	assert_non_null(text);
	if (in) {
		(void)!fread(text, 1, SL_CONFIG_TEXT_BYTES_MAX, in);
		fclose(in);
	}
	return text;
}

static void check_golden(const char *name, const char *found)
{
	char path[4096];
	snprintf(path, sizeof(path), SL_SOURCE_ROOT "/tests/golden/config/%s.txt", name);
	if (getenv("SL_GOLDEN_WRITE")) {
		FILE *out = fopen(path, "w");
		assert_non_null(out);
		fputs(found, out);
		fclose(out);
	}
	char *expected = file_read(path);
	assert_string_equal(expected, found);
	free(expected);
}

static void check_errors(const char *name)
{
	char path[4096];
	snprintf(path, sizeof(path), SL_SOURCE_ROOT "/tests/golden/config/%s.yaml", name);
	char *text = file_read(path);
	struct loading loading = load_text(text, NULL);
	assert_null(loading.cfg);
	check_golden(name, loading.errors);
	loading_fini(&loading);
	free(text);
}

static void test_every_error_at_once(void **state)
{
	check_errors("everything_wrong");
}

static void test_shapes(void **state)
{
	check_errors("wrong_shapes");
}

static void test_syntax(void **state)
{
	check_errors("not_yaml");
	check_errors("two_documents");
}

static void test_missing_file(void **state)
{
	struct sl_config_source src = {.path = "/nowhere/sluice.yaml"};
	struct sl_config_report report = {0};
	struct sl_config *cfg;
	assert_int_not_equal(sl_config_load(&src, &cfg, &report), 0);
	assert_null(cfg);
	assert_non_null(strstr(report.errors[0].text, "cannot be read"));
	sl_config_report_fini(&report);
}

static void check_sample(const char *name, const char *golden)
{
	char path[4096], *dump = NULL;
	size_t bytes = 0;
	const char *const sets[] = {"allow={\"user:sluice\": [\"*\"]}"};
	struct sl_config_report report = {0};
	struct sl_config *cfg;
	snprintf(path, sizeof(path), SL_SOURCE_ROOT "/config/%s", name);
	struct sl_config_source src = {.path = path, .sets = sets, .set_count = 1};
	setenv("RUNTIME_DIRECTORY", "/run/sluice", 1);
	assert_int_equal(sl_config_load(&src, &cfg, &report), 0);
	check_round_trip(cfg);
	FILE *out = open_memstream(&dump, &bytes);
	sl_config_dump(out, cfg);
	fclose(out);
	check_golden(golden, dump);
	free(dump);
	sl_config_free(cfg);
	sl_config_report_fini(&report);
}

/* Both samples are the defaults, so both make the same dump. */
static void test_samples_are_the_defaults(void **state)
{
	check_sample("minimal.yaml", "dump");
	check_sample("sluice.yaml", "dump");
}

/* What the sample shows in comments must load too, and be the default where it says so. */
static void test_sample_comments_load(void **state)
{
	char *text = file_read(SL_SOURCE_ROOT "/config/sluice.yaml");
	for (char *line = text; line; line = strchr(line + 1, '\n')) {
		char *hash = *line == '\n' ? line + 1 : line;
		if (*hash == '#' && hash[1] != ' ' && hash[1] != '\n')
			memmove(hash, hash + 1, strlen(hash));
		else if (!strncmp(hash, "#  ", 3))
			memmove(hash, hash + 1, strlen(hash));
	}
	char *marked = malloc(strlen(text) + 2);
	assert_non_null(marked);
	sprintf(marked, "!%s", text);
	struct loading loading = load_text(marked, NULL);
	assert_string_equal(loading.errors, "");
	assert_int_equal(loading.cfg->bootstrap_server_count, 2);
	assert_int_equal(loading.cfg->topic_rule_count, 2);
	assert_int_equal(loading.cfg->allow_count, 3);
	loading_fini(&loading);
	free(marked);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_error_at_once),
		cmocka_unit_test(test_shapes),
		cmocka_unit_test(test_syntax),
		cmocka_unit_test(test_missing_file),
		cmocka_unit_test(test_samples_are_the_defaults),
		cmocka_unit_test(test_sample_comments_load),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
