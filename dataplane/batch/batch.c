/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/batch/batch.h"

#include <errno.h>
#include <string.h>

#include "dataplane/base/crc32c.h"
#include "dataplane/batch/arena_internal.h"

uint32_t sl_batch_frozen_sum(const struct sl_arena_batch *b, uint32_t selector)
{
	struct {
		uint64_t tail;
		int64_t max_ts, base_ts;
		struct sl_arena_chain chain;
		uint64_t birth;
		uint64_t payload_crc;
	} frozen = {sl_tail_load(b),    b->max_ts, b->base_ts,
		    b->chain[selector], b->birth,  b->payload_crc};

	static_assert(sizeof(frozen) == 48, "no padding is summed");
	return sl_crc32c(0, &frozen, sizeof(frozen));
}

static void live_count_add(struct sl_arena *a, uint32_t change)
{
	uint32_t count = atomic_load_explicit(&a->header->live_count, memory_order_relaxed);

	atomic_store_explicit(&a->header->live_count, count + change, memory_order_relaxed);
}

/* Where the next record and the next run go when chunk is the last one and empty. */
static void write_to(struct sl_arena *a, uint32_t batch, uint32_t chunk)
{
	a->links[batch].last_chunk = chunk;
	a->batches[batch].write_offset = sl_arena_chunk_offset(a, chunk);
	a->batches[batch].run_offset = sl_chunk_end(a, chunk);
}

static int batch_open(struct sl_arena *a, struct sl_arena_batch fields, uint32_t *out)
{
	struct sl_arena_batch *b;
	uint32_t batch, chunk;

	if (sl_arena_chunks_free(a) == 0 || sl_arena_batches_free(a) == 0)
		return -ENOSPC;
	batch = a->batch_stack[--a->batches_free];
	b = &a->batches[batch];
	SL_ASSERT(sl_life_load(b).state == SL_BATCH_FREE);
	chunk = sl_chunk_take(a);
	fields.max_ts = INT64_MIN;
	fields.turn_tag = a->turn;
	fields.run_ring = SL_NONE;
	fields.chain[0] = (struct sl_arena_chain){.first_chunk = chunk};
	fields.chain[1] = (struct sl_arena_chain){.first_chunk = SL_NONE};
	fields.birth = a->birth_next;
	fields.sibling = SL_NONE;
	fields.base_offset = -1;
	/* life, the first word, stays FREE until the rest is there. */
	memcpy((uint8_t *)b + sizeof(b->life), (uint8_t *)&fields + sizeof(b->life),
	       sizeof(fields) - sizeof(b->life));
	write_to(a, batch, chunk);
	sl_life_store(b, (struct sl_life){.state = SL_BATCH_OPEN, .pid_slot = SL_ARENA_PID_NONE});
	live_count_add(a, 1);
	a->birth_next += UINT64_C(1) << 20;
	a->links[batch].chunks_left = UINT32_MAX;
	sl_budget_hold(a, batch, 1);
	*out = batch;
	return 0;
}

int sl_batch_open(struct sl_arena *a, uint32_t partition_slot, int64_t base_timestamp_ms,
		  uint64_t deadline_up_ns, uint32_t *batch)
{
	struct sl_arena_batch fields = {.base_ts = base_timestamp_ms,
					.deadline_up_ns = deadline_up_ns,
					.partition = partition_slot};

	SL_ASSERT(partition_slot < a->partition_count);
	return batch_open(a, fields, batch);
}

void sl_batch_fill_set(struct sl_arena *a, uint32_t batch, uint32_t fill_bytes)
{
	uint32_t chunks = (fill_bytes + a->chunk_bytes - 1) >> a->chunk_shift;

	SL_ASSERT(fill_bytes > 0 && fill_bytes <= SL_BATCH_BYTES_LIMIT);
	SL_ASSERT(sl_batch_records(a, batch) == 0);
	a->links[batch].chunks_left = chunks - 1; /* the first one came with the batch */
}

/* The record as it will stand in the batch, in the scratch. Its size, or -EBADMSG. */
static int record_scratch(struct sl_arena *a, const struct sl_batch_record *r, int64_t time,
			  int32_t index, uint32_t body_bytes)
{
	struct sl_record_tail parts;
	uint8_t *p = sl_varint32_put(a->scratch, (int32_t)body_bytes);

	*p++ = 0; /* attributes */
	p = sl_varint64_put(p, time);
	p = sl_varint32_put(p, index);
	memcpy(p, r->tail, r->tail_bytes);
	if (sl_record_tail_check(p, r->tail_bytes, &parts) < 0)
		return -EBADMSG;
	return (int)(p + r->tail_bytes - a->scratch);
}

