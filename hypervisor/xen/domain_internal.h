/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HYPERVISOR_XEN_DOMAIN_INTERNAL_H
#define HYPERVISOR_XEN_DOMAIN_INTERNAL_H

#include <xenctrl.h>
#include <xentoollog.h>

#include "hypervisor/xen/domain.h"
#include "lib/xen/store.h"

/* messages.c: what Xen's libraries said of the step under way. */
struct xen_messages {
	struct xentoollog_logger logger; /* first: it is what they know of this */
	char first[128];                 /* "": nothing */
};
void xen_messages_init(struct xen_messages *messages);

struct xen_ground {
	xc_interface *hypervisor;
	struct store *store;
	struct xen_messages messages;
	const char *kernels; /* folder of unpacked kernels, borrowed; NULL: none are kept */
	int (*guard)(const char *kernels); /* NULL: none */
	char why[256];
};

/** xen_failed() - logs and keeps which step of a domain failed and, by errno, why; -1 with the same errno */
int xen_failed(struct xen_ground *ground, const char *name, const char *step);

/* A step of a domain's making by Xen's libraries, which do not always say why in errno. */
#define XEN_STEP(ground, name, what, call)                                                         \
	do {                                                                                       \
		errno = 0;                                                                         \
		(ground)->messages.first[0] = '\0';                                                \
		if (call)                                                                          \
			return xen_failed(ground, name, what);                                     \
	} while (0)

/** xen_refused() - logs and keeps why something of a domain cannot be; -1 with that errno */
int xen_refused(struct xen_ground *ground, const char *name, int error, const char *fmt, ...)
        PRINTF_LIKE(4, 5);

/** xen_check() - whether a domain can be at all; xen_check_disk() - a disk of one. 0, or -1 after a log line
 *  that names the domain and what to mend, as xen_ground_why() does */
int xen_check(struct xen_ground *ground, const struct xen_domain_spec *spec) MUST_CHECK;
int xen_check_disk(struct xen_ground *ground, int domid, const struct xen_disk *disk) MUST_CHECK;

/** xen_kernel_find() - the file to load a kernel from: one that was unpacked before, or itself */
#define XEN_KERNEL_PATH 256U
const char *xen_kernel_find(const struct xen_ground *ground, const char *kernel,
                            char path[XEN_KERNEL_PATH]);
/* One that is being unpacked into the folder. */
struct xen_kernel_copy {
	int file;     /* owned; -1: it is not kept */
	uint64_t max; /* bytes that it may become */
	char path[XEN_KERNEL_PATH], new[XEN_KERNEL_PATH + 8];
};
/** xen_kernel_place() - room for it, if it is to be kept; xen_kernel_close() - it is whole, or goes. Failures are only logged. */
void xen_kernel_place(const struct xen_ground *ground, const char *kernel,
                      struct xen_kernel_copy *copy);
void xen_kernel_close(struct xen_kernel_copy *copy, bool whole);

/* What building gives and xenstore must be told. */
struct xen_built {
	int domid;
	uint32_t store_port, console_port; /* in the qube */
	uint64_t store_frame, console_frame;
};

#define XEN_PATH_MAX 160

/** xen_build_image() - memory, kernel, first processor, by a process that can reach nothing else (proto/xen_build.h); the frames of a PV
 *  domain. 0, or -1 after a log line */
int xen_build_image(struct xen_ground *ground, const struct xen_domain_spec *spec,
                    struct xen_built *built) MUST_CHECK;

/** xen_place_descriptors() - in a new process, before its program: fds[i] becomes 3 + i, a negative one stays closed, and
 *  so does all else beyond 2; 0 or -1 with errno */
int xen_place_descriptors(const int *fds, size_t n) MUST_CHECK;

/** xen_build() - the domain's memory and first processor state; 0, or -1 after a log line */
int xen_build(struct xen_ground *ground, const struct xen_domain_spec *spec,
              struct xen_built *built) MUST_CHECK;

/** xen_store_add() - its part of xenstore, and the introduction; 0, or -1 after a log line */
int xen_store_add(struct xen_ground *ground, const struct xen_domain_spec *spec,
                  const struct xen_built *built) MUST_CHECK;
/** xen_store_drop() - everything of it, whatever there is */
void xen_store_drop(struct xen_ground *ground, int domid);

#endif
