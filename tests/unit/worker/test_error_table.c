/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: what a producer makes of each error that a Produce request can be answered with, a test for
 * each by its name. The last test fails when the code gains a row of which nothing is said here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "dataplane/base/clock.h"
#include "dataplane/batch/codec.h"
#include "dataplane/wire/error_code.h"
#include "tests/unit/worker/rig.h"

enum { BEFORE = 200, AFTER = 600, ALL = BEFORE + AFTER };

static void send_some(struct rig *rig, uint32_t count)
{
	while (count-- > 0)
		assert_true(rig_send(rig, "key", 0, 100));
}

static struct rig *warm_rig(const struct rig_options *options)
{
	struct rig *rig = rig_create(options);

	send_some(rig, BEFORE);
	rig_run(rig, 20);
	return rig;
}

static struct rig *plain_rig(void)
{
	return warm_rig(&(struct rig_options){.partitions = 1});
}

static const struct sl_worker_stats *stats_of(const struct rig *rig)
{
	return sl_worker_stats(rig->worker);
}

static uint64_t outcomes(struct rig *rig, enum sl_outcome outcome, int16_t error)
{
	uint64_t count = 0;

	rig_reports_read(rig);
	for (uint64_t seq = 0; seq < rig->seq; seq++)
		count += rig->outcomes[seq].outcome == outcome && rig->outcomes[seq].error == error;
	return count;
}

/* Some have landed; then so many batches are answered with this code, and the rest comes through.
 */
static struct rig *after_fault(enum rig_fault_kind kind, int16_t code, uint32_t times)
{
	struct rig *rig = plain_rig();

	rig_fault(rig, kind, 0, code, times);
	send_some(rig, AFTER);
	rig_run(rig, 300);
	return rig;
}

/* ---- what is made of a code ---- */

/* The same bytes under the same numbers, until it passes. Nothing of it was stored. */
static void comes_again(int16_t code)
{
	struct rig *rig = after_fault(RIG_FAULT_ERROR, code, 2);

	rig_check_all(rig, ALL, 0, 0);
	assert_true(rig->troubles > 0 && (int16_t)rig->last_trouble_error == code);
	assert_int_equal(rig->logs[0].epoch, 0);
	assert_int_equal(rig->logs[0].duplicates, 0);
	assert_true(stats_of(rig)->batches_resent >= 2);
	rig_destroy(rig);
}

/* The same, though it was stored: the resend is found to be a duplicate, and no record lies twice.
 */
static void comes_again_though_stored(int16_t code)
{
	struct rig *rig = after_fault(RIG_FAULT_ERROR_AFTER, code, 2);

	rig_check_all(rig, ALL, 0, 0);
	assert_true((int16_t)rig->last_trouble_error == code);
	assert_true(rig->logs[0].duplicates > 0 && rig->logs[0].epoch == 0);
	rig_destroy(rig);
}

static void comes_again_either_way(int16_t code)
{
	comes_again(code);
	comes_again_though_stored(code);
}

/* A handful of times; then the batch is given up with what its answers allow to say, and the next
 * ones go on. */
static void comes_again_a_few_times(int16_t code, enum sl_outcome in_the_end)
{
	struct rig *rig = after_fault(RIG_FAULT_ERROR, code, 3);
	uint64_t given_up;

	rig_check_all(rig, ALL, 0, 0);
	rig->fault_count = 0;
	rig_fault(rig, RIG_FAULT_ERROR, 0, code, 6);
	send_some(rig, 10);
	rig_run(rig, 300);
	given_up = outcomes(rig, in_the_end, code);
	assert_true(given_up > 0 && given_up <= 10);
	send_some(rig, 10);
	rig_run(rig, 300);
	rig_check_all(rig, ALL + 20 - given_up, in_the_end == SL_OUTCOME_FAILED ? given_up : 0,
		      in_the_end == SL_OUTCOME_UNKNOWN ? given_up : 0);
	rig_destroy(rig);
}

static void then_fails(int16_t code)
{
	comes_again_a_few_times(code, SL_OUTCOME_FAILED);
}

