/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/resolution.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent.h"
#include "dataplane/base/clock.h"
#include "dataplane/wire/describe_producers.h"
#include "dataplane/wire/error_code.h"
#include "dataplane/wire/list_offsets.h"

enum {
	IN_FLIGHT_MAX = 8,         /* of all workers: a worker carries 16, of others too */
	ANSWER_BYTES = 128 * 1024, /* some 3000 producers of one partition */
};

enum step { STEP_LEADS, STEP_DESCRIBE, STEP_STILL_LEADS };

struct sl_resolution {
	struct sl_resolution *next;
	bool in_flight; /* the worker has the carry, and all that it refers to */
	bool probe;     /* nobody is in doubt: only whether it may be asked is of interest */
	uint32_t worker, topic;
	int32_t partition, leader_epoch;
	int64_t producer_id;
	enum step step;
	uint32_t connection; /* of the first answer */
	enum sl_seen seen;
	int16_t epoch;
	uint32_t last_seq;
	struct sl_carry carry;
	char name[SL_TOPIC_NAME_BYTES];
	uint8_t *answer; /* ANSWER_BYTES, from its first request on */
};

const char *sl_resolution_way_name(enum sl_resolution_way way)
{
	return way == SL_RESOLUTION_FULL           ? "full"
	       : way == SL_RESOLUTION_UNKNOWN_ONLY ? "unknown-only"
						   : NULL;
}

/* ---- requests: run on the worker ---- */

static int list_offsets_encode(const struct sl_carry *carry, const struct sl_request_head *head,
			       struct sl_wbuf *out)
{
	const struct sl_resolution *r = carry->context;
	struct sl_list_offsets_request request = {
		.topic = sl_slice_of(r->name),
		.partition = r->partition,
		.leader_epoch = r->leader_epoch,
		.timestamp_ms = SL_OFFSET_LATEST,
	};

	return sl_list_offsets_encode(out, head, &request);
}

static int describe_encode(const struct sl_carry *carry, const struct sl_request_head *head,
			   struct sl_wbuf *out)
{
	const struct sl_resolution *r = carry->context;

	return sl_describe_producers_encode(out, head, sl_slice_of(r->name), r->partition);
}

/* ---- life ---- */

static struct sl_resolution *add(struct sl_agent *agent, uint32_t worker, uint32_t topic,
				 int32_t partition)
{
	struct sl_resolution *r = calloc(1, sizeof(*r));
	struct sl_resolution **end = &agent->resolutions.first;

	if (!r)
		return NULL;
	while (*end)
		end = &(*end)->next;
	*end = r;
	r->worker = worker;
	r->topic = topic;
	r->partition = partition;
	memcpy(r->name, agent->topics.list[topic].name, sizeof(r->name));
	return r;
}

static void remove_free(struct sl_agent *agent, struct sl_resolution *r)
{
	struct sl_resolution **link = &agent->resolutions.first;

	while (*link != r)
		link = &(*link)->next;
	*link = r->next;
	free(r->answer);
	free(r);
}

static void answer_tell(struct sl_agent *agent, uint32_t worker, uint32_t topic, int32_t partition,
			enum sl_seen seen, uint64_t at)
{
	struct sl_msg msg = {
		.kind = SL_MSG_PARTITION_SEEN,
		.a = topic,
		.b = (uint32_t)partition | (uint64_t)seen << 32,
		.c = at,
	};

	sl_agent_tell(agent, worker, &msg);
}

static void way_note(struct sl_agent *agent, struct sl_resolution *r)
{
	struct sl_topic *topic = &agent->topics.list[r->topic];
	enum sl_resolution_way way =
		r->seen == SL_SEEN_NEVER ? SL_RESOLUTION_UNKNOWN_ONLY : SL_RESOLUTION_FULL;

	if (r->seen == SL_SEEN_AGAIN || topic->resolution == way)
		return;
	topic->resolution = way;
	SL_LOG(&agent->log, way == SL_RESOLUTION_FULL ? SL_LOG_INFO : SL_LOG_WARNING, "resolution",
	       SL_T("topic", topic->name), SL_T("way", sl_resolution_way_name(way)));
}

