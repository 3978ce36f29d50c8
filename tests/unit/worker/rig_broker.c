/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/worker/rig_broker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/batch/codec.h"
#include "dataplane/wire/api.h"
#include "dataplane/wire/batch_header.h"
#include "dataplane/wire/error_code.h"
#include "dataplane/wire/record.h"

enum { SEGMENT_BYTES = 1000 };

struct sl_address rig_address(uint32_t broker)
{
	return (struct sl_address){.family = 4, .port = (uint16_t)(9092 + broker), .ip = {127, 0, 0, 1}};
}

/* ---- the log ---- */

static void record_store(struct rig *rig, struct rig_log *log, const uint8_t *p, const uint8_t *end, int32_t index)
{
	int32_t length = 0, offset_delta = -1, key_bytes = 0, value_bytes = 0;
	int64_t time_delta = 0;
	const uint8_t *start;

	p = sl_varint32_get(p, end, &length);
	assert_non_null(p);
	start = p;
	assert_int_equal(*p++, 0);
	p = sl_varint64_get(p, end, &time_delta);
	p = sl_varint32_get(p, end, &offset_delta);
	assert_int_equal(offset_delta, index);
	p = sl_varint32_get(p, end, &key_bytes);
	if (key_bytes > 0)
		p += key_bytes;
	p = sl_varint32_get(p, end, &value_bytes);
	assert_true(value_bytes >= 8 && start + length <= end);
	assert_true(log->count < rig->records_max);
	memcpy(&log->records[log->count].number, p, sizeof(uint64_t));
	log->records[log->count].offset = log->count;
	log->count++;
}

static void records_store(struct rig *rig, struct rig_log *log, const struct sl_batch_view *batch)
{
	const uint8_t *p = batch->payload, *end = p + batch->payload_bytes;
	uint8_t *plain = NULL;
	size_t bytes;
	int32_t i;

	if (batch->codec != SL_CODEC_NONE) {
		assert_int_equal(sl_codec_decompress(batch->codec, p, batch->payload_bytes, 64 << 20, &plain, &bytes), 0);
		p = plain;
		end = p + bytes;
		log->compressed++;
	}
	for (i = 0; i < batch->record_count; i++) {
		int32_t length = 0;
		const uint8_t *body = sl_varint32_get(p, end, &length);

		assert_non_null(body);
		record_store(rig, log, p, end, i);
		p = body + length;
	}
	assert_ptr_equal(p, end);
	free(plain);
}

/* Kafka's rules for a producer's sequence. Returns its error; *offset of a duplicate or of what may be stored. */
static int16_t sequence_check(struct rig_log *log, const struct sl_batch_view *batch, int64_t *offset, bool *duplicate)
{
	int32_t last = (int32_t)(((uint32_t)batch->base_sequence + (uint32_t)batch->last_offset_delta) & INT32_MAX);
	uint32_t i;

	*offset = log->count;
	*duplicate = false;
	if (batch->producer_id < 0)
		return 0;
	if (log->producer_id == batch->producer_id && log->epoch == batch->producer_epoch) {
		for (i = 0; i < log->window_count; i++)
			if (log->window[i].first == batch->base_sequence && log->window[i].last == last) {
				*offset = log->window[i].offset;
				*duplicate = true;
				return 0;
			}
		if (batch->base_sequence != ((log->last_seq + 1) & INT32_MAX))
			return SL_KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER;
	} else if (log->producer_id == batch->producer_id) {
		if (batch->producer_epoch < log->epoch)
			return SL_KAFKA_INVALID_PRODUCER_EPOCH;
		if (batch->base_sequence != 0)
			return SL_KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER;
		log->window_count = 0;
	}
	return 0;
}

static void window_add(struct rig_log *log, const struct sl_batch_view *batch, int64_t offset)
{
	int32_t last = (int32_t)(((uint32_t)batch->base_sequence + (uint32_t)batch->last_offset_delta) & INT32_MAX);

	log->producer_id = batch->producer_id;
	log->epoch = batch->producer_epoch;
	log->last_seq = last;
	if (log->window_count == 5) {
		memmove(&log->window[0], &log->window[1], 4 * sizeof(log->window[0]));
		log->window_count = 4;
	}
	log->window[log->window_count].first = batch->base_sequence;
	log->window[log->window_count].last = last;
	log->window[log->window_count++].offset = offset;
}

