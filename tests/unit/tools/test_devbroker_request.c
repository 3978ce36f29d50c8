/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: no request, however mangled, reads out of bounds, hangs or trips an assertion.
 * Method: requests of every API and version from dice, with a plausible header, run under the
 * sanitizers. What is served must be a whole frame with the request's own correlation id.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "dataplane/base/clock.h"
#include "tools/devbroker/request.h"

enum { ROUNDS = 300000, BODY_BYTES_MAX = 96, CORRELATION_ID = 0x1234567 };

/* Small numbers, lengths, minus one and topic names make a random body get somewhere. */
static uint32_t body_roll(uint8_t *p, uint64_t *dice)
{
	uint32_t bytes = 0;

	while (bytes < BODY_BYTES_MAX - 8 && sl_random_next(dice) % 40) {
		uint64_t roll = sl_random_next(dice) % 8;

		if (roll == 0) {
			memcpy(p + bytes, "\0\1t", 3);
			bytes += 3;
		} else if (roll == 1) {
			memset(p + bytes, 0xff, 4);
			bytes += 4;
		} else if (roll == 2) {
			sl_store_be32(p + bytes, (uint32_t)(sl_random_next(dice) % 3));
			bytes += 4;
		} else if (roll == 3) {
			memcpy(p + bytes, "\2t", 2);
			bytes += 2;
		} else {
			p[bytes++] = (uint8_t)(sl_random_next(dice) % (roll < 6 ? 4 : 256));
		}
	}
	return bytes;
}

static uint32_t request_roll(uint8_t *p, uint64_t *dice)
{
	static const int16_t keys[] = {0, 1, 2, 3, 18, 19, 20, 22, 60, 61, 99};
	int16_t key = keys[sl_random_next(dice) % (sizeof(keys) / sizeof(keys[0]))];

	sl_store_be16(p, (uint16_t)key);
	sl_store_be16(p + 2, (uint16_t)(sl_random_next(dice) % 20));
	sl_store_be32(p + 4, CORRELATION_ID);
	sl_store_be16(p + 8, 0xffff);
	return 10 + body_roll(p + 10, dice);
}

static void serve_exactly(struct sl_db *db, struct sl_db_out *out, const uint8_t *request,
			  uint32_t bytes)
{
	/* On the heap and of the exact size, so that a byte too far is seen. */
	uint8_t *frame = malloc(bytes);
	struct sl_db_call call = {.db = db,
				  .node = &db->nodes[0],
				  .out = out,
				  .peer = "test",
				  .local_host = "127.0.0.1",
				  .first_try = true};
	enum sl_db_verdict verdict;

	memcpy(frame, request, bytes);
	out->w.pos = out->base;
	verdict = sl_db_request_serve(&call, (struct sl_slice){frame, bytes});
	if (verdict == SL_DB_REPLY) {
		size_t reply_bytes = (size_t)(out->w.pos - out->base);

		assert_true(reply_bytes >= 8);
		assert_int_equal(sl_load_be32(out->base), reply_bytes - 4);
		assert_int_equal(sl_load_be32(out->base + 4), CORRELATION_ID);
	}
	free(frame);
}

static void test_mangled_requests_are_survived(void **state)
{
	static struct sl_db db;
	struct sl_db_options options = {.node_count = 2,
					.memory_bytes = 1 << 20,
					.batch_bytes_max = 1000,
					.quiet = true,
					.seed = 7};
	struct sl_db_out out = {0};
	uint64_t dice = 42;
	int i;

	sl_db_faults_init(&options.faults, 7);
	sl_db_init(&db, &options);
	db.nodes[0].id = 1;
	db.nodes[1].id = 2;
	for (i = 0; i < ROUNDS; i++) {
		uint8_t request[10 + BODY_BYTES_MAX];

		if (!sl_db_topic_by_name(&db, sl_slice_of("t")))
			sl_db_topic_create(&db, sl_slice_of("t"), 2, NULL);
		serve_exactly(&db, &out, request, request_roll(request, &dice));
	}
	free(out.base);
	sl_db_fini(&db);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mangled_requests_are_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
