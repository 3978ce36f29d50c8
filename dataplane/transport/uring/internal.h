/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the rooms of this backend share. Thread: the worker's, throughout.
 *
 * One turn of poll(): connections on the dirty list are *pumped* (tokens reported, operations
 * armed, ends finished), the kernel is entered if there is a reason, completions are *reaped* (they
 * change a connection and put it on the dirty list), and the dirty list is pumped again. A
 * completion gives at most one event at once; everything that may be more than one event is given
 * by the pump, which can stop when the caller's array is full and go on in the next poll().
 *
 * A connection's slot is free again only when ops is 0: every completion that the kernel owes for
 * it was seen. The generation in user_data is the second lock on that door.
 */
#ifndef SL_TRANSPORT_URING_INTERNAL_H
#define SL_TRANSPORT_URING_INTERNAL_H

#include <liburing.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "dataplane/base/assert.h"
#include "dataplane/transport/uring/uring.h"

/* What headers of kernels before 6.1 lack; asked of the running kernel before use. */
#ifndef IORING_SETUP_SUBMIT_ALL
#define IORING_SETUP_SUBMIT_ALL (1U << 7)
#endif
#ifndef IORING_SETUP_COOP_TASKRUN
#define IORING_SETUP_COOP_TASKRUN (1U << 8)
#endif
#ifndef IORING_SETUP_TASKRUN_FLAG
#define IORING_SETUP_TASKRUN_FLAG (1U << 9)
#endif
#ifndef IORING_SETUP_SINGLE_ISSUER
#define IORING_SETUP_SINGLE_ISSUER (1U << 12)
#endif
#ifndef IORING_SETUP_DEFER_TASKRUN
#define IORING_SETUP_DEFER_TASKRUN (1U << 13)
#endif
#ifndef IORING_SQ_TASKRUN
#define IORING_SQ_TASKRUN (1U << 2)
#endif
#ifndef IORING_RECV_MULTISHOT
#define IORING_RECV_MULTISHOT (1U << 1)
#endif
#ifndef IORING_CQE_F_NOTIF
#define IORING_CQE_F_NOTIF (1U << 3)
#endif

enum {
	SL_URING_KERNEL_SEND_ZC = 47, /* IORING_OP_SEND_ZC; an enumerator, so no #ifndef can ask */
	SL_URING_KERNEL_SENDMSG_ZC = 48, /* IORING_OP_SENDMSG_ZC */
	SL_URING_BUFFER_GROUP = 0,
	SL_URING_GENERATION_BITS = 32,
	SL_URING_CONNS_MAX = 1 << 20,
	SL_URING_BUFFERS_MAX = 1 << 15,
	/*
	 * A send takes no further submission once it has this many bytes: SENT of the first
	 * submission waits for the last byte of its send. Larger values have not been measured.
	 */
	SL_URING_GATHER_BYTES = 1 << 20,
	SL_URING_ZC_WINDOW = 64, /* zero-copy sends whose buffers the kernel holds, a connection */
};

enum sl_uring_op { /* in user_data */
		   SL_URING_OP_CONNECT = 1,
		   SL_URING_OP_SEND,
		   SL_URING_OP_RECV,
		   SL_URING_OP_CANCEL,
		   SL_URING_OP_PROVIDE,
};

/*
 *   FREE ── connect() ──> CONNECTING ──> OPEN ── close(orderly) ──> FLUSHING
 *    ^                        │            │  error, end, abort        │ all sent, error
 *    │                        └────────────┴───────────┬──────────────┘
 *    └────────────── CLOSED delivered ────────────── ENDING (operations are cancelled and awaited)
 */
enum sl_uring_state {
	SL_URING_FREE,
	SL_URING_CONNECTING,
	SL_URING_OPEN,
	SL_URING_FLUSHING,
	SL_URING_ENDING,
};

struct sl_uring_submission {
	const struct iovec *iov;
	uint64_t token;
	uint32_t iov_count;
	uint32_t last_send; /* number of the send that carried its last byte */
};

enum sl_uring_list_kind { SL_URING_LIST_DIRTY, SL_URING_LIST_STARVED, SL_URING_LIST_COUNT };

struct sl_uring_list {
	struct sl_uring_conn *first, *last;
};

struct sl_uring_conn {
	enum sl_uring_state state;
	int fd;
	uint32_t index;
	uint32_t generation;
	uint32_t ops;     /* completions the kernel owes */
	uint32_t cancels; /* of them, cancellations */
	bool connect_armed, send_armed, recv_armed;
	bool cancel_connect, cancel_send, cancel_recv; /* wanted, not yet asked */
	bool starved;                                  /* receive waits for a buffer */
	bool abortive;                                 /* end with a reset */
	bool kicked;
	bool zero_copy;
	int end_error;   /* of CLOSED */
	int token_error; /* of tokens that the end overtook */
	uint64_t user;

	/* positions in queue[]: head <= next <= tail; [head, next) sent and not reported, [next,
	 * tail) to be sent */
	struct sl_uring_submission *queue;
	uint32_t head, next, tail;
	uint32_t next_iov; /* in queue[next]: first piece not wholly sent */
	size_t next_skip;  /* bytes of it that are sent */

	/* sends are numbered; all before sends_done are through, bit i of sends_mask = sends_done +
	 * i is */
	uint32_t send_number, sends_done;
	uint64_t sends_mask;

	struct msghdr message;
	struct iovec *pieces; /* SL_TRANSPORT_IOV_MAX */
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} peer;
	struct sl_conn_stats stats;
	struct sl_uring_conn *link[SL_URING_LIST_COUNT];
	bool listed[SL_URING_LIST_COUNT];
};

