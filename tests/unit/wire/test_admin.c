/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: what tools and read-back ask has the layout of the protocol, and its answers are refused at
 * every cut. */
#include <errno.h>

#include "dataplane/wire/describe_producers.h"
#include "dataplane/wire/fetch.h"
#include "dataplane/wire/list_offsets.h"
#include "dataplane/wire/topics.h"
#include "tests/unit/wire/support.h"

#define HEAD "00000009 0001 78"
#define ZERO16 "00000000000000000000000000000000"

static uint8_t out[256];

static struct sl_wbuf fresh(void)
{
	return sl_wbuf_on(out, sizeof(out));
}

static struct sl_request_head head_of(int16_t version)
{
	return (struct sl_request_head){version, 9, sl_slice_of("x")};
}

static int walk_create(const struct sl_rbuf *body, int16_t version)
{
	struct sl_topic_answer a;

	return sl_create_topic_decode(body, version, &a);
}

static int walk_delete(const struct sl_rbuf *body, int16_t version)
{
	struct sl_topic_answer a;

	return sl_delete_topic_decode(body, version, &a);
}

static int walk_offsets(const struct sl_rbuf *body, int16_t version)
{
	struct sl_list_offsets_answer a;

	return sl_list_offsets_decode(body, version, &a);
}

static int walk_fetch(const struct sl_rbuf *body, int16_t version)
{
	struct sl_fetch_answer a;

	return sl_fetch_decode(body, version, &a);
}

static int walk_producers(const struct sl_rbuf *body, int16_t version)
{
	struct sl_describe_producers_answer a;

	(void)version;
	return sl_describe_producers_decode(body, &a);
}

static void cuts(const char *hex, int16_t version, walk_fn walk)
{
	struct bytes b = bytes_of(hex);
	struct sl_rbuf body = sl_rbuf_on(b.at, b.count);

	assert_cuts_refused(&body, version, walk);
}

static void test_topics_requests(void **state)
{
	struct sl_topic_config config = {sl_slice_of("k"), sl_slice_of("v")};
	struct sl_topic_create topic = {sl_slice_of("t"), 3, 1, &config, 1, 1000};
	struct sl_request_head head = head_of(3);
	struct sl_wbuf w = fresh();
	int bytes = sl_create_topic_encode(&w, &head, &topic);

	(void)state;
	assert_bytes(out, (size_t)bytes,
		     "0000002b 0013 0003" HEAD "00000001 0001 74 00000003 0001 00000000 00000001"
		     "0001 6b 0001 76 000003e8 00");
	head = head_of(7);
	w = fresh();
	bytes = sl_create_topic_encode(&w, &head, &topic);
	assert_bytes(out, (size_t)bytes,
		     "00000023 0013 0007" HEAD "00 02 02 74 00000003 0001 01 02 02 6b 02 76 00 00"
		     "000003e8 00 00");
	head = head_of(3);
	w = fresh();
	bytes = sl_delete_topic_encode(&w, &head, sl_slice_of("t"), 1000);
	assert_bytes(out, (size_t)bytes, "00000016 0014 0003" HEAD "00000001 0001 74 000003e8");
	head = head_of(6);
	w = fresh();
	bytes = sl_delete_topic_encode(&w, &head, sl_slice_of("t"), 1000);
	assert_bytes(out, (size_t)bytes,
		     "00000025 0014 0006" HEAD "00 02 02 74" ZERO16 "00 000003e8 00");
}

static void test_topics_responses(void **state)
{
	struct bytes b = bytes_of("00000000 00000001 0001 74 0024 0003 616263");
	struct sl_rbuf body = sl_rbuf_on(b.at, b.count);
	struct sl_topic_answer a;

	(void)state;
	assert_int_equal(sl_create_topic_decode(&body, 3, &a), 0);
	assert_int_equal(a.error_code, 36);
	assert_text(a.name, "t");
	assert_text(a.error_message, "abc");
	cuts("00000000 00000001 0001 74 0024 0003 616263", 3, walk_create);
	cuts("00000000 02 02 74" ZERO16 "0000 00 00000003 0001 02 02 6b 02 76 00 05 00 00 00 00", 7,
	     walk_create);
	cuts("00000000 00000001 0001 74 0003", 3, walk_delete);
	cuts("00000000 02 02 74" ZERO16 "0003 00 00 00", 6, walk_delete);
	assert_int_equal(sl_create_topic_decode(&body, 8, &a), -EPROTONOSUPPORT);
}

