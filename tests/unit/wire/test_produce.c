/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: Produce requests have the bytes that brokers accept, cut where payloads go; responses are
 * read in full. */
#include <errno.h>

#include "dataplane/base/crc32c.h"
#include "tests/unit/wire/support.h"
#include "tests/unit/wire/walk.h"

#define BATCH_A                                                                                    \
	"00000000000000000000005cffffffff0232b9e75b0000000000020000018bcfe568000000018bcfe56807"   \
	"ffffffffffffffffffffffffffff00000003"                                                     \
	"1a000000046b310a68656c6c6f002a000a02010a776f726c6404046831047631046832010c000e04000100"
#define UUID "101112131415161718191a1b1c1d1e1f"

static const char request_v7[] = "00000095 0000 0007 00000007 0005 6879647261 ffff ffff 00007530"
				 "00000001 0004 6c6f6773 00000001 00000001 00000068" BATCH_A;
static const char request_v9[] = "0000008e 0000 0009 00000007 0005 6879647261 00 00 ffff 00007530"
				 "02 05 6c6f6773 02 00000001 69" BATCH_A "00 00 00";
static const char request_v13[] = "00000099 0000 000d 00000007 0005 6879647261 00 00 ffff 00007530"
				  "02" UUID "02 00000001 69" BATCH_A "00 00 00";
static const char response_v7[] = "00000034 00000007 00000001 0004 6c6f6773 00000001 00000001 0000"
				  "0000000000000064 ffffffffffffffff 0000000000000000 00000000";
static const char response_v9[] = "00000033 00000007 00 02 05 6c6f6773 02 00000001 0000"
				  "0000000000000064 ffffffffffffffff 0000000000000000"
				  "01 00 00 00 00000000 00";
static const char response_v10[] = "0000004e 00000007 00 02 05 6c6f6773 02 00000001 0006"
				   "ffffffffffffffff ffffffffffffffff ffffffffffffffff 01 00"
				   "01 00 09 00000002 00000005 00 00 00000000"
				   "01 00 0e 02 00000002 03 6232 00002384 00 00";

static struct sl_batch_header batch_a(const struct bytes *whole)
{
	const uint8_t *payload = whole->at + SL_BATCH_HEADER_BYTES;
	uint32_t payload_bytes = (uint32_t)whole->count - SL_BATCH_HEADER_BYTES;

	return (struct sl_batch_header){
		.base_timestamp_ms = 1700000000000,
		.max_timestamp_ms = 1700000000007,
		.producer_id = -1,
		.producer_epoch = -1,
		.base_sequence = -1,
		.record_count = 3,
		.payload_bytes = payload_bytes,
		.payload_crc = sl_crc32c(0, payload, payload_bytes),
	};
}

static struct sl_produce_head head_of(int16_t version, uint32_t topic_count)
{
	return (struct sl_produce_head){
		.request = {version, 7, sl_slice_of("hydra")},
		.acks = -1,
		.timeout_ms = 30000,
		.topic_count = topic_count,
	};
}

static struct sl_produce_topic topic_of(uint32_t partition_count)
{
	struct bytes id = bytes_of(UUID);
	struct sl_produce_topic topic = {sl_slice_of("logs"), {{0}}, partition_count};

	memcpy(topic.id.bytes, id.at, SL_UUID_BYTES);
	return topic;
}

static void append(struct bytes *out, const void *data, size_t count)
{
	assert_true(out->count + count <= sizeof(out->at));
	memcpy(out->at + out->count, data, count);
	out->count += count;
}

/* Writes topics x partitions of batch A, sends the pieces "on the wire", and checks all the sizes
 * announced. */
