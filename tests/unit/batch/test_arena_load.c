/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: what a killed agent left is taken up, whatever store was its last, and whatever store of
 * the recovery was the last of the agent after it. Method: each step of scenes.h is cut at its
 * first, second, third ... SL_ORDER(); the mapping is loaded, that load cut at each of its own
 * SL_ORDER(), and loaded again. Then the arena must be at rest, with nothing lost or leaked.
 */
#include "tests/unit/batch/scenes.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#endif

void sl_test_order(void);

static uint64_t countdown; /* 0: not armed */
static jmp_buf killed;

void sl_test_order(void)
{
	if (countdown > 0 && --countdown == 0)
		longjmp(killed, 1);
}

/* The process is gone: only the mapping is left. */
static uint8_t *die(struct sl_arena *a)
{
	uint8_t *base = a->base;

	free(a->path);
	free(a);
	return base;
}

static struct sl_arena *load(uint8_t *base, struct sl_arena_loaded *loaded)
{
	struct sl_arena_options opts = small_options();
	struct sl_error err;
	struct sl_arena *a;

	if (sl_arena_load_memory(&a, &opts, base, sl_arena_file_bytes(&opts), loaded, &err) < 0)
		fail_msg("load: %s", err.text);
	return a;
}

static uint64_t records_live(const struct sl_arena *a)
{
	uint64_t count = 0;
	uint32_t i;

	for (i = 0; i < a->batch_count; i++)
		if (sl_batch_life(a, i).state != SL_BATCH_FREE)
			count += sl_batch_records(a, i);
	return count;
}

static void rest_check(const struct sl_arena *a, const struct sl_arena_loaded *loaded,
		       const struct scene_row *row)
{
	check(a, false);
	assert_int_equal(loaded->condemned + loaded->lost + loaded->slots_lost, 0);
	assert_true(records_live(a) >= row->least);
	assert_true(loaded->records <= records_live(a));
	assert_int_equal(a->by_birth_count + a->batches_free, a->batch_count);
}

/* Loads again and again, cut one store later each time, until one load is through. */
static uint32_t load_cut(uint8_t *base, const struct scene_row *row)
{
	volatile uint32_t cuts = 0;
	volatile bool done = false;
	struct sl_arena_loaded loaded;
	struct sl_arena *a;

	for (; !done; cuts++) {
		if (setjmp(killed) == 0) {
			countdown = cuts + 1;
			a = load(base, &loaded); /* what it had allocated is lost when it is cut */
			done = true;
			countdown = 0;
			rest_check(a, &loaded, row);
			die(a);
		}
	}
	a = load(base, &loaded);
	rest_check(a, &loaded, row);
	sl_arena_destroy(a, false);
	return cuts;
}

static uint32_t step_cut(const struct scene_row *row)
{
	static struct scene s;
	volatile uint32_t cuts = 0;
	volatile bool done = false;

	for (; !done; cuts++) {
		s.a = small_arena();
		assert_int_equal(sl_codec_create(&s.codec, 3, SL_CODEC_LEVEL_DEFAULT, NULL), 0);
		assert_int_equal(sl_splitter_create(&s.splitter, s.a, NULL), 0);
		row->prepare(&s);
		if (setjmp(killed) == 0) {
			countdown = cuts + 1;
			row->step(&s);
			done = true;
		}
		countdown = 0;
		load_cut(die(s.a), row);
		sl_codec_destroy(s.codec);
		sl_splitter_destroy(s.splitter);
	}
	return cuts - 1;
}

static void test_steps(void **state)
{
	uint32_t i;

	for (i = 0; i < SL_ARRAY_COUNT(scene_rows); i++)
		assert_in_range(step_cut(&scene_rows[i]), scene_rows[i].cuts_min,
				scene_rows[i].cuts_max);
}

/* An open batch goes on: what is appended behind a load is one with what was there. */
static void test_open_goes_on(void **state)
{
	struct sl_arena_loaded loaded;
	struct scene s = {.a = small_arena()};
	uint8_t before[64 * 1024], after[64 * 1024];
	struct sl_batch_run_iter it;
	struct sl_batch_run run;
	uint32_t bytes, records = 0;

	prepare_open(&s);
	bytes = sl_batch_bytes(s.a, s.batch);
	s.a = load(die(s.a), &loaded);
	assert_int_equal(loaded.open, 1);
	assert_int_equal(loaded.records, 20);
	s.tail_bytes = tail_make(s.tail, 4, 9000, 1);
	assert_int_equal(append(&s, 0, 20), 0);
	assert_int_equal(append(&s, 0, 21), 0);
	sl_batch_seal(s.a, s.batch);
	payload_read(s.a, s.batch, after);
	s.a = load(die(s.a), &loaded);
	assert_int_equal(loaded.sealed, 1);
	payload_read(s.a, s.batch, before);
	assert_memory_equal(before, after, sl_batch_bytes(s.a, s.batch));
	assert_true(sl_batch_bytes(s.a, s.batch) > bytes + 18000);
	for (sl_batch_runs_begin(s.a, s.batch, &it); sl_batch_runs_next(&it, &run);)
		records += run.count;
	assert_int_equal(records, 22);
	check(s.a, false);
	sl_arena_destroy(s.a, false);
}

