/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/order.h"

#include <fcntl.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

jmp_buf order_dead;

static uint64_t countdown; /* 0: not armed */
static bool inside;

static struct {
	bool on;
	int fd; /* that was locked last, -1: none */
	void *base;
	size_t bytes;
} load = {.fd = -1};

void sl_test_order(void);
int __real_flock(int fd, int operation);
int __wrap_flock(int fd, int operation);
void *__real_mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap64(void *at, size_t bytes, int protection, int flags, int fd, off_t offset);
int __real_close(int fd);
int __wrap_close(int fd);

void sl_test_order(void)
{
	if (!inside || countdown == 0 || --countdown > 0)
		return;
	inside = false;
	longjmp(order_dead, 1);
}

void order_arm(uint64_t points)
{
	countdown = points;
}

bool order_armed(void)
{
	return countdown > 0;
}

void order_enter(void)
{
	inside = true;
}

void order_leave(void)
{
	inside = false;
}

void order_load_begin(void)
{
	load.on = true;
	load.fd = -1;
	load.base = NULL;
}

void order_load_end(void)
{
	load.on = false;
}

void order_load_drop(void)
{
	if (!load.on)
		return;
	load.on = false;
	if (load.base)
		munmap(load.base, load.bytes);
	if (load.fd >= 0)
		__real_close(load.fd);
}

int __wrap_flock(int fd, int operation)
{
	if (load.on)
		load.fd = fd;
	return __real_flock(fd, operation);
}

void *__wrap_mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset)
{
	void *base = __real_mmap(at, bytes, protection, flags, fd, offset);

	if (load.on && fd >= 0 && fd == load.fd && base != MAP_FAILED) {
		load.base = base;
		load.bytes = bytes;
	}
	return base;
}

void *__wrap_mmap64(void *at, size_t bytes, int protection, int flags, int fd, off_t offset)
{
	return __wrap_mmap(at, bytes, protection, flags, fd, offset);
}

int __wrap_close(int fd)
{
	if (fd == load.fd)
		load.fd = -1;
	return __real_close(fd);
}
