/* SPDX-License-Identifier: Apache-2.0 */
/* Brokers, leaders and offsets; the records are fetched in kafka_fetch.c. */
#include "tools/sluice/kafka_read.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dataplane/wire/error_code.h"
#include "dataplane/wire/list_offsets.h"
#include "dataplane/wire/metadata.h"
#include "tools/sluice/kafka_internal.h"

enum { PORT = 9092, PARTITIONS_MAX = 1 << 20, PAUSE_MS = 200 };

/* "host:port" or "[v6]:port" into its parts. */
static bool address_parse(const char *text, size_t bytes, char host[KAFKA_HOST_BYTES], uint16_t *port)
{
	const char *colon = memrchr(text, ':', bytes);
	size_t host_bytes = bytes;
	long number = PORT;
	char *end;

	if (colon && (text[0] != '[' || (colon > text && colon[-1] == ']'))) {
		number = strtol(colon + 1, &end, 10);
		host_bytes = (size_t)(colon - text);
		if (end != text + bytes || number < 1 || number > UINT16_MAX)
			return false;
	}
	if (host_bytes > 1 && text[0] == '[' && text[host_bytes - 1] == ']') {
		text++;
		host_bytes -= 2;
	}
	if (host_bytes == 0 || host_bytes >= KAFKA_HOST_BYTES)
		return false;
	memcpy(host, text, host_bytes);
	host[host_bytes] = '\0';
	*port = (uint16_t)number;
	return true;
}

static int first_connect(struct kafka *k, struct sl_error *err)
{
	const char *at = k->bootstrap;
	int rc = sl_error_set(err, -EINVAL, "`%s`: host:port is wanted", k->bootstrap);

	while (*at) {
		size_t bytes = strcspn(at, ", ");
		char host[KAFKA_HOST_BYTES];
		uint16_t port;

		if (bytes > 0 && !address_parse(at, bytes, host, &port))
			return sl_error_set(err, -EINVAL, "`%.*s`: host:port is wanted", (int)bytes, at);
		if (bytes > 0)
			rc = kafka_link_open(&k->first, host, port, err);
		if (bytes > 0 && rc == 0)
			return 0;
		at += bytes + (at[bytes] != '\0');
	}
	return rc;
}

int kafka_open(struct kafka **out, const char *bootstrap, struct sl_error *err)
{
	struct kafka *k = calloc(1, sizeof(*k));
	int rc;

	if (!k)
		return sl_error_set(err, -ENOMEM, "no memory");
	k->first.fd = -1;
	k->bootstrap = strdup(bootstrap);
	rc = k->bootstrap ? first_connect(k, err) : sl_error_set(err, -ENOMEM, "no memory");
	if (rc < 0) {
		kafka_close(k);
		return rc;
	}
	*out = k;
	return 0;
}

void kafka_close(struct kafka *k)
{
	uint32_t i;

	for (i = 0; i < k->broker_count; i++)
		kafka_link_close(&k->brokers[i].link);
	kafka_link_close(&k->first);
	for (i = 0; i < 2; i++)
		free(k->in[i].data);
	free(k->talk.data);
	free(k->bootstrap);
	free(k);
}

const char *kafka_cluster(const struct kafka *k)
{
	return k->cluster;
}

void kafka_pause(void)
{
	struct timespec pause = {0, PAUSE_MS * 1000 * 1000};

	nanosleep(&pause, NULL);
}

static void broker_note(struct kafka *k, const struct sl_metadata_broker *broker)
{
	struct kafka_broker *b = NULL;
	uint32_t i;

	for (i = 0; i < k->broker_count && !b; i++)
		b = k->brokers[i].id == broker->id ? &k->brokers[i] : NULL;
	if (!b) {
		if (k->broker_count == KAFKA_BROKERS_MAX)
			return;
		b = &k->brokers[k->broker_count++];
		*b = (struct kafka_broker){.id = broker->id, .link.fd = -1};
	}
	snprintf(b->host, sizeof(b->host), "%.*s", (int)broker->host.bytes, (const char *)broker->host.data);
	b->port = (uint16_t)broker->port;
}

