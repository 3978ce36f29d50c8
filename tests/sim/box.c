/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/box.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/admission.h"
#include "agent/arena_open.h"
#include "agent/control.h"
#include "agent/dispatch.h"
#include "agent/options.h"
#include "agent/segment.h"
#include "agent/settings.h"
#include "agent/shutdown.h"
#include "dataplane/transport/sim/sim.h"
#include "tests/sim/check.h"
#include "tests/sim/order.h"
#include "tests/sim/sim.h"

/* Longer than a broker of the model pauses and then works off what a connection had asked. */
#define BOX_ORPHAN_TTL_NS (6 * SL_NS_PER_S)

enum { YAML_BYTES = 4096, PAST_DUE_MAX = 2000, BOOKS_TURNS = 16 };

static uint64_t env_now(void *ctx)
{
	return ((struct sim *)ctx)->now_ns;
}

static uint64_t env_realtime(void *ctx)
{
	return (uint64_t)sim_realtime_ms(ctx);
}

static uint64_t env_random(void *ctx)
{
	return sim_random(ctx);
}

/* ---- what the agent asks of its surroundings ---- */

static void hook_wake(void *ctx, uint32_t worker)
{
	((struct sim *)ctx)->box.workers[worker].told = true;
}

static void hook_resolve(void *ctx, struct sl_resolve *request)
{
	struct sim *sim = ctx;
	struct box *box = &sim->box;

	if (box->resolve_count == BOX_RESOLVES_MAX)
		sim_violation(sim, "%d names are looked up at once", BOX_RESOLVES_MAX);
	box->resolves[box->resolve_count].request = request;
	box->resolves[box->resolve_count++].due_ns =
		sim->now_ns + sim_skewed(sim, 20 * SL_NS_PER_MS);
}

static void hook_notify(void *ctx)
{
	((struct box_worker *)ctx)->sim->box.notified = true;
}

static void hook_bell_add(void *ctx, int fd)
{
	struct box_worker *w = ctx;
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};

	if (epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		sim_violation(w->sim, "bell: %s", strerror(errno));
}

