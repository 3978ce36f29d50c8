/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control thread's side of the cluster on virtual time: one worker that the test plays, by its
 * two message rings, and brokers whose answers the test writes.
 */
#ifndef SL_TEST_AGENT_CLUSTER_RIG_H
#define SL_TEST_AGENT_CLUSTER_RIG_H

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
#include "agent/control.h"
#include "agent/routes.h"
#include "dataplane/wire/error_code.h"

enum { RING_SLOTS = 1024, NOTES_MAX = 256, RESPONSE_BYTES = 4096, VERSION = 12 };

struct note {
	uint32_t kind, a;
	uint64_t b, c;
};

struct world {
	struct sl_config *config;
	struct sl_agent agent;
	struct sl_msg_ring inbox, outbox;
	uint64_t now_ns, random_state, next_ns;
	struct sl_carry *carry; /* the last that is not answered */
	uint32_t carries;
	struct note notes[NOTES_MAX]; /* what was said, without carries */
	uint32_t note_count;
	struct sl_topic_routes *routes; /* the last */
	struct sl_address broker[SL_BROKERS_MAX];
	bool broker_set[SL_BROKERS_MAX];
	struct sl_resolve *asked;
};

static inline uint64_t world_now(void *ctx)
{
	return ((struct world *)ctx)->now_ns;
}

static inline uint64_t world_random(void *ctx)
{
	return sl_random_next(&((struct world *)ctx)->random_state);
}

static inline void world_resolve(void *ctx, struct sl_resolve *request)
{
	struct world *w = ctx;

	assert_null(w->asked);
	w->asked = request;
}

static inline struct world *world_new(const char *const *sets, uint32_t set_count)
{
	struct world *w = calloc(1, sizeof(*w));
	struct sl_config_source source = {.sets = sets, .set_count = set_count};
	struct sl_config_report report = {0};
	struct sl_agent_options options = {.log_fd = open("/dev/null", O_WRONLY | O_CLOEXEC)};
	int rc = sl_config_load(&source, &w->config, &report);

	sl_config_report_print(stderr, &report);
	sl_config_report_fini(&report);
	assert_int_equal(rc, 0);
	w->now_ns = SL_NS_PER_S;
	w->random_state = 7;
	options.config = w->config;
	options.env = (struct sl_env){.now_ns = world_now, .random = world_random, .ctx = w};
	options.hooks = (struct sl_agent_hooks){.ctx = w, .resolve = world_resolve};
	assert_int_equal(sl_agent_init(&w->agent, &options, NULL), 0);
	assert_int_equal(sl_msg_ring_init(&w->inbox, RING_SLOTS), 0);
	assert_int_equal(sl_msg_ring_init(&w->outbox, RING_SLOTS), 0);
	assert_int_equal(sl_agent_worker_add(&w->agent, NULL, &w->inbox, &w->outbox), 0);
	return w;
}

static inline void say(struct world *w, struct sl_msg msg)
{
	assert_true(sl_msg_ring_push(&w->outbox, &msg));
}

static inline void routes_keep(struct world *w, struct sl_topic_routes *routes)
{
	sl_routes_free(w->routes);
	w->routes = routes;
}

static inline void hear(struct world *w, const struct sl_msg *msg)
{
	if (msg->kind == SL_MSG_CARRY &&
	    ((struct sl_carry *)msg->object)->api_key == SL_API_DESCRIBE_PRODUCERS) {
		((struct sl_carry *)msg->object)->error =
			-EPROTONOSUPPORT; /* the probe of a topic */
		say(w, (struct sl_msg){.kind = SL_MSG_CARRIED, .object = msg->object});
		return;
	}
	if (msg->kind == SL_MSG_CARRY) {
		assert_null(w->carry);
		w->carry = msg->object;
		w->carries++;
		return;
	}
	if (msg->kind == SL_MSG_BROKER_SET) {
		w->broker[msg->a] = ((struct sl_worker_broker *)msg->object)->address;
		w->broker_set[msg->a] = true;
	}
	if (msg->kind == SL_MSG_BROKER_REMOVE) {
		w->broker_set[msg->a] = false;
		say(w, (struct sl_msg){.kind = SL_MSG_BROKER_GONE, .a = msg->a});
	}
	if (msg->kind == SL_MSG_TOPIC_ROUTES)
		routes_keep(w, msg->object);
	else
		sl_agent_msg_free(msg);
	assert_true(w->note_count < NOTES_MAX);
	w->notes[w->note_count++] = (struct note){msg->kind, msg->a, msg->b, msg->c};
}

static inline void turn(struct world *w)
{
	struct sl_msg msg;

	w->next_ns = sl_control_turn(&w->agent);
	while (sl_msg_ring_pop(&w->inbox, &msg))
		hear(w, &msg);
}

/* Time passes until then; every turn that is wanted meanwhile is given. */
static inline void run_until(struct world *w, uint64_t until_ns)
{
	for (;;) {
		turn(w);
		if (w->next_ns > until_ns)
			break;
		w->now_ns = w->next_ns > w->now_ns ? w->next_ns : w->now_ns;
	}
	w->now_ns = until_ns;
}

static inline void run_ms(struct world *w, uint64_t ms)
{
	run_until(w, w->now_ns + ms * SL_NS_PER_MS);
}

static inline uint32_t heard(const struct world *w, uint32_t kind)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < w->note_count; i++)
		count += w->notes[i].kind == kind;
	return count;
}

