/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One worker's arena: the memory in which its batches are built and wait for their outcome, in a
 * file that outlives the process. Created by the control thread, then used by that worker alone:
 * nothing here allocates after creation, blocks or logs. arena_layout.h has the file; what is below
 * in memory only is rebuilt from it.
 */
#ifndef SL_BATCH_ARENA_H
#define SL_BATCH_ARENA_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/base/assert.h"
#include "dataplane/base/error.h"
#include "dataplane/batch/arena_layout.h"
#include "dataplane/batch/budget.h"

enum { SL_REJECT_ERRORS_MAX = 16 }; /* different errors with open reject batches at one time */

struct sl_arena_options {
	uint32_t chunk_bytes; /* power of two, 4 .. 32 KiB; 16 KiB unless measured otherwise */
	uint64_t bytes;       /* of all chunks; rounded down to whole chunks */
	uint32_t partitions_max, topics_max, segments_max, rings_max, worker_index;
	uint32_t batch_bytes_max;   /* record bytes of one batch before compression, without its
				       61-byte header */
	uint32_t batch_records_max; /* at most SL_BATCH_RECORDS_LIMIT */
	uint32_t brokers_max; /* whose shares are counted */
	/* Of what other brokers, or topics, have left; see budget.h. 0 is 100: no limit. */
	uint32_t broker_percent, topic_percent;
};

/* Beside each batch, of the chain that is being written. The arena's own. */
struct sl_batch_link {
	uint32_t last_chunk;
	uint32_t chunks_left; /* that the batch may still take; UINT32_MAX: no limit of its own; 0
				 after a load, so that it ends with its last chunk */
	uint32_t chunks; /* that count in the budget */
};

struct sl_arena_reject {
	int16_t error;
	uint32_t batch; /* OPEN */
};

/* What the batches that were found at load say of a ring. */
struct sl_ring_evidence {
	uint64_t end_seq; /* behind its last record in batches of the last turn; 0: none there */
	uint64_t live;    /* records of it that wait for their report */
};

struct sl_arena {
	uint8_t *base; /* of the mapping: offsets in the file count from here */
	struct sl_arena_batch *batches;
	uint64_t chunks_offset;
	uint32_t chunk_bytes, chunk_shift;
	uint32_t turn; /* low half of header->turn */
	uint32_t batch_bytes_max, batch_records_max;
	struct sl_arena_chunk *dir;
	struct sl_batch_link *links; /* by batch */
	uint64_t *ring_seq;          /* by ring: seq of the stored cursor */

	struct sl_arena_header *header;
	struct sl_arena_segment *segments;
	struct sl_arena_ring *rings;
	struct sl_arena_topic *topics;
	struct sl_arena_partition *partitions;
	uint32_t segment_count, ring_count, topic_count, partition_count, batch_count, chunk_count;

	/* The most recently freed is taken first, so that a fast broker keeps the working set in
	 * the cache. */
	uint32_t *chunk_stack, *batch_stack;
	uint32_t chunks_free, batches_free;
	uint32_t chunks_reserve, batches_reserve; /* never for new records */
	uint32_t chunks_split; /* of chunks_reserve: for one split; the rest is for one compression */

	struct sl_budget budget;
	uint64_t birth_next; /* counter << 20 */
	/* Filled at load, in memory only: batches that were found, the oldest first. */
	struct sl_ring_evidence *evidence; /* by ring */
	uint32_t *by_birth;
	uint32_t by_birth_count;
	struct sl_arena_reject rejects[SL_REJECT_ERRORS_MAX];
	uint32_t reject_count;
	uint8_t *scratch; /* one record of batch_bytes_max: those that span chunks are checked here
			   */

	uint64_t file_bytes, memory_bytes;
	char *path; /* NULL: anonymous memory */
};

/* Bytes of the file, and of the tables in memory beside it. 0 when options are out of range. Any
 * thread. */
uint64_t sl_arena_file_bytes(const struct sl_arena_options *opts);
uint64_t sl_arena_memory_bytes(const struct sl_arena_options *opts);

/*
 * Makes a new, empty arena at path, on tmpfs or hugetlbfs, in a directory that only the agent's
 * user can enter. Control thread; may take 0.1 s per GiB. The file is locked for as long as it is
 * mapped. -EWOULDBLOCK  a living agent owns the arena that is there -EEXIST       an arena without
 * owner is there and holds records: the caller loads it, or moves it away -EINVAL, -ENOMEM, -ENOSPC
 * and what open, flock and mmap return An arena without owner and without records is replaced.
 */
int sl_arena_create(struct sl_arena **out, const struct sl_arena_options *opts, const char *path,
		    struct sl_error *err);

