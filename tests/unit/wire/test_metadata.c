/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: Metadata is asked for in the right bytes, and read in every version, cut anywhere, with
 * steps left out. */
#include <errno.h>

#include "tests/unit/wire/support.h"
#include "tests/unit/wire/walk.h"

static void request_expect(int16_t version, const struct sl_metadata_request *request,
			   const char *hex)
{
	struct sl_request_head head = {version, 2, sl_slice_of("hydra")};
	uint8_t out[128];
	struct sl_wbuf w = sl_wbuf_on(out, sizeof(out));
	int bytes = sl_metadata_request_encode(&w, &head, request);
	int room;

	assert_true(bytes > 0);
	assert_bytes(out, (size_t)bytes, hex);
	for (room = 0; room < bytes; room++) {
		uint8_t *exact = malloc((size_t)room + 1);

		w = sl_wbuf_on(exact, (size_t)room);
		assert_int_equal(sl_metadata_request_encode(&w, &head, request), -ENOBUFS);
		free(exact);
	}
}

static void test_request(void **state)
{
	struct sl_slice logs = sl_slice_of("logs");
	struct sl_metadata_request one = {&logs, 1, false, false};
	struct sl_metadata_request none = {NULL, 0, false, false};
	struct sl_metadata_request all = {NULL, 0, true, true};

	(void)state;
	request_expect(7, &one,
		       "0000001a 0003 0007 00000002 0005 6879647261 00000001 0004 6c6f6773 00");
	request_expect(12, &one,
		       "0000002a 0003 000c 00000002 0005 6879647261 00 02"
		       "00000000000000000000000000000000 05 6c6f6773 00 00 00 00");
	request_expect(7, &none, "00000014 0003 0007 00000002 0005 6879647261 00000000 00");
	request_expect(7, &all, "00000014 0003 0007 00000002 0005 6879647261 ffffffff 01");
	request_expect(8, &none, "00000016 0003 0008 00000002 0005 6879647261 00000000 00 00 00");
	request_expect(9, &all, "00000015 0003 0009 00000002 0005 6879647261 00 00 01 00 00 00");
	request_expect(11, &none, "00000014 0003 000b 00000002 0005 6879647261 00 01 00 00 00");
}

static void put_partition(struct sl_wbuf *w, bool flexible, int32_t index)
{
	sl_put_i16(w, index == 1 ? 5 : 0);
	sl_put_i32(w, index);
	sl_put_i32(w, index == 1 ? -1 : 4);
	sl_put_i32(w, 40 + index);
	sl_put_array(w, flexible, 2);
	sl_put_i32(w, 4);
	sl_put_i32(w, 5);
	sl_put_array(w, flexible, 1);
	sl_put_i32(w, 4);
	sl_put_array(w, flexible, 0);
	sl_put_tags(w, flexible);
}

static void put_topic(struct sl_wbuf *w, int16_t version, const char *name, int32_t partitions)
{
	bool flexible = version >= 9;
	struct sl_uuid id = {{9, 8, 7}};
	int32_t i;

	sl_put_i16(w, 0);
	sl_put_string(w, flexible, sl_slice_of(name));
	if (version >= 10)
		sl_put_uuid(w, &id);
	sl_put_bool(w, false);
	sl_put_array(w, flexible, partitions);
	for (i = 0; i < partitions; i++)
		put_partition(w, flexible, i);
	if (version >= 8)
		sl_put_i32(w, INT32_MIN);
	if (flexible) { /* one field nobody knows yet */
		sl_put_uvarint(w, 1);
		sl_put_uvarint(w, 77);
		sl_put_uvarint(w, 2);
		sl_put_i16(w, 1);
	}
}

static struct bytes response(int16_t version)
{
	bool flexible = version >= 9;
	struct bytes b = {.count = 0};
	struct sl_wbuf w = sl_wbuf_on(b.at, sizeof(b.at));
	int32_t i;

	sl_put_i32(&w, 33);
	sl_put_array(&w, flexible, 2);
	for (i = 4; i < 6; i++) {
		sl_put_i32(&w, i);
		sl_put_string(&w, flexible, sl_slice_of("host"));
		sl_put_i32(&w, 9092);
		sl_put_string(&w, flexible, i == 4 ? SL_SLICE_NULL : sl_slice_of("rack"));
		sl_put_tags(&w, flexible);
	}
	sl_put_string(&w, flexible, sl_slice_of("cluster"));
	sl_put_i32(&w, 5);
	sl_put_array(&w, flexible, 3);
	put_topic(&w, version, "logs", 3);
	put_topic(&w, version, "none", 0);
	put_topic(&w, version, "one", 1);
	if (version >= 8 && version <= 10)
		sl_put_i32(&w, INT32_MIN);
	if (version >= 13)
		sl_put_i16(&w, 129);
	sl_put_tags(&w, flexible);
	assert_false(w.overflow);
	b.count = (size_t)(w.pos - b.at);
	return b;
}

