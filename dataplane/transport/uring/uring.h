/* SPDX-License-Identifier: Apache-2.0 */
/* Transport on kernel TCP sockets through io_uring: one ring a worker. See transport.h for the contract. */
#ifndef SL_TRANSPORT_URING_H
#define SL_TRANSPORT_URING_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/base/error.h"
#include "dataplane/transport/transport.h"

/* Each can be switched off by name (configuration `io_uring.disable`), and falls back by itself where the kernel lacks it. */
enum sl_uring_feature {
	SL_URING_SINGLE_ISSUER,    /* 6.0 */
	SL_URING_DEFER_TASKRUN,    /* 6.1 */
	SL_URING_COOP_TASKRUN,     /* 5.19 */
	SL_URING_SUBMIT_ALL,       /* 5.18 */
	SL_URING_BUFFER_RING,      /* 5.19 */
	SL_URING_RECV_MULTISHOT,   /* 6.0 */
	SL_URING_RING_FD,          /* 5.18, registered ring descriptor */
	SL_URING_SEND_ZC,          /* 6.0 and asked for; never to loopback */
	SL_URING_FEATURE_COUNT,
};

struct sl_uring_options {
	uint32_t conns_max;
	uint32_t sends_max;             /* submissions outstanding a connection */
	uint32_t recv_buffer_bytes;     /* of one receive buffer */
	uint32_t recv_buffer_count;     /* power of two, shared by all connections */
	uint32_t socket_send_bytes;     /* SO_SNDBUF, 0 = the kernel's auto-tuning */
	uint32_t socket_receive_bytes;  /* SO_RCVBUF, 0 = likewise */
	uint32_t user_timeout_ms;       /* TCP_USER_TIMEOUT, 0 = off */
	uint32_t keepalive_s;           /* SO_KEEPALIVE idle and interval, 0 = off */
	bool disabled[SL_URING_FEATURE_COUNT];
	bool send_zc;
	bool send_zc_local;              /* also to this host, where it always copies: for tests */
};

/* Thread: the worker's own (a single-issuer ring belongs to whom made it). *out is destroyed by ops->destroy. */
int sl_uring_create(const struct sl_uring_options *options, struct sl_transport **out, struct sl_error *err);

/* What a transport with these options takes at most, receive buffers included; the kernel's own rings are not. */
uint64_t sl_uring_memory_bytes(const struct sl_uring_options *options);

/* The feature's name in configuration and status; NULL past the last. */
const char *sl_uring_feature_name(uint32_t feature);

#endif
