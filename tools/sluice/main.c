/* SPDX-License-Identifier: Apache-2.0 */
/* `sluice`: the command line tool. Each command is a file of its own. */
#include <stdio.h>
#include <string.h>

#include "dataplane/base/assert.h"
#include "tools/sluice/cli.h"

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
} commands[] = {
	{"produce", cmd_produce, "records from stdin or files, to a topic"},
	{"bench", cmd_bench, "load test through the agent"},
	{"sense", cmd_sense, "feed this host's own counters"},
	{"verify", cmd_verify, "is what was sent in the topics, once, whole and in order?"},
	{"status", cmd_status, "what the agent does"},
	{"partition", cmd_partition, "the partition of a key"},
};

static int usage(FILE *to, int code)
{
	uint32_t i;

	fputs("usage: sluice COMMAND [OPTION]...\n\n", to);
	for (i = 0; i < SL_ARRAY_COUNT(commands); i++)
		fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].help);
	fputs("\n`sluice COMMAND --help` tells more. $SLUICE_SOCKET or -s PATH names the agent.\n", to);
	return code;
}

int main(int argc, char **argv)
{
	uint32_t i;

	if (argc < 2)
		return usage(stderr, EXIT_USAGE);
	if (strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0)
		return usage(stdout, 0);
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
		printf("sluice %s\n", SL_VERSION);
		return 0;
	}
	for (i = 0; i < SL_ARRAY_COUNT(commands); i++) {
		if (strcmp(argv[1], commands[i].name) != 0)
			continue;
		complain_as(commands[i].name);
		interrupts_catch();
		return commands[i].run(argc - 1, argv + 1);
	}
	fprintf(stderr, "sluice: no command `%s`\n", argv[1]);
	return usage(stderr, EXIT_USAGE);
}
