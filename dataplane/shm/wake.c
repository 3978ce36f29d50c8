/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/shm/wake.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "dataplane/base/clock.h"

static long membarrier(int command)
{
	return syscall(SYS_membarrier, command, 0, 0);
}

int sl_wake_register(void)
{
	return membarrier(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED) == 0 ? 0 : -errno;
}

bool sl_wake_order_available(void)
{
	long commands = membarrier(MEMBARRIER_CMD_QUERY);

	return commands > 0 && (commands & MEMBARRIER_CMD_GLOBAL_EXPEDITED) != 0;
}

void sl_wake_order(void)
{
	/* Refused by an old kernel or a seccomp filter: WELCOME has then told the applications to
	 * fence. */
	if (membarrier(MEMBARRIER_CMD_GLOBAL_EXPEDITED) != 0)
		atomic_thread_fence(memory_order_seq_cst);
}

uint32_t sl_wake_app(const struct sl_app_page *app, struct sl_agent_page *agent, uint32_t events)
{
	uint32_t wanted = atomic_load_explicit(&app->waiting, memory_order_relaxed) & events;

	if (wanted == 0)
		return 0;
	atomic_fetch_add_explicit(&agent->wake_word, 1, memory_order_release);
	syscall(SYS_futex, &agent->wake_word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
	return wanted;
}

void sl_wake_wait(const struct sl_agent_page *agent, uint32_t seen, uint64_t timeout_ns)
{
	struct timespec timeout = {.tv_sec = (time_t)(timeout_ns / SL_NS_PER_S),
				   .tv_nsec = (long)(timeout_ns % SL_NS_PER_S)};

	/* The callers look again whatever woke them: value changed, signal, time. */
	syscall(SYS_futex, &agent->wake_word, FUTEX_WAIT, seen, &timeout, NULL, 0);
}
