/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: it is known and shown whether the leaders of a topic can tell what they have of us, before
 * that is needed. Method: the test plays the one worker and answers what it is given to carry.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/agent.h"
#include "dataplane/wire/describe_producers.h"
#include "dataplane/wire/error_code.h"
#include "dataplane/wire/list_offsets.h"

struct world {
	struct sl_config *config;
	struct sl_agent agent;
	struct sl_msg_ring inbox, outbox;
	uint64_t now_ns;
	struct sl_topic *topic;
};

static uint64_t world_now(void *ctx)
{
	return ((struct world *)ctx)->now_ns;
}

static uint64_t world_random(void *ctx)
{
	return 7;
}

/* One topic that is bound, and one broker; nobody has said yet who leads. */
static struct world *world_new(const char *idempotence)
{
	struct world *w = calloc(1, sizeof(*w));
	const char *sets[] = {"bootstrap.servers=127.0.0.1:9092", idempotence};
	struct sl_config_source source = {.sets = sets, .set_count = 2};
	struct sl_config_report report = {0};
	struct sl_agent_options options = {.log_fd = open("/dev/null", O_WRONLY | O_CLOEXEC)};

	assert_int_equal(sl_config_load(&source, &w->config, &report), 0);
	sl_config_report_fini(&report);
	w->now_ns = SL_NS_PER_S;
	options.config = w->config;
	options.env = (struct sl_env){.now_ns = world_now, .random = world_random, .ctx = w};
	assert_int_equal(sl_agent_init(&w->agent, &options, NULL), 0);
	assert_int_equal(sl_msg_ring_init(&w->inbox, 64), 0);
	assert_int_equal(sl_msg_ring_init(&w->outbox, 64), 0);
	assert_int_equal(sl_agent_worker_add(&w->agent, NULL, &w->inbox, &w->outbox), 0);
	assert_int_equal(sl_topics_bind(&w->agent, "events"), 0);
	w->topic = &w->agent.topics.list[0];
	w->agent.cluster.nodes[0] = (struct sl_node){.used = true, .id = 1, .broker = 3};
	return w;
}

/* What metadata would have said: two partitions, of which the first has no leader. */
static void topic_known(struct world *w)
{
	w->topic->leaders = calloc(2, sizeof(*w->topic->leaders));
	w->topic->leaders[0] = (struct sl_topic_leader){-1, -1};
	w->topic->leaders[1] = (struct sl_topic_leader){1, 4};
	w->topic->partition_count = 2;
	w->topic->known = true;
}

enum { PARTITION = 1, PRODUCER = 4242, VERSION = 6 };

/* What the worker is told; the request that is out comes back in *carry. */
static bool turn(struct world *w, struct sl_carry **carry, struct sl_msg *seen)
{
	struct sl_msg msg;
	bool told = false;

	*carry = NULL;
	sl_resolutions_turn(&w->agent);
	while (sl_msg_ring_pop(&w->inbox, &msg)) {
		if (msg.kind == SL_MSG_CARRY) {
			assert_null(*carry);
			*carry = msg.object;
		} else if (msg.kind == SL_MSG_PARTITION_SEEN) {
			*seen = msg;
			told = true;
		}
	}
	return told;
}

static void world_free(struct world *w)
{
	close(w->agent.log.fd);
	sl_agent_fini(&w->agent);
	sl_config_free(w->config);
	sl_msg_ring_fini(&w->inbox);
	sl_msg_ring_fini(&w->outbox);
	free(w);
}

struct reply {
	int error;
	int16_t code;
	const char *topic;
	int32_t partition;
	uint32_t connection;
	uint32_t bytes_short;
};

static void answer(struct world *w, struct sl_carry *carry, struct reply reply)
{
	struct sl_wbuf out = sl_wbuf_on(carry->response, carry->response_bytes_max);
	bool describe = carry->api_key == SL_API_DESCRIBE_PRODUCERS;

	sl_put_i32(&out, 0);
	sl_put_array(&out, true, 1);
	sl_put_string(&out, true, sl_slice_of(reply.topic));
	sl_put_array(&out, true, 1);
	sl_put_i32(&out, reply.partition);
	sl_put_i16(&out, reply.code);
	if (describe) {
		sl_put_string(&out, true, SL_SLICE_NULL);
		sl_put_array(&out, true, 2);
		for (int i = 0; i < 2; i++) {
			sl_put_i64(&out, i == 0 ? 7 : PRODUCER);
			sl_put_i32(&out, i == 0 ? 9 : 2);
			sl_put_i32(&out, i == 0 ? 99 : 41);
			sl_put_i64(&out, 0);
			sl_put_i32(&out, -1);
			sl_put_i64(&out, -1);
			sl_put_tags(&out, true);
		}
	} else {
		sl_put_i64(&out, -1);
		sl_put_i64(&out, 100);
		sl_put_i32(&out, 4);
	}
	sl_put_tags(&out, true);
	sl_put_tags(&out, true);
	sl_put_tags(&out, true);
	carry->error = reply.error;
	carry->version = describe ? 0 : VERSION;
	carry->connection = reply.connection;
	carry->response_bytes = (uint32_t)(out.pos - carry->response) - reply.bytes_short;
	sl_resolution_carried(&w->agent, carry);
}

static struct reply good(void)
{
	return (struct reply){.topic = "events", .partition = PARTITION, .connection = 5};
}

