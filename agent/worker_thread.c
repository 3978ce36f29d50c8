/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/worker_thread.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "agent/settings.h"
#include "agent/thread.h"
#include "dataplane/base/clock.h"
#include "dataplane/batch/arena.h"
#include "dataplane/shm/wake.h"
#include "dataplane/transport/uring/uring.h"
#include "dataplane/worker/ledger.h"

enum {
	EVENTS_MAX = 16,
	TAG_INBOX = 1,
	TAG_OTHER = 0,
	/* A turn takes some 100 us; a worker that was put off its core for long is waited for. */
	CUT_PAUSE_NS = 50 * 1000,
	CUT_WAIT_NS = 100 * 1000 * 1000,
};

struct sl_worker_thread {
	struct sl_worker *worker;
	struct sl_arena *arena;
	struct sl_transport *transport;
	struct sl_env env;
	uint64_t random_state;
	uint64_t spin_ns;
	struct sl_uring_options uring;
	int32_t core; /* as configured, -1 any; once the thread has begun: where it is pinned */
	uint32_t index;
	int epoll_fd, inbox_fd;
	pthread_t thread;
	bool joined;
	sem_t begun;
	struct sl_error begin_error; /* written before begun is posted */
	char name[16];
	void (*notify_control)(void *ctx);
	void *notify_ctx;
};

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
	struct sl_worker_thread *thread = ctx;

	return sl_random_next(&thread->random_state);
}

