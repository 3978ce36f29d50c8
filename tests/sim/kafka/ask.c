/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/kafka/ask.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/base/crc32c.h"
#include "dataplane/wire/describe_producers.h"
#include "dataplane/wire/error_code.h"
#include "dataplane/wire/init_producer_id.h"
#include "dataplane/wire/list_offsets.h"
#include "dataplane/wire/produce.h"
#include "dataplane/wire/record.h"

enum {
	CORRELATION_ID = 7,
	TIMEOUT_MS = 10000,
	OFFSETS_VERSION = 7,
	PRODUCER_ID_VERSION = 4,
	PRODUCERS_MAX = 64,
};

static struct sl_request_head head_of(int16_t version)
{
	return (struct sl_request_head){version, CORRELATION_ID, sl_slice_of("scripts")};
}

static uint32_t frame_bytes(int64_t bytes)
{
	SL_ASSERT(bytes > 0 && bytes <= ASK_FRAME_BYTES_MAX);
	return (uint32_t)bytes;
}

/* ---- requests ---- */

static uint32_t payload_put(uint8_t *payload, const struct ask_batch *batch)
{
	uint8_t value[8192], *p = payload;
	struct sl_slice v = {value, batch->value_bytes};
	uint32_t tail = sl_record_tail_bytes(SL_SLICE_NULL, v, NULL, 0);

	SL_ASSERT(batch->value_bytes <= sizeof(value));
	for (uint32_t i = 0; i < batch->value_bytes; i++)
		value[i] = (uint8_t)(i + (uint32_t)batch->base_sequence);
	for (uint32_t i = 0; i < batch->count; i++) {
		SL_ASSERT((size_t)(p - payload) + tail + SL_RECORD_HEAD_BYTES_MAX <
			  ASK_FRAME_BYTES_MAX / 2);
		p = sl_record_head_put(p, tail, i, (int32_t)i);
		p = sl_record_tail_put(p, SL_SLICE_NULL, v, NULL, 0);
	}
	return (uint32_t)(p - payload);
}

static uint32_t piece_put(uint8_t *frame, uint32_t at, const void *data, size_t bytes)
{
	SL_ASSERT(at + bytes <= ASK_FRAME_BYTES_MAX);
	memcpy(frame + at, data, bytes);
	return at + (uint32_t)bytes;
}

uint32_t ask_produce(uint8_t *frame, const struct ask_produce *ask)
{
	static uint8_t payload[ASK_FRAME_BYTES_MAX / 2];
	uint8_t scratch[1024];
	const struct ask_batch *b = &ask->batch;
	struct sl_produce_head head = {head_of(ask->version), ask->acks, TIMEOUT_MS, 1};
	struct sl_produce_topic topic = {sl_slice_of(ask->topic), ask->id, 1};
	struct sl_batch_header header = {.base_timestamp_ms = b->timestamp_ms,
					 .max_timestamp_ms = b->timestamp_ms + b->count - 1,
					 .producer_id = b->producer_id,
					 .producer_epoch = b->epoch,
					 .base_sequence = b->base_sequence,
					 .record_count = b->count,
					 .payload_bytes = payload_put(payload, b)};
	struct sl_produce_writer writer;
	struct iovec first, last;
	uint32_t bytes = 0;
	int64_t total;

	header.payload_crc = sl_crc32c(0, payload, header.payload_bytes);
	SL_ASSERT(sl_produce_begin(&writer, scratch, sizeof(scratch), &head) == 0);
	sl_produce_topic(&writer, &topic);
	first = sl_produce_partition(&writer, ask->partition, &header);
	total = sl_produce_end(&writer, &last);
	bytes = piece_put(frame, bytes, first.iov_base, first.iov_len);
	bytes = piece_put(frame, bytes, payload, header.payload_bytes);
	bytes = piece_put(frame, bytes, last.iov_base, last.iov_len);
	SL_ASSERT(bytes == frame_bytes(total));
	return bytes;
}

uint32_t ask_describe(uint8_t *frame, const char *topic, int32_t partition)
{
	struct sl_wbuf w = sl_wbuf_on(frame, ASK_FRAME_BYTES_MAX);
	struct sl_request_head head = head_of(0);

	return frame_bytes(sl_describe_producers_encode(&w, &head, sl_slice_of(topic), partition));
}

uint32_t ask_offsets(uint8_t *frame, const char *topic, int32_t partition, int32_t leader_epoch,
		     int64_t timestamp_ms)
{
	struct sl_wbuf w = sl_wbuf_on(frame, ASK_FRAME_BYTES_MAX);
	struct sl_request_head head = head_of(OFFSETS_VERSION);
	struct sl_list_offsets_request request = {sl_slice_of(topic), partition, leader_epoch,
						  timestamp_ms};

	return frame_bytes(sl_list_offsets_encode(&w, &head, &request));
}

uint32_t ask_producer_id(uint8_t *frame)
{
	struct sl_wbuf w = sl_wbuf_on(frame, ASK_FRAME_BYTES_MAX);
	struct sl_request_head head = head_of(PRODUCER_ID_VERSION);

	return frame_bytes(sl_init_producer_id_request_encode(&w, &head));
}

