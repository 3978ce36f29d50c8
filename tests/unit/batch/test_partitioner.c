/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: records land where Java's client, librdkafka and sarama put them. Method: their tests'
 * vectors, and counts. */
#include "tests/unit/batch/support.h"

#include "dataplane/batch/partitioner.h"

struct vector {
	const char *key;
	uint32_t bytes, murmur2, crc32, fnv1a;
};

#define V(key, murmur2, crc32, fnv1a)                                                              \
	{                                                                                          \
		key, sizeof(key) - 1, murmur2, crc32, fnv1a                                        \
	}

static const struct vector vectors[] = {
	V("21", 0xc5f2f8ec, 0xfd7746b4, 0x730d6814),
	V("foobar", 0xd0e47bbe, 0x9ef61f95, 0x40630698),
	V("a-little-bit-long-string", 0xc53b1da0, 0xee71cd62, 0x225cf7d8),
	V("a-little-bit-longer-string", 0xa768c9c3, 0x87bfb12a, 0x2e87f629),
	V("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", 0xfc7d49cd, 0xe0abb921, 0x1731f50e),
	V("abc", 0x1c94221b, 0x352441c2, 0x1a47e90b),
	V("", 0x106e08d9, 0x00000000, 0x7ee3623b),
	V("kafka", 0xd067cf64, 0x5bbc7517, 0x0d33c4e1),
	V("giberish123456789", 0x8f552b0c, 0x7b3a8e3f, 0x77a58295),
	V("1234", 0x9fc97b14, 0x9be3e0a3, 0x023bdd03),
	V("234", 0xe7c009ca, 0x0d717969, 0x2dea3cd2),
	V("34", 0x873930da, 0x9406837a, 0x740fa83e),
	V("4", 0x5a4b5ca1, 0xf3b61b38, 0x310ca263),
	V("PreAmbleWillBeRemoved,ThePrePartThatIs", 0x78424f1c, 0xddcba83a, 0x65cbd69c),
	V("23456", 0x858d780f, 0xb1b451d7, 0x27e6f469),
	V("this is another string with more length to it perhaps", 0xcf7703da, 0xb0150df7,
	  0x155e3e5f),
	V("hejsan", 0x5ec19395, 0xd077037e, 0x17b1e27a),
	V("\x00", 0x166197bc, 0xd202ef8d, 0x050c5d1f),
	V("\xff\xfe\xfd\xfc\xfb", 0x1f3ca77f, 0x458534a3, 0x4661b8be),
	V("\x80\x80\x80\x80\x80\x80\x80", 0x91f922d3, 0x607b2716, 0x5ae8af59),
	V("gr\xc3\xb6\xc3\x9f\x65", 0x230eabf4, 0x5bd3a989, 0x32c70b66),
	V("user-42", 0x5700682c, 0x7d06b873, 0x026073ab),
	V("\x00\x00\x00\x00\x00\x00\x00\x2a", 0x1e361fc0, 0xbe9916bf, 0x7e1eb789),
};

enum { COUNT = sizeof(vectors) / sizeof(vectors[0]) };

static void test_vectors(void **state)
{
	const uint8_t *keys[COUNT];
	uint32_t bytes[COUNT], out[COUNT], i;

	for (i = 0; i < COUNT; i++) {
		keys[i] = vectors[i].bytes ? (const uint8_t *)vectors[i].key : NULL;
		bytes[i] = vectors[i].bytes;
	}
	sl_murmur2_run(keys, bytes, out, COUNT);
	for (i = 0; i < COUNT; i++)
		assert_int_equal(out[i], vectors[i].murmur2);
	sl_partitioner_hash_run(SL_PARTITIONER_MURMUR2_RANDOM, keys, bytes, out, COUNT);
	assert_int_equal(out[0] % 10, 0); /* a mask; the magnitude would give 8 */
	sl_partitioner_hash_run(SL_PARTITIONER_CONSISTENT, keys, bytes, out, COUNT);
	for (i = 0; i < COUNT; i++)
		assert_int_equal(out[i], vectors[i].crc32);
	sl_partitioner_hash_run(SL_PARTITIONER_FNV1A, keys, bytes, out, COUNT);
	for (i = 0; i < COUNT; i++)
		assert_int_equal(out[i], vectors[i].fnv1a);
}

