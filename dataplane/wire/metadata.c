/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/wire/metadata.h"

#include <errno.h>

enum {
	VERSION_MIN = 7,
	VERSION_TOPIC_AUTH_OPS = 8,
	VERSION_TOPIC_ID = 10,
	VERSION_CLUSTER_AUTH_OPS_LAST = 10, /* 8 to 10 carry them for the cluster */
	VERSION_NULL_NAME = 12,
	VERSION_TOP_ERROR = 13,
	VERSION_MAX = 13,
};

/* Least bytes that an element can take, in the shorter of both encodings: bounds the counts. */
enum {
	BROKER_BYTES_MIN = 4 + 1 + 4 + 1,
	TOPIC_BYTES_MIN = 2 + 1 + 1 + 1,
	PARTITION_BYTES_MIN = 2 + 4 + 4 + 4 + 1 + 1 + 1,
};

enum { NOT_OPEN = -1 };

static bool version_ok(int16_t version)
{
	return version >= VERSION_MIN && version <= VERSION_MAX;
}

static bool cluster_auth_ops(int16_t version)
{
	return version >= VERSION_TOPIC_AUTH_OPS && version <= VERSION_CLUSTER_AUTH_OPS_LAST;
}

static void put_topics(struct sl_wbuf *w, int16_t version, bool flexible,
		       const struct sl_metadata_request *request)
{
	static const struct sl_uuid by_name;
	uint32_t i;

	if (request->all_topics) {
		sl_put_array(w, flexible, -1);
		return;
	}
	if (request->topic_count > INT32_MAX - 1) {
		w->overflow = true;
		return;
	}
	sl_put_array(w, flexible, (int32_t)request->topic_count);
	for (i = 0; i < request->topic_count && !w->overflow; i++) {
		if (version >= VERSION_TOPIC_ID)
			sl_put_uuid(w, &by_name);
		sl_put_string(w, flexible, request->topics[i]);
		sl_put_tags(w, flexible);
	}
}

int sl_metadata_request_encode(struct sl_wbuf *w, const struct sl_request_head *head,
			       const struct sl_metadata_request *request)
{
	bool flexible = sl_api_flexible(SL_API_METADATA, head->version);
	uint8_t *frame;

	if (!version_ok(head->version))
		return -EPROTONOSUPPORT;
	frame = sl_request_begin(w, SL_API_METADATA, head);
	put_topics(w, head->version, flexible, request);
	sl_put_bool(w, request->allow_auto_create);
	if (cluster_auth_ops(head->version))
		sl_put_bool(w, false);
	if (head->version >= VERSION_TOPIC_AUTH_OPS)
		sl_put_bool(w, false);
	sl_put_tags(w, flexible);
	return sl_frame_end(w, frame);
}

static int reader_fail(struct sl_metadata_reader *m)
{
	sl_rbuf_fail(&m->r);
	return -EBADMSG;
}

int sl_metadata_begin(struct sl_metadata_reader *m, const struct sl_rbuf *body, int16_t version)
{
	if (!version_ok(version))
		return -EPROTONOSUPPORT;
	*m = (struct sl_metadata_reader){
		.r = *body,
		.version = version,
		.flexible = sl_api_flexible(SL_API_METADATA, version),
		.topics_left = NOT_OPEN,
		.partitions_left = NOT_OPEN,
	};
	m->throttle_ms = sl_get_i32(&m->r);
	m->brokers_left = sl_get_array(&m->r, m->flexible, BROKER_BYTES_MIN);
	return m->r.bad ? -EBADMSG : 0;
}

int sl_metadata_next_broker(struct sl_metadata_reader *m, struct sl_metadata_broker *out)
{
	if (m->r.bad)
		return -EBADMSG;
	if (m->brokers_left == 0)
		return 0;
	m->brokers_left--;
	out->id = sl_get_i32(&m->r);
	out->host = sl_get_string(&m->r, m->flexible);
	out->port = sl_get_i32(&m->r);
	sl_get_nullable_string(&m->r, m->flexible); /* rack */
	sl_skip_tags(&m->r, m->flexible);
	if (m->r.bad || out->id < 0 || out->host.bytes == 0 || out->port < 1 ||
	    out->port > UINT16_MAX)
		return reader_fail(m);
	return 1;
}

