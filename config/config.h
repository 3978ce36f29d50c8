/* SPDX-License-Identifier: Apache-2.0
 *
 * The configuration: text in, one immutable struct out.
 *
 * Called by the agent's control thread and by tools only: everything here allocates and may read
 * files. The struct is never changed after sl_config_load() returned it, so any thread may read it
 * while its owner keeps it alive. A reload loads a second struct, asks sl_config_diff() what
 * changed, and sends messages.
 *
 * Units are in the names: _us microseconds, _bytes bytes. Every setting's key, default, range and
 * meaning is one row of the table in schema.c; `sl_config_print_reference()` prints it.
 */
#ifndef SL_CONFIG_CONFIG_H
#define SL_CONFIG_CONFIG_H

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Values are Kafka's own on the wire. */
enum sl_config_acks { SL_CONFIG_ACKS_ALL = -1, SL_CONFIG_ACKS_NONE = 0, SL_CONFIG_ACKS_LEADER = 1 };

/* Values are the codec bits of a v2 batch's attributes. */
enum sl_config_compression {
	SL_CONFIG_COMPRESSION_NONE = 0,
	SL_CONFIG_COMPRESSION_GZIP = 1,
	SL_CONFIG_COMPRESSION_SNAPPY = 2,
	SL_CONFIG_COMPRESSION_LZ4 = 3,
	SL_CONFIG_COMPRESSION_ZSTD = 4,
};

enum sl_config_partitioner {
	SL_CONFIG_PARTITIONER_MURMUR2_RANDOM,    /* Java: murmur2 of the key, sticky without one */
	SL_CONFIG_PARTITIONER_MURMUR2,           /* murmur2, a null key hashed as an empty one */
	SL_CONFIG_PARTITIONER_CONSISTENT_RANDOM, /* librdkafka: crc32, empty and null keys spread */
	SL_CONFIG_PARTITIONER_CONSISTENT,        /* crc32, empty and null keys to one partition */
	SL_CONFIG_PARTITIONER_FNV1A_RANDOM,      /* sarama: fnv1a, null keys spread */
	SL_CONFIG_PARTITIONER_FNV1A,             /* fnv1a, a null key hashed as an empty one */
	SL_CONFIG_PARTITIONER_RANDOM,
	SL_CONFIG_PARTITIONER_ROUND_ROBIN,
};

enum sl_config_transport { SL_CONFIG_TRANSPORT_URING, SL_CONFIG_TRANSPORT_DPDK };
enum sl_config_security { SL_CONFIG_SECURITY_PLAINTEXT };
enum sl_config_dns_lookup { SL_CONFIG_DNS_USE_ALL_IPS };
enum sl_config_resume { SL_CONFIG_RESUME_RENUMBER, SL_CONFIG_RESUME_STRICT };

enum sl_config_log_level {
	SL_CONFIG_LOG_ERROR,
	SL_CONFIG_LOG_WARNING,
	SL_CONFIG_LOG_INFO,
	SL_CONFIG_LOG_DEBUG,
};

/* Bits of io_uring_disable, in the order of the names of `io_uring.disable`. */
enum sl_config_uring_feature {
	SL_CONFIG_URING_SINGLE_ISSUER = 1 << 0,
	SL_CONFIG_URING_DEFER_TASKRUN = 1 << 1,
	SL_CONFIG_URING_COOP_TASKRUN = 1 << 2,
	SL_CONFIG_URING_SUBMIT_ALL = 1 << 3,
	SL_CONFIG_URING_BUFFER_RING = 1 << 4,
	SL_CONFIG_URING_RECV_MULTISHOT = 1 << 5,
	SL_CONFIG_URING_RING_FD = 1 << 6,
	SL_CONFIG_URING_SEND_ZC = 1 << 7,
};

