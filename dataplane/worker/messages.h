/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All that the control thread and a worker say to each other. The control thread decides (what exists, who leads, when to
 * try again); the worker does, and tells what happened. `object` moves with a message: what the control thread allocated
 * comes back in SL_MSG_RELEASE (or in the named answer) and is freed by the control thread.
 *
 * Indices. broker, topic, segment and ring are indices that the control thread hands out, each below the maximum of
 * struct sl_worker_options; one may be used again only after the worker said that it is gone. A broker index stands for
 * an address (a seed, or a node that metadata named): node ids are the control thread's business.
 */
#ifndef SL_WORKER_MESSAGES_H
#define SL_WORKER_MESSAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/shm/layout.h"
#include "dataplane/transport/transport.h"
#include "dataplane/wire/api.h"

struct sl_codec;

enum { SL_INDEX_NONE = -1, SL_TOPIC_NAME_BYTES = 250 };

enum sl_msg_to_worker {
	SL_MSG_SEGMENT_ADD = 1, /* a = segment, object = struct sl_worker_segment: stays with the worker until SEGMENT_GONE */
	SL_MSG_SEGMENT_DRAIN,   /* a = segment; b = 1: its application is dead, reports are discarded */
	SL_MSG_SEGMENT_WAKE_FD, /* a = segment, b = ring of the segment, c = descriptor, the worker's from now on */
	SL_MSG_TOPIC_ADD,       /* a = topic, object = struct sl_worker_topic: stays until the worker is destroyed */
	SL_MSG_TOPIC_BIND,      /* a = segment, b = the application's slot, c = topic */
	SL_MSG_TOPIC_ROUTES,    /* a = topic, object = struct sl_topic_routes; comes back by RELEASE */
	SL_MSG_BROKER_SET,      /* a = broker, object = struct sl_worker_broker; comes back by RELEASE */
	SL_MSG_BROKER_REMOVE,   /* a = broker: connections are closed; answered by BROKER_GONE */
	SL_MSG_CONN_RELEASE,    /* a = broker, b = class: its backoff is over, it may be connected when needed */
	SL_MSG_PARTITION_RETRY, /* a = topic, b = partition: its backoff is over */
	SL_MSG_PRODUCER_ID,     /* b = producer id, epoch 0: idempotent batches may be numbered */
	SL_MSG_CARRY,           /* object = struct sl_carry: send it, bring it back by CARRIED */
	SL_MSG_FLUSH,           /* every open batch leaves without linger, from now on until a = 0 */
	SL_MSG_STOP,            /* a = 0: rings are read once more to where they are committed now, then no more; the worker is
				   stopped when nothing is queued. a = 1: at once; what is queued stays in the arena */
	SL_MSG_TOPIC_SETTINGS,  /* a = topic, object = struct sl_topic_settings (a reload); comes back by RELEASE */
	SL_MSG_SEGMENT_GIVE_UP, /* a = slot in the arena of a segment that was found there: its application will not come back */
	SL_MSG_TIMEOUTS,        /* b, c = request_timeout_ns, connect_timeout_ns of struct sl_worker_options from now on (a reload) */
	SL_MSG_CLUSTER,         /* object = the cluster's id, 64 bytes with a 0; comes back by RELEASE. Before the first routes */
	SL_MSG_PARTITION_SEEN,  /* a = topic, b = partition | enum sl_seen << 32, c = epoch | last sequence << 32 with
				   SL_SEEN_AT: the answer to PARTITION_DOUBT */
};

enum sl_msg_to_control {
	SL_MSG_SEGMENT_ADDED = 101, /* a = segment: its rings are read from now on; OPENED may be answered */
	SL_MSG_SEGMENT_GONE,        /* a = segment, object: drained, reported, unmapped from the worker's view */
	SL_MSG_RING_POISONED,       /* a = segment, b = ring of the segment, c = enum sl_poison */
	SL_MSG_RELEASE,             /* a = kind of the message that brought object */
	SL_MSG_CARRIED,             /* object = struct sl_carry, result filled */
	SL_MSG_CONN_UP,             /* a = broker, b = class */
	SL_MSG_CONN_DOWN,           /* a = broker, b = class, c = (uint64_t)errno: 0 = the peer closed it, or idle. The worker
				       holds that connection until CONN_RELEASE */
	SL_MSG_BROKER_GONE,         /* a = broker */
	SL_MSG_PARTITION_TROUBLE,   /* a = topic, b = partition | attempts << 32, c = (uint16_t)error | node << 16 (hint,
				       int32) ; object = NULL. The partition is held until routes move it or RETRY. */
	SL_MSG_PARTITION_FAILED,    /* a = topic, b = partition, c = (uint16_t)error: records failed for good; for the log */
	SL_MSG_BATCH_CUT,           /* a = topic, b = partition, c = (uint16_t)error | what batch.size is now << 16: a batch was
				       refused as it was, and goes on in pieces; for the log */
	SL_MSG_PRODUCER_ID_WANTED,  /* numbers are needed and there is no producer id (or its epochs are used up) */
	SL_MSG_STOPPED,             /* a = 1 when records are left in the arena */
	SL_MSG_PARTITION_DOUBT,     /* a = topic, b = partition | leader epoch << 32, c = producer id: what does its leader, of
				       that epoch or a later one, have of this producer? Answered by PARTITION_SEEN */
	SL_MSG_TOPIC_BOUND,         /* a = segment: one more TOPIC_BIND of it lies in the arena */
};

