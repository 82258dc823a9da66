/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a builder of domains can do with the hypervisor's handles, and what it cannot: on real devices, with the rights that the
 * installed one has. If this fails, a kernel that takes its unpacker over reaches other qubes or dom0. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xenctrl.h>

#include "hypervisor/xen/rights.h"
#include "lib/base/fd.h"
#include "lib/xen/store.h"
#include "proto/monitor.h"
#include "tests/xen/drive.h"
#include "tests/xen/tap.h"

#include <xen/sys/privcmd.h>

#define USER (MONITOR_OWNER_UID_BASE + 77U)

/* How a child ends that was let. */
#define LET 42

static int the_fd;
static domid_t the_domain;

/* One page of a domain, by number; 0, or errno of the call or of the page. */
static int map_page(int domid, xen_pfn_t frame)
{
	int error = 0;
	void *at = mmap(NULL, 4096, PROT_READ, MAP_SHARED, the_fd, 0);
	privcmd_mmapbatch_v2_t batch = {.num = 1,
	                                .dom = (domid_t)domid,
	                                .addr = (uintptr_t)at,
	                                .arr = &frame,
	                                .err = &error};

	if (at == MAP_FAILED)
		return errno;
	if (ioctl(the_fd, IOCTL_PRIVCMD_MMAPBATCH_V2, &batch))
		error = errno;
	else if (error < 0)
		error = -error;
	(void)munmap(at, 4096);
	return error;
}

static int hypercall(void)
{
	privcmd_hypercall_t version = {.op = __HYPERVISOR_xen_version, .arg = {0, 0}};

	return ioctl(the_fd, IOCTL_PRIVCMD_HYPERCALL, &version) < 0 ? errno : 0;
}

/* A page of the domain itself that a builder must be able to map: its console's, by xenstore. */
static xen_pfn_t page_of(int domid)
{
	char path[64];
	uint32_t frame = 0;
	struct store *store;

	(void)snprintf(path, sizeof(path), "/local/domain/%d/console/ring-ref", domid);
	if (store_open(&store) == 0) {
		if (store_read_number(store, path, 1, UINT32_MAX, &frame))
			frame = 0;
		(void)store_free(store);
	}
	return frame;
}

/* What a child that has a builder's rights comes to: its exit status, or minus the signal. */
static int in_builder(int (*attack)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (xen_builder_confine(USER))
			_exit(1);
		_exit(attack() == 0 ? LET : 2);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return 1;
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static xen_pfn_t the_page;

static int map_own(void)
{
	return map_page(the_domain, the_page);
}

static int map_dom0(void)
{
	return map_page(0, 1);
}

static int map_hypervisor(void)
{
	return map_page(DOMID_XEN, 1);
}

static int map_next(void)
{
	return map_page(the_domain + 1, the_page);
}

static int device_model(void)
{
	uint8_t arg[16] = {0};

	return ioctl(the_fd, IOCTL_PRIVCMD_DM_OP, arg);
}

static int widen(void)
{
	domid_t other = 0;

	return ioctl(the_fd, IOCTL_PRIVCMD_RESTRICT, &other);
}

static int open_privcmd(void)
{
	return open("/dev/xen/privcmd", O_RDWR | O_CLOEXEC) < 0;
}

static int be_root(void)
{
	return setuid(0);
}

static int is_other(void)
{
	return getpid() == 1; /* the filter has no getuid(): who it is, its parent reads */
}

static bool status_is(const char *wanted)
{
	char path[32], text[4096] = "";
	OWNED_FD int fd = -1;
	ssize_t n;
	int pair[2], status;
	pid_t pid;

	if (pipe2(pair, O_CLOEXEC))
		return false;
	pid = fork();
	if (pid == 0) {
		char byte = 0;

		if (xen_builder_confine(USER) || write(pair[1], &byte, 1) != 1)
			_exit(1);
		/* Until its parent has looked. */
		for (;;)
			(void)is_other();
	}
	(void)fd_close(pair[1]);
	n = read(pair[0], path, 1);
	(void)fd_close(pair[0]);
	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	fd = n == 1 ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	if (fd >= 0 && (n = read(fd, text, sizeof(text) - 1)) > 0)
		text[n] = '\0';
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, &status, 0);
	return strstr(text, wanted) && strstr(text, "NoNewPrivs:\t1\nSeccomp:\t2\n") &&
	       strstr(text, "CapEff:\t0000000000000000\n") &&
	       strstr(text, "CapPrm:\t0000000000000000\n");
}

static void filtered(const char *kind)
{
	static const struct {
		int (*attack)(void);
		const char *name;
	} deadly[] = {{hypercall, "makes a hypercall"},
	              {device_model, "speaks as a device model"},
	              {widen, "asks for another domain"},
	              {open_privcmd, "opens the hypervisor's device"},
	              {be_root, "becomes root again"}};
	static const struct {
		int (*attack)(void);
		const char *name;
	} refused[] = {{map_dom0, "dom0's memory"},
	               {map_hypervisor, "the hypervisor's memory"},
	               {map_next, "another qube's memory"}};

	(void)tap_result(in_builder(map_own) == LET,
	                 "%s: a builder maps its own domain's memory, with all its restrictions",
	                 kind);
	for (size_t i = 0; i < ARRAY_LEN(refused); i++)
		(void)tap_result(in_builder(refused[i].attack) == 2, "%s: it cannot map %s", kind,
		                 refused[i].name);
	for (size_t i = 0; i < ARRAY_LEN(deadly); i++)
		(void)tap_result(in_builder(deadly[i].attack) == -SIGSYS, "%s: one that %s dies",
		                 kind, deadly[i].name);
}

void drive_confined(int domid, const char *kind)
{
	char uid[64];
	domid_t other = 0;

	the_domain = (domid_t)domid;
	the_page = page_of(domid);
	the_fd = open("/dev/xen/privcmd", O_RDWR | O_CLOEXEC);
	/* Each of them works while nothing is restricted. */
	if (!tap_result(the_fd >= 0 && the_page && map_own() == 0 && hypercall() == 0,
	                "%s: unrestricted, pages are mapped and hypercalls are made", kind))
		return;
	(void)tap_result(ioctl(the_fd, IOCTL_PRIVCMD_RESTRICT, &the_domain) == 0 && map_own() == 0,
	                 "%s: the handle is restricted to the domain", kind);
	(void)tap_result(hypercall() == EPERM && map_dom0() == EPERM && map_next() == EPERM &&
	                         ioctl(the_fd, IOCTL_PRIVCMD_RESTRICT, &other) < 0,
	                 "%s: no hypercall, no other domain, and never again: by the kernel alone",
	                 kind);
	filtered(kind);
	(void)snprintf(uid, sizeof(uid), "Uid:\t%u\t%u\t%u\t%u\n", USER, USER, USER, USER);
	(void)tap_result(status_is(uid), "%s: it is the qube's own user, without any capability",
	                 kind);
	the_fd = fd_close(the_fd);
}
