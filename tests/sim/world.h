/* SPDX-License-Identifier: Apache-2.0 */
/* What a seed makes of a run: sizes, settings and which faults there are. Drawn once, then
 * constant. */
#ifndef SL_SIM_WORLD_H
#define SL_SIM_WORLD_H

#include <stdbool.h>
#include <stdint.h>

struct sim;

enum {
	SIM_BROKERS_MAX = 3,
	SIM_TOPICS_MAX = 3,
	SIM_PARTITIONS_MAX = 8,
	SIM_WORKERS_MAX = 2,
	SIM_APPS_MAX = 4,
	SIM_APP_RINGS_MAX = 3,
	SIM_VALUE_BYTES_LIMIT = 16 * 1024,
};

struct sim_topic_spec {
	uint32_t partitions;
	uint32_t replicas, min_isr;
	int16_t acks;
	bool idempotent;
	uint32_t codec; /* enum sl_codec_id */
	uint32_t linger_ms;
	uint32_t batch_bytes;
	uint32_t message_bytes_max;          /* of the broker; 0: none */
	int64_t before_ms_max, after_ms_max; /* of timestamps, from the broker's clock; 0: any */
};

struct sim_app_spec {
	uint32_t rings;
	uint64_t ring_bytes;
	uint32_t report_slots;
	uint32_t report_mode[SIM_APP_RINGS_MAX];
	uint32_t full_policy;
	uint32_t value_bytes_max;
	uint32_t keyed_percent, chosen_percent; /* with a key; with a partition of its own */
	uint32_t burst_max;
	uint64_t pause_us_max; /* between two bursts */
	uint32_t records;      /* of each ring in one life */
	bool deaf;             /* reads its reports seldom */
	bool waits;            /* now and then it flushes and waits */
};

struct sim_world {
	uint32_t broker_count, topic_count, worker_count, app_count;
	uint32_t release; /* of the brokers: row of the version table in serve.c */
	bool read_refused; /* DescribeProducers is not allowed */
	uint32_t keys;
	uint32_t in_flight_max;
	uint32_t request_timeout_ms, delivery_timeout_ms;
	uint32_t unknown_grace_ms;
	uint64_t net_delay_ns, service_ns_max, fetch_ns_max, view_ns_max;
	uint32_t send_step, window_bytes;
	bool sent_when_read;
	uint64_t load_ns; /* how long applications send and faults happen */
	struct sim_topic_spec topics[SIM_TOPICS_MAX];
	struct sim_app_spec apps[SIM_APPS_MAX];
	uint64_t faults;       /* bits of enum fault_kind */
	uint32_t faults_per_s; /* about */
	bool keeper;           /* segments outlive the agent and their application */
	/* Nothing goes wrong but that processes die: each record has to be persisted, and nothing
	 * be unknown. */
	bool deaths_only;
};

void world_draw(struct sim *sim);
void world_print(const struct sim *sim);

/* Is every record of this topic promised exactly once and in order? */
static inline bool topic_strict(const struct sim_topic_spec *spec)
{
	return spec->acks == -1 && spec->idempotent;
}

#endif
