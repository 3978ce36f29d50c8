/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's status, asked over its socket and parsed. */
#ifndef SLUICE_TOOL_AGENT_STATUS_H
#define SLUICE_TOOL_AGENT_STATUS_H

#include <stddef.h>
#include <stdint.h>

#include <yajl/yajl_tree.h>

/* The text as it came, to be freed by the caller, or NULL with *rc negative. */
char *agent_status_text(const char *socket, size_t *bytes, int *rc);

/* The same, parsed; freed by yajl_tree_free(). NULL: no agent, or it talks nonsense. */
yajl_val agent_status_tree(const char *socket);

/* The number at a path of names ("process", "cpu_ns", NULL), or fallback. */
int64_t agent_status_number(yajl_val tree, const char **path, int64_t fallback);

#endif
