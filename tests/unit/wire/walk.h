/* SPDX-License-Identifier: Apache-2.0 */
/* Whole walks over response bodies, for unit tests and fuzz targets: everything a caller would read
 * is read. */
#ifndef SL_TESTS_WIRE_WALK_H
#define SL_TESTS_WIRE_WALK_H

#include "dataplane/wire/api_versions.h"
#include "dataplane/wire/init_producer_id.h"
#include "dataplane/wire/metadata.h"
#include "dataplane/wire/produce.h"

/* Reads the first and last byte of a slice, so that a sanitizer objects to one that points
 * elsewhere. */
static inline uint32_t touch(struct sl_slice s)
{
	const uint8_t *p = s.data;

	return p && s.bytes ? (uint32_t)p[0] + p[s.bytes - 1] : 0;
}

static inline int walk_api_versions(const struct sl_rbuf *body, int16_t version)
{
	struct sl_api_versions_answer answer;

	return sl_api_versions_response_decode(body, version, &answer);
}

static inline int walk_init_producer_id(const struct sl_rbuf *body, int16_t version)
{
	struct sl_init_producer_id_answer answer;

	return sl_init_producer_id_response_decode(body, version, &answer);
}

static inline int walk_metadata(const struct sl_rbuf *body, int16_t version)
{
	struct sl_metadata_reader m;
	struct sl_metadata_broker broker;
	struct sl_metadata_cluster cluster;
	struct sl_metadata_topic topic;
	struct sl_metadata_partition partition;
	volatile uint32_t sum = 0;
	int16_t error_code;
	int rc = sl_metadata_begin(&m, body, version);

	if (rc < 0)
		return rc;
	while ((rc = sl_metadata_next_broker(&m, &broker)) == 1)
		sum = sum + touch(broker.host);
	if (rc < 0 || (rc = sl_metadata_cluster(&m, &cluster)) < 0)
		return rc;
	sum = sum + touch(cluster.cluster_id);
	while ((rc = sl_metadata_next_topic(&m, &topic)) == 1) {
		sum = sum + touch(topic.name);
		while ((rc = sl_metadata_next_partition(&m, &partition)) == 1)
			sum = sum + (uint32_t)partition.index;
		if (rc < 0)
			return rc;
	}
	return rc < 0 ? rc : sl_metadata_end(&m, &error_code);
}

static inline int walk_produce(const struct sl_rbuf *body, int16_t version)
{
	struct sl_produce_reader pr;
	struct sl_produce_result result;
	struct sl_produce_record_error error;
	struct sl_produce_node node;
	struct sl_produce_end end;
	volatile uint32_t sum = 0;
	int rc = sl_produce_response_begin(&pr, body, version);

	if (rc < 0)
		return rc;
	while ((rc = sl_produce_response_next(&pr, &result)) == 1) {
		sum = sum + touch(result.topic) + touch(result.error_message);
		while (sl_produce_record_error_next(&result.record_errors, &error) == 1)
			sum = sum + touch(error.message);
	}
	rc = rc < 0 ? rc : sl_produce_response_end(&pr, &end);
	if (rc < 0)
		return rc;
	while (sl_produce_node_next(&end.nodes, &node) == 1)
		sum = sum + touch(node.host);
	return 0;
}

#endif