/* The records that this broker does not like. Returns how many there are. */
static uint32_t poison_find(struct rig *rig, const struct sl_batch_view *batch)
{
	struct sl_record_iter it;
	struct sl_record record;
	uint32_t count = 0, i;

	if (rig->poison_every == 0)
		return 0;
	assert_int_equal(batch->codec, 0);
	it = sl_record_iter_on(batch->payload, batch->payload_bytes, batch->record_count);
	for (i = 0; sl_record_next(&it, &record) == 1; i++) {
		uint64_t number;

		memcpy(&number, record.value.data, sizeof(number));
		rig->poison_seen[i] = number % rig->poison_every == 0;
		count += rig->poison_seen[i];
	}
	return count;
}

/* What a broker looks at before it looks for the sequence. */
static int16_t batch_refuse(struct rig *rig, const struct sl_batch_view *batch)
{
	if (rig->batch_bytes_max && batch->batch_bytes > rig->batch_bytes_max)
		return SL_KAFKA_MESSAGE_TOO_LARGE;
	if (rig->codecs_refused && batch->codec != 0)
		return SL_KAFKA_UNSUPPORTED_COMPRESSION_TYPE;
	return poison_find(rig, batch) > 0 ? SL_KAFKA_INVALID_RECORD : 0;
}

static void record_errors_put(struct rig *rig, struct sl_wbuf *w, bool flexible, int16_t error)
{
	bool named = error == SL_KAFKA_INVALID_RECORD && rig->poison_named;
	int32_t count = 0, i;

	for (i = 0; named && i < RIG_RECORDS_MAX; i++)
		count += rig->poison_seen[i];
	sl_put_array(w, flexible, count);
	for (i = 0; count > 0 && i < RIG_RECORDS_MAX; i++) {
		if (!rig->poison_seen[i])
			continue;
		sl_put_i32(w, i);
		sl_put_string(w, flexible, sl_slice_of("a number that nobody likes"));
		sl_put_tags(w, flexible);
	}
}

static int16_t batch_store(struct rig *rig, int32_t partition, struct sl_slice records, int64_t *offset)
{
	struct rig_log *log = &rig->logs[partition];
	struct sl_batch_view batch;
	bool duplicate;
	int16_t error;

	assert_int_equal(sl_batch_parse(records.data, records.bytes, &batch), 0);
	assert_int_equal(batch.batch_bytes, records.bytes);
	assert_int_equal(sl_batch_produce_check(&batch), 0);
	memset(rig->poison_seen, 0, sizeof(rig->poison_seen));
	error = batch_refuse(rig, &batch);
	if (error != 0)
		return error;
	error = sequence_check(log, &batch, offset, &duplicate);
	if (error != 0 || duplicate) {
		log->duplicates += duplicate;
		return error;
	}
	records_store(rig, log, &batch);
	log->batches++;
	if (batch.producer_id >= 0)
		window_add(log, &batch, *offset);
	return 0;
}

/* ---- faults ---- */

static struct rig_fault *fault_for(struct rig *rig, int32_t partition)
{
	uint32_t i;

	for (i = 0; i < rig->fault_count; i++)
		if (rig->faults[i].count > 0 && (rig->faults[i].partition < 0 || rig->faults[i].partition == partition))
			return &rig->faults[i];
	return NULL;
}

/* ---- requests ---- */

struct answer {
	struct sl_wbuf w;
	uint8_t *frame;
	bool flexible;
	bool reset, silent, garbage;
};

