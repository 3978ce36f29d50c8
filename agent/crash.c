/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/crash.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/event_text.h"
#include "dataplane/worker/flight.h"

enum { PATH_BYTES = 512, STACK_BYTES = 64 * 1024, OUT_BYTES = 8 * 1024, LINE_BYTES_MAX = 1024 };

static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};

/* A handler is given nothing else to find the agent by. */
static struct {
	const struct sl_agent *_Atomic agent; /* NULL: not armed */
	atomic_flag begun;                    /* some thread dumps */
	_Atomic int count_fd;                 /* of the file that counts crashes + 1; 0: none */
	char path[PATH_BYTES], path_before[PATH_BYTES];
	char stack[STACK_BYTES]; /* for the control thread, where its own overflowed */
	char out[OUT_BYTES];
} crash;

/* ---- in the handler ---- */

struct dump {
	int fd;
	struct sl_text text;
};

static void dump_flush(struct dump *dump)
{
	uint32_t at = 0;

	while (at < dump->text.bytes) {
		ssize_t done = write(dump->fd, dump->text.at + at, dump->text.bytes - at);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			break;
		at += (uint32_t)done;
	}
	dump->text.bytes = 0;
}

static void line_end(struct dump *dump)
{
	sl_text_put(&dump->text, "\n");
	if (dump->text.room - dump->text.bytes < LINE_BYTES_MAX)
		dump_flush(dump);
}

static void ledger_dump(struct dump *dump, const struct sl_agent *agent)
{
	for (uint32_t i = 0; i < agent->worker_count; i++) {
		const struct sl_worker_stats *s = sl_worker_stats(agent->workers[i].worker);

		sl_text_put(&dump->text, "ledger");
		sl_text_field(&dump->text, "worker", i);
		sl_text_field(&dump->text, "in",
			      (int64_t)atomic_load_explicit(&s->consumed, memory_order_relaxed));
		sl_text_field(&dump->text, "persisted",
			      (int64_t)atomic_load_explicit(&s->persisted, memory_order_relaxed));
		sl_text_field(&dump->text, "failed",
			      (int64_t)atomic_load_explicit(&s->failed, memory_order_relaxed));
		sl_text_field(&dump->text, "unknown",
			      (int64_t)atomic_load_explicit(&s->unknown, memory_order_relaxed));
		sl_text_field(&dump->text, "queued",
			      (int64_t)atomic_load_explicit(&s->queued, memory_order_relaxed));
		line_end(dump);
	}
}

typedef void (*event_text_fn)(const struct sl_agent *agent, const struct sl_flight_event *event,
			      struct sl_text *text);

static void flight_dump(struct dump *dump, const struct sl_agent *agent,
			const struct sl_flight *flight, uint32_t worker, event_text_fn words)
{
	uint64_t written = sl_flight_written(flight);
	struct sl_flight_event event;

	for (uint64_t n = sl_flight_first(flight, written); n < written; n++) {
		if (!sl_flight_get(flight, n, &event))
			continue;
		sl_text_time(&dump->text, event.at_ms);
		sl_text_put(&dump->text, " worker-");
		sl_text_u64(&dump->text, worker);
		sl_text_put(&dump->text, " ");
		words(agent, &event, &dump->text);
		line_end(dump);
	}
}

static void recorder_dump(struct dump *dump, const struct sl_recorder *recorder)
{
	uint64_t written = atomic_load_explicit(&recorder->written, memory_order_acquire);

	for (uint64_t n = sl_recorder_first(written); recorder->entries && n < written; n++) {
		const struct sl_recorder_entry *entry = sl_recorder_at(recorder, n);

		sl_text_time(&dump->text, entry->at_ms);
		sl_text_put(&dump->text, " control ");
		sl_text_bytes(&dump->text, entry->text,
			      atomic_load_explicit(&entry->bytes, memory_order_acquire));
		line_end(dump);
	}
}

