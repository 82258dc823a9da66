/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What cannot be is told before anything is made, in words for who has to mend it. libxenguest checks again what
 * it unpacks; it only says less.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "hypervisor/xen/domain_internal.h"
#include "lib/base/bytes.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"

#define OVERHEAD_KIB                                                                               \
	2048U /* beside a domain's memory: its tables and the hypervisor's own; chosen */

/* Head of a bzImage: doc of Linux, x86/boot.rst. */
#define BZ_SECTS          0x1f1U
#define BZ_MAGIC          0x202U
#define BZ_VERSION        0x206U
#define BZ_FLAGS          0x236U
#define BZ_PAYLOAD        0x248U
#define BZ_PAYLOAD_LEN    0x24cU
#define BZ_HEAD           0x250U
#define BZ_VERSION_LEAST  0x020cU /* with the flag for 64 bits */
#define BZ_FLAG_64        1U
#define BZ_SECTOR         512ULL
#define BZ_SECTS_DEFAULT  4U

#define ELF_CLASS         4U
#define ELF_CLASS_64      2U
#define ELF_MACHINE       18U
#define ELF_MACHINE_AMD64 62U

static const char *wrong_bzimage(const uint8_t *head, uint64_t size)
{
	uint64_t setup = head[BZ_SECTS] ? head[BZ_SECTS] : BZ_SECTS_DEFAULT, end;

	if (le16_get(head + BZ_VERSION) < BZ_VERSION_LEAST)
		return "is a kernel of a kind that is too old";
	if (!(le16_get(head + BZ_FLAGS) & BZ_FLAG_64))
		return "is a 32-bit kernel, and a 64-bit one is needed";
	end = (setup + 1) * BZ_SECTOR + le32_get(head + BZ_PAYLOAD) +
	      le32_get(head + BZ_PAYLOAD_LEN);
	return end > size ? "is cut off: a part of the kernel is missing" : NULL;
}

/* What is wrong with a kernel by its head; NULL: nothing so far. */
static const char *wrong_kernel(const uint8_t *head, size_t len, uint64_t size)
{
	if (size > XEN_DOMAIN_KERNEL_MAX)
		return "is larger than a kernel may be";
	if (len == BZ_HEAD && memcmp(head + BZ_MAGIC, "HdrS", 4) == 0)
		return wrong_bzimage(head, size);
	if (len < BZ_HEAD || memcmp(head, "\177ELF", 4) != 0)
		return "is no kernel: neither a bzImage nor an ELF file";
	if (head[ELF_CLASS] != ELF_CLASS_64 || le16_get(head + ELF_MACHINE) != ELF_MACHINE_AMD64)
		return "is a 32-bit kernel, and a 64-bit one is needed";
	return NULL;
}

static int check_kernel(struct xen_ground *ground, const struct xen_domain_spec *spec,
                        uint64_t *ret_size)
{
	uint8_t head[BZ_HEAD];
	OWNED_FD int fd = open(spec->kernel, O_RDONLY | O_CLOEXEC);
	struct stat st;
	const char *wrong;
	ssize_t n;

	n = fd < 0 || fstat(fd, &st) ? -1 : read(fd, head, sizeof(head));
	if (n < 0)
		return xen_refused(ground, spec->name, errno, "its kernel %s: %s", spec->kernel,
		                   strerror(errno));
	wrong = wrong_kernel(head, (size_t)n, (uint64_t)st.st_size);
	if (wrong)
		return xen_refused(ground, spec->name, EINVAL, "its kernel: %s %s", spec->kernel,
		                   wrong);
	*ret_size = (uint64_t)st.st_size;
	return 0;
}

/* Packed they are, so this is the least that they need; the kernel itself says if that is too much. */
static int check_images(struct xen_ground *ground, const struct xen_domain_spec *spec)
{
	uint64_t kernel = 0, memory = spec->memory_kib << 10;
	struct stat st = {0};

	if (check_kernel(ground, spec, &kernel))
		return -1;
	if (spec->initrd && stat(spec->initrd, &st))
		return xen_refused(ground, spec->name, errno, "its ramdisk %s: %s", spec->initrd,
		                   strerror(errno));
	if (spec->initrd && !S_ISREG(st.st_mode))
		return xen_refused(ground, spec->name, EINVAL, "its ramdisk: %s is no file",
		                   spec->initrd);
	if ((uint64_t)st.st_size > XEN_DOMAIN_INITRD_MAX || kernel + (uint64_t)st.st_size >= memory)
		return xen_refused(ground, spec->name, ENOSPC,
		                   "its kernel and ramdisk, %llu MiB, do not fit into its memory, "
		                   "%llu MiB",
		                   (unsigned long long)(kernel + (uint64_t)st.st_size) >> 20,
		                   (unsigned long long)memory >> 20);
	return 0;
}

