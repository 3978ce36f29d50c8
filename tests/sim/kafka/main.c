/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs many scripts over one broker, all of them up to a restart, then the restart, then all of
 * them on. tests/sim/model_vs_kafka starts the broker and this program.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "dataplane/base/assert.h"
#include "dataplane/base/clock.h"
#include "tests/sim/kafka/admin.h"
#include "tests/sim/kafka/script.h"

static const char usage[] =
	"usage: model_vs_kafka_run PORT FIRST COUNT CLEAN KILL RESTARTS [verbose]\n"
	"  PORT      of a broker on this machine\n"
	"  FIRST     seed, and COUNT of them\n"
	"  CLEAN     shell command that restarts the broker in order\n"
	"  KILL      shell command that kills and starts it\n"
	"  RESTARTS  what happens between the phases, a letter each: c or k, as in ckk\n";

enum { MISMATCHES_TOLD = 20, LINES_TOLD = 7 };

struct job {
	struct real real;
	uint64_t first, count;
	const char *clean, *kill, *restarts;
	bool verbose;
	struct script *scripts;
	struct script_counts counts;
	uint64_t failed;
};

static void begin_all(struct job *job)
{
	struct {
		char name[32];
		struct sl_uuid id;
		uint32_t used, made;
	} topics[KIND_COUNT] = {0};
	char own[32];

	for (uint64_t i = 0; i < job->count; i++) {
		enum topic_kind_id kind = script_kind(job->first + i);

		if (kind == KIND_OWN) {
			snprintf(own, sizeof(own), "own-%" PRIu64, i);
			script_begin(&job->scripts[i], &job->real, job->first + i, own,
				     (struct sl_uuid){{0}}, 0);
			continue;
		}
		if (topics[kind].used % SCRIPT_PARTITIONS == 0) {
			snprintf(topics[kind].name, sizeof(topics[kind].name), "%s-%u",
				 topic_kinds[kind].name, topics[kind].made++);
			topics[kind].id = script_topic_create(&job->real, kind, topics[kind].name,
							      SCRIPT_PARTITIONS);
		}
		script_begin(&job->scripts[i], &job->real, job->first + i, topics[kind].name,
			     topics[kind].id, (int32_t)(topics[kind].used++ % SCRIPT_PARTITIONS));
	}
}

/* Its end, unless all of it is wanted. */
static const char *log_end(const struct job *job, const struct script *script)
{
	const char *at = script->log_text + script->log_bytes;
	uint32_t lines = 0;

	while (!job->verbose && at > script->log_text && lines < LINES_TOLD)
		lines += *--at == '\n' && at + 1 < script->log_text + script->log_bytes;
	if (job->verbose || at == script->log_text)
		return script->log_text;
	return at + 1;
}

static void mismatch(struct job *job, const struct script *script)
{
	if (job->failed++ >= MISMATCHES_TOLD)
		return;
	fprintf(stderr,
		"MISMATCH seed %" PRIu64
		", topic of kind %s; in the last step the two answers, the "
		"broker's first:\n%sreplay: tests/sim/model_vs_kafka --seed %" PRIu64
		" --verbose\n\n",
		script->seed, topic_kinds[script->kind].name, log_end(job, script), script->seed);
}

static void run_some(struct job *job, bool own)
{
	for (uint64_t i = 0; i < job->count; i++) {
		struct script *script = &job->scripts[i];

		if (script->failed || (script->kind == KIND_OWN) != own)
			continue;
		script_run(script, &job->counts);
		if (script->failed)
			mismatch(job, script);
	}
}

/* A broker that deletes a topic writes down where all of its logs start, which a kill would have
 * lost: so those that delete topics come first. */
static void run_all(struct job *job)
{
	run_some(job, true);
	run_some(job, false);
}

static void restart_all(struct job *job, bool clean)
{
	int status;

	real_disconnect(&job->real);
	status = system(clean ? job->clean : job->kill);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		fprintf(stderr, "model_vs_kafka: the broker does not restart\n");
		exit(2);
	}
	for (uint64_t i = 0; i < job->count; i++) {
		struct script *script = &job->scripts[i];

		admin_wait(&job->real, script->topic, script->partitions);
		script_restarted(script, clean);
	}
}

static double seconds_since(uint64_t begun_ns)
{
	return (double)(sl_clock_monotonic_ns() - begun_ns) / 1e9;
}

static int job_run(struct job *job)
{
	uint64_t begun_ns = sl_clock_monotonic_ns();
	double restarts_s = 0;
	const struct script_counts *c = &job->counts;

	begin_all(job);
	fprintf(stderr, "topics made in %.1f s\n", seconds_since(begun_ns));
	for (const char *restart = job->restarts;; restart++) {
		uint64_t before_ns;

		run_all(job);
		if (*restart == '\0')
			break;
		before_ns = sl_clock_monotonic_ns();
		restart_all(job, *restart == 'c');
		restarts_s += seconds_since(before_ns);
	}
	if (job->verbose)
		for (uint64_t i = 0; i < job->count; i++)
			if (!job->scripts[i].failed)
				printf("seed %" PRIu64 ", %s:\n%s", job->scripts[i].seed,
				       job->scripts[i].topic, job->scripts[i].log_text);
	printf("%" PRIu64 " scripts, %" PRIu64 " differ; %" PRIu64 " answers agree: %" PRIu64
	       " appended, %" PRIu64 " duplicates, %" PRIu64 " out of order, %" PRIu64
	       " old epochs, %" PRIu64 " too large, %" PRIu64 " timestamps, %" PRIu64
	       " unknown, %" PRIu64 " other errors, %" PRIu64
	       " producer states; %.1f s, %.1f of them restarts\n",
	       job->count, job->failed, c->steps, c->produced, c->duplicates, c->out_of_order,
	       c->old_epoch, c->too_large, c->times, c->unknown, c->others, c->described,
	       seconds_since(begun_ns), restarts_s);
	return job->failed ? 1 : 0;
}

int main(int argc, char **argv)
{
	struct job job = {0};
	int rc;

	if (argc < 7) {
		fputs(usage, stderr);
		return 2;
	}
	real_init(&job.real, (uint16_t)strtoul(argv[1], NULL, 10));
	job.first = strtoull(argv[2], NULL, 10);
	job.count = strtoull(argv[3], NULL, 10);
	job.clean = argv[4];
	job.kill = argv[5];
	job.restarts = argv[6];
	job.verbose = argc > 7;
	job.scripts = calloc(job.count, sizeof(*job.scripts));
	SL_ASSERT(job.scripts);
	rc = job_run(&job);
	for (uint64_t i = 0; i < job.count; i++)
		script_end(&job.scripts[i]);
	free(job.scripts);
	real_fini(&job.real);
	return rc;
}
