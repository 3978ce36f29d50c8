/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker: a complete producer on one core. It owns its application rings, arena, connections and transport, shares
 * nothing with other workers, and talks to the control thread by the messages of worker/messages.h alone.
 *
 * Life: sl_worker_create (control thread, allocates everything) - sl_worker_turn in a loop (the worker's thread, or a
 * test's only one) - sl_worker_destroy (after the thread ended). A turn never blocks, locks, allocates, logs or makes a
 * system call other than the transport's own and FUTEX_WAKE / a datagram to an application that waits.
 */
#ifndef SL_WORKER_WORKER_H
#define SL_WORKER_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/base/env.h"
#include "dataplane/base/error.h"
#include "dataplane/base/msg_ring.h"

struct sl_arena;
struct sl_worker;

/*
 * What a worker asks of the thread that runs it; all called from within a turn, none may block. NULL where there is
 * nothing to do (tests, simulator).
 */
struct sl_worker_hooks {
	void *ctx;
	void (*notify_control)(void *ctx);        /* the outbox was empty and is not any more */
	void (*bell_add)(void *ctx, int bell_fd); /* wake the thread when it is written: edge-triggered, never read */
	void (*bell_remove)(void *ctx, int bell_fd);
};

struct sl_worker_options {
	uint32_t index;         /* of this worker */
	uint32_t rings_max;     /* <= 4095 */
	uint32_t segments_max;
	uint32_t topics_max;
	uint32_t partitions_max;
	uint32_t brokers_max;   /* seeds and brokers together */
	uint32_t in_flight_max; /* requests a connection, 1..5 */
	uint32_t request_bytes_max;   /* soft limit of what is put into one Produce request; one batch always fits */
	uint32_t record_bytes_max;    /* the largest max.request.size of any topic */
	uint64_t request_timeout_ns;
	uint64_t connect_timeout_ns;
	uint64_t orphan_ttl_ns; /* how long a request that nobody waits for may still be executed by a broker */
	bool resume_strict;     /* what may have been written is never sent on a leader's word that it was not */
	char client_id[64];
	struct sl_worker_hooks hooks;
};

/*
 * What a worker shows. Single writer: the worker, relaxed stores; read by the control thread for `status` and metrics.
 * consumed = persisted + failed + unknown + queued holds at the end of every turn, where queued is what the arena holds.
 */
struct sl_worker_stats {
	_Atomic uint64_t consumed;  /* records taken from rings */
	_Atomic uint64_t consumed_bytes;
	_Atomic uint64_t persisted, failed, unknown;
	_Atomic uint64_t queued;
	_Atomic uint64_t batches_sealed, batches_sent, batches_resent, batches_cut, requests, responses;
	_Atomic uint64_t bytes_sent, bytes_received;
	_Atomic uint64_t payload_bytes, wire_payload_bytes; /* of sealed batches, before and after compression */
	_Atomic uint64_t rings_poisoned, reports_discarded, bad_frames, ack_timeouts, connects, disconnects;
	_Atomic uint64_t turns, turns_idle, sleeps, wakes;
	_Atomic uint64_t arena_chunks_free, arena_chunks, arena_full, share_full;
	_Atomic uint32_t producer_epochs_bumped;
};

/*
 * Allocates a worker on its arena. arena and env stay the caller's and outlive the worker. 0 or a negative errno with
 * err filled. Thread: control.
 */
int sl_worker_create(const struct sl_worker_options *options, struct sl_arena *arena, struct sl_worker **out,
	struct sl_error *err);

/* Bytes that sl_worker_create() will allocate: for --dump-config. */
uint64_t sl_worker_memory_bytes(const struct sl_worker_options *options);

/*
 * Frees what create allocated; objects of messages stay the control thread's. Thread: control, the worker's thread has
 * ended.
 */
void sl_worker_destroy(struct sl_worker *worker);

/* The two ends of the conversation: control pushes into inbox and pops from outbox. */
struct sl_msg_ring *sl_worker_inbox(struct sl_worker *worker);
struct sl_msg_ring *sl_worker_outbox(struct sl_worker *worker);

const struct sl_worker_stats *sl_worker_stats(const struct sl_worker *worker);

/*
 * Records of topic (index as in SL_MSG_TOPIC_ADD) by outcome, for `status`. Any thread, relaxed.
 */
struct sl_topic_stats {
	_Atomic uint64_t consumed, persisted, failed, unknown;
	_Atomic uint64_t bytes;
};
const struct sl_topic_stats *sl_worker_topic_stats(const struct sl_worker *worker, uint32_t topic);

/* Chunks of the arena that wait for this broker; from brokers_max on: for no leader. Any thread, relaxed. */
uint32_t sl_worker_broker_chunks(const struct sl_worker *worker, uint32_t broker);

/*
 * One bounded turn: messages, transport events, timers, consuming, sending, reporting. Returns work done, so that the
 * caller may idle on 0. Thread: the worker's.
 */
uint32_t sl_worker_turn(struct sl_worker *worker, const struct sl_env *env);

/*
 * When the next turn is due though nothing arrives: the earliest of linger, time-outs and the transport's deadline, in
 * env's monotonic ns; SL_DEADLINE_NONE when only an event can bring work. Thread: the worker's, between turns.
 */
uint64_t sl_worker_next_deadline_ns(const struct sl_worker *worker, const struct sl_env *env);

/*
 * Around a sleep (worker/idle.c does it for a thread): prepare marks all rings `sleeping`, then the caller issues the
 * process-wide barrier, then recheck tells whether something was committed or posted meanwhile; wake clears the marks.
 */
void sl_worker_sleep_prepare(struct sl_worker *worker);
bool sl_worker_sleep_recheck(const struct sl_worker *worker);
void sl_worker_sleep_wake(struct sl_worker *worker);

/* True once SL_MSG_STOP was obeyed: nothing more to do, or told to stop at once. */
bool sl_worker_stopped(const struct sl_worker *worker);

#endif
