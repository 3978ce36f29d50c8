/* SPDX-License-Identifier: Apache-2.0 */
/* What an arena goes through: each step with the state that it starts from. For tests that cut
 * steps anywhere. */
#ifndef SL_TEST_BATCH_SCENES_H
#define SL_TEST_BATCH_SCENES_H

#include "dataplane/batch/codec.h"
#include "dataplane/batch/split.h"
#include "tests/unit/batch/support.h"

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

struct scene_row {
	const char *name;
	void (*prepare)(struct scene *s);
	step_fn step;
	uint64_t least;              /* records that no cut may lose */
	uint32_t cuts_min, cuts_max; /* so many SL_ORDER() the step passes */
};

static const struct scene_row scene_rows[] = {
	{"open", prepare_none, step_open, 0, 4, 100},
	{"append", prepare_open, step_append, 20, 6, 100},
	{"append_spanning", prepare_open, step_append_spanning, 20, 20, 200},
	{"seal", prepare_open, step_seal, 20, 5, 100},
	{"compress", prepare_open, step_compress, 20, 8, 200},
	{"number", prepare_sealed, step_number, 20, 4, 100},
	{"bump", prepare_sent, step_bump, 20, 6, 100},
	{"resolve_open", prepare_open, step_resolve, 20, 5, 100},
	{"resolve_sent", prepare_sent, step_resolve, 20, 2, 100},
	{"report", prepare_resolved, step_report, 0, 40, 200},
	{"split", prepare_sent, step_split, 20, 20, 200},
	{"reject", prepare_none, step_reject, 0, 1200, 10000},
	{"cursor", prepare_open, step_cursor, 20, 5, 100},
	{"slots", prepare_none, step_slots, 0, 12, 100},
};

#endif
