/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: what a hostile application may write is refused with its own code, and every refusal can be
 * reached. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/shm/ring_reader.h"

enum { RING = SL_RING_BYTES_MIN, SEEN_MAX = SL_POISON_COUNT };

static alignas(4096) uint8_t data[RING];
static struct sl_app_page page;
static bool seen[SEEN_MAX];

static void header_put(uint64_t pos, struct sl_record_header header)
{
	memcpy(data + (pos & (RING - 1)), &header, sizeof(header));
}

static struct sl_record_header good(uint32_t seq)
{
	return (struct sl_record_header){.length = 27,
					 .type = SL_RECORD_DATA,
					 .topic_slot = 1,
					 .seq_lo = seq,
					 .partition = -1};
}

static void begin(struct sl_ring_reader *reader, uint64_t pos)
{
	memset(data, 0, sizeof(data));
	memset(&page, 0, sizeof(page));
	sl_ring_reader_init(reader, data, RING, 4096, pos, 5);
	reader->topic_slots = 2;
}

static enum sl_poison walk(struct sl_ring_reader *reader, uint64_t committed, uint32_t *count)
{
	struct sl_ring_item items[8];
	enum sl_poison poison;

	atomic_store(&page.committed_pos, committed);
	*count = 0;
	poison = sl_ring_reader_refresh(reader, &page);
	if (poison == SL_POISON_NONE)
		*count = sl_ring_reader_walk(reader, items, 8, &poison);
	seen[poison] = true;
	return poison;
}

struct row {
	const char *name;
	struct sl_record_header header;
	uint64_t pos, committed; /* committed: bytes behind pos */
	enum sl_poison expected;
};

#define GOOD .length = 27, .type = SL_RECORD_DATA, .topic_slot = 1, .seq_lo = 5, .partition = -1

static const struct row rows[] = {
	{"good", {GOOD}, 0, 32, SL_POISON_NONE},
	{"not behind what was committed", {GOOD}, 0, 24, SL_POISON_LENGTH},
	{"type 0", {.length = 32}, 0, 32, SL_POISON_TYPE},
	{"type 4", {.length = 32, .type = 4}, 0, 32, SL_POISON_TYPE},
	{"flag 2", {GOOD, .flags = 2}, 0, 32, SL_POISON_TYPE},
	{"flush with a flag",
	 {.length = 24, .type = SL_RECORD_FLUSH, .flags = 1},
	 0,
	 24,
	 SL_POISON_TYPE},
	{"pad with a flag",
	 {.length = 32, .type = SL_RECORD_PAD, .flags = 1},
	 RING - 32,
	 32,
	 SL_POISON_TYPE},
	{"no tail",
	 {.length = 26, .type = SL_RECORD_DATA, .topic_slot = 1, .seq_lo = 5},
	 0,
	 32,
	 SL_POISON_LENGTH},
	{"sampled without room", {GOOD, .flags = 1}, 0, 32, SL_POISON_LENGTH},
	{"length 0", {.type = SL_RECORD_DATA}, 0, 32, SL_POISON_LENGTH},
	{"length 2^32-1",
	 {.length = UINT32_MAX, .type = SL_RECORD_DATA},
	 0,
	 RING,
	 SL_POISON_LENGTH},
	{"longer than allowed",
	 {.length = 4097, .type = SL_RECORD_DATA},
	 0,
	 RING,
	 SL_POISON_LENGTH},
	{"over the end", {GOOD}, RING - 24, 48, SL_POISON_LENGTH},
	{"long flush", {.length = 32, .type = SL_RECORD_FLUSH}, 0, 32, SL_POISON_LENGTH},
	{"flush over the end",
	 {.length = 24, .type = SL_RECORD_FLUSH},
	 RING - 8,
	 40,
	 SL_POISON_LENGTH},
	{"sequence",
	 {.length = 27, .type = SL_RECORD_DATA, .topic_slot = 1, .seq_lo = 6},
	 0,
	 32,
	 SL_POISON_SEQUENCE},
	{"topic",
	 {.length = 27, .type = SL_RECORD_DATA, .topic_slot = 2, .seq_lo = 5},
	 0,
	 32,
	 SL_POISON_TOPIC},
	{"partition",
	 {.length = 27, .type = SL_RECORD_DATA, .seq_lo = 5, .partition = -2},
	 0,
	 32,
	 SL_POISON_PARTITION},
	{"pad short of the end",
	 {.length = 24, .type = SL_RECORD_PAD},
	 RING - 32,
	 32,
	 SL_POISON_PAD},
	{"pad over the end", {.length = 40, .type = SL_RECORD_PAD}, RING - 32, 64, SL_POISON_PAD},
	{"pad of a whole ring", {.length = RING, .type = SL_RECORD_PAD}, 0, RING, SL_POISON_PAD},
	{"pad beyond committed",
	 {.length = 32, .type = SL_RECORD_PAD},
	 RING - 32,
	 24,
	 SL_POISON_PAD},
	{"committed unaligned", {GOOD}, 0, 33, SL_POISON_POSITION},
	{"committed beyond the ring", {GOOD}, 0, RING + 8, SL_POISON_POSITION},
	{"committed moved back", {GOOD}, 64, (uint64_t)-8, SL_POISON_POSITION},
};

