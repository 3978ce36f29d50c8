/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of this folder share and nobody else needs: geometry, chunks and chains. Worker,
 * but for geometry. */
#ifndef SL_BATCH_ARENA_INTERNAL_H
#define SL_BATCH_ARENA_INTERNAL_H

#include <string.h>

#include "dataplane/batch/arena.h"

#define SL_ARENA_MAGIC "SLARENA\n"

/* Offsets of the tables in the file. */
struct sl_arena_geometry {
	uint32_t chunk_bytes, chunk_count, segment_count, ring_count, topic_count, partition_count;
	uint64_t segments, rings, topics, partitions, batches, dir, chunks, file_bytes;
};

/* Fills the offsets from the counts. False when a count is out of range. */
bool sl_arena_geometry_fill(struct sl_arena_geometry *g);
bool sl_arena_geometry_of(const struct sl_arena_options *opts, struct sl_arena_geometry *g);

/* The tables in memory for a mapping at base, of which nothing is read or written. 0 or -ENOMEM. */
int sl_arena_tables_make(struct sl_arena **out, const struct sl_arena_options *opts,
			 const struct sl_arena_geometry *g, uint8_t *base, struct sl_error *err);

/* The same, and the mapping is initialised to an empty arena. */
int sl_arena_attach_new(struct sl_arena **out, const struct sl_arena_options *opts, uint8_t *base,
			struct sl_error *err);
/* The cluster's id is left out: it becomes known after the header was written. */
uint32_t sl_arena_header_sum(const struct sl_arena_header *h);
bool sl_arena_header_sane(const struct sl_arena_header *h, struct sl_arena_geometry *g);

/* Opens what is at path, privately ours, and takes its lock. The descriptor or a negative errno. */
int sl_arena_file_lock(const char *path, struct sl_error *err);
void sl_boot_id_read(uint8_t out[16]);

/*
 * Recovery, by the files of that name; each may be killed at any store and done again.
 *   arena_slots_load.c   the small tables: what is no slot becomes none
 *   arena_walk.c         one descriptor and its chain, believed by nobody
 *   arena_recover.c      steps 1, 2, 5, 6 and 7 over all descriptors
 */
void sl_slots_recover(struct sl_arena *a, struct sl_arena_loaded *loaded);
void sl_slots_tidy(struct sl_arena *a);
int sl_batches_recover(struct sl_arena *a, struct sl_arena_loaded *loaded, struct sl_error *err);

enum sl_walk_result {
	SL_WALK_GOOD,
	SL_WALK_FIELDS, /* the chain and its runs can be read, other fields cannot be believed */
	SL_WALK_CHAIN,  /* the chain or the runs are damaged */
};

/* Judges a descriptor that is not FREE. owner: by chunk, the batch that has it; chunks it takes are
 * marked. *rival: the batch that has one of its chunks too, or SL_NONE. An OPEN one is made ready
 * for appends. */
enum sl_walk_result sl_batch_walk(struct sl_arena *a, uint32_t batch, uint32_t *owner,
				  uint32_t *rival);

/* Closes the chain of an OPEN batch and freezes it. */
void sl_chain_close(struct sl_arena *a, uint32_t batch);

/* The partition's numbers start over under another producer id. 0 or -EOVERFLOW. */
int sl_partition_pid_move(struct sl_arena *a, struct sl_arena_partition *p, uint32_t pid_slot);

/* CRC-32C of what is frozen at seal: tail, timestamps, the selected chain, birth, payload_crc. */
uint32_t sl_batch_frozen_sum(const struct sl_arena_batch *b, uint32_t selector);

static inline void sl_dir_store(struct sl_arena *a, uint32_t chunk, struct sl_arena_chunk entry)
{
	uint64_t word;

	memcpy(&word, &entry, sizeof(word));
	SL_ORDER(); /* what an entry covers was stored before it */
	__atomic_store_n((uint64_t *)&a->dir[chunk], word, __ATOMIC_RELAXED);
	SL_ORDER();
}

/* The caller has looked at chunks_free. An entry of its earlier life would cut the chain short, so
 * it is reset first. */
static inline uint32_t sl_chunk_take(struct sl_arena *a)
{
	uint32_t chunk;

	SL_ASSERT(a->chunks_free > 0);
	chunk = a->chunk_stack[--a->chunks_free];
	sl_dir_store(a, chunk, (struct sl_arena_chunk){SL_NONE, 0xffff, 0xffff});
	return chunk;
}

static inline void sl_chunk_give(struct sl_arena *a, uint32_t chunk)
{
	SL_ASSERT(a->chunks_free < a->chunk_count);
	a->chunk_stack[a->chunks_free++] = chunk;
}

/* Gives a chain back whose last entry's next is SL_NONE. */
static inline void sl_chain_give(struct sl_arena *a, uint32_t chunk)
{
	while (chunk != SL_NONE) {
		uint32_t next = a->dir[chunk].next;

		sl_chunk_give(a, chunk);
		chunk = next;
	}
}

/* Of a batch's chain, which ends with SL_NONE. */
static inline uint32_t sl_batch_chunks(const struct sl_arena *a, uint32_t batch)
{
	const struct sl_arena_batch *b = &a->batches[batch];
	uint32_t selector =
		sl_life_unpack(atomic_load_explicit(&b->life, memory_order_relaxed)).selector;
	uint32_t chunk, count = 0;

	for (chunk = b->chain[selector].first_chunk; chunk != SL_NONE; chunk = a->dir[chunk].next)
		count++;
	return count;
}

static inline uint64_t sl_chunk_end(const struct sl_arena *a, uint32_t chunk)
{
	return sl_arena_chunk_offset(a, chunk) + a->chunk_bytes;
}

/* What the last chunk of an OPEN batch holds. */
static inline struct sl_arena_chunk sl_open_chunk(const struct sl_arena *a, uint32_t batch)
{
	const struct sl_arena_batch *b = &a->batches[batch];
	uint32_t chunk = a->links[batch].last_chunk;

	return (struct sl_arena_chunk){
		.next = SL_NONE,
		.bytes = (uint16_t)(b->write_offset - sl_arena_chunk_offset(a, chunk)),
		.runs = (uint16_t)((sl_chunk_end(a, chunk) - b->run_offset) / sizeof(uint64_t)),
	};
}

static inline void sl_life_store(struct sl_arena_batch *b, struct sl_life life)
{
	SL_ORDER(); /* all that the new state promises was stored before it */
	atomic_store_explicit(&b->life, sl_life_pack(life), memory_order_relaxed);
	SL_ORDER();
}

static inline struct sl_life sl_life_load(const struct sl_arena_batch *b)
{
	return sl_life_unpack(atomic_load_explicit(&b->life, memory_order_relaxed));
}

static inline uint64_t sl_tail_load(const struct sl_arena_batch *b)
{
	return atomic_load_explicit(&b->tail, memory_order_relaxed);
}

#endif
