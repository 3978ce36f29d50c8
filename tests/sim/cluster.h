/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A model of a Kafka cluster: what brokers do to a producer, and no more. The controller's truth is
 * struct part; what a broker believes is struct replica, and follows later. Each replica has a log
 * of its own, so that a deposed leader can append what nobody will ever read.
 */
#ifndef SL_SIM_CLUSTER_H
#define SL_SIM_CLUSTER_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/transport/transport.h"
#include "dataplane/wire/batch_header.h"
#include "dataplane/wire/buf.h"
#include "tests/sim/world.h"

struct sim;

enum {
	MODEL_TOPICS_MAX = 8, /* lives of topics: one that is made again is another */
	MODEL_WINDOW = 5,     /* batches of a producer that a broker remembers */
	MODEL_PRODUCERS_MAX = 24,
	MODEL_CONNS_MAX = 96,
	MODEL_CALLS_MAX = 64,       /* partitions in a Produce request */
	MODEL_EXPIRY_MS = 86400000, /* producer.id.expiration.ms */
	MODEL_BUCKETS = 4096,
};

struct model_id { /* of a record */
	uint32_t book, seq;
};

struct model_batch { /* as some leader took it; never changed */
	int64_t producer_id;
	int16_t producer_epoch;
	int32_t base_sequence;
	uint32_t count, first_id;
	int64_t max_timestamp_ms;
	uint32_t crc; /* covers all of it but the leader's epoch */
	uint32_t spec;
	int32_t partition;
	uint32_t same_hash; /* the next batch of its bucket, plus one */
};

struct log_entry {
	uint32_t batch;
	int32_t leader_epoch;
	int64_t base_offset;
};

struct model_producer {
	int64_t id; /* -1: free */
	int16_t epoch;
	int32_t last_sequence;
	int64_t last_timestamp_ms;
	uint32_t window_count; /* the oldest first */
	struct {
		int32_t first, last;
		int64_t offset, timestamp_ms;
	} window[MODEL_WINDOW];
};

struct replica {
	struct log_entry *entries;
	uint32_t count, room;
	int64_t end_offset, high_watermark;
	/* What DeleteRecords left; kept_start is what a disk has of it, which a clean stop writes.
	 */
	int64_t start_offset, kept_start;
	bool kept; /* its broker is down, but stopped in order */
	struct model_producer producers[MODEL_PRODUCERS_MAX];
	/* What this broker believes of the partition. */
	int32_t leader, epoch;
	uint32_t isr;
	uint64_t view_due_ns;
	/* A follower's: the epoch in which it has cut its log and fetched. */
	int32_t fetch_epoch;
	uint64_t fetch_due_ns, caught_up_ns;
};

struct part {
	int32_t leader, epoch; /* leader -1: none */
	uint32_t isr, replicas;
	struct replica at[SIM_BROKERS_MAX];
};

struct model_topic {
	char name[32];
	struct sl_uuid id;
	uint32_t spec; /* topic of the world */
	bool deleted;
	uint32_t part_count;
	struct part parts[SIM_PARTITIONS_MAX];
};

/* One partition of a Produce request. */
struct call {
	struct model_topic *topic; /* NULL: unknown */
	char name[32];             /* as asked; below v13 */
	struct sl_uuid id;
	int32_t partition;
	int16_t error;
	int64_t base_offset, append_time_ms, start_offset;
	int64_t wait_offset; /* answered once the high watermark is there; -1: decided */
	int32_t epoch;       /* of the leader that appended */
};

enum conn_state { CONN_IDLE, CONN_SERVICE, CONN_WAIT, CONN_DELAY, CONN_MUTED };

struct broker_conn {
	bool used;
	bool orphan; /* nobody hears the answers any more */
	uint32_t worker, handle;
	enum conn_state state;
	uint64_t due_ns;
	uint8_t *in;
	uint32_t in_bytes, in_room;
	uint32_t frame_bytes; /* of the one being served, with its size field */
	int16_t api_key, version;
	int32_t correlation_id;
	int16_t acks;
	uint32_t throttle_ms;
	struct call calls[MODEL_CALLS_MAX];
	uint32_t call_count;
	uint8_t *out;
	uint32_t out_bytes, out_done, out_room;
	int64_t cut_at; /* reset after this many bytes of the answer; -1: no */
	bool mute_forever;
};

struct broker {
	bool up;
	bool reachable;   /* new connections get through */
	uint64_t back_ns; /* when down: until */
	uint64_t slow_until_ns, paused_until_ns;
	uint32_t release;
};

