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

/* X(name, may leave an outcome unknown) */
#define FAULT_LIST(X)                                                                              \
	X(RESET, true)        /* a connection, at any moment */                                    \
	X(CUT_ANSWER, true)   /* reset somewhere within an answer */                               \
	X(LOSE_ANSWER, true)  /* reset before the answer */                                        \
	X(SILENCE, true)      /* the answer never comes */                                         \
	X(GARBAGE, true)      /* bytes that are no answer */                                       \
	X(WRONG_ID, true)     /* the answer to a question nobody asked */                          \
	X(SLOW, true)         /* a broker takes its time */                                        \
	X(PAUSE, true)        /* a broker stands still; others are elected meanwhile */            \
	X(MOVE_LEADER, true)  /* a preferred election */                                           \
	X(STOP_BROKER, true)  /* and it comes back */                                              \
	X(REFUSE, false)      /* an error code, nothing was written */                             \
	X(REFUSE_AFTER, true) /* written, and an error code all the same */                        \
	X(FAIL, false)        /* an error code that is no use to try again */                      \
	X(FEW_REPLICAS, true) /* a follower falls out of sync */                                   \
	X(THROTTLE, false)                                                                         \
	X(UNREACHABLE, true)  /* connects get no answer */                                         \
	X(NAMES, false)       /* a name cannot be looked up */                                     \
	X(PRODUCER_ID, false) /* InitProducerId is refused */                                      \
	X(TOO_LARGE, false)   /* the topic takes smaller batches than we make */                   \
	X(TOPIC_GROWS, false)                                                                      \
	X(TOPIC_AGAIN, true) /* deleted and made anew */                                           \
	X(DELAY, true)       /* the network becomes slow for a while */                            \
	X(APP_DIES, false)                                                                         \
	X(APP_STALLS, false)                                                                       \
	X(CLOCK, false) /* the wall clock jumps */                                                 \
	X(KILL_AGENT, true)

enum fault_kind {
#define X(name, unknown) FAULT_##name,
	FAULT_LIST(X)
#undef X
		FAULT_COUNT
};

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