/* The last chunk is closed and another one linked behind it. */
static void chunk_add(struct sl_arena *a, uint32_t batch)
{
	uint32_t chunk = sl_chunk_take(a);
	struct sl_arena_chunk entry = sl_open_chunk(a, batch);

	entry.next = chunk;
	sl_dir_store(a, a->links[batch].last_chunk, entry);
	write_to(a, batch, chunk);
	sl_budget_hold(a, batch, a->links[batch].chunks + 1);
}

/* Chunks that must be taken for bytes of record and run_bytes of origin, when the last has room. */
static uint32_t chunks_needed(const struct sl_arena *a, uint64_t room, uint32_t bytes,
			      uint32_t run_bytes)
{
	uint64_t total = (uint64_t)bytes + run_bytes;

	/* The run lies where the record's first byte does. */
	if (room > run_bytes)
		total -= total < room ? total : room;
	return (uint32_t)((total + a->chunk_bytes - 1) >> a->chunk_shift);
}

/*
 * Takes this many chunks off what the batch may have, where that and the arena allow them. The
 * first record has as many as it needs: no other batch would hold it in fewer.
 */
static int chunks_claim(struct sl_arena *a, uint32_t batch, uint64_t tail, uint32_t chunks)
{
	struct sl_batch_link *link = &a->links[batch];

	if (chunks > link->chunks_left && sl_tail_records(tail) > 0)
		return -E2BIG;
	if (chunks > sl_arena_chunks_free(a))
		return -ENOSPC;
	if (chunks > 0 && sl_budget_ask(a, a->batches[batch].partition, chunks) != SL_BUDGET_ALLOWS)
		return -EDQUOT;
	link->chunks_left -= chunks < link->chunks_left ? chunks : link->chunks_left;
	return 0;
}

static void record_scatter(struct sl_arena *a, uint32_t batch, const uint8_t *from, uint32_t bytes)
{
	struct sl_arena_batch *b = &a->batches[batch];

	while (bytes > 0) {
		uint64_t room = b->run_offset - b->write_offset;
		uint32_t n = bytes < room ? bytes : (uint32_t)room;

		if (n == 0) {
			chunk_add(a, batch);
			continue;
		}
		memcpy(a->base + b->write_offset, from, n);
		b->write_offset += n;
		from += n;
		bytes -= n;
	}
}

static void run_add(struct sl_arena *a, struct sl_arena_batch *b, uint32_t ring, uint64_t seq,
		    uint32_t index)
{
	uint64_t run = sl_run_pack(seq, index, ring);

	b->run_offset -= sizeof(run);
	memcpy(a->base + b->run_offset, &run, sizeof(run));
	b->run_ring = ring;
}

static bool run_continues(const struct sl_arena_batch *b, uint32_t ring, uint64_t seq)
{
	return b->run_ring == ring && b->run_next_seq == seq;
}

/* Whether the limits let a record of this size in. */
static int limits_check(const struct sl_arena *a, uint64_t tail, uint32_t tail_bytes,
			uint32_t wire_bytes)
{
	uint32_t least_bytes = 3 + tail_bytes; /* attributes and two deltas of 0 */

	if (sl_varint32_bytes((int32_t)least_bytes) + least_bytes > a->batch_bytes_max)
		return -EMSGSIZE;
	if (sl_tail_records(tail) >= a->batch_records_max ||
	    sl_tail_bytes(tail) + wire_bytes > a->batch_bytes_max)
		/* Alone in a batch it is too large by its own timestamp only. */
		return sl_tail_records(tail) == 0 ? -EMSGSIZE : -E2BIG;
	return 0;
}

