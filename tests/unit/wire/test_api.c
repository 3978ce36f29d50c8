/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: versions are agreed on as brokers of 2.1 to 4.x need it; error codes are classed; producer
 * ids are asked for. */
#include <errno.h>

#include "dataplane/wire/error_code.h"
#include "tests/unit/wire/support.h"
#include "tests/unit/wire/walk.h"

static const char versions_v3[] = "0000002b 00000001 0000 04 0000 0000 000d 00 0003 0000 000d 00"
				  "0012 0000 0004 00 00000000 01 01 08 000000000000001e";
static const char versions_refused[] = "00000010 00000001 0023 00000001 0012 0000 0003";
static const char versions_refused_old[] = "0000000a 00000001 0023 00000000";
static const char producer_id_v4[] = "00000016 00000003 00 00000000 0000 0000000000001092 0000 00";

static void test_versions_request(void **state)
{
	struct sl_request_head head = {3, 1, sl_slice_of("hydra")};
	uint8_t out[64];
	struct sl_wbuf w = sl_wbuf_on(out, sizeof(out));
	int bytes = sl_api_versions_request_encode(&w, &head, sl_slice_of("hydra"),
						   sl_slice_of("0.1.0"));

	(void)state;
	assert_int_equal(bytes, 33);
	assert_bytes(out, 33,
		     "0000001d 0012 0003 00000001 0005 6879647261 00 06 6879647261"
		     "06 302e312e30 00");
	head.version = 0;
	w = sl_wbuf_on(out, sizeof(out));
	bytes = sl_api_versions_request_encode(&w, &head, SL_SLICE_NULL, SL_SLICE_NULL);
	assert_bytes(out, (size_t)bytes, "0000000f 0012 0000 00000001 0005 6879647261");
}

static struct sl_api_versions_answer answer_of(const char *hex, int16_t version)
{
	struct bytes frame = bytes_of(hex);
	struct sl_rbuf body = body_of(&frame, SL_API_API_VERSIONS, version, 1);
	struct sl_api_versions_answer answer;

	assert_cuts_refused(&body, version, walk_api_versions);
	assert_int_equal(sl_api_versions_response_decode(&body, version, &answer), 0);
	return answer;
}

static void test_versions_answer(void **state)
{
	struct sl_api_versions_answer a = answer_of(versions_v3, 3);

	(void)state;
	assert_int_equal(a.error_code, 0);
	assert_int_equal(sl_api_version_pick(&a.table, SL_API_PRODUCE), 13);
	assert_int_equal(sl_api_version_pick_max(&a.table, SL_API_PRODUCE, 12), 12);
	assert_int_equal(sl_api_version_pick_max(&a.table, SL_API_PRODUCE, 2), -EPROTONOSUPPORT);
	assert_int_equal(sl_api_version_pick(&a.table, SL_API_METADATA), 13);
	assert_int_equal(sl_api_version_pick(&a.table, SL_API_FETCH), -EPROTONOSUPPORT);
	assert_int_equal(sl_api_version_pick(&a.table, 999), -EPROTONOSUPPORT);
}

static void test_versions_fallback(void **state)
{
	(void)state;
	/* A broker that refuses 3 and offers 3 must not be asked the same for ever. */
	assert_int_equal(answer_of(versions_refused, 3).retry_version, 0);
	assert_int_equal(answer_of(versions_refused_old, 3).retry_version, 0);
	assert_int_equal(answer_of(versions_refused_old, 0).retry_version, -1);
	assert_int_equal(
		answer_of("00000010 00000001 0023 00000001 0012 0000 0002", 3).retry_version, 2);
	assert_int_equal(answer_of(versions_refused, 3).error_code, 35);
}

