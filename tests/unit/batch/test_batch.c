/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: records come out of batches as they went in, with their origins, and every chunk comes
 * back. */
#include "tests/unit/batch/support.h"

#include <stdio.h>

#include "dataplane/base/crc32c.h"
#include "dataplane/batch/codec.h"

enum { MODEL_RECORDS = 6000, PAYLOAD_MAX = 1 << 17 };

static uint32_t open_batch(struct sl_arena *a, uint32_t partition)
{
	uint32_t batch;

	assert_int_equal(sl_batch_open(a, partition, base_ts, 1000, &batch), 0);
	return batch;
}

static struct sl_batch_record record(uint32_t ring, uint64_t seq, const uint8_t *tail,
				     uint32_t bytes)
{
	return (struct sl_batch_record){.ring = ring,
					.seq = seq,
					.timestamp_ms = base_ts,
					.tail = tail,
					.tail_bytes = bytes};
}

/* What was appended, to compare with. */
struct model {
	uint8_t payload[PAYLOAD_MAX];
	uint32_t bytes, records;
	uint32_t ring[MODEL_RECORDS];
	uint64_t seq[MODEL_RECORDS];
	int64_t max_ts;
};

static void model_add(struct model *m, const struct sl_batch_record *r)
{
	int64_t time = r->timestamp_ms - base_ts;
	uint32_t body = 1 + sl_varint64_bytes(time) + sl_varint32_bytes((int32_t)m->records) +
			r->tail_bytes;
	uint8_t *p = sl_varint32_put(m->payload + m->bytes, (int32_t)body);

	*p++ = 0;
	p = sl_varint64_put(p, time);
	p = sl_varint32_put(p, (int32_t)m->records);
	memcpy(p, r->tail, r->tail_bytes);
	m->bytes = (uint32_t)(p + r->tail_bytes - m->payload);
	m->ring[m->records] = r->ring;
	m->seq[m->records] = r->seq;
	m->max_ts = m->records == 0 || r->timestamp_ms > m->max_ts ? r->timestamp_ms : m->max_ts;
	m->records++;
}

static void runs_compare(const struct sl_arena *a, uint32_t batch, const struct model *m)
{
	struct sl_batch_run_iter it;
	struct sl_batch_run run;
	uint32_t index = 0, i;

	sl_batch_runs_begin(a, batch, &it);
	while (sl_batch_runs_next(&it, &run)) {
		assert_false(run.tomb);
		assert_int_equal(run.first_index, index);
		assert_true(run.count > 0);
		for (i = 0; i < run.count; i++, index++) {
			assert_int_equal(run.ring, m->ring[index]);
			assert_true(run.first_seq + i == m->seq[index]);
		}
	}
	assert_int_equal(index, m->records);
}

static void batch_compare(struct sl_arena *a, uint32_t batch, const struct model *m)
{
	static uint8_t wire[PAYLOAD_MAX];
	struct sl_batch_header_fields f;
	uint8_t *raw = NULL;
	size_t bytes;

	runs_compare(a, batch, m);
	assert_int_equal(sl_batch_number(a, batch, 0, 5), 0);
	sl_batch_header_fill(a, batch, &f);
	assert_int_equal(f.record_count, m->records);
	assert_true(f.max_timestamp_ms == m->max_ts && f.base_timestamp_ms == base_ts &&
		    f.producer_id == PID);
	assert_int_equal(sl_batch_wire_bytes(a, batch), f.payload_bytes);
	payload_read(a, batch, wire);
	assert_int_equal(sl_crc32c(0, wire, f.payload_bytes), f.payload_crc);
	if (f.codec == 0) {
		assert_int_equal(f.payload_bytes, m->bytes);
		assert_memory_equal(wire, m->payload, m->bytes);
		return;
	}
	assert_int_equal(
		sl_codec_decompress(f.codec, wire, f.payload_bytes, PAYLOAD_MAX, &raw, &bytes), 0);
	assert_int_equal(bytes, m->bytes);
	assert_memory_equal(raw, m->payload, m->bytes);
	free(raw);
}

