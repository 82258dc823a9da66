/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a fresh xenstore must hold before the first qube: who dom0 is. Run once, after xenstored.
 * With it neither libxl nor xen-init-dom0 is needed in dom0.
 */
#include <errno.h>
#include <stdio.h>

#include "lib/base/log.h"
#include "lib/xen/store.h"

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
	return 0;
}
