/* SPDX-License-Identifier: Apache-2.0 */
/* This host's counters, read from /proc and /sys: each has a name that stays the same and a number. */
#ifndef SLUICE_TOOL_SENSE_READ_H
#define SLUICE_TOOL_SENSE_READ_H

#include <stddef.h>

struct sense;

/* Opens what there is on this host. NULL: no memory. */
struct sense *sense_create(void);
void sense_destroy(struct sense *s);

/* Reads every source anew and calls fn for each counter, until fn returns not 0; that is returned. */
typedef int (*sense_fn)(void *arg, const char *name, size_t name_bytes, const char *value, size_t value_bytes);
int sense_read(struct sense *s, sense_fn fn, void *arg);

#endif
