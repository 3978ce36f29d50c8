/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: a batch that an unanswered attempt may have written is cut, failed or numbered anew only
 * when it certainly was not written; it is persisted only when the leader's answer to it says so;
 * unknown when nobody can tell.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "dataplane/base/clock.h"
#include "dataplane/wire/error_code.h"
#include "tests/unit/worker/rig.h"

enum { BEFORE = 300, LATER = 10, ALL = BEFORE + LATER };

static void send_some(struct rig *rig, uint32_t count)
{
	while (count-- > 0)
		assert_true(rig_send(rig, "key", 0, 100));
}

/* One partition on which BEFORE records have landed: its sequence is not at 0 any more. */
static struct rig *warm_rig(void)
{
	struct rig *rig = rig_create(&(struct rig_options){.partitions = 1});

	send_some(rig, BEFORE);
	rig_run(rig, 20);
	return rig;
}

static const struct sl_worker_stats *stats_of(const struct rig *rig)
{
	return sl_worker_stats(rig->worker);
}

/* Sends LATER records: their first attempt ends as the first fault says, the second is refused with
 * that error. */
static void doubt_about(struct rig *rig, enum rig_fault_kind first, int16_t refusal)
{
	rig_fault(rig, first, 0, 0, 1);
	rig_fault(rig, RIG_FAULT_ERROR, 0, refusal, 1);
	send_some(rig, LATER);
}

/* In the log, though nobody answered: the refusal does not count, the same bytes are acknowledged
 * as a duplicate. */
static void written_is_proven(void **state)
{
	static const int16_t refusals[] = {10, 45, 59, 47, 29, 87, 43};

	(void)state;
	for (uint32_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		struct rig *rig = warm_rig();

		doubt_about(rig, RIG_FAULT_LOSE_ANSWER, refusals[i]);
		rig_run(rig, RIG_ORPHAN_MS / 2); /* a proof needs no waiting */
		rig_check_all(rig, ALL, 0, 0);
		assert_int_equal(rig->doubts, 1);
		assert_true(rig->logs[0].duplicates > 0);
		assert_int_equal(stats_of(rig)->batches_cut, 0);
		assert_int_equal(rig->logs[0].epoch, 0);
		rig_destroy(rig);
	}
}

/* Not in the log: the next answer counts, but not before a request that is still under way
 * somewhere must be dead. */
static void unwritten_waits_for_orphans(void **state)
{
	struct rig *rig = warm_rig();

	(void)state;
	doubt_about(rig, RIG_FAULT_RESET, SL_KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER);
	rig_run(rig, RIG_ORPHAN_MS / 2);
	assert_int_equal(rig->doubts, 1);
	assert_int_equal(rig->logs[0].count, BEFORE);
	rig_run(rig, 3 * RIG_ORPHAN_MS);
	rig_check_all(rig, ALL, 0, 0);
	assert_true(rig->doubts > 1);
	assert_int_equal(rig->logs[0].epoch, 0);
	rig_destroy(rig);
}

/* A deposed leader's 6 came with an answer: no request is left that could write it. */
static void answered_doubt_does_not_wait(void **state)
{
	struct rig *rig = warm_rig();

	(void)state;
	rig_fault(rig, RIG_FAULT_ERROR, 0, SL_KAFKA_NOT_LEADER_OR_FOLLOWER, 1);
	rig_fault(rig, RIG_FAULT_ERROR, 0, SL_KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER, 1);
	send_some(rig, LATER);
	rig_run(rig, RIG_ORPHAN_MS / 2);
	rig_check_all(rig, ALL, 0, 0);
	assert_int_equal(rig->doubts, 1);
	rig_destroy(rig);
}

/* Too large and not written: cut as if the first attempt had never been. */
static void unwritten_is_cut_then(void **state)
{
	struct rig *rig = warm_rig();

	(void)state;
	rig_fault(rig, RIG_FAULT_RESET, 0, 0, 1);
	rig->batch_bytes_max = 800;
	send_some(rig, LATER);
	rig_run(rig, RIG_ORPHAN_MS / 2);
	assert_int_equal(stats_of(rig)->batches_cut, 0);
	rig_run(rig, 4 * RIG_ORPHAN_MS);
	rig_check_all(rig, ALL, 0, 0);
	assert_true(stats_of(rig)->batches_cut > 0);
	rig_destroy(rig);
}

