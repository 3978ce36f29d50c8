/* SPDX-License-Identifier: Apache-2.0 */
/* Topics made and removed, producer ids handed out and described. */
#include <inttypes.h>

#include "tools/devbroker/request.h"

enum { REPLY_BYTES_MAX = 512 };

struct new_topic {
	struct sl_slice name;
	int32_t partition_count;
	int16_t replication_factor;
	int32_t assignment_count;
	bool compacted;
};

static void new_topic_read(const struct sl_db_call *call, struct sl_rbuf *r, struct new_topic *out)
{
	bool f = call->flexible;
	int32_t count;

	*out = (struct new_topic){.name = sl_get_string(r, f)};
	out->partition_count = sl_get_i32(r);
	out->replication_factor = sl_get_i16(r);
	out->assignment_count = count = sl_get_array(r, f, 5);
	while (count-- > 0 && !r->bad) {
		sl_get_i32(r);
		sl_skip_i32_array(r, f);
		sl_skip_tags(r, f);
	}
	count = sl_get_array(r, f, 2);
	while (count-- > 0 && !r->bad) {
		struct sl_slice key = sl_get_string(r, f);
		struct sl_slice value = sl_get_nullable_string(r, f);

		if (sl_slice_equal(key, sl_slice_of("cleanup.policy")) && value.data)
			out->compacted = memmem(value.data, value.bytes, "compact", 7) != NULL;
		sl_skip_tags(r, f);
	}
	sl_skip_tags(r, f);
}

static int16_t topic_create(struct sl_db_call *call, const struct new_topic *asked, bool only_check,
			    struct sl_db_topic **topic)
{
	struct sl_db *db = call->db;
	int32_t count = asked->assignment_count ? asked->assignment_count : asked->partition_count;
	int16_t error;

	*topic = NULL;
	if (!asked->assignment_count &&
	    (asked->replication_factor == 0 || asked->replication_factor < -1 ||
	     asked->replication_factor > db->options.node_count))
		return SL_DB_INVALID_REPLICATION_FACTOR;
	if (only_check)
		return sl_db_topic_by_name(db, asked->name) ? SL_DB_TOPIC_ALREADY_EXISTS
							    : SL_DB_NONE;
	if (count == -1)
		count = db->options.auto_create_partitions > 0 ? db->options.auto_create_partitions
							       : 1;
	error = sl_db_topic_create(db, asked->name, count, topic);
	if (!error)
		(*topic)->compacted = asked->compacted;
	return error;
}

static void created_put(struct sl_db_call *call, const struct new_topic *asked, int16_t error,
			const struct sl_db_topic *topic)
{
	static const struct sl_uuid no_id;
	bool f = call->flexible;
	struct sl_wbuf *w;

	sl_db_out_room(call->out, REPLY_BYTES_MAX + asked->name.bytes);
	w = &call->out->w;
	sl_put_string(w, f, asked->name);
	if (call->version >= 7)
		sl_put_uuid(w, topic ? &topic->id : &no_id);
	sl_put_i16(w, error);
	sl_put_string(w, f, SL_SLICE_NULL);
	if (call->version >= 5) {
		sl_put_i32(w, topic ? topic->partition_count : -1);
		sl_put_i16(w, topic ? (int16_t)sl_db_replica_count(call->db) : (int16_t)-1);
		sl_put_array(w, f, error ? -1 : 0); /* configs */
	}
	sl_put_tags(w, f);
}

enum sl_db_verdict sl_db_serve_create_topics(struct sl_db_call *call)
{
	struct sl_rbuf *r = &call->r;
	struct sl_rbuf again;
	struct new_topic asked;
	int32_t i, count = sl_get_array(r, call->flexible, 5);
	bool only_check;

	again = *r;
	for (i = 0; i < count && !r->bad; i++)
		new_topic_read(call, r, &asked);
	sl_get_i32(r); /* timeout */
	only_check = sl_get_bool(r);
	sl_skip_tags(r, call->flexible);
	if (r->bad)
		return SL_DB_CLOSE;
	sl_put_i32(&call->out->w, 0); /* throttle */
	sl_put_array(&call->out->w, call->flexible, count);
	for (i = 0; i < count; i++) {
		struct sl_db_topic *topic;
		int16_t error;

		new_topic_read(call, &again, &asked);
		error = topic_create(call, &asked, only_check, &topic);
		created_put(call, &asked, error, topic);
	}
	sl_db_out_room(call->out, REPLY_BYTES_MAX);
	sl_put_tags(&call->out->w, call->flexible);
	return SL_DB_REPLY;
}

