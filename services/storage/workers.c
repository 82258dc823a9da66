/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A worker is a fork that confines itself to the folders of its request's pools, does the request,
 * sends what it has to say on a pair of sockets, and ends. It can be killed at any moment: what it does
 * is safe against that, for it must be safe against a power cut.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "services/storage/device.h"
#include "services/storage/rights.h"
#include "services/storage/service.h"

#define IOPRIO_WHO_PROCESS 1
#define IOPRIO_IDLE        (3 << 13) /* class, from linux/ioprio.h */
#define IOPRIO_LOW         (2 << 13 | 7)

void worker_say(struct job *job, const struct storage_answer *answer)
{
	uint8_t packet[STORAGE_ANSWER_LEN];
	ssize_t n = storage_answer_encode(packet, sizeof(packet), answer);

	/* The service is gone: then nobody waits for the answer, and the work is as good finished as not. */
	if (n < 0 || send(*(int *)job->arg, packet, (size_t)n, MSG_NOSIGNAL) != n)
		LOG_ERRNO("an answer is lost");
}

/* Nobody is to wait for a disk because of what is nobody's wait. */
static void lower_priority(uint32_t kind)
{
	bool idle = kind == JOB_SWEEP || kind == JOB_MEASURE;

	if (!idle && kind != STORAGE_CLONE && kind != STORAGE_IMPORT_END)
		return;
	(void)setpriority(PRIO_PROCESS, 0, idle ? 19 : 5);
	(void)syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, idle ? IOPRIO_IDLE : IOPRIO_LOW);
}

static int devices = -1; /* to the process for devices */

void worker_devices_close(int *fd)
{
	if (*fd > 0)
		fd_close(*fd);
	*fd = 0;
}

/* The monitor starts both anew; workers go on, and what they finish is found then. */
NORETURN static void on_devices_end(void *arg UNUSED, int wait_status)
{
	LOG("the process for devices ended, status 0x%x", (unsigned int)wait_status);
	_exit(1);
}

int workers_use_devices(struct loop *loop)
{
	static struct loop_child child = LOOP_CHILD_EMPTY;
	pid_t pid = device_process_start(&devices);

	if (pid > 0 && loop_child_add(loop, &child, pid, on_devices_end, NULL) == 0)
		return 0;
	LOG_ERRNO("the process for devices");
	return -1;
}

void worker_devices(int *ret_fd)
{
	int status = 0;

	if (device_client(devices, ret_fd) == 0)
		return;
	/* Its end has not been told yet. */
	LOG_ERRNO("the process for devices");
	(void)waitpid(-1, &status, 0);
	on_devices_end(NULL, status);
}

NORETURN static void be_worker(struct job *job, int fd)
{
	sigset_t none;

	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	lower_priority(job->q.kind);
	if (worker_confine(job->pool, job->source_pool, fd, job->devices))
		_exit(1);
	job->say = worker_say;
	job->arg = &fd;
	job_run(job);
	worker_say(job, &job->out);
	_exit(0);
}

/* Packets until there are none; the worker is ours, but what it reads is not: each is checked. */
static void drain(struct entry *e)
{
	uint8_t packet[STORAGE_ANSWER_LEN + 1];
	struct storage_answer answer;
	ssize_t n;

	while ((n = recv(e->fd, packet, sizeof(packet), MSG_DONTWAIT)) > 0) {
		if (storage_answer_decode(packet, (size_t)n, &answer) == 0 &&
		    answer.serial == e->job.q.serial && !e->answered)
			service_answer(e, &answer);
		else
			LOG("a malformed answer of a worker");
	}
}

static void on_packet(void *arg, uint32_t events)
{
	struct entry *e = arg;

	drain(e);
	/* The end comes as the end of the process. */
	if (events & (EPOLLHUP | EPOLLERR))
		loop_fd_set(e->child.loop, &e->source, 0);
	if ((events & EPOLLHUP) && e->source.fd >= 0)
		loop_fd_remove(e->child.loop, &e->source);
}

static void on_end(void *arg, int wait_status)
{
	struct entry *e = arg;

	drain(e);
	loop_fd_remove(e->child.loop, &e->source);
	e->fd = fd_close(e->fd);
	service_ended(e, wait_status);
}

int worker_start(struct loop *loop, struct entry *e)
{
	int pair[2];
	pid_t pid;

	worker_devices(&e->job.devices);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)) {
		worker_devices_close(&e->job.devices);
		return -1;
	}
	pid = fork();
	if (pid == 0)
		be_worker(&e->job, pair[1]);
	fd_close(pair[1]);
	worker_devices_close(&e->job.devices);
	if (pid < 0) {
		fd_close(pair[0]);
		return -1;
	}
	e->child = (struct loop_child)LOOP_CHILD_EMPTY;
	e->source = (struct loop_fd)LOOP_FD_EMPTY;
	e->fd = pair[0];
	e->pid = pid;
	if (loop_child_add(loop, &e->child, pid, on_end, e) ||
	    loop_fd_add(loop, &e->source, e->fd, EPOLLIN, on_packet, e)) {
		int kept = errno;

		loop_child_remove(loop, &e->child);
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
		e->fd = fd_close(e->fd);
		e->pid = 0;
		errno = kept;
		return -1;
	}
	return 0;
}