struct sl_uring {
	struct sl_transport base;
	struct sl_uring_options options;
	bool in_use[SL_URING_FEATURE_COUNT];
	struct io_uring ring;
	bool get_events; /* completions wait in the kernel until we ask (cooperative or deferred
			    task work) */

	/*
	 * An eventfd, because the ring's own descriptor does not poll readable for deferred task
	 * work (measured on 6.18). It is armed while there is nothing to do: a busy ring then pays
	 * no signal per completion.
	 */
	int bell_fd;
	bool bell_armed;

	struct sl_uring_conn *conns;
	uint32_t conn_free_count;
	uint32_t *conn_free; /* stack of indexes */
	struct sl_uring_submission *queues;
	struct iovec *pieces;
	uint32_t queue_mask;
	struct sl_uring_list lists[SL_URING_LIST_COUNT];

	uint8_t *buffers;
	size_t buffers_bytes;
	struct io_uring_buf_ring *buffer_ring; /* NULL: buffers go back by an operation */
	size_t buffer_ring_bytes;
	bool *buffer_held; /* by the caller */
	uint32_t buffers_held;
	uint16_t *returned; /* without a buffer ring: to be given to the kernel */
	uint32_t returned_count;
};

struct sl_uring_out { /* the caller's array */
	struct sl_event *events;
	uint32_t count, max;
};

static inline bool sl_uring_out_full(const struct sl_uring_out *out)
{
	return out->count == out->max;
}

static inline struct sl_event *sl_uring_event(struct sl_uring_out *out, enum sl_event_kind kind,
					      const struct sl_uring_conn *conn)
{
	struct sl_event *event;

	SL_ASSERT(out->count < out->max);
	event = &out->events[out->count++];
	*event = (struct sl_event){.kind = kind, .conn = conn->index, .user = conn->user};
	return event;
}

static inline uint64_t sl_uring_user_data(enum sl_uring_op op, uint32_t index, uint32_t generation,
					  uint32_t send_number)
{
	return (uint64_t)op << 60 | (uint64_t)(send_number & 0xff) << 52 |
	       (uint64_t)index << SL_URING_GENERATION_BITS | generation;
}

/* ring.c: the ring itself */
int sl_uring_ring_open(struct sl_uring *u, struct sl_error *err);
void sl_uring_ring_close(struct sl_uring *u);
struct io_uring_sqe *
sl_uring_sqe(struct sl_uring *u); /* NULL: the kernel takes none now, try in the next poll */
bool sl_uring_has_reason(const struct sl_uring *u); /* poll() would do something */
bool sl_uring_bell_arm(struct sl_uring *u); /* false: something came meanwhile, do not sleep */
void sl_uring_bell_disarm(struct sl_uring *u);
void sl_uring_enter(struct sl_uring *u); /* only if there is a reason */

/* features.c: what the kernel has and the options allow */
unsigned int sl_uring_setup_flags(const struct sl_uring *u);
bool sl_uring_setup_flags_reduce(
	struct sl_uring *u); /* drops the newest; false when none is left */
void sl_uring_features_probe(struct sl_uring *u);

/* conn.c */
int sl_uring_connect(struct sl_transport *t, const struct sl_address *to, uint64_t user,
		     uint32_t *conn);
void sl_uring_close(struct sl_transport *t, uint32_t conn, bool abortive);
void sl_uring_connected(struct sl_uring *u, struct sl_uring_conn *conn, int res,
			struct sl_uring_out *out);
void sl_uring_cancelled(struct sl_uring *u, struct sl_uring_conn *conn);
/* The stream is over: end_error for CLOSED unless close() was called, token_error for what was not
 * sent. */
void sl_uring_end(struct sl_uring *u, struct sl_uring_conn *conn, int end_error, int token_error);
/* Arms, reports, finishes. False when it must be called again (no room in out, or none in the
 * ring). */
bool sl_uring_pump(struct sl_uring *u, struct sl_uring_conn *conn, struct sl_uring_out *out);
void sl_uring_disconnect_all(struct sl_uring *u);
void sl_uring_list_push(struct sl_uring *u, enum sl_uring_list_kind kind,
			struct sl_uring_conn *conn);
struct sl_uring_conn *sl_uring_list_pop(struct sl_uring *u, enum sl_uring_list_kind kind);

/* send.c */
int sl_uring_submit(struct sl_transport *t, uint32_t conn, const struct iovec *iov,
		    uint32_t iov_count, uint64_t token);
bool sl_uring_send_arm(struct sl_uring *u,
		       struct sl_uring_conn *conn); /* false: no room in the ring */
void sl_uring_sent(struct sl_uring *u, struct sl_uring_conn *conn, const struct io_uring_cqe *cqe);
bool sl_uring_report(struct sl_uring *u, struct sl_uring_conn *conn, struct sl_uring_out *out);

/* recv.c */
int sl_uring_buffers_open(struct sl_uring *u, struct sl_error *err);
void sl_uring_buffers_close(struct sl_uring *u);
bool sl_uring_recv_arm(struct sl_uring *u,
		       struct sl_uring_conn *conn); /* false: no room in the ring */
void sl_uring_received(struct sl_uring *u, struct sl_uring_conn *conn,
		       const struct io_uring_cqe *cqe, struct sl_uring_out *out);
void sl_uring_recv_release(struct sl_transport *t, uint32_t buffer);
void sl_uring_buffers_provide(struct sl_uring *u); /* without a buffer ring: what was returned */
void sl_uring_provided(struct sl_uring *u, const struct io_uring_cqe *cqe);

#endif
