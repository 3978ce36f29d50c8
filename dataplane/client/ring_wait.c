/* SPDX-License-Identifier: Apache-2.0 */
/* The slow path of a ring: full, asleep, poisoned, without an agent, or in a child. */
#include <errno.h>
#include <inttypes.h>
#include <time.h>
#include <unistd.h>

#include "dataplane/base/assert.h"
#include "dataplane/base/clock.h"
#include "dataplane/client/client.h"
#include "dataplane/shm/wake.h"

void sl_ring_ring_bell(sluice_ring *ring, uint32_t sleep)
{
	const uint64_t one = 1;

	/* Once a sleep: until the worker runs, it may stay marked as asleep for many records. */
	if (ring->rung == sleep)
		return;
	ring->rung = sleep;
	/* A full counter already wakes; and a bell of a dead agent rings for nobody, which
	 * sl_ring_look() finds out. */
	if (write(ring->bell, &one, sizeof(one)) < 0)
		ring->look_ms = 0;
}

void sl_ring_look(sluice_ring *ring, uint64_t now_ms)
{
	uint32_t state = sl_client_step(ring->client);

	/* A lost agent is looked after at each tick: the steps of coming back each take a call. */
	ring->look_ms = now_ms + (state == SLUICE_LOST ? 1 : CLIENT_LOOK_MS);
}