static struct bytes write_request(int16_t version, uint32_t topics, uint32_t partitions)
{
	struct bytes whole = bytes_of(BATCH_A), wire = {.count = 0};
	struct sl_batch_header batch = batch_a(&whole);
	struct sl_produce_head head = head_of(version, topics);
	struct sl_produce_topic topic = topic_of(partitions);
	struct sl_produce_size size;
	struct sl_produce_writer pw;
	struct iovec iov[8], tail;
	uint32_t t, p, n = 0;
	uint8_t *scratch;

	sl_produce_size_begin(&size, &head);
	for (t = 0; t < topics; t++) {
		sl_produce_size_topic(&size, &topic);
		for (p = 0; p < partitions; p++)
			sl_produce_size_partition(&size, batch.payload_bytes);
	}
	scratch = malloc(size.scratch_bytes);
	assert_int_equal(sl_produce_begin(&pw, scratch, size.scratch_bytes, &head), 0);
	for (t = 0; t < topics; t++) {
		sl_produce_topic(&pw, &topic);
		for (p = 0; p < partitions; p++)
			iov[n++] = sl_produce_partition(&pw, (int32_t)p + 1, &batch);
	}
	assert_int_equal(sl_produce_end(&pw, &tail), size.frame_bytes);
	for (t = 0; t < n; t++) {
		append(&wire, iov[t].iov_base, iov[t].iov_len);
		append(&wire, whole.at + SL_BATCH_HEADER_BYTES, batch.payload_bytes);
	}
	append(&wire, tail.iov_base, tail.iov_len);
	free(scratch);
	assert_int_equal(wire.count, size.frame_bytes);
	return wire;
}

static void test_request_golden(void **state)
{
	struct bytes b;

	(void)state;
	b = write_request(7, 1, 1);
	assert_bytes(b.at, b.count, request_v7);
	b = write_request(9, 1, 1);
	assert_bytes(b.at, b.count, request_v9);
	b = write_request(13, 1, 1);
	assert_bytes(b.at, b.count, request_v13);
}

/* Two topics of two partitions, read back field by field as a broker would. */
static void request_read_back(int16_t version)
{
	struct bytes wire = write_request(version, 2, 2), a = bytes_of(BATCH_A);
	struct sl_rbuf r = sl_rbuf_on(wire.at, wire.count);
	bool flexible = sl_api_flexible(SL_API_PRODUCE, version);
	struct sl_request_info info;
	int32_t t, p;

	assert_int_equal(sl_get_i32(&r), wire.count - 4);
	assert_int_equal(sl_request_info_decode(&r, &info), 0);
	assert_int_equal(info.version, version);
	assert_text(info.client_id, "hydra");
	assert_null(sl_get_nullable_string(&r, flexible).data);
	assert_int_equal(sl_get_i16(&r), -1);
	assert_int_equal(sl_get_i32(&r), 30000);
	assert_int_equal(sl_get_array(&r, flexible, 1), 2);
	for (t = 0; t < 2; t++) {
		if (version >= SL_PRODUCE_VERSION_TOPIC_ID)
			sl_get_uuid(&r);
		else
			assert_text(sl_get_string(&r, flexible), "logs");
		assert_int_equal(sl_get_array(&r, flexible, 1), 2);
		for (p = 0; p < 2; p++) {
			struct sl_slice records;

			assert_int_equal(sl_get_i32(&r), p + 1);
			records = sl_get_nullable_bytes(&r, flexible);
			assert_int_equal(records.bytes, a.count);
			assert_memory_equal(records.data, a.at, a.count);
			sl_skip_tags(&r, flexible);
		}
		sl_skip_tags(&r, flexible);
	}
	sl_skip_tags(&r, flexible);
	assert_false(r.bad);
	assert_int_equal(sl_rbuf_left(&r), 0);
}

static void test_request_many(void **state)
{
	int16_t version;

	(void)state;
	for (version = 3; version <= 13; version++)
		request_read_back(version);
}

