/* SPDX-License-Identifier: Apache-2.0 */
/* `sluice produce`: records from stdin or files, as `kcat -P` takes them. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/sluice/cli.h"
#include "tools/sluice/envelope.h"
#include "tools/sluice/source.h"

static const char help[] =
	"usage: sluice produce -t TOPIC [OPTION]... [FILE...]\n\n"
	"Sends what stands between delimiters on stdin (or each FILE as one record; with -l its lines) and ends when every\n"
	"record has its outcome. Exit: 0 all persisted, 1 some failed, 2 some unknown, 3 no agent.\n\n"
	"  -t, --topic TOPIC        where to\n"
	"  -K, --key-delimiter D    what stands before the first D is the key\n"
	"  -D, --delimiter D        ends a record (newline); \\n, \\t, \\0 and \\xHH are understood\n"
	"  -k, --key KEY            this key for every record\n"
	"  -p, --partition N        this partition, not the partitioner's\n"
	"  -H, --header NAME=VALUE  a header for every record (NAME alone: null); may be repeated\n"
	"  -Z, --null               an empty key or value is null\n"
	"  -J, --json               lines are kcat's JSON envelopes; key_base64 and payload_base64 are understood\n"
	"  -l, --lines              FILEs are cut at the delimiter as stdin is\n"
	"      --stamp              records carry sender, number and checksum in a header, for `sluice verify`\n"
	"      --journal DIR        where --stamp keeps its journal ($SLUICE_JOURNALS, else the user's state folder)\n"
	"      --timeout D          give up when nothing moves for so long (30s, 5m); never by default\n"
	"  -s, --socket PATH        the agent's socket\n\n"
	"  printf 'user-1:hello\\n' | sluice produce -t greetings -K :\n"
	"  kcat -C -e -J -b localhost:9092 -t events | sluice produce -J -t copy-of-events\n"
	"  sluice produce -t images photo.jpg\n";

enum { HEADERS_MAX = 64, RING_BYTES = 8 * 1024 * 1024, WAIT_MS = 100 };

struct job {
	const char *socket, *topic;
	char delimiter[64], key_delimiter[64];
	size_t delimiter_bytes, key_delimiter_bytes;
	const char *key;
	struct sluice_header headers[HEADERS_MAX];
	uint32_t header_count;
	int32_t partition; /* -1: the agent's choice */
	bool null_empty, json, lines, stamp;
	const char *journals; /* NULL: the default folder */
	uint64_t timeout_ns;
	struct envelope *envelope;
	struct sender sender;
	struct stamper stamper;
	uint64_t refused; /* never sent: their fault is ours to tell */
};

static int hex_byte(const char *text)
{
	char two[3] = {text[0], text[0] ? text[1] : '\0', '\0'};
	char *end;
	long value = strtol(two, &end, 16);

	return end == two + 2 ? (int)value : -1;
}

/* Escapes into bytes. False: too long, or an escape that is none. */
static bool delimiter_parse(const char *text, char *out, size_t room, size_t *bytes)
{
	*bytes = 0;
	for (; *text; text++) {
		int c = (unsigned char)*text;

		if (c == '\\') {
			text++;
			c = *text == 'n' ? '\n' : *text == 't' ? '\t' : *text == 'r' ? '\r' : *text == '0' ? 0
				: *text == '\\' ? '\\' : *text == 'x' ? hex_byte(text + 1) : -1;
			if (c < 0)
				return false;
			text += *text == 'x' ? 2 : 0;
		}
		if (*bytes == room)
			return false;
		out[(*bytes)++] = (char)c;
	}
	return true;
}

static int piece_send(struct job *job, char *piece, size_t bytes, struct sluice_record *record)
{
	int rc;

	rc = bytes <= INT32_MAX ? sender_send(&job->sender, record) : -EMSGSIZE;
	if (rc == -EMSGSIZE || rc == -EINVAL) {
		job->refused++;
		complain(0, "a record of %zu bytes beginning with `%.*s`: %s", bytes, bytes < 20 ? (int)bytes : 20, piece,
			 rc == -EMSGSIZE ? "MESSAGE_TOO_LARGE, more than max.request.size" : sluice_strerror(rc));
		return 0;
	}
	if (rc < 0 && rc != -EINTR)
		complain(0, "%s", rc == -ETIMEDOUT ? "nothing moves any more" : sluice_strerror(rc));
	return rc;
}

