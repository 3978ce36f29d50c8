/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batches in an arena: opened, appended to, sealed, numbered, resolved, reported by their runs,
 * freed. Called by the worker that owns the arena. Every step commits by one 8-byte store; the
 * order of the others is in arena_layout.h's source, and any prefix of it is a state from which the
 * next agent goes on.
 */
#ifndef SL_BATCH_BATCH_H
#define SL_BATCH_BATCH_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "dataplane/base/varint.h"
#include "dataplane/batch/append.h"
#include "dataplane/batch/arena.h"

struct sl_codec;

/*
 * A new batch for a partition; base_timestamp_ms is that of its first record, deadline_up_ns is on
 * the agent's up-clock. 0 and *batch, or -ENOSPC: no chunk or descriptor outside the reserve. Whether
 * the budget allows it is the caller's to ask, since the first record may need more chunks than one.
 */
int sl_batch_open(struct sl_arena *a, uint32_t partition_slot, int64_t base_timestamp_ms,
		  uint64_t deadline_up_ns, uint32_t *batch);

/*
 * The batch ends where the chunks end that hold fill_bytes, above 0: what it occupies counts, its
 * runs included. A record that needs one more finds it full, so that no chunk is begun for the few
 * bytes that the runs displaced; only a single record takes as many as it needs. Before the first
 * append; without this call the limits of the arena alone end a batch.
 */
void sl_batch_fill_set(struct sl_arena *a, uint32_t batch, uint32_t fill_bytes);

/*
 * sl_batch_append() is in append.h.
 *
 * A record that never enters a batch: its origin goes to the open reject batch of that error, which
 * is reported as failed. 0, or -ENOSPC: no chunk, no descriptor, or more than SL_REJECT_ERRORS_MAX
 * errors in this phase; then sl_arena_rejects_resolve() and freeing what it gave may help.
 */
int sl_batch_reject(struct sl_arena *a, uint32_t ring, uint64_t seq, int16_t error);

/*
 * At the end of a consume phase: all open reject batches become RESOLVED and are stored to
 * out_batches. Returns how many; when that is max, call again.
 */
uint32_t sl_arena_rejects_resolve(struct sl_arena *a, uint32_t *out_batches, uint32_t max);

static inline struct sl_life sl_batch_life(const struct sl_arena *a, uint32_t batch)
{
	return sl_life_unpack(atomic_load_explicit(&a->batches[batch].life, memory_order_relaxed));
}

/* Record bytes, before compression. */
static inline uint32_t sl_batch_bytes(const struct sl_arena *a, uint32_t batch)
{
	return sl_tail_bytes(atomic_load_explicit(&a->batches[batch].tail, memory_order_relaxed));
}

static inline uint32_t sl_batch_records(const struct sl_arena *a, uint32_t batch)
{
	return sl_tail_records(atomic_load_explicit(&a->batches[batch].tail, memory_order_relaxed));
}

/* Number of its codec, 0 none; from SEALED. */
static inline uint32_t sl_batch_codec(const struct sl_arena *a, uint32_t batch)
{
	return sl_chain_codec(
		a->batches[batch].chain[sl_batch_life(a, batch).selector].bytes_codec);
}

/* Payload bytes as they are sent; from SEALED. */
static inline uint32_t sl_batch_wire_bytes(const struct sl_arena *a, uint32_t batch)
{
	return sl_chain_bytes(
		a->batches[batch].chain[sl_batch_life(a, batch).selector].bytes_codec);
}

/* Nanoseconds until the deadline; negative: it has passed. */
static inline int64_t sl_batch_left_ns(const struct sl_arena *a, uint32_t batch, uint64_t now_up_ns)
{
	return (int64_t)(a->batches[batch].deadline_up_ns - now_up_ns);
}

/* Age of its first record by the application's own timestamp. */
static inline int64_t sl_batch_age_ms(const struct sl_arena *a, uint32_t batch,
				      int64_t now_realtime_ms)
{
	return now_realtime_ms - a->batches[batch].base_ts;
}

/* OPEN to SEALED, uncompressed: sums the payload. It has at least one record. */
void sl_batch_seal(struct sl_arena *a, uint32_t batch);

/*
 * Seals compressed, in steps of at most 64 KiB of input, so that a turn stays short. From begin on,
 * the batch takes no more records; a codec has one compression at a time. Steps return 1 while
 * there is more, 0 when the batch is SEALED: compressed, or as it was when that would not be
 * smaller or no chunk is left.
 */
struct sl_batch_compression {
	struct sl_codec *codec;
	uint32_t batch;
	uint32_t in_chunk, in_offset, in_left; /* of the raw chain */
	uint32_t first_chunk, last_chunk;      /* of the compressed chain */
	uint32_t last_bytes;                   /* in the last chunk */
	uint32_t out_bytes;
	uint32_t crc;
};

void sl_batch_compress_begin(struct sl_arena *a, uint32_t batch, struct sl_codec *codec,
			     struct sl_batch_compression *job);
int sl_batch_compress_step(struct sl_arena *a, struct sl_batch_compression *job);

/* Gives up before the last step; the batch is OPEN as before. Needed before it is resolved for
 * another reason. */
void sl_batch_compress_cancel(struct sl_arena *a, struct sl_batch_compression *job);

