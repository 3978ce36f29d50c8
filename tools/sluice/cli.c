/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/sluice/cli.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/base/clock.h"

enum { ERRORS_SHOWN_MAX = 5, FLUSH_SLICE_MS = 200, REPORTS_AT_ONCE = 256 };

volatile int interrupted;
static const char *command_name = "";

void complain_as(const char *command)
{
	command_name = command;
}

int complain(int code, const char *fmt, ...)
{
	va_list args;

	fprintf(stderr, "sluice %s: ", command_name);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	return code;
}

static void on_signal(int signal)
{
	(void)signal;
	interrupted = 1;
}

void interrupts_catch(void)
{
	struct sigaction action = {.sa_handler = on_signal};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
}

struct unit {
	const char *name;
	double factor;
};

/* A number and one of the units; the first unit stands for none. */
static bool quantity_parse(const char *text, const struct unit *units, double *value)
{
	char *end;
	uint32_t i;

	errno = 0;
	*value = strtod(text, &end);
	if (end == text || errno != 0 || *value < 0 || !isdigit((unsigned char)text[0]))
		return false;
	for (i = 0; units[i].name; i++) {
		if (strcmp(end, units[i].name) == 0) {
			*value *= units[i].factor;
			return *value < 9e18;
		}
	}
	return false;
}

bool duration_parse(const char *text, uint64_t *ns)
{
	static const struct unit units[] = {{"", 1e9},   {"ns", 1},   {"us", 1e3},    {"ms", 1e6}, {"s", 1e9},
					    {"m", 60e9}, {"h", 3600e9}, {NULL, 0}};
	double value;

	if (!quantity_parse(text, units, &value))
		return false;
	*ns = (uint64_t)value;
	return true;
}

bool size_parse(const char *text, uint64_t *bytes)
{
	static const struct unit units[] = {{"", 1},           {"k", 1024},       {"K", 1024},       {"KiB", 1024},
					    {"M", 1024 * 1024}, {"MiB", 1024 * 1024}, {"G", 1 << 30}, {"GiB", 1 << 30},
					    {NULL, 0}};
	double value;

	if (!quantity_parse(text, units, &value))
		return false;
	*bytes = (uint64_t)value;
	return true;
}

bool count_parse(const char *text, uint64_t *count)
{
	static const struct unit units[] = {{"", 1}, {"k", 1e3}, {"K", 1e3}, {"M", 1e6}, {"G", 1e9}, {NULL, 0}};
	double value;

	if (!quantity_parse(text, units, &value))
		return false;
	*count = (uint64_t)value;
	return true;
}

int sender_open(const struct sender_options *o, sluice_client **client, sluice_topic **topic)
{
	struct sluice_options options = SLUICE_OPTIONS_INIT;
	char text[256] = "";
	int rc;

	options.socket_path = o->socket;
	options.ring_count = o->rings;
	options.ring_bytes = o->ring_bytes;
	options.record_bytes_max = o->record_bytes_max;
	options.report_mode = o->report_mode;
	options.report_slots = o->report_slots;
	options.error_text = text;
	options.error_text_bytes = sizeof(text);
	rc = sluice_open(&options, client);
	if (rc < 0)
		return complain(EXIT_NO_AGENT, "%s", text[0] ? text : sluice_strerror(rc));
	rc = sluice_topic_bind(*client, o->topic, topic);
	if (rc == 0)
		return 0;
	complain(0, "topic %s: %s", o->topic, sluice_last_error(*client));
	sluice_close(*client);
	return rc == -ENOTCONN ? EXIT_NO_AGENT : EXIT_SOME_FAILED;
}

static void report_show(struct sender *s, const struct sluice_report *r)
{
	if (r->outcome == SLUICE_PERSISTED || s->errors_shown >= ERRORS_SHOWN_MAX)
		return;
	s->errors_shown++;
	complain(0, "record %" PRIu64 "%s: %s, %s (%d)", r->first_seq, r->count > 1 ? " and following" : "",
		 r->outcome == SLUICE_FAILED ? "failed" : "unknown", sluice_error_name(r->error), r->error);
}

