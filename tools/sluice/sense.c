/* SPDX-License-Identifier: Apache-2.0 */
/* `sluice sense`: this host's own counters as a stream of records, a record a counter, keyed by its name. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dataplane/base/clock.h"
#include "tools/sluice/cli.h"
#include "tools/sluice/sense_read.h"

static const char help[] =
	"usage: sluice sense -t TOPIC [OPTION]...\n\n"
	"Reads CPU time, interrupts, network, disks, memory, pressure and temperatures of this host again and again and sends\n"
	"each counter as a record: its name is the key, its number the value. Ends after the duration or when interrupted.\n\n"
	"  -t, --topic TOPIC  where to\n"
	"      --hz F         readings a second (1)\n"
	"  -d, --duration D   for so long (10s); until interrupted by default\n"
	"  -j, --json         values are {\"name\", \"value\", \"time_ns\"}\n"
	"      --copy FILE    also writes what was sent there: key, tab, value, a line each\n"
	"      --journal DIR  where the journal for `sluice verify` goes ($SLUICE_JOURNALS, else a state folder)\n"
	"      --no-stamp     without the header that `sluice verify` reads, and without journal\n"
	"  -s, --socket PATH  the agent's socket\n\n"
	"Exit: 0 all persisted, 1 some failed, 2 some unknown, 3 no agent.\n\n"
	"  sluice sense -t host.counters --hz 10\n"
	"  sluice sense -t host.counters --hz 100 -d 10s --json --copy sent.tsv\n";

enum { WAIT_MS = 100, VALUE_BYTES = 512, TIMEOUT_S = 60 };

struct job {
	const char *socket, *topic;
	double hz;
	uint64_t duration_ns;
	bool json, plain;
	const char *journals; /* NULL: the default folder */
	struct stamper stamper;
	const char *copy_path;
	FILE *copy; /* NULL: nobody asked for one */
	struct sender sender;
	uint64_t reading_ns; /* realtime of this reading: all of its records carry it */
	uint64_t readings, late;
};

/* Only what the ring took is written: a record that was refused must not be looked for. */
static int copy_write(FILE *copy, const struct sluice_record *record)
{
	bool good = fwrite(record->key, (size_t)record->key_bytes, 1, copy) == 1 && fputc('\t', copy) != EOF &&
		    fwrite(record->value, (size_t)record->value_bytes, 1, copy) == 1 && fputc('\n', copy) != EOF;

	return good ? 0 : -EIO;
}

static int counter_send(void *arg, const char *name, size_t name_bytes, const char *value, size_t value_bytes)
{
	struct job *job = arg;
	char text[VALUE_BYTES];
	struct sluice_record record = {.key = name,
				       .key_bytes = (int32_t)name_bytes,
				       .value = value,
				       .value_bytes = (int32_t)value_bytes,
				       .timestamp_ms = (int64_t)(job->reading_ns / SL_NS_PER_MS)};
	int rc;

	if (job->json) {
		int n = snprintf(text, sizeof(text), "{\"name\":\"%s\",\"value\":%.*s,\"time_ns\":%" PRIu64 "}", name,
				 (int)value_bytes, value, job->reading_ns);

		record.value = text;
		record.value_bytes = n < VALUE_BYTES ? n : VALUE_BYTES - 1;
	}
	rc = sender_send(&job->sender, &record);
	return rc == 0 && job->copy ? copy_write(job->copy, &record) : rc;
}

static void sleep_until(uint64_t at_ns)
{
	struct timespec at = {(time_t)(at_ns / SL_NS_PER_S), (long)(at_ns % SL_NS_PER_S)};

	while (!interrupted && clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR)
		;
}

static int readings(struct job *job, struct sense *sense)
{
	uint64_t start_ns = sl_clock_monotonic_ns();
	uint64_t period_ns = (uint64_t)(1e9 / job->hz);
	uint64_t next_ns = start_ns;
	int rc = 0;

	while (!interrupted && rc == 0 && (!job->duration_ns || next_ns - start_ns < job->duration_ns)) {
		job->reading_ns = sl_clock_realtime_ns();
		rc = sense_read(sense, counter_send, job);
		job->readings++;
		sender_reports(&job->sender);
		next_ns += period_ns;
		if (sl_clock_monotonic_ns() > next_ns)
			job->late++;
		else
			sleep_until(next_ns);
	}
	return rc;
}