static void key_split(const struct job *job, char *piece, size_t bytes, struct sluice_record *record)
{
	char *cut = NULL;

	record->value = piece;
	record->value_bytes = (int32_t)bytes;
	if (job->key) {
		record->key = job->key;
		record->key_bytes = (int32_t)strlen(job->key);
	}
	if (job->key_delimiter_bytes > 0)
		cut = memmem(piece, bytes, job->key_delimiter, job->key_delimiter_bytes);
	if (!cut)
		return;
	record->key = piece;
	record->key_bytes = (int32_t)(cut - piece);
	record->value = cut + job->key_delimiter_bytes;
	record->value_bytes = (int32_t)(bytes - (size_t)(cut - piece) - job->key_delimiter_bytes);
}

static void empty_to_null(struct sluice_record *record)
{
	if (record->key_bytes == 0)
		record->key = NULL;
	if (record->value_bytes == 0)
		record->value = NULL;
}

/* One piece of input. 0, or a negative errno that ends the run. */
static int piece(struct job *job, char *text, size_t bytes)
{
	struct sluice_record record = {.headers = job->headers, .header_count = job->header_count};
	char why[128];

	if (job->json) {
		if (bytes == 0)
			return 0;
		if (envelope_parse(job->envelope, text, bytes, &record, why, sizeof(why)) < 0) {
			job->refused++;
			complain(0, "envelope `%.*s`: %s", bytes < 40 ? (int)bytes : 40, text, why);
			return 0;
		}
	} else {
		key_split(job, text, bytes, &record);
	}
	if (job->null_empty)
		empty_to_null(&record);
	if (job->partition >= 0) {
		record.flags = SLUICE_TO_PARTITION;
		record.partition = job->partition;
	}
	return piece_send(job, text, bytes, &record);
}

static int input(struct job *job, int fd, bool cut)
{
	struct source source;
	char *text;
	size_t bytes;
	int rc = 0;

	source_begin(&source, fd, job->delimiter, cut ? job->delimiter_bytes : 0);
	while (!interrupted && (rc = source_next(&source, &text, &bytes)) == 1) {
		rc = piece(job, text, bytes);
		if (rc < 0)
			break;
		sender_reports(&job->sender);
	}
	source_end(&source);
	return interrupted ? -EINTR : rc;
}

static int inputs(struct job *job, char **files, int count)
{
	int rc = 0, i;

	if (count == 0)
		return input(job, STDIN_FILENO, true);
	for (i = 0; i < count && rc == 0; i++) {
		int fd = open(files[i], O_RDONLY | O_CLOEXEC);

		if (fd < 0) {
			job->refused++;
			complain(0, "%s: %s", files[i], strerror(errno));
			continue;
		}
		rc = input(job, fd, job->lines || job->json);
		if (rc < 0 && rc != -EINTR)
			complain(0, "%s: %s", files[i], strerror(-rc));
		close(fd);
	}
	return rc;
}

/* 0 or an exit code. */
static int stamp_begin(struct job *job)
{
	struct stamping stamping;

	if (!job->stamp)
		return 0;
	if (stamping_begin(&stamping, job->socket, job->journals) < 0 ||
	    stamper_open(&job->stamper, &stamping, job->topic, 0) < 0)
		return EXIT_SOME_FAILED;
	job->sender.stamper = &job->stamper;
	return 0;
}

static int run(struct job *job, char **files, int count)
{
	struct sluice_ring_options ring = SLUICE_RING_OPTIONS_INIT;
	struct sender_options options = {.socket = job->socket,
					 .topic = job->topic,
					 .rings = 1,
					 .ring_bytes = RING_BYTES,
					 .report_mode = SLUICE_REPORT_ERRORS};
	struct outcome_counts counts;
	sluice_client *client;
	int rc;

	rc = sender_open(&options, &client, &job->sender.topic);
	if (rc != 0)
		return rc;
	ring.full_timeout_ms = WAIT_MS;
	rc = sluice_ring_get(client, &ring, &job->sender.ring);
	if (rc < 0) {
		sluice_close(client);
		return complain(EXIT_NO_AGENT, "%s", sluice_last_error(client));
	}
	rc = stamp_begin(job);
	if (rc != 0) {
		sluice_close(client);
		return rc;
	}
	job->sender.timeout_ns = job->timeout_ns;
	job->envelope = envelope_create();
	rc = job->envelope ? inputs(job, files, count) : -ENOMEM;
	sender_finish(&job->sender);
	sender_end(&job->sender);
	counts = sender_counts(&job->sender);
	counts.failed += job->refused;
	envelope_destroy(job->envelope);
	sluice_close(client);
	(void)rc;
	return outcome_exit(&counts);
}