/* One batch of random records, filled until it is full or enough, sealed in this or that way. */
static void cycle(struct sl_arena *a, struct sl_codec *codec, uint64_t *random, uint64_t seq[RINGS])
{
	static struct model m;
	static uint8_t tail[40000];
	uint32_t batch = open_batch(a, (uint32_t)(sl_random_next(random) % PARTITIONS));
	uint32_t want = 1 + (uint32_t)(sl_random_next(random) % 1500),
		 shape = (uint32_t)(sl_random_next(random) >> 61);
	struct sl_batch_compression job;

	m.bytes = m.records = 0;
	if (sl_random_next(random) % 2 == 0)
		sl_batch_fill_set(a, batch, 1 + (uint32_t)(sl_random_next(random) % 65536));
	while (m.records < want) {
		uint32_t ring = (uint32_t)(sl_random_next(random) >> 33) % (shape < 4 ? 1 : RINGS);
		int32_t value = (int32_t)(sl_random_next(random) % (shape % 4 == 0   ? 9000
								    : shape % 4 == 1 ? 130
										     : 20));
		uint32_t bytes =
			tail_make(tail, (int32_t)(sl_random_next(random) % 40) - 1, value, *random);
		struct sl_batch_record r = record(ring, seq[ring], tail, bytes);
		int rc;

		r.timestamp_ms += shape % 3 ? 0 : (int64_t)(sl_random_next(random) % 20000) - 10000;
		if (sl_random_next(random) % 16 == 0)
			seq[ring] += 3, r.seq = seq[ring];
		rc = sl_batch_append(a, batch, &r);
		if (rc < 0) {
			assert_int_equal(rc, -E2BIG);
			break;
		}
		seq[ring]++;
		model_add(&m, &r);
		assert_int_equal(sl_batch_bytes(a, batch), m.bytes);
		if (m.records % 64 == 0)
			check(a, false);
	}
	sl_arena_ring_cursor_store(a, 0, 0, seq[0]);
	runs_compare(a, batch, &m);
	if (codec) {
		sl_batch_compress_begin(a, batch, codec, &job);
		while (sl_batch_compress_step(a, &job) == 1)
			check(a, true);
	} else {
		sl_batch_seal(a, batch);
	}
	check(a, false);
	batch_compare(a, batch, &m);
	check(a, false);
	sl_batch_resolve(a, batch, SL_OUTCOME_PERSISTED, 0, 77);
	check(a, false);
	assert_int_equal(sl_batch_outcome(a, batch), SL_OUTCOME_PERSISTED);
	runs_entomb(a, batch);
	check(a, false);
	sl_batch_free(a, batch);
	check(a, false);
}

static void test_cycles(void **state)
{
	struct sl_arena *a = small_arena();
	/* The low half of the numbers turns over on the way. */
	uint64_t seq[RINGS] = {0x2fffffe00, 0, 0xffffff00, 17};
	struct sl_codec *codecs[5] = {NULL};
	uint64_t random = 11;
	uint32_t i, all;

	for (i = 1; i <= 4; i++)
		assert_int_equal(sl_codec_create(&codecs[i], i, SL_CODEC_LEVEL_DEFAULT, NULL), 0);
	for (i = 0; i < RINGS; i++)
		sl_arena_ring_cursor_store(a, i, 0, seq[i]);
	all = a->chunks_free;
	for (i = 0; i < 200; i++)
		cycle(a, codecs[i % 5], &random, seq);
	assert_int_equal(a->chunks_free, all);
	for (i = 1; i <= 4; i++)
		sl_codec_destroy(codecs[i]);
	sl_arena_destroy(a, false);
}

