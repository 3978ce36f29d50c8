/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The metadata of an arena that somebody wrote over: refused, or brought to a rest in which the judge finds nothing.
 * Input: changes of five bytes each, three of where (from the file's begin, as a share of the metadata) and a 16-bit
 * value. The first byte's lowest bit tells whether the header's sum is made right again, as a forger would; the
 * next one, that the file ends in its header.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "dataplane/batch/arena_internal.h"
#include "dataplane/batch/batch.h"
#include "tests/fuzz/fuzz.h"

enum { CHANGE_BYTES = 5, CHANGES_MAX = 64, BASE_TS = 1000 };

static const struct sl_arena_options options = {
	.chunk_bytes = 4096,
	.bytes = 256 * 1024,
	.partitions_max = 4,
	.topics_max = 2,
	.segments_max = 2,
	.rings_max = 4,
	.batch_bytes_max = 32 * 1024,
	.batch_records_max = 1000,
};

static uint8_t *image; /* of an arena with something of everything */
static uint64_t image_bytes, metadata_bytes, used_bytes;

static void fill(struct sl_arena *a, uint32_t batch)
{
	static const uint8_t tail[300] = {1, 0xa6, 4}; /* no key, a value of 275 bytes, no headers in what is left */
	struct sl_batch_record r = {.timestamp_ms = BASE_TS, .tail = tail, .tail_bytes = 3 + 275 + 1};
	uint32_t i;

	for (i = 0; i < 40; i++) {
		r.ring = i % 3;
		r.seq = i / 3;
		if (sl_batch_append(a, batch, &r) < 0)
			abort();
	}
}

static void slots_make(struct sl_arena *a)
{
	static const struct sl_arena_segment_init segment = {.ring_count = 4, .ring_bytes = 1 << 20};
	static const uint8_t id[16];
	uint32_t i, slot;

	sl_arena_pid_add(a, 7, 1, &slot);
	sl_arena_topic_add(a, "t", id, &slot);
	sl_arena_segment_add(a, &segment, &slot);
	sl_arena_segment_topic_store(a, 0, 0, 0);
	for (i = 0; i < 4; i++) {
		sl_arena_partition_add(a, 0, (int32_t)i, &slot);
		sl_arena_ring_add(a, 0, i, &slot);
	}
}

static void image_make(void)
{
	struct sl_arena *a;
	uint32_t i, batch;

	if (sl_arena_create_memory(&a, &options, NULL) < 0)
		abort();
	slots_make(a);
	for (i = 0; i < 8; i++) {
		if (sl_batch_open(a, i % 4, BASE_TS, 9, &batch) < 0)
			abort();
		fill(a, batch);
		if (i % 4 != 3)
			sl_batch_seal(a, batch);
		if (i % 4 >= 1 && i % 4 != 3)
			sl_batch_number(a, batch, 0, 1);
		if (i == 2)
			sl_batch_resolve(a, batch, SL_OUTCOME_PERSISTED, 0, 5);
	}
	sl_batch_reject(a, 1, 90, 10);
	image = a->base;
	image_bytes = a->file_bytes;
	metadata_bytes = (uint64_t)((uint8_t *)(a->dir + a->chunk_count) - a->base);
	used_bytes = a->chunks_offset + options.bytes;
	free(a);
}

static void change(uint8_t *base, const uint8_t *data, size_t size)
{
	size_t i;

	for (i = 1; i + CHANGE_BYTES <= size && i < CHANGES_MAX * CHANGE_BYTES; i += CHANGE_BYTES) {
		uint32_t where = (uint32_t)data[i] << 16 | (uint32_t)data[i + 1] << 8 | data[i + 2];

		memcpy(base + (uint64_t)where * (metadata_bytes - 1) / 0x1000000, data + i + 3, 2);
	}
	if (data[0] & 1) {
		struct sl_arena_header *h = (struct sl_arena_header *)base;

		h->fixed_sum = sl_arena_header_sum(h);
	}
}

/* What a worker would do with it: every run is read, everything is given back. */
static void use(struct sl_arena *a)
{
	uint32_t i;

	for (i = 0; i < a->by_birth_count; i++) {
		uint32_t batch = a->by_birth[i];
		struct sl_batch_run_iter it;
		struct sl_batch_run run;
		uint32_t records = 0;

		for (sl_batch_runs_begin(a, batch, &it); sl_batch_runs_next(&it, &run);)
			records += run.count;
		if (records != sl_batch_records(a, batch))
			abort();
		if (sl_batch_life(a, batch).state != SL_BATCH_RESOLVED)
			sl_batch_resolve(a, batch, SL_OUTCOME_FAILED, 1, -1);
		sl_batch_free(a, batch);
	}
	if (a->chunks_free != a->chunk_count || a->batches_free != a->batch_count)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t *base;
	struct sl_arena_loaded loaded;
	struct sl_error err;
	struct sl_arena *a;

	if (size < 1 + CHANGE_BYTES)
		return 0;
	if (!image) {
		image_make();
		base = mmap(NULL, image_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	}
	memcpy(base, image, used_bytes);
	change(base, data, size);
	if (sl_arena_load_memory(&a, &options, base, data[0] & 2 ? 16 : image_bytes, &loaded, &err) < 0)
		return 0;
	if (sl_arena_check(a, false, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		abort();
	}
	use(a);
	free(a);
	return 0;
}
