/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of this folder share: the worker's state. Nobody outside includes this.
 *
 *   inbox.c      messages of the control thread          partition.c  what a partition sends next, and when
 *   segment.c    rings come and go                       request.c    Produce requests out of ready batches
 *   consume.c    rings -> batches                        response.c   outcomes of batches
 *   seal.c       closing and compressing batches         report.c     outcomes -> applications
 *   conn.c       connections, frames, versions           carry.c      the control thread's requests
 *   resume.c     what an earlier agent left
 *   ledger.c     the books by partition, broker and ring   flight.c   the flight recorder
 *   cut.c        batches that are refused as they are     budget.c     shares that are full, partitions to avoid
 *
 * All of it runs on the worker's thread.
 */
#ifndef SL_WORKER_INTERNAL_H
#define SL_WORKER_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "dataplane/base/assert.h"
#include "dataplane/base/clock.h"
#include "dataplane/batch/arena.h"
#include "dataplane/batch/batch.h"
#include "dataplane/batch/codec.h"
#include "dataplane/batch/partitioner.h"
#include "dataplane/batch/split.h"
#include "dataplane/shm/ring_reader.h"
#include "dataplane/transport/transport.h"
#include "dataplane/wire/api.h"
#include "dataplane/wire/produce.h"
#include "dataplane/worker/flight.h"
#include "dataplane/worker/heap.h"
#include "dataplane/worker/ledger.h"
#include "dataplane/worker/messages.h"
#include "dataplane/worker/worker.h"

#define NONE UINT32_MAX
/* Of ring_of_slot, besides an index: nobody waits for its reports; or it was there at load, and may come back. */
#define RING_GONE NONE
#define RING_MISSING (NONE - 1)

enum {
	INBOX_MESSAGES = 4096,
	OUTBOX_MESSAGES = 4096,
	MESSAGES_A_TURN = 64,
	EVENTS_A_TURN = 128,
	ITEMS_A_RUN = 64,              /* records walked, hashed and routed together */
	RING_BYTES_A_TURN = 256 * 1024, /* of one ring, so that rings take fair turns by bytes */
	REQUEST_BATCHES_MAX = 64,
	REQUEST_IOV_MAX = SL_TRANSPORT_IOV_MAX,
	REQUESTS_MAX = 128,
	CARRIES_MAX = 16,
	REMEMBERED_S = 600, /* a producer that a broker forgets (a day, unless it is set lower) has been idle for longer */
	CARRY_REQUEST_BYTES = 64 * 1024,
	FRAME_BYTES = 256 * 1024,       /* largest Produce answer: 64 partitions with their messages */
	FRAMES_MAX = 32,               /* answers that are being put together at one time */
	SENT_MAX = 5,                  /* batches that a broker remembers a partition and producer id */
	/* Less than this waits for company while a request is in flight, for at most GATHER_NS. */
	GATHER_BYTES = 256 * 1024,
	GATHER_NS = 500 * 1000,
	SCAN_NS = 100 * 1000 * 1000, /* how often delivery and answer deadlines are looked at */
};

/* One application ring of this worker. */
struct ring {
	struct sl_ring_reader reader;
	const struct sl_app_page *app;
	struct sl_agent_page *page;
	struct sl_report *reports;
	uint64_t report_write_pos;
	uint64_t report_read_pos; /* as last seen */
	uint64_t settled, failed, unknown; /* records, as shown in the page */
	uint64_t settled_base, failed_base, unknown_base; /* of that, under earlier agents */
	uint64_t report_told_pos; /* wake_fd was written at */
	uint32_t report_slots;
	uint32_t slot;    /* in the arena */
	uint32_t segment;
	uint32_t index; /* in its segment */
	uint32_t last_topic; /* of the last report, and the application's slot of it */
	uint16_t last_topic_slot;
	int wake_fd;
	uint8_t report_mode;
	bool open;     /* in use */
	bool reading;  /* false: poisoned, or drained */
	bool draining;
	bool resumed;  /* began under an earlier agent: its topics are bound anew */
	bool dead;     /* its application is gone: reports are discarded */
	uint64_t reset_seq; /* not 0: all before it is unknown, and there was no room yet to say so */
	bool parked;   /* its report slots are full */
	bool waits_topic, waits_arena; /* its next record needs metadata, or room */
	uint32_t waits_slot; /* of the partition in the arena for which it has to be, or NONE: any will do */
	bool touched;  /* something to tell the application at the end of this turn */
};

