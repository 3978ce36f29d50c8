/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/config/loading.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct loading load(const char *text, const char *const *sets, uint32_t set_count)
{
	struct loading loading = {0};
	cpu_set_t cpus;
	size_t bytes = 0;
	CPU_ZERO(&cpus);
	for (size_t cpu = 0; cpu < 4; cpu++)
		CPU_SET(cpu, &cpus);
	struct sl_config_source src = {
		.text = text,
		.text_bytes = strlen(text),
		.text_name = "test.yaml",
		.sets = sets,
		.set_count = set_count,
		.cpus_allowed = &cpus,
	};
	setenv("RUNTIME_DIRECTORY", "/run/sluice", 1);
	int rc = sl_config_load(&src, &loading.cfg, &loading.report);
	assert_int_equal(rc < 0, loading.cfg == NULL);
	assert_int_equal(rc<0, loading.report.error_count> 0);
	FILE *out = open_memstream(&loading.errors, &bytes);
	assert_non_null(out);
	sl_config_report_print(out, &loading.report);
	fclose(out);
	return loading;
}

struct loading load_text(const char *text, const char *set)
{
	const char *sets[] = {"bootstrap.servers=localhost:9092", set};
	if (*text == '!')
		return load(text + 1, sets + 1, set != NULL);
	return load(text, sets, set ? 2 : 1);
}

void loading_fini(struct loading *loading)
{
	sl_config_free(loading->cfg);
	sl_config_report_fini(&loading->report);
	free(loading->errors);
}

static void change_fail(void *ctx, const char *topic, const char *key, bool reloadable)
{
	fail_msg("%s %s differs after dump and load", topic ? topic : "", key);
}

static char *dumped(const struct sl_config *cfg)
{
	char *text = NULL;
	size_t bytes = 0;
	FILE *out = open_memstream(&text, &bytes);
	assert_non_null(out);
	sl_config_dump(out, cfg);
	fclose(out);
	return text;
}

void check_round_trip(const struct sl_config *cfg)
{
	char *first = dumped(cfg);
	struct loading again = load(first, NULL, 0);
	assert_string_equal(again.errors, "");
	assert_int_equal(again.report.notice_count, 0);
	assert_int_equal(sl_config_diff(cfg, again.cfg, change_fail, NULL), 0);
	char *second = dumped(again.cfg);
	assert_string_equal(first, second);
	free(first);
	free(second);
	loading_fini(&again);
}