static void then_is_unknown(int16_t code)
{
	comes_again_a_few_times(code, SL_OUTCOME_UNKNOWN);
}

/* That batch alone fails, with this code; what follows is numbered from 0 under the next epoch. */
static void fails(int16_t code)
{
	struct rig *rig = after_fault(RIG_FAULT_ERROR, code, 1);
	uint64_t failed;

	failed = outcomes(rig, SL_OUTCOME_FAILED, code);
	assert_true(failed > 0 && failed < AFTER);
	rig_check_all(rig, ALL - failed, failed, 0);
	assert_int_equal(rig->logs[0].epoch, 1);
	assert_int_equal(rig->troubles, 0);
	rig_destroy(rig);
}

/* A code that no leader should give to a producer: nobody can tell what became of that batch. The
 * next ones go on. */
static void is_unknown(int16_t code)
{
	struct rig *rig = after_fault(RIG_FAULT_ERROR_AFTER, code, 1);
	uint64_t unknown;

	unknown = outcomes(rig, SL_OUTCOME_UNKNOWN, code);
	assert_true(unknown > 0 && unknown < AFTER);
	assert_int_equal(outcomes(rig, SL_OUTCOME_PERSISTED, 0), ALL - unknown);
	rig_destroy(rig);
}

/* Cut in two inside its range of sequences; the halves land, and nobody else is numbered anew. */
static void is_cut(int16_t code)
{
	struct rig *rig = after_fault(RIG_FAULT_ERROR, code, 1);

	rig_check_all(rig, ALL, 0, 0);
	assert_true(stats_of(rig)->batches_cut > 0);
	assert_int_equal(rig->logs[0].epoch, 0);
	rig_destroy(rig);
}

/* A single record that is too large fails alone. */
static void is_cut_or_fails(int16_t code)
{
	struct rig *rig = plain_rig();

	is_cut(code);
	rig_fault(rig, RIG_FAULT_ERROR, 0, code, 1);
	send_some(rig, 1);
	rig_run(rig, 100);
	assert_int_equal(outcomes(rig, SL_OUTCOME_FAILED, code), 1);
	rig_check_all(rig, BEFORE, 1, 0);
	rig_destroy(rig);
}

/* The leader does not accept our sequence, and none of the batch's attempts was left unanswered:
 * this partition starts over. */
static void starts_over(int16_t code)
{
	struct rig *rig = after_fault(RIG_FAULT_ERROR, code, 1);

	rig_check_all(rig, ALL, 0, 0);
	assert_int_equal(rig->logs[0].epoch, 1);
	assert_int_equal(rig->doubts, 0);
	assert_int_equal(stats_of(rig)->producer_epochs_bumped, 1);
	rig_destroy(rig);
}

/* It is there already: a success of which the offset is not known. */
static void was_there(int16_t code)
{
	struct rig *rig = plain_rig();

	rig_fault(rig, RIG_FAULT_ERROR_AFTER, 0, code, 1);
	send_some(rig, 10);
	rig_run(rig, 100);
	assert_int_equal(outcomes(rig, SL_OUTCOME_PERSISTED, 0), BEFORE + 10);
	assert_int_equal(rig->outcomes[BEFORE].offset, -1);
	assert_int_equal(rig->logs[0].count, BEFORE + 10);
	rig_destroy(rig);
}

static void is_well(int16_t code)
{
	struct rig *rig = plain_rig();

	(void)code;
	send_some(rig, AFTER);
	rig_run(rig, 100);
	rig_check_all(rig, ALL, 0, 0);
	assert_int_equal(rig->troubles, 0);
	rig_destroy(rig);
}

/* A version that the broker had offered: it is asked for its versions again, on a new connection.
 */
static void asks_versions_again(int16_t code)
{
	struct rig *rig = plain_rig();
	uint32_t connects = rig->connects;

	rig_fault(rig, RIG_FAULT_ERROR, 0, code, 1);
	rig->produce_version_max = 9; /* it was set back meanwhile */
	send_some(rig, AFTER);
	rig_run(rig, 300);
	rig_check_all(rig, ALL, 0, 0);
	assert_true(rig->connects > connects);
	rig_destroy(rig);
}

