/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request on its way through the broker: header, version check, the handler of its API, and
 * the response that is built behind earlier ones in the connection's output. Single thread.
 */
#ifndef SL_DEVBROKER_REQUEST_H
#define SL_DEVBROKER_REQUEST_H

#include "tools/devbroker/broker.h"

/* Growing output. start..pos is not sent yet. */
struct sl_db_out {
	struct sl_wbuf w; /* pos, end; base is where it begins */
	uint8_t *base;
	size_t sent_bytes;
};

enum sl_db_verdict {
	SL_DB_REPLY,    /* the response stands in the output */
	SL_DB_NO_REPLY, /* acks=0 */
	SL_DB_WAIT,  /* nothing done: serve the same bytes again at call.wake_ns or after an append
		      */
	SL_DB_CLOSE, /* the handler has logged why */
};

struct sl_db_call {
	struct sl_db *db;
	const struct sl_db_node *node;
	struct sl_db_out *out;
	const char *peer;       /* for the log */
	const char *local_host; /* the address by which the client reached us */
	struct sl_rbuf r;       /* the body */
	int16_t api_key;
	int16_t version;
	bool flexible;
	int32_t correlation_id;
	struct sl_slice client_id;
	bool first_try;    /* in: false when a wait is over or interrupted */
	uint64_t wake_ns;  /* in and out: the end of a wait */
	uint64_t mute_ns;  /* out: do not read on before this */
	bool fault_closed; /* out: the close was asked for */
};

/* Serves one frame (without its size field). */
enum sl_db_verdict sl_db_request_serve(struct sl_db_call *call, struct sl_slice frame);

/* True when the frame is a Produce request; for faults that come before serving. */
bool sl_db_request_is_produce(struct sl_slice frame);

/* Grows the output so that bytes more fit; on failure the writer overflows. */
void sl_db_out_room(struct sl_db_out *out, size_t bytes);

/* The handlers. They read call->r and write after the response header. */
enum sl_db_verdict sl_db_serve_produce(struct sl_db_call *call);
enum sl_db_verdict sl_db_serve_fetch(struct sl_db_call *call);
enum sl_db_verdict sl_db_serve_list_offsets(struct sl_db_call *call);
enum sl_db_verdict sl_db_serve_metadata(struct sl_db_call *call);
enum sl_db_verdict sl_db_serve_api_versions(struct sl_db_call *call);
enum sl_db_verdict sl_db_serve_create_topics(struct sl_db_call *call);
enum sl_db_verdict sl_db_serve_delete_topics(struct sl_db_call *call);
enum sl_db_verdict sl_db_serve_init_producer_id(struct sl_db_call *call);
enum sl_db_verdict sl_db_serve_describe_cluster(struct sl_db_call *call);
enum sl_db_verdict sl_db_serve_describe_producers(struct sl_db_call *call);

#endif