static inline void world_free(struct world *w)
{
	struct sl_msg msg;

	if (w->carry) {
		w->carry->error = -ECANCELED;
		say(w, (struct sl_msg){.kind = SL_MSG_CARRIED, .object = w->carry});
		w->carry = NULL;
	}
	sl_control_turn(&w->agent);
	/* A carry that went out in that last turn went down with its worker. */
	while (sl_msg_ring_pop(&w->inbox, &msg))
		sl_agent_msg_free(&msg);
	close(w->agent.log.fd);
	sl_agent_fini(&w->agent);
	sl_config_free(w->config);
	sl_msg_ring_fini(&w->inbox);
	sl_msg_ring_fini(&w->outbox);
	sl_routes_free(w->routes);
	free(w->asked);
	free(w);
}

static inline void carry_fail(struct world *w, int error)
{
	assert_non_null(w->carry);
	w->carry->error = error;
	say(w, (struct sl_msg){.kind = SL_MSG_CARRIED, .object = w->carry});
	w->carry = NULL;
	turn(w);
}

/* ---- metadata as a broker writes it, version 12 ---- */

struct scripted_broker {
	int32_t id;
	const char *host;
	int32_t port;
};

struct scripted_partition {
	int32_t leader, epoch;
};

struct script {
	const char *cluster;
	struct scripted_broker brokers[4];
	uint32_t broker_count;
	const char *topic; /* NULL: none */
	int16_t error;
	uint8_t id;
	struct scripted_partition partitions[4];
	uint32_t partition_count;
};

static inline void put_brokers(struct sl_wbuf *out, const struct script *s)
{
	sl_put_array(out, true, (int32_t)s->broker_count);
	for (uint32_t i = 0; i < s->broker_count; i++) {
		sl_put_i32(out, s->brokers[i].id);
		sl_put_string(out, true, sl_slice_of(s->brokers[i].host));
		sl_put_i32(out, s->brokers[i].port);
		sl_put_string(out, true, SL_SLICE_NULL);
		sl_put_tags(out, true);
	}
}

static inline void put_topic(struct sl_wbuf *out, const struct script *s)
{
	struct sl_uuid id = {{s->id}};

	sl_put_i16(out, s->error);
	sl_put_string(out, true, sl_slice_of(s->topic));
	sl_put_uuid(out, &id);
	sl_put_bool(out, false);
	sl_put_array(out, true, (int32_t)s->partition_count);
	for (uint32_t i = 0; i < s->partition_count; i++) {
		sl_put_i16(out, 0);
		sl_put_i32(out, (int32_t)i);
		sl_put_i32(out, s->partitions[i].leader);
		sl_put_i32(out, s->partitions[i].epoch);
		sl_put_array(out, true, 0);
		sl_put_array(out, true, 0);
		sl_put_array(out, true, 0);
		sl_put_tags(out, true);
	}
	sl_put_i32(out, INT32_MIN);
	sl_put_tags(out, true);
}

static inline void answer_as(struct world *w, const struct script *s, int16_t version, int16_t code)
{
	struct sl_wbuf out;

	assert_non_null(w->carry);
	assert_int_equal(w->carry->api_key, SL_API_METADATA);
	out = sl_wbuf_on(w->carry->response, w->carry->response_bytes_max);
	sl_put_i32(&out, 0);
	put_brokers(&out, s);
	sl_put_string(&out, true, sl_slice_of(s->cluster));
	sl_put_i32(&out, 1);
	sl_put_array(&out, true, s->topic ? 1 : 0);
	if (s->topic)
		put_topic(&out, s);
	if (version >= 13)
		sl_put_i16(&out, code);
	sl_put_tags(&out, true);
	assert_false(out.overflow);
	w->carry->error = 0;
	w->carry->version = version;
	w->carry->response_bytes = (uint32_t)(out.pos - w->carry->response);
	say(w, (struct sl_msg){.kind = SL_MSG_CARRIED, .object = w->carry});
	w->carry = NULL;
	turn(w);
}

static inline void answer(struct world *w, const struct script *s)
{
	answer_as(w, s, VERSION, 0);
}

static const struct script two_brokers = {.cluster = "c1",
					  .brokers = {{1, "10.0.0.1", 9092}, {2, "10.0.0.2", 9092}},
					  .broker_count = 2};

static inline struct script topic_script(void)
{
	struct script s = two_brokers;

	s.topic = "t";
	s.id = 1;
	s.partition_count = 2;
	s.partitions[0] = (struct scripted_partition){1, 5};
	s.partitions[1] = (struct scripted_partition){2, 5};
	return s;
}

static const char *const one_seed[] = {"bootstrap.servers=192.0.2.1:9092"};

static inline struct world *world_ready(void)
{
	struct world *w = world_new(one_seed, 1);

	turn(w);
	answer(w, &two_brokers);
	return w;
}

static inline struct world *world_with_topic(void)
{
	struct world *w = world_ready();
	struct script s = topic_script();

	assert_int_equal(sl_topics_bind(&w->agent, "t"), 0);
	run_ms(w, 200);
	answer(w, &s);
	assert_non_null(w->routes);
	return w;
}

static inline int32_t route_node(const struct world *w, uint32_t partition)
{
	int32_t broker = w->routes->partitions[partition].broker;

	return broker < 0 ? -1 : sl_cluster_node_of(&w->agent, (uint32_t)broker);
}

#endif
