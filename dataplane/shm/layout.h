/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hand-off between an application and the agent, ABI v1: what lies where in the two shared segments.
 *
 *   D "data"    memfd made, sealed and paid for by the application; the agent maps it read-only.
 *   S "status"  memfd made and sealed by the agent; the application maps it read-only.
 *
 * Each segment has one writing process, and each word below one writing thread, named beside it. Words of different
 * writers lie 128 bytes apart (adjacent-line prefetch). Positions are byte counts that only grow: the byte of position p
 * lies at p & (ring_bytes - 1). Everything is little endian and 64-bit; sizes are agreed in the handshake and never read
 * back from a segment.
 *
 *   D: page 0 ident | page 1 + i: struct sl_app_page of ring i | from sl_data_ring_offset(): ring_bytes for each ring
 *   S: page 0 ident | page 1 + i: struct sl_agent_page of ring i | from sl_status_reports_offset(): report slots
 *
 * Golden file: tests/golden/shm_layout_v1.txt. Any change here is a new layout number.
 */
#ifndef SL_SHM_LAYOUT_H
#define SL_SHM_LAYOUT_H

#include <assert.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum {
	SL_SHM_LAYOUT = 1,
	SL_SHM_PAGE_BYTES = 4096,
	SL_SHM_RINGS_MAX = 64,           /* of one segment pair */
	SL_SHM_TOPICS_MAX = 1024,        /* slots of one application */
	SL_RING_BYTES_MIN = 64 * 1024,
	SL_RING_BYTES_MAX = 256 * 1024 * 1024,
	SL_RING_RECORD_SHARE = 8,        /* a record is at most 1/8 of its ring, so that pad + record always fit */
	SL_REPORT_SLOTS_MIN_ABI = 64,
	SL_REPORT_SLOTS_MAX = 1 << 20,
	SL_RECORD_ALIGN = 8,
	SL_RECORD_HEADER_BYTES = 24,
	SL_RECORD_SAMPLED_BYTES = 8,     /* sent_ns behind the header when SL_RECORD_SAMPLED is set */
};

/* First 64 bytes of D and of S: for people with a debugger; the handshake decides. */
struct sl_shm_ident {
	uint8_t magic[8]; /* "SLUICE-D" or "SLUICE-S" */
	uint32_t layout;
	uint32_t ring_count;
	uint64_t ring_bytes;
	uint32_t report_slots; /* of each ring, a power of two */
	uint32_t agent_epoch;  /* S only */
	uint8_t client_id[16];
	uint8_t token[16]; /* S only: whoever re-attaches shows it */
};
static_assert(sizeof(struct sl_shm_ident) == 64, "shm ABI");

struct sl_app_page { /* in D */
	/* written by: app thread (release, after the record's bytes); read by: worker (acquire) */
	alignas(128) _Atomic uint64_t committed_pos;
	/* written by: app thread (release, after the entries were read); read by: worker: report slots that are free */
	alignas(128) _Atomic uint64_t report_read_pos;
	/* written by: app thread; read by: control thread, for the ledger: records that the full ring made it drop */
	alignas(128) _Atomic uint64_t dropped_count;
	/* written by: app thread before it waits; read by: worker: 1 = waits for room, 2 = for reports, 3 = both */
	alignas(128) _Atomic uint32_t waiting;
};
static_assert(offsetof(struct sl_app_page, committed_pos) == 0, "shm ABI");
static_assert(offsetof(struct sl_app_page, report_read_pos) == 128, "shm ABI");
static_assert(offsetof(struct sl_app_page, dropped_count) == 256, "shm ABI");
static_assert(offsetof(struct sl_app_page, waiting) == 384, "shm ABI");
static_assert(sizeof(struct sl_app_page) == 512, "shm ABI");

enum sl_wait_bits { SL_WAIT_ROOM = 1, SL_WAIT_REPORTS = 2 };

