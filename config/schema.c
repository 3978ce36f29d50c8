/* SPDX-License-Identifier: Apache-2.0 */
#include "config/schema.h"

#include "config/config.h"

#include <limits.h>

#define KIB INT64_C(1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)
#define TIB (1024 * GIB)
#define MS INT64_C(1000)        /* durations are stored in microseconds */
#define MS_MAX (INT32_MAX * MS) /* Kafka's own int of milliseconds */

#define GLOBAL(field) .offset = offsetof(struct sl_config, field)
#define TOPIC(field) .topic = true, .offset = offsetof(struct sl_config_topic, field)
#define DURATION_MS .type = SL_CONFIG_DURATION, .unit = SL_CONFIG_UNIT_MS
#define DURATION_US .type = SL_CONFIG_DURATION, .unit = SL_CONFIG_UNIT_US
#define SIZE .type = SL_CONFIG_SIZE, .unit = SL_CONFIG_UNIT_BYTES
#define RANGE(low, high) .min = (low), .max = (high)

static const struct sl_config_name acks_names[] = {
	{"all", SL_CONFIG_ACKS_ALL, false},
	{"-1", SL_CONFIG_ACKS_ALL, false},
	{"0", SL_CONFIG_ACKS_NONE, false},
	{"1", SL_CONFIG_ACKS_LEADER, false},
	{NULL, 0, false},
};

static const struct sl_config_name compression_names[] = {
	{"none", SL_CONFIG_COMPRESSION_NONE, false},
	{"gzip", SL_CONFIG_COMPRESSION_GZIP, false},
	{"snappy", SL_CONFIG_COMPRESSION_SNAPPY, false},
	{"lz4", SL_CONFIG_COMPRESSION_LZ4, false},
	{"zstd", SL_CONFIG_COMPRESSION_ZSTD, false},
	{NULL, 0, false},
};

static const struct sl_config_name partitioner_names[] = {
	{"murmur2_random", SL_CONFIG_PARTITIONER_MURMUR2_RANDOM, false},
	{"murmur2", SL_CONFIG_PARTITIONER_MURMUR2, false},
	{"consistent_random", SL_CONFIG_PARTITIONER_CONSISTENT_RANDOM, false},
	{"consistent", SL_CONFIG_PARTITIONER_CONSISTENT, false},
	{"fnv1a_random", SL_CONFIG_PARTITIONER_FNV1A_RANDOM, false},
	{"fnv1a", SL_CONFIG_PARTITIONER_FNV1A, false},
	{"random", SL_CONFIG_PARTITIONER_RANDOM, false},
	{"round_robin", SL_CONFIG_PARTITIONER_ROUND_ROBIN, false},
	{NULL, 0, false},
};

static const struct sl_config_name security_names[] = {
	{"PLAINTEXT", SL_CONFIG_SECURITY_PLAINTEXT, false},
	{"SSL", 0, true},
	{"SASL_PLAINTEXT", 0, true},
	{"SASL_SSL", 0, true},
	{NULL, 0, false},
};

static const struct sl_config_name dns_names[] = {
	{"use_all_dns_ips", SL_CONFIG_DNS_USE_ALL_IPS, false},
	{"resolve_canonical_bootstrap_servers_only", 0, true},
	{NULL, 0, false},
};

static const struct sl_config_name log_names[] = {
	{"error", SL_CONFIG_LOG_ERROR, false},
	{"warning", SL_CONFIG_LOG_WARNING, false},
	{"info", SL_CONFIG_LOG_INFO, false},
	{"debug", SL_CONFIG_LOG_DEBUG, false},
	{NULL, 0, false},
};

static const struct sl_config_name resume_names[] = {
	{"renumber", SL_CONFIG_RESUME_RENUMBER, false},
	{"strict", SL_CONFIG_RESUME_STRICT, false},
	{NULL, 0, false},
};

static const struct sl_config_name uring_names[] = {
	{"single_issuer", SL_CONFIG_URING_SINGLE_ISSUER, false},
	{"defer_taskrun", SL_CONFIG_URING_DEFER_TASKRUN, false},
	{"coop_taskrun", SL_CONFIG_URING_COOP_TASKRUN, false},
	{"submit_all", SL_CONFIG_URING_SUBMIT_ALL, false},
	{"buffer_ring", SL_CONFIG_URING_BUFFER_RING, false},
	{"recv_multishot", SL_CONFIG_URING_RECV_MULTISHOT, false},
	{"ring_fd", SL_CONFIG_URING_RING_FD, false},
	{"send_zc", SL_CONFIG_URING_SEND_ZC, false},
	{NULL, 0, false},
};