static int watch(struct sl_worker_thread *thread, int fd, uint32_t events, uint64_t tag)
{
	struct epoll_event event = {.events = events, .data = {.u64 = tag}};

	return epoll_ctl(thread->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static void bell_add(void *ctx, int bell_fd)
{
	/* Edge-triggered: the counter is the application's to move, nobody here ever reads it. */
	watch(ctx, bell_fd, EPOLLIN | EPOLLET, TAG_OTHER);
}

static void notify(void *ctx)
{
	struct sl_worker_thread *thread = ctx;

	thread->notify_control(thread->notify_ctx);
}

static void bell_remove(void *ctx, int bell_fd)
{
	struct sl_worker_thread *thread = ctx;

	epoll_ctl(thread->epoll_fd, EPOLL_CTL_DEL, bell_fd, NULL);
}

/* ---- the thread ---- */

/* A worker without a core of its own takes the last of those allowed, the next one the one before
 * it. */
static int core_choose(const struct sl_worker_thread *thread, const cpu_set_t *allowed)
{
	int count = CPU_COUNT(allowed);
	int left = count - 1 - (int)thread->index % count;

	if (thread->core >= 0)
		return thread->core;
	for (int core = 0;; core++)
		if (CPU_ISSET((size_t)core, allowed) && left-- == 0)
			return core;
}

static int pin(struct sl_worker_thread *thread, struct sl_error *err)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return sl_error_set(err, -errno, "allowed cores: %s", strerror(errno));
	thread->core = core_choose(thread, &set);
	CPU_ZERO(&set);
	CPU_SET((size_t)thread->core, &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0)
		return sl_error_set(err, -errno, "pin to core %d: %s", thread->core,
				    strerror(errno));
	return 0;
}

static int begin(struct sl_worker_thread *thread)
{
	struct sl_error *err = &thread->begin_error;
	int wait_fd;
	int rc = pin(thread, err);

	if (rc == 0)
		rc = sl_uring_create(&thread->uring, &thread->transport, err);
	if (rc < 0)
		return rc;
	thread->env.transport = thread->transport;
	wait_fd = thread->transport->ops->wait_fd(thread->transport);
	if (wait_fd >= 0)
		rc = watch(thread, wait_fd, EPOLLIN, TAG_OTHER);
	if (rc < 0)
		sl_error_set(err, rc, "wait for the transport: %s", strerror(-rc));
	return rc;
}

static void wait_events(struct sl_worker_thread *thread)
{
	struct epoll_event events[EVENTS_MAX];
	uint64_t deadline_ns = sl_worker_next_deadline_ns(thread->worker, &thread->env);
	uint64_t now_ns = sl_clock_monotonic_ns();
	uint64_t left_ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;
	struct timespec left = {.tv_sec = (time_t)(left_ns / SL_NS_PER_S),
				.tv_nsec = (long)(left_ns % SL_NS_PER_S)};
	int count = epoll_pwait2(thread->epoll_fd, events, EVENTS_MAX,
				 deadline_ns == SL_DEADLINE_NONE ? NULL : &left, NULL);
	uint64_t value;

	for (int i = 0; i < count; i++)
		if (events[i].data.u64 == TAG_INBOX &&
		    read(thread->inbox_fd, &value, sizeof(value)) < 0)
			continue;
}

static void sleep_once(struct sl_worker_thread *thread)
{
	sl_worker_sleep_prepare(thread->worker);
	/* Pairs with the load of `sleeping` behind each commit: either it sees the mark, or the
	 * recheck sees the commit. */
	sl_wake_order();
	if (!sl_worker_sleep_recheck(thread->worker))
		wait_events(thread);
	sl_worker_sleep_wake(thread->worker);
}

static void turns(struct sl_worker_thread *thread)
{
	uint64_t idle_since_ns = 0;

	while (!sl_worker_stopped(thread->worker)) {
		uint64_t now_ns;

		if (sl_worker_turn(thread->worker, &thread->env) > 0) {
			idle_since_ns = 0;
			continue;
		}
		now_ns = sl_clock_monotonic_ns();
		if (idle_since_ns == 0)
			idle_since_ns = now_ns;
		if (now_ns - idle_since_ns < thread->spin_ns) {
			/* Costs next to nothing on a core of our own, and lets an application that
			 * shares it go on. */
			sched_yield();
			continue;
		}
		if (!sl_worker_stopped(thread->worker))
			sleep_once(thread);
	}
}

static void *thread_main(void *arg)
{
	struct sl_worker_thread *thread = arg;
	int rc = begin(thread);

	sem_post(&thread->begun);
	if (rc == 0)
		turns(thread);
	return NULL;
}

/* ---- the control thread ---- */

static int thread_start(struct sl_worker_thread *thread, struct sl_error *err)
{
	int rc = sl_thread_create(&thread->thread, thread_main, thread);

	if (rc != 0)
		return sl_error_set(err, -rc, "start a thread: %s", strerror(rc));
	thread->joined = false;
	pthread_setname_np(thread->thread, thread->name);
	while (sem_wait(&thread->begun) < 0 && errno == EINTR)
		;
	if (thread->begin_error.code < 0) {
		*err = thread->begin_error;
		return err->code;
	}
	return 0;
}

static int worker_make(struct sl_worker_thread *thread,
		       const struct sl_worker_thread_options *options, struct sl_error *err)
{
	struct sl_worker_options worker;

	sl_settings_worker(options->config, options->index, &worker);
	/* One that was found has the sizes that it had. */
	worker.rings_max = thread->arena->ring_count;
	worker.segments_max = thread->arena->segment_count;
	worker.topics_max = thread->arena->topic_count;
	worker.partitions_max = thread->arena->partition_count;
	worker.hooks.ctx = thread;
	worker.hooks.bell_add = bell_add;
	worker.hooks.bell_remove = bell_remove;
	worker.hooks.notify_control = notify;
	return sl_worker_create(&worker, thread->arena, &thread->worker, err);
}

int sl_worker_thread_create(const struct sl_worker_thread_options *options,
			    struct sl_worker_thread **out, struct sl_error *err)
{
	struct sl_worker_thread *thread = calloc(1, sizeof(*thread));
	int rc;

	if (!thread) {
		sl_arena_destroy(options->arena, false);
		return sl_error_set(err, -ENOMEM, "no memory for a worker");
	}
	thread->arena = options->arena;
	thread->joined = true;
	thread->notify_control = options->notify_control;
	thread->notify_ctx = options->ctx;
	thread->index = options->index;
	thread->core = options->config->workers[options->index].core;
	thread->spin_ns = options->config->idle_spin_us * SL_NS_PER_US;
	thread->random_state = sl_random_seed() | 1;
	thread->env = (struct sl_env){.now_ns = env_now_ns,
				      .realtime_ms = env_realtime_ms,
				      .random = env_random,
				      .ctx = thread};
	snprintf(thread->name, sizeof(thread->name), "worker-%u", options->index);
	sl_settings_uring(options->config, &thread->uring);
	sem_init(&thread->begun, 0, 0);
	thread->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	thread->inbox_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (thread->epoll_fd < 0 || thread->inbox_fd < 0 ||
	    watch(thread, thread->inbox_fd, EPOLLIN, TAG_INBOX) < 0)
		rc = sl_error_set(err, -errno, "descriptors of a worker: %s", strerror(errno));
	else
		rc = worker_make(thread, options, err);
	if (rc == 0)
		rc = thread_start(thread, err);
	if (rc < 0) {
		sl_worker_thread_join(thread);
		sl_worker_thread_destroy(thread);
		return rc;
	}
	*out = thread;
	return 0;
}

struct sl_arena *sl_worker_thread_arena(struct sl_worker_thread *thread)
{
	return thread->arena;
}

struct sl_worker *sl_worker_thread_worker(struct sl_worker_thread *thread)
{
	return thread->worker;
}

void sl_worker_thread_wake(struct sl_worker_thread *thread)
{
	uint64_t one = 1;

	/* A counter that is full means that the thread is being woken already. */
	if (write(thread->inbox_fd, &one, sizeof(one)) < 0)
		return;
}

bool sl_worker_thread_cut(struct sl_worker_thread *thread)
{
	const struct timespec pause = {.tv_nsec = CUT_PAUSE_NS};

	sl_worker_cut_ask(thread->worker);
	sl_worker_thread_wake(thread);
	for (uint64_t waited = 0; waited < CUT_WAIT_NS; waited += CUT_PAUSE_NS) {
		if (sl_worker_cut_ready(thread->worker))
			return true;
		nanosleep(&pause, NULL);
	}
	return sl_worker_cut_ready(thread->worker);
}

uint64_t sl_worker_thread_cpu_ns(const struct sl_worker_thread *thread)
{
	struct timespec cpu = {0};
	clockid_t clock;

	if (thread->joined || pthread_getcpuclockid(thread->thread, &clock) != 0)
		return 0;
	clock_gettime(clock, &cpu);
	return (uint64_t)cpu.tv_sec * SL_NS_PER_S + (uint64_t)cpu.tv_nsec;
}

int32_t sl_worker_thread_core(const struct sl_worker_thread *thread)
{
	return thread->core;
}

const char *sl_worker_thread_transport(const struct sl_worker_thread *thread)
{
	return thread->transport->ops->name;
}

bool sl_worker_thread_feature(const struct sl_worker_thread *thread, uint32_t index,
			      const char **name, bool *in_use)
{
	return thread->transport->ops->feature(thread->transport, index, name, in_use);
}

void sl_worker_thread_join(struct sl_worker_thread *thread)
{
	if (!thread->joined)
		pthread_join(thread->thread, NULL);
	thread->joined = true;
}

void sl_worker_thread_destroy(struct sl_worker_thread *thread)
{
	SL_ASSERT(thread->joined);
	if (thread->transport)
		thread->transport->ops->destroy(thread->transport);
	if (thread->worker)
		sl_worker_destroy(thread->worker);
	sl_arena_destroy(thread->arena, !sl_arena_holds(thread->arena));
	if (thread->inbox_fd >= 0)
		close(thread->inbox_fd);
	if (thread->epoll_fd >= 0)
		close(thread->epoll_fd);
	sem_destroy(&thread->begun);
	free(thread);
}
