/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a worker needs of a network: streams to brokers, one small vtable, one instance a worker.
 *
 * Everything here is called by the worker's thread only, never blocks and never allocates after the backend's
 * constructor. Completions are pulled by poll(), never pushed. Sleeping, bells and timers belong to the worker: a
 * transport only offers a descriptor to wait on and its next deadline.
 *
 * Tokens. Every token given to submit() comes back exactly once as SL_EVENT_SENT, with error 0 when the bytes have left
 * our memory for good ("the buffers may be reused", not "the broker has it"), or with a negative errno when the
 * connection ended first. After SL_EVENT_CLOSED no event of that connection follows: its tokens have all come back.
 *
 * Order. Bytes of one connection leave in the order of submit(). A backend joins what was submitted within one turn
 * into as few sends as it can.
 */
#ifndef SL_TRANSPORT_TRANSPORT_H
#define SL_TRANSPORT_TRANSPORT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

enum { SL_ADDRESS_TEXT_BYTES = 64 };

/* Where a broker listens: the outcome of name resolution, free of any socket header. */
struct sl_address {
	uint8_t family; /* 4 or 6 */
	uint8_t zero;
	uint16_t port;     /* host order */
	uint32_t scope_id; /* IPv6 link-local, else 0 */
	uint8_t ip[16];    /* network order; IPv4 uses the first four */
};

enum sl_event_kind {
	SL_EVENT_CONNECTED = 1, /* connect() succeeded: submit() will be taken */
	SL_EVENT_SENT,          /* token, error */
	SL_EVENT_RECEIVED,      /* data, bytes, buffer: to be given back by recv_release() */
	SL_EVENT_CLOSED,        /* error: 0 = the peer ended the stream orderly or close() was called; else negative errno */
};

struct sl_event {
	enum sl_event_kind kind;
	uint32_t conn;
	uint64_t user; /* as given to connect() */
	uint64_t token;
	const uint8_t *data;
	uint32_t bytes;
	uint32_t buffer;
	int error;
};

struct sl_conn_stats { /* since connect */
	uint64_t bytes_sent, bytes_received, sends;
	uint32_t rtt_us; /* 0 = unknown */
};

struct sl_transport;

struct sl_transport_ops {
	const char *name;

	/*
	 * Begins to connect. *conn is the handle until CLOSED was delivered. 0, -EMFILE when conns_max are in use,
	 * or another negative errno (nothing begun, no event follows).
	 */
	int (*connect)(struct sl_transport *t, const struct sl_address *to, uint64_t user, uint32_t *conn);

	/*
	 * Takes iov_count pieces (<= SL_TRANSPORT_IOV_MAX) to be sent in order. The iovec array and all bytes that it
	 * points at stay untouched until the token's SENT. 0; -EAGAIN when the connection's queue is full (try after a
	 * SENT); -ENOTCONN when it is not connected or is closing. Nothing is copied by the transport itself.
	 */
	int (*submit)(struct sl_transport *t, uint32_t conn, const struct iovec *iov, uint32_t iov_count,
		uint64_t token);

	/* Starts what was submitted and fills out[] with at most out_max events. Returns their count; 0 = nothing new. */
	uint32_t (*poll)(struct sl_transport *t, struct sl_event *out, uint32_t out_max);

	/* Gives the buffer of a RECEIVED event back. */
	void (*recv_release)(struct sl_transport *t, uint32_t buffer);

	/* Ends the connection; abortive = RST, nothing is flushed. CLOSED follows, after its tokens. Idempotent. */
	void (*close)(struct sl_transport *t, uint32_t conn, bool abortive);

	/*
	 * Descriptor that polls readable (level) when poll() may have something, or -1 when there is none and the worker
	 * sleeps by the clock. Constant. Before sleeping on it the worker has called poll() until it returned 0.
	 */
	int (*wait_fd)(const struct sl_transport *t);

	/* Monotonic ns by which poll() wants to be called again, or SL_DEADLINE_NONE. */
	uint64_t (*next_deadline_ns)(const struct sl_transport *t);

	void (*stats)(const struct sl_transport *t, uint32_t conn, struct sl_conn_stats *out);

	/* Name of feature i (0..) and whether it is in use, for `status`; false when there is no such index. */
	bool (*feature)(const struct sl_transport *t, uint32_t index, const char **name, bool *in_use);

	/* Closes everything abortively and frees the instance. No events are delivered. Thread: any, worker stopped. */
	void (*destroy)(struct sl_transport *t);
};

enum { SL_TRANSPORT_IOV_MAX = 1024 };

struct sl_transport { /* first member of each backend's struct */
	const struct sl_transport_ops *ops;
};

/* "127.0.0.1:9092" or "[::1]:9092" into text[SL_ADDRESS_TEXT_BYTES]; returns text. */
const char *sl_address_text(const struct sl_address *address, char *text);

bool sl_address_equal(const struct sl_address *a, const struct sl_address *b);

#endif