static void produce_partition(struct rig *rig, struct rig_peer *peer, struct answer *a, struct sl_rbuf *r, int16_t version)
{
	int32_t index = sl_get_i32(r);
	struct sl_slice records = sl_get_nullable_bytes(r, a->flexible);
	struct rig_fault *fault = fault_for(rig, index);
	int64_t offset = -1;
	int16_t error = 0;

	sl_skip_tags(r, a->flexible);
	assert_true(!r->bad && index >= 0 && index < RIG_PARTITIONS);
	if (fault)
		fault->count--;
	if (rig->leader[index] != (int32_t)peer->broker)
		error = SL_KAFKA_NOT_LEADER_OR_FOLLOWER;
	else if (fault && fault->kind == RIG_FAULT_ERROR)
		error = fault->error;
	else if (fault && fault->kind == RIG_FAULT_RESET)
		a->reset = true;
	else
		error = batch_store(rig, index, records, &offset);
	if (fault && fault->kind == RIG_FAULT_ERROR_AFTER)
		error = fault->error;
	a->reset = a->reset || (fault && fault->kind == RIG_FAULT_LOSE_ANSWER);
	a->silent = a->silent || (fault && fault->kind == RIG_FAULT_SILENCE);
	a->garbage = a->garbage || (fault && fault->kind == RIG_FAULT_GARBAGE);
	sl_put_i32(&a->w, index);
	sl_put_i16(&a->w, error);
	sl_put_i64(&a->w, error ? -1 : offset);
	sl_put_i64(&a->w, -1);
	if (version >= 5)
		sl_put_i64(&a->w, 0);
	if (version >= 8) {
		record_errors_put(rig, &a->w, a->flexible, error);
		sl_put_string(&a->w, a->flexible, SL_SLICE_NULL);
	}
	sl_put_tags(&a->w, a->flexible);
}

static void produce_topic(struct rig *rig, struct rig_peer *peer, struct answer *a, struct sl_rbuf *r, int16_t version)
{
	int32_t n;

	if (version >= 13) {
		struct sl_uuid id = sl_get_uuid(r);

		sl_put_uuid(&a->w, &id);
	} else {
		sl_put_string(&a->w, a->flexible, sl_get_string(r, a->flexible));
	}
	n = sl_get_array(r, a->flexible, 8);
	sl_put_array(&a->w, a->flexible, n);
	while (n-- > 0)
		produce_partition(rig, peer, a, r, version);
	sl_skip_tags(r, a->flexible);
	sl_put_tags(&a->w, a->flexible);
}

static bool produce(struct rig *rig, struct rig_peer *peer, struct answer *a, struct sl_rbuf *r, int16_t version)
{
	int16_t acks;
	int32_t n;

	assert_null(sl_get_nullable_string(r, a->flexible).data);
	acks = sl_get_i16(r);
	assert_int_equal(acks, rig->acks);
	sl_get_i32(r);
	n = sl_get_array(r, a->flexible, 8);
	sl_put_array(&a->w, a->flexible, n);
	while (n-- > 0)
		produce_topic(rig, peer, a, r, version);
	sl_skip_tags(r, a->flexible);
	assert_true(!r->bad && sl_rbuf_left(r) == 0);
	sl_put_i32(&a->w, 0);
	sl_put_tags(&a->w, a->flexible);
	rig->requests++;
	return acks != 0;
}

static void versions(struct rig *rig, struct answer *a, int16_t version)
{
	static const int16_t apis[][3] = {{0, 0, 0}, {3, 0, 12}, {18, 0, 3}, {22, 0, 4}};
	uint32_t i;

	sl_put_i16(&a->w, 0);
	sl_put_array(&a->w, a->flexible, 4);
	for (i = 0; i < 4; i++) {
		sl_put_i16(&a->w, apis[i][0]);
		sl_put_i16(&a->w, apis[i][1]);
		sl_put_i16(&a->w, i == 0 ? rig->produce_version_max : apis[i][2]);
		sl_put_tags(&a->w, a->flexible);
	}
	if (version >= 1)
		sl_put_i32(&a->w, 0);
	sl_put_tags(&a->w, a->flexible);
}

static void answer_write(struct rig *rig, uint32_t handle, const uint8_t *data, uint32_t bytes)
{
	/* In small segments, so that frames arrive in pieces. */
	while (bytes > 0) {
		uint32_t n = bytes < SEGMENT_BYTES ? bytes : SEGMENT_BYTES;

		assert_int_equal(sl_sim_peer_write(rig->transport, handle, data, n), n);
		data += n;
		bytes -= n;
	}
}

