/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/memory.h"

#include <inttypes.h>
#include <string.h>

#include "agent/admission.h"
#include "agent/agent.h"
#include "agent/ledger.h"
#include "agent/settings.h"
#include "agent/status_events.h"
#include "agent/thread.h"
#include "dataplane/batch/codec.h"
#include "dataplane/batch/split.h"

enum {
	/* Of a partition and worker: the routes that were sent, the copy on its way, its place in
	 * the topic's tables. */
	ROUTE_BYTES = 96,
	/* Of a partition: its leader, and its place in a Metadata response with some replicas. */
	PARTITION_BYTES = 128,
	METADATA_BYTES = 256 * 1024, /* of the first response buffer; see agent/metadata.c */
	NAME_COPIES = 3, /* of a topic's name: in a request, in its response, in what was sent */
	/* Of the status text, as agent/status.c writes it. */
	STATUS_BYTES = 16 * 1024,
	STATUS_WORKER_BYTES = 4 * 1024,
	STATUS_CLIENT_BYTES = 768,
	STATUS_RING_BYTES = 256,
	STATUS_TOPIC_BYTES = 512,
	STATUS_PARTITION_BYTES = 12 + 400, /* its leader, and its row with a long name and numbers */
	STATUS_EVENT_BYTES = 400,
	STATUS_UNKNOWN_BYTES = 640,
	STATUS_COPIES = 3, /* a text that grows by doubling, while it is moved */
};

/* Code and libraries that are touched, the first thread's and the resolver's stack, messages on
 * their way, what the allocator keeps in reserve. An allowance. */
#define PROGRAM_BYTES (UINT64_C(12) << 20)

/* ---- codecs ---- */

static uint64_t codec_bytes(const struct sl_config_topic *topic)
{
	struct sl_codec *codec;
	uint64_t bytes = 0;

	if (topic->compression == SL_CONFIG_COMPRESSION_NONE ||
	    sl_codec_create(&codec, (uint32_t)topic->compression, sl_settings_codec_level(topic),
			    NULL) < 0)
		return 0;
	bytes = sl_codec_memory_bytes(codec);
	sl_codec_destroy(codec);
	return bytes;
}

static bool same_codec(const struct sl_config_topic *a, const struct sl_config_topic *b)
{
	return a->compression == b->compression &&
	       sl_settings_codec_level(a) == sl_settings_codec_level(b);
}

/* Whether an entry of `topics:` is the first to name its codec. */
static bool codec_is_new(const struct sl_config *config, uint32_t rule)
{
	const struct sl_config_topic *topic = &config->topic_rules[rule].topic;

	if (same_codec(topic, &config->topic))
		return false;
	for (uint32_t i = 0; i < rule; i++)
		if (same_codec(topic, &config->topic_rules[i].topic))
			return false;
	return true;
}

static uint64_t codecs_bytes(const struct sl_config *config)
{
	uint64_t bytes = codec_bytes(&config->topic);

	for (uint32_t i = 0; i < config->topic_rule_count; i++)
		if (codec_is_new(config, i))
			bytes += codec_bytes(&config->topic_rules[i].topic);
	return bytes;
}

/* ---- the sum ---- */

static void worker_sum(const struct sl_config *config, struct sl_memory *out)
{
	struct sl_worker_options worker;
	struct sl_arena_options arena;
	struct sl_uring_options uring;

	sl_settings_worker(config, 0, &worker);
	sl_settings_arena(config, 0, &arena);
	sl_settings_uring(config, &uring);
	out->arena_bytes = sl_arena_file_bytes(&arena);
	out->arena_tables_bytes = sl_arena_memory_bytes(&arena);
	out->worker_bytes =
		sl_worker_memory_bytes(&worker) +
		sl_splitter_memory_bytes(arena.batch_bytes_max, arena.batch_records_max);
	out->transport_bytes = sl_uring_memory_bytes(&uring);
	out->codecs_bytes = codecs_bytes(config);
	out->stack_bytes = SL_THREAD_STACK_BYTES;
	out->workers_bytes = config->worker_count *
			     (out->arena_bytes + out->arena_tables_bytes + out->worker_bytes +
			      out->transport_bytes + out->codecs_bytes + out->stack_bytes);
}