static void want(struct world *w, int32_t epoch)
{
	struct sl_msg msg = {.kind = SL_MSG_PARTITION_DOUBT,
			     .b = PARTITION | (uint64_t)(uint32_t)epoch << 32,
			     .c = PRODUCER};

	sl_resolution_want(&w->agent, 0, &msg);
}

/* Two good answers around `bad`, which stands at `step`; what the worker is told in the end. */
static enum sl_seen asked_with(uint32_t step, struct reply bad)
{
	struct world *w = world_new("enable.idempotence=true");
	struct sl_msg seen = {.b = (uint64_t)SL_SEEN_AT << 32};
	struct sl_carry *carry;
	bool told = false;
	uint32_t i;

	topic_known(w);
	want(w, 4);
	for (i = 0; i < 3 && !told; i++) {
		told = turn(w, &carry, &seen);
		if (told)
			break;
		assert_non_null(carry);
		assert_int_equal(carry->broker, 3);
		assert_int_equal(carry->api_key,
				 i == 1 ? SL_API_DESCRIBE_PRODUCERS : SL_API_LIST_OFFSETS);
		answer(w, carry, i == step ? bad : good());
	}
	told = told || turn(w, &carry, &seen);
	assert_true(told);
	assert_int_equal((uint32_t)seen.b, PARTITION);
	if (seen.b >> 32 == SL_SEEN_AT)
		assert_true((uint16_t)seen.c == 2 && seen.c >> 32 == 41);
	world_free(w);
	return (enum sl_seen)(seen.b >> 32);
}

static void test_proven_leader_is_believed(void **state)
{
	assert_int_equal(asked_with(3, good()), SL_SEEN_AT);
}

static void test_errors_at_each_step(void **state)
{
	static const int16_t passing[] = {3, 5, 6, 7, 56, 74, 75, -1};
	static const int16_t final[] = {29, 31, 35};

	for (uint32_t step = 0; step < 3; step++) {
		struct reply reply = good();

		for (uint32_t i = 0; i < SL_ARRAY_COUNT(passing); i++) {
			reply.code = passing[i];
			assert_int_equal(asked_with(step, reply), SL_SEEN_AGAIN);
		}
		for (uint32_t i = 0; i < SL_ARRAY_COUNT(final); i++) {
			reply.code = final[i];
			assert_int_equal(asked_with(step, reply), SL_SEEN_NEVER);
		}
	}
}

static void test_worker_errors_at_each_step(void **state)
{
	for (uint32_t step = 0; step < 3; step++) {
		struct reply reply = good();

		reply.error = -ENOTCONN;
		assert_int_equal(asked_with(step, reply), SL_SEEN_AGAIN);
		reply.error = -ETIMEDOUT;
		assert_int_equal(asked_with(step, reply), SL_SEEN_AGAIN);
		reply.error = -EPROTONOSUPPORT;
		assert_int_equal(asked_with(step, reply), SL_SEEN_NEVER);
	}
}

/* An answer about something else, or cut short, is none. */
static void test_malformed_at_each_step(void **state)
{
	for (uint32_t step = 0; step < 3; step++) {
		struct reply topic = good(), partition = good(), cut = good();

		topic.topic = "other";
		partition.partition = 0;
		cut.bytes_short = 1;
		assert_int_equal(asked_with(step, topic), SL_SEEN_AGAIN);
		assert_int_equal(asked_with(step, partition), SL_SEEN_AGAIN);
		assert_int_equal(asked_with(step, cut), SL_SEEN_AGAIN);
	}
}

/* Another connection may lead to another life of that broker. */
static void test_all_on_one_connection(void **state)
{
	struct reply other = good();

	other.connection = 6;
	assert_int_equal(asked_with(0, other), SL_SEEN_AGAIN);
	assert_int_equal(asked_with(2, other), SL_SEEN_AGAIN);
}

/* Metadata names a leader of an older epoch than the worker has sent under: nobody is asked. */
static void test_older_epoch_is_not_asked(void **state)
{
	struct world *w = world_new("enable.idempotence=true");
	struct sl_carry *carry;
	struct sl_msg seen = {0};

	topic_known(w);
	want(w, 5);
	assert_true(turn(w, &carry, &seen));
	assert_null(carry);
	assert_int_equal(seen.b >> 32, SL_SEEN_AGAIN);
	world_free(w);
}

static void test_leader_that_moves_meanwhile(void **state)
{
	struct world *w = world_new("enable.idempotence=true");
	struct sl_carry *carry;
	struct sl_msg seen = {0};

	topic_known(w);
	want(w, 4);
	assert_false(turn(w, &carry, &seen));
	answer(w, carry, good());
	w->topic->leaders[PARTITION].epoch = 5;
	assert_true(turn(w, &carry, &seen));
	assert_null(carry);
	assert_int_equal(seen.b >> 32, SL_SEEN_AGAIN);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_proven_leader_is_believed),
		cmocka_unit_test(test_errors_at_each_step),
		cmocka_unit_test(test_worker_errors_at_each_step),
		cmocka_unit_test(test_malformed_at_each_step),
		cmocka_unit_test(test_all_on_one_connection),
		cmocka_unit_test(test_older_epoch_is_not_asked),
		cmocka_unit_test(test_leader_that_moves_meanwhile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