static int partitions_take(struct sl_metadata_reader *m, const struct sl_metadata_topic *topic,
			   struct kafka_partition **out, uint32_t *count)
{
	struct kafka_partition *list;
	struct sl_metadata_partition p;
	int rc;

	if (topic->partition_count <= 0 || topic->partition_count > PARTITIONS_MAX)
		return -EBADMSG;
	list = calloc((size_t)topic->partition_count, sizeof(*list));
	if (!list)
		return -ENOMEM;
	*count = 0;
	while ((rc = sl_metadata_next_partition(m, &p)) == 1)
		list[(*count)++] = (struct kafka_partition){.index = p.index, .leader = p.leader_id};
	*out = list;
	return rc;
}

/* Reads an answer: brokers into k, partitions into *out. 0, -EAGAIN: the broker is not ready, or an error. */
static int metadata_take(struct kafka *k, const struct sl_rbuf *body, int16_t version, struct kafka_partition **out,
			 uint32_t *count)
{
	struct sl_metadata_reader m;
	struct sl_metadata_broker broker;
	struct sl_metadata_cluster cluster;
	struct sl_metadata_topic topic;
	int rc = sl_metadata_begin(&m, body, version);

	if (rc == 0)
		rc = sl_metadata_check(&m);
	while (rc == 0 && sl_metadata_next_broker(&m, &broker) == 1)
		broker_note(k, &broker);
	if (rc == 0)
		rc = sl_metadata_cluster(&m, &cluster);
	if (rc < 0)
		return rc;
	snprintf(k->cluster, sizeof(k->cluster), "%.*s", (int)cluster.cluster_id.bytes,
		 cluster.cluster_id.data ? (const char *)cluster.cluster_id.data : "");
	if (sl_metadata_next_topic(&m, &topic) != 1)
		return -EBADMSG;
	if (topic.error_code == SL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION)
		return -ENOENT;
	if (topic.error_code != 0 && topic.error_code != SL_KAFKA_LEADER_NOT_AVAILABLE)
		return topic.error_code == SL_KAFKA_TOPIC_AUTHORIZATION_FAILED ? -EACCES : -EAGAIN;
	return partitions_take(&m, &topic, out, count);
}

static int metadata_ask(struct kafka *k, const char *topic, struct kafka_partition **out, uint32_t *count,
			struct sl_error *err)
{
	struct sl_slice name = sl_slice_of(topic);
	struct sl_metadata_request request = {.topics = &name, .topic_count = 1};
	uint8_t frame[KAFKA_REQUEST_BYTES];
	struct sl_wbuf w = sl_wbuf_on(frame, sizeof(frame));
	struct sl_request_head head;
	struct sl_rbuf body;
	int rc = k->first.fd < 0 ? first_connect(k, err) : 0;

	if (rc == 0)
		rc = kafka_link_head(&k->first, SL_API_METADATA, &head, err);
	if (rc == 0)
		rc = kafka_link_send(&k->first, frame, sl_metadata_request_encode(&w, &head, &request), err);
	if (rc == 0)
		rc = kafka_link_receive(&k->first, SL_API_METADATA, &head, &k->talk, &body, err);
	if (rc < 0)
		return rc == -EPROTONOSUPPORT || rc == -EINVAL ? rc : -EAGAIN;
	rc = metadata_take(k, &body, head.version, out, count);
	if (rc < 0)
		sl_error_set(err, rc, "topic %s: %s", topic, rc == -ENOENT ? "not there" : strerror(-rc));
	return rc;
}

static int broker_link(struct kafka_broker *b, struct kafka_link **link, struct sl_error *err)
{
	*link = &b->link;
	return b->link.fd >= 0 || kafka_link_open(&b->link, b->host, b->port, err) == 0 ? 0 : -EAGAIN;
}

