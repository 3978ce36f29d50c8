/* SPDX-License-Identifier: Apache-2.0 */
/* Produce requests: the ready batches of many partitions of one leader, sent from where they lie in the arena. */
#include "dataplane/worker/internal.h"

struct request *sl_request_take(struct sl_worker *w, struct conn *c, enum request_kind kind)
{
	struct request *r;

	if (w->request_free == NONE)
		return NULL;
	r = &w->requests[w->request_free];
	w->request_free = r->next_free;
	r->kind = kind;
	r->conn = (uint32_t)(c - w->conns);
	r->correlation_id = c->correlation_next;
	c->correlation_next = (c->correlation_next + 1) & INT32_MAX;
	r->sending = false;
	r->answered = false;
	r->batch_count = 0;
	r->carry = NULL;
	return r;
}

void sl_request_release(struct sl_worker *w, struct request *r)
{
	SL_ASSERT(r->kind != REQUEST_FREE && !r->sending);
	r->kind = REQUEST_FREE;
	r->next_free = w->request_free;
	w->request_free = (uint32_t)(r - w->requests);
}

/* Hands the request to the transport and queues it for its answer (acks=0: for its SENT). */
int sl_request_submit(struct sl_worker *w, struct request *r, uint32_t iov_count)
{
	struct sl_transport *t = w->env->transport;
	struct conn *c = &w->conns[r->conn];
	uint32_t index = (uint32_t)(r - w->requests);
	int rc = t->ops->submit(t, c->handle, r->iov, iov_count, index);

	if (rc < 0)
		return rc;
	SL_ASSERT(c->inflight_count < SL_ARRAY_COUNT(c->inflight));
	c->inflight[(c->inflight_head + c->inflight_count) % SL_ARRAY_COUNT(c->inflight)] = index;
	c->inflight_count++;
	r->sending = true;
	r->deadline_ns = w->now_ns + w->options.request_timeout_ns;
	STAT_ADD(w->stats.requests, 1);
	return 0;
}

/* Sorted by topic, since a topic may stand in a request once only; within it as they came. */
static void batch_insert(struct sl_worker *w, struct request *r, uint32_t batch)
{
	uint32_t topic = sl_batch_partition(w, batch)->topic;
	uint32_t i = r->batch_count++;

	while (i > 0 && sl_batch_partition(w, r->batches[i - 1])->topic > topic) {
		r->batches[i] = r->batches[i - 1];
		i--;
	}
	r->batches[i] = batch;
}

static uint32_t pieces(const struct sl_worker *w, uint32_t batch)
{
	return sl_batch_payload_iov(w->arena, batch, NULL, 0) + 1; /* and the heads before it */
}

/* Fills r->batches from the connection's list, a batch a partition. */
static void collect(struct sl_worker *w, struct conn *c, struct request *r)
{
	uint32_t iov_left = REQUEST_IOV_MAX - 1;
	uint64_t bytes = 0;

	while (r->batch_count < REQUEST_BATCHES_MAX && c->ready_head != NONE) {
		struct partition *p = &w->partitions[c->ready_head];
		uint32_t batch = sl_partition_peek(w, p);
		uint32_t need;

		if (batch == p->open)
			sl_partition_seal(w, p);
		need = pieces(w, batch);
		if (r->batch_count > 0 &&
		    (need > iov_left || bytes + sl_batch_bytes(w->arena, batch) > w->options.request_bytes_max))
			break;
		sl_conn_ready_pop(w, c);
		batch = sl_partition_next_batch(w, p);
		if (batch == NONE)
			continue;
		bytes += sl_batch_bytes(w->arena, batch);
		iov_left -= need;
		batch_insert(w, r, batch);
	}
}

/* Ids where all topics have one and the broker takes them, else names. */
static int16_t version_for(const struct sl_worker *w, const struct conn *c, const struct request *r)
{
	uint32_t i;

	if (c->produce_version_id < 0)
		return c->produce_version;
	for (i = 0; i < r->batch_count; i++)
		if (sl_uuid_is_zero(&w->topics[sl_batch_partition(w, r->batches[i])->topic].id))
			return c->produce_version;
	return c->produce_version_id;
}

static uint32_t same_topic(const struct sl_worker *w, const struct request *r, uint32_t from)
{
	uint32_t topic = sl_batch_partition(w, r->batches[from])->topic;
	uint32_t end = from;

	while (end < r->batch_count && sl_batch_partition(w, r->batches[end])->topic == topic)
		end++;
	return end - from;
}

static uint32_t partition_encode(struct sl_worker *w, struct sl_produce_writer *pw, uint32_t batch, struct iovec *iov,
				 uint32_t iov_max)
{
	struct partition *p = sl_batch_partition(w, batch);
	struct sl_batch_header_fields f;
	struct sl_batch_header header;

	sl_batch_header_fill(w->arena, batch, &f);
	header = (struct sl_batch_header){
		.base_timestamp_ms = f.base_timestamp_ms,
		.max_timestamp_ms = f.max_timestamp_ms,
		.producer_id = f.producer_id,
		.producer_epoch = f.producer_epoch,
		.base_sequence = f.base_sequence,
		.record_count = f.record_count,
		.codec = (enum sl_codec_id)f.codec,
		.payload_bytes = f.payload_bytes,
		.payload_crc = f.payload_crc,
	};
	STAT_ADD(w->stats.bytes_sent, f.payload_bytes);
	if (p->leader_epoch > (int32_t)w->arena->partitions[p->slot].leader_epoch)
		sl_arena_partition_leader_store(w->arena, p->slot, (uint32_t)p->leader_epoch);
	iov[0] = sl_produce_partition(pw, p->index, &header);
	return 1 + sl_batch_payload_iov(w->arena, batch, iov + 1, iov_max - 1);
}

