/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kafka's error codes: name, what a producer does about one, and whether the records may be in the
 * log in spite of it. A code that we do not know is treated as UNKNOWN_SERVER_ERROR. Any thread;
 * constant tables. Source: Kafka's Errors.java for numbers and names; what brokers of 2.1 to 4.3
 * were seen to do for the rest.
 */
#ifndef SL_WIRE_ERROR_CODE_H
#define SL_WIRE_ERROR_CODE_H

#include <stdbool.h>
#include <stdint.h>

enum sl_error_action {
	SL_ACTION_OK,            /* complete the batch */
	SL_ACTION_RETRY,         /* back off, send the same again */
	SL_ACTION_RETRY_FEW,     /* the same, but a handful of times only, then fail */
	SL_ACTION_REFRESH_RETRY, /* ask for metadata (use the leader hint if any), then retry */
	SL_ACTION_SPLIT,         /* too large: cut if it has more than one record, else fail */
	SL_ACTION_RESOLVE, /* 45, 47, 59: sequence trouble, to be decided by the partition's state
			    */
	SL_ACTION_RECOMPRESS,   /* 76: another codec, else fail */
	SL_ACTION_FAIL,         /* the batch cannot succeed */
	SL_ACTION_FAIL_RECORDS, /* the records named by record_errors are at fault; the rest may go
				   again */
	SL_ACTION_DENIED, /* not authorized for the topic: fail or hold, look again from time to
			     time */
	SL_ACTION_RENEGOTIATE,  /* 35: ask for the versions again, encode anew */
	SL_ACTION_REBOOTSTRAP,  /* 129: back to the configured addresses */
	SL_ACTION_FATAL_CONFIG, /* credentials, configuration or our own bug: no batch like it can
				   succeed */
};

/* May the records of the refused batch be in the log? By this attempt; earlier ones may have left
 * them there. */
enum sl_error_written {
	SL_WRITTEN_NO,    /* certainly not */
	SL_WRITTEN_MAYBE, /* unknown, or appended but not safe: it may vanish with the leader */
	SL_WRITTEN_YES,   /* there */
};

