/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/base/assert.h"

void sl_assert_fail(const char *expr, const char *file, int line)
{
	fprintf(stderr, "assertion failed: %s (%s:%d)\n", expr, file, line);
	abort();
}

int sl_error_set(struct sl_error *err, int code, const char *fmt, ...)
{
	va_list args;

	if (!err)
		return code;
	err->code = code;
	va_start(args, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, args);
	va_end(args);
	return code;
}

int sl_error_prefix(struct sl_error *err, const char *fmt, ...)
{
	char prefix[sizeof(err->text)];
	size_t bytes, kept;
	va_list args;

	if (!err)
		return 0;
	va_start(args, fmt);
	vsnprintf(prefix, sizeof(prefix) - 2, fmt, args);
	va_end(args);
	strcat(prefix, ": ");
	bytes = strlen(prefix);
	kept = sizeof(err->text) - bytes - 1;
	memmove(err->text + bytes, err->text, kept);
	memcpy(err->text, prefix, bytes);
	err->text[sizeof(err->text) - 1] = '\0';
	return err->code;
}
