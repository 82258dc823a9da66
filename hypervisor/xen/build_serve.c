/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The maker's side of proto/xen_build.h: starts the builder, makes the calls that it asks for, if they may be made. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <xencall.h>

#include "proto/xen_build.h"
#include "hypervisor/xen/domain_internal.h"
#include "lib/base/bytes.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "proto/monitor.h"

#include <xen/hvm/params.h>

#define END_TRIES 100 /* 10 ms each, until a builder that hung up has ended; chosen */

static_assert(sizeof(vcpu_guest_context_t) == BUILD_PROCESSOR_LEN, "layout of Xen");
static_assert(HVM_PARAM_STORE_PFN == 1 && HVM_PARAM_STORE_EVTCHN == 2 &&
                      HVM_PARAM_CONSOLE_PFN == 17 && HVM_PARAM_CONSOLE_EVTCHN == 18 &&
                      HVM_PARAM_IOREQ_PFN == 5 && HVM_PARAM_BUFIOREQ_PFN == 6 &&
                      HVM_PARAM_IOREQ_SERVER_PFN == 32 && HVM_PARAM_NR_IOREQ_SERVER_PAGES == 33 &&
                      HVM_PARAM_IDENT_PT == 12 && HVM_PARAM_PAGING_RING_PFN == 27 &&
                      HVM_PARAM_MONITOR_RING_PFN == 28 && HVM_PARAM_SHARING_RING_PFN == 29,
              "numbers of Xen: BUILD_PARAMS");

struct building {
	struct xen_ground *ground;
	const struct xen_domain_spec *spec;
	struct xen_built *built;
	struct xen_kernel_copy copy;
	int link; /* owned */
	pid_t pid;
	char why[256]; /* what the builder said, or what became of it */
};

/* Too large for a stack; a process builds one domain after the other. */
static struct build_call call;
static struct build_reply reply;

/* The calls. */

static void fill(const void *data, size_t len)
{
	memcpy(reply.data, data, len);
	reply.len = (uint32_t)len;
}

static long info(xc_interface *h, uint32_t domid)
{
	xc_domaininfo_t found;
	int n = xc_domain_getinfolist(h, domid, 1, &found);

	if (n == 1 && found.domain == domid) {
		fill(&found, sizeof(found));
		return 0;
	}
	if (n >= 0)
		errno = ESRCH;
	return -1;
}

static long capabilities(xc_interface *h)
{
	static xen_capabilities_info_t text;
	int r = xc_version(h, XENVER_capabilities, &text);

	fill(&text, sizeof(text));
	return r;
}

static long populate(xc_interface *h, uint32_t domid)
{
	static xen_pfn_t frames[BUILD_FRAMES_MAX];
	size_t n = call.len / sizeof(frames[0]);
	int r;

	memcpy(frames, call.data, call.len);
	r = xc_domain_populate_physmap(h, domid, n, (unsigned int)call.args[0], 0, frames);
	fill(frames, call.len);
	return r;
}

/* The library has no name for it. */
static long hypercall_page(xc_interface *h, uint32_t domid)
{
	struct xencall_handle *calls = xc_interface_xcall_handle(h);
	struct xen_domctl *d = xencall_alloc_buffer(calls, sizeof(*d));
	int r;

	if (!d)
		return -1;
	*d = (struct xen_domctl){.cmd = XEN_DOMCTL_hypercall_init,
	                         .interface_version = XEN_DOMCTL_INTERFACE_VERSION,
	                         .domain = (domid_t)domid};
	d->u.hypercall_init.gmfn = call.args[0];
	r = xencall1(calls, __HYPERVISOR_domctl, (uint64_t)(uintptr_t)d);
	xencall_free_buffer(calls, d);
	return r;
}

