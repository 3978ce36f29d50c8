/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cost of an append: 16-byte key, 100-byte value, 64 records a phase, tails read from a ring of 1
 *MiB that stays in the cache, batches sealed at 128 KiB without their sum, resolved and freed at
 *once so that the arena cycles through its chunks by age (a queue in front of the free stack keeps
 *it as full as a slow broker would).
 *
 *	append_bench [records in millions]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/base/clock.h"
#include "dataplane/batch/batch.h"

enum {
	KEY_BYTES = 16,
	VALUE_BYTES = 100,
	RING_BYTES = 1 << 20,
	PHASE_RECORDS = 64,
	RUNS = 9,
	PARTITIONS_MAX = 1000
};
enum { BATCH_BYTES = 128 * 1024, TAIL_ROOM = 128 };

static uint8_t ring[RING_BYTES];
static uint32_t tail_bytes;

static void ring_fill(void)
{
	uint64_t random = 1;
	uint32_t at;

	for (at = 0; at < RING_BYTES; at += TAIL_ROOM) {
		uint8_t *p = sl_varint32_put(ring + at, KEY_BYTES);
		uint32_t i;

		for (i = 0; i < KEY_BYTES; i++)
			*p++ = (uint8_t)sl_random_next(&random);
		p = sl_varint32_put(p, VALUE_BYTES);
		memset(p, 'v', VALUE_BYTES);
		p += VALUE_BYTES;
		*p++ = 0;
		tail_bytes = (uint32_t)(p - ring) - at;
	}
}

struct bench {
	struct sl_arena *a;
	uint32_t partitions, keep; /* batches that wait before they are freed */
	uint32_t slot[PARTITIONS_MAX], open[PARTITIONS_MAX];
	uint32_t *waiting;
	uint64_t waiting_in, waiting_out;
	uint64_t seq, runs;
};

/* Reads and entombs each run of a batch, as reporting does. */
static uint64_t walk_ns;

static void runs_walk(struct bench *b, uint32_t batch)
{
	struct sl_batch_run_iter it;
	struct sl_batch_run run;
	uint64_t begin = sl_clock_thread_cpu_ns();

	sl_batch_runs_begin(b->a, batch, &it);
	while (sl_batch_runs_next(&it, &run))
		sl_batch_run_entomb(&it);
	walk_ns += sl_clock_thread_cpu_ns() - begin;
}

static void oldest_free(struct bench *b)
{
	uint32_t batch = b->waiting[b->waiting_out++ % b->keep];

	runs_walk(b, batch);
	sl_batch_free(b->a, batch);
}

static void batch_done(struct bench *b, uint32_t partition)
{
	uint32_t batch = b->open[partition];

	b->runs += sl_tail_runs(
		atomic_load_explicit(&b->a->batches[batch].tail, memory_order_relaxed));
	/* The sum of the payload is another item of the bill: the life is set by hand. */
	b->a->dir[b->a->links[batch].last_chunk].next = SL_NONE;
	atomic_store_explicit(&b->a->batches[batch].life, SL_BATCH_RESOLVED, memory_order_relaxed);
	b->waiting[b->waiting_in++ % b->keep] = batch;
	if (b->waiting_in - b->waiting_out == b->keep)
		oldest_free(b);
	b->open[partition] = SL_NONE;
}

static void record_append(struct bench *b, uint32_t partition)
{
	struct sl_batch_record r = {
		.ring = 0,
		.seq = b->seq,
		.timestamp_ms = 1700000000000 + (int64_t)(b->seq >> 16),
		.tail = ring + b->seq * TAIL_ROOM % RING_BYTES,
		.tail_bytes = tail_bytes,
	};

	b->seq++;
	while (b->open[partition] == SL_NONE || sl_batch_append(b->a, b->open[partition], &r) < 0) {
		if (b->open[partition] != SL_NONE && sl_arena_chunks_free(b->a) > 0)
			batch_done(b, partition);
		while (sl_arena_chunks_free(b->a) == 0 && b->waiting_in > b->waiting_out)
			oldest_free(b);
		if (b->open[partition] == SL_NONE)
			sl_batch_open(b->a, b->slot[partition], r.timestamp_ms, UINT64_MAX,
				      &b->open[partition]);
	}
}

static uint64_t run(struct bench *b, uint64_t records)
{
	uint64_t begin = sl_clock_thread_cpu_ns(), random = 7;
	uint64_t i, walked = walk_ns;

	for (i = 0; i < records; i++) {
		if (i % PHASE_RECORDS == 0) {
			sl_arena_ring_cursor_store(b->a, 0, i, b->seq);
			sl_arena_turn_begin(b->a);
		}
		record_append(b, b->partitions == 1 ? 0
						    : (uint32_t)((sl_random_next(&random) >> 32) *
									 b->partitions >>
								 32));
	}
	return sl_clock_thread_cpu_ns() - begin - (walk_ns - walked);
}

static int compare(const void *x, const void *y)
{
	double a = *(const double *)x, b = *(const double *)y;

	return a < b ? -1 : a > b;
}

static void config(uint64_t arena_bytes, uint32_t partitions, uint64_t records)
{
	struct sl_arena_options opts = {
		.chunk_bytes = 16 * 1024,
		.bytes = arena_bytes,
		.partitions_max = PARTITIONS_MAX,
		.topics_max = 1,
		.segments_max = 1,
		.rings_max = 1,
		.batch_bytes_max = BATCH_BYTES,
		.batch_records_max = SL_BATCH_RECORDS_LIMIT,
	};
	struct bench b = {.partitions = partitions};
	double ns[RUNS];
	uint32_t i, topic, slot;
	const uint8_t id[16] = {0};

	if (sl_arena_create_memory(&b.a, &opts, NULL) < 0)
		abort();
	memset(b.a->base + b.a->chunks_offset, 0, arena_bytes);
	if (sl_arena_topic_add(b.a, "t", id, &topic) < 0 || sl_arena_ring_add(b.a, 0, 0, &slot) < 0)
		abort();
	/* Three quarters of the arena wait for their broker. */
	b.keep = (uint32_t)(arena_bytes * 3 / 4 / BATCH_BYTES);
	b.waiting = calloc(b.keep, sizeof(*b.waiting));
	for (i = 0; i < partitions; i++) {
		b.open[i] = SL_NONE;
		if (sl_arena_partition_add(b.a, topic, (int32_t)i, &b.slot[i]) < 0)
			abort();
	}
	run(&b, records);
	b.runs = 0;
	walk_ns = 0;
	for (i = 0; i < RUNS; i++)
		ns[i] = (double)run(&b, records) / (double)records;
	qsort(ns, RUNS, sizeof(ns[0]), compare);
	printf("%4llu MiB, %4u partitions: %5.1f ns/record (least %.1f, most %.1f), %.2f "
	       "runs/record, "
	       "%.1f ns to report a run\n",
	       (unsigned long long)arena_bytes >> 20, partitions, ns[RUNS / 2], ns[0], ns[RUNS - 1],
	       (double)b.runs / (double)(records * RUNS), (double)walk_ns / (double)b.runs);
	free(b.waiting);
	sl_arena_destroy(b.a, false);
}

int main(int argc, char **argv)
{
	uint64_t records = (argc > 1 ? strtoull(argv[1], NULL, 10) : 2) * 1000000;

	ring_fill();
	config(16 << 20, 1, records);
	config(16 << 20, 12, records);
	config(16 << 20, 100, records);
	config(UINT64_C(512) << 20, 1, records);
	config(UINT64_C(512) << 20, 12, records);
	config(UINT64_C(512) << 20, 1000, records);
	return 0;
}