int kafka_leader(struct kafka *k, const char *topic, int32_t partition, struct kafka_link **link, struct sl_error *err)
{
	struct kafka_partition *list = NULL;
	uint32_t count = 0, i, b;
	int32_t leader = -1;
	int rc = metadata_ask(k, topic, &list, &count, err);

	for (i = 0; i < count; i++)
		leader = list[i].index == partition ? list[i].leader : leader;
	free(list);
	if (rc < 0)
		return rc;
	for (b = 0; b < k->broker_count; b++)
		if (k->brokers[b].id == leader)
			return broker_link(&k->brokers[b], link, err);
	return sl_error_set(err, -EAGAIN, "%s-%d: no leader", topic, partition);
}

int kafka_error(int16_t code, const char *topic, int32_t partition, struct sl_error *err)
{
	if (code == 0)
		return 0;
	sl_error_set(err, -EIO, "%s-%d: %s (%d)", topic, partition, sl_kafka_error_name(code), code);
	/* A leader that moves, a broker that begins or ends. */
	if (code == SL_KAFKA_OFFSET_NOT_AVAILABLE || sl_kafka_error_action(code) == SL_ACTION_RETRY ||
	    sl_kafka_error_action(code) == SL_ACTION_REFRESH_RETRY)
		return -EAGAIN;
	return -EIO;
}

static int offset_ask(struct kafka_link *link, struct kafka *k, const char *topic, int32_t partition, int64_t which,
		      int64_t *offset, struct sl_error *err)
{
	struct sl_list_offsets_request request = {
		.topic = sl_slice_of(topic), .partition = partition, .leader_epoch = -1, .timestamp_ms = which};
	struct sl_list_offsets_answer answer;
	uint8_t frame[KAFKA_REQUEST_BYTES];
	struct sl_wbuf w = sl_wbuf_on(frame, sizeof(frame));
	struct sl_request_head head;
	struct sl_rbuf body;
	int rc = kafka_link_head(link, SL_API_LIST_OFFSETS, &head, err);

	if (rc == 0)
		rc = kafka_link_send(link, frame, sl_list_offsets_encode(&w, &head, &request), err);
	if (rc == 0)
		rc = kafka_link_receive(link, SL_API_LIST_OFFSETS, &head, &k->talk, &body, err);
	if (rc < 0)
		return rc == -EPROTONOSUPPORT ? rc : -EAGAIN;
	if (sl_list_offsets_decode(&body, head.version, &answer) < 0)
		return sl_error_set(err, -EBADMSG, "%s-%d: an answer that is no Kafka's", topic, partition);
	*offset = answer.offset;
	return kafka_error(answer.error_code, topic, partition, err);
}

static int bounds_ask(struct kafka *k, const char *topic, struct kafka_partition *p, struct sl_error *err)
{
	struct kafka_link *link;
	int rc = kafka_leader(k, topic, p->index, &link, err);

	if (rc == 0)
		rc = offset_ask(link, k, topic, p->index, SL_OFFSET_LATEST, &p->end_offset, err);
	if (rc == 0)
		rc = offset_ask(link, k, topic, p->index, SL_OFFSET_EARLIEST, &p->start_offset, err);
	return rc;
}

int kafka_topic(struct kafka *k, const char *topic, struct kafka_partition **out, uint32_t *count, struct sl_error *err)
{
	uint32_t i;
	int rc = -EAGAIN, tries;

	*out = NULL;
	*count = 0;
	for (tries = 0; rc == -EAGAIN && tries < KAFKA_TRIES; tries++) {
		if (tries > 0)
			kafka_pause();
		rc = metadata_ask(k, topic, out, count, err);
	}
	for (i = 0; rc == 0 && i < *count; i++) {
		for (tries = 0; (rc = bounds_ask(k, topic, &(*out)[i], err)) == -EAGAIN && tries < KAFKA_TRIES; tries++)
			kafka_pause();
	}
	if (rc == 0)
		return 0;
	free(*out);
	*out = NULL;
	return rc;
}
