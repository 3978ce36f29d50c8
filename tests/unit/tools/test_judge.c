/* SPDX-License-Identifier: Apache-2.0 */
/* Each thing that must not be is found, told apart and placed; what is right is not called wrong.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tools/sluice/judge.h"

enum { STREAM = 7, TOPIC = 1, RECORDS = 1000, BUDGET = 64 << 20 };

struct scene {
	struct judge *judge;
	struct journal_view journal;
	int64_t offset;
};

static void scene_begin(struct scene *s)
{
	memset(s, 0, sizeof(*s));
	s->journal.stream = STREAM;
	s->journal.claimed = s->journal.committed = s->journal.settled_below = RECORDS;
	s->journal.counts[JOURNAL_PERSISTED] = RECORDS;
	s->journal.end = JOURNAL_ENDED;
	s->judge = judge_create(BUDGET);
	assert_non_null(s->judge);
}

static void scene_read(struct scene *s)
{
	assert_int_equal(judge_journal(s->judge, &s->journal, TOPIC, true), 0);
	judge_partition(s->judge, TOPIC, 0, 0);
}

static struct sl_slice slice(const char *text)
{
	return (struct sl_slice){(const uint8_t *)text, (uint32_t)strlen(text)};
}

static void record_keyed(struct scene *s, uint64_t sequence, const char *key, const char *value)
{
	uint8_t bytes[STAMP_BYTES];
	struct stamp stamp = {.stream = STREAM, .sequence = sequence};

	stamp_put(bytes, &stamp, slice(key), slice("value"));
	judge_record(s->judge, s->offset++, (struct sl_slice){bytes, sizeof(bytes)}, slice(key),
		     slice(value));
}

static void record(struct scene *s, uint64_t sequence)
{
	record_keyed(s, sequence, sequence % 2 ? "odd" : "even", "value");
}

static void records(struct scene *s, uint64_t from, uint64_t to)
{
	for (; from < to; from++)
		record(s, from);
}

/* This defect so often and no other, DEFECT_COUNT: none; ends the scene. */
static void verdict_expect(struct scene *s, const struct verdict *v, enum defect defect, uint64_t count, uint64_t doubts)
{
	uint64_t seen = 0;
	uint32_t i;

	for (i = 0; i < DEFECT_COUNT; i++)
		assert_int_equal(v->defects[i], i == defect ? count : 0);
	for (i = 0; i < DOUBT_COUNT; i++)
		seen += v->doubts[i];
	assert_int_equal(seen, doubts);
	judge_destroy(s->judge);
}

static void expect(struct scene *s, enum defect defect, uint64_t count, uint64_t doubts)
{
	verdict_expect(s, judge_finish(s->judge), defect, count, doubts);
}

static void whole(void **state)
{
	struct scene s;

	(void)state;
	scene_begin(&s);
	scene_read(&s);
	records(&s, 0, RECORDS);
	expect(&s, DEFECT_COUNT, 0, 0);
}

static void lost(void **state)
{
	const struct verdict *v;
	struct scene s;

	(void)state;
	scene_begin(&s);
	scene_read(&s);
	records(&s, 0, 500);
	records(&s, 503, RECORDS);
	v = judge_finish(s.judge);
	assert_int_equal(v->first[DEFECT_LOST].sequence, 500);
	verdict_expect(&s, v, DEFECT_LOST, 3, 0);
}

static void lost_at_the_end(void **state)
{
	struct scene s;

	(void)state;
	scene_begin(&s);
	scene_read(&s);
	records(&s, 0, RECORDS - 10);
	expect(&s, DEFECT_LOST, 10, 0);
}

static void doubled(void **state)
{
	const struct verdict *v;
	struct scene s;

	(void)state;
	scene_begin(&s);
	scene_read(&s);
	records(&s, 0, RECORDS);
	judge_partition(s.judge, TOPIC, 1, 0);
	record(&s, 10);
	record(&s, 700);
	v = judge_finish(s.judge);
	assert_int_equal(v->first[DEFECT_DOUBLED].partition, 1);
	verdict_expect(&s, v, DEFECT_DOUBLED, 2, 0);
}

static void reordered(void **state)
{
	struct scene s;
	const struct verdict *v;

	(void)state;
	scene_begin(&s);
	scene_read(&s);
	records(&s, 0, 100);
	record(&s, 101); /* the other key's */
	record(&s, 100);
	records(&s, 102, RECORDS);
	expect(&s, DEFECT_REORDERED, 1, 0);
	scene_begin(&s);
	scene_read(&s);
	records(&s, 0, 100);
	record(&s, 102);
	record(&s, 101);
	record(&s, 100); /* behind 102, of its key */
	records(&s, 103, RECORDS);
	v = judge_finish(s.judge);
	assert_int_equal(v->defects[DEFECT_REORDERED], 2);
	assert_int_equal(v->defects[DEFECT_KEY_ORDER], 1);
	judge_destroy(s.judge);
}

/* Another partition has an order of its own. */
static void partitions_apart(void **state)
{
	struct scene s;
	uint64_t i;

	(void)state;
	scene_begin(&s);
	scene_read(&s);
	for (i = 1; i < RECORDS; i += 2)
		record(&s, i);
	judge_partition(s.judge, TOPIC, 1, 0);
	for (i = 0; i < RECORDS; i += 2)
		record(&s, i);
	expect(&s, DEFECT_COUNT, 0, 0);
}

