/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>

#include "tools/devbroker/request.h"

enum {
	TOPIC_REPLY_BYTES_MAX = 320,
	PARTITION_REPLY_BYTES_MAX = 128,
	NODE_REPLY_BYTES_MAX = 128,
	OPERATIONS_NOT_ASKED = INT32_MIN,
};

static void nodes_put(struct sl_db_call *call)
{
	const struct sl_db *db = call->db;
	struct sl_wbuf *w = &call->out->w;
	int32_t i;

	sl_put_array(w, call->flexible, db->options.node_count);
	for (i = 0; i < db->options.node_count; i++) {
		sl_put_i32(w, db->nodes[i].id);
		sl_put_string(w, call->flexible, sl_slice_of(call->local_host));
		sl_put_i32(w, db->nodes[i].port);
		if (call->version >= 1)
			sl_put_string(w, call->flexible, SL_SLICE_NULL); /* rack */
		sl_put_tags(w, call->flexible);
	}
}

static void replicas_put(struct sl_db_call *call, int32_t index)
{
	int32_t i, count = sl_db_replica_count(call->db);

	sl_put_array(&call->out->w, call->flexible, count);
	for (i = 0; i < count; i++)
		sl_put_i32(&call->out->w, (index + i) % call->db->options.node_count + 1);
}

static void partition_put(struct sl_db_call *call, const struct sl_db_topic *topic, int32_t index)
{
	int32_t leader = sl_db_leader_of(call->db, topic, index);
	int32_t first = topic->partitions[index].leader_id - 1;
	struct sl_wbuf *w;

	sl_db_out_room(call->out, PARTITION_REPLY_BYTES_MAX);
	w = &call->out->w;
	sl_put_i16(w, leader < 0 ? SL_DB_LEADER_NOT_AVAILABLE : SL_DB_NONE);
	sl_put_i32(w, index);
	sl_put_i32(w, leader);
	if (call->version >= 7)
		sl_put_i32(w, topic->partitions[index].leader_epoch);
	replicas_put(call, first);
	replicas_put(call, first); /* all are in sync */
	if (call->version >= 5)
		sl_put_array(w, call->flexible, 0); /* offline replicas */
	sl_put_tags(w, call->flexible);
}

static void topic_put(struct sl_db_call *call, int16_t error, struct sl_slice name,
		      const struct sl_uuid *id, const struct sl_db_topic *topic)
{
	int32_t i, count = topic ? topic->partition_count : 0;
	struct sl_wbuf *w;

	sl_db_out_room(call->out, TOPIC_REPLY_BYTES_MAX + name.bytes);
	w = &call->out->w;
	sl_put_i16(w, error);
	sl_put_string(w, call->flexible, name);
	if (call->version >= 10)
		sl_put_uuid(w, topic ? &topic->id : id);
	if (call->version >= 1)
		sl_put_bool(w, false); /* internal */
	sl_put_array(w, call->flexible, count);
	for (i = 0; i < count; i++)
		partition_put(call, topic, i);
	sl_db_out_room(call->out, TOPIC_REPLY_BYTES_MAX);
	if (call->version >= 8)
		sl_put_i32(w, OPERATIONS_NOT_ASKED);
	sl_put_tags(w, call->flexible);
}

static void named_topic_put(struct sl_db_call *call, struct sl_slice name, bool may_create)
{
	static const struct sl_uuid no_id;
	struct sl_db *db = call->db;
	struct sl_db_topic *topic = sl_db_topic_by_name(db, name);
	int16_t error = topic ? SL_DB_NONE : SL_DB_UNKNOWN_TOPIC_OR_PARTITION;

	if (!topic && may_create && db->options.auto_create_partitions > 0)
		error = sl_db_topic_create(db, name, db->options.auto_create_partitions, &topic);
	topic_put(call, error, name, &no_id, topic);
}

/* One topic that was asked for: by name, or from v12 on by id. */
static void asked_topic_put(struct sl_db_call *call, struct sl_rbuf *r, bool may_create)
{
	struct sl_uuid id = {{0}};
	struct sl_slice name;

	if (call->version >= 10)
		id = sl_get_uuid(r);
	name = call->version >= 10 ? sl_get_nullable_string(r, call->flexible)
				   : sl_get_string(r, call->flexible);
	sl_skip_tags(r, call->flexible);
	if (r->bad)
		return;
	if (name.data) {
		named_topic_put(call, name, may_create);
	} else {
		const struct sl_db_topic *topic = sl_db_topic_by_id(call->db, &id);

		topic_put(call, topic ? SL_DB_NONE : SL_DB_UNKNOWN_TOPIC_ID,
			  topic ? sl_db_topic_name(topic) : SL_SLICE_NULL, &id, topic);
	}
}

