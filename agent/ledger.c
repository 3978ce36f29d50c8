/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/ledger.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/admission.h"
#include "agent/agent.h"
#include "agent/segment.h"

uint64_t sl_book_bytes(uint64_t topics, uint64_t partitions, uint64_t segments)
{
	return topics * sizeof(struct sl_book_topic) + partitions * sizeof(struct sl_counts) +
	       SL_BROKERS_MAX * sizeof(struct sl_counts) +
	       segments * sizeof(struct sl_book_application);
}

static bool cut_make(struct sl_agent *agent, uint32_t worker)
{
	if (agent->hooks.worker_cut)
		return agent->hooks.worker_cut(agent->hooks.ctx, worker);
	sl_worker_cut_make(agent->workers[worker].worker);
	return true;
}

/* More than metadata names now, where a topic was made again with fewer. */
static void partitions_size(const struct sl_agent *agent, const struct sl_book *book,
			    const bool *made, uint32_t *sizes)
{
	for (uint32_t t = 0; t < book->topic_count; t++)
		sizes[t] = agent->topics.list[t].known ? agent->topics.list[t].partition_count : 0;
	for (uint32_t w = 0; w < agent->worker_count; w++) {
		const struct sl_worker_cut *cut = sl_worker_cut(agent->workers[w].worker);

		for (uint32_t i = 0; made[w] && i < cut->partition_count; i++) {
			const struct sl_partition_cut *p = &cut->partitions[i];

			if (p->topic < book->topic_count && (uint32_t)p->index >= sizes[p->topic])
				sizes[p->topic] = (uint32_t)p->index + 1;
		}
	}
}

static int memory_take(const struct sl_agent *agent, const bool *made, struct sl_book *book)
{
	uint32_t *sizes = calloc(book->topic_count + 1, sizeof(*sizes));
	uint64_t partitions = 0;
	struct sl_counts *counts;
	char *memory;

	if (!sizes)
		return -ENOMEM;
	partitions_size(agent, book, made, sizes);
	for (uint32_t t = 0; t < book->topic_count; t++)
		partitions += sizes[t];
	memory = calloc(1, sl_book_bytes(book->topic_count, partitions, book->application_count));
	book->memory = memory;
	book->topics = (void *)memory;
	book->applications = (void *)(book->topics + book->topic_count);
	book->brokers = (void *)(book->applications + book->application_count);
	counts = book->brokers + SL_BROKERS_MAX;
	for (uint32_t t = 0; memory && t < book->topic_count; t++) {
		book->topics[t].partitions = counts;
		book->topics[t].partition_count = sizes[t];
		counts += sizes[t];
	}
	free(sizes);
	return memory ? 0 : -ENOMEM;
}

static void partitions_add(struct sl_book *book, const struct sl_worker_cut *cut)
{
	sl_counts_add(&book->no_topic, &cut->unplaced);
	for (uint32_t i = 0; i < cut->partition_count; i++) {
		const struct sl_partition_cut *p = &cut->partitions[i];

		if (p->topic >= book->topic_count) {
			sl_counts_add(&book->no_topic, &p->counts);
			continue;
		}
		sl_counts_add(&book->topics[p->topic].counts, &p->counts);
		sl_counts_add(&book->topics[p->topic].partitions[p->index], &p->counts);
	}
	for (uint32_t t = 0; t < book->topic_count; t++) {
		book->topics[t].rejected += cut->rejected[t];
		book->topics[t].counts.failed += cut->rejected[t];
	}
}

static void cut_add(struct sl_book *book, const struct sl_worker_cut *cut)
{
	sl_counts_add(&book->total, &cut->total);
	sl_counts_add(&book->not_told, &cut->not_told);
	book->unknown_unacked += cut->unknown_unacked;
	partitions_add(book, cut);
	for (uint32_t b = 0; b < cut->broker_count && b < SL_BROKERS_MAX; b++)
		sl_counts_add(&book->brokers[b], &cut->brokers[b]);
	sl_counts_add(&book->no_broker, &cut->brokers[cut->broker_count]);
	for (uint32_t r = 0; r < cut->ring_count; r++)
		if (cut->rings[r].segment < book->application_count)
			sl_counts_add(&book->applications[cut->rings[r].segment].counts,
				      &cut->rings[r].counts);
}

/* What remains of the total when the living are taken off. */
static void gone_find(struct sl_book *book)
{
	book->gone = book->total;
	book->gone.persisted -= book->not_told.persisted;
	book->gone.failed -= book->not_told.failed;
	book->gone.unknown -= book->not_told.unknown;
	book->gone.queued += sl_counts_in(&book->not_told);
	for (uint32_t i = 0; i < book->application_count; i++) {
		const struct sl_counts *counts = &book->applications[i].counts;

		book->gone.persisted -= counts->persisted;
		book->gone.failed -= counts->failed;
		book->gone.unknown -= counts->unknown;
		book->gone.queued -= counts->queued;
	}
}

/* Each word is the application's, and is read once. */
static void dropped_add(const struct sl_agent *agent, struct sl_book *book)
{
	book->gone_dropped = agent->dropped_gone;
	book->dropped = agent->dropped_gone;
	for (uint32_t i = 0; i < book->application_count; i++) {
		uint64_t dropped = sl_agent_segment_dropped(&agent->admission->segments[i]);

		book->applications[i].dropped = dropped;
		book->dropped += dropped;
	}
}

/* Without its cut: what its counters say while it runs. Outcomes first, so that none is not yet
 * consumed. */
static void stats_add(const struct sl_worker_stats *stats, struct sl_counts *total)
{
	uint64_t persisted = atomic_load_explicit(&stats->persisted, memory_order_relaxed);
	uint64_t failed = atomic_load_explicit(&stats->failed, memory_order_relaxed);
	uint64_t unknown = atomic_load_explicit(&stats->unknown, memory_order_relaxed);
	uint64_t settled = persisted + failed + unknown, consumed;

	atomic_thread_fence(memory_order_acquire);
	consumed = atomic_load_explicit(&stats->consumed, memory_order_relaxed);
	total->persisted += persisted;
	total->failed += failed;
	total->unknown += unknown;
	total->queued += consumed > settled ? consumed - settled : 0;
}

int sl_book_open(struct sl_agent *agent, struct sl_book *book)
{
	bool made[SL_CONFIG_WORKERS_MAX];

	memset(book, 0, sizeof(*book));
	book->exact = true;
	book->topic_count = agent->topics.count;
	book->application_count = agent->admission ? agent->admission->segments_max : 0;
	for (uint32_t w = 0; w < agent->worker_count; w++) {
		made[w] = cut_make(agent, w);
		book->exact = book->exact && made[w];
	}
	if (memory_take(agent, made, book) < 0)
		return -ENOMEM;
	for (uint32_t w = 0; w < agent->worker_count; w++) {
		struct sl_worker *worker = agent->workers[w].worker;

		if (made[w])
			cut_add(book, sl_worker_cut(worker));
		else
			stats_add(sl_worker_stats(worker), &book->total);
	}
	gone_find(book);
	dropped_add(agent, book);
	return 0;
}

void sl_book_close(struct sl_book *book)
{
	free(book->memory);
}
