/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: without faults every record lands once, in order, where it belongs, and is reported with its offset. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/base/clock.h"
#include "dataplane/batch/batch.h"
#include "dataplane/batch/codec.h"
#include "dataplane/batch/partitioner.h"
#include "tests/unit/worker/rig.h"

static void send_keyed(struct rig *rig, uint32_t count)
{
	char key[32];
	uint32_t i;

	for (i = 0; i < count; i++) {
		snprintf(key, sizeof(key), "key-%u", i % 97);
		assert_true(rig_send(rig, key, -1, 100));
		if (i % 100 == 99)
			rig_settle(rig);
	}
}

static void test_keyed_records(void **state)
{
	struct rig *rig = rig_create(&(struct rig_options){0});
	uint32_t seq;

	(void)state;
	send_keyed(rig, 5000);
	rig_run(rig, 10);
	rig_check_all(rig, 5000, 0, 0);
	for (seq = 0; seq < 5000; seq++) {
		const uint8_t *keys[1];
		uint32_t bytes[1], hash[1];
		char key[32];

		snprintf(key, sizeof(key), "key-%u", seq % 97);
		keys[0] = (const uint8_t *)key;
		bytes[0] = (uint32_t)strlen(key);
		sl_murmur2_run(keys, bytes, hash, 1);
		assert_int_equal(rig->outcomes[seq].partition, (hash[0] & 0x7fffffff) % 3);
	}
	rig_destroy(rig);
}

static void test_records_without_key_spread(void **state)
{
	struct rig *rig = rig_create(&(struct rig_options){.partitions = 3});
	uint32_t i;

	(void)state;
	for (i = 0; i < 5000; i++) {
		assert_true(rig_send(rig, NULL, -1, 100));
		if (i % 500 == 0)
			rig_settle(rig);
	}
	rig_run(rig, 10);
	rig_check_all(rig, 5000, 0, 0);
	for (i = 0; i < 3; i++)
		assert_true(rig->logs[i].count > 500);
	/* Sticky: far fewer batches than round robin over lingers would make. */
	assert_true(rig->logs[0].batches < 40);
	rig_destroy(rig);
}

static void test_linger_and_flush(void **state)
{
	struct rig *rig = rig_create(&(struct rig_options){0});

	(void)state;
	assert_true(rig_send(rig, "a", -1, 50));
	rig_run(rig, 3);
	rig_reports_read(rig);
	assert_int_equal(rig->outcome_count, 0);
	rig_run(rig, 3);
	rig_reports_read(rig);
	assert_int_equal(rig->outcome_count, 1);
	assert_true(rig_send(rig, "a", -1, 50));
	rig_flush_record(rig);
	rig_settle(rig);
	rig_check_all(rig, 2, 0, 0);
	rig_destroy(rig);
}

static void test_linger_zero_leaves_at_once(void **state)
{
	struct rig_options options = {.settings = rig_settings(), .settings_given = true};
	struct rig *rig;

	(void)state;
	options.settings.linger_ns = 0;
	rig = rig_create(&options);
	assert_true(rig_send(rig, "a", -1, 50));
	rig_settle(rig);
	rig_check_all(rig, 1, 0, 0);
	rig_destroy(rig);
}

static void with_acks(int16_t acks, int16_t version)
{
	struct rig_options options = {
		.settings = rig_settings(), .settings_given = true, .produce_version_max = version};
	struct rig *rig;

	options.settings.acks = acks;
	options.settings.idempotent = acks == SL_ACKS_ALL;
	rig = rig_create(&options);
	send_keyed(rig, 3000);
	rig_run(rig, 10);
	rig_check_all(rig, acks == 0 ? 0 : 3000, 0, acks == 0 ? 3000 : 0); /* acks=0: nobody says */
	assert_int_equal(rig->logs[0].count + rig->logs[1].count + rig->logs[2].count, 3000);
	rig_destroy(rig);
}

static void test_acks_and_versions(void **state)
{
	static const int16_t versions[] = {3, 7, 8, 9, 10, 12, 13};
	uint32_t i;

	(void)state;
	with_acks(SL_ACKS_ONE, 13);
	with_acks(SL_ACKS_NONE, 13);
	for (i = 0; i < sizeof(versions) / sizeof(versions[0]); i++)
		with_acks(SL_ACKS_ALL, versions[i]);
}

static void test_topic_ids(void **state)
{
	struct rig_options options = {.no_metadata = true};
	struct rig *rig = rig_create(&options);

	(void)state;
	rig->topic_ids = true;
	rig_routes(rig, 0, 0, 3, 0);
	send_keyed(rig, 1000);
	rig_run(rig, 10);
	rig_check_all(rig, 1000, 0, 0);
	rig_destroy(rig);
}

