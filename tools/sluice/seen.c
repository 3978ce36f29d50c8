/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/sluice/seen.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { PAGES_BEGIN = 64, NEAR_PAGES = 64 };

static int pages_grow(struct seen *s, uint64_t page)
{
	uint64_t count = s->page_count ? s->page_count : PAGES_BEGIN;
	struct seen_page **pages;

	while (count <= page)
		count *= 2;
	pages = realloc(s->pages, count * sizeof(struct seen_page *));
	if (!pages)
		return -ENOMEM;
	memset(pages + s->page_count, 0, (count - s->page_count) * sizeof(struct seen_page *));
	s->budget->bytes += (count - s->page_count) * sizeof(struct seen_page *);
	s->pages = pages;
	s->page_count = (uint32_t)count;
	return 0;
}

static struct seen_page *page_make(struct seen *s, const struct place *place)
{
	uint64_t page = place->sequence >> SEEN_PAGE_SHIFT;
	struct seen_page *made;

	if (page >= s->page_count && pages_grow(s, page) < 0)
		return NULL;
	if (s->budget->bytes + sizeof(*made) > s->budget->bytes_max)
		return NULL;
	made = calloc(1, sizeof(*made));
	if (!made)
		return NULL;
	made->place = *place;
	s->budget->bytes += sizeof(*made);
	s->pages[page] = made;
	return made;
}

int seen_add(struct seen *s, const struct place *place)
{
	uint64_t page = place->sequence >> SEEN_PAGE_SHIFT;
	uint64_t bit = place->sequence & (SEEN_PAGE_BITS - 1), mask = UINT64_C(1) << (bit & 63);
	struct seen_page *at;

	if (place->sequence >= SEEN_END)
		return -E2BIG;
	at = page < s->page_count ? s->pages[page] : NULL;
	if (!at)
		at = page_make(s, place);
	if (!at)
		return -ENOMEM;
	if (at->words[bit / 64] & mask)
		return 1;
	at->words[bit / 64] |= mask;
	if (place->sequence >= s->end)
		s->end = place->sequence + 1;
	return 0;
}

/* The bits of the word that holds sequence, those before it masked out; a page that is not there is all absent. */
static uint64_t word_from(const struct seen *s, uint64_t sequence)
{
	uint64_t page = sequence >> SEEN_PAGE_SHIFT;
	uint64_t bit = sequence & (SEEN_PAGE_BITS - 1);

	if (page >= s->page_count || !s->pages[page])
		return 0;
	return s->pages[page]->words[bit / 64] & UINT64_MAX << (bit & 63);
}

/* Where the run of equal treatment ends: the next word, or the end of a page that is not there. */
static uint64_t step_end(const struct seen *s, uint64_t sequence, uint64_t to)
{
	uint64_t page = sequence >> SEEN_PAGE_SHIFT;
	uint64_t end;

	if (page >= s->page_count)
		return to;
	end = s->pages[page] ? (sequence | 63) + 1 : (page + 1) << SEEN_PAGE_SHIFT;
	return end < to ? end : to;
}

static uint64_t low_bits(uint64_t sequence, uint64_t end)
{
	uint64_t bits = end - (sequence & ~UINT64_C(63));

	return bits >= 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1;
}

uint64_t seen_count(const struct seen *s, uint64_t from, uint64_t to)
{
	uint64_t count = 0, end;

	for (; from < to; from = end) {
		end = step_end(s, from, to);
		count += (uint64_t)__builtin_popcountll(word_from(s, from) & low_bits(from, end));
	}
	return count;
}

uint64_t seen_first_present(const struct seen *s, uint64_t from, uint64_t to)
{
	uint64_t end;

	for (; from < to; from = end) {
		uint64_t word = word_from(s, from);

		end = step_end(s, from, to);
		word &= low_bits(from, end);
		if (word)
			return (from & ~UINT64_C(63)) + (uint64_t)__builtin_ctzll(word);
	}
	return to;
}

uint64_t seen_first_absent(const struct seen *s, uint64_t from, uint64_t to)
{
	uint64_t end;

	for (; from < to; from = end) {
		uint64_t absent = ~word_from(s, from) & UINT64_MAX << (from & 63);

		end = step_end(s, from, to);
		absent &= low_bits(from, end);
		if (absent)
			return (from & ~UINT64_C(63)) + (uint64_t)__builtin_ctzll(absent);
	}
	return to;
}

bool seen_near(const struct seen *s, uint64_t sequence, struct place *out)
{
	uint64_t page = sequence >> SEEN_PAGE_SHIFT, distance;

	for (distance = 0; distance < NEAR_PAGES; distance++) {
		if (distance <= page && page - distance < s->page_count && s->pages[page - distance]) {
			*out = s->pages[page - distance]->place;
			return true;
		}
		if (page + distance < s->page_count && s->pages[page + distance]) {
			*out = s->pages[page + distance]->place;
			return true;
		}
	}
	return false;
}

void seen_free(struct seen *s)
{
	uint32_t i;

	for (i = 0; i < s->page_count; i++)
		free(s->pages[i]);
	free(s->pages);
	s->pages = NULL;
	s->page_count = 0;
}
