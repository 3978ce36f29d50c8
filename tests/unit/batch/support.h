/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of this folder share: a small arena with slots, and records. */
#ifndef SL_TESTS_BATCH_SUPPORT_H
#define SL_TESTS_BATCH_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/base/clock.h"
#include "dataplane/batch/batch.h"

enum { RINGS = 4, PARTITIONS = 4, PID = 4242 };
static const int64_t base_ts = 1700000000000;

static inline struct sl_arena_options small_options(void)
{
	return (struct sl_arena_options){
		.chunk_bytes = 4096,
		.bytes = 512 * 1024,
		.partitions_max = PARTITIONS,
		.topics_max = 2,
		.segments_max = 2,
		.rings_max = RINGS,
		.batch_bytes_max = 64 * 1024,
		.batch_records_max = 5000,
	};
}

static inline void slots_add(struct sl_arena *a)
{
	const struct sl_arena_segment_init segment = {.uid = 1};
	const uint8_t id[16] = {1};
	uint32_t i, slot;

	assert_int_equal(sl_arena_pid_add(a, PID, 1, &slot), 0);
	assert_int_equal(sl_arena_topic_add(a, "topic", id, &slot), 0);
	for (i = 0; i < PARTITIONS; i++)
		assert_int_equal(sl_arena_partition_add(a, 0, (int32_t)i, &slot), 0);
	assert_int_equal(sl_arena_segment_add(a, &segment, &slot), 0);
	for (i = 0; i < RINGS; i++)
		assert_int_equal(sl_arena_ring_add(a, 0, i, &slot), 0);
}

static inline struct sl_arena *small_arena(void)
{
	struct sl_arena_options opts = small_options();
	struct sl_arena *a;

	assert_int_equal(sl_arena_create_memory(&a, &opts, NULL), 0);
	slots_add(a);
	return a;
}

static inline void check(const struct sl_arena *a, bool crashed)
{
	struct sl_error err;

	if (sl_arena_check(a, crashed, &err) < 0)
		fail_msg("%s", err.text);
}

/* A tail with a key of key_bytes (-1: none) and a value of value_bytes; its bytes follow from seed.
 */
static inline uint32_t tail_make(uint8_t *out, int32_t key_bytes, int32_t value_bytes,
				 uint64_t seed)
{
	uint8_t *p = sl_varint32_put(out, key_bytes);
	int32_t i;

	for (i = 0; i < key_bytes; i++)
		*p++ = (uint8_t)(seed >> (i % 8 * 8));
	p = sl_varint32_put(p, value_bytes);
	for (i = 0; i < value_bytes; i++)
		*p++ = (uint8_t)(seed + (uint64_t)i * 7);
	*p++ = 0;
	return (uint32_t)(p - out);
}

static inline void payload_read(const struct sl_arena *a, uint32_t batch, uint8_t *out)
{
	struct iovec iov[64];
	uint32_t i, count = sl_batch_payload_iov(a, batch, iov, 64);

	assert_true(count <= 64);
	for (i = 0; i < count; i++) {
		memcpy(out, iov[i].iov_base, iov[i].iov_len);
		out += iov[i].iov_len;
	}
}

static inline void runs_entomb(struct sl_arena *a, uint32_t batch)
{
	struct sl_batch_run_iter it;
	struct sl_batch_run run;

	sl_batch_runs_begin(a, batch, &it);
	while (sl_batch_runs_next(&it, &run))
		sl_batch_run_entomb(&it);
}

#endif