void sender_reports(struct sender *s)
{
	struct sluice_report reports[REPORTS_AT_ONCE];
	struct sluice_stats stats; /* of before: the reports of what it counts as settled are read below */
	bool counted = s->stamper && sluice_ring_stats(s->ring, &stats) == 0;
	int count, i;

	do {
		count = sluice_poll_reports(s->ring, reports, REPORTS_AT_ONCE);
		for (i = 0; i < count; i++) {
			report_show(s, &reports[i]);
			if (s->stamper)
				stamper_reported(s->stamper, &reports[i]);
			if (s->reported)
				s->reported(s->arg, &reports[i]);
		}
	} while (count == REPORTS_AT_ONCE);
	if (counted)
		stamper_settled(s->stamper, &stats);
}

static uint64_t settled(struct sender *s)
{
	struct sluice_stats stats;

	return sluice_ring_stats(s->ring, &stats) == 0 ? stats.settled : 0;
}

/* The ring's own wait is short, since only we can read the reports that may hold it up. */
static int send_slowly(struct sender *s, const struct sluice_record *record)
{
	uint64_t progress_ns = sl_clock_monotonic_ns();
	uint64_t before = 0;
	int64_t rc;

	do {
		uint64_t now = settled(s);

		sender_reports(s);
		if (now != before)
			progress_ns = sl_clock_monotonic_ns();
		before = now;
		if (s->timeout_ns && sl_clock_monotonic_ns() - progress_ns > s->timeout_ns)
			return -ETIMEDOUT;
		if (interrupted)
			return -EINTR;
		rc = sluice_send(s->ring, s->topic, record);
	} while (rc == -ETIMEDOUT || rc == -EAGAIN);
	return rc < 0 ? (int)rc : 0;
}

static int send_any(struct sender *s, const struct sluice_record *record)
{
	int64_t rc = sluice_send(s->ring, s->topic, record);

	if (rc >= 0)
		return 0;
	return rc == -ETIMEDOUT || rc == -EAGAIN ? send_slowly(s, record) : (int)rc;
}

int sender_send(struct sender *s, const struct sluice_record *record)
{
	struct sluice_record stamped;
	int rc;

	if (!s->stamper)
		return send_any(s, record);
	rc = stamper_stamp(s->stamper, record, &stamped);
	if (rc < 0)
		return rc;
	stamper_claim(s->stamper);
	rc = send_any(s, &stamped);
	/* A record that was refused gives its number to the next one, in the ring as here. */
	if (rc == 0)
		stamper_commit(s->stamper);
	return rc;
}

void sender_end(struct sender *s)
{
	struct sluice_stats stats;

	if (!s->stamper)
		return;
	if (sluice_ring_stats(s->ring, &stats) == 0)
		stamper_end(s->stamper, &stats);
	stamper_close(s->stamper);
}

int sender_finish(struct sender *s)
{
	uint64_t progress_ns = sl_clock_monotonic_ns();
	uint64_t before = settled(s);
	int rc;

	while ((rc = sluice_flush(s->ring, FLUSH_SLICE_MS)) == -ETIMEDOUT || rc == -ENOBUFS) {
		uint64_t now = settled(s);

		sender_reports(s);
		if (now != before)
			progress_ns = sl_clock_monotonic_ns();
		before = now;
		if (s->timeout_ns && sl_clock_monotonic_ns() - progress_ns > s->timeout_ns)
			break;
	}
	sender_reports(s);
	return rc;
}

struct outcome_counts sender_counts(struct sender *s)
{
	struct outcome_counts counts = {0};
	struct sluice_stats stats;

	if (sluice_ring_stats(s->ring, &stats) < 0)
		return counts;
	counts.failed = stats.failed;
	counts.unknown = stats.unknown + (stats.sent - stats.settled);
	counts.persisted = stats.settled - stats.failed - stats.unknown;
	return counts;
}

int outcome_exit(const struct outcome_counts *counts)
{
	fprintf(stderr, "%" PRIu64 " persisted, %" PRIu64 " failed, %" PRIu64 " unknown\n", counts->persisted,
		counts->failed, counts->unknown);
	if (counts->unknown > 0)
		return EXIT_SOME_UNKNOWN;
	return counts->failed > 0 ? EXIT_SOME_FAILED : EXIT_ALL_PERSISTED;
}
