/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: whatever a broker answers or a connection does, nothing is lost, doubled or overtaken, and the outcome is true. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/base/clock.h"
#include "dataplane/wire/error_code.h"
#include "tests/unit/worker/rig.h"

static void send_some(struct rig *rig, uint32_t count)
{
	char key[32];
	uint32_t i;

	for (i = 0; i < count; i++) {
		snprintf(key, sizeof(key), "key-%u", i % 97);
		assert_true(rig_send(rig, key, -1, 100));
		if (i % 200 == 199)
			rig_settle(rig);
	}
}

/* Errors that pass: the records land once, whichever of the batches in flight they hit. */
static void test_errors_that_pass(void **state)
{
	static const int16_t errors[] = {3, 5, 6, 7, 8, 9, 13, 19, 20, 56, 74, 75, 100, -1, 2};
	uint32_t i;

	(void)state;
	for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		struct rig *rig = rig_create(&(struct rig_options){0});
		bool stored = errors[i] == 7 || errors[i] == 20 || errors[i] == -1;

		send_some(rig, 500);
		rig_fault(rig, stored ? RIG_FAULT_ERROR_AFTER : RIG_FAULT_ERROR, 1, errors[i], 2);
		send_some(rig, 1500);
		rig_run(rig, 300);
		rig_check_all(rig, 2000, 0, 0);
		assert_true(rig->troubles > 0);
		rig_destroy(rig);
	}
}

/* A batch that can never succeed fails alone; what follows is numbered anew and lands. */
static void test_definite_failures(void **state)
{
	static const int16_t errors[] = {29, 17, 43, 44, 21, 31};
	uint32_t i;

	(void)state;
	for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		struct rig *rig = rig_create(&(struct rig_options){0});
		uint64_t failed = 0, seq;

		send_some(rig, 500);
		rig_run(rig, 10);
		rig_fault(rig, RIG_FAULT_ERROR, 1, errors[i], 1);
		send_some(rig, 3000);
		rig_run(rig, 300);
		rig_reports_read(rig);
		for (seq = 0; seq < rig->seq; seq++)
			failed += rig->outcomes[seq].outcome == SL_OUTCOME_FAILED;
		assert_true(failed > 0 && failed < 1000);
		rig_check_all(rig, 3500 - failed, failed, 0);
		assert_true(rig->logs[1].epoch == 1 && rig->logs[0].epoch == 0);
		rig_destroy(rig);
	}
}

static void test_lost_answers_and_resets(void **state)
{
	static const enum rig_fault_kind kinds[] = {RIG_FAULT_LOSE_ANSWER, RIG_FAULT_RESET, RIG_FAULT_GARBAGE};
	uint32_t i;

	(void)state;
	for (i = 0; i < 3; i++) {
		struct rig *rig = rig_create(&(struct rig_options){0});

		send_some(rig, 400);
		rig_fault(rig, kinds[i], 0, 0, 2);
		rig_fault(rig, kinds[i], 2, 0, 1);
		send_some(rig, 4000);
		rig_run(rig, 300);
		rig_check_all(rig, 4400, 0, 0);
		assert_true(rig->conn_downs >= 2);
		if (kinds[i] == RIG_FAULT_LOSE_ANSWER)
			assert_true(rig->logs[0].duplicates > 0);
		rig_destroy(rig);
	}
}

/* The answer does not come: after request.timeout.ms the connection ends and the batch goes again. */
static void test_ack_timeout(void **state)
{
	struct rig *rig = rig_create(&(struct rig_options){0});

	(void)state;
	rig_fault(rig, RIG_FAULT_SILENCE, 1, 0, 1);
	send_some(rig, 300);
	rig_run(rig, 1000);
	rig_reports_read(rig);
	assert_true(rig->outcome_count < 300);
	rig_run(rig, 30 * 1000);
	rig_check_all(rig, 300, 0, 0);
	assert_true(atomic_load(&sl_worker_stats(rig->worker)->ack_timeouts) == 1);
	rig_destroy(rig);
}

/* A reload's time-out holds for what is sent after it. */
static void test_ack_timeout_reloaded(void **state)
{
	struct rig *rig = rig_create(&(struct rig_options){0});

	(void)state;
	rig_tell(rig, &(struct sl_msg){
			      .kind = SL_MSG_TIMEOUTS, .b = 20 * SL_NS_PER_S, .c = 20 * SL_NS_PER_S});
	rig_fault(rig, RIG_FAULT_SILENCE, 1, 0, 1);
	send_some(rig, 300);
	rig_run(rig, 15 * 1000);
	assert_true(atomic_load(&sl_worker_stats(rig->worker)->ack_timeouts) == 0);
	rig_run(rig, 15 * 1000);
	assert_true(atomic_load(&sl_worker_stats(rig->worker)->ack_timeouts) == 1);
	rig_run(rig, 10 * 1000);
	rig_check_all(rig, 300, 0, 0);
	rig_destroy(rig);
}

