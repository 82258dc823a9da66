/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The process that makes block devices, and the questions it takes. See device.h. */
#include "services/storage/device.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"

#define CLIENTS_MAX 64U /* workers at a time, with room for those that are ending; chosen */
#define NAME_LEN    64U

static int fail(struct device_answer *a, const char *step)
{
	a->error = errno ? errno : EIO;
	(void)snprintf(a->step, sizeof(a->step), "%s", step);
	return -1;
}

/* What stands on a file is named by it: whoever comes later finds it. */
static int name_of(int fd, char name[NAME_LEN])
{
	struct stat st;

	if (fstat(fd, &st))
		return -1;
	(void)snprintf(name, NAME_LEN, "skerry-%llx-%llx", (unsigned long long)st.st_dev,
	               (unsigned long long)st.st_ino);
	return 0;
}

static int found(struct device_answer *a, enum device_kind kind, uint32_t number)
{
	a->kind = (uint32_t)kind;
	a->number = number;
	return 0;
}

static int find(const char *name, int image, struct device_answer *a)
{
	uint32_t number;
	int r = map_find(name, &number);

	if (r)
		return r < 0 ? fail(a, "finding the mapped device")
		             : found(a, DEVICE_MAPPED, number);
	r = loop_find(image, &number);
	if (r)
		return r < 0 ? fail(a, "finding the loop device") : found(a, DEVICE_LOOP, number);
	return 0;
}

static int attach(const struct device_request *q, const char *name, int image,
                  struct device_answer *a)
{
	OWNED_FD int loop = -1;
	uint32_t number;

	if (find(name, image, a) || a->kind != DEVICE_NONE)
		return a->error ? -1 : 0;
	if (loop_attach(image, q->flags & DEVICE_READ_ONLY, false, &number, &loop))
		return fail(a, "a loop device");
	return found(a, DEVICE_LOOP, number);
}

/* The loop devices below go with the mapped one: nothing else has them open once we have not. */
static int snapshot(const struct device_request *q, const char *name, const int *fds,
                    struct device_answer *a)
{
	OWNED_FD int origin = -1, changes = -1;
	uint32_t number;

	if (loop_attach(fds[0], true, true, &number, &origin) ||
	    loop_attach(fds[1], false, true, &number, &changes))
		return fail(a, "a loop device");
	if (map_snapshot(name, origin, changes, q->size / 512, &number))
		return fail(a, "a snapshot (modules dm-snapshot, dm-zero)");
	return found(a, DEVICE_MAPPED, number);
}

static int encrypt_with_lost_key(const struct device_request *q, const char *name, int image,
                                 struct device_answer *a)
{
	OWNED_FD int loop = -1;
	uint32_t number;

	if (loop_attach(image, false, true, &number, &loop))
		return fail(a, "a loop device");
	if (map_crypt(name, loop, q->size / 512, &number))
		return fail(a, "an encrypted device (module dm-crypt)");
	return found(a, DEVICE_MAPPED, number);
}

static int detach(const char *name, int image, struct device_answer *a)
{
	if (map_remove(name))
		return fail(a, "removing the mapped device");
	return loop_detach(image) ? fail(a, "removing the loop device") : 0;
}

static int resize(const struct device_request *q, const char *name, int image,
                  struct device_answer *a)
{
	uint32_t number;
	int r = map_find(name, &number);

	if (r > 0 && map_grow(name, q->size / 512) == 0)
		return 0;
	if (r)
		return fail(a, "the size of a mapped device in use");
	return loop_resize(image) ? fail(a, "the size of the loop device") : 0;
}

void device_do(const struct device_request *q, const int *fds, size_t n_fds,
               struct device_answer *a)
{
	char name[NAME_LEN];

	memset(a, 0, sizeof(*a));
	errno = EINVAL;
	if (n_fds != (q->op == DEVICE_SNAPSHOT ? 2 : 1) || name_of(fds[n_fds - 1], name)) {
		(void)fail(a, "the question");
		return;
	}
	switch ((enum device_op)q->op) {
	case DEVICE_ATTACH:
		(void)attach(q, name, fds[0], a);
		return;
	case DEVICE_SNAPSHOT:
		(void)snapshot(q, name, fds, a);
		return;
	case DEVICE_CRYPT:
		(void)encrypt_with_lost_key(q, name, fds[0], a);
		return;
	case DEVICE_FIND:
		(void)find(name, fds[0], a);
		return;
	case DEVICE_DETACH:
		(void)detach(name, fds[0], a);
		return;
	case DEVICE_RESIZE:
		(void)resize(q, name, fds[0], a);
		return;
	}
	(void)fail(a, "the question");
}

/* One question of a worker; false: it has ended. */
static bool serve(int client)
{
	int fds[FD_PASS_MAX];
	size_t n_fds;
	struct device_request q;
	struct device_answer a;
	ssize_t n = fd_recv_message(client, &q, sizeof(q), fds, &n_fds);

	if (n != (ssize_t)sizeof(q)) {
		while (n > 0 && n_fds > 0)
			fd_close(fds[--n_fds]);
		return false;
	}
	device_do(&q, fds, n_fds, &a);
	while (n_fds > 0)
		fd_close(fds[--n_fds]);
	return send(client, &a, sizeof(a), MSG_NOSIGNAL) == (ssize_t)sizeof(a);
}

/* The service sends the socket of each worker that may need a device. */
static bool take_client(int service, struct pollfd *clients, size_t *n)
{
	int fds[FD_PASS_MAX];
	size_t n_fds;
	char byte;
	ssize_t r = fd_recv_message(service, &byte, 1, fds, &n_fds);

	if (r <= 0)
		return false;
	while (n_fds > 0) {
		int fd = fds[--n_fds];

		if (*n < CLIENTS_MAX)
			clients[(*n)++] = (struct pollfd){.fd = fd, .events = POLLIN};
		else
			fd_close(fd);
	}
	return true;
}

NORETURN static void run(int service)
{
	struct pollfd all[CLIENTS_MAX + 1];
	size_t n = 1;

	all[0] = (struct pollfd){.fd = service, .events = POLLIN};
	/* A poll of a negative descriptor is none: the workers' ends are waited for. */
	while (n > 1 || all[0].fd >= 0) {
		if (poll(all, (nfds_t)n, -1) < 0 && errno != EINTR)
			_exit(1);
		for (size_t i = n; i-- > 1;) {
			if (all[i].revents && !serve(all[i].fd)) {
				fd_close(all[i].fd);
				all[i] = all[--n];
			}
		}
		if (all[0].fd >= 0 && all[0].revents) {
			size_t clients = n - 1;

			if (!take_client(all[0].fd, all + 1, &clients))
				all[0].fd = fd_close(all[0].fd);
			n = clients + 1;
		}
	}
	_exit(0);
}

pid_t device_process_start(int *ret_fd)
{
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)) {
		LOG_ERRNO("the process for devices");
		return -1;
	}
	pid = fork();
	if (pid == 0) {
		const int keep[] = {0, 1, 2, pair[1]};

		fd_close_from(3, keep, ARRAY_LEN(keep));
		if (map_open())
			LOG_ERRNO("/dev/mapper/control: no snapshots, no encryption");
		if (device_confine())
			_exit(1);
		run(pair[1]);
	}
	fd_close(pair[1]);
	if (pid < 0) {
		LOG_ERRNO("the process for devices");
		pair[0] = fd_close(pair[0]);
	}
	*ret_fd = pair[0];
	return pid;
}
