/* SPDX-License-Identifier: Apache-2.0 */
/* `sluice bench`: a load test through the agent, as fast as it goes or at a fixed rate. */
#include "tools/sluice/bench.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "dataplane/base/clock.h"
#include "tools/sluice/agent_status.h"

static const char help[] =
	"usage: sluice bench -t TOPIC (-n COUNT | -d DURATION) [OPTION]...\n\n"
	"Sends records through the agent and counts the outcome of each. Latency is from the call that sends to the read of\n"
	"the report. Records are stamped for `sluice verify`, which costs CPU here and in the agent: measure that with\n"
	"--no-stamp. Exit: 0 all persisted, 1 some failed, 2 some unknown, 3 no agent.\n\n"
	"  -t, --topic TOPIC     where to\n"
	"  -n, --count N         so many records (1M, 500k)\n"
	"  -d, --duration D      for so long (10s, 5m)\n"
	"  -b, --bytes N         of a value (100)\n"
	"      --key-bytes N     of a key (0: none)\n"
	"      --keys N          different keys (65536)\n"
	"  -r, --rate N          records a second of all threads; as fast as it goes by default\n"
	"      --threads N       producing threads, a ring each (1)\n"
	"      --reports MODE    all (the default) or errors\n"
	"      --seed N          for keys and values\n"
	"      --no-stamp        without the header that `sluice verify` reads: the bare cost of a record\n"
	"      --journal DIR     where the senders' journals go ($SLUICE_JOURNALS, else the user's state folder)\n"
	"      --json FILE       the result for machines\n"
	"  -s, --socket PATH     the agent's socket\n\n"
	"  sluice bench -t load -n 5M --key-bytes 16\n"
	"  sluice bench -t load -d 30s -r 50k -b 1KiB --json run.json\n";

enum { THREADS_MAX = 64, TIMEOUT_S = 300, WAIT_MS = 20, REPORT_SLOTS = 1 << 14 };

