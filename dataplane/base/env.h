/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The seam through which everything that is not computed enters a worker or the control thread: time, randomness and
 * the network. Production fills it with real clocks; tests and the simulator replace every pointer and run the same
 * code single-threaded on virtual time.
 */
#ifndef SL_BASE_ENV_H
#define SL_BASE_ENV_H

#include <stdint.h>

struct sl_transport;

struct sl_env {
	uint64_t (*now_ns)(void *ctx);         /* monotonic; deadlines */
	uint64_t (*realtime_ms)(void *ctx);    /* Unix time; Kafka timestamps and age rules only */
	uint64_t (*random)(void *ctx);         /* 64 random bits: jitter, spreading */
	struct sl_transport *transport;        /* NULL in the control thread: it owns no broker socket */
	void *ctx;
};

#endif