/* Of what is compressed: the batch is expanded and goes out as it was written. */
static void is_expanded(int16_t code)
{
	struct rig_options options = {
		.partitions = 1, .settings = rig_settings(), .settings_given = true};
	struct sl_codec *codec;
	struct rig *rig;

	assert_int_equal(sl_codec_create(&codec, 4, SL_CODEC_LEVEL_DEFAULT, NULL), 0);
	options.settings.codec = codec;
	rig = rig_create(&options);
	rig_fault(rig, RIG_FAULT_ERROR, 0, code, 1);
	send_some(rig, AFTER);
	rig_run(rig, 300);
	rig_check_all(rig, AFTER, 0, 0);
	assert_true(stats_of(rig)->batches_cut > 0 && rig->logs[0].epoch == 0);
	rig_destroy(rig);
	sl_codec_destroy(codec);
}

/* ---- the table ---- */

/* Kafka's number and name, and what is made of it. */
#define ERROR_TABLE(X)                                                                             \
	X(-1, UNKNOWN_SERVER_ERROR, then_is_unknown)                                               \
	X(0, NONE, is_well)                                                                        \
	X(1, OFFSET_OUT_OF_RANGE, then_is_unknown)                                                 \
	X(2, CORRUPT_MESSAGE, then_fails)                                                          \
	X(3, UNKNOWN_TOPIC_OR_PARTITION, comes_again)                                              \
	X(5, LEADER_NOT_AVAILABLE, comes_again)                                                    \
	X(6, NOT_LEADER_OR_FOLLOWER, comes_again_either_way)                                       \
	X(7, REQUEST_TIMED_OUT, comes_again_either_way)                                            \
	X(8, BROKER_NOT_AVAILABLE, comes_again)                                                    \
	X(9, REPLICA_NOT_AVAILABLE, comes_again)                                                   \
	X(10, MESSAGE_TOO_LARGE, is_cut_or_fails)                                                  \
	X(13, NETWORK_EXCEPTION, comes_again_either_way)                                           \
	X(14, COORDINATOR_LOAD_IN_PROGRESS, comes_again_either_way)                                \
	X(15, COORDINATOR_NOT_AVAILABLE, comes_again_either_way)                                   \
	X(16, NOT_COORDINATOR, comes_again_either_way)                                             \
	X(17, INVALID_TOPIC_EXCEPTION, fails)                                                      \
	X(18, RECORD_LIST_TOO_LARGE, is_cut_or_fails)                                              \
	X(19, NOT_ENOUGH_REPLICAS, comes_again)                                                    \
	X(20, NOT_ENOUGH_REPLICAS_AFTER_APPEND, comes_again_though_stored)                         \
	X(21, INVALID_REQUIRED_ACKS, fails)                                                        \
	X(29, TOPIC_AUTHORIZATION_FAILED, fails)                                                   \
	X(31, CLUSTER_AUTHORIZATION_FAILED, fails)                                                 \
	X(32, INVALID_TIMESTAMP, is_cut)                                                           \
	X(33, UNSUPPORTED_SASL_MECHANISM, fails)                                                   \
	X(34, ILLEGAL_SASL_STATE, fails)                                                           \
	X(35, UNSUPPORTED_VERSION, asks_versions_again)                                            \
	X(41, NOT_CONTROLLER, comes_again)                                                         \
	X(42, INVALID_REQUEST, fails)                                                              \
	X(43, UNSUPPORTED_FOR_MESSAGE_FORMAT, fails)                                               \
	X(44, POLICY_VIOLATION, fails)                                                             \
	X(45, OUT_OF_ORDER_SEQUENCE_NUMBER, starts_over)                                           \
	X(46, DUPLICATE_SEQUENCE_NUMBER, was_there)                                                \
	X(47, INVALID_PRODUCER_EPOCH, starts_over)                                                 \
	X(48, INVALID_TXN_STATE, is_unknown)                                                       \
	X(49, INVALID_PRODUCER_ID_MAPPING, is_unknown)                                             \
	X(50, INVALID_TRANSACTION_TIMEOUT, fails)                                                  \
	X(51, CONCURRENT_TRANSACTIONS, comes_again_either_way)                                     \
	X(52, TRANSACTION_COORDINATOR_FENCED, is_unknown)                                          \
	X(53, TRANSACTIONAL_ID_AUTHORIZATION_FAILED, fails)                                        \
	X(54, SECURITY_DISABLED, fails)                                                            \
	X(56, KAFKA_STORAGE_ERROR, comes_again_either_way)                                         \
	X(57, LOG_DIR_NOT_FOUND, comes_again_either_way)                                           \
	X(58, SASL_AUTHENTICATION_FAILED, fails)                                                   \
	X(59, UNKNOWN_PRODUCER_ID, starts_over)                                                    \
	X(72, LISTENER_NOT_FOUND, comes_again)                                                     \
	X(74, FENCED_LEADER_EPOCH, comes_again)                                                    \
	X(75, UNKNOWN_LEADER_EPOCH, comes_again)                                                   \
	X(76, UNSUPPORTED_COMPRESSION_TYPE, is_expanded)                                           \
	X(87, INVALID_RECORD, is_cut)                                                              \
	X(89, THROTTLING_QUOTA_EXCEEDED, comes_again)                                              \
	X(90, PRODUCER_FENCED, fails)                                                              \
	X(97, PRINCIPAL_DESERIALIZATION_FAILURE, is_unknown)                                       \
	X(100, UNKNOWN_TOPIC_ID, comes_again)                                                      \
	X(103, INCONSISTENT_TOPIC_ID, comes_again)                                                 \
	X(104, INCONSISTENT_CLUSTER_ID, is_unknown)                                                \
	X(117, UNKNOWN_SUBSCRIPTION_ID, is_unknown)                                                \
	X(118, TELEMETRY_TOO_LARGE, is_unknown)                                                    \
	X(120, TRANSACTION_ABORTABLE, is_unknown)                                                  \
	X(129, REBOOTSTRAP_REQUIRED, comes_again)                                                  \
	X(999, a_code_of_the_future, then_is_unknown)

