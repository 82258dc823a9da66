/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PROTO_XEN_BUILD_H
#define PROTO_XEN_BUILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/compat.h"

/*
 * Building a domain means unpacking and reading its kernel, which is whatever its owner put there. That is done by
 * a program of its own, skerry-xen-builder, one a start. It can map the memory of that one domain (the kernel holds it
 * to that: IOCTL_PRIVCMD_RESTRICT) and has no right to a hypercall. The few that libxenguest needs it asks for here,
 * one packet each, answered by one:
 *
 *   maker: has the hypercalls                     builder: reads the kernel
 *     order, then descriptors by number  ----->     restricts, becomes another user, confines itself
 *     checks, calls                      <----->    one build_call, one build_reply …
 *                                        <-----     BUILD_DONE or BUILD_FAILED
 *
 * Both ends are of one build, so what is sent is what stands in memory.
 *
 * Trust: after the order, every byte that the maker gets may come from a kernel that took the builder over. A call names
 * no domain: it is about the one that the maker made. What it can ask for, a qube's kernel can do to itself once it runs.
 * Source: what libxenguest 4.17 calls for PV and PVH domains of 64 bits.
 * Test:   tests/unit/hypervisor/build.c, fuzz/xen_build.c; tests/xen/confined.c with the real devices
 */

#define BUILD_FD_LINK       3
#define BUILD_FD_KERNEL     4
#define BUILD_FD_INITRD     5 /* closed: none */
#define BUILD_FD_KEEP       6 /* where the unpacked kernel goes; closed: it is not kept */
#define BUILD_FDS           4
#define BUILD_CMDLINE_MAX   4096U
#define BUILD_DATA_MAX      (128U << 10) /* bytes; the state of 64 processors is under 100 KiB */
#define BUILD_FRAMES_MAX    (BUILD_DATA_MAX / sizeof(uint64_t))
#define BUILD_PROCESSOR_LEN 5168U /* vcpu_guest_context of 64 bits */
/* HVM_PARAM_… of xen/include/public/hvm/params.h: pages and ports of xenstore and console, of device models, the identity map */
#define BUILD_PARAMS                                                                               \
	{                                                                                          \
		1, 2, 17, 18, 5, 6, 32, 33, 12, 27, 28, 29                                         \
	}
#define BUILD_ORDER_MAX 18U /* of an extent: 1 GiB */

struct build_order {
	uint32_t domid;
	uint32_t pvh; /* 0: PV */
	uint32_t vcpus;
	uint32_t memory_mib;
	uint32_t store_port, console_port;
	uint32_t user; /* whom the builder becomes, user and group */
	uint32_t has_initrd;
	uint64_t keep_max; /* bytes; 0: the unpacked kernel is not kept */
	char name[32];     /* for messages */
	char cmdline[BUILD_CMDLINE_MAX];
};

enum build_op {
	BUILD_VERSION = 1,  /* -> the hypervisor's, as result */
	BUILD_CAPABILITIES, /* -> its text */
	BUILD_INFO,         /* -> struct xen_domctl_getdomaininfo */
	BUILD_POPULATE,     /* order; frames -> frames; result: how many were given memory */
	BUILD_MOVE, /* frame, new frame: of PVH, for what its kernel must find at an address */
	BUILD_PIN,  /* frame of the top page table */
	BUILD_HYPERCALLS, /* frame of the page that calls the hypervisor */
	BUILD_STATE,      /* -> what all processors of a PVH domain hold */
	BUILD_SET_STATE,  /* the same */
	BUILD_PROCESSOR,  /* what the first processor of a PV domain holds */
	BUILD_PARAM,      /* number -> value of a parameter of PVH */
	BUILD_SET_PARAM,  /* number, value */
	BUILD_DONE,       /* frames of xenstore's page and the console's; bytes that were kept */
	BUILD_FAILED,     /* text */
	BUILD_MAX
};

struct build_call {
	uint32_t op;
	uint32_t len; /* bytes of data */
	uint64_t args[3];
	uint8_t data[BUILD_DATA_MAX];
};

struct build_reply {
	int32_t error; /* errno; 0: done */
	uint32_t len;
	int64_t result;
	uint64_t value;
	uint8_t data[BUILD_DATA_MAX];
};

#define BUILD_CALL_HEAD  offsetof(struct build_call, data)
#define BUILD_REPLY_HEAD offsetof(struct build_reply, data)

/**
 * build_call_legal() - whether a packet is a call that the maker may make
 * @untrusted:  a copy; @len bytes of it came
 * @pvh:        what domain it is for
 * Trust: @untrusted is hostile. It is only read.
 */
bool build_call_legal(const struct build_call *untrusted, size_t len, bool pvh) MUST_CHECK;

#endif