struct cluster {
	struct broker brokers[SIM_BROKERS_MAX];
	struct model_topic topics[MODEL_TOPICS_MAX];
	uint32_t topic_count;
	struct broker_conn conns[SIM_BROKERS_MAX][MODEL_CONNS_MAX];
	struct model_batch *batches;
	uint32_t batch_count, batch_room;
	uint32_t by_numbers[MODEL_BUCKETS]; /* index plus one */
	struct model_id *ids;
	uint32_t id_count, id_room;
	int64_t producer_id_next;
	uint64_t next_ns; /* when it wants to be called next, unless bytes arrive */
	/* What happened, for the checks. */
	uint64_t duplicates, out_of_order, truncated, elections, requests;
};

/* cluster.c */
void cluster_init(struct sim *sim);
void cluster_fini(struct sim *sim);
/* Everything that is due now: views, replication, requests. Returns work done. */
uint32_t cluster_turn(struct sim *sim);
struct model_topic *topic_by_name(struct sim *sim, struct sl_slice name);
struct model_topic *topic_by_id(struct sim *sim, const struct sl_uuid *id);
struct model_topic *topic_make(struct sim *sim, uint32_t spec);
void topic_grow(struct sim *sim, struct model_topic *topic, uint32_t part_count);
/* Another leader (broker, or -1 for none) under the next epoch; views follow. */
void part_elect(struct sim *sim, struct model_topic *topic, uint32_t part, int32_t leader);
/* kill -9, but for one that was told of it by broker_flush(). */
void broker_stop(struct sim *sim, uint32_t broker, uint64_t back_ns);
void broker_flush(struct sim *sim, uint32_t broker);
/* producer.id.expiration.ms is over for all of them. */
void cluster_producers_expire(struct sim *sim);
void cluster_soon(struct sim *sim, uint64_t at_ns);
struct sl_address broker_address(uint32_t broker);

/* log.c */
int64_t log_append(struct sim *sim, struct replica *replica, uint32_t batch, int32_t epoch);
/* Drops entries from index on and forgets what their producers did; keep_window = false: of those
 * that stay only each producer's newest batch is remembered. */
void log_truncate(struct sim *sim, struct replica *replica, uint32_t count, bool keep_window);
/* DeleteRecords up to this offset, -1 for the high watermark. A Kafka error code. */
int16_t log_delete(struct replica *replica, int64_t offset);
/* What a broker that starts knows of its disk: each producer's newest batch, of those that are not
 * too old. After a clean stop it stands there; after a kill it is read from the log, from where the
 * disk says that the log starts. */
void log_reload(struct sim *sim, struct replica *replica);
/* A clean stop writes where the log begins and what producers did. */
void log_keep(struct replica *replica);
/* Takes what the leader has; true when something changed. */
bool log_follow(struct sim *sim, struct replica *replica, const struct replica *leader);
/* Checks and notes a batch's records. The index in cluster->batches. */
uint32_t batch_note(struct sim *sim, uint32_t spec, int32_t partition,
		    const struct sl_batch_view *view);
/* One with the numbers of a batch that some leader wrote has to be that batch, to the last byte. */
void batch_same_check(struct sim *sim, uint32_t spec, int32_t partition,
		      const struct sl_batch_view *view);

/* producer_state.c: Kafka's five rules. 0, 45, 47 or 59; a duplicate with its offset and time. */
int16_t producer_check(struct sim *sim, struct replica *replica, const struct sl_batch_view *view,
		       uint32_t release, bool *duplicate, struct call *call);
void producer_note(struct sim *sim, struct replica *replica, const struct model_batch *batch,
		   int64_t offset);
void producer_forget(struct replica *replica, int64_t producer_id);
struct model_producer *producer_find(struct replica *replica, int64_t producer_id);

/* conn.c */
uint32_t conns_turn(struct sim *sim);
/* Resets all connections of a broker, or of a worker that is gone. */
void conns_reset(struct sim *sim, uint32_t broker);
/* The agent was killed: what is on the wire arrives and is served. */
void conns_orphan_all(struct sim *sim);
bool conns_idle(const struct sim *sim);

/* serve.c: executes the frame of a connection. True: the answer stands in conn->out. */
enum serve_result { SERVE_ANSWER, SERVE_WAIT, SERVE_SILENT, SERVE_CLOSE };
enum serve_result serve(struct sim *sim, uint32_t broker, struct broker_conn *conn);

/* produce.c */
enum serve_result produce_execute(struct sim *sim, uint32_t broker, struct broker_conn *conn,
				  struct sl_rbuf *body);
/* Looks at what waits for replicas; true when all is decided and the answer written. */
bool produce_decide(struct sim *sim, uint32_t broker, struct broker_conn *conn, bool timed_out);
/* The body's writer, after the response header was put. */
void produce_answer(struct sim *sim, uint32_t broker, struct broker_conn *conn);
struct sl_wbuf conn_answer_begin(struct sim *sim, struct broker_conn *conn, uint8_t **frame,
				 uint32_t bytes);
void conn_answer_end(struct sim *sim, struct broker_conn *conn, struct sl_wbuf *w, uint8_t *frame);

#endif