enum {
	SL_CONFIG_CORE_ANY = -1, /* a worker that is not pinned */
	SL_CONFIG_WORKERS_MAX = 64,
	SL_CONFIG_SEGMENTS_MAX = 4096, /* what a keeper must have room for */
	SL_CONFIG_ENDPOINTS_MAX = 64,
	SL_CONFIG_TOPIC_RULES_MAX = 1024,
	SL_CONFIG_ALLOW_MAX = 256,
	SL_CONFIG_PATTERNS_MAX = 1024, /* of one allow rule */
	SL_CONFIG_TOPIC_NAME_MAX = 249,
	SL_CONFIG_TEXT_BYTES_MAX =
		1024 * 1024, /* of a file; what is longer is not a configuration */
};

/* What may differ between topics; resolved, so that a reader needs no second look-up. */
struct sl_config_topic {
	int32_t acks;        /* enum sl_config_acks */
	int32_t compression; /* enum sl_config_compression */
	int32_t compression_gzip_level;
	int32_t compression_lz4_level;
	int32_t compression_zstd_level;
	int32_t partitioner; /* enum sl_config_partitioner */
	bool partitioner_ignore_keys;
	bool partitioner_adaptive;
	bool enable_idempotence; /* already false where acks is not all */
	uint64_t linger_us;
	uint64_t batch_bytes;
	uint64_t request_bytes_max; /* also the largest record */
	uint64_t delivery_timeout_us;
};

struct sl_config_endpoint {
	const char *host; /* a name or an address, without brackets */
	uint16_t port;
};

struct sl_config_worker {
	int32_t core;      /* a CPU's number, or SL_CONFIG_CORE_ANY */
	int32_t transport; /* enum sl_config_transport */
};

enum sl_config_who { SL_CONFIG_WHO_ANYBODY, SL_CONFIG_WHO_USER, SL_CONFIG_WHO_GROUP };

/* Users and groups stay names ("alice", "1000"): who they are may change while the agent runs, so
 * the agent asks NSS when an application connects. Topic patterns are a name, or a prefix that ends
 * in '*'. */
struct sl_config_allow {
	int32_t who;      /* enum sl_config_who */
	const char *name; /* "" for anybody */
	const char *const *patterns;
	uint32_t pattern_count;
};

/* One entry of `topics:`. */
struct sl_config_topic_rule {
	const char *pattern; /* as written, with the '*' of a prefix */
	uint64_t set_mask;   /* bit i: the i-th topic setting of the schema was given here */
	struct sl_config_topic topic;
};

struct sl_config {
	/* The cluster. */
	const struct sl_config_endpoint *bootstrap_servers;
	uint32_t bootstrap_server_count; /* at least 1 */
	const char *client_id;
	int32_t client_dns_lookup; /* enum sl_config_dns_lookup */
	int32_t security_protocol; /* enum sl_config_security */
	bool allow_auto_create_topics;
	uint32_t max_in_flight; /* requests, a connection */
	uint64_t request_timeout_us;
	uint64_t retry_backoff_us;
	uint64_t retry_backoff_us_max;
	uint64_t reconnect_backoff_us;
	uint64_t reconnect_backoff_us_max;
	uint64_t connection_setup_timeout_us;
	uint64_t metadata_age_us_max;
	uint64_t topic_unknown_grace_us;
	uint64_t send_buffer_bytes;    /* 0: the kernel tunes it */
	uint64_t receive_buffer_bytes; /* 0: the kernel tunes it */

	/* Topics: the defaults, then the entries of `topics:` in the order of the file. Use
	 * sl_config_topic(). */
	struct sl_config_topic topic;
	const struct sl_config_topic_rule *topic_rules;
	uint32_t topic_rule_count;

