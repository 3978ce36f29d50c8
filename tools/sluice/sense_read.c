/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/sluice/sense_read.h"

#include <ctype.h>
#include <fcntl.h>
#include <glob.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SOURCES_MAX = 64, TEXT_BYTES = 256 * 1024, NAME_BYTES = 160, COLUMNS_MAX = 32 };

enum shape {
	SHAPE_ROWS,      /* "name a b c": counters prefix.name.0, .1, ... */
	SHAPE_COLON,     /* "name: a kB" */
	SHAPE_INTERRUPT, /* " 12: a b text": a for each core */
	SHAPE_DISK,      /* "major minor name a b c" */
	SHAPE_PRESSURE,  /* "some avg10=a avg60=b total=c" */
	SHAPE_SINGLE,    /* one number */
};

struct source {
	int fd;
	enum shape shape;
	char prefix[64];
};

struct sense {
	struct source sources[SOURCES_MAX];
	uint32_t count;
	char text[TEXT_BYTES];
};

struct emitter {
	sense_fn fn;
	void *arg;
	int rc;
};

static void source_add(struct sense *s, const char *path, enum shape shape, const char *prefix)
{
	int fd = s->count < SOURCES_MAX ? open(path, O_RDONLY | O_CLOEXEC) : -1;

	if (fd < 0)
		return; /* not every host has everything */
	s->sources[s->count].fd = fd;
	s->sources[s->count].shape = shape;
	snprintf(s->sources[s->count].prefix, sizeof(s->sources[s->count].prefix), "%s", prefix);
	s->count++;
}

static void temperatures_add(struct sense *s)
{
	glob_t found;
	char name[64];
	size_t i;

	if (glob("/sys/class/thermal/thermal_zone*/temp", 0, NULL, &found) != 0)
		return;
	for (i = 0; i < found.gl_pathc; i++) {
		snprintf(name, sizeof(name), "temperature.zone%zu", i);
		source_add(s, found.gl_pathv[i], SHAPE_SINGLE, name);
	}
	globfree(&found);
}

struct sense *sense_create(void)
{
	struct sense *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	source_add(s, "/proc/stat", SHAPE_ROWS, "cpu");
	source_add(s, "/proc/interrupts", SHAPE_INTERRUPT, "interrupts");
	source_add(s, "/proc/softirqs", SHAPE_INTERRUPT, "softirqs");
	source_add(s, "/proc/net/dev", SHAPE_INTERRUPT, "network");
	source_add(s, "/proc/diskstats", SHAPE_DISK, "disk");
	source_add(s, "/proc/meminfo", SHAPE_COLON, "memory");
	source_add(s, "/proc/vmstat", SHAPE_ROWS, "vm");
	source_add(s, "/proc/pressure/cpu", SHAPE_PRESSURE, "pressure.cpu");
	source_add(s, "/proc/pressure/memory", SHAPE_PRESSURE, "pressure.memory");
	source_add(s, "/proc/pressure/io", SHAPE_PRESSURE, "pressure.io");
	source_add(s, "/proc/loadavg", SHAPE_SINGLE, "load");
	temperatures_add(s);
	return s;
}

void sense_destroy(struct sense *s)
{
	uint32_t i;

	for (i = 0; s && i < s->count; i++)
		close(s->sources[i].fd);
	free(s);
}

static void emit(struct emitter *e, const char *prefix, const char *name, int column, const char *value, size_t bytes)
{
	char full[NAME_BYTES];
	int n;

	if (e->rc != 0)
		return;
	n = column < 0 ? snprintf(full, sizeof(full), "%s%s%s", prefix, *name ? "." : "", name)
		       : snprintf(full, sizeof(full), "%s.%s.%d", prefix, name, column);
	if (n > 0 && n < NAME_BYTES)
		e->rc = e->fn(e->arg, full, (size_t)n, value, bytes);
}

static bool is_number(const char *word)
{
	if (*word == '-')
		word++;
	return isdigit((unsigned char)*word);
}

/* A line's words; a name that ends with a colon loses it. */
static void row(struct emitter *e, const struct source *source, char *line)
{
	char *words[COLUMNS_MAX];
	int count = 0, first = 1, name = 0, i;
	char *save, *word;

	for (word = strtok_r(line, " \t:", &save); word && count < COLUMNS_MAX; word = strtok_r(NULL, " \t:", &save))
		words[count++] = word;
	if (source->shape == SHAPE_DISK) {
		name = 2;
		first = 3;
	}
	if (count <= first)
		return;
	for (i = first; i < count && is_number(words[i]); i++)
		emit(e, source->prefix, words[name], count == first + 1 || source->shape == SHAPE_COLON ? -1 : i - first,
		     words[i], strlen(words[i]));
}

static void pressure(struct emitter *e, const struct source *source, char *line)
{
	char *save, *word, *cut;
	char *kind = strtok_r(line, " ", &save);
	char name[NAME_BYTES];

	for (word = strtok_r(NULL, " ", &save); kind && word; word = strtok_r(NULL, " ", &save)) {
		cut = strchr(word, '=');
		if (!cut)
			continue;
		*cut = '\0';
		snprintf(name, sizeof(name), "%s.%s", kind, word);
		emit(e, source->prefix, name, -1, cut + 1, strlen(cut + 1));
	}
}

static void source_read(struct sense *s, struct source *source, struct emitter *e)
{
	ssize_t got = pread(source->fd, s->text, TEXT_BYTES - 1, 0);
	char *save, *line;

	if (got <= 0)
		return;
	s->text[got] = '\0';
	for (line = strtok_r(s->text, "\n", &save); line && e->rc == 0; line = strtok_r(NULL, "\n", &save)) {
		if (source->shape == SHAPE_SINGLE)
			emit(e, source->prefix, "", -1, line, strcspn(line, " "));
		else if (source->shape == SHAPE_PRESSURE)
			pressure(e, source, line);
		else
			row(e, source, line);
	}
}

int sense_read(struct sense *s, sense_fn fn, void *arg)
{
	struct emitter e = {fn, arg, 0};
	uint32_t i;

	for (i = 0; i < s->count && e.rc == 0; i++)
		source_read(s, &s->sources[i], &e);
	return e.rc;
}
