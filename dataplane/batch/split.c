/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/batch/split.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/base/crc32c.h"
#include "dataplane/base/varint.h"
#include "dataplane/batch/arena_internal.h"
#include "dataplane/batch/expand.h"
#include "dataplane/wire/record.h"

enum { SLACK_BYTES = 64 };

struct sl_splitter {
	struct sl_expander *expander;
	uint8_t *flat;   /* the records of the batch, side by side */
	uint8_t *packed; /* the same, compressed */
	uint64_t *second;
	uint32_t records_max;
};

/* A piece that is being written. Its descriptor stays FREE until it is whole. */
struct piece {
	uint32_t batch, first_chunk, chunk;
	uint32_t bytes, runs; /* in the last chunk */
	uint32_t total_bytes, total_runs, records, crc;
	uint32_t run_ring;
	uint64_t run_next_seq;
	int64_t max_ts;
};

static uint64_t words(uint32_t records)
{
	return ((uint64_t)records + 63) / 64;
}

uint64_t sl_splitter_memory_bytes(uint32_t batch_bytes_max, uint32_t batch_records_max)
{
	return sizeof(struct sl_splitter) + sl_expander_memory_bytes() +
	       2 * ((uint64_t)batch_bytes_max + SLACK_BYTES) +
	       words(batch_records_max) * sizeof(uint64_t);
}

int sl_splitter_create(struct sl_splitter **out, const struct sl_arena *a, struct sl_error *err)
{
	struct sl_splitter *s = calloc(1, sizeof(*s));

	if (s) {
		s->records_max = a->batch_records_max;
		s->flat = calloc(1, (size_t)a->batch_bytes_max + SLACK_BYTES);
		s->packed = calloc(1, (size_t)a->batch_bytes_max + SLACK_BYTES);
		s->second = calloc(words(s->records_max), sizeof(uint64_t));
	}
	if (!s || !s->flat || !s->packed || !s->second ||
	    sl_expander_create(&s->expander, err) < 0) {
		sl_splitter_destroy(s);
		return sl_error_set(err, -ENOMEM, "memory for cutting batches");
	}
	*out = s;
	return 0;
}

void sl_splitter_destroy(struct sl_splitter *s)
{
	if (!s)
		return;
	sl_expander_destroy(s->expander);
	free(s->flat);
	free(s->packed);
	free(s->second);
	free(s);
}

uint64_t *sl_splitter_second(struct sl_splitter *s)
{
	memset(s->second, 0, words(s->records_max) * sizeof(uint64_t));
	return s->second;
}

static void gather(const struct sl_arena *a, uint32_t chunk, uint8_t *to)
{
	for (; chunk != SL_NONE; chunk = a->dir[chunk].next) {
		memcpy(to, a->base + sl_arena_chunk_offset(a, chunk), a->dir[chunk].bytes);
		to += a->dir[chunk].bytes;
	}
}

/* The records into s->flat. */
static int records_read(const struct sl_arena *a, struct sl_splitter *s, uint32_t batch)
{
	const struct sl_arena_batch *b = &a->batches[batch];
	const struct sl_arena_chain *chain = &b->chain[sl_life_load(b).selector];
	uint32_t codec = sl_chain_codec(chain->bytes_codec);

	gather(a, chain->first_chunk, codec ? s->packed : s->flat);
	if (codec == 0)
		return 0;
	return sl_expand(s->expander, codec, s->packed, sl_chain_bytes(chain->bytes_codec), s->flat,
			 sl_batch_bytes(a, batch));
}

static bool chosen(const struct sl_splitter *s, uint32_t index)
{
	return s->second[index / 64] >> (index % 64) & 1;
}

static int piece_begin(struct sl_arena *a, struct piece *p)
{
	*p = (struct piece){.run_ring = SL_NONE, .max_ts = INT64_MIN, .first_chunk = SL_NONE};
	if (a->batches_free == 0 || a->chunks_free == 0)
		return -ENOSPC;
	p->batch = a->batch_stack[--a->batches_free];
	p->first_chunk = p->chunk = sl_chunk_take(a);
	return 0;
}

static void chunk_close(struct sl_arena *a, const struct piece *p, uint32_t next)
{
	sl_dir_store(a, p->chunk,
		     (struct sl_arena_chunk){next, (uint16_t)p->bytes, (uint16_t)p->runs});
}

static int chunk_next(struct sl_arena *a, struct piece *p)
{
	uint32_t chunk;

	if (a->chunks_free == 0)
		return -ENOSPC;
	chunk = sl_chunk_take(a);
	chunk_close(a, p, chunk);
	p->chunk = chunk;
	p->bytes = p->runs = 0;
	return 0;
}

