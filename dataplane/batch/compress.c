/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compression at seal: a second chain is written beside the raw one and chosen by the one store
 * that seals. Until then the batch is OPEN with its raw chain, which is where a killed agent's
 * successor finds it.
 */
#include <errno.h>
#include <string.h>

#include "dataplane/base/crc32c.h"
#include "dataplane/batch/arena_internal.h"
#include "dataplane/batch/batch.h"
#include "dataplane/batch/codec.h"

static void in_chunk_set(struct sl_batch_compression *job, uint32_t chunk)
{
	job->in_chunk = chunk;
	job->in_offset = 0;
}

void sl_batch_compress_begin(struct sl_arena *a, uint32_t batch, struct sl_codec *codec,
			     struct sl_batch_compression *job)
{
	struct sl_arena_batch *b = &a->batches[batch];

	SL_ASSERT(sl_life_load(b).state == SL_BATCH_OPEN && sl_batch_records(a, batch) > 0);
	/* Exact counts make the raw chain readable by its directory; recovery opens it again. */
	sl_dir_store(a, a->links[batch].last_chunk, sl_open_chunk(a, batch));
	*job = (struct sl_batch_compression){
		.codec = codec,
		.batch = batch,
		.in_left = sl_batch_bytes(a, batch),
		.first_chunk = SL_NONE,
		.last_chunk = SL_NONE,
	};
	in_chunk_set(job, b->chain[0].first_chunk);
	sl_codec_begin(codec);
}

/* Another chunk for the compressed chain, or -ENOSPC. The one before it holds last_bytes and runs.
 */
static int out_chunk_add(struct sl_arena *a, struct sl_batch_compression *job, uint32_t runs)
{
	uint32_t chunk;

	if (a->chunks_free <= a->chunks_split)
		return -ENOSPC;
	chunk = sl_chunk_take(a);
	if (job->last_chunk == SL_NONE)
		job->first_chunk = chunk;
	else
		sl_dir_store(
			a, job->last_chunk,
			(struct sl_arena_chunk){chunk, (uint16_t)job->last_bytes, (uint16_t)runs});
	job->last_chunk = chunk;
	job->last_bytes = 0;
	return 0;
}

/* Copies the runs behind the compressed payload, in as many more chunks as they need. */
static int runs_copy(struct sl_arena *a, struct sl_batch_compression *job)
{
	struct sl_batch_run_iter it;
	struct sl_batch_run run;
	uint32_t runs = 0;

	sl_batch_runs_begin(a, job->batch, &it);
	while (sl_batch_runs_next(&it, &run)) {
		if (job->last_bytes + (runs + 1) * sizeof(uint64_t) > a->chunk_bytes) {
			if (out_chunk_add(a, job, runs) < 0)
				return -ENOSPC;
			runs = 0;
		}
		runs++;
		memcpy(a->base + sl_chunk_end(a, job->last_chunk) - runs * sizeof(uint64_t),
		       it.returned, sizeof(uint64_t));
	}
	sl_dir_store(a, job->last_chunk,
		     (struct sl_arena_chunk){SL_NONE, (uint16_t)job->last_bytes, (uint16_t)runs});
	return 0;
}

void sl_batch_compress_cancel(struct sl_arena *a, struct sl_batch_compression *job)
{
	sl_chain_give(a, job->first_chunk);
	job->first_chunk = job->last_chunk = SL_NONE;
}

static int seal_raw(struct sl_arena *a, struct sl_batch_compression *job)
{
	sl_batch_compress_cancel(a, job);
	sl_batch_seal(a, job->batch);
	return 0;
}

static int seal_compressed(struct sl_arena *a, struct sl_batch_compression *job)
{
	struct sl_arena_batch *b = &a->batches[job->batch];

	if (runs_copy(a, job) < 0)
		return seal_raw(a, job);
	b->chain[1] = (struct sl_arena_chain){
		.first_chunk = job->first_chunk,
		.bytes_codec = sl_chain_pack(job->out_bytes, sl_codec_number(job->codec)),
	};
	SL_ORDER();
	b->payload_crc = job->crc;
	SL_ORDER();
	b->frozen_sum = sl_batch_frozen_sum(b, 1);
	sl_life_store(b, (struct sl_life){.state = SL_BATCH_SEALED,
					  .selector = 1,
					  .pid_slot = SL_ARENA_PID_NONE});
	sl_chain_give(a, b->chain[0].first_chunk);
	sl_budget_hold(a, job->batch, sl_batch_chunks(a, job->batch));
	return 0;
}

/* One call of the codec: a piece of input, into what is left of the last chunk. As sl_codec_step(),
 * or -ENOSPC. */
static int codec_call(struct sl_arena *a, struct sl_batch_compression *job, uint32_t *budget)
{
	struct sl_codec_io io;
	uint32_t piece = a->dir[job->in_chunk].bytes - job->in_offset;
	uint8_t *out;
	uint32_t given, room;
	int rc;

	if ((job->last_chunk == SL_NONE || job->last_bytes == a->chunk_bytes) &&
	    out_chunk_add(a, job, 0) < 0)
		return -ENOSPC;
	given = piece < *budget ? piece : *budget;
	room = a->chunk_bytes - job->last_bytes;
	out = a->base + sl_arena_chunk_offset(a, job->last_chunk) + job->last_bytes;
	io = (struct sl_codec_io){
		.in = a->base + sl_arena_chunk_offset(a, job->in_chunk) + job->in_offset,
		.in_bytes = given,
		.out = out,
		.out_bytes = room,
	};
	rc = sl_codec_step(job->codec, &io, given == job->in_left);
	given -= io.in_bytes;
	room -= io.out_bytes;
	job->in_left -= given;
	job->in_offset += given;
	*budget -= given;
	job->crc = sl_crc32c(job->crc, out, room);
	job->last_bytes += room;
	job->out_bytes += room;
	if (job->in_offset == a->dir[job->in_chunk].bytes && job->in_left > 0)
		in_chunk_set(job, a->dir[job->in_chunk].next);
	return rc;
}

int sl_batch_compress_step(struct sl_arena *a, struct sl_batch_compression *job)
{
	uint32_t budget = SL_CODEC_STEP_BYTES;
	uint32_t raw_bytes = sl_batch_bytes(a, job->batch);

	while (budget > 0) {
		int rc = codec_call(a, job, &budget);

		if (rc < 0 || job->out_bytes >= raw_bytes)
			return seal_raw(a, job);
		if (rc == 0)
			return seal_compressed(a, job);
	}
	return 1;
}
