/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What goes wrong. A world has some of these kinds; each comes up at random times until the faults
 * stop. What is done to a request is decided where the request is served, by the functions below.
 */
#ifndef SL_SIM_FAULTS_H
#define SL_SIM_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

struct sim;
struct call;
struct broker_conn;

/* X(name, may leave an outcome unknown, may make a record fail) */
#define FAULT_LIST(X)                                                                              \
	X(RESET, true, true)        /* a connection, at any moment */                              \
	X(CUT_ANSWER, true, true)   /* reset somewhere within an answer */                         \
	X(LOSE_ANSWER, true, true)  /* reset before the answer */                                  \
	X(SILENCE, true, true)      /* the answer never comes */                                   \
	X(GARBAGE, true, true)      /* bytes that are no answer */                                 \
	X(WRONG_ID, true, true)     /* the answer to a question nobody asked */                    \
	X(SLOW, true, true)         /* a broker takes its time */                                  \
	X(PAUSE, true, true)        /* a broker stands still; others are elected meanwhile */      \
	X(MOVE_LEADER, true, true)  /* a preferred election */                                     \
	X(STOP_BROKER, true, true)  /* and it comes back */                                        \
	X(REFUSE, false, true)      /* an error code, nothing was written */                       \
	X(REFUSE_AFTER, true, true) /* written, and an error code all the same */                  \
	X(FAIL, false, true)        /* an error code that is no use to try again */                \
	X(FEW_REPLICAS, true, true) /* a follower falls out of sync */                             \
	X(THROTTLE, false, true)                                                                   \
	X(UNREACHABLE, true, true)  /* connects get no answer */                                   \
	X(NAMES, false, true)       /* a name cannot be looked up */                               \
	X(PRODUCER_ID, false, true) /* InitProducerId is refused */                                \
	X(TOO_LARGE, false, true)   /* the topic takes smaller batches than we make */             \
	X(TOPIC_GROWS, false, true)                                                                \
	X(TOPIC_AGAIN, true, true) /* deleted and made anew */                                     \
	X(DELAY, true, true)       /* the network becomes slow for a while */                      \
	X(APP_DIES, false, false)                                                                  \
	X(APP_STALLS, false, false)                                                                \
	X(CLOCK, false, true)       /* the wall clock jumps */                                     \
	X(KILL_AGENT, false, false) /* at a turn or at a store, also of its start */               \
	X(STOP_AGENT, false, false) /* in order, with more or less time to drain */                \
	X(DAY, true, true)          /* passes while nothing is under way: brokers forget */

enum fault_kind {
#define X(name, unknown, fails) FAULT_##name,
	FAULT_LIST(X)
#undef X
		FAULT_COUNT
};

/* Processes die, and nothing else happens. */
#define FAULTS_DEATHS                                                                              \
	(UINT64_C(1) << FAULT_APP_DIES | UINT64_C(1) << FAULT_APP_STALLS |                         \
	 UINT64_C(1) << FAULT_KILL_AGENT | UINT64_C(1) << FAULT_STOP_AGENT)

struct faults {
	bool over;
	uint64_t next_ns;
	uint64_t counts[FAULT_COUNT];
	bool doubt;      /* something happened that may leave outcomes unknown */
	bool failing;    /* something happened that may make records fail */
	bool state_lost; /* a broker forgot what it knew of a producer */
	uint64_t delay_until_ns;
};

const char *fault_name(uint32_t kind);
/* Did anything happen that may make a record fail? */
bool faults_harmful(const struct sim *sim);
/* The agent is about to start: it may die in that. */
void faults_start(struct sim *sim);
/* The agent has just died or ended: applications may follow it. */
void faults_killed(struct sim *sim);

/* Injects what is due. */
void faults_turn(struct sim *sim);
/* No more from now on; what is broken is mended. */
void faults_stop(struct sim *sim);

/* While a request is served. True: the error instead of, or after, what would have been done. */
bool faults_produce_before(struct sim *sim, uint32_t broker, struct call *call, int16_t *error);
bool faults_produce_after(struct sim *sim, uint32_t broker, struct call *call, int16_t *error);
/* The answer stands in conn->out and may be spoilt. */
void faults_answer(struct sim *sim, uint32_t broker, struct broker_conn *conn);
/* A partition was answered with an error. */
void faults_answered(struct sim *sim, const struct call *call);
uint32_t faults_throttle(struct sim *sim);
int16_t faults_producer_id(struct sim *sim);
bool faults_name_lost(struct sim *sim);
/* A connection of this broker ended without an answer. */
void faults_doubt(struct sim *sim, uint32_t broker);

#endif