struct segment {
	struct sl_worker_segment *object; /* NULL: free */
	uint32_t slot;                    /* in the arena */
	bool draining;
	uint32_t rings[SL_SHM_RINGS_MAX]; /* index of ring, or NONE */
	uint16_t topics[SL_SHM_TOPICS_MAX]; /* application's slot -> topic; UINT16_MAX = not bound */
};

struct sl_topic_tables {
	uint32_t count;
	uint32_t *partitions; /* index in worker->partitions */
	uint32_t *queue;      /* batches that wait: for the adaptive partitioner */
	uint8_t *available;   /* its leader is known, not in trouble, and has room in its share */
};

struct topic {
	struct sl_worker_topic *object; /* NULL: free */
	struct sl_topic_settings settings;
	uint32_t slot; /* in the arena */
	int16_t error; /* of its metadata, when known */
	bool known;    /* metadata came: partition_count and error are true */
	uint32_t partition_count;
	struct sl_topic_tables *tables; /* NULL until metadata came */
	struct sl_uuid id;
	struct sl_modulus modulus;
	struct sl_sticky sticky;
	uint32_t round_robin;
	bool resumed;         /* the arena knew it at load */
	uint32_t resume_next; /* partition behind the last that was found again */
	/* A batch was too large for the brokers: settings.batch_bytes is what we learned of it, then. */
	uint64_t learned_ns; /* 0: nothing */
	uint32_t batch_bytes_given;
	struct sl_topic_stats stats;
};

enum doubt {
	DOUBT_NONE,
	DOUBT_WAITS,  /* to ask the leader, or to ask it again */
	DOUBT_ASKED,
	DOUBT_PROVES, /* one batch is sent again: its success proves it and those before it */
};

/*
 * A partition's line: at most one OPEN batch (or one being compressed), a queue of SEALED ones, and the SENT ones, in
 * order. SENT batches that are not in flight are to be sent again, the lowest first.
 *
 *   ring -> open -> (compressing) -> ready queue -> sent list -> resolved
 */
struct partition {
	uint32_t topic;
	int32_t index;
	uint32_t slot;   /* in the arena */
	uint32_t broker; /* leader, or NONE */
	int32_t leader_epoch;
	uint32_t open;         /* batch, or NONE */
	uint32_t compressing;  /* batches between open and ready */
	uint32_t ready_head, ready_tail; /* SEALED, linked by batch_extra.link */
	uint32_t sent_head, sent_tail;
	uint32_t sent_count, in_flight;
	uint32_t listed_bytes; /* what it adds to its connection's ready_bytes */
	struct conn *listed_in; /* the connection whose list it is in, or NULL */
	int32_t gap_seq;       /* base sequence of a batch that failed for good: what follows is numbered anew; -1 none */
	uint32_t attempts;     /* of the lowest batch, since the last success */
	uint32_t next_ready;   /* in its connection's list */
	uint32_t active_index; /* in worker->active, or NONE */
	bool leave;            /* the open batch leaves now: linger is over, or flush */
	bool held;             /* trouble: until the control thread says */
	bool lost;             /* the leader does not know our sequence any more: numbers start over */
	bool led;              /* it had a leader before: another one is news */
	bool warm;             /* a success of this producer id on this connection: batches may be pipelined */
	uint64_t success_ns;   /* the last one */
	enum doubt doubt;      /* see doubt.c */
	uint32_t doubt_asked;  /* how often in this doubt */
	uint64_t doubt_due_ns; /* DOUBT_WAITS: until then */
	uint32_t proof;        /* DOUBT_PROVES: the batch that is sent again */
	uint64_t orphan_ns;    /* when an attempt was last left unanswered: it may still be executed; 0 never */
};

/* What a batch's descriptor does not say: volatile, relearned after a restart. */
struct batch_extra {
	uint32_t link;      /* next of its list */
	uint32_t partition; /* NONE: rejects */
	bool in_flight;
	bool unclean; /* some attempt had no definite "no": it may be in the log */
	int16_t error; /* of the last attempt */
	uint32_t told; /* records, from RESOLVED */
};

enum conn_state {
	CONN_IDLE,       /* may be connected when needed */
	CONN_CONNECTING,
	CONN_VERSIONS,   /* ApiVersions is on its way */
	CONN_READY,
	CONN_CLOSING,    /* waiting for the transport's CLOSED */
	CONN_HELD,       /* until the control thread releases it */
};

