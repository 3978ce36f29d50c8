/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/sluice/source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ROOM_FIRST = 256 * 1024 };

void source_begin(struct source *s, int fd, const char *delimiter, size_t delimiter_bytes)
{
	*s = (struct source){.fd = fd, .delimiter = delimiter, .delimiter_bytes = delimiter_bytes};
}

void source_end(struct source *s)
{
	free(s->buffer);
	s->buffer = NULL;
}

static int room_make(struct source *s)
{
	size_t room = s->room ? 2 * s->room : ROOM_FIRST;
	char *buffer;

	if (s->at > 0) { /* what was handed out makes room first */
		memmove(s->buffer, s->buffer + s->at, s->have - s->at);
		s->have -= s->at;
		s->at = 0;
		return 0;
	}
	buffer = realloc(s->buffer, room);
	if (!buffer)
		return -ENOMEM;
	s->buffer = buffer;
	s->room = room;
	return 0;
}

static int fill(struct source *s)
{
	ssize_t got;

	if (s->have == s->room && room_make(s) < 0)
		return -ENOMEM;
	got = read(s->fd, s->buffer + s->have, s->room - s->have);
	if (got < 0)
		return errno == EINTR ? 0 : -errno;
	s->ended = got == 0;
	s->have += (size_t)got;
	return 0;
}

int source_next(struct source *s, char **piece, size_t *bytes)
{
	size_t searched = 0;
	int rc;

	for (;;) {
		char *start = s->buffer + s->at;
		size_t left = s->have - s->at;
		char *cut = NULL;

		if (s->delimiter_bytes > 0 && left >= s->delimiter_bytes)
			cut = memmem(start + searched, left - searched, s->delimiter, s->delimiter_bytes);
		if (cut || (s->ended && left > 0)) {
			*piece = start;
			*bytes = cut ? (size_t)(cut - start) : left;
			s->at += *bytes + (cut ? s->delimiter_bytes : 0);
			return 1;
		}
		if (s->ended)
			return 0;
		searched = left >= s->delimiter_bytes ? left - s->delimiter_bytes + 1 : 0;
		if (s->delimiter_bytes == 0)
			searched = 0;
		rc = fill(s);
		if (rc < 0)
			return rc;
	}
}
