/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: what comes out is JSON whatever goes in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "agent/json.h"

static void test_structure(void **state)
{
	struct sl_json json;
	size_t bytes;
	char *text;

	sl_json_init(&json);
	sl_json_object(&json, NULL);
	sl_json_text(&json, "a", "x");
	sl_json_array(&json, "b");
	sl_json_u64(&json, NULL, UINT64_MAX);
	sl_json_i64(&json, NULL, INT64_MIN);
	sl_json_object(&json, NULL);
	sl_json_end(&json);
	sl_json_end(&json);
	sl_json_bool(&json, "c", true);
	sl_json_text(&json, "d", NULL);
	sl_json_end(&json);
	text = sl_json_finish(&json, &bytes);
	assert_string_equal(text, "{\"a\":\"x\",\"b\":[18446744073709551615,-9223372036854775808,{}"
				  "],\"c\":true,\"d\":null}");
	assert_int_equal(bytes, strlen(text));
	free(text);
}

static void test_escapes(void **state)
{
	static const char *const rows[][2] = {
		{"\"\\", "\"\\\"\\\\\""},
		{"\n\x01", "\"\\u000a\\u0001\""},
		{"gr\xc3\xbc", "\"gr\xc3\xbc\""},
		{"\xff\xc3", "\"\\ufffd\\ufffd\""},
		{"\xc0\xaf", "\"\\ufffd\\ufffd\""},            /* overlong */
		{"\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\""}, /* surrogate */
		{"\xf0\x9f\x98\x80", "\"\xf0\x9f\x98\x80\""},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sl_json json;
		size_t bytes;
		char *text;

		sl_json_init(&json);
		sl_json_text(&json, NULL, rows[i][0]);
		text = sl_json_finish(&json, &bytes);
		assert_string_equal(text, rows[i][1]);
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_structure),
		cmocka_unit_test(test_escapes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
