/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: the recorder has every event, whatever the log shows of them, and its words are those of
 * the log. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/event_text.h"
#include "agent/log.h"
#include "dataplane/worker/flight.h"

struct fixture {
	struct sl_log log;
	struct sl_recorder recorder;
	uint64_t now_ms;
	int null_fd;
};

static uint64_t now_ns(void *ctx)
{
	(void)ctx;
	return 1; /* the window of the limits never ends */
}

static uint64_t realtime_ms(void *ctx)
{
	return ((struct fixture *)ctx)->now_ms++;
}

static void setup(struct fixture *f, bool journal)
{
	memset(f, 0, sizeof(*f));
	f->null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	assert_int_equal(sl_recorder_init(&f->recorder, realtime_ms, f), 0);
	sl_log_init(&f->log, f->null_fd, journal, now_ns, NULL);
	f->log.recorder = &f->recorder;
}

static void teardown(struct fixture *f)
{
	sl_recorder_fini(&f->recorder);
	close(f->null_fd);
}

static void recorded(const struct fixture *f, uint64_t number, const char *words)
{
	const struct sl_recorder_entry *entry = sl_recorder_at(&f->recorder, number);

	assert_int_equal(entry->at_ms, number);
	assert_int_equal(entry->bytes, strlen(words));
	assert_memory_equal(entry->text, words, strlen(words));
}

static void test_level_and_limits_hide_nothing(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f, true);
	f.log.level_max = SL_LOG_ERROR;
	for (int64_t i = 0; i < 3 * SL_LOG_BURST; i++)
		SL_LOG(&f.log, SL_LOG_ERROR, "often", SL_N("n", i));
	SL_LOG(&f.log, SL_LOG_INFO, "quiet", SL_T("reason", "not shown"));
	SL_LOG(&f.log, SL_LOG_DEBUG, "chatter", SL_N("n", 1));
	SL_RECORD(&f.log, "recorded", SL_N("n", -7));
	assert_int_equal(f.recorder.written, 3 * SL_LOG_BURST + 2);
	recorded(&f, 3 * SL_LOG_BURST - 1, "error often n=29");
	recorded(&f, 3 * SL_LOG_BURST, "info quiet reason=\"not shown\"");
	recorded(&f, 3 * SL_LOG_BURST + 1, "info recorded n=-7");
	teardown(&f);
}

static void test_the_last_are_kept_and_cut(void **state)
{
	char longest[SL_RECORDER_TEXT_BYTES + 100];
	struct fixture f;

	(void)state;
	setup(&f, false);
	for (int64_t i = 0; i < SL_RECORDER_EVENTS + 10; i++)
		SL_RECORD(&f.log, "e", SL_N("n", i));
	assert_int_equal(sl_recorder_first(f.recorder.written), 10);
	recorded(&f, 10, "info e n=10");
	recorded(&f, SL_RECORDER_EVENTS + 9, "info e n=1033");
	memset(longest, 'x', sizeof(longest));
	sl_recorder_put(&f.recorder, longest, sizeof(longest));
	assert_int_equal(sl_recorder_at(&f.recorder, SL_RECORDER_EVENTS + 10)->bytes,
			 SL_RECORDER_TEXT_BYTES);
	teardown(&f);
}

/* Against the C library, which a signal handler may not call. */
static void test_times(void **state)
{
	uint64_t seconds[] = {0,          951782399,  951782400,  951868800,
			      1709164800, 1709251199, 1735689599, 1795519616,
			      4102444800, 4107542400, 13569465600};

	(void)state;
	for (uint32_t i = 0; i < SL_ARRAY_COUNT(seconds); i++) {
		time_t second = (time_t)seconds[i];
		char wanted[40], got[40];
		struct sl_text text = {.at = got, .room = sizeof(got) - 1};
		struct tm tm;

		strftime(wanted, sizeof(wanted), "%Y-%m-%dT%H:%M:%S.007Z", gmtime_r(&second, &tm));
		sl_text_time(&text, seconds[i] * 1000 + 7);
		got[text.bytes] = 0;
		assert_string_equal(got, wanted);
	}
}

static void text_is(const struct sl_agent *agent, const struct sl_flight_event *event,
		    const char *wanted)
{
	char got[512];
	struct sl_text text = {.at = got, .room = sizeof(got) - 1};

	sl_event_text(agent, event, &text);
	got[text.bytes] = 0;
	assert_string_equal(got, wanted);
}

static void test_words_of_events(void **state)
{
	struct sl_topic topic = {.name = "t"};
	struct sl_agent *agent = test_calloc(1, sizeof(*agent));
	char small[16];
	struct sl_text text = {.at = small, .room = sizeof(small)};
	uint64_t none = (uint64_t)INT64_C(-1);

	(void)state;
	agent->topics.list = &topic;
	agent->topics.count = 1;
	text_is(agent,
		&(struct sl_flight_event){
			.kind = SL_FLIGHT_LEADER, .b = 3, .c = 1, .d = none, .e = 9},
		"leader_moved topic=t partition=3 from=1 to=-1 leader_epoch=9");
	text_is(agent,
		&(struct sl_flight_event){.kind = SL_FLIGHT_REFUSED,
					  .b = 3,
					  .code = 6,
					  .c = 1,
					  .d = 10,
					  .e = 70,
					  .f = 2},
		"batch_refused topic=t partition=3 code=6 error=NOT_LEADER_OR_FOLLOWER node=1 "
		"records=10 base_sequence=70 "
		"epoch=2");
	text_is(agent, &(struct sl_flight_event){.kind = SL_FLIGHT_MENDED, .a = 7, .d = 4},
		"partition_mended topic=- partition=0 attempts=4");
	text_is(agent,
		&(struct sl_flight_event){
			.kind = SL_FLIGHT_EPOCH, .code = 45, .d = SL_FLIGHT_WHY_LOST, .e = 1},
		"epoch_bumped topic=t partition=0 epoch=1 reason=sequence_lost code=45 "
		"error=OUT_OF_ORDER_SEQUENCE_NUMBER");
	text_is(agent,
		&(struct sl_flight_event){.kind = SL_FLIGHT_EPOCH, .d = SL_FLIGHT_WHY_GAP, .e = 2},
		"epoch_bumped topic=t partition=0 epoch=2 reason=batch_failed");
	text_is(agent,
		&(struct sl_flight_event){.kind = SL_FLIGHT_THROTTLED, .b = 1, .c = 2, .d = 30},
		"throttled node=2 class=1 ms=30");
	text_is(agent, &(struct sl_flight_event){.kind = SL_FLIGHT_STOPPED, .d = 5},
		"worker_stopped queued=5");
	text_is(agent, &(struct sl_flight_event){.kind = 4711}, "event topic=t partition=0");
	sl_text_i64(&text, INT64_MIN); /* what does not fit is left out */
	assert_int_equal(text.bytes, sizeof(small));
	assert_memory_equal(small, "-922337203685477", sizeof(small));
	test_free(agent);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_level_and_limits_hide_nothing),
		cmocka_unit_test(test_the_last_are_kept_and_cut),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_words_of_events),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
