/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which journals a run looks at. They are read twice. A record that a running sender sees persisted after we asked for
 * the topic's end is not in what we read, so what was settled is taken from before; what it had claimed and which
 * records failed is taken from after, since what we read may be younger than the first look.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/sluice/cli.h"
#include "tools/sluice/verify.h"

static uint32_t topic_of(const struct verify *v, const char *name)
{
	uint32_t i;

	for (i = 0; i < v->topic_count; i++)
		if (strcmp(v->topics[i].name, name) == 0)
			return i;
	return UINT32_MAX;
}

static int keep(struct verify *v, struct journal_view *view)
{
	if (v->journal_count == v->journal_room) {
		uint32_t room = v->journal_room ? 2 * v->journal_room : 64;
		struct journal_view **grown = realloc(v->journals, room * sizeof(struct journal_view *));

		if (!grown)
			return -ENOMEM;
		v->journals = grown;
		v->journal_room = room;
	}
	v->journals[v->journal_count++] = view;
	return 0;
}

/* One file. must: the user named it, so that it may not be passed over. 0 or an exit code. */
static int file_load(struct verify *v, const char *path, bool must)
{
	struct journal_view *view = calloc(1, sizeof(*view));
	struct sl_error err;
	bool wanted;

	if (!view || journal_read(path, view, &err) < 0) {
		free(view);
		return complain(VERIFY_UNDECIDED, "journal: %s", view ? err.text : "no memory");
	}
	wanted = topic_of(v, view->topic) != UINT32_MAX;
	if (wanted && keep(v, view) == 0)
		return 0;
	if (must)
		complain(0, "journal %s is of topic %s, which is not among -t", path, view->topic);
	journal_view_free(view);
	free(view);
	return must || wanted ? EXIT_USAGE : 0;
}

static bool is_journal_name(const char *name)
{
	size_t bytes = strlen(name), suffix = sizeof(JOURNAL_SUFFIX) - 1;

	return bytes > suffix && strcmp(name + bytes - suffix, JOURNAL_SUFFIX) == 0;
}

static int folder_load(struct verify *v, const char *folder)
{
	struct dirent **entries;
	int count = scandir(folder, &entries, NULL, alphasort);
	int rc = 0, i;

	if (count < 0)
		return complain(VERIFY_UNDECIDED, "%s: %s", folder, strerror(errno));
	for (i = 0; i < count; i++) {
		char path[4096];
		int n = snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);

		if (rc == 0 && is_journal_name(entries[i]->d_name) && (size_t)n < sizeof(path))
			rc = file_load(v, path, false);
		free(entries[i]);
	}
	free(entries);
	return rc;
}

int verify_journals_load(struct verify *v)
{
	char folder[3072];
	struct stat info;
	uint32_t i;
	int rc = 0;

	if (v->path_count == 0)
		return journal_folder(folder, sizeof(folder)) < 0 || stat(folder, &info) < 0 ? 0 : folder_load(v, folder);
	for (i = 0; i < v->path_count && rc == 0; i++) {
		bool is_folder = stat(v->paths[i], &info) == 0 && S_ISDIR(info.st_mode);

		rc = is_folder ? folder_load(v, v->paths[i]) : file_load(v, v->paths[i], true);
	}
	return rc;
}

/* The second look; what must not be younger than the topic's end is kept from the first. */
static int look_again(struct journal_view *view)
{
	uint64_t settled_below = view->settled_below;
	bool alive = view->alive;
	struct sl_error err;

	if (!alive)
		return 0;
	if (journal_reread(view, &err) < 0)
		return complain(VERIFY_UNDECIDED, "journal: %s", err.text);
	view->settled_below = settled_below;
	view->alive = true;
	view->end = JOURNAL_RUNNING;
	return 0;
}

int verify_journals_judge(struct verify *v, const char *cluster)
{
	uint32_t i;

	for (i = 0; i < v->journal_count; i++) {
		struct journal_view *view = v->journals[i];
		bool named = v->path_count > 0;
		int rc;

		if (!named && view->cluster[0] && cluster[0] && strcmp(view->cluster, cluster) != 0) {
			v->journals_elsewhere++;
			continue;
		}
		rc = look_again(view);
		if (rc != 0)
			return rc;
		rc = judge_journal(v->judge, view, topic_of(v, view->topic), named);
		if (rc < 0)
			return complain(VERIFY_UNDECIDED, "journal %s: %s", view->path,
					rc == -EEXIST ? "a second one of this sender" : "no memory");
	}
	return 0;
}

void verify_journals_free(struct verify *v)
{
	uint32_t i;

	for (i = 0; i < v->journal_count; i++) {
		journal_view_free(v->journals[i]);
		free(v->journals[i]);
	}
	free(v->journals);
}
