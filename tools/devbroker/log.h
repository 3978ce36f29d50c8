/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A partition's log: record batches in memory, in segments that all logs draw from one pool. When
 * the pool's cap is reached the oldest segment of all goes, whichever log it belongs to, and that
 * log's start offset moves. Single thread. Nothing here looks into a batch beyond its header's
 * offset fields, which were checked before.
 */
#ifndef SL_DEVBROKER_LOG_H
#define SL_DEVBROKER_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/wire/buf.h"

struct sl_db_log;

struct sl_db_segment {
	struct sl_db_segment *next;      /* of the same log, younger */
	struct sl_db_segment *pool_prev; /* of all logs, older */
	struct sl_db_segment *pool_next; /* of all logs, younger */
	struct sl_db_log *log;
	int64_t base_offset; /* of its first batch */
	uint32_t used_bytes;
	uint32_t capacity_bytes;
	uint8_t data[];
};

struct sl_db_pool {
	uint64_t bytes; /* capacities of all segments */
	uint64_t bytes_max;
	struct sl_db_segment *oldest;
	struct sl_db_segment *newest;
};

struct sl_db_log {
	struct sl_db_pool *pool;
	struct sl_db_segment *first;
	struct sl_db_segment *last;
	int64_t start_offset;
	int64_t end_offset;
	/* Where a reader that goes on in order will ask next: saves walking the segment again. */
	struct sl_db_segment *hint_segment;
	int64_t hint_offset;
	uint32_t hint_at;
};

void sl_db_log_init(struct sl_db_log *log, struct sl_db_pool *pool);
void sl_db_log_fini(struct sl_db_log *log);

/*
 * Appends a checked batch of record_count records, giving it the next offset and leader_epoch.
 * Returns its base offset. A batch that the cap cannot hold, or for which there is no memory,
 * leaves its offsets only.
 */
int64_t sl_db_log_append(struct sl_db_log *log, struct sl_slice batch, uint32_t record_count,
			 int32_t leader_epoch);

/* Moves the end without keeping anything: what was there before is gone too. */
int64_t sl_db_log_discard(struct sl_db_log *log, uint32_t record_count);

/*
 * Whole batches from the one that holds offset on, at most bytes_max; at_least_one: the first even
 * when it is larger. Contiguous, so it ends with its segment. offset must lie in
 * [start_offset, end_offset]. Valid until the next append anywhere.
 */
struct sl_slice sl_db_log_read(struct sl_db_log *log, int64_t offset, uint32_t bytes_max,
			       bool at_least_one);

#endif
