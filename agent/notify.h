/* SPDX-License-Identifier: Apache-2.0 */
/* Messages to the service manager, sd_notify's datagrams written by ourselves. Thread: control. */
#ifndef SL_AGENT_NOTIFY_H
#define SL_AGENT_NOTIFY_H

#include <stdbool.h>

/* Is there a service manager that listens (NOTIFY_SOCKET)? */
bool sl_notify_present(void);

/* Sends "READY=1" and the like; several assignments are separated by newlines. 0, -ENOENT without a
 * manager, -EAGAIN when it does not read for a second, -errno. */
int sl_notify(const char *state);

/* The same with a descriptor beside it, which stays the caller's; -1: none. */
int sl_notify_fd(const char *state, int fd);

/* Waits until the manager has done what was sent before. 0, -ETIMEDOUT, or as above. */
int sl_notify_barrier(int timeout_ms);

/* Does stderr go to the journal (JOURNAL_STREAM names its device and inode)? Then lines carry a
 * priority. */
bool sl_notify_journal(int fd);

#endif
