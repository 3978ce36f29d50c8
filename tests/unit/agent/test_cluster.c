/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: the cluster's side of the control thread, on a virtual clock. Method: the test plays the
 * worker: it takes what the control thread says, answers its requests with encoded responses, and
 * reports connections and troubles.
 */
#include "tests/unit/agent/cluster_rig.h"

/* ---- tests ---- */

static void test_bootstrap(void **state)
{
	struct world *w = world_new(one_seed, 1);

	turn(w);
	assert_non_null(w->carry);
	assert_int_equal(w->broker[w->carry->broker].ip[0], 192);
	assert_int_equal(w->agent.cluster.state, SL_CLUSTER_BOOTSTRAPPING);
	answer(w, &two_brokers);
	assert_int_equal(w->agent.cluster.state, SL_CLUSTER_READY);
	assert_string_equal(w->agent.cluster.id, "c1");
	assert_true(sl_cluster_broker_of(&w->agent, 1) >= 0);
	assert_true(sl_cluster_broker_of(&w->agent, 2) >= 0);
	/* The seed's connection is given back. */
	assert_int_equal(heard(w, SL_MSG_BROKER_REMOVE), 1);
	/* Nothing more is asked until the answer grows old. */
	run_ms(w, 60000);
	assert_int_equal(w->carries, 1);
	run_ms(w, 300000);
	assert_int_equal(w->carries, 2);
	world_free(w);
}

static void test_request_names_topics(void **state)
{
	struct world *w = world_ready();
	struct sl_request_head head = {.version = VERSION, .correlation_id = 1};
	uint8_t frame[512];
	struct sl_wbuf out = sl_wbuf_on(frame, sizeof(frame));

	sl_topics_bind(&w->agent, "first");
	sl_topics_bind(&w->agent, "second");
	run_ms(w, 200);
	assert_true(w->carry->encode(w->carry, &head, &out) > 0);
	assert_non_null(memmem(frame, sizeof(frame), "first", 5));
	assert_non_null(memmem(frame, sizeof(frame), "second", 6));
	world_free(w);
}

static void test_every_seed_and_address_is_tried(void **state)
{
	static const char *const sets[] = {"bootstrap.servers=192.0.2.1:9092,name.test:9093"};
	struct world *w = world_new(sets, 1);

	turn(w);
	carry_fail(w, -ENOTCONN);
	/* The second seed is a name: it is looked up, and nobody blocks meanwhile. */
	assert_null(w->carry);
	assert_non_null(w->asked);
	assert_string_equal(w->asked->host, "name.test");
	w->asked->count = 2;
	w->asked->addresses[0] = (struct sl_address){.family = 4, .port = 9093, .ip = {10, 1}};
	w->asked->addresses[1] = (struct sl_address){.family = 4, .port = 9093, .ip = {10, 2}};
	sl_cluster_resolved(&w->agent, w->asked);
	w->asked = NULL;
	turn(w);
	assert_int_equal(w->broker[w->carry->broker].ip[1], 1);
	carry_fail(w, -ETIMEDOUT);
	assert_int_equal(w->broker[w->carry->broker].ip[1], 2);
	answer(w, &two_brokers);
	assert_int_equal(w->agent.cluster.state, SL_CLUSTER_READY);
	world_free(w);
}

static void test_unreachable_backs_off(void **state)
{
	struct world *w = world_new(one_seed, 1);
	uint64_t end_ns = w->now_ns + 10 * SL_NS_PER_S;
	uint32_t seconds_ten;

	while (w->now_ns < end_ns) {
		turn(w);
		if (w->carry)
			carry_fail(w, -ENOTCONN);
		w->now_ns = w->next_ns > w->now_ns ? w->next_ns : w->now_ns + 1;
	}
	assert_int_equal(w->agent.cluster.state, SL_CLUSTER_UNREACHABLE);
	seconds_ten = w->carries;
	/* 0.1 + 0.2 + 0.4 + 0.8 s, then one a second, give or take the jitter. */
	assert_in_range(seconds_ten, 10, 18);
	while (!w->carry)
		run_ms(w, 100);
	answer(w, &two_brokers);
	assert_int_equal(w->agent.cluster.state, SL_CLUSTER_READY);
	world_free(w);
}

