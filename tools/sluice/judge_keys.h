/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last sequence of each key of each sender in the partition that is read, by a 64-bit hash: two keys with the same hash are one key
 * here, which happens once in millions of runs. A fixed number of keys, then no more are taken in. One thread.
 */
#ifndef SLUICE_TOOL_JUDGE_KEYS_H
#define SLUICE_TOOL_JUDGE_KEYS_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/wire/buf.h"

struct judge_key {
	uint64_t hash; /* 0: free */
	uint64_t next; /* one past the largest sequence */
};

struct judge_keys {
	struct judge_key *slots;
	uint64_t room, count, count_max;
	uint64_t forgotten; /* keys before the last judge_keys_forget() */
	bool more; /* there were keys that found no place */
};

/* The hash of a key under what keeps senders and partitions apart. Never 0. */
uint64_t judge_key_hash(struct sl_slice key, uint64_t context);

/* True when this key came with a larger sequence before. */
bool judge_keys_note(struct judge_keys *k, uint64_t hash, uint64_t sequence);

/* Another partition begins: order is judged within one. */
void judge_keys_forget(struct judge_keys *k);

void judge_keys_free(struct judge_keys *k);

#endif
