/* SPDX-License-Identifier: Apache-2.0 */
/* What the two ends of the in-memory transport share: sim.c is the worker's, peer.c the peer's. */
#ifndef SL_TRANSPORT_SIM_INTERNAL_H
#define SL_TRANSPORT_SIM_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/base/assert.h"
#include "dataplane/base/clock.h"
#include "dataplane/transport/sim/sim.h"

struct sl_sim_segment {
	uint64_t at_ns; /* arrival */
	uint32_t bytes; /* not read yet */
};

/* One direction. Bytes in a ring, their arrivals in another; then perhaps an end. */
struct sl_sim_stream {
	uint8_t *data;
	uint64_t write_pos, read_pos;
	struct sl_sim_segment *segments; /* SL_SIM_SEGMENTS_MAX */
	uint32_t first, last;            /* monotonic; [first, last) are in use */
	uint64_t last_at_ns;             /* nothing arrives before what was sent before it */
	uint64_t end_at_ns;              /* SL_DEADLINE_NONE: open */
	bool reset;                      /* the end is one */
};

enum sl_sim_state {
	SL_SIM_FREE,
	SL_SIM_CONNECTING,
	SL_SIM_OPEN,
	SL_SIM_FLUSHING,
	SL_SIM_ENDING,
	SL_SIM_CLOSED
};
enum sl_sim_peer_state { SL_SIM_PEER_WAITS, SL_SIM_PEER_HELD, SL_SIM_PEER_GONE };

struct sl_sim_submission {
	const struct iovec *iov;
	uint64_t token;
	uint32_t iov_count;
	uint64_t end_pos; /* in the stream, once its last byte entered */
};

struct sl_sim_conn {
	enum sl_sim_state state; /* the worker's end; CLOSED was delivered but the peer holds on */
	enum sl_sim_peer_state peer;
	enum sl_sim_reach reach;
	uint32_t index;
	uint16_t generation;
	struct sl_address to;
	uint64_t user;
	uint64_t order; /* of connect() */
	uint64_t syn_at_ns, open_at_ns;
	int end_error, token_error;
	uint32_t window_bytes;
	struct sl_sim_stream up, down; /* to the peer, to the worker */
	struct sl_sim_submission *queue;
	uint32_t head, next,
		tail; /* [head, next) entered and not reported, [next, tail) to enter */
	uint32_t next_iov;
	size_t next_skip;
	struct sl_conn_stats stats;
};

struct sl_sim {
	struct sl_transport base;
	struct sl_sim_options options;
	struct sl_sim_conn *conns;
	uint32_t cursor; /* poll() begins here, so that a small event array starves nobody */
	uint64_t order_next;
	uint64_t delay_ns;
	uint32_t send_step;
	int connect_error;
	struct {
		struct sl_address address;
		enum sl_sim_reach reach;
	} reaches[SL_SIM_ADDRESSES_MAX];
	uint32_t reach_count;
	uint8_t *buffers;
	uint32_t *buffer_free;
	uint32_t buffer_free_count;
	bool *buffer_held;
	uint8_t *wire;
	struct sl_sim_segment *segments;
	struct sl_sim_submission *queues;
};

static inline uint64_t sl_sim_now(const struct sl_sim *sim)
{
	return *sim->options.now_ns;
}

/* stream.c */
void sl_sim_stream_reset(struct sl_sim_stream *stream);
/* Bytes that may enter now; 0 also when there is no place to note their arrival. */
uint32_t sl_sim_stream_room(const struct sl_sim *sim, const struct sl_sim_stream *stream);
/* Appends within the room. joined: may become one segment with what arrives at the same instant. */
void sl_sim_stream_write(struct sl_sim *sim, struct sl_sim_stream *stream, const uint8_t *data,
			 uint32_t bytes, bool joined);
/* Copies what has arrived, at most bytes; across segments only if joined. Does not consume. */
uint32_t sl_sim_stream_peek(const struct sl_sim *sim, const struct sl_sim_stream *stream,
			    uint8_t *out, uint32_t bytes, bool joined);
void sl_sim_stream_consume(struct sl_sim_stream *stream, uint32_t bytes);
void sl_sim_stream_end(struct sl_sim *sim, struct sl_sim_stream *stream, bool reset);
static inline bool sl_sim_stream_ended(const struct sl_sim *sim, const struct sl_sim_stream *stream)
{
	return stream->end_at_ns <= sl_sim_now(sim);
}
/* The earlier of the first arrival and the end. */
uint64_t sl_sim_stream_next_ns(const struct sl_sim_stream *stream);

/* peer.c: frees the slot when both ends are through */
void sl_sim_conn_settle(struct sl_sim_conn *conn);

#endif