static long state(xc_interface *h, uint32_t domid)
{
	int size = xc_domain_hvm_getcontext(h, domid, NULL, 0);

	if (size < 0)
		return -1;
	if ((size_t)size > sizeof(reply.data)) {
		errno = E2BIG;
		return -1;
	}
	size = xc_domain_hvm_getcontext(h, domid, reply.data, (uint32_t)size);
	reply.len = size < 0 ? 0 : (uint32_t)size;
	return size < 0 ? -1 : 0;
}

static long processor(xc_interface *h, uint32_t domid)
{
	static vcpu_guest_context_any_t context;

	memset(&context, 0, sizeof(context));
	memcpy(&context, call.data, call.len);
	return xc_vcpu_setcontext(h, domid, 0, &context);
}

static long make(xc_interface *h, uint32_t domid)
{
	struct mmuext_op pin = {.cmd = MMUEXT_PIN_L4_TABLE, .arg1.mfn = call.args[0]};

	switch ((enum build_op)call.op) {
	case BUILD_VERSION:
		return xc_version(h, XENVER_version, NULL);
	case BUILD_CAPABILITIES:
		return capabilities(h);
	case BUILD_INFO:
		return info(h, domid);
	case BUILD_POPULATE:
		return populate(h, domid);
	case BUILD_MOVE:
		return xc_domain_add_to_physmap(h, domid, XENMAPSPACE_gmfn, call.args[0],
		                                call.args[1]);
	case BUILD_PIN:
		return xc_mmuext_op(h, &pin, 1, domid);
	case BUILD_HYPERCALLS:
		return hypercall_page(h, domid);
	case BUILD_STATE:
		return state(h, domid);
	case BUILD_SET_STATE:
		return xc_domain_hvm_setcontext(h, domid, call.data, call.len);
	case BUILD_PROCESSOR:
		return processor(h, domid);
	case BUILD_PARAM:
		return xc_hvm_param_get(h, domid, (uint32_t)call.args[0], &reply.value);
	case BUILD_SET_PARAM:
		return xc_hvm_param_set(h, domid, (uint32_t)call.args[0], call.args[1]);
	case BUILD_DONE:
	case BUILD_FAILED:
	case BUILD_MAX:
		break;
	}
	errno = EPERM;
	return -1;
}

/* Whoever sends a call that is none has been taken over, and is not answered: -1. */
static int serve(struct building *b)
{
	for (;;) {
		ssize_t n = recv(b->link, &call, sizeof(call), 0);
		long r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		if (!build_call_legal(&call, (size_t)n, b->spec->kind == XEN_DOMAIN_PVH)) {
			(void)snprintf(b->why, sizeof(b->why), "it asked for what is not its own");
			return -1;
		}
		if (call.op == BUILD_DONE)
			return 0;
		if (call.op == BUILD_FAILED) {
			(void)snprintf(b->why, sizeof(b->why), "%.255s", (const char *)call.data);
			return -1;
		}
		memset(&reply, 0, BUILD_REPLY_HEAD);
		errno = 0;
		r = make(b->ground->hypervisor, (uint32_t)b->built->domid);
		reply.error = r < 0 ? (errno ? errno : EIO) : 0;
		reply.result = r;
		if (send(b->link, &reply, BUILD_REPLY_HEAD + reply.len, MSG_NOSIGNAL) < 0)
			return -1;
	}
}

/* The process. */

static NORETURN void run(const char *program, const int fds[BUILD_FDS])
{
	char name[] = "skerry-xen-builder";
	char *const args[] = {name, NULL};
	char *const environment[] = {NULL};

	if (xen_place_descriptors(fds, BUILD_FDS) == 0)
		(void)execve(program, args, environment);
	LOG_ERRNO("%s", program);
	_exit(111);
}