int sl_metadata_cluster(struct sl_metadata_reader *m, struct sl_metadata_cluster *out)
{
	struct sl_metadata_broker skipped;
	int rc = 1;

	if (m->topics_left == NOT_OPEN) {
		while (rc == 1)
			rc = sl_metadata_next_broker(m, &skipped);
		m->cluster.cluster_id = sl_get_nullable_string(&m->r, m->flexible);
		m->cluster.controller_id = sl_get_i32(&m->r);
		m->topics_left = sl_get_array(&m->r, m->flexible, TOPIC_BYTES_MIN);
	}
	*out = m->cluster;
	return m->r.bad ? -EBADMSG : 0;
}

/* Closes the topic that is open: what is left of its partitions, then the fields behind them. */
static void topic_close(struct sl_metadata_reader *m)
{
	struct sl_metadata_partition skipped;

	if (m->partitions_left == NOT_OPEN)
		return;
	while (sl_metadata_next_partition(m, &skipped) == 1)
		continue;
	m->partitions_left = NOT_OPEN;
	if (m->version >= VERSION_TOPIC_AUTH_OPS)
		sl_get_i32(&m->r);
	sl_skip_tags(&m->r, m->flexible);
}

int sl_metadata_next_topic(struct sl_metadata_reader *m, struct sl_metadata_topic *out)
{
	struct sl_metadata_cluster cluster;
	int rc = sl_metadata_cluster(m, &cluster);

	if (rc < 0)
		return rc;
	topic_close(m);
	if (m->r.bad)
		return -EBADMSG;
	if (m->topics_left == 0)
		return 0;
	m->topics_left--;
	*out = (struct sl_metadata_topic){.error_code = sl_get_i16(&m->r)};
	if (m->version >= VERSION_NULL_NAME)
		out->name = sl_get_nullable_string(&m->r, m->flexible);
	else
		out->name = sl_get_string(&m->r, m->flexible);
	if (m->version >= VERSION_TOPIC_ID)
		out->id = sl_get_uuid(&m->r);
	out->internal = sl_get_bool(&m->r);
	out->partition_count = sl_get_array(&m->r, m->flexible, PARTITION_BYTES_MIN);
	m->partitions_left = out->partition_count;
	return m->r.bad ? -EBADMSG : 1;
}

int sl_metadata_next_partition(struct sl_metadata_reader *m, struct sl_metadata_partition *out)
{
	if (m->r.bad)
		return -EBADMSG;
	if (m->partitions_left <= 0)
		return 0;
	m->partitions_left--;
	out->error_code = sl_get_i16(&m->r);
	out->index = sl_get_i32(&m->r);
	out->leader_id = sl_get_i32(&m->r);
	out->leader_epoch = sl_get_i32(&m->r);
	sl_skip_i32_array(&m->r, m->flexible); /* replicas */
	sl_skip_i32_array(&m->r, m->flexible); /* in sync */
	sl_skip_i32_array(&m->r, m->flexible); /* offline */
	sl_skip_tags(&m->r, m->flexible);
	if (m->r.bad || out->index < 0 || out->leader_id < -1 || out->leader_epoch < -1)
		return reader_fail(m);
	return 1;
}

int sl_metadata_end(struct sl_metadata_reader *m, int16_t *error_code)
{
	struct sl_metadata_topic skipped;
	int rc = 1;

	*error_code = 0;
	while (rc == 1)
		rc = sl_metadata_next_topic(m, &skipped);
	if (rc < 0)
		return rc;
	if (cluster_auth_ops(m->version))
		sl_get_i32(&m->r);
	if (m->version >= VERSION_TOP_ERROR)
		*error_code = sl_get_i16(&m->r);
	sl_skip_tags(&m->r, m->flexible);
	if (m->r.bad || sl_rbuf_left(&m->r) != 0)
		return reader_fail(m);
	return 0;
}

int sl_metadata_check(const struct sl_metadata_reader *m)
{
	struct sl_metadata_reader copy = *m;
	int16_t error_code;

	return sl_metadata_end(&copy, &error_code);
}
