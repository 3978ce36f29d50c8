/* SPDX-License-Identifier: Apache-2.0 */
#include "config/loader.h"
#include "config/value.h"

#include <assert.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void sl_config_standards_set(struct sl_config_loader *loader)
{
	for (uint32_t i = 0; i < sl_config_row_count; i++) {
		const struct sl_config_row *row = &sl_config_rows[i];
		if (!row->standard || row->type == SL_CONFIG_FLAGS)
			continue;
		enum sl_config_parsed parsed = sl_config_value_parse(
			row, row->standard, loader->store,
			sl_config_field(loader->cfg, &loader->cfg->topic, row));
		assert(parsed == SL_CONFIG_PARSED);
	}
}

static const char *joined(struct sl_config_loader *loader, const char *folder, size_t folder_length,
			  const char *name)
{
	size_t name_length = strlen(name);
	char *path = sl_config_store_take(loader->store, folder_length + name_length + 1, 1);
	memcpy(path, folder, folder_length);
	memcpy(path + folder_length, name, name_length);
	return path;
}

/* systemd may name several folders in $RUNTIME_DIRECTORY; the first is ours. */
static const char *runtime_dir_standard(struct sl_config_loader *loader)
{
	const char *systemd = getenv("RUNTIME_DIRECTORY");
	const char *session = getenv("XDG_RUNTIME_DIR");
	if (systemd && *systemd)
		return joined(loader, systemd, strcspn(systemd, ":"), "");
	if (geteuid() == 0)
		return "/run/sluice";
	return session && *session ? joined(loader, session, strlen(session), "/sluice") : NULL;
}

static bool path_check(struct sl_config_loader *loader, const char *key, const char *path)
{
	uint32_t index = sl_config_row_index(key);
	const struct sl_config_row *row = &sl_config_rows[index];
	if (loader->top.set[index].bad)
		return false;
	if (*path == '/' && (int64_t)strlen(path) <= row->max && sl_config_text_printable(path))
		return true;
	sl_config_error(loader, NULL, &loader->top.set[index], key,
			"expected an absolute path of at most %d characters, found \"%.60s\"",
			(int)row->max, path);
	return false;
}

static void paths_compute(struct sl_config_loader *loader)
{
	struct sl_config *cfg = loader->cfg;
	uint32_t index = sl_config_row_index("runtime.dir");
	if (!cfg->runtime_dir)
		cfg->runtime_dir = runtime_dir_standard(loader);
	if (!cfg->runtime_dir) {
		if (!loader->top.set[index].bad)
			sl_config_error(loader, NULL, NULL, "runtime.dir",
					"no default here: neither $RUNTIME_DIRECTORY nor "
					"$XDG_RUNTIME_DIR is set");
		cfg->runtime_dir = "/";
	}
	bool runtime_good = path_check(loader, "runtime.dir", cfg->runtime_dir);
	if (cfg->arena_dir)
		(void)path_check(loader, "arena.dir", cfg->arena_dir);
	else if (runtime_good)
		cfg->arena_dir =
			joined(loader, cfg->runtime_dir, strlen(cfg->runtime_dir), "/private");
}

static void workers_compute(struct sl_config_loader *loader)
{
	if (loader->cfg->worker_count)
		return;
	loader->workers = sl_config_store_take(loader->store, 1, sizeof(*loader->workers));
	loader->worker_places =
		sl_config_store_take(loader->store, 1, sizeof(*loader->worker_places));
	loader->workers[0].core = SL_CONFIG_CORE_ANY;
	loader->cfg->workers = loader->workers;
	loader->cfg->worker_count = 1;
}

static struct sl_config_allow everything_of(struct sl_config_loader *loader, uid_t uid)
{
	static const char *const everything[] = {"*"};
	const struct passwd *user = getpwuid(uid);
	char number[16];
	snprintf(number, sizeof(number), "%u", (unsigned)uid);
	bool plain = user && sl_config_text_printable(user->pw_name) &&
		     !strpbrk(user->pw_name, " :\"\\");
	const char *name = plain ? user->pw_name : number;
	return (struct sl_config_allow){
		.who = SL_CONFIG_WHO_USER,
		.name = sl_config_store_text(loader->store, name, strlen(name)),
		.patterns = everything,
		.pattern_count = 1,
	};
}

static void allow_compute(struct sl_config_loader *loader)
{
	if (loader->top.set[sl_config_row_index("allow")].name)
		return;
	struct sl_config_allow *rules = sl_config_store_take(loader->store, 2, sizeof(*rules));
	uint32_t count = 0;
	rules[count++] = everything_of(loader, geteuid());
	if (geteuid() != 0)
		rules[count++] = everything_of(loader, 0);
	loader->cfg->allow = rules;
	loader->cfg->allow_count = count;
}

void sl_config_standards_compute(struct sl_config_loader *loader)
{
	if (!loader->top.set[sl_config_row_index("bootstrap.servers")].name)
		sl_config_error(loader, NULL, NULL, "bootstrap.servers",
				"required: expected at least one broker as host:port");
	paths_compute(loader);
	workers_compute(loader);
	allow_compute(loader);
}