static void topic_delete(struct sl_db_call *call)
{
	struct sl_rbuf *r = &call->r;
	bool by_id = call->version >= 6;
	struct sl_slice name =
		by_id ? sl_get_nullable_string(r, true) : sl_get_string(r, call->flexible);
	struct sl_uuid id = {{0}};
	struct sl_db_topic *topic;
	int16_t error = SL_DB_NONE;
	struct sl_wbuf *w;

	if (by_id) {
		id = sl_get_uuid(r);
		sl_skip_tags(r, true);
	}
	if (r->bad)
		return;
	topic = name.data ? sl_db_topic_by_name(call->db, name) : sl_db_topic_by_id(call->db, &id);
	if (!topic)
		error = name.data ? SL_DB_UNKNOWN_TOPIC_OR_PARTITION : SL_DB_UNKNOWN_TOPIC_ID;
	sl_db_out_room(call->out, REPLY_BYTES_MAX + name.bytes);
	w = &call->out->w;
	sl_put_string(w, call->flexible, topic ? sl_db_topic_name(topic) : name);
	if (by_id)
		sl_put_uuid(w, topic ? &topic->id : &id);
	sl_put_i16(w, error);
	if (call->version >= 5)
		sl_put_string(w, call->flexible, SL_SLICE_NULL);
	sl_put_tags(w, call->flexible);
	if (topic)
		sl_db_topic_delete(call->db, topic);
}

enum sl_db_verdict sl_db_serve_delete_topics(struct sl_db_call *call)
{
	struct sl_rbuf *r = &call->r;
	int32_t count = sl_get_array(r, call->flexible, 1);

	sl_put_i32(&call->out->w, 0); /* throttle */
	sl_put_array(&call->out->w, call->flexible, count);
	while (count-- > 0 && !r->bad)
		topic_delete(call);
	sl_get_i32(r); /* timeout */
	sl_skip_tags(r, call->flexible);
	sl_put_tags(&call->out->w, call->flexible);
	return r->bad ? SL_DB_CLOSE : SL_DB_REPLY;
}

enum sl_db_verdict sl_db_serve_init_producer_id(struct sl_db_call *call)
{
	struct sl_rbuf *r = &call->r;
	struct sl_slice transactional_id = sl_get_nullable_string(r, call->flexible);
	int64_t producer_id = -1;
	int16_t producer_epoch = -1, error = SL_DB_NONE;
	struct sl_wbuf *w = &call->out->w;

	sl_get_i32(r); /* transaction timeout */
	if (call->version >= 3) {
		producer_id = sl_get_i64(r);
		producer_epoch = sl_get_i16(r);
	}
	sl_skip_tags(r, call->flexible);
	if (r->bad)
		return SL_DB_CLOSE;
	if (transactional_id.data)
		error = SL_DB_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
	else if ((producer_id == -1) != (producer_epoch == -1))
		error = SL_DB_INVALID_REQUEST;
	sl_put_i32(w, 0); /* throttle */
	sl_put_i16(w, error);
	sl_put_i64(w, error ? -1 : call->db->next_producer_id++);
	sl_put_i16(w, error ? -1 : 0);
	sl_put_tags(w, call->flexible);
	return SL_DB_REPLY;
}

static void producer_put(struct sl_db_call *call, const struct sl_db_producer *producer)
{
	const struct sl_db_producer_batch *last = &producer->batches[producer->batch_count - 1];
	struct sl_wbuf *w;

	sl_db_out_room(call->out, REPLY_BYTES_MAX);
	w = &call->out->w;
	sl_put_i64(w, producer->id);
	sl_put_i32(w, producer->epoch);
	sl_put_i32(w, last->last_sequence);
	sl_put_i64(w, last->max_timestamp_ms);
	sl_put_i32(w, -1); /* coordinator epoch */
	sl_put_i64(w, -1); /* transaction start */
	sl_put_tags(w, true);
}

static void producers_put(struct sl_db_call *call, const struct sl_db_topic *topic, int32_t index)
{
	const struct sl_db_partition *partition = sl_db_partition_of(topic, index);
	uint32_t i;

	sl_db_out_room(call->out, REPLY_BYTES_MAX);
	sl_put_i32(&call->out->w, index);
	sl_put_i16(&call->out->w, partition ? SL_DB_NONE : SL_DB_UNKNOWN_TOPIC_OR_PARTITION);
	sl_put_string(&call->out->w, true, SL_SLICE_NULL);
	sl_put_array(&call->out->w, true, partition ? (int32_t)partition->producers.count : 0);
	for (i = 0; partition && i < partition->producers.slot_count; i++)
		if (partition->producers.slots[i].id >= 0)
			producer_put(call, &partition->producers.slots[i]);
	sl_db_out_room(call->out, REPLY_BYTES_MAX);
	sl_put_tags(&call->out->w, true);
}

enum sl_db_verdict sl_db_serve_describe_producers(struct sl_db_call *call)
{
	struct sl_rbuf *r = &call->r;
	int32_t topics = sl_get_array(r, true, 3);

	sl_put_i32(&call->out->w, 0); /* throttle */
	sl_put_array(&call->out->w, true, topics);
	while (topics-- > 0 && !r->bad) {
		struct sl_slice name = sl_get_string(r, true);
		const struct sl_db_topic *topic = sl_db_topic_by_name(call->db, name);
		int32_t partitions = sl_get_array(r, true, 4);

		sl_db_out_room(call->out, REPLY_BYTES_MAX + name.bytes);
		sl_put_string(&call->out->w, true, name);
		sl_put_array(&call->out->w, true, partitions);
		while (partitions-- > 0 && !r->bad)
			producers_put(call, topic, sl_get_i32(r));
		sl_skip_tags(r, true);
		sl_put_tags(&call->out->w, true);
	}
	sl_skip_tags(r, true);
	sl_put_tags(&call->out->w, true);
	return r->bad ? SL_DB_CLOSE : SL_DB_REPLY;
}