static void test_versions_ranges(void **state)
{
	static const struct {
		struct sl_api_range theirs;
		int want;
	} rows[] = {
		{{0, 13}, 13},
		{{3, 7}, 7},
		{{0, 2}, -EPROTONOSUPPORT},
		{{14, 20}, -EPROTONOSUPPORT},
		{{5, 4}, -EPROTONOSUPPORT},
		{{-1, 9}, -EPROTONOSUPPORT},
		{{13, 32767}, 13},
	};
	struct sl_api_versions table;
	size_t i;

	(void)state;
	sl_api_versions_init(&table);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		sl_api_versions_set(&table, SL_API_PRODUCE, rows[i].theirs);
		assert_int_equal(sl_api_version_pick(&table, SL_API_PRODUCE), rows[i].want);
	}
	sl_api_versions_set(&table, 4711, (struct sl_api_range){0, 1});
	assert_string_equal(sl_api_name(SL_API_METADATA), "METADATA");
	assert_string_equal(sl_api_name(4711), "?");
}

static void test_producer_id(void **state)
{
	struct sl_request_head head = {0, 3, sl_slice_of("hydra")};
	struct bytes frame = bytes_of(producer_id_v4);
	struct sl_rbuf body = body_of(&frame, SL_API_INIT_PRODUCER_ID, 4, 3);
	struct sl_init_producer_id_answer answer;
	uint8_t out[64];
	struct sl_wbuf w = sl_wbuf_on(out, sizeof(out));

	(void)state;
	assert_int_equal(sl_init_producer_id_request_encode(&w, &head), 25);
	assert_bytes(out, 25, "00000015 0016 0000 00000003 0005 6879647261 ffff 0000ea60");
	head.version = 4;
	w = sl_wbuf_on(out, sizeof(out));
	assert_int_equal(sl_init_producer_id_request_encode(&w, &head), 36);
	assert_bytes(out, 36,
		     "00000020 0016 0004 00000003 0005 6879647261 00 00 0000ea60"
		     "ffffffffffffffff ffff 00");
	assert_int_equal(sl_init_producer_id_response_decode(&body, 4, &answer), 0);
	assert_int_equal(answer.producer_id, 4242);
	assert_int_equal(answer.producer_epoch, 0);
	assert_cuts_refused(&body, 4, walk_init_producer_id);
	assert_int_equal(walk_init_producer_id(&body, 6), -EPROTONOSUPPORT);
}

static void test_error_codes(void **state)
{
	(void)state;
	assert_string_equal(sl_kafka_error_name(6), "NOT_LEADER_OR_FOLLOWER");
	assert_string_equal(sl_kafka_error_name(-1), "UNKNOWN_SERVER_ERROR");
	assert_string_equal(sl_kafka_error_name(129), "REBOOTSTRAP_REQUIRED");
	assert_int_equal(sl_kafka_error_action(0), SL_ACTION_OK);
	assert_int_equal(sl_kafka_error_action(10), SL_ACTION_SPLIT);
	assert_int_equal(sl_kafka_error_action(45), SL_ACTION_RESOLVE);
	assert_int_equal(sl_kafka_error_written(46), SL_WRITTEN_YES);
	/* A deposed leader was seen to append and answer 6. */
	assert_int_equal(sl_kafka_error_written(6), SL_WRITTEN_MAYBE);
	assert_int_equal(sl_kafka_error_written(87), SL_WRITTEN_NO);
}

static void test_error_codes_unknown(void **state)
{
	static const int16_t codes[] = {INT16_MIN, -2, 134, 999, INT16_MAX};
	int16_t code;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		assert_false(sl_kafka_error_known(codes[i]));
		assert_string_equal(sl_kafka_error_name(codes[i]), "UNKNOWN_ERROR_CODE");
		assert_int_equal(sl_kafka_error_action(codes[i]), sl_kafka_error_action(-1));
		assert_int_equal(sl_kafka_error_written(codes[i]), SL_WRITTEN_MAYBE);
	}
	for (code = -1; code <= 133; code++)
		assert_true(sl_kafka_error_known(code));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_versions_request),    cmocka_unit_test(test_versions_answer),
		cmocka_unit_test(test_versions_fallback),   cmocka_unit_test(test_versions_ranges),
		cmocka_unit_test(test_producer_id),         cmocka_unit_test(test_error_codes),
		cmocka_unit_test(test_error_codes_unknown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