/* After a success, and a pause, three batches one after the other of which none is answered: how many left? */
static uint32_t batches_ahead(uint64_t pause_ns)
{
	struct rig *rig = rig_create(&(struct rig_options){0});
	uint32_t before, ahead, i;

	assert_true(rig_send(rig, "key", 1, 100));
	rig_run(rig, 1000);
	before = rig->logs[1].batches;
	assert_true(before > 0);
	rig->now_ns += pause_ns;
	rig_run(rig, 1);
	rig_fault(rig, RIG_FAULT_SILENCE, 1, 0, 3);
	for (i = 0; i < 3; i++) {
		assert_true(rig_send(rig, "key", 1, 100));
		rig_run(rig, 100);
	}
	ahead = rig->logs[1].batches - before;
	rig_run(rig, 100 * 1000);
	rig_check_all(rig, 4, 0, 0);
	rig_destroy(rig);
	return ahead;
}

/* A leader may have forgotten a producer that was idle: then a single batch goes ahead, until it is written. */
static void test_one_leads_after_an_idle_while(void **state)
{
	(void)state;
	assert_int_equal(batches_ahead(0), 3);
	assert_int_equal(batches_ahead(601 * SL_NS_PER_S), 1);
}

/* What was sent and never answered is unknown at its deadline; what was never sent has failed. */
static void test_delivery_timeout(void **state)
{
	struct rig_options options = {.settings = rig_settings(), .settings_given = true};
	uint64_t unknown = 0, failed = 0, seq;
	struct rig *rig;

	(void)state;
	options.settings.delivery_timeout_ns = 2 * SL_NS_PER_S;
	rig = rig_create(&options);
	rig->retry_held = true;
	rig_fault(rig, RIG_FAULT_ERROR_AFTER, 1, SL_KAFKA_REQUEST_TIMED_OUT, 1);
	send_some(rig, 3000);
	rig_run(rig, 3000);
	rig_reports_read(rig);
	for (seq = 0; seq < rig->seq; seq++) {
		unknown += rig->outcomes[seq].outcome == SL_OUTCOME_UNKNOWN;
		failed += rig->outcomes[seq].outcome == SL_OUTCOME_FAILED;
	}
	assert_true(unknown > 0 && failed > 0);
	rig_check_all(rig, 3000 - unknown - failed, failed, unknown);
	rig_destroy(rig);
}

/* The leader moves while batches are in flight: those that the old one refuses go to the new one, in order. */
static void test_leader_moves(void **state)
{
	struct rig *rig = rig_create(&(struct rig_options){0});
	uint32_t round;

	(void)state;
	for (round = 0; round < 6; round++) {
		send_some(rig, 500);
		rig->leader[round % 3] = (rig->leader[round % 3] + 1) % RIG_BROKERS;
		send_some(rig, 500);
		rig_routes(rig, 0, 0, 3, (int32_t)round + 1);
		rig_run(rig, 2);
	}
	rig_run(rig, 100);
	rig_check_all(rig, 6000, 0, 0);
	rig_destroy(rig);
}

/* Nobody leads: records wait; a stale leader epoch is not believed. */
static void test_leaderless_then_back(void **state)
{
	struct rig *rig = rig_create(&(struct rig_options){0});
	int32_t was = rig->leader[1];

	(void)state;
	rig->leader[1] = -1;
	rig_routes(rig, 0, 0, 3, 5);
	send_some(rig, 600);
	rig_run(rig, 200);
	rig_reports_read(rig);
	assert_true(rig->outcome_count > 0 && rig->outcome_count < 600);
	rig->leader[1] = was;
	rig_routes(rig, 0, 0, 3, 4);
	rig_run(rig, 50);
	rig_reports_read(rig);
	assert_true(rig->outcome_count < 600);
	rig_routes(rig, 0, 0, 3, 6);
	rig_run(rig, 50);
	rig_check_all(rig, 600, 0, 0);
	rig_destroy(rig);
}

/* The broker forgets everything that it knew of our sequences (as after DeleteRecords or a long idle time). */
static void test_lost_producer_state(void **state)
{
	struct rig *rig = rig_create(&(struct rig_options){0});

	(void)state;
	send_some(rig, 1000);
	rig_run(rig, 20);
	rig->logs[0].last_seq += 1000; /* what follows no longer fits */
	rig->logs[0].window_count = 0;
	send_some(rig, 2000);
	rig_run(rig, 100);
	rig_check_all(rig, 3000, 0, 0);
	assert_true(rig->logs[0].epoch == 1);
	rig_destroy(rig);
}

static void test_partitions_are_added(void **state)
{
	struct rig *rig = rig_create(&(struct rig_options){0});

	(void)state;
	send_some(rig, 1000);
	rig_routes(rig, 0, 0, 8, 1);
	send_some(rig, 1000);
	rig_run(rig, 20);
	rig_check_all(rig, 2000, 0, 0);
	assert_true(rig->logs[7].count > 0);
	rig_destroy(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_errors_that_pass),
		cmocka_unit_test(test_definite_failures),
		cmocka_unit_test(test_lost_answers_and_resets),
		cmocka_unit_test(test_ack_timeout),
		cmocka_unit_test(test_ack_timeout_reloaded),
		cmocka_unit_test(test_one_leads_after_an_idle_while),
		cmocka_unit_test(test_delivery_timeout),
		cmocka_unit_test(test_leader_moves),
		cmocka_unit_test(test_leaderless_then_back),
		cmocka_unit_test(test_lost_producer_state),
		cmocka_unit_test(test_partitions_are_added),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
