/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/app.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agent/admission.h"
#include "agent/segment.h"
#include "dataplane/client/client.h"
#include "tests/sim/os.h"
#include "tests/sim/sim.h"

enum { POLL_MAX = 64, AGAIN_MS = 20, PROBE_RECORDS = 6 };

#define IDLE_NS (700 * SL_NS_PER_MS)

static const struct sim_app_spec *spec_of(const struct sim *sim, const struct app *app)
{
	return &sim->world.apps[app->index];
}

void apps_init(struct sim *sim)
{
	for (uint32_t i = 0; i < sim->world.app_count; i++) {
		struct app *app = &sim->apps[i];

		app->index = i;
		app->state = APP_ABSENT;
		app->lives = (uint32_t)sim_between(sim, 1, 3);
		app->next_ns = sim->now_ns + sim_skewed(sim, sim->world.load_ns / 2);
	}
}

/* ---- opening ---- */

static void open_failed(struct sim *sim, struct app *app, int rc, const char *text)
{
	/* Nobody listens, or it is stopping or overloaded just now. */
	if (rc != -ENOENT && rc != -ECONNREFUSED && rc != -EAGAIN && rc != -ETIMEDOUT &&
	    rc != -EPIPE && rc != -ECONNRESET && rc != -ENOTCONN)
		sim_violation(sim, "app %u: open: %d %s", app->index, rc, text);
	TRACE(sim, "app {} cannot open: {}", app->index, rc);
	app->next_ns = sim->now_ns + AGAIN_MS * SL_NS_PER_MS;
}

static int topics_bind(struct sim *sim, struct app *app)
{
	int rc = 0;

	for (uint32_t t = 0; rc == 0 && t < sim->world.topic_count; t++) {
		char name[32];

		snprintf(name, sizeof(name), "topic-%u", t);
		rc = sluice_topic_bind(app->client, name, &app->topics[t]);
	}
	return rc;
}

static void rings_get(struct sim *sim, struct app *app)
{
	const struct sim_app_spec *spec = spec_of(sim, app);

	for (uint32_t r = 0; r < spec->rings; r++) {
		struct sluice_ring_options options = SLUICE_RING_OPTIONS_INIT;
		struct app_ring *ring = &app->rings[r];

		options.report_mode = spec->report_mode[r];
		options.full_policy = spec->full_policy;
		options.full_timeout_ms = 200;
		*ring = (struct app_ring){0};
		if (sluice_ring_get(app->client, &options, &ring->ring) != 0)
			sim_violation(sim, "app %u: ring %u not to be had", app->index, r);
		ring->book = ledger_book_new(sim, app->index, r, app->life, spec->report_mode[r]);
	}
}

static void app_open(struct sim *sim, struct app *app)
{
	const struct sim_app_spec *spec = spec_of(sim, app);
	struct sluice_options options = SLUICE_OPTIONS_INIT;
	uint8_t modes[SIM_APP_RINGS_MAX];
	char text[200] = "";
	int rc;

	for (uint32_t r = 0; r < spec->rings; r++)
		modes[r] = (uint8_t)spec->report_mode[r];
	options.ring_count = spec->rings;
	options.ring_bytes = spec->ring_bytes;
	options.report_slots = spec->report_slots;
	options.ring_report_modes = modes;
	options.socket_path = sim->box.socket_path;
	options.error_text = text;
	options.error_text_bytes = sizeof(text);
	rc = sluice_open(&options, &app->client);
	if (rc == 0) {
		rc = topics_bind(sim, app);
		snprintf(text, sizeof(text), "topic: %s", sluice_last_error(app->client));
	}
	if (rc < 0) {
		if (app->client)
			os_lock_drop(app->client->data_fd);
		sluice_close(app->client);
		app->client = NULL;
		sim->box.socket_looks = BOX_SOCKET_LOOKS;
		open_failed(sim, app, rc, text);
		return;
	}
	app->life++;
	rings_get(sim, app);
	app->state = APP_RUNNING;
	app->next_ns = app->report_ns = sim->now_ns;
	TRACE(sim, "app {} open, life {}", app->index, app->life);
}

/* ---- records ---- */

static uint32_t value_bytes_draw(struct sim *sim, const struct sim_app_spec *spec)
{
	return SIM_VALUE_BYTES_MIN + (uint32_t)sim_skewed(sim, spec->value_bytes_max);
}

