/* SPDX-License-Identifier: Apache-2.0 */
/* A load test: what was asked for, what its threads share, and what came out. */
#ifndef SLUICE_TOOL_BENCH_H
#define SLUICE_TOOL_BENCH_H

#include "tools/sluice/cli.h"
#include "tools/sluice/histogram.h"

struct bench_plan {
	const char *socket, *topic, *json;
	const char *journals; /* NULL: the default folder */
	bool plain;           /* no stamps */
	uint64_t records;     /* 0: until duration_ns is over */
	uint64_t duration_ns; /* 0: until records are sent */
	uint32_t value_bytes, key_bytes;
	uint64_t keys;
	double rate; /* records a second of all threads; 0: as fast as it goes */
	uint32_t threads;
	uint32_t report_mode;
	uint64_t seed;
};

struct bench_result {
	uint64_t records;
	double seconds;
	struct outcome_counts counts;
	struct histogram latency;
	double stamp_ns; /* of the application's, a record's stamp; 0 without */
	int64_t application_cpu_ns, agent_cpu_ns; /* -1: not known */
	int error;                                /* negative errno that ended a thread early */
};

/* One producing thread. */
struct bench_thread {
	const struct bench_plan *plan;
	struct sender sender;
	struct stamper stamper;
	uint64_t records, start_ns, stop_ns; /* its share */
	double rate;
	uint64_t sent;
	uint64_t seed, key; /* key: index of the next one */
	uint64_t *sent_at_ns; /* of sampled records, by their number */
	uint64_t now_ns;      /* while reports are read */
	uint8_t *keys, *values;
	struct histogram latency;
	struct outcome_counts counts;
	int error;
};

/* Allocates what the thread needs; 0 or -ENOMEM. */
int bench_thread_prepare(struct bench_thread *t);
void bench_thread_free(struct bench_thread *t);

/* Sends its share and waits for every outcome. A pthread's function; arg is a struct bench_thread. */
void *bench_thread_run(void *arg);

/* Writes the result: for people to stdout, as JSON to plan->json. False: the file could not be written. */
bool bench_report(const struct bench_plan *plan, const struct bench_result *result);

#endif
