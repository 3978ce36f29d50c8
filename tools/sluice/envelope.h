/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kcat's JSON envelope of a record: {"topic", "partition", "offset", "ts", "headers": [name, value, ...], "key", "payload"},
 * with "key_base64" and "payload_base64" besides. Strings may hold any bytes (kcat writes them as they are).
 */
#ifndef SLUICE_TOOL_ENVELOPE_H
#define SLUICE_TOOL_ENVELOPE_H

#include <stddef.h>

#include "dataplane/client/sluice.h"

struct envelope; /* memory that is used again for each record */

struct envelope *envelope_create(void);
void envelope_destroy(struct envelope *e);

/*
 * Parses one object into *record, whose pointers stay until the next call. partition and timestamp are taken only where
 * the envelope has them and the flags ask for it. 0, or -EINVAL with the reason in error.
 */
int envelope_parse(struct envelope *e, const char *json, size_t bytes, struct sluice_record *record, char *error,
		   size_t error_bytes);

#endif
