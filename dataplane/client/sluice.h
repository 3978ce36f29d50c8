/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libsluice: hand records to the Sluice agent on this host, which produces them to Apache Kafka.
 *
 *     struct sluice_options options = SLUICE_OPTIONS_INIT;
 *     sluice_client *client;
 *     sluice_topic *topic;
 *     sluice_ring *ring;
 *     struct sluice_record record = {.value = "hello", .value_bytes = 5};
 *
 *     sluice_open(&options, &client);                 each returns 0 or a negative errno
 *     sluice_topic_bind(client, "greetings", &topic);
 *     sluice_ring_get(client, NULL, &ring);
 *     sluice_send(ring, topic, &record);
 *     sluice_flush(ring, 10000);                      waits until the outcome of every record is
 * known sluice_close(client);
 *
 * What is promised. A record is committed when sluice_send() or sluice_commit() returns a number >=
 * 0; from then on it survives the death of this process. Records of one ring and one partition keep
 * their order. Each record has one outcome: persisted (with partition and offset), failed (with
 * Kafka's error code), or unknown.
 *
 * Threads. A ring belongs to one thread at a time and has no locks: give each producing thread its
 * own. Calls that take a sluice_client may be made from any thread. The library has no threads,
 * signal handlers or global state.
 *
 * Fork. The handles stay the parent's. In the child every call on them returns -ECHILD,
 * sluice_close() frees the child's copies only, and the parent is not affected. A claim that was
 * open may not be written to in the child.
 *
 * The agent may restart: records go on into the rings until they are full, and the library comes
 * back by itself when a call has to wait, polls reports or pings.
 *
 * Errors are negative errno values; sluice_last_error() has a sentence. Lengths are bytes.
 */
#ifndef SLUICE_H
#define SLUICE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define SLUICE_API __attribute__((visibility("default")))
#else
#define SLUICE_API
#endif

typedef struct sluice_client sluice_client; /* one connection to the agent */
typedef struct sluice_ring sluice_ring;     /* where one thread puts its records */
typedef struct sluice_topic sluice_topic;   /* a topic this client may write to */

enum { SLUICE_RINGS_MAX = 64, SLUICE_TOPICS_MAX = 1024 };

enum sluice_report_mode {
	SLUICE_REPORT_ALL = 1,    /* the partition and offset of every record */
	SLUICE_REPORT_ERRORS = 2, /* failed and unknown records one by one, the rest as a count */
	SLUICE_REPORT_NONE = 3    /* counts only */
};

enum sluice_full_policy { /* what sluice_send() and sluice_claim() do when the ring is full */
			  SLUICE_FULL_WAIT =
				  1, /* wait for room, at most full_timeout_ms: then -ETIMEDOUT */
			  SLUICE_FULL_FAIL = 2, /* -EAGAIN */
			  SLUICE_FULL_DROP = 3  /* -ENOBUFS, and the record is counted as dropped
						   here and in the agent */
};

enum sluice_outcome {
	SLUICE_PERSISTED = 1, /* Kafka has it */
	SLUICE_FAILED = 2,    /* Kafka does not have it; error says why */
	SLUICE_UNKNOWN = 3    /* it may or may not be there */
};

enum sluice_state {
	SLUICE_ATTACHED = 1, /* the agent reads our rings */
	SLUICE_LOST = 2,     /* the agent is away; the library tries to come back */
	SLUICE_DETACHED = 3  /* another agent came that knows nothing of our rings: open anew.
				Unsettled = unknown */
};

/* Begin with SLUICE_OPTIONS_INIT; 0 or NULL stands for the default everywhere. */
struct sluice_options {
	uint32_t struct_bytes; /* sizeof(struct sluice_options): later versions add fields at the
				  end */
	uint32_t ring_count;   /* rings to make: one for each producing thread; 4 */
	uint64_t ring_bytes;   /* of each, rounded up to a power of two; 1 MiB, or 8 times
				  record_bytes_max */
	uint32_t record_bytes_max; /* largest key + value + headers; 1/8 of the ring, less about 64
				      bytes */
	uint32_t report_slots;     /* reports that may wait to be read in each ring, a power of two;
				      4096 */
	uint32_t report_mode;      /* enum sluice_report_mode, of all rings; SLUICE_REPORT_ERRORS */
	uint32_t timeout_ms;       /* for connecting and each answer of the agent; 5000 */
	const uint8_t *ring_report_modes; /* ring_count modes, where rings differ; NULL: report_mode
					     for all */
	const char *socket_path; /* $SLUICE_SOCKET, else the agent's default for this user */
	const char
		*name; /* for `sluice status`, up to 63 printable characters; the program's name */
	char *error_text; /* where a sentence goes when sluice_open() fails; NULL: nowhere */
	size_t error_text_bytes;
};
/* clang-format off */
#define SLUICE_OPTIONS_INIT {(uint32_t)sizeof(struct sluice_options), 0, 0, 0, 0, 0, 0, NULL, NULL, NULL, NULL, 0}
/* clang-format on */

struct sluice_ring_options {
	uint32_t struct_bytes;    /* sizeof(struct sluice_ring_options) */
	uint32_t report_mode;     /* a ring of this mode; 0: any */
	uint32_t full_policy;     /* enum sluice_full_policy; SLUICE_FULL_WAIT */
	uint32_t full_timeout_ms; /* for SLUICE_FULL_WAIT: 0 is 30 s, UINT32_MAX for ever */
};
/* clang-format off */
#define SLUICE_RING_OPTIONS_INIT {(uint32_t)sizeof(struct sluice_ring_options), 0, 0, 0}
/* clang-format on */

struct sluice_header {
	const char *name;  /* UTF-8, need not end with NUL */
	const void *value; /* NULL: a null value */
	int32_t name_bytes;
	int32_t value_bytes; /* 0 with a null value */
};

enum sluice_record_flags {
	SLUICE_TO_PARTITION = 1 /* use the field partition; else the agent's partitioner chooses */
};

/* What sluice_send() copies. A record that is all zero has a null key, a null value and the time of
 * now. */
struct sluice_record {
	const void *key;   /* NULL: a null key */
	const void *value; /* NULL: a null value (a tombstone) */
	int32_t key_bytes; /* 0 with NULL */
	int32_t value_bytes;
	const struct sluice_header *headers;
	uint32_t header_count;
	uint32_t flags;       /* enum sluice_record_flags */
	int64_t timestamp_ms; /* Unix time; 0: now, to the kernel's tick (1 to 10 ms) */
	int32_t partition;    /* with SLUICE_TO_PARTITION */
	int32_t zero;
};

#define SLUICE_NULL (-1) /* as a size in struct sluice_sizes: null, which is not empty */

/* What sluice_claim() makes room for. Headers are copied by the claim, key and value are filled in
 * by the caller. */
struct sluice_sizes {
	int32_t key_bytes;   /* exact, or SLUICE_NULL */
	int32_t value_bytes; /* exact, or SLUICE_NULL */
	const struct sluice_header *headers;
	uint32_t header_count;
	uint32_t flags;
	int64_t timestamp_ms;
	int32_t partition;
	int32_t zero;
};

struct sluice_claim {
	uint8_t *key;     /* key_bytes to fill, NULL when null */
	uint8_t *value;   /* value_bytes to fill, NULL when null */
	uint64_t seq;     /* the number it will have */
	uint64_t end_pos; /* the library's */
};

/* What became of count records of a ring: numbers first_seq, first_seq + 1, ... at base_offset,
 * base_offset + 1, ... */
struct sluice_report {
	uint64_t first_seq;
	uint64_t count;
	int64_t base_offset; /* -1: not known */
	sluice_topic *topic; /* NULL: of several topics */
	int32_t partition;   /* -1: none was chosen, or several */
	int16_t error;       /* Kafka's error code, see sluice_error_name(); 0 when persisted */
	uint16_t outcome;    /* enum sluice_outcome */
};

struct sluice_stats {
	uint64_t sent;    /* committed: numbers 0 .. sent - 1 were given */
	uint64_t settled; /* of those, the outcome is known to be one of the three */
	uint64_t failed;  /* of the settled */
	uint64_t unknown; /* of the settled */
	uint64_t
		dropped; /* never committed: the ring was full and the policy is SLUICE_FULL_DROP */
	uint64_t used_bytes; /* in the ring now */
	uint64_t ring_bytes;
	uint32_t state;  /* enum sluice_state */
	uint32_t poison; /* not 0: the agent refused what it read and no longer reads this ring */
};

/*
 * Connects to the agent, makes the rings and waits until the agent has them. options may be NULL.
 * -ENOENT or -ECONNREFUSED: no agent there; -EACCES: not allowed; -EPROTO: versions; -EINVAL,
 * -E2BIG: options; -ETIMEDOUT.
 */
SLUICE_API int sluice_open(const struct sluice_options *options, sluice_client **client);

/*
 * Gives everything back; handles of its rings and topics end with it. Committed records stay and
 * are produced: call sluice_flush() first to learn their outcome. No ring may be in use in another
 * thread. NULL is allowed.
 */
SLUICE_API void sluice_close(sluice_client *client);

/*
 * The handle of a topic; the same one for the same name. The agent says whether this user may write
 * there (-EACCES) and whether the cluster has it (-ENOENT); -EINVAL: not a topic's name; -ENOSPC:
 * too many topics; -ENOTCONN: agent away.
 */
SLUICE_API int sluice_topic_bind(sluice_client *client, const char *name, sluice_topic **topic);

SLUICE_API const char *sluice_topic_name(const sluice_topic *topic);

/* Partitions of the topic as known when it was bound; -1: not known then. */
SLUICE_API int32_t sluice_topic_partitions(const sluice_topic *topic);

/* A ring that nobody has. options may be NULL. -ENOENT: all are taken, or none has that mode. */
SLUICE_API int sluice_ring_get(sluice_client *client, const struct sluice_ring_options *options,
			       sluice_ring **ring);

/* Lets another thread get the ring. What was sent goes on, and its reports go to whoever has the
 * ring next. */
SLUICE_API void sluice_ring_put(sluice_ring *ring);

/*
 * Copies one record into the ring and commits it: its number (0, 1, 2, ... in this ring), or a
 * negative errno: the full policy's, -EMSGSIZE (larger than 1/8 of the ring or the agent's limit),
 * -EINVAL, -ESHUTDOWN (poisoned or closed), -ECHILD, -ENOTCONN (state SLUICE_DETACHED).
 * With SLUICE_FULL_WAIT -EAGAIN says that the ring is full because its reports are: poll them, then
 * send again.
 */
SLUICE_API int64_t sluice_send(sluice_ring *ring, sluice_topic *topic,
			       const struct sluice_record *record);

/*
 * Makes room for one record, to be filled in place: claim->key and claim->value point into the
 * ring. Nothing is visible to the agent until sluice_commit(). One claim a ring at a time: the next
 * claim or send takes its place. Errors as sluice_send().
 */
SLUICE_API int sluice_claim(sluice_ring *ring, sluice_topic *topic,
			    const struct sluice_sizes *sizes, struct sluice_claim *claim);

/* The record's number, or -EINVAL for a claim that is not the open one, or -ECHILD. */
SLUICE_API int64_t sluice_commit(sluice_ring *ring, const struct sluice_claim *claim);

/* Gives the room back. */
SLUICE_API void sluice_abort(sluice_ring *ring, const struct sluice_claim *claim);

/* The largest key + value + headers that surely fits a record of this ring. */
SLUICE_API uint32_t sluice_ring_record_bytes_max(const sluice_ring *ring);

/*
 * Takes up to max reports: how many, 0 when there are none now, or a negative errno. Their order is
 * not promised. The ring's thread. A ring whose reports are not read is no longer consumed once its
 * report slots are full.
 */
SLUICE_API int sluice_poll_reports(sluice_ring *ring, struct sluice_report *reports, uint32_t max);

/* Calls fn for each report there is now; returns how many, or a negative errno. fn must not call
 * sluice_close(). */
typedef void (*sluice_report_fn)(void *arg, const struct sluice_report *report);
SLUICE_API int sluice_reports_each(sluice_ring *ring, sluice_report_fn fn, void *arg);

/*
 * A descriptor that is readable (poll, epoll) when there may be reports; it belongs to the ring.
 * First poll reports until there are none, then sleep on it: sluice_poll_reports() drains and arms
 * it. Negative errno.
 */
SLUICE_API int sluice_ring_fd(sluice_ring *ring);

/*
 * Asks that what was sent leaves at once and waits until the outcome of all of it is known, at most
 * timeout_ms (UINT32_MAX: for ever). 0; -ETIMEDOUT; -ENOBUFS: the report slots are full, poll
 * reports first; -ENOTCONN: state SLUICE_DETACHED; -ESHUTDOWN. Reports stay to be polled. The
 * ring's thread.
 */
SLUICE_API int sluice_flush(sluice_ring *ring, uint32_t timeout_ms);

/* Counts of the ring, at any time, the ring's thread. Cheap. */
SLUICE_API int sluice_ring_stats(sluice_ring *ring, struct sluice_stats *stats);

/* Looks whether the agent is there and tries to come back to it when it was lost. enum sluice_state
 * or -ECHILD. */
SLUICE_API int sluice_ping(sluice_client *client);

/*
 * The agent's status as JSON text in *fd, a descriptor of text_bytes that the caller closes. Needs
 * no client. socket_path may be NULL. 0 or a negative errno.
 */
SLUICE_API int sluice_agent_status(const char *socket_path, uint32_t timeout_ms, int *fd,
				   uint64_t *text_bytes);

/* The path that a NULL socket_path means, into text. 0, or -ENAMETOOLONG. */
SLUICE_API int sluice_socket_path(char *text, size_t text_bytes);

/* A sentence on the last error of this client or of a ring; "" when there was none. Valid until the
 * next error. */
SLUICE_API const char *sluice_last_error(const sluice_client *client);
SLUICE_API const char *sluice_ring_last_error(const sluice_ring *ring);

/* What a negative errno of this library means, in a few words. */
SLUICE_API const char *sluice_strerror(int error);

/* Kafka's name of an error code in a report ("MESSAGE_TOO_LARGE"); "UNKNOWN_ERROR_CODE" for one not
 * in the table. */
SLUICE_API const char *sluice_error_name(int16_t error);

/* "0.1.0" */
SLUICE_API const char *sluice_version(void);

#ifdef __cplusplus
}
#endif

#endif
