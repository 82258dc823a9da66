/* SPDX-License-Identifier: GPL-2.0-or-later */
/* confine-xen NAME FD: gives up what that process of the ground xen gives up, by the code that it has for it, and then does what a
 * test wants of an attacker (lib/sandbox/attack.h), or waits for the end of what FD reads. A machine without Xen can attack them so. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hypervisor/xen/rights.h"
#include "lib/base/log.h"

#define USER 1879048200U /* of a qube */

int main(int argc, char **argv)
{
	const char *name = argc == 3 ? argv[1] : "";
	int r = -1;

	log_init("confine-xen");
	if (strcmp(name, "skerry-ground-xen") == 0)
		r = xen_toolstack_confine();
	else if (strcmp(name, "skerry-ground-xen maker") == 0)
		r = xen_maker_confine(NULL);
	else if (strcmp(name, "skerry-ground-xen starter") == 0)
		r = xen_starter_confine();
	else if (strcmp(name, "skerry-xen-builder") == 0)
		r = xen_builder_confine(USER);
	if (r)
		return 2;
	while (read((int)strtol(argv[2], NULL, 10), &r, 1) == 1)
		;
	return 0;
}
