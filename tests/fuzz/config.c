/* SPDX-License-Identifier: Apache-2.0
 *
 * Input: a configuration's YAML text. Oracle: it is refused with at least one error, or its dump
 * loads without error or notice to an equal configuration.
 */
#include "config/config.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int load(const char *text, size_t bytes, struct sl_config **cfg, uint32_t *notice_count)
{
	struct sl_config_report report = {0};
	cpu_set_t cpus;
	CPU_ZERO(&cpus);
	CPU_SET(0, &cpus);
	CPU_SET(1, &cpus);
	struct sl_config_source src = {
		.text = text, .text_bytes = bytes, .text_name = "fuzz", .cpus_allowed = &cpus};
	int rc = sl_config_load(&src, cfg, &report);
	if ((rc < 0) != (report.error_count > 0) || (rc < 0) != (*cfg == NULL))
		abort();
	*notice_count = report.notice_count;
	sl_config_report_fini(&report);
	return rc;
}

static void change_abort(void *ctx, const char *topic, const char *key, bool reloadable)
{
	abort();
}

static void check_round_trip(const struct sl_config *cfg)
{
	char *text = NULL;
	size_t bytes = 0;
	struct sl_config *again;
	uint32_t notice_count;
	FILE *out = open_memstream(&text, &bytes);
	if (!out)
		abort();
	sl_config_dump(out, cfg);
	fclose(out);
	/* A thousand entries of topics may dump longer than a file may be: that one is no fault. */
	if (bytes <= SL_CONFIG_TEXT_BYTES_MAX) {
		if (load(text, bytes, &again, &notice_count) < 0 || notice_count > 0)
			abort();
		(void)sl_config_diff(cfg, again, change_abort, NULL);
		if (again->topic_rule_count != cfg->topic_rule_count)
			abort();
		sl_config_free(again);
	}
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sl_config *cfg;
	uint32_t notice_count;
	setenv("RUNTIME_DIRECTORY", "/run/sluice", 1);
	if (load((const char *)data, size, &cfg, &notice_count) == 0) {
		check_round_trip(cfg);
		sl_config_free(cfg);
	}
	return 0;
}