/* The numbers of what was sent stay; those of a bump that was cut short go. */
static void test_numbers(void **state)
{
	struct sl_arena_loaded loaded;
	struct scene s = {.a = small_arena()};
	struct sl_life life;

	prepare_sent(&s);
	life = sl_batch_life(s.a, s.batch);
	/* Killed between the batch's life and the partition's next number. */
	atomic_store(&s.a->partitions[0].seq, sl_partition_seq_pack((struct sl_partition_seq){
						      0, life.epoch, (uint8_t)life.pid_slot}));
	s.a = load(die(s.a), &loaded);
	assert_int_equal(loaded.sent, 1);
	assert_int_equal(sl_life_pack(sl_batch_life(s.a, s.batch)), sl_life_pack(life));
	assert_int_equal(sl_partition_seq_unpack(atomic_load(&s.a->partitions[0].seq)).next_seq,
			 20);
	assert_int_equal(sl_partition_epoch_bump(s.a, 0), 0);
	s.a = load(die(s.a), &loaded);
	assert_int_equal(loaded.unnumbered, 1);
	assert_int_equal(loaded.sealed, 1);
	assert_int_equal(sl_batch_number(s.a, s.batch, SL_ARENA_PID_NONE, 1), 0);
	s.a = load(die(s.a), &loaded);
	assert_int_equal(loaded.unknown, 1); /* sent without a producer id */
	assert_int_equal(sl_batch_outcome(s.a, s.batch), SL_OUTCOME_UNKNOWN);
	assert_int_equal(s.a->batches[s.batch].partition, 0);
	check(s.a, false);
	sl_arena_destroy(s.a, false);
}

static void test_file(void **state)
{
	struct sl_arena_options opts = small_options();
	char path[] = "/dev/shm/arena_load_XXXXXX";
	int fd = mkstemp(path);
	struct sl_arena_loaded loaded;
	struct scene s = {0};
	struct sl_arena *second;

	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(sl_arena_load(&s.a, &opts, path, &loaded, NULL), -EBADMSG);
	unlink(path);
	assert_int_equal(sl_arena_load(&s.a, &opts, path, &loaded, NULL), -ENOENT);
	assert_int_equal(sl_arena_create(&s.a, &opts, path, NULL), 0);
	slots_add(s.a);
	prepare_open(&s);
	assert_int_equal(sl_arena_load(&second, &opts, path, &loaded, NULL), -EWOULDBLOCK);
	sl_arena_destroy(s.a, false);
	opts.bytes *= 2; /* the file's own size rules while it holds something */
	assert_int_equal(sl_arena_load(&s.a, &opts, path, &loaded, NULL), 0);
	assert_int_equal(loaded.open, 1);
	assert_true(sl_arena_holds(s.a));
	assert_int_equal(sl_arena_load(&second, &opts, path, &loaded, NULL), -EWOULDBLOCK);
	sl_batch_resolve(s.a, s.batch, SL_OUTCOME_FAILED, 7, -1);
	runs_entomb(s.a, s.batch);
	sl_batch_free(s.a, s.batch);
	assert_true(sl_arena_holds(s.a)); /* an application's rings */
	sl_arena_segment_drop(s.a, 0);
	assert_false(sl_arena_holds(s.a));
	sl_arena_destroy(s.a, false);
	assert_int_equal(sl_arena_load(&s.a, &opts, path, &loaded, NULL), -ESTALE);
	unlink(path);
}

static uint64_t clock_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* Full of records that nobody has sent; of several rings each has a run of its own, the most that a
 * load can meet. */
static uint64_t fill_all(struct sl_arena *a, uint32_t rings)
{
	static struct scene s;
	struct sl_batch_record r = {.timestamp_ms = base_ts, .tail = s.tail};
	uint64_t records = 0;
	int rc;

	r.tail_bytes = tail_make(s.tail, 8, 110, 1);
	while (sl_batch_open(a, (uint32_t)(records % PARTITIONS), base_ts, 9, &s.batch) == 0) {
		do {
			r.ring = (uint32_t)(records % rings);
			r.seq = records / rings;
			rc = sl_batch_append(a, s.batch, &r);
			records += rc == 0;
		} while (rc == 0);
		if (rc == -ENOSPC)
			break;
		sl_batch_seal(a, s.batch);
	}
	return records;
}

/* 64 MiB, or with SL_TEST_FULL the 1 GiB that a load has 100 ms for. */
static void load_time(uint32_t rings)
{
	bool full = getenv("SL_TEST_FULL") != NULL;
	struct sl_arena_options opts = small_options();
	char path[] = "/dev/shm/arena_time_XXXXXX";
	int fd = mkstemp(path);
	struct sl_arena_loaded loaded;
	uint64_t records, begun_us;
	struct sl_arena *a;

	assert_true(fd >= 0);
	close(fd);
	unlink(path);
	opts.bytes = UINT64_C(1) << (full ? 30 : 26);
	opts.chunk_bytes = 16 * 1024;
	opts.batch_bytes_max = 128 * 1024;
	assert_int_equal(sl_arena_create(&a, &opts, path, NULL), 0);
	slots_add(a);
	records = fill_all(a, rings);
	sl_arena_destroy(a, false);
	begun_us = clock_us();
	assert_int_equal(sl_arena_load(&a, &opts, path, &loaded, NULL), 0);
	begun_us = clock_us() - begun_us;
	print_message("%lu MiB, %lu records of %u rings, %u batches: loaded in %lu us\n",
		      (unsigned long)(opts.bytes >> 20), (unsigned long)records, rings,
		      a->by_birth_count, (unsigned long)begun_us);
	assert_int_equal(loaded.records, records);
	sl_arena_destroy(a, true);
}

static void test_time(void **state)
{
	load_time(1);
	load_time(RINGS);
}

/* A life that is cut short frees nothing, as no killed process does. */
static void leaks_allow(void)
{
#ifdef __SANITIZE_ADDRESS__
	__lsan_disable();
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_steps),   cmocka_unit_test(test_open_goes_on),
		cmocka_unit_test(test_numbers), cmocka_unit_test(test_file),
		cmocka_unit_test(test_time),
	};

	leaks_allow();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
