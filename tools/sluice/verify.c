/* SPDX-License-Identifier: Apache-2.0 */
/* `sluice verify`: reads topics back and holds them against the senders' stamps and journals. */
#include "tools/sluice/verify.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/base/clock.h"
#include "tools/sluice/agent_status.h"
#include "tools/sluice/cli.h"

static const char help[] =
	"usage: sluice verify -t TOPIC... [OPTION]...\n\n"
	"Reads topics from beginning to end, as they are now, and holds what is there against the stamps that `produce --stamp`,\n"
	"`bench` and `sense` write in a header, and against the senders' journals: what is lost, doubled, out of order or\n"
	"corrupted, for each sender, with the first place of each. Run it when the agent has drained.\n\n"
	"  -t, --topic TOPIC      to read; may be repeated\n"
	"  -J, --journal PATH     a sender's journal, or a folder of them; may be repeated. By default those of these topics\n"
	"                         in $SLUICE_JOURNALS, else in the user's state folder\n"
	"  -b, --bootstrap LIST   brokers, host:port,...; those of the agent by default\n"
	"  -m, --memory SIZE      at most so much for what was seen (1GiB: 7 G records)\n"
	"  -j, --json             the verdict for machines\n"
	"  -s, --socket PATH      the agent's socket\n\n"
	"Lost is what was handed over and neither failed nor is unknown nor was dropped, and is absent. A record that was in\n"
	"hand when its sender was killed may be there or not. Exit: 0 clean, 1 violated, 2 cannot be decided.\n\n"
	"  sluice bench -t load -n 1M && sluice verify -t load\n"
	"  sluice verify -t load -b localhost:9092 --journal ./journals --json | jq .verdict\n";

enum { BOOTSTRAP_BYTES = 4096 };

/* The agent's brokers as host:port,...; false: no agent, or it knows none. */
static bool bootstrap_ask(const char *socket, char *text, size_t bytes)
{
	static const char *path[] = {"cluster", "brokers", NULL}, *host_path[] = {"host", NULL},
			  *port_path[] = {"port", NULL};
	yajl_val tree = agent_status_tree(socket);
	yajl_val list = tree ? yajl_tree_get(tree, path, yajl_t_array) : NULL;
	size_t i, at = 0;

	text[0] = '\0';
	for (i = 0; list && i < list->u.array.len; i++) {
		yajl_val host = yajl_tree_get(list->u.array.values[i], host_path, yajl_t_string);
		int64_t port = agent_status_number(list->u.array.values[i], port_path, 0);

		if (host && port > 0 && at < bytes)
			at += (size_t)snprintf(text + at, bytes - at, "%s%s:%d", at ? "," : "", YAJL_GET_STRING(host),
					       (int)port);
	}
	yajl_tree_free(tree);
	return at > 0 && at < bytes;
}

static void on_record(void *arg, int64_t offset, struct sl_slice header, struct sl_slice key, struct sl_slice value)
{
	struct verify *v = arg;

	v->reading->records++;
	judge_record(v->judge, offset, header, key, value);
}

static void on_damaged(void *arg, int64_t offset)
{
	struct verify *v = arg;

	judge_batch_corrupted(v->judge, offset);
}

static int topics_read(struct verify *v, struct kafka *kafka)
{
	const struct kafka_sink sink = {v, on_record, on_damaged, STAMP_HEADER_NAME};
	uint64_t begin_ns = sl_clock_monotonic_ns();
	struct sl_error err;
	uint32_t t, p;

	for (t = 0; t < v->topic_count; t++) {
		v->reading = &v->topics[t];
		for (p = 0; p < v->topics[t].partition_count && !interrupted; p++) {
			const struct kafka_partition *partition = &v->topics[t].partitions[p];

			judge_partition(v->judge, t, partition->index, partition->start_offset);
			if (kafka_partition_read(kafka, v->topics[t].name, partition, &sink, &err) < 0)
				return complain(VERIFY_UNDECIDED, "%s", err.text);
		}
	}
	v->seconds = (double)(sl_clock_monotonic_ns() - begin_ns) * 1e-9;
	return interrupted ? complain(VERIFY_UNDECIDED, "interrupted") : 0;
}