static void record_draw(struct sim *sim, struct app *app, struct record *record)
{
	const struct sim_app_spec *spec = spec_of(sim, app);

	record->topic = (uint8_t)sim_below(sim, sim->world.topic_count);
	record->value_bytes = value_bytes_draw(sim, spec);
	record->keyed = sim_chance(sim, spec->keyed_percent);
	if (sim_chance(sim, spec->chosen_percent))
		record->wanted =
			(int32_t)sim_below(sim, sim->world.topics[record->topic].partitions);
}

static int64_t send_copied(struct sim *sim, struct app *app, struct app_ring *ring,
			   const struct record *record)
{
	uint8_t value[SIM_VALUE_BYTES_LIMIT]; /* not shared: while this call waits others send */
	char key[SIM_KEY_BYTES_MAX];
	uint32_t seq = ring->sent;
	struct sluice_record out = {.value = value, .value_bytes = (int32_t)record->value_bytes};

	if (record->keyed) {
		out.key = key;
		out.key_bytes = (int32_t)ledger_key(ring->book, seq, sim->world.keys, key);
	}
	ledger_value(ring->book, seq, value, record->value_bytes);
	if (record->wanted >= 0) {
		out.flags = SLUICE_TO_PARTITION;
		out.partition = record->wanted;
	}
	return sluice_send(ring->ring, app->topics[record->topic], &out);
}

static int64_t send_claimed(struct sim *sim, struct app *app, struct app_ring *ring,
			    const struct record *record)
{
	char key[SIM_KEY_BYTES_MAX];
	uint32_t seq = ring->sent;
	struct sluice_sizes sizes = {.key_bytes = SLUICE_NULL,
				     .value_bytes = (int32_t)record->value_bytes};
	struct sluice_claim claim;
	int rc;

	if (record->keyed)
		sizes.key_bytes = (int32_t)ledger_key(ring->book, seq, sim->world.keys, key);
	if (record->wanted >= 0) {
		sizes.flags = SLUICE_TO_PARTITION;
		sizes.partition = record->wanted;
	}
	rc = sluice_claim(ring->ring, app->topics[record->topic], &sizes, &claim);
	if (rc < 0)
		return rc;
	if (record->keyed)
		memcpy(claim.key, key, (size_t)sizes.key_bytes);
	ledger_value(ring->book, seq, claim.value, record->value_bytes);
	if (sim_chance(sim, 5)) {
		sluice_abort(ring->ring, &claim);
		return -ECANCELED;
	}
	return sluice_commit(ring->ring, &claim);
}

/* False: no more for now. */
static bool record_send(struct sim *sim, struct app *app, struct app_ring *ring)
{
	struct record *record = ledger_next(sim, ring->book);
	int64_t rc;

	record_draw(sim, app, record);
	if (sim->faults.over) {
		record->probe = true;
		record->value_bytes = SIM_VALUE_BYTES_MIN;
	}
	app->busy = true;
	rc = sim_chance(sim, 20) ? send_claimed(sim, app, ring, record)
				 : send_copied(sim, app, ring, record);
	app->busy = false;
	if (rc >= 0) {
		ledger_sent(sim, ring->book, (uint64_t)rc);
		ring->sent++;
		return true;
	}
	if (rc == -ENOBUFS)
		ring->dropped++;
	else if (rc != -EAGAIN && rc != -ETIMEDOUT && rc != -ECANCELED && rc != -ENOTCONN &&
		 !(rc == -ESHUTDOWN && sim->box.stops > 0))
		sim_violation(sim, "app %u: send: %d %s", app->index, (int)rc,
			      sluice_ring_last_error(ring->ring));
	return false;
}

static void burst(struct sim *sim, struct app *app)
{
	const struct sim_app_spec *spec = spec_of(sim, app);
	struct app_ring *ring = &app->rings[sim_below(sim, spec->rings)];
	uint64_t count = 1 + sim_skewed(sim, spec->burst_max);
	uint32_t before = ring->sent;

	while (count-- > 0 && ring->sent < spec->records && record_send(sim, app, ring))
		;
	if (ring->sent != before)
		TRACE(sim, "app {} ring {} sent {} .. {}", app->index, ring->book, before,
		      ring->sent - 1);
	if (sim_chance(sim, 3))
		sluice_flush(ring->ring, 0);
}

