/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HYPERVISOR_XEN_DOMAIN_INTERNAL_H
#define HYPERVISOR_XEN_DOMAIN_INTERNAL_H

#include <xenctrl.h>

#include "hypervisor/xen/domain.h"
#include "lib/xen/store.h"

struct xen_ground {
	xc_interface *hypervisor;
	struct store *store;
	char why[128];
};

/** xen_failed() - logs and keeps which step of a domain failed and, by errno, why; -1 with the same errno */
int xen_failed(struct xen_ground *ground, const char *name, const char *step);

/* What building gives and xenstore must be told. */
struct xen_built {
	int domid;
	uint32_t store_port, console_port; /* in the qube */
	uint64_t store_frame, console_frame;
};

#define XEN_PATH_MAX 160

/** xen_build() - the domain's memory and first processor state; 0, or -1 after a log line */
int xen_build(struct xen_ground *ground, const struct xen_domain_spec *spec,
              struct xen_built *built) MUST_CHECK;

/** xen_store_add() - its part of xenstore, and the introduction; 0, or -1 after a log line */
int xen_store_add(struct xen_ground *ground, const struct xen_domain_spec *spec,
                  const struct xen_built *built) MUST_CHECK;
/** xen_store_drop() - everything of it, whatever there is */
void xen_store_drop(struct xen_ground *ground, int domid);

#endif