struct conn {
	enum conn_state state;
	uint32_t handle; /* the transport's */
	uint32_t broker;
	enum sl_conn_class class;
	struct sl_api_versions versions;
	int16_t produce_version, produce_version_id; /* with topic names; with topic ids, or -1 */
	bool versions_fallback; /* v3 was refused: v0 */
	bool versions_stale; /* a version that was offered is refused: asked again on a new connection */
	uint32_t made; /* counts the times it was ready */
	bool down; /* it failed, and has neither been ready since nor anything left to be ready for */
	int close_error;
	int32_t correlation_next;
	uint64_t deadline_ns; /* connecting and versions */
	uint64_t mute_until_ns;
	uint64_t gather_until_ns;
	/* Requests in order: awaiting their answer. */
	uint32_t inflight[8];
	uint32_t inflight_head, inflight_count;
	/* Partitions with something to send. */
	uint32_t ready_head, ready_tail;
	uint64_t ready_bytes;
	struct conn *busy_next; /* in worker->busy */
	bool busy;
	/* A frame that did not arrive in one piece: its size field, then its bytes to frame_to. */
	uint8_t size_field[4];
	uint32_t size_have;
	uint8_t *frame_to;
	uint32_t frame_bytes, frame_have;
	uint32_t frame; /* of worker->frames that it holds meanwhile, or NONE */
};

enum request_kind { REQUEST_FREE, REQUEST_PRODUCE, REQUEST_VERSIONS, REQUEST_CARRY };

struct request {
	enum request_kind kind;
	uint32_t conn;
	int32_t correlation_id;
	int16_t api_key, version;
	bool sending;  /* the transport still has it */
	bool answered; /* or given up: the batches are taken care of */
	uint64_t deadline_ns;
	uint32_t next_free;
	uint32_t batch_count;
	uint32_t batches[REQUEST_BATCHES_MAX];
	struct sl_carry *carry;
	struct iovec iov[REQUEST_IOV_MAX];
	uint8_t *scratch;
};

struct sl_worker {
	struct sl_worker_options options;
	struct sl_arena *arena;
	struct sl_splitter *splitter;
	const struct sl_env *env; /* of this turn */
	uint64_t now_ns;          /* of this turn */
	uint64_t up_base_ns, up_boot_ns;
	uint32_t pid_slot; /* NONE: no producer id yet */
	bool pid_wanted;   /* asked for */
	bool pid_lost;   /* its epochs are used up */
	bool flushing, stopping, stop_at_once, stopped;
	bool flush_now; /* a ring asked for it in this turn */
	bool arena_freed; /* something was given back: rings that found the arena full look again */
	bool turn_open; /* the arena's turn number was moved in this turn */
	bool limits_learned; /* of some topic: see cut.c */
	uint32_t brokers_full, topics_full; /* shares of the arena that are noted as full */
	uint32_t share_slot; /* whose share the record that stopped a ring needs: as waits_slot of struct ring */

	struct ring *rings;
	uint32_t *ring_of_slot; /* the arena's ring slot -> ring, or RING_GONE, RING_MISSING */
	uint32_t missing_rings;
	uint32_t waiting_head; /* resolved batches with records of a ring that is missing */
	uint32_t ring_count;    /* highest used + 1 */
	uint32_t *touched;      /* rings with something to tell at the end of this turn */
	uint32_t touched_count;
	uint32_t sleep_number;
	uint32_t draining_count; /* segments */
	uint32_t ring_next;     /* who goes first in the next turn */
	struct segment *segments;
	struct topic *topics;
	struct partition *partitions;
	uint32_t partition_count;
	uint32_t *active; /* partitions that own a batch */
	uint32_t active_count;
	struct batch_extra *extras; /* by batch */
	struct conn *conns;         /* broker * SL_CONN_CLASS_COUNT + class */
	struct broker {
		struct sl_address address;
		bool set, removing;
		int32_t node;
	} *brokers;
	uint32_t brokers_high; /* highest ever set + 1 */

	struct conn *busy; /* connections with partitions listed */
	struct request *requests;
	uint8_t *scratch;
	uint32_t scratch_bytes; /* of one request */
	uint32_t request_free;
	struct sl_carry *carries[CARRIES_MAX];
	uint64_t carry_until_ns[CARRIES_MAX];
	uint32_t carry_count;
	uint8_t *frames; /* FRAMES_MAX of FRAME_BYTES, lent to connections whose answer comes in pieces */
	uint32_t frame_stack[FRAMES_MAX];
	uint32_t frames_free;

