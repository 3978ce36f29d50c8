/* SPDX-License-Identifier: Apache-2.0 */
/* `sluice status`: what the agent says of itself, for people or as the JSON it is. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/sluice/agent_status.h"
#include "tools/sluice/cli.h"

static const char help[] = "usage: sluice status [--json] [-s PATH]\n\n"
			   "Shows the agent's cluster, workers, applications and ledger. Exit: 0, or 3 without agent.\n\n"
			   "  -j, --json         the JSON text as the agent gives it\n"
			   "  -s, --socket PATH  the agent's socket\n\n"
			   "  sluice status --json | jq .ledger\n";


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
		printf("%-13s", name);
		value_print(v);
		putchar('\n');
		return;
	}
	printf("%-13s%zu\n", name, v->u.array.len);
	for (i = 0; i < v->u.array.len; i++) {
		fputs("  ", stdout);
		value_print(v->u.array.values[i]);
		putchar('\n');
	}
}

static int people(const char *text)
{
	char why[256];
	yajl_val tree = yajl_tree_parse(text, why, sizeof(why));
	size_t i;

	if (!tree || !YAJL_IS_OBJECT(tree)) {
		yajl_tree_free(tree);
		return complain(EXIT_SOME_FAILED, "the agent's answer is no JSON object");
	}
	for (i = 0; i < tree->u.object.len; i++)
		section_print(tree->u.object.keys[i], tree->u.object.values[i]);
	yajl_tree_free(tree);
	return 0;
}

int cmd_status(int argc, char **argv)
{
	static const struct option options[] = {{"json", no_argument, NULL, 'j'},
						{"socket", required_argument, NULL, 's'},
						{"help", no_argument, NULL, 'h'},
						{NULL, 0, NULL, 0}};
	const char *socket = NULL;
	bool json = false;
	size_t bytes;
	char *text;
	int c, rc;

	while ((c = getopt_long(argc, argv, "js:h", options, NULL)) != -1) {
		if (c == 'h') {
			fputs(help, stdout);
			return 0;
		}
		if (c == '?')
			return EXIT_USAGE;
		json = json || c == 'j';
		socket = c == 's' ? optarg : socket;
	}
	text = agent_status_text(socket, &bytes, &rc);
	if (!text)
		return complain(EXIT_NO_AGENT, "%s", sluice_strerror(rc));
	rc = 0;
	if (json)
		printf("%s\n", text);
	else
		rc = people(text);
	free(text);
	return rc;
}