void sl_ring_look_now_and_then(sluice_ring *ring)
{
	struct timespec ts;
	uint64_t now_ms;

	clock_gettime(CLOCK_REALTIME_COARSE, &ts);
	now_ms = (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
	if (ring_look_due(ring, now_ms))
		sl_ring_look(ring, now_ms);
}

void sl_ring_waiting_add(sluice_ring *ring, uint32_t bits)
{
	uint32_t waiting = atomic_load_explicit(&ring->app->waiting, memory_order_relaxed);

	atomic_store_explicit(&ring->app->waiting, waiting | bits, memory_order_relaxed);
	/* Pairs with the worker's fence between publishing and sl_wake_app(): it sees our bit or we
	 * see its news. */
	atomic_thread_fence(memory_order_seq_cst);
}

void sl_ring_waiting_clear(sluice_ring *ring, uint32_t bits)
{
	uint32_t waiting = atomic_load_explicit(&ring->app->waiting, memory_order_relaxed);

	atomic_store_explicit(&ring->app->waiting, waiting & ~bits, memory_order_relaxed);
}

int sl_ring_open_check(sluice_ring *ring)
{
	struct ring_cold *cold = ring_cold(ring);
	uint32_t state = atomic_load_explicit(&ring->agent->ring_state, memory_order_acquire);
	uint32_t poison = atomic_load_explicit(&ring->agent->poison_code, memory_order_relaxed);

	switch (state) {
	case SL_RING_WIRE_POISONED:
		return sl_error_set(
			&cold->error, -ESHUTDOWN,
			"the agent refused the ring's bytes at %" PRIu64 ": code %u",
			atomic_load_explicit(&ring->agent->poison_pos, memory_order_relaxed),
			poison);
	case SL_RING_WIRE_DRAINING:
	case SL_RING_WIRE_CLOSED:
		return sl_error_set(&cold->error, -ESHUTDOWN,
				    "the agent no longer reads this ring");
	default:
		return 0;
	}
}

/* Takes the agent's word for what is free, unless it cannot be. */
static bool room_look(sluice_ring *ring, uint64_t need)
{
	/* Acquire: pairs with sl_ring_reader_publish(), so that our bytes land after its reads. */
	uint64_t consumed = atomic_load_explicit(&ring->agent->consumed_pos, memory_order_acquire);

	if (ring->write_pos - consumed <= ring->mask + 1)
		ring->limit_pos = consumed + ring->mask + 1;
	return ring->write_pos + need <= ring->limit_pos;
}

static bool reports_full(const sluice_ring *ring)
{
	const struct ring_cold *cold = ring_cold(ring);
	uint64_t written = atomic_load_explicit(&ring->agent->report_write_pos, memory_order_relaxed);

	return written - cold->report_read_pos >= cold->report_slots;
}

static int room_wait(sluice_ring *ring, uint64_t need)
{
	struct ring_cold *cold = ring_cold(ring);
	uint64_t start_ns = sl_clock_monotonic_ns();
	uint64_t limit_ns = cold->full_timeout_ms * SL_NS_PER_MS;
	int rc = 0;

	for (;;) {
		uint32_t seen = atomic_load_explicit(&ring->agent->wake_word, memory_order_acquire);
		uint64_t waited_ns, nap_ns = CLIENT_WAIT_MS * SL_NS_PER_MS;

		sl_ring_waiting_add(ring, SL_WAIT_ROOM);
		if (room_look(ring, need))
			break;
		rc = sl_ring_open_check(ring);
		if (rc == 0 && sl_client_step(ring->client) == SLUICE_DETACHED)
			rc = sl_error_set(&cold->error, -ENOTCONN,
					  "the agent that read this ring is gone");
		/* Only the caller can end this: the agent takes no more until reports are read. */
		if (rc == 0 && reports_full(ring))
			rc = sl_error_set(&cold->error, -EAGAIN, "the report slots are full: poll reports first");
		waited_ns = sl_clock_monotonic_ns() - start_ns;
		if (rc == 0 && cold->full_timeout_ms != UINT32_MAX && waited_ns >= limit_ns)
			rc = sl_error_set(&cold->error, -ETIMEDOUT, "the ring was full for %u ms",
					  cold->full_timeout_ms);
		if (rc < 0)
			break;
		if (cold->full_timeout_ms != UINT32_MAX && limit_ns - waited_ns < nap_ns)
			nap_ns = limit_ns - waited_ns;
		sl_wake_wait(ring->agent, seen, nap_ns);
	}
	sl_ring_waiting_clear(ring, SL_WAIT_ROOM);
	return rc;
}

int sl_ring_room(sluice_ring *ring, uint64_t need)
{
	struct ring_cold *cold = ring_cold(ring);
	int rc;

	if (!ring->app)
		return -ECHILD;
	if (room_look(ring, need))
		return 0;
	rc = sl_ring_open_check(ring);
	if (rc < 0)
		return rc;
	if (cold->full_policy == SLUICE_FULL_WAIT)
		return room_wait(ring, need);
	if (sl_client_step(ring->client) == SLUICE_DETACHED)
		return sl_error_set(&cold->error, -ENOTCONN,
				    "the agent that read this ring is gone");
	if (cold->full_policy == SLUICE_FULL_FAIL)
		return -EAGAIN;
	atomic_store_explicit(
		&ring->app->dropped_count,
		atomic_load_explicit(&ring->app->dropped_count, memory_order_relaxed) + 1,
		memory_order_relaxed);
	return -ENOBUFS;
}

static bool all_settled(sluice_ring *ring)
{
	return atomic_load_explicit(&ring->agent->settled_count, memory_order_acquire) >= ring->seq;
}

/* Why waiting for the rest is vain: 0 when it is not. */
static int flush_check(sluice_ring *ring)
{
	struct ring_cold *cold = ring_cold(ring);
	uint64_t written =
		atomic_load_explicit(&ring->agent->report_write_pos, memory_order_acquire);
	int rc = sl_ring_open_check(ring);

	if (rc < 0)
		return rc;
	if (sl_client_step(ring->client) == SLUICE_DETACHED)
		return sl_error_set(&cold->error, -ENOTCONN,
				    "the agent that read this ring is gone");
	if (written - cold->report_read_pos >= cold->report_slots)
		return sl_error_set(&cold->error, -ENOBUFS,
				    "all %u report slots are full: poll reports",
				    cold->report_slots);
	return 0;
}

int sluice_flush(sluice_ring *ring, uint32_t timeout_ms)
{
	struct ring_cold *cold = ring_cold(ring);
	uint64_t start_ns = sl_clock_monotonic_ns();
	int rc;

	if (!ring->app)
		return -ECHILD;
	if (all_settled(ring))
		return 0;
	ring->claim_end = 0;
	/* A full ring flushes itself; only the other reasons to fail count. */
	rc = flush_check(ring);
	if (rc == 0 && (room_look(ring, 2 * SL_RECORD_HEADER_BYTES)))
		rc = sl_ring_flush_record(ring);
	while (rc == 0) {
		uint32_t seen = atomic_load_explicit(&ring->agent->wake_word, memory_order_acquire);

		sl_ring_waiting_add(ring, SL_WAIT_ROOM | SL_WAIT_REPORTS);
		if (all_settled(ring))
			break;
		rc = flush_check(ring);
		if (rc == 0 && timeout_ms != UINT32_MAX &&
		    sl_clock_monotonic_ns() - start_ns >= timeout_ms * SL_NS_PER_MS)
			rc = sl_error_set(&cold->error, -ETIMEDOUT, "not all settled within %u ms",
					  timeout_ms);
		if (rc == 0)
			sl_wake_wait(ring->agent, seen, CLIENT_WAIT_MS * SL_NS_PER_MS);
	}
	sl_ring_waiting_clear(ring, SL_WAIT_ROOM | (cold->armed ? 0 : SL_WAIT_REPORTS));
	return rc;
}
