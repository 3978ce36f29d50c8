/* SPDX-License-Identifier: Apache-2.0 */
#include "config/loader.h"
#include "config/value.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { KEY_BYTES = 128 };

static const char *const set_place = "--set";

struct sl_config_value sl_config_value_of(struct sl_config_loader *loader, yaml_document_t *doc,
					  int node_index, const char *place_name)
{
	const yaml_node_t *node = yaml_document_get_node(doc, node_index);
	struct sl_config_value value = {.doc = doc, .node = node, .place = {.name = place_name}};
	if (place_name != set_place) {
		value.place.line = (uint32_t)node->start_mark.line + 1;
		value.place.column = (uint32_t)node->start_mark.column + 1;
	}
	if (node->type == YAML_SCALAR_NODE && !sl_config_is_null(&value)) {
		const char *text = (const char *)node->data.scalar.value;
		if (strlen(text) == node->data.scalar.length)
			value.text = sl_config_store_text(loader->store, text, strlen(text));
	}
	return value;
}

bool sl_config_is_mapping(const struct sl_config_value *value)
{
	return value->node && value->node->type == YAML_MAPPING_NODE;
}

bool sl_config_is_sequence(const struct sl_config_value *value)
{
	return value->node && value->node->type == YAML_SEQUENCE_NODE;
}