/* Keys of one length go four at a time: the same hashes. */
static void test_side_by_side(void **state)
{
	uint8_t data[64];
	const uint8_t *keys[7];
	uint32_t bytes[7], out[7], one, length, i;

	for (i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 37 + 11);
	for (length = 0; length <= 40; length++) {
		for (i = 0; i < 7; i++) {
			keys[i] = data + i * 3;
			bytes[i] = length;
		}
		sl_murmur2_run(keys, bytes, out, 7);
		for (i = 0; i < 7; i++) {
			sl_murmur2_run(keys + i, bytes + i, &one, 1);
			assert_int_equal(out[i], one);
		}
	}
}

static void test_modulus(void **state)
{
	uint64_t random = 5;
	uint32_t i;

	for (i = 0; i < 200000; i++) {
		uint32_t divisor = (uint32_t)(sl_random_next(&random) >> (33 + i % 30)) | 1;
		uint32_t n = i % 8 ? (uint32_t)sl_random_next(&random) : UINT32_MAX - i;
		struct sl_modulus m = sl_modulus_of(divisor);

		assert_int_equal(sl_modulus_of_hash(&m, n), n % divisor);
	}
}

static void test_ways(void **state)
{
	assert_int_equal(sl_partitioner_way(SL_PARTITIONER_MURMUR2_RANDOM, -1),
			 SL_PARTITIONER_WAY_STICKY);
	assert_int_equal(sl_partitioner_way(SL_PARTITIONER_MURMUR2_RANDOM, 0),
			 SL_PARTITIONER_WAY_HASH);
	assert_int_equal(sl_partitioner_way(SL_PARTITIONER_CONSISTENT_RANDOM, 0),
			 SL_PARTITIONER_WAY_STICKY);
	assert_int_equal(sl_partitioner_way(SL_PARTITIONER_CONSISTENT, -1),
			 SL_PARTITIONER_WAY_HASH);
	assert_int_equal(sl_partitioner_by_name("fnv1a_random"), SL_PARTITIONER_FNV1A_RANDOM);
	assert_true(sl_partitioner_by_name("murmur3") < 0);
}

/* Queues of 0, 3 and 1 give weights 4, 1 and 3 (KIP-794). */
static void test_adaptive(void **state)
{
	const uint32_t queue[3] = {0, 3, 1};
	const uint8_t some[3] = {0, 1, 1};
	struct sl_sticky_load load = {.partition_count = 3, .queue = queue};
	struct sl_sticky s = {0};
	uint32_t hits[3] = {0}, i;
	uint64_t random = 3;

	for (i = 0; i < 80000; i++)
		hits[sl_sticky_next(&s, &load, sl_random_next(&random))]++;
	assert_in_range(hits[0], 39000, 41000);
	assert_in_range(hits[1], 9000, 11000);
	assert_in_range(hits[2], 29000, 31000);
	load.available = some;
	memset(hits, 0, sizeof(hits));
	for (i = 0; i < 40000; i++)
		hits[sl_sticky_next(&s, &load, sl_random_next(&random))]++;
	assert_int_equal(hits[0], 0);
	assert_in_range(hits[1], 9000, 11000); /* 1 : 3 */
	i = 0;
	assert_int_equal(sl_round_robin_next(&i, &load), 1);
	assert_int_equal(sl_round_robin_next(&i, &load), 2);
	assert_int_equal(sl_round_robin_next(&i, &load), 1);
}

static void test_sticky_bytes(void **state)
{
	struct sl_sticky s = {0};

	assert_false(sl_sticky_account(&s, 600, 1000, true));
	assert_false(sl_sticky_account(&s, 600, 1000, false));
	assert_true(sl_sticky_account(&s, 600, 1000, true));
	assert_true(sl_sticky_account(&s, 600, 1000, false));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),  cmocka_unit_test(test_side_by_side),
		cmocka_unit_test(test_modulus),  cmocka_unit_test(test_ways),
		cmocka_unit_test(test_adaptive), cmocka_unit_test(test_sticky_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
