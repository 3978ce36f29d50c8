/* SPDX-License-Identifier: Apache-2.0 */
/* Input cut at a delimiter: what lies between two delimiters is a piece, of any size and content. */
#ifndef SLUICE_TOOL_SOURCE_H
#define SLUICE_TOOL_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct source {
	int fd;
	const char *delimiter; /* empty: the whole input is one piece */
	size_t delimiter_bytes;
	char *buffer;
	size_t room, have, at;
	bool ended;
};

void source_begin(struct source *s, int fd, const char *delimiter, size_t delimiter_bytes);
void source_end(struct source *s);

/*
 * 1 with the next piece, which stays until the next call; 0 at the end; negative errno of read(2), or -ENOMEM. A last
 * piece without delimiter counts unless it is empty.
 */
int source_next(struct source *s, char **piece, size_t *bytes);

#endif
