/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/status.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "agent/admission.h"
#include "agent/agent.h"
#include "agent/json.h"
#include "agent/ledger.h"
#include "agent/status_events.h"

static uint64_t load(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

static const char *const class_names[SL_CONN_CLASS_COUNT] = {"acks_all", "acks_one", "acks_none",
							     "control"};

/* A row of the ledger: its law holds in each. */
static void put_counts(struct sl_json *json, const struct sl_counts *counts, uint64_t dropped)
{
	sl_json_u64(json, "in", sl_counts_in(counts) + dropped);
	sl_json_u64(json, "persisted", counts->persisted);
	sl_json_u64(json, "failed", counts->failed);
	sl_json_u64(json, "unknown", counts->unknown);
	sl_json_u64(json, "dropped", dropped);
	sl_json_u64(json, "queued", counts->queued);
}

static void put_connections(const struct sl_agent *agent, struct sl_json *json, uint32_t broker)
{
	sl_json_array(json, "connections");
	for (uint32_t w = 0; w < agent->worker_count; w++)
		for (uint32_t c = 0; c < SL_CONN_CLASS_COUNT; c++) {
			const struct sl_conn_note *note = sl_reconnect_note(agent, w, broker, c);

			if (!note->tried)
				continue;
			sl_json_object(json, NULL);
			sl_json_u64(json, "worker", w);
			sl_json_text(json, "class", class_names[c]);
			sl_json_text(json, "state", note->up ? "up" : "down");
			sl_json_u64(json, "failures", note->failures);
			sl_json_u64(json, "downs", note->downs);
			sl_json_end(json);
		}
	sl_json_end(json);
}

static uint64_t chunks_of(const struct sl_agent *agent, uint32_t broker)
{
	uint64_t chunks = 0;

	for (uint32_t i = 0; i < agent->worker_count; i++)
		chunks += sl_worker_broker_chunks(agent->workers[i].worker, broker);
	return chunks;
}

static void put_cluster(const struct sl_agent *agent, const struct sl_book *book,
			struct sl_json *json)
{
	const struct sl_cluster *cluster = &agent->cluster;

	sl_json_object(json, "cluster");
	sl_json_text(json, "id", cluster->id[0] ? cluster->id : NULL);
	sl_json_text(json, "state", sl_cluster_state_name(cluster->state));
	sl_json_u64(json, "metadata_requests", agent->refresh.asked_count);
	sl_json_u64(json, "metadata_answers", agent->refresh.good_count);
	sl_json_array(json, "brokers");
	for (uint32_t i = 0; i < SL_BROKERS_MAX; i++) {
		const struct sl_node *node = &cluster->nodes[i];
		char text[SL_ADDRESS_TEXT_BYTES];

		if (!node->used)
			continue;
		sl_json_object(json, NULL);
		sl_json_i64(json, "id", node->id);
		sl_json_text(json, "host", node->host);
		sl_json_u64(json, "port", node->port);
		sl_json_text(
			json, "address",
			node->broker >= 0
				? sl_address_text(&cluster->brokers[node->broker].address, text)
				: NULL);
		if (node->broker >= 0) {
			put_counts(json, &book->brokers[node->broker], 0);
			sl_json_u64(json, "arena_chunks", chunks_of(agent, (uint32_t)node->broker));
			put_connections(agent, json, (uint32_t)node->broker);
		}
		sl_json_end(json);
	}
	sl_json_end(json);
	sl_json_end(json);
}

static uint64_t topic_bytes(const struct sl_agent *agent, uint32_t index)
{
	uint64_t bytes = 0;

	for (uint32_t w = 0; w < agent->worker_count; w++) {
		const struct sl_topic_stats *stats =
			sl_worker_topic_stats(agent->workers[w].worker, index);

		if (stats)
			bytes += load(&stats->bytes);
	}
	return bytes;
}

static void put_topic(const struct sl_agent *agent, const struct sl_book *book,
		      struct sl_json *json, uint32_t index)
{
	const struct sl_topic *topic = &agent->topics.list[index];
	const struct sl_book_topic *row = &book->topics[index];

	sl_json_object(json, NULL);
	sl_json_text(json, "name", topic->name);
	sl_json_i64(json, "error", topic->error);
	sl_json_u64(json, "partitions", topic->known ? topic->partition_count : 0);
	sl_json_text(json, "resolution", sl_resolution_way_name(topic->resolution));
	sl_json_array(json, "leaders");
	for (uint32_t p = 0; topic->known && p < topic->partition_count; p++)
		sl_json_i64(json, NULL, topic->leaders[p].node);
	sl_json_end(json);
	sl_json_u64(json, "consumed", sl_counts_in(&row->counts));
	put_counts(json, &row->counts, 0);
	sl_json_u64(json, "rejected", row->rejected);
	sl_json_u64(json, "bytes", topic_bytes(agent, index));
	sl_json_end(json);
}

/* Those that have seen a record. */
static void put_partitions(const struct sl_agent *agent, const struct sl_book *book,
			   struct sl_json *json)
{
	sl_json_array(json, "partitions");
	for (uint32_t t = 0; t < book->topic_count; t++) {
		const struct sl_topic *topic = &agent->topics.list[t];

		for (uint32_t p = 0; p < book->topics[t].partition_count; p++) {
			const struct sl_counts *counts = &book->topics[t].partitions[p];

			if (sl_counts_in(counts) == 0)
				continue;
			sl_json_object(json, NULL);
			sl_json_text(json, "topic", topic->name);
			sl_json_u64(json, "partition", p);
			sl_json_i64(json, "leader",
				    p < topic->partition_count ? topic->leaders[p].node : -1);
			put_counts(json, counts, 0);
			sl_json_end(json);
		}
	}
	sl_json_end(json);
}

static void put_features(const struct sl_agent *agent, struct sl_json *json, uint32_t worker)
{
	const char *name;
	bool in_use;

	sl_json_object(json, "transport_features");
	if (agent->hooks.transport_feature)
		for (uint32_t i = 0;
		     agent->hooks.transport_feature(agent->hooks.ctx, worker, i, &name, &in_use);
		     i++)
			sl_json_bool(json, name, in_use);
	sl_json_end(json);
}

static void put_counters(struct sl_json *json, const struct sl_worker_stats *stats)
{
	const struct {
		const char *name;
		const _Atomic uint64_t *counter;
	} rows[] = {
		{"consumed", &stats->consumed},
		{"consumed_bytes", &stats->consumed_bytes},
		{"persisted", &stats->persisted},
		{"failed", &stats->failed},
		{"unknown", &stats->unknown},
		{"queued", &stats->queued},
		{"batches_sealed", &stats->batches_sealed},
		{"batches_sent", &stats->batches_sent},
		{"batches_resent", &stats->batches_resent},
		{"batches_cut", &stats->batches_cut},
		{"requests", &stats->requests},
		{"responses", &stats->responses},
		{"bytes_sent", &stats->bytes_sent},
		{"bytes_received", &stats->bytes_received},
		{"payload_bytes", &stats->payload_bytes},
		{"wire_payload_bytes", &stats->wire_payload_bytes},
		{"rings_poisoned", &stats->rings_poisoned},
		{"reports_discarded", &stats->reports_discarded},
		{"bad_frames", &stats->bad_frames},
		{"ack_timeouts", &stats->ack_timeouts},
		{"connects", &stats->connects},
		{"disconnects", &stats->disconnects},
		{"turns", &stats->turns},
		{"turns_idle", &stats->turns_idle},
		{"sleeps", &stats->sleeps},
		{"wakes", &stats->wakes},
		{"arena_full", &stats->arena_full},
		{"share_full", &stats->share_full},
	};

	for (uint32_t i = 0; i < SL_ARRAY_COUNT(rows); i++)
		sl_json_u64(json, rows[i].name, load(rows[i].counter));
}

static void put_worker(const struct sl_agent *agent, struct sl_json *json, uint32_t index)
{
	const struct sl_agent_worker *worker = &agent->workers[index];
	const struct sl_worker_stats *stats = sl_worker_stats(worker->worker);

	sl_json_object(json, NULL);
	sl_json_u64(json, "index", index);
	sl_json_i64(json, "core", worker->core);
	sl_json_text(json, "transport", worker->transport);
	put_features(agent, json, index);
	sl_json_u64(json, "rings", worker->ring_count);
	if (worker->producer.given)
		sl_json_i64(json, "producer_id", worker->producer.id);
	sl_json_u64(json, "cpu_ns",
		    agent->hooks.worker_cpu_ns ? agent->hooks.worker_cpu_ns(agent->hooks.ctx, index)
					       : 0);
	put_counters(json, stats);
	sl_json_object(json, "arena");
	sl_json_u64(json, "chunks", load(&stats->arena_chunks));
	sl_json_u64(json, "chunks_free", load(&stats->arena_chunks_free));
	sl_json_end(json);
	sl_json_end(json);
}

static void put_ring(const struct sl_agent_segment *segment, struct sl_json *json, uint32_t ring)
{
	static const char *const modes[] = {"none", "all", "errors", "none"};
	const struct sl_agent_page *page = sl_segment_agent_page(segment->status, ring);
	const struct sl_app_page *app = sl_segment_app_page(segment->data, ring);

	sl_json_object(json, NULL);
	sl_json_u64(json, "worker", segment->worker[ring]);
	sl_json_text(json, "state", segment->poison[ring] ? "poisoned" : "open");
	if (segment->poison[ring])
		sl_json_text(json, "poison", sl_agent_poison_name(segment->poison[ring]));
	sl_json_text(json, "reports", modes[segment->report_mode[ring] & 3]);
	sl_json_u64(json, "committed_pos", load(&app->committed_pos));
	sl_json_u64(json, "consumed_pos", load(&page->consumed_pos));
	sl_json_u64(json, "settled", load(&page->settled_count));
	sl_json_u64(json, "failed", load(&page->failed_count));
	sl_json_u64(json, "unknown", load(&page->unknown_count));
	sl_json_u64(json, "dropped", load(&app->dropped_count));
	sl_json_end(json);
}

static void put_applications(const struct sl_agent *agent, const struct sl_book *book,
			     struct sl_json *json)
{
	sl_json_array(json, "applications");
	for (uint32_t i = 0; agent->admission && i < agent->admission->segments_max; i++) {
		const struct sl_agent_segment *segment = &agent->admission->segments[i];

		if (segment->state == SL_SEGMENT_FREE)
			continue;
		sl_json_object(json, NULL);
		sl_json_i64(json, "pid", segment->pid);
		sl_json_u64(json, "uid", segment->uid);
		sl_json_text(json, "name", segment->name);
		sl_json_text(json, "state", sl_agent_segment_state_name(segment->state));
		sl_json_bool(json, "connected", segment->client >= 0);
		sl_json_u64(json, "ring_bytes", segment->geometry.ring_bytes);
		put_counts(json, &book->applications[i].counts, book->applications[i].dropped);
		sl_json_array(json, "rings");
		for (uint32_t r = 0; r < segment->geometry.ring_count; r++)
			put_ring(segment, json, r);
		sl_json_end(json);
		sl_json_end(json);
	}
	sl_json_end(json);
}

static void put_budgets(const struct sl_agent *agent, struct sl_json *json)
{
	const struct sl_admission *admission = agent->admission;

	sl_json_object(json, "budgets");
	sl_json_u64(json, "arena_bytes", agent->config->arena_bytes);
	sl_json_u64(json, "arena_percent_per_broker", agent->config->arena_percent_per_broker);
	sl_json_u64(json, "arena_percent_per_topic", agent->config->arena_percent_per_topic);
	sl_json_u64(json, "arena_chunks_no_leader", chunks_of(agent, SL_BROKERS_MAX));
	sl_json_u64(json, "rings_bytes_total", agent->config->rings_bytes_total);
	sl_json_u64(json, "rings_bytes_mapped", admission ? admission->mapped_bytes : 0);
	sl_json_u64(json, "quota_uid_bytes", agent->config->quota_uid_bytes);
	sl_json_u64(json, "topics", agent->topics.count);
	sl_json_u64(json, "topics_max", agent->topics.max);
	sl_json_u64(json, "clients", admission ? admission->clients_open : 0);
	sl_json_u64(json, "clients_max", admission ? admission->clients_max : 0);
	sl_json_u64(json, "clients_refused", admission ? admission->refused : 0);
	sl_json_u64(json, "clients_timed_out", admission ? admission->timed_out : 0);
	sl_json_end(json);
}

/* Why clients, topics and rings were refused: a line for each kind that has happened. */
static void put_refusals(const struct sl_agent *agent, struct sl_json *json)
{
	const struct sl_admission *admission = agent->admission;

	sl_json_array(json, "refusals");
	for (uint32_t i = 0; admission && i < SL_REFUSE_COUNT; i++) {
		if (!admission->refusals[i].count)
			continue;
		sl_json_object(json, NULL);
		sl_json_text(json, "code", sl_refuse_name(i));
		sl_json_u64(json, "count", admission->refusals[i].count);
		sl_json_text(json, "last_reason", admission->refusals[i].text);
		sl_json_end(json);
	}
	sl_json_end(json);
	sl_json_object(json, "poisonings");
	for (uint32_t i = 0; admission && i < SL_POISON_COUNT; i++)
		if (admission->poisonings[i])
			sl_json_u64(json, sl_agent_poison_name(i), admission->poisonings[i]);
	sl_json_end(json);
}

static uint64_t process_rss_bytes(void)
{
	unsigned long long pages = 0;
	FILE *file = fopen("/proc/self/statm", "re");

	if (!file)
		return 0;
	if (fscanf(file, "%*u %llu", &pages) != 1)
		pages = 0;
	fclose(file);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void put_process(struct sl_json *json)
{
	struct timespec cpu = {0};

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
	sl_json_object(json, "process");
	sl_json_i64(json, "pid", getpid());
	sl_json_u64(json, "cpu_ns", (uint64_t)cpu.tv_sec * SL_NS_PER_S + (uint64_t)cpu.tv_nsec);
	sl_json_u64(json, "rss_bytes", process_rss_bytes());
	sl_json_end(json);
}

static void put_keeper(const struct sl_keeper *keeper, struct sl_json *json)
{
	sl_json_text(json, "keeper", keeper->ops->name);
	sl_json_u64(json, "keeper_held", keeper->held);
	sl_json_i64(json, "keeper_pid", keeper->pid);
	sl_json_text(json, "keeper_note", keeper->reason[0] ? keeper->reason : NULL);
}

static void put_row(struct sl_json *json, const char *name, const struct sl_counts *counts,
		    uint64_t dropped)
{
	sl_json_object(json, name);
	put_counts(json, counts, dropped);
	sl_json_end(json);
}

static void put_ledger(const struct sl_book *book, struct sl_json *json)
{
	sl_json_object(json, "ledger");
	put_counts(json, &book->total, book->dropped);
	sl_json_bool(json, "exact", book->exact);
	sl_json_end(json);
	sl_json_object(json, "ledger_rest");
	put_row(json, "not_told", &book->not_told, 0);
	put_row(json, "applications_gone", &book->gone, book->gone_dropped);
	put_row(json, "no_broker", &book->no_broker, 0);
	put_row(json, "no_topic", &book->no_topic, 0);
	sl_json_u64(json, "unknown_acks_none", book->unknown_unacked);
	sl_json_end(json);
}

char *sl_status_json(struct sl_agent *agent, size_t *bytes)
{
	static const char *const states[] = {"running", "draining", "stopping", "over"};
	struct sl_json json;
	struct sl_book book;

	if (sl_book_open(agent, &book) < 0)
		return NULL;
	sl_json_init(&json);
	sl_json_object(&json, NULL);
	sl_json_text(&json, "version", SL_VERSION);
	sl_json_text(&json, "state", states[agent->shutdown.state]);
	sl_json_u64(&json, "uptime_ms",
		    (sl_agent_now_ns(agent) - agent->started_ns) / SL_NS_PER_MS);
	sl_json_u64(&json, "epoch", agent->epoch);
	put_keeper(agent->keeper, &json);
	put_cluster(agent, &book, &json);
	sl_json_array(&json, "topics");
	for (uint32_t i = 0; i < agent->topics.count; i++)
		put_topic(agent, &book, &json, i);
	sl_json_end(&json);
	put_partitions(agent, &book, &json);
	sl_json_array(&json, "workers");
	for (uint32_t i = 0; i < agent->worker_count; i++)
		put_worker(agent, &json, i);
	sl_json_end(&json);
	put_process(&json);
	put_applications(agent, &book, &json);
	put_budgets(agent, &json);
	put_refusals(agent, &json);
	put_ledger(&book, &json);
	sl_status_unknowns(agent, &json);
	sl_status_events(agent, &json);
	sl_json_end(&json);
	sl_book_close(&book);
	return sl_json_finish(&json, bytes);
}