static bool header_add(struct job *job, char *text)
{
	struct sluice_header *header = &job->headers[job->header_count];
	char *cut = strchr(text, '=');

	if (job->header_count == HEADERS_MAX)
		return false;
	header->name = text;
	header->name_bytes = (int32_t)(cut ? (size_t)(cut - text) : strlen(text));
	header->value = cut ? cut + 1 : NULL;
	header->value_bytes = cut ? (int32_t)strlen(cut + 1) : 0;
	job->header_count++;
	return true;
}

static const struct option long_options[] = {{"topic", required_argument, NULL, 't'},
					     {"key-delimiter", required_argument, NULL, 'K'},
					     {"delimiter", required_argument, NULL, 'D'},
					     {"key", required_argument, NULL, 'k'},
					     {"partition", required_argument, NULL, 'p'},
					     {"header", required_argument, NULL, 'H'},
					     {"null", no_argument, NULL, 'Z'},
					     {"json", no_argument, NULL, 'J'},
					     {"lines", no_argument, NULL, 'l'},
					     {"stamp", no_argument, NULL, 'S'},
					     {"journal", required_argument, NULL, 'j'},
					     {"timeout", required_argument, NULL, 'T'},
					     {"socket", required_argument, NULL, 's'},
					     {"help", no_argument, NULL, 'h'},
					     {NULL, 0, NULL, 0}};

/* 0, or an exit code + 1 so that help (0) can end the run too. */
static int option(struct job *job, int c, char *value)
{
	uint64_t number;

	switch (c) {
	case 't':
		job->topic = value;
		return 0;
	case 'K':
		if (delimiter_parse(value, job->key_delimiter, sizeof(job->key_delimiter), &job->key_delimiter_bytes))
			return 0;
		return 1 + complain(EXIT_USAGE, "-K %s: not a delimiter", value);
	case 'D':
		if (delimiter_parse(value, job->delimiter, sizeof(job->delimiter), &job->delimiter_bytes))
			return 0;
		return 1 + complain(EXIT_USAGE, "-D %s: not a delimiter", value);
	case 'k':
		job->key = value;
		return 0;
	case 'p':
		if (!count_parse(value, &number) || number > INT32_MAX)
			return 1 + complain(EXIT_USAGE, "-p %s: a partition's number is wanted", value);
		job->partition = (int32_t)number;
		return 0;
	case 'H':
		return header_add(job, value) ? 0 : 1 + complain(EXIT_USAGE, "more than %d headers", HEADERS_MAX);
	case 'Z':
		job->null_empty = true;
		return 0;
	case 'J':
		job->json = true;
		return 0;
	case 'l':
		job->lines = true;
		return 0;
	case 'S':
		job->stamp = true;
		return 0;
	case 'j':
		job->stamp = true;
		job->journals = value;
		return 0;
	case 'T':
		if (duration_parse(value, &job->timeout_ns))
			return 0;
		return 1 + complain(EXIT_USAGE, "--timeout %s: a duration is wanted, as 30s", value);
	case 's':
		job->socket = value;
		return 0;
	case 'h':
		fputs(help, stdout);
		return 1;
	default:
		return 1 + EXIT_USAGE;
	}
}

int cmd_produce(int argc, char **argv)
{
	struct job job = {.partition = -1, .delimiter = "\n", .delimiter_bytes = 1};
	int c, ends;

	while ((c = getopt_long(argc, argv, "t:K:D:k:p:H:ZJls:h", long_options, NULL)) != -1) {
		ends = option(&job, c, optarg);
		if (ends)
			return ends - 1;
	}
	if (!job.topic)
		return complain(EXIT_USAGE, "-t TOPIC is missing");
	return run(&job, argv + optind, argc - optind);
}
