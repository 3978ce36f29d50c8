/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside libsluice: what the handles are. sluice.h is the contract; this says who may touch what.
 *
 * A ring's handle is two private pages. The first holds all that the path of a record touches and
 * is wiped in a forked child (MADV_WIPEONFORK): the child finds no room and no pages, takes the
 * slow path and learns there that it owns nothing. The second is ordinary. Both belong to the
 * ring's thread. A client is shared by all threads: its mutex guards the socket and everything
 * beside it; a child never takes it.
 */
#ifndef SL_CLIENT_CLIENT_H
#define SL_CLIENT_CLIENT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "dataplane/base/assert.h"
#include "dataplane/base/error.h"
#include "dataplane/client/sluice.h"
#include "dataplane/shm/handshake.h"
#include "dataplane/shm/layout.h"
#include "dataplane/shm/segment.h"

enum {
	CLIENT_LOOK_MS = 100, /* how often a busy ring looks whether the agent is still there */
	CLIENT_WAIT_MS = 20,  /* a sleep on the slow path, between two looks at the agent */
	CLIENT_RETRY_MS_MIN = 10,
	CLIENT_RETRY_MS_MAX = 1000,
	CLIENT_SAMPLE_MASK = 1023, /* one record of 1024 carries the time of its commit */
	RING_HANDLE_BYTES = 2 * SL_SHM_PAGE_BYTES,
};

struct sluice_topic {
	sluice_client *client;
	uint16_t slot;
	int32_t partitions;
	char name[SL_HS_TOPIC_BYTES];
};

struct sluice_ring {        /* the page that is wiped */
	uint64_t write_pos; /* where the next record goes; all before it is committed */
	uint64_t limit_pos; /* the ring is free up to here, as last seen */
	uint64_t seq;       /* number of the next record */
	uint8_t *data;
	uint64_t mask;
	struct sl_app_page *app; /* NULL: this is a child */
	struct sl_agent_page *agent;
	sluice_client *client;
	uint64_t claim_end; /* of the open claim, 0: none */
	uint64_t look_ms;   /* when to look for the agent next */
	uint32_t record_bytes_max;
	uint32_t fence; /* the kernel cannot fence for us */
	int bell;
	uint32_t rung; /* the sleep of the worker for which the bell was rung */
};

/* Which records of a ring have an outcome, so that a RESET tells the others, each once. */
struct settled_map {
	uint64_t *words;    /* bit seq & (bits - 1), for floor_seq <= seq < floor_seq + bits */
	uint64_t bits;      /* a power of two, 0 before first use */
	uint64_t floor_seq; /* all before it are settled; a multiple of 64 */
};

struct ring_cold { /* the second page */
	sluice_client *client;
	uint32_t index;
	uint32_t report_mode;
	uint32_t full_policy;
	uint32_t full_timeout_ms;
	_Atomic uint32_t taken;
	struct sl_report *reports;
	uint32_t report_slots;
	uint64_t report_read_pos;
	uint64_t reset_end;  /* a RESET is being told up to here */
	uint64_t reset_told; /* modes without a map: all before it were told */
	struct settled_map map;
	int wake[2]; /* the application polls [0], the agent writes to [1]; -1 before
			sluice_ring_fd() */
	bool armed;
	struct sl_error error;
};
static_assert(sizeof(struct sluice_ring) <= SL_SHM_PAGE_BYTES, "fits its page");
static_assert(sizeof(struct ring_cold) <= SL_SHM_PAGE_BYTES, "fits its page");

/*
 *   ATTACHED -> WAITING -> HELLO -> REATTACH -> TOPICS -> WAKES -> ATTACHED
 *                  ^_________|__________|_________|________|          every failure, after a pause
 *                                       |-> DETACHED                  the agent does not know us
 */
enum session_state {
	SESSION_ATTACHED = 1,
	SESSION_WAITING, /* until retry_at_ns */
	SESSION_HELLO,   /* sent, and so on: the answer is awaited until answer_by_ns */
	SESSION_REATTACH,
	SESSION_TOPICS,
	SESSION_WAKES,
	SESSION_DETACHED,
};

struct sluice_client {
	pid_t owner;
	pthread_mutex_t lock;
	_Atomic uint32_t state; /* enum session_state; changed under the lock, read anywhere */
	int sock, data_fd, status_fd, bell;
	uint32_t step; /* next topic or ring of SESSION_TOPICS, SESSION_WAKES */
	uint32_t retry_ms;
	uint32_t timeout_ms;
	uint64_t retry_at_ns, answer_by_ns;
	uint64_t random;
	uint64_t segment_id;
	uint8_t client_id[SL_HS_CLIENT_ID_BYTES];
	uint8_t token[SL_HS_TOKEN_BYTES];
	uint8_t report_mode[SL_SHM_RINGS_MAX];
	struct sl_segment_geometry geometry;
	struct sl_hs_welcome limits;
	void *data, *status;
	uint32_t rings_mapped;
	sluice_ring *rings[SL_SHM_RINGS_MAX];
	sluice_topic *topics[SL_SHM_TOPICS_MAX];
	_Atomic uint32_t topic_count;
	bool fence;
	struct sl_error error;
	char name[SL_HS_NAME_BYTES];
	char path[108];
};

