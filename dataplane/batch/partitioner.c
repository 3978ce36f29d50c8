/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/batch/partitioner.h"

#include <errno.h>
#include <string.h>
#include <zlib.h>

#include "dataplane/base/assert.h"
#include "dataplane/base/endian.h"

static const char *const names[SL_PARTITIONER_COUNT] = {
	[SL_PARTITIONER_MURMUR2_RANDOM] = "murmur2_random",
	[SL_PARTITIONER_MURMUR2] = "murmur2",
	[SL_PARTITIONER_CONSISTENT_RANDOM] = "consistent_random",
	[SL_PARTITIONER_CONSISTENT] = "consistent",
	[SL_PARTITIONER_FNV1A_RANDOM] = "fnv1a_random",
	[SL_PARTITIONER_FNV1A] = "fnv1a",
	[SL_PARTITIONER_ROUND_ROBIN] = "round_robin",
	[SL_PARTITIONER_RANDOM] = "random",
};

int sl_partitioner_by_name(const char *name)
{
	int i;

	for (i = 0; i < SL_PARTITIONER_COUNT; i++)
		if (strcmp(name, names[i]) == 0)
			return i;
	return -ENOENT;
}

const char *sl_partitioner_name(enum sl_partitioner kind)
{
	SL_ASSERT(kind < SL_PARTITIONER_COUNT);
	return names[kind];
}

static const uint32_t murmur_multiplier = 0x5bd1e995;

static inline uint32_t murmur_mix(uint32_t hash, uint32_t word)
{
	word *= murmur_multiplier;
	word ^= word >> 24;
	word *= murmur_multiplier;
	return hash * murmur_multiplier ^ word;
}

/* Bytes behind the last whole word, and the final avalanche. */
static inline uint32_t murmur_end(uint32_t hash, const uint8_t *rest, uint32_t bytes)
{
	switch (bytes) {
	case 3:
		hash ^= (uint32_t)rest[2] << 16; /* fall through */
	case 2:
		hash ^= (uint32_t)rest[1] << 8; /* fall through */
	case 1:
		hash = (hash ^ rest[0]) * murmur_multiplier;
		break;
	default:
		break;
	}
	hash ^= hash >> 13;
	hash *= murmur_multiplier;
	return hash ^ hash >> 15;
}

static uint32_t murmur2(const uint8_t *key, uint32_t bytes)
{
	uint32_t hash = 0x9747b28cu ^ bytes;
	uint32_t at;

	for (at = 0; at + 4 <= bytes; at += 4)
		hash = murmur_mix(hash, sl_load_le32(key + at));
	return murmur_end(hash, key + at, bytes - at);
}

/* Four keys of the same length side by side: each step of one waits for its multiplication, the
 * others fill that time. */
static void murmur2_four(const uint8_t *const keys[4], uint32_t bytes, uint32_t out[4])
{
	uint32_t h0 = 0x9747b28cu ^ bytes, h1 = h0, h2 = h0, h3 = h0;
	uint32_t at;

	for (at = 0; at + 4 <= bytes; at += 4) {
		h0 = murmur_mix(h0, sl_load_le32(keys[0] + at));
		h1 = murmur_mix(h1, sl_load_le32(keys[1] + at));
		h2 = murmur_mix(h2, sl_load_le32(keys[2] + at));
		h3 = murmur_mix(h3, sl_load_le32(keys[3] + at));
	}
	out[0] = murmur_end(h0, keys[0] + at, bytes - at);
	out[1] = murmur_end(h1, keys[1] + at, bytes - at);
	out[2] = murmur_end(h2, keys[2] + at, bytes - at);
	out[3] = murmur_end(h3, keys[3] + at, bytes - at);
}

void sl_murmur2_run(const uint8_t *const keys[], const uint32_t bytes[], uint32_t out[],
		    uint32_t count)
{
	uint32_t i = 0;

	while (count - i >= 4) {
		uint32_t n = bytes[i];

		if (n > 0 && bytes[i + 1] == n && bytes[i + 2] == n && bytes[i + 3] == n) {
			murmur2_four(keys + i, n, out + i);
			i += 4;
		} else {
			out[i] = murmur2(keys[i], n);
			i++;
		}
	}
	for (; i < count; i++)
		out[i] = murmur2(keys[i], bytes[i]);
}