static uint32_t room(const struct sl_arena *a, const struct piece *p)
{
	return a->chunk_bytes - p->bytes - p->runs * (uint32_t)sizeof(uint64_t);
}

/* Where the record came from, in the chunk where its first byte will lie. */
static int run_put(struct sl_arena *a, struct piece *p, uint32_t ring, uint64_t seq)
{
	bool tomb = ring == SL_RUN_RING_TOMB;
	uint64_t run = sl_run_pack(seq, p->records, ring);

	if (p->run_ring == ring && (tomb || p->run_next_seq == seq)) {
		p->run_next_seq = seq + 1;
		return 0;
	}
	if (room(a, p) <= sizeof(run) && chunk_next(a, p) < 0)
		return -ENOSPC;
	p->runs++;
	p->total_runs++;
	memcpy(a->base + sl_chunk_end(a, p->chunk) - p->runs * sizeof(run), &run, sizeof(run));
	p->run_ring = ring;
	p->run_next_seq = seq + 1;
	return 0;
}

static int bytes_put(struct sl_arena *a, struct piece *p, const uint8_t *from, uint32_t bytes)
{
	p->crc = sl_crc32c(p->crc, from, bytes);
	p->total_bytes += bytes;
	while (bytes > 0) {
		uint32_t n = room(a, p) < bytes ? room(a, p) : bytes;

		if (n == 0) {
			if (chunk_next(a, p) < 0)
				return -ENOSPC;
			continue;
		}
		memcpy(a->base + sl_arena_chunk_offset(a, p->chunk) + p->bytes, from, n);
		p->bytes += n;
		from += n;
		bytes -= n;
	}
	return 0;
}

/* A record of the batch: what stands behind its offset delta is kept. */
struct part {
	int64_t time_delta;
	const uint8_t *tail;
	uint32_t tail_bytes;
};

static const uint8_t *part_read(const uint8_t *p, const uint8_t *end, struct part *out)
{
	int32_t body_bytes, index;
	const uint8_t *record_end;

	p = sl_varint32_get(p, end, &body_bytes);
	if (!p || body_bytes < 1 || body_bytes > end - p)
		return NULL;
	record_end = p + body_bytes;
	p = sl_varint64_get(p + 1, record_end, &out->time_delta);
	p = p ? sl_varint32_get(p, record_end, &index) : NULL;
	if (!p)
		return NULL;
	out->tail = p;
	out->tail_bytes = (uint32_t)(record_end - p);
	return record_end;
}

static int record_put(struct sl_arena *a, struct piece *p, const struct part *part,
		      const struct sl_batch_run *run, uint32_t nth, int64_t base_ts)
{
	uint8_t head[SL_RECORD_HEAD_BYTES_MAX];
	uint8_t *end =
		sl_record_head_put(head, part->tail_bytes, part->time_delta, (int32_t)p->records);
	uint32_t ring = run->tomb ? SL_RUN_RING_TOMB : run->ring;

	if (run_put(a, p, ring, run->tomb ? 0 : run->first_seq + nth) < 0 ||
	    bytes_put(a, p, head, (uint32_t)(end - head)) < 0 ||
	    bytes_put(a, p, part->tail, part->tail_bytes) < 0)
		return -ENOSPC;
	p->records++;
	if (base_ts + part->time_delta > p->max_ts)
		p->max_ts = base_ts + part->time_delta;
	return 0;
}

/* Each record with its run into the piece that was chosen for it. */
static int records_share(struct sl_arena *a, struct sl_splitter *s, uint32_t batch,
			 struct piece pieces[2], bool one)
{
	const uint8_t *at = s->flat, *end = s->flat + sl_batch_bytes(a, batch);
	struct sl_batch_run_iter it;
	struct sl_batch_run run;
	int rc = 0;

	sl_batch_runs_begin(a, batch, &it);
	while (rc == 0 && sl_batch_runs_next(&it, &run)) {
		for (uint32_t i = 0; rc == 0 && i < run.count; i++) {
			bool second = !one && chosen(s, run.first_index + i);
			struct part part;

			at = part_read(at, end, &part);
			rc = at ? record_put(a, &pieces[second], &part, &run, i,
					     a->batches[batch].base_ts)
				: -EBADMSG;
		}
	}
	return rc == 0 && at != end ? -EBADMSG : rc;
}

