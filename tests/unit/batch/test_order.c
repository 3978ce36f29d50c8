/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: any prefix of any step's stores is a legal arena. Method: each step runs again and again,
 * cut at its first, second, third ... SL_ORDER(); the file is then judged without the memory beside
 * it, and what was committed must still be there.
 */
#include "tests/unit/batch/support.h"

#include "dataplane/batch/codec.h"
#include "dataplane/batch/split.h"

void sl_test_order(void);

static uint64_t countdown; /* 0: not armed */
static jmp_buf killed;

void sl_test_order(void)
{
	if (countdown > 0 && --countdown == 0)
		longjmp(killed, 1);
}

struct scene {
	struct sl_arena *a;
	struct sl_codec *codec;
	struct sl_splitter *splitter;
	uint32_t batch;
	uint8_t tail[30000];
	uint32_t tail_bytes;
};

typedef void (*step_fn)(struct scene *s);

static int append(struct scene *s, uint32_t ring, uint64_t seq)
{
	struct sl_batch_record r = {.ring = ring,
				    .seq = seq,
				    .timestamp_ms = base_ts,
				    .tail = s->tail,
				    .tail_bytes = s->tail_bytes};

	return sl_batch_append(s->a, s->batch, &r);
}

static void prepare_none(struct scene *s)
{
}

static void prepare_open(struct scene *s)
{
	uint32_t i;

	assert_int_equal(sl_batch_open(s->a, 0, base_ts, 9, &s->batch), 0);
	s->tail_bytes = tail_make(s->tail, 4, 500, 1);
	for (i = 0; i < 20; i++)
		assert_int_equal(append(s, i % 3, i), 0);
	sl_arena_turn_begin(s->a);
}

static void prepare_sealed(struct scene *s)
{
	prepare_open(s);
	sl_batch_seal(s->a, s->batch);
}

static void prepare_sent(struct scene *s)
{
	prepare_sealed(s);
	assert_int_equal(sl_batch_number(s->a, s->batch, 0, 1), 0);
}

static void prepare_resolved(struct scene *s)
{
	prepare_sent(s);
	sl_batch_resolve(s->a, s->batch, SL_OUTCOME_PERSISTED, 0, 1);
}

static void step_open(struct scene *s)
{
	assert_int_equal(sl_batch_open(s->a, 1, base_ts, 9, &s->batch), 0);
}

static void step_append(struct scene *s)
{
	assert_int_equal(append(s, 0, 20), 0);
	assert_int_equal(append(s, 0, 21), 0);
	assert_int_equal(append(s, 1, 20), 0);
}

static void step_append_spanning(struct scene *s)
{
	s->tail_bytes = tail_make(s->tail, 4, 20000, 1);
	assert_int_equal(append(s, 0, 20), 0);
	assert_int_equal(append(s, 2, 20), 0);
}

static void step_seal(struct scene *s)
{
	sl_batch_seal(s->a, s->batch);
}

static void step_compress(struct scene *s)
{
	struct sl_batch_compression job;

	sl_batch_compress_begin(s->a, s->batch, s->codec, &job);
	while (sl_batch_compress_step(s->a, &job) == 1)
		;
	assert_int_equal(sl_batch_life(s->a, s->batch).selector, 1);
}

static void step_number(struct scene *s)
{
	assert_int_equal(sl_batch_number(s->a, s->batch, 0, 1), 0);
}

static void step_bump(struct scene *s)
{
	assert_int_equal(sl_partition_epoch_bump(s->a, 0), 0);
	sl_batch_unnumber(s->a, s->batch);
	assert_int_equal(sl_batch_number(s->a, s->batch, 0, 1), 0);
}

static void step_resolve(struct scene *s)
{
	sl_batch_resolve(s->a, s->batch, SL_OUTCOME_UNKNOWN, 7, -1);
}

static void step_report(struct scene *s)
{
	sl_arena_reporting_store(s->a, s->batch);
	runs_entomb(s->a, s->batch);
	sl_batch_free(s->a, s->batch);
}

static void step_reject(struct scene *s)
{
	uint32_t i, out[2];

	for (i = 0; i < 1200; i++)
		assert_int_equal(sl_batch_reject(s->a, 0, 2 * i, 10), 0);
	assert_int_equal(sl_arena_rejects_resolve(s->a, out, 2), 1);
}

static void step_split(struct scene *s)
{
	uint64_t *second = sl_splitter_second(s->splitter);
	uint32_t pieces[2], i;

	for (i = 7; i < 20; i++)
		sl_splitter_choose(second, i);
	assert_int_equal(sl_batch_split(s->a, s->splitter, s->batch, pieces), 2);
}

static void step_cursor(struct scene *s)
{
	sl_arena_ring_cursor_store(s->a, 1, 640, 20);
	sl_arena_turn_begin(s->a);
}

static void step_slots(struct scene *s)
{
	const uint8_t id[16] = {2};
	uint32_t slot;

	sl_arena_partition_drop(s->a, 3);
	assert_int_equal(sl_arena_topic_add(s->a, "other", id, &slot), 0);
	assert_int_equal(sl_arena_partition_add(s->a, slot, 0, &slot), 0);
	sl_arena_ring_retire(s->a, 3);
	assert_int_equal(sl_arena_ring_add(s->a, 0, 7, &slot), 0);
	assert_int_equal(sl_arena_pid_add(s->a, 9, 1, &slot), 0);
}

static bool replaced(const struct sl_arena *a)
{
	uint32_t i;

	for (i = 0; i < a->batch_count; i++)
		if (sl_batch_life(a, i).state == SL_BATCH_REPLACED)
			return true;
	return false;
}

/* As recovery counts them: pieces of a split stand for nothing before the batch gives way to them. */
static uint64_t live_records(const struct sl_arena *a)
{
	bool shadows_count = replaced(a);
	uint64_t count = 0;
	uint32_t i;

	for (i = 0; i < a->batch_count; i++) {
		enum sl_batch_state state = sl_batch_life(a, i).state;

		if (state != SL_BATCH_FREE && state != SL_BATCH_REPLACED && (state != SL_BATCH_SHADOW || shadows_count))
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
	assert_in_range(cut_everywhere(prepare_none, step_open, 0), 4, 100);
	assert_in_range(cut_everywhere(prepare_open, step_append, 20), 6, 100);
	assert_in_range(cut_everywhere(prepare_open, step_append_spanning, 20), 20, 200);
	assert_in_range(cut_everywhere(prepare_open, step_seal, 20), 5, 100);
	assert_in_range(cut_everywhere(prepare_open, step_compress, 20), 8, 200);
	assert_in_range(cut_everywhere(prepare_sealed, step_number, 20), 4, 100);
	assert_in_range(cut_everywhere(prepare_sent, step_bump, 20), 6, 100);
	assert_in_range(cut_everywhere(prepare_open, step_resolve, 20), 5, 100);
	assert_in_range(cut_everywhere(prepare_sent, step_resolve, 20), 2, 100);
	assert_in_range(cut_everywhere(prepare_resolved, step_report, 0), 40, 200);
	assert_in_range(cut_everywhere(prepare_sent, step_split, 20), 20, 200);
	assert_in_range(cut_everywhere(prepare_none, step_reject, 0), 1200, 10000);
	assert_in_range(cut_everywhere(prepare_open, step_cursor, 20), 5, 100);
	assert_in_range(cut_everywhere(prepare_none, step_slots, 0), 12, 100);
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
