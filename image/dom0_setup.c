/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a fresh xenstore must hold before the first qube: who dom0 is. And the kernels for qubes that the image
 * has, where those are looked for. Run once, after xenstored and skerry-data. With it neither libxl nor
 * xen-init-dom0 is needed in dom0.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "lib/base/log.h"
#include "lib/xen/store.h"

#define OURS    "/usr/share/skerry/vm-kernels"
#define KERNELS "/var/lib/qubes/vm-kernels"

/* Over the folder of that name, which may be on the disk: the user's own stay beside it. */
static int show_kernel(const char *name)
{
	char from[PATH_MAX], to[PATH_MAX];

	(void)snprintf(from, sizeof(from), OURS "/%s", name);
	(void)snprintf(to, sizeof(to), KERNELS "/%s", name);
	if ((mkdir(to, 0755) == 0 || errno == EEXIST) && mount(from, to, NULL, MS_BIND, NULL) == 0)
		return 0;
	LOG_ERRNO("%s", to);
	return -1;
}

static int show_kernels(void)
{
	DIR *dir = opendir(OURS);
	struct dirent *entry;
	int r = 0;

	if (!dir)
		return errno == ENOENT ? 0 : -1;
	if (mkdir(KERNELS, 0755) && errno != EEXIST)
		r = -1;
	while (r == 0 && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			r = show_kernel(entry->d_name);
	(void)closedir(dir);
	return r;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *path;
		const char *value;
	} nodes[] = {
	        {"/local/domain/0/domid", "0"},
	        {"/local/domain/0/name", "Domain-0"},
	        {"/tool/skerry/version", SKERRY_VERSION},
	};
	struct store *store;

	(void)argv;
	log_init("skerry-dom0-setup");
	if (argc > 1) {
		(void)fprintf(stderr, "usage: skerry-dom0-setup\n");
		return 2;
	}
	if (store_open(&store)) {
		LOG_ERRNO("xenstore");
		return 1;
	}
	for (size_t i = 0; i < ARRAY_LEN(nodes); i++) {
		if (store_write(store, nodes[i].path, nodes[i].value)) {
			LOG_ERRNO("%s", nodes[i].path);
			return 1;
		}
	}
	(void)store_free(store);
	if (show_kernels()) {
		LOG_ERRNO(KERNELS);
		return 1;
	}
	return 0;
}
