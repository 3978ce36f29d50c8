/* SPDX-License-Identifier: Apache-2.0
 *
 * The memory behind a configuration: handed out piece by piece, given back all at once. Out of
 * memory ends the process: at these sizes the kernel kills before malloc fails. Private to config/
 * and its tests.
 */
#ifndef SL_CONFIG_STORE_H
#define SL_CONFIG_STORE_H

#include <stddef.h>

struct sl_config_store;

struct sl_config_store *sl_config_store_create(void);
void sl_config_store_destroy(struct sl_config_store *store);

/* Zeroed, aligned for any type; lives until the store is destroyed. */
void *sl_config_store_take(struct sl_config_store *store, size_t count, size_t bytes_each);
char *sl_config_store_text(struct sl_config_store *store, const char *text, size_t length);

#endif
