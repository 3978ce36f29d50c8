/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One transport, its peers and the bookkeeping that every test needs: tokens come back once and in
 * order, bytes arrive equal and in order, nothing follows CLOSED. All of it is asserted on each
 * event, whatever the test looks at.
 *
 * A link's stream is the shared pattern from a place of its own on, both ways: the peer checks what
 * it reads against it and echoes by writing the pattern back.
 */
#ifndef SL_TESTS_TRANSPORT_RIG_H
#define SL_TESTS_TRANSPORT_RIG_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/transport/sim/sim.h"
#include "dataplane/transport/transport.h"
#include "dataplane/transport/uring/uring.h"

enum { RIG_LINKS_MAX = 256, RIG_SENDS_MAX = 64, RIG_PATTERN_BYTES = 10 << 20, RIG_HELD_MAX = 64 };

struct rig_backend {
	const char *name;
	bool sim;
	bool disabled[SL_URING_FEATURE_COUNT];
	bool zero_copy;
	uint64_t delay_ns; /* sim */
	uint32_t send_step;
	bool sent_when_read;
};

struct rig_sizes { /* 0: a default */
	uint32_t conns, buffers, buffer_bytes, sends;
	uint32_t socket_send_bytes, peer_receive_bytes;
	int backlog;
};

struct rig_link {
	uint32_t conn;
	int64_t peer; /* -1: none */
	bool connected, closed, peer_ended;
	int close_error;
	uint32_t submitted, returned, failed;
	uint64_t sent_bytes, received_bytes, peer_read_bytes, peer_written_bytes;
	struct iovec *iov; /* RIG_SENDS_MAX * SL_TRANSPORT_IOV_MAX */
};

struct rig {
	struct sl_transport *t;
	const struct rig_backend *backend;
	uint64_t now_ns;
	int listener;
	struct sl_address address;
	struct rig_link links[RIG_LINKS_MAX];
	uint32_t link_count;
	uint64_t random;
	bool hold; /* keep receive buffers */
	uint32_t held[RIG_HELD_MAX], held_count;
	uint64_t events;
};

void rig_open(struct rig *rig, const struct rig_backend *backend, const struct rig_sizes *sizes);
void rig_close(struct rig *rig);

/* One poll with an event array of 1 to 16; with sim, time goes on when nothing happened. Returns
 * events. */
uint32_t rig_turn(struct rig *rig);

/* Turns until the condition (checked after each), at most 20 s. */
#define RIG_UNTIL(rig, condition)                                                                  \
	do {                                                                                       \
		uint64_t rig_end = sl_clock_monotonic_ns() + 20 * SL_NS_PER_S;                     \
		while (!(condition)) {                                                             \
			rig_turn(rig);                                                             \
			if (sl_clock_monotonic_ns() > rig_end)                                     \
				fail_msg("timeout: %s", #condition);                               \
		}                                                                                  \
	} while (0)

struct rig_link *rig_connect(struct rig *rig); /* begins only */
struct rig_link *rig_link(struct rig *rig);    /* connected and accepted */
void rig_accept(struct rig *rig, struct rig_link *link);

/* Submits the link's next bytes in pieces of random sizes. 0 or the error of submit(). */
int rig_submit(struct rig *rig, struct rig_link *link, uint32_t bytes, uint32_t pieces);

/* The peer reads at most bytes and checks them; returns them. */
uint32_t rig_peer_read(struct rig *rig, struct rig_link *link, uint32_t bytes);
/* The peer writes the link's next bytes; returns those taken. */
uint32_t rig_peer_write(struct rig *rig, struct rig_link *link, uint32_t bytes);
void rig_peer_echo(struct rig *rig, struct rig_link *link);
void rig_peer_reset(struct rig *rig, struct rig_link *link);
void rig_peer_close(struct rig *rig, struct rig_link *link);

void rig_release_held(struct rig *rig);
uint32_t rig_random(struct rig *rig, uint32_t below);

#endif