/* Returns the pieces of iov that were filled, or a negative errno. */
static int encode(struct sl_worker *w, struct conn *c, struct request *r)
{
	struct sl_produce_writer pw;
	struct sl_produce_head head = {0};
	uint32_t iov_count = 0, i;

	for (i = 0; i < r->batch_count; i += same_topic(w, r, i))
		head.topic_count++;
	head.request.version = r->version;
	head.request.correlation_id = r->correlation_id;
	head.request.client_id = sl_slice_of(w->options.client_id);
	head.acks = c->class == SL_CONN_ACKS_ALL ? -1 : c->class == SL_CONN_ACKS_ONE ? 1 : 0;
	head.timeout_ms = (int32_t)(w->options.request_timeout_ns / SL_NS_PER_MS);
	if (sl_produce_begin(&pw, r->scratch, w->scratch_bytes, &head) < 0)
		return -EPROTONOSUPPORT;
	for (i = 0; i < r->batch_count; i++) {
		struct topic *topic = &w->topics[sl_batch_partition(w, r->batches[i])->topic];

		if (i == 0 || &w->topics[sl_batch_partition(w, r->batches[i - 1])->topic] != topic) {
			struct sl_produce_topic head_of = {sl_slice_of(topic->object->name), topic->id,
							   same_topic(w, r, i)};

			sl_produce_topic(&pw, &head_of);
		}
		iov_count += partition_encode(w, &pw, r->batches[i], r->iov + iov_count, REQUEST_IOV_MAX - iov_count);
	}
	if (sl_produce_end(&pw, &r->iov[iov_count]) < 0)
		return -EMSGSIZE;
	return (int)(r->iov[iov_count].iov_len > 0 ? iov_count + 1 : iov_count);
}

static bool build(struct sl_worker *w, struct conn *c)
{
	struct request *r = sl_request_take(w, c, REQUEST_PRODUCE);
	int iov_count, rc;

	if (!r)
		return false;
	collect(w, c, r);
	if (r->batch_count == 0) {
		sl_request_release(w, r);
		return false;
	}
	r->api_key = SL_API_PRODUCE;
	r->version = version_for(w, c, r);
	iov_count = encode(w, c, r);
	rc = iov_count < 0 ? iov_count : sl_request_submit(w, r, (uint32_t)iov_count);
	if (rc < 0) { /* the batches go back in line; the connection is of no use */
		sl_produce_unanswered(w, r, rc);
		sl_request_release(w, r);
		sl_conn_fail(w, c, rc);
	}
	return true;
}

/* Partitions whose pipe has room for more go back on the list. */
static void relist(struct sl_worker *w, const struct request *r)
{
	uint32_t i;

	for (i = 0; i < r->batch_count; i++)
		sl_partition_update(w, sl_batch_partition(w, r->batches[i]));
}

/* A little that is ready waits for company while the broker is busy anyway: fewer, larger sends. */
static bool worth_sending(const struct sl_worker *w, const struct conn *c)
{
	return c->inflight_count == 0 || c->ready_bytes >= GATHER_BYTES || c->gather_until_ns <= w->now_ns ||
	       w->flushing;
}

static uint32_t conn_send(struct sl_worker *w, struct conn *c)
{
	uint32_t built = 0;

	while (c->state == CONN_READY && c->ready_head != NONE && c->inflight_count < w->options.in_flight_max &&
	       c->mute_until_ns <= w->now_ns && worth_sending(w, c)) {
		uint32_t last = (c->inflight_head + c->inflight_count) % SL_ARRAY_COUNT(c->inflight);

		if (!build(w, c))
			break;
		built++;
		c->gather_until_ns = w->now_ns + GATHER_NS;
		if (c->state == CONN_READY)
			relist(w, &w->requests[c->inflight[last]]);
	}
	return built;
}

uint32_t sl_requests_send(struct sl_worker *w)
{
	struct conn *c = w->busy;
	uint32_t built = 0;

	/* Sending may list partitions on other connections: those start a list of their own. */
	w->busy = NULL;
	while (c) {
		struct conn *next = c->busy_next;

		c->busy = false;
		built += conn_send(w, c);
		if (c->ready_head != NONE)
			sl_conn_busy(w, c);
		c = next;
	}
	return built;
}

/* When a connection that holds something back wants to be looked at again. */
uint64_t sl_requests_deadline_ns(const struct sl_worker *w)
{
	uint64_t deadline = SL_DEADLINE_NONE;
	const struct conn *c;

	for (c = w->busy; c; c = c->busy_next) {
		uint64_t at;

		if (c->state != CONN_READY || c->inflight_count >= w->options.in_flight_max)
			continue; /* an event brings it on */
		at = c->mute_until_ns > w->now_ns ? c->mute_until_ns : c->gather_until_ns;
		deadline = at < deadline ? at : deadline;
	}
	return deadline;
}
