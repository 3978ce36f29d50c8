/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/base/clock.h"

#include <sys/random.h>
#include <time.h>

#include "dataplane/base/assert.h"

static uint64_t clock_ns(clockid_t id)
{
	struct timespec ts;

	SL_ASSERT(clock_gettime(id, &ts) == 0);
	return (uint64_t)ts.tv_sec * SL_NS_PER_S + (uint64_t)ts.tv_nsec;
}

uint64_t sl_clock_monotonic_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

uint64_t sl_clock_realtime_ns(void)
{
	return clock_ns(CLOCK_REALTIME);
}

uint64_t sl_clock_thread_cpu_ns(void)
{
	return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

uint64_t sl_random_seed(void)
{
	uint64_t seed = 0;

	if (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed) || seed == 0)
		seed = sl_clock_realtime_ns() | 1;
	return seed;
}

uint64_t sl_random_next(uint64_t *state)
{
	uint64_t x = *state;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	*state = x;
	return x * UINT64_C(0x2545F4914F6CDD1D);
}
