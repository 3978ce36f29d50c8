/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an agent and a keeper process say to each other: over SEQPACKET, one message of fixed size
 * for each question and each answer, descriptors beside it (SCM_RIGHTS).
 *
 *   HELLO         a = idle_ms                answer a = segments held, b = most it takes
 *   KEEP          id + D, S                  answer a = held; -ENOSPC, -EMFILE, -EBADF
 *   DROP          id                         answer a = held; -ENOENT
 *   LIST          a = index                  answer id + D, S; -ENOENT past the last
 *   LISTENER_PUT  a = dev, b = ino + socket  answer
 *   LISTENER_GET                             answer a = dev, b = ino + socket; -ENOENT
 *   GOODBYE                                  answer; the listener is closed, and the process ends
 *                                            after the connection if it holds nothing
 *
 * HELLO comes first. A keeper lives longer than the agent that started it, so the two may be of
 * different builds: the size of a message, its first four words and build, and HELLO and its answer
 * never change. A HELLO of another version is answered with -EPROTONOSUPPORT, the keeper's version
 * and build, and how much it holds. Everything else that is not as above ends the connection.
 */
#ifndef SL_AGENT_KEEPER_PROTOCOL_H
#define SL_AGENT_KEEPER_PROTOCOL_H

#include <assert.h>
#include <stdint.h>

#include "agent/keeper.h"
#include "dataplane/base/error.h"

enum {
	SL_KEEPER_VERSION = 1,
	SL_KEEPER_CONNS_MAX = 4, /* one agent, and whoever looks */
	SL_KEEPER_NAME_BYTES = 32,
};
#define SL_KEEPER_MAGIC 0x504b4c53u /* "SLKP" */

enum sl_keeper_kind {
	SL_KEEPER_HELLO = 1,
	SL_KEEPER_KEEP,
	SL_KEEPER_DROP,
	SL_KEEPER_LIST,
	SL_KEEPER_LISTENER_PUT,
	SL_KEEPER_LISTENER_GET,
	SL_KEEPER_GOODBYE,
	SL_KEEPER_KIND_END,
};

struct sl_keeper_msg {
	uint32_t magic, version, kind;
	int32_t result; /* answers: 0 or -errno */
	uint64_t id, a, b;
	char build[24];
};
static_assert(sizeof(struct sl_keeper_msg) == 64, "frozen for all versions");

/* A message and what came with it; descriptors that are not there are -1. */
struct sl_keeper_packet {
	struct sl_keeper_msg msg;
	int fds[SL_KEEPER_FDS];
	uint32_t fd_count;
};

void sl_keeper_packet_init(struct sl_keeper_packet *packet, enum sl_keeper_kind kind);
void sl_keeper_packet_close(struct sl_keeper_packet *packet);

/* Never blocks. 0 or -errno; -EAGAIN when the peer does not read. */
int sl_keeper_packet_send(int sock, const struct sl_keeper_packet *packet);

/*
 * Never blocks. 0; -EAGAIN; -EPIPE at the end; -EBADMSG for another size or magic; -EMFILE when
 * descriptors were cut off. On error nothing is left open.
 */
int sl_keeper_packet_recv(int sock, struct sl_keeper_packet *packet);

/* What the process is given: a bound socket that does not listen yet, its folder and its name
 * there. */
struct sl_keeper_server_options {
	int listen_fd;
	int dir_fd;
	int ready_fd; /* gets a HELLO once it listens, whose result is that of the sandbox */
	char name[SL_KEEPER_NAME_BYTES];
	uint32_t idle_ms;
	char *title;
	size_t title_bytes;
};

/*
 * Forks the process, twice, so that it belongs to init. Returns once it listens (sandboxed tells
 * whether under its system call filter) or failed to within SL_KEEPER_TIMEOUT_MS.
 */
int sl_keeper_spawn(const struct sl_keeper_server_options *options, bool *sandboxed,
		    struct sl_error *err);

/* The process's life after its set-up; returns when it has nothing more to do, just before it ends.
 * -errno: it could not begin. */
int sl_keeper_serve(const struct sl_keeper_server_options *options);

/* Allows what sl_keeper_serve() needs from here on and nothing else. 0 or -errno. */
int sl_keeper_sandbox(void);

#endif
