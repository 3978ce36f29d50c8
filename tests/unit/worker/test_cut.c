/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: what a broker refuses as it is goes on in pieces; only what cannot be written fails, and its mates do not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "dataplane/base/clock.h"
#include "dataplane/batch/codec.h"
#include "dataplane/wire/error_code.h"
#include "tests/unit/worker/rig.h"

static void send_some(struct rig *rig, uint32_t count)
{
	char key[32];
	uint32_t i;

	for (i = 0; i < count; i++) {
		snprintf(key, sizeof(key), "key-%u", i % 97);
		assert_true(rig_send(rig, key, -1, 100));
		if (i % 200 == 199)
			rig_settle(rig);
	}
}

static const struct sl_worker_stats *stats_of(const struct rig *rig)
{
	return sl_worker_stats(rig->worker);
}

/* Batches of 16 KiB where the brokers take 3000 bytes: all land, and later ones are closed small enough. */
static void too_large(void **state)
{
	struct rig *rig = rig_create(&(struct rig_options){0});
	uint64_t cut;

	rig->batch_bytes_max = 3000;
	send_some(rig, 3000);
	rig_run(rig, 300);
	rig_check_all(rig, 3000, 0, 0);
	cut = stats_of(rig)->batches_cut;
	assert_true(cut > 0);
	assert_true(rig->logs[1].epoch == 0); /* the pieces share out the numbers */
	send_some(rig, 3000);
	rig_run(rig, 300);
	rig_check_all(rig, 6000, 0, 0);
	assert_int_equal(stats_of(rig)->batches_cut, cut);
	/* Long after, the size is tried again. */
	rig->batch_bytes_max = 0;
	rig->now_ns += 700 * SL_NS_PER_S;
	send_some(rig, 100);
	rig_run(rig, 300);
	send_some(rig, 3000);
	rig_run(rig, 300);
	rig_check_all(rig, 9100, 0, 0);
	rig_destroy(rig);
}

/* A record that is too large by itself fails alone, whatever stands beside it. */
static void one_record_too_large(void **state)
{
	struct rig *rig = rig_create(&(struct rig_options){.partitions = 1});
	uint32_t i;

	rig->batch_bytes_max = 3000;
	for (i = 0; i < 200; i++)
		assert_true(rig_send(rig, "key", -1, i % 50 == 20 ? 4000 : 100));
	rig_run(rig, 1000);
	rig_check_all(rig, 196, 4, 0);
	for (i = 0; i < 200; i++)
		assert_int_equal(rig->outcomes[i].error, i % 50 == 20 ? SL_KAFKA_MESSAGE_TOO_LARGE : 0);
	rig_destroy(rig);
}

static void poison(bool named, uint64_t every, int16_t version)
{
	struct rig *rig = rig_create(&(struct rig_options){.produce_version_max = version});
	uint64_t failed = 0, seq;

	rig->poison_every = every;
	rig->poison_named = named;
	send_some(rig, 2000);
	rig_run(rig, 3000);
	rig_reports_read(rig);
	for (seq = 0; seq < 2000; seq++) {
		bool bad = seq % every == 0;

		assert_int_equal(rig->outcomes[seq].error, bad ? SL_KAFKA_INVALID_RECORD : 0);
		assert_int_equal(rig->outcomes[seq].outcome, bad ? SL_OUTCOME_FAILED : SL_OUTCOME_PERSISTED);
		failed += bad;
	}
	rig_check_all(rig, 2000 - failed, failed, 0);
	rig_destroy(rig);
}

/* The records that the broker names fail, their mates land in order. */
static void poison_named(void **state)
{
	poison(true, 1, 13);
	poison(true, 2, 13);
	poison(true, 17, 13);
	poison(true, 1500, 8);
}

/* Where it names none they are found by halving. */
static void poison_unnamed(void **state)
{
	poison(false, 1, 13);
	poison(false, 17, 13);
	poison(false, 700, 7);
}

/* A broker without the codec gets the same records plain, under the same numbers. */
static void codec_refused(void **state)
{
	for (uint32_t number = 1; number <= 4; number++) {
		struct rig_options options = {.settings = rig_settings(), .settings_given = true};
		struct sl_codec *codec;
		struct rig *rig;

		assert_int_equal(sl_codec_create(&codec, number, SL_CODEC_LEVEL_DEFAULT, NULL), 0);
		options.settings.codec = codec;
		rig = rig_create(&options);
		rig->codecs_refused = true;
		send_some(rig, 2000);
		rig_run(rig, 300);
		rig_check_all(rig, 2000, 0, 0);
		assert_true(stats_of(rig)->batches_cut > 0);
		assert_true(rig->logs[0].compressed == 0 && rig->logs[1].epoch == 0);
		rig_destroy(rig);
		sl_codec_destroy(codec);
	}
}

/* Compressed batches are cut too, by their records. */
static void too_large_compressed(void **state)
{
	struct rig_options options = {.settings = rig_settings(), .settings_given = true};
	struct sl_codec *codec;
	struct rig *rig;

	assert_int_equal(sl_codec_create(&codec, 3, SL_CODEC_LEVEL_DEFAULT, NULL), 0);
	options.settings.codec = codec;
	rig = rig_create(&options);
	rig->batch_bytes_max = 1500;
	send_some(rig, 3000);
	rig_run(rig, 300);
	rig_check_all(rig, 3000, 0, 0);
	assert_true(stats_of(rig)->batches_cut > 0);
	rig_destroy(rig);
	sl_codec_destroy(codec);
}

/* Without a chunk to spare the partition waits, and goes on when there is one. */
static void waits_for_memory(void **state)
{
	struct rig *rig = rig_create(&(struct rig_options){.partitions = 1});
	uint32_t kept;

	send_some(rig, 10);
	rig_run(rig, 50);
	rig->batch_bytes_max = 3000;
	send_some(rig, 60);
	rig_settle(rig);
	kept = rig->arena->chunks_free;
	rig->arena->chunks_free = 0;
	rig_run(rig, 50);
	assert_true(rig->troubles > 0);
	rig->arena->chunks_free = kept;
	rig_run(rig, 300);
	rig_check_all(rig, 70, 0, 0);
	rig_destroy(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(too_large),
		cmocka_unit_test(one_record_too_large),
		cmocka_unit_test(poison_named),
		cmocka_unit_test(poison_unnamed),
		cmocka_unit_test(codec_refused),
		cmocka_unit_test(too_large_compressed),
		cmocka_unit_test(waits_for_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
