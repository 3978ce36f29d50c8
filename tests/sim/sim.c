/* SPDX-License-Identifier: Apache-2.0 */
/* Randomness, the trace, and the end of a run that found something. */
#include "tests/sim/sim.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

struct sim *sim_current;

uint64_t sim_random(struct sim *sim)
{
	return sl_random_next(&sim->random);
}

uint64_t sim_below(struct sim *sim, uint64_t below)
{
	return below ? (sim_random(sim) >> 11) % below : 0;
}

uint64_t sim_between(struct sim *sim, uint64_t low, uint64_t high)
{
	return low + sim_below(sim, high - low + 1);
}

bool sim_chance(struct sim *sim, uint32_t percent)
{
	return sim_below(sim, 100) < percent;
}

uint64_t sim_skewed(struct sim *sim, uint64_t max)
{
	uint64_t bound = max;
	uint64_t halvings = sim_below(sim, 8);

	while (halvings-- > 0 && bound > 1)
		bound /= 2;
	return sim_below(sim, bound + 1);
}

int64_t sim_realtime_ms(const struct sim *sim)
{
	return (int64_t)SIM_REALTIME_BASE_S * 1000 + (int64_t)(sim->now_ns / SL_NS_PER_MS) +
	       sim->realtime_shift_ms;
}

static void hash_mix(struct sim *sim, uint64_t value)
{
	sim->hash = (sim->hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);
	sim->hash ^= sim->hash >> 29;
}

void sim_trace_values(struct sim *sim, const char *text, const int64_t *values, uint32_t count)
{
	uint32_t used = 0;

	sim->events++;
	hash_mix(sim, sim->now_ns);
	for (const char *p = text; *p; p++)
		hash_mix(sim, (uint8_t)*p);
	for (uint32_t i = 0; i < count; i++)
		hash_mix(sim, (uint64_t)values[i]);
	if (!sim->verbose)
		return;
	printf("%12.6f  ", (double)sim->now_ns / 1e9);
	for (const char *p = text; *p; p++) {
		if (p[0] == '{' && p[1] == '}' && used < count) {
			printf("%" PRId64, values[used++]);
			p++;
		} else {
			putchar(*p);
		}
	}
	putchar('\n');
}

void sim_violation(struct sim *sim, const char *format, ...)
{
	va_list args;

	fflush(stdout);
	fprintf(stderr, "VIOLATION seed %" PRIu64 " at %.6f s: ", sim->seed,
		(double)sim->now_ns / 1e9);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\nreplay: build/tests/sim/sim --seed %" PRIu64 " --verbose\n", sim->seed);
	fflush(NULL);
	box_leave(sim);
	_exit(1);
}
