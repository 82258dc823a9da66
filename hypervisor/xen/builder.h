/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HYPERVISOR_XEN_BUILDER_H
#define HYPERVISOR_XEN_BUILDER_H

#include <stddef.h>

#include "proto/xen_build.h"
#include "hypervisor/xen/domain_internal.h"

/* skerry-xen-builder: see proto/xen_build.h. */

/** builder_ask() - one call and its answer, in builder_call and builder_reply; the result, or -1 with errno. A maker that
 *  is gone ends the process. */
long builder_ask(enum build_op op, size_t len) MUST_CHECK;
extern struct build_call builder_call;
extern struct build_reply builder_reply;
/** builder_tell() - a last word */
void builder_tell(enum build_op op, size_t len);

/* What libxenguest may ask for is about this domain. */
extern uint32_t builder_domid;

/** builder_load() - memory, kernel, first processor: libxenguest's order of calls. 0, or -1 after a log line */
struct builder_files {
	const void *kernel, *initrd; /* mapped; initrd NULL: none */
	size_t kernel_len, initrd_len;
	int keep; /* -1: the unpacked kernel is not kept */
};
struct builder_result {
	uint64_t store_frame, console_frame; /* of PV */
	uint64_t kept;                       /* bytes */
};
int builder_load(struct xen_ground *ground, const struct build_order *order,
                 const struct builder_files *files, struct builder_result *result) MUST_CHECK;

/** xen_lay_out() - where a PVH domain's memory lies: also what the hypervisor is told of it (layout.c) */
#endif
