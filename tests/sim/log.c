/* SPDX-License-Identifier: Apache-2.0 */
/* One replica's log: appending, cutting, following a leader, and what its producers' state is then.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/batch/codec.h"
#include "dataplane/wire/error_code.h"
#include "tests/sim/sim.h"

static void entry_add(struct sim *sim, struct replica *replica, const struct log_entry *entry)
{
	const struct model_batch *batch = &sim->cluster.batches[entry->batch];

	if (replica->count == replica->room) {
		replica->room = replica->room * 2 + 64;
		replica->entries =
			realloc(replica->entries, replica->room * sizeof(*replica->entries));
		if (!replica->entries)
			sim_violation(sim, "no memory");
	}
	replica->entries[replica->count++] = *entry;
	replica->end_offset = entry->base_offset + batch->count;
	producer_note(sim, replica, batch, entry->base_offset);
}

int64_t log_append(struct sim *sim, struct replica *replica, uint32_t batch, int32_t epoch)
{
	struct log_entry entry = {batch, epoch, replica->end_offset};

	entry_add(sim, replica, &entry);
	return entry.base_offset;
}

static void producers_forget(struct replica *replica)
{
	for (uint32_t i = 0; i < MODEL_PRODUCERS_MAX; i++)
		replica->producers[i].id = -1;
}

static void state_rebuild(struct sim *sim, struct replica *replica, bool keep_window)
{
	producers_forget(replica);
	for (uint32_t i = 0; i < replica->count; i++) {
		const struct log_entry *entry = &replica->entries[i];
		const struct model_batch *batch = &sim->cluster.batches[entry->batch];

		if (batch->producer_id < 0 ||
		    entry->base_offset + batch->count <= replica->start_offset)
			continue;
		if (!keep_window)
			producer_forget(replica, batch->producer_id);
		producer_note(sim, replica, batch, entry->base_offset);
	}
}

/* By the time of the newest batch, which is its records' and not the broker's. */
static void producers_expire(struct sim *sim, struct replica *replica)
{
	int64_t now_ms = sim_realtime_ms(sim);

	for (uint32_t i = 0; i < MODEL_PRODUCERS_MAX; i++)
		if (now_ms - replica->producers[i].last_timestamp_ms >= MODEL_EXPIRY_MS)
			replica->producers[i].id = -1;
}

static void windows_cut(struct replica *replica)
{
	for (uint32_t i = 0; i < MODEL_PRODUCERS_MAX; i++) {
		struct model_producer *producer = &replica->producers[i];

		if (producer->id >= 0) {
			producer->window[0] = producer->window[producer->window_count - 1];
			producer->window_count = 1;
		}
	}
}

static void replay(struct sim *sim, struct replica *replica)
{
	producers_forget(replica);
	for (uint32_t i = 0; i < replica->count; i++)
		producer_note(sim, replica, &sim->cluster.batches[replica->entries[i].batch],
			      replica->entries[i].base_offset);
}

void log_keep(struct replica *replica)
{
	replica->kept_start = replica->start_offset;
	replica->kept = true;
}

/*
 * After a clean stop from the snapshot that it took, which knows producers whose batches
 * DeleteRecords took; else from all that still lies in the segments, what is below the log's start
 * included. A snapshot where the log begins is thrown away.
 */
void log_reload(struct sim *sim, struct replica *replica)
{
	replica->start_offset = replica->kept_start;
	if (replica->end_offset == replica->start_offset)
		producers_forget(replica);
	else if (!replica->kept)
		replay(sim, replica);
	replica->kept = false;
	windows_cut(replica);
	producers_expire(sim, replica);
}

int16_t log_delete(struct replica *replica, int64_t offset)
{
	if (offset == -1)
		offset = replica->high_watermark;
	if (offset < 0 || offset > replica->high_watermark)
		return SL_KAFKA_OFFSET_OUT_OF_RANGE;
	if (offset > replica->start_offset)
		replica->start_offset = offset;
	return 0;
}

void log_truncate(struct sim *sim, struct replica *replica, uint32_t count, bool keep_window)
{
	if (count == replica->count)
		return;
	sim->cluster.truncated += replica->count - count;
	replica->count = count;
	replica->end_offset = 0;
	if (count > 0) {
		const struct log_entry *last = &replica->entries[count - 1];

		replica->end_offset = last->base_offset + sim->cluster.batches[last->batch].count;
	}
	if (replica->high_watermark > replica->end_offset)
		sim_violation(sim, "the model lost committed records: its own mistake");
	state_rebuild(sim, replica, keep_window);
}

bool log_follow(struct sim *sim, struct replica *replica, const struct replica *leader)
{
	uint32_t same = 0;
	bool moved = false;

	if (replica->fetch_epoch != leader->epoch) {
		while (same < replica->count && same < leader->count &&
		       replica->entries[same].batch == leader->entries[same].batch &&
		       replica->entries[same].leader_epoch == leader->entries[same].leader_epoch)
			same++;
		log_truncate(sim, replica, same, sim_chance(sim, 50));
		replica->fetch_epoch = leader->epoch;
		moved = true;
	}
	while (replica->count < leader->count) {
		entry_add(sim, replica, &leader->entries[replica->count]);
		moved = true;
	}
	if (replica->high_watermark < leader->high_watermark &&
	    replica->end_offset >= leader->high_watermark)
		replica->high_watermark = leader->high_watermark;
	return moved;
}

