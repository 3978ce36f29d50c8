/* SPDX-License-Identifier: Apache-2.0 */
/* The requests that a broker of the model understands, but Produce. */
#include <string.h>

#include "dataplane/wire/error_code.h"
#include "dataplane/wire/list_offsets.h"
#include "tests/sim/sim.h"

enum { RELEASES = 6, ANSWER_BYTES = 64 * 1024 };

/* Highest versions offered by 2.1, 2.4, 2.8, 3.7, 4.0 and the newest. */
static const struct {
	int16_t key, min, max[RELEASES];
} offered[] = {
	{0, 0, {7, 8, 9, 10, 12, 13}}, {2, 1, {4, 5, 6, 8, 10, 10}}, {3, 0, {7, 9, 11, 12, 13, 13}},
	{18, 0, {2, 3, 3, 3, 4, 4}},   {22, 0, {1, 2, 4, 4, 5, 5}},  {61, 0, {-1, -1, 0, 0, 0, 0}},
};

static int16_t version_max(uint32_t release, int16_t key)
{
	for (uint32_t i = 0; i < SL_ARRAY_COUNT(offered); i++)
		if (offered[i].key == key)
			return offered[i].max[release];
	return -1;
}

static void serve_versions(struct sim *sim, uint32_t broker, struct broker_conn *conn)
{
	uint32_t release = sim->cluster.brokers[broker].release;
	bool known = conn->version <= version_max(release, SL_API_API_VERSIONS);
	uint8_t *frame;
	struct sl_wbuf w;
	bool flexible;
	int32_t count = 0;

	/* A version that it does not know is answered in version 0. */
	if (!known)
		conn->version = 0;
	flexible = conn->version >= 3;
	w = conn_answer_begin(sim, conn, &frame, ANSWER_BYTES);
	sl_put_i16(&w, known ? 0 : SL_KAFKA_UNSUPPORTED_VERSION);
	for (uint32_t i = 0; i < SL_ARRAY_COUNT(offered); i++)
		count += offered[i].max[release] >= 0;
	sl_put_array(&w, flexible, count);
	for (uint32_t i = 0; i < SL_ARRAY_COUNT(offered); i++) {
		if (offered[i].max[release] < 0)
			continue;
		sl_put_i16(&w, offered[i].key);
		sl_put_i16(&w, offered[i].min);
		sl_put_i16(&w, offered[i].max[release]);
		sl_put_tags(&w, flexible);
	}
	if (conn->version >= 1)
		sl_put_i32(&w, 0);
	sl_put_tags(&w, flexible);
	conn_answer_end(sim, conn, &w, frame);
}

/* ---- Metadata ---- */

static void metadata_part(struct sim *sim, uint32_t broker, struct sl_wbuf *w, int16_t version,
			  const struct part *part, int32_t index)
{
	const struct replica *view = &part->at[broker];
	bool flexible = version >= 9;
	/* A leader that is not among the living brokers of the same answer is not named. */
	bool led = view->leader >= 0 &&
		   (sim->cluster.brokers[view->leader].up || view->leader == (int32_t)broker);

	sl_put_i16(w, led ? 0 : SL_KAFKA_LEADER_NOT_AVAILABLE);
	sl_put_i32(w, index);
	sl_put_i32(w, led ? view->leader + 1 : -1);
	if (version >= 7)
		sl_put_i32(w, view->epoch);
	for (uint32_t list = 0; list < 2; list++) {
		uint32_t bits = list == 0 ? part->replicas : view->isr;

		sl_put_array(w, flexible, __builtin_popcount(bits));
		for (int32_t b = 0; b < SIM_BROKERS_MAX; b++)
			if (bits & 1u << b)
				sl_put_i32(w, b + 1);
	}
	if (version >= 5)
		sl_put_array(w, flexible, 0);
	sl_put_tags(w, flexible);
}

static void metadata_topic(struct sim *sim, uint32_t broker, struct sl_wbuf *w, int16_t version,
			   struct sl_slice name, const struct model_topic *topic)
{
	static const struct sl_uuid none;
	bool flexible = version >= 9;
	uint32_t count = topic ? topic->part_count : 0;