static uint64_t clients_sum(const struct sl_config *config)
{
	uint64_t segment = sizeof(struct sl_agent_segment) + SL_SHM_TOPICS_MAX * sizeof(int32_t) +
			   config->worker_count * sizeof(struct sl_worker_segment);

	return sizeof(struct sl_admission) + config->segments_max * segment +
	       (config->segments_max + SL_ADMISSION_CLIENTS_SPARE) * sizeof(struct sl_agent_client);
}

static uint64_t cluster_sum(const struct sl_config *config)
{
	uint64_t workers = config->worker_count;
	uint64_t topic =
		sizeof(struct sl_topic) + NAME_COPIES * SL_TOPIC_NAME_BYTES +
		workers * (sizeof(struct sl_worker_topic) + sizeof(struct sl_topic_settings) +
			   2 * sizeof(struct sl_topic_routes));
	uint64_t partition = PARTITION_BYTES + workers * (ROUTE_BYTES + sizeof(struct sl_timer));

	return sizeof(struct sl_agent) + workers * sizeof(struct sl_agent_worker) + METADATA_BYTES +
	       sl_resolutions_bytes(config->partitions_max * workers) +
	       config->topics_max * topic + config->partitions_max * partition;
}

static uint64_t status_sum(const struct sl_config *config)
{
	uint64_t workers = config->worker_count;
	uint64_t rings = config->rings_max * workers;
	uint64_t of_segments = (uint64_t)config->segments_max * config->segment_rings_max;

	if (rings > of_segments)
		rings = of_segments;
	return STATUS_COPIES *
	       (STATUS_BYTES + workers * STATUS_WORKER_BYTES +
		config->segments_max * (uint64_t)STATUS_CLIENT_BYTES + rings * STATUS_RING_BYTES +
		config->topics_max * (uint64_t)STATUS_TOPIC_BYTES +
		config->partitions_max * (uint64_t)STATUS_PARTITION_BYTES +
		SL_STATUS_EVENTS_MAX * (uint64_t)STATUS_EVENT_BYTES +
		SL_STATUS_UNKNOWNS_MAX * (uint64_t)STATUS_UNKNOWN_BYTES) +
	       sl_book_bytes(config->topics_max, config->partitions_max, config->segments_max);
}

void sl_memory_of(const struct sl_config *config, struct sl_memory *out)
{
	memset(out, 0, sizeof(*out));
	worker_sum(config, out);
	out->rings_bytes = config->rings_bytes_total;
	out->clients_bytes = clients_sum(config);
	out->cluster_bytes = cluster_sum(config);
	out->recorder_bytes = SL_RECORDER_EVENTS * sizeof(struct sl_recorder_entry);
	out->status_bytes = status_sum(config);
	out->program_bytes = PROGRAM_BYTES;
	out->total_bytes = out->workers_bytes + out->rings_bytes + out->clients_bytes +
			   out->cluster_bytes + out->recorder_bytes + out->status_bytes + out->program_bytes;
}

static void line(FILE *out, const char *what, uint64_t bytes, const char *how)
{
	fprintf(out, "#   %-26s %15" PRIu64 " bytes%s%s\n", what, bytes, *how ? "  " : "", how);
}

void sl_memory_print(FILE *out, const struct sl_config *config)
{
	struct sl_memory memory;

	sl_memory_of(config, &memory);
	fprintf(out, "\n# Memory at most, of each of %" PRIu32 " workers:\n", config->worker_count);
	line(out, "arena with its tables", memory.arena_bytes, "arena.bytes and its directories");
	line(out, "tables beside the arena", memory.arena_tables_bytes, "");
	line(out, "worker's tables", memory.worker_bytes, "max.request.size, *.max");
	line(out, "transport", memory.transport_bytes, "receive buffers included");
	line(out, "codecs", memory.codecs_bytes, "compression.type");
	line(out, "stack", memory.stack_bytes, "");
	fprintf(out, "# Of the whole agent, mapped rings included:\n");
	line(out, "all workers", memory.workers_bytes, "");
	line(out, "rings and reports", memory.rings_bytes, "rings.bytes.total");
	line(out, "applications", memory.clients_bytes, "segments.max");
	line(out, "cluster", memory.cluster_bytes, "topics.max, partitions.max");
	line(out, "flight recorder", memory.recorder_bytes, "workers have theirs in their tables");
	line(out, "status", memory.status_bytes, "while it is asked for");
	line(out, "program, libraries, stacks", memory.program_bytes, "allowance");
	line(out, "in all", memory.total_bytes, "");
}
