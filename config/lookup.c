/* SPDX-License-Identifier: Apache-2.0 */
#include "config/schema.h"

#include <assert.h>
#include <string.h>

enum { DISTANCE_LENGTH_MAX = 63 };

static bool row_has_alias(const struct sl_config_row *row, const char *key)
{
	for (size_t i = 0; i < sizeof(row->aliases) / sizeof(row->aliases[0]) && row->aliases[i];
	     i++)
		if (!strcmp(row->aliases[i], key))
			return true;
	return false;
}

const struct sl_config_row *sl_config_row_find(const char *key)
{
	for (uint32_t i = 0; i < sl_config_row_count; i++)
		if (!strcmp(sl_config_rows[i].key, key) || row_has_alias(&sl_config_rows[i], key))
			return &sl_config_rows[i];
	return NULL;
}

uint32_t sl_config_row_index(const char *key)
{
	const struct sl_config_row *row = sl_config_row_find(key);
	assert(row);
	return (uint32_t)(row - sl_config_rows);
}

const char *sl_config_unbuilt_why(const char *key)
{
	for (const struct sl_config_unbuilt *entry = sl_config_unbuilt_keys; entry->key; entry++) {
		size_t length = strlen(entry->key);
		bool prefix = entry->key[length - 1] == '*';
		if (prefix ? !strncmp(entry->key, key, length - 1) : !strcmp(entry->key, key))
			return entry->why;
	}
	return NULL;
}

static uint32_t min3(uint32_t a, uint32_t b, uint32_t c)
{
	uint32_t ab = a < b ? a : b;
	return ab < c ? ab : c;
}

/* Three rows of the usual table are enough: a swap looks back two. */
uint32_t sl_config_distance(const char *a, const char *b)
{
	size_t a_length = strlen(a), b_length = strlen(b);
	uint32_t rows[3][DISTANCE_LENGTH_MAX + 1];
	if (a_length > DISTANCE_LENGTH_MAX || b_length > DISTANCE_LENGTH_MAX)
		return UINT32_MAX;
	for (uint32_t j = 0; j <= b_length; j++)
		rows[0][j] = j;
	for (uint32_t i = 1; i <= a_length; i++) {
		uint32_t *now = rows[i % 3], *before = rows[(i - 1) % 3];
		const uint32_t *two_before = rows[(i + 1) % 3];
		now[0] = i;
		for (uint32_t j = 1; j <= b_length; j++) {
			uint32_t change = a[i - 1] != b[j - 1];
			now[j] = min3(before[j] + 1, now[j - 1] + 1, before[j - 1] + change);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    two_before[j - 2] + 1 < now[j])
				now[j] = two_before[j - 2] + 1;
		}
	}
	return rows[a_length % 3][b_length];
}

static void nearer(const char *key, const char *candidate, const char **best,
		   uint32_t *best_distance)
{
	uint32_t distance = sl_config_distance(key, candidate);
	if (distance < *best_distance) {
		*best = candidate;
		*best_distance = distance;
	}
}

const char *sl_config_row_nearest(const char *key, bool topic_only)
{
	const char *best = NULL;
	/* Farther than a third of the key is a guess that helps nobody. */
	uint32_t best_distance = (uint32_t)(strlen(key) / 3) + 2;
	for (uint32_t i = 0; i < sl_config_row_count; i++) {
		const struct sl_config_row *row = &sl_config_rows[i];
		if (topic_only && !row->topic)
			continue;
		nearer(key, row->key, &best, &best_distance);
		for (size_t j = 0;
		     j < sizeof(row->aliases) / sizeof(row->aliases[0]) && row->aliases[j]; j++)
			nearer(key, row->aliases[j], &best, &best_distance);
	}
	return best;
}