static void unknown_expected(struct rig *rig, int16_t error)
{
	uint64_t count[4] = {0};

	rig_check_told(rig, count);
	assert_int_equal(count[SL_OUTCOME_UNKNOWN], LATER);
	assert_int_equal(rig->outcomes[ALL - 1].error, error);
	send_some(rig, LATER); /* and the partition goes on, under its next epoch */
	rig_run(rig, 100);
	rig_check_told(rig, count);
	assert_int_equal(rig->outcomes[ALL + LATER - 1].outcome, SL_OUTCOME_PERSISTED);
}

/* Nobody may ask, or the broker is too old. */
static void unknown_where_nobody_says(void **state)
{
	struct rig *rig = warm_rig();

	(void)state;
	rig->seen_given = true;
	rig->seen = SL_SEEN_NEVER;
	doubt_about(rig, RIG_FAULT_RESET, SL_KAFKA_MESSAGE_TOO_LARGE);
	rig_run(rig, 100);
	unknown_expected(rig, SL_KAFKA_MESSAGE_TOO_LARGE);
	assert_int_equal(stats_of(rig)->batches_cut, 0);
	rig_destroy(rig);
}

/* A leader that has forgotten a producer of which it had acknowledged something knows nothing of
 * this batch either. */
static void forgotten_is_unknown(void **state)
{
	struct rig *rig = warm_rig();

	(void)state;
	rig->seen_given = true;
	rig->seen = SL_SEEN_NONE;
	doubt_about(rig, RIG_FAULT_RESET, SL_KAFKA_UNKNOWN_PRODUCER_ID);
	rig_run(rig, 100);
	unknown_expected(rig, SL_KAFKA_UNKNOWN_PRODUCER_ID);
	rig_destroy(rig);
}

/* But of the very first batch it cannot have forgotten anything: it was never there. */
static void first_batch_unseen_is_unwritten(void **state)
{
	struct rig *rig = rig_create(&(struct rig_options){.partitions = 1});

	(void)state;
	doubt_about(rig, RIG_FAULT_RESET, SL_KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER);
	rig_run(rig, 4 * RIG_ORPHAN_MS);
	rig_check_all(rig, LATER, 0, 0);
	assert_true(rig->doubts > 0);
	rig_destroy(rig);
}

/* A leader whose last sequence is none of ours: nothing can be concluded. */
static void strange_sequence_is_unknown(void **state)
{
	struct rig *rig = warm_rig();

	(void)state;
	rig->logs[0].last_seq += 1000;
	rig->logs[0].window_count = 0;
	rig_fault(rig, RIG_FAULT_RESET, 0, 0, 1);
	send_some(rig, LATER);
	rig_run(rig, 100);
	unknown_expected(rig, SL_KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER);
	assert_int_equal(rig->logs[0].epoch, 1);
	rig_destroy(rig);
}

/* No leader can be asked: it is asked again and again until the delivery deadline, and what follows
 * is delivered. */
static void asked_until_the_deadline(void **state)
{
	struct rig_options options = {
		.partitions = 1, .settings = rig_settings(), .settings_given = true};
	struct rig *rig;

	(void)state;
	options.settings.delivery_timeout_ns = 5 * SL_NS_PER_S;
	rig = rig_create(&options);
	send_some(rig, BEFORE);
	rig_run(rig, 20);
	rig->seen_given = true;
	rig->seen = SL_SEEN_AGAIN;
	doubt_about(rig, RIG_FAULT_RESET, SL_KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER);
	rig_run(rig, 4000);
	rig_reports_read(rig);
	assert_int_equal(rig->outcome_count, BEFORE);
	assert_true(rig->doubts > 2 && rig->doubts < 40); /* with pauses that grow */
	rig_run(rig, 2000);
	unknown_expected(rig, SL_KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER);
	rig_destroy(rig);
}

