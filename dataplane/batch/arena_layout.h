/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What lies where in an arena file, layout v1. Little endian, flat tables, indices in place of
 * pointers, so that the next agent can map what a killed one left. One worker writes it; nobody
 * else does while that worker lives.
 *
 *   header | segments | rings | topics | partitions | batches | chunk directory | pad to 2 MiB |
 * chunks
 *
 * Words marked _Atomic commit something: each is stored relaxed between two SL_ORDER(). A killed
 * process leaves a prefix of its stores in program order, on x86-64 and on AArch64, so no fence is
 * needed: only a compiler that does not reorder.
 *
 * Golden file: tests/golden/arena_layout_v1.txt. Any change here is a new layout number.
 */
#ifndef SL_BATCH_ARENA_LAYOUT_H
#define SL_BATCH_ARENA_LAYOUT_H

#include <assert.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/shm/layout.h"

#ifdef SL_TEST_ORDER
/* Tests count these points down and stop the "process" at one of them. */
void sl_test_order(void);
#define SL_ORDER() (atomic_signal_fence(memory_order_acq_rel), sl_test_order())
#else
#define SL_ORDER() atomic_signal_fence(memory_order_acq_rel)
#endif

#define SL_NONE UINT32_MAX

enum {
	SL_ARENA_LAYOUT = 1,
	SL_ARENA_PIDS = 4,
	SL_ARENA_PID_NONE = 127, /* pid_slot of batches without a producer id, and of partitions
				    never numbered */
	SL_SEGMENT_TOPICS = 1024,
	SL_SEGMENT_TOPIC_NONE = 0xffff,
	SL_RUN_RING_TOMB = 0xfff, /* so a worker has at most 4095 rings */
	SL_ARENA_RINGS_MAX = SL_RUN_RING_TOMB,
	SL_ARENA_TOPICS_MAX = SL_SEGMENT_TOPIC_NONE,
	SL_CHUNK_BYTES_MIN = 4 * 1024,
	SL_CHUNK_BYTES_MAX =
		32 * 1024, /* dir entries count in 16 bits, and 0xffff means "all that remains" */
	SL_BATCH_BYTES_LIMIT = (1 << 24) - 1, /* as wide as the fields of the tail word */
	SL_BATCH_RECORDS_LIMIT = (1 << 20) - 1,
	SL_EPOCH_MAX = INT16_MAX,
	SL_ARENA_ALIGN =
		2 * 1024 * 1024, /* chunks begin at a multiple, so that huge pages can back them */
};

/*
 * FREE -> OPEN -> SEALED -> SENT -> RESOLVED -> FREE        SENT -> SEALED   un-numbered after an
 * epoch bump
 *                              \-> REPLACED -> FREE         FREE -> SHADOW -> SENT   piece of a
 * split OPEN and SEALED -> RESOLVED: expired or failed before any byte was sent.
 */
enum sl_batch_state {
	SL_BATCH_FREE = 0,
	SL_BATCH_OPEN,
	SL_BATCH_SEALED,
	SL_BATCH_SENT,
	SL_BATCH_RESOLVED,
	SL_BATCH_REPLACED,
	SL_BATCH_SHADOW,
	SL_BATCH_STATE_COUNT
};

/* State of segments, rings, topics and partitions. */
enum sl_slot_state { SL_SLOT_FREE = 0, SL_SLOT_LIVE = 1, SL_SLOT_RETIRED = 2 };

struct sl_arena_pid { /* in use when producer_id >= 0; that word is stored last */
	int64_t producer_id, created_realtime_ms;
	uint16_t epoch_floor; /* a partition new to this producer id starts here */
	uint16_t zero[7];
};

struct sl_arena_header {  /* frozen for all versions up to and including build */
	uint8_t magic[8]; /* "SLARENA\n" */
	uint32_t layout_version, header_bytes;
	uint64_t layout_hash; /* sl_arena_layout_hash() */
	char build[40];       /* writer's version text, for the message of who refuses it */
	uint32_t chunk_bytes, chunk_count, batch_count, partition_count, topic_count, segment_count,
		ring_count;
	uint32_t worker_index;
	uint64_t file_bytes;
	uint8_t boot_id[16];
	char cluster_id[64];
	uint32_t zero, fixed_sum;           /* CRC-32C of the bytes above fixed_sum */
	alignas(256) _Atomic uint64_t turn; /* consume phases begun */
	_Atomic uint32_t reporting;  /* batch whose reports are being published, or SL_NONE */
	_Atomic uint32_t live_count; /* batches not FREE; a hint for tools, not trusted */
	_Atomic uint64_t up_ns; /* the agent's up-clock: nanoseconds some agent ran on this arena */
	_Atomic uint64_t alive_boottime_ns, alive_realtime_ms;
	struct sl_arena_pid pids[SL_ARENA_PIDS];
};