static void hook_bell_remove(void *ctx, int fd)
{
	epoll_ctl(((struct box_worker *)ctx)->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
}

/* ---- settings ---- */

static void yaml_topics(struct sim *sim, FILE *out)
{
	static const char *const codecs[] = {"none", "gzip", "snappy", "lz4", "zstd"};

	fprintf(out, "topics:\n");
	for (uint32_t i = 0; i < sim->world.topic_count; i++) {
		const struct sim_topic_spec *spec = &sim->world.topics[i];

		fprintf(out, "  topic-%u:\n    acks: %d\n    linger.ms: %u\n    batch.size: %u\n",
			i, spec->acks, spec->linger_ms, spec->batch_bytes);
		fprintf(out, "    compression.type: %s\n    enable.idempotence: %s\n",
			codecs[spec->codec], spec->idempotent ? "true" : "false");
	}
}

static void config_make(struct sim *sim)
{
	const struct sim_world *world = &sim->world;
	struct sl_config_report report = {0};
	struct sl_config_source source = {0};
	char text[YAML_BYTES];
	FILE *out = fmemopen(text, sizeof(text), "w");

	fprintf(out, "bootstrap.servers: [");
	for (uint32_t b = 0; b < world->broker_count; b++)
		fprintf(out, "%s\"broker-%u:%u\"", b ? ", " : "", b, 9092 + b);
	fprintf(out, "]\nworkers: [");
	for (uint32_t w = 0; w < world->worker_count; w++)
		fprintf(out, "%s{core: any}", w ? ", " : "");
	fprintf(out, "]\nrequest.timeout.ms: %u\ndelivery.timeout.ms: %u\n",
		world->request_timeout_ms, world->delivery_timeout_ms);
	fprintf(out, "max.in.flight.requests.per.connection: %u\n", world->in_flight_max);
	fprintf(out, "topic.unknown.grace.ms: %u\n", world->unknown_grace_ms);
	fprintf(out, "arena.bytes: 4MiB\narena.chunk.bytes: 4KiB\nmax.request.size: 64KiB\n");
	fprintf(out, "partitions.max: 128\ntopics.max: 16\nsegments.max: 16\nrings.max: 64\n");
	fprintf(out, "ring.bytes.max: 1MiB\nsegment.rings.max: 8\nlog.level: %s\n",
		sim->verbose ? "info" : "error");
	fprintf(out, "shutdown.timeout.ms: 120000\nsocket.connection.setup.timeout.ms: 1000\n");
	yaml_topics(sim, out);
	fclose(out);
	source.text = text;
	source.text_bytes = strlen(text);
	source.text_name = "world";
	if (sl_config_load(&source, &sim->box.config, &report) < 0) {
		sl_config_report_print(stderr, &report);
		sim_violation(sim, "the simulator's own configuration");
	}
	sl_config_report_fini(&report);
}

/* ---- making it ---- */

/* A handler for signals would take the simulator's own: no crash is counted here. */
static const struct sl_crash_loop no_crashes;

static void worker_make(struct sim *sim, uint32_t index, struct sl_arena **loaded)
{
	struct box_worker *w = &sim->box.workers[index];
	struct sl_worker_options worker;
	struct sl_error err = {0};
	bool earlier;
	struct sl_sim_options wire = {
		.now_ns = &sim->now_ns,
		.conns_max = 64,
		.sends_max = 16,
		.recv_buffer_bytes = 2048,
		.recv_buffer_count = 16,
		.wire_bytes = 256 * 1024,
		.window_bytes = sim->world.window_bytes,
		.delay_ns = sim->world.net_delay_ns,
		.sent_when_read = sim->world.sent_when_read,
	};
	int rc;

	memset(w, 0, sizeof(*w));
	w->sim = sim;
	w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	snprintf(w->arena_path, sizeof(w->arena_path), "%s/arena-%u", sim->box.folder, index);
	order_load_begin();
	rc = sl_arena_open(&sim->box.agent, index, w->arena_path, &no_crashes, &w->arena, &earlier,
			   &err);
	order_load_end();
	if (rc == 0 && earlier) {
		*loaded = w->arena;
		check_arena_loaded(sim, index);
	}
	sl_settings_worker(sim->box.config, index, &worker);
	worker.orphan_ttl_ns = BOX_ORPHAN_TTL_NS;
	worker.hooks = (struct sl_worker_hooks){w, hook_notify, hook_bell_add, hook_bell_remove};
	if (rc == 0)
		rc = sl_worker_create(&worker, w->arena, &w->worker, &err);
	if (rc == 0)
		rc = sl_sim_create(&wire, &w->transport, &err);
	if (rc < 0)
		sim_violation(sim, "worker: %s", err.text);
	sl_sim_send_step_set(w->transport, sim->world.send_step);
	w->env = (struct sl_env){env_now, env_realtime, env_random, w->transport, sim};
	if (sl_agent_worker_add(&sim->box.agent, w->worker, sl_worker_inbox(w->worker),
				sl_worker_outbox(w->worker)) < 0)
		sim_violation(sim, "worker not added");
}

/* The keeper's, where connects have waited meanwhile, or a new one. */
static int listener_make(struct sim *sim)
{
	struct sl_keeper *keeper = sim->box.agent.keeper;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct sl_keeper_listener listener = {.fd = -1};
	int fd;

	if (keeper->ops->listener_get(keeper, &listener) == 0)
		return listener.fd;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	unlink(sim->box.socket_path);
	strcpy(address.sun_path, sim->box.socket_path);
	if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(fd, 16) < 0)
		sim_violation(sim, "listen at %s: %s", sim->box.socket_path, strerror(errno));
	listener.fd = fd;
	keeper->ops->listener_put(keeper, &listener);
	return fd;
}

static void files_remove(const struct box *box)
{
	unlink(box->socket_path);
	for (uint32_t i = 0; i < SIM_WORKERS_MAX; i++) {
		char path[128];

		snprintf(path, sizeof(path), "%s/arena-%u", box->folder, i);
		unlink(path);
		snprintf(path, sizeof(path), "%s/arena-%u.new", box->folder, i);
		unlink(path);
	}
}

void box_init(struct sim *sim)
{
	struct box *box = &sim->box;

	keeper_init(sim);
	box->listen_fd = -1;
	box->log_fd = sim->verbose ? STDOUT_FILENO : open("/dev/null", O_WRONLY | O_CLOEXEC);
	snprintf(box->folder, sizeof(box->folder), "/dev/shm/sluice-sim-%d", (int)getpid());
	if (mkdir(box->folder, 0700) < 0 && errno != EEXIST)
		sim_violation(sim, "make %s: %s", box->folder, strerror(errno));
	snprintf(box->socket_path, sizeof(box->socket_path), "%s/agent.sock", box->folder);
	files_remove(box); /* of another process that had this number, and was ended */
}

