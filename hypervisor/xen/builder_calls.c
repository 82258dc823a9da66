/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libxencall's interface, for a process that must make no hypercall: what libxenguest and libxenctrl would have the
 * hypervisor do becomes a question to the maker (proto/xen_build.h). Linked in the library's place, so none of its code is in
 * this program. Only what building a PV or PVH domain of 64 bits needs is known here; all else is refused.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <xencall.h>
#include <xenctrl.h>

#include "hypervisor/xen/builder.h"
#include "lib/base/log.h"

#include <xen/hvm/hvm_op.h>
#include <xen/memory.h>

#define PAGE 4096U

struct xencall_handle {
	int unused;
};

struct build_call builder_call;
struct build_reply builder_reply;
uint32_t builder_domid;

static void send_call(enum build_op op, size_t len)
{
	builder_call.op = (uint32_t)op;
	builder_call.len = (uint32_t)len;
	if (send(BUILD_FD_LINK, &builder_call, BUILD_CALL_HEAD + len, MSG_NOSIGNAL) < 0)
		_exit(111);
}

void builder_tell(enum build_op op, size_t len)
{
	send_call(op, len);
}

long builder_ask(enum build_op op, size_t len)
{
	ssize_t n;

	send_call(op, len);
	do
		n = recv(BUILD_FD_LINK, &builder_reply, sizeof(builder_reply), 0);
	while (n < 0 && errno == EINTR);
	if (n < (ssize_t)BUILD_REPLY_HEAD || builder_reply.len != (size_t)n - BUILD_REPLY_HEAD)
		_exit(111);
	errno = builder_reply.error;
	return builder_reply.error ? -1 : (long)builder_reply.result;
}

static long refused(const char *what, uint64_t number)
{
	LOG("%s %llu is none of a builder's", what, (unsigned long long)number);
	errno = EPERM;
	return -1;
}

static void set_args(uint64_t first, uint64_t second)
{
	builder_call.args[0] = first;
	builder_call.args[1] = second;
}

/* The answer's bytes to where they are wanted; -1: another number of them. */
static long take(long r, void *to, size_t len)
{
	if (r < 0)
		return r;
	if (builder_reply.len != len) {
		errno = EIO;
		return -1;
	}
	memcpy(to, builder_reply.data, len);
	return r;
}

/* By hypercall. */

static long state(struct xen_domctl_hvmcontext *context)
{
	uint32_t room = context->buffer.p ? context->size : 0;
	long r = builder_ask(BUILD_STATE, 0);

	if (r < 0)
		return r;
	context->size = builder_reply.len;
	if (room == 0)
		return 0;
	if (builder_reply.len > room) {
		errno = ENOSPC;
		return -1;
	}
	memcpy(context->buffer.p, builder_reply.data, builder_reply.len);
	return 0;
}

static long give(enum build_op op, const void *data, size_t len)
{
	if (!data || len > BUILD_DATA_MAX) {
		errno = E2BIG;
		return -1;
	}
	memcpy(builder_call.data, data, len);
	return builder_ask(op, len);
}

static long domctl(struct xen_domctl *d)
{
	if (d->domain != builder_domid)
		return refused("domain", d->domain);
	switch (d->cmd) {
	case XEN_DOMCTL_getdomaininfo:
		return take(builder_ask(BUILD_INFO, 0), &d->u.getdomaininfo,
		            sizeof(d->u.getdomaininfo));
	case XEN_DOMCTL_set_address_size:
		/* As it was made. */
		return d->u.address_size.size == 64 ? 0
		                                    : refused("a width of", d->u.address_size.size);
	case XEN_DOMCTL_hypercall_init:
		set_args(d->u.hypercall_init.gmfn, 0);
		return builder_ask(BUILD_HYPERCALLS, 0);
	case XEN_DOMCTL_setvcpucontext:
		return give(BUILD_PROCESSOR, d->u.vcpucontext.ctxt.p, sizeof(vcpu_guest_context_t));
	case XEN_DOMCTL_gethvmcontext:
		return state(&d->u.hvmcontext);
	case XEN_DOMCTL_sethvmcontext:
		return give(BUILD_SET_STATE, d->u.hvmcontext.buffer.p, d->u.hvmcontext.size);
	default:
		return refused("domctl", d->cmd);
	}
}

/* In parts, as many as a packet holds. */
static long populate(const struct xen_memory_reservation *r)
{
	uint64_t done = 0;

	if (r->domid != builder_domid || r->mem_flags)
		return refused("memory flags", r->mem_flags);
	while (done < r->nr_extents) {
		size_t n = MIN(r->nr_extents - done, (uint64_t)BUILD_FRAMES_MAX);
		long given;

		memcpy(builder_call.data, r->extent_start.p + done, n * sizeof(uint64_t));
		set_args(r->extent_order, 0);
		given = builder_ask(BUILD_POPULATE, n * sizeof(uint64_t));
		if (given < 0)
			return done > 0 ? (long)done : given;
		if ((size_t)given > n || builder_reply.len != n * sizeof(uint64_t)) {
			errno = EIO;
			return -1;
		}
		memcpy(r->extent_start.p + done, builder_reply.data, n * sizeof(uint64_t));
		done += (uint64_t)given;
		if ((size_t)given < n)
			break;
	}
	return (long)done;
}

