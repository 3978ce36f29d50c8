/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: what a codec writes, the real libraries read; in small steps; without a call of malloc
 * after creation. */
#include "tests/unit/batch/support.h"

#include <errno.h>

#include "dataplane/batch/codec.h"

void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
static uint32_t allocations;

#ifndef __SANITIZE_ADDRESS__
void *malloc(size_t bytes)
{
	allocations++;
	return __libc_malloc(bytes);
}

void *calloc(size_t count, size_t bytes)
{
	allocations++;
	return __libc_calloc(count, bytes);
}
#endif

/* Steps of random sizes; returns the size. */
static uint32_t compress(struct sl_codec *c, const uint8_t *in, uint32_t bytes, uint8_t *out,
			 uint64_t *random)
{
	uint32_t at = 0, fill = 0;
	int rc = 1;

	sl_codec_begin(c);
	while (rc == 1) {
		uint32_t n = (uint32_t)(sl_random_next(random) % SL_CODEC_STEP_BYTES);
		uint32_t room = 1 + (uint32_t)(sl_random_next(random) % 20000);
		struct sl_codec_io io = {.in = in + at, .out = out + fill, .out_bytes = room};

		n = n < bytes - at ? n : bytes - at;
		io.in_bytes = n;
		rc = sl_codec_step(c, &io, n == bytes - at);
		at += n - io.in_bytes;
		fill += room - io.out_bytes;
	}
	assert_int_equal(rc, 0);
	assert_int_equal(at, bytes);
	return fill;
}

static void fill(uint8_t *data, uint32_t bytes, uint32_t kind, uint64_t *random)
{
	static const char text[] = "{\"sensor\":\"boiler-7\",\"celsius\":81.25,\"ok\":true}";
	uint32_t i;

	for (i = 0; i < bytes; i++)
		data[i] = kind == 0   ? (uint8_t)(sl_random_next(random) >> 56)
			  : kind == 1 ? (uint8_t)(text[i % (sizeof(text) - 1)] + (i % 97 == 0))
				      : (uint8_t)(i / 5000);
}

static void round_trip(uint32_t codec, int level)
{
	enum { BYTES_MAX = 700 * 1000 };
	static const uint32_t sizes[] = {1, 7, 43, 4096, 32768, 32769, 65536, 200000, BYTES_MAX};
	uint8_t *in = malloc(BYTES_MAX), *out = malloc(2 * BYTES_MAX), *back;
	uint64_t random = codec * 31 + (uint32_t)level;
	struct sl_codec *c;
	uint32_t i;
	size_t bytes;

	assert_int_equal(sl_codec_create(&c, codec, level, NULL), 0);
	for (i = 0; i < 3 * SL_ARRAY_COUNT(sizes); i++) {
		uint32_t size = sizes[i / 3], before, n;

		fill(in, size, i % 3, &random);
		before = allocations;
		n = compress(c, in, size, out, &random);
		assert_int_equal(allocations, before);
		if (size >= 4096 && i % 3 > 0)
			assert_true(n < size / 2);
		assert_int_equal(sl_codec_decompress(codec, out, n, BYTES_MAX, &back, &bytes), 0);
		assert_int_equal(bytes, size);
		assert_memory_equal(back, in, size);
		free(back);
		/* Cut short it is refused, and so is more than the limit. */
		assert_true(sl_codec_decompress(codec, out, n - 1, BYTES_MAX, &back, &bytes) < 0);
		assert_int_equal(sl_codec_decompress(codec, out, n, size - 1, &back, &bytes),
				 -E2BIG);
	}
	sl_codec_destroy(c);
	free(in);
	free(out);
}

static void test_round_trips(void **state)
{
	uint32_t codec;

	for (codec = 1; codec <= 4; codec++)
		round_trip(codec, SL_CODEC_LEVEL_DEFAULT);
	round_trip(1, 1);
	round_trip(1, 9);
	round_trip(3, 9);
	round_trip(3, -5);
	round_trip(4, 1);
	round_trip(4, 12);
	round_trip(4, -3);
}

/* 43 record bytes in each codec, as the protocol notes have them. */
static const uint8_t records[43] = {
	0x1a, 0x00, 0x00, 0x00, 0x04, 0x6b, 0x31, 0x0a, 0x68, 0x65, 0x6c, 0x6c, 0x6f, 0x00, 0x2a,
	0x00, 0x0a, 0x02, 0x01, 0x0a, 0x77, 0x6f, 0x72, 0x6c, 0x64, 0x04, 0x04, 0x68, 0x31, 0x04,
	0x76, 0x31, 0x04, 0x68, 0x32, 0x01, 0x0c, 0x00, 0x0e, 0x04, 0x00, 0x01, 0x00};

static void vector_check(uint32_t codec, const void *head, size_t head_bytes, const void *rest,
			 size_t rest_bytes)
{
	uint8_t in[128], *back;
	size_t bytes;

	memcpy(in, head, head_bytes);
	memcpy(in + head_bytes, records, sizeof(records));
	memcpy(in + head_bytes + sizeof(records), rest, rest_bytes);
	assert_int_equal(sl_codec_decompress(codec, in, head_bytes + sizeof(records) + rest_bytes,
					     100, &back, &bytes),
			 0);
	assert_int_equal(bytes, sizeof(records));
	assert_memory_equal(back, records, sizeof(records));
	free(back);
}

static void test_vectors(void **state)
{
	vector_check(1, "\x1f\x8b\x08\0\0\0\0\0\0\xff\x01\x2b\0\xd4\xff", 15,
		     "\x02\xd7\x36\xbd\x2b\0\0\0", 8);
	vector_check(2, "\x2b\xa8", 2, "", 0);
	vector_check(2, "\x82SNAPPY\0\0\0\0\1\0\0\0\1\0\0\0\x2d\x2b\xa8", 22, "", 0);
	vector_check(3, "\x04\x22\x4d\x18\x60\x40\x82\x2b\0\0\x80", 11, "\0\0\0\0", 4);
	vector_check(4, "\x28\xb5\x2f\xfd\x20\x2b\x59\x01\0", 9, "", 0);
}

/* These 43 bytes do not shrink: lz4 stores the block, and the frame is the vector byte for byte. */
static void test_lz4_frame(void **state)
{
	static const uint8_t head[11] = {0x04, 0x22, 0x4d, 0x18, 0x60, 0x40,
					 0x82, 0x2b, 0,    0,    0x80};
	uint8_t out[128];
	uint64_t random = 1;
	struct sl_codec *c;

	assert_int_equal(sl_codec_create(&c, 3, SL_CODEC_LEVEL_DEFAULT, NULL), 0);
	assert_int_equal(compress(c, records, sizeof(records), out, &random), 58);
	assert_memory_equal(out, head, sizeof(head));
	assert_memory_equal(out + 11, records, sizeof(records));
	sl_codec_destroy(c);
	assert_int_equal(sl_codec_create(&c, 2, 3, NULL), -EINVAL);
	assert_int_equal(sl_codec_create(&c, 5, 3, NULL), -EINVAL);
	assert_int_equal(sl_codec_create(&c, 1, 44, NULL), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trips),
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_lz4_frame),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
