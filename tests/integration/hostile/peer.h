/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An application that speaks the hand-off by itself, without libsluice, so that it can do so
 * wrongly: what the hostile scenarios share. One thread. Whatever fails that should not ends the
 * process with the scenario's name and a reason.
 */
#ifndef SL_TESTS_HOSTILE_PEER_H
#define SL_TESTS_HOSTILE_PEER_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/shm/handshake.h"
#include "dataplane/shm/segment.h"

enum { PEER_RINGS_MAX = SL_SHM_RINGS_MAX, PEER_ANSWER_MS = 5000 };

struct peer {
	int sock, data_fd, status_fd, bell_fd;
	uint8_t *data, *status;
	struct sl_segment_geometry geometry;
	uint8_t client_id[SL_HS_CLIENT_ID_BYTES], token[SL_HS_TOKEN_BYTES];
	uint64_t segment_id;
	uint64_t pos[PEER_RINGS_MAX];
	uint32_t seq[PEER_RINGS_MAX];
	struct sl_hs_welcome welcome;
};

/* Where the agent listens; set by main. */
extern const char *peer_socket;

void peer_fail(const char *file, int line, const char *what) __attribute__((noreturn));
#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			peer_fail(__FILE__, __LINE__, #condition);                                 \
	} while (0)

/* A connection and no word yet. False: the agent's backlog is full. */
bool peer_try_connect(struct peer *p);
void peer_connect(struct peer *p);
void peer_close(struct peer *p);

/* Sends bytes with descriptors, whether they make sense or not. */
void peer_send_raw(struct peer *p, const void *bytes, size_t count, const int *fds,
		   uint32_t fd_count);
void peer_send(struct peer *p, const union sl_hs_message *msg, const int *fds, uint32_t fd_count);

/* The type of the next message, 0 when the agent hung up; fails when nothing comes. */
uint32_t peer_answer(struct peer *p, union sl_hs_message *msg, int fds[SL_HS_FDS_MAX]);
/* The next answer is REFUSE with that code and some words, and then the agent hangs up. */
void peer_refused(struct peer *p, enum sl_refuse code);

void peer_hello(struct peer *p);
/* D for p->geometry; the descriptor is p->data_fd. */
void peer_data_make(struct peer *p);
void peer_open_fill(const struct peer *p, union sl_hs_message *msg);
/* connect, hello, OPEN with such rings, and topic "hostile" in slot 0. */
void peer_open(struct peer *p, uint32_t rings, uint64_t ring_bytes, uint32_t report_slots);
void peer_bind(struct peer *p, uint32_t slot, const char *topic);

static inline struct sl_app_page *peer_app_page(struct peer *p, uint32_t ring)
{
	return sl_segment_app_page(p->data, ring);
}

static inline struct sl_agent_page *peer_agent_page(struct peer *p, uint32_t ring)
{
	return sl_segment_agent_page(p->status, ring);
}

/* Where the next record of a ring goes. */
uint8_t *peer_at(struct peer *p, uint32_t ring);
/* A record that is as it should be, whose tail the caller gives; not committed yet. */
struct sl_record_header *peer_put(struct peer *p, uint32_t ring, const void *tail,
				  uint32_t tail_bytes);
/* The same with a small value. */
struct sl_record_header *peer_put_good(struct peer *p, uint32_t ring);
/* Publishes what was put, and rings the bell if the agent asks for it. */
void peer_commit(struct peer *p, uint32_t ring);
bool peer_has_room(struct peer *p, uint32_t ring, uint32_t bytes);

/* Waits until the agent says that it has poisoned the ring, for this reason. */
void peer_poisoned(struct peer *p, uint32_t ring, enum sl_poison code);
/* Waits until all records of the ring have an outcome. */
void peer_settled(struct peer *p, uint32_t ring, uint64_t count);

uint64_t peer_random(void);
uint64_t peer_now_ms(void);

/* A scenario's folders: each is a table that ends with an empty row. */
struct scenario {
	const char *name;
	void (*run)(void);
};
extern const struct scenario scenarios_handshake[], scenarios_segment[], scenarios_ring[],
	scenarios_flood[];

#endif
