/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The faults that --fault asks for, and the dice for them: all randomness comes from one seed.
 * Single thread.
 */
#ifndef SL_DEVBROKER_FAULT_H
#define SL_DEVBROKER_FAULT_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/base/error.h"
#include "dataplane/wire/buf.h"

enum { SL_DB_FAULT_ERRORS_MAX = 16, SL_DB_FAULT_NO_LEADER_MAX = 16 };

/* The releases whose version ranges can be imitated; columns of a table in request.c. */
enum sl_db_release {
	SL_DB_RELEASE_2_1,
	SL_DB_RELEASE_2_4,
	SL_DB_RELEASE_2_8,
	SL_DB_RELEASE_3_7,
	SL_DB_RELEASE_4_0,
	SL_DB_RELEASE_NEWEST,
	SL_DB_RELEASE_COUNT
};

struct sl_db_fault_error {
	int16_t code;
	double probability;
	int64_t left; /* -1: for ever */
};

/* What is done to a batch that is acknowledged all the same. */
enum sl_db_lie { SL_DB_LIE_LOSE, SL_DB_LIE_DOUBLE, SL_DB_LIE_SWAP, SL_DB_LIE_COUNT };

struct sl_db_fault_lie {
	double probability;
	int64_t left; /* -1: for ever */
};

struct sl_db_fault_no_leader {
	char topic[250];
	int32_t partition;
	uint64_t until_ns; /* since the start */
};

struct sl_db_faults {
	uint64_t random_state;
	uint64_t delay_ns;
	double delay_probability;
	struct sl_db_fault_error errors[SL_DB_FAULT_ERRORS_MAX];
	uint32_t error_count;
	double close_probability;
	double close_after_append_probability;
	double garbage_probability;
	struct sl_db_fault_lie lies[SL_DB_LIE_COUNT];
	uint64_t slow_bytes_per_s; /* 0: off, as for all that follow */
	uint64_t leader_move_every_ns;
	uint64_t stall_ns;
	uint64_t stall_every_ns;
	struct sl_db_fault_no_leader no_leaders[SL_DB_FAULT_NO_LEADER_MAX];
	uint32_t no_leader_count;
	uint32_t throttle_ms;
	uint64_t forget_producers_every_ns;
	enum sl_db_release release;
};

void sl_db_faults_init(struct sl_db_faults *faults, uint64_t seed);

/* Adds what one --fault says. 0 or -EINVAL with the reason. */
int sl_db_fault_parse(struct sl_db_faults *faults, const char *spec, struct sl_error *err);

/* One line each, for --help. */
const char *sl_db_fault_help(void);

/* True with that probability. Never draws for 0, so that a fault not asked for costs nothing. */
bool sl_db_fault_strikes(struct sl_db_faults *faults, double probability);

/* The error to answer for a partition in a Produce request, 0 for none. */
int16_t sl_db_fault_error(struct sl_db_faults *faults);

/* True while no-leader holds for this partition; since_start_ns is the broker's age. */
bool sl_db_fault_no_leader(const struct sl_db_faults *faults, struct sl_slice topic,
			   int32_t partition, uint64_t since_start_ns);

#endif
