/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * skerry-xen-builder - fills one domain: unpacks and reads its kernel, places it in the domain's memory. See proto/xen_build.h for
 * what it may do and who else takes part. Started by the toolstack with the descriptors of that header.
 *
 * Trust: kernel and initrd are hostile. Nothing of them is read before everything that is not needed was given up.
 * Exit: 0 the domain is filled, 1 it is not and the maker was told why, 2 it was not started by the toolstack, 111 the maker
 * is gone.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <xentoolcore.h>

#include "hypervisor/xen/builder.h"
#include "hypervisor/xen/rights.h"
#include "lib/base/bytes.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"

static struct build_order order;

/* Mapped, so that a file that is changed meanwhile harms this process at most. */
static const void *map(int fd, size_t *ret_len)
{
	struct stat st;
	void *p;

	if (fstat(fd, &st))
		return NULL;
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	*ret_len = (size_t)st.st_size;
	(void)fd_close(fd);
	return p == MAP_FAILED ? NULL : p;
}

static int open_files(struct builder_files *files)
{
	const struct rlimit most = {XEN_DOMAIN_KERNEL_MAX, XEN_DOMAIN_KERNEL_MAX};

	files->keep = order.keep_max ? BUILD_FD_KEEP : -1;
	files->kernel = map(BUILD_FD_KERNEL, &files->kernel_len);
	if (order.has_initrd)
		files->initrd = map(BUILD_FD_INITRD, &files->initrd_len);
	return !files->kernel || (order.has_initrd && !files->initrd) ||
	                       setrlimit(RLIMIT_FSIZE, &most)
	               ? -1
	               : 0;
}

/* The handles are for this one domain for good; then nothing is left of root. */
static int give_up(void)
{
	if (xentoolcore_restrict_all((domid_t)order.domid)) {
		LOG_ERRNO("restricting the hypervisor's handles to domain %u", order.domid);
		return -1;
	}
	return xen_builder_confine(order.user);
}

static int fail(const struct xen_ground *ground)
{
	size_t len;

	(void)bytes_copy_text((char *)builder_call.data, sizeof(ground->why), ground->why);
	len = strlen(ground->why) + 1;
	builder_tell(BUILD_FAILED, len);
	return 1;
}

static void say_done(const struct builder_result *result)
{
	builder_call.args[0] = result->store_frame;
	builder_call.args[1] = result->console_frame;
	builder_call.args[2] = result->kept;
	builder_tell(BUILD_DONE, 0);
}

int main(int argc, char **argv)
{
	static struct xen_ground ground;
	static struct builder_files files;
	struct builder_result result = {0};

	(void)argv;
	log_init("skerry-xen-builder");
	if (argc != 1 || recv(BUILD_FD_LINK, &order, sizeof(order), 0) != (ssize_t)sizeof(order)) {
		(void)fprintf(stderr,
		              "The toolstack of Xen starts this program: see skerryd(8).\n");
		return 2;
	}
	builder_domid = order.domid;
	xen_messages_init(&ground.messages);
	ground.hypervisor = xc_interface_open(&ground.messages.logger, &ground.messages.logger, 0);
	if (!ground.hypervisor || open_files(&files)) {
		(void)xen_failed(&ground, order.name, "the builder's handles");
		return fail(&ground);
	}
	if (give_up()) {
		(void)xen_failed(&ground, order.name, "the builder's confinement");
		return fail(&ground);
	}
	if (builder_load(&ground, &order, &files, &result))
		return fail(&ground);
	say_done(&result);
	return 0;
}
