/* SPDX-License-Identifier: Apache-2.0 */
/* The smallest program: open, bind, send, wait, and print what became of it. Usage: sluice-hello
 * TOPIC [TEXT] */
#include <stdio.h>
#include <string.h>

#include "dataplane/client/sluice.h"

static void print_report(void *arg, const struct sluice_report *report)
{
	static const char *const outcomes[] = {"?", "persisted", "failed", "unknown"};

	(void)arg;
	printf("%llu record(s) from number %llu: %s, partition %d, offset %lld, %s\n",
	       (unsigned long long)report->count, (unsigned long long)report->first_seq,
	       outcomes[report->outcome & 3], report->partition, (long long)report->base_offset,
	       sluice_error_name(report->error));
}

static int say(const char *what, int rc, const char *detail)
{
	fprintf(stderr, "%s: %s (%s)\n", what, sluice_strerror(rc), detail);
	return 1;
}

int main(int argc, char **argv)
{
	struct sluice_options options = SLUICE_OPTIONS_INIT;
	struct sluice_record record = {0};
	sluice_client *client;
	sluice_topic *topic;
	sluice_ring *ring;
	char error[256] = "";
	int64_t seq;
	int rc;

	if (argc < 2) {
		fprintf(stderr, "usage: %s TOPIC [TEXT]\n", argv[0]);
		return 2;
	}
	options.report_mode = SLUICE_REPORT_ALL;
	options.error_text = error;
	options.error_text_bytes = sizeof(error);
	rc = sluice_open(&options, &client);
	if (rc < 0)
		return say("open", rc, error);
	rc = sluice_topic_bind(client, argv[1], &topic);
	if (rc == 0)
		rc = sluice_ring_get(client, NULL, &ring);
	if (rc < 0) {
		say(argv[1], rc, sluice_last_error(client));
		sluice_close(client);
		return 1;
	}
	record.value = argc > 2 ? argv[2] : "hello";
	record.value_bytes = (int32_t)strlen(record.value);
	seq = sluice_send(ring, topic, &record);
	rc = seq < 0 ? (int)seq : sluice_flush(ring, 30000);
	if (rc < 0)
		say("send", rc, sluice_ring_last_error(ring));
	sluice_reports_each(ring, print_report, NULL);
	sluice_close(client);
	return rc < 0;
}
