/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime.dir: 0755, with agent.sock (0666: who may do what is decided per connection) and private/
 * (0700: arena, keeper, lock). One agent a directory: the lock on private/lock says who, so that a
 * dead agent's socket is replaced and a living one's is not. Thread: control, at start and end.
 */
#ifndef SL_AGENT_RUNTIME_DIR_H
#define SL_AGENT_RUNTIME_DIR_H

#include "agent/keeper.h"
#include "dataplane/base/error.h"

enum { SL_PATH_BYTES = 256 };

struct sl_runtime_dir {
	char path[SL_PATH_BYTES];
	char private_path[SL_PATH_BYTES + 16];
	char socket_path[108]; /* what fits into a sockaddr_un */
	int lock_fd;
	int listen_fd;
};

/*
 * Makes what is missing and takes the lock; nobody can connect yet. -EADDRINUSE: a living agent has
 * it, with its pid in the text; -EPERM: the folder belongs to another user; -ENAMETOOLONG; others
 * as the system says.
 */
int sl_runtime_dir_take(struct sl_runtime_dir *dir, const char *path, struct sl_error *err);

/*
 * Listens. With the socket of an earlier agent (NULL: there is none) that still has its file, it
 * goes on listening there, so whoever connected meanwhile is served; its descriptor moves in any
 * case. 0 or -errno; on error the dir is as before.
 */
int sl_runtime_dir_listen(struct sl_runtime_dir *dir, const struct sl_keeper_listener *earlier,
			  struct sl_error *err);

/* Both of the above. */
int sl_runtime_dir_open(struct sl_runtime_dir *dir, const char *path, struct sl_error *err);

/* The socket with its file, as a keeper is given it; the descriptor stays the dir's. 0 or -errno.
 */
int sl_runtime_dir_listener(const struct sl_runtime_dir *dir, struct sl_keeper_listener *out);

/* Stops listening: later connects fail. The folder stays the agent's. */
void sl_runtime_dir_unlisten(struct sl_runtime_dir *dir);

/* Removes the socket and gives the lock back. A dir that was never opened must have -1 in both
 * descriptors. */
void sl_runtime_dir_close(struct sl_runtime_dir *dir);

#endif