/* What an answer about the last leader said is not tried on the next one: that one is asked itself.
 */
static void next_leader_is_asked_anew(void **state)
{
	struct rig *rig = warm_rig();

	(void)state;
	doubt_about(rig, RIG_FAULT_LOSE_ANSWER, SL_KAFKA_MESSAGE_TOO_LARGE);
	rig_fault(rig, RIG_FAULT_ERROR, 0, SL_KAFKA_NOT_ENOUGH_REPLICAS,
		  1000); /* the proof has to wait */
	rig_run(rig, 30);
	assert_int_equal(rig->doubts, 1);
	rig->fault_count = 0;
	rig->leader[0] = 1;
	rig_routes(rig, 0, 0, 1, 5);
	rig_run(rig, 100);
	rig_check_all(rig, ALL, 0, 0);
	assert_int_equal(rig->doubts, 2);
	rig_destroy(rig);
}

/* An agent that was away for half the time in which brokers forget asks before it sends: what is
 * there is proven. */
static void old_numbers_are_asked_about(void **state)
{
	bool forgotten;

	(void)state;
	for (forgotten = false;; forgotten = true) {
		struct rig *rig = warm_rig();

		rig_fault(rig, RIG_FAULT_SILENCE, 0, 0, 1);
		send_some(rig, LATER);
		rig_run(rig, 20);
		assert_int_equal(rig->logs[0].count, ALL);
		rig_die(rig);
		rig->now_ns += UINT64_C(13) * 3600 * SL_NS_PER_S;
		if (forgotten)
			rig->logs[0].producer_id = -1;
		rig_load(rig);
		rig_resume(rig, true);
		rig_run(rig, 500);
		rig_check_all(rig, forgotten ? BEFORE : ALL, 0, forgotten ? LATER : 0);
		assert_true(rig->logs[0].count == ALL && rig->doubts == 1);
		send_some(rig, LATER);
		rig_run(rig, 100);
		rig_check_all(rig, forgotten ? ALL : ALL + LATER, 0, forgotten ? LATER : 0);
		rig_destroy(rig);
		if (forgotten)
			break;
	}
}

/* Metadata of a broker that is behind, after a restart: a leader of an older epoch than we sent
 * under is not asked. */
static void highest_epoch_is_asked(void **state)
{
	struct rig *rig = rig_create(&(struct rig_options){.partitions = 1});

	(void)state;
	rig_routes(rig, 0, 0, 1, 5);
	send_some(rig, BEFORE);
	rig_run(rig, 20);
	rig_fault(rig, RIG_FAULT_SILENCE, 0, 0, 1);
	send_some(rig, LATER);
	rig_run(rig, 20);
	rig_die(rig);
	rig_load(rig);
	rig_fault(rig, RIG_FAULT_ERROR, 0, SL_KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER, 1);
	rig_resume(rig, true); /* its routes are of epoch 0 */
	rig_run(rig, 500);
	assert_true(rig->doubts > 0 && rig->doubt_epoch == 5);
	rig_check_all(rig, ALL, 0, 0);
	rig_destroy(rig);
}

/* Under an epoch that somebody else has used, our first sequence would pass for his: ours go beyond
 * it. */
static void epoch_of_somebody_else(void **state)
{
	struct rig *rig = warm_rig();

	(void)state;
	rig_fault(rig, RIG_FAULT_RESET, 0, 0, 1);
	send_some(rig, LATER);
	rig->logs[0].epoch = 3;
	rig->logs[0].window[0].first = 0;
	rig->logs[0].window[0].last = LATER - 1;
	rig_run(rig, 500);
	rig_check_all(rig, BEFORE, 0, LATER);
	send_some(rig, LATER);
	rig_run(rig, 500);
	rig_check_all(rig, ALL, 0, LATER);
	assert_int_equal(rig->logs[0].epoch, 4);
	rig_destroy(rig);
}

/* resume: strict. A leader's word that nothing was written is not enough; that something was is
 * still proven. */