static void all_topics_put(struct sl_db_call *call)
{
	const struct sl_db *db = call->db;
	uint32_t i;

	sl_put_array(&call->out->w, call->flexible, (int32_t)db->topic_count);
	for (i = 0; i < db->topic_count; i++)
		topic_put(call, SL_DB_NONE, sl_db_topic_name(db->topics[i]), &db->topics[i]->id,
			  db->topics[i]);
}

/* The fields after the topics; may_create comes after the names that it is about. */
static bool request_tail_read(const struct sl_db_call *call, struct sl_rbuf *r)
{
	bool may_create = call->version < 4 || sl_get_bool(r);

	if (call->version >= 8 && call->version <= 10)
		sl_get_bool(r);
	if (call->version >= 8)
		sl_get_bool(r);
	sl_skip_tags(r, call->flexible);
	return may_create;
}

/* Reads the names without doing anything, to reach what comes after them. */
static void topics_skip(const struct sl_db_call *call, struct sl_rbuf *r, int32_t count)
{
	while (count-- > 0 && !r->bad) {
		if (call->version >= 10)
			sl_get_uuid(r);
		sl_get_nullable_string(r, call->flexible);
		sl_skip_tags(r, call->flexible);
	}
}

static void head_put(struct sl_db_call *call)
{
	struct sl_wbuf *w;

	sl_db_out_room(call->out, SL_DB_NODES_MAX * NODE_REPLY_BYTES_MAX);
	w = &call->out->w;
	if (call->version >= 3)
		sl_put_i32(w, 0); /* throttle */
	nodes_put(call);
	if (call->version >= 2)
		sl_put_string(w, call->flexible, sl_slice_of("devbroker"));
	if (call->version >= 1)
		sl_put_i32(w, call->db->nodes[0].id);
}

enum sl_db_verdict sl_db_serve_metadata(struct sl_db_call *call)
{
	struct sl_rbuf *r = &call->r;
	struct sl_rbuf names;
	int32_t count = call->version == 0 ? sl_get_array(r, false, 2)
					   : sl_get_nullable_array(r, call->flexible, 2);
	bool all = count < 0 || (call->version == 0 && count == 0);
	bool may_create;

	names = *r;
	topics_skip(call, r, count);
	may_create = request_tail_read(call, r);
	if (r->bad)
		return SL_DB_CLOSE;
	head_put(call);
	if (all)
		all_topics_put(call);
	else
		sl_put_array(&call->out->w, call->flexible, count);
	while (!all && count-- > 0)
		asked_topic_put(call, &names, may_create);
	/* The names were read a second time, with stricter rules. */
	call->r.bad = names.bad;
	sl_db_out_room(call->out, TOPIC_REPLY_BYTES_MAX);
	if (call->version >= 8 && call->version <= 10)
		sl_put_i32(&call->out->w, OPERATIONS_NOT_ASKED);
	if (call->version >= 13)
		sl_put_i16(&call->out->w, SL_DB_NONE);
	sl_put_tags(&call->out->w, call->flexible);
	return SL_DB_REPLY;
}

enum sl_db_verdict sl_db_serve_describe_cluster(struct sl_db_call *call)
{
	struct sl_rbuf *r = &call->r;
	const struct sl_db *db = call->db;
	struct sl_wbuf *w;
	int32_t i;

	sl_get_bool(r);
	if (call->version >= 1)
		sl_get_i8(r); /* endpoint type: brokers, there is nothing else */
	sl_skip_tags(r, true);
	sl_db_out_room(call->out, SL_DB_NODES_MAX * NODE_REPLY_BYTES_MAX);
	w = &call->out->w;
	sl_put_i32(w, 0); /* throttle */
	sl_put_i16(w, SL_DB_NONE);
	sl_put_string(w, true, SL_SLICE_NULL);
	if (call->version >= 1)
		sl_put_i8(w, 1);
	sl_put_string(w, true, sl_slice_of("devbroker"));
	sl_put_i32(w, db->nodes[0].id);
	sl_put_array(w, true, db->options.node_count);
	for (i = 0; i < db->options.node_count; i++) {
		sl_put_i32(w, db->nodes[i].id);
		sl_put_string(w, true, sl_slice_of(call->local_host));
		sl_put_i32(w, db->nodes[i].port);
		sl_put_string(w, true, SL_SLICE_NULL);
		sl_put_tags(w, true);
	}
	sl_put_i32(w, OPERATIONS_NOT_ASKED);
	sl_put_tags(w, true);
	return SL_DB_REPLY;
}
