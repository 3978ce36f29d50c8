/* SPDX-License-Identifier: Apache-2.0
 *
 * The settings that are lists or maps: brokers, workers, allow, topics.
 */
#include "config/loader.h"
#include "config/value.h"

#include <stdlib.h>
#include <string.h>

enum { QUOTE_BYTES = 64, HOST_LENGTH_MAX = 253 };

static bool made_of(const char *text, size_t length, const char *others)
{
	for (size_t i = 0; i < length; i++) {
		char c = text[i];
		bool alnum =
			(c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
		if (!alnum && (c == '\0' || !strchr(others, c)))
			return false;
	}
	return true;
}

static bool port_parse(const char *text, uint16_t *port)
{
	uint32_t number = 0;
	size_t length = strlen(text);
	if (length < 1 || length > 5 || strspn(text, "0123456789") != length)
		return false;
	for (; *text; text++)
		number = number * 10 + (uint32_t)(*text - '0');
	*port = (uint16_t)number;
	return number >= 1 && number <= UINT16_MAX;
}

/* "name:port", "1.2.3.4:port" or "[v6]:port". */
static bool endpoint_parse(struct sl_config_loader *loader, const char *text,
			   struct sl_config_endpoint *endpoint)
{
	const char *colon = strrchr(text, ':');
	if (!colon || !port_parse(colon + 1, &endpoint->port))
		return false;
	bool bracketed = *text == '[' && colon > text + 2 && colon[-1] == ']';
	const char *host = text + bracketed;
	size_t length = (size_t)(colon - host) - bracketed;
	if (length < 1 || length > HOST_LENGTH_MAX ||
	    !made_of(host, length, bracketed ? ":.%" : ".-_"))
		return false;
	endpoint->host = sl_config_store_text(loader->store, host, length);
	return true;
}

/* The text may be one broker, or several with commas. False when one of them is bad, or there are
 * too many. */
static bool endpoints_add(struct sl_config_loader *loader, struct sl_config_endpoint *items,
			  uint32_t *count, const char *text)
{
	char *rest = sl_config_store_text(loader->store, text, strlen(text));
	uint32_t count_before = *count;
	for (char *item = strtok_r(rest, ", ", &rest); item; item = strtok_r(NULL, ", ", &rest)) {
		if (*count == SL_CONFIG_ENDPOINTS_MAX ||
		    !endpoint_parse(loader, item, &items[*count]))
			return false;
		(*count)++;
	}
	return *count > count_before;
}

static void endpoints_apply(struct sl_config_loader *loader, struct sl_config_level *level,
			    const struct sl_config_row *row, const struct sl_config_value *value)
{
	bool list = sl_config_is_sequence(value);
	uint32_t item_count = list ? sl_config_item_count(value) : 1, count = 0;
	struct sl_config_endpoint *items =
		sl_config_store_take(loader->store, SL_CONFIG_ENDPOINTS_MAX, sizeof(*items));
	if (item_count < 1 || item_count > SL_CONFIG_ENDPOINTS_MAX) {
		sl_config_error_value(loader, level, row, value);
		return;
	}
	for (uint32_t i = 0; i < item_count; i++) {
		struct sl_config_value item = list ? sl_config_item(loader, value, i) : *value;
		if (!item.text || !endpoints_add(loader, items, &count, item.text))
			sl_config_error_value(loader, level, row, &item);
	}
	loader->cfg->bootstrap_servers = items;
	loader->cfg->bootstrap_server_count = count;
}

static void core_apply(struct sl_config_loader *loader, struct sl_config_level *level,
		       const struct sl_config_value *value, struct sl_config_worker *worker)
{
	static const struct sl_config_row core = {"workers: core", .type = SL_CONFIG_INT, .min = 0,
						  .max = CPU_SETSIZE - 1};
	char quote[QUOTE_BYTES];
	if (value->text && !strcmp(value->text, "any"))
		worker->core = SL_CONFIG_CORE_ANY;
	else if (!value->text || sl_config_value_parse(&core, value->text, loader->store,
						       &worker->core) != SL_CONFIG_PARSED)
		sl_config_error(loader, level, &value->place, core.key,
				"expected any, or the number of a CPU from 0 to %d; found %s",
				CPU_SETSIZE - 1,
				sl_config_value_quote(value, quote, sizeof(quote)));
}

static void transport_apply(struct sl_config_loader *loader, struct sl_config_level *level,
			    const struct sl_config_value *value, struct sl_config_worker *worker)
{
	static const struct sl_config_row transport = {"workers: transport", .type = SL_CONFIG_ENUM,
						       .names = sl_config_transport_names};
	char quote[QUOTE_BYTES];
	enum sl_config_parsed parsed = SL_CONFIG_PARSED_BAD;
	if (value->text)
		parsed = sl_config_value_parse(&transport, value->text, loader->store,
					       &worker->transport);
	if (parsed == SL_CONFIG_PARSED_UNBUILT)
		sl_config_error(loader, level, &value->place, transport.key,
				"%s is known but not built", value->text);
	else if (parsed != SL_CONFIG_PARSED)
		sl_config_error(loader, level, &value->place, transport.key,
				"expected uring, found %s",
				sl_config_value_quote(value, quote, sizeof(quote)));
}

static void worker_apply(struct sl_config_loader *loader, struct sl_config_level *level,
			 const struct sl_config_value *item, struct sl_config_worker *worker)
{
	bool core_given = false, transport_given = false;
	char quote[QUOTE_BYTES];
	if (!sl_config_is_mapping(item)) {
		sl_config_error(loader, level, &item->place, "workers",
				"expected {core: N|any, transport: uring}, found %s",
				sl_config_value_quote(item, quote, sizeof(quote)));
		return;
	}
	for (uint32_t i = 0; i < sl_config_item_count(item); i++) {
		struct sl_config_value key, value;
		sl_config_pair(loader, item, i, &key, &value);
		bool is_core = key.text && !strcmp(key.text, "core");
		bool is_transport = key.text && !strcmp(key.text, "transport");
		if ((is_core && core_given) || (is_transport && transport_given))
			sl_config_error(loader, level, &key.place, "workers", "%s is given twice",
					key.text);
		else if (is_core)
			core_apply(loader, level, &value, worker);
		else if (is_transport)
			transport_apply(loader, level, &value, worker);
		else
			sl_config_error(loader, level, &key.place, "workers",
					"unknown key %s; a worker has core and transport",
					sl_config_value_quote(&key, quote, sizeof(quote)));
		core_given |= is_core;
		transport_given |= is_transport;
	}
}

static void workers_apply(struct sl_config_loader *loader, struct sl_config_level *level,
			  const struct sl_config_row *row, const struct sl_config_value *value)
{
	const struct sl_config_row number = {
		.type = SL_CONFIG_COUNT, .min = row->min, .max = row->max};
	uint32_t count = 0;
	if (value->text)
		(void)sl_config_value_parse(&number, value->text, loader->store, &count);
	else if (sl_config_is_sequence(value))
		count = sl_config_item_count(value);
	if (count < 1 || count > SL_CONFIG_WORKERS_MAX) {
		sl_config_error_value(loader, level, row, value);
		return;
	}
	loader->workers = sl_config_store_take(loader->store, count, sizeof(*loader->workers));
	loader->worker_places =
		sl_config_store_take(loader->store, count, sizeof(*loader->worker_places));
	for (uint32_t i = 0; i < count; i++) {
		struct sl_config_value item = *value;
		loader->workers[i].core = SL_CONFIG_CORE_ANY;
		if (!value->text) {
			item = sl_config_item(loader, value, i);
			worker_apply(loader, level, &item, &loader->workers[i]);
		}
		loader->worker_places[i] = item.place;
	}
	loader->cfg->workers = loader->workers;
	loader->cfg->worker_count = count;
}

/* A topic's name as Kafka has it, or the start of one and '*'. */
static bool pattern_valid(const char *text)
{
	size_t length = strlen(text);
	bool prefix = length > 0 && text[length - 1] == '*';
	size_t name_length = length - prefix;
	if (length < 1 || name_length > SL_CONFIG_TOPIC_NAME_MAX ||
	    !made_of(text, name_length, "._-"))
		return false;
	return strcmp(text, ".") && strcmp(text, "..");
}

static void error_pattern(struct sl_config_loader *loader, struct sl_config_level *level,
			  const struct sl_config_row *row, const struct sl_config_value *value)
{
	char quote[QUOTE_BYTES];
	sl_config_error(loader, level, &value->place, row->key,
			"expected a topic (letters, digits, '.', '_', '-'; at most %d) or a "
			"prefix*, found %s",
			SL_CONFIG_TOPIC_NAME_MAX,
			sl_config_value_quote(value, quote, sizeof(quote)));
}

static bool who_parse(struct sl_config_loader *loader, const char *text,
		      struct sl_config_allow *rule)
{
	rule->name = "";
	rule->who = SL_CONFIG_WHO_ANYBODY;
	if (!strcmp(text, "*"))
		return true;
	rule->who = strncmp(text, "user:", 5) ? SL_CONFIG_WHO_GROUP : SL_CONFIG_WHO_USER;
	if (rule->who == SL_CONFIG_WHO_GROUP && strncmp(text, "group:", 6))
		return false;
	const char *name = strchr(text, ':') + 1;
	rule->name = sl_config_store_text(loader->store, name, strlen(name));
	return *name && strlen(name) < 256 && strcspn(name, " :\"\\") == strlen(name) &&
	       sl_config_text_printable(name);
}

static void patterns_apply(struct sl_config_loader *loader, struct sl_config_level *level,
			   const struct sl_config_row *row, const struct sl_config_value *value,
			   struct sl_config_allow *rule)
{
	uint32_t count = sl_config_is_sequence(value) ? sl_config_item_count(value) : 1;
	if (count > SL_CONFIG_PATTERNS_MAX) {
		sl_config_error(loader, level, &value->place, row->key,
				"expected at most %d patterns, found %u", SL_CONFIG_PATTERNS_MAX,
				count);
		return;
	}
	const char **patterns = sl_config_store_take(loader->store, count, sizeof(*patterns));
	for (uint32_t i = 0; i < count; i++) {
		struct sl_config_value item = *value;
		if (sl_config_is_sequence(value))
			item = sl_config_item(loader, value, i);
		if (!item.text || !pattern_valid(item.text))
			error_pattern(loader, level, row, &item);
		patterns[i] = item.text;
	}
	rule->patterns = patterns;
	rule->pattern_count = count;
}

static bool allow_repeats(const struct sl_config_allow *rules, uint32_t count,
			  const struct sl_config_allow *rule)
{
	for (uint32_t i = 0; i < count; i++)
		if (rules[i].who == rule->who && !strcmp(rules[i].name, rule->name))
			return true;
	return false;
}

static void allow_apply(struct sl_config_loader *loader, struct sl_config_level *level,
			const struct sl_config_row *row, const struct sl_config_value *value)
{
	if (!sl_config_is_mapping(value) || sl_config_item_count(value) > SL_CONFIG_ALLOW_MAX) {
		sl_config_error_value(loader, level, row, value);
		return;
	}
	uint32_t count = sl_config_item_count(value);
	struct sl_config_allow *rules = sl_config_store_take(loader->store, count, sizeof(*rules));
	for (uint32_t i = 0; i < count; i++) {
		struct sl_config_value key, patterns;
		char quote[QUOTE_BYTES];
		sl_config_pair(loader, value, i, &key, &patterns);
		if (!key.text || !who_parse(loader, key.text, &rules[i]))
			sl_config_error(loader, level, &key.place, row->key,
					"expected user:NAME, group:NAME or \"*\", found %s",
					sl_config_value_quote(&key, quote, sizeof(quote)));
		else if (allow_repeats(rules, i, &rules[i]))
			sl_config_error(loader, level, &key.place, row->key, "%s is given twice",
					key.text);
		else
			patterns_apply(loader, level, row, &patterns, &rules[i]);
		if (!rules[i].name)
			rules[i].name = "";
	}
	loader->cfg->allow = rules;
	loader->cfg->allow_count = count;
}

static void rule_apply(struct sl_config_loader *loader, const struct sl_config_value *value,
		       struct sl_config_level *level)
{
	char quote[QUOTE_BYTES];
	if (sl_config_is_null(value))
		return;
	if (!sl_config_is_mapping(value)) {
		sl_config_error(loader, level, &value->place, "",
				"expected a map of settings, found %s",
				sl_config_value_quote(value, quote, sizeof(quote)));
		return;
	}
	for (uint32_t i = 0; i < sl_config_item_count(value); i++) {
		struct sl_config_value key, setting;
		sl_config_pair(loader, value, i, &key, &setting);
		sl_config_apply(loader, level, &key, &setting);
	}
}

static void rules_allocate(struct sl_config_loader *loader, uint32_t count)
{
	free(loader->levels);
	loader->levels = calloc((size_t)count + 1, sizeof(*loader->levels));
	if (!loader->levels)
		abort();
	loader->rules = sl_config_store_take(loader->store, count, sizeof(*loader->rules));
	loader->rule_count = 0;
}

static bool rule_repeats(const struct sl_config_loader *loader, const char *pattern)
{
	for (uint32_t i = 0; i < loader->rule_count; i++)
		if (!strcmp(loader->rules[i].pattern, pattern))
			return true;
	return false;
}

static void topics_apply(struct sl_config_loader *loader, struct sl_config_level *level,
			 const struct sl_config_row *row, const struct sl_config_value *value)
{
	if (sl_config_is_null(value))
		return;
	if (!sl_config_is_mapping(value) ||
	    sl_config_item_count(value) > SL_CONFIG_TOPIC_RULES_MAX) {
		sl_config_error_value(loader, level, row, value);
		return;
	}
	rules_allocate(loader, sl_config_item_count(value));
	for (uint32_t i = 0; i < sl_config_item_count(value); i++) {
		struct sl_config_value key, settings;
		sl_config_pair(loader, value, i, &key, &settings);
		if (!key.text || !pattern_valid(key.text)) {
			error_pattern(loader, level, row, &key);
			continue;
		}
		if (rule_repeats(loader, key.text)) {
			sl_config_error(loader, level, &key.place, row->key, "%s is given twice",
					key.text);
			continue;
		}
		struct sl_config_topic_rule *rule = &loader->rules[loader->rule_count];
		struct sl_config_level *entry = &loader->levels[loader->rule_count++];
		rule->pattern = entry->pattern = key.text;
		entry->topic = &rule->topic;
		entry->entry = key.place;
		rule_apply(loader, &settings, entry);
	}
}

void sl_config_apply_shape(struct sl_config_loader *loader, struct sl_config_level *level,
			   const struct sl_config_row *row, const struct sl_config_value *value)
{
	if (row->type == SL_CONFIG_ENDPOINTS)
		endpoints_apply(loader, level, row, value);
	else if (row->type == SL_CONFIG_WORKERS)
		workers_apply(loader, level, row, value);
	else if (row->type == SL_CONFIG_ALLOW)
		allow_apply(loader, level, row, value);
	else
		topics_apply(loader, level, row, value);
}
