/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The books of all workers together, for `sluice status`: one cut of each (worker/ledger.h says
 * what a cut is and what of it is exact), added up here. With L = the ledger, which is total and
 * dropped:
 *
 *   sum of topics + no_topic                 = total        in persisted, failed, unknown and
 * queued sum of partitions + sum of rejected      = the topics sum of brokers + no_broker = total
 *   sum of applications + gone               = total        but for what is not_told: it is queued
 * with its application, and has its outcome in total sum of dropped + gone_dropped            =
 * dropped: what an application dropped itself never had a topic in = persisted + failed + unknown +
 * dropped + queued    in every row
 *
 * exact says that all workers made their cut. Where one did not answer in time (it is stuck, or
 * ends), the total is read from its counters while it runs, and its parts are missing.
 *
 * `gone` is what remains: applications that have closed or died, and records that an earlier agent
 * had taken from rings that nobody has come back for.
 */
#ifndef SL_AGENT_LEDGER_H
#define SL_AGENT_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/worker/ledger.h"

struct sl_agent;

struct sl_book_topic {
	struct sl_counts counts; /* rejected are among the failed */
	uint64_t rejected;
	struct sl_counts *partitions;
	uint32_t partition_count; /* as many as metadata named, or as records were counted for */
};

struct sl_book_application {
	struct sl_counts counts;
	uint64_t dropped;
};

struct sl_book {
	bool exact;
	struct sl_counts total, not_told, no_topic, no_broker, gone;
	uint64_t dropped, gone_dropped, unknown_unacked;
	struct sl_book_topic *topics; /* by index */
	uint32_t topic_count;
	struct sl_counts *brokers;                /* SL_BROKERS_MAX, by index */
	struct sl_book_application *applications; /* by segment */
	uint32_t application_count;
	/* All memory of it. */
	void *memory;
};

/* Asks the workers. 0 or -ENOMEM. Thread: control; it may wait for the workers, see sl_agent_hooks.
 */
int sl_book_open(struct sl_agent *agent, struct sl_book *book);
void sl_book_close(struct sl_book *book);

/* Bytes that a book takes at most, with so many of each. */
uint64_t sl_book_bytes(uint64_t topics, uint64_t partitions, uint64_t segments);

#endif