/* X(number, NAME, action of a producer, written). */
#define SL_KAFKA_ERROR_LIST(X)                                                                     \
	X(-1, UNKNOWN_SERVER_ERROR, RETRY_FEW, MAYBE)                                              \
	X(0, NONE, OK, YES)                                                                        \
	X(1, OFFSET_OUT_OF_RANGE, RETRY_FEW, MAYBE)                                                \
	X(2, CORRUPT_MESSAGE, RETRY_FEW, NO)                                                       \
	X(3, UNKNOWN_TOPIC_OR_PARTITION, REFRESH_RETRY, NO)                                        \
	X(4, INVALID_FETCH_SIZE, FAIL, MAYBE)                                                      \
	X(5, LEADER_NOT_AVAILABLE, REFRESH_RETRY, NO)                                              \
	X(6, NOT_LEADER_OR_FOLLOWER, REFRESH_RETRY, MAYBE)                                         \
	X(7, REQUEST_TIMED_OUT, RETRY, MAYBE)                                                      \
	X(8, BROKER_NOT_AVAILABLE, REFRESH_RETRY, NO)                                              \
	X(9, REPLICA_NOT_AVAILABLE, REFRESH_RETRY, NO)                                             \
	X(10, MESSAGE_TOO_LARGE, SPLIT, NO)                                                        \
	X(11, STALE_CONTROLLER_EPOCH, FAIL, MAYBE)                                                 \
	X(12, OFFSET_METADATA_TOO_LARGE, FAIL, MAYBE)                                              \
	X(13, NETWORK_EXCEPTION, REFRESH_RETRY, MAYBE)                                             \
	X(14, COORDINATOR_LOAD_IN_PROGRESS, RETRY, MAYBE)                                          \
	X(15, COORDINATOR_NOT_AVAILABLE, RETRY, MAYBE)                                             \
	X(16, NOT_COORDINATOR, RETRY, MAYBE)                                                       \
	X(17, INVALID_TOPIC_EXCEPTION, FAIL, NO)                                                   \
	X(18, RECORD_LIST_TOO_LARGE, SPLIT, NO)                                                    \
	X(19, NOT_ENOUGH_REPLICAS, RETRY, NO)                                                      \
	X(20, NOT_ENOUGH_REPLICAS_AFTER_APPEND, RETRY, MAYBE)                                      \
	X(21, INVALID_REQUIRED_ACKS, FATAL_CONFIG, NO)                                             \
	X(22, ILLEGAL_GENERATION, FAIL, MAYBE)                                                     \
	X(23, INCONSISTENT_GROUP_PROTOCOL, FAIL, MAYBE)                                            \
	X(24, INVALID_GROUP_ID, FAIL, MAYBE)                                                       \
	X(25, UNKNOWN_MEMBER_ID, FAIL, MAYBE)                                                      \
	X(26, INVALID_SESSION_TIMEOUT, FAIL, MAYBE)                                                \
	X(27, REBALANCE_IN_PROGRESS, FAIL, MAYBE)                                                  \
	X(28, INVALID_COMMIT_OFFSET_SIZE, FAIL, MAYBE)                                             \
	X(29, TOPIC_AUTHORIZATION_FAILED, DENIED, NO)                                              \
	X(30, GROUP_AUTHORIZATION_FAILED, FAIL, MAYBE)                                             \
	X(31, CLUSTER_AUTHORIZATION_FAILED, FATAL_CONFIG, NO)                                      \
	X(32, INVALID_TIMESTAMP, FAIL_RECORDS, NO)                                                 \
	X(33, UNSUPPORTED_SASL_MECHANISM, FATAL_CONFIG, NO)                                        \
	X(34, ILLEGAL_SASL_STATE, FATAL_CONFIG, NO)                                                \
	X(35, UNSUPPORTED_VERSION, RENEGOTIATE, NO)                                                \
	X(36, TOPIC_ALREADY_EXISTS, FAIL, MAYBE)                                                   \
	X(37, INVALID_PARTITIONS, FAIL, MAYBE)                                                     \
	X(38, INVALID_REPLICATION_FACTOR, FAIL, MAYBE)                                             \
	X(39, INVALID_REPLICA_ASSIGNMENT, FAIL, MAYBE)                                             \
	X(40, INVALID_CONFIG, FAIL, MAYBE)                                                         \
	X(41, NOT_CONTROLLER, REFRESH_RETRY, MAYBE)                                                \
	X(42, INVALID_REQUEST, FATAL_CONFIG, NO)                                                   \
	X(43, UNSUPPORTED_FOR_MESSAGE_FORMAT, FAIL, NO)                                            \
	X(44, POLICY_VIOLATION, FAIL, NO)                                                          \
	X(45, OUT_OF_ORDER_SEQUENCE_NUMBER, RESOLVE, NO)                                           \
	X(46, DUPLICATE_SEQUENCE_NUMBER, OK, YES)                                                  \
	X(47, INVALID_PRODUCER_EPOCH, RESOLVE, NO)                                                 \
	X(48, INVALID_TXN_STATE, FAIL, MAYBE)                                                      \
	X(49, INVALID_PRODUCER_ID_MAPPING, FAIL, MAYBE)                                            \
	X(50, INVALID_TRANSACTION_TIMEOUT, FATAL_CONFIG, NO)                                       \
	X(51, CONCURRENT_TRANSACTIONS, RETRY, MAYBE)                                               \
	X(52, TRANSACTION_COORDINATOR_FENCED, FAIL, MAYBE)                                         \
	X(53, TRANSACTIONAL_ID_AUTHORIZATION_FAILED, FATAL_CONFIG, NO)                             \
	X(54, SECURITY_DISABLED, FATAL_CONFIG, NO)                                                 \
	X(55, OPERATION_NOT_ATTEMPTED, FAIL, MAYBE)                                                \
	X(56, KAFKA_STORAGE_ERROR, REFRESH_RETRY, MAYBE)                                           \
	X(57, LOG_DIR_NOT_FOUND, REFRESH_RETRY, MAYBE)                                             \
	X(58, SASL_AUTHENTICATION_FAILED, FATAL_CONFIG, NO)                                        \
	X(59, UNKNOWN_PRODUCER_ID, RESOLVE, NO)                                                    \
	X(60, REASSIGNMENT_IN_PROGRESS, FAIL, MAYBE)                                               \
	X(61, DELEGATION_TOKEN_AUTH_DISABLED, FAIL, MAYBE)                                         \
	X(62, DELEGATION_TOKEN_NOT_FOUND, FAIL, MAYBE)                                             \
	X(63, DELEGATION_TOKEN_OWNER_MISMATCH, FAIL, MAYBE)                                        \
	X(64, DELEGATION_TOKEN_REQUEST_NOT_ALLOWED, FAIL, MAYBE)                                   \
	X(65, DELEGATION_TOKEN_AUTHORIZATION_FAILED, FAIL, MAYBE)                                  \
	X(66, DELEGATION_TOKEN_EXPIRED, FAIL, MAYBE)                                               \
	X(67, INVALID_PRINCIPAL_TYPE, FAIL, MAYBE)                                                 \
	X(68, NON_EMPTY_GROUP, FAIL, MAYBE)                                                        \
	X(69, GROUP_ID_NOT_FOUND, FAIL, MAYBE)                                                     \
	X(70, FETCH_SESSION_ID_NOT_FOUND, FAIL, MAYBE)                                             \
	X(71, INVALID_FETCH_SESSION_EPOCH, FAIL, MAYBE)                                            \
	X(72, LISTENER_NOT_FOUND, REFRESH_RETRY, NO)                                               \
	X(73, TOPIC_DELETION_DISABLED, FAIL, MAYBE)                                                \
	X(74, FENCED_LEADER_EPOCH, REFRESH_RETRY, NO)                                              \
	X(75, UNKNOWN_LEADER_EPOCH, RETRY, NO)                                                     \
	X(76, UNSUPPORTED_COMPRESSION_TYPE, RECOMPRESS, NO)                                        \
	X(77, STALE_BROKER_EPOCH, FAIL, MAYBE)                                                     \
	X(78, OFFSET_NOT_AVAILABLE, FAIL, MAYBE)                                                   \
	X(79, MEMBER_ID_REQUIRED, FAIL, MAYBE)                                                     \
	X(80, PREFERRED_LEADER_NOT_AVAILABLE, FAIL, MAYBE)                                         \
	X(81, GROUP_MAX_SIZE_REACHED, FAIL, MAYBE)                                                 \
	X(82, FENCED_INSTANCE_ID, FAIL, MAYBE)                                                     \
	X(83, ELIGIBLE_LEADERS_NOT_AVAILABLE, FAIL, MAYBE)                                         \
	X(84, ELECTION_NOT_NEEDED, FAIL, MAYBE)                                                    \
	X(85, NO_REASSIGNMENT_IN_PROGRESS, FAIL, MAYBE)                                            \
	X(86, GROUP_SUBSCRIBED_TO_TOPIC, FAIL, MAYBE)                                              \
	X(87, INVALID_RECORD, FAIL_RECORDS, NO)                                                    \
	X(88, UNSTABLE_OFFSET_COMMIT, FAIL, MAYBE)                                                 \
	X(89, THROTTLING_QUOTA_EXCEEDED, RETRY, NO)                                                \
	X(90, PRODUCER_FENCED, FATAL_CONFIG, NO)                                                   \
	X(91, RESOURCE_NOT_FOUND, FAIL, MAYBE)                                                     \
	X(92, DUPLICATE_RESOURCE, FAIL, MAYBE)                                                     \
	X(93, UNACCEPTABLE_CREDENTIAL, FAIL, MAYBE)                                                \
	X(94, INCONSISTENT_VOTER_SET, FAIL, MAYBE)                                                 \
	X(95, INVALID_UPDATE_VERSION, FAIL, MAYBE)                                                 \
	X(96, FEATURE_UPDATE_FAILED, FAIL, MAYBE)                                                  \
	X(97, PRINCIPAL_DESERIALIZATION_FAILURE, FAIL, MAYBE)                                      \
	X(98, SNAPSHOT_NOT_FOUND, FAIL, MAYBE)                                                     \
	X(99, POSITION_OUT_OF_RANGE, FAIL, MAYBE)                                                  \
	X(100, UNKNOWN_TOPIC_ID, REFRESH_RETRY, NO)                                                \
	X(101, DUPLICATE_BROKER_REGISTRATION, FAIL, MAYBE)                                         \
	X(102, BROKER_ID_NOT_REGISTERED, FAIL, MAYBE)                                              \
	X(103, INCONSISTENT_TOPIC_ID, REFRESH_RETRY, NO)                                           \
	X(104, INCONSISTENT_CLUSTER_ID, FAIL, MAYBE)                                               \
	X(105, TRANSACTIONAL_ID_NOT_FOUND, FAIL, MAYBE)                                            \
	X(106, FETCH_SESSION_TOPIC_ID_ERROR, FAIL, MAYBE)                                          \
	X(107, INELIGIBLE_REPLICA, FAIL, MAYBE)                                                    \
	X(108, NEW_LEADER_ELECTED, FAIL, MAYBE)                                                    \
	X(109, OFFSET_MOVED_TO_TIERED_STORAGE, FAIL, MAYBE)                                        \
	X(110, FENCED_MEMBER_EPOCH, FAIL, MAYBE)                                                   \
	X(111, UNRELEASED_INSTANCE_ID, FAIL, MAYBE)                                                \
	X(112, UNSUPPORTED_ASSIGNOR, FAIL, MAYBE)                                                  \
	X(113, STALE_MEMBER_EPOCH, FAIL, MAYBE)                                                    \
	X(114, MISMATCHED_ENDPOINT_TYPE, FAIL, MAYBE)                                              \
	X(115, UNSUPPORTED_ENDPOINT_TYPE, FAIL, MAYBE)                                             \
	X(116, UNKNOWN_CONTROLLER_ID, FAIL, MAYBE)                                                 \
	X(117, UNKNOWN_SUBSCRIPTION_ID, FAIL, MAYBE)                                               \
	X(118, TELEMETRY_TOO_LARGE, FAIL, MAYBE)                                                   \
	X(119, INVALID_REGISTRATION, FAIL, MAYBE)                                                  \
	X(120, TRANSACTION_ABORTABLE, FAIL, MAYBE)                                                 \
	X(121, INVALID_RECORD_STATE, FAIL, MAYBE)                                                  \
	X(122, SHARE_SESSION_NOT_FOUND, FAIL, MAYBE)                                               \
	X(123, INVALID_SHARE_SESSION_EPOCH, FAIL, MAYBE)                                           \
	X(124, FENCED_STATE_EPOCH, FAIL, MAYBE)                                                    \
	X(125, INVALID_VOTER_KEY, FAIL, MAYBE)                                                     \
	X(126, DUPLICATE_VOTER, FAIL, MAYBE)                                                       \
	X(127, VOTER_NOT_FOUND, FAIL, MAYBE)                                                       \
	X(128, INVALID_REGULAR_EXPRESSION, FAIL, MAYBE)                                            \
	X(129, REBOOTSTRAP_REQUIRED, REBOOTSTRAP, MAYBE)                                           \
	X(130, STREAMS_INVALID_TOPOLOGY, FAIL, MAYBE)                                              \
	X(131, STREAMS_INVALID_TOPOLOGY_EPOCH, FAIL, MAYBE)                                        \
	X(132, STREAMS_TOPOLOGY_FENCED, FAIL, MAYBE)                                               \
	X(133, SHARE_SESSION_LIMIT_REACHED, FAIL, MAYBE)

enum sl_kafka_error {
#define X(number, name, action, written) SL_KAFKA_##name = (number),
	SL_KAFKA_ERROR_LIST(X)
#undef X
};

/* "NOT_LEADER_OR_FOLLOWER"; of a code that we do not know "UNKNOWN_ERROR_CODE" (print the number
 * beside it). */
const char *sl_kafka_error_name(int16_t code);

bool sl_kafka_error_known(int16_t code);
enum sl_error_action sl_kafka_error_action(int16_t code);
enum sl_error_written sl_kafka_error_written(int16_t code);

#endif
