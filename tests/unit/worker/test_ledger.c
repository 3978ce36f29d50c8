/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: the books name every record's outcome where it belongs, and the recorder every batch that
 * ended in doubt. That the parts make the whole after every turn of every test is checked by the
 * rig itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/base/clock.h"
#include "dataplane/wire/error_code.h"
#include "dataplane/worker/flight.h"
#include "dataplane/worker/ledger.h"
#include "tests/unit/worker/rig.h"

static void send_some(struct rig *rig, uint32_t count, int32_t partition)
{
	uint32_t i;

	for (i = 0; i < count; i++)
		assert_true(rig_send(rig, "key", partition, 100));
}

static uint32_t events_of(const struct rig *rig, enum sl_flight_kind kind,
			  struct sl_flight_event *last)
{
	const struct sl_flight *flight = sl_worker_events(rig->worker);
	uint64_t written = sl_flight_written(flight);
	struct sl_flight_event event;
	uint32_t found = 0;

	for (uint64_t n = sl_flight_first(flight, written); n < written; n++) {
		assert_true(sl_flight_get(flight, n, &event));
		if (event.kind != kind)
			continue;
		*last = event;
		found++;
	}
	return found;
}

static const struct sl_worker_cut *cut_of(struct rig *rig)
{
	sl_worker_cut_make(rig->worker);
	return sl_worker_cut(rig->worker);
}

static void counts_are(const struct sl_counts *c, uint64_t persisted, uint64_t failed,
		       uint64_t unknown, uint64_t queued)
{
	assert_int_equal(c->persisted, persisted);
	assert_int_equal(c->failed, failed);
	assert_int_equal(c->unknown, unknown);
	assert_int_equal(c->queued, queued);
}

/* Each partition and the broker that leads it has its own; what waits for a broker counts there
 * too. */
static void test_by_partition_and_broker(void **state)
{
	struct rig *rig = rig_create(&(struct rig_options){0});
	const struct sl_worker_cut *cut;
	struct sl_flight_event event;

	(void)state;
	send_some(rig, 100, 0);
	send_some(rig, 200, 1);
	rig_run(rig, 50);
	rig->retry_held = true;
	rig_fault(rig, RIG_FAULT_ERROR, 2, SL_KAFKA_NOT_ENOUGH_REPLICAS, 100);
	send_some(rig, 300, 2);
	assert_true(rig_send(rig, "key", 7, 100)); /* there is no such partition */
	rig_run(rig, 50);
	cut = cut_of(rig);
	counts_are(&cut->total, 300, 1, 0, 300);
	for (uint32_t i = 0; i < cut->partition_count; i++) {
		const struct sl_partition_cut *p = &cut->partitions[i];

		assert_int_equal(p->topic, 0);
		counts_are(&p->counts, p->index == 2 ? 0 : (uint64_t)(p->index + 1) * 100, 0, 0,
			   p->index == 2 ? 300 : 0);
	}
	assert_int_equal(cut->rejected[0], 1);
	for (uint32_t b = 0; b < cut->broker_count; b++) {
		uint64_t persisted = 0;

		if (rig->leader[0] == (int32_t)b)
			persisted += 100;
		if (rig->leader[1] == (int32_t)b)
			persisted += 200;
		counts_are(&cut->brokers[b], persisted, 0, 0,
			   rig->leader[2] == (int32_t)b ? 300 : 0);
	}
	counts_are(&cut->brokers[cut->broker_count], 0, 1, 0, 0);
	assert_int_equal(cut->ring_count, 1);
	counts_are(&cut->rings[0].counts, 300, 1, 0, 300);
	assert_true(events_of(rig, SL_FLIGHT_REFUSED, &event) >= 1);
	assert_int_equal(event.b, 2);
	assert_int_equal(event.code, SL_KAFKA_NOT_ENOUGH_REPLICAS);
	assert_int_equal(events_of(rig, SL_FLIGHT_MENDED, &event), 0);
	rig->retry_held = false;
	rig->fault_count = 0;
	rig_run(rig, 50);
	counts_are(&cut_of(rig)->total, 600, 1, 0, 0);
	assert_int_equal(events_of(rig, SL_FLIGHT_MENDED, &event), 1);
	assert_int_equal(event.b, 2);
	rig_check_all(rig, 600, 1, 0);
	rig_destroy(rig);
}

/* An answer that never comes until the time is over: the batch is named, under the numbers that
 * went out. */