static long memory(uint64_t op, void *arg)
{
	const struct xen_add_to_physmap *move = arg;

	switch (op) {
	case XENMEM_populate_physmap:
		return populate(arg);
	case XENMEM_add_to_physmap:
		if (move->domid != builder_domid || move->space != XENMAPSPACE_gmfn)
			return refused("a space of memory", move->space);
		set_args(move->idx, move->gpfn);
		return builder_ask(BUILD_MOVE, 0);
	case XENMEM_claim_pages:
		/* Nothing was claimed, so there is nothing to give back. */
		return 0;
	default:
		return refused("memory op", op);
	}
}

static long param(uint64_t op, struct xen_hvm_param *p)
{
	long r;

	if (p->domid != builder_domid || (op != HVMOP_set_param && op != HVMOP_get_param))
		return refused("hvm op", op);
	set_args(p->index, p->value);
	if (op == HVMOP_set_param)
		return builder_ask(BUILD_SET_PARAM, 0);
	r = builder_ask(BUILD_PARAM, 0);
	p->value = builder_reply.value;
	return r;
}

static long page_tables(const struct mmuext_op *ops, uint64_t n, uint64_t domid)
{
	if (n != 1 || domid != builder_domid || ops->cmd != MMUEXT_PIN_L4_TABLE)
		return refused("mmuext op", ops->cmd);
	set_args(ops->arg1.mfn, 0);
	return builder_ask(BUILD_PIN, 0);
}

static long version(uint64_t op, void *arg)
{
	if (op == XENVER_version)
		return builder_ask(BUILD_VERSION, 0);
	if (op == XENVER_capabilities)
		return take(builder_ask(BUILD_CAPABILITIES, 0), arg,
		            sizeof(xen_capabilities_info_t));
	return refused("version", op);
}

static void *pointer(uint64_t arg)
{
	return (void *)(uintptr_t)arg;
}

/* How the library gets results that are longer than a call's: one call, in an entry of its own. */
static long multicall(struct multicall_entry *entry, uint64_t n)
{
	long r;

	if (n != 1 || entry->op != __HYPERVISOR_memory_op)
		return refused("a list of calls with", entry->op);
	r = memory(entry->args[0], pointer(entry->args[1]));
	entry->result = (xen_ulong_t)(r < 0 ? -(long)errno : r);
	return 0;
}

static long call(unsigned int op, uint64_t a1, uint64_t a2, uint64_t a4)
{
	switch (op) {
	case __HYPERVISOR_domctl:
		return domctl(pointer(a1));
	case __HYPERVISOR_memory_op:
		return memory(a1, pointer(a2));
	case __HYPERVISOR_hvm_op:
		return param(a1, pointer(a2));
	case __HYPERVISOR_mmuext_op:
		return page_tables(pointer(a1), a2, a4);
	case __HYPERVISOR_multicall:
		return multicall(pointer(a1), a2);
	case __HYPERVISOR_xen_version:
		return version(a1, pointer(a2));
	default:
		return refused("hypercall", op);
	}
}

/* libxencall. */

xencall_handle *xencall_open(struct xentoollog_logger *logger, unsigned int open_flags)
{
	static struct xencall_handle handle;

	(void)logger;
	(void)open_flags;
	return &handle;
}

int xencall_close(xencall_handle *xcall)
{
	(void)xcall;
	return 0;
}

int xencall_fd(xencall_handle *xcall)
{
	(void)xcall;
	return -1;
}

int xencall0(xencall_handle *xcall, unsigned int op)
{
	(void)xcall;
	return (int)call(op, 0, 0, 0);
}

int xencall1(xencall_handle *xcall, unsigned int op, uint64_t arg1)
{
	(void)xcall;
	return (int)call(op, arg1, 0, 0);
}

int xencall2(xencall_handle *xcall, unsigned int op, uint64_t arg1, uint64_t arg2)
{
	(void)xcall;
	return (int)call(op, arg1, arg2, 0);
}

long xencall2L(xencall_handle *xcall, unsigned int op, uint64_t arg1, uint64_t arg2)
{
	(void)xcall;
	return call(op, arg1, arg2, 0);
}

int xencall3(xencall_handle *xcall, unsigned int op, uint64_t arg1, uint64_t arg2, uint64_t arg3)
{
	(void)xcall;
	(void)arg3;
	return (int)call(op, arg1, arg2, 0);
}

int xencall4(xencall_handle *xcall, unsigned int op, uint64_t arg1, uint64_t arg2, uint64_t arg3,
             uint64_t arg4)
{
	(void)xcall;
	(void)arg3;
	return (int)call(op, arg1, arg2, arg4);
}

int xencall5(xencall_handle *xcall, unsigned int op, uint64_t arg1, uint64_t arg2, uint64_t arg3,
             uint64_t arg4, uint64_t arg5)
{
	(void)xcall;
	(void)arg3;
	(void)arg5;
	return (int)call(op, arg1, arg2, arg4);
}

/* Memory for arguments: they are copied, so any will do. Zeroed, as the library's is. */
void *xencall_alloc_buffer_pages(xencall_handle *xcall, size_t nr_pages)
{
	void *p = mmap(NULL, nr_pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
	               -1, 0);

	(void)xcall;
	return p == MAP_FAILED ? NULL : p;
}

void xencall_free_buffer_pages(xencall_handle *xcall, void *p, size_t nr_pages)
{
	(void)xcall;
	if (p)
		(void)munmap(p, nr_pages * PAGE);
}

void *xencall_alloc_buffer(xencall_handle *xcall, size_t size)
{
	(void)xcall;
	return calloc(1, size);
}

void xencall_free_buffer(xencall_handle *xcall, void *p)
{
	(void)xcall;
	free(p);
}

int xencall_buffers_never_fault(xencall_handle *xcall)
{
	(void)xcall;
	return 1;
}
