/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is left of an agent that crashes: SIGSEGV, SIGBUS, SIGILL, SIGFPE and SIGABRT (failed
 * assertions) write the ledger, the batches that ended unknown and the flight recorder into
 * private/crash.txt of the runtime folder (the one before it becomes crash.1.txt), a line to
 * stderr, and then take their course: core, exit status and the next agent's recovery are as
 * without it. Only calls that are safe in signal handlers; nothing is believed of the state but
 * that memory is mapped.
 *
 * Process-wide, since signals are: one agent a process. Thread: control.
 */
#ifndef SL_AGENT_CRASH_H
#define SL_AGENT_CRASH_H

struct sl_agent;

/* agent has to stay where it is until sl_crash_disarm(). 0 or -errno: then crashes are as without
 * it. */
int sl_crash_arm(const struct sl_agent *agent, const char *private_path);
/* Each crash appends a byte there, before all else; -1: none does. The descriptor stays the
 * caller's. */
void sl_crash_count_to(int fd);
/* From now on the signals only take their course. Does nothing when it was never armed. */
void sl_crash_disarm(void);

#endif
