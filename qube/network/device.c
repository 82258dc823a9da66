/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "qube/network/device.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if_arp.h>
#include <net/route.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/fd.h"

#define ONLY_ITSELF 0xffffffffU /* a network of one address */

static int request_socket(void)
{
	return socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

static void put_address(struct sockaddr *at, struct in_addr address)
{
	const struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr = address};

	memcpy(at, &in, sizeof(in));
}

static struct ifreq request_for(const char *name)
{
	struct ifreq r = {0};

	(void)snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	return r;
}

static int set_flags(int fd, const char *name, bool up)
{
	struct ifreq r = request_for(name);

	if (ioctl(fd, SIOCGIFFLAGS, &r))
		return -1;
	r.ifr_flags = (short)(up ? r.ifr_flags | IFF_UP : r.ifr_flags & ~IFF_UP);
	return ioctl(fd, SIOCSIFFLAGS, &r);
}

int device_address(const char *name, struct in_addr own)
{
	OWNED_FD int fd = request_socket();
	struct ifreq address = request_for(name), mask = request_for(name);

	put_address(&address.ifr_addr, own);
	put_address(&mask.ifr_netmask, (struct in_addr){ONLY_ITSELF});
	/* Down first: with that the routes of an earlier address go. */
	return fd < 0 || set_flags(fd, name, false) || ioctl(fd, SIOCSIFADDR, &address) ||
	                       ioctl(fd, SIOCSIFNETMASK, &mask) || set_flags(fd, name, true)
	               ? -1
	               : 0;
}

bool device_is(const char *name, struct in_addr own)
{
	OWNED_FD int fd = request_socket();
	struct ifreq flags = request_for(name), address = request_for(name);
	struct sockaddr_in in;

	if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &flags) || !(flags.ifr_flags & IFF_UP) ||
	    ioctl(fd, SIOCGIFADDR, &address))
		return false;
	memcpy(&in, &address.ifr_addr, sizeof(in));
	return in.sin_addr.s_addr == own.s_addr;
}

static int add_route(const char *name, const struct rtentry *like)
{
	OWNED_FD int fd = request_socket();
	char device[IFNAMSIZ];
	struct rtentry route = *like;

	(void)snprintf(device, sizeof(device), "%s", name);
	route.rt_dev = device;
	route.rt_flags |= RTF_UP;
	return fd < 0 || (ioctl(fd, SIOCADDRT, &route) && errno != EEXIST) ? -1 : 0;
}

int device_route(const char *name, struct in_addr to)
{
	struct rtentry route = {.rt_flags = RTF_HOST};

	put_address(&route.rt_dst, to);
	put_address(&route.rt_genmask, (struct in_addr){ONLY_ITSELF});
	return add_route(name, &route);
}

int device_default(const char *name, struct in_addr gateway)
{
	struct rtentry route = {.rt_flags = RTF_GATEWAY};

	put_address(&route.rt_dst, (struct in_addr){0});
	put_address(&route.rt_genmask, (struct in_addr){0});
	put_address(&route.rt_gateway, gateway);
	return add_route(name, &route);
}

int device_neighbour(const char *name, struct in_addr ip, const char *mac)
{
	OWNED_FD int fd = request_socket();
	struct arpreq r = {.arp_flags = ATF_PERM | ATF_COM, .arp_ha.sa_family = ARPHRD_ETHER};
	unsigned int b[6];
	char end;

	if (sscanf(mac, "%2x:%2x:%2x:%2x:%2x:%2x%c", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5],
	           &end) != 6) {
		errno = EINVAL;
		return -1;
	}
	for (size_t i = 0; i < ARRAY_LEN(b); i++)
		r.arp_ha.sa_data[i] = (char)b[i];
	put_address(&r.arp_pa, ip);
	(void)snprintf(r.arp_dev, sizeof(r.arp_dev), "%s", name);
	return fd < 0 || ioctl(fd, SIOCSARP, &r) ? -1 : 0;
}

int device_set(const char *name, const char *key, const char *value)
{
	char path[128];
	OWNED_FD int fd = -1;

	(void)snprintf(path, sizeof(path), "/proc/sys/net/ipv4/conf/%s/%s", name, key);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd < 0 || write(fd, value, strlen(value)) < 0 ? -1 : 0;
}
