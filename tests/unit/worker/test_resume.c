/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: an agent that is killed at any store loses nothing, doubles nothing, and its successors report each record once.
 * Method: worker and arena are built with a point at each SL_ORDER(); a turn is left there for good, the arena is loaded
 * by another worker, which may be killed in its load or soon after it, and brokers lose answers and connections besides.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/base/clock.h"
#include "dataplane/wire/error_code.h"
#include "tests/unit/worker/guard.h"
#include "tests/unit/worker/rig.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#endif

void sl_test_order(void);

static uint64_t countdown; /* 0: not armed */
static jmp_buf killed;
static uint32_t kills, load_kills;

void sl_test_order(void)
{
	if (countdown > 0 && --countdown == 0) {
		guard_end();
		longjmp(killed, 1);
	}
}

static uint64_t dice(uint64_t *state, uint64_t sides)
{
	return sl_random_next(state) % sides;
}

/* The successor, through loads that are cut short. */
static void successor(struct rig *rig, uint64_t *random)
{
	volatile bool through = false;

	rig_die(rig);
	while (!through) {
		if (setjmp(killed) == 0) {
			countdown = dice(random, 3) == 0 ? 1 + dice(random, 30) : 0;
			rig_load(rig);
			countdown = 0;
			through = true;
		} else {
			load_kills++;
		}
	}
	assert_int_equal(rig->loaded.condemned + rig->loaded.lost + rig->loaded.slots_lost, 0);
}

static void records_send(struct rig *rig, uint64_t *random)
{
	uint64_t count = dice(random, 120), i;
	char key[16];

	for (i = 0; i < count; i++) {
		snprintf(key, sizeof(key), "k%u", (unsigned int)dice(random, 7));
		if (!rig_send(rig, key, dice(random, 2) ? (int32_t)dice(random, 3) : -1,
			      8 + (uint32_t)dice(random, dice(random, 20) ? 300 : 20000)))
			break;
	}
	if (dice(random, 4) == 0)
		rig_reports_read(rig);
}

static void fault_maybe(struct rig *rig, uint64_t *random)
{
	static const enum rig_fault_kind kinds[] = {RIG_FAULT_LOSE_ANSWER, RIG_FAULT_RESET, RIG_FAULT_ERROR};

	rig->fault_count = 0;
	if (dice(random, 4) == 0)
		rig_fault(rig, kinds[dice(random, 3)], (int32_t)dice(random, 3), SL_KAFKA_NOT_LEADER_OR_FOLLOWER, 1);
}

/* Until everything is told; its application reads all the while. */
static void finish(struct rig *rig)
{
	uint32_t i;

	rig->fault_count = 0;
	for (i = 0; i < 200; i++) {
		rig_run(rig, 1);
		rig_reports_read(rig);
	}
	rig_check_all(rig, rig->seq, 0, 0);
	rig_destroy(rig);
}

static void world_step(struct rig *rig, uint64_t *random, bool *attached)
{
	fault_maybe(rig, random);
	if (!*attached && dice(random, 3) == 0) {
		rig_attach(rig);
		*attached = true;
	}
	records_send(rig, random);
	countdown = dice(random, 3) ? 1 + dice(random, dice(random, 2) ? 60 : 1500) : 0;
	rig_run(rig, 1 + dice(random, 12));
	countdown = 0;
}

static void one_world(uint64_t seed)
{
	static struct rig *rig;
	static uint64_t random;
	static bool attached;
	volatile uint32_t step;

	rig = rig_create(&(struct rig_options){.ring_bytes = 1 << 18, .report_slots = 64});
	random = seed * 2 + 1;
	attached = true;
	for (step = 0; step < 60; step++) {
		if (setjmp(killed) == 0) {
			world_step(rig, &random, &attached);
			continue;
		}
		kills++;
		successor(rig, &random);
		attached = dice(&random, 3) != 0; /* without a keeper its application comes back when it likes */
		rig_resume(rig, attached);
	}
	if (!attached)
		rig_attach(rig);
	finish(rig);
}

