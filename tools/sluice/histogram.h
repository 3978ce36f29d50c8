/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counts of durations in buckets that grow with the value: each power of two is cut into 128, so a quantile is off by less
 * than one percent. From 1 ns to 73 minutes; larger values count as the largest.
 */
#ifndef SLUICE_TOOL_HISTOGRAM_H
#define SLUICE_TOOL_HISTOGRAM_H

#include <stdint.h>

enum { HISTOGRAM_SUB_BITS = 7, HISTOGRAM_BITS = 42 };
enum { HISTOGRAM_BUCKETS = (HISTOGRAM_BITS - HISTOGRAM_SUB_BITS + 1) << HISTOGRAM_SUB_BITS };

struct histogram {
	uint64_t counts[HISTOGRAM_BUCKETS];
	uint64_t total, max_ns;
};

void histogram_add(struct histogram *h, uint64_t value_ns, uint64_t count);
void histogram_merge(struct histogram *into, const struct histogram *from);

/* The value at or below which this share (0..1) of the counts lies; 0 when there are none. */
uint64_t histogram_quantile_ns(const struct histogram *h, double share);

#endif
