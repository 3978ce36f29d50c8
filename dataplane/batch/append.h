/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one step that happens for each record: from the application's ring into a batch. Inline;
 * touches one line of the descriptor, the payload and, when the record does not continue the last
 * run, eight bytes of origin.
 */
#ifndef SL_BATCH_APPEND_H
#define SL_BATCH_APPEND_H

#include <errno.h>
#include <string.h>

#include "dataplane/base/varint.h"
#include "dataplane/batch/arena.h"

struct sl_batch_record {
	uint32_t ring; /* slot */
	uint64_t seq;  /* in the ring */
	int64_t timestamp_ms;
	const uint8_t *tail; /* in the application's memory, which may change meanwhile: copied
				once, checked on the copy */
	uint32_t tail_bytes;
};

enum {
	SL_RECORD_HEAD_BYTES_MAX =
		5 + 1 + 10 + 3,       /* length, attributes, timestamp delta, offset delta */
	SL_RECORD_TAIL_BYTES_MIN = 3, /* no key, no value, no headers */
	SL_APPEND_ROOM_BYTES =
		16, /* behind a record on the fast path: its run, and the head's spill */
};

/* The cases that the fast path leaves: records that span chunks, chunks that are full, long heads.
 * Same returns. */
int sl_batch_append_slow(struct sl_arena *a, uint32_t batch, const struct sl_batch_record *r);

/* -1 unless tail is key, value and headers of a v2 record that end exactly at bytes. Reads nothing
 * outside. */
int sl_batch_tail_check(const uint8_t *tail, uint32_t bytes);

/*
 * Appends to an OPEN batch that is not being compressed.
 *   0
 *   -E2BIG     the batch would exceed batch_bytes_max or batch_records_max: seal it and open
 * another -EMSGSIZE  not even an empty batch could hold this record -ENOSPC    no chunk outside the
 * reserve; nothing is stored -EBADMSG   the tail is malformed; nothing is stored
 */
static inline int sl_batch_append(struct sl_arena *a, uint32_t batch,
				  const struct sl_batch_record *r)
{
	return sl_batch_append_slow(a, batch, r);
}

#endif
