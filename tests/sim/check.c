/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/check.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/wire/error_code.h"
#include "tests/sim/sim.h"

void check_arenas(struct sim *sim)
{
	for (uint32_t i = 0; i < sim->box.worker_count; i++) {
		struct sl_error err = {0};

		if (sl_arena_check(sim->box.workers[i].arena, false, &err) < 0)
			sim_violation(sim, "arena of worker %u: %s", i, err.text);
	}
}

void check_at_rest(struct sim *sim)
{
	check_arenas(sim);
	for (uint32_t i = 0; i < sim->box.worker_count; i++) {
		const struct sl_arena *arena = sim->box.workers[i].arena;
		const struct sl_worker_stats *s = sl_worker_stats(sim->box.workers[i].worker);

		if (s->queued != 0)
			sim_violation(sim, "worker %u: all is told and %" PRIu64 " are queued", i,
				      s->queued);
		if (arena->chunks_free != arena->chunk_count ||
		    arena->batches_free != arena->batch_count)
			sim_violation(sim, "worker %u: %u of %u chunks, %u of %u batches are free",
				      i, arena->chunks_free, arena->chunk_count,
				      arena->batches_free, arena->batch_count);
	}
}

/* ---- what lies in the logs ---- */

struct last { /* of one ring in one partition */
	uint32_t seq_next;
};

static void entry_count(struct sim *sim, uint32_t life, uint32_t part,
			const struct log_entry *entry, struct last *lasts)
{
	const struct cluster *cluster = &sim->cluster;
	const struct model_topic *topic = &cluster->topics[life];
	const struct model_batch *batch = &cluster->batches[entry->batch];
	bool strict = topic_strict(&sim->world.topics[topic->spec]);

	/* What went down with its topic counts for nothing, and the agent's order over that is not
	 * promised. */
	if (topic->deleted)
		return;
	strict = strict && !sim->faults.counts[FAULT_TOPIC_AGAIN];
	for (uint32_t i = 0; i < batch->count; i++) {
		struct model_id id = cluster->ids[batch->first_id + i];
		struct record *record = ledger_record(sim, id.book, id.seq);
		struct last *last = &lasts[id.book];
		int64_t offset = entry->base_offset + i;

		if (strict && record->found > 0)
			sim_violation(sim,
				      "ring %u record %u lies twice: partition %d offset %" PRId64
				      " and partition %u offset %" PRId64 " of topic %u",
				      id.book, id.seq, record->found_partition,
				      record->found_offset, part, offset, topic->spec);
		/* Without idempotence a resend may repeat what came before, never overtake. */
		if (id.seq < last->seq_next &&
		    (strict || (record->found == 0 && !sim->faults.counts[FAULT_TOPIC_AGAIN])))
			sim_violation(sim,
				      "ring %u record %u lies behind record %u: topic %u partition "
				      "%u offset %" PRId64,
				      id.book, id.seq, last->seq_next - 1, topic->spec, part,
				      offset);
		if (id.seq >= last->seq_next)
			last->seq_next = id.seq + 1;
		record->found++;
		/* The one that was reported, where there are several. */
		if (record->found == 1 ||
		    (record->offset == offset && record->partition == (int32_t)part)) {
			record->found_partition = (int32_t)part;
			record->found_offset = offset;
		}
	}
}

static const struct replica *committed(struct sim *sim, const struct model_topic *topic,
				       uint32_t index)
{
	const struct part *part = &topic->parts[index];
	const struct replica *best = &part->at[part->leader < 0 ? 0 : part->leader];

	/* Nobody mends a topic that is gone: the longest log of it counts. */
	for (uint32_t b = 0; topic->deleted && b < sim->world.broker_count; b++)
		if (part->at[b].high_watermark > best->high_watermark)
			best = &part->at[b];
	return best;
}

static void logs_count(struct sim *sim)
{
	struct last *lasts = calloc(SIM_BOOKS_MAX, sizeof(*lasts));

	for (uint32_t t = 0; t < sim->cluster.topic_count; t++) {
		const struct model_topic *topic = &sim->cluster.topics[t];

		for (uint32_t i = 0; i < topic->part_count; i++) {
			const struct replica *log = committed(sim, topic, i);

			memset(lasts, 0, SIM_BOOKS_MAX * sizeof(*lasts));
			for (uint32_t e = 0; e < log->count; e++)
				entry_count(sim, t, i, &log->entries[e], lasts);
		}
	}
	free(lasts);
}

/* ---- what was told ---- */

static bool any_fault(const struct sim *sim)
{
	for (uint32_t i = 0; i < FAULT_COUNT; i++)
		if (sim->faults.counts[i])
			return true;
	return sim->faults.failing || sim->faults.doubt;
}