static int64_t own_cpu_ns(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (int64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * (int64_t)SL_NS_PER_S +
	       (int64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000;
}

static int64_t agent_cpu_ns(const char *socket)
{
	static const char *path[] = {"process", "cpu_ns", NULL};
	yajl_val tree = agent_status_tree(socket);
	int64_t ns = agent_status_number(tree, path, -1);

	yajl_tree_free(tree);
	return ns;
}

static int rings_take(const struct bench_plan *plan, sluice_client *client, sluice_topic *topic,
		      struct bench_thread *threads)
{
	struct sluice_ring_options ring = SLUICE_RING_OPTIONS_INIT;
	struct stamping stamping;
	uint32_t i;

	if (!plan->plain && stamping_begin(&stamping, plan->socket, plan->journals) < 0)
		return EXIT_SOME_FAILED;
	ring.full_timeout_ms = WAIT_MS;
	for (i = 0; i < plan->threads; i++) {
		struct bench_thread *t = &threads[i];

		t->plan = plan;
		t->rate = plan->rate / plan->threads;
		t->records = plan->records / plan->threads + (i < plan->records % plan->threads);
		t->seed = plan->seed * 0x9e3779b97f4a7c15u + i + 1;
		t->sender.topic = topic;
		t->sender.timeout_ns = TIMEOUT_S * SL_NS_PER_S;
		if (sluice_ring_get(client, &ring, &t->sender.ring) < 0)
			return complain(EXIT_NO_AGENT, "%s", sluice_last_error(client));
		if (!plan->plain && stamper_open(&t->stamper, &stamping, plan->topic, i) < 0)
			return EXIT_SOME_FAILED;
		t->sender.stamper = plan->plain ? NULL : &t->stamper;
		if (bench_thread_prepare(t) < 0)
			return complain(EXIT_NO_AGENT, "no memory");
	}
	return 0;
}

static void live_line(const struct bench_thread *threads, uint32_t count, uint64_t *before, bool end)
{
	uint64_t sent = 0;
	uint32_t i;

	for (i = 0; i < count; i++)
		sent += __atomic_load_n(&threads[i].sent, __ATOMIC_RELAXED);
	if (end)
		fputs("\r\033[K", stderr);
	else
		fprintf(stderr, "\r\033[K%" PRIu64 " sent, %" PRIu64 " a second", sent, sent - *before);
	*before = sent;
}

static void threads_join(struct bench_thread *threads, pthread_t *ids, uint32_t count)
{
	bool live = isatty(STDERR_FILENO);
	uint64_t before = 0;
	struct timespec at;
	uint32_t i;

	clock_gettime(CLOCK_REALTIME, &at);
	for (i = 0; i < count; i++) {
		for (at.tv_sec++; pthread_timedjoin_np(ids[i], NULL, &at) == ETIMEDOUT; at.tv_sec++)
			if (live)
				live_line(threads, count, &before, false);
	}
	if (live)
		live_line(threads, count, &before, true);
}

static void threads_run(const struct bench_plan *plan, struct bench_thread *threads, struct bench_result *result)
{
	pthread_t ids[THREADS_MAX];
	int64_t agent_ns = agent_cpu_ns(plan->socket), own_ns;
	uint64_t start_ns = sl_clock_monotonic_ns(), end_ns;
	uint32_t i, started;

	own_ns = own_cpu_ns();
	for (started = 0; started < plan->threads; started++) {
		threads[started].start_ns = start_ns;
		threads[started].stop_ns = plan->duration_ns ? start_ns + plan->duration_ns : 0;
		if (pthread_create(&ids[started], NULL, bench_thread_run, &threads[started]) != 0) {
			result->error = -EAGAIN;
			interrupted = 1;
			break;
		}
	}
	threads_join(threads, ids, started);
	end_ns = sl_clock_monotonic_ns();
	result->application_cpu_ns = own_cpu_ns() - own_ns;
	result->agent_cpu_ns = agent_ns < 0 ? -1 : agent_cpu_ns(plan->socket) - agent_ns;
	result->seconds = (double)(end_ns - start_ns) * 1e-9;
	for (i = 0; i < started; i++) {
		result->records += threads[i].sent;
		result->counts.persisted += threads[i].counts.persisted;
		result->counts.failed += threads[i].counts.failed;
		result->counts.unknown += threads[i].counts.unknown;
		histogram_merge(&result->latency, &threads[i].latency);
		if (threads[i].error != 0)
			result->error = threads[i].error;
	}
}

static int run(const struct bench_plan *plan)
{
	static struct bench_thread threads[THREADS_MAX];
	static struct bench_result result;
	struct sender_options options = {.socket = plan->socket,
					 .topic = plan->topic,
					 .rings = plan->threads,
					 .record_bytes_max = plan->key_bytes + plan->value_bytes + 128,
					 .report_mode = plan->report_mode,
					 .report_slots = REPORT_SLOTS};
	sluice_client *client;
	sluice_topic *topic;
	uint32_t i;
	int rc = sender_open(&options, &client, &topic);

	if (rc != 0)
		return rc;
	if (!plan->plain)
		result.stamp_ns = stamper_cost_ns(plan->key_bytes, plan->value_bytes);
	rc = rings_take(plan, client, topic, threads);
	if (rc == 0) {
		threads_run(plan, threads, &result);
		if (result.error < 0 && result.error != -EINTR)
			complain(0, "ended early: %s", sluice_strerror(result.error));
		if (!bench_report(plan, &result))
			complain(0, "%s: %s", plan->json, strerror(errno));
		rc = result.counts.unknown > 0 ? EXIT_SOME_UNKNOWN : result.counts.failed > 0 ? EXIT_SOME_FAILED : 0;
		if (rc == 0 && result.error < 0 && result.error != -EINTR)
			rc = EXIT_SOME_FAILED;
	}
	for (i = 0; i < plan->threads; i++) {
		stamper_close(&threads[i].stamper);
		bench_thread_free(&threads[i]);
	}
	sluice_close(client);
	return rc;
}

static const struct option long_options[] = {{"topic", required_argument, NULL, 't'},
					     {"count", required_argument, NULL, 'n'},
					     {"duration", required_argument, NULL, 'd'},
					     {"bytes", required_argument, NULL, 'b'},
					     {"key-bytes", required_argument, NULL, 'k'},
					     {"keys", required_argument, NULL, 'K'},
					     {"rate", required_argument, NULL, 'r'},
					     {"threads", required_argument, NULL, 'T'},
					     {"reports", required_argument, NULL, 'R'},
					     {"seed", required_argument, NULL, 'S'},
					     {"no-stamp", no_argument, NULL, 'P'},
					     {"journal", required_argument, NULL, 'J'},
					     {"json", required_argument, NULL, 'j'},
					     {"socket", required_argument, NULL, 's'},
					     {"help", no_argument, NULL, 'h'},
					     {NULL, 0, NULL, 0}};

static bool number_option(struct bench_plan *plan, int c, const char *value)
{
	uint64_t n;

	if (c == 'd')
		return duration_parse(value, &plan->duration_ns) && plan->duration_ns > 0;
	if (!(c == 'b' || c == 'k' ? size_parse(value, &n) : count_parse(value, &n)) || n > INT64_MAX)
		return false;
	switch (c) {
	case 'n':
		plan->records = n;
		return n > 0;
	case 'b':
		plan->value_bytes = (uint32_t)n;
		return n <= 15 << 20;
	case 'k':
		plan->key_bytes = (uint32_t)n;
		return n <= 1 << 20;
	case 'K':
		plan->keys = n;
		return n > 0 && n <= 100 * 1000 * 1000;
	case 'r':
		plan->rate = (double)n;
		return true;
	case 'T':
		plan->threads = (uint32_t)n;
		return n > 0 && n <= THREADS_MAX;
	default:
		plan->seed = n;
		return true;
	}
}

/* 0, or an exit code + 1. */
static int option(struct bench_plan *plan, int c, char *value)
{
	switch (c) {
	case 't':
		plan->topic = value;
		return 0;
	case 'j':
		plan->json = value;
		return 0;
	case 'J':
		plan->journals = value;
		return 0;
	case 'P':
		plan->plain = true;
		return 0;
	case 's':
		plan->socket = value;
		return 0;
	case 'h':
		fputs(help, stdout);
		return 1;
	case '?':
		return 1 + EXIT_USAGE;
	case 'R':
		plan->report_mode = strcmp(value, "all") == 0 ? SLUICE_REPORT_ALL : SLUICE_REPORT_ERRORS;
		if (plan->report_mode == SLUICE_REPORT_ALL || strcmp(value, "errors") == 0)
			return 0;
		return 1 + complain(EXIT_USAGE, "--reports %s: all or errors", value);
	default:
		return number_option(plan, c, value) ? 0 : 1 + complain(EXIT_USAGE, "`%s` is out of range or no number", value);
	}
}

int cmd_bench(int argc, char **argv)
{
	struct bench_plan plan = {
		.value_bytes = 100, .keys = 65536, .threads = 1, .report_mode = SLUICE_REPORT_ALL, .seed = 1};
	int c, ends;

	while ((c = getopt_long(argc, argv, "t:n:d:b:r:s:h", long_options, NULL)) != -1) {
		ends = option(&plan, c, optarg);
		if (ends)
			return ends - 1;
	}
	if (!plan.topic)
		return complain(EXIT_USAGE, "-t TOPIC is missing");
	if (plan.records == 0 && plan.duration_ns == 0)
		return complain(EXIT_USAGE, "how many, -n COUNT, or for how long, -d DURATION?");
	return run(&plan);
}
