/* SPDX-License-Identifier: Apache-2.0 */
/* The real clocks and randomness behind struct sl_env; only what sets an environment up calls them. Any thread. */
#ifndef SL_BASE_CLOCK_H
#define SL_BASE_CLOCK_H

#include <stdint.h>

#define SL_NS_PER_US UINT64_C(1000)
#define SL_NS_PER_MS UINT64_C(1000000)
#define SL_NS_PER_S UINT64_C(1000000000)
#define SL_DEADLINE_NONE UINT64_MAX

uint64_t sl_clock_monotonic_ns(void);
uint64_t sl_clock_realtime_ns(void);
uint64_t sl_clock_thread_cpu_ns(void);

/* The kernel's randomness, 64 bits. */
uint64_t sl_random_seed(void);

/* xorshift64*: *state is never 0. Enough for jitter and spreading, not for secrets. */
uint64_t sl_random_next(uint64_t *state);

#endif
