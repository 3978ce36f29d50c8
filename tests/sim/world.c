/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/world.h"

#include <stdio.h>

#include "dataplane/client/sluice.h"
#include "dataplane/wire/batch_header.h"
#include "tests/sim/sim.h"

static void topic_draw(struct sim *sim, struct sim_topic_spec *spec)
{
	static const uint32_t batch_sizes[] = {1024, 2048, 4096, 16384, 65536};

	spec->partitions = (uint32_t)sim_between(sim, 1, 6);
	spec->replicas = (uint32_t)sim_between(sim, 1, sim->world.broker_count);
	spec->min_isr = spec->replicas > 1 ? (uint32_t)sim_between(sim, 1, spec->replicas - 1) : 1;
	if (sim_chance(sim, 20))
		spec->min_isr = spec->replicas;
	spec->acks = -1;
	spec->idempotent = true;
	if (sim_chance(sim, 20)) {
		spec->idempotent = false;
		spec->acks = (int16_t)((int)sim_below(sim, 3) - 1);
	}
	spec->codec = sim_chance(sim, 30) ? SL_CODEC_LZ4 : SL_CODEC_NONE;
	spec->linger_ms = sim_chance(sim, 30) ? 0 : (uint32_t)sim_between(sim, 1, 20);
	spec->batch_bytes = batch_sizes[sim_below(sim, SL_ARRAY_COUNT(batch_sizes))];
}

static void app_draw(struct sim *sim, struct sim_app_spec *spec)
{
	spec->rings = (uint32_t)sim_between(sim, 1, SIM_APP_RINGS_MAX);
	spec->ring_bytes = UINT64_C(65536) << sim_below(sim, 3);
	spec->report_slots = 64u << sim_below(sim, 5);
	for (uint32_t r = 0; r < SIM_APP_RINGS_MAX; r++)
		spec->report_mode[r] = sim_chance(sim, 70)   ? SLUICE_REPORT_ALL
				       : sim_chance(sim, 70) ? SLUICE_REPORT_ERRORS
							     : SLUICE_REPORT_NONE;
	spec->full_policy = (uint32_t)sim_between(sim, SLUICE_FULL_WAIT, SLUICE_FULL_DROP);
	spec->value_bytes_max = 16u << sim_below(sim, 8);
	spec->keyed_percent = sim_chance(sim, 40) ? 0 : (uint32_t)sim_below(sim, 101);
	spec->chosen_percent = sim_chance(sim, 70) ? 0 : (uint32_t)sim_below(sim, 101);
	spec->burst_max = (uint32_t)sim_between(sim, 1, 64);
	spec->pause_us_max = sim_between(sim, 200, 60000);
	spec->records = (uint32_t)sim_between(sim, 20, 400);
	spec->deaf = sim_chance(sim, 20);
	spec->waits = sim_chance(sim, 30);
}

static void deaths_draw(struct sim *sim)
{
	struct sim_world *world = &sim->world;

	world->deaths_only = true;
	world->faults &= FAULTS_DEATHS;
	world->faults |= UINT64_C(1) << FAULT_KILL_AGENT;
	if (sim_chance(sim, 60))
		world->faults |= UINT64_C(1) << FAULT_APP_DIES;
	if (sim_chance(sim, 40))
		world->faults |= UINT64_C(1) << FAULT_STOP_AGENT;
	/* No time runs out, however often it is killed. */
	world->delivery_timeout_ms += 60 * 1000;
	world->window_bytes = world->send_step = 0;
}

static void faults_draw(struct sim *sim)
{
	struct sim_world *world = &sim->world;

	if (sim_chance(sim, 12))
		return;
	world->faults_per_s = (uint32_t)sim_between(sim, 1, 30);
	for (uint32_t i = 0; i < FAULT_COUNT; i++)
		if (sim_chance(sim, 25))
			world->faults |= UINT64_C(1) << i;
	world->keeper = sim_chance(sim, 50);
	if (sim_chance(sim, 30))
		deaths_draw(sim);
	if (world->faults & UINT64_C(1) << FAULT_TOO_LARGE)
		world->topics[0].message_bytes_max = (uint32_t)sim_between(sim, 600, 8000);
}

