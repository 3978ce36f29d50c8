/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/devbroker/lie.h"

#include <stdlib.h>

static bool strikes(struct sl_db *db, enum sl_db_lie kind)
{
	struct sl_db_fault_lie *lie = &db->options.faults.lies[kind];

	if (lie->left == 0 || !sl_db_fault_strikes(&db->options.faults, lie->probability))
		return false;
	if (lie->left > 0)
		lie->left--;
	return true;
}

/* Puts the batch aside until the next one has gone before it. False: no memory. */
static bool hold(struct sl_db_held *held, struct sl_slice batch, uint32_t record_count)
{
	held->data = malloc(batch.bytes);
	if (!held->data)
		return false;
	memcpy(held->data, batch.data, batch.bytes);
	held->bytes = batch.bytes;
	held->record_count = record_count;
	return true;
}

int64_t sl_db_lie_append(struct sl_db *db, struct sl_db_partition *partition, struct sl_slice batch,
			 uint32_t record_count)
{
	struct sl_db_log *log = &partition->log;
	struct sl_db_held *held = &partition->held;
	int64_t base_offset = log->end_offset;

	if (strikes(db, SL_DB_LIE_LOSE))
		return base_offset;
	if (!held->data && strikes(db, SL_DB_LIE_SWAP) && hold(held, batch, record_count))
		return base_offset;
	base_offset = sl_db_log_append(log, batch, record_count, partition->leader_epoch);
	if (strikes(db, SL_DB_LIE_DOUBLE))
		sl_db_log_append(log, batch, record_count, partition->leader_epoch);
	if (held->data) {
		sl_db_log_append(log, (struct sl_slice){held->data, held->bytes},
				 held->record_count, partition->leader_epoch);
		sl_db_lie_fini(held);
	}
	return base_offset;
}

void sl_db_lie_fini(struct sl_db_held *held)
{
	free(held->data);
	*held = (struct sl_db_held){0};
}