bool sl_config_is_null(const struct sl_config_value *value)
{
	if (!value->node || value->node->type != YAML_SCALAR_NODE ||
	    value->node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
		return false;
	const char *text = (const char *)value->node->data.scalar.value;
	return value->node->data.scalar.length == 0 || !strcmp(text, "~") || !strcmp(text, "null");
}

uint32_t sl_config_item_count(const struct sl_config_value *value)
{
	if (sl_config_is_mapping(value))
		return (uint32_t)(value->node->data.mapping.pairs.top -
				  value->node->data.mapping.pairs.start);
	return (uint32_t)(value->node->data.sequence.items.top -
			  value->node->data.sequence.items.start);
}

struct sl_config_value sl_config_item(struct sl_config_loader *loader,
				      const struct sl_config_value *sequence, uint32_t index)
{
	return sl_config_value_of(loader, sequence->doc,
				  sequence->node->data.sequence.items.start[index],
				  sequence->place.name);
}

void sl_config_pair(struct sl_config_loader *loader, const struct sl_config_value *mapping,
		    uint32_t index, struct sl_config_value *key, struct sl_config_value *value)
{
	const yaml_node_pair_t *pair = &mapping->node->data.mapping.pairs.start[index];
	*key = sl_config_value_of(loader, mapping->doc, pair->key, mapping->place.name);
	*value = sl_config_value_of(loader, mapping->doc, pair->value, mapping->place.name);
}

void *sl_config_field(struct sl_config *cfg, struct sl_config_topic *topic,
		      const struct sl_config_row *row)
{
	return (row->topic ? (char *)topic : (char *)cfg) + row->offset;
}

static void error_unknown(struct sl_config_loader *loader, struct sl_config_level *level,
			  const struct sl_config_value *key)
{
	char quote[KEY_BYTES];
	if (!key->text || !sl_config_text_printable(key->text)) {
		sl_config_error(loader, level, &key->place, "", "expected a key, found %s",
				sl_config_value_quote(key, quote, sizeof(quote)));
		return;
	}
	const char *nearest = sl_config_row_nearest(key->text, level->pattern != NULL);
	const char *why = sl_config_unbuilt_why(key->text);
	if (why)
		sl_config_error(loader, level, &key->place, key->text, "known but not built: %s",
				why);
	else if (nearest)
		sl_config_error(loader, level, &key->place, key->text,
				"unknown key; the nearest is %s", nearest);
	else
		sl_config_error(loader, level, &key->place, key->text, "unknown key");
}

/* Within a file a second value is a mistake; --set replaces, the later the stronger. */
static bool claim(struct sl_config_loader *loader, struct sl_config_level *level,
		  const struct sl_config_row *row, const struct sl_config_value *key)
{
	struct sl_config_place *set = &level->set[row - sl_config_rows];
	if (set->name && key->place.line) {
		sl_config_error(loader, level, &key->place, key->text,
				"%s is already given in line %u", row->key, set->line);
		return false;
	}
	*set = key->place;
	return true;
}

static void flags_apply(struct sl_config_loader *loader, struct sl_config_level *level,
			const struct sl_config_row *row, const struct sl_config_value *value)
{
	uint32_t flags = 0;
	bool good = value->text != NULL || sl_config_is_sequence(value);
	if (value->text) {
		char *rest = sl_config_store_text(loader->store, value->text, strlen(value->text));
		for (char *name = strtok_r(rest, ", ", &rest); name && good;
		     name = strtok_r(NULL, ", ", &rest))
			good = sl_config_flag_parse(row, name, &flags) == SL_CONFIG_PARSED;
	} else if (good) {
		for (uint32_t i = 0; i < sl_config_item_count(value); i++) {
			struct sl_config_value item = sl_config_item(loader, value, i);
			if (!item.text ||
			    sl_config_flag_parse(row, item.text, &flags) != SL_CONFIG_PARSED)
				sl_config_error_value(loader, level, row, &item);
		}
	}
	if (good)
		*(uint32_t *)sl_config_field(loader->cfg, level->topic, row) = flags;
	else
		sl_config_error_value(loader, level, row, value);
}

static void scalar_apply(struct sl_config_loader *loader, struct sl_config_level *level,
			 const struct sl_config_row *row, const struct sl_config_value *value)
{
	enum sl_config_parsed parsed = SL_CONFIG_PARSED_BAD;
	if (value->text)
		parsed = sl_config_value_parse(row, value->text, loader->store,
					       sl_config_field(loader->cfg, level->topic, row));
	if (parsed == SL_CONFIG_PARSED_UNBUILT) {
		sl_config_error(loader, level, &value->place, row->key, "%s is known but not built",
				value->text);
		level->set[row - sl_config_rows].bad = true;
	} else if (parsed != SL_CONFIG_PARSED) {
		sl_config_error_value(loader, level, row, value);
	}
}

void sl_config_apply(struct sl_config_loader *loader, struct sl_config_level *level,
		     const struct sl_config_value *key, const struct sl_config_value *value)
{
	const struct sl_config_row *row = key->text ? sl_config_row_find(key->text) : NULL;
	if (!row) {
		error_unknown(loader, level, key);
		return;
	}
	if (level->pattern && !row->topic) {
		sl_config_error(loader, level, &key->place, key->text,
				"applies to the agent as a whole, not to a topic");
		return;
	}
	if (!claim(loader, level, row, key))
		return;
	if (row->type >= SL_CONFIG_ENDPOINTS)
		sl_config_apply_shape(loader, level, row, value);
	else if (row->type == SL_CONFIG_FLAGS)
		flags_apply(loader, level, row, value);
	else
		scalar_apply(loader, level, row, value);
}

static void document_apply(struct sl_config_loader *loader, yaml_document_t *doc, const char *name)
{
	if (!yaml_document_get_root_node(doc))
		return;
	struct sl_config_value root = sl_config_value_of(loader, doc, 1, name);
	if (sl_config_is_null(&root))
		return;
	if (!sl_config_is_mapping(&root)) {
		sl_config_error(loader, NULL, &root.place, "", "expected KEY: VALUE lines");
		return;
	}
	for (uint32_t i = 0; i < sl_config_item_count(&root); i++) {
		struct sl_config_value key, value;
		sl_config_pair(loader, &root, i, &key, &value);
		sl_config_apply(loader, &loader->top, &key, &value);
	}
}

static void error_syntax(struct sl_config_loader *loader, const yaml_parser_t *parser,
			 const char *name)
{
	struct sl_config_place place = {.name = name};
	const char *problem = parser->problem ? parser->problem : "out of memory";
	if (parser->error == YAML_READER_ERROR) {
		sl_config_error(loader, NULL, &place, "", "not YAML: %s at byte %zu", problem,
				parser->problem_offset);
		return;
	}
	if (name != set_place) {
		place.line = (uint32_t)parser->problem_mark.line + 1;
		place.column = (uint32_t)parser->problem_mark.column + 1;
	}
	sl_config_error(loader, NULL, &place, "", "not YAML: %s%s%s", problem,
			parser->context ? " " : "", parser->context ? parser->context : "");
}

/* A second document would be settings that nobody reads. */
static void document_end(struct sl_config_loader *loader, yaml_parser_t *parser, const char *name)
{
	yaml_document_t extra;
	if (!yaml_parser_load(parser, &extra)) {
		error_syntax(loader, parser, name);
		return;
	}
	if (yaml_document_get_root_node(&extra)) {
		struct sl_config_value root = sl_config_value_of(loader, &extra, 1, name);
		sl_config_error(loader, NULL, &root.place, "",
				"a second YAML document; settings stand in one");
	}
	yaml_document_delete(&extra);
}

static void text_apply(struct sl_config_loader *loader, const char *text, size_t bytes,
		       const char *name)
{
	yaml_parser_t parser;
	yaml_document_t doc;
	if (!yaml_parser_initialize(&parser))
		abort();
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, bytes);
	if (!yaml_parser_load(&parser, &doc)) {
		error_syntax(loader, &parser, name);
	} else {
		document_apply(loader, &doc, name);
		if (yaml_document_get_root_node(&doc))
			document_end(loader, &parser, name);
		yaml_document_delete(&doc);
	}
	yaml_parser_delete(&parser);
}

