/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a broken broker does to batches that it acknowledges: loses one, keeps one twice, or keeps
 * two in the wrong order. For tests of what reads back. Single thread.
 */
#ifndef SL_DEVBROKER_LIE_H
#define SL_DEVBROKER_LIE_H

#include "tools/devbroker/broker.h"

/* Appends a checked batch, or does with it what a fault says. Returns the base offset to answer. */
int64_t sl_db_lie_append(struct sl_db *db, struct sl_db_partition *partition, struct sl_slice batch,
			 uint32_t record_count);

/* Forgets a batch that still waits for a later one. */
void sl_db_lie_fini(struct sl_db_held *held);

#endif