/* Everything of the descriptor but its life. */
static void piece_describe(struct sl_arena *a, const struct piece *p,
			   const struct sl_arena_batch *from, uint32_t index_first,
			   uint32_t sibling)
{
	struct sl_arena_batch *b = &a->batches[p->batch];
	struct sl_arena_batch fields = {
		.max_ts = p->max_ts,
		.base_ts = from->base_ts,
		.turn_tag = from->turn_tag,
		.run_ring = SL_NONE,
		.chain = {{p->first_chunk, sl_chain_pack(p->total_bytes, 0)}, {SL_NONE, 0}},
		.birth = from->birth + index_first,
		.deadline_up_ns = from->deadline_up_ns,
		.partition = from->partition,
		.sibling = sibling,
		.base_offset = -1,
		.payload_crc = p->crc,
		.attempts = from->attempts,
		.first_sent_realtime_s = from->first_sent_realtime_s,
	};

	chunk_close(a, p, SL_NONE);
	atomic_init(&fields.tail, (uint64_t)p->total_bytes | p->records * SL_TAIL_ONE_RECORD |
					  p->total_runs * SL_TAIL_ONE_RUN);
	memcpy((uint8_t *)b + sizeof(b->life), (uint8_t *)&fields + sizeof(b->life),
	       sizeof(fields) - sizeof(b->life));
	SL_ORDER();
	b->frozen_sum = sl_batch_frozen_sum(b, 0);
	a->links[p->batch] = (struct sl_batch_link){.last_chunk = p->chunk};
}

static void pieces_give_back(struct sl_arena *a, struct piece *pieces, uint32_t count)
{
	while (count-- > 0) {
		if (pieces[count].first_chunk == SL_NONE)
			continue;
		chunk_close(a, &pieces[count], SL_NONE);
		sl_chain_give(a, pieces[count].first_chunk);
		a->batch_stack[a->batches_free++] = pieces[count].batch;
	}
}

/* The pieces take the batch's place: they are there for recovery from its REPLACED on. */
static void replace(struct sl_arena *a, uint32_t batch, const struct piece *pieces, uint32_t count)
{
	struct sl_arena_batch *b = &a->batches[batch];
	struct sl_life old = sl_life_load(b), life = old;
	uint32_t live = atomic_load_explicit(&a->header->live_count, memory_order_relaxed);
	uint32_t i;

	life.state = SL_BATCH_SHADOW;
	life.selector = 0;
	for (i = 0; i < count; i++) {
		sl_life_store(&a->batches[pieces[i].batch], life);
		if (life.pid_slot != SL_ARENA_PID_NONE)
			life.base_seq = sl_seq_add(life.base_seq, pieces[i].records);
	}
	sl_life_store(b, (struct sl_life){.state = SL_BATCH_REPLACED,
					  .selector = old.selector,
					  .pid_slot = SL_ARENA_PID_NONE,
					  .base_seq = pieces[0].batch});
	for (i = 0; i < count; i++) {
		life = sl_life_load(&a->batches[pieces[i].batch]);
		life.state = SL_BATCH_SENT;
		sl_life_store(&a->batches[pieces[i].batch], life);
	}
	sl_life_store(b, (struct sl_life){.state = SL_BATCH_FREE});
	atomic_store_explicit(&a->header->live_count, live + count - 1, memory_order_relaxed);
	sl_chain_give(a, b->chain[old.selector].first_chunk);
	a->batch_stack[a->batches_free++] = batch;
}

/* How many pieces the choice makes: records on both sides, or one. */
static uint32_t piece_count(const struct sl_splitter *s, uint32_t records)
{
	uint32_t i;

	for (i = 1; i < records; i++)
		if (chosen(s, i) != chosen(s, 0))
			return 2;
	return 1;
}

int sl_batch_split(struct sl_arena *a, struct sl_splitter *s, uint32_t batch, uint32_t pieces[2])
{
	struct piece made[2] = {{.first_chunk = SL_NONE}, {.first_chunk = SL_NONE}};
	uint32_t count = piece_count(s, sl_batch_records(a, batch)), i;
	int rc = 0;

	SL_ASSERT(sl_life_load(&a->batches[batch]).state == SL_BATCH_SENT);
	if (records_read(a, s, batch) < 0)
		return -EBADMSG;
	for (i = 0; rc == 0 && i < count; i++)
		rc = piece_begin(a, &made[i]);
	if (rc == 0)
		rc = records_share(a, s, batch, made, count == 1);
	if (rc < 0) {
		pieces_give_back(a, made, count);
		return rc;
	}
	for (i = count; i-- > 0;)
		piece_describe(a, &made[i], &a->batches[batch], i > 0 ? made[0].records : 0,
			       i + 1 < count ? made[i + 1].batch : SL_NONE);
	replace(a, batch, made, count);
	sl_budget_hold(a, batch, 0);
	for (i = 0; i < count; i++) {
		pieces[i] = made[i].batch;
		sl_budget_hold(a, pieces[i], sl_batch_chunks(a, pieces[i]));
	}
	return (int)count;
}
