/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "qube/services/icons.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/paths.h"

static const char *const themes[] = {"hicolor", "Adwaita", "gnome", "breeze", "Papirus", "Tango"};
static const char *const sizes[] = {"scalable", "512x512", "256x256", "192x192", "128x128",
                                    "96x96",    "72x72",   "64x64",   "48x48",   "36x36",
                                    "32x32",    "24x24",   "22x22",   "16x16"};
static const char *const contexts[] = {"apps",   "categories", "devices", "mimetypes",
                                       "places", "status",     "actions", "legacy"};
static const char *const suffixes[] = {".svg", ".png"};

static int is_file(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

static int in_theme(const char *theme, const char *name, char path[PATH_MAX])
{
	for (size_t s = 0; s < ARRAY_LEN(sizes); s++) {
		for (size_t c = 0; c < ARRAY_LEN(contexts); c++) {
			for (size_t x = 0; x < ARRAY_LEN(suffixes); x++) {
				int n = snprintf(path, PATH_MAX, "%s/usr/share/icons/%s/%s/%s/%s%s",
				                 paths_root(), theme, sizes[s], contexts[c], name,
				                 suffixes[x]);

				if (n > 0 && n < PATH_MAX && is_file(path))
					return 0;
			}
		}
	}
	return -1;
}

int icons_find(const char *name, char path[PATH_MAX])
{
	if (*name == '/') {
		if (path_make(path, PATH_MAX, name, NULL))
			return -1;
		return is_file(path) ? 0 : -1;
	}
	if (*name == '\0' || *name == '.' || strchr(name, '/') || strlen(name) > 200)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(themes); i++) {
		if (in_theme(themes[i], name, path) == 0)
			return 0;
	}
	for (size_t x = 0; x < ARRAY_LEN(suffixes); x++) {
		int n = snprintf(path, PATH_MAX, "%s/usr/share/pixmaps/%s%s", paths_root(), name,
		                 suffixes[x]);

		if (n > 0 && n < PATH_MAX && is_file(path))
			return 0;
	}
	return -1;
}