static void test_request_refused(void **state)
{
	struct bytes whole = bytes_of(BATCH_A);
	struct sl_batch_header batch = batch_a(&whole);
	struct sl_produce_head head = head_of(9, 1);
	struct sl_produce_topic topic = topic_of(1);
	struct sl_produce_writer pw;
	struct iovec tail;
	size_t room;

	(void)state;
	for (room = 0; room < 112; room++) {
		uint8_t *scratch = malloc(room ? room : 1);

		assert_int_equal(sl_produce_begin(&pw, scratch, room, &head), 0);
		sl_produce_topic(&pw, &topic);
		sl_produce_partition(&pw, 1, &batch);
		assert_int_equal(sl_produce_end(&pw, &tail), room < 103 ? -ENOBUFS : 146);
		free(scratch);
	}
	head.request.version = 2;
	assert_int_equal(sl_produce_begin(&pw, whole.at, 0, &head), -EPROTONOSUPPORT);
	head.request.version = 14;
	assert_int_equal(sl_produce_begin(&pw, whole.at, 0, &head), -EPROTONOSUPPORT);
}

static void test_response_plain(void **state)
{
	static const struct {
		const char *hex;
		int16_t version;
	} rows[] = {{response_v7, 7}, {response_v9, 9}};
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		struct bytes frame = bytes_of(rows[i].hex);
		struct sl_rbuf body = body_of(&frame, SL_API_PRODUCE, rows[i].version, 7);
		struct sl_produce_reader pr;
		struct sl_produce_result result;
		struct sl_produce_end end;

		assert_int_equal(sl_produce_response_begin(&pr, &body, rows[i].version), 0);
		assert_int_equal(sl_produce_response_next(&pr, &result), 1);
		assert_text(result.topic, "logs");
		assert_int_equal(result.index, 1);
		assert_int_equal(result.error_code, 0);
		assert_int_equal(result.base_offset, 100);
		assert_int_equal(result.log_append_time_ms, -1);
		assert_int_equal(result.log_start_offset, 0);
		assert_int_equal(result.leader_id, -1);
		assert_int_equal(sl_produce_response_next(&pr, &result), 0);
		assert_int_equal(sl_produce_response_end(&pr, &end), 0);
		assert_int_equal(end.throttle_ms, 0);
		assert_int_equal(end.nodes.left, 0);
		assert_cuts_refused(&body, rows[i].version, walk_produce);
	}
}

static void test_response_leader_hint(void **state)
{
	struct bytes frame = bytes_of(response_v10);
	struct sl_rbuf body = body_of(&frame, SL_API_PRODUCE, 10, 7);
	struct sl_produce_reader pr;
	struct sl_produce_result result;
	struct sl_produce_end end;
	struct sl_produce_node node;

	(void)state;
	assert_int_equal(sl_produce_response_begin(&pr, &body, 10), 0);
	assert_int_equal(sl_produce_response_next(&pr, &result), 1);
	assert_int_equal(result.error_code, 6);
	assert_int_equal(result.base_offset, -1);
	assert_int_equal(result.leader_id, 2);
	assert_int_equal(result.leader_epoch, 5);
	/* The end skips what was not read. */
	assert_int_equal(sl_produce_response_end(&pr, &end), 0);
	assert_int_equal(sl_produce_node_next(&end.nodes, &node), 1);
	assert_int_equal(node.id, 2);
	assert_text(node.host, "b2");
	assert_int_equal(node.port, 9092);
	assert_int_equal(sl_produce_node_next(&end.nodes, &node), 0);
	assert_cuts_refused(&body, 10, walk_produce);
}

/* What a broker of any version sends: two topics, the first with two partitions, one of which names
 * bad records. */
static struct bytes rich_response(int16_t version)
{
	bool flexible = sl_api_flexible(SL_API_PRODUCE, version);
	struct bytes b = {.count = 0};
	struct sl_wbuf w = sl_wbuf_on(b.at, sizeof(b.at));
	struct sl_produce_topic topic = topic_of(0);
	int32_t t, p;