static void end(struct sl_agent *agent, struct sl_resolution *r, enum sl_seen seen)
{
	r->seen = seen;
	way_note(agent, r);
	if (!r->probe) {
		SL_LOG(&agent->log, SL_LOG_INFO, "partition_seen", SL_T("topic", r->name),
		       SL_N("partition", r->partition), SL_N("seen", seen), SL_N("epoch", r->epoch),
		       SL_N("last_sequence", r->last_seq));
		answer_tell(agent, r->worker, r->topic, r->partition, seen,
			    (uint16_t)r->epoch | (uint64_t)r->last_seq << 32);
	}
	remove_free(agent, r);
}

/* ---- asking ---- */

/* The broker's index of the leader, in the epoch that is to be proven; negative: metadata has to
 * come first. */
static int32_t leader_of(const struct sl_agent *agent, struct sl_resolution *r)
{
	const struct sl_topic *topic = &agent->topics.list[r->topic];
	const struct sl_topic_leader *leader;

	if ((uint32_t)r->partition >= topic->partition_count)
		return -1;
	leader = &topic->leaders[r->partition];
	if (leader->node < 0 || leader->epoch < r->leader_epoch)
		return -1;
	if (r->step == STEP_LEADS)
		r->leader_epoch = leader->epoch;
	return leader->epoch == r->leader_epoch ? sl_cluster_broker_of(agent, leader->node) : -1;
}

static void step_begin(struct sl_agent *agent, struct sl_resolution *r)
{
	int32_t broker = leader_of(agent, r);
	bool describe = r->step == STEP_DESCRIBE;

	if (!r->answer)
		r->answer = malloc(ANSWER_BYTES);
	if (broker < 0 || !r->answer) {
		sl_refresh_want(agent);
		end(agent, r, SL_SEEN_AGAIN);
		return;
	}
	r->carry = (struct sl_carry){
		.broker = (uint32_t)broker,
		.api_key = describe ? SL_API_DESCRIBE_PRODUCERS : SL_API_LIST_OFFSETS,
		.timeout_ns = agent->config->request_timeout_us * SL_NS_PER_US,
		.encode = describe ? describe_encode : list_offsets_encode,
		.response = r->answer,
		.response_bytes_max = ANSWER_BYTES,
		.context = r,
		.borrowed = true,
	};
	if (sl_agent_tell(agent, r->worker,
			  &(struct sl_msg){.kind = SL_MSG_CARRY, .object = &r->carry}) < 0) {
		end(agent, r, SL_SEEN_AGAIN);
		return;
	}
	r->in_flight = true;
	agent->resolutions.in_flight++;
}

void sl_resolution_want(struct sl_agent *agent, uint32_t worker, const struct sl_msg *msg)
{
	int32_t partition = (int32_t)(uint32_t)msg->b;
	struct sl_resolution *r = add(agent, worker, msg->a, partition);

	if (!r) {
		answer_tell(agent, worker, msg->a, partition, SL_SEEN_AGAIN, 0);
		return;
	}
	r->leader_epoch = (int32_t)(uint32_t)(msg->b >> 32);
	r->producer_id = (int64_t)msg->c;
}

/* The first that somebody leads; -1: none does. */
static int32_t led_partition(const struct sl_topic *topic)
{
	for (uint32_t i = 0; i < topic->partition_count; i++)
		if (topic->leaders[i].node >= 0)
			return (int32_t)i;
	return -1;
}

void sl_resolution_probe(struct sl_agent *agent, uint32_t index)
{
	const struct sl_topic *topic = &agent->topics.list[index];
	int32_t partition = led_partition(topic);
	struct sl_resolution *r;

	if (partition < 0 || agent->worker_count == 0 || !topic->objects[0].settings.idempotent)
		return;
	r = add(agent, 0, index, partition);
	if (!r)
		return;
	r->probe = true;
	r->step = STEP_DESCRIBE;
	r->leader_epoch = topic->leaders[partition].epoch;
	r->producer_id = -1;
}