/* 0 or an exit code. */
static int copy_open(struct job *job)
{
	if (!job->copy_path)
		return 0;
	job->copy = fopen(job->copy_path, "we");
	return job->copy ? 0 : complain(EXIT_SOME_FAILED, "%s: %s", job->copy_path, strerror(errno));
}

static int stamp_begin(struct job *job)
{
	struct stamping stamping;
	int rc;

	if (job->plain)
		return 0;
	rc = stamping_begin(&stamping, job->socket, job->journals);
	if (rc == 0)
		rc = stamper_open(&job->stamper, &stamping, job->topic, 0);
	if (rc == 0)
		job->sender.stamper = &job->stamper;
	return rc;
}

static int run(struct job *job)
{
	struct sluice_ring_options ring = SLUICE_RING_OPTIONS_INIT;
	struct sender_options options = {
		.socket = job->socket, .topic = job->topic, .rings = 1, .report_mode = SLUICE_REPORT_ERRORS};
	struct sense *sense = sense_create();
	struct outcome_counts counts;
	sluice_client *client;
	int rc, c;

	if (!sense)
		return complain(EXIT_SOME_FAILED, "no memory");
	rc = copy_open(job);
	if (rc == 0)
		rc = sender_open(&options, &client, &job->sender.topic);
	if (rc != 0) {
		sense_destroy(sense);
		return rc;
	}
	ring.full_timeout_ms = WAIT_MS;
	job->sender.timeout_ns = TIMEOUT_S * SL_NS_PER_S;
	rc = sluice_ring_get(client, &ring, &job->sender.ring);
	if (rc == 0)
		rc = stamp_begin(job);
	if (rc == 0)
		rc = readings(job, sense);
	if (rc < 0 && rc != -EINTR)
		complain(0, "%s", sluice_strerror(rc));
	sender_finish(&job->sender);
	sender_end(&job->sender);
	counts = sender_counts(&job->sender);
	sluice_close(client);
	sense_destroy(sense);
	if (job->copy && fclose(job->copy) != 0 && rc == 0)
		rc = complain(-EIO, "%s: %s", job->copy_path, strerror(errno));
	fprintf(stderr, "%" PRIu64 " readings, %" PRIu64 " late\n", job->readings, job->late);
	c = outcome_exit(&counts);
	return c == 0 && rc < 0 && rc != -EINTR ? EXIT_SOME_FAILED : c;
}

int cmd_sense(int argc, char **argv)
{
	static const struct option options[] = {{"topic", required_argument, NULL, 't'},
						{"hz", required_argument, NULL, 'z'},
						{"duration", required_argument, NULL, 'd'},
						{"json", no_argument, NULL, 'j'},
						{"copy", required_argument, NULL, 'c'},
						{"journal", required_argument, NULL, 'J'},
						{"no-stamp", no_argument, NULL, 'P'},
						{"socket", required_argument, NULL, 's'},
						{"help", no_argument, NULL, 'h'},
						{NULL, 0, NULL, 0}};
	struct job job = {.hz = 1};
	int c;

	while ((c = getopt_long(argc, argv, "t:d:js:h", options, NULL)) != -1) {
		switch (c) {
		case 't':
			job.topic = optarg;
			break;
		case 'z':
			job.hz = strtod(optarg, NULL);
			if (!(job.hz > 0 && job.hz <= 100000))
				return complain(EXIT_USAGE, "--hz %s: above 0, at most 100000", optarg);
			break;
		case 'd':
			if (!duration_parse(optarg, &job.duration_ns) || job.duration_ns == 0)
				return complain(EXIT_USAGE, "-d %s: a duration is wanted, as 10s", optarg);
			break;
		case 'j':
			job.json = true;
			break;
		case 'c':
			job.copy_path = optarg;
			break;
		case 'J':
			job.journals = optarg;
			break;
		case 'P':
			job.plain = true;
			break;
		case 's':
			job.socket = optarg;
			break;
		case 'h':
			fputs(help, stdout);
			return 0;
		default:
			return EXIT_USAGE;
		}
	}
	if (!job.topic)
		return complain(EXIT_USAGE, "-t TOPIC is missing");
	return run(&job);
}
