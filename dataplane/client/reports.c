/* SPDX-License-Identifier: Apache-2.0 */
/* What became of the records: entries in S turned into reports, and the counts. */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dataplane/base/assert.h"
#include "dataplane/client/client.h"

static uint64_t sent_count(const sluice_ring *ring)
{
	return ring->seq;
}

static bool entry_ok(const sluice_ring *ring, const struct sl_report *entry)
{
	uint64_t sent = sent_count(ring);

	if (entry->kind == SL_REPORT_KIND_RESET)
		return entry->first_seq <= sent;
	return entry->kind == SL_REPORT_KIND_RECORDS && entry->count > 0 &&
	       entry->first_seq < sent && entry->count <= sent - entry->first_seq &&
	       entry->outcome >= SL_OUTCOME_PERSISTED && entry->outcome <= SL_OUTCOME_UNKNOWN;
}

static void report_fill(const sluice_ring *ring, const struct sl_report *entry,
			struct sluice_report *report)
{
	sluice_client *client = ring->client;
	uint32_t topics = atomic_load_explicit(&client->topic_count, memory_order_acquire);

	*report = (struct sluice_report){
		.first_seq = entry->first_seq,
		.count = entry->count,
		.base_offset = entry->base_offset,
		.topic = entry->topic_slot < topics ? client->topics[entry->topic_slot] : NULL,
		.partition = entry->partition,
		.error = entry->error,
		.outcome = entry->outcome,
	};
}

/* The next run that a RESET makes unknown; false when it is told. Each record is told once, also
 * over two RESETs. */
static bool reset_next(struct ring_cold *cold, struct sluice_report *report)
{
	*report = (struct sluice_report){
		.base_offset = -1, .partition = -1, .outcome = SLUICE_UNKNOWN};
	if (cold->report_mode == SL_REPORT_ALL) {
		if (!sl_settled_gap(&cold->map, cold->reset_end, &report->first_seq,
				    &report->count))
			return false;
		/* Without memory the run would be told again and again; then it ends the telling.
		 */
		if (sl_settled_mark(&cold->map, report->first_seq, report->count) < 0)
			cold->reset_end = 0;
		return true;
	}
	if (cold->reset_told >= cold->reset_end)
		return false;
	report->first_seq = cold->reset_told;
	report->count = cold->reset_end - cold->reset_told;
	cold->reset_told = cold->reset_end;
	return true;
}

/* Gives the slots back. A worker that found (nearly) none free may sleep for want of them. */
static void reports_read(sluice_ring *ring, bool was_full)
{
	uint32_t sleep;

	/* Release: pairs with sl_report_room(), after the entries were copied. */
	atomic_store_explicit(&ring->app->report_read_pos, ring_cold(ring)->report_read_pos,
			      memory_order_release);
	if (!was_full)
		return;
	/* Pairs with the worker's sl_wake_order() between its mark and its last look. */
	atomic_thread_fence(memory_order_seq_cst);
	sleep = atomic_load_explicit(&ring->agent->sleeping, memory_order_relaxed);
	if (sleep != 0)
		sl_ring_ring_bell(ring, sleep);
}

/* Takes entries until reports[] is full or there are none. */
static int entries_take(sluice_ring *ring, struct sluice_report *reports, uint32_t max)
{
	struct ring_cold *cold = ring_cold(ring);
	/* Acquire: pairs with the worker's release after the entries. */
	uint64_t written =
		atomic_load_explicit(&ring->agent->report_write_pos, memory_order_acquire);
	uint64_t begun = cold->report_read_pos;
	uint32_t count = 0;

	if (written - begun > cold->report_slots)
		return sl_error_set(&cold->error, -EPROTO,
				    "the status segment's report position is impossible");
	while (count < max) {
		struct sl_report entry;

		if (cold->reset_end != 0) {
			if (reset_next(cold, &reports[count]))
				count++;
			else
				cold->reset_end = 0;
			continue;
		}
		if (cold->report_read_pos == written)
			break;
		entry = cold->reports[cold->report_read_pos & (cold->report_slots - 1)];
		cold->report_read_pos++;
		if (!entry_ok(ring, &entry))
			continue;
		if (entry.kind == SL_REPORT_KIND_RESET) {
			cold->reset_end = entry.first_seq;
			continue;
		}
		if (cold->report_mode == SL_REPORT_ALL)
			sl_settled_mark(&cold->map, entry.first_seq, entry.count);
		report_fill(ring, &entry, &reports[count++]);
	}
	reports_read(ring, written - begun > cold->report_slots / 2);
	return (int)count;
}

