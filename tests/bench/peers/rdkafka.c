/* SPDX-License-Identifier: Apache-2.0
 *
 * librdkafka's side of the comparison: produces a flushed warm-up, then the measured records, and
 * prints one line of JSON. tests/bench/compare builds and runs it; see its --help for what is
 * compared.
 */
#include "tests/bench/peers/rdkafka_abi.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { BATCH_MAX = 10000, POLL_EVERY = 100, FLUSH_MS_MAX = 60000, WAIT_MS = 10 };

struct peer {
	rd_kafka_t *rk;
	rd_kafka_topic_t *topic;
	rd_kafka_conf_t *conf;
	const char *topic_name;
	uint64_t warmup_count, record_count;
	size_t value_bytes, key_bytes, key_count;
	int batch_count; /* 0: produce() with copy; else produce_batch() of so many, without */
	char *value, *keys;
	size_t key_next;
	uint64_t ok, failed; /* written by the delivery callback, in rd_kafka_poll */
	rd_kafka_message_t *messages;
};

static void die(const char *what, const char *why)
{
	fprintf(stderr, "rdkafka peer: %s: %s\n", what, why);
	exit(1);
}

static void delivered(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
	struct peer *p = opaque;

	(void)rk;
	if (message->err)
		p->failed++;
	else
		p->ok++;
}

static char *key_take(struct peer *p)
{
	char *key = p->keys + p->key_next * p->key_bytes;

	if (!p->key_bytes)
		return NULL;
	if (++p->key_next == p->key_count)
		p->key_next = 0;
	return key;
}

static void produce_one(struct peer *p)
{
	const char *key = key_take(p);

	while (rd_kafka_produce(p->topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, p->value,
				p->value_bytes, key, p->key_bytes, NULL) != 0) {
		if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL)
			die("produce", rd_kafka_err2str(rd_kafka_last_error()));
		rd_kafka_poll(p->rk, WAIT_MS);
	}
}

/* Those that were not taken stay at the front of the array, to be offered again. */
static int messages_keep(struct peer *p, int count)
{
	int i, kept = 0;

	for (i = 0; i < count; i++) {
		if (!p->messages[i].err)
			continue;
		if (p->messages[i].err != RD_KAFKA_RESP_ERR__QUEUE_FULL)
			die("produce_batch", rd_kafka_err2str(p->messages[i].err));
		p->messages[kept++] = p->messages[i];
	}
	return kept;
}

static void produce_batch(struct peer *p, int count)
{
	int i;

	for (i = 0; i < count; i++)
		p->messages[i] = (rd_kafka_message_t){.payload = p->value,
						      .len = p->value_bytes,
						      .key = key_take(p),
						      .key_len = p->key_bytes};
	while (count > 0) {
		int taken = rd_kafka_produce_batch(p->topic, RD_KAFKA_PARTITION_UA, 0, p->messages,
						   count);

		if (taken < count)
			rd_kafka_poll(p->rk, WAIT_MS);
		count = taken == count ? 0 : messages_keep(p, count);
	}
	rd_kafka_poll(p->rk, 0);
}

static void produce_all(struct peer *p, uint64_t count)
{
	uint64_t i;
	int rc;

	if (p->batch_count) {
		for (i = 0; i < count; i += (uint64_t)p->batch_count)
			produce_batch(p, count - i < (uint64_t)p->batch_count ? (int)(count - i)
									      : p->batch_count);
	} else {
		for (i = 0; i < count; i++) {
			produce_one(p);
			if (i % POLL_EVERY == 0)
				rd_kafka_poll(p->rk, 0);
		}
	}
	rc = rd_kafka_flush(p->rk, FLUSH_MS_MAX);
	if (rc)
		die("flush", rd_kafka_err2str(rc));
}