enum sl_ring_wire_state { /* sl_agent_page.ring_state */
	SL_RING_WIRE_OPEN = 1,
	SL_RING_WIRE_DRAINING = 2, /* no longer read; what was consumed goes on */
	SL_RING_WIRE_POISONED = 3, /* what the application wrote was refused; see poison_code */
	SL_RING_WIRE_CLOSED = 4,   /* nothing more will be written here */
};

enum sl_poison { /* sl_agent_page.poison_code: why a ring is no longer read */
	SL_POISON_NONE = 0,
	SL_POISON_POSITION,  /* committed_pos moved back, is unaligned or beyond the ring */
	SL_POISON_TYPE,      /* record type or flags unknown */
	SL_POISON_LENGTH,    /* shorter than its header, longer than allowed, or beyond committed_pos */
	SL_POISON_SEQUENCE,  /* seq_lo is not the next one */
	SL_POISON_TOPIC,     /* topic_slot was never bound */
	SL_POISON_TAIL,      /* key, value or headers do not add up */
	SL_POISON_PAD,       /* a pad that does not end at the ring's end */
	SL_POISON_PARTITION, /* partition below -1 */
	SL_POISON_REPORTS,   /* report_read_pos is beyond what was written */
	SL_POISON_COUNT,
};

struct sl_agent_page { /* in S */
	/* written by: worker (release, after the record was copied out); read by: app thread: room */
	alignas(128) _Atomic uint64_t consumed_pos;
	/* written by: worker (release, after the entries); read by: app thread (acquire) */
	alignas(128) _Atomic uint64_t report_write_pos;
	/* Records of this ring whose outcome is settled, whatever it is and whether or not an entry told it. */
	_Atomic uint64_t settled_count;
	/* Of those: outcome failed, outcome unknown. Stored before settled_count. */
	_Atomic uint64_t failed_count;
	_Atomic uint64_t unknown_count;
	/*
	 * written by: worker around its sleep; read by: app thread after each commit. 0 = awake; else the number of this
	 * sleep: the application writes to the bell once for each number that it sees.
	 */
	alignas(128) _Atomic uint32_t sleeping;
	/* written by: worker (+1 for each thing worth waking for); the application waits on it with FUTEX_WAIT */
	alignas(128) _Atomic uint32_t wake_word;
	/* written by: worker; read by: app thread on its slow path */
	alignas(128) _Atomic uint32_t ring_state; /* enum sl_ring_wire_state */
	_Atomic uint32_t poison_code;             /* enum sl_poison, stored before ring_state */
	_Atomic uint64_t poison_pos;              /* where in the ring */
};
static_assert(offsetof(struct sl_agent_page, consumed_pos) == 0, "shm ABI");
static_assert(offsetof(struct sl_agent_page, report_write_pos) == 128, "shm ABI");
static_assert(offsetof(struct sl_agent_page, settled_count) == 136, "shm ABI");
static_assert(offsetof(struct sl_agent_page, failed_count) == 144, "shm ABI");
static_assert(offsetof(struct sl_agent_page, unknown_count) == 152, "shm ABI");
static_assert(offsetof(struct sl_agent_page, sleeping) == 256, "shm ABI");
static_assert(offsetof(struct sl_agent_page, wake_word) == 384, "shm ABI");
static_assert(offsetof(struct sl_agent_page, ring_state) == 512, "shm ABI");
static_assert(offsetof(struct sl_agent_page, poison_pos) == 520, "shm ABI");
static_assert(sizeof(struct sl_agent_page) == 640, "shm ABI");
static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_INT_LOCK_FREE == 2, "words are shared between processes");

enum sl_record_type {
	SL_RECORD_DATA = 1,
	SL_RECORD_PAD = 2,   /* up to the ring's end; only length, type and flags are defined */
	SL_RECORD_FLUSH = 3, /* header only, takes no sequence: batches with records of this ring leave without linger */
};

enum sl_record_flags { SL_RECORD_SAMPLED = 1 };

