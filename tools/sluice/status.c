/* SPDX-License-Identifier: Apache-2.0 */
/* `sluice status`: what the agent says of itself, for people or as the JSON it is. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/sluice/agent_status.h"
#include "tools/sluice/cli.h"

static const char help[] = "usage: sluice status [--json] [--events] [-s PATH]\n\n"
			   "Shows the agent's cluster, workers, applications, ledger, the batches that ended unknown and the\n"
			   "last events. Exit: 0, or 3 without agent.\n\n"
			   "  -j, --json         the JSON text as the agent gives it\n"
			   "  -e, --events       nothing but the events, all that are kept\n"
			   "  -s, --socket PATH  the agent's socket\n\n"
			   "  sluice status --json | jq .ledger\n"
			   "  sluice status --events | grep batch_refused\n";

enum { EVENTS_SHOWN = 20, UNKNOWNS_SHOWN = 20 }; /* of what people are shown without asking */

static void value_print(yajl_val v);

static void scalar_print(yajl_val v)
{
	if (v->type == yajl_t_string)
		fputs(v->u.string, stdout);
	else if (v->type == yajl_t_number)
		fputs(v->u.number.r, stdout);
	else
		fputs(YAJL_IS_TRUE(v) ? "yes" : YAJL_IS_FALSE(v) ? "no" : "-", stdout);
}

static bool is_scalar(yajl_val v)
{
	return v->type != yajl_t_object && v->type != yajl_t_array;
}

/* name=value name=value ..., nested ones in brackets. */
static void value_print(yajl_val v)
{
	size_t i;

	if (YAJL_IS_OBJECT(v)) {
		for (i = 0; i < v->u.object.len; i++) {
			printf("%s%s=", i ? " " : "", v->u.object.keys[i]);
			if (!is_scalar(v->u.object.values[i]))
				putchar('[');
			value_print(v->u.object.values[i]);
			if (!is_scalar(v->u.object.values[i]))
				putchar(']');
		}
	} else if (YAJL_IS_ARRAY(v)) {
		for (i = 0; i < v->u.array.len; i++) {
			fputs(i ? ", " : "", stdout);
			value_print(v->u.array.values[i]);
		}
	} else {
		scalar_print(v);
	}
}

/* A line for a simple value or object, a line an element for a list. */
static void section_print(const char *name, yajl_val v)
{
	size_t i;

	if (!YAJL_IS_ARRAY(v)) {
		printf("%-15s ", name);
		value_print(v);
		putchar('\n');
		return;
	}
	printf("%-15s %zu\n", name, v->u.array.len);
	for (i = 0; i < v->u.array.len; i++) {
		fputs("  ", stdout);
		value_print(v->u.array.values[i]);
		putchar('\n');
	}
}

static const char *text_of(yajl_val v, const char *key)
{
	const char *path[] = {key, NULL};
	yajl_val found = yajl_tree_get(v, path, yajl_t_string);

	return found ? found->u.string : "-";
}

static void event_print(yajl_val v)
{
	printf("  %s %s %s\n", text_of(v, "time"), text_of(v, "source"), text_of(v, "event"));
}

static void indented_print(yajl_val v)
{
	fputs("  ", stdout);
	value_print(v);
	putchar('\n');
}

/* {count, pushed_out, list}: the last `max` of the list. */
static void counted_print(const char *name, yajl_val v, size_t max, void (*print)(yajl_val))
{
	const char *count[] = {"count", NULL}, *pushed_out[] = {"pushed_out", NULL}, *list[] = {"list", NULL};
	yajl_val rows = yajl_tree_get(v, list, yajl_t_array);
	size_t all = rows ? rows->u.array.len : 0, i;

	printf("%-15s %" PRId64 ", %" PRId64 " of them no longer kept, the last %zu:\n", name,
	       agent_status_number(v, count, 0), agent_status_number(v, pushed_out, 0), all < max ? all : max);
	for (i = all > max ? all - max : 0; i < all; i++)
		print(rows->u.array.values[i]);
}

static void part_print(const char *name, yajl_val v)
{
	if (strcmp(name, "events") == 0)
		counted_print(name, v, EVENTS_SHOWN, event_print);
	else if (strcmp(name, "unknown_batches") == 0)
		counted_print(name, v, UNKNOWNS_SHOWN, indented_print);
	else
		section_print(name, v);
}

static void events_only(yajl_val tree)
{
	const char *path[] = {"events", "list", NULL};
	yajl_val rows = yajl_tree_get(tree, path, yajl_t_array);
	size_t i;

	for (i = 0; rows && i < rows->u.array.len; i++)
		event_print(rows->u.array.values[i]);
}

static int people(const char *text, bool events)
{
	char why[256];
	yajl_val tree = yajl_tree_parse(text, why, sizeof(why));
	size_t i;

	if (!tree || !YAJL_IS_OBJECT(tree)) {
		yajl_tree_free(tree);
		return complain(EXIT_SOME_FAILED, "the agent's answer is no JSON object");
	}
	if (events)
		events_only(tree);
	for (i = 0; !events && i < tree->u.object.len; i++)
		part_print(tree->u.object.keys[i], tree->u.object.values[i]);
	yajl_tree_free(tree);
	return 0;
}

int cmd_status(int argc, char **argv)
{
	static const struct option options[] = {{"json", no_argument, NULL, 'j'},
						{"events", no_argument, NULL, 'e'},
						{"socket", required_argument, NULL, 's'},
						{"help", no_argument, NULL, 'h'},
						{NULL, 0, NULL, 0}};
	const char *socket = NULL;
	bool json = false, events = false;
	size_t bytes;
	char *text;
	int c, rc;

	while ((c = getopt_long(argc, argv, "ejs:h", options, NULL)) != -1) {
		if (c == 'h') {
			fputs(help, stdout);
			return 0;
		}
		if (c == '?')
			return EXIT_USAGE;
		json = json || c == 'j';
		events = events || c == 'e';
		socket = c == 's' ? optarg : socket;
	}
	text = agent_status_text(socket, &bytes, &rc);
	if (!text)
		return complain(EXIT_NO_AGENT, "%s", sluice_strerror(rc));
	rc = 0;
	if (json)
		printf("%s\n", text);
	else
		rc = people(text, events);
	free(text);
	return rc;
}