/* ---- answers ---- */

__attribute__((format(printf, 2, 3))) static void say(struct ask_answer *out, const char *format,
						      ...)
{
	size_t used = strlen(out->text);
	va_list args;

	va_start(args, format);
	vsnprintf(out->text + used, sizeof(out->text) - used, format, args);
	va_end(args);
}

/* False when there is no body to read. */
static bool begin(struct ask_answer *out, int rc, struct sl_rbuf *body, int16_t api,
		  int16_t version)
{
	int32_t correlation_id = 0;

	*out = (struct ask_answer){.offset = -1, .producer_id = -1};
	if (rc == -EPIPE) {
		out->closed = true;
		say(out, "connection ended");
	} else if (rc == 0) {
		say(out, "no answer");
	} else if (sl_response_begin(body, api, version, &correlation_id) != 0 ||
		   correlation_id != CORRELATION_ID) {
		say(out, "malformed header");
	} else {
		return true;
	}
	return false;
}

void answer_produce(struct ask_answer *out, int rc, struct sl_rbuf body,
		    const struct ask_produce *ask)
{
	struct sl_produce_reader reader;
	struct sl_produce_result result;
	struct sl_produce_end end;

	if (!begin(out, rc, &body, SL_API_PRODUCE, ask->version))
		return;
	if (sl_produce_response_begin(&reader, &body, ask->version) != 0 ||
	    sl_produce_response_next(&reader, &result) != 1 ||
	    sl_produce_response_end(&reader, &end) != 0) {
		say(out, "malformed answer");
		return;
	}
	if (result.index != ask->partition ||
	    (ask->version >= ASK_VERSION_TOPIC_ID
		     ? memcmp(&result.topic_id, &ask->id, sizeof(ask->id)) != 0
		     : !sl_slice_equal(result.topic, sl_slice_of(ask->topic))))
		say(out, "another partition; ");
	out->error = result.error_code;
	out->offset = result.base_offset;
	say(out, "%d %s, offset %" PRId64 ", log start %" PRId64 ", append time ",
	    result.error_code, sl_kafka_error_name(result.error_code), result.base_offset,
	    result.log_start_offset);
	if (result.log_append_time_ms < 0)
		say(out, "none");
	else
		say(out, "%+" PRId64, result.log_append_time_ms - ask->batch.timestamp_ms);
}

static int by_id(const void *a, const void *b)
{
	const struct sl_producer_state *x = a, *y = b;

	return x->producer_id < y->producer_id ? -1 : x->producer_id > y->producer_id;
}

void answer_describe(struct ask_answer *out, int rc, struct sl_rbuf body)
{
	struct sl_describe_producers_answer answer;
	struct sl_producer_state states[PRODUCERS_MAX];
	size_t count = 0;

	if (!begin(out, rc, &body, SL_API_DESCRIBE_PRODUCERS, 0))
		return;
	if (sl_describe_producers_decode(&body, &answer) != 0) {
		say(out, "malformed answer");
		return;
	}
	out->error = answer.error_code;
	while (count < PRODUCERS_MAX && sl_producer_state_next(&answer, &states[count]) == 1)
		count++;
	qsort(states, count, sizeof(*states), by_id);
	say(out, "%d %s, %zu producers", answer.error_code, sl_kafka_error_name(answer.error_code),
	    count);
	for (size_t i = 0; i < count; i++)
		say(out, "; pid %" PRId64 " epoch %d last sequence %d at %" PRId64,
		    states[i].producer_id, states[i].producer_epoch, states[i].last_sequence,
		    states[i].last_timestamp_ms);
}

void answer_offsets(struct ask_answer *out, int rc, struct sl_rbuf body, int32_t *leader_epoch)
{
	struct sl_list_offsets_answer answer;

	*leader_epoch = -1;
	if (!begin(out, rc, &body, SL_API_LIST_OFFSETS, OFFSETS_VERSION))
		return;
	if (sl_list_offsets_decode(&body, OFFSETS_VERSION, &answer) != 0) {
		say(out, "malformed answer");
		return;
	}
	out->error = answer.error_code;
	out->offset = answer.offset;
	*leader_epoch = answer.leader_epoch;
	say(out, "%d %s, offset %" PRId64, answer.error_code,
	    sl_kafka_error_name(answer.error_code), answer.offset);
}

void answer_producer_id(struct ask_answer *out, int rc, struct sl_rbuf body)
{
	struct sl_init_producer_id_answer answer;

	if (!begin(out, rc, &body, SL_API_INIT_PRODUCER_ID, PRODUCER_ID_VERSION))
		return;
	if (sl_init_producer_id_response_decode(&body, PRODUCER_ID_VERSION, &answer) != 0) {
		say(out, "malformed answer");
		return;
	}
	out->error = answer.error_code;
	out->producer_id = answer.producer_id;
	say(out, "%d %s, pid %" PRId64 " epoch %d", answer.error_code,
	    sl_kafka_error_name(answer.error_code), answer.producer_id, answer.producer_epoch);
}
