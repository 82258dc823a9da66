/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a worker asks of the process that makes devices. See device.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "lib/base/fd.h"
#include "services/storage/device.h"

#define BUSY_TRIES 250 /* with the pause, five seconds; chosen */

int device_client(int process, int *ret_fd)
{
	int pair[2];
	bool sent;

	*ret_fd = 0;
	if (process < 0)
		return 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return -1;
	sent = fd_send_message(process, "w", 1, &pair[1], 1) == 1;
	fd_close(pair[1]);
	if (sent)
		*ret_fd = pair[0];
	else
		fd_close(pair[0]);
	return sent ? 0 : -1;
}

static int exchange(const struct job *job, const struct device_request *q, const int *fds,
                    size_t n_fds, struct device_answer *a)
{
	if (fd_send_message(job->devices, q, sizeof(*q), fds, n_fds) != (ssize_t)sizeof(*q) ||
	    recv(job->devices, a, sizeof(*a), 0) != (ssize_t)sizeof(*a))
		return -1;
	a->step[sizeof(a->step) - 1] = '\0';
	return 0;
}

static int ask(struct job *job, const struct device_request *q, const int *fds, size_t n_fds)
{
	const struct timespec pause = {.tv_nsec = 20000000};
	struct device_answer a = {.error = EBUSY};

	for (int i = 0; a.error == EBUSY && i < BUSY_TRIES; i++) {
		if (i > 0)
			(void)nanosleep(&pause, NULL);
		if (exchange(job, q, fds, n_fds, &a))
			return job_fail(job, STORAGE_E_IO, "the process for devices has ended");
	}
	errno = a.error;
	if (a.error == EBUSY)
		return job_fail(job, STORAGE_E_IN_USE, "the device of %s is still in use",
		                job->q.vid);
	if (a.error)
		return job_fail_errno(job, "%s: %s", job->q.vid, a.step);
	if (a.kind == DEVICE_NONE)
		return 0;
	job->out.medium = STORAGE_MEDIUM_BLOCK;
	memset(job->out.path, 0, sizeof(job->out.path));
	(void)snprintf(job->out.path, sizeof(job->out.path), "/dev/%s%u",
	               a.kind == DEVICE_LOOP ? "loop" : "dm-", a.number);
	return 0;
}

static int ask_of(struct job *job, enum device_op op, uint32_t flags, int fd)
{
	const struct device_request q = {.op = (uint32_t)op, .flags = flags, .size = job->q.size};

	return job->devices == 0 ? 0 : ask(job, &q, &fd, 1);
}

int device_attach(struct job *job, int image, bool read_only)
{
	return ask_of(job, DEVICE_ATTACH, read_only ? DEVICE_READ_ONLY : 0, image);
}

int device_snapshot(struct job *job, int origin, int changes, uint64_t size)
{
	const struct device_request q = {.op = DEVICE_SNAPSHOT, .size = size};
	const int fds[] = {origin, changes};

	return job->devices == 0 ? 0 : ask(job, &q, fds, ARRAY_LEN(fds));
}

int device_crypt(struct job *job, int image)
{
	return ask_of(job, DEVICE_CRYPT, 0, image);
}

int device_find(struct job *job, int image)
{
	return ask_of(job, DEVICE_FIND, 0, image);
}

int device_detach(struct job *job, int image)
{
	return ask_of(job, DEVICE_DETACH, 0, image);
}

int device_resize(struct job *job, int image)
{
	return ask_of(job, DEVICE_RESIZE, 0, image);
}