/* Under a sanitizer each of the many lives takes a second. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { WORLDS = 3 };
#else
enum { WORLDS = 60 };
#endif

static void test_worlds(void **state)
{
	const char *count = getenv("SL_TEST_WORLDS");
	uint64_t worlds = count ? strtoull(count, NULL, 10) : WORLDS;
	uint64_t seed;

	(void)state;
	for (seed = 1; seed <= worlds; seed++) {
		if (getenv("SL_TEST_VERBOSE"))
			printf("seed %lu\n", (unsigned long)seed);
		one_world(seed);
	}
	printf("%u kills, %u of them in a load\n", kills + load_kills, load_kills);
	assert_true(kills > worlds * 5);
}

static void send_some(struct rig *rig, uint32_t count)
{
	uint32_t i;

	for (i = 0; i < count; i++)
		assert_true(rig_send(rig, "k", (int32_t)(i % 3), 100));
}

/* The same producer id, epoch and bytes: the broker sees each batch that it had as the one it had. */
static void test_sent_again(void **state)
{
	struct rig *rig = rig_create(&(struct rig_options){0});

	(void)state;
	send_some(rig, 30);
	rig_fault(rig, RIG_FAULT_SILENCE, -1, 0, 3);
	rig_run(rig, 10);
	rig_die(rig);
	rig_load(rig);
	assert_int_equal(rig->loaded.sent, 3);
	rig_resume(rig, true);
	rig_run(rig, 10);
	assert_int_equal(rig->logs[0].duplicates + rig->logs[1].duplicates + rig->logs[2].duplicates, 3);
	assert_int_equal(rig->logs[0].producer_id, 4242);
	assert_int_equal(rig->logs[0].epoch, 0);
	rig_check_all(rig, 30, 0, 0);
	rig_destroy(rig);
}

/* An application that does not come back: its records go, its reports are nobody's, and the turn goes on. */
static void test_given_up(void **state)
{
	struct rig *rig = rig_create(&(struct rig_options){0});
	uint64_t turn;

	(void)state;
	send_some(rig, 30);
	rig_settle(rig);
	rig_die(rig);
	rig_load(rig);
	turn = atomic_load(&rig->arena->header->turn);
	rig_resume(rig, false);
	rig_run(rig, 20);
	assert_int_equal(atomic_load(&rig->arena->header->turn), turn);
	assert_int_equal(atomic_load(&rig->arena->header->live_count), 3); /* they wait for their ring */
	rig_tell(rig, &(struct sl_msg){.kind = SL_MSG_SEGMENT_GIVE_UP, .a = 0});
	rig_run(rig, 2);
	assert_int_equal(atomic_load(&rig->arena->header->live_count), 0);
	assert_int_equal(rig->logs[0].count + rig->logs[1].count + rig->logs[2].count, 30);
	assert_int_equal(atomic_load(&sl_worker_stats(rig->worker)->reports_discarded), 30);
	assert_false(sl_arena_holds(rig->arena));
	rig_destroy(rig);
}

/* Without numbers nobody knows whether it was written: told so, and not sent again. */
static void test_without_numbers(void **state)
{
	struct rig_options options = {.settings = rig_settings(), .settings_given = true};
	uint64_t count[4] = {0};
	struct rig *rig;

	(void)state;
	options.settings.idempotent = false;
	rig = rig_create(&options);
	send_some(rig, 30);
	rig_fault(rig, RIG_FAULT_SILENCE, -1, 0, 3);
	rig_run(rig, 10);
	rig_die(rig);
	rig_load(rig);
	assert_int_equal(rig->loaded.unknown, 3);
	rig_resume(rig, true);
	rig_run(rig, 10);
	rig_check_told(rig, count);
	assert_int_equal(count[SL_OUTCOME_UNKNOWN], 30);
	rig_destroy(rig);
}

/* After a long time (where no broker can tell), or at another cluster, the numbers mean nothing: unknown, and the rest goes under new ones. */
static void numbers_void(uint64_t hours, const char *cluster)
{
	struct rig *rig = rig_create(&(struct rig_options){0});
	uint64_t count[4] = {0};
	char *id = calloc(1, 64);

	rig->seen = SL_SEEN_NEVER;
	rig->seen_given = true;
	strcpy(id, "first");
	rig_tell(rig, &(struct sl_msg){.kind = SL_MSG_CLUSTER, .object = id});
	send_some(rig, 30);
	rig_fault(rig, RIG_FAULT_SILENCE, -1, 0, 3);
	rig_run(rig, 10);
	send_some(rig, 30);
	rig_run(rig, 1);
	rig_die(rig);
	rig->now_ns += hours * 3600 * SL_NS_PER_S;
	rig_load(rig);
	rig_resume(rig, true);
	id = calloc(1, 64);
	strcpy(id, cluster);
	rig_tell(rig, &(struct sl_msg){.kind = SL_MSG_CLUSTER, .object = id});
	rig_run(rig, 200);
	rig_check_told(rig, count);
	assert_int_equal(count[SL_OUTCOME_UNKNOWN], 30);
	assert_int_equal(count[SL_OUTCOME_PERSISTED], 30);
	rig_destroy(rig);
}

static void test_numbers_old(void **state)
{
	(void)state;
	numbers_void(13, "first");
}

/* A life that is cut short frees nothing, as no killed process does. */
static void leaks_allow(void)
{
#ifdef __SANITIZE_ADDRESS__
	__lsan_disable();
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sent_again),      cmocka_unit_test(test_given_up),
		cmocka_unit_test(test_without_numbers), cmocka_unit_test(test_numbers_old),
		cmocka_unit_test(test_worlds),
	};

	leaks_allow();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
