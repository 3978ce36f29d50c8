/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The thread that runs a worker: pinned to its core, it makes its transport there, runs turns while
 * there is work, spins a moment (idle.spin.us), then sleeps in epoll on the transport's descriptor,
 * its inbox and the applications' bells, until the worker's next deadline. Created and joined by
 * the control thread.
 */
#ifndef SL_AGENT_WORKER_THREAD_H
#define SL_AGENT_WORKER_THREAD_H

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"
#include "dataplane/base/error.h"
#include "dataplane/worker/worker.h"

struct sl_arena;
struct sl_worker_thread;

struct sl_worker_thread_options {
	const struct sl_config *config; /* read during creation only */
	uint32_t index;
	struct sl_arena *arena; /* moves, whatever comes of it */
	/* Called on the worker's thread when its outbox got something. */
	void (*notify_control)(void *ctx);
	void *ctx;
};

/*
 * Worker, thread, transport; returns when the thread runs turns. Errors as worker and transport
 * give them.
 */
int sl_worker_thread_create(const struct sl_worker_thread_options *options,
			    struct sl_worker_thread **out, struct sl_error *err);

/* Control thread, before the worker was told anything. */
struct sl_arena *sl_worker_thread_arena(struct sl_worker_thread *thread);

struct sl_worker *sl_worker_thread_worker(struct sl_worker_thread *thread);

/* Control thread: the inbox got something. */
void sl_worker_thread_wake(struct sl_worker_thread *thread);

/* Control thread: has the worker make a cut of its books and waits for it, 0.1 s at most. False: it
 * did not answer. */
bool sl_worker_thread_cut(struct sl_worker_thread *thread);

uint64_t sl_worker_thread_cpu_ns(const struct sl_worker_thread *thread);
/* The core it is pinned to. Any thread, after create. */
int32_t sl_worker_thread_core(const struct sl_worker_thread *thread);
const char *sl_worker_thread_transport(const struct sl_worker_thread *thread);
bool sl_worker_thread_feature(const struct sl_worker_thread *thread, uint32_t index,
			      const char **name, bool *in_use);

/* Waits for the end of the thread: the worker was told to stop and has. Idempotent. */
void sl_worker_thread_join(struct sl_worker_thread *thread);

/* Frees all; the arena's file is removed when nothing in it is anybody's. Joined before. */
void sl_worker_thread_destroy(struct sl_worker_thread *thread);

#endif