void sl_crc32_run(const uint8_t *const keys[], const uint32_t bytes[], uint32_t out[],
		  uint32_t count)
{
	uint32_t i;

	/* For NULL zlib would give its start value; that of no bytes is 0 as well. */
	for (i = 0; i < count; i++)
		out[i] = bytes[i] ? (uint32_t)crc32(0, keys[i], bytes[i]) : 0;
}

void sl_fnv1a_run(const uint8_t *const keys[], const uint32_t bytes[], uint32_t out[],
		  uint32_t count)
{
	uint32_t i, at;

	for (i = 0; i < count; i++) {
		uint32_t hash = 0x811c9dc5u;

		for (at = 0; at < bytes[i]; at++)
			hash = (hash ^ keys[i][at]) * 0x01000193u;
		/* Taken as signed, and its magnitude; of INT32_MIN that is 2^31. */
		out[i] = hash & 0x80000000u ? 0 - hash : hash;
	}
}

void sl_partitioner_hash_run(enum sl_partitioner kind, const uint8_t *const keys[],
			     const uint32_t bytes[], uint32_t out[], uint32_t count)
{
	uint32_t i;

	switch (kind) {
	case SL_PARTITIONER_CONSISTENT:
	case SL_PARTITIONER_CONSISTENT_RANDOM:
		sl_crc32_run(keys, bytes, out, count);
		break;
	case SL_PARTITIONER_FNV1A:
	case SL_PARTITIONER_FNV1A_RANDOM:
		sl_fnv1a_run(keys, bytes, out, count);
		break;
	default:
		sl_murmur2_run(keys, bytes, out, count);
		for (i = 0; i < count; i++)
			out[i] &= INT32_MAX; /* a mask, not the magnitude */
	}
}

static bool available(const struct sl_sticky_load *load, uint32_t partition)
{
	return !load->available || load->available[partition];
}

static uint32_t available_count(const struct sl_sticky_load *load)
{
	uint32_t i, count = 0;

	for (i = 0; i < load->partition_count; i++)
		count += available(load, i);
	return count;
}

/* 0 .. below - 1, from all 64 bits */
static uint64_t scale(uint64_t random, uint64_t below)
{
	return (uint64_t)(((unsigned __int128)random * below) >> 64);
}

uint32_t sl_random_partition(const struct sl_sticky_load *load, uint64_t random)
{
	uint32_t count = available_count(load);
	uint32_t i, left;

	SL_ASSERT(load->partition_count > 0);
	if (count == 0)
		return (uint32_t)scale(random, load->partition_count);
	left = (uint32_t)scale(random, count);
	for (i = 0; !available(load, i) || left-- > 0; i++)
		;
	return i;
}

/* KIP-794: weight = longest queue + 1 - own. */
static uint32_t adaptive_partition(const struct sl_sticky_load *load, uint32_t longest,
				   uint64_t total, uint64_t random)
{
	uint64_t left = scale(random, total);
	uint32_t i;

	for (i = 0; i < load->partition_count; i++) {
		uint64_t weight = available(load, i) ? (uint64_t)longest + 1 - load->queue[i] : 0;

		if (left < weight)
			break;
		left -= weight;
	}
	SL_ASSERT(i < load->partition_count);
	return i;
}

uint32_t sl_sticky_next(struct sl_sticky *s, const struct sl_sticky_load *load, uint64_t random)
{
	uint32_t i, count = available_count(load), longest = 0, shortest = UINT32_MAX;
	uint64_t total = 0;

	SL_ASSERT(load->partition_count > 0);
	for (i = 0; load->queue && i < load->partition_count; i++) {
		if (!available(load, i))
			continue;
		longest = load->queue[i] > longest ? load->queue[i] : longest;
		shortest = load->queue[i] < shortest ? load->queue[i] : shortest;
		total += load->queue[i];
	}
	total = count * ((uint64_t)longest + 1) - total;
	if (!load->queue || count < 2 || longest == shortest)
		s->partition = sl_random_partition(load, random);
	else
		s->partition = adaptive_partition(load, longest, total, random);
	s->bytes = 0;
	return s->partition;
}

uint32_t sl_round_robin_next(uint32_t *last, const struct sl_sticky_load *load)
{
	uint32_t i, first;

	SL_ASSERT(load->partition_count > 0);
	first = (*last + 1) % load->partition_count;
	*last = first;
	for (i = 0; i < load->partition_count; i++) {
		uint32_t partition = (first + i) % load->partition_count;

		if (available(load, partition)) {
			*last = partition;
			break;
		}
	}
	return *last;
}