static void test_no_brokers_is_a_failure(void **state)
{
	struct world *w = world_new(one_seed, 1);
	struct script none = two_brokers;

	none.broker_count = 0;
	turn(w);
	answer(w, &none);
	assert_int_not_equal(w->agent.cluster.state, SL_CLUSTER_READY);
	run_ms(w, 500);
	assert_non_null(w->carry);
	world_free(w);
}

static void test_other_cluster_is_refused(void **state)
{
	struct world *w = world_with_topic();
	struct script other = topic_script();
	int32_t before = sl_cluster_broker_of(&w->agent, 1);

	other.cluster = "c2";
	other.brokers[0].host = "10.9.9.9";
	sl_refresh_want(&w->agent);
	run_ms(w, 200);
	answer(w, &other);
	assert_string_equal(w->agent.cluster.id, "c1");
	assert_int_equal(sl_cluster_broker_of(&w->agent, 1), before);
	world_free(w);
}

static void test_malformed_answer_changes_nothing(void **state)
{
	struct world *w = world_with_topic();
	uint32_t asked;

	sl_refresh_want(&w->agent);
	run_ms(w, 200);
	asked = w->carries;
	w->carry->error = 0;
	w->carry->version = VERSION;
	memset(w->carry->response, 0xff, 64);
	w->carry->response_bytes = 64;
	say(w, (struct sl_msg){.kind = SL_MSG_CARRIED, .object = w->carry});
	w->carry = NULL;
	turn(w);
	assert_int_equal(route_node(w, 0), 1);
	/* The other node is asked at once. */
	assert_int_equal(w->carries, asked + 1);
	world_free(w);
}

static void test_wishes_are_one_request(void **state)
{
	struct world *w = world_with_topic();
	struct script s = topic_script();
	uint32_t asked = w->carries;

	run_ms(w, 1000);
	for (uint32_t i = 0; i < 100; i++)
		sl_refresh_want(&w->agent);
	turn(w);
	assert_int_equal(w->carries, asked + 1);
	for (uint32_t i = 0; i < 100; i++)
		sl_refresh_want(&w->agent);
	turn(w);
	answer(w, &s);
	run_ms(w, 5000);
	assert_int_equal(w->carries, asked + 2);
	world_free(w);
}

static void test_routes_move_with_the_leader(void **state)
{
	struct world *w = world_with_topic();
	struct script s = topic_script();
	uint32_t told = heard(w, SL_MSG_TOPIC_ROUTES);

	assert_int_equal(w->routes->partition_count, 2);
	assert_non_null(w->routes->tables);
	assert_int_equal(route_node(w, 0), 1);
	assert_int_equal(route_node(w, 1), 2);
	/* The same again is not sent again. */
	run_ms(w, 1000);
	sl_refresh_want(&w->agent);
	turn(w);
	answer(w, &s);
	assert_int_equal(heard(w, SL_MSG_TOPIC_ROUTES), told);
	/* An older epoch is a broker that has not heard yet. */
	run_ms(w, 1000);
	s.partitions[0] = (struct scripted_partition){2, 4};
	sl_refresh_want(&w->agent);
	turn(w);
	answer(w, &s);
	assert_int_equal(route_node(w, 0), 1);
	run_ms(w, 1000);
	s.partitions[0] = (struct scripted_partition){2, 6};
	sl_refresh_want(&w->agent);
	turn(w);
	answer(w, &s);
	assert_int_equal(route_node(w, 0), 2);
	/* A topic that was made anew begins with low epochs. */
	run_ms(w, 1000);
	s.partitions[0] = (struct scripted_partition){1, 0};
	s.id = 2;
	sl_refresh_want(&w->agent);
	turn(w);
	answer(w, &s);
	assert_int_equal(route_node(w, 0), 1);
	assert_int_equal(w->routes->topic_id[0], 2);
	world_free(w);
}

static void test_leaderless_partition_is_asked_for(void **state)
{
	struct world *w = world_with_topic();
	struct script s = topic_script();
	uint32_t asked;

	s.partitions[1] = (struct scripted_partition){-1, 6};
	run_ms(w, 1000);
	sl_refresh_want(&w->agent);
	turn(w);
	answer(w, &s);
	assert_int_equal(w->routes->partitions[1].broker, SL_INDEX_NONE);
	asked = w->carries;
	run_ms(w, 300);
	assert_int_equal(w->carries, asked + 1);
	s.partitions[1] = (struct scripted_partition){1, 7};
	answer(w, &s);
	assert_int_equal(route_node(w, 1), 1);
	world_free(w);
}

