/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: rings that wait, fill, lie or end harm nobody else, and a worker's turn allocates nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/base/clock.h"
#include "dataplane/shm/segment.h"
#include "dataplane/wire/error_code.h"
#include "tests/unit/worker/rig.h"

static void send_some(struct rig *rig, uint32_t count)
{
	uint32_t i;

	for (i = 0; i < count; i++)
		assert_true(rig_send(rig, "k", (int32_t)(i % 3), 100));
}

static void test_records_wait_for_metadata(void **state)
{
	struct rig *rig = rig_create(&(struct rig_options){.no_metadata = true});

	(void)state;
	send_some(rig, 100);
	rig_run(rig, 100);
	rig_reports_read(rig);
	assert_int_equal(rig->outcome_count, 0);
	rig_routes(rig, 0, 0, 3, 0);
	rig_run(rig, 10);
	rig_check_all(rig, 100, 0, 0);
	rig_destroy(rig);
}

static void test_unknown_topic_fails_its_records_only(void **state)
{
	static const uint8_t tail[] = {0x01, 0x02, 'x', 0x00};
	struct rig *rig = rig_create(&(struct rig_options){0});
	uint32_t i;

	(void)state;
	rig_routes(rig, 1, SL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION, 0, 0);
	for (i = 0; i < 50; i++) {
		assert_true(rig_send(rig, "k", -1, 100));
		assert_true(rig_send_raw(rig, 1, -1, tail, sizeof(tail)));
	}
	rig_run(rig, 10);
	rig_check_all(rig, 50, 50, 0);
	assert_int_equal(rig->outcomes[1].error, SL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
	rig_destroy(rig);
}

static void test_too_large_record(void **state)
{
	struct rig_options options = {.settings = rig_settings(), .settings_given = true};
	struct rig *rig;

	(void)state;
	options.settings.request_bytes_max = 10000;
	rig = rig_create(&options);
	send_some(rig, 10);
	assert_true(rig_send(rig, "k", -1, 20000));
	send_some(rig, 10);
	rig_run(rig, 10);
	rig_check_all(rig, 20, 1, 0);
	assert_int_equal(rig->outcomes[10].error, SL_KAFKA_MESSAGE_TOO_LARGE);
	rig_destroy(rig);
}

static void test_malformed_tail_poisons_after_what_was_good(void **state)
{
	static const uint8_t tail[] = {0x01, 0x50, 'x', 0x00}; /* a value longer than the record */
	struct rig *rig = rig_create(&(struct rig_options){0});

	(void)state;
	send_some(rig, 10);
	assert_true(rig_send_raw(rig, 0, -1, tail, sizeof(tail)));
	send_some(rig, 10);
	rig_run(rig, 10);
	rig_reports_read(rig);
	assert_int_equal(rig->outcome_count, 10);
	assert_int_equal(rig->poisoned, SL_POISON_TAIL);
	rig_destroy(rig);
}

/* Reports that are not read hold back that ring alone, and none is lost. */
static void test_reports_unread(void **state)
{
	struct rig *rig = rig_create(&(struct rig_options){.report_slots = 64});
	uint32_t i;

	(void)state;
	for (i = 0; i < 20; i++) {
		send_some(rig, 30);
		rig_run(rig, 10);
		if (i % 5 == 4)
			rig_reports_read(rig);
	}
	for (i = 0; i < 100; i++) {
		rig_reports_read(rig);
		rig_run(rig, 5);
	}
	rig_check_all(rig, 600, 0, 0);
	rig_destroy(rig);
}

static void test_report_modes(void **state)
{
	static const uint32_t modes[] = {SL_REPORT_ERRORS, SL_REPORT_NONE};
	uint32_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		struct rig *rig = rig_create(&(struct rig_options){.report_mode = modes[i]});
		const struct sl_agent_page *page = (const void *)(rig->status + sl_status_page_offset(0));

		send_some(rig, 99);
		assert_true(rig_send(rig, "k", 7, 100)); /* no such partition */
		rig_run(rig, 10);
		rig_reports_read(rig);
		assert_int_equal(rig->outcome_count, modes[i] == SL_REPORT_ERRORS ? 1 : 0);
		assert_true(atomic_load(&page->settled_count) == 100);
		assert_true(atomic_load(&page->failed_count) == 1);
		rig_destroy(rig);
	}
}

