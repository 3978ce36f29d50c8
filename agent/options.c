/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

static const char usage[] =
	"sluiced takes records from applications on this host and produces them to Apache Kafka.\n"
	"\n"
	"  sluiced [-c FILE] [--set KEY=VALUE]...\n"
	"\n"
	"  -c, --config FILE    read the configuration (YAML)\n"
	"  -s, --set KEY=VALUE  set one value, over the file; may be repeated\n"
	"      --check-config   check the configuration and exit: 0 good, 78 not\n"
	"      --dump-config    print it with its defaults, and the memory it makes, and exit\n"
	"      --drain          send what the arena holds, admit nobody, exit\n"
	"      --version        print the version\n"
	"  -h, --help           print this\n"
	"\n"
	"Examples:\n"
	"  sluiced --set bootstrap.servers=localhost:9092\n"
	"  sluiced -c /etc/sluice/sluiced.yaml --check-config\n"
	"\n"
	"Signals: TERM and INT send what was committed, then end (again: end at once); HUP reloads "
	"the configuration.\n"
	"Exit: 0 drained, 75 records are kept in the arena, 78 configuration, 1 anything else.\n";

enum { OPT_CHECK = 256, OPT_DUMP, OPT_DRAIN, OPT_VERSION };

static const struct option longs[] = {
	{"config", required_argument, NULL, 'c'},
	{"set", required_argument, NULL, 's'},
	{"check-config", no_argument, NULL, OPT_CHECK},
	{"dump-config", no_argument, NULL, OPT_DUMP},
	{"drain", no_argument, NULL, OPT_DRAIN},
	{"version", no_argument, NULL, OPT_VERSION},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

static int set_add(struct sl_options *options, const char *text)
{
	if (!strchr(text, '=')) {
		fprintf(stderr, "sluiced: --set %s: expected KEY=VALUE\n", text);
		return -EINVAL;
	}
	if (options->set_count == SL_OPTION_SETS_MAX) {
		fprintf(stderr, "sluiced: more than %d times --set\n", SL_OPTION_SETS_MAX);
		return -E2BIG;
	}
	options->sets[options->set_count++] = text;
	return 0;
}

static int option_apply(struct sl_options *options, int option)
{
	switch (option) {
	case 'c':
		options->file = optarg;
		return 0;
	case 's':
		return set_add(options, optarg);
	case OPT_CHECK:
		options->check = true;
		return 0;
	case OPT_DUMP:
		options->dump = true;
		return 0;
	case OPT_DRAIN:
		options->drain = true;
		return 0;
	case OPT_VERSION:
		puts("sluiced " SL_VERSION);
		return 1;
	case 'h':
		fputs(usage, stdout);
		return 1;
	default:
		fputs("sluiced: see sluiced --help\n", stderr);
		return -EINVAL;
	}
}

int sl_options_parse(struct sl_options *options, int argc, char **argv)
{
	int option;

	memset(options, 0, sizeof(*options));
	optind = 0; /* GNU: also forgets an earlier parse */
	while ((option = getopt_long(argc, argv, "c:s:h", longs, NULL)) != -1) {
		int rc = option_apply(options, option);

		if (rc != 0)
			return rc;
	}
	if (optind < argc) {
		fprintf(stderr, "sluiced: unexpected argument '%s'; see sluiced --help\n",
			argv[optind]);
		return -EINVAL;
	}
	return 0;
}