struct sl_arena_chain {                    /* life's selector picks one of a batch's two */
	uint32_t first_chunk, bytes_codec; /* bytes:29 | codec:3, from SEALED */
};

struct sl_arena_batch { /* the descriptor */
	/* line 0: all that an append writes, besides payload and run */
	_Atomic uint64_t life; /* state:8 | selector:1 pid_slot:7 | epoch:16 | base_seq:32 */
	_Atomic uint64_t tail; /* bytes:24 | records:20 | runs:20 -- the commit of a record */
	int64_t max_ts,
		base_ts;   /* max_ts is stored before tail and may be one record ahead: harmless */
	uint32_t turn_tag; /* low half of header.turn at the last append */
	uint32_t run_ring; /* scratch from here to the end of the line: rebuilt at load, never
			      believed */
	uint64_t run_next_seq;
	uint64_t write_offset, run_offset; /* in the file; room = run_offset - write_offset */
	/* line 1: written at open, seal, resolve */
	struct sl_arena_chain chain[2];
	uint64_t birth; /* order in the partition; counter << 20, a split piece adds its first index
			 */
	uint64_t deadline_up_ns;
	uint32_t partition;  /* slot, or SL_NONE: rejected records, runs without payload */
	uint32_t sibling;    /* next piece of a split */
	int64_t base_offset; /* from RESOLVED */
	uint32_t payload_crc, frozen_sum; /* from SEALED; see sl_batch_frozen_sum() */
	int16_t error; /* from RESOLVED: outcome and Kafka error, sl_error_pack() */
	uint16_t attempts;
	uint32_t first_sent_realtime_s;
};

struct sl_arena_chunk { /* directory entry: read and stored as one u64 */
	uint32_t next;
	uint16_t bytes, runs;
};

struct sl_arena_partition {
	_Atomic uint64_t seq; /* next_seq:32 | epoch:16 | pid_slot:8 | zero:8 */
	uint32_t topic;
	int32_t index;
	int64_t last_ack_realtime_ms, last_ack_max_ts, last_ack_offset;
	_Atomic uint32_t state;
	uint32_t leader_epoch; /* highest that a request was sent to */
	uint32_t zero[4];
};

struct sl_arena_topic {
	_Atomic uint32_t state;
	uint32_t partition_count; /* what the partitioner used last */
	uint8_t topic_id[16];
	uint8_t name_bytes;
	char name[249];
	uint8_t zero[46];
};

struct sl_arena_segment { /* one client process */
	_Atomic uint32_t state;
	uint32_t uid, gid, ring_first, ring_count, zero;
	uint64_t ring_bytes, data_dev, data_ino, status_dev, status_ino;
	uint8_t client_id[16], token[16], pad[160];
	uint16_t topics[SL_SEGMENT_TOPICS]; /* client's topic slot -> topic: needed for the rings of
					       dead apps */
};

struct sl_arena_ring_cursor {
	uint64_t pos, seq;
};

struct sl_arena_ring {
	_Atomic uint64_t generation; /* the cursor is slot[generation & 1] */
	struct sl_arena_ring_cursor slot[2];
	_Atomic uint32_t state;
	uint32_t poison, segment, index;
	uint64_t retire_birth;
	uint32_t report_mode; /* enum sl_report_mode; 0: not told yet */
	uint8_t zero[60];
};

static_assert(sizeof(struct sl_arena_pid) == 32 && sizeof(struct sl_arena_header) == 512,
	      "arena layout");
static_assert(offsetof(struct sl_arena_header, layout_hash) == 16, "frozen");
static_assert(offsetof(struct sl_arena_header, fixed_sum) == 188, "arena layout");
static_assert(offsetof(struct sl_arena_header, turn) == 256, "arena layout");
static_assert(sizeof(struct sl_arena_batch) == 128, "arena layout");
static_assert(offsetof(struct sl_arena_batch, chain) == 64, "append touches one line");
static_assert(sizeof(struct sl_arena_chunk) == 8 && sizeof(struct sl_arena_partition) == 64,
	      "arena layout");
static_assert(sizeof(struct sl_arena_topic) == 320 && sizeof(struct sl_arena_ring) == 128,
	      "arena layout");
static_assert(sizeof(struct sl_arena_segment) == 2304, "arena layout");
static_assert(offsetof(struct sl_arena_segment, topics) == 256, "arena layout");
static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_INT_LOCK_FREE == 2, "one store commits");

/* FNV-1a over "struct.field:offset:size;" of every field above, in this order. */
uint64_t sl_arena_layout_hash(void);

/* The same as text, one field a line, for the golden file. index from 0; false behind the last.
 * out: at least 80 bytes. */
bool sl_arena_layout_line(uint32_t index, char *out, size_t out_bytes);

