/* SPDX-License-Identifier: Apache-2.0 */
/* sluiced: configuration, folder, workers, the loop, and the end with its exit code. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "agent/admission.h"
#include "agent/agent.h"
#include "agent/arena_open.h"
#include "agent/control.h"
#include "agent/crash.h"
#include "agent/dispatch.h"
#include "agent/keeper_use.h"
#include "agent/memory.h"
#include "agent/notify.h"
#include "agent/options.h"
#include "agent/reload.h"
#include "agent/resolve.h"
#include "agent/runtime_dir.h"
#include "agent/settings.h"
#include "agent/shutdown.h"
#include "agent/worker_thread.h"
#include "dataplane/base/clock.h"

enum { ARENA_PATH_BYTES = 512 };

struct daemon {
	struct sl_options options;
	struct sl_config_source source;
	struct sl_agent agent;
	struct sl_runtime_dir dir;
	struct sl_keeper_options keeper;
	struct sl_control *control;
	struct sl_crash_loop crash_loop;
	struct sl_arena *loaded[SL_CONFIG_WORKERS_MAX]; /* by worker; NULL: a new one */
	bool refused;                                   /* an arena is another version's */
	struct sl_resolver *resolver;
	uint64_t random_state;
};

/* ---- what the agent asks of its surroundings ---- */

static uint64_t env_now_ns(void *ctx)
{
	(void)ctx;
	return sl_clock_monotonic_ns();
}

static uint64_t env_realtime_ms(void *ctx)
{
	(void)ctx;
	return sl_clock_realtime_ns() / SL_NS_PER_MS;
}

static uint64_t env_random(void *ctx)
{
	struct daemon *self = ctx;

	return sl_random_next(&self->random_state);
}

static void hook_wake(void *ctx, uint32_t worker)
{
	struct daemon *self = ctx;

	sl_worker_thread_wake(self->agent.workers[worker].thread);
}

static void hook_resolve(void *ctx, struct sl_resolve *request)
{
	struct daemon *self = ctx;

	sl_resolver_ask(self->resolver, request);
}

static uint64_t hook_cpu_ns(void *ctx, uint32_t worker)
{
	struct daemon *self = ctx;

	return sl_worker_thread_cpu_ns(self->agent.workers[worker].thread);
}

static bool hook_cut(void *ctx, uint32_t worker)
{
	struct daemon *self = ctx;
	struct sl_agent_worker *entry = &self->agent.workers[worker];

	return !entry->stopped && sl_worker_thread_cut(entry->thread);
}

static bool hook_feature(void *ctx, uint32_t worker, uint32_t index, const char **name,
			 bool *in_use)
{
	struct daemon *self = ctx;

	return sl_worker_thread_feature(self->agent.workers[worker].thread, index, name, in_use);
}

/* ---- configuration ---- */

static int config_load(struct daemon *self, struct sl_config **out)
{
	struct sl_config_report report = {0};
	int rc;

	self->source = (struct sl_config_source){.path = self->options.file,
						 .sets = self->options.sets,
						 .set_count = self->options.set_count};
	rc = sl_config_load(&self->source, out, &report);
	if (rc < 0 || report.notice_count)
		sl_config_report_print(stderr, &report);
	sl_config_report_fini(&report);
	return rc;
}

static void reload(void *ctx)
{
	struct daemon *self = ctx;

	sl_reload(&self->agent, &self->source);
}

/* ---- start ---- */

static void signals_block(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
}

/* Each application holds five descriptors here: as many as the system allows, since quotas limit
 * them anyway. */