static void test_malformed(void **state)
{
	struct sl_arena *a = small_arena();
	uint32_t batch = open_batch(a, 0), bytes, i;
	uint8_t tail[256], good[256];
	struct sl_batch_record r;

	/* Headers: one with a value, one without. */
	static const uint8_t headers[] = {1, 2, 'v', 4, 4, 'h', '1', 2, 'x', 2, 'h', 1};
	static const uint8_t bad[][8] = {
		{3, 1, 0},          /* key length -2 */
		{1, 3, 0},          /* value length -2 */
		{1, 1, 1},          /* header count -1 */
		{1, 1, 2, 1, 1},    /* header without key */
		{1, 1, 2, 2, 'h'},  /* header without value length */
		{1, 0x80, 0x80, 0}, /* length cut short */
		{1, 1, 0, 0},       /* a byte too many */
		{0x7e, 1, 0},       /* key longer than the record */
	};
	static const uint8_t bad_bytes[] = {3, 3, 3, 5, 5, 4, 4, 3};

	bytes = tail_make(good, 16, 100, 1);
	for (i = 0; i < SL_ARRAY_COUNT(bad); i++) {
		r = record(0, i, bad[i], bad_bytes[i]);
		assert_int_equal(sl_batch_append(a, batch, &r), -EBADMSG);
		assert_int_equal(sl_batch_append_slow(a, batch, &r), -EBADMSG);
	}
	for (i = 0; i < bytes; i++) {
		r = record(0, 0, good, i);
		assert_int_equal(sl_batch_append(a, batch, &r), -EBADMSG);
	}
	memcpy(tail, good, bytes);
	tail[bytes - 1] = 2; /* claims a header */
	r = record(0, 0, tail, bytes);
	assert_int_equal(sl_batch_append(a, batch, &r), -EBADMSG);
	assert_int_equal(sl_batch_records(a, batch), 0);
	r = record(0, 0, headers, sizeof(headers));
	assert_int_equal(sl_batch_append(a, batch, &r), 0);
	r = record(0, 1, good, bytes);
	assert_int_equal(sl_batch_append(a, batch, &r), 0);
	assert_int_equal(sl_tail_runs(a->batches[batch].tail), 1);
	r = record(0, 2, good, UINT32_MAX);
	assert_int_equal(sl_batch_append(a, batch, &r), -EMSGSIZE);
	check(a, false);
	sl_arena_destroy(a, false);
}

static void test_sequences(void **state)
{
	struct sl_arena *a = small_arena();
	uint32_t batch[3], i, j;
	uint8_t tail[16];
	uint32_t bytes = tail_make(tail, -1, 3, 0);
	struct sl_partition_seq seq = {.next_seq = INT32_MAX - 3, .epoch = 3, .pid_slot = 0};
	struct sl_batch_header_fields f;

	a->partitions[1].seq = sl_partition_seq_pack(seq);
	for (i = 0; i < 3; i++) {
		batch[i] = open_batch(a, 1);
		for (j = 0; j < 3; j++) {
			struct sl_batch_record r = record(0, i * 3 + j, tail, bytes);

			assert_int_equal(sl_batch_append(a, batch[i], &r), 0);
		}
		sl_batch_seal(a, batch[i]);
		assert_int_equal(sl_batch_number(a, batch[i], 0, 1), 0);
		check(a, false);
	}
	sl_batch_header_fill(a, batch[1], &f);
	assert_true(f.base_sequence == INT32_MAX && f.producer_epoch == 3);
	sl_batch_header_fill(a, batch[2], &f);
	assert_int_equal(f.base_sequence, 2); /* 2147483647, 0, 1 were the one before */
	assert_int_equal(sl_partition_epoch_bump(a, 1), 0);
	for (i = 0; i < 3; i++)
		sl_batch_unnumber(a, batch[i]);
	assert_int_equal(sl_batch_number(a, batch[0], 0, 1), 0);
	sl_batch_header_fill(a, batch[0], &f);
	assert_true(f.base_sequence == 0 && f.producer_epoch == 4);
	assert_int_equal(sl_batch_number(a, batch[1], SL_ARENA_PID_NONE, 1), 0);
	sl_batch_header_fill(a, batch[1], &f);
	assert_true(f.base_sequence == -1 && f.producer_epoch == -1 && f.producer_id == -1);
	check(a, false);
	/* A slot made anew starts above what the broker knows. */
	for (i = 0; i < 3; i++) {
		sl_batch_resolve(a, batch[i], SL_OUTCOME_FAILED, -1, -1);
		assert_int_equal(sl_batch_error(a, batch[i]), -1);
		sl_batch_free(a, batch[i]);
	}
	sl_arena_partition_drop(a, 1);
	assert_int_equal(a->header->pids[0].epoch_floor, 5);
	seq = (struct sl_partition_seq){.epoch = INT16_MAX};
	a->partitions[2].seq = sl_partition_seq_pack(seq);
	assert_int_equal(sl_partition_epoch_bump(a, 2), -EOVERFLOW);
	sl_arena_destroy(a, false);
}