/* In the order of the daemon's start(); it may be left at any store of an arena. */
static void agent_start(struct sim *sim)
{
	struct box *box = &sim->box;
	struct sl_arena *loaded[SL_CONFIG_WORKERS_MAX] = {NULL};
	struct sl_error err = {0};
	struct sl_agent_options options = {
		.env = {.now_ns = env_now,
			.realtime_ms = env_realtime,
			.random = env_random,
			.ctx = sim},
		.hooks = {.ctx = sim, .worker_wake = hook_wake, .resolve = hook_resolve},
		.log_fd = box->log_fd,
		.epoch = ++box->life,
	};
	struct sl_keeper *keeper;
	int rc;

	config_make(sim);
	options.config = box->config;
	rc = sl_agent_init(&box->agent, &options, &err);
	keeper = rc == 0 && sim->world.keeper ? keeper_make(sim) : NULL;
	if (keeper) {
		box->agent.keeper->ops->destroy(box->agent.keeper);
		box->agent.keeper = keeper;
	}
	if (rc == 0) {
		box->listen_fd = listener_make(sim);
		rc = sl_control_create(&box->agent, box->listen_fd, &box->control, &err);
	}
	if (rc < 0)
		sim_violation(sim, "agent: %s", err.text);
	for (uint32_t i = 0; i < sim->world.worker_count; i++) {
		box->worker_count = i + 1;
		worker_make(sim, i, &loaded[i]);
	}
	if (sl_known_begin(&box->agent, loaded, false, &err) < 0 ||
	    sl_admission_create(&box->agent, box->control, box->listen_fd, &err) < 0)
		sim_violation(sim, "start: %s", err.text);
	sl_agent_segments_kept(&box->agent);
}

void box_start(struct sim *sim)
{
	struct box *box = &sim->box;

	TRACE(sim, "agent starts, life {}", box->life + 1);
	box->worker_count = 0;
	box->over = box->stopping = false;
	memset(box->workers, 0, sizeof(box->workers));
	faults_start(sim);
	if (setjmp(order_dead) != 0) {
		order_load_drop();
		box->start_kills++;
		box_kill(sim, sim->now_ns + sim_skewed(sim, 100 * SL_NS_PER_MS));
		return;
	}
	order_enter();
	agent_start(sim);
	order_leave();
	box->running = true;
	box->notified = box->wire_dirty = true;
	box->socket_looks = BOX_SOCKET_LOOKS;
	box->arrival_ns = SL_DEADLINE_NONE;
	for (uint32_t b = 0; b < sim->world.broker_count; b++)
		box_reach(sim, b);
}

static void memory_free(struct sim *sim, bool killed)
{
	struct box *box = &sim->box;
	struct sl_refresh *refresh = &box->agent.refresh;
	struct sl_msg msg;

	for (uint32_t i = 0; i < box->worker_count; i++)
		while (box->workers[i].worker &&
		       sl_msg_ring_pop(sl_worker_inbox(box->workers[i].worker), &msg)) {
			refresh->in_flight = refresh->in_flight && msg.object != refresh->carry;
			if (msg.object != refresh->carry)
				sl_agent_msg_free(&msg);
		}
	/* A request under way is the worker's; the end of a process gives it back, we have to. */
	refresh->in_flight = false;
	sl_admission_destroy(&box->agent);
	for (uint32_t i = 0; i < box->worker_count; i++) {
		struct box_worker *w = &box->workers[i];

		if (w->transport)
			w->transport->ops->destroy(w->transport);
		sl_worker_destroy(w->worker);
		sl_arena_destroy(w->arena, !killed && !sl_arena_holds(w->arena));
		close(w->epoll_fd);
		w->transport = NULL;
	}
	sl_control_destroy(box->control);
	box->control = NULL;
	sl_agent_fini(&box->agent);
	sl_config_free(box->config);
	close(box->listen_fd);
	for (uint32_t i = 0; i < box->resolve_count; i++)
		free(box->resolves[i].request);
	box->resolve_count = 0;
	box->listen_fd = -1;
	box->running = false;
}

