/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a partition remembers of idempotent producers: for each producer id the epoch and its last
 * five batches. Decides whether a batch is new, a duplicate or out of order, by the rules of
 * Kafka's ProducerAppendInfo and ProducerStateEntry. Single thread.
 */
#ifndef SL_DEVBROKER_PRODUCER_STATE_H
#define SL_DEVBROKER_PRODUCER_STATE_H

#include <stdbool.h>
#include <stdint.h>

enum { SL_DB_PRODUCER_BATCHES_MAX = 5 };

/* Sequences run from 0 to this, then start at 0 again. */
#define SL_DB_SEQUENCE_MAX INT32_MAX

struct sl_db_producer_batch {
	int32_t first_sequence;
	int32_t last_sequence;
	int64_t base_offset;
	int64_t max_timestamp_ms;
};

struct sl_db_producer {
	int64_t id; /* -1: the slot is free */
	int16_t epoch;
	uint16_t batch_count;
	struct sl_db_producer_batch batches[SL_DB_PRODUCER_BATCHES_MAX]; /* oldest first */
};

struct sl_db_producers {
	struct sl_db_producer *slots; /* open addressing, slot_count a power of two */
	uint32_t slot_count;
	uint32_t count;
	bool first_sequence_zero; /* as brokers before 2.5: an unknown producer must start at 0 */
};

/* The part of a batch that this module looks at. */
struct sl_db_claim {
	int64_t producer_id; /* >= 0 */
	int16_t epoch;
	int32_t base_sequence; /* >= 0 */
	uint32_t record_count; /* >= 1 */
	int64_t max_timestamp_ms;
};

void sl_db_producers_init(struct sl_db_producers *producers, bool first_sequence_zero);
void sl_db_producers_fini(struct sl_db_producers *producers);

/* Forgets everybody, as a broker does whose producer ids expired. */
void sl_db_producers_forget(struct sl_db_producers *producers);

/*
 * Returns 0 for a batch that may be appended, or Kafka's error code: 45 out of order sequence, 47
 * invalid producer epoch, 59 unknown producer id. *duplicate points to the batch on record when
 * this one was appended before (then 0 is returned, and nothing may be appended); else NULL.
 */
int16_t sl_db_producers_check(const struct sl_db_producers *producers,
			      const struct sl_db_claim *claim,
			      const struct sl_db_producer_batch **duplicate);

/* Notes a batch that check let pass and the log took. Without memory the producer is not noted. */
void sl_db_producers_note(struct sl_db_producers *producers, const struct sl_db_claim *claim,
			  int64_t base_offset);

/* The sequence that count records after base end with. */
int32_t sl_db_sequence_last(int32_t base, uint32_t count);

#endif
