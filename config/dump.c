/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config.h"

#include "config/schema.h"
#include "config/value.h"

#include <string.h>

static void endpoints_print(FILE *out, const struct sl_config *cfg)
{
	for (uint32_t i = 0; i < cfg->bootstrap_server_count; i++) {
		const struct sl_config_endpoint *endpoint = &cfg->bootstrap_servers[i];
		bool v6 = strchr(endpoint->host, ':') != NULL;
		fprintf(out, "\n  - \"%s%s%s:%u\"", v6 ? "[" : "", endpoint->host, v6 ? "]" : "",
			endpoint->port);
	}
}

static void workers_print(FILE *out, const struct sl_config *cfg)
{
	for (uint32_t i = 0; i < cfg->worker_count; i++) {
		const struct sl_config_worker *worker = &cfg->workers[i];
		if (worker->core == SL_CONFIG_CORE_ANY)
			fprintf(out, "\n  - {core: any, ");
		else
			fprintf(out, "\n  - {core: %d, ", worker->core);
		fprintf(out, "transport: %s}", sl_config_transport_names[worker->transport].name);
	}
}

static void allow_print(FILE *out, const struct sl_config *cfg)
{
	static const char *const prefixes[] = {[SL_CONFIG_WHO_ANYBODY] = "*",
					       [SL_CONFIG_WHO_USER] = "user:",
					       [SL_CONFIG_WHO_GROUP] = "group:"};
	if (cfg->allow_count == 0)
		fprintf(out, " {}");
	for (uint32_t i = 0; i < cfg->allow_count; i++) {
		const struct sl_config_allow *rule = &cfg->allow[i];
		fprintf(out, "\n  \"%s%s\": [", prefixes[rule->who], rule->name);
		for (uint32_t j = 0; j < rule->pattern_count; j++)
			fprintf(out, "%s\"%s\"", j ? ", " : "", rule->patterns[j]);
		fputc(']', out);
	}
}

static void rule_print(FILE *out, const struct sl_config_topic_rule *rule)
{
	uint64_t bit = 1;
	fprintf(out, "\n  \"%s\":", rule->pattern);
	if (!rule->set_mask)
		fprintf(out, " {}");
	for (uint32_t i = 0; i < sl_config_row_count; i++) {
		const struct sl_config_row *row = &sl_config_rows[i];
		if (!row->topic)
			continue;
		if (rule->set_mask & bit) {
			fprintf(out, "\n    %s: ", row->key);
			sl_config_value_print(out, row, (const char *)&rule->topic + row->offset);
		}
		bit <<= 1;
	}
}

static void topics_print(FILE *out, const struct sl_config *cfg)
{
	if (cfg->topic_rule_count == 0)
		fprintf(out, " {}");
	for (uint32_t i = 0; i < cfg->topic_rule_count; i++)
		rule_print(out, &cfg->topic_rules[i]);
}

static void row_print(FILE *out, const struct sl_config_row *row, const struct sl_config *cfg)
{
	fprintf(out, "%s:", row->key);
	if (row->type == SL_CONFIG_ENDPOINTS) {
		endpoints_print(out, cfg);
	} else if (row->type == SL_CONFIG_WORKERS) {
		workers_print(out, cfg);
	} else if (row->type == SL_CONFIG_ALLOW) {
		allow_print(out, cfg);
	} else if (row->type == SL_CONFIG_TOPICS) {
		topics_print(out, cfg);
	} else {
		const void *base = row->topic ? (const void *)&cfg->topic : (const void *)cfg;
		fputc(' ', out);
		sl_config_value_print(out, row, (const char *)base + row->offset);
	}
	fputc('\n', out);
}

void sl_config_dump(FILE *out, const struct sl_config *cfg)
{
	for (uint32_t i = 0; i < sl_config_row_count; i++)
		row_print(out, &sl_config_rows[i], cfg);
}

static void reference_row(FILE *out, const struct sl_config_row *row)
{
	fprintf(out, "### `%s`\n\n%s.\n\n- Value: ", row->key, row->help);
	sl_config_value_describe(out, row);
	fprintf(out, ".\n- Default: ");
	if (row->standard && *row->standard)
		fprintf(out, "`%s`", row->standard);
	else if (row->standard)
		fputs("none", out);
	else
		fprintf(out, "%s",
			row->type == SL_CONFIG_ENDPOINTS ? "none, required" : "as said above");
	fprintf(out, ". Per topic: %s. Reload: %s.\n", row->topic ? "yes" : "no",
		row->reload ? "yes" : "restart");
	for (size_t i = 0; i < sizeof(row->aliases) / sizeof(row->aliases[0]) && row->aliases[i];
	     i++)
		fprintf(out, "%s`%s`", i ? ", " : "- Also: ", row->aliases[i]);
	fputs(row->aliases[0] ? ".\n\n" : "\n", out);
}

void sl_config_print_reference(FILE *out)
{
	for (uint32_t i = 0; i < sl_config_row_count; i++)
		reference_row(out, &sl_config_rows[i]);
	fprintf(out, "### Known, and refused\n\n");
	for (const struct sl_config_unbuilt *key = sl_config_unbuilt_keys; key->key; key++)
		fprintf(out, "- `%s`: %s.\n", key->key, key->why);
}
