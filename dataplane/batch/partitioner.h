/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which partition a record goes to: the hashes of Java's client, librdkafka and sarama, and for
 * records without a key sticky by bytes and adaptive to slow leaders (KIP-480, KIP-794). Any
 * thread; state is the caller's. No allocation.
 */
#ifndef SL_BATCH_PARTITIONER_H
#define SL_BATCH_PARTITIONER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sl_partitioner {
	SL_PARTITIONER_MURMUR2_RANDOM = 0, /* Java: no key: sticky; an empty key is hashed */
	SL_PARTITIONER_MURMUR2,            /* no key: as an empty one */
	SL_PARTITIONER_CONSISTENT_RANDOM,  /* CRC-32, librdkafka's default; no key or an empty one:
					      sticky */
	SL_PARTITIONER_CONSISTENT,         /* CRC-32; no key or an empty one: partition 0 */
	SL_PARTITIONER_FNV1A_RANDOM,       /* sarama; no key: sticky */
	SL_PARTITIONER_FNV1A,
	SL_PARTITIONER_ROUND_ROBIN, /* never looks at the key */
	SL_PARTITIONER_RANDOM,      /* never looks at the key */
	SL_PARTITIONER_COUNT
};

/* By its name in lower case, or -ENOENT. */
int sl_partitioner_by_name(const char *name);
const char *sl_partitioner_name(enum sl_partitioner kind);

enum sl_partitioner_way {
	SL_PARTITIONER_WAY_HASH,   /* sl_partitioner_hash_run() and sl_partitioner_of_hash() */
	SL_PARTITIONER_WAY_STICKY, /* sl_sticky_* */
	SL_PARTITIONER_WAY_ROUND_ROBIN,
	SL_PARTITIONER_WAY_RANDOM,
};

/* How a record with this key is placed. key_bytes -1: no key. */
static inline enum sl_partitioner_way sl_partitioner_way(enum sl_partitioner kind,
							 int32_t key_bytes)
{
	switch (kind) {
	case SL_PARTITIONER_MURMUR2_RANDOM:
	case SL_PARTITIONER_FNV1A_RANDOM:
		return key_bytes < 0 ? SL_PARTITIONER_WAY_STICKY : SL_PARTITIONER_WAY_HASH;
	case SL_PARTITIONER_CONSISTENT_RANDOM:
		return key_bytes <= 0 ? SL_PARTITIONER_WAY_STICKY : SL_PARTITIONER_WAY_HASH;
	case SL_PARTITIONER_ROUND_ROBIN:
		return SL_PARTITIONER_WAY_ROUND_ROBIN;
	case SL_PARTITIONER_RANDOM:
		return SL_PARTITIONER_WAY_RANDOM;
	default:
		return SL_PARTITIONER_WAY_HASH;
	}
}

/* Hashes of count keys; keys[i] may be NULL when bytes[i] is 0. Batch-wise, so that the keys'
 * latencies overlap. */
void sl_murmur2_run(const uint8_t *const keys[], const uint32_t bytes[], uint32_t out[],
		    uint32_t count);
void sl_crc32_run(const uint8_t *const keys[], const uint32_t bytes[], uint32_t out[],
		  uint32_t count);
void sl_fnv1a_run(const uint8_t *const keys[], const uint32_t bytes[], uint32_t out[],
		  uint32_t count);

/* What kind hashes by, already folded to the number of which the partition is the remainder. */
void sl_partitioner_hash_run(enum sl_partitioner kind, const uint8_t *const keys[],
			     const uint32_t bytes[], uint32_t out[], uint32_t count);

/* n % divisor without a division: set once a topic's partition count is known. */
struct sl_modulus {
	uint64_t inverse;
	uint32_t divisor; /* not 0 */
};

static inline struct sl_modulus sl_modulus_of(uint32_t divisor)
{
	return (struct sl_modulus){.inverse = UINT64_MAX / divisor + 1, .divisor = divisor};
}

static inline uint32_t sl_modulus_of_hash(const struct sl_modulus *m, uint32_t n)
{
	uint64_t fraction = m->inverse * n;

	return (uint32_t)(((unsigned __int128)fraction * m->divisor) >> 64);
}

/*
 * Keyless records of one topic: they stay on one partition until it got batch_bytes, then move at a
 * batch boundary. What the worker knows about queues decides where to; the longer a queue, the less
 * likely.
 */
struct sl_sticky {
	uint32_t partition; /* where keyless records go now */
	uint32_t bytes;     /* that went there since it was chosen */
};

struct sl_sticky_load { /* by partition of the topic; filled by the worker before sl_sticky_next()
			 */
	uint32_t partition_count;
	const uint32_t *queue;    /* batches that wait, or NULL: all alike */
	const uint8_t *available; /* not 0: its leader is known and takes data; NULL: all */
};

/* Chooses the next partition by one random number, and returns it. Without any available one, among
 * all. */
uint32_t sl_sticky_next(struct sl_sticky *s, const struct sl_sticky_load *load, uint64_t random);

/*
 * After an append of bytes: true when sl_sticky_next() is due. boundary: that record opened, closed
 * or filled a batch; away from a boundary the change comes at twice the bytes.
 */
static inline bool sl_sticky_account(struct sl_sticky *s, uint32_t bytes, uint32_t batch_bytes,
				     bool boundary)
{
	s->bytes += bytes;
	return s->bytes >= batch_bytes && (boundary || s->bytes >= 2 * (uint64_t)batch_bytes);
}

/* The next available partition after *last, or just the next one. *last starts anywhere. */
uint32_t sl_round_robin_next(uint32_t *last, const struct sl_sticky_load *load);
uint32_t sl_random_partition(const struct sl_sticky_load *load, uint64_t random);

#endif
