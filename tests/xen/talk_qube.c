/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a test asks of a qube besides echoes: channels to other qubes, its network, its memory. */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/vchan/vchan.h"
#include "lib/xen/store.h"
#include "tests/xen/talk.h"

#define STATE_SECONDS 60
#define NET_SECONDS   120
#define NET_PORT      7
#define NET_BACK      "10.137.7.1"
#define NET_FRONT     "10.137.7.2"

static struct vchan *meetings[TALK_MEETINGS];

static double now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

uint32_t talk_meet(uint32_t argument)
{
	uint32_t which = argument >> 24;
	struct vchan_config config;

	if (which >= TALK_MEETINGS || vchan_config_from_env(&config))
		return 0;
	config.peer = (int)(argument & 0xffffU);
	config.port = TALK_BETWEEN + (int)which;
	config.read_min = config.write_min = 4096;
	(void)vchan_close(meetings[which]);
	meetings[which] = NULL;
	return (argument >> 16 & 1U ? vchan_listen(&config, &meetings[which])
	                            : vchan_connect(&config, &meetings[which])) == 0;
}

/* Asleep until the channel itself wakes us: what is tested is that it does. */
uint32_t talk_wait_state(uint32_t argument)
{
	uint32_t which = argument >> 24, wanted = argument & 0xffffU;
	struct vchan *vchan = which < TALK_MEETINGS ? meetings[which] : NULL;
	double end = now() + STATE_SECONDS;

	while (vchan && (uint32_t)vchan_state(vchan) != wanted && now() < end) {
		struct pollfd look = {.fd = vchan_fd(vchan), .events = POLLIN};

		if (poll(&look, 1, 1000) > 0)
			(void)vchan_step(vchan);
	}
	return vchan ? (uint32_t)vchan_state(vchan) : UINT32_MAX;
}

uint32_t talk_memory(void)
{
	unsigned long long kib = 0;
	FILE *file = fopen("/proc/meminfo", "re");

	if (!file)
		return 0;
	if (fscanf(file, "MemTotal: %llu", &kib) != 1)
		kib = 0;
	(void)fclose(file);
	return (uint32_t)kib;
}

/* The first interface whose name begins so, once there is one. */
static bool find_interface(const char *prefix, char name[IFNAMSIZ], double end)
{
	const struct timespec pause = {.tv_nsec = 100000000};

	for (; now() < end; (void)nanosleep(&pause, NULL)) {
		DIR *dir = opendir("/sys/class/net");
		struct dirent *entry;
		bool found = false;

		while (dir && !found && (entry = readdir(dir))) {
			found = strncmp(entry->d_name, prefix, strlen(prefix)) == 0;
			(void)snprintf(name, IFNAMSIZ, "%.15s", entry->d_name);
		}
		if (dir)
			(void)closedir(dir);
		if (found)
			return true;
	}
	return false;
}

static bool set_address(const char *name, const char *address)
{
	struct ifreq request = {0};
	struct sockaddr_in in = {.sin_family = AF_INET};
	OWNED_FD int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	(void)snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	if (fd < 0 || inet_pton(AF_INET, address, &in.sin_addr) != 1)
		return false;
	memcpy(&request.ifr_addr, &in, sizeof(in));
	if (ioctl(fd, SIOCSIFADDR, &request))
		return false;
	request.ifr_flags = IFF_UP | IFF_RUNNING;
	return ioctl(fd, SIOCSIFFLAGS, &request) == 0;
}

/* As whoever sets up a netvm's side does: "vif3.0" is device 0 of domain 3. */
static bool open_device(const char *name)
{
	struct store *store = NULL;
	unsigned int domid, number;
	char path[64];
	bool good = sscanf(name, "vif%u.%u", &domid, &number) == 2 && store_open(&store) == 0;

	(void)snprintf(path, sizeof(path), "backend/vif/%u/%u/hotplug-status", domid, number);
	good = good && store_write(store, path, "connected") == 0;
	(void)store_free(store);
	return good;
}

static int accept_one(const struct sockaddr_in *address, int timeout_ms)
{
	OWNED_FD int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct pollfd look = {.fd = listener, .events = POLLIN};

	if (listener < 0 || bind(listener, (const struct sockaddr *)address, sizeof(*address)) ||
	    listen(listener, 1) || poll(&look, 1, timeout_ms) <= 0)
		return -1;
	return accept4(listener, NULL, NULL, SOCK_CLOEXEC);
}

static int connect_one(const struct sockaddr_in *address, double end)
{
	const struct timespec pause = {.tv_nsec = 200000000};

	for (; now() < end; (void)nanosleep(&pause, NULL)) {
		OWNED_FD int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

		if (fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0)
			return fd_take(&fd);
	}
	return -1;
}

static bool exchange(int fd, bool first)
{
	char byte = first ? 'a' : 'b', got = 0;
	struct pollfd look = {.fd = fd, .events = POLLIN};

	return write(fd, &byte, 1) == 1 && poll(&look, 1, NET_SECONDS * 1000) > 0 &&
	       read(fd, &got, 1) == 1 && got == (first ? 'b' : 'a');
}

uint32_t talk_net(uint32_t role)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(NET_PORT)};
	double end = now() + NET_SECONDS;
	bool front = role == 1;
	char name[IFNAMSIZ];
	OWNED_FD int fd = -1;

	if (!find_interface(front ? "eth" : "vif", name, end) ||
	    !set_address(name, front ? NET_FRONT : NET_BACK) || (!front && !open_device(name)) ||
	    inet_pton(AF_INET, NET_BACK, &address.sin_addr) != 1)
		return 0;
	fd = front ? connect_one(&address, end) : accept_one(&address, NET_SECONDS * 1000);
	return fd >= 0 && exchange(fd, front);
}
