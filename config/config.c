/* SPDX-License-Identifier: Apache-2.0
 *
 * Questions to a loaded configuration: a topic's settings, what a reload changes.
 */
#include "config/config.h"

#include "config/schema.h"
#include "config/value.h"

#include <string.h>

bool sl_config_pattern_matches(const char *pattern, const char *topic)
{
	size_t length = strlen(pattern);
	if (length > 0 && pattern[length - 1] == '*')
		return !strncmp(pattern, topic, length - 1);
	return !strcmp(pattern, topic);
}

struct sl_config_topic sl_config_topic(const struct sl_config *cfg, const char *topic)
{
	const struct sl_config_topic *best = &cfg->topic;
	size_t best_length = 0;
	for (uint32_t i = 0; i < cfg->topic_rule_count; i++) {
		const struct sl_config_topic_rule *rule = &cfg->topic_rules[i];
		size_t length = strlen(rule->pattern);
		if (!strcmp(rule->pattern, topic))
			return rule->topic;
		if (length > best_length && sl_config_pattern_matches(rule->pattern, topic)) {
			best = &rule->topic;
			best_length = length;
		}
	}
	return *best;
}

uint64_t sl_config_request_bytes_max(const struct sl_config *cfg)
{
	uint64_t bytes = cfg->topic.request_bytes_max;
	for (uint32_t i = 0; i < cfg->topic_rule_count; i++)
		if (cfg->topic_rules[i].topic.request_bytes_max > bytes)
			bytes = cfg->topic_rules[i].topic.request_bytes_max;
	return bytes;
}

struct diff {
	sl_config_change_fn change;
	void *ctx;
	uint32_t restart_count;
};

static void changed(struct diff *diff, const char *topic, const struct sl_config_row *row)
{
	diff->restart_count += !row->reload;
	if (diff->change)
		diff->change(diff->ctx, topic, row->key, row->reload);
}

static bool endpoints_equal(const struct sl_config *a, const struct sl_config *b)
{
	if (a->bootstrap_server_count != b->bootstrap_server_count)
		return false;
	for (uint32_t i = 0; i < a->bootstrap_server_count; i++)
		if (a->bootstrap_servers[i].port != b->bootstrap_servers[i].port ||
		    strcmp(a->bootstrap_servers[i].host, b->bootstrap_servers[i].host))
			return false;
	return true;
}

static bool workers_equal(const struct sl_config *a, const struct sl_config *b)
{
	if (a->worker_count != b->worker_count)
		return false;
	for (uint32_t i = 0; i < a->worker_count; i++)
		if (a->workers[i].core != b->workers[i].core ||
		    a->workers[i].transport != b->workers[i].transport)
			return false;
	return true;
}

static bool allow_rule_equal(const struct sl_config_allow *a, const struct sl_config_allow *b)
{
	if (a->who != b->who || strcmp(a->name, b->name) || a->pattern_count != b->pattern_count)
		return false;
	for (uint32_t i = 0; i < a->pattern_count; i++)
		if (strcmp(a->patterns[i], b->patterns[i]))
			return false;
	return true;
}

static bool allow_equal(const struct sl_config *a, const struct sl_config *b)
{
	if (a->allow_count != b->allow_count)
		return false;
	for (uint32_t i = 0; i < a->allow_count; i++)
		if (!allow_rule_equal(&a->allow[i], &b->allow[i]))
			return false;
	return true;
}

static void topic_diff(struct diff *diff, const char *pattern, const struct sl_config_topic *a,
		       const struct sl_config_topic *b)
{
	for (uint32_t i = 0; i < sl_config_row_count; i++) {
		const struct sl_config_row *row = &sl_config_rows[i];
		if (row->topic && !sl_config_value_equal(row, (const char *)a + row->offset,
							 (const char *)b + row->offset))
			changed(diff, pattern, row);
	}
}

static const struct sl_config_topic_rule *rule_find(const struct sl_config *cfg,
						    const char *pattern)
{
	for (uint32_t i = 0; i < cfg->topic_rule_count; i++)
		if (!strcmp(cfg->topic_rules[i].pattern, pattern))
			return &cfg->topic_rules[i];
	return NULL;
}

/* Where one side has no entry, its settings are what the other's entry is compared with: an entry
 * that changes nothing is no change. sl_config_topic() of a pattern finds the prefix that applied
 * to the same topics. */
static void rules_diff(struct diff *diff, const struct sl_config *old_cfg,
		       const struct sl_config *new_cfg)
{
	for (uint32_t i = 0; i < old_cfg->topic_rule_count; i++) {
		const struct sl_config_topic_rule *rule = &old_cfg->topic_rules[i];
		struct sl_config_topic now = sl_config_topic(new_cfg, rule->pattern);
		topic_diff(diff, rule->pattern, &rule->topic, &now);
	}
	for (uint32_t i = 0; i < new_cfg->topic_rule_count; i++) {
		const struct sl_config_topic_rule *rule = &new_cfg->topic_rules[i];
		if (rule_find(old_cfg, rule->pattern))
			continue;
		struct sl_config_topic before = sl_config_topic(old_cfg, rule->pattern);
		topic_diff(diff, rule->pattern, &before, &rule->topic);
	}
}

static bool row_equal(const struct sl_config_row *row, const struct sl_config *a,
		      const struct sl_config *b)
{
	switch (row->type) {
	case SL_CONFIG_ENDPOINTS:
		return endpoints_equal(a, b);
	case SL_CONFIG_WORKERS:
		return workers_equal(a, b);
	case SL_CONFIG_ALLOW:
		return allow_equal(a, b);
	case SL_CONFIG_TOPICS:
		return true; /* compared entry by entry */
	default:
		return sl_config_value_equal(row, (const char *)a + row->offset,
					     (const char *)b + row->offset);
	}
}

uint32_t sl_config_diff(const struct sl_config *old_cfg, const struct sl_config *new_cfg,
			sl_config_change_fn change, void *ctx)
{
	struct diff diff = {.change = change, .ctx = ctx};
	for (uint32_t i = 0; i < sl_config_row_count; i++)
		if (!sl_config_rows[i].topic && !row_equal(&sl_config_rows[i], old_cfg, new_cfg))
			changed(&diff, NULL, &sl_config_rows[i]);
	topic_diff(&diff, NULL, &old_cfg->topic, &new_cfg->topic);
	rules_diff(&diff, old_cfg, new_cfg);
	return diff.restart_count;
}