int sl_batch_append_slow(struct sl_arena *a, uint32_t batch, const struct sl_batch_record *r)
{
	struct sl_arena_batch *b = &a->batches[batch];
	uint64_t tail = sl_tail_load(b);
	int64_t time = (int64_t)((uint64_t)r->timestamp_ms - (uint64_t)b->base_ts);
	int32_t index = (int32_t)sl_tail_records(tail);
	bool run_new = !run_continues(b, r->ring, r->seq);
	uint32_t run_bytes = run_new ? sizeof(uint64_t) : 0;
	uint32_t body_bytes;
	int wire_bytes, rc;

	SL_DASSERT(sl_life_load(b).state == SL_BATCH_OPEN);
	if (r->tail_bytes < SL_RECORD_TAIL_BYTES_MIN)
		return -EBADMSG;
	if (r->tail_bytes > a->batch_bytes_max)
		return -EMSGSIZE;
	body_bytes = 1 + sl_varint64_bytes(time) + sl_varint32_bytes(index) + r->tail_bytes;
	rc = limits_check(a, tail, r->tail_bytes,
			  sl_varint32_bytes((int32_t)body_bytes) + body_bytes);
	if (rc < 0)
		return rc;
	wire_bytes = record_scratch(a, r, time, index, body_bytes);
	if (wire_bytes < 0)
		return wire_bytes;
	rc = chunks_claim(
		a, batch, tail,
		chunks_needed(a, b->run_offset - b->write_offset, (uint32_t)wire_bytes, run_bytes));
	if (rc < 0)
		return rc;

	b->turn_tag = a->turn;
	SL_ORDER();
	if (b->run_offset - b->write_offset <= run_bytes)
		chunk_add(a, batch);
	if (run_new) {
		run_add(a, b, r->ring, r->seq, (uint32_t)index);
		tail += SL_TAIL_ONE_RUN;
	}
	SL_ORDER();
	b->run_next_seq = r->seq + 1;
	record_scatter(a, batch, a->scratch, (uint32_t)wire_bytes);
	if (r->timestamp_ms > b->max_ts)
		b->max_ts = r->timestamp_ms;
	sl_append_commit(b, tail + (uint32_t)wire_bytes + SL_TAIL_ONE_RECORD);
	return 0;
}

static int reject_batch(struct sl_arena *a, int16_t error, uint32_t *batch)
{
	struct sl_arena_batch fields = {
		.partition = SL_NONE,
		.deadline_up_ns = UINT64_MAX,
		.error = sl_error_pack(SL_OUTCOME_FAILED,
				       error), /* recovery resolves it without us */
	};
	uint32_t i;

	for (i = 0; i < a->reject_count; i++) {
		*batch = a->rejects[i].batch;
		if (a->rejects[i].error == error &&
		    sl_batch_records(a, *batch) < SL_BATCH_RECORDS_LIMIT)
			return 0;
	}
	if (a->reject_count == SL_REJECT_ERRORS_MAX || batch_open(a, fields, batch) < 0)
		return -ENOSPC;
	a->rejects[a->reject_count++] = (struct sl_arena_reject){.error = error, .batch = *batch};
	return 0;
}

int sl_batch_reject(struct sl_arena *a, uint32_t ring, uint64_t seq, int16_t error)
{
	struct sl_arena_batch *b;
	uint64_t tail;
	uint32_t batch;

	SL_ASSERT(ring < a->ring_count);
	if (reject_batch(a, error, &batch) < 0)
		return -ENOSPC;
	b = &a->batches[batch];
	tail = sl_tail_load(b);
	b->turn_tag = a->turn;
	SL_ORDER();
	if (!run_continues(b, ring, seq)) {
		if (b->run_offset == b->write_offset) {
			if (sl_arena_chunks_free(a) == 0)
				return -ENOSPC;
			chunk_add(a, batch);
		}
		run_add(a, b, ring, seq, sl_tail_records(tail));
		tail += SL_TAIL_ONE_RUN;
	}
	b->run_next_seq = seq + 1;
	sl_append_commit(b, tail + SL_TAIL_ONE_RECORD);
	return 0;
}

void sl_chain_close(struct sl_arena *a, uint32_t batch)
{
	struct sl_arena_batch *b = &a->batches[batch];
	uint32_t chunk, crc = 0;

	sl_dir_store(a, a->links[batch].last_chunk, sl_open_chunk(a, batch));
	b->chain[0].bytes_codec = sl_chain_pack(sl_tail_bytes(sl_tail_load(b)), 0);
	for (chunk = b->chain[0].first_chunk; chunk != SL_NONE; chunk = a->dir[chunk].next)
		crc = sl_crc32c(crc, a->base + sl_arena_chunk_offset(a, chunk),
				a->dir[chunk].bytes);
	SL_ORDER();
	b->payload_crc = crc;
	SL_ORDER();
	b->frozen_sum = sl_batch_frozen_sum(b, 0);
}

