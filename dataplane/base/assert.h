/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Assertions are for the programmer's mistakes, never for what a peer sent: bytes from an application,
 * a broker or a configuration are validated and answered with an error.
 *
 * SL_ASSERT stays on in release. SL_DASSERT guards per-record checks that are too dear to ship.
 */
#ifndef SL_BASE_ASSERT_H
#define SL_BASE_ASSERT_H

#include <assert.h>
#include <stdint.h>

_Noreturn void sl_assert_fail(const char *expr, const char *file, int line);

#define SL_LIKELY(x) __builtin_expect(!!(x), 1)
#define SL_UNLIKELY(x) __builtin_expect(!!(x), 0)

#define SL_ASSERT(x) (SL_LIKELY(x) ? (void)0 : sl_assert_fail(#x, __FILE__, __LINE__))

#ifdef SL_DEBUG
#define SL_DASSERT(x) SL_ASSERT(x)
#else
#define SL_DASSERT(x) ((void)sizeof(!(x)))
#endif

#define SL_ARRAY_COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define SL_CONTAINER_OF(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

#endif
