/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/sluice/histogram.h"

static uint32_t bucket_of(uint64_t value)
{
	uint32_t high, shift;

	if (value >= UINT64_C(1) << HISTOGRAM_BITS)
		value = (UINT64_C(1) << HISTOGRAM_BITS) - 1;
	if (value < UINT64_C(1) << HISTOGRAM_SUB_BITS)
		return (uint32_t)value;
	high = 63 - (uint32_t)__builtin_clzll(value);
	shift = high - HISTOGRAM_SUB_BITS;
	return ((shift + 1) << HISTOGRAM_SUB_BITS) + (uint32_t)((value >> shift) & ((1u << HISTOGRAM_SUB_BITS) - 1));
}

/* The largest value that counts in a bucket. */
static uint64_t bucket_top(uint32_t bucket)
{
	uint32_t shift;

	if (bucket < 1u << HISTOGRAM_SUB_BITS)
		return bucket;
	shift = (bucket >> HISTOGRAM_SUB_BITS) - 1;
	return (((uint64_t)(1u << HISTOGRAM_SUB_BITS) + (bucket & ((1u << HISTOGRAM_SUB_BITS) - 1)) + 1) << shift) - 1;
}

void histogram_add(struct histogram *h, uint64_t value_ns, uint64_t count)
{
	h->counts[bucket_of(value_ns)] += count;
	h->total += count;
	if (value_ns > h->max_ns)
		h->max_ns = value_ns;
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
	uint32_t i;

	for (i = 0; i < HISTOGRAM_BUCKETS; i++)
		into->counts[i] += from->counts[i];
	into->total += from->total;
	if (from->max_ns > into->max_ns)
		into->max_ns = from->max_ns;
}

uint64_t histogram_quantile_ns(const struct histogram *h, double share)
{
	uint64_t wanted = (uint64_t)(share * (double)h->total);
	uint64_t seen = 0;
	uint32_t i;

	if (h->total == 0)
		return 0;
	for (i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += h->counts[i];
		if (seen > wanted || seen == h->total) {
			uint64_t top = bucket_top(i);

			return top < h->max_ns ? top : h->max_ns;
		}
	}
	return h->max_ns;
}
