/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/kafka/admin.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "dataplane/base/clock.h"
#include "dataplane/wire/error_code.h"
#include "dataplane/wire/list_offsets.h"
#include "dataplane/wire/metadata.h"
#include "tests/sim/kafka/ask.h"

/* The agent needs neither, so the project's codecs do not have them. Below their first flexible
 * versions. */
enum { API_DELETE_RECORDS = 21, API_CREATE_PARTITIONS = 37 };
enum { METADATA_VERSION = 12, CREATE_VERSION = 5, DELETE_VERSION = 5, TIMEOUT_MS = 10000 };
#define PATIENCE_NS (30 * SL_NS_PER_S)
#define LOOK_US 2000

static uint8_t frame[ASK_FRAME_BYTES_MAX];

__attribute__((noreturn)) static void hopeless(const char *what, const char *topic, int error)
{
	fprintf(stderr, "model_vs_kafka: %s of topic %s: %d %s\n", what, topic, error,
		sl_kafka_error_name((int16_t)error));
	exit(2);
}

static struct sl_rbuf asked(struct real *real, const char *what, const char *topic, int64_t bytes,
			    int16_t api, int16_t version)
{
	struct sl_rbuf body;
	int32_t correlation_id;

	if (bytes <= 0 || real_ask(real, frame, (uint32_t)bytes, true, &body) != 1 ||
	    sl_response_begin(&body, api, version, &correlation_id) != 0)
		hopeless(what, topic, SL_KAFKA_NETWORK_EXCEPTION);
	return body;
}

static struct sl_request_head head_of(int16_t version)
{
	return (struct sl_request_head){version, 1, sl_slice_of("scripts")};
}

/* ---- looking ---- */

/* How many of its partitions are led; -1 while the broker does not know the topic. */
static int32_t led(struct real *real, const char *name, struct sl_uuid *id)
{
	struct sl_wbuf w = sl_wbuf_on(frame, sizeof(frame));
	struct sl_request_head head = head_of(METADATA_VERSION);
	struct sl_slice topics = sl_slice_of(name);
	struct sl_metadata_request request = {&topics, 1, false, false};
	struct sl_metadata_partition partition;
	struct sl_metadata_reader reader;
	struct sl_metadata_topic topic = {0};
	struct sl_rbuf body;
	int32_t count = 0;

	body = asked(real, "metadata", name, sl_metadata_request_encode(&w, &head, &request),
		     SL_API_METADATA, METADATA_VERSION);
	if (sl_metadata_begin(&reader, &body, METADATA_VERSION) != 0 ||
	    sl_metadata_next_topic(&reader, &topic) != 1)
		hopeless("metadata", name, SL_KAFKA_CORRUPT_MESSAGE);
	if (topic.error_code != 0)
		return -1;
	*id = topic.id;
	while (sl_metadata_next_partition(&reader, &partition) == 1)
		count += partition.error_code == 0 && partition.leader_id >= 0;
	return count;
}

static bool leads(struct real *real, const char *name, int32_t partition)
{
	struct ask_answer answer;
	struct sl_rbuf body = {0};
	int32_t leader_epoch;
	int rc = real_ask(real, frame, ask_offsets(frame, name, partition, -1, SL_OFFSET_LATEST),
			  true, &body);

	answer_offsets(&answer, rc, body, &leader_epoch);
	return !answer.closed && answer.error == 0;
}

static void patience(uint64_t until_ns, const char *what, const char *name)
{
	if (sl_clock_monotonic_ns() > until_ns)
		hopeless(what, name, SL_KAFKA_REQUEST_TIMED_OUT);
	usleep(LOOK_US);
}

/* The metadata of a broker runs ahead of its logs, so both are asked. */
static struct sl_uuid wait_led(struct real *real, const char *name, uint32_t partitions)
{
	uint64_t until_ns = sl_clock_monotonic_ns() + PATIENCE_NS;
	struct sl_uuid id = {{0}};

	while (led(real, name, &id) < (int32_t)partitions)
		patience(until_ns, "leaders", name);
	for (uint32_t i = 0; i < partitions; i++)
		while (!leads(real, name, (int32_t)i))
			patience(until_ns, "logs", name);
	return id;
}

void admin_wait(struct real *real, const char *name, uint32_t partitions)
{
	wait_led(real, name, partitions);
}

/* ---- doing ---- */

