/* SPDX-License-Identifier: Apache-2.0
 *
 * The part of librdkafka's public C interface that the comparison uses, declared by hand: the
 * library comes inside a Python wheel, which has no headers, and Debian's are of another release.
 * These signatures have not changed since librdkafka 0.9 (the names and types: its rdkafka.h,
 * "Kafka client handle", "Produce API"). One thread; the library has threads of its own.
 */
#ifndef SL_TESTS_BENCH_PEERS_RDKAFKA_ABI_H
#define SL_TESTS_BENCH_PEERS_RDKAFKA_ABI_H

#include <stddef.h>
#include <stdint.h>

typedef struct rd_kafka_s rd_kafka_t;
typedef struct rd_kafka_topic_s rd_kafka_topic_t;
typedef struct rd_kafka_conf_s rd_kafka_conf_t;
typedef struct rd_kafka_topic_conf_s rd_kafka_topic_conf_t;

/* In produce_batch the caller fills payload, len, key, key_len; err says afterwards why one was not
 * taken. */
typedef struct rd_kafka_message_s {
	int err;
	rd_kafka_topic_t *rkt;
	int32_t partition;
	void *payload;
	size_t len;
	void *key;
	size_t key_len;
	int64_t offset;
	void *_private;
} rd_kafka_message_t;

enum {
	RD_KAFKA_PRODUCER = 0,
	RD_KAFKA_PARTITION_UA = -1,
	RD_KAFKA_MSG_F_COPY = 0x2,
	RD_KAFKA_CONF_OK = 0,
	RD_KAFKA_RESP_ERR__QUEUE_FULL = -184,
};

typedef void (*rd_kafka_dr_msg_fn)(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque);

const char *rd_kafka_version_str(void);
const char *rd_kafka_err2str(int err);
int rd_kafka_last_error(void);
rd_kafka_conf_t *rd_kafka_conf_new(void);
int rd_kafka_conf_set(rd_kafka_conf_t *conf, const char *name, const char *value, char *text,
		      size_t text_bytes);
void rd_kafka_conf_set_opaque(rd_kafka_conf_t *conf, void *opaque);
void rd_kafka_conf_set_dr_msg_cb(rd_kafka_conf_t *conf, rd_kafka_dr_msg_fn fn);
/* Takes conf over when it succeeds. */
rd_kafka_t *rd_kafka_new(int type, rd_kafka_conf_t *conf, char *text, size_t text_bytes);
rd_kafka_topic_t *rd_kafka_topic_new(rd_kafka_t *rk, const char *name, rd_kafka_topic_conf_t *conf);
int rd_kafka_produce(rd_kafka_topic_t *rkt, int32_t partition, int flags, void *payload,
		     size_t payload_bytes, const void *key, size_t key_bytes, void *opaque);
/* Returns how many of the messages were taken. */
int rd_kafka_produce_batch(rd_kafka_topic_t *rkt, int32_t partition, int flags,
			   rd_kafka_message_t *messages, int count);
int rd_kafka_poll(rd_kafka_t *rk, int timeout_ms);
int rd_kafka_flush(rd_kafka_t *rk, int timeout_ms);
void rd_kafka_topic_destroy(rd_kafka_topic_t *rkt);
void rd_kafka_destroy(rd_kafka_t *rk);

#endif
