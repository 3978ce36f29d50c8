/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of this folder share: bytes written as hex, and frames cut at every byte. */
#ifndef SL_TESTS_WIRE_SUPPORT_H
#define SL_TESTS_WIRE_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/wire/api.h"

struct bytes {
	uint8_t at[512];
	size_t count;
};

static inline int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Blanks may stand anywhere between digits. */
static inline struct bytes bytes_of(const char *hex)
{
	struct bytes b = {.count = 0};
	int high = -1;

	for (; *hex; hex++) {
		int digit = hex_digit(*hex);

		if (digit < 0)
			continue;
		if (high < 0) {
			high = digit;
			continue;
		}
		assert_true(b.count < sizeof(b.at));
		b.at[b.count++] = (uint8_t)(high << 4 | digit);
		high = -1;
	}
	assert_int_equal(high, -1);
	return b;
}

static inline void assert_bytes(const void *data, size_t count, const char *hex)
{
	struct bytes want = bytes_of(hex);

	assert_int_equal(count, want.count);
	assert_memory_equal(data, want.at, count);
}

static inline void assert_text(struct sl_slice s, const char *text)
{
	assert_true(sl_slice_equal(s, sl_slice_of(text)));
}

/* Opens a response frame (with its size field): checks the size, reads the header, gives the body.
 */
static inline struct sl_rbuf body_of(const struct bytes *frame, int16_t api_key, int16_t version,
				     int32_t correlation_id)
{
	struct sl_rbuf r = sl_rbuf_on(frame->at, frame->count);
	int32_t got;

	assert_int_equal(sl_get_i32(&r), frame->count - 4);
	assert_int_equal(sl_response_begin(&r, api_key, version, &got), 0);
	assert_int_equal(got, correlation_id);
	return r;
}

/* Decodes a whole body and returns 0 or -EBADMSG. */
typedef int (*walk_fn)(const struct sl_rbuf *body, int16_t version);

/*
 * Every proper prefix must be refused, and so must a body with a byte more. The copies have their
 * exact size, so that a sanitizer sees a read behind the end.
 */
static inline void assert_cuts_refused(const struct sl_rbuf *body, int16_t version, walk_fn walk)
{
	size_t whole = sl_rbuf_left(body);
	size_t count;

	assert_int_equal(walk(body, version), 0);
	for (count = 0; count <= whole + 1; count++) {
		uint8_t *copy = malloc(count ? count : 1);
		struct sl_rbuf r = sl_rbuf_on(copy, count);

		assert_non_null(copy);
		memset(copy, 0, count);
		memcpy(copy, body->pos, count < whole ? count : whole);
		if (count != whole)
			assert_true(walk(&r, version) < 0);
		free(copy);
	}
}

#endif
