/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever lies in a ring: what the reader accepts lies inside what was committed, and it always
 * gets on. */
#include <stdlib.h>
#include <string.h>

#include "dataplane/shm/ring_reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

/* What an application says it has read of its reports: believed only where it can be. */
static void room_look(const uint8_t *input)
{
	enum { SLOTS = 64 };
	uint64_t write_pos = 200, read_pos = write_pos - input[2] % (SLOTS + 1);
	struct sl_app_page page = {0};
	uint32_t room = 0;

	atomic_store(&page.report_read_pos, read_pos + (uint64_t)(int64_t)(int8_t)input[3]);
	if (sl_report_room(&page, write_pos, SLOTS, &read_pos, &room) == SL_POISON_NONE &&
	    (room > SLOTS || read_pos > write_pos))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	static _Alignas(4096) uint8_t data[SL_RING_BYTES_MIN];
	struct sl_app_page page = {0};
	struct sl_ring_reader reader;
	struct sl_ring_item items[64];
	enum sl_poison poison;
	uint64_t pos, bytes;
	uint32_t count, i;

	if (size < 8 || size > 8 + SL_RING_BYTES_MIN / 2)
		return 0;
	room_look(input);
	/* The first bytes choose where the rest begins, so that the ring's end is met as often as
	 * its middle. */
	pos = SL_RING_BYTES_MIN - 64 + (input[0] & 15) * 8u;
	bytes = (size - 8) & ~(uint64_t)7;
	memset(data, 0, sizeof(data));
	for (i = 0; i < bytes; i++)
		data[(pos + i) & (SL_RING_BYTES_MIN - 1)] = input[8 + i];
	sl_ring_reader_init(&reader, data, SL_RING_BYTES_MIN, 4096, pos, 0);
	reader.topic_slots = 4;
	atomic_store(&page.committed_pos, pos + bytes + (input[1] & 1));
	poison = sl_ring_reader_refresh(&reader, &page);
	while (poison == SL_POISON_NONE && reader.read_pos != reader.committed_pos) {
		uint64_t before = reader.read_pos;

		count = sl_ring_reader_walk(&reader, items, 64, &poison);
		for (i = 0; i < count; i++) {
			const uint8_t *key;
			int32_t key_bytes;
			const struct sl_ring_item *item = &items[i];

			if (item->pos < before || item->pos + item->span > reader.committed_pos)
				abort();
			if (item->tail < data ||
			    item->tail + item->tail_bytes > data + sizeof(data))
				abort();
			if (sl_ring_item_key(item, &key, &key_bytes) && key &&
			    key + key_bytes > item->tail + item->tail_bytes)
				abort();
		}
		if (poison == SL_POISON_NONE && reader.read_pos == before)
			abort();
	}
	if (reader.read_pos > reader.committed_pos || poison >= SL_POISON_COUNT)
		abort();
	return 0;
}