	sl_put_array(&w, flexible, 2);
	for (t = 0; t < 2; t++) {
		if (version >= SL_PRODUCE_VERSION_TOPIC_ID)
			sl_put_uuid(&w, &topic.id);
		else
			sl_put_string(&w, flexible, topic.name);
		sl_put_array(&w, flexible, 2 - t);
		for (p = 0; p < 2 - t; p++) {
			sl_put_i32(&w, p);
			sl_put_i16(&w, 87);
			sl_put_i64(&w, -1);
			sl_put_i64(&w, -1);
			if (version >= 5)
				sl_put_i64(&w, 12);
			if (version >= 8) {
				sl_put_array(&w, flexible, 2);
				sl_put_i32(&w, 3);
				sl_put_string(&w, flexible, sl_slice_of("no key"));
				sl_put_tags(&w, flexible);
				sl_put_i32(&w, 5);
				sl_put_string(&w, flexible, SL_SLICE_NULL);
				sl_put_tags(&w, flexible);
				sl_put_string(&w, flexible, sl_slice_of("refused"));
			}
			sl_put_tags(&w, flexible);
		}
		sl_put_tags(&w, flexible);
	}
	sl_put_i32(&w, 250);
	sl_put_tags(&w, flexible);
	assert_false(w.overflow);
	b.count = (size_t)(w.pos - b.at);
	return b;
}

static void response_rich(int16_t version)
{
	struct bytes b = rich_response(version);
	struct sl_rbuf body = sl_rbuf_on(b.at, b.count);
	struct sl_produce_reader pr;
	struct sl_produce_result result;
	struct sl_produce_record_error error;
	struct sl_produce_end end;
	int results = 0;

	assert_int_equal(sl_produce_response_begin(&pr, &body, version), 0);
	while (sl_produce_response_next(&pr, &result) == 1) {
		results++;
		assert_int_equal(result.error_code, 87);
		assert_int_equal(result.log_start_offset, version >= 5 ? 12 : -1);
		assert_int_equal(result.topic.data == NULL, version >= 13);
		assert_int_equal(sl_uuid_is_zero(&result.topic_id), version < 13);
		if (version < 8)
			continue;
		assert_text(result.error_message, "refused");
		assert_int_equal(sl_produce_record_error_next(&result.record_errors, &error), 1);
		assert_int_equal(error.batch_index, 3);
		assert_text(error.message, "no key");
		assert_int_equal(sl_produce_record_error_next(&result.record_errors, &error), 1);
		assert_int_equal(error.batch_index, 5);
		assert_null(error.message.data);
		assert_int_equal(sl_produce_record_error_next(&result.record_errors, &error), 0);
	}
	assert_int_equal(results, 3);
	assert_int_equal(sl_produce_response_end(&pr, &end), 0);
	assert_int_equal(end.throttle_ms, 250);
	assert_cuts_refused(&body, version, walk_produce);
}

static void test_response_all_versions(void **state)
{
	int16_t version;

	(void)state;
	for (version = 3; version <= 13; version++)
		response_rich(version);
}

static void test_response_hostile_counts(void **state)
{
	static const char *const hex[] = {
		"7fffffff",
		"80000000",
		"ffffffff",
		"00000001 0004 6c6f6773 7fffffff",
		"00000001 ffff 00000000 00000000",
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(hex) / sizeof(hex[0]); i++) {
		struct bytes b = bytes_of(hex[i]);
		struct sl_rbuf body = sl_rbuf_on(b.at, b.count);

		assert_int_equal(walk_produce(&body, 7), -EBADMSG);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_request_golden),
		cmocka_unit_test(test_request_many),
		cmocka_unit_test(test_request_refused),
		cmocka_unit_test(test_response_plain),
		cmocka_unit_test(test_response_leader_hint),
		cmocka_unit_test(test_response_all_versions),
		cmocka_unit_test(test_response_hostile_counts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