static void test_list_offsets(void **state)
{
	static const char response[] = "00000000 00000001 0001 74 00000001 00000002 0000"
				       "ffffffffffffffff 0000000000000064 00000005";
	struct sl_list_offsets_request request = {sl_slice_of("t"), 2, -1, SL_OFFSET_LATEST};
	struct sl_request_head head = head_of(4);
	struct sl_wbuf w = fresh();
	int bytes = sl_list_offsets_encode(&w, &head, &request);
	struct bytes b = bytes_of(response);
	struct sl_rbuf body = sl_rbuf_on(b.at, b.count);
	struct sl_list_offsets_answer a;

	(void)state;
	assert_bytes(out, (size_t)bytes,
		     "0000002b 0002 0004" HEAD "ffffffff 00 00000001 0001 74 00000001 00000002"
		     "ffffffff ffffffffffffffff");
	assert_int_equal(sl_list_offsets_decode(&body, 4, &a), 0);
	assert_int_equal(a.offset, 100);
	assert_int_equal(a.leader_epoch, 5);
	cuts(response, 4, walk_offsets);
	cuts("00000000 02 02 74 02 00000002 0000 ffffffffffffffff 0000000000000064 00000005"
	     "00 00 00",
	     6, walk_offsets);
}

static void test_fetch(void **state)
{
	static const char response[] =
		"00000000 0000 00000000 00000001 0001 74 00000001 00000002 0000 0000000000000064"
		"0000000000000064 0000000000000000 00000001 0000000000000001 0000000000000002"
		"00000003 aabbcc";
	struct sl_fetch_request request = {sl_slice_of("t"), 2, 7, 500, 1, 4096};
	struct sl_request_head head = head_of(10);
	struct sl_wbuf w = fresh();
	int bytes = sl_fetch_encode(&w, &head, &request);
	struct bytes b = bytes_of(response);
	struct sl_rbuf body = sl_rbuf_on(b.at, b.count);
	struct sl_fetch_answer a;

	(void)state;
	assert_bytes(out, (size_t)bytes,
		     "0000004f 0001 000a" HEAD "ffffffff 000001f4 00000001 00001000 00 00000000"
		     "ffffffff 00000001 0001 74 00000001 00000002 ffffffff 0000000000000007"
		     "ffffffffffffffff 00001000 00000000");
	assert_int_equal(sl_fetch_decode(&body, 10, &a), 0);
	assert_int_equal(a.high_watermark, 100);
	assert_int_equal(a.records.bytes, 3);
	cuts(response, 10, walk_fetch);
	cuts("00000000 0000 00000000 02 02 74 02 00000002 0000 0000000000000064 0000000000000064"
	     "0000000000000000 00 ffffffff 04 aabbcc 00 00 00",
	     12, walk_fetch);
	cuts("00000000 0046 00000000 00000000", 10, walk_fetch);
}

static void test_describe_producers(void **state)
{
	static const char response[] =
		"00000000 02 02 74 02 00000002 0000 00 02 0000000000001092 00000003 00000005"
		"0000018bcfe56800 ffffffff ffffffffffffffff 00 00 00 00";
	struct sl_request_head head = head_of(0);
	struct sl_wbuf w = fresh();
	int bytes = sl_describe_producers_encode(&w, &head, sl_slice_of("t"), 2);
	struct bytes b = bytes_of(response);
	struct sl_rbuf body = sl_rbuf_on(b.at, b.count);
	struct sl_describe_producers_answer a;
	struct sl_producer_state s;

	(void)state;
	assert_bytes(out, (size_t)bytes, "00000016 003d 0000" HEAD "00 02 02 74 02 00000002 00 00");
	assert_int_equal(sl_describe_producers_decode(&body, &a), 0);
	assert_int_equal(sl_producer_state_next(&a, &s), 1);
	assert_int_equal(s.producer_id, 4242);
	assert_int_equal(s.last_sequence, 5);
	assert_int_equal(sl_producer_state_next(&a, &s), 0);
	cuts(response, 0, walk_producers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_topics_requests),    cmocka_unit_test(test_topics_responses),
		cmocka_unit_test(test_list_offsets),       cmocka_unit_test(test_fetch),
		cmocka_unit_test(test_describe_producers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
