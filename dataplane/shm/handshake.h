/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The conversation between an application and the agent: fixed messages over a Unix SOCK_SEQPACKET
 * socket, little endian, each beginning with struct sl_hs_head. One request is open at a time; the
 * agent answers in order.
 *
 *   application                                  agent
 *   HELLO                                        WELCOME | REFUSE
 *   OPEN + fd D                                  OPENED + fds S, bell | REFUSE
 *   REATTACH + fds D, S                          OPENED + fds S, bell | REFUSE (SL_REFUSE_UNKNOWN:
 * a new client) TOPIC                                        TOPIC_OK | TOPIC_REFUSED WAKE + fd
 * WAKE_OK | REFUSE STATUS (HELLO is enough)                     STATUS_REPLY + memfd | REFUSE CLOSE
 * CLOSED, when what was committed is settled
 *
 * The bell is an eventfd, one an application: the application writes it, the agent polls it
 * edge-triggered and never reads nor writes it, because the flags and the counter are shared and
 * the other side could make it block. The fd of WAKE is one end of a Unix datagram pair; the agent
 * sends one byte with MSG_DONTWAIT when there are reports or room, so that the application can
 * poll() the other end. The application keeps both ends for a later agent.
 *
 * Whoever receives validates with sl_handshake_check(); sl_handshake_recv() has done so. Any
 * thread; nothing here keeps state. ABI: proto 1. A change in a struct here is a new proto number.
 */
#ifndef SL_SHM_HANDSHAKE_H
#define SL_SHM_HANDSHAKE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/base/error.h"
#include "dataplane/shm/layout.h"

enum {
	SL_HS_PROTO = 1,
	SL_HS_CLIENT_ID_BYTES = 16,
	SL_HS_TOKEN_BYTES = 16,
	SL_HS_NAME_BYTES = 64,   /* with its NUL */
	SL_HS_TOPIC_BYTES = 256, /* with its NUL; a topic's name has 1..249 characters */
	SL_HS_TOPIC_CHARS_MAX = 249,
	SL_HS_TEXT_BYTES = 160, /* with its NUL */
	SL_HS_FDS_MAX = 2,
	SL_HS_STAGE_TIMEOUT_MS = 2000, /* what the agent grants an application to go on with */
};

enum sl_hs_type {
	SL_HS_HELLO = 0x534c0001,
	SL_HS_WELCOME,
	SL_HS_REFUSE,
	SL_HS_OPEN,
	SL_HS_OPENED,
	SL_HS_REATTACH,
	SL_HS_TOPIC,
	SL_HS_TOPIC_OK,
	SL_HS_TOPIC_REFUSED,
	SL_HS_WAKE,
	SL_HS_WAKE_OK,
	SL_HS_STATUS,
	SL_HS_STATUS_REPLY,
	SL_HS_CLOSE,
	SL_HS_CLOSED,
	SL_HS_TYPE_END,
};

enum sl_hs_side { SL_HS_FROM_APP = 1, SL_HS_FROM_AGENT = 2 };

enum sl_refuse { /* REFUSE and TOPIC_REFUSED */
		 SL_REFUSE_NONE = 0,
		 SL_REFUSE_VERSION,   /* no proto or layout in common */
		 SL_REFUSE_MALFORMED, /* a message, descriptor or order of messages that is not
					 allowed */
		 SL_REFUSE_ACCESS,    /* the agent's allow rules */
		 SL_REFUSE_LIMIT,     /* more than the agent grants */
		 SL_REFUSE_SEGMENT,   /* D is not what it has to be */
		 SL_REFUSE_UNKNOWN,   /* REATTACH: this agent knows nothing of the segment */
		 SL_REFUSE_STOPPING,  /* the agent is going down */
		 SL_REFUSE_BUSY,      /* try again later */
		 SL_REFUSE_TOPIC,     /* the cluster has no such topic and does not make it */
		 SL_REFUSE_INTERNAL,
		 SL_REFUSE_COUNT,
};

enum sl_hs_flags {
	/* WELCOME: the agent cannot order the application's memory with membarrier: fence after
	   each commit. */
	SL_HS_WELCOME_FENCE = 1,
	/* OPENED: the segment was known; positions and counts in it go on. */
	SL_HS_OPENED_AGAIN = 1,
};

struct sl_hs_head {
	uint32_t type;    /* enum sl_hs_type */
	uint16_t version; /* SL_HS_PROTO */
	uint16_t bytes;   /* of the whole message */
};

struct sl_hs_hello {
	struct sl_hs_head head;
	uint16_t proto_min, proto_max;
	uint16_t layout_min, layout_max;
	uint32_t pid;                             /* for people; the kernel's SO_PEERCRED decides */
	uint32_t flags;                           /* 0 */
	uint8_t client_id[SL_HS_CLIENT_ID_BYTES]; /* random, of this opening */
	char name[SL_HS_NAME_BYTES];              /* printable, for status; may be empty */
};

struct sl_hs_welcome {
	struct sl_hs_head head;
	uint16_t proto, layout;
	uint32_t flags;
	uint32_t agent_epoch;
	uint32_t rings_max;
	uint64_t ring_bytes_max;
	uint64_t segment_bytes_max; /* of one D */
	uint32_t report_slots_max;
	uint32_t record_bytes_max; /* sl_record_header.length */
	uint32_t topics_max;
	uint32_t zero;
};

struct sl_hs_refuse {
	struct sl_hs_head head;
	uint32_t code; /* enum sl_refuse */
	uint32_t slot; /* TOPIC_REFUSED only, else 0 */
	char text[SL_HS_TEXT_BYTES];
};

