/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands of `sluice` share: exit codes, options in people's units, a ring whose outcomes are counted. */
#ifndef SLUICE_TOOL_CLI_H
#define SLUICE_TOOL_CLI_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/client/sluice.h"
#include "tools/sluice/stamper.h"

enum exit_code {
	EXIT_ALL_PERSISTED = 0,
	EXIT_SOME_FAILED = 1,
	EXIT_SOME_UNKNOWN = 2,
	EXIT_NO_AGENT = 3,
	EXIT_USAGE = 64,
};

/* One command: argv[0] is its name. Returns the exit code. */
int cmd_bench(int argc, char **argv);
int cmd_partition(int argc, char **argv);
int cmd_produce(int argc, char **argv);
int cmd_sense(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_verify(int argc, char **argv);

/* "sluice COMMAND: text" on stderr. Returns code. */
int complain(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The name that complain() puts in front. */
void complain_as(const char *command);

/* "250ms", "5s", "2m", "1h" or bare seconds, into nanoseconds. False: not a duration. */
bool duration_parse(const char *text, uint64_t *ns);

/* "1000", "64k", "16MiB" (k, M, G are powers of 1024 with or without iB). False: not a size. */
bool size_parse(const char *text, uint64_t *bytes);

/* A count: "1000000", "1M", "2.5k" (powers of ten). False: not a count. */
bool count_parse(const char *text, uint64_t *count);

/* TERM and INT set it: a command finishes what it has begun and ends. */
extern volatile int interrupted;
void interrupts_catch(void);

/* Connects and binds a topic; says what is wrong. Returns 0 or an exit code. */
struct sender_options {
	const char *socket;
	const char *topic;
	uint32_t rings;
	uint64_t ring_bytes; /* 0: the library's default */
	uint32_t record_bytes_max;
	uint32_t report_mode;
	uint32_t report_slots;
};
int sender_open(const struct sender_options *options, sluice_client **client, sluice_topic **topic);

/* Where records go and what became of them. */
struct sender {
	sluice_ring *ring;
	sluice_topic *topic;
	uint64_t timeout_ns;    /* 0: none; from the last progress to giving up */
	uint32_t errors_shown;
	struct stamper *stamper; /* NULL: records go as they are */
	void (*reported)(void *arg, const struct sluice_report *report); /* NULL: nobody listens */
	void *arg;
};

/* Sends, reading reports while the ring is full. 0 or a negative errno. */
int sender_send(struct sender *s, const struct sluice_record *record);

/* Reads the reports that there are, into the journal where there is one; shows the first few failures on stderr. */
void sender_reports(struct sender *s);

/* Waits for every outcome. 0 or a negative errno (then some are still open). */
int sender_finish(struct sender *s);

struct outcome_counts {
	uint64_t persisted, failed, unknown;
};
struct outcome_counts sender_counts(struct sender *s);

/* Closes the journal, where there is one: the outcomes that were not read by now stay open in it. */
void sender_end(struct sender *s);

/* "P persisted, F failed, U unknown" on stderr, and the exit code that goes with it. */
int outcome_exit(const struct outcome_counts *counts);

#endif