	struct sl_heap linger;          /* partitions whose open batch waits for company */
	uint32_t compress_head, compress_tail; /* batches, by batch_extra.link */
	struct sl_batch_compression compression; /* of the batch that is being compressed */
	uint32_t compressing;                    /* it, or NONE */
	uint32_t resolved_head, resolved_tail; /* batches whose reports are to be written */
	uint32_t parked_count;                 /* rings that do not read their reports */
	uint64_t scan_at_ns;
	uint32_t live_batches; /* open, sealed or sent */

	struct ledger {
		struct sl_counts *partitions; /* by place in worker->partitions; outcomes, queued is 0 */
		struct sl_counts *brokers;    /* by broker, and one more; the same */
		uint64_t *rejected;           /* by topic */
		struct sl_counts not_told, unplaced;
		uint64_t unknown_unacked;
		struct sl_worker_cut cut;
		/* written by: control; read by: worker. The other way round: done, release after the cut (acquire). */
		_Atomic uint32_t cut_asked, cut_done;
	} ledger;
	struct sl_flight flight, unknowns;

	struct sl_msg_ring inbox, outbox;
	struct sl_msg *backlog; /* outgoing messages that found the ring full */
	uint32_t backlog_count, backlog_max;

	struct sl_event events[EVENTS_A_TURN];
	struct sl_ring_item items[ITEMS_A_RUN];
	uint32_t hashes[ITEMS_A_RUN];
	uint8_t ways[ITEMS_A_RUN]; /* enum sl_partitioner_way, of records without a partition of their own */
	struct sl_worker_stats stats;
};

/* Single writer: a plain load and a relaxed store, no locked instruction. */
#define STAT_ADD(field, n)                                                                                             \
	atomic_store_explicit(&(field), atomic_load_explicit(&(field), memory_order_relaxed) + (n),                    \
			      memory_order_relaxed)

/* outbox.c */
void sl_worker_tell(struct sl_worker *w, const struct sl_msg *msg);
uint32_t sl_worker_outbox_flush(struct sl_worker *w);

/* inbox.c */
uint32_t sl_worker_messages(struct sl_worker *w);

/* segment.c */
void sl_segment_add(struct sl_worker *w, uint32_t segment, struct sl_worker_segment *object);
void sl_segment_drain(struct sl_worker *w, uint32_t segment, bool dead);
void sl_segment_wake_fd(struct sl_worker *w, uint32_t segment, uint32_t ring, int fd);
void sl_segment_bind(struct sl_worker *w, uint32_t segment, uint32_t slot, uint32_t topic);
void sl_segments_check_gone(struct sl_worker *w);
void sl_ring_touch(struct sl_worker *w, struct ring *ring);
/* Tells the ring that all before reset_seq is unknown unless it was reported. There is room. */
void sl_ring_reset_tell(struct ring *ring);
void sl_ring_poison(struct sl_worker *w, struct ring *ring, enum sl_poison code);
void sl_rings_stop(struct sl_worker *w);
bool sl_rings_drained(const struct sl_worker *w);

/* consume.c */
uint32_t sl_consume(struct sl_worker *w);
void sl_topic_sticky_next(struct sl_worker *w, struct topic *topic);
bool sl_ring_may_consume(const struct ring *ring);

/* partition.c */
void sl_partition_init(struct partition *p, uint32_t topic, int32_t index, uint32_t slot);
struct partition *sl_partition_add(struct sl_worker *w, uint32_t topic, int32_t index);
void sl_partition_update(struct sl_worker *w, struct partition *p);
void sl_partition_update_all(struct sl_worker *w);
void sl_partition_leave(struct sl_worker *w, struct partition *p);
void sl_partition_active(struct sl_worker *w, struct partition *p);
void sl_partition_trouble(struct sl_worker *w, struct partition *p, int16_t error, int32_t leader_hint);
uint32_t sl_partition_next_batch(struct sl_worker *w, struct partition *p);
bool sl_partition_can_send(const struct sl_worker *w, const struct partition *p);
uint32_t sl_partition_peek(const struct sl_worker *w, const struct partition *p);
void sl_sent_push(struct sl_worker *w, struct partition *p, uint32_t batch);
void sl_sent_remove(struct sl_worker *w, struct partition *p, uint32_t batch);
/* first .. last, count batches that are linked and end with what follows batch, stand in its place. */
void sl_sent_replace(struct sl_worker *w, struct partition *p, uint32_t batch, uint32_t first, uint32_t last,
		     uint32_t count);
