/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: ABI v1 stays what it is. Method: print every offset and size and compare with the golden
 * file; read the ring that an earlier libsluice wrote. Run with SL_GOLDEN_WRITE=1 after a
 * deliberate change of the layout number.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/shm/handshake.h"
#include "dataplane/shm/ring_reader.h"

enum { TEXT_BYTES = 16384 };

#define FIELD(type, field)                                                                         \
	at += (size_t)snprintf(text + at, TEXT_BYTES - at, #type "." #field " %zu %zu\n",          \
			       offsetof(struct type, field), sizeof(((struct type *)0)->field))
#define SIZE(type)                                                                                 \
	at += (size_t)snprintf(text + at, TEXT_BYTES - at, #type " %zu\n", sizeof(struct type))

static size_t shm_print(char *text, size_t at)
{
	SIZE(sl_shm_ident);
	FIELD(sl_shm_ident, layout);
	FIELD(sl_shm_ident, ring_count);
	FIELD(sl_shm_ident, ring_bytes);
	FIELD(sl_shm_ident, report_slots);
	FIELD(sl_shm_ident, agent_epoch);
	FIELD(sl_shm_ident, client_id);
	FIELD(sl_shm_ident, token);
	SIZE(sl_app_page);
	FIELD(sl_app_page, committed_pos);
	FIELD(sl_app_page, report_read_pos);
	FIELD(sl_app_page, dropped_count);
	FIELD(sl_app_page, waiting);
	SIZE(sl_agent_page);
	FIELD(sl_agent_page, consumed_pos);
	FIELD(sl_agent_page, consumed_seq);
	FIELD(sl_agent_page, report_write_pos);
	FIELD(sl_agent_page, settled_count);
	FIELD(sl_agent_page, failed_count);
	FIELD(sl_agent_page, unknown_count);
	FIELD(sl_agent_page, sleeping);
	FIELD(sl_agent_page, wake_word);
	FIELD(sl_agent_page, ring_state);
	FIELD(sl_agent_page, poison_code);
	FIELD(sl_agent_page, poison_pos);
	SIZE(sl_record_header);
	FIELD(sl_record_header, length);
	FIELD(sl_record_header, type);
	FIELD(sl_record_header, flags);
	FIELD(sl_record_header, topic_slot);
	FIELD(sl_record_header, seq_lo);
	FIELD(sl_record_header, partition);
	FIELD(sl_record_header, timestamp_ms);
	SIZE(sl_report);
	FIELD(sl_report, first_seq);
	FIELD(sl_report, base_offset);
	FIELD(sl_report, partition);
	FIELD(sl_report, count);
	FIELD(sl_report, error);
	FIELD(sl_report, topic_slot);
	FIELD(sl_report, outcome);
	FIELD(sl_report, kind);
	return at;
}

static size_t places_print(char *text, size_t at)
{
	static const uint64_t ring_bytes[] = {65536, 1 << 20, 2 << 20, 8 << 20, 256 << 20};
	static const uint32_t ring_count[] = {1, 4, 64};
	size_t r, c;

	for (r = 0; r < SL_ARRAY_COUNT(ring_bytes); r++)
		for (c = 0; c < SL_ARRAY_COUNT(ring_count); c++)
			at += (size_t)snprintf(
				text + at, TEXT_BYTES - at, "rings %u x %llu: first %llu, D %llu\n",
				ring_count[c], (unsigned long long)ring_bytes[r],
				(unsigned long long)sl_data_ring_offset(ring_count[c],
									ring_bytes[r], 0),
				(unsigned long long)sl_data_bytes(ring_count[c], ring_bytes[r]));
	for (c = 0; c < SL_ARRAY_COUNT(ring_count); c++)
		at += (size_t)snprintf(
			text + at, TEXT_BYTES - at, "rings %u x 64 and 4096 reports: S %llu %llu\n",
			ring_count[c], (unsigned long long)sl_status_bytes(ring_count[c], 64),
			(unsigned long long)sl_status_bytes(ring_count[c], 4096));
	return at;
}

static size_t messages_print(char *text, size_t at)
{
	uint32_t type;

	for (type = SL_HS_HELLO; type < SL_HS_TYPE_END; type++)
		at += (size_t)snprintf(text + at, TEXT_BYTES - at,
				       "message %s 0x%08x %u bytes %u fds\n",
				       sl_handshake_name(type), type, sl_handshake_bytes(type),
				       sl_handshake_fds(type));
	return at;
}

static void test_layout_is_golden(void **state)
{
	static char text[TEXT_BYTES], golden[TEXT_BYTES];
	size_t bytes = messages_print(text, places_print(text, shm_print(text, 0)));
	bool write = getenv("SL_GOLDEN_WRITE") != NULL;
	FILE *file = fopen(SL_GOLDEN "/shm_layout_v1.txt", write ? "w" : "r");

	(void)state;
	assert_non_null(file);
	if (write)
		fwrite(text, 1, bytes, file);
	else
		assert_true(fread(golden, 1, sizeof(golden), file) == bytes &&
			    memcmp(text, golden, bytes) == 0);
	fclose(file);
}

static void test_golden_ring_is_read(void **state)
{
	static alignas(4096) uint8_t data[SL_RING_BYTES_MIN];
	FILE *file = fopen(SL_GOLDEN "/shm_ring_v1.bin", "rb");
	struct sl_app_page page = {0};
	struct sl_ring_reader reader;
	struct sl_ring_item items[8];
	enum sl_poison poison;
	const uint8_t *key;
	int32_t key_bytes;
	size_t bytes;

	(void)state;
	assert_non_null(file);
	bytes = fread(data, 1, sizeof(data), file);
	fclose(file);
	sl_ring_reader_init(&reader, data, sizeof(data), 8192, 0, 0);
	reader.topic_slots = 1;
	atomic_store(&page.committed_pos, bytes);
	assert_int_equal(sl_ring_reader_refresh(&reader, &page), SL_POISON_NONE);
	assert_int_equal(sl_ring_reader_walk(&reader, items, 8, &poison), 4);
	assert_int_equal(poison, SL_POISON_NONE);
	assert_true(items[0].flags == SL_RECORD_SAMPLED && items[0].timestamp_ms == 1 &&
		    items[0].partition == -1);
	assert_true(sl_ring_item_key(&items[0], &key, &key_bytes) && key_bytes == 3 &&
		    memcmp(key, "key", 3) == 0);
	assert_memory_equal(items[0].tail, "\x06key\x0avalue\x00", 11);
	assert_memory_equal(items[1].tail, "\x01\x01\x00", 3);
	assert_true(items[2].partition == 7 && items[2].timestamp_ms == 3);
	assert_memory_equal(items[2].tail, "\x00\x00\x04\x02h\x02v\x02n\x01", 9);
	assert_int_equal(items[3].type, SL_RECORD_FLUSH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layout_is_golden),
		cmocka_unit_test(test_golden_ring_is_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
