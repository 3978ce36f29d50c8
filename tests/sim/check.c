/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/wire/error_code.h"
#include "dataplane/worker/ledger.h"
#include "tests/sim/sim.h"

int __real_sl_arena_load(struct sl_arena **out, const struct sl_arena_options *opts,
			 const char *path, struct sl_arena_loaded *loaded, struct sl_error *err);
int __wrap_sl_arena_load(struct sl_arena **out, const struct sl_arena_options *opts,
			 const char *path, struct sl_arena_loaded *loaded, struct sl_error *err);

/* No order of deaths damages an arena, nor makes it another's. */
int __wrap_sl_arena_load(struct sl_arena **out, const struct sl_arena_options *opts,
			 const char *path, struct sl_arena_loaded *loaded, struct sl_error *err)
{
	int rc = __real_sl_arena_load(out, opts, path, loaded, err);

	if (rc < 0 && rc != -ENOENT)
		sim_violation(sim_current, "the arena that an agent left: %d %s", rc, err->text);
	if (rc == 0 && loaded->condemned + loaded->lost + loaded->slots_lost > 0)
		sim_violation(sim_current,
			      "the arena that an agent left: %u batches condemned, %u lost, %u "
			      "slots lost",
			      loaded->condemned, loaded->lost, loaded->slots_lost);
	if (rc == 0)
		TRACE(sim_current, "loaded: {} records in {} open, {} sealed, {} sent, {} resolved",
		      (int64_t)loaded->records, loaded->open, loaded->sealed, loaded->sent,
		      loaded->resolved);
	return rc;
}

void check_arena_loaded(struct sim *sim, uint32_t worker)
{
	struct sl_error err = {0};

	if (sl_arena_check(sim->box.workers[worker].arena, false, &err) < 0)
		sim_violation(sim, "arena of worker %u, loaded: %s", worker, err.text);
}

void check_arenas(struct sim *sim)
{
	for (uint32_t i = 0; i < sim->box.worker_count; i++) {
		struct sl_error err = {0};

		if (sl_arena_check(sim->box.workers[i].arena, false, &err) < 0)
			sim_violation(sim, "arena of worker %u: %s", i, err.text);
	}
}

static bool counts_same(const struct sl_counts *a, const struct sl_counts *b)
{
	return a->persisted == b->persisted && a->failed == b->failed && a->unknown == b->unknown &&
	       a->queued == b->queued;
}

/* Totals are counted apart from the rows: by partition, by broker and by ring they are the same. */
static bool books_add_up(struct sl_worker *worker, uint32_t topics)
{
	const struct sl_worker_cut *cut = sl_worker_cut(worker);
	struct sl_counts partitions = {0}, brokers = {0}, rings = {0};

	sl_worker_cut_make(worker);
	sl_counts_add(&partitions, &cut->unplaced);
	for (uint32_t i = 0; i < cut->partition_count; i++)
		sl_counts_add(&partitions, &cut->partitions[i].counts);
	for (uint32_t i = 0; i < topics; i++)
		partitions.failed += cut->rejected[i];
	for (uint32_t i = 0; i <= cut->broker_count; i++)
		sl_counts_add(&brokers, &cut->brokers[i]);
	sl_counts_add(&rings, &cut->not_told);
	for (uint32_t i = 0; i < cut->ring_count; i++)
		sl_counts_add(&rings, &cut->rings[i].counts);
	/* The rest are rings that have gone. */
	return counts_same(&partitions, &cut->total) && counts_same(&brokers, &cut->total) &&
	       rings.persisted <= cut->total.persisted && rings.failed <= cut->total.failed &&
	       rings.unknown <= cut->total.unknown &&
	       rings.queued <= cut->total.queued + sl_counts_in(&cut->not_told);
}

void check_books(struct sim *sim, uint32_t worker)
{
	if (!books_add_up(sim->box.workers[worker].worker, sim->box.agent.topics.count))
		sim_violation(sim, "worker %u: its books do not add up", worker);
}

