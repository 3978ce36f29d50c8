/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: addresses print as a user writes them, and equality looks at all that tells two apart and
 * at nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/transport/transport.h"

static void test_text(void **state)
{
	struct sl_address v4 = {.family = 4, .port = 9092, .ip = {127, 0, 0, 1}};
	struct sl_address v6 = {.family = 6, .port = 9092, .ip = {[15] = 1}};
	struct sl_address link = {
		.family = 6, .port = 65535, .scope_id = UINT32_MAX, .ip = {0xfe, 0x80, [15] = 1}};
	struct sl_address none = {0};
	char text[SL_ADDRESS_TEXT_BYTES];

	(void)state;
	assert_string_equal(sl_address_text(&v4, text), "127.0.0.1:9092");
	assert_string_equal(sl_address_text(&v6, text), "[::1]:9092");
	assert_string_equal(sl_address_text(&link, text), "[fe80::1%4294967295]:65535");
	assert_string_equal(sl_address_text(&none, text), "(no address)");
	memset(v6.ip, 0xfe, sizeof(v6.ip));
	v6.scope_id = UINT32_MAX;
	v6.port = 65535;
	assert_string_equal(sl_address_text(&v6, text),
			    "[fefe:fefe:fefe:fefe:fefe:fefe:fefe:fefe%4294967295]:65535");
}

static void test_equal(void **state)
{
	struct sl_address a = {.family = 4, .port = 9092, .ip = {10, 0, 0, 1}};
	struct sl_address b = a;

	(void)state;
	b.ip[4] = 1; /* beyond an IPv4 address */
	assert_true(sl_address_equal(&a, &b));
	b.ip[3] = 2;
	assert_false(sl_address_equal(&a, &b));
	b = a;
	b.port++;
	assert_false(sl_address_equal(&a, &b));
	a.family = b.family = 6;
	b.port--;
	assert_true(sl_address_equal(&a, &b));
	b.ip[15] = 1;
	assert_false(sl_address_equal(&a, &b));
	b = a;
	b.scope_id = 1;
	assert_false(sl_address_equal(&a, &b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_equal),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