static int send_order(const struct building *b)
{
	static struct build_order order;
	const struct xen_domain_spec *spec = b->spec;

	order = (struct build_order){.domid = (uint32_t)b->built->domid,
	                             .pvh = spec->kind == XEN_DOMAIN_PVH,
	                             .vcpus = spec->vcpus,
	                             .memory_mib = (uint32_t)(spec->memory_kib / 1024),
	                             .store_port = b->built->store_port,
	                             .console_port = b->built->console_port,
	                             .user = MONITOR_OWNER_UID_BASE + spec->owner,
	                             .has_initrd = spec->initrd != NULL,
	                             .keep_max = b->copy.file < 0 ? 0 : b->copy.max};
	if (bytes_copy_text(order.name, sizeof(order.name), spec->name) ||
	    bytes_copy_text(order.cmdline, sizeof(order.cmdline), spec->cmdline)) {
		errno = E2BIG;
		return -1;
	}
	return send(b->link, &order, sizeof(order), MSG_NOSIGNAL) == (ssize_t)sizeof(order) ? 0
	                                                                                    : -1;
}

static int start(struct building *b)
{
	static const char *const places[] = {"skerry-xen-builder",
	                                     "../libexec/skerry/skerry-xen-builder",
	                                     "../../hypervisor/xen/skerry-xen-builder", NULL};
	char program[PATH_MAX], kept[XEN_KERNEL_PATH];
	const struct xen_domain_spec *spec = b->spec;
	const char *path = xen_kernel_find(b->ground, spec->kernel, kept);
	OWNED_FD int kernel = open(path, O_RDONLY | O_CLOEXEC);
	OWNED_FD int initrd = spec->initrd ? open(spec->initrd, O_RDONLY | O_CLOEXEC) : -1;
	OWNED_FD int theirs = -1;
	int pair[2];

	if (kernel < 0 || (spec->initrd && initrd < 0) ||
	    path_program(program, sizeof(program), places) ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return -1;
	b->link = pair[0];
	theirs = pair[1];
	if (path == spec->kernel)
		xen_kernel_place(b->ground, spec->kernel, &b->copy);
	b->pid = fork();
	if (b->pid == 0)
		run(program, (const int[]){theirs, kernel, initrd, b->copy.file});
	return b->pid < 0 || send_order(b) ? -1 : 0;
}

/* It has said all, or must not say more. Behind a guard it cannot be ended; it ends with its maker. */
static void end(struct building *b)
{
	const struct timespec pause = {.tv_nsec = 10000000};
	int status = 0;
	pid_t r = 0;

	b->link = fd_close(b->link);
	if (b->pid <= 0)
		return;
	for (int i = 0; i < END_TRIES && (r = waitpid(b->pid, &status, WNOHANG)) == 0; i++)
		(void)nanosleep(&pause, NULL);
	if (r == 0 && !b->ground->guard && kill(b->pid, SIGKILL) == 0)
		(void)waitpid(b->pid, &status, 0);
	if (r == b->pid && WIFSIGNALED(status) && b->why[0] == '\0')
		(void)snprintf(b->why, sizeof(b->why), "it died of signal %d", WTERMSIG(status));
}

static int build(struct building *b)
{
	struct xen_ground *ground = b->ground;

	if (start(b))
		return xen_failed(ground, b->spec->name, "starting its builder");
	if (ground->guard && ground->guard(ground->kernels))
		return xen_failed(ground, b->spec->name, "the confinement of its maker");
	if (serve(b) == 0) {
		b->built->store_frame = call.args[0];
		b->built->console_frame = call.args[1];
		xen_kernel_close(&b->copy, call.args[2] > 0);
		return 0;
	}
	end(b);
	return xen_refused(ground, b->spec->name, EIO, "%s",
	                   b->why[0] ? b->why : "the process that unpacks its kernel has ended");
}

int xen_build_image(struct xen_ground *ground, const struct xen_domain_spec *spec,
                    struct xen_built *built)
{
	struct building b = {
	        .ground = ground, .spec = spec, .built = built, .copy.file = -1, .link = -1};
	int r = build(&b);

	end(&b);
	xen_kernel_close(&b.copy, false);
	return r;
}