struct sl_hs_open { /* OPEN and REATTACH */
	struct sl_hs_head head;
	uint64_t ring_bytes;
	uint32_t ring_count;
	uint32_t report_slots;
	uint64_t segment_id;                      /* REATTACH only, else 0 */
	uint8_t client_id[SL_HS_CLIENT_ID_BYTES]; /* that of D's ident; equal to HELLO's with OPEN
						   */
	uint8_t token[SL_HS_TOKEN_BYTES];         /* REATTACH only, else 0 */
	uint8_t report_mode[SL_SHM_RINGS_MAX];    /* enum sl_report_mode; 0 behind ring_count */
	uint32_t flags;                           /* 0 */
	uint32_t zero;
};

struct sl_hs_opened {
	struct sl_hs_head head;
	uint64_t segment_id;
	uint8_t token[SL_HS_TOKEN_BYTES];
	uint32_t ring_count;
	uint32_t agent_epoch;
	uint32_t flags;
	uint32_t zero;
	uint16_t worker[SL_SHM_RINGS_MAX]; /* which worker reads a ring; for people */
};

struct sl_hs_topic {
	struct sl_hs_head head;
	uint32_t slot; /* below the agent's topics_max; the application chooses, from 0 upwards */
	uint32_t zero;
	char name[SL_HS_TOPIC_BYTES];
};

struct sl_hs_topic_ok {
	struct sl_hs_head head;
	uint32_t slot;
	int32_t partitions; /* -1: not known yet */
};

struct sl_hs_ring { /* WAKE, WAKE_OK, and what has no more to say: CLOSE, CLOSED with ring 0 */
	struct sl_hs_head head;
	uint32_t ring;
	uint32_t zero;
};

enum sl_status_format { SL_STATUS_JSON = 1 };

struct sl_hs_status { /* STATUS, STATUS_REPLY */
	struct sl_hs_head head;
	uint32_t format; /* enum sl_status_format */
	uint32_t zero;
	uint64_t text_bytes; /* STATUS_REPLY: size of the memfd's text, not NUL-terminated */
};

static_assert(sizeof(struct sl_hs_head) == 8, "handshake ABI");
static_assert(sizeof(struct sl_hs_hello) == 104, "handshake ABI");
static_assert(sizeof(struct sl_hs_welcome) == 56, "handshake ABI");
static_assert(sizeof(struct sl_hs_refuse) == 176, "handshake ABI");
static_assert(sizeof(struct sl_hs_open) == 136, "handshake ABI");
static_assert(sizeof(struct sl_hs_opened) == 176, "handshake ABI");
static_assert(sizeof(struct sl_hs_topic) == 272, "handshake ABI");
static_assert(sizeof(struct sl_hs_topic_ok) == 16, "handshake ABI");
static_assert(sizeof(struct sl_hs_ring) == 16, "handshake ABI");
static_assert(sizeof(struct sl_hs_status) == 24, "handshake ABI");

union sl_hs_message {
	struct sl_hs_head head;
	struct sl_hs_hello hello;
	struct sl_hs_welcome welcome;
	struct sl_hs_refuse refuse; /* REFUSE, TOPIC_REFUSED */
	struct sl_hs_open open;     /* OPEN, REATTACH */
	struct sl_hs_opened opened;
	struct sl_hs_topic topic;
	struct sl_hs_topic_ok topic_ok;
	struct sl_hs_ring ring;     /* WAKE, WAKE_OK, CLOSE, CLOSED */
	struct sl_hs_status status; /* STATUS, STATUS_REPLY */
};

/* Zeroes *msg and fills its head. type is one of enum sl_hs_type (asserted). */
void sl_handshake_init(union sl_hs_message *msg, enum sl_hs_type type);

/* Fills a REFUSE or TOPIC_REFUSED; the text is cut to SL_HS_TEXT_BYTES. */
void sl_handshake_refuse(union sl_hs_message *msg, enum sl_hs_type type, enum sl_refuse code,
			 uint32_t slot, const char *text);

/* Exact bytes of a message, 0 for an unknown type. */
uint32_t sl_handshake_bytes(uint32_t type);

/* Descriptors that go with a message. */
uint32_t sl_handshake_fds(uint32_t type);

/* "HELLO", ...; "?" for an unknown type. */
const char *sl_handshake_name(uint32_t type);

/* What a refusal says in a few words. */
const char *sl_refuse_name(uint32_t code);

/*
 * Is buf[0..bytes) with fd_count descriptors a legal message of that side? Size, version, ranges,
 * zero fields, NUL-terminated texts, legal topic names. 0 or -EPROTO with the field in err.
 */
int sl_handshake_check(const void *buf, size_t bytes, uint32_t fd_count, enum sl_hs_side from,
		       struct sl_error *err);

/* 1..249 of [A-Za-z0-9._-], neither "." nor "..". */
bool sl_topic_name_ok(const char *name);

/* Sends one message with the descriptors of its type; they stay the caller's. 0, -EAGAIN, -EPIPE,
 * other -errno. */
int sl_handshake_send(int sock, const union sl_hs_message *msg, const int *fds,
		      struct sl_error *err);

/*
 * Receives and checks one message. fds[] gets its descriptors (close-on-exec, the caller's from
 * then on), -1 in the rest. 0, -EAGAIN, -EPIPE when the peer has gone, -EPROTO for what is not
 * allowed: then every descriptor that came with it is closed.
 */
int sl_handshake_recv(int sock, enum sl_hs_side from, union sl_hs_message *msg,
		      int fds[SL_HS_FDS_MAX], struct sl_error *err);

#endif