struct sl_uuid admin_create(struct real *real, const char *name, uint32_t partitions,
			    const struct sl_topic_config *configs, uint32_t config_count)
{
	struct sl_wbuf w = sl_wbuf_on(frame, sizeof(frame));
	struct sl_request_head head = head_of(CREATE_VERSION);
	struct sl_topic_create create = {.name = sl_slice_of(name),
					 .partition_count = (int32_t)partitions,
					 .replication_factor = 1,
					 .configs = configs,
					 .config_count = config_count,
					 .timeout_ms = TIMEOUT_MS};
	struct sl_topic_answer answer = {0};
	struct sl_rbuf body =
		asked(real, "creation", name, sl_create_topic_encode(&w, &head, &create),
		      SL_API_CREATE_TOPICS, CREATE_VERSION);

	if (sl_create_topic_decode(&body, CREATE_VERSION, &answer) != 0 || answer.error_code != 0)
		hopeless("creation", name, answer.error_code);
	return wait_led(real, name, partitions);
}

void admin_delete(struct real *real, const char *name)
{
	uint64_t until_ns = sl_clock_monotonic_ns() + PATIENCE_NS;
	struct sl_wbuf w = sl_wbuf_on(frame, sizeof(frame));
	struct sl_request_head head = head_of(DELETE_VERSION);
	struct sl_topic_answer answer = {0};
	struct sl_uuid id;
	struct sl_rbuf body =
		asked(real, "deletion", name,
		      sl_delete_topic_encode(&w, &head, sl_slice_of(name), TIMEOUT_MS),
		      SL_API_DELETE_TOPICS, DELETE_VERSION);

	if (sl_delete_topic_decode(&body, DELETE_VERSION, &answer) != 0 || answer.error_code != 0)
		hopeless("deletion", name, answer.error_code);
	while (led(real, name, &id) >= 0)
		patience(until_ns, "deletion", name);
}

void admin_grow(struct real *real, const char *name, uint32_t partitions)
{
	struct sl_wbuf w = sl_wbuf_on(frame, sizeof(frame));
	struct sl_request_head head = head_of(1);
	uint8_t *start = sl_request_begin(&w, API_CREATE_PARTITIONS, &head);
	struct sl_rbuf body;
	int16_t error;

	sl_put_array(&w, false, 1);
	sl_put_string(&w, false, sl_slice_of(name));
	sl_put_i32(&w, (int32_t)partitions);
	sl_put_array(&w, false, -1); /* no manual assignment */
	sl_put_i32(&w, TIMEOUT_MS);
	sl_put_bool(&w, false); /* not only to validate */
	body = asked(real, "growth", name, sl_frame_end(&w, start), API_CREATE_PARTITIONS, 1);
	sl_get_i32(&body);
	if (sl_get_array(&body, false, 6) != 1)
		hopeless("growth", name, SL_KAFKA_CORRUPT_MESSAGE);
	sl_get_string(&body, false);
	error = sl_get_i16(&body);
	if (body.bad || error != 0)
		hopeless("growth", name, error);
	wait_led(real, name, partitions);
}

int16_t admin_records_delete(struct real *real, const char *name, int32_t partition, int64_t offset,
			     int64_t *low)
{
	struct sl_wbuf w = sl_wbuf_on(frame, sizeof(frame));
	struct sl_request_head head = head_of(1);
	uint8_t *start = sl_request_begin(&w, API_DELETE_RECORDS, &head);
	struct sl_rbuf body;
	int16_t error;

	sl_put_array(&w, false, 1);
	sl_put_string(&w, false, sl_slice_of(name));
	sl_put_array(&w, false, 1);
	sl_put_i32(&w, partition);
	sl_put_i64(&w, offset);
	sl_put_i32(&w, TIMEOUT_MS);
	body = asked(real, "deletion of records", name, sl_frame_end(&w, start), API_DELETE_RECORDS,
		     1);
	sl_get_i32(&body);
	if (sl_get_array(&body, false, 6) != 1)
		hopeless("deletion of records", name, SL_KAFKA_CORRUPT_MESSAGE);
	sl_get_string(&body, false);
	if (sl_get_array(&body, false, 14) != 1 || sl_get_i32(&body) != partition)
		hopeless("deletion of records", name, SL_KAFKA_CORRUPT_MESSAGE);
	*low = sl_get_i64(&body);
	error = sl_get_i16(&body);
	return error;
}
