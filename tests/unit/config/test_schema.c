/* SPDX-License-Identifier: Apache-2.0
 *
 * Walks the table: every row's default, range, names and aliases are tried, good and bad.
 */
#include "config/schema.h"
#include "config/value.h"
#include "tests/unit/config/loading.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool has_number(const struct sl_config_row *row)
{
	return row->type == SL_CONFIG_INT || row->type == SL_CONFIG_COUNT ||
	       row->type == SL_CONFIG_SIZE || row->type == SL_CONFIG_DURATION;
}

static enum sl_config_parsed parse(const struct sl_config_row *row, const char *text,
				   int64_t *number)
{
	struct sl_config_store *store = sl_config_store_create();
	union {
		bool truth;
		uint64_t wide;
		const char *text;
	} field = {.wide = 0};
	enum sl_config_parsed parsed = sl_config_value_parse(row, text, store, &field);
	if (number && parsed == SL_CONFIG_PARSED)
		*number = sl_config_value_number(row, &field);
	sl_config_store_destroy(store);
	return parsed;
}

static char *number_text(const struct sl_config_row *row, int64_t number)
{
	char *text = NULL;
	size_t bytes = 0;
	FILE *out = open_memstream(&text, &bytes);
	assert_non_null(out);
	sl_config_number_print(out, row, number);
	fclose(out);
	return text;
}

static void check_number(const struct sl_config_row *row, int64_t number,
			 enum sl_config_parsed expected)
{
	int64_t found = 0;
	char *text = number_text(row, number);
	if (parse(row, text, &found) != expected)
		fail_msg("%s: %s is %s", row->key, text,
			 expected == SL_CONFIG_PARSED ? "refused" : "taken");
	if (expected == SL_CONFIG_PARSED)
		assert_int_equal(found, number);
	free(text);
}

static void test_numbers_keep_their_range(void **state)
{
	for (uint32_t i = 0; i < sl_config_row_count; i++) {
		const struct sl_config_row *row = &sl_config_rows[i];
		if (!has_number(row))
			continue;
		check_number(row, row->min, SL_CONFIG_PARSED);
		check_number(row, row->max, SL_CONFIG_PARSED);
		check_number(row, row->min - 1, SL_CONFIG_PARSED_BAD);
		check_number(row, row->max + 1, SL_CONFIG_PARSED_BAD);
		if (row->power_of_two)
			check_number(row, row->min + 1, SL_CONFIG_PARSED_BAD);
	}
}

static void test_nothing_takes_nonsense(void **state)
{
	static const char *const nonsense[] = {
		"", "x", "5x", "1e3", "0x10", "--1", "5 ", "99999999999999999999", ".5"};
	for (uint32_t i = 0; i < sl_config_row_count; i++) {
		const struct sl_config_row *row = &sl_config_rows[i];
		if (row->type >= SL_CONFIG_FLAGS)
			continue;
		for (size_t j = 0; j < sizeof(nonsense) / sizeof(nonsense[0]); j++)
			if (parse(row, nonsense[j], NULL) == SL_CONFIG_PARSED)
				fail_msg("%s takes \"%s\"", row->key, nonsense[j]);
	}
}

static void test_names_parse_to_their_values(void **state)
{
	for (uint32_t i = 0; i < sl_config_row_count; i++) {
		const struct sl_config_row *row = &sl_config_rows[i];
		if (row->type != SL_CONFIG_ENUM)
			continue;
		for (const struct sl_config_name *name = row->names; name->name; name++) {
			int64_t value = name->value;
			assert_int_equal(parse(row, name->name, &value),
					 name->unbuilt ? SL_CONFIG_PARSED_UNBUILT
						       : SL_CONFIG_PARSED);
			assert_int_equal(value, name->value);
		}
	}
}

static void test_units(void **state)
{
	static const struct {
		const char *key, *text;
		int64_t number; /* negative: refused */
	} rows[] = {
		{"linger.ms", "5", 5000},          {"linger.ms", "0.5", 500},
		{"linger.ms", "0.001", 1},         {"linger.ms", "0.0001", -1},
		{"linger.ms", "500us", 500},       {"linger.ms", "2s", 2000000},
		{"linger.ms", "1m", 60000000},     {"linger.ms", "5 ms", 5000},
		{"linger.ms", "5MS", -1},          {"linger.ms", "-1", -1},
		{"idle.spin.us", "50", 50},        {"idle.spin.us", "1ms", 1000},
		{"idle.spin.us", "0.5", -1},       {"batch.size", "65536", 65536},
		{"batch.size", "64k", 65536},      {"batch.size", "64KiB", 65536},
		{"batch.size", "1.5MiB", 1572864}, {"batch.size", "64KB", -1},
		{"batch.size", "1GiB", -1},        {"batch.size", "16777216TiB", -1},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int64_t number = -1;
		(void)parse(sl_config_row_find(rows[i].key), rows[i].text, &number);
		if (number != rows[i].number)
			fail_msg("%s: %s gives %ld", rows[i].key, rows[i].text, (long)number);
	}
}

