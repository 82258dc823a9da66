/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Linux's devices for grants and event channels. libxengnttab and libxenevtchn hide their
 * descriptors and map at once; here a descriptor is prepared that another process maps, and that
 * process can do nothing else with it (doc/xen.md). Numbers and layouts are the kernel's: xen/gntdev.h,
 * xen/gntalloc.h and xen/evtchn.h of its user interface, which Debian does not install as a whole.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "lib/base/fd.h"
#include "lib/vchan/grant.h"
#include "lib/vchan/ring.h"

#define NOTIFY_CLEAR_BYTE 1U
#define NOTIFY_SEND_EVENT 2U
#define WRITABLE          1U

struct allocate {
	uint16_t domain;
	uint16_t flags;
	uint32_t count;
	uint64_t index;                           /* out: where to map */
	uint32_t references[GRANT_PAGES_MAX + 1]; /* out: count of them */
};
static_assert(offsetof(struct allocate, references) == 16, "layout of the kernel");

struct map {
	uint32_t count;
	uint32_t pad;
	uint64_t index; /* out */
	struct {
		uint32_t domain;
		uint32_t reference;
	} pages[GRANT_PAGES_MAX];
};
static_assert(offsetof(struct map, pages) == 16, "layout of the kernel");

struct notify_end {
	uint64_t index; /* of the byte */
	uint32_t action;
	uint32_t port;
};

/* The sizes in the numbers are those of the structures with one element. */
#define ALLOCATE_REFERENCES _IOC(_IOC_NONE, 'G', 5, 24)
#define MAP_REFERENCES      _IOC(_IOC_NONE, 'G', 0, 24)
#define SET_UNMAP_NOTIFY    _IOC(_IOC_NONE, 'G', 7, sizeof(struct notify_end))
#define BIND_INTERDOMAIN    _IOC(_IOC_NONE, 'E', 1, 8)
#define BIND_UNBOUND_PORT   _IOC(_IOC_NONE, 'E', 2, 4)
#define RESTRICT_DOMAIN     _IOC(_IOC_NONE, 'E', 6, 2)
static_assert(ALLOCATE_REFERENCES == 0x00184705 && MAP_REFERENCES == 0x00184700, "kernel");
static_assert(SET_UNMAP_NOTIFY == 0x00104707 && BIND_INTERDOMAIN == 0x00084501, "kernel");
static_assert(BIND_UNBOUND_PORT == 0x00044502 && RESTRICT_DOMAIN == 0x00024506, "kernel");

int grant_allocate(int peer, size_t n, uint32_t *ret_references)
{
	OWNED_FD int fd = open("/dev/xen/gntalloc", O_RDWR | O_CLOEXEC);
	struct allocate arg = {.domain = (uint16_t)peer, .flags = WRITABLE, .count = (uint32_t)n};

	if (n > ARRAY_LEN(arg.references)) {
		errno = EINVAL;
		return -1;
	}
	if (fd < 0 || ioctl(fd, ALLOCATE_REFERENCES, &arg) < 0)
		return -1;
	if (arg.index != 0) {
		errno = EPROTO;
		return -1;
	}
	memcpy(ret_references, arg.references, n * sizeof(*ret_references));
	return fd_take(&fd);
}

int grant_open(void)
{
	return open("/dev/xen/gntdev", O_RDWR | O_CLOEXEC);
}

int grant_add(int fd, int domain, const uint32_t *references, size_t n, uint64_t offset)
{
	struct map arg = {.count = (uint32_t)n};

	if (n == 0 || n > GRANT_PAGES_MAX) {
		errno = EINVAL;
		return -1;
	}
	for (size_t i = 0; i < n; i++) {
		arg.pages[i].domain = (uint32_t)domain;
		arg.pages[i].reference = references[i];
	}
	if (ioctl(fd, MAP_REFERENCES, &arg) < 0)
		return -1;
	if (arg.index != offset) {
		errno = EPROTO;
		return -1;
	}
	return 0;
}

int grant_notify_end(int fd, uint32_t byte, uint32_t port)
{
	struct notify_end arg = {.index = byte,
	                         .action = NOTIFY_CLEAR_BYTE | NOTIFY_SEND_EVENT,
	                         .port = port};

	return ioctl(fd, SET_UNMAP_NOTIFY, &arg) < 0 ? -1 : 0;
}

int event_open(void)
{
	return open("/dev/xen/evtchn", O_RDWR | O_CLOEXEC | O_NONBLOCK);
}

/* Dom0 cannot be named here; a peer of dom0's number is trusted with every channel anyway. */
static int restrict_to(int fd, int peer)
{
	uint16_t domain = (uint16_t)peer;

	return peer == 0 || ioctl(fd, RESTRICT_DOMAIN, &domain) == 0 ? 0 : -1;
}

static int bound(int fd, int peer, int port, uint32_t *ret_port)
{
	if (port < 0 || restrict_to(fd, peer))
		return -1;
	*ret_port = (uint32_t)port;
	return 0;
}

int event_bind(int fd, int peer, uint32_t peer_port, uint32_t *ret_port)
{
	uint32_t arg[2] = {(uint32_t)peer, peer_port};

	return bound(fd, peer, ioctl(fd, BIND_INTERDOMAIN, arg), ret_port);
}

int event_offer(int fd, int peer, uint32_t *ret_port)
{
	uint32_t arg = (uint32_t)peer;

	return bound(fd, peer, ioctl(fd, BIND_UNBOUND_PORT, &arg), ret_port);
}
