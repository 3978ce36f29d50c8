/* SPDX-License-Identifier: Apache-2.0 */
/* The loop, and the life of a run: load with faults, mending, rest, shutdown, judgement. */
#include "tests/sim/run.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/options.h"
#include "agent/shutdown.h"
#include "dataplane/transport/sim/sim.h"
#include "tests/sim/check.h"
#include "tests/sim/os.h"
#include "tests/sim/sim.h"

enum { IDLE_STEPS_MAX = 200000 };

#define REFUSED_NS (40 * SL_NS_PER_S)    /* longer than the agent leaves a refused topic alone */
#define REST_EXTRA_NS (90 * SL_NS_PER_S) /* beyond the delivery timeout: when all must be told */

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static void arrival_look(struct sim *sim)
{
	struct box *box = &sim->box;

	box->arrival_ns = SL_DEADLINE_NONE;
	for (uint32_t i = 0; box->running && i < box->worker_count; i++)
		box->arrival_ns =
			earlier(box->arrival_ns, sl_sim_next_arrival_ns(box->workers[i].transport));
}

static uint32_t brokers_slice(struct sim *sim)
{
	struct box *box = &sim->box;
	uint32_t work;

	if (!box->wire_dirty && box->arrival_ns > sim->now_ns && sim->cluster.next_ns > sim->now_ns)
		return 0;
	box->wire_dirty = false;
	work = cluster_turn(sim);
	arrival_look(sim);
	return work;
}

/* In an order of the seed's, each part of the world gets its turn. */
static uint32_t slices(struct sim *sim)
{
	uint32_t parts = 2 + sim->box.worker_count + sim->world.app_count;
	uint32_t first = (uint32_t)sim_below(sim, parts), work = 0;

	for (uint32_t i = 0; i < parts; i++) {
		uint32_t part = (first + i) % parts;

		if (part == 0)
			work += box_control_slice(sim);
		else if (part == 1)
			work += brokers_slice(sim);
		else if (part < 2 + sim->box.worker_count)
			work += box_worker_slice(sim, part - 2);
		else
			work += app_turn(sim, part - 2 - sim->box.worker_count);
	}
	return work;
}

static uint64_t next_ns(const struct sim *sim)
{
	uint64_t next = earlier(box_next_ns(sim), sim->cluster.next_ns);

	if (!sim->faults.over && sim->world.faults)
		next = earlier(next, sim->faults.next_ns);
	if (sim->faults.delay_until_ns)
		next = earlier(next, sim->faults.delay_until_ns);
	return earlier(next, apps_next_ns(sim));
}

void sim_step(struct sim *sim)
{
	uint64_t next;
	uint32_t work;

	sim->steps++;
	if (sim->box.running && sim->box.stopping && sim->box.over)
		box_stopped(sim);
	if (!sim->box.running && sim->box.restart_ns <= sim->now_ns)
		box_start(sim);
	faults_turn(sim);
	work = slices(sim);
	/* Work takes time too: a little, and never the same. */
	if (work > 0) {
		sim->now_ns += 200 + sim_below(sim, 4000);
		return;
	}
	next = next_ns(sim);
	if (next == SL_DEADLINE_NONE)
		next = sim->now_ns + SL_NS_PER_MS;
	sim->now_ns = next > sim->now_ns ? next : sim->now_ns + 1000;
}

static void load(struct sim *sim)
{
	sim->load_end_ns = sim->now_ns + sim->world.load_ns;
	while (sim->now_ns < sim->load_end_ns)
		sim_step(sim);
	TRACE(sim, "faults are over, {} records sent", (int64_t)sim->ledger.sent);
	faults_stop(sim);
	apps_finish(sim);
}

static void apps_wait(struct sim *sim)
{
	uint64_t until_ns =
		sim->now_ns + sim->world.delivery_timeout_ms * SL_NS_PER_MS + REST_EXTRA_NS;
	char text[512];

	while (!apps_done(sim)) {
		sim_step(sim);
		if (sim->now_ns < until_ns)
			continue;
		for (uint32_t i = 0; i < sim->world.app_count; i++)
			if (sim->apps[i].state != APP_DONE) {
				app_describe(sim, i, text, sizeof(text));
				sim_violation(sim, "no progress: %s", text);
			}
	}
}