	sl_put_i16(w, topic ? 0 : SL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
	sl_put_string(w, flexible, name);
	if (version >= 10)
		sl_put_uuid(w, topic ? &topic->id : &none);
	if (version >= 1)
		sl_put_bool(w, false);
	sl_put_array(w, flexible, (int32_t)count);
	for (uint32_t i = 0; i < count; i++)
		metadata_part(sim, broker, w, version, &topic->parts[i], (int32_t)i);
	if (version >= 8)
		sl_put_i32(w, INT32_MIN);
	sl_put_tags(w, flexible);
}

static void metadata_head(struct sim *sim, uint32_t broker, struct sl_wbuf *w, int16_t version)
{
	bool flexible = version >= 9;
	int32_t count = 0;

	for (uint32_t b = 0; b < sim->world.broker_count; b++)
		count += sim->cluster.brokers[b].up || b == broker;
	if (version >= 3)
		sl_put_i32(w, 0);
	sl_put_array(w, flexible, count);
	for (uint32_t b = 0; b < sim->world.broker_count; b++) {
		char host[] = "broker-0";

		if (!sim->cluster.brokers[b].up && b != broker)
			continue;
		host[7] = (char)('0' + b);
		sl_put_i32(w, (int32_t)b + 1);
		sl_put_string(w, flexible, sl_slice_of(host));
		sl_put_i32(w, 9092 + (int32_t)b);
		if (version >= 1)
			sl_put_string(w, flexible, SL_SLICE_NULL);
		sl_put_tags(w, flexible);
	}
	if (version >= 2)
		sl_put_string(w, flexible, sl_slice_of("model"));
	if (version >= 1)
		sl_put_i32(w, 1);
}

static bool serve_metadata(struct sim *sim, uint32_t broker, struct broker_conn *conn,
			   struct sl_rbuf *r)
{
	int16_t version = conn->version;
	bool flexible = version >= 9;
	int32_t count = sl_get_nullable_array(r, flexible, 2);
	uint8_t *frame;
	struct sl_wbuf w = conn_answer_begin(sim, conn, &frame, ANSWER_BYTES);

	if (count < 0)
		sim_violation(sim, "the agent asks for all topics");
	metadata_head(sim, broker, &w, version);
	sl_put_array(&w, flexible, count);
	while (count-- > 0) {
		struct sl_slice name;

		if (version >= 10)
			sl_get_uuid(r);
		name = version >= 10 ? sl_get_nullable_string(r, flexible)
				     : sl_get_string(r, flexible);
		sl_skip_tags(r, flexible);
		if (!name.data)
			return false;
		metadata_topic(sim, broker, &w, version, name, topic_by_name(sim, name));
	}
	if (version >= 8 && version <= 10)
		sl_put_i32(&w, INT32_MIN);
	if (version >= 13)
		sl_put_i16(&w, 0);
	sl_put_tags(&w, flexible);
	conn_answer_end(sim, conn, &w, frame);
	return true;
}

/* ---- the rest ---- */

static void serve_producer_id(struct sim *sim, struct broker_conn *conn)
{
	int16_t error = faults_producer_id(sim);
	bool flexible = conn->version >= 2;
	uint8_t *frame;
	struct sl_wbuf w = conn_answer_begin(sim, conn, &frame, ANSWER_BYTES);
	int64_t id = error ? -1 : sim->cluster.producer_id_next++;

	sl_put_i32(&w, 0);
	sl_put_i16(&w, error);
	sl_put_i64(&w, id);
	sl_put_i16(&w, error ? -1 : 0);
	sl_put_tags(&w, flexible);
	conn_answer_end(sim, conn, &w, frame);
	TRACE(sim, "producer id {} given, error {}", id, error);
}

static void list_offsets_part(struct sim *sim, uint32_t broker, struct sl_rbuf *r,
			      struct sl_wbuf *w, int16_t version, const struct model_topic *topic)
{
	int32_t index = sl_get_i32(r);
	int32_t epoch = version >= 4 ? sl_get_i32(r) : -1;
	const struct replica *replica;
	int16_t error = 0;
	int64_t offset = -1, which = sl_get_i64(r);
	int32_t led = -1;

	sl_skip_tags(r, version >= 6);
	if (!topic || (uint32_t)index >= topic->part_count) {
		error = SL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
	} else {
		replica = &topic->parts[index].at[broker];
		if (epoch >= 0 && epoch < replica->epoch)
			error = SL_KAFKA_FENCED_LEADER_EPOCH;
		else if (epoch > replica->epoch)
			error = SL_KAFKA_UNKNOWN_LEADER_EPOCH;
		else if (replica->leader != (int32_t)broker)
			error = SL_KAFKA_NOT_LEADER_OR_FOLLOWER;
		else if (which == SL_OFFSET_EARLIEST)
			offset = replica->start_offset;
		else
			offset = replica->high_watermark;
		if (error == 0)
			led = replica->epoch;
	}
	sl_put_i32(w, index);
	sl_put_i16(w, error);
	sl_put_i64(w, -1);
	sl_put_i64(w, offset);
	if (version >= 4)
		sl_put_i32(w, led);
	sl_put_tags(w, version >= 6);
}

static void serve_list_offsets(struct sim *sim, uint32_t broker, struct broker_conn *conn,
			       struct sl_rbuf *r)
{
	bool flexible = conn->version >= 6;
	uint8_t *frame;
	struct sl_wbuf w = conn_answer_begin(sim, conn, &frame, ANSWER_BYTES);
	int32_t topics, parts;