static void head_put(struct sl_text *text, int signal, const siginfo_t *info)
{
	sl_text_put(text, "error crashed");
	sl_text_field(text, "signal", signal);
	sl_text_field(text, "code", info->si_code);
	sl_text_field(text, "thread", gettid());
	sl_text_field(text, "pid", getpid());
	sl_text_put(text, " version=" SL_VERSION);
}

static void all_dump(const struct sl_agent *agent, int signal, const siginfo_t *info)
{
	struct dump dump = {.text = {.at = crash.out, .room = OUT_BYTES}};

	rename(crash.path, crash.path_before);
	dump.fd = open(crash.path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	head_put(&dump.text, signal, info);
	sl_text_put(&dump.text, " dump=");
	sl_text_put(&dump.text, dump.fd >= 0 ? crash.path : "none");
	sl_text_put(&dump.text, "\n");
	/* To people first, without giving it away. */
	if (write(STDERR_FILENO, dump.text.at, dump.text.bytes) < 0 && dump.fd < 0)
		return;
	if (dump.fd < 0)
		return;
	ledger_dump(&dump, agent);
	for (uint32_t i = 0; i < agent->worker_count; i++)
		flight_dump(&dump, agent, sl_worker_unknowns(agent->workers[i].worker), i,
			    sl_unknown_text);
	recorder_dump(&dump, &agent->recorder);
	for (uint32_t i = 0; i < agent->worker_count; i++)
		flight_dump(&dump, agent, sl_worker_events(agent->workers[i].worker), i,
			    sl_event_text);
	dump_flush(&dump);
	fsync(dump.fd);
	close(dump.fd);
}

/* The handler is gone by SA_RESETHAND: the signal that is raised here takes its course when it
 * returns. */
static void handle(int signal, siginfo_t *info, void *context)
{
	const struct sl_agent *agent = atomic_load_explicit(&crash.agent, memory_order_acquire);
	int count_fd = atomic_load_explicit(&crash.count_fd, memory_order_acquire) - 1;
	int error = errno;

	(void)context;
	/* First of all: the next agents judge the arena by it. */
	if (count_fd >= 0 && write(count_fd, "x", 1) < 0)
		count_fd = -1; /* nothing can be done about it here */
	if (agent) {
		/* A second thread that crashes meanwhile waits for the end that the first one
		 * brings. */
		while (atomic_flag_test_and_set(&crash.begun))
			pause();
		all_dump(agent, signal, info);
	}
	errno = error;
	raise(signal);
}

/* ---- the control thread ---- */

int sl_crash_arm(const struct sl_agent *agent, const char *private_path)
{
	const stack_t stack = {.ss_sp = crash.stack, .ss_size = sizeof(crash.stack)};
	struct sigaction action = {.sa_sigaction = handle,
				   .sa_flags = SA_SIGINFO | SA_ONSTACK | (int)SA_RESETHAND};
	int bytes = snprintf(crash.path, sizeof(crash.path), "%s/crash.txt", private_path);

	if (bytes < 0 || (size_t)bytes >= sizeof(crash.path) - 2)
		crash.path[0] = 0; /* the line to stderr is what remains */
	snprintf(crash.path_before, sizeof(crash.path_before), "%s/crash.1.txt", private_path);
	if (sigaltstack(&stack, NULL) < 0)
		return -errno;
	atomic_flag_clear(&crash.begun);
	atomic_store_explicit(&crash.agent, agent, memory_order_release);
	sigemptyset(&action.sa_mask);
	for (uint32_t i = 0; i < SL_ARRAY_COUNT(signals); i++)
		sigaddset(&action.sa_mask, signals[i]);
	for (uint32_t i = 0; i < SL_ARRAY_COUNT(signals); i++)
		if (sigaction(signals[i], &action, NULL) < 0)
			return -errno;
	return 0;
}

void sl_crash_count_to(int fd)
{
	atomic_store_explicit(&crash.count_fd, fd + 1, memory_order_release);
}

void sl_crash_disarm(void)
{
	atomic_store_explicit(&crash.agent, NULL, memory_order_release);
}
