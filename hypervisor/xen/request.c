/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From the monitor's words to what a domain is made of. What cannot be is told before anything is made. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "hypervisor/xen/ground.h"
#include "lib/base/bytes.h"
#include "lib/base/fd.h"

#define OVERHEAD_KIB (4U << 10) /* beside a qube's memory: page tables, rings; chosen */
#define COMMON_FILE  "default-kernelopts-common.txt"
#define COMMON_MAX   512U

/* Where a kernel's folder says nothing; protocol (doc/protocol). */
#define COMMON_OPTIONS                                                                             \
	"root=/dev/mapper/dmroot ro nomodeset console=hvc0 rd_NO_PLYMOUTH rd.plymouth.enable=0 "   \
	"plymouth.enable=0 xen_privcmd.unrestricted "

int xen_fault_set(struct xen_fault *fault, enum monitor_error error, const char *fmt, ...)
{
	va_list args;

	fault->error = error;
	va_start(args, fmt);
	(void)vsnprintf(fault->text, sizeof(fault->text), fmt, args);
	va_end(args);
	return -1;
}

/* Kernel. */

static int common_options(const char *kernel, char text[COMMON_MAX])
{
	char path[MONITOR_PATH_LEN + sizeof(COMMON_FILE)];
	const char *slash = strrchr(kernel, '/');
	OWNED_FD int fd = -1;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "%.*s/" COMMON_FILE, (int)(slash - kernel), kernel);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return bytes_copy_text(text, COMMON_MAX, COMMON_OPTIONS);
	n = fd < 0 ? -1 : read(fd, text, COMMON_MAX - 1);
	if (n < 0)
		return -1;
	text[n] = '\0';
	text[strcspn(text, "\r\n")] = '\0';
	return 0;
}

static int read_kernel(struct xen_request *r, const struct monitor_create *c,
                       struct xen_fault *fault)
{
	char common[COMMON_MAX];

	if (c->kernel[0] == '\0')
		return xen_fault_set(fault, MONITOR_E_UNSUPPORTED,
		                     "%s: no kernel is set, and one from its own disk cannot be "
		                     "started; set one: qvm-prefs %s kernel",
		                     c->name, c->name);
	if (access(c->kernel, R_OK))
		return xen_fault_set(fault, MONITOR_E_VOLUME, "%s: its kernel %s: %s", c->name,
		                     c->kernel, strerror(errno));
	if (common_options(c->kernel, common))
		return xen_fault_set(fault, MONITOR_E_VOLUME, "%s: %s beside its kernel: %s",
		                     c->name, COMMON_FILE, strerror(errno));
	/* A kernel that needs none has no file for it. */
	if (c->initrd[0] && access(c->initrd, R_OK) == 0)
		r->spec.initrd = c->initrd;
	else if (c->initrd[0] && errno != ENOENT)
		return xen_fault_set(fault, MONITOR_E_VOLUME, "%s: %s: %s", c->name, c->initrd,
		                     strerror(errno));
	r->spec.kernel = c->kernel;
	(void)snprintf(r->cmdline, sizeof(r->cmdline), "%s%s%s", common,
	               common[0] && common[strlen(common) - 1] != ' ' ? " " : "", c->cmdline);
	r->spec.cmdline = r->cmdline;
	return 0;
}

/* Disks. */

static uint32_t place_of(const char *role, uint32_t *next)
{
	static const char *const roles[] = {"root", "private", "volatile", "kernel"};

	for (uint32_t i = 0; i < ARRAY_LEN(roles); i++)
		if (strcmp(role, roles[i]) == 0)
			return i;
	return (*next)++;
}

static int read_volume(struct xen_request *r, const struct monitor_create *c,
                       const struct monitor_volume *v, uint32_t place, struct xen_fault *fault)
{
	struct stat st;

	if (v->kind != MONITOR_VOLUME_BLOCK)
		return xen_fault_set(fault, MONITOR_E_VOLUME,
		                     "%s: its volume %s is no block device, and Xen takes nothing "
		                     "else: use another pool",
		                     c->name, v->role);
	if (stat(v->path, &st))
		return xen_fault_set(fault, MONITOR_E_VOLUME, "%s: its volume %s, %s: %s", c->name,
		                     v->role, v->path, strerror(errno));
	if (!S_ISBLK(st.st_mode))
		return xen_fault_set(fault, MONITOR_E_VOLUME,
		                     "%s: its volume %s: %s is no block device", c->name, v->role,
		                     v->path);
	r->disks[r->n_disks++] = (struct xen_disk){.number = place,
	                                           .path = v->path,
	                                           .major = major(st.st_rdev),
	                                           .minor = minor(st.st_rdev),
	                                           .writable = !v->read_only};
	return 0;
}

static int read_volumes(struct xen_request *r, const struct monitor_create *c,
                        struct xen_fault *fault)
{
	uint32_t next = 4; /* xvde */

	for (size_t i = 0; i < MONITOR_VOLUMES_MAX; i++)
		if (c->volumes[i].kind != MONITOR_VOLUME_NONE &&
		    read_volume(r, c, &c->volumes[i], place_of(c->volumes[i].role, &next), fault))
			return -1;
	return 0;
}

/* The rest. */

static int read_machine(struct xen_request *r, const struct monitor_create *c,
                        struct xen_fault *fault)
{
	uint64_t memory = c->memory / 1024 * 1024, free_kib;
	bool pvh;

	if (c->virt_mode == MONITOR_HVM)
		return xen_fault_set(fault, MONITOR_E_UNSUPPORTED,
		                     "%s: hvm needs a device model, which there is not: qvm-prefs "
		                     "%s virt_mode pvh",
		                     c->name, c->name);
	if (xen_ground_machine(xen.ground, &free_kib, &pvh))
		return xen_fault_set(fault, MONITOR_E_GROUND, "%s: the hypervisor: %s", c->name,
		                     strerror(errno));
	if (memory + OVERHEAD_KIB > free_kib)
		return xen_fault_set(fault, MONITOR_E_MEMORY,
		                     "%s: it needs %llu MiB of memory, and %llu MiB are free",
		                     c->name, (unsigned long long)(memory / 1024),
		                     (unsigned long long)(free_kib / 1024));
	/* PV is for machines without the hardware for the other. */
	r->spec.kind = c->virt_mode == MONITOR_PV || !pvh ? XEN_DOMAIN_PV : XEN_DOMAIN_PVH;
	/* No more than at the start: nobody would ask for the rest yet. */
	r->spec.memory_kib = r->spec.max_kib = memory;
	r->spec.vcpus = MIN(c->vcpus, XEN_DOMAIN_VCPUS_MAX);
	return 0;
}

int xen_request_read(struct xen_request *r, const struct monitor_create *create, uint32_t domid,
                     struct xen_fault *fault)
{
	*r = (struct xen_request){.spec = {.domid = domid, .name = create->name}};
	memcpy(r->spec.uuid, create->uuid, sizeof(r->spec.uuid));
	return read_kernel(r, create, fault) || read_machine(r, create, fault) ||
	                       read_volumes(r, create, fault)
	               ? -1
	               : 0;
}
