/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a broker looks at in the record batch of a Produce request, by its own reading: the client
 * library's codec is not used here, so that a mistake in one does not hide in the other. Single
 * thread. Source: Kafka documentation, "Record Batch"; Kafka's LogValidator.
 */
#ifndef SL_DEVBROKER_RECORDS_H
#define SL_DEVBROKER_RECORDS_H

#include "tools/devbroker/errors.h"
#include "tools/devbroker/inflate.h"

/* Why a batch is refused, for the response and for the log. */
struct sl_db_refusal {
	int16_t error;        /* Kafka's */
	int32_t record_index; /* the record at fault, where a broker names it; else -1 */
	char text[120];
};

struct sl_db_batch {
	struct sl_slice whole;
	struct sl_slice payload;
	enum sl_codec_id codec;
	int64_t base_timestamp_ms;
	int64_t max_timestamp_ms;
	int64_t producer_id;
	int16_t producer_epoch;
	int32_t base_sequence;
	uint32_t record_count;
};

struct sl_db_rules {
	uint32_t batch_bytes_max; /* max.message.bytes */
	int64_t timestamp_ms_max; /* latest that is accepted */
	bool compacted;           /* keys must not be null */
	bool before_2_4;          /* knows no error 87: answers 2 */
};

/* Called for each record; offset_delta and timestamp are its own. Returns false to stop. */
typedef bool (*sl_db_record_fn)(void *ctx, int64_t timestamp_ms, int32_t offset_delta);

/* Notes why and returns error. */
int16_t sl_db_refuse(struct sl_db_refusal *why, int16_t error, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Reads and checks the header, CRC included, of records that must be one batch. 0 or an error. */
int16_t sl_db_batch_open(struct sl_slice records, const struct sl_db_rules *rules,
			 struct sl_db_batch *out, struct sl_db_refusal *why);

/* Decompresses and walks every record. 0 or an error. */
int16_t sl_db_batch_walk(const struct sl_db_batch *batch, const struct sl_db_rules *rules,
			 struct sl_db_inflater *inflater, struct sl_db_refusal *why);

/* Visits the records of a batch that was checked when it was appended. */
void sl_db_batch_visit(const void *batch, struct sl_db_inflater *inflater, sl_db_record_fn fn,
		       void *ctx);

#endif
