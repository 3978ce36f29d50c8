/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between guard_begin() and guard_end() the process aborts, naming the function, when it allocates,
 * frees, locks or sleeps: a worker's turn must do none of it. Works by interposing their names in
 * the test program, so that codecs and libc are caught too. Off under sanitizers, which bring an
 * allocator of their own.
 */
#ifndef SL_TEST_WORKER_GUARD_H
#define SL_TEST_WORKER_GUARD_H

#include <stdbool.h>

void guard_begin(void);
void guard_end(void);

/* False where the guard can catch nothing: under a sanitizer. */
bool guard_works(void);

#endif