const struct sl_config_name sl_config_transport_names[] = {
	{"uring", SL_CONFIG_TRANSPORT_URING, false},
	{"dpdk", SL_CONFIG_TRANSPORT_DPDK, true},
	{NULL, 0, false},
};

/* In the order of the dump: the cluster, delivery, batches, partitions, connections, memory, the
 * agent, topics. */
const struct sl_config_row sl_config_rows[] = {
	{"bootstrap.servers", .type = SL_CONFIG_ENDPOINTS, .reload = true,
	 RANGE(1, SL_CONFIG_ENDPOINTS_MAX), .aliases = {"metadata.broker.list"},
	 .help = "Brokers to ask first, as host:port; one that answers is enough, and all are "
		 "asked again when "
		 "the cluster is lost"},
	{"client.id", .type = SL_CONFIG_STRING, GLOBAL(client_id), .standard = "sluice",
	 RANGE(0, 200), .help = "The name in the brokers' logs, metrics and quotas"},
	{"client.dns.lookup", .type = SL_CONFIG_ENUM, GLOBAL(client_dns_lookup), .names = dns_names,
	 .standard = "use_all_dns_ips", .reload = true,
	 .help = "Each address of a broker's name is tried in turn"},
	{"security.protocol", .type = SL_CONFIG_ENUM, GLOBAL(security_protocol),
	 .names = security_names, .standard = "PLAINTEXT",
	 .help = "How connections to brokers are protected"},

	{"acks", .type = SL_CONFIG_ENUM, TOPIC(acks), .names = acks_names, .standard = "all",
	 .reload = true, .aliases = {"request.required.acks"},
	 .help = "Who must have a record before it counts as persisted: all in-sync replicas, the "
		 "leader (1), or "
		 "nobody (0: outcomes are unknown)"},
	{"enable.idempotence", .type = SL_CONFIG_BOOL, TOPIC(enable_idempotence),
	 .standard = "true", .reload = true,
	 .help = "A resend is never stored twice and order is kept; needs acks=all, and is off "
		 "where acks is not"},
	{"delivery.timeout.ms", DURATION_MS, TOPIC(delivery_timeout_us), .standard = "120000",
	 .reload = true, RANGE(MS, MS_MAX), .aliases = {"message.timeout.ms"},
	 .help = "How long a record may take from the batch to its outcome; at least linger.ms + "
		 "request.timeout.ms"},
	{"request.timeout.ms", DURATION_MS, GLOBAL(request_timeout_us), .standard = "30000",
	 .reload = true, RANGE(MS, MS_MAX),
	 .help = "How long a broker may take to answer a request"},
	{"retry.backoff.ms", DURATION_MS, GLOBAL(retry_backoff_us), .standard = "100",
	 .reload = true, RANGE(0, MS_MAX),
	 .help = "Wait before the first retry; doubles up to retry.backoff.max.ms"},
	{"retry.backoff.max.ms", DURATION_MS, GLOBAL(retry_backoff_us_max), .standard = "1000",
	 .reload = true, RANGE(0, MS_MAX), .help = "The longest wait between retries"},
	{"max.in.flight.requests.per.connection", .type = SL_CONFIG_COUNT, GLOBAL(max_in_flight),
	 .standard = "5", RANGE(1, 64), .aliases = {"max.in.flight"},
	 .help = "Unanswered requests on a connection; at most 5 with idempotence, which is what "
		 "brokers remember"},
	{"topic.unknown.grace.ms", DURATION_MS, GLOBAL(topic_unknown_grace_us), .standard = "5000",
	 .reload = true, RANGE(0, MS_MAX),
	 .help = "How long records of a topic that the cluster does not know wait before they "
		 "fail"},
	{"allow.auto.create.topics", .type = SL_CONFIG_BOOL, GLOBAL(allow_auto_create_topics),
	 .standard = "false", .reload = true,
	 .help = "Ask the cluster to create a topic that it does not know"},

	{"linger.ms", DURATION_MS, TOPIC(linger_us), .standard = "5", .reload = true,
	 RANGE(0, MS_MAX), .aliases = {"queue.buffering.max.ms"},
	 .help = "How long a batch waits for more records; it leaves early when full or flushed, "
		 "and with 0 as "
		 "soon as the pipe is free"},
	{"batch.size", SIZE, TOPIC(batch_bytes), .standard = "128KiB", .reload = true,
	 RANGE(1, 15 * MIB),
	 .help = "Bytes of records at which a batch is full, the 8 that each run of one "
		 "application's records takes included; at most an eighth of arena.bytes"},
	{"max.request.size", SIZE, TOPIC(request_bytes_max), .standard = "1MiB",
	 RANGE(KIB, 15 * MIB), .aliases = {"message.max.bytes"},
	 .help = "The largest record, and the largest request, before compression"},
	{"compression.type", .type = SL_CONFIG_ENUM, TOPIC(compression), .names = compression_names,
	 .standard = "none", .reload = true, .aliases = {"compression.codec"},
	 .help = "Codec of batches"},
	{"compression.gzip.level", .type = SL_CONFIG_INT, TOPIC(compression_gzip_level),
	 .standard = "-1", .reload = true, RANGE(-1, 9),
	 .help = "1 fast to 9 small; -1 is zlib's own default"},
	{"compression.lz4.level", .type = SL_CONFIG_INT, TOPIC(compression_lz4_level),
	 .standard = "9", .reload = true, RANGE(1, 17),
	 .help = "Java's scale: 9 is the fast mode, any other is the high-compression mode at that "
		 "level"},
	{"compression.zstd.level", .type = SL_CONFIG_INT, TOPIC(compression_zstd_level),
	 .standard = "3", .reload = true, RANGE(-131072, 22),
	 .help = "Negative is faster, 22 smallest"},

	{"partitioner", .type = SL_CONFIG_ENUM, TOPIC(partitioner), .names = partitioner_names,
	 .standard = "murmur2_random", .reload = true,
	 .help = "How a record without a partition gets one: murmur2_random is Java's, "
		 "consistent_random is "
		 "librdkafka's, fnv1a_random is sarama's"},
	{"partitioner.ignore.keys", .type = SL_CONFIG_BOOL, TOPIC(partitioner_ignore_keys),
	 .standard = "false", .reload = true, .help = "Spread records as if they had no key"},
	{"partitioner.adaptive.partitioning.enable", .type = SL_CONFIG_BOOL,
	 TOPIC(partitioner_adaptive), .standard = "true", .reload = true,
	 .help = "Records without a key go less often to partitions whose leader is slow"},

	{"metadata.max.age.ms", DURATION_MS, GLOBAL(metadata_age_us_max), .standard = "300000",
	 .reload = true, RANGE(MS, MS_MAX), .aliases = {"topic.metadata.refresh.interval.ms"},
	 .help = "Metadata is asked for again after this long even when nothing seems wrong"},
	{"reconnect.backoff.ms", DURATION_MS, GLOBAL(reconnect_backoff_us), .standard = "50",
	 .reload = true, RANGE(0, MS_MAX),
	 .help = "Wait before the first new connection to a broker; doubles"},
	{"reconnect.backoff.max.ms", DURATION_MS, GLOBAL(reconnect_backoff_us_max),
	 .standard = "1000", .reload = true, RANGE(0, MS_MAX),
	 .help = "The longest wait between connections to a broker"},
	{"socket.connection.setup.timeout.ms", DURATION_MS, GLOBAL(connection_setup_timeout_us),
	 .standard = "10000", .reload = true, RANGE(MS, MS_MAX),
	 .help = "How long a first connection may take; doubles with each failure"},
	{"send.buffer.bytes", SIZE, GLOBAL(send_buffer_bytes), .standard = "0", RANGE(0, GIB),
	 .aliases = {"socket.send.buffer.bytes"},
	 .help = "SO_SNDBUF; 0 leaves it to the kernel, which tunes it"},
	{"receive.buffer.bytes", SIZE, GLOBAL(receive_buffer_bytes), .standard = "0", RANGE(0, GIB),
	 .aliases = {"socket.receive.buffer.bytes"},
	 .help = "SO_RCVBUF; 0 leaves it to the kernel"},

	{"runtime.dir", .type = SL_CONFIG_STRING, GLOBAL(runtime_dir), RANGE(1, 90),
	 .help = "Folder of agent.sock and private/; by default $RUNTIME_DIRECTORY, else "
		 "/run/sluice for root, else "
		 "$XDG_RUNTIME_DIR/sluice"},
	{"workers", .type = SL_CONFIG_WORKERS, RANGE(1, SL_CONFIG_WORKERS_MAX),
	 .help = "One producer a core: a number, or a list of {core: N|any, transport: uring}; by "
		 "default one, on "
		 "any core"},
	{"arena.bytes", SIZE, GLOBAL(arena_bytes), .standard = "64MiB", RANGE(4 * MIB, 4 * TIB),
	 .help = "Memory of each worker for records that wait for their outcome"},
	{"arena.chunk.bytes", SIZE, GLOBAL(arena_chunk_bytes), .standard = "16KiB",
	 RANGE(4 * KIB, 32 * KIB), .power_of_two = true,
	 .help = "Unit in which batches take memory of the arena"},
	{"arena.percent.per.broker", .type = SL_CONFIG_COUNT, GLOBAL(arena_percent_per_broker),
	 .standard = "50", RANGE(1, 100),
	 .help = "How much of an arena may wait for one broker, of what the others have left; "
		 "partitions without "
		 "a leader count together as one. 100 is no limit, nor is there one where one "
		 "broker leads all"},
	{"arena.percent.per.topic", .type = SL_CONFIG_COUNT, GLOBAL(arena_percent_per_topic),
	 .standard = "75", RANGE(1, 100),
	 .help = "How much of an arena may wait for one topic, of what the others have left. 100 is "
		 "no limit, nor "
		 "is there one where there is one topic"},
	{"arena.dir", .type = SL_CONFIG_STRING, GLOBAL(arena_dir), RANGE(1, 4000),
	 .help = "Folder of the arenas, on tmpfs or hugetlbfs; by default private/ in runtime.dir"},
	{"ring.bytes", SIZE, GLOBAL(ring_bytes), .standard = "1MiB", RANGE(64 * KIB, 2 * GIB),
	 .power_of_two = true,
	 .help = "Ring of a producing thread that asks for no size of its own"},
	{"ring.bytes.max", SIZE, GLOBAL(ring_bytes_max), .standard = "16MiB",
	 RANGE(64 * KIB, 2 * GIB), .power_of_two = true,
	 .help = "The largest ring that may be asked for; at least 8 times the largest "
		 "max.request.size"},
	{"rings.max", .type = SL_CONFIG_COUNT, GLOBAL(rings_max), .standard = "4095",
	 RANGE(1, 4095), .help = "Rings of each worker"},
	{"rings.bytes.total", SIZE, GLOBAL(rings_bytes_total), .standard = "1GiB",
	 RANGE(64 * KIB, 4 * TIB), .reload = true, .help = "Rings of all applications together"},
	{"quota.uid.bytes", SIZE, GLOBAL(quota_uid_bytes), .standard = "1GiB",
	 RANGE(64 * KIB, 4 * TIB), .reload = true, .help = "Rings of the applications of one user"},
	{"segments.max", .type = SL_CONFIG_COUNT, GLOBAL(segments_max), .standard = "256",
	 RANGE(1, SL_CONFIG_SEGMENTS_MAX), .help = "Applications that may be attached at a time"},
	{"segment.rings.max", .type = SL_CONFIG_COUNT, GLOBAL(segment_rings_max), .standard = "64",
	 RANGE(1, 4095), .reload = true, .help = "Rings (producing threads) of one application"},
	{"report.slots", .type = SL_CONFIG_COUNT, GLOBAL(report_slots), .standard = "4096",
	 RANGE(64, 1 << 20), .power_of_two = true, .reload = true,
	 .help = "Outcomes that wait in a ring whose application asks for no number of its own; 32 "
		 "bytes each"},
	{"report.slots.max", .type = SL_CONFIG_COUNT, GLOBAL(report_slots_max), .standard = "65536",
	 RANGE(64, 1 << 20), .power_of_two = true, .reload = true,
	 .help = "The most outcomes that an application may ask room for"},
	{"topics.max", .type = SL_CONFIG_COUNT, GLOBAL(topics_max), .standard = "1024",
	 RANGE(1, 65535), .help = "Topics in use at a time"},
	{"partitions.max", .type = SL_CONFIG_COUNT, GLOBAL(partitions_max), .standard = "8192",
	 RANGE(1, 1 << 20), .help = "Partitions in use at a time, of each worker"},

	{"allow", .type = SL_CONFIG_ALLOW, .reload = true, RANGE(0, SL_CONFIG_ALLOW_MAX),
	 .help = "Who may write what: user:NAME, group:NAME or * to a list of topics and prefix* "
		 "patterns; by "
		 "default the agent's own user and root, all topics"},
	{"handshake.timeout.ms", DURATION_MS, GLOBAL(handshake_timeout_us), .standard = "2000",
	 .reload = true, RANGE(MS, MS_MAX), .help = "How long an application may take to attach"},
	{"shutdown.timeout.ms", DURATION_MS, GLOBAL(shutdown_timeout_us), .standard = "30000",
	 .reload = true, RANGE(0, MS_MAX),
	 .help = "How long TERM may take to send what was committed"},
	{"resume", .type = SL_CONFIG_ENUM, GLOBAL(resume), .names = resume_names,
	 .standard = "renumber",
	 .help = "What becomes of records that may have been written when their leader says that "
		 "they were not: sent again, or unknown (strict)"},
	{"orphan.ttl.ms", DURATION_MS, GLOBAL(orphan_ttl_us), .standard = "60000",
	 RANGE(1, MS_MAX),
	 .help = "How long a request without an answer may still reach a log; only then is a "
		 "leader believed that it was not written"},
	{"idle.spin.us", DURATION_US, GLOBAL(idle_spin_us), .standard = "5",
	 RANGE(0, 1000000), .help = "How long a worker without work spins before it sleeps"},
	{"io_uring.disable", .type = SL_CONFIG_FLAGS, GLOBAL(io_uring_disable),
	 .names = uring_names, .standard = "", .help = "Kernel features to leave alone"},
	{"log.level", .type = SL_CONFIG_ENUM, GLOBAL(log_level), .names = log_names,
	 .standard = "info", .reload = true, .help = "The least important events that are logged"},

	{"topics", .type = SL_CONFIG_TOPICS, .reload = true, RANGE(0, SL_CONFIG_TOPIC_RULES_MAX),
	 .help = "A topic's name, or a prefix*, to settings of its own; the exact name wins, then "
		 "the longest "
		 "prefix, and entries do not add up"},
};