static void test_unknown_batches(void **state)
{
	struct sl_topic_settings settings = rig_settings();
	struct rig *rig;
	struct sl_flight_event event;
	const struct sl_flight *unknowns;

	(void)state;
	settings.delivery_timeout_ns = 5 * SL_NS_PER_S;
	rig = rig_create(&(struct rig_options){.settings = settings, .settings_given = true});
	send_some(rig, 40, 1);
	rig_run(rig, 50);
	rig->retry_held = true;
	rig_fault(rig, RIG_FAULT_ERROR_AFTER, 1, SL_KAFKA_NOT_ENOUGH_REPLICAS_AFTER_APPEND, 1);
	send_some(rig, 30, 1);
	rig_run(rig, 6000);
	unknowns = sl_worker_unknowns(rig->worker);
	assert_int_equal(sl_flight_written(unknowns), 1);
	assert_true(sl_flight_get(unknowns, 0, &event));
	assert_int_equal(event.kind, SL_FLIGHT_UNKNOWN);
	assert_int_equal(event.a, 0);
	assert_int_equal(event.b, 1);
	assert_int_equal(event.code, SL_KAFKA_NOT_ENOUGH_REPLICAS_AFTER_APPEND);
	assert_int_equal(event.c, rig->logs[1].producer_id);
	assert_int_equal(event.d >> 32, 30);
	assert_int_equal(event.d & UINT32_MAX, 0);
	assert_int_equal(event.e, 40);
	assert_int_equal((int64_t)event.f, rig->leader[1] + 1); /* node ids begin at 1 */
	assert_true(event.at_ms > 0);
	counts_are(&cut_of(rig)->total, 40, 0, 30, 0);
	assert_int_equal(events_of(rig, SL_FLIGHT_UNKNOWN, &event), 1);
	rig_destroy(rig);
}

/* A failure for good leaves a gap; an epoch is begun, and it is said why. */
static void test_epoch_and_why(void **state)
{
	struct rig *rig = rig_create(&(struct rig_options){0});
	struct sl_flight_event event;

	(void)state;
	rig_fault(rig, RIG_FAULT_ERROR, 1, SL_KAFKA_POLICY_VIOLATION, 1);
	send_some(rig, 40, 1);
	rig_run(rig, 50);
	send_some(rig, 10, 1);
	rig_run(rig, 50);
	assert_int_equal(events_of(rig, SL_FLIGHT_FAILED, &event), 1);
	assert_int_equal(event.d, 40);
	assert_int_equal(event.code, SL_KAFKA_POLICY_VIOLATION);
	assert_int_equal(events_of(rig, SL_FLIGHT_EPOCH, &event), 1);
	assert_int_equal(event.d, SL_FLIGHT_WHY_GAP);
	assert_int_equal(event.e, 1);
	rig_check_all(rig, 10, 40, 0);
	rig_destroy(rig);
}

static void test_leader_moves(void **state)
{
	struct rig *rig = rig_create(&(struct rig_options){0});
	struct sl_flight_event event;
	int32_t before = rig->leader[0], now = (rig->leader[0] + 1) % RIG_BROKERS;

	(void)state;
	rig_run(rig, 5);
	assert_int_equal(events_of(rig, SL_FLIGHT_LEADER, &event), 0); /* the first is no news */
	rig->leader[0] = now;
	rig_routes(rig, 0, 0, rig->partitions, 1);
	rig_run(rig, 5);
	assert_int_equal(events_of(rig, SL_FLIGHT_LEADER, &event), 1);
	assert_int_equal(event.b, 0);
	assert_int_equal((int64_t)event.c, before + 1);
	assert_int_equal((int64_t)event.d, now + 1);
	assert_int_equal(event.e, 1);
	rig_destroy(rig);
}

/* acks=0 is unknown by nature: counted apart, and no list is flooded with it. */
static void test_acks_none(void **state)
{
	struct sl_topic_settings settings = rig_settings();
	struct rig *rig;

	(void)state;
	settings.acks = SL_ACKS_NONE;
	settings.idempotent = false;
	rig = rig_create(&(struct rig_options){.settings = settings, .settings_given = true});
	send_some(rig, 100, 1);
	rig_run(rig, 50);
	counts_are(&cut_of(rig)->total, 0, 0, 100, 0);
	assert_int_equal(cut_of(rig)->unknown_unacked, 100);
	assert_int_equal(sl_flight_written(sl_worker_unknowns(rig->worker)), 0);
	rig_destroy(rig);
}

/* Asked for, and made by the worker's next turn. */
static void test_cut_is_asked_for(void **state)
{
	struct rig *rig = rig_create(&(struct rig_options){0});

	(void)state;
	assert_true(sl_worker_cut_ready(rig->worker));
	send_some(rig, 100, 1);
	rig_run(rig, 50);
	sl_worker_cut_ask(rig->worker);
	assert_false(sl_worker_cut_ready(rig->worker));
	rig_run(rig, 1);
	assert_true(sl_worker_cut_ready(rig->worker));
	counts_are(&sl_worker_cut(rig->worker)->total, 100, 0, 0, 0);
	rig_destroy(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_by_partition_and_broker),
		cmocka_unit_test(test_unknown_batches),
		cmocka_unit_test(test_epoch_and_why),
		cmocka_unit_test(test_leader_moves),
		cmocka_unit_test(test_acks_none),
		cmocka_unit_test(test_cut_is_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
