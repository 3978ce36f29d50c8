/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's side of the hand-off, small enough for tests: a thread that speaks the handshake
 * through the real shm/ code, reads rings with sl_ring_reader and settles what it read at once. One
 * application at a time.
 */
#ifndef SL_TESTS_FAKE_AGENT_H
#define SL_TESTS_FAKE_AGENT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "dataplane/shm/handshake.h"
#include "dataplane/shm/ring_reader.h"
#include "dataplane/shm/segment.h"

enum { FAKE_TOPICS = 8 };

struct fake_agent {
	char path[108];
	int listener, sock;
	int data_fd, status_fd, bell;
	void *data, *status;
	struct sl_segment_geometry geometry;
	uint8_t mode[SL_SHM_RINGS_MAX];
	struct sl_ring_reader readers[SL_SHM_RINGS_MAX];
	uint64_t report_pos[SL_SHM_RINGS_MAX], report_seen[SL_SHM_RINGS_MAX];
	uint64_t settled_seq[SL_SHM_RINGS_MAX];
	int wake[SL_SHM_RINGS_MAX];
	char topics[FAKE_TOPICS][SL_HS_TOPIC_BYTES];
	uint8_t token[SL_HS_TOKEN_BYTES];
	bool (*content_ok)(const struct sl_ring_item *item); /* NULL: any content will do */
	pthread_t thread;
	_Atomic bool stop;
	_Atomic bool paused; /* answers, but reads no ring */
	_Atomic bool quiet;  /* has seen that it is paused */
	_Atomic bool forget; /* refuses REATTACH as unknown */
	_Atomic bool sleepy; /* sleeps on the bell rather than spinning */
	_Atomic uint32_t poison, sleeps, flushes, attached, reattached;
	_Atomic uint64_t records, tail_errors;
};

/* Listens on path and starts the thread. The struct may hold segments of an earlier life: then they
 * may be re-attached. */
void fake_agent_start(struct fake_agent *agent, const char *path);
/* Ends the thread and closes the socket, as a death would; segments stay for a next
 * fake_agent_start(). */
void fake_agent_kill(struct fake_agent *agent);
/* Gives everything back. */
void fake_agent_free(struct fake_agent *agent);
/* Writes a RESET report for ring 0; the agent must be paused. */
void fake_agent_reset(struct fake_agent *agent, uint64_t first_seq);

/* Is a tail whole, as a broker would read it? */
bool fake_tail_ok(const uint8_t *p, uint32_t bytes);

#endif