static void topic_logs_expect(struct sl_metadata_reader *m, const struct sl_metadata_topic *topic)
{
	struct sl_metadata_partition p;
	int32_t i;

	assert_text(topic->name, "logs");
	assert_int_equal(topic->partition_count, 3);
	assert_int_equal(topic->id.bytes[0], m->version >= 10 ? 9 : 0);
	for (i = 0; i < 3; i++) {
		assert_int_equal(sl_metadata_next_partition(m, &p), 1);
		assert_int_equal(p.index, i);
		assert_int_equal(p.error_code, i == 1 ? 5 : 0);
		assert_int_equal(p.leader_id, i == 1 ? -1 : 4);
		assert_int_equal(p.leader_epoch, 40 + i);
	}
	assert_int_equal(sl_metadata_next_partition(m, &p), 0);
}

static void response_read(int16_t version)
{
	struct bytes b = response(version);
	struct sl_rbuf body = sl_rbuf_on(b.at, b.count);
	struct sl_metadata_reader m;
	struct sl_metadata_broker broker;
	struct sl_metadata_cluster cluster;
	struct sl_metadata_topic topic;
	int16_t error_code;

	assert_int_equal(sl_metadata_begin(&m, &body, version), 0);
	assert_int_equal(sl_metadata_check(&m), 0);
	assert_int_equal(m.throttle_ms, 33);
	/* The second broker is not taken: reading on skips it. */
	assert_int_equal(sl_metadata_next_broker(&m, &broker), 1);
	assert_int_equal(broker.id, 4);
	assert_text(broker.host, "host");
	assert_int_equal(sl_metadata_cluster(&m, &cluster), 0);
	assert_text(cluster.cluster_id, "cluster");
	assert_int_equal(cluster.controller_id, 5);
	assert_int_equal(sl_metadata_next_topic(&m, &topic), 1);
	topic_logs_expect(&m, &topic);
	assert_int_equal(sl_metadata_next_topic(&m, &topic), 1);
	assert_int_equal(sl_metadata_next_topic(&m, &topic), 1);
	assert_text(topic.name, "one");
	assert_int_equal(sl_metadata_end(&m, &error_code), 0);
	assert_int_equal(error_code, version >= 13 ? 129 : 0);
	assert_cuts_refused(&body, version, walk_metadata);
}

static void test_response(void **state)
{
	int16_t version;

	(void)state;
	for (version = 7; version <= 13; version++)
		response_read(version);
}

static void test_hostile(void **state)
{
	static const char *const hex[] = {
		"00000000 7fffffff",
		"00000000 00000001 00000001 0001 61 00000000 ffff 0001 62 00000001 00000000",
		"00000000 00000001 ffffffff 0001 61 00000001 ffff 0001 62 00000001 00000000",
		"00000000 00000000 ffff ffffffff 00000001 0000 0001 61 00 7fffffff",
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(hex) / sizeof(hex[0]); i++) {
		struct bytes b = bytes_of(hex[i]);
		struct sl_rbuf body = sl_rbuf_on(b.at, b.count);

		assert_int_equal(walk_metadata(&body, 7), -EBADMSG);
	}
}

/* Callers size tables by the count of partitions, so one that the frame cannot hold must not reach
 * them. */
static void test_hostile_partition_count(void **state)
{
	struct bytes b =
		bytes_of("00000000 00000000 ffff ffffffff 00000001 0000 0001 61 00 00000100"
			 "0000 00000000 00000001 00000005 00000000 00000000 00000000");
	struct sl_rbuf body = sl_rbuf_on(b.at, b.count);
	struct sl_metadata_reader m;
	struct sl_metadata_topic topic;

	(void)state;
	assert_int_equal(sl_metadata_begin(&m, &body, 7), 0);
	assert_int_equal(sl_metadata_next_topic(&m, &topic), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_request),
		cmocka_unit_test(test_response),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_hostile_partition_count),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