static void request(struct rig *rig, struct rig_peer *peer, const uint8_t *data, uint32_t bytes)
{
	static uint8_t out[256 * 1024];
	static const uint8_t garbage[] = {0x7f, 0xff, 0xff, 0xff, 1, 2, 3, 4};
	struct sl_rbuf r = sl_rbuf_on(data, bytes);
	struct sl_request_info info;
	struct answer a = {.w = sl_wbuf_on(out, sizeof(out))};
	bool answered = true;
	int n;

	assert_int_equal(sl_request_info_decode(&r, &info), 0);
	a.flexible = sl_api_flexible(info.api_key, info.version);
	a.frame = sl_response_put_head(&a.w, info.api_key, info.version, info.correlation_id);
	if (info.api_key == SL_API_API_VERSIONS)
		versions(rig, &a, info.version);
	else
		answered = produce(rig, peer, &a, &r, info.version);
	n = sl_frame_end(&a.w, a.frame);
	assert_true(n > 0);
	if (a.reset) {
		sl_sim_peer_reset(rig->transport, peer->handle);
		peer->open = false;
	} else if (a.garbage) {
		answer_write(rig, peer->handle, garbage, sizeof(garbage));
	} else if (answered && rig->answer) {
		rig->answer(rig, peer, out, (uint32_t)n);
	} else if (answered && !a.silent) {
		answer_write(rig, peer->handle, out, (uint32_t)n);
	}
}

/* ---- connections ---- */

static uint32_t accept_all(struct rig *rig)
{
	uint32_t broker, n = 0, i, handle;

	for (broker = 0; broker < RIG_BROKERS; broker++) {
		struct sl_address address = rig_address(broker);

		while (sl_sim_accept(rig->transport, &address, &handle) == 0) {
			for (i = 0; rig->peers[i].open; i++)
				assert_true(i < 31);
			rig->peers[i].open = true;
			rig->peers[i].handle = handle;
			rig->peers[i].broker = broker;
			rig->peers[i].have = 0;
			if (!rig->peers[i].frame)
				rig->peers[i].frame = malloc(rig->frame_bytes_max);
			rig->connects++;
			n++;
		}
	}
	return n;
}

static uint32_t peer_turn(struct rig *rig, struct rig_peer *peer)
{
	uint32_t n, done = 0;

	n = sl_sim_peer_read(rig->transport, peer->handle, peer->frame + peer->have, rig->frame_bytes_max - peer->have);
	peer->have += n;
	while (peer->open && peer->have - done >= 4) {
		uint32_t bytes = sl_load_be32(peer->frame + done);

		assert_true(bytes < rig->frame_bytes_max - 4);
		if (peer->have - done < 4 + bytes)
			break;
		request(rig, peer, peer->frame + done + 4, bytes);
		done += 4 + bytes;
	}
	memmove(peer->frame, peer->frame + done, peer->have - done);
	peer->have -= done;
	if (peer->open && sl_sim_peer_ended(rig->transport, peer->handle, NULL)) {
		sl_sim_peer_release(rig->transport, peer->handle);
		peer->open = false;
		n++;
	}
	return n;
}

uint32_t rig_broker_turn(struct rig *rig)
{
	uint32_t n = accept_all(rig), i;

	for (i = 0; i < 32; i++)
		if (rig->peers[i].open)
			n += peer_turn(rig, &rig->peers[i]);
	return n;
}

/* ---- judging ---- */

void rig_log_check(struct rig *rig, uint64_t number, const struct rig_outcome *outcome)
{
	const struct rig_log *log = &rig->logs[outcome->partition];
	uint32_t i;

	if (outcome->offset >= 0) {
		assert_true(outcome->offset < log->count);
		assert_true(log->records[outcome->offset].number == number);
		return;
	}
	for (i = 0; i < log->count && log->records[i].number != number; i++)
		;
	assert_true(i < log->count);
}

void rig_logs_in_order(struct rig *rig)
{
	uint32_t p, i;

	for (p = 0; p < RIG_PARTITIONS; p++)
		for (i = 1; i < rig->logs[p].count; i++)
			if (rig->logs[p].records[i].number <= rig->logs[p].records[i - 1].number)
				fail_msg("partition %u: record %lu after %lu", p,
					 (unsigned long)rig->logs[p].records[i].number,
					 (unsigned long)rig->logs[p].records[i - 1].number);
}
