/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/control.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "agent/admission.h"
#include "agent/agent.h"
#include "agent/client.h"
#include "agent/dispatch.h"
#include "agent/keeper_use.h"
#include "agent/retry.h"
#include "agent/routes.h"
#include "agent/segment.h"

enum { EVENTS_MAX = 64 };

struct sl_control {
	struct sl_agent *agent;
	int epoll_fd, event_fd, signal_fd, listen_fd;
	uint64_t next_ns; /* as the last turn returned it */
	void (*reload)(void *ctx);
	void *reload_ctx;
};

static void backlog_push(struct sl_agent_worker *worker)
{
	while (worker->backlog_count &&
	       sl_msg_ring_push(worker->inbox, &worker->backlog[worker->backlog_first])) {
		worker->backlog_first++;
		worker->backlog_count--;
		worker->told = true;
	}
	if (worker->backlog_count == 0)
		worker->backlog_first = 0;
}

static bool outbox_drain(struct sl_agent *agent, struct sl_agent_worker *worker)
{
	struct sl_msg msg;

	for (uint32_t i = 0; i < SL_CONTROL_DRAIN_MAX; i++) {
		if (!sl_msg_ring_pop(worker->outbox, &msg))
			return false;
		sl_dispatch(agent, worker->index, &msg);
	}
	return true;
}