/* With nobody leading, the arena fills, then the ring; nothing is lost when a leader comes. */
static void test_arena_full(void **state)
{
	struct rig *rig = rig_create(&(struct rig_options){.arena_bytes = 4 << 20, .report_slots = 32768});
	uint32_t i, sent = 0;

	(void)state;
	for (i = 0; i < 3; i++)
		rig->leader[i] = -1;
	rig_routes(rig, 0, 0, 3, 1);
	for (i = 0; i < 30000 && rig_send(rig, "k", (int32_t)(i % 3), 400); i++, sent++)
		if (i % 100 == 0)
			rig_settle(rig);
	assert_true(sent > 5000 && sent < 30000);
	for (i = 0; i < 3; i++)
		rig->leader[i] = 0;
	rig_routes(rig, 0, 0, 3, 2);
	rig_run(rig, 50);
	rig_check_all(rig, sent, 0, 0);
	rig_destroy(rig);
}

static void test_stop_drains(void **state)
{
	struct rig *rig = rig_create(&(struct rig_options){0});

	(void)state;
	send_some(rig, 1000);
	rig_tell(rig, &(struct sl_msg){.kind = SL_MSG_STOP});
	rig_settle(rig);
	assert_int_equal(rig->stopped, 1); /* nothing left */
	/* The application sees a pause: the next agent reads on. */
	assert_int_equal(atomic_load(&sl_segment_agent_page(rig->status, 0)->ring_state), SL_RING_WIRE_OPEN);
	rig_check_all(rig, 1000, 0, 0);
	rig_destroy(rig);
}

static void test_dead_application_is_drained(void **state)
{
	struct rig *rig = rig_create(&(struct rig_options){.report_slots = 64});

	(void)state;
	send_some(rig, 1000);
	rig_tell(rig, &(struct sl_msg){.kind = SL_MSG_SEGMENT_DRAIN, .a = 0, .b = 1});
	rig_run(rig, 50);
	assert_int_equal(rig->gone, 1);
	assert_int_equal(atomic_load(&sl_segment_agent_page(rig->status, 0)->ring_state), SL_RING_WIRE_CLOSED);
	assert_int_equal(rig->logs[0].count + rig->logs[1].count + rig->logs[2].count, 1000);
	assert_int_equal(sl_arena_chunks_free(rig->arena), rig->arena->chunk_count - rig->arena->chunks_reserve);
	rig_destroy(rig);
}

/* The binding lies in the inbox behind more messages than a turn takes: the record waits for it, its ring is not poisoned. */
static void test_binding_on_its_way(void **state)
{
	static const uint8_t tail[] = {1, 2 * 8, 'v', 'v', 'v', 'v', 'v', 'v', 'v', 'v', 0};
	struct rig *rig = rig_create(&(struct rig_options){0});
	uint32_t i;

	(void)state;
	for (i = 0; i < 2000; i++)
		rig_tell(rig, &(struct sl_msg){.kind = SL_MSG_TOPIC_BIND, .a = 0, .b = 1, .c = 1});
	rig_tell(rig, &(struct sl_msg){.kind = SL_MSG_TOPIC_BIND, .a = 0, .b = 5, .c = 0});
	assert_true(rig_send_raw(rig, 5, 0, tail, sizeof(tail)));
	rig_run(rig, 20);
	assert_int_equal(rig->poisoned, SL_POISON_NONE);
	assert_int_equal(rig->logs[0].count, 1);
	assert_true(rig_send_raw(rig, 6, 0, tail, sizeof(tail))); /* never bound */
	rig_run(rig, 20);
	assert_int_equal(rig->poisoned, SL_POISON_TOPIC);
	rig_destroy(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_records_wait_for_metadata),
		cmocka_unit_test(test_unknown_topic_fails_its_records_only),
		cmocka_unit_test(test_too_large_record),
		cmocka_unit_test(test_malformed_tail_poisons_after_what_was_good),
		cmocka_unit_test(test_reports_unread),
		cmocka_unit_test(test_report_modes),
		cmocka_unit_test(test_arena_full),
		cmocka_unit_test(test_stop_drains),
		cmocka_unit_test(test_dead_application_is_drained),
		cmocka_unit_test(test_binding_on_its_way),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
