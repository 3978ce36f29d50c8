/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/base/assert.h"
#include "dataplane/client/sluice.h"

struct name {
	int code;
	const char *text;
};

static const struct name error_texts[] = {
	{0, "no error"},
	{-EAGAIN, "the ring is full, or the agent is busy"},
	{-ENOBUFS, "the ring is full and the record was dropped, or the report slots are full"},
	{-ETIMEDOUT, "not within the time given"},
	{-EMSGSIZE, "the record is larger than the ring or the agent allows"},
	{-EINVAL, "an argument is not valid"},
	{-EFAULT, "no topic was given"},
	{-E2BIG, "more than the agent grants"},
	{-ECHILD, "the handle belongs to the parent process"},
	{-ESHUTDOWN, "the agent no longer reads this ring"},
	{-ENOTCONN, "the agent is away, or does not know this client any more"},
	{-EPIPE, "the agent has closed the connection"},
	{-EPROTO, "the agent speaks another version, or broke the protocol"},
	{-EACCES, "not allowed"},
	{-ENOENT, "no agent, topic or free ring"},
	{-ECONNREFUSED, "no agent is listening"},
	{-ENOMEM, "out of memory"},
	{-ENOSPC, "too many topics, or no shared memory left"},
	{-ENAMETOOLONG, "the socket's path is too long"},
};

const char *sluice_strerror(int error)
{
	size_t i;

	for (i = 0; i < SL_ARRAY_COUNT(error_texts); i++)
		if (error_texts[i].code == error)
			return error_texts[i].text;
	return "an error of the operating system";
}

/* Those that a producer can meet. Source: Kafka protocol guide, error codes. */
static const struct name kafka_names[] = {
	{-1, "UNKNOWN_SERVER_ERROR"},
	{0, "NONE"},
	{2, "CORRUPT_MESSAGE"},
	{3, "UNKNOWN_TOPIC_OR_PARTITION"},
	{5, "LEADER_NOT_AVAILABLE"},
	{6, "NOT_LEADER_OR_FOLLOWER"},
	{7, "REQUEST_TIMED_OUT"},
	{9, "REPLICA_NOT_AVAILABLE"},
	{10, "MESSAGE_TOO_LARGE"},
	{13, "NETWORK_EXCEPTION"},
	{17, "INVALID_TOPIC_EXCEPTION"},
	{18, "RECORD_LIST_TOO_LARGE"},
	{19, "NOT_ENOUGH_REPLICAS"},
	{20, "NOT_ENOUGH_REPLICAS_AFTER_APPEND"},
	{21, "INVALID_REQUIRED_ACKS"},
	{29, "TOPIC_AUTHORIZATION_FAILED"},
	{31, "CLUSTER_AUTHORIZATION_FAILED"},
	{32, "INVALID_TIMESTAMP"},
	{35, "UNSUPPORTED_VERSION"},
	{42, "INVALID_REQUEST"},
	{43, "UNSUPPORTED_FOR_MESSAGE_FORMAT"},
	{45, "OUT_OF_ORDER_SEQUENCE_NUMBER"},
	{46, "DUPLICATE_SEQUENCE_NUMBER"},
	{47, "INVALID_PRODUCER_EPOCH"},
	{56, "KAFKA_STORAGE_ERROR"},
	{58, "SASL_AUTHENTICATION_FAILED"},
	{59, "UNKNOWN_PRODUCER_ID"},
	{74, "FENCED_LEADER_EPOCH"},
	{75, "UNKNOWN_LEADER_EPOCH"},
	{76, "UNSUPPORTED_COMPRESSION_TYPE"},
	{87, "INVALID_RECORD"},
	{89, "THROTTLING_QUOTA_EXCEEDED"},
	{90, "PRODUCER_FENCED"},
	{100, "UNKNOWN_TOPIC_ID"},
};

const char *sluice_error_name(int16_t error)
{
	size_t i;

	for (i = 0; i < SL_ARRAY_COUNT(kafka_names); i++)
		if (kafka_names[i].code == error)
			return kafka_names[i].text;
	return "UNKNOWN_ERROR_CODE";
}

const char *sluice_version(void)
{
	return SL_VERSION;
}
