/* SPDX-License-Identifier: Apache-2.0 */
/* Cutting a numbered batch: records, origins and sequence range are shared out, nothing else
 * changes. */
#include "tests/unit/batch/support.h"

#include "dataplane/batch/codec.h"
#include "dataplane/batch/split.h"

enum { RECORDS = 300, TAIL_BYTES_MAX = 512, CODECS = 5 };

struct scene {
	struct sl_arena *a;
	struct sl_splitter *splitter;
	struct sl_codec *codec;
	uint32_t batch;
	uint32_t codec_number;
};

static int64_t timestamp_of(uint32_t i)
{
	return base_ts + (i * 37) % 1000;
}

static uint32_t tail_of(uint32_t i, uint8_t *out)
{
	return tail_make(out, i % 3 == 0 ? -1 : (int32_t)(i % 20), (int32_t)(i * 7 % 400), i / 8);
}

static void scene_seal(struct scene *s)
{
	struct sl_batch_compression job;

	if (s->codec_number == 0) {
		sl_batch_seal(s->a, s->batch);
		return;
	}
	assert_int_equal(sl_codec_create(&s->codec, s->codec_number, SL_CODEC_LEVEL_DEFAULT, NULL),
			 0);
	sl_batch_compress_begin(s->a, s->batch, s->codec, &job);
	while (sl_batch_compress_step(s->a, &job) == 1)
		;
	assert_int_equal(sl_batch_life(s->a, s->batch).selector, 1);
}

/* Records of three rings in turns of one to three, sealed and numbered behind another batch. */
static struct scene scene_make(uint32_t codec)
{
	struct scene s = {.a = small_arena(), .codec_number = codec};
	uint8_t tail[TAIL_BYTES_MAX];
	uint64_t seq[3] = {0};
	uint32_t i;

	assert_int_equal(sl_splitter_create(&s.splitter, s.a, NULL), 0);
	assert_int_equal(sl_batch_open(s.a, 0, base_ts, 9, &s.batch), 0);
	for (i = 0; i < RECORDS; i++) {
		uint32_t ring = i / (1 + i % 3) % 3;
		struct sl_batch_record r = {.ring = ring,
					    .seq = seq[ring]++,
					    .timestamp_ms = timestamp_of(i),
					    .tail = tail,
					    .tail_bytes = tail_of(i, tail)};

		assert_int_equal(sl_batch_append(s.a, s.batch, &r), 0);
	}
	scene_seal(&s);
	assert_int_equal(sl_batch_number(s.a, s.batch, 0, 1), 0);
	return s;
}

static void scene_end(struct scene *s)
{
	sl_codec_destroy(s->codec);
	sl_splitter_destroy(s->splitter);
	sl_arena_destroy(s->a, false);
}

/* Which ring and number record i of the scene has. */
static void origins_of(uint32_t *rings, uint64_t *seqs)
{
	uint64_t seq[3] = {0};
	uint32_t i;

	for (i = 0; i < RECORDS; i++) {
		rings[i] = i / (1 + i % 3) % 3;
		seqs[i] = seq[rings[i]]++;
	}
}

/* The piece's payload is the records of list, its runs are their origins. */
static void piece_check(const struct sl_arena *a, uint32_t batch, const uint32_t *list,
			uint32_t count)
{
	static uint8_t payload[256 * 1024];
	uint32_t rings[RECORDS], at = 0;
	uint64_t seqs[RECORDS];
	int64_t max_ts = INT64_MIN;
	struct sl_batch_run_iter it;
	struct sl_batch_run run;
	const uint8_t *p = payload;

	origins_of(rings, seqs);
	assert_int_equal(sl_batch_records(a, batch), count);
	payload_read(a, batch, payload);
	for (uint32_t i = 0; i < count; i++) {
		uint8_t want[TAIL_BYTES_MAX + SL_RECORD_HEAD_BYTES_MAX], tail[TAIL_BYTES_MAX];
		uint32_t tail_bytes = tail_of(list[i], tail);
		uint8_t *end = sl_record_head_put(want, tail_bytes, timestamp_of(list[i]) - base_ts,
						  (int32_t)i);

		memcpy(end, tail, tail_bytes);
		end += tail_bytes;
		assert_memory_equal(p, want, (size_t)(end - want));
		p += end - want;
		max_ts = timestamp_of(list[i]) > max_ts ? timestamp_of(list[i]) : max_ts;
	}
	assert_int_equal(p - payload, sl_batch_wire_bytes(a, batch));
	assert_int_equal(a->batches[batch].max_ts, max_ts);
	sl_batch_runs_begin(a, batch, &it);
	while (sl_batch_runs_next(&it, &run)) {
		for (uint32_t i = 0; i < run.count; i++, at++) {
			assert_int_equal(run.ring, rings[list[at]]);
			assert_int_equal(run.first_seq + i, seqs[list[at]]);
		}
	}
	assert_int_equal(at, count);
}

static void numbers_check(const struct sl_arena *a, uint32_t batch, uint32_t base_seq)
{
	struct sl_life life = sl_batch_life(a, batch);

	assert_int_equal(life.state, SL_BATCH_SENT);
	assert_int_equal(life.base_seq, base_seq);
	assert_int_equal(life.pid_slot, 0);
}

