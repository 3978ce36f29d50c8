/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: the guard of the rig catches what it is for, and a worker's turn with each codec passes it.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "dataplane/batch/codec.h"
#include "tests/unit/worker/guard.h"
#include "tests/unit/worker/rig.h"

static void test_guard_aborts(void **state)
{
	int status;
	pid_t child;

	(void)state;
	if (!guard_works())
		skip();
	child = fork();
	if (child == 0) {
		void *(*volatile allocate)(size_t) = malloc;

		signal(SIGABRT, SIG_DFL);
		close(STDERR_FILENO);
		guard_begin();
		_exit(allocate(100) ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void codec_run(uint32_t number)
{
	struct rig_options options = {.settings = rig_settings(), .settings_given = true};
	struct sl_error err;
	struct rig *rig;
	uint32_t i;

	assert_int_equal(
		sl_codec_create(&options.settings.codec, number, SL_CODEC_LEVEL_DEFAULT, &err), 0);
	rig = rig_create(&options);
	for (i = 0; i < 2000; i++) {
		assert_true(rig_send(rig, NULL, (int32_t)(i % 3), 100));
		if (i % 200 == 199)
			rig_settle(rig);
	}
	rig_run(rig, 100);
	rig_check_all(rig, 2000, 0, 0);
	rig_destroy(rig);
	sl_codec_destroy(options.settings.codec);
}

static void test_codecs(void **state)
{
	uint32_t number;

	(void)state;
	for (number = 1; number <= 4; number++)
		codec_run(number);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_guard_aborts),
		cmocka_unit_test(test_codecs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