/* What a load found and did; counts of batches unless a name says otherwise. */
struct sl_arena_loaded {
	uint64_t records; /* that wait: for their outcome or for their report */
	uint32_t open, sealed, sent, resolved;
	uint32_t unnumbered; /* their partition had moved to another epoch */
	uint32_t unknown;    /* sent without producer id: nobody can say what became of them */
	uint32_t condemned;  /* damaged, but their records are told an outcome */
	uint32_t lost;       /* damaged so that nobody knows whose they were */
	uint32_t slots_lost; /* topics, partitions, segments, rings that were none */
	uint32_t segments, rings;
};

/*
 * Maps the arena that an earlier agent left at path, checks every byte of its metadata that is
 * used and brings it to rest. Its own geometry rules; of opts the limits of a batch are taken. What
 * is in it may be hostile or torn: work is bounded by its size, damaged batches are given an
 * outcome (see struct sl_arena_loaded). It may be killed anywhere and done again.
 *
 * Afterwards: rings that are LIVE wait for sl_arena_ring_attach() or sl_arena_ring_retire(), and
 * sl_arena_turn_begin() for all of them. by_birth lists the batches.
 *
 * 0; -ENOENT; -EWOULDBLOCK a living agent has it; -EPROTO another layout, whose batches are live;
 * -ESTALE another layout or geometry without live batches or applications: it may be replaced;
 * -EBADMSG header damaged, or it is from before the host was started. Control thread.
 */
int sl_arena_load(struct sl_arena **out, const struct sl_arena_options *opts, const char *path,
		  struct sl_arena_loaded *loaded, struct sl_error *err);

/* The same from a mapping of bytes, which is the arena's from then on when it returns 0. */
int sl_arena_load_memory(struct sl_arena **out, const struct sl_arena_options *opts, uint8_t *base,
			 uint64_t bytes, struct sl_arena_loaded *loaded, struct sl_error *err);

/* Does anything in it belong to somebody: a batch, or the rings of an application? */
bool sl_arena_holds(const struct sl_arena *a);

/* The same in anonymous memory, for tests and the simulator. */
int sl_arena_create_memory(struct sl_arena **out, const struct sl_arena_options *opts,
			   struct sl_error *err);

/* Unmaps, which gives the lock back; removes the file only if remove is set. NULL is allowed. */
void sl_arena_destroy(struct sl_arena *a, bool remove);

/*
 * Looks at the arena at path without keeping it: *live_records is how many records wait in it,
 * build the version text of who wrote it. 0; -ENOENT; -EWOULDBLOCK while somebody lives in it;
 * -EBADMSG when it is no arena or damaged; -EPROTO when its layout is another version's (build is
 * filled then, live_records is 1 or 0 by its hint). Control thread.
 */
int sl_arena_probe(const char *path, uint64_t *live_records, char build[static 40],
		   struct sl_error *err);

/*
 * Validates every invariant of the tables: states, chains that cover their tails, no chunk with two
 * owners, unique births, sums, ascending runs, numbers of SENT batches. crashed: the memory beside
 * the file is not looked at, as after a kill. For tests and the simulator: slow, allocates. 0 or
 * -EBADMSG with the first violation's text.
 */
int sl_arena_check(const struct sl_arena *a, bool crashed, struct sl_error *err);

/* A consume phase begins. All cursors of the last one have been stored. */
void sl_arena_turn_begin(struct sl_arena *a);

/* Where reading of a ring goes on: byte position and number of the next record. Before
 * S.consumed_pos is moved. */
void sl_arena_ring_cursor_store(struct sl_arena *a, uint32_t ring_slot, uint64_t pos, uint64_t seq);
struct sl_arena_ring_cursor sl_arena_ring_cursor(const struct sl_arena *a, uint32_t ring_slot);

/* Slots. 0 and *slot, or -ENOSPC when the table is full. What goes in comes from the control
 * thread, by message. */
int sl_arena_pid_add(struct sl_arena *a, int64_t producer_id, uint64_t now_realtime_ms,
		     uint32_t *slot);
/* The cluster whose numbers these are. It may become another's: then all producer ids are forgotten
 * first. */
bool sl_arena_cluster_known(const struct sl_arena *a);
bool sl_arena_cluster_is(const struct sl_arena *a, const char *id);
void sl_arena_cluster_store(struct sl_arena *a, const char *id);
/* No batch is SENT. */
void sl_arena_pids_forget(struct sl_arena *a);

int sl_arena_topic_add(struct sl_arena *a, const char *name, const uint8_t topic_id[16],
		       uint32_t *slot);
