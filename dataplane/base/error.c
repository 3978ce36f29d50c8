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
	char text[sizeof(err->text)];
	va_list args;
	int bytes;

	if (!err)
		return 0;
	memcpy(text, err->text, sizeof(text));
	va_start(args, fmt);
	bytes = vsnprintf(err->text, sizeof(err->text), fmt, args);
	va_end(args);
	if (bytes >= 0 && (size_t)bytes < sizeof(err->text))
		snprintf(err->text + bytes, sizeof(err->text) - (size_t)bytes, ": %s", text);
	return err->code;
}
