/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeps the large blocks that a fuzz target callocs and frees, and gives them out again: a worker's
 * life takes ten megabytes, hardly touched, and mapping them, and the sanitizer's shadow of them,
 * would take most of the time of a run. Linked with --wrap=calloc, --wrap=free.
 *
 * A block is all zeros each time, lies between pages that nobody may touch, and is one of those
 * itself while it is free. One thread.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "dataplane/base/assert.h"

enum { BYTES_MIN = 32 * 1024, BLOCKS_MAX = 64, PAGE = 4096 };

struct block {
	uint8_t *at; /* ends with the last page, so that nothing behind it can be touched unseen */
	size_t pages_bytes, bytes;
	bool used;
};

static struct block blocks[BLOCKS_MAX];
static uint32_t block_count;

void *__real_calloc(size_t count, size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void __real_free(void *p);
void __wrap_free(void *p);

static struct block *block_map(size_t bytes)
{
	size_t pages_bytes = (bytes + PAGE - 1) & ~(size_t)(PAGE - 1);
	uint8_t *base = mmap(NULL, pages_bytes + (size_t)2 * PAGE, PROT_NONE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct block *b = &blocks[block_count++];

	SL_ASSERT(base != MAP_FAILED && block_count <= BLOCKS_MAX);
	*b = (struct block){base + PAGE + (pages_bytes - bytes), pages_bytes, bytes, false};
	return b;
}

static uint8_t *block_pages(const struct block *b)
{
	return b->at + b->bytes - b->pages_bytes;
}

static void *take(size_t bytes)
{
	struct block *b = NULL;
	uint32_t i;

	for (i = 0; i < block_count && !b; i++)
		if (!blocks[i].used && blocks[i].bytes == bytes)
			b = &blocks[i];
	if (!b)
		b = block_map(bytes);
	SL_ASSERT(mprotect(block_pages(b), b->pages_bytes, PROT_READ | PROT_WRITE) == 0);
	b->used = true;
	return b->at;
}

void *__wrap_calloc(size_t count, size_t bytes)
{
	size_t all;

	/* What is no whole number of 16 bytes would not be aligned at the end of its pages. */
	if (__builtin_mul_overflow(count, bytes, &all) || all < BYTES_MIN || all % 16 != 0)
		return __real_calloc(count, bytes);
	return take(all);
}

void __wrap_free(void *p)
{
	uint32_t i;

	for (i = 0; i < block_count; i++) {
		struct block *b = &blocks[i];

		if (b->at != p)
			continue;
		SL_ASSERT(b->used);
		SL_ASSERT(madvise(block_pages(b), b->pages_bytes, MADV_DONTNEED) == 0);
		SL_ASSERT(mprotect(block_pages(b), b->pages_bytes, PROT_NONE) == 0);
		b->used = false;
		return;
	}
	__real_free(p);
}
