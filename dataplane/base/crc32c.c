/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/base/crc32c.h"

#include <isa-l/crc.h>
#include <limits.h>

#include "dataplane/base/assert.h"

enum { CRC32C_POLY_REFLECTED = (int)0x82F63B78 };

uint32_t sl_crc32c(uint32_t crc, const void *data, size_t bytes)
{
	SL_ASSERT(bytes <= INT_MAX);
	/* ISA-L takes a non-const pointer but only reads. */
	return ~crc32_iscsi((unsigned char *)(uintptr_t)data, (int)bytes, ~crc);
}

/* a * b modulo the polynomial, both reflected: bit 31 is x^0. */
static uint32_t multiply(uint32_t a, uint32_t b)
{
	uint32_t product = 0;
	uint32_t bit;

	for (bit = 1u << 31; bit != 0; bit >>= 1) {
		if (a & bit)
			product ^= b;
		b = (b >> 1) ^ (b & 1 ? (uint32_t)CRC32C_POLY_REFLECTED : 0);
	}
	return product;
}

uint32_t sl_crc32c_combine(uint32_t crc_a, uint32_t crc_b, uint64_t bytes_b)
{
	uint32_t power = 1u << 23; /* x^8: one byte */

	/* Appending bytes_b zero bytes to a multiplies its remainder by x^(8 * bytes_b): square and multiply. */
	for (; bytes_b != 0; bytes_b >>= 1) {
		if (bytes_b & 1)
			crc_a = multiply(power, crc_a);
		power = multiply(power, power);
	}
	return crc_a ^ crc_b;
}
