/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of the control thread: one at a time on a broker's control connection, brought back with the answer. */
#include "dataplane/worker/internal.h"

void sl_carry_done(struct sl_worker *w, struct sl_carry *carry, int error)
{
	struct sl_msg msg = {SL_MSG_CARRIED, 0, 0, 0, carry};

	carry->error = error;
	sl_worker_tell(w, &msg);
}

void sl_carry_add(struct sl_worker *w, struct sl_carry *carry)
{
	carry->response_bytes = 0;
	if (w->carry_count == CARRIES_MAX || carry->broker >= w->options.brokers_max) {
		sl_carry_done(w, carry, -EBUSY);
		return;
	}
	carry->error = 0;
	w->carries[w->carry_count] = carry;
	w->carry_until_ns[w->carry_count] = w->now_ns + carry->timeout_ns;
	w->carry_count++;
}

/* Returns 0 when it was sent, or a negative errno with which it goes back. */
static int carry_send(struct sl_worker *w, struct conn *c, struct sl_carry *carry)
{
	int version = sl_api_version_pick(&c->versions, carry->api_key);
	struct sl_request_head head = {.client_id = sl_slice_of(w->options.client_id)};
	struct request *r;
	struct sl_wbuf out;
	int bytes, rc;

	if (version < 0)
		return -EPROTONOSUPPORT;
	r = sl_request_take(w, c, REQUEST_CARRY);
	if (!r)
		return -ENOBUFS;
	r->api_key = carry->api_key;
	r->version = (int16_t)version;
	head.version = r->version;
	head.correlation_id = r->correlation_id;
	out = sl_wbuf_on(r->scratch, w->scratch_bytes);
	bytes = carry->encode(carry, &head, &out);
	r->iov[0] = (struct iovec){r->scratch, bytes > 0 ? (size_t)bytes : 0};
	r->carry = carry;
	rc = bytes < 0 ? bytes : sl_request_submit(w, r, 1);
	if (rc < 0) {
		sl_request_release(w, r);
		return rc;
	}
	r->deadline_ns = w->now_ns + carry->timeout_ns;
	return 0;
}

/* True when the carry has left the queue. */
static bool carry_step(struct sl_worker *w, struct sl_carry *carry, uint64_t until_ns)
{
	struct conn *c = &w->conns[carry->broker * SL_CONN_CLASS_COUNT + SL_CONN_CONTROL];
	int rc = -EAGAIN;

	if (until_ns <= w->now_ns) {
		rc = -ETIMEDOUT;
	} else if (c->state == CONN_HELD || !w->brokers[carry->broker].set) {
		rc = -ENOTCONN;
	} else if (c->state == CONN_IDLE) {
		sl_conn_want(w, c);
	} else if (c->state == CONN_READY && c->inflight_count == 0) {
		rc = carry_send(w, c, carry);
	}
	if (rc == -EAGAIN)
		return false;
	if (rc < 0)
		sl_carry_done(w, carry, rc);
	return true;
}

uint32_t sl_carries_turn(struct sl_worker *w)
{
	uint32_t kept = 0, i;
	uint32_t before = w->carry_count;

	for (i = 0; i < before; i++) {
		struct sl_carry *carry = w->carries[i];
		uint64_t until_ns = w->carry_until_ns[i];

		if (carry_step(w, carry, until_ns))
			continue;
		w->carries[kept] = carry;
		w->carry_until_ns[kept] = until_ns;
		kept++;
	}
	w->carry_count = kept;
	return before - kept;
}
