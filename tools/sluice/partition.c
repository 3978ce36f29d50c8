/* SPDX-License-Identifier: Apache-2.0 */
/* `sluice partition`: where a keyed record would go, by the agent's own code. */
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/batch/partitioner.h"
#include "tools/sluice/cli.h"

static const char help[] =
	"usage: sluice partition -n PARTITIONS [--partitioner NAME] [--hex] [KEY...]\n\n"
	"Prints the partition of each key, a line each; keys come from stdin, one a line, when none is given.\n\n"
	"  -n, --partitions N      partitions of the topic\n"
	"      --partitioner NAME  murmur2_random (Java's, the default), murmur2, consistent_random, consistent,\n"
	"                          fnv1a_random, fnv1a\n"
	"      --hex               keys are hexadecimal\n\n"
	"  sluice partition -n 12 user-42 user-43\n"
	"  cut -f1 keys.tsv | sluice partition -n 12 | sort -n | uniq -c\n";

struct job {
	enum sl_partitioner kind;
	struct sl_modulus modulus;
	bool hex;
};

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* In place. False: not hexadecimal. */
static bool unhex(char *text, size_t *bytes)
{
	size_t i;

	if (*bytes % 2 != 0)
		return false;
	for (i = 0; i < *bytes / 2; i++) {
		int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		text[i] = (char)(high << 4 | low);
	}
	*bytes /= 2;
	return true;
}

static int key_print(const struct job *job, char *key, size_t bytes)
{
	const uint8_t *keys[1];
	uint32_t lengths[1], hash[1];

	if (job->hex && !unhex(key, &bytes))
		return complain(EXIT_USAGE, "`%.40s` is not hexadecimal", key);
	if (sl_partitioner_way(job->kind, (int32_t)bytes) != SL_PARTITIONER_WAY_HASH) {
		puts("any"); /* spread over the partitions, whatever the key */
		return 0;
	}
	keys[0] = (const uint8_t *)key;
	lengths[0] = (uint32_t)bytes;
	sl_partitioner_hash_run(job->kind, keys, lengths, hash, 1);
	printf("%" PRIu32 "\n", sl_modulus_of_hash(&job->modulus, hash[0]));
	return 0;
}

static int from_stdin(const struct job *job)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t got;
	int rc = 0;

	while (rc == 0 && (got = getline(&line, &room, stdin)) >= 0) {
		if (got > 0 && line[got - 1] == '\n')
			line[--got] = '\0';
		rc = key_print(job, line, (size_t)got);
	}
	free(line);
	return rc;
}

int cmd_partition(int argc, char **argv)
{
	static const struct option options[] = {{"partitions", required_argument, NULL, 'n'},
						{"partitioner", required_argument, NULL, 'p'},
						{"hex", no_argument, NULL, 'x'},
						{"help", no_argument, NULL, 'h'},
						{NULL, 0, NULL, 0}};
	struct job job = {.kind = SL_PARTITIONER_MURMUR2_RANDOM};
	uint64_t partitions = 0;
	int c, kind, rc = 0;

	while ((c = getopt_long(argc, argv, "n:h", options, NULL)) != -1) {
		switch (c) {
		case 'n':
			if (!count_parse(optarg, &partitions) || partitions == 0 || partitions > INT32_MAX)
				return complain(EXIT_USAGE, "-n %s: a number of partitions is wanted", optarg);
			break;
		case 'p':
			kind = sl_partitioner_by_name(optarg);
			if (kind < 0)
				return complain(EXIT_USAGE, "no partitioner `%s`", optarg);
			job.kind = (enum sl_partitioner)kind;
			break;
		case 'x':
			job.hex = true;
			break;
		case 'h':
			fputs(help, stdout);
			return 0;
		default:
			return EXIT_USAGE;
		}
	}
	if (partitions == 0)
		return complain(EXIT_USAGE, "-n PARTITIONS is missing");
	job.modulus = sl_modulus_of((uint32_t)partitions);
	if (optind == argc)
		return from_stdin(&job);
	for (; optind < argc && rc == 0; optind++)
		rc = key_print(&job, argv[optind], strlen(argv[optind]));
	return rc;
}