	/* The agent. */
	const char *runtime_dir;
	const char *arena_dir;
	const struct sl_config_worker *workers;
	uint32_t worker_count; /* at least 1 */
	const struct sl_config_allow *allow;
	uint32_t allow_count; /* 0: nobody may write */
	uint64_t arena_bytes; /* of each worker */
	uint64_t arena_chunk_bytes;
	uint32_t arena_percent_per_broker, arena_percent_per_topic;
	uint64_t ring_bytes; /* when the application asks for none */
	uint64_t ring_bytes_max;
	uint64_t rings_bytes_total;
	uint64_t quota_uid_bytes;
	uint32_t rings_max; /* of each worker */
	uint32_t segments_max;
	uint32_t segment_rings_max;
	uint32_t report_slots; /* of a ring, when the application asks for none; a power of two */
	uint32_t report_slots_max;
	uint32_t topics_max;
	uint32_t partitions_max; /* of each worker */
	uint64_t handshake_timeout_us;
	uint64_t shutdown_timeout_us;
	int32_t resume; /* enum sl_config_resume */
	uint64_t orphan_ttl_us;
	uint64_t idle_spin_us;
	uint32_t io_uring_disable; /* bits of enum sl_config_uring_feature */
	int32_t log_level;         /* enum sl_config_log_level */

	struct sl_config_store *store; /* owns everything that the pointers above reach */
};

/* Where the configuration comes from. `sets` are applied over the file. */
struct sl_config_source {
	const char *path; /* a file, or NULL */
	const char *text; /* used when path is NULL; NULL too: no file at all */
	size_t text_bytes;
	const char *text_name;   /* how messages call `text` */
	const char *const *sets; /* "KEY=VALUE" */
	uint32_t set_count;
	const cpu_set_t *cpus_allowed; /* NULL: those of this thread */
};

struct sl_config_issue {
	char *place; /* "FILE:LINE", "--set", or "default" */
	char *key;   /* "" when the text as a whole is meant */
	char *text;
	uint32_t line; /* 1-based; 0 outside a file */
	uint32_t column;
};

/* Everything found in one load. Caller's memory; zero it, then sl_config_report_fini() when done.
 */
struct sl_config_report {
	struct sl_config_issue *errors;
	uint32_t error_count;
	struct sl_config_issue
		*notices; /* changes that a setting implied; the agent logs each once */
	uint32_t notice_count;
};

/* Reads, merges, checks. 0 and *out (free it), or -EINVAL and at least one error in the report; the
 * errors are all that there are, not the first. */
int sl_config_load(const struct sl_config_source *src, struct sl_config **out,
		   struct sl_config_report *report);
void sl_config_free(struct sl_config *cfg);

/* One line an issue: "PLACE: KEY: TEXT". */
void sl_config_report_print(FILE *out, const struct sl_config_report *report);
void sl_config_report_fini(struct sl_config_report *report);

/* The settings of one topic: those of the entry with its exact name, else of the longest matching
 * prefix, else the defaults. Entries do not add up. */
struct sl_config_topic sl_config_topic(const struct sl_config *cfg, const char *topic);

/* Whether a topic matches "name" or "prefix*"; for `topics:` and for the agent's check of `allow:`.
 */
bool sl_config_pattern_matches(const char *pattern, const char *topic);

/* The largest max.request.size of any topic: what a worker's buffers must hold. */
uint64_t sl_config_request_bytes_max(const struct sl_config *cfg);

/* Told once for each difference. `topic` is NULL, or the pattern of the entry of `topics:` that
 * differs. */
typedef void (*sl_config_change_fn)(void *ctx, const char *topic, const char *key, bool reloadable);

/* What a reload would change, in the order of the schema. Returns how many changes need a restart.
 */
uint32_t sl_config_diff(const struct sl_config *old_cfg, const struct sl_config *new_cfg,
			sl_config_change_fn change, void *ctx);

/* Canonical YAML that loads to an equal struct. What memory it makes is the agent's to add up. */
void sl_config_dump(FILE *out, const struct sl_config *cfg);

/* Every setting, as Markdown: key, type, default, range, scope, reload, aliases, meaning. */
void sl_config_print_reference(FILE *out);

#endif