static void wake_drain(struct ring_cold *cold)
{
	char bytes[16];

	while (recv(cold->wake[0], bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
}

int sluice_poll_reports(sluice_ring *ring, struct sluice_report *reports, uint32_t max)
{
	struct ring_cold *cold = ring_cold(ring);
	int count;

	if (!ring->app)
		return -ECHILD;
	if (max > INT32_MAX)
		return -EINVAL;
	count = entries_take(ring, reports, max);
	if (count != 0 || max == 0)
		return count;
	sl_ring_look_now_and_then(ring);
	if (!cold->armed)
		return 0;
	/* Nothing there: arm, then look again, so that what came meanwhile is found here or wakes
	 * the descriptor. */
	wake_drain(cold);
	sl_ring_waiting_add(ring, SL_WAIT_REPORTS);
	count = entries_take(ring, reports, max);
	return count;
}

int sluice_reports_each(sluice_ring *ring, sluice_report_fn fn, void *arg)
{
	struct sluice_report reports[64];
	int total = 0;

	for (;;) {
		int count = sluice_poll_reports(ring, reports, SL_ARRAY_COUNT(reports));
		int i;

		if (count <= 0)
			return count < 0 ? count : total;
		for (i = 0; i < count; i++)
			fn(arg, &reports[i]);
		total += count;
	}
}

int sluice_ring_fd(sluice_ring *ring)
{
	struct ring_cold *cold = ring_cold(ring);
	sluice_client *client = ring->client;
	union sl_hs_message ask, answer;
	int rc = 0;

	if (!ring->app)
		return -ECHILD;
	if (cold->armed)
		return cold->wake[0];
	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, cold->wake) != 0)
		return sl_error_set(&cold->error, -errno, "socketpair: error %d", errno);
	pthread_mutex_lock(&client->lock);
	if (sl_client_state(client) == SLUICE_ATTACHED) {
		sl_session_wake_fill(&ask, cold->index);
		rc = sl_session_exchange(client->sock, &ask, &cold->wake[1], client->timeout_ms,
					 &answer, NULL, &cold->error);
	}
	/* While the agent is away the descriptor is handed over with the re-attachment. */
	pthread_mutex_unlock(&client->lock);
	if (rc < 0) {
		close(cold->wake[0]);
		close(cold->wake[1]);
		cold->wake[0] = cold->wake[1] = -1;
		return rc;
	}
	cold->armed = true;
	sl_ring_waiting_add(ring, SL_WAIT_REPORTS);
	return cold->wake[0];
}

int sluice_ring_stats(sluice_ring *ring, struct sluice_stats *stats)
{
	const struct sl_agent_page *agent = ring->agent;

	if (!ring->app)
		return -ECHILD;
	*stats = (struct sluice_stats){
		.sent = sent_count(ring),
		/* Settled is stored last and read first, so that the parts cover it. */
		.settled = atomic_load_explicit(&agent->settled_count, memory_order_acquire),
		.ring_bytes = ring->mask + 1,
		.state = sl_client_state(ring->client),
		.dropped = atomic_load_explicit(&ring->app->dropped_count, memory_order_relaxed),
	};
	stats->failed = atomic_load_explicit(&agent->failed_count, memory_order_relaxed);
	stats->unknown = atomic_load_explicit(&agent->unknown_count, memory_order_relaxed);
	stats->used_bytes =
		ring->write_pos - atomic_load_explicit(&agent->consumed_pos, memory_order_relaxed);
	stats->poison = atomic_load_explicit(&agent->poison_code, memory_order_relaxed);
	/* Nobody will ever tell the outcome of the rest. */
	if (stats->state == SLUICE_DETACHED && stats->settled < stats->sent) {
		stats->unknown += stats->sent - stats->settled;
		stats->settled = stats->sent;
	}
	return 0;
}
