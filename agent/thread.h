/* SPDX-License-Identifier: Apache-2.0 */
/* Threads of the agent: small stacks, so that their memory can be told beforehand. Thread: control.
 */
#ifndef SL_AGENT_THREAD_H
#define SL_AGENT_THREAD_H

#include <pthread.h>

/* A kernel that backs a large stack with huge pages would make 2 MiB of the few pages that are
 * used. */
#define SL_THREAD_STACK_BYTES (512 * 1024)

/* As pthread_create(), and with its errors. */
int sl_thread_create(pthread_t *thread, void *(*main)(void *ctx), void *ctx);

#endif