uint32_t sl_arena_rejects_resolve(struct sl_arena *a, uint32_t *out_batches, uint32_t max)
{
	uint32_t count = 0;

	while (count < max && a->reject_count > 0) {
		uint32_t batch = a->rejects[--a->reject_count].batch;

		sl_chain_close(a, batch);
		sl_life_store(&a->batches[batch], (struct sl_life){.state = SL_BATCH_RESOLVED,
								   .pid_slot = SL_ARENA_PID_NONE});
		out_batches[count++] = batch;
	}
	return count;
}

void sl_batch_seal(struct sl_arena *a, uint32_t batch)
{
	struct sl_arena_batch *b = &a->batches[batch];

	SL_ASSERT(sl_life_load(b).state == SL_BATCH_OPEN && sl_batch_records(a, batch) > 0);
	sl_chain_close(a, batch);
	sl_life_store(b, (struct sl_life){.state = SL_BATCH_SEALED, .pid_slot = SL_ARENA_PID_NONE});
}

void sl_batch_free(struct sl_arena *a, uint32_t batch)
{
	struct sl_arena_batch *b = &a->batches[batch];
	struct sl_life life = sl_life_load(b);

	SL_ASSERT(life.state == SL_BATCH_RESOLVED || sl_batch_records(a, batch) == 0);
	sl_budget_hold(a, batch, 0);
	sl_life_store(b, (struct sl_life){.state = SL_BATCH_FREE});
	live_count_add(a, UINT32_MAX);
	sl_chain_give(a, b->chain[life.selector].first_chunk);
	a->batch_stack[a->batches_free++] = batch;
}

uint32_t sl_batch_payload_iov(const struct sl_arena *a, uint32_t batch, struct iovec *out,
			      uint32_t max)
{
	const struct sl_arena_batch *b = &a->batches[batch];
	uint32_t chunk = b->chain[sl_life_load(b).selector].first_chunk;
	uint32_t count = 0;

	SL_ASSERT(sl_life_load(b).state >= SL_BATCH_SEALED);
	for (; chunk != SL_NONE; chunk = a->dir[chunk].next) {
		if (a->dir[chunk].bytes == 0)
			continue; /* runs only */
		if (count < max)
			out[count] = (struct iovec){a->base + sl_arena_chunk_offset(a, chunk),
						    a->dir[chunk].bytes};
		count++;
	}
	return count;
}

void sl_batch_header_fill(const struct sl_arena *a, uint32_t batch,
			  struct sl_batch_header_fields *out)
{
	const struct sl_arena_batch *b = &a->batches[batch];
	struct sl_life life = sl_life_load(b);
	uint32_t bytes_codec = b->chain[life.selector].bytes_codec;
	bool numbered = life.pid_slot < SL_ARENA_PIDS;

	SL_ASSERT(life.state == SL_BATCH_SENT);
	*out = (struct sl_batch_header_fields){
		.base_timestamp_ms = b->base_ts,
		.max_timestamp_ms = b->max_ts,
		.producer_id = numbered ? a->header->pids[life.pid_slot].producer_id : -1,
		.producer_epoch = numbered ? (int16_t)life.epoch : -1,
		.base_sequence = numbered ? (int32_t)life.base_seq : -1,
		.record_count = sl_batch_records(a, batch),
		.codec = sl_chain_codec(bytes_codec),
		.payload_bytes = sl_chain_bytes(bytes_codec),
		.payload_crc = b->payload_crc,
	};
}

void sl_batch_runs_begin(const struct sl_arena *a, uint32_t batch, struct sl_batch_run_iter *it)
{
	const struct sl_arena_batch *b = &a->batches[batch];
	struct sl_life life = sl_life_load(b);
	uint64_t tail = sl_tail_load(b);

	*it = (struct sl_batch_run_iter){
		.a = a,
		.runs_left = sl_tail_runs(tail),
		.records = sl_tail_records(tail),
		.chunk = SL_NONE,
		.next_chunk = b->chain[life.selector].first_chunk,
	};
	if (it->runs_left == 0)
		return;
	sl_batch_runs_chunk_next(it);
	it->ahead = *it->run;
}

void sl_batch_runs_chunk_next(struct sl_batch_run_iter *it)
{
	do {
		it->chunk = it->next_chunk;
		SL_ASSERT(it->chunk < it->a->chunk_count);
		it->chunk_runs =
			it->a->dir[it->chunk].runs; /* 0xffff in an OPEN one: all that remains */
		it->next_chunk = it->a->dir[it->chunk].next;
	} while (it->chunk_runs == 0);
	it->run = (uint64_t *)(it->a->base + sl_chunk_end(it->a, it->chunk)) - 1;
}