void sl_resolutions_turn(struct sl_agent *agent)
{
	struct sl_resolution *r, *next;

	for (r = agent->resolutions.first; r && agent->resolutions.in_flight < IN_FLIGHT_MAX;
	     r = next) {
		next = r->next;
		if (!r->in_flight)
			step_begin(agent, r);
	}
}

/* ---- answers ---- */

/* What an error means for the question, whichever request it answered. */
static enum sl_seen seen_of_code(struct sl_agent *agent, int16_t code)
{
	switch (code) {
	case SL_KAFKA_TOPIC_AUTHORIZATION_FAILED:
	case SL_KAFKA_CLUSTER_AUTHORIZATION_FAILED:
	case SL_KAFKA_UNSUPPORTED_VERSION:
		return SL_SEEN_NEVER;
	default: /* not the leader, or not yet, or no more; and whatever passes */
		sl_refresh_want(agent);
		return SL_SEEN_AGAIN;
	}
}

/* 0, a positive code of Kafka, or a negative errno. */
static int leads(const struct sl_resolution *r)
{
	struct sl_rbuf body = sl_rbuf_on(r->answer, r->carry.response_bytes);
	struct sl_list_offsets_answer answer;
	int rc = sl_list_offsets_decode(&body, r->carry.version, &answer);

	if (rc == 0 && (answer.partition != r->partition ||
			!sl_slice_equal(answer.topic, sl_slice_of(r->name))))
		return -EBADMSG;
	return rc < 0 ? rc : answer.error_code;
}

static int described(struct sl_resolution *r)
{
	struct sl_rbuf body = sl_rbuf_on(r->answer, r->carry.response_bytes);
	struct sl_describe_producers_answer answer;
	struct sl_producer_state state;
	int rc = sl_describe_producers_decode(&body, &answer);

	if (rc == 0 && (answer.partition != r->partition ||
			!sl_slice_equal(answer.topic, sl_slice_of(r->name))))
		return -EBADMSG;
	if (rc < 0 || answer.error_code != 0)
		return rc < 0 ? rc : answer.error_code;
	r->seen = SL_SEEN_NONE;
	while (sl_producer_state_next(&answer, &state) == 1) {
		if (state.producer_id != r->producer_id || state.last_sequence < 0 ||
		    state.producer_epoch < 0 || state.producer_epoch > INT16_MAX)
			continue;
		r->seen = SL_SEEN_AT;
		r->epoch = (int16_t)state.producer_epoch;
		r->last_seq = (uint32_t)state.last_sequence;
	}
	return 0;
}

static enum sl_seen seen_of_errno(int error)
{
	return error == -EPROTONOSUPPORT || error == -EMSGSIZE ? SL_SEEN_NEVER : SL_SEEN_AGAIN;
}

static struct sl_resolution *of_carry(const struct sl_agent *agent, const struct sl_carry *carry)
{
	struct sl_resolution *r = agent->resolutions.first;

	while (r && &r->carry != carry)
		r = r->next;
	return r;
}

void sl_resolution_carried(struct sl_agent *agent, struct sl_carry *carry)
{
	struct sl_resolution *r = of_carry(agent, carry);
	int rc;

	if (!r)
		return;
	r->in_flight = false;
	agent->resolutions.in_flight--;
	rc = carry->error;
	if (rc == 0)
		rc = r->step == STEP_DESCRIBE ? described(r) : leads(r);
	if (rc != 0) {
		end(agent, r, rc > 0 ? seen_of_code(agent, (int16_t)rc) : seen_of_errno(rc));
		return;
	}
	if (r->step == STEP_LEADS)
		r->connection = carry->connection;
	if (r->probe || (r->step == STEP_STILL_LEADS && carry->connection == r->connection))
		end(agent, r, r->seen);
	else if (r->step == STEP_STILL_LEADS) /* it may have been another life of that broker */
		end(agent, r, SL_SEEN_AGAIN);
	else
		r->step++;
}

void sl_resolutions_fini(struct sl_agent *agent)
{
	while (agent->resolutions.first)
		remove_free(agent, agent->resolutions.first);
}

uint64_t sl_resolutions_bytes(uint64_t partitions)
{
	return IN_FLIGHT_MAX * ANSWER_BYTES + partitions * sizeof(struct sl_resolution);
}