static void flush_wait(struct sim *sim, struct app *app)
{
	struct app_ring *ring = &app->rings[sim_below(sim, spec_of(sim, app)->rings)];
	int rc;

	TRACE(sim, "app {} ring {} flushes and waits", app->index, ring->book);
	app->busy = true;
	rc = sluice_flush(ring->ring, (uint32_t)sim_between(sim, 1, 500));
	app->busy = false;
	if (rc != 0 && rc != -ETIMEDOUT && rc != -ENOBUFS && rc != -ENOTCONN &&
	    !(rc == -ESHUTDOWN && sim->box.stops > 0))
		sim_violation(sim, "app %u: flush: %d %s", app->index, rc,
			      sluice_ring_last_error(ring->ring));
	TRACE(sim, "app {} ring {} flushed: {}", app->index, ring->book, rc);
}

/* ---- reports ---- */

static void report_check(struct sim *sim, struct app *app, const struct app_ring *ring,
			 const struct sluice_report *report)
{
	uint32_t mode = sim->ledger.books[ring->book].mode;
	bool reset = sim->ledger.books[ring->book].given_up && report->partition < 0 &&
		     report->outcome == SLUICE_UNKNOWN;

	if (reset)
		return;
	if (mode == SLUICE_REPORT_NONE ||
	    (mode == SLUICE_REPORT_ERRORS && report->outcome == SLUICE_PERSISTED))
		sim_violation(sim, "app %u ring %u: a report that its mode does not have",
			      app->index, ring->book);
	for (uint64_t i = 0; report->topic && i < report->count; i++) {
		const struct record *record = ledger_record(sim, ring->book, report->first_seq + i);

		if (report->topic != app->topics[record->topic])
			sim_violation(sim, "ring %u record %" PRIu64 " reported for another topic",
				      ring->book, report->first_seq + i);
	}
}

static uint32_t reports_read(struct sim *sim, struct app *app, struct app_ring *ring)
{
	struct sluice_report reports[POLL_MAX];
	int count;

	app->busy = true;
	count = sluice_poll_reports(ring->ring, reports, (uint32_t)sim_between(sim, 1, POLL_MAX));
	app->busy = false;
	if (count < 0)
		sim_violation(sim, "app %u: reports: %d %s", app->index, count,
			      sluice_ring_last_error(ring->ring));
	for (int i = 0; i < count; i++) {
		report_check(sim, app, ring, &reports[i]);
		ledger_told(sim, ring->book, reports[i].first_seq, reports[i].count,
			    reports[i].outcome, reports[i].error, reports[i].partition,
			    reports[i].base_offset);
	}
	return (uint32_t)count;
}

static uint32_t reports_all(struct sim *sim, struct app *app)
{
	const struct sim_app_spec *spec = spec_of(sim, app);
	uint32_t count = 0;

	for (uint32_t r = 0; r < spec->rings; r++)
		count += reports_read(sim, app, &app->rings[r]);
	return count;
}

static bool ring_settled(struct sim *sim, const struct app_ring *ring)
{
	const struct book *book = &sim->ledger.books[ring->book];
	struct sluice_stats stats;

	sluice_ring_stats(ring->ring, &stats);
	if (stats.poison)
		sim_violation(sim, "ring %u is poisoned: %u", ring->book, stats.poison);
	/* An agent that dies may have counted failures in S before what is settled. */
	if (stats.settled > stats.sent ||
	    (stats.failed + stats.unknown > stats.settled && sim->box.kills == 0))
		sim_violation(sim, "ring %u: settled %" PRIu64 " of %" PRIu64, ring->book,
			      stats.settled, stats.sent);
	if (stats.settled < book->count)
		return false;
	switch (book->mode) {
	case SLUICE_REPORT_ALL:
		return book->told == book->count;
	case SLUICE_REPORT_ERRORS:
		return book->given_up ||
		       book->told_failed + book->told_unknown >= stats.failed + stats.unknown;
	default:
		return true;
	}
}

/*
 * The counts of failures in S are stored behind a run's tomb and cannot be derived from the arena:
 * a death between the two leaves them short by that run. Never by more, and never too large.
 */