void world_draw(struct sim *sim)
{
	static const uint32_t windows[] = {0, 0, 0, 4096, 16384, 65536};
	struct sim_world *world = &sim->world;

	world->broker_count = (uint32_t)sim_between(sim, 1, SIM_BROKERS_MAX);
	world->topic_count = (uint32_t)sim_between(sim, 1, SIM_TOPICS_MAX);
	world->worker_count = (uint32_t)sim_between(sim, 1, SIM_WORKERS_MAX);
	world->app_count = (uint32_t)sim_between(sim, 1, SIM_APPS_MAX);
	world->release = (uint32_t)sim_below(sim, 6);
	world->read_refused = sim->seed % 8 == 5; /* not drawn: it came later than the seeds that are kept */
	world->keys = (uint32_t)sim_between(sim, 1, 50);
	world->in_flight_max = (uint32_t)sim_between(sim, 1, 5);
	world->request_timeout_ms = (uint32_t)sim_between(sim, 300, 3000);
	world->delivery_timeout_ms =
		world->request_timeout_ms + (uint32_t)sim_between(sim, 100, 20000);
	world->unknown_grace_ms = (uint32_t)sim_between(sim, 500, 3000);
	world->net_delay_ns = sim_skewed(sim, 20 * SL_NS_PER_MS);
	world->service_ns_max = sim_between(sim, 1, 10000) * SL_NS_PER_US;
	world->fetch_ns_max = sim_between(sim, 100, 30000) * SL_NS_PER_US;
	world->view_ns_max = sim_between(sim, 1, 400) * SL_NS_PER_MS;
	world->send_step = sim_chance(sim, 30) ? (uint32_t)sim_between(sim, 64, 4096) : 0;
	world->window_bytes = windows[sim_below(sim, SL_ARRAY_COUNT(windows))];
	world->sent_when_read = sim_chance(sim, 30);
	world->load_ns = sim_between(sim, 500, 6000) * SL_NS_PER_MS;
	for (uint32_t i = 0; i < world->topic_count; i++)
		topic_draw(sim, &world->topics[i]);
	for (uint32_t i = 0; i < world->app_count; i++)
		app_draw(sim, &world->apps[i]);
	faults_draw(sim);
}

void world_print(const struct sim *sim)
{
	const struct sim_world *world = &sim->world;

	printf("world of seed %llu: %u brokers (release %u), %u workers, in flight %u, request %u "
	       "ms, "
	       "delivery %u ms\n",
	       (unsigned long long)sim->seed, world->broker_count, world->release,
	       world->worker_count, world->in_flight_max, world->request_timeout_ms,
	       world->delivery_timeout_ms);
	for (uint32_t i = 0; i < world->topic_count; i++) {
		const struct sim_topic_spec *spec = &world->topics[i];

		printf("  topic %u: %u partitions, %u replicas, min.insync %u, acks %d, idempotent "
		       "%d, "
		       "codec %u, linger %u ms, batch %u, broker takes %u\n",
		       i, spec->partitions, spec->replicas, spec->min_isr, spec->acks,
		       spec->idempotent, spec->codec, spec->linger_ms, spec->batch_bytes,
		       spec->message_bytes_max);
	}
	for (uint32_t i = 0; i < world->app_count; i++) {
		const struct sim_app_spec *spec = &world->apps[i];

		printf("  app %u: %u rings of %llu bytes, modes %u %u %u, slots %u, policy %u, "
		       "values to "
		       "%u, %u records a ring%s\n",
		       i, spec->rings, (unsigned long long)spec->ring_bytes, spec->report_mode[0],
		       spec->report_mode[1], spec->report_mode[2], spec->report_slots,
		       spec->full_policy, spec->value_bytes_max, spec->records,
		       spec->deaf ? ", deaf" : "");
	}
	printf("  %s\n", world->keeper ? "with a keeper" : "without a keeper");
	printf("  faults, %u a second:", world->faults_per_s);
	for (uint32_t i = 0; i < FAULT_COUNT; i++)
		if (world->faults & UINT64_C(1) << i)
			printf(" %s", fault_name(i));
	printf("\n");
}
