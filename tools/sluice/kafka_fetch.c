/* SPDX-License-Identifier: Apache-2.0 */
/* A partition's records, from the first offset to the last. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/batch/codec.h"
#include "dataplane/wire/batch_header.h"
#include "dataplane/wire/fetch.h"
#include "tools/sluice/kafka_internal.h"

enum {
	FETCH_BYTES = 4 << 20,
	FETCH_WAIT_MS = 500,
	BATCH_BYTES_MAX = 1 << 30, /* unpacked */
	LENGTH_AT = 8,
	LAST_DELTA_AT = 23,
};

struct reading {
	struct kafka *k;
	const char *topic;
	const struct kafka_partition *partition;
	const struct kafka_sink *sink;
	struct sl_slice header; /* the name that is looked for */
	int64_t next;           /* of the next record to hand over */
	uint32_t in;            /* of the two buffers, the one that is filled next */
};

static int fetch_send(struct reading *r, struct kafka_link *link, int64_t offset, struct sl_request_head *head,
		      struct sl_error *err)
{
	struct sl_fetch_request request = {.topic = sl_slice_of(r->topic),
					   .partition = r->partition->index,
					   .offset = offset,
					   .max_wait_ms = FETCH_WAIT_MS,
					   .min_bytes = 1,
					   .max_bytes = FETCH_BYTES};
	uint8_t frame[KAFKA_REQUEST_BYTES];
	struct sl_wbuf w = sl_wbuf_on(frame, sizeof(frame));
	int rc = kafka_link_head(link, SL_API_FETCH, head, err);

	return rc < 0 ? rc : kafka_link_send(link, frame, sl_fetch_encode(&w, head, &request), err);
}

/* Bytes of the whole batch at p, 0 when it is cut. */
static size_t batch_bytes(const uint8_t *p, size_t left)
{
	uint32_t length;

	if (left < SL_BATCH_HEADER_BYTES)
		return 0;
	length = sl_load_be32(p + LENGTH_AT);
	if (length > left - SL_BATCH_PREFIX_BYTES || length < SL_BATCH_HEADER_BYTES - SL_BATCH_PREFIX_BYTES)
		return 0;
	return SL_BATCH_PREFIX_BYTES + length;
}

/* The offset behind the last whole batch; from when there is none. */
static int64_t behind(struct sl_slice records, int64_t from)
{
	const uint8_t *p = records.data;
	size_t left = records.bytes, bytes;

	for (; (bytes = batch_bytes(p, left)) > 0; p += bytes, left -= bytes) {
		uint64_t after = sl_load_be64(p) + sl_load_be32(p + LAST_DELTA_AT) + 1;

		if (after <= INT64_MAX && (int64_t)after > from)
			from = (int64_t)after;
	}
	return from;
}

static struct sl_slice header_find(const struct reading *r, const struct sl_record *record)
{
	struct sl_record_headers headers = sl_record_headers_on(record);
	struct sl_slice found = SL_SLICE_NULL;
	struct sl_kafka_header h;

	while (sl_record_header_next(&headers, &h) == 1)
		if (sl_slice_equal(h.key, r->header))
			found = h.value;
	return found;
}

static int records_give(struct reading *r, const struct sl_batch_view *batch, const uint8_t *payload, size_t bytes)
{
	struct sl_record_iter it = sl_record_iter_on(payload, bytes, batch->record_count);
	struct sl_record record;
	int rc;

	while ((rc = sl_record_next(&it, &record)) == 1) {
		int64_t offset = batch->base_offset + record.offset_delta;

		if (offset < r->next || offset >= r->partition->end_offset)
			continue;
		r->sink->record(r->sink->arg, offset, header_find(r, &record), record.key, record.value);
	}
	return rc;
}

