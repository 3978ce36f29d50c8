/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stamped sender's journal: what it sent and what became of it, in a mapped file that stays truthful when the sender is
 * killed at any instruction. `sluice verify` holds the topic against it.
 *
 * File, version 1, native byte order (it is read on the host that wrote it), 4096 bytes of struct journal_file, then two
 * tables of JOURNAL_SLOTS slots of 32 bytes. Named STREAM-SENDER.journal, both in hex. Its blocks are allocated when it
 * is made, so that no later store can find the disk full.
 *
 * Why it is truthful. The sender's stores to a shared mapping survive its death in program order (a compiler barrier
 * keeps that order; no fence is needed, since nobody reads while it lives but `verify`, which allows for it). It does not
 * survive the machine's death: nothing is synced.
 *   - claimed is stored before a record's commit, committed after it. So every record that the agent can have has
 *     a sequence below claimed, and every one below committed was handed over. A sequence between the two may be either.
 *   - An outcome's slot is written before the word that counts it; a run that follows on a slot's end grows it by one
 *     store of its count. When a table is full, its merged and sorted content is written into the other one, which
 *     one store of `table` then makes the valid one.
 *   - Persisted records are counted only; what is kept singly are the exceptions: failed, unknown, dropped. A full table
 *     first gives up partitions, offsets and error codes that keep neighbours apart. When the exceptions still need more
 *     than JOURNAL_SLOTS runs, further ones widen one span [spill_low, spill_high) in which nothing can be decided of
 *     records that are absent.
 *   - A report that was taken from the ring and not yet written here is lost with the sender: its record has no outcome
 *     here, and counts as committed. The window is a few instructions.
 *
 * Thread: the sender's. A POSIX write lock on the file's first byte is held while it lives.
 */
#ifndef SLUICE_TOOL_JOURNAL_H
#define SLUICE_TOOL_JOURNAL_H

#include <assert.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/base/error.h"

enum {
	JOURNAL_VERSION = 1,
	JOURNAL_HEADER_BYTES = 4096,
	JOURNAL_SLOTS = 8192, /* two tables: 516 KiB a file */
	JOURNAL_TOPIC_BYTES = 256, /* 249 is the longest name */
	JOURNAL_CLUSTER_BYTES = 64,
};

#define JOURNAL_MAGIC "SLUICEJ\n"
#define JOURNAL_SUFFIX ".journal"

enum journal_outcome {
	JOURNAL_PERSISTED = 1, /* enum sluice_outcome, and what the sender never handed over */
	JOURNAL_FAILED = 2,
	JOURNAL_UNKNOWN = 3,
	JOURNAL_DROPPED = 4,
	JOURNAL_OUTCOMES
};

enum journal_end {
	JOURNAL_RUNNING = 0,   /* or killed */
	JOURNAL_ENDED = 1,     /* every record had its outcome */
	JOURNAL_ENDED_OPEN = 2 /* the sender gave up waiting for some: from settled_below on they are unknown */
};

struct journal_slot {
	uint64_t first;
	uint64_t count;
	int64_t offset;    /* of first, those that follow behind it; -1 not known */
	int32_t partition; /* -1 not known */
	int16_t error;     /* Kafka's */
	uint8_t outcome;   /* enum journal_outcome */
	uint8_t zero;
};
static_assert(sizeof(struct journal_slot) == 32, "journal's layout");

struct journal_file { /* written by: the sender; read by: verify */
	char magic[8];
	uint32_t version;
	uint32_t header_bytes;
	uint64_t file_bytes;
	uint64_t stream;
	uint32_t sender;
	uint32_t slots;
	int64_t started_ms; /* Unix time */
	uint64_t pid;
	char cluster[JOURNAL_CLUSTER_BYTES]; /* the agent's cluster id; "" not known then */
	char topic[JOURNAL_TOPIC_BYTES];
	alignas(64) uint64_t claimed; /* sequences 0 .. claimed-1 may have been handed over */
	uint64_t committed;           /* sequences 0 .. committed-1 were */
	alignas(64) uint64_t settled_below; /* the outcome of each below is known: its exception is here, or it persisted */
	uint64_t counts[JOURNAL_OUTCOMES];  /* records by outcome, [0] not used */
	uint64_t table;                     /* which << 32 | slots in use */
	uint64_t spill_low, spill_high;     /* empty when low >= high */
	uint64_t end;                       /* enum journal_end */
};
static_assert(sizeof(struct journal_file) <= JOURNAL_HEADER_BYTES, "journal's layout");
static_assert(offsetof(struct journal_file, claimed) == 384, "journal's layout");

struct journal {
	struct journal_file *file;
	int fd;
	uint32_t spilled; /* runs that found the table full since it was last merged */
	char path[4096];
};

struct journal_identity {
	const char *topic;
	const char *cluster; /* NULL not known */
	uint64_t stream;
	uint32_t sender;
};

/*
 * The folder where journals go when none is named: $SLUICE_JOURNALS, else $XDG_STATE_HOME/sluice/journals, else
 * /var/lib/sluice/journals for root, else ~/.local/state/sluice/journals. 0, or -ENOENT (no home), -ENAMETOOLONG.
 */
int journal_folder(char *text, size_t bytes);

/* Makes a journal in a folder, which is made too. 0 or a negative errno with the reason. */
int journal_create(struct journal *j, const char *folder, const struct journal_identity *who, struct sl_error *err);
void journal_close(struct journal *j);

/* Before the record with this sequence may reach the agent. */
static inline void journal_claim(struct journal *j, uint64_t sequence)
{
	__atomic_store_n(&j->file->claimed, sequence + 1, __ATOMIC_RELAXED);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

/* After it was handed over. */
static inline void journal_commit(struct journal *j, uint64_t sequence)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	__atomic_store_n(&j->file->committed, sequence + 1, __ATOMIC_RELAXED);
}

/* What became of a run of records. */
void journal_outcome(struct journal *j, const struct journal_slot *run);

/* Persisted records by now, where they are not reported run by run. */
void journal_persisted(struct journal *j, uint64_t count);

/* Every record below has its outcome, and every exception among them is written. */
void journal_settle(struct journal *j, uint64_t sequence);

void journal_end(struct journal *j, enum journal_end how);

#endif
