/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: a line is always one line of words, and no event can flood the log. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "agent/log.h"

struct fixture {
	struct sl_log log;
	uint64_t now_ns;
	int pipe[2];
	char text[65536];
};

static uint64_t now(void *ctx)
{
	return ((struct fixture *)ctx)->now_ns;
}

static int setup(void **state)
{
	static struct fixture f;

	memset(&f, 0, sizeof(f));
	assert_int_equal(pipe2(f.pipe, O_NONBLOCK), 0);
	f.now_ns = 1;
	sl_log_init(&f.log, f.pipe[1], false, now, &f);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	close(f->pipe[0]);
	close(f->pipe[1]);
	return 0;
}

static const char *written(struct fixture *f)
{
	ssize_t bytes = read(f->pipe[0], f->text, sizeof(f->text) - 1);

	f->text[bytes > 0 ? bytes : 0] = 0;
	return f->text;
}

static void test_quote(void **state)
{
	static const char *const rows[][2] = {
		{"plain", "plain"},
		{"", "\"\""},
		{"two words", "\"two words\""},
		{"a=b", "\"a=b\""},
		{"a\"b\\", "\"a\\\"b\\\\\""},
		{"l1\nl2\t\r", "\"l1\\nl2\\t\\r\""},
		{"\x1b[31m", "\"\\x1b[31m\""},
		{"\x7f", "\"\\x7f\""},
		{"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"},
	};
	char out[64];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(sl_log_quote(rows[i][0], out, sizeof(out)), strlen(rows[i][1]));
		assert_string_equal(out, rows[i][1]);
	}
}

static void test_quote_cuts(void **state)
{
	char longer[200], out[32];

	memset(longer, '\n', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = 0;
	assert_true(sl_log_quote(longer, out, sizeof(out)) < sizeof(out));
	assert_non_null(strstr(out, "...\""));
}

static void test_line(void **state)
{
	struct fixture *f = *state;

	SL_LOG(&f->log, SL_LOG_INFO, "some_event", SL_T("name", "a b"), SL_N("count", -3),
	       SL_T("none", NULL));
	assert_string_equal(written(f), "info some_event name=\"a b\" count=-3 none=-\n");
	SL_LOG(&f->log, SL_LOG_DEBUG, "hidden", SL_N("x", 1));
	assert_string_equal(written(f), "");
	f->log.journal = true;
	SL_LOG(&f->log, SL_LOG_ERROR, "bad", SL_N("x", 1));
	assert_string_equal(written(f), "<3>error bad x=1\n");
}

static void test_long_line_is_one_line(void **state)
{
	struct fixture *f = *state;
	char value[3000];
	const char *text;

	memset(value, 'x', sizeof(value) - 1);
	value[sizeof(value) - 1] = 0;
	SL_LOG(&f->log, SL_LOG_INFO, "long", SL_T("a", value), SL_T("b", value), SL_T("c", value));
	text = written(f);
	assert_int_equal(strlen(text), SL_LOG_LINE_BYTES);
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
}

static uint32_t lines(const char *text)
{
	uint32_t count = 0;

	for (; (text = strchr(text, '\n')); text++)
		count++;
	return count;
}

static void test_rate_limit(void **state)
{
	struct fixture *f = *state;

	for (uint32_t i = 0; i < 1000; i++)
		SL_LOG(&f->log, SL_LOG_INFO, "flood", SL_N("i", i));
	SL_LOG(&f->log, SL_LOG_INFO, "other", SL_N("i", 1));
	assert_int_equal(lines(written(f)), SL_LOG_BURST + 1);
	f->now_ns += SL_LOG_WINDOW_NS;
	SL_LOG(&f->log, SL_LOG_INFO, "flood", SL_N("i", 5));
	assert_string_equal(written(f), "info flood i=5 suppressed=990\n");
}

static void test_suppressed_is_told_in_silence(void **state)
{
	struct fixture *f = *state;

	for (uint32_t i = 0; i < 12; i++)
		SL_LOG(&f->log, SL_LOG_INFO, "flood", SL_N("i", i));
	sl_log_turn(&f->log);
	assert_int_equal(lines(written(f)), SL_LOG_BURST);
	f->now_ns += SL_LOG_WINDOW_NS;
	sl_log_turn(&f->log);
	assert_string_equal(written(f), "warning log_suppressed event=flood suppressed=2\n");
	sl_log_turn(&f->log);
	assert_string_equal(written(f), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_quote),
		cmocka_unit_test(test_quote_cuts),
		cmocka_unit_test_setup_teardown(test_line, setup, teardown),
		cmocka_unit_test_setup_teardown(test_long_line_is_one_line, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rate_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_suppressed_is_told_in_silence, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