static void test_hostile_rows(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < SL_ARRAY_COUNT(rows); i++) {
		struct sl_ring_reader reader;
		uint32_t count;
		uint64_t room = RING - (rows[i].pos & (RING - 1));

		begin(&reader, rows[i].pos);
		memcpy(data + (rows[i].pos & (RING - 1)), &rows[i].header, room < 24 ? room : 24);
		if (walk(&reader, rows[i].pos + rows[i].committed, &count) != rows[i].expected)
			fail_msg("row %s", rows[i].name);
		if (rows[i].expected != SL_POISON_NONE)
			assert_true(count == 0 && reader.read_pos == rows[i].pos &&
				    reader.poison_pos == rows[i].pos);
	}
}

static void test_good_before_bad_and_pads(void **state)
{
	struct sl_ring_reader reader;
	uint32_t count;

	(void)state;
	begin(&reader, RING - 40);
	header_put(RING - 40, good(5));
	memcpy(data + RING - 8, &(uint64_t){8 | (uint64_t)SL_RECORD_PAD << 32}, 8);
	header_put(0, good(6));
	header_put(32, (struct sl_record_header){.length = 24, .type = SL_RECORD_FLUSH});
	header_put(56, good(9));
	assert_int_equal(walk(&reader, RING + 88, &count), SL_POISON_SEQUENCE);
	assert_int_equal(count, 3);
	assert_true(reader.read_pos == RING + 56 && reader.next_seq == 7 &&
		    reader.poison_pos == RING + 56);
}

static void test_key_stays_inside(void **state)
{
	static const uint8_t null_key[] = {1}, key[] = {4, 'a', 'b'}, longer[] = {6, 'a', 'b'},
			     cut[] = {0x80};
	static const uint8_t below[] = {3, 0, 0};
	const uint8_t *p;
	int32_t bytes;

	(void)state;
	assert_true(sl_ring_item_key(&(struct sl_ring_item){.tail = null_key, .tail_bytes = 1}, &p,
				     &bytes));
	assert_true(!p && bytes == -1);
	assert_true(
		sl_ring_item_key(&(struct sl_ring_item){.tail = key, .tail_bytes = 3}, &p, &bytes));
	assert_true(p == key + 1 && bytes == 2);
	assert_false(sl_ring_item_key(&(struct sl_ring_item){.tail = longer, .tail_bytes = 3}, &p,
				      &bytes));
	assert_false(
		sl_ring_item_key(&(struct sl_ring_item){.tail = cut, .tail_bytes = 1}, &p, &bytes));
	assert_false(sl_ring_item_key(&(struct sl_ring_item){.tail = below, .tail_bytes = 3}, &p,
				      &bytes));
}

static void test_report_positions(void **state)
{
	uint64_t read_pos = 10;
	uint32_t room;

	(void)state;
	atomic_store(&page.report_read_pos, 12);
	assert_int_equal(sl_report_room(&page, 70, 64, &read_pos, &room), SL_POISON_NONE);
	assert_true(room == 6 && read_pos == 12);
	atomic_store(&page.report_read_pos, 71);
	assert_int_equal(sl_report_room(&page, 70, 64, &read_pos, &room), SL_POISON_REPORTS);
	atomic_store(&page.report_read_pos, 11);
	assert_int_equal(sl_report_room(&page, 70, 64, &read_pos, &room), SL_POISON_REPORTS);
	seen[SL_POISON_REPORTS] = true;
}

/* TOPIC and so on are the reader's; TAIL is told by whoever checks the copy. */
static void test_every_code_was_reached(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < SL_POISON_COUNT; i++)
		if (!seen[i] && i != SL_POISON_TAIL)
			fail_msg("code %d never reached", i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hostile_rows),
		cmocka_unit_test(test_good_before_bad_and_pads),
		cmocka_unit_test(test_key_stays_inside),
		cmocka_unit_test(test_report_positions),
		cmocka_unit_test(test_every_code_was_reached),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