static void test_unknown_topic_fails_after_its_grace_and_heals(void **state)
{
	struct world *w = world_ready();
	struct script s = topic_script();
	uint64_t begin_ns = w->now_ns;
	uint64_t grace_ns = w->config->topic_unknown_grace_us * SL_NS_PER_US;

	s.error = SL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
	s.partition_count = 0;
	s.id = 0;
	sl_topics_bind(&w->agent, "t");
	while (!w->routes && w->now_ns < begin_ns + 10 * grace_ns) {
		run_ms(w, 20);
		if (w->carry)
			answer(w, &s);
	}
	assert_non_null(w->routes);
	assert_int_equal(w->routes->error, SL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
	assert_in_range(w->now_ns - begin_ns, grace_ns, grace_ns + 3 * SL_NS_PER_S);
	s = topic_script();
	while (!w->carry)
		run_ms(w, 100);
	answer(w, &s);
	assert_int_equal(w->routes->error, 0);
	assert_int_equal(w->routes->partition_count, 2);
	world_free(w);
}

static void test_denied_topic_fails_at_once(void **state)
{
	struct world *w = world_ready();
	struct script s = topic_script();

	s.error = SL_KAFKA_TOPIC_AUTHORIZATION_FAILED;
	s.partition_count = 0;
	sl_topics_bind(&w->agent, "t");
	run_ms(w, 200);
	answer(w, &s);
	assert_int_equal(w->routes->error, SL_KAFKA_TOPIC_AUTHORIZATION_FAILED);
	world_free(w);
}

static void test_broker_that_moves_gets_a_new_index(void **state)
{
	struct world *w = world_with_topic();
	struct script s = topic_script();
	int32_t before = sl_cluster_broker_of(&w->agent, 1);

	s.brokers[0].host = "10.0.0.7";
	run_ms(w, 1000);
	sl_refresh_want(&w->agent);
	turn(w);
	answer(w, &s);
	turn(w);
	assert_int_not_equal(sl_cluster_broker_of(&w->agent, 1), before);
	assert_false(w->broker_set[before]);
	assert_int_equal(w->routes->partitions[0].broker, sl_cluster_broker_of(&w->agent, 1));
	assert_int_equal(w->broker[w->routes->partitions[0].broker].ip[3], 7);
	/* One that is not named any more is left. */
	s.brokers[0] = s.brokers[1];
	s.broker_count = 1;
	s.partitions[0].leader = 2;
	s.partitions[0].epoch = 9;
	run_ms(w, 1000);
	sl_refresh_want(&w->agent);
	turn(w);
	answer(w, &s);
	assert_int_equal(sl_cluster_broker_of(&w->agent, 1), SL_INDEX_NONE);
	assert_int_equal(route_node(w, 0), 2);
	world_free(w);
}

static void test_reconnect_backs_off(void **state)
{
	struct world *w = world_ready();
	uint32_t broker = (uint32_t)sl_cluster_broker_of(&w->agent, 1);
	uint64_t pauses_ns[6];

	for (uint32_t i = 0; i < 6; i++) {
		uint64_t begin_ns = w->now_ns;
		uint32_t released = heard(w, SL_MSG_CONN_RELEASE);

		say(w, (struct sl_msg){.kind = SL_MSG_CONN_DOWN, .a = broker, .c = ECONNREFUSED});
		while (heard(w, SL_MSG_CONN_RELEASE) == released) {
			run_ms(w, 1);
			if (w->carry)
				answer(w, &two_brokers);
		}
		pauses_ns[i] = w->now_ns - begin_ns;
	}
	assert_in_range(pauses_ns[0], 40 * SL_NS_PER_MS, 64 * SL_NS_PER_MS);
	assert_in_range(pauses_ns[2], 160 * SL_NS_PER_MS, 244 * SL_NS_PER_MS);
	assert_in_range(pauses_ns[5], 800 * SL_NS_PER_MS, 1204 * SL_NS_PER_MS);
	/* A peer that closed an idle connection is no failure. */
	say(w, (struct sl_msg){.kind = SL_MSG_CONN_UP, .a = broker});
	turn(w);
	say(w, (struct sl_msg){.kind = SL_MSG_CONN_DOWN, .a = broker, .c = 0});
	turn(w);
	assert_int_equal(heard(w, SL_MSG_CONN_RELEASE), 7);
	world_free(w);
}

static void test_trouble_is_retried(void **state)
{
	struct world *w = world_with_topic();
	uint32_t asked = w->carries;

	run_ms(w, 1000);
	/* NOT_ENOUGH_REPLICAS: the leader is right, no metadata. */
	say(w, (struct sl_msg){.kind = SL_MSG_PARTITION_TROUBLE,
			       .b = 1 | UINT64_C(1) << 32,
			       .c = SL_KAFKA_NOT_ENOUGH_REPLICAS});
	run_ms(w, 79);
	assert_int_equal(heard(w, SL_MSG_PARTITION_RETRY), 0);
	run_ms(w, 45);
	assert_int_equal(heard(w, SL_MSG_PARTITION_RETRY), 1);
	assert_int_equal(w->notes[w->note_count - 1].b, 1);
	assert_int_equal(w->carries, asked);
	/* NOT_LEADER with a hint: metadata at once, the hint by itself moves nothing. */
	say(w, (struct sl_msg){.kind = SL_MSG_PARTITION_TROUBLE,
			       .b = 0 | UINT64_C(4) << 32,
			       .c = SL_KAFKA_NOT_LEADER_OR_FOLLOWER | UINT64_C(2) << 16});
	turn(w);
	assert_int_equal(w->carries, asked + 1);
	assert_int_equal(route_node(w, 0), 1);
	run_ms(w, 630);
	assert_int_equal(heard(w, SL_MSG_PARTITION_RETRY), 1);
	run_ms(w, 350);
	assert_int_equal(heard(w, SL_MSG_PARTITION_RETRY), 2);
	world_free(w);
}

static void producer_answer(struct world *w, int16_t code, int64_t id)
{
	struct sl_wbuf out;

	assert_non_null(w->carry);
	assert_int_equal(w->carry->api_key, SL_API_INIT_PRODUCER_ID);
	out = sl_wbuf_on(w->carry->response, w->carry->response_bytes_max);
	sl_put_i32(&out, 0);
	sl_put_i16(&out, code);
	sl_put_i64(&out, id);
	sl_put_i16(&out, code ? -1 : 0);
	sl_put_tags(&out, true);
	w->carry->error = 0;
	w->carry->version = 4;
	w->carry->response_bytes = (uint32_t)(out.pos - w->carry->response);
	say(w, (struct sl_msg){.kind = SL_MSG_CARRIED, .object = w->carry});
	w->carry = NULL;
	turn(w);
}

/* 129: who answers is not to be trusted any more; the seeds are asked next, and all goes on from
 * there. */
static void test_rebootstrap_goes_to_the_seeds(void **state)
{
	struct world *w = world_ready();

	sl_refresh_want(&w->agent);
	run_ms(w, 1000);
	assert_true(sl_cluster_node_of(&w->agent, w->carry->broker) >= 1);
	answer_as(w, &two_brokers, 13, SL_KAFKA_REBOOTSTRAP_REQUIRED);
	run_ms(w, 1000);
	assert_int_equal((int32_t)w->carry->broker, w->agent.cluster.seed_broker);
	answer(w, &two_brokers);
	sl_refresh_want(&w->agent);
	run_ms(w, 1000);
	assert_true(sl_cluster_node_of(&w->agent, w->carry->broker) >= 1);
	world_free(w);
}

/* Errors of InitProducerId by what is done about them: those that pass, and those that somebody has
 * to mend. */
static void producer_id_after(int16_t code, uint64_t not_before_ms, uint64_t before_ms)
{
	struct world *w = world_ready();

	say(w, (struct sl_msg){.kind = SL_MSG_PRODUCER_ID_WANTED});
	turn(w);
	producer_answer(w, code, -1);
	assert_int_equal(heard(w, SL_MSG_PRODUCER_ID), 0);
	run_ms(w, not_before_ms);
	assert_null(w->carry);
	run_ms(w, before_ms - not_before_ms);
	producer_answer(w, 0, 4242);
	assert_int_equal(heard(w, SL_MSG_PRODUCER_ID), 1);
	assert_int_equal(w->notes[w->note_count - 1].b, 4242);
	run_ms(w, 60000);
	assert_null(w->carry);
	world_free(w);
}

static void test_producer_id(void **state)
{
	static const int16_t pass[] = {7, 14, 15, 16, 51, 56},
			     mended[] = {-1, 31, 35, 42, 47, 49, 50, 53, 90};

	for (uint32_t i = 0; i < SL_ARRAY_COUNT(pass); i++)
		producer_id_after(pass[i], 50, 200);
	for (uint32_t i = 0; i < SL_ARRAY_COUNT(mended); i++) /* no hurry, but no surrender */
		producer_id_after(mended[i], 20000, 32000);
}

static void test_full_inbox_keeps_order(void **state)
{
	struct world *w = world_ready();
	struct sl_msg msg;
	uint64_t expected = 0;

	for (uint64_t i = 0; i < 3 * RING_SLOTS; i++)
		assert_int_equal(
			sl_agent_tell(&w->agent, 0, &(struct sl_msg){.kind = SL_MSG_FLUSH, .b = i}),
			0);
	while (expected < 3 * RING_SLOTS) {
		while (sl_msg_ring_pop(&w->inbox, &msg))
			assert_int_equal(msg.b, expected++);
		w->now_ns += SL_NS_PER_MS;
		assert_true(sl_control_turn(&w->agent) > 0);
	}
	world_free(w);
}

static void test_shutdown(void **state)
{
	struct world *w = world_ready();
	uint64_t begin_ns = w->now_ns;

	sl_shutdown_ask(&w->agent);
	turn(w);
	assert_int_equal(heard(w, SL_MSG_FLUSH), 1);
	assert_int_equal(heard(w, SL_MSG_STOP), 1);
	run_until(w, begin_ns + w->config->shutdown_timeout_us * SL_NS_PER_US + 1);
	turn(w);
	assert_int_equal(heard(w, SL_MSG_STOP), 2);
	assert_int_equal(w->notes[w->note_count - 1].a, 1);
	assert_false(sl_shutdown_over(&w->agent));
	say(w, (struct sl_msg){.kind = SL_MSG_STOPPED, .a = 1});
	turn(w);
	assert_true(sl_shutdown_over(&w->agent));
	assert_true(w->agent.workers[0].kept);
	world_free(w);
}

static void test_second_ask_stops_at_once(void **state)
{
	struct world *w = world_ready();

	sl_shutdown_ask(&w->agent);
	turn(w);
	sl_shutdown_ask(&w->agent);
	turn(w);
	assert_int_equal(heard(w, SL_MSG_STOP), 2);
	assert_int_equal(w->notes[w->note_count - 1].a, 1);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bootstrap),
		cmocka_unit_test(test_request_names_topics),
		cmocka_unit_test(test_every_seed_and_address_is_tried),
		cmocka_unit_test(test_unreachable_backs_off),
		cmocka_unit_test(test_no_brokers_is_a_failure),
		cmocka_unit_test(test_other_cluster_is_refused),
		cmocka_unit_test(test_malformed_answer_changes_nothing),
		cmocka_unit_test(test_wishes_are_one_request),
		cmocka_unit_test(test_routes_move_with_the_leader),
		cmocka_unit_test(test_leaderless_partition_is_asked_for),
		cmocka_unit_test(test_unknown_topic_fails_after_its_grace_and_heals),
		cmocka_unit_test(test_denied_topic_fails_at_once),
		cmocka_unit_test(test_broker_that_moves_gets_a_new_index),
		cmocka_unit_test(test_reconnect_backs_off),
		cmocka_unit_test(test_trouble_is_retried),
		cmocka_unit_test(test_rebootstrap_goes_to_the_seeds),
		cmocka_unit_test(test_producer_id),
		cmocka_unit_test(test_full_inbox_keeps_order),
		cmocka_unit_test(test_shutdown),
		cmocka_unit_test(test_second_ask_stops_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