static void halves(void **state)
{
	for (uint32_t codec = 0; codec < CODECS; codec++) {
		struct scene s = scene_make(codec);
		uint64_t *second = sl_splitter_second(s.splitter);
		uint32_t list[RECORDS], pieces[2], i;

		for (i = 0; i < RECORDS; i++)
			list[i] = i;
		for (i = 100; i < RECORDS; i++)
			sl_splitter_choose(second, i);
		assert_int_equal(sl_batch_split(s.a, s.splitter, s.batch, pieces), 2);
		check(s.a, false);
		piece_check(s.a, pieces[0], list, 100);
		piece_check(s.a, pieces[1], list + 100, RECORDS - 100);
		numbers_check(s.a, pieces[0], 0);
		numbers_check(s.a, pieces[1], 100);
		scene_end(&s);
	}
}

/* Every third record goes its own way, and a piece can be cut again. */
static void scattered(void **state)
{
	struct scene s = scene_make(0);
	uint64_t *second = sl_splitter_second(s.splitter);
	uint32_t good[RECORDS], bad[RECORDS], goods = 0, bads = 0, pieces[2], again[2], i;

	for (i = 0; i < RECORDS; i++) {
		if (i % 3 == 0) {
			sl_splitter_choose(second, i);
			bad[bads++] = i;
		} else {
			good[goods++] = i;
		}
	}
	assert_int_equal(sl_batch_split(s.a, s.splitter, s.batch, pieces), 2);
	piece_check(s.a, pieces[0], good, goods);
	piece_check(s.a, pieces[1], bad, bads);
	numbers_check(s.a, pieces[1], goods);
	second = sl_splitter_second(s.splitter);
	for (i = 50; i < goods; i++)
		sl_splitter_choose(second, i);
	assert_int_equal(sl_batch_split(s.a, s.splitter, pieces[0], again), 2);
	piece_check(s.a, again[0], good, 50);
	piece_check(s.a, again[1], good + 50, goods - 50);
	numbers_check(s.a, again[1], 50);
	check(s.a, false);
	scene_end(&s);
}

/* Everything on one side: the batch is made anew without compression. */
static void expanded(void **state)
{
	for (uint32_t codec = 1; codec < CODECS; codec++) {
		struct scene s = scene_make(codec);
		uint32_t list[RECORDS], pieces[2], i;

		for (i = 0; i < RECORDS; i++)
			list[i] = i;
		sl_splitter_second(s.splitter);
		assert_int_equal(sl_batch_split(s.a, s.splitter, s.batch, pieces), 1);
		check(s.a, false);
		piece_check(s.a, pieces[0], list, RECORDS);
		numbers_check(s.a, pieces[0], 0);
		scene_end(&s);
	}
}

/* A reported run stays a tomb. */
static void tombs(void **state)
{
	struct scene s = scene_make(0);
	uint64_t *second = sl_splitter_second(s.splitter);
	struct sl_batch_run_iter it;
	struct sl_batch_run run;
	uint32_t pieces[2], records = 0, i;

	sl_batch_runs_begin(s.a, s.batch, &it);
	while (sl_batch_runs_next(&it, &run)) {
		if (run.ring == 1)
			sl_batch_run_entomb(&it);
		else
			records += run.count;
	}
	for (i = 150; i < RECORDS; i++)
		sl_splitter_choose(second, i);
	assert_int_equal(sl_batch_split(s.a, s.splitter, s.batch, pieces), 2);
	check(s.a, false);
	for (i = 0; i < 2; i++) {
		sl_batch_runs_begin(s.a, pieces[i], &it);
		while (sl_batch_runs_next(&it, &run))
			records -= run.tomb ? 0 : run.count;
	}
	assert_int_equal(records, 0);
	scene_end(&s);
}

/* Without chunks nothing is changed, and nothing is kept back. */
static void no_room(void **state)
{
	struct scene s = scene_make(0);
	uint32_t kept = s.a->chunks_free, left, pieces[2], list[RECORDS], i;

	for (i = 0; i < RECORDS; i++)
		list[i] = i;
	for (left = 0; left < 3; left++) {
		uint64_t *second = sl_splitter_second(s.splitter);

		for (i = 150; i < RECORDS; i++)
			sl_splitter_choose(second, i);
		s.a->chunks_free = left;
		assert_int_equal(sl_batch_split(s.a, s.splitter, s.batch, pieces), -ENOSPC);
		assert_int_equal(s.a->chunks_free, left);
		s.a->chunks_free = kept;
		check(s.a, false);
		piece_check(s.a, s.batch, list, RECORDS);
	}
	scene_end(&s);
}

/* Bytes that are not what was sealed are refused, whatever stands there. */
static void damaged(void **state)
{
	for (uint32_t codec = 0; codec < CODECS; codec++) {
		struct scene s = scene_make(codec);
		struct sl_life life = sl_batch_life(s.a, s.batch);
		uint32_t chunk = s.a->batches[s.batch].chain[life.selector].first_chunk;
		uint8_t *bytes = s.a->base + sl_arena_chunk_offset(s.a, chunk);
		uint32_t pieces[2], free_before = s.a->chunks_free;
		int rc;

		sl_splitter_second(s.splitter);
		memset(bytes, 0xff, 40);
		rc = sl_batch_split(s.a, s.splitter, s.batch, pieces);
		assert_int_equal(rc, -EBADMSG);
		assert_int_equal(s.a->chunks_free, free_before);
		scene_end(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(halves), cmocka_unit_test(scattered), cmocka_unit_test(expanded),
		cmocka_unit_test(tombs),  cmocka_unit_test(no_room),   cmocka_unit_test(damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
