/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulator's own book of records: what was committed to which ring, what the library reported,
 * and what brokers appended. It never reads the code under test's memory.
 */
#ifndef SL_SIM_LEDGER_H
#define SL_SIM_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/wire/buf.h"

struct sim;

enum { SIM_BOOKS_MAX = 96, SIM_VALUE_BYTES_MIN = 8, SIM_KEY_BYTES_MAX = 16 };

struct record {
	uint8_t topic;   /* of the world */
	uint8_t outcome; /* enum sluice_outcome, 0: not told */
	bool keyed;
	bool probe; /* sent when all was mended: it has to be persisted */
	uint64_t sent_ns;
	int16_t error;
	int32_t wanted;    /* partition that was asked for, or -1 */
	int32_t partition; /* as told */
	int64_t offset;    /* as told, or -1 */
	uint32_t value_bytes;
	uint32_t appended; /* times a broker wrote it to its log as a leader */
	uint32_t found;    /* times in the logs that count at the end */
	int32_t found_partition;
	int64_t found_offset;
};

/* One ring of one life of an application. */
struct book {
	uint32_t app, ring, life, mode; /* mode: enum sluice_report_mode */
	bool dead;     /* its application died or closed: nobody reads its reports */
	bool poisoned; /* not expected: a violation */
	/*
	 * Without a keeper, and its application did not come back in time: the arena's evidence was
	 * given up. A library that comes later has what it had open told unknown, and goes on where
	 * S says, which may be before what is in the arena: both are allowed by arena.md,
	 * section 12.
	 */
	bool given_up;
	/*
	 * Without a keeper, and its application was dead while no agent had the ring: what it had
	 * committed and no agent had read is gone. Section 2 allows exactly that: the end of a
	 * ring.
	 */
	bool unkept;
	struct record *records;
	uint32_t count, room;
	uint32_t told, told_failed, told_unknown, told_persisted;
};

struct ledger {
	struct book books[SIM_BOOKS_MAX];
	uint32_t count;
	uint64_t sent, appended;
	bool overdue; /* a record failed by its deadline: brokers were too slow for what was sent */
};

void ledger_fini(struct sim *sim);
uint32_t ledger_book_new(struct sim *sim, uint32_t app, uint32_t ring, uint32_t life,
			 uint32_t mode);
struct record *ledger_record(struct sim *sim, uint32_t book, uint64_t seq);
/* A record that is about to be committed; it counts once ledger_sent() was called. */
struct record *ledger_next(struct sim *sim, uint32_t book);
void ledger_sent(struct sim *sim, uint32_t book, uint64_t seq);

/* What a record's key and value are: functions of its number alone. */
uint32_t ledger_key(uint32_t book, uint32_t seq, uint32_t keys, char key[SIM_KEY_BYTES_MAX]);
void ledger_value(uint32_t book, uint32_t seq, uint8_t *value, uint32_t bytes);

/* A report of count records from first on. */
void ledger_told(struct sim *sim, uint32_t book, uint64_t first, uint64_t count, uint16_t outcome,
		 int16_t error, int32_t partition, int64_t base_offset);

/* A broker is about to append this record: whose is it? A violation when it is nobody's, torn, or
 * in the wrong place. */
void ledger_identify(struct sim *sim, uint32_t topic, int32_t partition, struct sl_slice key,
		     struct sl_slice value, uint32_t *book, uint32_t *seq);

#endif