static void descriptors_raise(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/* One that was found has the sizes that it had, and what is handed out keeps to them. */
static void limits_lower(struct sl_agent *agent, const struct sl_arena *arena)
{
	struct sl_config *config = (struct sl_config *)(uintptr_t)agent->config;

	if (config->rings_max > arena->ring_count)
		config->rings_max = arena->ring_count;
	if (config->segments_max > arena->segment_count)
		config->segments_max = arena->segment_count;
	if (agent->topics.max > arena->topic_count)
		agent->topics.max = arena->topic_count;
}

static int worker_start(struct daemon *self, uint32_t index, struct sl_error *err)
{
	const struct sl_config *config = self->agent.config;
	char path[ARENA_PATH_BYTES];
	struct sl_worker_thread_options options = {.config = config,
						   .index = index,
						   .notify_control = sl_control_notify,
						   .ctx = self->control};
	struct sl_worker_thread *thread;
	struct sl_worker *worker;
	bool loaded;
	int rc;

	snprintf(path, sizeof(path), "%s/arena-%" PRIu32,
		 config->arena_dir && config->arena_dir[0] ? config->arena_dir
							   : self->dir.private_path,
		 index);
	rc = sl_arena_open(&self->agent, index, path, &self->crash_loop, &options.arena, &loaded,
			   err);
	self->refused = rc == -EPROTO;
	if (rc < 0)
		return rc;
	limits_lower(&self->agent, options.arena);
	rc = sl_worker_thread_create(&options, &thread, err);
	if (rc < 0)
		return rc;
	worker = sl_worker_thread_worker(thread);
	rc = sl_agent_worker_add(&self->agent, worker, sl_worker_inbox(worker),
				 sl_worker_outbox(worker));
	SL_ASSERT(rc == 0);
	self->agent.workers[index].thread = thread;
	self->agent.workers[index].core = sl_worker_thread_core(thread);
	self->agent.workers[index].transport = sl_worker_thread_transport(thread);
	if (loaded)
		self->loaded[index] = sl_worker_thread_arena(thread);
	return 0;
}

static void resolver_notify(void *ctx)
{
	sl_control_notify(ctx);
}

static int start(struct daemon *self, struct sl_error *err)
{
	struct sl_agent *agent = &self->agent;
	int rc = sl_runtime_dir_take(&self->dir, agent->config->runtime_dir, err);

	self->keeper.private_path = self->dir.private_path;
	if (rc == 0)
		rc = sl_agent_keeper_begin(agent, &self->dir, &self->keeper, err);
	/* Behind the keeper's fork, whose end is no crash of ours. */
	if (rc == 0 && sl_crash_arm(agent, self->dir.private_path) < 0)
		SL_LOG(&agent->log, SL_LOG_WARNING, "crash_dump_not_armed",
		       SL_T("folder", self->dir.private_path));
	if (rc == 0)
		rc = sl_control_create(agent, self->dir.listen_fd, &self->control, err);
	if (rc == 0 && agent->keeper->watch_fd >= 0)
		rc = sl_control_watch(self->control, agent->keeper->watch_fd, SL_SOURCE_KEEPER, 0,
				      0);
	if (rc == 0)
		rc = sl_resolver_create(&self->resolver, resolver_notify, self->control, err);
	if (rc == 0)
		sl_crash_loop_begin(agent, &self->crash_loop, self->dir.private_path);
	for (uint32_t i = 0; rc == 0 && i < agent->config->worker_count; i++)
		rc = worker_start(self, i, err);
	if (rc == 0)
		rc = sl_known_begin(agent, self->loaded, self->options.drain, err);
	if (rc == 0)
		rc = sl_admission_create(agent, self->control, self->dir.listen_fd, err);
	if (rc < 0)
		return rc;
	sl_agent_segments_kept(agent);
	memcpy(agent->socket_path, self->dir.socket_path, sizeof(agent->socket_path));
	sl_control_on_reload(self->control, reload, self);
	return 0;
}

static void ready_tell(const struct daemon *self)
{
	if (sl_notify("READY=1") == 0)
		SL_LOG(&((struct daemon *)(uintptr_t)self)->agent.log, SL_LOG_INFO, "ready",
		       SL_T("socket", self->dir.socket_path),
		       SL_N("workers", self->agent.worker_count));
	else
		fprintf(stderr, "ready socket=%s workers=%" PRIu32 "\n", self->dir.socket_path,
			self->agent.worker_count);
}

/* ---- run and end ---- */

static void answers_take(struct daemon *self)
{
	struct sl_resolve *answer;

	while ((answer = sl_resolver_take(self->resolver)))
		sl_cluster_resolved(&self->agent, answer);
}

static void run(struct daemon *self)
{
	int wait_ms;

	if (self->options.drain)
		sl_shutdown_ask(&self->agent);
	do {
		answers_take(self);
		wait_ms = sl_crash_loop_turn(&self->agent, &self->crash_loop, false);
	} while (sl_control_poll(self->control, wait_ms));
	sl_crash_loop_turn(&self->agent, &self->crash_loop, true);
}

/* The worker's thread is told once more: one that was stuck in a start that failed has never been
 * asked. */
static void workers_end(struct daemon *self)
{
	struct sl_agent *agent = &self->agent;
	struct sl_msg msg;

	for (uint32_t i = 0; i < agent->worker_count; i++) {
		struct sl_agent_worker *worker = &agent->workers[i];

		if (!worker->stopped) {
			sl_msg_ring_push(worker->inbox,
					 &(struct sl_msg){.kind = SL_MSG_STOP, .a = 1});
			sl_worker_thread_wake(worker->thread);
		}
		sl_worker_thread_join(worker->thread);
		while (sl_msg_ring_pop(worker->outbox, &msg))
			sl_dispatch(agent, i, &msg);
		/* Its thread has ended: we are the only one at this end too. */
		while (sl_msg_ring_pop(worker->inbox, &msg))
			sl_agent_msg_free(&msg);
	}
}

static void workers_free(struct daemon *self)
{
	for (uint32_t i = 0; i < self->agent.worker_count; i++)
		sl_worker_thread_destroy(self->agent.workers[i].thread);
}

static int finish(struct daemon *self, bool started)
{
	struct sl_config *config = (struct sl_config *)(uintptr_t)self->agent.config;
	int code = SL_EXIT_FAILED;

	workers_end(self);
	if (started)
		code = sl_shutdown_finish(&self->agent);
	sl_crash_disarm();
	sl_resolver_destroy(self->resolver);
	sl_admission_destroy(&self->agent);
	workers_free(self);
	sl_control_destroy(self->control);
	sl_runtime_dir_close(&self->dir);
	self->agent.keeper->ops->goodbye(self->agent.keeper);
	sl_agent_fini(&self->agent);
	sl_config_free(config);
	return code;
}

static int agent_run(struct daemon *self, const struct sl_config *config)
{
	struct sl_agent_options options = {
		.config = config,
		.env = {.now_ns = env_now_ns,
			.realtime_ms = env_realtime_ms,
			.random = env_random,
			.ctx = self},
		.hooks = {.ctx = self,
			  .worker_wake = hook_wake,
			  .resolve = hook_resolve,
			  .worker_cpu_ns = hook_cpu_ns,
			  .worker_cut = hook_cut,
			  .transport_feature = hook_feature},
		.log_fd = STDERR_FILENO,
		.log_journal = sl_notify_journal(STDERR_FILENO),
		/* Seconds since 1970: grows from start to start without a file that says so. */
		.epoch = (uint32_t)(sl_clock_realtime_ns() / SL_NS_PER_S),
	};
	struct sl_error err = {0};
	int rc = sl_agent_init(&self->agent, &options, &err);

	if (rc == 0)
		rc = start(self, &err);
	if (rc == 0) {
		if (!self->options.drain) /* which admits nobody */
			ready_tell(self);
		run(self);
		return finish(self, true);
	}
	if (self->agent.workers)
		finish(self, false);
	fprintf(stderr, "error start_failed reason=\"%s\"\n",
		err.text[0] ? err.text : strerror(-rc));
	return self->refused ? SL_EXIT_CONFIG : SL_EXIT_FAILED;
}

int main(int argc, char **argv)
{
	static struct daemon self = {.dir = {.lock_fd = -1, .listen_fd = -1}};
	struct sl_config *config = NULL;
	int rc = sl_options_parse(&self.options, argc, argv);

	if (rc != 0)
		return rc < 0 ? SL_EXIT_CONFIG : SL_EXIT_OK;
	if (config_load(&self, &config) < 0)
		return SL_EXIT_CONFIG;
	if (self.options.check || self.options.dump) {
		if (self.options.dump) {
			sl_config_dump(stdout, config);
			sl_memory_print(stdout, config);
		}
		sl_config_free(config);
		return SL_EXIT_OK;
	}
	self.random_state = sl_random_seed() | 1;
	/* The words of a command line lie behind each other. */
	self.keeper.title = argv[0];
	self.keeper.title_bytes = (size_t)(argv[argc - 1] - argv[0]) + strlen(argv[argc - 1]) + 1;
	signals_block();
	descriptors_raise();
	return agent_run(&self, config);
}