static void strict_sends_nothing_anew(void **state)
{
	bool written;

	(void)state;
	for (written = false;; written = true) {
		struct rig *rig =
			rig_create(&(struct rig_options){.partitions = 1, .resume_strict = true});

		send_some(rig, BEFORE);
		rig_run(rig, 20);
		doubt_about(rig, written ? RIG_FAULT_LOSE_ANSWER : RIG_FAULT_RESET,
			    SL_KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER);
		rig_run(rig, 2 * RIG_ORPHAN_MS);
		rig_check_all(rig, written ? ALL : BEFORE, 0, written ? 0 : LATER);
		rig_destroy(rig);
		if (written)
			break;
	}
}

/* What an agent had sent before it was killed may arrive after its successor has begun. */
static void requests_of_the_dead_may_arrive(void **state)
{
	struct rig *rig = warm_rig();

	(void)state;
	rig_fault(rig, RIG_FAULT_SILENCE, 0, 0, 1);
	send_some(rig, LATER);
	rig_run(rig, 20);
	rig->logs[0].count = BEFORE; /* as if it were still on its way */
	rig->logs[0].last_seq -= LATER;
	rig->logs[0].window_count--;
	rig_die(rig);
	rig_load(rig);
	assert_int_equal(rig->loaded.sent, 1);
	rig->fault_count = 0;
	rig_fault(rig, RIG_FAULT_ERROR, 0, SL_KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER, 1);
	rig_resume(rig, true);
	rig_run(rig, RIG_ORPHAN_MS - 20);
	rig_reports_read(rig);
	assert_true(rig->doubts > 0 && rig->outcome_count == BEFORE &&
		    rig->logs[0].count == BEFORE);
	rig_run(rig, 200);
	rig_check_all(rig, ALL, 0, 0);
	rig_destroy(rig);
}

/* A batch without numbers, whose topic gets them by a reload while it waits: there is nothing to
 * ask about. */
static void numbers_came_too_late(void **state)
{
	struct rig_options options = {
		.partitions = 1, .settings = rig_settings(), .settings_given = true};
	struct sl_topic_settings *reloaded = malloc(sizeof(*reloaded));
	struct rig *rig;

	(void)state;
	options.settings.idempotent = false;
	rig = rig_create(&options);
	send_some(rig, BEFORE);
	rig_run(rig, 20);
	rig->retry_held = true;
	rig_fault(rig, RIG_FAULT_ERROR, 0, SL_KAFKA_NOT_LEADER_OR_FOLLOWER, 1);
	rig_fault(rig, RIG_FAULT_ERROR, 0, SL_KAFKA_MESSAGE_TOO_LARGE, 1);
	send_some(rig, LATER);
	rig_run(rig, 20);
	*reloaded = options.settings;
	reloaded->idempotent = true;
	rig_tell(rig, &(struct sl_msg){.kind = SL_MSG_TOPIC_SETTINGS, .object = reloaded});
	rig_tell(rig, &(struct sl_msg){.kind = SL_MSG_PRODUCER_ID, .b = 4242});
	rig->retry_held = false;
	rig_run(rig, 100);
	assert_int_equal(rig->doubts, 0);
	unknown_expected(rig, SL_KAFKA_MESSAGE_TOO_LARGE);
	rig_destroy(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(written_is_proven),
		cmocka_unit_test(unwritten_waits_for_orphans),
		cmocka_unit_test(answered_doubt_does_not_wait),
		cmocka_unit_test(unwritten_is_cut_then),
		cmocka_unit_test(unknown_where_nobody_says),
		cmocka_unit_test(forgotten_is_unknown),
		cmocka_unit_test(first_batch_unseen_is_unwritten),
		cmocka_unit_test(strange_sequence_is_unknown),
		cmocka_unit_test(asked_until_the_deadline),
		cmocka_unit_test(next_leader_is_asked_anew),
		cmocka_unit_test(old_numbers_are_asked_about),
		cmocka_unit_test(highest_epoch_is_asked),
		cmocka_unit_test(epoch_of_somebody_else),
		cmocka_unit_test(strict_sends_nothing_anew),
		cmocka_unit_test(requests_of_the_dead_may_arrive),
		cmocka_unit_test(numbers_came_too_late),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
