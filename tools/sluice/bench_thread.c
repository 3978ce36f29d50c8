/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/sluice/bench.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dataplane/base/clock.h"

enum {
	SAMPLE_SHIFT = 6, /* the time of every 64th record is taken: a clock costs more than a send */
	SAMPLES = 1 << 17,
	VALUES_BYTES = 64 * 1024,
	RECORDS_A_LOOK = 256, /* sent between two looks at the clock and the reports */
	IDLE_NS = 20 * 1000,
};

static void random_fill(uint8_t *to, uint64_t bytes, uint64_t *seed)
{
	uint64_t i;

	for (i = 0; i < bytes; i += 8) {
		uint64_t word = sl_random_next(seed);

		memcpy(to + i, &word, bytes - i < 8 ? bytes - i : 8);
	}
}

int bench_thread_prepare(struct bench_thread *t)
{
	const struct bench_plan *plan = t->plan;
	uint64_t key_seed = plan->seed; /* all threads use the same keys */

	t->sent_at_ns = calloc(SAMPLES, sizeof(*t->sent_at_ns));
	t->keys = malloc(plan->keys * plan->key_bytes + 8);
	t->values = malloc(VALUES_BYTES + plan->value_bytes);
	if (!t->sent_at_ns || !t->keys || !t->values)
		return -ENOMEM;
	random_fill(t->keys, plan->keys * plan->key_bytes, &key_seed);
	random_fill(t->values, VALUES_BYTES + plan->value_bytes, &t->seed);
	return 0;
}

void bench_thread_free(struct bench_thread *t)
{
	free(t->sent_at_ns);
	free(t->keys);
	free(t->values);
}

static void reported(void *arg, const struct sluice_report *report)
{
	struct bench_thread *t = arg;
	uint64_t end = report->first_seq + report->count;
	uint64_t seq = (report->first_seq + (1 << SAMPLE_SHIFT) - 1) >> SAMPLE_SHIFT << SAMPLE_SHIFT;

	for (; seq < end; seq += 1 << SAMPLE_SHIFT)
		histogram_add(&t->latency, t->now_ns - t->sent_at_ns[seq >> SAMPLE_SHIFT & (SAMPLES - 1)], 1);
}

static void reports_read(struct bench_thread *t)
{
	t->now_ns = sl_clock_monotonic_ns();
	sender_reports(&t->sender);
}

static int send_some(struct bench_thread *t, uint64_t count)
{
	const struct bench_plan *plan = t->plan;
	struct sluice_record record = {.key_bytes = (int32_t)plan->key_bytes, .value_bytes = (int32_t)plan->value_bytes};
	uint64_t end = t->sent + count;
	int rc;

	/* What is sent together has one timestamp: Kafka's have milliseconds. */
	record.timestamp_ms = (int64_t)(sl_clock_realtime_ns() / SL_NS_PER_MS);
	for (; t->sent < end; t->sent++) {
		if ((t->sent & ((1 << SAMPLE_SHIFT) - 1)) == 0)
			t->sent_at_ns[t->sent >> SAMPLE_SHIFT & (SAMPLES - 1)] = sl_clock_monotonic_ns();
		if (plan->key_bytes > 0) {
			/* Random keys, one after the other: jumping about in them would measure this cache's misses. */
			record.key = t->keys + t->key * plan->key_bytes;
			t->key = t->key + 1 < plan->keys ? t->key + 1 : 0;
		}
		record.value = t->values + (t->sent * 64 & (VALUES_BYTES - 1));
		rc = sender_send(&t->sender, &record);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* How many are due by now, at most what a look allows; 0: wait. */
static uint64_t due(const struct bench_thread *t, uint64_t now_ns)
{
	uint64_t left = t->records > 0 ? t->records - t->sent : UINT64_MAX;
	uint64_t count = RECORDS_A_LOOK;

	if (t->rate > 0) {
		double scheduled = (double)(now_ns - t->start_ns) * 1e-9 * t->rate;

		count = scheduled > (double)t->sent ? (uint64_t)scheduled - t->sent : 0;
		count = count < RECORDS_A_LOOK ? count : RECORDS_A_LOOK;
	}
	return count < left ? count : left;
}

static bool over(const struct bench_thread *t, uint64_t now_ns)
{
	return interrupted || (t->records > 0 && t->sent >= t->records) || (t->stop_ns > 0 && now_ns >= t->stop_ns);
}

static void produce(struct bench_thread *t)
{
	struct timespec pause = {0, IDLE_NS};
	uint64_t now_ns = sl_clock_monotonic_ns();
	uint64_t count;

	while (t->error == 0 && !over(t, now_ns)) {
		count = due(t, now_ns);
		if (count > 0)
			t->error = send_some(t, count);
		reports_read(t);
		if (count == 0)
			nanosleep(&pause, NULL);
		now_ns = sl_clock_monotonic_ns();
	}
}

/* The last reports: looked at often, so that their latency is theirs and not our pause's. */
static void settle(struct bench_thread *t)
{
	uint64_t give_up_ns = sl_clock_monotonic_ns() + t->sender.timeout_ns;
	struct sluice_stats stats;
	int rc = sluice_flush(t->sender.ring, 1);

	while ((rc == -ETIMEDOUT || rc == -ENOBUFS) && sl_clock_monotonic_ns() < give_up_ns) {
		reports_read(t);
		rc = sluice_flush(t->sender.ring, 1);
	}
	reports_read(t);
	if (sluice_ring_stats(t->sender.ring, &stats) == 0)
		t->counts = sender_counts(&t->sender);
	sender_end(&t->sender);
}

void *bench_thread_run(void *arg)
{
	struct bench_thread *t = arg;

	t->sender.reported = reported;
	t->sender.arg = t;
	produce(t);
	settle(t);
	return NULL;
}
