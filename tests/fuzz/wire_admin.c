/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers to what tools ask: byte 0 is the API, byte 1 the version, with its highest bit one that
 * we do not speak. Oracle: what is accepted lies
 * inside the body, and the states of producers can all be read.
 */
#include "dataplane/base/assert.h"
#include "dataplane/wire/describe_producers.h"
#include "dataplane/wire/fetch.h"
#include "dataplane/wire/list_offsets.h"
#include "dataplane/wire/topics.h"
#include "tests/fuzz/fuzz.h"

static void inside(const struct sl_rbuf *body, struct sl_slice s)
{
	const uint8_t *p = s.data;

	SL_ASSERT(!p || (p >= body->pos && p + s.bytes <= body->end));
}

static void topics(const struct sl_rbuf *body, bool creating, int16_t version)
{
	struct sl_topic_answer a;
	int rc = creating ? sl_create_topic_decode(body, version, &a)
			  : sl_delete_topic_decode(body, version, &a);

	if (rc == 0) {
		inside(body, a.name);
		inside(body, a.error_message);
	}
}

static void producers(const struct sl_rbuf *body)
{
	struct sl_describe_producers_answer a;
	struct sl_producer_state s;

	if (sl_describe_producers_decode(body, &a) < 0)
		return;
	inside(body, a.topic);
	while (sl_producer_state_next(&a, &s) == 1)
		SL_ASSERT(!a.states.bad);
}

/* One of count versions from min on, or the next one on either side. */
static int16_t version_of(uint8_t byte, int min, int count)
{
	if (byte & 0x80)
		return (int16_t)(byte & 1 ? min - 1 : min + count);
	return (int16_t)(min + byte % count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct sl_list_offsets_answer offsets;
	struct sl_fetch_answer fetch;
	struct sl_rbuf body;

	if (bytes < 2)
		return 0;
	body = sl_rbuf_on(data + 2, bytes - 2);
	switch (data[0] % 5) {
	case 0:
		if (sl_fetch_decode(&body, version_of(data[1], 10, 3), &fetch) == 0)
			inside(&body, fetch.records);
		break;
	case 1:
		if (sl_list_offsets_decode(&body, version_of(data[1], 4, 4), &offsets) == 0)
			inside(&body, offsets.topic);
		break;
	case 2:
		topics(&body, true, version_of(data[1], 2, 6));
		break;
	case 3:
		topics(&body, false, version_of(data[1], 1, 6));
		break;
	default:
		producers(&body);
		break;
	}
	return 0;
}
