/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Detail for errors on cold paths. Functions return 0 or a negative errno; those that can say more take a
 * struct sl_error (the caller's, may be NULL) and fill it once, where the cause is known.
 */
#ifndef SL_BASE_ERROR_H
#define SL_BASE_ERROR_H

struct sl_error {
	int code; /* negative errno, as returned */
	char text[240];
};

/* Formats the text and returns code, so that a failing line reads `return sl_error_set(err, -EINVAL, ...)`. */
int sl_error_set(struct sl_error *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Puts "prefix: " before the text that is there already. Returns err->code. */
int sl_error_prefix(struct sl_error *err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif
