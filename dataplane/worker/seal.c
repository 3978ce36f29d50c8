/* SPDX-License-Identifier: Apache-2.0 */
/* Closing batches: at once, or through the codec in steps that keep a turn short. */
#include "dataplane/worker/internal.h"

static uint32_t wire_bytes(const struct sl_worker *w, uint32_t batch)
{
	return sl_chain_bytes(w->arena->batches[batch].chain[sl_batch_life(w->arena, batch).selector].bytes_codec);
}

static void count_sealed(struct sl_worker *w, uint32_t batch)
{
	STAT_ADD(w->stats.batches_sealed, 1);
	STAT_ADD(w->stats.payload_bytes, sl_batch_bytes(w->arena, batch));
	STAT_ADD(w->stats.wire_payload_bytes, wire_bytes(w, batch));
}

static void compress_push(struct sl_worker *w, uint32_t batch)
{
	w->extras[batch].link = NONE;
	if (w->compress_head == NONE)
		w->compress_head = batch;
	else
		w->extras[w->compress_tail].link = batch;
	w->compress_tail = batch;
}

/* The open batch takes no more records. Behind one that is being compressed it queues too, or order would be lost. */
void sl_partition_seal(struct sl_worker *w, struct partition *p)
{
	uint32_t batch = p->open;

	SL_ASSERT(batch != NONE);
	sl_heap_remove(&w->linger, (uint32_t)(p - w->partitions));
	p->open = NONE;
	p->leave = false;
	if (w->topics[p->topic].settings.codec || p->compressing > 0) {
		p->compressing++;
		compress_push(w, batch);
		return;
	}
	sl_batch_seal(w->arena, batch);
	count_sealed(w, batch);
	sl_ready_push(w, p, batch);
}

static void compressed(struct sl_worker *w, uint32_t batch)
{
	struct partition *p = sl_batch_partition(w, batch);

	p->compressing--;
	count_sealed(w, batch);
	sl_ready_push(w, p, batch);
	sl_partition_update(w, p);
}

/* One bounded step. */
uint32_t sl_compress_turn(struct sl_worker *w)
{
	uint32_t batch;
	struct sl_codec *codec;

	if (w->compressing == NONE) {
		batch = w->compress_head;
		if (batch == NONE)
			return 0;
		w->compress_head = w->extras[batch].link;
		codec = w->topics[sl_batch_partition(w, batch)->topic].settings.codec;
		if (!codec) { /* compression was switched off while it waited */
			sl_batch_seal(w->arena, batch);
			compressed(w, batch);
			return 1;
		}
		sl_batch_compress_begin(w->arena, batch, codec, &w->compression);
		w->compressing = batch;
	}
	if (sl_batch_compress_step(w->arena, &w->compression) == 0) {
		batch = w->compressing;
		w->compressing = NONE;
		compressed(w, batch);
	}
	return 1;
}