static void timers_run(struct sl_agent *agent, uint64_t now_ns)
{
	struct sl_timer timer;

	while (sl_timers_pop(&agent->timers, now_ns, &timer)) {
		if (timer.kind == SL_TIMER_CONN_RELEASE)
			sl_reconnect_due(agent, &timer);
		else
			sl_retry_due(agent, &timer);
	}
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint64_t sl_control_turn(struct sl_agent *agent)
{
	uint64_t now_ns = sl_agent_now_ns(agent);
	uint64_t next_ns = SL_DEADLINE_NONE;
	bool more = false;

	for (uint32_t i = 0; i < agent->worker_count; i++)
		more |= outbox_drain(agent, &agent->workers[i]);
	timers_run(agent, now_ns);
	next_ns = earlier(next_ns, sl_refresh_turn(agent, now_ns));
	next_ns = earlier(next_ns, sl_producer_turn(agent, now_ns));
	sl_resolutions_turn(agent);
	if (agent->admission)
		next_ns = earlier(next_ns, sl_admission_turn(agent, now_ns));
	next_ns = earlier(next_ns, sl_known_turn(agent, now_ns));
	next_ns = earlier(next_ns, sl_shutdown_turn(agent, now_ns));
	sl_routes_turn(agent);
	next_ns = earlier(next_ns, sl_timers_next_ns(&agent->timers));
	for (uint32_t i = 0; i < agent->worker_count; i++) {
		struct sl_agent_worker *worker = &agent->workers[i];

		backlog_push(worker);
		if (worker->backlog_count)
			next_ns = earlier(next_ns, now_ns + SL_NS_PER_MS);
		if (worker->told && agent->hooks.worker_wake)
			agent->hooks.worker_wake(agent->hooks.ctx, i);
		worker->told = false;
	}
	sl_log_turn(&agent->log);
	return more ? now_ns : next_ns;
}

int sl_control_watch(struct sl_control *control, int fd, enum sl_control_source source,
		     uint32_t index, uint32_t generation)
{
	struct epoll_event event = {.events = EPOLLIN};

	event.data.u64 = (uint64_t)source << 56 | (uint64_t)(generation & 0xffffff) << 32 | index;
	return epoll_ctl(control->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

void sl_control_unwatch(struct sl_control *control, int fd)
{
	epoll_ctl(control->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
}

void sl_control_unlisten(struct sl_control *control)
{
	if (control->listen_fd >= 0)
		sl_control_unwatch(control, control->listen_fd);
	control->listen_fd = -1;
}

static int signals_open(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int sl_control_create(struct sl_agent *agent, int listen_fd, struct sl_control **out,
		      struct sl_error *err)
{
	struct sl_control *control = calloc(1, sizeof(*control));

	if (!control)
		return sl_error_set(err, -ENOMEM, "no memory for the control loop");
	control->agent = agent;
	control->listen_fd = listen_fd;
	control->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	control->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	control->signal_fd = signals_open();
	if (control->epoll_fd < 0 || control->event_fd < 0 || control->signal_fd < 0 ||
	    sl_control_watch(control, control->event_fd, SL_SOURCE_WORKERS, 0, 0) < 0 ||
	    sl_control_watch(control, control->signal_fd, SL_SOURCE_SIGNAL, 0, 0) < 0 ||
	    (listen_fd >= 0 &&
	     sl_control_watch(control, listen_fd, SL_SOURCE_LISTENER, 0, 0) < 0)) {
		int rc = sl_error_set(err, -errno, "control loop: %s", strerror(errno));

		sl_control_destroy(control);
		return rc;
	}
	*out = control;
	return 0;
}

void sl_control_destroy(struct sl_control *control)
{
	if (!control)
		return;
	if (control->signal_fd >= 0)
		close(control->signal_fd);
	if (control->event_fd >= 0)
		close(control->event_fd);
	if (control->epoll_fd >= 0)
		close(control->epoll_fd);
	free(control);
}

void sl_control_notify(void *ctx)
{
	struct sl_control *control = ctx;
	uint64_t one = 1;

	/* A full counter means that the loop is told already. */
	if (write(control->event_fd, &one, sizeof(one)) < 0)
		return;
}

void sl_control_on_reload(struct sl_control *control, void (*reload)(void *ctx), void *ctx)
{
	control->reload = reload;
	control->reload_ctx = ctx;
}

static void signals_read(struct sl_control *control)
{
	struct signalfd_siginfo info;

	while (read(control->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo != SIGHUP)
			sl_shutdown_ask(control->agent);
		else if (control->reload)
			control->reload(control->reload_ctx);
	}
}

static void event_handle(struct sl_control *control, uint64_t data)
{
	uint32_t generation = (uint32_t)(data >> 32) & 0xffffff;
	uint32_t index = (uint32_t)data;
	uint64_t count;

	switch ((enum sl_control_source)(data >> 56)) {
	case SL_SOURCE_WORKERS:
		while (read(control->event_fd, &count, sizeof(count)) > 0)
			;
		break;
	case SL_SOURCE_SIGNAL:
		signals_read(control);
		break;
	case SL_SOURCE_LISTENER:
		sl_admission_accept(control->agent);
		break;
	case SL_SOURCE_CLIENT:
		sl_agent_client_readable(control->agent, index, generation);
		break;
	case SL_SOURCE_PROCESS:
		sl_agent_segment_process_ended(control->agent, index, generation);
		break;
	case SL_SOURCE_KEEPER:
		/* An event that lay behind the one that already found it lost. */
		if (control->agent->keeper->watch_fd >= 0)
			sl_agent_keeper_lost(control->agent);
		break;
	}
}

/* Rounded up: waking a moment too early would mean one empty turn more. */
static int sleep_ms(const struct sl_control *control, int timeout_ms)
{
	uint64_t now_ns = sl_agent_now_ns(control->agent);
	uint64_t left_ms;

	if (control->next_ns == SL_DEADLINE_NONE)
		return timeout_ms;
	left_ms = control->next_ns > now_ns
			  ? (control->next_ns - now_ns + SL_NS_PER_MS - 1) / SL_NS_PER_MS
			  : 0;
	if (left_ms > 60000)
		left_ms = 60000;
	return timeout_ms < 0 || (uint64_t)timeout_ms > left_ms ? (int)left_ms : timeout_ms;
}

bool sl_control_poll(struct sl_control *control, int timeout_ms)
{
	struct epoll_event events[EVENTS_MAX];
	int count =
		epoll_wait(control->epoll_fd, events, EVENTS_MAX, sleep_ms(control, timeout_ms));

	for (int i = 0; i < count; i++)
		event_handle(control, events[i].data.u64);
	control->next_ns = sl_control_turn(control->agent);
	return !sl_shutdown_over(control->agent);
}
