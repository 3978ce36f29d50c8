/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transport in memory, for tests of the worker and for the simulator. The worker's side is the
 * vtable of transport.h; the peer's side (the broker) is played by the caller with the functions
 * below. No threads, no sockets, no clock and no randomness of its own: the same calls give the
 * same events.
 *
 * Time. *now_ns is the caller's virtual clock. What one side does reaches the other delay_ns later
 * (a connect takes two of them). Nothing happens by itself: events come out of poll(), and
 * next_deadline_ns() names the instant to which the clock may jump when poll() returned 0. With
 * delay 0 everything has arrived at the next call.
 *
 * Bytes. A submission's bytes are copied as they enter the wire; its SENT follows when its last
 * byte has entered. The wire takes at most window_bytes that the peer has not read: a smaller
 * window makes partial sends, a peer that stops reading makes submit() return -EAGAIN once
 * sends_max submissions wait. With sent_when_read the SENT waits until the peer has read the last
 * byte, as a zero-copy or user-space TCP would; tokens then come back late, still in order.
 *
 * Peers. A peer handle is valid from sl_sim_accept() until sl_sim_peer_close(), sl_sim_peer_reset()
 * or sl_sim_peer_release(), also when the worker has closed its end. Handles carry a generation:
 * using a dead one is answered as if the stream had ended.
 *
 * Thread: one. Memory: all in the constructor. Errors: negative errno.
 */
#ifndef SL_TRANSPORT_SIM_H
#define SL_TRANSPORT_SIM_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/base/error.h"
#include "dataplane/transport/transport.h"

struct sl_sim_options {
	const uint64_t *now_ns; /* the virtual clock; the caller's, outlives the transport */
	uint32_t conns_max; /* both ends counted: a slot is busy until worker and peer are through
			       with it */
	uint32_t sends_max; /* submissions outstanding a connection */
	uint32_t recv_buffer_bytes; /* of one RECEIVED event at most */
	uint32_t recv_buffer_count; /* RECEIVED events outstanding at most; without a free one bytes
				       wait */
	uint32_t wire_bytes; /* room each way of a connection, a power of two; bounds the window */
	uint32_t window_bytes; /* initial send window of each connection, 0 = wire_bytes */
	uint64_t delay_ns;     /* one way, initial */
	bool sent_when_read;
};

int sl_sim_create(const struct sl_sim_options *options, struct sl_transport **out,
		  struct sl_error *err);

/* ---- the network ---- */

enum sl_sim_reach {
	SL_SIM_REFUSED =
		0,        /* connect fails with -ECONNREFUSED; so does every address never named */
	SL_SIM_LISTENING, /* connect succeeds, whether or not the peer ever accepts (as a kernel's
			     backlog does) */
	SL_SIM_SILENT,    /* connect stays open without an answer until closed */
};

/* What happens to connects to this address from now on. 0, or -ENOSPC beyond SL_SIM_ADDRESSES_MAX
 * addresses. */
enum { SL_SIM_ADDRESSES_MAX = 64 };
int sl_sim_reach_set(struct sl_transport *t, const struct sl_address *address,
		     enum sl_sim_reach reach);

/* One-way delay of everything that is sent from now on. Order within a stream is kept when it
 * shrinks. */
void sl_sim_delay_set(struct sl_transport *t, uint64_t delay_ns);

/* The next connect() returns error (a negative errno) once, and begins nothing. */
void sl_sim_connect_fail_next(struct sl_transport *t, int error);

/* At most this many bytes enter the wire for a connection in one poll(); 0 = no bound. Makes
 * partial sends. */
void sl_sim_send_step_set(struct sl_transport *t, uint32_t bytes);

/* The next instant at which bytes, an end or a connect reach a peer that had not arrived yet, or
 * SL_DEADLINE_NONE. */
uint64_t sl_sim_next_arrival_ns(const struct sl_transport *t);

/* ---- the peer's end ---- */

/* The oldest arrived connection to the address (NULL: any) that was not accepted yet. 0 or -EAGAIN.
 */
int sl_sim_accept(struct sl_transport *t, const struct sl_address *address, uint32_t *peer);

/* The worker's handle and user value of this stream, to tell connections apart. False when the
 * handle is dead. */
bool sl_sim_peer_identity(const struct sl_transport *t, uint32_t peer, uint32_t *conn,
			  uint64_t *user);

/* Bytes that have arrived and were not read. */
uint32_t sl_sim_peer_readable(const struct sl_transport *t, uint32_t peer);

/* Reads what has arrived, at most max; 0 = nothing now, or the end (see sl_sim_peer_ended). peek
 * leaves it unread. */
uint32_t sl_sim_peer_read(struct sl_transport *t, uint32_t peer, void *out, uint32_t max);
uint32_t sl_sim_peer_peek(const struct sl_transport *t, uint32_t peer, void *out, uint32_t max);

/* Everything was read and the worker has closed its end (or reset it: *reset, may be NULL), or the
 * handle is dead. */
bool sl_sim_peer_ended(const struct sl_transport *t, uint32_t peer, bool *reset);

/*
 * Sends to the worker. Each call is a segment of its own: a RECEIVED event never spans two of them,
 * and a segment larger than a receive buffer becomes several events. Returns the bytes taken: all,
 * or 0 when the wire is full (bytes, or SL_SIM_SEGMENTS_MAX segments) or the stream is over.
 */
enum { SL_SIM_SEGMENTS_MAX = 1024 };
uint32_t sl_sim_peer_write(struct sl_transport *t, uint32_t peer, const void *data, uint32_t bytes);

/* Unread bytes that this peer lets the wire hold; 0 stops sending. Bytes already on the wire stay.
 */
void sl_sim_peer_window_set(struct sl_transport *t, uint32_t peer, uint32_t bytes);

/* Ends the stream after what was written: the worker gets CLOSED(0), its open tokens -EPIPE. The
 * handle dies. */
void sl_sim_peer_close(struct sl_transport *t, uint32_t peer);

/* Resets: bytes not yet delivered are lost, the worker gets its open tokens and CLOSED with
 * -ECONNRESET. The handle dies. */
void sl_sim_peer_reset(struct sl_transport *t, uint32_t peer);

/* Gives a handle back whose stream the worker has ended; on a living one it is sl_sim_peer_close().
 */
void sl_sim_peer_release(struct sl_transport *t, uint32_t peer);

#endif