static inline struct ring_cold *ring_cold(const sluice_ring *ring)
{
	return (struct ring_cold *)(void *)((uint8_t *)(uintptr_t)ring + SL_SHM_PAGE_BYTES);
}

/*
 * Is it time to look for the agent? Also when the next look lies further away than it was ever put:
 * then the wall clock, which a record's timestamp needs anyway, was set back.
 */
static inline bool ring_look_due(const sluice_ring *ring, uint64_t now_ms)
{
	return ring->look_ms - now_ms - 1 >= CLIENT_LOOK_MS;
}

/* options.c: the defaults filled in and checked. */
int sl_client_options(const struct sluice_options *given, struct sluice_options *out,
		      struct sl_error *err);
int sl_client_geometry(const struct sluice_options *options, const struct sl_hs_welcome *limits,
		       struct sl_segment_geometry *geometry, struct sl_error *err);

/* session.c: connect, and one question with its answer. fds may be NULL when no descriptor comes
 * back. */
int sl_session_connect(const char *path, struct sl_error *err);
int sl_session_exchange(int sock, const union sl_hs_message *ask, const int *send_fds,
			uint32_t timeout_ms, union sl_hs_message *answer, int *fds,
			struct sl_error *err);
int sl_session_hello(int sock, const uint8_t *client_id, const char *name, uint32_t timeout_ms,
		     struct sl_hs_welcome *welcome, struct sl_error *err);
int sl_session_answer_errno(uint32_t refuse_code);
void sl_session_hello_fill(union sl_hs_message *msg, const uint8_t *client_id, const char *name);
void sl_session_open_fill(union sl_hs_message *msg, const sluice_client *client, bool again);
void sl_session_topic_fill(union sl_hs_message *msg, uint32_t slot, const char *name);
void sl_session_wake_fill(union sl_hs_message *msg, uint32_t ring);

/* reattach.c: never blocks. Looks for the agent, and goes on with coming back to it. Returns enum
 * sluice_state. */
uint32_t sl_client_step(sluice_client *client);
uint32_t sl_client_state(const sluice_client *client);
/* Steps until attached, detached or timeout_ms. */
uint32_t sl_client_settle(sluice_client *client, uint32_t timeout_ms);
bool sl_client_is_child(const sluice_client *client);

/* ring_wait.c: the slow path. Room for need bytes at write_pos by the ring's policy: 0 or a
 * negative errno. */
int sl_ring_room(sluice_ring *ring, uint64_t need);
void sl_ring_ring_bell(sluice_ring *ring, uint32_t sleep);
void sl_ring_look(sluice_ring *ring, uint64_t now_ms);
/* The same, when it is due: asking costs a system call. */
void sl_ring_look_now_and_then(sluice_ring *ring);
/* Asks to be woken for these bits (enum sl_wait_bits) and orders that before the caller's next
 * look. */
void sl_ring_waiting_add(sluice_ring *ring, uint32_t bits);
void sl_ring_waiting_clear(sluice_ring *ring, uint32_t bits);
/* -ESHUTDOWN with a text when the agent no longer reads this ring. */
int sl_ring_open_check(sluice_ring *ring);

/* ring.c: a record without body. 0 or what sluice_send() may return. */
int sl_ring_flush_record(sluice_ring *ring);

/* settled.c: all that sl_settled_mark() leaves. Marking twice is allowed. */
int sl_settled_mark_slow(struct settled_map *map, uint64_t first_seq, uint64_t count);

/*
 * Records first_seq .. first_seq + count - 1 have their outcome. 0 or -ENOMEM. With keys a report
 * names one record or two, so that what falls into one word of the window is done here.
 */
static inline int sl_settled_mark(struct settled_map *map, uint64_t first_seq, uint64_t count)
{
	uint64_t shift = first_seq % 64;
	uint64_t *word;

	if (SL_UNLIKELY(first_seq - map->floor_seq >= map->bits || count - 1 >= 64 - shift))
		return sl_settled_mark_slow(map, first_seq, count);
	word = &map->words[(first_seq & (map->bits - 1)) / 64];
	*word |= (UINT64_MAX >> (64 - count)) << shift;
	if (SL_LIKELY(*word != UINT64_MAX))
		return 0;
	return sl_settled_mark_slow(map, first_seq, count);
}

/* The first run of unsettled records before end_seq: false when there is none. */
bool sl_settled_gap(const struct settled_map *map, uint64_t end_seq, uint64_t *first_seq,
		    uint64_t *count);
void sl_settled_free(struct settled_map *map);

#endif