static void file_apply(struct sl_config_loader *loader, const char *path)
{
	struct sl_config_place place = {.name = path};
	char *text = malloc(SL_CONFIG_TEXT_BYTES_MAX + 1);
	if (!text)
		abort();
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t bytes = 0;
	ssize_t got = fd < 0 ? -1 : 1;
	while (got > 0 && bytes <= SL_CONFIG_TEXT_BYTES_MAX) {
		got = read(fd, text + bytes, SL_CONFIG_TEXT_BYTES_MAX + 1 - bytes);
		bytes += got > 0 ? (size_t)got : 0;
	}
	if (got < 0)
		sl_config_error(loader, NULL, &place, "", "cannot be read: %s", strerror(errno));
	else if (bytes > SL_CONFIG_TEXT_BYTES_MAX)
		sl_config_error(loader, NULL, &place, "", "longer than 1 MiB");
	else
		text_apply(loader, text, bytes, path);
	if (fd >= 0)
		close(fd);
	free(text);
}

/* The value of a map or a list of maps is YAML in one line; any other is taken as it stands,
 * whatever characters it has
 * ([::1]:9092 is no list). */
static void set_apply(struct sl_config_loader *loader, const char *set)
{
	const char *equals = strchr(set, '=');
	struct sl_config_place place = {.name = set_place};
	if (!equals) {
		sl_config_error(loader, NULL, &place, "", "expected KEY=VALUE, found \"%.60s\"",
				set);
		return;
	}
	struct sl_config_value key = {.place = place}, value = {.text = equals + 1, .place = place};
	key.text = sl_config_store_text(loader->store, set, (size_t)(equals - set));
	const struct sl_config_row *row = sl_config_row_find(key.text);
	bool yaml_list = row && row->type == SL_CONFIG_FLAGS && *value.text == '[';
	if (!row || (row->type <= SL_CONFIG_ENDPOINTS && !yaml_list)) {
		sl_config_apply(loader, &loader->top, &key, &value);
		return;
	}
	char *text = NULL;
	size_t bytes = 0;
	FILE *out = open_memstream(&text, &bytes);
	if (!out)
		abort();
	fprintf(out, "%s: %s", row->key, value.text);
	fclose(out);
	text_apply(loader, text, bytes, set_place);
	free(text);
}

static void source_apply(struct sl_config_loader *loader, const struct sl_config_source *src)
{
	const char *name = src->text_name ? src->text_name : "text";
	struct sl_config_place place = {.name = name};
	if (src->path)
		file_apply(loader, src->path);
	else if (src->text && src->text_bytes > SL_CONFIG_TEXT_BYTES_MAX)
		sl_config_error(loader, NULL, &place, "", "longer than 1 MiB");
	else if (src->text)
		text_apply(loader, src->text, src->text_bytes, name);
	for (uint32_t i = 0; i < src->set_count; i++)
		set_apply(loader, src->sets[i]);
}

int sl_config_load(const struct sl_config_source *src, struct sl_config **out,
		   struct sl_config_report *report)
{
	struct sl_config_store *store = sl_config_store_create();
	struct sl_config *cfg = sl_config_store_take(store, 1, sizeof(*cfg));
	struct sl_config_loader loader = {.cfg = cfg, .store = store, .report = report, .src = src};
	uint32_t errors_before = report->error_count;
	cfg->store = store;
	loader.top.topic = &cfg->topic;
	sl_config_standards_set(&loader);
	source_apply(&loader, src);
	sl_config_standards_compute(&loader);
	sl_config_check(&loader);
	free(loader.levels);
	sl_config_report_sort(report);
	if (report->error_count > errors_before) {
		sl_config_store_destroy(store);
		*out = NULL;
		return -EINVAL;
	}
	*out = cfg;
	return 0;
}

void sl_config_free(struct sl_config *cfg)
{
	if (cfg)
		sl_config_store_destroy(cfg->store);
}
