/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sensor host: each thread has its own ring, writes its readings in place, and sleeps on the
 * ring's descriptor until the outcomes of a burst are there. Usage: sluice-sensor TOPIC [BURSTS]
 */
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/client/sluice.h"

enum { SENSORS = 3, BURST = 1000 };

struct reading { /* as the value of a record */
	uint32_t sensor;
	uint32_t number;
	double volts;
};

struct sensor {
	sluice_client *client;
	sluice_topic *topic;
	uint32_t id;
	uint32_t bursts;
	uint64_t outcomes[4]; /* by enum sluice_outcome */
	int rc;
};

static int reading_write(struct sensor *sensor, sluice_ring *ring, uint32_t number)
{
	const struct sluice_sizes sizes = {.key_bytes = sizeof(sensor->id),
					   .value_bytes = sizeof(struct reading)};
	const struct reading reading = {
		.sensor = sensor->id, .number = number, .volts = number * 0.001};
	struct sluice_claim claim;
	int rc = sluice_claim(ring, sensor->topic, &sizes, &claim);

	if (rc < 0)
		return rc;
	/* A driver would have the device write here; nothing is copied again on the way to the
	 * agent. */
	memcpy(claim.key, &sensor->id, sizeof(sensor->id));
	memcpy(claim.value, &reading, sizeof(reading));
	return sluice_commit(ring, &claim) < 0 ? -1 : 0;
}

static int outcomes_wait(struct sensor *sensor, sluice_ring *ring, uint64_t expected)
{
	struct pollfd pfd = {.fd = sluice_ring_fd(ring), .events = POLLIN};
	struct sluice_report reports[32];
	uint64_t told = 0;

	if (pfd.fd < 0)
		return pfd.fd;
	while (told < expected) {
		int count = sluice_poll_reports(ring, reports, 32);
		int i;

		if (count < 0)
			return count;
		for (i = 0; i < count; i++) {
			sensor->outcomes[reports[i].outcome & 3] += reports[i].count;
			told += reports[i].count;
		}
		/* Only after a poll that found nothing is the descriptor armed. */
		if (count == 0)
			poll(&pfd, 1, 1000);
	}
	return 0;
}

static void *sensor_run(void *arg)
{
	struct sensor *sensor = arg;
	sluice_ring *ring;
	uint32_t burst, i;

	sensor->rc = sluice_ring_get(sensor->client, NULL, &ring);
	if (sensor->rc < 0)
		return NULL;
	for (burst = 0; sensor->rc == 0 && burst < sensor->bursts; burst++) {
		for (i = 0; sensor->rc == 0 && i < BURST; i++)
			sensor->rc = reading_write(sensor, ring, burst * BURST + i);
		if (sensor->rc == 0)
			sensor->rc = outcomes_wait(sensor, ring, BURST);
	}
	sluice_ring_put(ring);
	return NULL;
}

int main(int argc, char **argv)
{
	struct sluice_options options = SLUICE_OPTIONS_INIT;
	struct sensor sensors[SENSORS] = {{0}};
	pthread_t threads[SENSORS];
	sluice_client *client;
	sluice_topic *topic;
	int rc, i, failures = 0;

	if (argc < 2) {
		fprintf(stderr, "usage: %s TOPIC [BURSTS]\n", argv[0]);
		return 2;
	}
	options.ring_count = SENSORS;
	options.report_mode = SLUICE_REPORT_ALL;
	rc = sluice_open(&options, &client);
	if (rc == 0 && (rc = sluice_topic_bind(client, argv[1], &topic)) < 0)
		sluice_close(client);
	if (rc < 0) {
		fprintf(stderr, "%s: %s\n", argv[1], sluice_strerror(rc));
		return 1;
	}
	for (i = 0; i < SENSORS; i++) {
		sensors[i] = (struct sensor){
			.client = client,
			.topic = topic,
			.id = (uint32_t)i,
			.bursts = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 10};
		if (pthread_create(&threads[i], NULL, sensor_run, &sensors[i]) != 0)
			return 1;
	}
	for (i = 0; i < SENSORS; i++) {
		const struct sensor *sensor = &sensors[i];

		pthread_join(threads[i], NULL);
		printf("sensor %d: %llu persisted, %llu failed, %llu unknown%s%s\n", i,
		       (unsigned long long)sensor->outcomes[SLUICE_PERSISTED],
		       (unsigned long long)sensor->outcomes[SLUICE_FAILED],
		       (unsigned long long)sensor->outcomes[SLUICE_UNKNOWN],
		       sensor->rc < 0 ? "; " : "",
		       sensor->rc < 0 ? sluice_strerror(sensor->rc) : "");
		failures += sensor->rc < 0;
	}
	sluice_close(client);
	return failures > 0;
}
