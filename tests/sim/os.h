/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands between the real library and the kernel. The linker puts functions of os.c in the
 * place of a few calls (--wrap): the clocks are the simulator's, a lock on a data segment belongs
 * to the simulated application, and a call that would wait lets the world go on instead.
 */
#ifndef SL_SIM_OS_H
#define SL_SIM_OS_H

/* The process that held the lock on this file has died. */
void os_lock_drop(int fd);
void os_locks_clear(void);

#endif
