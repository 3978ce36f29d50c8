/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/devbroker/options.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "dataplane/base/clock.h"

enum {
	OPT_FAULT = 256,
	OPT_SEED,
	OPT_MEMORY,
	OPT_AUTO_CREATE,
	OPT_TRUST,
	OPT_DISCARD,
	OPT_COMPACTED,
	OPT_MESSAGE_BYTES_MAX,
	FAULTS_MAX = 64,
};

static const struct option option_rows[] = {
	{"listen", required_argument, NULL, 'l'},
	{"brokers", required_argument, NULL, 'n'},
	{"topic", required_argument, NULL, 't'},
	{"compacted", required_argument, NULL, OPT_COMPACTED},
	{"fault", required_argument, NULL, OPT_FAULT},
	{"seed", required_argument, NULL, OPT_SEED},
	{"memory", required_argument, NULL, OPT_MEMORY},
	{"max-message-bytes", required_argument, NULL, OPT_MESSAGE_BYTES_MAX},
	{"auto-create", required_argument, NULL, OPT_AUTO_CREATE},
	{"trust", no_argument, NULL, OPT_TRUST},
	{"discard", no_argument, NULL, OPT_DISCARD},
	{"quiet", no_argument, NULL, 'q'},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

static void help_print(void)
{
	printf("usage: devbroker [-l ADDR:PORT] [-n BROKERS] [-t TOPIC:PARTITIONS]...\n"
	       "                 [--fault SPEC]... [--quiet]\n\n"
	       "A small Kafka broker in one process, for demos, load tests and fault tests.\n"
	       "Logs live in memory. There are no consumer groups and no transactions.\n\n"
	       "  -l, --listen ADDR:PORT      first node's address (127.0.0.1:9092); the others\n"
	       "                              take the ports after it; port 0: the kernel chooses\n"
	       "  -n, --brokers BROKERS       nodes in this process (1)\n"
	       "  -t, --topic TOPIC:PARTITIONS  a topic there is from the start\n"
	       "      --compacted TOPIC:PARTITIONS  the same, refusing null keys\n"
	       "      --auto-create N         a topic asked for appears, with N partitions\n"
	       "      --memory BYTES          cap of all logs (256MiB); the oldest data goes\n"
	       "      --max-message-bytes N   largest batch (1048588)\n"
	       "      --trust                 check headers and CRCs, not each record\n"
	       "      --discard               keep offsets only\n"
	       "      --fault SPEC            see below\n"
	       "      --seed N                of everything that is drawn by lot\n"
	       "  -q, --quiet                 no log on stderr\n\n"
	       "faults (PROB from 0 to 1):\n%s\n"
	       "Prints \"ready bootstrap=HOST:PORT[,...]\" once it serves, and statistics on\n"
	       "SIGUSR1 and at its end, all on stdout.\n\n"
	       "examples:\n"
	       "  devbroker -t logs:3 &  echo hello | kcat -P -b localhost -t logs\n"
	       "  devbroker -l :0 -n 3 -t logs:12 --fault leader-move:500 --fault close:0.01\n",
	       sl_db_fault_help());
}

/* A number with an optional KiB, MiB or GiB. */
static bool size_parse(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
	static const char *const units[] = {"", "KiB", "MiB", "GiB"};
	char *end;
	uint32_t i;

	errno = 0;
	*out = strtoull(text, &end, 10);
	if (errno || end == text || *text == '-')
		return false;
	for (i = 0; i < 4; i++)
		if (strcmp(end, units[i]) == 0) {
			if (*out > UINT64_MAX >> (10 * i))
				return false;
			*out <<= 10 * i;
			return *out >= min && *out <= max;
		}
	return false;
}

static bool listen_parse(struct sl_db_options *o, const char *text)
{
	const char *colon = strrchr(text, ':');
	size_t bytes = colon ? (size_t)(colon - text) : strlen(text);
	uint64_t port;

	if (colon) {
		if (!size_parse(colon + 1, 0, UINT16_MAX, &port))
			return false;
		o->port = (uint16_t)port;
	}
	if (bytes >= 2 && text[0] == '[' && text[bytes - 1] == ']') {
		text++;
		bytes -= 2;
	}
	if (bytes >= sizeof(o->host))
		return false;
	if (bytes == 0)
		return true;
	memcpy(o->host, text, bytes);
	o->host[bytes] = 0;
	return true;
}

static bool topic_parse(struct sl_db_settings *s, const char *text, bool compacted)
{
	struct sl_db_settings_topic *t = &s->topics[s->topic_count];
	const char *colon = strrchr(text, ':');
	size_t bytes = colon ? (size_t)(colon - text) : strlen(text);
	uint64_t count = 1;

	if (s->topic_count == SL_DB_SETTINGS_TOPICS_MAX || bytes >= sizeof(t->name) ||
	    (colon && !size_parse(colon + 1, 1, SL_DB_PARTITIONS_MAX, &count)))
		return false;
	memcpy(t->name, text, bytes);
	t->name[bytes] = 0;
	t->partition_count = (int32_t)count;
	t->compacted = compacted;
	s->topic_count++;
	return true;
}

static bool number_option(struct sl_db_options *o, int option, const char *text)
{
	uint64_t value;

	switch (option) {
	case 'n':
		if (!size_parse(text, 1, SL_DB_NODES_MAX, &value))
			return false;
		o->node_count = (int32_t)value;
		return true;
	case OPT_SEED:
		return size_parse(text, 0, UINT64_MAX, &o->seed);
	case OPT_MEMORY:
		return size_parse(text, 1, UINT64_MAX, &o->memory_bytes);
	case OPT_MESSAGE_BYTES_MAX:
		if (!size_parse(text, 1, SL_DB_FRAME_BYTES_MAX, &value))
			return false;
		o->batch_bytes_max = (uint32_t)value;
		return true;
	default:
		if (!size_parse(text, 1, SL_DB_PARTITIONS_MAX, &value))
			return false;
		o->auto_create_partitions = (int32_t)value;
		return true;
	}
}

static bool option_apply(struct sl_db_settings *s, int option, const char *text)
{
	switch (option) {
	case 'l':
		return listen_parse(&s->options, text);
	case 't':
	case OPT_COMPACTED:
		return topic_parse(s, text, option == OPT_COMPACTED);
	case OPT_TRUST:
		s->options.trust = true;
		return true;
	case OPT_DISCARD:
		s->options.discard = true;
		return true;
	case 'q':
		s->options.quiet = true;
		return true;
	default:
		return number_option(&s->options, option, text);
	}
}

static void defaults_set(struct sl_db_options *o)
{
	*o = (struct sl_db_options){
		.host = "127.0.0.1",
		.port = 9092,
		.node_count = 1,
		.memory_bytes = UINT64_C(256) << 20,
		.batch_bytes_max = 1048588,
		.seed = sl_random_seed(),
	};
}

int sl_db_settings_parse(struct sl_db_settings *settings, int argc, char **argv,
			 struct sl_error *err)
{
	const char *faults[FAULTS_MAX];
	uint32_t fault_count = 0, i;
	int option;

	defaults_set(&settings->options);
	while ((option = getopt_long(argc, argv, "l:n:t:qh", option_rows, NULL)) != -1) {
		if (option == 'h') {
			help_print();
			return 1;
		}
		if (option == '?')
			return sl_error_set(err, -EINVAL, "see --help");
		if (option == OPT_FAULT && fault_count < FAULTS_MAX)
			faults[fault_count++] = optarg;
		else if (!option_apply(settings, option, optarg))
			return sl_error_set(err, -EINVAL, "bad value '%s': see --help", optarg);
	}
	if (optind < argc)
		return sl_error_set(err, -EINVAL, "unexpected '%s'", argv[optind]);
	if (settings->options.port && settings->options.port + settings->options.node_count > 65536)
		return sl_error_set(err, -EINVAL, "not enough ports after %u",
				    settings->options.port);
	/* Last, since they need the seed. */
	sl_db_faults_init(&settings->options.faults, settings->options.seed);
	for (i = 0; i < fault_count; i++)
		if (sl_db_fault_parse(&settings->options.faults, faults[i], err) < 0)
			return err->code;
	return 0;
}