static int check_numbers(struct xen_ground *ground, const struct xen_domain_spec *spec)
{
	static const char legal[] =
	        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
	size_t len = strlen(spec->name);

	if (len == 0 || len >= XEN_DOMAIN_NAME_MAX || strspn(spec->name, legal) != len)
		return xen_refused(ground, spec->name, EINVAL, "that name cannot be: 1 to %u of %s",
		                   XEN_DOMAIN_NAME_MAX - 1, legal);
	if (spec->vcpus == 0 || spec->vcpus > XEN_DOMAIN_VCPUS_MAX)
		return xen_refused(ground, spec->name, EINVAL,
		                   "%u processors cannot be given, 1 to %u can", spec->vcpus,
		                   XEN_DOMAIN_VCPUS_MAX);
	if (spec->memory_kib < 1024 || spec->memory_kib % 1024 != 0 ||
	    spec->max_kib < spec->memory_kib || spec->max_kib > 1ULL << 32)
		return xen_refused(ground, spec->name, EINVAL,
		                   "memory of %llu KiB, at most %llu, cannot be given",
		                   (unsigned long long)spec->memory_kib,
		                   (unsigned long long)spec->max_kib);
	return 0;
}

/* Another domain that is this one already, and what the machine has left. */
static int check_machine(struct xen_ground *ground, const struct xen_domain_spec *spec)
{
	static struct xen_domain_info infos[XEN_DOMAINS_MAX];
	int n = xen_domain_list(ground, infos, ARRAY_LEN(infos));
	uint64_t free_kib;
	bool pvh;

	if (n < 0 || xen_ground_machine(ground, &free_kib, &pvh))
		return xen_refused(ground, spec->name, errno, "the hypervisor: %s",
		                   strerror(errno));
	for (int i = 0; i < n; i++)
		if (infos[i].state != XEN_DOMAIN_DYING &&
		    memcmp(infos[i].uuid, spec->uuid, sizeof(spec->uuid)) == 0)
			return xen_refused(ground, spec->name, EEXIST,
			                   "it is there already: domain %d has its uuid",
			                   infos[i].domid);
	if (spec->kind == XEN_DOMAIN_PVH && !pvh)
		return xen_refused(ground, spec->name, ENOTSUP,
		                   "this machine's processors cannot run PVH; PV can be");
	if (spec->memory_kib + OVERHEAD_KIB > free_kib)
		return xen_refused(ground, spec->name, ENOMEM,
		                   "it needs %llu MiB of memory, and %llu MiB are free",
		                   (unsigned long long)spec->memory_kib >> 10,
		                   (unsigned long long)free_kib >> 10);
	return 0;
}

int xen_check(struct xen_ground *ground, const struct xen_domain_spec *spec)
{
	return check_numbers(ground, spec) || check_images(ground, spec) ||
	                       check_machine(ground, spec)
	               ? -1
	               : 0;
}

int xen_check_disk(struct xen_ground *ground, int domid, const struct xen_disk *disk)
{
	char name[XEN_DOMAIN_NAME_MAX] = "a domain";
	struct stat st;

	if (xen_domain_name(ground, domid, name))
		(void)snprintf(name, sizeof(name), "domain %d", domid);
	if (disk->number > 25)
		return xen_refused(ground, name, EINVAL, "disk %u: 0 to 25 can be", disk->number);
	/* What another domain has, only that one can look at. */
	if (disk->backend != 0)
		return 0;
	if (stat(disk->path, &st))
		return xen_refused(ground, name, errno, "its disk %s: %s", disk->path,
		                   strerror(errno));
	if (!S_ISBLK(st.st_mode) || major(st.st_rdev) != disk->major ||
	    minor(st.st_rdev) != disk->minor)
		return xen_refused(ground, name, ENOTBLK,
		                   "its disk: %s is not the block device %u:%u", disk->path,
		                   disk->major, disk->minor);
	return 0;
}