static void persisted_check(struct sim *sim, uint32_t book, uint32_t seq,
			    const struct record *record)
{
	const struct sim_topic_spec *spec = &sim->world.topics[record->topic];

	if (spec->acks == 0)
		sim_violation(sim, "ring %u record %u: acks 0, and persisted is told", book, seq);
	if (record->error != 0)
		sim_violation(sim, "ring %u record %u: persisted with error %d", book, seq,
			      record->error);
	/* With acks 1 a leader may fall before anybody has copied it; a topic that is deleted takes
	 * all with it. */
	if (spec->acks == 1 || sim->faults.counts[FAULT_TOPIC_AGAIN])
		return;
	if (record->found == 0)
		sim_violation(sim,
			      "LOST: ring %u record %u of topic %u was told persisted at partition "
			      "%d offset %" PRId64 " and is nowhere",
			      book, seq, record->topic, record->partition, record->offset);
	if (record->partition != record->found_partition ||
	    (record->offset >= 0 && record->offset != record->found_offset))
		sim_violation(sim,
			      "ring %u record %u: told partition %d offset %" PRId64
			      ", lies in partition %d at %" PRId64,
			      book, seq, record->partition, record->offset, record->found_partition,
			      record->found_offset);
	if (record->offset < 0 && !sim->faults.doubt)
		sim_violation(sim, "ring %u record %u: no offset, and nothing went wrong", book,
			      seq);
}

/* A narrow pipe may not carry a large request within the request timeout, without any fault. */
static bool may_doubt(const struct sim *sim)
{
	return sim->faults.doubt || sim->world.window_bytes || sim->world.send_step;
}

static void record_check(struct sim *sim, uint32_t book, uint32_t seq, const struct record *record)
{
	const struct sim_topic_spec *spec = &sim->world.topics[record->topic];

	switch (record->outcome) {
	case SLUICE_PERSISTED:
		persisted_check(sim, book, seq, record);
		break;
	case SLUICE_FAILED:
		if (record->found > 0)
			sim_violation(sim,
				      "ring %u record %u was told failed (%d) and lies in topic %u "
				      "partition %d at %" PRId64,
				      book, seq, record->error, record->topic,
				      record->found_partition, record->found_offset);
		if (!any_fault(sim))
			sim_violation(sim, "ring %u record %u failed (%d), and nothing went wrong",
				      book, seq, record->error);
		break;
	case SLUICE_UNKNOWN:
		if (!may_doubt(sim) && spec->acks != 0)
			sim_violation(sim,
				      "ring %u record %u is unknown (%d), and nothing that may "
				      "leave a doubt happened",
				      book, seq, record->error);
		break;
	default:
		break;
	}
}

static void book_check(struct sim *sim, uint32_t index)
{
	struct book *book = &sim->ledger.books[index];
	bool must_lie = book->mode != SLUICE_REPORT_NONE && !book->lost_agent;

	for (uint32_t seq = 0; seq < book->count; seq++) {
		struct record *record = &book->records[seq];

		record_check(sim, index, seq, record);
		/* A topic that was made anew: brokers before 2.8 do not say so, and fewer
		 * partitions than before are not noticed. */
		if (record->probe && !sim->faults.counts[FAULT_TOPIC_AGAIN] &&
		    record->outcome > SLUICE_PERSISTED &&
		    sim->world.topics[record->topic].acks != 0)
			sim_violation(sim,
				      "ring %u record %u was sent when all was mended, and has "
				      "outcome %u (%d)",
				      index, seq, record->outcome, record->error);
		/* In mode errors silence means persisted; of a dead one's records nothing is known.
		 */
		if (record->outcome == 0 && !book->dead && book->mode == SLUICE_REPORT_ALL)
			sim_violation(sim, "ring %u record %u has no outcome", index, seq);
		if (record->outcome == 0 && !book->dead && must_lie &&
		    topic_strict(&sim->world.topics[record->topic]) && record->found == 0 &&
		    !sim->faults.counts[FAULT_TOPIC_AGAIN])
			sim_violation(sim, "LOST: ring %u record %u: no error told and nowhere",
				      index, seq);
		/* Without a fault each record is written, whoever died. */
		if (!any_fault(sim) && record->found != 1)
			sim_violation(sim,
				      "ring %u record %u lies %u times, and nothing went wrong",
				      index, seq, record->found);
	}
}

void check_records(struct sim *sim)
{
	logs_count(sim);
	for (uint32_t i = 0; i < sim->ledger.count; i++)
		book_check(sim, i);
}