/* 0 or -ENOMEM; what is wrong with the batch itself is told to the sink. */
static int batch_give(struct reading *r, const uint8_t *data, size_t bytes)
{
	struct sl_batch_view batch;
	uint8_t *unpacked = NULL;
	size_t unpacked_bytes;
	int rc = sl_batch_parse(data, bytes, &batch);

	if (rc == 0 && (batch.attributes & SL_BATCH_ATTR_CONTROL))
		return 0;
	if (rc == 0 && batch.codec == SL_CODEC_NONE) {
		rc = records_give(r, &batch, batch.payload, batch.payload_bytes);
	} else if (rc == 0) {
		rc = sl_codec_decompress(batch.codec, batch.payload, batch.payload_bytes, BATCH_BYTES_MAX, &unpacked,
					 &unpacked_bytes);
		if (rc == 0) {
			rc = records_give(r, &batch, unpacked, unpacked_bytes);
			free(unpacked);
		}
	}
	if (rc == -ENOMEM)
		return rc;
	if (rc < 0)
		r->sink->damaged(r->sink->arg, (int64_t)sl_load_be64(data));
	return 0;
}

static int batches_give(struct reading *r, struct sl_slice records, struct sl_error *err)
{
	const uint8_t *p = records.data;
	size_t left = records.bytes, bytes;

	for (; (bytes = batch_bytes(p, left)) > 0; p += bytes, left -= bytes)
		if (batch_give(r, p, bytes) < 0)
			return sl_error_set(err, -ENOMEM, "no memory for a batch");
	return 0;
}

/* One answer: asks for the next, then hands over. 1: more to come; 0: the end; -EAGAIN: from r->next anew. */
static int answer_take(struct reading *r, struct kafka_link *link, struct sl_request_head *head, struct sl_error *err)
{
	struct sl_fetch_answer answer;
	struct sl_rbuf body;
	int64_t after;
	int rc = kafka_link_receive(link, SL_API_FETCH, head, &r->k->in[r->in], &body, err);

	if (rc < 0)
		return -EAGAIN;
	if (sl_fetch_decode(&body, head->version, &answer) < 0)
		return sl_error_set(err, -EBADMSG, "%s-%d: an answer that is no Kafka's", r->topic, r->partition->index);
	rc = kafka_error(answer.error_code, r->topic, r->partition->index, err);
	if (rc < 0)
		return rc;
	after = behind(answer.records, r->next);
	if (after == r->next)
		return sl_error_set(err, -EAGAIN, "%s-%d: nothing comes from offset %lld on", r->topic,
				    r->partition->index, (long long)after);
	r->in ^= 1;
	if (after < r->partition->end_offset && fetch_send(r, link, after, head, err) < 0)
		rc = -EAGAIN; /* what was received is handed over all the same */
	if (batches_give(r, answer.records, err) < 0)
		return -ENOMEM;
	r->next = after;
	return rc < 0 ? rc : after < r->partition->end_offset;
}

static int stretch_read(struct reading *r, struct sl_error *err)
{
	struct sl_request_head head;
	struct kafka_link *link;
	int rc = kafka_leader(r->k, r->topic, r->partition->index, &link, err);

	if (rc < 0)
		return rc;
	rc = fetch_send(r, link, r->next, &head, err) < 0 ? -EAGAIN : 1;
	while (rc == 1)
		rc = answer_take(r, link, &head, err);
	/* An answer that is still on its way must not be taken for that of the next question. */
	if (rc < 0)
		kafka_link_close(link);
	return rc;
}

int kafka_partition_read(struct kafka *k, const char *topic, const struct kafka_partition *partition,
			 const struct kafka_sink *sink, struct sl_error *err)
{
	struct reading r = {.k = k,
			    .topic = topic,
			    .partition = partition,
			    .sink = sink,
			    .header = sl_slice_of(sink->header),
			    .next = partition->start_offset};
	int rc = 0, tries = 0;

	while (r.next < partition->end_offset) {
		int64_t before = r.next;

		rc = stretch_read(&r, err);
		if (rc != -EAGAIN)
			break;
		tries = r.next > before ? 0 : tries + 1;
		if (tries == KAFKA_TRIES)
			return err->code < 0 ? err->code : -EIO;
		kafka_pause();
	}
	return rc;
}
