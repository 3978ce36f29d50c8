/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/sluice/bench.h"

#include <inttypes.h>
#include <stdio.h>

static const struct {
	const char *name;
	double share;
} quantiles[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}, {"max", 1.0}};

enum { QUANTILES = sizeof(quantiles) / sizeof(quantiles[0]) };

static double per_record(int64_t cpu_ns, const struct bench_result *r)
{
	return cpu_ns < 0 || r->records == 0 ? -1 : (double)cpu_ns / (double)r->records;
}

static double quantile_us(const struct bench_result *r, uint32_t i)
{
	return (double)histogram_quantile_ns(&r->latency, quantiles[i].share) / 1000;
}

static void text_report(const struct bench_result *r, double rate)
{
	uint32_t i;

	printf("%" PRIu64 " records in %.3f s: %.0f a second\n", r->records, r->seconds, rate);
	printf("%" PRIu64 " persisted, %" PRIu64 " failed, %" PRIu64 " unknown\n", r->counts.persisted, r->counts.failed,
	       r->counts.unknown);
	if (r->latency.total > 0) {
		printf("latency, send to report read, us:");
		for (i = 0; i < QUANTILES; i++)
			printf(" %s %.0f", quantiles[i].name, quantile_us(r, i));
		putchar('\n');
	}
	printf("CPU, ns a record: application %.1f", per_record(r->application_cpu_ns, r));
	if (r->agent_cpu_ns >= 0)
		printf(", agent %.1f", per_record(r->agent_cpu_ns, r));
	putchar('\n');
	if (r->stamp_ns > 0)
		printf("stamped: %.1f ns of the application's, and a header more for the agent; --no-stamp goes without\n",
		       r->stamp_ns);
}

static bool json_report(const struct bench_plan *plan, const struct bench_result *r, double rate)
{
	FILE *to = fopen(plan->json, "w");
	uint32_t i;

	if (!to)
		return false;
	fprintf(to,
		"{\"version\": \"%s\", \"records\": %" PRIu64 ", \"seconds\": %.6f, \"records_per_s\": %.1f, "
		"\"persisted\": %" PRIu64 ", \"failed\": %" PRIu64 ", \"unknown\": %" PRIu64 ",\n",
		SL_VERSION, r->records, r->seconds, rate, r->counts.persisted, r->counts.failed, r->counts.unknown);
	fprintf(to,
		" \"value_bytes\": %u, \"key_bytes\": %u, \"keys\": %" PRIu64 ", \"threads\": %u, \"rate\": %.1f,\n",
		plan->value_bytes, plan->key_bytes, plan->keys, plan->threads, plan->rate);
	fprintf(to, " \"stamped\": %s, \"stamp_ns_per_record\": %.1f,\n", plan->plain ? "false" : "true", r->stamp_ns);
	fputs(" \"latency_us\": {", to);
	for (i = 0; i < QUANTILES; i++)
		fprintf(to, "%s\"%s\": %.3f", i ? ", " : "", quantiles[i].name, quantile_us(r, i));
	fprintf(to, "},\n \"cpu_ns_per_record\": {\"application\": %.3f, ", per_record(r->application_cpu_ns, r));
	if (r->agent_cpu_ns >= 0)
		fprintf(to, "\"agent\": %.3f}}\n", per_record(r->agent_cpu_ns, r));
	else
		fputs("\"agent\": null}}\n", to);
	return fclose(to) == 0;
}

bool bench_report(const struct bench_plan *plan, const struct bench_result *r)
{
	double rate = r->seconds > 0 ? (double)r->records / r->seconds : 0;

	text_report(r, rate);
	return !plan->json || json_report(plan, r, rate);
}
