/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * skerry-qube-network - the network of a qube on Xen, inside it: gives the interfaces that its kernel has with
 * other qubes their addresses and routes.
 *
 *   to its netvm (device/vif): address, gateway and name servers as QubesDB says
 *   to a client, if it provides network (backend/vif): the gateway's address, a route to the client's address
 *   alone, from which nothing but that address is taken; then xenstore is told, and the device opens
 *
 * Nothing is passed on between interfaces before the packet filter has its rules (RULES): two clients do
 * not see each other. Each interface is looked at when the kernel says that one came or changed, or QubesDB that
 * an entry did.
 *
 * Trusts: dom0, and of a netvm nothing. Is trusted by: nobody outside its qube.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <qubesdb-client.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/xen/store.h"
#include "qube/network/device.h"

#define INTERFACES "/sys/class/net"
#define RULES      "/etc/skerry/network.nft"
#define NFT        "/usr/sbin/nft"
#define RESOLV     "/etc/resolv.conf"
#define NODE_MAX   64
#define VALUE_MAX  64
#define TRIES      3000                /* for QubesDB's daemon; with the pause, a minute; chosen */
#define MAC_PERM   "fe:ff:ff:ff:ff:ff" /* the kernel's, of each interface to a client */

static qdb_handle_t qdb;
static struct store *store;

/* What was done last, so that it is done again only when something changed. */
static struct {
	unsigned int index;
	struct in_addr gateway;
} uplink;
static bool forwards;

static bool entry(const char *name, char value[VALUE_MAX])
{
	char path[VALUE_MAX], *found;
	unsigned int len = 0;

	(void)snprintf(path, sizeof(path), "%s", name);
	found = qdb_read(qdb, path, &len);
	(void)snprintf(value, VALUE_MAX, "%s", found ? found : "");
	free(found);
	return value[0] != '\0';
}

static bool entry_address(const char *name, struct in_addr *ret_address)
{
	char value[VALUE_MAX];

	return entry(name, value) && inet_pton(AF_INET, value, ret_address) == 1;
}

/* The node of xenstore that an interface belongs to; "": it is none with another qube. */
static void node_of(const char *interface, char node[NODE_MAX])
{
	char path[128];
	OWNED_FD int fd = -1;
	ssize_t n;

	(void)snprintf(path, sizeof(path), INTERFACES "/%.15s/device/nodename", interface);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : read(fd, node, NODE_MAX - 1);
	node[n < 0 ? 0 : n] = '\0';
	node[strcspn(node, "\n")] = '\0';
}

/* To the netvm. */

static void write_servers(void)
{
	char first[VALUE_MAX], second[VALUE_MAX], text[4 * VALUE_MAX];
	OWNED_FD int fd = -1;

	(void)entry("/qubes-primary-dns", first);
	(void)entry("/qubes-secondary-dns", second);
	(void)snprintf(text, sizeof(text), "%s%s%s%s%s%s", first[0] ? "nameserver " : "", first,
	               first[0] ? "\n" : "", second[0] ? "nameserver " : "", second,
	               second[0] ? "\n" : "");
	fd = open(RESOLV ".new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0 || fd_write_all(fd, text, strlen(text)) || rename(RESOLV ".new", RESOLV))
		LOG_ERRNO(RESOLV);
}

static void set_up_uplink(const char *name)
{
	unsigned int index = if_nametoindex(name);
	struct in_addr own, gateway;

	/* Not written yet, or taken away: the next change of QubesDB brings us here again. */
	if (!entry_address("/qubes-ip", &own) || !entry_address("/qubes-gateway", &gateway))
		return;
	if (index == uplink.index && gateway.s_addr == uplink.gateway.s_addr &&
	    device_is(name, own))
		return;
	/* The other end says nothing of where the gateway is. */
	if (device_address(name, own) || device_neighbour(name, gateway, MAC_PERM) ||
	    device_route(name, gateway) || device_default(name, gateway)) {
		LOG_ERRNO("%s", name);
		return;
	}
	uplink.index = index;
	uplink.gateway = gateway;
	write_servers();
	LOG("%s: connected to the netvm", name);
}

/* To clients. */

static int load_rules(void)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		(void)execl(NFT, "nft", "-f", RULES, (char *)NULL);
		LOG_ERRNO(NFT);
		_exit(127);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0 ? 0 : -1;
}