	sl_get_i32(r);
	if (conn->version >= 2)
		sl_get_i8(r);
	topics = sl_get_array(r, flexible, 2);
	if (conn->version >= 2)
		sl_put_i32(&w, 0);
	sl_put_array(&w, flexible, topics);
	while (topics-- > 0) {
		struct sl_slice name = sl_get_string(r, flexible);

		parts = sl_get_array(r, flexible, 4);
		sl_put_string(&w, flexible, name);
		sl_put_array(&w, flexible, parts);
		while (parts-- > 0)
			list_offsets_part(sim, broker, r, &w, conn->version,
					  topic_by_name(sim, name));
		sl_skip_tags(r, flexible);
		sl_put_tags(&w, flexible);
	}
	sl_put_tags(&w, flexible);
	conn_answer_end(sim, conn, &w, frame);
}

static void describe_part(struct sim *sim, uint32_t broker, struct sl_wbuf *w, const struct model_topic *topic,
			  int32_t index)
{
	const struct replica *replica = NULL;
	int32_t count = 0;

	if (topic && (uint32_t)index < topic->part_count &&
	    topic->parts[index].replicas & 1u << broker && !sim->world.read_refused)
		replica = &topic->parts[index].at[broker];
	for (uint32_t i = 0; replica && i < MODEL_PRODUCERS_MAX; i++)
		count += replica->producers[i].id >= 0;
	sl_put_i32(w, index);
	sl_put_i16(w, replica                   ? 0
		      : sim->world.read_refused ? SL_KAFKA_TOPIC_AUTHORIZATION_FAILED
						: SL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
	sl_put_string(w, true, SL_SLICE_NULL);
	sl_put_array(w, true, count);
	for (uint32_t i = 0; replica && i < MODEL_PRODUCERS_MAX; i++) {
		const struct model_producer *producer = &replica->producers[i];

		if (producer->id < 0)
			continue;
		sl_put_i64(w, producer->id);
		sl_put_i32(w, producer->epoch);
		sl_put_i32(w, producer->last_sequence);
		sl_put_i64(w, producer->last_timestamp_ms);
		sl_put_i32(w, -1);
		sl_put_i64(w, -1);
		sl_put_tags(w, true);
	}
	sl_put_tags(w, true);
}

/* A follower answers too, with what it knows. */
static void serve_describe(struct sim *sim, uint32_t broker, struct broker_conn *conn,
			   struct sl_rbuf *r)
{
	uint8_t *frame;
	struct sl_wbuf w = conn_answer_begin(sim, conn, &frame, ANSWER_BYTES);
	int32_t topics = sl_get_array(r, true, 2), parts;

	sl_put_i32(&w, 0);
	sl_put_array(&w, true, topics);
	while (topics-- > 0) {
		struct sl_slice name = sl_get_string(r, true);

		parts = sl_get_array(r, true, 4);
		sl_put_string(&w, true, name);
		sl_put_array(&w, true, parts);
		while (parts-- > 0)
			describe_part(sim, broker, &w, topic_by_name(sim, name), sl_get_i32(r));
		sl_skip_tags(r, true);
		sl_put_tags(&w, true);
	}
	sl_put_tags(&w, true);
	conn_answer_end(sim, conn, &w, frame);
}

enum serve_result serve(struct sim *sim, uint32_t broker, struct broker_conn *conn)
{
	struct sl_rbuf r = sl_rbuf_on(conn->in + 4, conn->frame_bytes - 4);
	struct sl_request_info info;
	enum serve_result result = SERVE_ANSWER;

	sim->cluster.requests++;
	if (sl_request_info_decode(&r, &info) != 0)
		sim_violation(sim, "a broker got a malformed request header");
	conn->api_key = info.api_key;
	conn->version = info.version;
	conn->correlation_id = info.correlation_id;
	if (info.api_key != SL_API_API_VERSIONS &&
	    info.version > version_max(sim->cluster.brokers[broker].release, info.api_key))
		sim_violation(sim, "api %d version %d was not offered", info.api_key, info.version);
	switch (info.api_key) {
	case SL_API_API_VERSIONS:
		serve_versions(sim, broker, conn);
		return SERVE_ANSWER;
	case SL_API_METADATA:
		if (!serve_metadata(sim, broker, conn, &r))
			r.bad = true;
		break;
	case SL_API_INIT_PRODUCER_ID:
		serve_producer_id(sim, conn);
		return SERVE_ANSWER;
	case SL_API_LIST_OFFSETS:
		serve_list_offsets(sim, broker, conn, &r);
		break;
	case SL_API_DESCRIBE_PRODUCERS:
		serve_describe(sim, broker, conn, &r);
		break;
	case SL_API_PRODUCE:
		result = produce_execute(sim, broker, conn, &r);
		break;
	default:
		sim_violation(sim, "api %d is not the agent's to ask", info.api_key);
	}
	if (r.bad)
		sim_violation(sim, "api %d version %d: malformed request", info.api_key,
			      info.version);
	return result;
}