void sl_ready_push(struct sl_worker *w, struct partition *p, uint32_t batch);
uint32_t sl_ready_pop(struct sl_worker *w, struct partition *p);
void sl_partitions_scan(struct sl_worker *w);
void sl_partition_recover(struct sl_worker *w, struct partition *p);
/* Under the next epoch: nothing is in flight, and what is in doubt becomes unknown. */
void sl_partition_start_over(struct sl_worker *w, struct partition *p);
/* False: they are used up, and a new producer id is asked for. */
bool sl_partition_epoch_next(struct sl_worker *w, const struct partition *p);
bool sl_sequence_before(uint32_t a, uint32_t b);
struct conn *sl_partition_conn(struct sl_worker *w, const struct partition *p);
bool sl_partition_idempotent(const struct sl_worker *w, const struct partition *p);

/*
 * cut.c. The batch was refused, and has left no trace with the broker. Each returns the batch that is to fail for good: the
 * one that was given when nothing is to be gained by cutting it, a piece of it, or NONE: all goes on.
 */
uint32_t sl_cut_large(struct sl_worker *w, struct partition *p, uint32_t batch);
uint32_t sl_cut_records(struct sl_worker *w, struct partition *p, uint32_t batch,
			const struct sl_produce_record_errors *errors);
uint32_t sl_cut_codec(struct sl_worker *w, struct partition *p, uint32_t batch);
/* Limits that were learned long ago are forgotten. */
void sl_limits_scan(struct sl_worker *w);

/*
 * doubt.c. begin: true when the partition's batches are looked after there, and nothing of it is sent meanwhile; nothing is
 * in flight. refused: true when that batch's refusal says nothing of the attempts before, and its partition is in doubt now.
 */
bool sl_doubt_begin(struct sl_worker *w, struct partition *p);
/* Something is in doubt that the leader may have forgotten since: to send it again could write it twice. */
bool sl_doubt_aged(const struct sl_worker *w, const struct partition *p);
/* The same, found at load: nothing is sent before the leader was asked. */
void sl_doubt_resumed(struct sl_worker *w, struct partition *p);
bool sl_doubt_refused(struct sl_worker *w, struct partition *p, uint32_t batch, int16_t error);
/* What the control thread found out; epoch and last_seq with SL_SEEN_AT. */
void sl_doubt_seen(struct sl_worker *w, struct partition *p, enum sl_seen seen, int16_t epoch, uint32_t last_seq);
/* The partition is about to get another leader. */
void sl_doubt_moved(struct sl_worker *w, struct partition *p);
/* That batch has left the list of those that are SENT. */
void sl_doubt_gone(struct partition *p, uint32_t batch);
/* Asks, where it is due. */
void sl_doubt_scan(struct sl_worker *w, struct partition *p);

/* budget.c */
/* Whether records without a place of their own may go to p, after something has changed; update moves them off it. */
void sl_available_set(struct sl_worker *w, const struct partition *p);
void sl_available_update(struct sl_worker *w, const struct partition *p);
void sl_conn_down_set(struct sl_worker *w, struct conn *c, bool down);
/* False, and noted as full: p's broker or topic has no room for so many more chunks. */
bool sl_share_ask(struct sl_worker *w, const struct partition *p, uint32_t chunks);
/* What p holds counts for its new leader. */
void sl_share_move(struct sl_worker *w, const struct partition *p);
void sl_arena_waiters_release(struct sl_worker *w);

/* seal.c */
void sl_partition_seal(struct sl_worker *w, struct partition *p);
uint32_t sl_compress_turn(struct sl_worker *w);

/* conn.c */
uint32_t sl_conns_events(struct sl_worker *w);
void sl_conn_busy(struct sl_worker *w, struct conn *c);
void sl_conn_want(struct sl_worker *w, struct conn *c);
void sl_conn_fail(struct sl_worker *w, struct conn *c, int error);
bool sl_conns_pending(const struct sl_worker *w);
void sl_conns_scan(struct sl_worker *w);
void sl_conn_ready_push(struct sl_worker *w, struct conn *c, struct partition *p);
void sl_conn_ready_remove(struct sl_worker *w, struct partition *p);
struct partition *sl_conn_ready_pop(struct sl_worker *w, struct conn *c);
void sl_conn_disconnect(struct sl_worker *w, uint32_t broker);

