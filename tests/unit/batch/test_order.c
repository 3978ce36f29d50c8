/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: any prefix of any step's stores is a legal arena. Method: each step runs again and again,
 * cut at its first, second, third ... SL_ORDER(); the file is then judged without the memory beside
 * it, and what was committed must still be there.
 */
#include "tests/unit/batch/scenes.h"

#include "dataplane/batch/split.h"

void sl_test_order(void);

static uint64_t countdown; /* 0: not armed */
static jmp_buf killed;

void sl_test_order(void)
{
	if (countdown > 0 && --countdown == 0)
		longjmp(killed, 1);
}

static bool replaced(const struct sl_arena *a)
{
	uint32_t i;

	for (i = 0; i < a->batch_count; i++)
		if (sl_batch_life(a, i).state == SL_BATCH_REPLACED)
			return true;
	return false;
}

/* As recovery counts them: pieces of a split stand for nothing before the batch gives way to them.
 */
static uint64_t live_records(const struct sl_arena *a)
{
	bool shadows_count = replaced(a);
	uint64_t count = 0;
	uint32_t i;

	for (i = 0; i < a->batch_count; i++) {
		enum sl_batch_state state = sl_batch_life(a, i).state;

		if (state != SL_BATCH_FREE && state != SL_BATCH_REPLACED &&
		    (state != SL_BATCH_SHADOW || shadows_count))
			count += sl_batch_records(a, i);
	}
	return count;
}

/* A cursor is either the old one or the new one, whole. */
static void cursor_check(const struct sl_arena *a)
{
	struct sl_arena_ring_cursor c = sl_arena_ring_cursor(a, 1);

	assert_true((c.pos == 0 && c.seq == 0) || (c.pos == 640 && c.seq == 20));
}

/* least: records that no cut may lose. Returns how many cuts there were. */
static uint32_t cut_everywhere(void (*prepare)(struct scene *), step_fn step, uint64_t least)
{
	static struct scene s;
	volatile uint32_t cuts = 0;
	volatile bool done = false;

	for (; !done; cuts++) {
		s.a = small_arena();
		assert_int_equal(sl_codec_create(&s.codec, 3, SL_CODEC_LEVEL_DEFAULT, NULL), 0);
		assert_int_equal(sl_splitter_create(&s.splitter, s.a, NULL), 0);
		prepare(&s);
		if (setjmp(killed) == 0) {
			countdown = cuts + 1;
			step(&s);
			done = true;
		}
		countdown = 0;
		check(s.a, true);
		if (done)
			check(s.a, false);
		assert_true(live_records(s.a) >= least);
		assert_true(step != step_split || live_records(s.a) == least);
		cursor_check(s.a);
		sl_codec_destroy(s.codec);
		sl_splitter_destroy(s.splitter);
		sl_arena_destroy(s.a, false);
	}
	return cuts - 1;
}

static void test_steps(void **state)
{
	uint32_t i;

	for (i = 0; i < SL_ARRAY_COUNT(scene_rows); i++) {
		const struct scene_row *row = &scene_rows[i];

		assert_in_range(cut_everywhere(row->prepare, row->step, row->least), row->cuts_min,
				row->cuts_max);
	}
}

/* The judge is no friend: what it must find. */
static void test_check_finds(void **state)
{
	struct scene s = {.a = small_arena()};
	struct sl_arena_batch *b;
	uint32_t saved;

	prepare_sent(&s);
	b = &s.a->batches[s.batch];
	check(s.a, false);
	saved = s.a->dir[b->chain[0].first_chunk].next;
	s.a->dir[b->chain[0].first_chunk].next = b->chain[0].first_chunk;
	assert_true(sl_arena_check(s.a, true, NULL) < 0); /* a chunk twice */
	s.a->dir[b->chain[0].first_chunk].next = SL_NONE;
	assert_true(sl_arena_check(s.a, true, NULL) < 0); /* cut short */
	s.a->dir[b->chain[0].first_chunk].next = saved;
	b->max_ts++;
	assert_true(sl_arena_check(s.a, true, NULL) < 0); /* frozen */
	b->max_ts--;
	b->tail += SL_TAIL_ONE_RUN;
	assert_true(sl_arena_check(s.a, true, NULL) < 0);
	b->tail -= SL_TAIL_ONE_RUN;
	s.a->base[sl_arena_chunk_offset(s.a, saved)] ^= 1;
	assert_true(sl_arena_check(s.a, true, NULL) < 0); /* payload */
	s.a->base[sl_arena_chunk_offset(s.a, saved)] ^= 1;
	check(s.a, false);
	s.a->chunks_free--;
	assert_true(sl_arena_check(s.a, false, NULL) < 0); /* leak */
	sl_arena_destroy(s.a, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_steps),
					   cmocka_unit_test(test_check_finds)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
