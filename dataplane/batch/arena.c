/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/batch/arena.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "dataplane/base/crc32c.h"
#include "dataplane/batch/arena_internal.h"

enum { SLOTS_MAX = 1 << 24, CHUNKS_MAX = 1 << 28, SCRATCH_SLACK_BYTES = 64 };

static uint64_t round_up(uint64_t n, uint64_t to)
{
	return (n + to - 1) / to * to;
}

bool sl_arena_geometry_fill(struct sl_arena_geometry *g)
{
	bool power = (g->chunk_bytes & (g->chunk_bytes - 1)) == 0;

	if (!power || g->chunk_bytes < SL_CHUNK_BYTES_MIN || g->chunk_bytes > SL_CHUNK_BYTES_MAX)
		return false;
	if (g->chunk_count == 0 || g->chunk_count > CHUNKS_MAX ||
	    g->ring_count > SL_ARENA_RINGS_MAX || g->topic_count > SL_ARENA_TOPICS_MAX ||
	    g->segment_count > SLOTS_MAX || g->partition_count > SLOTS_MAX)
		return false;
	g->segments = sizeof(struct sl_arena_header);
	g->rings = g->segments + (uint64_t)g->segment_count * sizeof(struct sl_arena_segment);
	g->topics = g->rings + (uint64_t)g->ring_count * sizeof(struct sl_arena_ring);
	g->partitions = g->topics + (uint64_t)g->topic_count * sizeof(struct sl_arena_topic);
	g->batches =
		g->partitions + (uint64_t)g->partition_count * sizeof(struct sl_arena_partition);
	g->dir = g->batches + (uint64_t)g->chunk_count * sizeof(struct sl_arena_batch);
	g->chunks = round_up(g->dir + (uint64_t)g->chunk_count * sizeof(struct sl_arena_chunk),
			     SL_ARENA_ALIGN);
	g->file_bytes =
		round_up(g->chunks + (uint64_t)g->chunk_count * g->chunk_bytes, SL_ARENA_ALIGN);
	return true;
}

/* One split holds original and pieces at once; nested ones one chunk and one descriptor more a
 * level. */
static uint32_t reserve_levels(const struct sl_arena_options *opts)
{
	return (uint32_t)(32 - __builtin_clz(opts->batch_records_max | 1)) + 1;
}

static uint32_t batch_chunks(const struct sl_arena_options *opts)
{
	return (opts->batch_bytes_max + opts->chunk_bytes - 1) / opts->chunk_bytes;
}

/* Besides the split's reserve, the largest batch and one more chunk for its runs. */
static uint32_t chunks_min(const struct sl_arena_options *opts)
{
	return 2 * batch_chunks(opts) + reserve_levels(opts) + 2;
}

/* What a compression may take while new records have the rest, or a full arena would send all as it
 * came and only become fuller. An eighth at most: larger batches are of a single record. */
static uint32_t compress_chunks(const struct sl_arena_options *opts, uint32_t chunk_count)
{
	uint32_t chunks = batch_chunks(opts) + 1;
	uint32_t spare = chunk_count > chunks_min(opts) ? chunk_count - chunks_min(opts) : 0;

	if (chunks > chunk_count / 8)
		chunks = chunk_count / 8;
	return chunks < spare ? chunks : spare;
}

bool sl_arena_geometry_of(const struct sl_arena_options *opts, struct sl_arena_geometry *g)
{
	if (opts->chunk_bytes < SL_CHUNK_BYTES_MIN || opts->bytes / opts->chunk_bytes > CHUNKS_MAX)
		return false;
	if (opts->batch_bytes_max == 0 || opts->batch_bytes_max > SL_BATCH_BYTES_LIMIT ||
	    opts->batch_records_max == 0 || opts->batch_records_max > SL_BATCH_RECORDS_LIMIT ||
	    opts->brokers_max > SLOTS_MAX || opts->broker_percent > 100 || opts->topic_percent > 100)
		return false;
	*g = (struct sl_arena_geometry){
		.chunk_bytes = opts->chunk_bytes,
		.chunk_count = (uint32_t)(opts->bytes / opts->chunk_bytes),
		.segment_count = opts->segments_max,
		.ring_count = opts->rings_max,
		.topic_count = opts->topics_max,
		.partition_count = opts->partitions_max,
	};
	if (g->chunk_count < chunks_min(opts))
		return false;
	return sl_arena_geometry_fill(g);
}

uint64_t sl_arena_file_bytes(const struct sl_arena_options *opts)
{
	struct sl_arena_geometry g;

	return sl_arena_geometry_of(opts, &g) ? g.file_bytes : 0;
}