static bool counts_differ(const struct sim *sim, const struct book *book,
			  const struct sluice_stats *stats)
{
	if (sim->box.kills > 0)
		return stats->failed > book->told_failed || stats->unknown > book->told_unknown;
	return stats->failed != book->told_failed || stats->unknown != book->told_unknown;
}

void app_check(struct sim *sim, uint32_t index)
{
	struct app *app = &sim->apps[index];

	for (uint32_t r = 0; r < spec_of(sim, app)->rings; r++) {
		const struct app_ring *ring = &app->rings[r];
		const struct book *book = &sim->ledger.books[ring->book];
		struct sluice_stats stats;

		sluice_ring_stats(ring->ring, &stats);
		if (stats.settled != book->count || stats.sent != book->count ||
		    stats.dropped != ring->dropped)
			sim_violation(sim,
				      "ring %u: %u sent, %u dropped; the library counts %" PRIu64
				      " sent, %" PRIu64 " settled, %" PRIu64 " dropped",
				      ring->book, book->count, ring->dropped, stats.sent,
				      stats.settled, stats.dropped);
		if (book->mode != SLUICE_REPORT_NONE && !book->given_up &&
		    counts_differ(sim, book, &stats))
			sim_violation(sim,
				      "ring %u: told %u failed and %u unknown; the library counts "
				      "%" PRIu64 " and %" PRIu64,
				      ring->book, book->told_failed, book->told_unknown,
				      stats.failed, stats.unknown);
	}
}

/* ---- life and death ---- */

/* Whatever its library believes. */
static bool agent_has(const struct sim *sim, const struct app *app)
{
	const struct sl_admission *admission = sim->box.agent.admission;

	for (uint32_t i = 0; i < admission->segments_max; i++)
		if (admission->segments[i].state != SL_SEGMENT_FREE &&
		    memcmp(admission->segments[i].client_id, app->client->client_id,
			   sizeof(app->client->client_id)) == 0)
			return true;
	return false;
}

static void app_close(struct sim *sim, struct app *app)
{
	bool attached = sim->box.running && app->client && agent_has(sim, app);

	for (uint32_t r = 0; r < spec_of(sim, app)->rings; r++) {
		struct book *book = &sim->ledger.books[app->rings[r].book];

		book->dead = true;
		book->unkept |= !sim->world.keeper && !attached;
	}
	os_lock_drop(app->client->data_fd);
	sluice_close(app->client);
	app->client = NULL;
	sim->box.socket_looks = BOX_SOCKET_LOOKS;
}

void app_die(struct sim *sim, uint32_t index)
{
	struct app *app = &sim->apps[index];

	if (app->state != APP_RUNNING || app->busy)
		return;
	TRACE(sim, "app {} dies", index);
	app_close(sim, app);
	app->state = app->life < app->lives && !sim->faults.over ? APP_ABSENT : APP_DONE;
	app->next_ns = sim->now_ns + sim_skewed(sim, SL_NS_PER_S);
}

static bool all_sent(const struct sim *sim, const struct app *app)
{
	for (uint32_t r = 0; r < spec_of(sim, app)->rings; r++)
		if (app->rings[r].sent < spec_of(sim, app)->records)
			return false;
	return true;
}

static bool all_settled(struct sim *sim, struct app *app)
{
	bool settled = true;

	for (uint32_t r = 0; r < spec_of(sim, app)->rings; r++)
		settled &= ring_settled(sim, &app->rings[r]);
	return settled;
}

static void app_run(struct sim *sim, struct app *app)
{
	const struct sim_app_spec *spec = spec_of(sim, app);

	if (!spec->deaf || sim_chance(sim, 2))
		reports_all(sim, app);
	if (spec->waits && sim_chance(sim, 2))
		flush_wait(sim, app);
	burst(sim, app);
	if (all_sent(sim, app))
		app->state = APP_DRAINING;
	app->next_ns = sim->now_ns + sim_skewed(sim, spec->pause_us_max * SL_NS_PER_US);
}

static void app_drain(struct sim *sim, struct app *app)
{
	if (reports_all(sim, app) == 0 && all_settled(sim, app)) {
		TRACE(sim, "app {} is done", app->index);
		app_check(sim, app->index);
		app->state = APP_DONE;
	}
	app->next_ns = sim->now_ns + sim_between(sim, 100, 3000) * SL_NS_PER_US;
}

