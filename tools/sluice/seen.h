/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which sequences of one sender were seen: a bit each, in pages of 4096 made when they are needed, so that a sender's
 * 100 M records take 13 MB. Each page also keeps where one of its records was seen, to show a person the place of
 * those that are absent. One thread.
 */
#ifndef SLUICE_TOOL_SEEN_H
#define SLUICE_TOOL_SEEN_H

#include <stdbool.h>
#include <stdint.h>

enum { SEEN_PAGE_SHIFT = 12, SEEN_PAGE_BITS = 1 << SEEN_PAGE_SHIFT, SEEN_PAGES_MAX = 1 << 20 };

/* The first sequence that has no place: 2^32. */
#define SEEN_END ((uint64_t)SEEN_PAGES_MAX << SEEN_PAGE_SHIFT)

struct place {
	int64_t offset;
	uint64_t sequence;
	uint32_t topic; /* the caller's number */
	int32_t partition;
};

struct seen_page {
	uint64_t words[SEEN_PAGE_BITS / 64];
	struct place place;
};

/* Memory of all sets of one judge. */
struct seen_budget {
	uint64_t bytes, bytes_max;
};

struct seen {
	struct seen_page **pages;
	uint32_t page_count; /* room in pages */
	uint64_t end;        /* one past the largest sequence seen */
	struct seen_budget *budget;
};

/* 1 when it was seen before, 0 when it was not, -ENOMEM also above the budget, -E2BIG from SEEN_END on. */
int seen_add(struct seen *s, const struct place *place);

/* How many of [from, to) were seen. */
uint64_t seen_count(const struct seen *s, uint64_t from, uint64_t to);

/* The first of [from, to) that was not seen; to when all were. */
uint64_t seen_first_absent(const struct seen *s, uint64_t from, uint64_t to);

/* The first of [from, to) that was seen; to when none was. */
uint64_t seen_first_present(const struct seen *s, uint64_t from, uint64_t to);

/* A record that was seen not far from this sequence; false when there is none within some pages. */
bool seen_near(const struct seen *s, uint64_t sequence, struct place *out);

void seen_free(struct seen *s);

#endif