static void test_full(void **state)
{
	struct sl_arena *a = small_arena();
	static uint8_t tail[40000];
	uint32_t bytes = tail_make(tail, 5, 30000, 0), batch, count = 0, opened = 0;
	struct sl_batch_record r = record(0, 0, tail, bytes);
	int rc = 0;

	while (sl_batch_open(a, 0, base_ts, 0, &batch) == 0) {
		opened++;
		while ((rc = sl_batch_append(a, batch, &r)) == 0)
			count++;
		check(a, false);
	}
	assert_int_equal(rc, -ENOSPC);
	assert_int_equal(sl_arena_chunks_free(a), 0);
	assert_int_equal(a->chunks_free, a->chunks_reserve);
	assert_int_equal(a->chunks_split,
			 64 / 4 + 14); /* a batch, and a chunk for each level of a split */
	assert_int_equal(a->chunks_reserve, a->chunks_split + a->chunk_count / 8);
	assert_true(count >= 10 && opened > 1);
	sl_arena_destroy(a, false);
}

/* What new records cannot have is enough to compress, batch after batch, in an arena that stays
 * full. */
static void test_full_compresses(void **state)
{
	struct sl_arena *a = small_arena();
	struct sl_codec *codec;
	struct sl_batch_compression job;
	static uint8_t tail[6000];
	uint32_t bytes = tail_make(tail, 5, 5000, 0), batches[32], opened = 0, i;
	struct sl_batch_record r = record(0, 0, tail, bytes);
	uint64_t random = 5;

	assert_int_equal(sl_codec_create(&codec, 1, SL_CODEC_LEVEL_DEFAULT, NULL), 0);
	for (i = 0; i < 4000; i++) /* so that most of the size stays */
		tail[100 + i] = (uint8_t)(sl_random_next(&random) >> 33);
	while (opened < 32 && sl_batch_open(a, 0, base_ts, 0, &batches[opened]) == 0) {
		opened++;
		while (sl_batch_append(a, batches[opened - 1], &r) == 0)
			r.seq++;
	}
	assert_int_equal(sl_arena_chunks_free(a), 0);
	assert_true(opened > 2);
	for (i = 0; i < opened; i++) {
		uint32_t hog; /* takes what the compression before it gave back */

		while (sl_batch_open(a, 0, base_ts, 0, &hog) == 0)
			;
		if (sl_batch_records(a, batches[i]) == 0)
			continue;
		sl_batch_compress_begin(a, batches[i], codec, &job);
		while (sl_batch_compress_step(a, &job) == 1)
			;
		assert_int_equal(sl_batch_life(a, batches[i]).selector,
				 1); /* the compressed chain */
		check(a, false);
	}
	sl_codec_destroy(codec);
	sl_arena_destroy(a, false);
}

static void test_rejects(void **state)
{
	struct sl_arena *a = small_arena();
	uint32_t out[4], i, total = 0, all = a->chunks_free;
	struct sl_batch_run_iter it;
	struct sl_batch_run run;

	/* Every second number: a run each, over several chunks. */
	for (i = 0; i < 3000; i++)
		assert_int_equal(sl_batch_reject(a, i % 2, i, i % 3 ? 10 : 87), 0);
	check(a, false);
	assert_int_equal(sl_arena_rejects_resolve(a, out, 1), 1);
	assert_int_equal(sl_arena_rejects_resolve(a, out + 1, 3), 1);
	assert_int_equal(sl_arena_rejects_resolve(a, out, 0), 0);
	check(a, false);
	for (i = 0; i < 2; i++) {
		assert_int_equal(sl_batch_outcome(a, out[i]), SL_OUTCOME_FAILED);
		sl_batch_runs_begin(a, out[i], &it);
		while (sl_batch_runs_next(&it, &run)) {
			total += run.count;
			assert_true(run.ring == run.first_seq % 2);
			assert_int_equal(sl_batch_error(a, out[i]), run.first_seq % 3 ? 10 : 87);
			sl_batch_run_entomb(&it);
		}
		sl_batch_free(a, out[i]);
	}
	assert_int_equal(total, 3000);
	assert_int_equal(a->chunks_free, all);
	check(a, false);
	sl_arena_destroy(a, false);
}

/* Chunks that the batches hold now, all that were free before. */
static uint32_t chunks_held(const struct sl_arena *a, uint32_t all)
{
	return all - a->chunks_free;
}

/* Appends records of two rings by turns, so that each has a run, or of one ring; until one is
 * refused. */
static int append_all(struct sl_arena *a, uint32_t batch, uint32_t rings, const uint8_t *tail,
		      uint32_t bytes)
{
	uint64_t n;
	int rc = 0;

	for (n = 0; rc == 0; n++) {
		struct sl_batch_record r = record((uint32_t)(n % rings), n / rings, tail, bytes);

		rc = sl_batch_append(a, batch, &r);
	}
	return rc;
}