void box_end(struct sim *sim)
{
	struct box *box = &sim->box;
	struct sl_msg msg;

	if (!box->running)
		return;
	for (uint32_t i = 0; i < box->worker_count; i++)
		while (sl_msg_ring_pop(sl_worker_outbox(box->workers[i].worker), &msg))
			sl_dispatch(&box->agent, i, &msg);
	memory_free(sim, false);
}

void box_reach(struct sim *sim, uint32_t broker)
{
	const struct broker *b = &sim->cluster.brokers[broker];
	struct sl_address address = broker_address(broker);

	for (uint32_t i = 0; sim->box.running && i < sim->box.worker_count; i++)
		sl_sim_reach_set(sim->box.workers[i].transport, &address,
				 !b->up         ? SL_SIM_REFUSED
				 : b->reachable ? SL_SIM_LISTENING
						: SL_SIM_SILENT);
}

struct sl_transport *box_transport(struct sim *sim, uint32_t worker)
{
	return sim->box.running ? sim->box.workers[worker].transport : NULL;
}

void box_leave(const struct sim *sim)
{
	files_remove(&sim->box);
	rmdir(sim->box.folder);
}

void box_fini(struct sim *sim)
{
	keeper_fini(sim);
	box_leave(sim);
	if (!sim->verbose)
		close(sim->box.log_fd);
}

/* ---- running it ---- */

static uint32_t resolves_answer(struct sim *sim)
{
	struct box *box = &sim->box;
	uint32_t done = 0;

	for (uint32_t i = 0; i < box->resolve_count;) {
		struct sl_resolve *request = box->resolves[i].request;

		if (box->resolves[i].due_ns > sim->now_ns) {
			i++;
			continue;
		}
		box->resolves[i] = box->resolves[--box->resolve_count];
		request->error = 0;
		request->count = 1;
		request->addresses[0] = broker_address((uint32_t)(request->host[7] - '0'));
		if (faults_name_lost(sim))
			request->error = -ENOENT;
		sl_cluster_resolved(&box->agent, request);
		done++;
	}
	return done;
}

/* Without a keeper nobody knows whether an application lives that has not come back in time: it is
 * given up, and a library that comes later is told that all it had open is unknown. */
static void given_up_note(struct sim *sim)
{
	const struct sl_known *known = &sim->box.agent.known;

	if (known->waiting > 0 && sim->now_ns >= known->give_up_ns)
		apps_given_up(sim);
}

uint32_t box_control_slice(struct sim *sim)
{
	struct box *box = &sim->box;
	uint32_t work;

	if (!box->running || box->over)
		return 0;
	work = resolves_answer(sim);
	given_up_note(sim);
	if (box->socket_looks > 0) {
		box->socket_looks--;
		box->over = !sl_control_poll(box->control, 0);
		work++;
	} else if (work == 0 && !box->notified && box->control_ns > sim->now_ns) {
		return 0;
	}
	box->notified = false;
	given_up_note(sim);
	box->control_ns = sl_control_turn(&box->agent);
	box->over = box->over || sl_shutdown_over(&box->agent);
	for (uint32_t i = 0; i < box->resolve_count; i++)
		if (box->resolves[i].due_ns < box->control_ns)
			box->control_ns = box->resolves[i].due_ns;
	return 1;
}

static void law_check(struct sim *sim, uint32_t index)
{
	const struct sl_worker_stats *s = sl_worker_stats(sim->box.workers[index].worker);

	if (s->consumed != s->persisted + s->failed + s->unknown + s->queued)
		sim_violation(sim,
			      "worker %u: consumed %" PRIu64 " is not persisted %" PRIu64
			      " + failed %" PRIu64 " + unknown %" PRIu64 " + queued %" PRIu64,
			      index, s->consumed, s->persisted, s->failed, s->unknown, s->queued);
	if (s->turns % BOOKS_TURNS == 0)
		check_books(sim, index);
}

static bool bell_heard(struct box_worker *w)
{
	struct epoll_event event;

	if (!w->bell_rung)
		return false;
	w->bell_rung = false;
	return epoll_wait(w->epoll_fd, &event, 1, 0) > 0;
}

static void sleep_try(struct sim *sim, struct box_worker *w)
{
	/* One thread: the stores are in order without a barrier. */
	sl_worker_sleep_prepare(w->worker);
	w->asleep = !sl_worker_sleep_recheck(w->worker);
	if (!w->asleep)
		sl_worker_sleep_wake(w->worker);
	w->next_ns = w->asleep ? sl_worker_next_deadline_ns(w->worker, &w->env) : sim->now_ns;
}

