/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/ledger.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/client/sluice.h"
#include "dataplane/wire/error_code.h"
#include "tests/sim/sim.h"

void ledger_fini(struct sim *sim)
{
	for (uint32_t i = 0; i < sim->ledger.count; i++)
		free(sim->ledger.books[i].records);
}

uint32_t ledger_book_new(struct sim *sim, uint32_t app, uint32_t ring, uint32_t life, uint32_t mode)
{
	struct book *book = &sim->ledger.books[sim->ledger.count];

	if (sim->ledger.count == SIM_BOOKS_MAX)
		sim_violation(sim, "the simulator has no room for more rings");
	*book = (struct book){.app = app, .ring = ring, .life = life, .mode = mode};
	return sim->ledger.count++;
}

struct record *ledger_record(struct sim *sim, uint32_t book, uint64_t seq)
{
	struct ledger *ledger = &sim->ledger;

	if (book >= ledger->count || seq >= ledger->books[book].count)
		sim_violation(sim, "record %" PRIu64 " of ring %u was never sent", seq, book);
	return &ledger->books[book].records[seq];
}

struct record *ledger_next(struct sim *sim, uint32_t index)
{
	struct book *book = &sim->ledger.books[index];

	if (book->count == book->room) {
		book->room = book->room * 2 + 256;
		book->records = realloc(book->records, book->room * sizeof(*book->records));
		if (!book->records)
			sim_violation(sim, "no memory");
	}
	book->records[book->count] =
		(struct record){.wanted = -1, .partition = -1, .offset = -1, .found_partition = -1};
	return &book->records[book->count];
}

void ledger_sent(struct sim *sim, uint32_t index, uint64_t seq)
{
	struct book *book = &sim->ledger.books[index];

	if (seq != book->count)
		sim_violation(sim, "ring %u: record %u got the number %" PRIu64, index, book->count,
			      seq);
	book->records[seq].sent_ns = sim->now_ns;
	book->count++;
	sim->ledger.sent++;
}

static uint32_t mix(uint32_t book, uint32_t seq)
{
	uint32_t v = (book + 1) * UINT32_C(0x9e3779b1) ^ seq * UINT32_C(0x85ebca77);

	v ^= v >> 15;
	v *= UINT32_C(0xc2b2ae3d);
	return v ^ v >> 13;
}

uint32_t ledger_key(uint32_t book, uint32_t seq, uint32_t keys, char key[SIM_KEY_BYTES_MAX])
{
	uint32_t number = mix(book, seq) % keys;

	return (uint32_t)snprintf(key, SIM_KEY_BYTES_MAX, "key-%u", number);
}

void ledger_value(uint32_t book, uint32_t seq, uint8_t *value, uint32_t bytes)
{
	uint32_t word = mix(book, seq);

	memcpy(value, &book, 4);
	memcpy(value + 4, &seq, 4);
	for (uint32_t i = SIM_VALUE_BYTES_MIN; i < bytes; i++)
		value[i] = (uint8_t)(word + i / 3);
}

static void told_one(struct sim *sim, uint32_t index, uint64_t seq, uint16_t outcome, int16_t error,
		     int32_t partition, int64_t offset)
{
	struct book *book = &sim->ledger.books[index];
	struct record *record = ledger_record(sim, index, seq);

	/* The library keeps no map of what it told in the modes that do not tell all: there a RESET
	 * names records again. */
	if (outcome == SLUICE_UNKNOWN && error == 0 && partition < 0 && book->given_up &&
	    book->mode != SLUICE_REPORT_ALL)
		return;
	if (record->outcome != 0)
		sim_violation(sim,
			      "ring %u record %" PRIu64
			      " was reported twice: outcome %u error %d, then %u error %d",
			      index, seq, record->outcome, record->error, outcome, error);
	if (outcome < SLUICE_PERSISTED || outcome > SLUICE_UNKNOWN)
		sim_violation(sim, "ring %u record %" PRIu64 " has outcome %u", index, seq,
			      outcome);
	record->outcome = (uint8_t)outcome;
	record->error = error;
	if (outcome == SLUICE_FAILED && error == SL_KAFKA_REQUEST_TIMED_OUT &&
	    sim->now_ns - record->sent_ns >= sim->world.delivery_timeout_ms * SL_NS_PER_MS)
		sim->ledger.overdue = true;
	record->partition = partition;
	record->offset = offset;
	book->told++;
	book->told_persisted += outcome == SLUICE_PERSISTED;
	book->told_failed += outcome == SLUICE_FAILED;
	book->told_unknown += outcome == SLUICE_UNKNOWN;
}

void ledger_told(struct sim *sim, uint32_t book, uint64_t first, uint64_t count, uint16_t outcome,
		 int16_t error, int32_t partition, int64_t base_offset)
{
	TRACE(sim, "ring {} told: records {} +{} outcome {} error {} partition {} offset {}", book,
	      (int64_t)first, (int64_t)count, outcome, error, partition, base_offset);
	for (uint64_t i = 0; i < count; i++)
		told_one(sim, book, first + i, outcome, error, partition,
			 base_offset < 0 ? -1 : base_offset + (int64_t)i);
}

void ledger_identify(struct sim *sim, uint32_t topic, int32_t partition, struct sl_slice key,
		     struct sl_slice value, uint32_t *book, uint32_t *seq)
{
	static uint8_t expected[SIM_VALUE_BYTES_LIMIT];
	char expected_key[SIM_KEY_BYTES_MAX];
	const struct record *record;
	uint32_t key_bytes;

	if (!value.data || value.bytes < SIM_VALUE_BYTES_MIN || value.bytes > sizeof(expected))
		sim_violation(sim, "a broker got a value of %u bytes", value.bytes);
	memcpy(book, value.data, 4);
	memcpy(seq, (const uint8_t *)value.data + 4, 4);
	record = ledger_record(sim, *book, *seq);
	ledger_value(*book, *seq, expected, value.bytes);
	if (value.bytes != record->value_bytes || memcmp(expected, value.data, value.bytes) != 0)
		sim_violation(sim, "ring %u record %u arrived torn (%u of %u bytes)", *book, *seq,
			      value.bytes, record->value_bytes);
	if ((key.data != NULL) != record->keyed)
		sim_violation(sim, "ring %u record %u: key lost or found", *book, *seq);
	if (record->keyed) {
		key_bytes = ledger_key(*book, *seq, sim->world.keys, expected_key);
		if (key.bytes != key_bytes || memcmp(key.data, expected_key, key_bytes) != 0)
			sim_violation(sim, "ring %u record %u arrived with another key", *book,
				      *seq);
	}
	if (record->topic != topic || (record->wanted >= 0 && record->wanted != partition))
		sim_violation(sim, "ring %u record %u for topic %u partition %d came to %u/%d",
			      *book, *seq, record->topic, record->wanted, topic, partition);
}
