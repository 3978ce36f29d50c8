/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/os.h"

#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>

#include "dataplane/client/client.h"
#include "dataplane/shm/wake.h"
#include "tests/sim/sim.h"

enum { LOCKS_MAX = 128 };

static struct {
	dev_t device;
	ino_t inode;
} locks[LOCKS_MAX];
static uint32_t lock_count;

int __real_clock_gettime(clockid_t clock, struct timespec *out);
int __wrap_clock_gettime(clockid_t clock, struct timespec *out);
int __real_fcntl64(int fd, int command, ...);
int __wrap_fcntl64(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...);
int __real_poll(struct pollfd *fds, nfds_t count, int timeout_ms);
int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout_ms);
ssize_t __wrap_getrandom(void *out, size_t bytes, unsigned flags);
void __wrap_sl_wake_wait(const struct sl_agent_page *agent, uint32_t seen, uint64_t timeout_ns);
void __real_sl_ring_ring_bell(sluice_ring *ring, uint32_t sleep);
void __wrap_sl_ring_ring_bell(sluice_ring *ring, uint32_t sleep);
uint32_t __real_sl_client_step(sluice_client *client);
uint32_t __wrap_sl_client_step(sluice_client *client);

/* ---- time and chance ---- */

int __wrap_clock_gettime(clockid_t clock, struct timespec *out)
{
	uint64_t ns;

	if (!sim_current || (clock != CLOCK_MONOTONIC && clock != CLOCK_REALTIME &&
			     clock != CLOCK_REALTIME_COARSE && clock != CLOCK_BOOTTIME))
		return __real_clock_gettime(clock, out);
	ns = sim_current->now_ns;
	if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)
		ns = (uint64_t)sim_realtime_ms(sim_current) * SL_NS_PER_MS + ns % SL_NS_PER_MS;
	out->tv_sec = (time_t)(ns / SL_NS_PER_S);
	out->tv_nsec = (long)(ns % SL_NS_PER_S);
	return 0;
}

ssize_t __wrap_getrandom(void *out, size_t bytes, unsigned flags)
{
	uint8_t *p = out;

	for (size_t i = 0; i < bytes; i++)
		p[i] = (uint8_t)(sim_random(sim_current) >> 32);
	return (ssize_t)bytes;
}

/* ---- locks ---- */

static int32_t lock_find(const struct stat *file)
{
	for (uint32_t i = 0; i < lock_count; i++)
		if (locks[i].device == file->st_dev && locks[i].inode == file->st_ino)
			return (int32_t)i;
	return -1;
}

void os_lock_drop(int fd)
{
	struct stat file;
	int32_t at;

	if (fd < 0 || fstat(fd, &file) < 0)
		return;
	at = lock_find(&file);
	if (at >= 0)
		locks[at] = locks[--lock_count];
}

void os_locks_clear(void)
{
	lock_count = 0;
}

/* Real POSIX locks are a process's, and all of the simulator is one: they would never conflict. */
static int lock_call(int fd, int command, struct flock *lock)
{
	struct stat file;

	if (fstat(fd, &file) < 0)
		return -1;
	if (command == F_GETLK) {
		lock->l_type = lock_find(&file) >= 0 ? F_WRLCK : F_UNLCK;
		return 0;
	}
	if (lock_find(&file) < 0) {
		if (lock_count == LOCKS_MAX)
			sim_violation(sim_current, "more locks than the simulator has room for");
		locks[lock_count].device = file.st_dev;
		locks[lock_count++].inode = file.st_ino;
	}
	return 0;
}

int __wrap_fcntl64(int fd, int command, ...)
{
	va_list args;
	long value;

	va_start(args, command);
	value = va_arg(args, long);
	va_end(args);
	if (sim_current && (command == F_SETLK || command == F_GETLK))
		return lock_call(fd, command, (struct flock *)value);
	return __real_fcntl64(fd, command, value);
}

int __wrap_fcntl(int fd, int command, ...)
{
	va_list args;
	long value;

	va_start(args, command);
	value = va_arg(args, long);
	va_end(args);
	return __wrap_fcntl64(fd, command, value);
}

/* ---- waiting ---- */

int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
	struct sim *sim = sim_current;
	uint64_t until_ns;
	int rc = __real_poll(fds, count, 0);

	if (!sim || timeout_ms == 0 || rc != 0)
		return rc;
	sim->box.socket_looks = BOX_SOCKET_LOOKS;
	until_ns = timeout_ms < 0 ? UINT64_MAX : sim->now_ns + (uint64_t)timeout_ms * SL_NS_PER_MS;
	sim->depth++;
	while (rc == 0 && sim->now_ns < until_ns) {
		sim_step(sim);
		rc = __real_poll(fds, count, 0);
	}
	sim->depth--;
	return rc;
}

void __wrap_sl_wake_wait(const struct sl_agent_page *agent, uint32_t seen, uint64_t timeout_ns)
{
	struct sim *sim = sim_current;
	uint64_t until_ns = sim->now_ns + timeout_ns;

	sim->depth++;
	while (sim->now_ns < until_ns &&
	       atomic_load_explicit(&agent->wake_word, memory_order_relaxed) == seen)
		sim_step(sim);
	sim->depth--;
}

/* Some bell may have been rung: each worker's epoll knows whether it was its own. */
static void bells_look(void)
{
	for (uint32_t i = 0; i < SIM_WORKERS_MAX; i++)
		sim_current->box.workers[i].bell_rung = true;
}

void __wrap_sl_ring_ring_bell(sluice_ring *ring, uint32_t sleep)
{
	bells_look();
	__real_sl_ring_ring_bell(ring, sleep);
}

/* One that comes back rings its new bell by itself. */
uint32_t __wrap_sl_client_step(sluice_client *client)
{
	if (sl_client_state(client) != SLUICE_ATTACHED)
		bells_look();
	return __real_sl_client_step(client);
}