static uint64_t cpu_ns(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000000 +
	       (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1000;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void setting(struct peer *p, const char *name, const char *value)
{
	char why[256];

	if (rd_kafka_conf_set(p->conf, name, value, why, sizeof(why)) != RD_KAFKA_CONF_OK)
		die(name, why);
}

static void setting_text(struct peer *p, char *text)
{
	char *equals = strchr(text, '=');

	if (!equals)
		die("--set", "expects NAME=VALUE");
	*equals = 0;
	setting(p, text, equals + 1);
}

static void options_read(struct peer *p, int argc, char **argv)
{
	static const struct option rows[] = {
		{"bootstrap", required_argument, NULL, 'b'},
		{"topic", required_argument, NULL, 't'},
		{"warmup", required_argument, NULL, 'w'},
		{"records", required_argument, NULL, 'n'},
		{"value-bytes", required_argument, NULL, 'v'},
		{"key-bytes", required_argument, NULL, 'k'},
		{"keys", required_argument, NULL, 'K'},
		{"batch", required_argument, NULL, 'B'},
		{"set", required_argument, NULL, 's'},
		{NULL, 0, NULL, 0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "", rows, NULL)) != -1) {
		switch (option) {
		case 'b':
			setting(p, "bootstrap.servers", optarg);
			break;
		case 't':
			p->topic_name = optarg;
			break;
		case 'w':
			p->warmup_count = strtoull(optarg, NULL, 10);
			break;
		case 'n':
			p->record_count = strtoull(optarg, NULL, 10);
			break;
		case 'v':
			p->value_bytes = strtoul(optarg, NULL, 10);
			break;
		case 'k':
			p->key_bytes = strtoul(optarg, NULL, 10);
			break;
		case 'K':
			p->key_count = strtoul(optarg, NULL, 10);
			break;
		case 'B':
			p->batch_count = atoi(optarg);
			break;
		case 's':
			setting_text(p, optarg);
			break;
		default:
			exit(2);
		}
	}
	if (!p->topic_name || !p->record_count || !p->key_count || p->batch_count < 0 ||
	    p->batch_count > BATCH_MAX)
		die("options", "see tests/bench/compare for how this program is called");
}

static void records_prepare(struct peer *p)
{
	uint64_t seed = 1;
	size_t i;

	p->value = malloc(p->value_bytes + 1);
	p->keys = malloc(p->key_bytes * p->key_count + 1);
	p->messages = calloc(BATCH_MAX, sizeof(*p->messages));
	if (!p->value || !p->keys || !p->messages)
		die("memory", "none left");
	memset(p->value, 'v', p->value_bytes);
	for (i = 0; i < p->key_bytes * p->key_count; i++) {
		/* Knuth's MMIX generator; its upper bits are the good ones. */
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		p->keys[i] = (char)(seed >> 56);
	}
}

int main(int argc, char **argv)
{
	struct peer p = {.value_bytes = 100, .key_count = 65536};
	uint64_t cpu_start_ns, start_ns, cpu_used_ns, used_ns;
	char why[256];

	p.conf = rd_kafka_conf_new();
	rd_kafka_conf_set_opaque(p.conf, &p);
	rd_kafka_conf_set_dr_msg_cb(p.conf, delivered);
	options_read(&p, argc, argv);
	records_prepare(&p);
	p.rk = rd_kafka_new(RD_KAFKA_PRODUCER, p.conf, why, sizeof(why));
	if (!p.rk)
		die("new", why);
	p.topic = rd_kafka_topic_new(p.rk, p.topic_name, NULL);
	if (!p.topic)
		die("topic", rd_kafka_err2str(rd_kafka_last_error()));
	produce_all(&p, p.warmup_count);
	cpu_start_ns = cpu_ns();
	start_ns = now_ns();
	produce_all(&p, p.record_count);
	cpu_used_ns = cpu_ns() - cpu_start_ns;
	used_ns = now_ns() - start_ns;
	printf("{\"version\": \"librdkafka %s\", \"ok\": %" PRIu64 ", \"failed\": %" PRIu64
	       ", \"cpu_ns\": %" PRIu64 ", \"wall_ns\": %" PRIu64 "}\n",
	       rd_kafka_version_str(), p.ok, p.failed, cpu_used_ns, used_ns);
	rd_kafka_topic_destroy(p.topic);
	rd_kafka_destroy(p.rk);
	return 0;
}
