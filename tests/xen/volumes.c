/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The storage service's peer in tests. Contract: volumes.h. */
#include "tests/xen/volumes.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "tests/xen/tap.h"

#define PARTS_MAX 8U

static int admin = -1;
static pid_t service;
static struct storage_request template;
static struct storage_answer answer;
static char parts[PARTS_MAX][STORAGE_PATH_LEN];

bool volumes_begin(const char *program)
{
	int pair[2], ready[2];
	char admin_arg[32], ready_arg[32], byte;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) || pipe(ready))
		return false;
	(void)snprintf(admin_arg, sizeof(admin_arg), "--admin-fd=%d", pair[1]);
	(void)snprintf(ready_arg, sizeof(ready_arg), "--ready-fd=%d", ready[1]);
	service = fork();
	if (service == 0) {
		(void)close(pair[0]);
		(void)close(ready[0]);
		(void)execl(program, program, admin_arg, ready_arg, "--give=devices", NULL);
		_exit(127);
	}
	(void)close(pair[1]);
	(void)close(ready[1]);
	admin = pair[0];
	(void)fcntl(admin, F_SETFD, FD_CLOEXEC);
	if (read(ready[0], &byte, 1) != 1) {
		tap_note("%s is not ready", program);
		service = 0;
	}
	(void)close(ready[0]);
	return service > 0;
}

void volumes_kill(void)
{
	(void)kill(service, SIGKILL);
	(void)waitpid(service, NULL, 0);
	admin = fd_close(admin);
}

int volumes_end(void)
{
	int status = -1;

	admin = fd_close(admin);
	return waitpid(service, &status, 0) == service && WIFEXITED(status) ? WEXITSTATUS(status)
	                                                                    : -1;
}

int volumes_pid(void)
{
	return (int)service;
}

static const struct storage_answer *ask(const struct storage_request *q)
{
	uint8_t packet[STORAGE_ANSWER_LEN];
	ssize_t n = storage_request_encode(packet, sizeof(packet), q);
	size_t n_parts = 0;

	memset(parts, 0, sizeof(parts));
	memset(&answer, 0, sizeof(answer));
	answer.kind = STORAGE_FAILED;
	if (n < 0 || send(admin, packet, (size_t)n, MSG_NOSIGNAL) != n) {
		tap_note("a question about %s cannot be asked", q->vid);
		return &answer;
	}
	while ((n = recv(admin, packet, sizeof(packet), 0)) > 0) {
		if (storage_answer_decode(packet, (size_t)n, &answer))
			break;
		if (answer.kind == STORAGE_PART && n_parts < PARTS_MAX)
			memcpy(parts[n_parts++], answer.path, sizeof(parts[0]));
		if (answer.kind == STORAGE_DONE || answer.kind == STORAGE_FAILED)
			break;
	}
	if (n <= 0)
		answer.kind = STORAGE_FAILED;
	if (answer.kind == STORAGE_FAILED)
		tap_note("%u of %s: %u %s", q->kind, q->vid, answer.code, answer.text);
	return &answer;
}

bool volumes_pool(const char *name, enum storage_driver driver, const char *dir)
{
	struct storage_request q = {.kind = STORAGE_POOL_SETUP,
	                            .serial = 1,
	                            .driver = (uint32_t)driver};

	(void)snprintf(q.pool, sizeof(q.pool), "%s", name);
	(void)snprintf(q.dir, sizeof(q.dir), "%s", dir);
	return ask(&q)->kind == STORAGE_DONE;
}

void volumes_use(const char *pool, uint32_t flags, uint64_t size)
{
	template = (struct storage_request){.serial = 2, .flags = flags, .size = size, .keep = 2};
	(void)snprintf(template.pool, sizeof(template.pool), "%s", pool);
}

const struct storage_answer *volumes_ask(enum storage_kind kind, const char *vid,
                                         const char *source, uint32_t more_flags)
{
	struct storage_request q = template;

	q.kind = (uint32_t)kind;
	q.flags |= more_flags;
	(void)snprintf(q.vid, sizeof(q.vid), "%s", vid);
	if (source) {
		(void)snprintf(q.source, sizeof(q.source), "%s", source);
		memcpy(q.source_pool, q.pool, sizeof(q.source_pool));
	}
	return ask(&q);
}

const struct storage_answer *volumes_revert(const char *vid, const char *revision)
{
	struct storage_request q = template;

	q.kind = STORAGE_REVERT;
	(void)snprintf(q.vid, sizeof(q.vid), "%s", vid);
	(void)snprintf(q.revision, sizeof(q.revision), "%s", revision);
	return ask(&q);
}

const char *volumes_part(unsigned int n)
{
	return n < PARTS_MAX ? parts[n] : "";
}

bool volumes_write(const char *path, uint64_t at, const char *text)
{
	OWNED_FD int fd = open(path, O_RDWR | O_CLOEXEC);
	size_t len = strlen(text);

	return fd >= 0 && pwrite(fd, text, len, (off_t)at) == (ssize_t)len && fsync(fd) == 0;
}

bool volumes_holds(const char *path, uint64_t at, const char *text)
{
	OWNED_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	char bytes[128];
	size_t len = strlen(text);

	return fd >= 0 && len <= sizeof(bytes) &&
	       pread(fd, bytes, len, (off_t)at) == (ssize_t)len && memcmp(bytes, text, len) == 0;
}

uint64_t volumes_size(const char *path)
{
	OWNED_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint64_t bytes = 0;

	return fd >= 0 && ioctl(fd, BLKGETSIZE64, &bytes) == 0 ? bytes : 0;
}

unsigned int volumes_devices(void)
{
	DIR *dir = opendir("/sys/block");
	const struct dirent *e;
	unsigned int n = 0;
	char path[300];

	while (dir && (e = readdir(dir))) {
		(void)snprintf(path, sizeof(path), "/sys/block/%s/loop/backing_file", e->d_name);
		n += strncmp(e->d_name, "dm-", 3) == 0 || access(path, F_OK) == 0;
	}
	if (dir)
		(void)closedir(dir);
	return n;
}