/* The dump holds a good value for each row; each key and alias must take it, and give the same
 * struct. */
static void test_keys_and_aliases_are_the_same(void **state)
{
	for (uint32_t i = 0; i < sl_config_row_count; i++) {
		const struct sl_config_row *row = &sl_config_rows[i];
		assert_ptr_equal(sl_config_row_find(row->key), row);
		assert_null(sl_config_unbuilt_why(row->key));
		for (size_t j = 0;
		     j < sizeof(row->aliases) / sizeof(row->aliases[0]) && row->aliases[j]; j++) {
			char text[256];
			assert_ptr_equal(sl_config_row_find(row->aliases[j]), row);
			assert_null(sl_config_unbuilt_why(row->aliases[j]));
			const char *value =
				row->type == SL_CONFIG_ENDPOINTS ? "a:1" : row->standard;
			snprintf(text, sizeof(text), "!%s: %s\n%s: %s\n", row->key, value,
				 row->aliases[j], value);
			struct loading loading = load_text(text, NULL);
			assert_null(loading.cfg);
			assert_non_null(strstr(loading.errors, "is already given in line 1"));
			loading_fini(&loading);
		}
	}
}

static void test_standards_dump_and_load(void **state)
{
	struct loading loading = load_text("", NULL);
	assert_string_equal(loading.errors, "");
	assert_int_equal(loading.report.notice_count, 0);
	assert_int_equal(loading.cfg->topic.batch_bytes, 128 * 1024);
	assert_int_equal(loading.cfg->topic.linger_us, 5000);
	assert_int_equal(loading.cfg->worker_count, 1);
	assert_int_equal(loading.cfg->workers[0].core, SL_CONFIG_CORE_ANY);
	assert_string_equal(loading.cfg->arena_dir, "/run/sluice/private");
	check_round_trip(loading.cfg);
	loading_fini(&loading);
}

static void test_reference_names_every_key(void **state)
{
	char *text = NULL;
	size_t bytes = 0;
	FILE *out = open_memstream(&text, &bytes);
	assert_non_null(out);
	sl_config_print_reference(out);
	fclose(out);
	for (uint32_t i = 0; i < sl_config_row_count; i++) {
		assert_non_null(strstr(text, sl_config_rows[i].key));
		assert_non_null(strstr(text, sl_config_rows[i].help));
	}
	free(text);
}

/* A reader of the repository sees what the code says, not what it said once. */
static void test_reference_is_the_committed_one(void **state)
{
	static const char head[] = "# Configuration reference\n\n"
				   "Printed by `sl_config_print_reference()`; change `config/schema.c`, not this file. "
				   "`tests/unit/config/test_schema.c`\ncompares the two, and with "
				   "`SL_GOLDEN_WRITE=1` writes this one anew.\n\n";
	char *text = NULL, *committed;
	size_t bytes = 0, got = 0;
	FILE *out = open_memstream(&text, &bytes);
	FILE *file;

	assert_non_null(out);
	fputs(head, out);
	sl_config_print_reference(out);
	fclose(out);
	if (getenv("SL_GOLDEN_WRITE")) {
		file = fopen(SL_SOURCE_ROOT "/config/REFERENCE.md", "w");
		assert_non_null(file);
		assert_int_equal(fwrite(text, 1, bytes, file), bytes);
		assert_int_equal(fclose(file), 0);
	}
	file = fopen(SL_SOURCE_ROOT "/config/REFERENCE.md", "r");
	assert_non_null(file);
	committed = calloc(1, bytes + 2);
	assert_non_null(committed);
	got = fread(committed, 1, bytes + 1, file);
	fclose(file);
	assert_int_equal(got, bytes);
	assert_string_equal(committed, text);
	free(committed);
	free(text);
}

static void test_nearest(void **state)
{
	assert_string_equal(sl_config_row_nearest("lingr.ms", false), "linger.ms");
	assert_string_equal(sl_config_row_nearest("acsk", false), "acks");
	assert_string_equal(sl_config_row_nearest("bootstrap.server", false), "bootstrap.servers");
	assert_null(sl_config_row_nearest("bootstrap.server", true));
	assert_null(sl_config_row_nearest("completely.else.where", false));
	assert_int_equal(sl_config_distance("ab", "ba"), 1);
	assert_int_equal(sl_config_distance("", "abc"), 3);
	assert_int_equal(sl_config_distance("kitten", "sitting"), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers_keep_their_range),
		cmocka_unit_test(test_nothing_takes_nonsense),
		cmocka_unit_test(test_names_parse_to_their_values),
		cmocka_unit_test(test_units),
		cmocka_unit_test(test_keys_and_aliases_are_the_same),
		cmocka_unit_test(test_standards_dump_and_load),
		cmocka_unit_test(test_reference_names_every_key),
		cmocka_unit_test(test_reference_is_the_committed_one),
		cmocka_unit_test(test_nearest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