/* life */
struct sl_life {
	enum sl_batch_state state;
	uint32_t selector; /* 0 or 1 */
	uint32_t pid_slot; /* SL_ARENA_PID_NONE: not numbered, or without producer id */
	uint16_t epoch;
	uint32_t base_seq; /* REPLACED: its first piece */
};

static inline uint64_t sl_life_pack(struct sl_life life)
{
	return (uint64_t)life.state | (uint64_t)life.selector << 8 | (uint64_t)life.pid_slot << 9 |
	       (uint64_t)life.epoch << 16 | (uint64_t)life.base_seq << 32;
}

static inline struct sl_life sl_life_unpack(uint64_t word)
{
	return (struct sl_life){
		.state = (enum sl_batch_state)(word & 0xff),
		.selector = (uint32_t)(word >> 8) & 1,
		.pid_slot = (uint32_t)(word >> 9) & 0x7f,
		.epoch = (uint16_t)(word >> 16),
		.base_seq = (uint32_t)(word >> 32),
	};
}

/* tail */
#define SL_TAIL_ONE_RECORD (UINT64_C(1) << 24)
#define SL_TAIL_ONE_RUN (UINT64_C(1) << 44)

static inline uint32_t sl_tail_bytes(uint64_t tail)
{
	return (uint32_t)tail & SL_BATCH_BYTES_LIMIT;
}

static inline uint32_t sl_tail_records(uint64_t tail)
{
	return (uint32_t)(tail >> 24) & SL_BATCH_RECORDS_LIMIT;
}

static inline uint32_t sl_tail_runs(uint64_t tail)
{
	return (uint32_t)(tail >> 44);
}

/* chain.bytes_codec */
static inline uint32_t sl_chain_pack(uint32_t bytes, uint32_t codec)
{
	return bytes | codec << 29;
}

static inline uint32_t sl_chain_bytes(uint32_t bytes_codec)
{
	return bytes_codec & ((UINT32_C(1) << 29) - 1);
}

static inline uint32_t sl_chain_codec(uint32_t bytes_codec)
{
	return bytes_codec >> 29;
}

/* run: seq_lo:32 | first_index:20 | ring:12 */
static inline uint64_t sl_run_pack(uint64_t seq, uint32_t first_index, uint32_t ring)
{
	return (uint32_t)seq | (uint64_t)first_index << 32 | (uint64_t)ring << 52;
}

static inline uint32_t sl_run_seq_lo(uint64_t run)
{
	return (uint32_t)run;
}

static inline uint32_t sl_run_first_index(uint64_t run)
{
	return (uint32_t)(run >> 32) & SL_BATCH_RECORDS_LIMIT;
}

static inline uint32_t sl_run_ring(uint64_t run)
{
	return (uint32_t)(run >> 52);
}

/* The full number whose low half is seq_lo and which lies within 2^31 of near. */
static inline uint64_t sl_seq_extend(uint32_t seq_lo, uint64_t near)
{
	return near + (uint64_t)(int64_t)(int32_t)(seq_lo - (uint32_t)near);
}

/* partition.seq */
struct sl_partition_seq {
	uint32_t next_seq;
	uint16_t epoch;
	uint8_t pid_slot;
};

static inline uint64_t sl_partition_seq_pack(struct sl_partition_seq seq)
{
	return seq.next_seq | (uint64_t)seq.epoch << 32 | (uint64_t)seq.pid_slot << 48;
}

static inline struct sl_partition_seq sl_partition_seq_unpack(uint64_t word)
{
	return (struct sl_partition_seq){.next_seq = (uint32_t)word,
					 .epoch = (uint16_t)(word >> 32),
					 .pid_slot = (uint8_t)(word >> 48)};
}

/* Kafka's sequence numbers run from 0 to 2^31 - 1 and start over. */
static inline uint32_t sl_seq_add(uint32_t seq, uint32_t records)
{
	return (seq + records) & INT32_MAX;
}

/*
 * descriptor.error: outcome:2 (enum sl_outcome; 0 before RESOLVED) | Kafka error code:14, two's
 * complement. Kafka's codes lie between -1 and a few hundred; what no 14 bits hold is told as -1,
 * UNKNOWN_SERVER_ERROR.
 */
static inline int16_t sl_error_pack(enum sl_outcome outcome, int16_t error)
{
	uint32_t code = error < -8192 || error > 8191 ? UINT32_MAX : (uint32_t)error;

	return (int16_t)(uint16_t)((uint32_t)outcome << 14 | (code & 0x3fff));
}

static inline enum sl_outcome sl_error_outcome(int16_t packed)
{
	return (enum sl_outcome)((uint16_t)packed >> 14);
}

static inline int16_t sl_error_code(int16_t packed)
{
	return (int16_t)((int16_t)(uint16_t)((uint32_t)(uint16_t)packed << 2) >> 2);
}

#endif