#define TEST_OF(number, name, behaviour)                                                           \
	static void error_##name(void **state)                                                     \
	{                                                                                          \
		(void)state;                                                                       \
		behaviour((int16_t)(number));                                                      \
	}
ERROR_TABLE(TEST_OF)
#undef TEST_OF

/* A number that no release will give is told as the error of which nothing is known. */
static void no_error_of_kafka(void **state)
{
	struct rig *rig = plain_rig();

	(void)state;
	rig_fault(rig, RIG_FAULT_ERROR, 0, 30000, 6);
	send_some(rig, 10);
	rig_run(rig, 300);
	assert_true(outcomes(rig, SL_OUTCOME_UNKNOWN, SL_KAFKA_UNKNOWN_SERVER_ERROR) > 0);
	rig_destroy(rig);
}

/* Rows of the code that are not "no leader says this to a producer" are listed above, under their
 * own names. */
static void every_row_has_its_test(void **state)
{
	static const struct {
		int16_t code;
		const char *name;
	} tested[] = {
#define ROW(number, name, behaviour) {(number), #name},
		ERROR_TABLE(ROW)
#undef ROW
	};

	(void)state;
	for (int16_t code = -1; code < 1000; code++) {
		const char *name = NULL;

		for (uint32_t i = 0; i < sizeof(tested) / sizeof(tested[0]); i++)
			if (tested[i].code == code)
				name = tested[i].name;
		if (!sl_kafka_error_known(code))
			assert_true(!name || code == 999);
		else if (name)
			assert_string_equal(name, sl_kafka_error_name(code));
		else
			assert_true(sl_kafka_error_action(code) == SL_ACTION_FAIL &&
				    sl_kafka_error_written(code) == SL_WRITTEN_MAYBE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define LIST(number, test, behaviour) {"error " #number " " #test, error_##test, NULL, NULL, NULL},
		ERROR_TABLE(LIST)
#undef LIST
			cmocka_unit_test(no_error_of_kafka),
		cmocka_unit_test(every_row_has_its_test),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