/* Topics that were refused are asked for again, then whatever is sent has to come through. */
static void probe(struct sim *sim)
{
	uint64_t until_ns = sim->now_ns + REFUSED_NS;

	while (sim->now_ns < until_ns)
		sim_step(sim);
	TRACE(sim, "probe", 0);
	apps_probe(sim);
	apps_wait(sim);
}

static void rest(struct sim *sim)
{
	uint64_t until_ns =
		sim->now_ns + sim->world.delivery_timeout_ms * SL_NS_PER_MS + REST_EXTRA_NS;

	apps_wait(sim);
	sim->heal_ns = sim->now_ns;
	/* Those of the dead have no reports that somebody waits for. */
	while (sim->now_ns < until_ns) {
		uint64_t queued = 0;

		for (uint32_t i = 0; sim->box.running && i < sim->box.worker_count; i++)
			queued += sl_worker_stats(sim->box.workers[i].worker)->queued;
		if (queued == 0 && sim->box.running && sim->now_ns > sim->heal_ns + 2 * SL_NS_PER_S)
			break;
		sim_step(sim);
	}
	probe(sim);
	check_at_rest(sim);
}

static void shut_down(struct sim *sim)
{
	uint64_t until_ns = sim->now_ns + 200 * SL_NS_PER_S;

	if (sim_chance(sim, 50))
		apps_close(sim);
	TRACE(sim, "shutdown", 0);
	sim->box.config->shutdown_timeout_us = 120 * SL_NS_PER_S / SL_NS_PER_US;
	sl_shutdown_ask(&sim->box.agent);
	sim->box.notified = true;
	while (!sim->box.over) {
		sim_step(sim);
		if (sim->now_ns > until_ns)
			sim_violation(sim, "the agent does not shut down");
	}
	if (sl_shutdown_finish(&sim->box.agent) != SL_EXIT_OK)
		sim_violation(sim, "the shutdown kept records that had outcomes");
	check_arenas(sim);
}

/* Until each log has been copied: what lies below no high watermark is nobody's. */
static void logs_settle(struct sim *sim)
{
	uint64_t until_ns = sim->now_ns + 60 * SL_NS_PER_S;

	conns_orphan_all(sim);
	for (bool open = true; open;) {
		open = !conns_idle(sim);
		for (uint32_t t = 0; t < sim->cluster.topic_count; t++) {
			const struct model_topic *topic = &sim->cluster.topics[t];

			for (uint32_t i = 0; i < topic->part_count && !topic->deleted; i++) {
				const struct part *part = &topic->parts[i];
				const struct replica *leader =
					&part->at[part->leader < 0 ? 0 : part->leader];

				open |= part->leader < 0 ||
					leader->high_watermark != leader->end_offset;
			}
		}
		cluster_turn(sim);
		sim->now_ns += SL_NS_PER_MS;
		if (sim->now_ns > until_ns)
			sim_violation(sim, "the model's replicas do not come to rest");
	}
}

static struct run_result finish(struct sim *sim)
{
	struct run_result result;

	apps_close(sim);
	logs_settle(sim);
	box_end(sim);
	check_records(sim);
	result = (struct run_result){.hash = sim->hash,
				     .events = sim->events,
				     .steps = sim->steps,
				     .records = sim->ledger.sent,
				     .virtual_ns = sim->now_ns};
	for (uint32_t i = 0; i < FAULT_COUNT; i++)
		result.fault_count += sim->faults.counts[i];
	ledger_fini(sim);
	cluster_fini(sim);
	box_fini(sim);
	os_locks_clear();
	sim_current = NULL;
	free(sim);
	return result;
}

struct run_result run_seed(uint64_t seed, bool verbose)
{
	struct sim *sim = calloc(1, sizeof(*sim));

	if (!sim)
		abort();
	sim->seed = seed;
	sim->verbose = verbose;
	/* Neighbouring seeds must not look alike. */
	sim->random = (seed + 1) * UINT64_C(0x9e3779b97f4a7c15) ^ UINT64_C(0xd1b54a32d192ed03);
	for (uint32_t i = 0; i < 16; i++)
		sim_random(sim);
	sim->now_ns = SL_NS_PER_S;
	sim_current = sim;
	world_draw(sim);
	if (verbose)
		world_print(sim);
	cluster_init(sim);
	box_init(sim);
	box_start(sim);
	apps_init(sim);
	load(sim);
	rest(sim);
	shut_down(sim);
	return finish(sim);
}
