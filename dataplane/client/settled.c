/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/base/assert.h"
#include "dataplane/client/client.h"

enum { SETTLED_BITS_MIN = 4096 };

static bool settled_get(const struct settled_map *map, uint64_t seq)
{
	uint64_t bit = seq & (map->bits - 1);

	return map->words[bit / 64] >> (bit % 64) & 1;
}

/* The window doubles until seq fits; the words keep their meaning because a sequence's place is its
 * low bits. */
static int settled_grow(struct settled_map *map, uint64_t seq)
{
	uint64_t bits = map->bits ? map->bits : SETTLED_BITS_MIN;
	struct settled_map grown = *map;
	uint64_t s;

	while (seq - map->floor_seq >= bits)
		bits *= 2;
	grown.bits = bits;
	grown.words = calloc(bits / 64, sizeof(uint64_t));
	if (!grown.words)
		return -ENOMEM;
	for (s = map->floor_seq; s < map->floor_seq + map->bits; s += 64)
		grown.words[(s & (bits - 1)) / 64] = map->words[(s & (map->bits - 1)) / 64];
	free(map->words);
	*map = grown;
	return 0;
}

int sl_settled_mark_slow(struct settled_map *map, uint64_t first_seq, uint64_t count)
{
	uint64_t end = first_seq + count;
	uint64_t seq;

	if (count == 0 || end <= map->floor_seq)
		return 0;
	if (first_seq < map->floor_seq)
		first_seq = map->floor_seq;
	if (end - 1 - map->floor_seq >= map->bits && settled_grow(map, end - 1) < 0)
		return -ENOMEM;
	for (seq = first_seq; seq < end;) {
		uint64_t bit = seq & (map->bits - 1);
		uint64_t run = 64 - bit % 64 < end - seq ? 64 - bit % 64 : end - seq;
		uint64_t ones = run == 64 ? UINT64_MAX : (UINT64_C(1) << run) - 1;

		map->words[bit / 64] |= ones << (bit % 64);
		seq += run;
	}
	for (;;) {
		uint64_t *word = &map->words[(map->floor_seq & (map->bits - 1)) / 64];

		if (*word != UINT64_MAX)
			return 0;
		*word = 0;
		map->floor_seq += 64;
	}
}

bool sl_settled_gap(const struct settled_map *map, uint64_t end_seq, uint64_t *first_seq,
		    uint64_t *count)
{
	uint64_t window_end = map->floor_seq + map->bits;
	uint64_t seq = map->floor_seq;
	uint64_t start;

	while (seq < end_seq && seq < window_end && settled_get(map, seq))
		seq++;
	if (seq >= end_seq)
		return false;
	start = seq;
	while (seq < end_seq && seq < window_end && !settled_get(map, seq))
		seq++;
	*first_seq = start;
	*count = (seq < window_end ? seq : end_seq) - start;
	return true;
}

void sl_settled_free(struct settled_map *map)
{
	free(map->words);
	*map = (struct settled_map){0};
}
