/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/worker/guard.h"

#include <dlfcn.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define GUARD_OFF 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define GUARD_OFF 1
#endif
#endif

static bool guarded;

void guard_begin(void)
{
	guarded = true;
}

void guard_end(void)
{
	guarded = false;
}

#ifdef GUARD_OFF
bool guard_works(void)
{
	return false;
}
#else
bool guard_works(void)
{
	return true;
}

static void look(const char *what)
{
	static const char text[] = "a worker's turn called ";

	if (!guarded)
		return;
	guarded = false;
	(void)!write(STDERR_FILENO, text, sizeof(text) - 1);
	(void)!write(STDERR_FILENO, what, strlen(what));
	(void)!write(STDERR_FILENO, "\n", 1);
	abort();
}

/* glibc's own names stay reachable when malloc's are ours. */
void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *p, size_t bytes);
void __libc_free(void *p);
void *__libc_memalign(size_t alignment, size_t bytes);

__attribute__((visibility("default"))) void *malloc(size_t bytes)
{
	look("malloc");
	return __libc_malloc(bytes);
}

__attribute__((visibility("default"))) void *calloc(size_t count, size_t bytes)
{
	look("calloc");
	return __libc_calloc(count, bytes);
}

__attribute__((visibility("default"))) void *realloc(void *p, size_t bytes)
{
	look("realloc");
	return __libc_realloc(p, bytes);
}

__attribute__((visibility("default"))) void free(void *p)
{
	if (p)
		look("free");
	__libc_free(p);
}

__attribute__((visibility("default"))) void *aligned_alloc(size_t alignment, size_t bytes)
{
	look("aligned_alloc");
	return __libc_memalign(alignment, bytes);
}

/* What waits for others. The real one is behind ours. */
#define GUARDED(type, name, parameters, arguments)                                                 \
	__attribute__((visibility("default"))) type name parameters                                \
	{                                                                                          \
		static type(*real) parameters;                                                     \
		look(#name);                                                                       \
		if (!real)                                                                         \
			*(void **)&real = dlsym(RTLD_NEXT, #name);                                 \
		return real arguments;                                                             \
	}

GUARDED(int, pthread_mutex_lock, (pthread_mutex_t * mutex), (mutex))
GUARDED(int, pthread_cond_wait, (pthread_cond_t * cond, pthread_mutex_t *mutex), (cond, mutex))
GUARDED(int, nanosleep, (const struct timespec *time, struct timespec *left), (time, left))
GUARDED(int, usleep, (useconds_t us), (us))
GUARDED(int, poll, (struct pollfd * fds, nfds_t count, int timeout), (fds, count, timeout))
#endif
