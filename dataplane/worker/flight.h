/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a worker writes down of its own accord, in two rings of base/flight.h: its last events, and
 * its last batches whose outcome is unknown. The control thread tells of connections, applications
 * and metadata itself, since it gets messages of them; here is what no message says. Writing costs
 * a few stores, per batch that met trouble or per event, never per record.
 */
#ifndef SL_WORKER_FLIGHT_H
#define SL_WORKER_FLIGHT_H

#include "dataplane/base/flight.h"

struct sl_worker;

enum {
	SL_FLIGHT_EVENTS = 1024,  /* of a worker that are kept */
	SL_FLIGHT_UNKNOWNS = 256, /* batches of a worker that are kept */
	SL_FLIGHT_NODE_NONE = -1,
};

/*
 * a is the topic's index, b the partition unless the line says otherwise. A topic of UINT32_MAX is
 * one that the arena held and that nobody has named yet.
 */
enum sl_flight_kind {
	/* The leader moved: c = node before, d = node now (int64; -1 none), e = leader epoch. */
	SL_FLIGHT_LEADER = 1,
	/* A batch: code; c = node, d = records, e = base sequence, f = producer epoch. */
	SL_FLIGHT_REFUSED,
	/* A batch was written after trouble: d = attempts that had failed. */
	SL_FLIGHT_MENDED,
	/* The producer epoch was bumped: d = why (enum sl_flight_why), code, e = epoch now. */
	SL_FLIGHT_EPOCH,
	/* By a broker: b = class of the connection, c = node, d = milliseconds. */
	SL_FLIGHT_THROTTLED,
	SL_FLIGHT_FAILED,  /* a batch, for good: code; d = records */
	SL_FLIGHT_UNKNOWN, /* a batch: code; d = records */
	SL_FLIGHT_STOPPED, /* d = records that stay queued */
	SL_FLIGHT_KIND_COUNT,
};

enum sl_flight_why {
	SL_FLIGHT_WHY_GAP = 1, /* a batch failed for good, and its numbers are missing now */
	SL_FLIGHT_WHY_LOST,    /* the leader knew our sequence no more */
};

/*
 * An entry of the other ring. a, b, code as above (code is the cause: of the last attempt, or of
 * the end); c = producer id (-1: none), d = record count << 32 | producer epoch, e = base sequence,
 * f = node (int64). kind is SL_FLIGHT_UNKNOWN. The sequences are e .. e + count - 1, modulo 2^31.
 * Batches of acks=0 are not among them: they are unknown by nature.
 */

/* Any thread, signal handlers; they live as long as the worker. */
const struct sl_flight *sl_worker_events(const struct sl_worker *worker);
const struct sl_flight *sl_worker_unknowns(const struct sl_worker *worker);

#endif