/* ---- what is in a batch ---- */

static void id_add(struct sim *sim, uint32_t book, uint32_t seq)
{
	struct cluster *cluster = &sim->cluster;

	if (cluster->id_count == cluster->id_room) {
		cluster->id_room = cluster->id_room * 2 + 1024;
		cluster->ids = realloc(cluster->ids, cluster->id_room * sizeof(*cluster->ids));
		if (!cluster->ids)
			sim_violation(sim, "no memory");
	}
	cluster->ids[cluster->id_count++] = (struct model_id){book, seq};
}

static struct sl_slice field(struct sim *sim, const uint8_t **p, const uint8_t *end)
{
	int32_t bytes = 0;
	struct sl_slice out = SL_SLICE_NULL;

	*p = *p ? sl_varint32_get(*p, end, &bytes) : NULL;
	if (!*p || bytes < -1 || bytes > end - *p)
		sim_violation(sim, "a broker got a record with a length that cannot be");
	if (bytes >= 0) {
		out = (struct sl_slice){*p, (uint32_t)bytes};
		*p += bytes;
	}
	return out;
}

static const uint8_t *record_note(struct sim *sim, uint32_t spec, int32_t partition,
				  const uint8_t *p, const uint8_t *end, int32_t index)
{
	int32_t length = 0, offset_delta = -1, headers = -1;
	int64_t time_delta = 0;
	uint32_t book, seq;
	struct sl_slice key, value;
	const uint8_t *body = sl_varint32_get(p, end, &length);

	if (!body || length < 6 || length > end - body)
		sim_violation(sim, "a broker got a record of impossible length");
	end = body + length;
	p = sl_varint64_get(body + 1, end, &time_delta);
	p = p ? sl_varint32_get(p, end, &offset_delta) : NULL;
	key = field(sim, &p, end);
	value = field(sim, &p, end);
	p = sl_varint32_get(p, end, &headers);
	if (*body != 0 || offset_delta != index || headers != 0 || p != end)
		sim_violation(sim, "a broker got a malformed record (index %d)", index);
	ledger_identify(sim, spec, partition, key, value, &book, &seq);
	id_add(sim, book, seq);
	return end;
}

static uint32_t *bucket_of(struct sim *sim, const struct sl_batch_view *view)
{
	uint64_t key = (uint64_t)view->producer_id << 32 ^ (uint64_t)view->producer_epoch << 40 ^
		       (uint32_t)view->base_sequence;

	key *= UINT64_C(0x9e3779b97f4a7c15);
	return &sim->cluster.by_numbers[key >> 32 & (MODEL_BUCKETS - 1)];
}

void batch_same_check(struct sim *sim, uint32_t spec, int32_t partition,
		      const struct sl_batch_view *view)
{
	for (uint32_t at = *bucket_of(sim, view); at != 0;) {
		const struct model_batch *batch = &sim->cluster.batches[at - 1];

		at = batch->same_hash;
		if (batch->producer_id != view->producer_id ||
		    batch->producer_epoch != view->producer_epoch ||
		    batch->base_sequence != view->base_sequence || batch->spec != spec ||
		    batch->partition != partition)
			continue;
		if (batch->count != (uint32_t)view->record_count || batch->crc != view->crc)
			sim_violation(
				sim,
				"topic %u partition %d: producer id %" PRId64
				" epoch %d sequence %d was written with %u records, and comes "
				"again with %d and other bytes",
				spec, partition, view->producer_id, view->producer_epoch,
				view->base_sequence, batch->count, view->record_count);
	}
}

uint32_t batch_note(struct sim *sim, uint32_t spec, int32_t partition,
		    const struct sl_batch_view *view)
{
	struct cluster *cluster = &sim->cluster;
	const uint8_t *p = view->payload, *end = p + view->payload_bytes;
	uint8_t *plain = NULL;
	size_t bytes = 0;
	uint32_t *bucket;

	if (view->codec != SL_CODEC_NONE) {
		if (sl_codec_decompress(view->codec, p, view->payload_bytes, 16 << 20, &plain,
					&bytes) != 0)
			sim_violation(sim, "a broker cannot decompress a batch");
		p = plain;
		end = p + bytes;
	}
	if (cluster->batch_count == cluster->batch_room) {
		cluster->batch_room = cluster->batch_room * 2 + 256;
		cluster->batches =
			realloc(cluster->batches, cluster->batch_room * sizeof(*cluster->batches));
		if (!cluster->batches)
			sim_violation(sim, "no memory");
	}
	cluster->batches[cluster->batch_count] = (struct model_batch){
		.producer_id = view->producer_id,
		.producer_epoch = view->producer_epoch,
		.base_sequence = view->base_sequence,
		.count = (uint32_t)view->record_count,
		.first_id = cluster->id_count,
		.max_timestamp_ms = view->max_timestamp_ms,
		.crc = view->crc,
		.spec = spec,
		.partition = partition,
	};
	bucket = bucket_of(sim, view);
	cluster->batches[cluster->batch_count].same_hash = *bucket;
	*bucket = cluster->batch_count + 1;
	for (int32_t i = 0; i < view->record_count; i++)
		p = record_note(sim, spec, partition, p, end, i);
	if (p != end)
		sim_violation(sim, "a batch holds more bytes than records");
	free(plain);
	return cluster->batch_count++;
}