static uint64_t memory_bytes(const struct sl_arena_geometry *g, const struct sl_arena_options *opts)
{
	return sizeof(struct sl_arena) +
	       (uint64_t)g->ring_count * (sizeof(uint64_t) + sizeof(struct sl_ring_evidence)) +
	       (uint64_t)g->chunk_count * (sizeof(struct sl_batch_link) + 3 * sizeof(uint32_t)) +
	       (uint64_t)g->partition_count * sizeof(struct sl_budget_owner) +
	       ((uint64_t)opts->brokers_max + 1 + g->topic_count) * sizeof(struct sl_budget_group) +
	       opts->batch_bytes_max + SCRATCH_SLACK_BYTES;
}

uint64_t sl_arena_memory_bytes(const struct sl_arena_options *opts)
{
	struct sl_arena_geometry g;

	return sl_arena_geometry_of(opts, &g) ? memory_bytes(&g, opts) : 0;
}

uint32_t sl_arena_header_sum(const struct sl_arena_header *h)
{
	uint32_t sum = sl_crc32c(0, h, offsetof(struct sl_arena_header, cluster_id));

	return sl_crc32c(sum, &h->zero, sizeof(h->zero));
}

static void header_init(struct sl_arena_header *h, const struct sl_arena_geometry *g,
			uint32_t worker_index)
{
	uint32_t i;

	memset(h, 0, sizeof(*h));
	memcpy(h->magic, SL_ARENA_MAGIC, sizeof(h->magic));
	h->layout_version = SL_ARENA_LAYOUT;
	h->header_bytes = sizeof(*h);
	h->layout_hash = sl_arena_layout_hash();
	strncpy(h->build, SL_VERSION, sizeof(h->build) - 1);
	h->chunk_bytes = g->chunk_bytes;
	h->chunk_count = g->chunk_count;
	h->batch_count = g->chunk_count;
	h->partition_count = g->partition_count;
	h->topic_count = g->topic_count;
	h->segment_count = g->segment_count;
	h->ring_count = g->ring_count;
	h->worker_index = worker_index;
	h->file_bytes = g->file_bytes;
	atomic_init(&h->turn, 1);
	atomic_init(&h->reporting, SL_NONE);
	for (i = 0; i < SL_ARENA_PIDS; i++)
		h->pids[i].producer_id = -1;
	h->fixed_sum = sl_arena_header_sum(h);
}

static void tables_point(struct sl_arena *a, const struct sl_arena_geometry *g)
{
	a->header = (struct sl_arena_header *)a->base;
	a->segments = (struct sl_arena_segment *)(a->base + g->segments);
	a->rings = (struct sl_arena_ring *)(a->base + g->rings);
	a->topics = (struct sl_arena_topic *)(a->base + g->topics);
	a->partitions = (struct sl_arena_partition *)(a->base + g->partitions);
	a->batches = (struct sl_arena_batch *)(a->base + g->batches);
	a->dir = (struct sl_arena_chunk *)(a->base + g->dir);
	a->chunks_offset = g->chunks;
	a->chunk_bytes = g->chunk_bytes;
	a->chunk_shift = (uint32_t)__builtin_ctz(g->chunk_bytes);
	a->segment_count = g->segment_count;
	a->ring_count = g->ring_count;
	a->topic_count = g->topic_count;
	a->partition_count = g->partition_count;
	a->batch_count = a->chunk_count = g->chunk_count;
	a->file_bytes = g->file_bytes;
}

/* Tables lie behind the struct, those with the widest elements first. */
static void memory_point(struct sl_arena *a)
{
	uint8_t *p = (uint8_t *)(a + 1);

	a->ring_seq = (uint64_t *)p;
	p += a->ring_count * sizeof(*a->ring_seq);
	a->evidence = (struct sl_ring_evidence *)p;
	p += a->ring_count * sizeof(*a->evidence);
	a->links = (struct sl_batch_link *)p;
	p += a->batch_count * sizeof(*a->links);
	a->budget.owners = (struct sl_budget_owner *)p;
	p += a->partition_count * sizeof(*a->budget.owners);
	a->budget.brokers = (struct sl_budget_group *)p;
	p += (a->budget.broker_count + 1) * sizeof(*a->budget.brokers);
	a->budget.topics = (struct sl_budget_group *)p;
	p += a->topic_count * sizeof(*a->budget.topics);
	a->chunk_stack = (uint32_t *)p;
	p += a->chunk_count * sizeof(*a->chunk_stack);
	a->batch_stack = (uint32_t *)p;
	p += a->batch_count * sizeof(*a->batch_stack);
	a->by_birth = (uint32_t *)p;
	p += a->batch_count * sizeof(*a->by_birth);
	a->scratch = p;
}