/* request.c */
uint32_t sl_requests_send(struct sl_worker *w);
uint64_t sl_requests_deadline_ns(const struct sl_worker *w);
struct request *sl_request_take(struct sl_worker *w, struct conn *c, enum request_kind kind);
void sl_request_release(struct sl_worker *w, struct request *r);
int sl_request_submit(struct sl_worker *w, struct request *r, uint32_t iov_count);

/* response.c */
int sl_produce_answered(struct sl_worker *w, struct request *r, const struct sl_rbuf *body);
void sl_produce_unanswered(struct sl_worker *w, struct request *r, int error);
void sl_produce_sent_unacked(struct sl_worker *w, struct request *r);

/* report.c */
void sl_batch_settle(struct sl_worker *w, uint32_t batch, enum sl_outcome outcome, int16_t error, int64_t base_offset);
void sl_outcome_count(struct sl_worker *w, struct topic *topic, enum sl_outcome outcome, uint32_t records);
void sl_resolved_push(struct sl_worker *w, uint32_t batch);
uint32_t sl_reports_turn(struct sl_worker *w);
void sl_rings_wake(struct sl_worker *w);

/* resume.c */
int sl_resume_begin(struct sl_worker *w);
bool sl_resume_topic(struct sl_worker *w, uint32_t index);
struct partition *sl_resume_partition(struct sl_worker *w, uint32_t index, int32_t partition);
void sl_resume_wait(struct sl_worker *w, uint32_t batch);
void sl_resume_ring_found(struct sl_worker *w);
void sl_resume_ring_drop(struct sl_worker *w, uint32_t slot);
void sl_resume_give_up(struct sl_worker *w, uint32_t segment_slot);
uint16_t sl_resume_topic_of(const struct sl_worker *w, uint32_t arena_topic);
void sl_resume_cluster(struct sl_worker *w, const char *id);

/* ledger.c */
int sl_ledger_init(struct sl_worker *w);
void sl_ledger_fini(struct sl_worker *w);
uint64_t sl_ledger_memory_bytes(const struct sl_worker_options *o);
/* A batch that is being given its outcome, before it is RESOLVED. */
void sl_ledger_settled(struct sl_worker *w, uint32_t batch, enum sl_outcome outcome, int16_t error);
/* The same for one that was found with its outcome, or holds rejected records: nothing is noted of it. */
void sl_ledger_found(struct sl_worker *w, uint32_t batch, enum sl_outcome outcome);
void sl_ledger_resolved(struct sl_worker *w, uint32_t batch);
void sl_ledger_told(struct sl_worker *w, uint32_t batch, uint32_t records, bool all);
void sl_ledger_ring_begin(struct ring *ring);
void sl_ledger_broker_gone(struct sl_worker *w, uint32_t broker);
void sl_ledger_turn(struct sl_worker *w);

/* flight.c */
int sl_flights_init(struct sl_worker *w);
void sl_flights_fini(struct sl_worker *w);
void sl_flight_note(struct sl_worker *w, const struct sl_flight_event *event);
void sl_flight_leader(struct sl_worker *w, struct partition *p, uint32_t before);
void sl_flight_refused(struct sl_worker *w, const struct partition *p, uint32_t batch, int16_t error);
void sl_flight_mended(struct sl_worker *w, const struct partition *p);
void sl_flight_epoch(struct sl_worker *w, const struct partition *p);
void sl_flight_throttled(struct sl_worker *w, const struct conn *c, int32_t throttle_ms);
void sl_flight_ended(struct sl_worker *w, const struct partition *p, uint32_t batch, enum sl_outcome outcome,
		     int16_t error);

/* carry.c */
void sl_carry_add(struct sl_worker *w, struct sl_carry *carry);
uint32_t sl_carries_turn(struct sl_worker *w);
void sl_carry_done(struct sl_worker *w, struct sl_carry *carry, int error);

static inline uint64_t sl_up_ns(const struct sl_worker *w)
{
	return w->up_base_ns + (w->now_ns - w->up_boot_ns);
}

static inline struct partition *sl_batch_partition(const struct sl_worker *w, uint32_t batch)
{
	uint32_t p = w->extras[batch].partition;

	return p == NONE ? NULL : &w->partitions[p];
}

#endif
