/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/settings.h"

#include <string.h>

#include "agent/agent.h"
#include "dataplane/batch/codec.h"
#include "dataplane/batch/partitioner.h"

enum {
	REQUEST_BYTES_SOFT = 1024 * 1024, /* Java's max.request.size: one request of many batches */
	RECV_BUFFER_BYTES = 16 * 1024,
	RECV_BUFFER_COUNT = 64,
	SENDS_MAX = 64,
	USER_TIMEOUT_MS = 30000, /* after it the kernel lets a dead connection's bytes go */
	KEEPALIVE_S = 30,
	BATCH_RECORDS_MAX = 65535,
};

static uint32_t to_u32(uint64_t value)
{
	return value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

void sl_settings_worker(const struct sl_config *config, uint32_t index,
			struct sl_worker_options *out)
{
	memset(out, 0, sizeof(*out));
	out->index = index;
	out->rings_max = config->rings_max;
	out->segments_max = config->segments_max;
	out->topics_max = config->topics_max;
	out->partitions_max = config->partitions_max;
	out->brokers_max = SL_BROKERS_MAX;
	out->in_flight_max = config->max_in_flight;
	out->record_bytes_max = to_u32(sl_config_request_bytes_max(config));
	out->request_bytes_max = out->record_bytes_max > REQUEST_BYTES_SOFT ? out->record_bytes_max
									    : REQUEST_BYTES_SOFT;
	out->request_timeout_ns = config->request_timeout_us * SL_NS_PER_US;
	out->orphan_ttl_ns = config->orphan_ttl_us * SL_NS_PER_US;
	out->resume_strict = config->resume == SL_CONFIG_RESUME_STRICT;
	out->connect_timeout_ns = config->connection_setup_timeout_us * SL_NS_PER_US;
	snprintf(out->client_id, sizeof(out->client_id), "%s", config->client_id);
}

/* The largest batch of any topic: its batch.size, or one record of max.request.size. */
static uint64_t batch_bytes_max(const struct sl_config *config)
{
	uint64_t max = sl_config_request_bytes_max(config);

	if (config->topic.batch_bytes > max)
		max = config->topic.batch_bytes;
	for (uint32_t i = 0; i < config->topic_rule_count; i++)
		if (config->topic_rules[i].topic.batch_bytes > max)
			max = config->topic_rules[i].topic.batch_bytes;
	return max;
}

void sl_settings_arena(const struct sl_config *config, uint32_t index, struct sl_arena_options *out)
{
	memset(out, 0, sizeof(*out));
	out->chunk_bytes = to_u32(config->arena_chunk_bytes);
	out->bytes = config->arena_bytes;
	out->partitions_max = config->partitions_max;
	out->topics_max = config->topics_max;
	out->segments_max = config->segments_max;
	out->rings_max = config->rings_max;
	out->worker_index = index;
	out->brokers_max = SL_BROKERS_MAX;
	out->broker_percent = config->arena_percent_per_broker;
	out->topic_percent = config->arena_percent_per_topic;
	out->batch_bytes_max = to_u32(batch_bytes_max(config));
	out->batch_records_max = BATCH_RECORDS_MAX;
}

void sl_settings_uring(const struct sl_config *config, struct sl_uring_options *out)
{
	static const struct {
		uint32_t bit;
		enum sl_uring_feature feature;
	} map[] = {
		{SL_CONFIG_URING_SINGLE_ISSUER, SL_URING_SINGLE_ISSUER},
		{SL_CONFIG_URING_DEFER_TASKRUN, SL_URING_DEFER_TASKRUN},
		{SL_CONFIG_URING_COOP_TASKRUN, SL_URING_COOP_TASKRUN},
		{SL_CONFIG_URING_SUBMIT_ALL, SL_URING_SUBMIT_ALL},
		{SL_CONFIG_URING_BUFFER_RING, SL_URING_BUFFER_RING},
		{SL_CONFIG_URING_RECV_MULTISHOT, SL_URING_RECV_MULTISHOT},
		{SL_CONFIG_URING_RING_FD, SL_URING_RING_FD},
		{SL_CONFIG_URING_SEND_ZC, SL_URING_SEND_ZC},
	};

	memset(out, 0, sizeof(*out));
	out->conns_max = SL_BROKERS_MAX * SL_CONN_CLASS_COUNT;
	out->sends_max = SENDS_MAX;
	out->recv_buffer_bytes = RECV_BUFFER_BYTES;
	out->recv_buffer_count = RECV_BUFFER_COUNT;
	out->socket_send_bytes = to_u32(config->send_buffer_bytes);
	out->socket_receive_bytes = to_u32(config->receive_buffer_bytes);
	out->user_timeout_ms = USER_TIMEOUT_MS;
	out->keepalive_s = KEEPALIVE_S;
	for (uint32_t i = 0; i < SL_ARRAY_COUNT(map); i++)
		out->disabled[map[i].feature] = (config->io_uring_disable & map[i].bit) != 0;
}

int32_t sl_settings_codec_level(const struct sl_config_topic *config)
{
	switch (config->compression) {
	case SL_CONFIG_COMPRESSION_GZIP:
		return config->compression_gzip_level;
	case SL_CONFIG_COMPRESSION_LZ4:
		return config->compression_lz4_level;
	case SL_CONFIG_COMPRESSION_ZSTD:
		return config->compression_zstd_level;
	default:
		return SL_CODEC_LEVEL_DEFAULT;
	}
}

static struct sl_codec *codec_of(struct sl_agent *agent, struct sl_agent_worker *worker,
				 const struct sl_config_topic *config)
{
	uint32_t number = (uint32_t)config->compression;
	int32_t level = sl_settings_codec_level(config);
	struct sl_agent_codec *entry;
	struct sl_error err = {0};

	if (number == SL_CONFIG_COMPRESSION_NONE)
		return NULL;
	for (uint32_t i = 0; i < worker->codec_count; i++)
		if (worker->codecs[i].number == number && worker->codecs[i].level == level)
			return worker->codecs[i].codec;
	if (worker->codec_count == SL_CODECS_MAX) {
		SL_LOG(&agent->log, SL_LOG_ERROR, "codecs_exhausted", SL_N("max", SL_CODECS_MAX));
		return NULL;
	}
	entry = &worker->codecs[worker->codec_count];
	if (sl_codec_create(&entry->codec, number, level, &err) < 0) {
		SL_LOG(&agent->log, SL_LOG_ERROR, "codec_failed", SL_N("codec", number),
		       SL_N("level", level), SL_T("error", err.text));
		return NULL;
	}
	entry->number = number;
	entry->level = level;
	worker->codec_count++;
	return entry->codec;
}

static uint32_t partitioner_of(int32_t config)
{
	static const uint8_t map[] = {
		[SL_CONFIG_PARTITIONER_MURMUR2_RANDOM] = SL_PARTITIONER_MURMUR2_RANDOM,
		[SL_CONFIG_PARTITIONER_MURMUR2] = SL_PARTITIONER_MURMUR2,
		[SL_CONFIG_PARTITIONER_CONSISTENT_RANDOM] = SL_PARTITIONER_CONSISTENT_RANDOM,
		[SL_CONFIG_PARTITIONER_CONSISTENT] = SL_PARTITIONER_CONSISTENT,
		[SL_CONFIG_PARTITIONER_FNV1A_RANDOM] = SL_PARTITIONER_FNV1A_RANDOM,
		[SL_CONFIG_PARTITIONER_FNV1A] = SL_PARTITIONER_FNV1A,
		[SL_CONFIG_PARTITIONER_RANDOM] = SL_PARTITIONER_RANDOM,
		[SL_CONFIG_PARTITIONER_ROUND_ROBIN] = SL_PARTITIONER_ROUND_ROBIN,
	};

	SL_ASSERT((uint32_t)config < SL_ARRAY_COUNT(map));
	return map[config];
}

void sl_settings_topic(struct sl_agent *agent, struct sl_agent_worker *worker,
		       const struct sl_config_topic *config, struct sl_topic_settings *out)
{
	memset(out, 0, sizeof(*out));
	out->acks = (int16_t)config->acks;
	out->idempotent = config->enable_idempotence;
	out->codec = codec_of(agent, worker, config);
	out->partitioner = partitioner_of(config->partitioner);
	out->ignore_keys = config->partitioner_ignore_keys;
	out->adaptive = config->partitioner_adaptive;
	out->linger_ns = config->linger_us * SL_NS_PER_US;
	out->delivery_timeout_ns = config->delivery_timeout_us * SL_NS_PER_US;
	out->batch_bytes = to_u32(config->batch_bytes);
	out->request_bytes_max = to_u32(config->request_bytes_max);
}