static void corrupted(void **state)
{
	const struct verdict *v;
	struct scene s;

	(void)state;
	scene_begin(&s);
	scene_read(&s);
	records(&s, 0, 10);
	record_keyed(&s, 10, "even", "another value");
	records(&s, 11, RECORDS);
	v = judge_finish(s.judge);
	assert_int_equal(v->first[DEFECT_CORRUPTED].offset, 10);
	verdict_expect(&s, v, DEFECT_CORRUPTED, 1, 0);
}

static void beyond(void **state)
{
	struct scene s;

	(void)state;
	scene_begin(&s);
	scene_read(&s);
	records(&s, 0, RECORDS + 2);
	expect(&s, DEFECT_BEYOND, 2, 0);
}

static void outcome(struct journal_slot *slot, uint64_t first, uint64_t count,
		    enum journal_outcome how)
{
	*slot = (struct journal_slot){.first = first,
				      .count = count,
				      .offset = -1,
				      .partition = -1,
				      .outcome = (uint8_t)how};
}

/* What failed or was dropped may be absent and must be; what is unknown may be either. */
static void outcomes(void **state)
{
	struct journal_slot slots[3];
	const struct verdict *v;
	struct scene s;

	(void)state;
	outcome(&slots[0], 100, 10, JOURNAL_FAILED);
	outcome(&slots[1], 200, 10, JOURNAL_UNKNOWN);
	outcome(&slots[2], 300, 10, JOURNAL_DROPPED);
	scene_begin(&s);
	s.journal.slots = slots;
	s.journal.slot_count = 3;
	scene_read(&s);
	records(&s, 0, 100);
	records(&s, 110, 205); /* five of the unknown ones arrived */
	records(&s, 210, 300);
	records(&s, 310, RECORDS);
	v = judge_finish(s.judge);
	assert_true(v->unknown_present == 5 && v->unknown_absent == 5);
	assert_true(v->failed_absent == 10 && v->dropped_absent == 10);
	verdict_expect(&s, v, DEFECT_COUNT, 0, 0);
	scene_begin(&s);
	s.journal.slots = slots;
	s.journal.slot_count = 3;
	scene_read(&s);
	records(&s, 0, 102); /* two of the failed ones are there */
	records(&s, 110, 300);
	records(&s, 310, RECORDS);
	expect(&s, DEFECT_NOT_FAILED, 2, 0);
}

/* A sender that was killed: what it had claimed and not committed is right either way, what it had
 * committed is not. */
static void killed(void **state)
{
	uint64_t end;

	(void)state;
	for (end = 898; end <= 901; end++) {
		struct scene s;

		scene_begin(&s);
		s.journal.end = JOURNAL_RUNNING;
		s.journal.claimed = 901;
		s.journal.committed = 900;
		s.journal.settled_below = 500;
		s.journal.counts[JOURNAL_PERSISTED] = 500;
		scene_read(&s);
		records(&s, 0, end);
		expect(&s, end < 900 ? DEFECT_LOST : DEFECT_COUNT, end < 900 ? 900 - end : 0, 0);
	}
}

/* While it runs nothing absent is lost yet. */
static void running(void **state)
{
	struct scene s;

	(void)state;
	scene_begin(&s);
	s.journal.end = JOURNAL_RUNNING;
	s.journal.alive = true;
	s.journal.settled_below = 900;
	scene_read(&s);
	records(&s, 0, 950);
	expect(&s, DEFECT_COUNT, 0, 50);
}

/* Without a journal only what is seen can be judged. */
static void no_journal(void **state)
{
	struct scene s;
	const struct verdict *v;

	(void)state;
	scene_begin(&s);
	judge_partition(s.judge, TOPIC, 0, 0);
	records(&s, 0, 400);
	records(&s, 410, RECORDS);
	v = judge_finish(s.judge);
	assert_int_equal(v->doubts[DOUBT_GAP], 10);
	assert_int_equal(v->doubts[DOUBT_NO_JOURNAL], 1);
	judge_destroy(s.judge);
}

static void other_topic(void **state)
{
	struct scene s;

	(void)state;
	scene_begin(&s);
	scene_read(&s);
	records(&s, 0, RECORDS - 1);
	judge_partition(s.judge, TOPIC + 1, 0, 0);
	record(&s, RECORDS - 1);
	assert_int_equal(judge_finish(s.judge)->defects[DEFECT_MISPLACED], 1);
	judge_destroy(s.judge);
}

static void unstamped(void **state)
{
	struct scene s;

	(void)state;
	scene_begin(&s);
	scene_read(&s);
	records(&s, 0, RECORDS);
	judge_record(s.judge, s.offset++, (struct sl_slice){NULL, 0}, slice("a"), slice("b"));
	assert_int_equal(judge_unstamped(s.judge), 1);
	expect(&s, DEFECT_COUNT, 0, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole),           cmocka_unit_test(lost),
		cmocka_unit_test(lost_at_the_end), cmocka_unit_test(doubled),
		cmocka_unit_test(reordered),       cmocka_unit_test(partitions_apart),
		cmocka_unit_test(corrupted),       cmocka_unit_test(beyond),
		cmocka_unit_test(outcomes),        cmocka_unit_test(killed),
		cmocka_unit_test(running),         cmocka_unit_test(no_journal),
		cmocka_unit_test(other_topic),     cmocka_unit_test(unstamped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