static void fill_one(struct sl_arena *a, uint32_t fill_bytes, uint32_t rings, uint32_t value_bytes)
{
	uint32_t all = a->chunks_free, batch = open_batch(a, 0), capacity, used;
	uint32_t chunks = (fill_bytes + a->chunk_bytes - 1) / a->chunk_bytes;
	uint8_t tail[1200];
	uint32_t bytes = tail_make(tail, -1, (int32_t)value_bytes, 3);
	uint64_t full;

	sl_batch_fill_set(a, batch, fill_bytes);
	assert_int_equal(append_all(a, batch, rings, tail, bytes), -E2BIG);
	/* It ends in the last of its chunks, and the record that was refused has no room there:
	 * ahead of its own bytes it has at most 9, a run, and one run's room may be lost in each
	 * chunk. */
	assert_int_equal(chunks_held(a, all), chunks);
	full = a->batches[batch].tail;
	used = sl_tail_bytes(full) + 8 * sl_tail_runs(full);
	capacity = chunks * a->chunk_bytes;
	assert_true(used <= capacity && used + bytes + 9 + 8 + 8 * chunks > capacity);
	/* What is refused stores nothing, however often it comes. */
	assert_int_equal(append_all(a, batch, rings, tail, bytes), -E2BIG);
	assert_true(a->batches[batch].tail == full);
	check(a, false);
	sl_batch_seal(a, batch);
	sl_batch_resolve(a, batch, SL_OUTCOME_FAILED, 1, -1);
	runs_entomb(a, batch);
	sl_batch_free(a, batch);
	assert_int_equal(chunks_held(a, all), 0);
}

/* Whatever the size asked for: smaller than a chunk, whole chunks, or between. */
static void test_fill(void **state)
{
	static const uint32_t fills[] = {1,    100,   4095,  4096,  4097,
					 8192, 10000, 16384, 40000, 57344};
	static const uint32_t values[] = {12, 20, 100, 130, 1000};
	struct sl_arena *a = small_arena();
	uint32_t i, j;

	for (i = 0; i < SL_ARRAY_COUNT(fills); i++)
		for (j = 0; j < SL_ARRAY_COUNT(values); j++) {
			fill_one(a, fills[i], 1, values[j]);
			fill_one(a, fills[i], 2, values[j]);
		}
	check(a, false);
	sl_arena_destroy(a, false);
}

/* A record that no batch of this size holds has one of its own; behind others it waits for that. */
static void test_fill_large(void **state)
{
	static uint8_t tail[40000], small[64];
	uint32_t bytes = tail_make(tail, -1, 30000, 1), small_bytes = tail_make(small, -1, 20, 2);
	struct sl_arena *a = small_arena();
	uint32_t all = a->chunks_free, batch = open_batch(a, 0);
	struct sl_batch_record large = record(0, 0, tail, bytes),
			       next = record(0, 1, small, small_bytes);

	sl_batch_fill_set(a, batch, 5000);
	assert_int_equal(sl_batch_append(a, batch, &large), 0);
	assert_int_equal(chunks_held(a, all), 8);
	while (sl_batch_append(a, batch, &next) == 0) /* what is left of its last chunk is used */
		next.seq++;
	assert_int_equal(sl_batch_append(a, batch, &next), -E2BIG);
	assert_int_equal(chunks_held(a, all), 8);
	batch = open_batch(a, 1);
	sl_batch_fill_set(a, batch, 5000);
	assert_int_equal(sl_batch_append(a, batch, &next), 0);
	large.seq = next.seq + 1;
	assert_int_equal(sl_batch_append(a, batch, &large), -E2BIG);
	assert_int_equal(chunks_held(a, all), 9);
	check(a, false);
	sl_arena_destroy(a, false);
}

/* Compressed in vain, a full batch takes as many chunks as before, and no more while both chains
 * exist. */
