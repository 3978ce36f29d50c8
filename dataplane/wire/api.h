/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The APIs we speak, in which versions, and the frame around them: int32 size, header, body. Any
 * thread; pure.
 *
 * Encoders of requests return the bytes of the whole frame, size field included, or -ENOBUFS when
 * the buffer is too small (or a string too long for its field), or -EPROTONOSUPPORT for a version
 * that we have no codec for. Decoders of responses take the body after sl_response_begin() and
 * return -EBADMSG for anything malformed. Source: Kafka protocol guide; message schemas of
 * Kafka 2.1 to 4.3.
 */
#ifndef SL_WIRE_API_H
#define SL_WIRE_API_H

#include "dataplane/wire/buf.h"

/*
 * X(NAME, api key, lowest and highest version we speak, first flexible version). Every version
 * between is spoken. Produce starts at 3 though brokers of 4.x advertise 0: below it they refuse
 * (KAFKA-18659).
 */
#define SL_API_LIST(X)                                                                             \
	X(PRODUCE, 0, 3, 13, 9)                                                                    \
	X(FETCH, 1, 10, 12, 12)                                                                    \
	X(LIST_OFFSETS, 2, 4, 7, 6)                                                                \
	X(METADATA, 3, 7, 13, 9)                                                                   \
	X(API_VERSIONS, 18, 0, 3, 3)                                                               \
	X(CREATE_TOPICS, 19, 2, 7, 5)                                                              \
	X(DELETE_TOPICS, 20, 1, 6, 4)                                                              \
	X(INIT_PRODUCER_ID, 22, 0, 5, 2)                                                           \
	X(DESCRIBE_PRODUCERS, 61, 0, 0, 0)

enum sl_api_key {
#define X(name, key, min, max, flexible) SL_API_##name = (key),
	SL_API_LIST(X)
#undef X
};

/* Places of the APIs in struct sl_api_versions. */
enum sl_api_slot {
#define X(name, key, min, max, flexible) SL_API_SLOT_##name,
	SL_API_LIST(X)
#undef X
		SL_API_COUNT
};

struct sl_api_range {
	int16_t min;
	int16_t max; /* -1 with min 0: the broker does not offer it */
};

/* What one broker offers of the APIs we know. Belongs to a connection: brokers differ during a
 * rolling upgrade. */
struct sl_api_versions {
	struct sl_api_range range[SL_API_COUNT];
};

/* What every request header carries. client_id may be null; it is the caller's. */
struct sl_request_head {
	int16_t version;
	int32_t correlation_id;
	struct sl_slice client_id;
};

/* A request header as a broker reads it. */
struct sl_request_info {
	int16_t api_key;
	int16_t version;
	int32_t correlation_id;
	struct sl_slice client_id;
};

/* The place of an API, or -1 for one we do not know. */
int sl_api_slot(int16_t api_key);

/* Its name ("PRODUCE"), or "?" for one we do not know. */
const char *sl_api_name(int16_t api_key);

/* Versions that we have codecs for; {0, -1} for an API we do not know. */
struct sl_api_range sl_api_spoken(int16_t api_key);

/* True when this version of this API uses compact lengths and tag buffers. */
bool sl_api_flexible(int16_t api_key, int16_t version);

/* A table where the broker offers nothing. */
void sl_api_versions_init(struct sl_api_versions *table);

/* Notes one range that a broker offered; APIs unknown to us are ignored, an empty or negative range
 * is not offered. */
void sl_api_versions_set(struct sl_api_versions *table, int16_t api_key, struct sl_api_range range);

/*
 * The highest version, at most version_max, that both sides speak; -EPROTONOSUPPORT when there is
 * none. Callers use version_max where what they send limits it: Produce without topic ids is 12 at
 * most. zstd needs Produce 7.
 */
int sl_api_version_pick_max(const struct sl_api_versions *table, int16_t api_key,
			    int16_t version_max);

/* The same without the limit. */
int sl_api_version_pick(const struct sl_api_versions *table, int16_t api_key);

/* Reserves the frame's size field and writes the request header. Returns the frame's start for
 * sl_frame_end(). */
uint8_t *sl_request_begin(struct sl_wbuf *w, int16_t api_key, const struct sl_request_head *head);

/* Fills in the size. Returns the bytes of the frame, size field included, or -ENOBUFS. */
int sl_frame_end(struct sl_wbuf *w, uint8_t *frame);

/*
 * Reads a response's header. r is the frame without its size field; on success r stands at the
 * body. Returns 0 or -EBADMSG.
 */
int sl_response_begin(struct sl_rbuf *r, int16_t api_key, int16_t version, int32_t *correlation_id);

/* ---- a broker's side, for tools and tests ---- */

/* Reads a request's header; r is the frame without its size field. Returns 0, or -EBADMSG. */
int sl_request_info_decode(struct sl_rbuf *r, struct sl_request_info *out);

/* Reserves the size field and writes a response's header. Returns the frame's start for
 * sl_frame_end(). */
uint8_t *sl_response_put_head(struct sl_wbuf *w, int16_t api_key, int16_t version,
			      int32_t correlation_id);

#endif