/*
 * One record in the ring, 8-aligned. Behind the header (and sent_ns when SAMPLED) lies the tail exactly as in a Kafka v2
 * record: varint key length (-1 null), key, varint value length (-1 null), value, varint header count, headers.
 */
struct sl_record_header {
	uint32_t length; /* header, sent_ns and tail; the next record begins at the next multiple of 8 */
	uint8_t type;
	uint8_t flags;
	uint16_t topic_slot;
	uint32_t seq_lo;  /* low half of the record's number in its ring, from 0 */
	int32_t partition; /* -1: the agent's partitioner chooses */
	int64_t timestamp_ms;
};
static_assert(sizeof(struct sl_record_header) == SL_RECORD_HEADER_BYTES, "shm ABI");
static_assert(offsetof(struct sl_record_header, seq_lo) == 8, "shm ABI");
static_assert(offsetof(struct sl_record_header, timestamp_ms) == 16, "shm ABI");

enum sl_report_mode { SL_REPORT_ALL = 1, SL_REPORT_ERRORS = 2, SL_REPORT_NONE = 3 };
enum sl_report_kind { SL_REPORT_KIND_RECORDS = 0, SL_REPORT_KIND_RESET = 1 };
enum sl_outcome { SL_OUTCOME_PERSISTED = 1, SL_OUTCOME_FAILED = 2, SL_OUTCOME_UNKNOWN = 3 };

/*
 * What became of records [first_seq, first_seq + count) of a ring; their offsets follow each other from base_offset.
 * Kind RESET: all records before first_seq that were not reported are unknown (an agent lost its memory).
 */
struct sl_report {
	uint64_t first_seq;
	int64_t base_offset; /* -1: not known */
	int32_t partition;   /* -1: none was chosen */
	uint32_t count;
	int16_t error; /* Kafka's error code; 0 with PERSISTED */
	uint16_t topic_slot;
	uint8_t outcome; /* enum sl_outcome */
	uint8_t kind;    /* enum sl_report_kind */
	uint16_t zero;
};
static_assert(sizeof(struct sl_report) == 32, "shm ABI");

static inline uint64_t sl_data_page_offset(uint32_t ring)
{
	return (uint64_t)SL_SHM_PAGE_BYTES * (1 + ring);
}

/* Rings begin at a multiple of 2 MiB when they are that large, so that huge pages can back them. */
static inline uint64_t sl_data_ring_offset(uint32_t ring_count, uint64_t ring_bytes, uint32_t ring)
{
	uint64_t align = ring_bytes >= (2u << 20) ? (2u << 20) : SL_SHM_PAGE_BYTES;
	uint64_t pages = sl_data_page_offset(ring_count);

	return (pages + align - 1) / align * align + ring * ring_bytes;
}

static inline uint64_t sl_data_bytes(uint32_t ring_count, uint64_t ring_bytes)
{
	return sl_data_ring_offset(ring_count, ring_bytes, ring_count);
}

static inline uint64_t sl_status_page_offset(uint32_t ring)
{
	return (uint64_t)SL_SHM_PAGE_BYTES * (1 + ring);
}

static inline uint64_t sl_status_reports_offset(uint32_t ring_count, uint32_t report_slots, uint32_t ring)
{
	return sl_status_page_offset(ring_count) + (uint64_t)ring * report_slots * sizeof(struct sl_report);
}

/* A whole number of pages: report_slots >= 128 makes it so by itself, 64 is rounded up. */
static inline uint64_t sl_status_bytes(uint32_t ring_count, uint32_t report_slots)
{
	uint64_t end = sl_status_reports_offset(ring_count, report_slots, ring_count);

	return (end + SL_SHM_PAGE_BYTES - 1) / SL_SHM_PAGE_BYTES * SL_SHM_PAGE_BYTES;
}

static inline uint64_t sl_record_span(uint32_t length)
{
	return ((uint64_t)length + SL_RECORD_ALIGN - 1) & ~(uint64_t)(SL_RECORD_ALIGN - 1);
}

#endif