static uint32_t turns(struct sim *sim, uint32_t index)
{
	struct box_worker *w = &sim->box.workers[index];
	uint32_t count = (uint32_t)sim_between(sim, 1, 4), total = 0;

	while (count-- > 0) {
		uint32_t work = sl_worker_turn(w->worker, &w->env);

		law_check(sim, index);
		total += work;
		if (work == 0) {
			sleep_try(sim, w);
			break;
		}
	}
	return total;
}

/* In the midst of a worker's turn. */
static void order_died(struct sim *sim)
{
	TRACE(sim, "a store is its last", 0);
	box_kill(sim, sim->now_ns + sim_skewed(sim, SL_NS_PER_S));
}

uint32_t box_worker_slice(struct sim *sim, uint32_t index)
{
	struct box *box = &sim->box;
	struct box_worker *w = &box->workers[index];
	bool due = w->next_ns <= sim->now_ns;
	uint32_t work;

	if (!box->running || sl_worker_stopped(w->worker))
		return 0;
	if (w->asleep) {
		if (!due && !w->told && !bell_heard(w))
			return 0;
		sl_worker_sleep_wake(w->worker);
		w->asleep = false;
	}
	w->told = false;
	if (setjmp(order_dead) != 0) {
		order_died(sim);
		return 1;
	}
	order_enter();
	work = turns(sim, index);
	order_leave();
	box->wire_dirty = true;
	if (work == 0 && due && w->next_ns <= sim->now_ns) {
		if (++w->past_due > PAST_DUE_MAX)
			sim_violation(sim, "worker %u turns without work and never sleeps", index);
	} else {
		w->past_due = 0;
	}
	return work;
}

uint64_t box_next_ns(const struct sim *sim)
{
	const struct box *box = &sim->box;
	uint64_t next_ns = box->control_ns;

	if (!box->running)
		return box->restart_ns;
	for (uint32_t i = 0; i < box->worker_count; i++)
		if (!sl_worker_stopped(box->workers[i].worker) && box->workers[i].next_ns < next_ns)
			next_ns = box->workers[i].next_ns;
	return box->arrival_ns < next_ns ? box->arrival_ns : next_ns;
}

/* ---- ending it ---- */

void box_kill(struct sim *sim, uint64_t restart_ns)
{
	struct box *box = &sim->box;

	TRACE(sim, "agent is killed, life {}", box->life);
	box->kills++;
	order_arm(0);
	conns_orphan_all(sim);
	memory_free(sim, true);
	box->restart_ns = restart_ns;
	if (!sim->world.keeper)
		apps_unkept(sim);
	faults_killed(sim);
}

void box_stop(struct sim *sim, uint64_t timeout_ns)
{
	struct box *box = &sim->box;

	TRACE(sim, "agent is stopped, life {}, {} ns to drain", box->life, (int64_t)timeout_ns);
	box->stops++;
	box->stopping = true;
	box->config->shutdown_timeout_us = timeout_ns / SL_NS_PER_US;
	sl_shutdown_ask(&box->agent);
	box->notified = true;
}

/* What a shutdown says it kept has to be in the arenas, and the other way round. */
static void kept_check(struct sim *sim, int code)
{
	struct box *box = &sim->box;
	bool records = false;

	for (uint32_t i = 0; i < box->worker_count; i++)
		records |= sl_worker_stats(box->workers[i].worker)->queued > 0;
	if (code == SL_EXIT_OK && records)
		sim_violation(sim, "the agent says that it kept nothing, and records are queued");
	box->stops_kept += code != SL_EXIT_OK;
}

void box_stopped(struct sim *sim)
{
	struct box *box = &sim->box;
	struct sl_msg msg;

	for (uint32_t i = 0; i < box->worker_count; i++)
		while (sl_msg_ring_pop(sl_worker_outbox(box->workers[i].worker), &msg))
			sl_dispatch(&box->agent, i, &msg);
	kept_check(sim, sl_shutdown_finish(&box->agent));
	TRACE(sim, "agent has stopped, life {}", box->life);
	order_arm(0);
	conns_orphan_all(sim);
	memory_free(sim, false);
	box->restart_ns = sim->now_ns + sim_skewed(sim, SL_NS_PER_S);
	if (!sim->world.keeper)
		apps_unkept(sim);
	faults_killed(sim);
}
