/* SPDX-License-Identifier: Apache-2.0 */
#include "config/store.h"

#include <stdlib.h>
#include <string.h>

struct block {
	struct block *next;
	max_align_t bytes[];
};

struct sl_config_store {
	struct block *blocks;
};

static void *take(size_t count, size_t bytes_each)
{
	void *memory = calloc(count, bytes_each);
	if (!memory)
		abort();
	return memory;
}

struct sl_config_store *sl_config_store_create(void)
{
	return take(1, sizeof(struct sl_config_store));
}

void sl_config_store_destroy(struct sl_config_store *store)
{
	if (!store)
		return;
	while (store->blocks) {
		struct block *next = store->blocks->next;
		free(store->blocks);
		store->blocks = next;
	}
	free(store);
}

void *sl_config_store_take(struct sl_config_store *store, size_t count, size_t bytes_each)
{
	size_t bytes;
	if (__builtin_mul_overflow(count, bytes_each, &bytes) ||
	    __builtin_add_overflow(bytes, sizeof(struct block), &bytes))
		abort();
	struct block *block = take(1, bytes);
	block->next = store->blocks;
	store->blocks = block;
	return block->bytes;
}

char *sl_config_store_text(struct sl_config_store *store, const char *text, size_t length)
{
	char *copy = sl_config_store_take(store, length + 1, 1);
	memcpy(copy, text, length);
	return copy;
}
