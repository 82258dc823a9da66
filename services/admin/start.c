/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A new store's first rows, and the mending of an old one's. */
#include "services/admin/start.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "services/admin/network.h"
#include "services/admin/property.h"
#include "services/admin/turn.h"

/* The local ground's volumes are directory trees; images come with the other grounds. */
#define START_POOL_DRIVER "file-reflink"

static int run_fd = -1;

void start_run_dir(int fd)
{
	run_fd = fd;
}

int start_run_fd(void)
{
	return run_fd;
}

void start_defaults(void)
{
	long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE),
	     cpus = sysconf(_SC_NPROCESSORS_ONLN);

	world_init();
	if (world.host.memory_mib == 0 && pages > 0 && page > 0)
		world.host.memory_mib = (uint64_t)pages * (uint64_t)page >> 20;
	if (world.host.cpus == 0)
		world.host.cpus = cpus > 0 ? (uint32_t)cpus : 1;
	if (world.host.dom0_memory_kib == 0)
		world.host.dom0_memory_kib = world.host.dom0_static_max_kib = 4194304;
}

static void first_rows(void)
{
	static const char *const labels[] = {"red 1 0xcc0000",    "orange 2 0xf57900",
	                                     "yellow 3 0xedd400", "green 4 0x73d216",
	                                     "gray 5 0x555555",   "blue 6 0x3465a4",
	                                     "purple 7 0x75507b", "black 8 0x000000"};
	struct qube *dom0 = qube_by_name("dom0");
	char name[16];
	size_t i;

	for (i = 0; i < ARRAY_LEN(labels); i++) {
		const char *space = strchr(labels[i], ' ');

		memcpy(name, labels[i], (size_t)(space - labels[i]));
		name[space - labels[i]] = 0;
		row_set(ROW_LABEL, world.system, name, space + 1);
	}
	row_set(ROW_POOL, world.system, "varlibqubes",
	        "driver=" START_POOL_DRIVER
	        "\ndir_path=/var/lib/qubes\nephemeral_volatile=False\nrevisions_to_keep=1\n");
	row_set(ROW_POOL, world.system, "linux-kernel",
	        "driver=linux-kernel\ndir_path=/var/lib/qubes/vm-kernels\n");
	row_set(ROW_PROPERTY, world.system, "default_pool_kernel", "linux-kernel");
	row_set(ROW_PROPERTY, dom0, "label", "black");
}

/* A reference to a qube that is not there: none, as if it had been set so. */
static void mend_references(struct qube *q)
{
	const struct property *p;
	size_t n, i;

	p = property_table(&n);
	for (i = 0; i < n; i++) {
		const char *is = q->values[p[i].id];

		if (p[i].type != TYPE_VM || !(p[i].classes & CLASS_BIT(q->klass)) || !is ||
		    !is[0] || qube_by_name(is))
			continue;
		LOG("%s of %s names a qube that does not exist: %s", p[i].name,
		    q->name[0] ? q->name : "the system", is);
		row_set(ROW_PROPERTY, q, p[i].name, "");
	}
}

static void mend_loops(struct qube *q)
{
	struct qube *netvm = network_netvm(q);

	if (!netvm || !network_loop(q, netvm))
		return;
	LOG("%s: its netvm %s closes a ring: set to none", q->name, netvm->name);
	row_set(ROW_PROPERTY, q, "netvm", "");
}

int start_check(void)
{
	size_t i;

	turn_begin();
	if (world.n_labels == 0)
		first_rows();
	mend_references(world.system);
	for (i = 0; i < world.n_qubes; i++) {
		mend_references(world.qubes[i]);
		mend_loops(world.qubes[i]);
		world.qubes[i]->announced = true;
	}
	turn_end(true);
	return 0;
}
