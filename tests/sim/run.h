/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SL_SIM_RUN_H
#define SL_SIM_RUN_H

#include <stdbool.h>
#include <stdint.h>

struct run_result {
	uint64_t hash, events, steps, records, virtual_ns;
	uint64_t fault_count;
};

/* One seed from its world to its checks. Comes back only when everything held. */
struct run_result run_seed(uint64_t seed, bool verbose);

#endif