/* It has no work, and looks at its reports now and then: so the library finds a new agent. */
static void app_idle(struct sim *sim, struct app *app)
{
	reports_all(sim, app);
	app->next_ns = sim->now_ns + IDLE_NS;
}

uint32_t app_turn(struct sim *sim, uint32_t index)
{
	struct app *app = &sim->apps[index];

	if (app->busy || (app->state == APP_DONE && !app->client) || app->next_ns > sim->now_ns)
		return 0;
	switch (app->state) {
	case APP_DONE:
		app_idle(sim, app);
		break;
	case APP_ABSENT:
		app->busy = true;
		app_open(sim, app);
		app->busy = false;
		break;
	case APP_RUNNING:
		app_run(sim, app);
		break;
	default:
		app_drain(sim, app);
		break;
	}
	if (app->client && sl_client_state(app->client) == SLUICE_LOST)
		sim->box.socket_looks = BOX_SOCKET_LOOKS;
	return 1;
}

uint64_t apps_next_ns(const struct sim *sim)
{
	uint64_t next_ns = SL_DEADLINE_NONE;

	for (uint32_t i = 0; i < sim->world.app_count; i++)
		if (!sim->apps[i].busy && (sim->apps[i].state != APP_DONE || sim->apps[i].client) &&
		    sim->apps[i].next_ns < next_ns)
			next_ns = sim->apps[i].next_ns;
	return next_ns;
}

void apps_finish(struct sim *sim)
{
	for (uint32_t i = 0; i < sim->world.app_count; i++) {
		struct app *app = &sim->apps[i];

		if (app->state == APP_ABSENT)
			app->state = APP_DONE;
		else if (app->state == APP_RUNNING)
			app->state = APP_DRAINING;
		app->next_ns = sim->now_ns;
	}
}

void apps_probe(struct sim *sim)
{
	for (uint32_t i = 0; i < sim->world.app_count; i++) {
		struct app *app = &sim->apps[i];

		if (!app->client || sl_client_state(app->client) != SLUICE_ATTACHED)
			continue;
		for (uint32_t r = 0; r < spec_of(sim, app)->rings; r++)
			for (uint32_t count = 0; count < PROBE_RECORDS; count++)
				record_send(sim, app, &app->rings[r]);
		app->state = APP_DRAINING;
		app->next_ns = sim->now_ns;
	}
}

bool apps_done(const struct sim *sim)
{
	for (uint32_t i = 0; i < sim->world.app_count; i++)
		if (sim->apps[i].state != APP_DONE)
			return false;
	return true;
}

void apps_close(struct sim *sim)
{
	for (uint32_t i = 0; i < sim->world.app_count; i++)
		if (sim->apps[i].client)
			app_close(sim, &sim->apps[i]);
}

void apps_given_up(struct sim *sim)
{
	for (uint32_t i = 0; i < sim->world.app_count; i++) {
		struct app *app = &sim->apps[i];

		if (!app->client || app->state == APP_ABSENT || agent_has(sim, app))
			continue;
		for (uint32_t r = 0; r < spec_of(sim, app)->rings; r++)
			sim->ledger.books[app->rings[r].book].given_up = true;
	}
}

void apps_unkept(struct sim *sim)
{
	for (uint32_t i = 0; i < sim->ledger.count; i++)
		sim->ledger.books[i].unkept |= sim->ledger.books[i].dead;
}

void app_describe(struct sim *sim, uint32_t index, char *text, uint32_t bytes)
{
	struct app *app = &sim->apps[index];
	int used = snprintf(text, bytes, "app %u state %d busy %d", index, app->state, app->busy);

	for (uint32_t r = 0; app->client && r < spec_of(sim, app)->rings && used < (int)bytes;
	     r++) {
		struct book *book = &sim->ledger.books[app->rings[r].book];
		struct sluice_stats stats;

		sluice_ring_stats(app->rings[r].ring, &stats);
		used += snprintf(text + used, bytes - (uint32_t)used,
				 "; ring %u mode %u: %u sent, %" PRIu64 " settled, %u told",
				 app->rings[r].book, book->mode, book->count, stats.settled,
				 book->told);
	}
}
