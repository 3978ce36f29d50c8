/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/sluice/agent_status.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "dataplane/client/sluice.h"

enum { TIMEOUT_MS = 5000, TEXT_BYTES_MAX = 256 * 1024 * 1024 };

char *agent_status_text(const char *socket, size_t *bytes, int *rc)
{
	uint64_t text_bytes;
	size_t have = 0;
	char *text;
	int fd;

	*rc = sluice_agent_status(socket, TIMEOUT_MS, &fd, &text_bytes);
	if (*rc < 0)
		return NULL;
	text = text_bytes < TEXT_BYTES_MAX ? malloc(text_bytes + 1) : NULL;
	while (text && have < text_bytes) {
		ssize_t got = pread(fd, text + have, text_bytes - have, (off_t)have);

		if (got <= 0)
			break;
		have += (size_t)got;
	}
	close(fd);
	if (!text || have < text_bytes) {
		free(text);
		*rc = -EIO;
		return NULL;
	}
	text[have] = '\0';
	*bytes = have;
	return text;
}

yajl_val agent_status_tree(const char *socket)
{
	size_t bytes;
	int rc;
	char *text = agent_status_text(socket, &bytes, &rc);
	yajl_val tree = text ? yajl_tree_parse(text, NULL, 0) : NULL;

	free(text);
	return tree;
}

int64_t agent_status_number(yajl_val tree, const char **path, int64_t fallback)
{
	yajl_val value = tree ? yajl_tree_get(tree, path, yajl_t_number) : NULL;

	return value && YAJL_IS_INTEGER(value) ? YAJL_GET_INTEGER(value) : fallback;
}
