/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections: made when a partition or a carried request needs one, ready after ApiVersions, and after a failure held
 * until the control thread has let the backoff pass.
 *
 *   IDLE -> CONNECTING -> VERSIONS -> READY
 *     ^          \___________|_________/
 *     |                      v
 *   (release) <- HELD <- CLOSING (the transport's CLOSED brings all tokens back)
 */
#include "dataplane/worker/internal.h"

#include "dataplane/wire/api_versions.h"
#include "dataplane/wire/error_code.h"

static struct conn *conn_of(struct sl_worker *w, uint64_t user)
{
	return &w->conns[user];
}

static uint32_t conn_index(const struct sl_worker *w, const struct conn *c)
{
	return (uint32_t)(c - w->conns);
}

/* ---- the list of partitions with something to send ---- */

void sl_conn_busy(struct sl_worker *w, struct conn *c)
{
	if (c->busy)
		return;
	c->busy = true;
	c->busy_next = w->busy;
	w->busy = c;
}

void sl_conn_ready_push(struct sl_worker *w, struct conn *c, struct partition *p)
{
	uint32_t index = (uint32_t)(p - w->partitions);

	SL_ASSERT(!p->listed_in);
	p->listed_in = c;
	p->listed_bytes = sl_batch_bytes(w->arena, sl_partition_peek(w, p));
	p->next_ready = NONE;
	if (c->ready_head == NONE) {
		c->ready_head = index;
		c->gather_until_ns = w->now_ns + GATHER_NS;
	} else {
		w->partitions[c->ready_tail].next_ready = index;
	}
	c->ready_tail = index;
	c->ready_bytes += p->listed_bytes;
	sl_conn_busy(w, c);
	sl_conn_want(w, c);
}

void sl_conn_ready_remove(struct sl_worker *w, struct partition *p)
{
	struct conn *c = p->listed_in;
	uint32_t index = (uint32_t)(p - w->partitions);
	uint32_t previous = NONE, i;

	for (i = c->ready_head; i != index; i = w->partitions[i].next_ready)
		previous = i;
	if (previous == NONE)
		c->ready_head = p->next_ready;
	else
		w->partitions[previous].next_ready = p->next_ready;
	if (c->ready_tail == index)
		c->ready_tail = previous;
	c->ready_bytes -= p->listed_bytes;
	p->listed_in = NULL;
}

struct partition *sl_conn_ready_pop(struct sl_worker *w, struct conn *c)
{
	struct partition *p;

	if (c->ready_head == NONE)
		return NULL;
	p = &w->partitions[c->ready_head];
	c->ready_head = p->next_ready;
	c->ready_bytes -= p->listed_bytes;
	p->listed_in = NULL;
	return p;
}

/* ---- life ---- */

static void frame_reset(struct sl_worker *w, struct conn *c)
{
	if (c->frame != NONE)
		w->frame_stack[w->frames_free++] = c->frame;
	c->frame = NONE;
	c->size_have = 0;
	c->frame_to = NULL;
	c->frame_bytes = 0;
	c->frame_have = 0;
}

/* Connects if that is what is missing. */
void sl_conn_want(struct sl_worker *w, struct conn *c)
{
	struct sl_transport *t = w->env->transport;
	int rc;

	if (c->state != CONN_IDLE || !w->brokers[c->broker].set || w->brokers[c->broker].removing)
		return;
	frame_reset(w, c);
	c->close_error = 0;
	rc = t->ops->connect(t, &w->brokers[c->broker].address, conn_index(w, c), &c->handle);
	if (rc < 0) {
		struct sl_msg msg = {SL_MSG_CONN_DOWN, c->broker, c->class, (uint64_t)(int64_t)rc, NULL};

		c->state = CONN_HELD;
		sl_conn_down_set(w, c, true);
		sl_worker_tell(w, &msg);
		return;
	}
	c->state = CONN_CONNECTING;
	c->deadline_ns = w->now_ns + w->options.connect_timeout_ns;
}

/* Ends the connection; what was in flight is taken care of when the transport has given everything back. */
void sl_conn_fail(struct sl_worker *w, struct conn *c, int error)
{
	struct sl_transport *t = w->env->transport;

	if (c->state == CONN_IDLE || c->state == CONN_HELD || c->state == CONN_CLOSING)
		return;
	c->close_error = error;
	c->state = CONN_CLOSING;
	t->ops->close(t, c->handle, true);
}

static void versions_ask(struct sl_worker *w, struct conn *c, int16_t version)
{
	struct request *r = sl_request_take(w, c, REQUEST_VERSIONS);
	struct sl_wbuf out;
	struct sl_request_head head = {0};
	int bytes;

	if (!r) {
		sl_conn_fail(w, c, -ENOBUFS);
		return;
	}
	r->api_key = SL_API_API_VERSIONS;
	r->version = version;
	head.version = r->version;
	head.correlation_id = r->correlation_id;
	head.client_id = sl_slice_of(w->options.client_id);
	out = sl_wbuf_on(r->scratch, w->scratch_bytes);
	bytes = sl_api_versions_request_encode(&out, &head, sl_slice_of("sluice"), sl_slice_of(SL_VERSION));
	SL_ASSERT(bytes > 0);
	r->iov[0] = (struct iovec){r->scratch, (size_t)bytes};
	c->state = CONN_VERSIONS;
	if (sl_request_submit(w, r, 1) < 0)
		sl_conn_fail(w, c, -ENOBUFS);
}

static void ready(struct sl_worker *w, struct conn *c)
{
	struct sl_msg msg = {SL_MSG_CONN_UP, c->broker, c->class, 0, NULL};
	int with_names = sl_api_version_pick_max(&c->versions, SL_API_PRODUCE, SL_PRODUCE_VERSION_TOPIC_ID - 1);
	int with_ids = sl_api_version_pick(&c->versions, SL_API_PRODUCE);

	c->produce_version = (int16_t)(with_names < 0 ? -1 : with_names);
	c->produce_version_id = (int16_t)(with_ids >= SL_PRODUCE_VERSION_TOPIC_ID ? with_ids : -1);
	if (c->class != SL_CONN_CONTROL && c->produce_version < 0 && c->produce_version_id < 0) {
		sl_conn_fail(w, c, -EPROTONOSUPPORT);
		return;
	}
	c->state = CONN_READY;
	sl_conn_down_set(w, c, false);
	c->made++;
	c->versions_fallback = false;
	c->versions_stale = false;
	STAT_ADD(w->stats.connects, 1);
	sl_worker_tell(w, &msg);
}

/* Returns 0, or a negative errno that ends the connection. */
static int versions_answered(struct sl_worker *w, struct conn *c, const struct sl_rbuf *body, int16_t version)
{
	struct sl_api_versions_answer answer;
	int rc = sl_api_versions_response_decode(body, version, &answer);

	if (rc < 0)
		return rc;
	if (answer.error_code == SL_KAFKA_UNSUPPORTED_VERSION && answer.retry_version >= 0) {
		versions_ask(w, c, answer.retry_version);
		return 0;
	}
	if (answer.error_code != 0)
		return -EPROTONOSUPPORT;
	c->versions = answer.table;
	ready(w, c);
	return 0;
}

/* ---- frames ---- */

static struct request *oldest(struct sl_worker *w, struct conn *c)
{
	return c->inflight_count > 0 ? &w->requests[c->inflight[c->inflight_head]] : NULL;
}

static void oldest_done(struct sl_worker *w, struct conn *c)
{
	struct request *r = oldest(w, c);

	c->inflight_head = (c->inflight_head + 1) % SL_ARRAY_COUNT(c->inflight);
	c->inflight_count--;
	r->answered = true;
	if (!r->sending)
		sl_request_release(w, r);
}

static int carry_answered(struct sl_worker *w, struct request *r, const struct sl_rbuf *body)
{
	struct sl_carry *carry = r->carry;
	size_t bytes = sl_rbuf_left(body);

	r->carry = NULL;
	if (bytes > carry->response_bytes_max) {
		sl_carry_done(w, carry, -EMSGSIZE);
		return 0;
	}
	memmove(carry->response, body->pos, bytes);
	carry->response_bytes = (uint32_t)bytes;
	carry->version = r->version;
	carry->connection = w->conns[r->conn].made;
	sl_carry_done(w, carry, 0);
	return 0;
}

/* One whole answer. A broker answers in order: anything else than the oldest request's is a lie. */
static int frame_done(struct sl_worker *w, struct conn *c, const uint8_t *data, uint32_t bytes)
{
	struct request *r = oldest(w, c);
	struct sl_rbuf body = sl_rbuf_on(data, bytes);
	enum request_kind kind;
	int32_t correlation_id;
	int16_t version;
	int rc;

	if (!r || sl_response_begin(&body, r->api_key, r->version, &correlation_id) < 0 ||
	    correlation_id != r->correlation_id)
		return -EBADMSG;
	STAT_ADD(w->stats.responses, 1);
	kind = r->kind;
	version = r->version;
	if (kind == REQUEST_PRODUCE)
		rc = sl_produce_answered(w, r, &body);
	else if (kind == REQUEST_CARRY)
		rc = carry_answered(w, r, &body);
	else
		rc = 0;
	if (rc < 0)
		return rc;
	oldest_done(w, c);
	if (c->versions_stale && c->state == CONN_READY)
		sl_conn_fail(w, c, 0);
	return kind == REQUEST_VERSIONS ? versions_answered(w, c, &body, version) : 0;
}

/* Its size is known; bad ones end the connection. */
static int frame_begin(struct sl_worker *w, struct conn *c)
{
	uint32_t bytes = sl_load_be32(c->size_field);

	if (c->inflight_count == 0 || bytes < 4 || bytes > INT32_MAX)
		return -EBADMSG;
	c->frame_bytes = bytes;
	c->frame_have = 0;
	c->frame_to = NULL;
	return bytes <= FRAME_BYTES || oldest(w, c)->kind == REQUEST_CARRY ? 0 : -EMSGSIZE;
}

/* Where a frame that comes in pieces is put together: a large carried answer goes to where it is wanted. */
static int frame_place(struct sl_worker *w, struct conn *c)
{
	struct request *r = oldest(w, c);

	if (c->frame_bytes > FRAME_BYTES) {
		if (c->frame_bytes <= r->carry->response_bytes_max) {
			c->frame_to = r->carry->response;
			return 0;
		}
		sl_carry_done(w, r->carry, -EMSGSIZE);
		r->carry = NULL;
		return -EMSGSIZE;
	}
	if (w->frames_free == 0)
		return -ENOBUFS;
	c->frame = w->frame_stack[--w->frames_free];
	c->frame_to = w->frames + (size_t)c->frame * FRAME_BYTES;
	return 0;
}

static int size_feed(struct sl_worker *w, struct conn *c, const uint8_t *data, uint32_t bytes)
{
	uint32_t take = (uint32_t)sizeof(c->size_field) - c->size_have;
	int rc = 0;

	take = take < bytes ? take : bytes;
	memcpy(c->size_field + c->size_have, data, take);
	c->size_have += take;
	if (c->size_have == sizeof(c->size_field))
		rc = frame_begin(w, c);
	return rc < 0 ? rc : (int)take;
}

/* Takes some bytes of data into the frame at hand. Returns how many, or a negative errno. */
static int frame_feed(struct sl_worker *w, struct conn *c, const uint8_t *data, uint32_t bytes)
{
	const uint8_t *frame = data;
	uint32_t take, whole = c->frame_bytes;
	int rc = 0;

	if (c->size_have < sizeof(c->size_field))
		return size_feed(w, c, data, bytes);
	take = whole - c->frame_have;
	take = take < bytes ? take : bytes;
	if (take < whole) { /* else all of it lies in this buffer: no copy */
		if (!c->frame_to)
			rc = frame_place(w, c);
		if (rc < 0)
			return rc;
		memcpy(c->frame_to + c->frame_have, data, take);
		c->frame_have += take;
		if (c->frame_have < whole)
			return (int)take;
		frame = c->frame_to;
	}
	/* The next frame begins before this one is acted on, and its bytes stay until then. */
	c->size_have = 0;
	rc = frame_done(w, c, frame, whole);
	frame_reset(w, c);
	return rc < 0 ? rc : (int)take;
}

static void received(struct sl_worker *w, struct conn *c, const struct sl_event *event)
{
	uint32_t at = 0;

	STAT_ADD(w->stats.bytes_received, event->bytes);
	while (at < event->bytes && c->state != CONN_CLOSING) {
		int took = frame_feed(w, c, event->data + at, event->bytes - at);

		if (took < 0) {
			STAT_ADD(w->stats.bad_frames, 1);
			sl_conn_fail(w, c, took);
			return;
		}
		at += (uint32_t)took;
	}
}

/* ---- events ---- */

static void sent(struct sl_worker *w, const struct sl_event *event)
{
	struct request *r = &w->requests[event->token];

	r->sending = false;
	if (r->kind == REQUEST_PRODUCE && !r->answered && event->error == 0 &&
	    w->conns[r->conn].class == SL_CONN_ACKS_NONE) {
		sl_produce_sent_unacked(w, r);
		SL_ASSERT(oldest(w, &w->conns[r->conn]) == r);
		oldest_done(w, &w->conns[r->conn]);
		return;
	}
	if (r->answered)
		sl_request_release(w, r);
}

static void closed(struct sl_worker *w, struct conn *c, int error)
{
	struct sl_msg msg = {SL_MSG_CONN_DOWN, c->broker, c->class, 0, NULL};
	bool was_ready = c->state == CONN_READY;
	bool versions_cut = c->state == CONN_VERSIONS && !c->versions_fallback && error == 0;
	struct request *r;

	if (c->close_error)
		error = c->close_error;
	while ((r = oldest(w, c)) != NULL) {
		if (r->kind == REQUEST_PRODUCE)
			sl_produce_unanswered(w, r, error);
		else if (r->carry)
			sl_carry_done(w, r->carry, error == -ETIMEDOUT ? error : -ENOTCONN);
		r->carry = NULL;
		oldest_done(w, c);
	}
	frame_reset(w, c);
	/* Some old brokers and proxies hang up on ApiVersions v3: the next try asks v0. */
	c->versions_fallback = versions_cut;
	c->state = CONN_HELD;
	sl_conn_down_set(w, c, true);
	if (was_ready)
		STAT_ADD(w->stats.disconnects, 1);
	msg.c = (uint64_t)(int64_t)error;
	sl_worker_tell(w, &msg);
}

static void event_apply(struct sl_worker *w, const struct sl_event *event)
{
	struct sl_transport *t = w->env->transport;
	struct conn *c = conn_of(w, event->user);

	switch (event->kind) {
	case SL_EVENT_CONNECTED:
		if (c->state == CONN_CONNECTING)
			versions_ask(w, c, c->versions_fallback ? 0 : 3);
		break;
	case SL_EVENT_SENT:
		sent(w, event);
		break;
	case SL_EVENT_RECEIVED:
		received(w, c, event);
		t->ops->recv_release(t, event->buffer);
		break;
	case SL_EVENT_CLOSED:
		closed(w, c, event->error);
		break;
	}
}

uint32_t sl_conns_events(struct sl_worker *w)
{
	struct sl_transport *t = w->env->transport;
	uint32_t count = t->ops->poll(t, w->events, EVENTS_A_TURN);
	uint32_t i;

	for (i = 0; i < count; i++)
		event_apply(w, &w->events[i]);
	return count;
}

/* Some connection is on its way, or waits for an answer. */
bool sl_conns_pending(const struct sl_worker *w)
{
	uint32_t i;

	for (i = 0; i < w->brokers_high * SL_CONN_CLASS_COUNT; i++)
		if (w->conns[i].state == CONN_CONNECTING || w->conns[i].state == CONN_VERSIONS ||
		    w->conns[i].inflight_count > 0)
			return true;
	return false;
}

/* Time-outs of connecting and of answers. */
void sl_conns_scan(struct sl_worker *w)
{
	uint32_t i;

	for (i = 0; i < w->brokers_high * SL_CONN_CLASS_COUNT; i++) {
		struct conn *c = &w->conns[i];
		struct request *r = oldest(w, c);

		if ((c->state == CONN_CONNECTING || c->state == CONN_VERSIONS) && c->deadline_ns <= w->now_ns) {
			sl_conn_fail(w, c, -ETIMEDOUT);
		} else if (c->state == CONN_READY && r && r->deadline_ns <= w->now_ns) {
			STAT_ADD(w->stats.ack_timeouts, 1);
			sl_conn_fail(w, c, -ETIMEDOUT);
		}
	}
}

/* The broker is no longer wanted, or has another address: its connections end. */
void sl_conn_disconnect(struct sl_worker *w, uint32_t broker)
{
	uint32_t class;

	for (class = 0; class < SL_CONN_CLASS_COUNT; class++)
		sl_conn_fail(w, &w->conns[broker * SL_CONN_CLASS_COUNT + class], -ECONNABORTED);
}