static void test_fill_compressed(void **state)
{
	struct sl_arena *a = small_arena();
	uint32_t all = a->chunks_free, batch = open_batch(a, 0), i, most = 0;
	struct sl_batch_compression job;
	struct sl_codec *codec;
	uint64_t random = 5;
	uint8_t tail[256];
	int rc = 0;

	assert_int_equal(sl_codec_create(&codec, 3, SL_CODEC_LEVEL_DEFAULT, NULL), 0);
	sl_batch_fill_set(a, batch, 40000);
	for (i = 0; rc == 0; i++) {
		uint32_t bytes = tail_make(tail, -1, 100, 0), at;
		struct sl_batch_record r = record(i % 2, i / 2, tail, bytes);

		for (at = 3; at < bytes - 1; at++)
			tail[at] = (uint8_t)(sl_random_next(&random) >> 40);
		rc = sl_batch_append(a, batch, &r);
	}
	assert_int_equal(rc, -E2BIG);
	sl_batch_compress_begin(a, batch, codec, &job);
	do {
		rc = sl_batch_compress_step(a, &job);
		most = chunks_held(a, all) > most ? chunks_held(a, all) : most;
	} while (rc == 1);
	assert_true(most <= 20);
	assert_true(chunks_held(a, all) <= 10);
	check(a, false);
	sl_codec_destroy(codec);
	sl_arena_destroy(a, false);
}

struct overhead {       /* bytes of arena for each record */
	double encoded; /* beyond the record as Kafka has it */
	double data;    /* beyond key and value */
};

/* Round robin over the partitions, so that with more than one each record has a run; tables that
 * grow with the chunks are counted in. */
static struct overhead overhead(int32_t key, int32_t value, uint32_t partitions,
				uint32_t fill_bytes)
{
	struct sl_arena_options opts = small_options();
	struct sl_arena *a;
	uint8_t tail[256];
	uint32_t bytes = tail_make(tail, key, value, 9), open[PARTITIONS], i, all;
	uint64_t records = 0, used, encoded = 0, data;

	opts.bytes = 16 << 20;
	opts.chunk_bytes = 16384;
	opts.batch_bytes_max = 1 << 20;
	opts.batch_records_max = SL_BATCH_RECORDS_LIMIT;
	assert_int_equal(sl_arena_create_memory(&a, &opts, NULL), 0);
	slots_add(a);
	all = a->chunks_free;
	for (i = 0; i < partitions; i++) {
		open[i] = open_batch(a, i);
		sl_batch_fill_set(a, open[i], fill_bytes);
	}
	for (;; records++) {
		struct sl_batch_record r = record(0, records, tail, bytes);
		uint32_t *batch = &open[records % partitions];
		int rc = sl_batch_append(a, *batch, &r);

		if (rc == -E2BIG && sl_batch_open(a, 0, base_ts, 0, batch) == 0) {
			sl_batch_fill_set(a, *batch, fill_bytes);
			rc = sl_batch_append(a, *batch, &r);
		}
		if (rc < 0)
			break;
	}
	for (i = 0; i < a->batch_count; i++)
		if (sl_batch_life(a, i).state != SL_BATCH_FREE)
			encoded += sl_batch_bytes(a, i);
	used = (uint64_t)chunks_held(a, all) * (a->chunk_bytes + sizeof(struct sl_arena_batch) + 8);
	data = records * (uint32_t)(value + (key > 0 ? key : 0));
	sl_arena_destroy(a, false);
	return (struct overhead){(double)(used - encoded) / (double)records,
				 (double)(used - data) / (double)records};
}

static void test_overhead(void **state)
{
	const uint32_t fill = 128 * 1024;
	struct overhead unkeyed = overhead(-1, 100, 1, fill);
	struct overhead keyed = overhead(16, 100, PARTITIONS, fill);
	struct overhead one = overhead(16, 100, PARTITIONS, 16 * 1024);

	printf("arena bytes per record beyond its encoding: %.1f unkeyed, %.1f keyed, %.1f keyed "
	       "in batches of a chunk; "
	       "beyond key and value: %.1f, %.1f, %.1f\n",
	       unkeyed.encoded, keyed.encoded, one.encoded, unkeyed.data, keyed.data, one.data);
	/* 8 for the run, 1 for the tables; the budget is 16. */
	assert_true(unkeyed.encoded <= 2 && keyed.encoded <= 10 && one.encoded <= 10.5);
	/* Of Kafka's encoding, 10 are neither key nor value. */
	assert_true(unkeyed.data <= 12 && keyed.data <= 20 && one.data <= 20.5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cycles),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_sequences),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_rejects),
		cmocka_unit_test(test_overhead),
		cmocka_unit_test(test_fill),
		cmocka_unit_test(test_fill_large),
		cmocka_unit_test(test_fill_compressed),
		cmocka_unit_test(test_full_compresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
