/* SPDX-License-Identifier: Apache-2.0 */
/* The one function of a fuzz target. libFuzzer calls it, or driver.c where there is no libFuzzer.
 */
#ifndef SL_TESTS_FUZZ_FUZZ_H
#define SL_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#endif