/* Once; without rules, clients reach this qube and nothing behind it. */
static void forward(void)
{
	OWNED_FD int fd = -1;

	if (forwards)
		return;
	forwards = true;
	if (load_rules()) {
		LOG("the packet filter has no rules: nothing is passed on for clients");
		return;
	}
	fd = open("/proc/sys/net/ipv4/ip_forward", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "1", 1) != 1)
		LOG_ERRNO("ip_forward");
}

static int node_value(const char *node, const char *name, char *value, size_t max)
{
	char path[NODE_MAX + 24];

	(void)snprintf(path, sizeof(path), "%s/%s", node, name);
	return store_read(store, path, value, max);
}

static void set_up_client(const char *name, const char *node)
{
	char ip[VALUE_MAX], mac[VALUE_MAX], status[VALUE_MAX], path[NODE_MAX + 24];
	struct in_addr client, gateway;

	if (node_value(node, "hotplug-status", status, sizeof(status)) == 0 &&
	    strcmp(status, "connected") == 0)
		return;
	if (!entry_address("/qubes-netvm-gateway", &gateway))
		return;
	if (node_value(node, "ip", ip, sizeof(ip)) || node_value(node, "mac", mac, sizeof(mac))) {
		LOG_ERRNO("%s: what xenstore says of it", name);
		return;
	}
	/* Behind a blank there may be an address of IPv6. */
	ip[strcspn(ip, " ")] = '\0';
	if (inet_pton(AF_INET, ip, &client) != 1) {
		LOG("%s: \"%s\" is no address", name, ip);
		return;
	}
	forward();
	(void)snprintf(path, sizeof(path), "%s/hotplug-status", node);
	if (device_set(name, "rp_filter", "1") || device_address(name, gateway) ||
	    device_neighbour(name, client, mac) || device_route(name, client) ||
	    store_write(store, path, "connected"))
		LOG_ERRNO("%s", name);
	else
		LOG("%s: a client is connected", name);
}

/* All of it. */

static void look(void)
{
	DIR *dir = opendir(INTERFACES);
	const struct dirent *e;
	char node[NODE_MAX];

	while (dir && (e = readdir(dir))) {
		if (*e->d_name == '.')
			continue;
		node_of(e->d_name, node);
		if (strncmp(node, "device/vif/", 11) == 0)
			set_up_uplink(e->d_name);
		else if (strncmp(node, "backend/vif/", 12) == 0)
			set_up_client(e->d_name, node);
	}
	if (dir)
		(void)closedir(dir);
}

static int open_links(void)
{
	const struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK};
	OWNED_FD int fd =
	        socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

	return fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address))
	               ? -1
	               : fd_take(&fd);
}

static int open_entries(void)
{
	static char ip[] = "/qubes-ip", gateway[] = "/qubes-gateway",
	            own[] = "/qubes-netvm-gateway";
	char *const watched[] = {ip, gateway, own};

	for (int i = 0; i < TRIES && !(qdb = qdb_open(NULL)); i++)
		(void)poll(NULL, 0, 20);
	for (size_t i = 0; qdb && i < ARRAY_LEN(watched); i++)
		if (!qdb_watch(qdb, watched[i]))
			return -1;
	return qdb ? 0 : -1;
}

/* What changed is found by looking: only that something did is taken from here. */
static int take_events(int links)
{
	struct pollfd fds[] = {{.fd = links, .events = POLLIN},
	                       {.fd = qdb_watch_fd(qdb), .events = POLLIN}};
	char bytes[8192];
	ssize_t n;

	if (poll(fds, ARRAY_LEN(fds), -1) < 0)
		return errno == EINTR ? 0 : -1;
	/* ENOBUFS: some were lost, which says as much. */
	do {
		n = recv(links, bytes, sizeof(bytes), 0);
	} while (n > 0 || (n < 0 && errno == ENOBUFS));
	if (fds[1].revents) {
		char *path = qdb_read_watch(qdb);

		if (!path)
			return -1;
		free(path);
	}
	return 0;
}

int main(int argc, char **argv)
{
	int links;

	(void)argv;
	log_init("skerry-qube-network");
	if (argc > 1) {
		(void)fprintf(stderr, "usage: skerry-qube-network\n");
		return 2;
	}
	links = open_links();
	if (links < 0 || store_open(&store) || open_entries()) {
		LOG_ERRNO("the kernel's interfaces, xenstore or QubesDB");
		return 1;
	}
	do {
		look();
	} while (take_events(links) == 0);
	/* QubesDB's daemon has ended: process 1 starts both again. */
	LOG_ERRNO("an end of what is watched");
	return 1;
}
