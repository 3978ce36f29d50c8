/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/sluice/judge_keys.h"

#include <stdlib.h>

enum { ROOM_BEGIN = 1 << 12 };

/* Multiplies and folds, so that every bit of both decides every bit of the result. */
static uint64_t mix(uint64_t a, uint64_t b)
{
	__uint128_t product = (__uint128_t)(a ^ UINT64_C(0xa0761d6478bd642f)) * (b ^ UINT64_C(0xe7037ed1a0b428db));

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint64_t judge_key_hash(struct sl_slice key, uint64_t context)
{
	const uint8_t *p = key.data;
	uint64_t hash = mix(context, key.bytes);
	uint32_t left = key.bytes;

	for (; left >= 8; left -= 8, p += 8)
		hash = mix(hash, sl_load_be64(p));
	if (left > 0) {
		uint64_t last = 0;

		memcpy(&last, p, left);
		hash = mix(hash, last);
	}
	return hash ? hash : 1;
}

static struct judge_key *find(const struct judge_keys *k, uint64_t hash)
{
	uint64_t at = hash & (k->room - 1);

	while (k->slots[at].hash != 0 && k->slots[at].hash != hash)
		at = (at + 1) & (k->room - 1);
	return &k->slots[at];
}

/* Twice the room, when half of it is taken. */
static bool grow(struct judge_keys *k)
{
	struct judge_keys grown = {.room = k->room ? 2 * k->room : ROOM_BEGIN};
	uint64_t i;

	grown.slots = calloc(grown.room, sizeof(*grown.slots));
	if (!grown.slots)
		return false;
	for (i = 0; i < k->room; i++)
		if (k->slots[i].hash != 0)
			*find(&grown, k->slots[i].hash) = k->slots[i];
	free(k->slots);
	k->slots = grown.slots;
	k->room = grown.room;
	return true;
}

bool judge_keys_note(struct judge_keys *k, uint64_t hash, uint64_t sequence)
{
	struct judge_key *key;

	if (2 * k->count >= k->room && k->count < k->count_max && !grow(k))
		k->count_max = k->count;
	key = k->room ? find(k, hash) : NULL;
	if (!key || (key->hash == 0 && k->count >= k->count_max)) {
		k->more = true;
		return false;
	}
	if (key->hash == 0) {
		*key = (struct judge_key){hash, 0};
		k->count++;
	}
	if (sequence + 1 < key->next)
		return true;
	key->next = sequence + 1;
	return false;
}

void judge_keys_forget(struct judge_keys *k)
{
	if (k->count > 0)
		memset(k->slots, 0, k->room * sizeof(*k->slots));
	k->forgotten += k->count;
	k->count = 0;
}

void judge_keys_free(struct judge_keys *k)
{
	free(k->slots);
	k->slots = NULL;
	k->room = k->count = 0;
}
