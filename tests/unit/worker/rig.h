/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker on virtual time between an application's ring in plain memory and a broker that the test plays: what the
 * worker's tests share. One thread; every clock, random number and byte of the network comes from here.
 */
#ifndef SL_TEST_WORKER_RIG_H
#define SL_TEST_WORKER_RIG_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/batch/arena.h"
#include "dataplane/transport/sim/sim.h"
#include "dataplane/worker/messages.h"
#include "dataplane/worker/worker.h"

enum {
	RIG_BROKERS = 3,
	RIG_PARTITIONS = 8,
	RIG_RECORDS_MAX = 20000,
	RIG_FAULTS_MAX = 16,
	RIG_OUTCOMES_MAX = 40000,
	RIG_ORPHAN_MS = 200, /* orphan_ttl_ns of its worker */
};

struct rig_record { /* as a broker stored it */
	uint64_t number; /* what rig_send put into the value */
	int64_t offset;
};

struct rig_log {
	struct rig_record *records; /* rig.records_max of them */
	uint32_t count;
	int64_t producer_id;
	int16_t epoch;
	int32_t last_seq;
	struct {
		int32_t first, last;
		int64_t offset;
	} window[5];
	uint32_t window_count;
	uint32_t batches, duplicates, compressed;
};

enum rig_fault_kind {
	RIG_FAULT_ERROR,       /* answered with error, nothing stored */
	RIG_FAULT_ERROR_AFTER, /* stored, answered with error */
	RIG_FAULT_LOSE_ANSWER, /* stored, then the connection is reset */
	RIG_FAULT_RESET,       /* reset before anything is stored */
	RIG_FAULT_SILENCE,     /* stored, never answered */
	RIG_FAULT_GARBAGE,     /* answered with bytes that are no answer */
};

struct rig_fault {
	enum rig_fault_kind kind;
	int32_t partition; /* -1: any */
	int16_t error;
	uint32_t count; /* times left */
};

struct rig_outcome {
	bool told;
	uint8_t outcome;
	int16_t error;
	int32_t partition;
	int64_t offset;
};

struct rig {
	uint64_t now_ns;
	uint64_t random;
	struct sl_env env;
	struct sl_transport *transport;
	struct sl_arena *arena;
	struct sl_arena_options arena_options;
	struct sl_arena_loaded loaded;
	uint8_t *base; /* of the arena whose agent is dead */
	struct sl_worker *worker;
	struct sl_worker_topic topic[2];
	struct sl_worker_segment segment;
	uint8_t *data, *status;
	uint64_t write_pos, seq; /* of the application */
	uint64_t report_pos;
	struct rig_outcome *outcomes; /* outcomes_max of them */
	uint32_t records_max, outcomes_max, frame_bytes_max;
	bool small;
	uint32_t outcome_count;

	struct rig_log logs[RIG_PARTITIONS];
	int32_t leader[RIG_PARTITIONS];
	struct rig_fault faults[RIG_FAULTS_MAX];
	uint32_t fault_count;
	struct rig_peer {
		bool open;
		uint32_t handle, broker;
		uint32_t have;
		uint8_t *frame;
	} peers[32];
	int16_t produce_version_max;
	bool topic_ids;
	uint32_t partitions;
	uint32_t batch_bytes_max;    /* what is larger is refused with 10; 0: no limit */
	uint64_t poison_every;       /* records whose number is a multiple are refused with 87; 0: none */
	bool poison_named;           /* and named by record_errors */
	bool poison_seen[RIG_RECORDS_MAX]; /* by index in the batch that is looked at */
	bool codecs_refused;         /* compressed batches are refused with 76 */
	uint32_t connects, requests, troubles, poisoned, stopped, gone, conn_downs;
	uint64_t last_trouble_error;
	struct sl_msg retries[RIG_PARTITIONS * 8]; /* a PARTITION_TROUBLE is answered a millisecond later */
	uint32_t retry_count;
	bool retry_held; /* or not at all */
	bool reborn;     /* a later agent has taken the arena over */
	/* PARTITION_DOUBT is answered by what the log says, a millisecond later; or by this. */
	enum sl_seen seen;
	bool seen_given;
	bool resume_strict;
	uint32_t doubts;
	int32_t doubt_epoch; /* of the leader that is to be asked, in the last */
	int16_t acks;
	/* Writes what it likes, or resets and closes, in place of the true answer. NULL: the truth. */
	void (*answer)(struct rig *rig, struct rig_peer *peer, uint8_t *truth, uint32_t bytes);
	void *answer_ctx;
};

struct rig_options {
	uint32_t partitions; /* of topic 0; 3 */
	uint32_t ring_bytes; /* 1 MiB */
	uint32_t report_slots; /* 16384 */
	uint32_t report_mode;  /* SL_REPORT_ALL */
	uint64_t arena_bytes;  /* 16 MiB */
	uint32_t broker_percent, topic_percent; /* 100 */
	struct sl_topic_settings settings; /* acks all, idempotent, linger 5 ms, 16 KiB batches unless given */
	bool settings_given;
	bool no_metadata; /* the test brings it */
	/* For a life of a few hundred records that is lived a thousand times a second: little memory, requests and connects
	 * given up after a second or two. settings has to fit: batches of 4 KiB, requests of 16 KiB. */
	bool small;
	int16_t produce_version_max; /* 13 */
	bool resume_strict;
};

struct sl_topic_settings rig_settings(void);
/* The agent is killed: all that is left is the arena's mapping, the two segments and what brokers have. */
void rig_die(struct rig *rig);
/* The next one: loads the arena, which may be cut short anywhere (then rig_die() again) ... */
void rig_load(struct rig *rig);
/* ... and gets to know what there is; without its application, that may come back later. */
void rig_resume(struct rig *rig, bool attach);
void rig_attach(struct rig *rig);

struct rig *rig_create(const struct rig_options *options);
void rig_destroy(struct rig *rig);

/* One record whose value begins with its number. False: the ring is full. */
bool rig_send(struct rig *rig, const char *key, int32_t partition, uint32_t value_bytes);
/* The same, from a tail that the test made up. */
bool rig_send_raw(struct rig *rig, uint16_t topic_slot, int32_t partition, const void *tail, uint32_t tail_bytes);
void rig_flush_record(struct rig *rig);

void rig_routes(struct rig *rig, uint32_t topic, int16_t error, uint32_t partitions, int32_t epoch);
void rig_tell(struct rig *rig, const struct sl_msg *msg);
void rig_fault(struct rig *rig, enum rig_fault_kind kind, int32_t partition, int16_t error, uint32_t count);

/* Worker, broker and control take turns at this instant until nothing happens. */
void rig_settle(struct rig *rig);
/* The same, while the clock moves on in steps of a millisecond. */
void rig_run(struct rig *rig, uint64_t ms);
void rig_reports_read(struct rig *rig);

/* Fails the test unless every record sent has one outcome and nothing of them is kept. Counts by outcome. */
void rig_check_told(struct rig *rig, uint64_t count[4]);
/* Also: unless there are so many of each, and those persisted lie where it says, once, in order. */
void rig_check_all(struct rig *rig, uint64_t persisted, uint64_t failed, uint64_t unknown);

#endif
