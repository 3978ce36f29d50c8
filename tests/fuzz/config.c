/* SPDX-License-Identifier: Apache-2.0
 *
 * Input: a configuration's YAML text; behind it, each after a byte 1, what --set says. A first byte
 * 2 makes it longer than a file may be. Oracle: it is refused with at least one error, or its dump
 * loads without error or notice to an equal configuration.
 */
#include "config/config.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SETS_MAX = 8, SET_STARTS = 1, TOO_LONG = 2 };

static int load(const char *text, size_t bytes, const char *const *sets, uint32_t set_count,
		struct sl_config **cfg, uint32_t *notice_count)
{
	struct sl_config_report report = {0};
	cpu_set_t cpus;
	CPU_ZERO(&cpus);
	CPU_SET(0, &cpus);
	CPU_SET(1, &cpus);
	struct sl_config_source src = {.text = text,
				       .text_bytes = bytes,
				       .text_name = "fuzz",
				       .cpus_allowed = &cpus,
				       .sets = sets,
				       .set_count = set_count};
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
		if (load(text, bytes, NULL, 0, &again, &notice_count) < 0 || notice_count > 0)
			abort();
		(void)sl_config_diff(cfg, again, change_abort, NULL);
		if (again->topic_rule_count != cfg->topic_rule_count)
			abort();
		sl_config_free(again);
	}
	free(text);
}

/* Ends the text before the first set; each set ends where the next begins. */
static size_t sets_split(char *text, const char **sets, uint32_t *count)
{
	char *rest = strchr(text, SET_STARTS);
	size_t bytes = rest ? (size_t)(rest - text) : strlen(text);

	for (*count = 0; rest && *count < SETS_MAX; (*count)++) {
		*rest = '\0';
		sets[*count] = rest + 1;
		rest = strchr(rest + 1, SET_STARTS);
	}
	return bytes;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sl_config *cfg;
	const char *sets[SETS_MAX];
	uint32_t notice_count, set_count = 0;
	size_t bytes = size;
	char *text = calloc(size + 1, 1);

	if (!text)
		abort();
	memcpy(text, data, size);
	setenv("RUNTIME_DIRECTORY", "/run/sluice", 1);
	/* A zero byte is for the parser to refuse: only texts without one have sets behind them. */
	if (memchr(text, 0, size) == NULL)
		bytes = sets_split(text, sets, &set_count);
	if (bytes > 0 && text[0] == TOO_LONG)
		bytes = SL_CONFIG_TEXT_BYTES_MAX + 1; /* judged before anything is read */
	if (load(text, bytes, sets, set_count, &cfg, &notice_count) == 0) {
		check_round_trip(cfg);
		sl_config_free(cfg);
	}
	free(text);
	return 0;
}
