/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * usb-import: started by qrexec-client-vm with the connection to qubes.USB of another qube as its
 * standard input. Reads which device comes, and hands the connection to this qube's kernel, which speaks
 * USB/IP on it from then on. usb-import --check BUSID says whether that is a device's name.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "proto/services/usb.h"

#define VHCI      "/sys/devices/platform/vhci_hcd.0"
#define TRIES     25 /* of 0.2 s until the port shows the device; protocol */
#define TABLE     16384
#define PORT_USED 6 /* a port's state: it has a device; the kernel's VDEV_ST_USED */
#define PORT_FREE 4 /* VDEV_ST_NULL */

/* One byte at a time: what follows the line belongs to the kernel. */
static int read_device(struct usb_device *out)
{
	char untrusted_line[USB_LINE_MAX];
	size_t len = 0;

	while (len < sizeof(untrusted_line)) {
		ssize_t n = read(STDIN_FILENO, untrusted_line + len, 1);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		if (untrusted_line[len++] == '\n')
			break;
	}
	return usb_device_decode(untrusted_line, len, out);
}

static int read_table(char *table)
{
	char path[PATH_MAX];
	OWNED_FD int fd = -1;
	ssize_t n;

	if (path_make(path, sizeof(path), VHCI, "status"))
		return -1;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, table, TABLE - 1);
	if (n < 0)
		return -1;
	table[n] = '\0';
	return 0;
}

/* "hs  0004 004 000 …": the hub's kind, the port, its state. High speed ports take all but SuperSpeed. */
static int port_state(const char *table, int wanted_port, bool fast, int *ret_port)
{
	for (const char *line = strchr(table, '\n'); line && line[1];
	     line = strchr(line + 1, '\n')) {
		char hub[4];
		int port;
		int state;

		if (sscanf(line + 1, "%3s %d %d", hub, &port, &state) != 3)
			continue;
		if (wanted_port >= 0 ? port != wanted_port
		                     : state != PORT_FREE || (strcmp(hub, "ss") == 0) != fast)
			continue;
		*ret_port = port;
		return state;
	}
	return -1;
}

static int attach(const struct usb_device *device, int *ret_port)
{
	static char table[TABLE];
	char path[PATH_MAX];
	OWNED_FD int fd = -1;

	if (read_table(table) || port_state(table, -1, device->speed >= 5, ret_port) < 0) {
		LOG("no free port: is vhci_hcd loaded?");
		return -1;
	}
	if (path_make(path, sizeof(path), VHCI, "attach"))
		return -1;
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 ||
	    dprintf(fd, "%d %d %u %d", *ret_port, STDIN_FILENO, device->devid, device->speed) < 0) {
		LOG_ERRNO("%s", path);
		return -1;
	}
	return 0;
}

static int wait_attached(int port)
{
	const struct timespec pause = {.tv_nsec = 200000000L};
	static char table[TABLE];

	for (int i = 0; i < TRIES; i++) {
		int same;

		if (read_table(table) == 0 && port_state(table, port, false, &same) == PORT_USED)
			return 0;
		(void)nanosleep(&pause, NULL);
	}
	LOG("the device did not come up at port %d", port);
	return -1;
}

/* Which port the device is at, for the program that detaches it. */
static int write_state(const char *path, int port)
{
	OWNED_FD int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);

	if (fd < 0 || dprintf(fd, "%d\n", port) < 0) {
		LOG_ERRNO("%s", path);
		return -1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	const char *agent = getenv("QREXEC_AGENT_PID");
	struct usb_device device;
	int port;

	log_init("usb-import");
	if (argc == 3 && strcmp(argv[1], "--check") == 0)
		return !usb_busid_legal(argv[2]);
	if (argc != 2) {
		(void)fprintf(stderr, "usage: usb-import STATE-FILE | --check BUSID\n");
		return 2;
	}
	if (read_device(&device)) {
		LOG("the other qube sent no device");
		return 1;
	}
	if (attach(&device, &port) || wait_attached(port))
		return 1;
	/* The client lets go of the connection, which is the kernel's now. */
	if (agent && strtol(agent, NULL, 10) > 1)
		(void)kill((pid_t)strtol(agent, NULL, 10), SIGUSR1);
	return write_state(argv[1], port) ? 1 : 0;
}