static void test_codecs(void **state)
{
	uint32_t codec;

	(void)state;
	for (codec = 1; codec <= 4; codec++) {
		struct rig_options options = {.settings = rig_settings(), .settings_given = true};
		struct sl_error err;
		struct rig *rig;

		assert_int_equal(sl_codec_create(&options.settings.codec, codec, SL_CODEC_LEVEL_DEFAULT, &err), 0);
		rig = rig_create(&options);
		send_keyed(rig, 5000);
		rig_run(rig, 10);
		rig_check_all(rig, 5000, 0, 0);
		assert_true(rig->logs[0].compressed > 0);
		rig_destroy(rig);
		sl_codec_destroy(options.settings.codec);
	}
}

static void test_large_records_span_chunks(void **state)
{
	struct rig *rig = rig_create(&(struct rig_options){0});
	uint32_t i;

	(void)state;
	for (i = 0; i < 60; i++) {
		assert_true(rig_send(rig, "big", -1, 1000 + i * 2000 % 100000));
		rig_settle(rig);
	}
	rig_run(rig, 10);
	rig_check_all(rig, 60, 0, 0);
	rig_destroy(rig);
}

static void test_explicit_partition(void **state)
{
	struct rig *rig = rig_create(&(struct rig_options){0});
	uint32_t i;

	(void)state;
	for (i = 0; i < 300; i++)
		assert_true(rig_send(rig, "same", (int32_t)(i % 3), 20));
	assert_true(rig_send(rig, "same", 3, 20)); /* there is none */
	rig_run(rig, 10);
	rig_check_all(rig, 300, 1, 0);
	assert_int_equal(rig->outcomes[300].error, 3);
	for (i = 0; i < 300; i++)
		assert_int_equal(rig->outcomes[i].partition, i % 3);
	rig_destroy(rig);
}

/* What is queued for a leader that is away, and may not take more chunks than its records and runs fill. */
static void queue_and_deliver(bool keyed)
{
	enum { RECORDS = 8000, CHUNKS = 4, PARTITIONS = 3 };
	struct rig_options o = {.settings_given = true, .settings = rig_settings()};
	struct rig *rig;
	uint64_t occupied = 0;
	uint32_t i, free_before, used, batches = 0;
	char key[32];

	o.settings.batch_bytes = CHUNKS * 16 * 1024;
	rig = rig_create(&o);
	for (i = 0; i < PARTITIONS; i++)
		rig->leader[i] = -1;
	rig_routes(rig, 0, 0, PARTITIONS, 1);
	rig_settle(rig);
	free_before = rig->arena->chunks_free;
	for (i = 0; i < RECORDS; i++) {
		snprintf(key, sizeof(key), "key-%u", i % 97);
		assert_true(rig_send(rig, keyed ? key : NULL, -1, 100));
		if (i % 100 == 99)
			rig_settle(rig);
	}
	for (i = 0; i < rig->arena->batch_count; i++) {
		uint64_t tail = rig->arena->batches[i].tail;

		if (sl_batch_life(rig->arena, i).state == SL_BATCH_FREE)
			continue;
		batches++;
		occupied += sl_tail_bytes(tail) + 8 * sl_tail_runs(tail);
	}
	used = free_before - rig->arena->chunks_free;
	/* Closed ones are full to the last record; of each partition one is open, with its last chunk partly empty. */
	assert_true(used <= CHUNKS * batches);
	assert_true(used * (uint64_t)rig->arena->chunk_bytes <= occupied + batches * 200 + PARTITIONS * 16 * 1024);
	for (i = 0; i < PARTITIONS; i++)
		rig->leader[i] = 0;
	rig_routes(rig, 0, 0, PARTITIONS, 2);
	rig_run(rig, 20);
	rig_check_all(rig, RECORDS, 0, 0);
	rig_destroy(rig);
}

static void test_batches_fill_their_chunks(void **state)
{
	(void)state;
	queue_and_deliver(true);
	queue_and_deliver(false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keyed_records),
		cmocka_unit_test(test_records_without_key_spread),
		cmocka_unit_test(test_linger_and_flush),
		cmocka_unit_test(test_linger_zero_leaves_at_once),
		cmocka_unit_test(test_acks_and_versions),
		cmocka_unit_test(test_topic_ids),
		cmocka_unit_test(test_codecs),
		cmocka_unit_test(test_large_records_span_chunks),
		cmocka_unit_test(test_explicit_partition),
		cmocka_unit_test(test_batches_fill_their_chunks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