/* What a leader was seen to have of a producer, while it certainly led. */
enum sl_seen {
	SL_SEEN_AGAIN, /* nobody could say; ask again later */
	SL_SEEN_NEVER, /* nobody will ever say: the broker is too old, or does not let us ask */
	SL_SEEN_NONE,  /* it knows nothing of this producer */
	SL_SEEN_AT,    /* an epoch and the last sequence under it, at its log's end, which may still be cut off */
};

/* Which connection of a broker. A request has one `acks`; acks=0 answers by closing, so it rides alone. */
enum sl_conn_class {
	SL_CONN_ACKS_ALL = 0,
	SL_CONN_ACKS_ONE = 1,
	SL_CONN_ACKS_NONE = 2,
	SL_CONN_CONTROL = 3, /* metadata, producer ids: never behind a Produce that waits for replicas */
	SL_CONN_CLASS_COUNT,
};

/* One application's shared memory as a worker sees it. Allocated and mapped by the control thread. */
struct sl_worker_segment {
	const uint8_t *data; /* D, read-only */
	uint8_t *status;     /* S */
	uint64_t ring_bytes;
	uint32_t ring_count;
	uint32_t report_slots;
	uint32_t record_bytes_max; /* of a record's tail */
	uint8_t report_mode[SL_SHM_RINGS_MAX]; /* enum sl_report_mode */
	bool mine[SL_SHM_RINGS_MAX];           /* rings of this worker; others belong to its siblings */
	int bell_fd;      /* polled edge-triggered, never read; the control thread closes it after SEGMENT_GONE */
	uint64_t data_dev, data_ino, status_dev, status_ino;
	uint32_t uid, gid;
	uint8_t client_id[16], token[16];
	bool known; /* the worker's arena has it, in arena_slot: rings go on where the arena says, topics are bound as there */
	uint32_t arena_slot;
	/* Where a ring goes on that an arena which is lost had read; 0 for a new ring. */
	uint64_t start_pos[SL_SHM_RINGS_MAX], start_seq[SL_SHM_RINGS_MAX];
	bool reset[SL_SHM_RINGS_MAX]; /* tell the ring that all before start_seq is unknown unless it was reported */
};

enum sl_acks { SL_ACKS_NONE = 0, SL_ACKS_ONE = 1, SL_ACKS_ALL = -1 };

struct sl_topic_settings { /* plain values from the configuration; the data plane knows no configuration */
	int16_t acks; /* enum sl_acks */
	bool idempotent;
	/*
	 * How batches are compressed; NULL: not. The control thread makes one context a worker, codec and level and keeps it
	 * as long as the worker; a worker compresses one batch at a time, so topics share it.
	 */
	struct sl_codec *codec;
	uint32_t partitioner; /* enum sl_partitioner of batch/partitioner.h */
	bool ignore_keys, adaptive;
	uint64_t linger_ns;
	uint64_t delivery_timeout_ns;
	uint32_t batch_bytes;
	uint32_t request_bytes_max; /* max.request.size: a record above it fails with MESSAGE_TOO_LARGE */
};

struct sl_worker_topic {
	char name[SL_TOPIC_NAME_BYTES];
	struct sl_topic_settings settings;
};

/* What metadata said of a topic. Until the first one its records wait in their rings. */
struct sl_topic_routes {
	int16_t error; /* not 0: its records fail with this code (unknown topic after its grace, not authorised, ...) */
	uint8_t topic_id[16]; /* zero when the cluster has none */
	/*
	 * From sl_topic_tables_create(partition_count), since a worker allocates nothing. It keeps them where it needs them
	 * and leaves here what RELEASE brings back to be freed.
	 */
	struct sl_topic_tables *tables;
	uint32_t partition_count;
	struct sl_topic_route {
		int32_t broker; /* index, or SL_INDEX_NONE: no leader now */
		int32_t leader_epoch; /* -1 not known; a lower one than the worker holds is ignored */
	} partitions[];
};

/* By partition of one topic: memory for the worker. NULL when there is none to be had; free takes NULL. */
struct sl_topic_tables *sl_topic_tables_create(uint32_t partition_count);
void sl_topic_tables_free(struct sl_topic_tables *tables);

struct sl_worker_broker {
	struct sl_address address;
	int32_t node; /* for PARTITION_TROUBLE hints and logs only; -1 for a seed */
};

/* A request of the control thread, carried by a worker since all broker sockets are a worker's. */
struct sl_carry {
	uint32_t broker;
	int16_t api_key;
	uint64_t timeout_ns;
	/*
	 * Writes the whole frame as the encoders of dataplane/wire do (head says version, correlation id and client id) and
	 * returns its bytes or a negative errno. Runs on the worker: pure, no side effects.
	 */
	int (*encode)(const struct sl_carry *carry, const struct sl_request_head *head, struct sl_wbuf *out);
	/* Filled by the worker: */
	int error;       /* 0 or negative errno: -ENOTCONN, -ETIMEDOUT, -EPROTONOSUPPORT, -EMSGSIZE, ... */
	int16_t version; /* that was spoken */
	uint32_t connection; /* that carried it: another number, another connection */
	uint32_t response_bytes;
	/* The control thread's: */
	uint32_t response_bytes_max;
	uint8_t *response; /* body behind the response header */
	void *context;
	bool borrowed; /* part of something that its owner frees */
};

#endif
