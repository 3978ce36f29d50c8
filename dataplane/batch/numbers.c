/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers and outcomes: what idempotence needs of a batch's life. */
#include <errno.h>

#include "dataplane/batch/arena_internal.h"
#include "dataplane/batch/batch.h"

static struct sl_partition_seq partition_seq(const struct sl_arena_partition *p)
{
	return sl_partition_seq_unpack(atomic_load_explicit(&p->seq, memory_order_relaxed));
}

static void partition_seq_store(struct sl_arena_partition *p, struct sl_partition_seq seq)
{
	SL_ORDER();
	atomic_store_explicit(&p->seq, sl_partition_seq_pack(seq), memory_order_relaxed);
	SL_ORDER(); /* before the next life of a batch of it, and before any request */
}

static void attempt_count(struct sl_arena_batch *b)
{
	if (b->attempts < UINT16_MAX)
		b->attempts++;
}

int sl_batch_number(struct sl_arena *a, uint32_t batch, uint32_t pid_slot, uint32_t now_realtime_s)
{
	struct sl_arena_batch *b = &a->batches[batch];
	struct sl_life life = sl_life_load(b);
	struct sl_arena_partition *p = &a->partitions[b->partition];
	struct sl_partition_seq seq;

	SL_ASSERT(life.state == SL_BATCH_SEALED && b->partition < a->partition_count);
	life.state = SL_BATCH_SENT;
	life.pid_slot = pid_slot;
	life.epoch = UINT16_MAX;
	life.base_seq = UINT32_MAX;
	if (pid_slot != SL_ARENA_PID_NONE) {
		SL_ASSERT(pid_slot < SL_ARENA_PIDS && a->header->pids[pid_slot].producer_id >= 0);
		if (partition_seq(p).pid_slot != pid_slot &&
		    sl_partition_pid_move(a, p, pid_slot) < 0)
			return -EOVERFLOW;
		seq = partition_seq(p);
		life.epoch = seq.epoch;
		life.base_seq = seq.next_seq;
	}
	if (b->first_sent_realtime_s == 0)
		b->first_sent_realtime_s = now_realtime_s;
	attempt_count(b);
	sl_life_store(
		b, life); /* recovery derives next_seq from this when the next store is missing */
	if (pid_slot != SL_ARENA_PID_NONE) {
		seq.next_seq = sl_seq_add(seq.next_seq, sl_batch_records(a, batch));
		partition_seq_store(p, seq);
	}
	return 0;
}

void sl_batch_resent(struct sl_arena *a, uint32_t batch)
{
	SL_ASSERT(sl_life_load(&a->batches[batch]).state == SL_BATCH_SENT);
	attempt_count(&a->batches[batch]);
}

void sl_batch_unnumber(struct sl_arena *a, uint32_t batch)
{
	struct sl_arena_batch *b = &a->batches[batch];
	struct sl_life life = sl_life_load(b);

	SL_ASSERT(life.state == SL_BATCH_SENT);
	sl_life_store(b, (struct sl_life){.state = SL_BATCH_SEALED,
					  .selector = life.selector,
					  .pid_slot = SL_ARENA_PID_NONE});
}

int sl_partition_epoch_bump(struct sl_arena *a, uint32_t partition_slot)
{
	struct sl_arena_partition *p = &a->partitions[partition_slot];
	struct sl_partition_seq seq = partition_seq(p);

	SL_ASSERT(partition_slot < a->partition_count);
	if (seq.epoch >= SL_EPOCH_MAX)
		return -EOVERFLOW;
	seq.epoch++;
	seq.next_seq = 0;
	partition_seq_store(p, seq);
	return 0;
}

void sl_batch_resolve(struct sl_arena *a, uint32_t batch, enum sl_outcome outcome, int16_t error,
		      int64_t base_offset)
{
	struct sl_arena_batch *b = &a->batches[batch];
	struct sl_life life;

	if (sl_life_load(b).state == SL_BATCH_OPEN)
		sl_batch_seal(a, batch);
	life = sl_life_load(b);
	SL_ASSERT(life.state == SL_BATCH_SEALED || life.state == SL_BATCH_SENT);
	b->error = sl_error_pack(outcome, error);
	b->base_offset = base_offset;
	life.state = SL_BATCH_RESOLVED;
	sl_life_store(b, life);
	sl_budget_hold(a, batch, 0);
}
