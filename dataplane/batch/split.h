/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A numbered batch that cannot be written as it is, cut into pieces that share out its sequence
 * range: too large for its topic, or with records that the broker refuses. Order of stores and
 * what recovery makes of a cut in between: arena_layout.h, "REPLACED" and "SHADOW". Worker.
 */
#ifndef SL_BATCH_SPLIT_H
#define SL_BATCH_SPLIT_H

#include <stdint.h>

#include "dataplane/base/error.h"
#include "dataplane/batch/batch.h"

struct sl_splitter;

/* For one arena, made by the control thread. 0 or -ENOMEM. */
int sl_splitter_create(struct sl_splitter **out, const struct sl_arena *a, struct sl_error *err);
void sl_splitter_destroy(struct sl_splitter *s);
/* Bytes that create allocates for batches of at most batch_bytes_max and batch_records_max. */
uint64_t sl_splitter_memory_bytes(uint32_t batch_bytes_max, uint32_t batch_records_max);

/*
 * Which records go into the second piece: one bit a record of the largest batch, all clear when it
 * is taken. The caller sets bits, then splits.
 */
uint64_t *sl_splitter_second(struct sl_splitter *s);

static inline void sl_splitter_choose(uint64_t *second, uint32_t index)
{
	second[index / 64] |= UINT64_C(1) << (index % 64);
}

/*
 * The SENT batch is replaced by SENT, uncompressed ones: pieces[0] has the records whose bit is
 * clear, under the batch's base sequence, pieces[1] the others, behind them; order within a piece
 * is kept. Returns how many pieces there are: 1 when all bits are equal (the batch is then only
 * expanded). -ENOSPC: no chunks, reserve included, nothing is changed. -EBADMSG: the payload is not
 * what was sealed, nothing is changed.
 */
int sl_batch_split(struct sl_arena *a, struct sl_splitter *s, uint32_t batch, uint32_t pieces[2]);

#endif