/*
 * SEALED to SENT with the partition's epoch and next sequence, which moves on. Before the first
 * byte leaves; at most five batches of a partition are SENT (the caller counts). A partition that
 * was last numbered under another producer id starts over under this one: none of its batches may
 * be SENT then. 0; -EOVERFLOW: this producer id has no epoch left for the partition, another pid
 * slot is needed. pid_slot SL_ARENA_PID_NONE: without producer id, sequence -1.
 */
int sl_batch_number(struct sl_arena *a, uint32_t batch, uint32_t pid_slot, uint32_t now_realtime_s);

/* The same bytes under the same numbers again: counts the attempt. */
void sl_batch_resent(struct sl_arena *a, uint32_t batch);

/* SENT to SEALED, after the epoch of its partition was bumped. */
void sl_batch_unnumber(struct sl_arena *a, uint32_t batch);

/*
 * The partition's sequences start over under the next epoch; then the caller un-numbers each of its
 * SENT batches. 0; -EOVERFLOW: that was the last epoch, nothing is changed.
 */
int sl_partition_epoch_bump(struct sl_arena *a, uint32_t partition_slot);

/*
 * The outcome of all its records; OPEN and SEALED batches that expire may be resolved too.
 * base_offset: of the first record, -1 not known.
 */
void sl_batch_resolve(struct sl_arena *a, uint32_t batch, enum sl_outcome outcome, int16_t error,
		      int64_t base_offset);

static inline enum sl_outcome sl_batch_outcome(const struct sl_arena *a, uint32_t batch)
{
	return sl_error_outcome(a->batches[batch].error);
}

static inline int16_t sl_batch_error(const struct sl_arena *a, uint32_t batch)
{
	return sl_error_code(a->batches[batch].error);
}

/*
 * Which batch is being reported, or SL_NONE: before the first entry of it is published. Recovery
 * compares the last published entry with this batch's runs.
 */
static inline void sl_arena_reporting_store(struct sl_arena *a, uint32_t batch)
{
	atomic_store_explicit(&a->header->reporting, batch, memory_order_relaxed);
	SL_ORDER(); /* pairs with recovery: what S shows last belongs to this batch */
}

/* Gives its chunks back. All runs are tombs. */
void sl_batch_free(struct sl_arena *a, uint32_t batch);

/*
 * Pieces of the payload in order, at most max of them; returns how many there are in all, so a
 * return above max means that out is too small. They stay where they are until the batch is freed.
 */
uint32_t sl_batch_payload_iov(const struct sl_arena *a, uint32_t batch, struct iovec *out,
			      uint32_t max);

/* What wire/batch_header.h writes, from a SENT batch; field by field the same names. */
struct sl_batch_header_fields {
	int64_t base_timestamp_ms, max_timestamp_ms;
	int64_t producer_id;
	int16_t producer_epoch;
	int32_t base_sequence;
	uint32_t record_count;
	uint32_t codec; /* as in the batch attributes */
	uint32_t payload_bytes, payload_crc;
};

void sl_batch_header_fill(const struct sl_arena *a, uint32_t batch,
			  struct sl_batch_header_fields *out);

/* Records of one ring with consecutive numbers that lie side by side in a batch. */
struct sl_batch_run {
	uint32_t ring;      /* slot; SL_RUN_RING_TOMB when tomb */
	uint64_t first_seq; /* nothing when tomb */
	uint32_t first_index, count;
	bool tomb; /* reported already */
};

struct sl_batch_run_iter {
	const struct sl_arena *a;
	uint64_t *run;       /* the one that comes next; they grow downward */
	uint64_t *returned;  /* the one that came last */
	uint64_t ahead;      /* *run */
	uint32_t chunk_runs; /* left in this chunk, run included */
	uint32_t runs_left;  /* in all, run included */
	uint32_t chunk, next_chunk, records;
};

void sl_batch_runs_begin(const struct sl_arena *a, uint32_t batch, struct sl_batch_run_iter *it);
void sl_batch_runs_chunk_next(struct sl_batch_run_iter *it);

/* False behind the last run. */
static inline bool sl_batch_runs_next(struct sl_batch_run_iter *it, struct sl_batch_run *out)
{
	uint64_t run = it->ahead;
	uint32_t end = it->records;

	if (it->runs_left == 0)
		return false;
	it->returned = it->run;
	if (--it->runs_left > 0) {
		if (SL_UNLIKELY(--it->chunk_runs == 0))
			sl_batch_runs_chunk_next(it);
		else
			it->run--;
		it->ahead = *it->run;
		end = sl_run_first_index(it->ahead);
	}
	out->ring = sl_run_ring(run);
	out->first_index = sl_run_first_index(run);
	out->count = end - out->first_index;
	out->tomb = out->ring == SL_RUN_RING_TOMB;
	out->first_seq =
		out->tomb ? 0 : sl_seq_extend(sl_run_seq_lo(run), it->a->ring_seq[out->ring]);
	return true;
}

/* The run that came last is reported: after its entry was published. */
static inline void sl_batch_run_entomb(struct sl_batch_run_iter *it)
{
	SL_ORDER(); /* the entry first: a kill between leaves the run, and attach finds its entry */
	*it->returned |= (uint64_t)SL_RUN_RING_TOMB << 52;
	SL_ORDER();
}

#endif