const uint32_t sl_config_row_count = sizeof(sl_config_rows) / sizeof(sl_config_rows[0]);

_Static_assert(sizeof(sl_config_rows) / sizeof(sl_config_rows[0]) <= SL_CONFIG_ROWS_MAX,
	       "places are kept per row");

const struct sl_config_unbuilt sl_config_unbuilt_keys[] = {
	{"transactional.id", "transactions are not built"},
	{"transaction.timeout.ms", "transactions are not built"},
	{"ssl.*", "TLS is not built"},
	{"enable.ssl.*", "TLS is not built"},
	{"sasl.*", "SASL is not built"},
	{"retries", "retries end at delivery.timeout.ms, not at a count"},
	{"message.send.max.retries", "retries end at delivery.timeout.ms, not at a count"},
	{"buffer.memory", "memory is bounded by arena.bytes and rings.bytes.total"},
	{"queue.buffering.max.messages", "memory is bounded by arena.bytes and rings.bytes.total"},
	{"queue.buffering.max.kbytes", "memory is bounded by arena.bytes and rings.bytes.total"},
	{"max.block.ms", "each application chooses what a full ring does"},
	{"batch.num.messages", "a batch is bounded by batch.size alone"},
	{"compression.level",
	 "say which: compression.gzip.level, compression.lz4.level or compression.zstd.level"},
	{"socket.timeout.ms", "use request.timeout.ms"},
	{"sticky.partitioning.linger.ms",
	 "records without a key change partition by bytes, not by time"},
	{"partitioner.class", "classes cannot be loaded; name one by partitioner"},
	{"interceptor.classes", "classes cannot be loaded"},
	{"metric.reporters", "classes cannot be loaded"},
	{"key.serializer", "records are bytes"},
	{"value.serializer", "records are bytes"},
	{"connections.max.idle.ms", "idle connections are left to the brokers"},
	{"metadata.max.idle.ms", "every topic that was bound is kept up to date"},
	{"socket.connection.setup.timeout.max.ms", "use socket.connection.setup.timeout.ms"},
	{"partitioner.availability.timeout.ms",
	 "a partition is avoided while its leader is unknown or in trouble, not by time"},
	{"client.rack", "rack-aware partitioning is not built"},
	{"partitioner.rack.aware", "rack-aware partitioning is not built"},
	{NULL, NULL},
};