static int topics_find(struct verify *v, struct kafka *kafka)
{
	struct sl_error err;
	uint32_t t;

	for (t = 0; t < v->topic_count; t++)
		if (kafka_topic(kafka, v->topics[t].name, &v->topics[t].partitions, &v->topics[t].partition_count, &err) < 0)
			return complain(VERIFY_UNDECIDED, "%s", err.text);
	return 0;
}

static int judged(struct verify *v, struct kafka *kafka)
{
	int rc = verify_journals_load(v);

	if (rc == 0)
		rc = topics_find(v, kafka);
	if (rc == 0)
		rc = verify_journals_judge(v, kafka_cluster(kafka));
	if (rc == 0)
		rc = topics_read(v, kafka);
	return rc != 0 ? rc : verify_report(v, judge_finish(v->judge));
}

static int run(struct verify *v)
{
	char bootstrap[BOOTSTRAP_BYTES];
	struct kafka *kafka;
	struct sl_error err;
	uint32_t t;
	int rc;

	if (!v->bootstrap && !bootstrap_ask(v->socket, bootstrap, sizeof(bootstrap)))
		return complain(VERIFY_UNDECIDED, "where is the cluster? No agent tells, so -b HOST:PORT is needed");
	if (kafka_open(&kafka, v->bootstrap ? v->bootstrap : bootstrap, &err) < 0)
		return complain(VERIFY_UNDECIDED, "%s", err.text);
	v->judge = judge_create(v->memory_bytes);
	rc = v->judge ? judged(v, kafka) : complain(VERIFY_UNDECIDED, "no memory");
	if (v->judge)
		judge_destroy(v->judge);
	for (t = 0; t < v->topic_count; t++)
		free(v->topics[t].partitions);
	verify_journals_free(v);
	kafka_close(kafka);
	return rc;
}

static int topic_add(struct verify *v, const char *name)
{
	uint32_t i;

	for (i = 0; i < v->topic_count; i++)
		if (strcmp(v->topics[i].name, name) == 0)
			return 0;
	if (v->topic_count == VERIFY_TOPICS_MAX)
		return complain(EXIT_USAGE, "more than %d topics", VERIFY_TOPICS_MAX);
	v->topics[v->topic_count++].name = name;
	return 0;
}

/* 0, or an exit code + 1. */
static int option(struct verify *v, int c, char *value)
{
	int rc;

	switch (c) {
	case 't':
		rc = topic_add(v, value);
		return rc ? 1 + rc : 0;
	case 'J':
		if (v->path_count == VERIFY_PATHS_MAX)
			return 1 + complain(EXIT_USAGE, "more than %d journals: name their folder", VERIFY_PATHS_MAX);
		v->paths[v->path_count++] = value;
		return 0;
	case 'b':
		v->bootstrap = value;
		return 0;
	case 'm':
		if (size_parse(value, &v->memory_bytes))
			return 0;
		return 1 + complain(EXIT_USAGE, "--memory %s: a size is wanted, as 1GiB", value);
	case 'j':
		v->json = true;
		return 0;
	case 's':
		v->socket = value;
		return 0;
	case 'h':
		fputs(help, stdout);
		return 1;
	default:
		return 1 + EXIT_USAGE;
	}
}

int cmd_verify(int argc, char **argv)
{
	static const struct option options[] = {{"topic", required_argument, NULL, 't'},
						{"journal", required_argument, NULL, 'J'},
						{"bootstrap", required_argument, NULL, 'b'},
						{"memory", required_argument, NULL, 'm'},
						{"json", no_argument, NULL, 'j'},
						{"socket", required_argument, NULL, 's'},
						{"help", no_argument, NULL, 'h'},
						{NULL, 0, NULL, 0}};
	static struct verify v = {.memory_bytes = 1 << 30};
	int c, ends;

	while ((c = getopt_long(argc, argv, "t:J:b:m:js:h", options, NULL)) != -1) {
		ends = option(&v, c, optarg);
		if (ends)
			return ends - 1;
	}
	/* `-t a b` is what the form TOPIC... looks like. */
	for (; v.topic_count > 0 && optind < argc; optind++)
		if (topic_add(&v, argv[optind]) != 0)
			return EXIT_USAGE;
	if (v.topic_count == 0)
		return complain(EXIT_USAGE, "-t TOPIC is missing");
	return run(&v);
}
