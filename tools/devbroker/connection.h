/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client's connection: bytes in, frames, bytes out. As in Kafka one request is served at a time
 * and nothing is read ahead of it while it waits. Single thread.
 */
#ifndef SL_DEVBROKER_CONNECTION_H
#define SL_DEVBROKER_CONNECTION_H

#include "tools/devbroker/request.h"

struct sl_db_conn {
	struct sl_db *db;
	const struct sl_db_node *node;
	struct sl_db_conn *prev, *next;
	int fd;
	uint32_t events; /* what epoll watches */
	char peer[80];
	char local_host[64];
	uint8_t *in;
	size_t in_start, in_end, in_capacity;
	bool in_filled; /* the last read got all it asked for */
	struct sl_db_out out;
	uint64_t wake_ns; /* SL_DEADLINE_NONE: not waiting */
	bool fetch_waits; /* an append may end the wait */
	bool retry;       /* the frame at the front was tried before */
	bool dead;        /* closed as soon as nobody looks at it */
	bool last_words;  /* closes when the output is sent */
	double slow_credit_bytes;
	uint64_t slow_since_ns;
};

/* Takes a socket over. NULL (socket closed) without memory. */
struct sl_db_conn *sl_db_conn_open(struct sl_db *db, const struct sl_db_node *node, int fd);
void sl_db_conn_close(struct sl_db_conn *conn);

/* After epoll said so. May set conn->dead. */
void sl_db_conn_event(struct sl_db_conn *conn, uint32_t events);

/* Goes on with what waits: its time came, or there was an append. */
void sl_db_conn_wake(struct sl_db_conn *conn);

#endif