void sl_arena_topic_partitions_store(struct sl_arena *a, uint32_t topic_slot,
				     uint32_t partition_count);
void sl_arena_topic_drop(struct sl_arena *a,
			 uint32_t topic_slot); /* its partitions are dropped already */
int sl_arena_partition_add(struct sl_arena *a, uint32_t topic_slot, int32_t index, uint32_t *slot);
/* No live batch names it any more. Its numbers are never used again under this producer id. */
void sl_arena_partition_drop(struct sl_arena *a, uint32_t partition_slot);
/* After an acknowledgement; offset -1: not known. */
void sl_arena_partition_acked(struct sl_arena *a, uint32_t partition_slot, int64_t now_realtime_ms,
			      int64_t max_ts, int64_t offset);
/* The highest leader epoch that a request was sent to; before its first byte. */
void sl_arena_partition_leader_store(struct sl_arena *a, uint32_t partition_slot,
				     uint32_t leader_epoch);

struct sl_arena_segment_init {
	uint32_t uid, gid;
	uint32_t ring_first, ring_count; /* the client's own ring numbers that this worker reads */
	uint64_t ring_bytes, data_dev, data_ino, status_dev, status_ino;
	uint8_t client_id[16], token[16];
};

int sl_arena_segment_add(struct sl_arena *a, const struct sl_arena_segment_init *init,
			 uint32_t *slot);
void sl_arena_segment_topic_store(struct sl_arena *a, uint32_t segment_slot,
				  uint32_t client_topic_slot, uint32_t topic_slot);
void sl_arena_segment_drop(struct sl_arena *a,
			   uint32_t segment_slot); /* its rings are retired already */

/* A ring begins at position 0, record 0. It may be consumed once the keeper holds its segments. */
int sl_arena_ring_add(struct sl_arena *a, uint32_t segment_slot, uint32_t index, uint32_t *slot);
/* One that goes on at pos with record seq: whoever finds it in the arena finds that too. */
int sl_arena_ring_add_at(struct sl_arena *a, uint32_t segment_slot, uint32_t index, uint64_t pos, uint64_t seq,
			 uint32_t *slot);
void sl_arena_ring_mode_store(struct sl_arena *a, uint32_t ring_slot, uint32_t report_mode);

/* A ring's two pages and its bytes, as they were found again. */
struct sl_arena_ring_memory {
	const struct sl_app_page *app;
	struct sl_agent_page *page;
	const struct sl_report *reports;
	const uint8_t *data;
	uint64_t ring_bytes;
	uint32_t report_slots;
	uint32_t record_bytes_max; /* of a record's header.length */
};

struct sl_arena_ring_attached {
	uint64_t pos, seq;         /* where reading goes on */
	uint64_t report_write_pos; /* entries that were written */
	uint64_t settled;          /* records before seq whose report is out */
	/* The last report was out, but not noted: its outcome and how many records, 0: none. */
	uint8_t outcome;
	uint32_t count;
};

/*
 * Step 3 of recovery for a ring that was LIVE at load: entombs the run that its last report shows,
 * derives the true cursor from the batches of the last turn, and stores it. Both memories are the
 * application's to forge: enum sl_poison, SL_POISON_NONE when it is right; else nothing of the ring
 * is read. May be killed anywhere and done again. Worker.
 */
enum sl_poison sl_arena_ring_attach(struct sl_arena *a, uint32_t ring_slot,
				    const struct sl_arena_ring_memory *memory,
				    struct sl_arena_ring_attached *out);

/* Its application is gone and it is drained. The slot is used again when no live batch can name it
 * any more. */
void sl_arena_ring_retire(struct sl_arena *a, uint32_t ring_slot);

/* Free for new records: the reserve is not counted. */
static inline uint32_t sl_arena_chunks_free(const struct sl_arena *a)
{
	return a->chunks_free > a->chunks_reserve ? a->chunks_free - a->chunks_reserve : 0;
}

static inline uint32_t sl_arena_batches_free(const struct sl_arena *a)
{
	return a->batches_free > a->batches_reserve ? a->batches_free - a->batches_reserve : 0;
}

static inline uint64_t sl_arena_chunk_offset(const struct sl_arena *a, uint32_t chunk)
{
	return a->chunks_offset + ((uint64_t)chunk << a->chunk_shift);
}

/* The whole region of chunks, for transports that register memory. */
static inline uint8_t *sl_arena_chunks(const struct sl_arena *a, uint64_t *bytes)
{
	*bytes = (uint64_t)a->chunk_count << a->chunk_shift;
	return a->base + a->chunks_offset;
}

#endif