void check_at_rest(struct sim *sim)
{
	check_arenas(sim);
	for (uint32_t i = 0; i < sim->box.worker_count; i++) {
		const struct sl_arena *arena = sim->box.workers[i].arena;
		const struct sl_worker_stats *s = sl_worker_stats(sim->box.workers[i].worker);

		check_books(sim, i);
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

static bool box_ended(const struct sim *sim)
{
	return sim->box.kills + sim->box.stops > 0;
}

/* With acks=0 nobody waits for what was on a connection that broke: its broker may take it after
 * what went over the next. */
static bool cut_loose(const struct sim *sim, uint32_t spec)
{
	const uint64_t *counts = sim->faults.counts;

	return sim->world.topics[spec].acks == 0 &&
	       (counts[FAULT_RESET] || counts[FAULT_CUT_ANSWER] || counts[FAULT_LOSE_ANSWER]);
}

struct last { /* of one ring in one partition */
	uint32_t seq_next;
};

static void entry_count(struct sim *sim, uint32_t life, uint32_t part,
			const struct log_entry *entry, struct last *lasts)
{
	const struct cluster *cluster = &sim->cluster;
	const struct model_topic *topic = &cluster->topics[life];
	const struct model_batch *batch = &cluster->batches[entry->batch];
	bool promised = topic_strict(&sim->world.topics[topic->spec]);

	/* What went down with its topic counts for nothing, and the agent's order over that is not
	 * promised. */
	if (topic->deleted)
		return;
	promised = promised && !sim->faults.counts[FAULT_TOPIC_AGAIN];
	for (uint32_t i = 0; i < batch->count; i++) {
		struct model_id id = cluster->ids[batch->first_id + i];
		struct record *record = ledger_record(sim, id.book, id.seq);
		struct last *last = &lasts[id.book];
		int64_t offset = entry->base_offset + i;
		/* See struct book: what comes of it is a ring that is read anew. */
		bool again = sim->ledger.books[id.book].given_up;
		bool strict = promised && !again;
		/* Without numbers nothing holds back what a dead agent had asked. */
		bool late = (box_ended(sim) && !topic_strict(&sim->world.topics[topic->spec])) ||
			    cut_loose(sim, topic->spec);

		if (strict && record->found > 0)
			sim_violation(sim,
				      "ring %u record %u lies twice: partition %d offset %" PRId64
				      " and partition %u offset %" PRId64 " of topic %u",
				      id.book, id.seq, record->found_partition,
				      record->found_offset, part, offset, topic->spec);
		/* Without idempotence a resend may repeat what came before, never overtake. */
		if (id.seq < last->seq_next && (strict || (record->found == 0 && !again && !late &&
							   !sim->faults.counts[FAULT_TOPIC_AGAIN])))
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

/* The delivery timeout runs on while a new agent finds its brokers again. */
static bool time_may_run_out(const struct sim *sim)
{
	return sim->world.delivery_timeout_ms < 20000;
}

/*
 * Where an outcome may be unknown though no connection broke: a narrow pipe may not carry a large
 * request within the request timeout. And section 6, rules 4 and 5: what a dead agent had asked may
 * yet be executed, so a refusal of that batch after the load proves nothing.
 */
static bool may_doubt(const struct sim *sim)
{
	return sim->faults.doubt || sim->world.window_bytes || sim->world.send_step ||
	       (box_ended(sim) && sim->faults.failing) || (box_ended(sim) && time_may_run_out(sim));
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
	if (record->offset < 0 && !may_doubt(sim))
		sim_violation(sim, "ring %u record %u: no offset, and nothing went wrong", book,
			      seq);
}

/* All was well, but brokers could not keep up. A deadline is its batch's, so a record may be
 * younger than it. */
static bool too_slow(const struct sim *sim, const struct record *record)
{
	return sim->ledger.overdue && record->outcome == SLUICE_FAILED &&
	       record->error == SL_KAFKA_REQUEST_TIMED_OUT;
}

static void record_check(struct sim *sim, uint32_t book, uint32_t seq, const struct record *record)
{
	bool given_up = sim->ledger.books[book].given_up;
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
		if (!faults_harmful(sim) && !may_doubt(sim) && !too_slow(sim, record))
			sim_violation(sim, "ring %u record %u failed (%d), and nothing went wrong",
				      book, seq, record->error);
		break;
	case SLUICE_UNKNOWN:
		/* Section 7: without numbers nobody can say what became of a batch that was SENT
		 * when its agent died. */
		if (!may_doubt(sim) && spec->acks != 0 && !given_up &&
		    !(box_ended(sim) && !spec->idempotent))
			sim_violation(sim,
				      "ring %u record %u is unknown (%d), and nothing that may "
				      "leave a doubt happened",
				      book, seq, record->error);
		break;
	default:
		break;
	}
}

/* Each record is written, whoever died. */
static bool exact(const struct sim *sim)
{
	return !faults_harmful(sim) && !(box_ended(sim) && time_may_run_out(sim)) &&
	       !sim->world.window_bytes && !sim->world.send_step;
}

/* ended: this record of a ring, or one before it, lies nowhere. */
static void exact_check(struct sim *sim, uint32_t index, uint32_t seq, bool ended)
{
	const struct book *book = &sim->ledger.books[index];
	const struct record *record = &book->records[seq];
	const struct sim_topic_spec *spec = &sim->world.topics[record->topic];

	if (record->found == 1 && (!ended || !book->unkept || !topic_strict(spec)))
		return;
	/* What was under way without numbers when its agent died is not sent again. */
	if (record->found == 0 && !topic_strict(spec) && box_ended(sim))
		return;
	if (record->found > 1 && book->given_up)
		return;
	if (record->found == 0 && (book->unkept || too_slow(sim, record)))
		return;
	sim_violation(
		sim,
		"ring %u record %u lies %u times%s, and nothing went wrong but that processes "
		"died",
		index, seq, record->found, ended && record->found ? " behind a lost one" : "");
}

static void book_check(struct sim *sim, uint32_t index)
{
	struct book *book = &sim->ledger.books[index];
	bool must_lie = book->mode != SLUICE_REPORT_NONE && !book->given_up;
	bool ended = false;

	for (uint32_t seq = 0; seq < book->count; seq++) {
		const struct record *record = &book->records[seq];

		record_check(sim, index, seq, record);
		/* A topic that was made anew: brokers before 2.8 do not say so, and fewer
		 * partitions than before are not noticed. */
		/* Nor where brokers forgot its producer: a leader that has fallen may have written
		 * it, and the next one cannot tell (section 6, rule 4). */
		bool forgotten = sim->faults.counts[FAULT_DAY] && record->outcome == SLUICE_UNKNOWN;
		/* Nor where nobody may ask what a leader has: an answer of one that was deposed
		 * leaves a doubt. */
		forgotten |= (sim->world.release < 2 || sim->world.read_refused) &&
			     record->outcome == SLUICE_UNKNOWN;

		if (record->probe && !forgotten && !sim->faults.counts[FAULT_TOPIC_AGAIN] &&
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
		ended |= record->found == 0 && topic_strict(&sim->world.topics[record->topic]);
		if (exact(sim))
			exact_check(sim, index, seq, ended);
	}
}

/* Deaths alone cost no other producer id. Epochs may move: a partition that nothing needs is
 * dropped at load, and one that is made again starts above. */
static void numbers_check(struct sim *sim)
{
	int64_t known[SIM_WORKERS_MAX] = {-1, -1};

	for (uint32_t i = 0; i < sim->cluster.batch_count; i++) {
		const struct model_batch *batch = &sim->cluster.batches[i];
		uint32_t w = 0;

		if (batch->producer_id < 0)
			continue;
		while (w < sim->world.worker_count && known[w] >= 0 &&
		       known[w] != batch->producer_id)
			w++;
		if (w == sim->world.worker_count)
			sim_violation(sim,
				      "producer id %" PRId64
				      " epoch %d came up, and nothing went wrong but that "
				      "processes died",
				      batch->producer_id, batch->producer_epoch);
		known[w] = batch->producer_id;
	}
}

void check_records(struct sim *sim)
{
	/* One that stops with an empty arena leaves none: the next gets another id. */
	if (exact(sim) && sim->box.stops == 0)
		numbers_check(sim);
	logs_count(sim);
	for (uint32_t i = 0; i < sim->ledger.count; i++)
		book_check(sim, i);
}
