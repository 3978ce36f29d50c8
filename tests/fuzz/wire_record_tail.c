/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A record's tail as an application hands it over. Oracle: fast and full check agree in every
 * field, and a tail that is accepted survives being put into a record and read back by the record
 * reader, headers and all. The same bytes are read as records too: they end, inside.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/base/assert.h"
#include "dataplane/wire/record.h"
#include "tests/fuzz/fuzz.h"

static void read_back(const uint8_t *tail, uint32_t bytes, const struct sl_record_tail *want)
{
	uint32_t record_bytes = sl_record_bytes(bytes, -7, 0), count = 0;
	uint8_t *copy = malloc(record_bytes);
	struct sl_record_iter it = sl_record_iter_on(copy, record_bytes, 1);
	struct sl_record_headers headers;
	struct sl_kafka_header header;
	struct sl_record record;

	memcpy(sl_record_head_put(copy, bytes, -7, 0), tail, bytes);
	SL_ASSERT(sl_record_next(&it, &record) == 1 && sl_record_next(&it, &record) == 0);
	SL_ASSERT(record.timestamp_delta_ms == -7);
	SL_ASSERT((record.key.data == NULL) == (want->key_bytes < 0));
	SL_ASSERT((record.value.data == NULL) == (want->value_bytes < 0));
	headers = sl_record_headers_on(&record);
	while (sl_record_header_next(&headers, &header) == 1)
		count += header.key.data != NULL;
	SL_ASSERT(count == want->header_count && !headers.r.bad && sl_rbuf_left(&headers.r) == 0);
	free(copy);
}

static void read_as_records(const uint8_t *data, uint32_t bytes)
{
	struct sl_record_iter it = sl_record_iter_on(data, bytes, 3);
	struct sl_record record;
	int rc = 1;

	while (rc == 1) {
		const uint8_t *headers;

		rc = sl_record_next(&it, &record);
		headers = record.headers.data;
		if (rc == 1)
			SL_ASSERT(headers >= data &&
				  headers + record.headers.bytes <= data + bytes);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct sl_record_tail fast, any;
	int rc;

	/* The same bytes everywhere, so that the comparison below sees fields and not padding. */
	memset(&fast, 0, sizeof(fast));
	memset(&any, 0, sizeof(any));
	rc = sl_record_tail_check(data, (uint32_t)bytes, &fast);
	SL_ASSERT(sl_record_tail_check_any(data, (uint32_t)bytes, &any) == rc);
	read_as_records(data, (uint32_t)bytes);
	if (bytes == 0) /* a length that is judged before anything is read */
		SL_ASSERT(sl_record_tail_check_any(data, SL_RECORD_TAIL_BYTES_MAX + 1, &any) ==
			  -EBADMSG);
	if (rc < 0)
		return 0;
	SL_ASSERT(memcmp(&fast, &any, sizeof(fast)) == 0);
	SL_ASSERT(fast.headers_offset <= bytes);
	read_back(data, (uint32_t)bytes, &fast);
	return 0;
}