static void stacks_fill(struct sl_arena *a)
{
	uint32_t i;

	/* The lowest lies on top. */
	for (i = 0; i < a->chunk_count; i++)
		a->chunk_stack[i] = a->batch_stack[i] = a->chunk_count - 1 - i;
	a->chunks_free = a->batches_free = a->chunk_count;
}

int sl_arena_tables_make(struct sl_arena **out, const struct sl_arena_options *opts,
			 const struct sl_arena_geometry *g, uint8_t *base, struct sl_error *err)
{
	uint64_t bytes = memory_bytes(g, opts);
	struct sl_arena *a;

	a = aligned_alloc(64, round_up(bytes, 64));
	if (!a)
		return sl_error_set(err, -ENOMEM, "tables of the arena: %llu bytes",
				    (unsigned long long)bytes);
	memset(a, 0, bytes); /* faulted in here rather than by the worker */
	a->base = base;
	a->memory_bytes = bytes;
	tables_point(a, g);
	a->budget.broker_count = opts->brokers_max;
	a->budget.broker_percent = opts->broker_percent ? opts->broker_percent : 100;
	a->budget.topic_percent = opts->topic_percent ? opts->topic_percent : 100;
	a->budget.chunks_min = batch_chunks(opts) + 2; /* its runs, and what a chunk boundary costs */
	memory_point(a);
	a->batch_bytes_max = opts->batch_bytes_max;
	a->batch_records_max = opts->batch_records_max;
	a->chunks_split = batch_chunks(opts) + reserve_levels(opts);
	a->chunks_reserve = a->chunks_split + compress_chunks(opts, g->chunk_count);
	a->batches_reserve = reserve_levels(opts);
	*out = a;
	return 0;
}

int sl_arena_attach_new(struct sl_arena **out, const struct sl_arena_options *opts, uint8_t *base,
			struct sl_error *err)
{
	struct sl_arena_geometry g;
	struct sl_arena *a;
	int rc;

	if (!sl_arena_geometry_of(opts, &g))
		return sl_error_set(err, -EINVAL, "arena of %llu bytes: sizes are out of range",
				    (unsigned long long)opts->bytes);
	rc = sl_arena_tables_make(&a, opts, &g, base, err);
	if (rc < 0)
		return rc;
	a->turn = 1;
	a->birth_next = UINT64_C(1) << 20;
	header_init(a->header, &g, opts->worker_index);
	stacks_fill(a);
	*out = a;
	return 0;
}

int sl_arena_create_memory(struct sl_arena **out, const struct sl_arena_options *opts,
			   struct sl_error *err)
{
	uint64_t bytes = sl_arena_file_bytes(opts);
	void *base;
	int rc;

	if (bytes == 0)
		return sl_error_set(err, -EINVAL, "arena of %llu bytes: sizes are out of range",
				    (unsigned long long)opts->bytes);
	base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (base == MAP_FAILED)
		return sl_error_set(err, -errno, "map %llu bytes for an arena",
				    (unsigned long long)bytes);
	madvise(base, bytes, MADV_HUGEPAGE); /* keyed appends touch many pages */
	rc = sl_arena_attach_new(out, opts, base, err);
	if (rc < 0)
		munmap(base, bytes);
	return rc;
}

void sl_arena_turn_begin(struct sl_arena *a)
{
	uint64_t turn = atomic_load_explicit(&a->header->turn, memory_order_relaxed) + 1;

	SL_ORDER(); /* all cursors of the last phase were stored: its batches are no evidence any
		       more */
	atomic_store_explicit(&a->header->turn, turn, memory_order_relaxed);
	SL_ORDER();
	a->turn = (uint32_t)turn;
}

void sl_arena_ring_cursor_store(struct sl_arena *a, uint32_t ring_slot, uint64_t pos, uint64_t seq)
{
	struct sl_arena_ring *ring = &a->rings[ring_slot];
	uint64_t generation = atomic_load_explicit(&ring->generation, memory_order_relaxed) + 1;

	SL_ASSERT(ring_slot < a->ring_count);
	ring->slot[generation & 1].pos = pos;
	SL_ORDER();
	ring->slot[generation & 1].seq = seq;
	SL_ORDER(); /* position and number change together, by the generation */
	atomic_store_explicit(&ring->generation, generation, memory_order_relaxed);
	SL_ORDER(); /* the application gets the space back after this */
	a->ring_seq[ring_slot] = seq;
}

struct sl_arena_ring_cursor sl_arena_ring_cursor(const struct sl_arena *a, uint32_t ring_slot)
{
	const struct sl_arena_ring *ring = &a->rings[ring_slot];

	return ring->slot[atomic_load_explicit(&ring->generation, memory_order_relaxed) & 1];
}
