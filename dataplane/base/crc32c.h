/* SPDX-License-Identifier: Apache-2.0 */
/* CRC-32C (Castagnoli), as record batches carry it: check of "123456789" is e3069283. By ISA-L. Any thread. */
#ifndef SL_BASE_CRC32C_H
#define SL_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Continues crc (0 to begin) over bytes more. sl_crc32c(sl_crc32c(0, a), b) is the CRC of a and b together. */
uint32_t sl_crc32c(uint32_t crc, const void *data, size_t bytes);

/*
 * CRC of two parts from the CRC of each: crc(a|b) = combine(crc(a), crc(b), |b|). So a batch header can change while
 * its payload, already summed, is not read again. Costs under a microsecond.
 */
uint32_t sl_crc32c_combine(uint32_t crc_a, uint32_t crc_b, uint64_t bytes_b);

#endif
