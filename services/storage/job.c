/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "services/storage/job.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/loop/loop.h"
#include "services/storage/directory.h"
#include "services/storage/disk.h"

#define PROGRESS_NS 250000000ULL /* between two reports; chosen */

void (*job_step_hook)(void);

const struct driver *job_driver(const struct pool *pool)
{
	switch ((enum storage_driver)pool->driver) {
	case STORAGE_DIRECTORY:
		return &driver_directory;
	case STORAGE_LINUX_KERNEL:
		return &driver_kernel;
	case STORAGE_HOST:
		return &driver_host;
	case STORAGE_FILE_REFLINK:
	case STORAGE_FILE:
	case STORAGE_DRIVER_NONE:
		break;
	}
	return &driver_image;
}

/* Texts may hold names from a disk: nothing but printable bytes leaves. */
static void set_text(struct storage_answer *a, const char *fmt, va_list ap) PRINTF_LIKE(2, 0);

static void set_text(struct storage_answer *a, const char *fmt, va_list ap)
{
	char text[sizeof(a->text)];

	(void)vsnprintf(text, sizeof(text), fmt, ap);
	memset(a->text, 0, sizeof(a->text));
	(void)escape_text(a->text, sizeof(a->text), text, strlen(text));
}

int job_fail(struct job *job, enum storage_code code, const char *fmt, ...)
{
	va_list ap;

	/* The first reason is the one that counts. */
	if (job->out.kind == STORAGE_FAILED)
		return -1;
	memset(&job->out, 0, sizeof(job->out));
	job->out.kind = STORAGE_FAILED;
	job->out.code = (uint32_t)code;
	va_start(ap, fmt);
	set_text(&job->out, fmt, ap);
	va_end(ap);
	return -1;
}

int job_fail_errno(struct job *job, const char *fmt, ...)
{
	int kept = errno;
	char text[STORAGE_TEXT_LEN];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	(void)job_fail(job, kept == ENOSPC || kept == EDQUOT ? STORAGE_E_NO_SPACE : STORAGE_E_IO,
	               "%.180s: %s", text, strerror(kept));
	return -1;
}

static struct storage_answer extra(const struct job *job, enum storage_kind kind)
{
	return (struct storage_answer){.kind = (uint32_t)kind, .serial = job->q.serial};
}

void job_note(struct job *job, const char *fmt, ...)
{
	struct storage_answer a = extra(job, STORAGE_NOTE);
	va_list ap;

	va_start(ap, fmt);
	set_text(&a, fmt, ap);
	va_end(ap);
	if (job->say)
		job->say(job, &a);
}

void job_part(struct job *job, const char *name)
{
	struct storage_answer a = extra(job, STORAGE_PART);

	(void)snprintf(a.path, sizeof(a.path), "%s", name);
	if (job->say)
		job->say(job, &a);
}

void job_progress(struct job *job, uint64_t done, uint64_t total)
{
	struct storage_answer a = extra(job, STORAGE_PROGRESS);
	uint64_t now = loop_now_ns();

	if (!job->say || now - job->said_ns < PROGRESS_NS)
		return;
	job->said_ns = now;
	a.usage = MIN(done, STORAGE_SIZE_MAX);
	a.size = MIN(total, STORAGE_SIZE_MAX);
	job->say(job, &a);
}

int job_path_of(struct job *job, const struct pool *pool, const char *vid, const char *suffix)
{
	int n = snprintf(job->out.path, sizeof(job->out.path), "%s/%s%s", pool->dir, vid, suffix);

	if (n > 0 && n < (int)sizeof(job->out.path))
		return 0;
	return job_fail(job, STORAGE_E_IO, "the path of %s is too long", vid);
}

int job_path(struct job *job, const char *suffix)
{
	return job_path_of(job, job->pool, job->q.vid, suffix);
}

int job_place(int pool_fd, const char *vid, struct place *at)
{
	char folder[STORAGE_VID_LEN];
	const char *slash = strrchr(vid, '/'), *base = slash ? slash + 1 : vid;
	size_t len = slash ? (size_t)(slash - vid) : 0;

	at->dir = -1;
	memset(at->base, 0, sizeof(at->base));
	memcpy(at->base, base, strlen(base));
	memcpy(folder, vid, len);
	folder[len] = '\0';
	at->dir = disk_open_beneath(pool_fd, len ? folder : ".", O_RDONLY | O_DIRECTORY, 0);
	return at->dir < 0 ? -1 : 0;
}

static int open_pool(struct job *job, const struct pool *pool)
{
	int fd;

	if (!pool->dir[0])
		return -1;
	fd = open(pool->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		(void)job_fail_errno(job, "pool %s: %s", pool->name, pool->dir);
	return fd;
}

static bool makes_folders(const struct storage_request *q)
{
	return q->kind == STORAGE_CREATE || q->kind == STORAGE_START;
}

/* The others say what is not there in their own way, or have nothing to do then. */
static bool needs_place(const struct storage_request *q)
{
	return q->kind != STORAGE_INFO && q->kind != STORAGE_REVISIONS && q->kind != STORAGE_STOP &&
	       q->kind != STORAGE_REMOVE && q->kind != STORAGE_VERIFY;
}

static bool needs_source(const struct storage_request *q)
{
	return (q->kind == STORAGE_START && !(q->flags & STORAGE_F_ADOPT)) ||
	       q->kind == STORAGE_CLONE ||
	       (q->kind == STORAGE_VERIFY && (q->flags & STORAGE_F_SNAP));
}

static int open_places(struct job *job)
{
	const char *slash = strrchr(job->q.vid, '/');
	char folder[STORAGE_VID_LEN];

	if (slash && makes_folders(&job->q)) {
		memcpy(folder, job->q.vid, (size_t)(slash - job->q.vid));
		folder[slash - job->q.vid] = '\0';
		if (disk_make_folders(job->pool_fd, folder, 0775))
			return job_fail_errno(job, "%s", job->q.vid);
	}
	if (job->q.vid[0] && job_place(job->pool_fd, job->q.vid, &job->at) && errno != ENOENT)
		return job_fail_errno(job, "%s", job->q.vid);
	if (job->q.vid[0] && job->at.dir < 0 && needs_place(&job->q))
		return job_fail(job, STORAGE_E_MISSING, "there is no volume %s in pool %s",
		                job->q.vid, job->pool->name);
	if (job->q.source[0] && job_place(job->source_fd, job->q.source, &job->from) &&
	    errno != ENOENT)
		return job_fail_errno(job, "%s", job->q.source);
	if (job->q.source[0] && job->from.dir < 0 && needs_source(&job->q))
		return job_fail(job, STORAGE_E_MISSING, "there is no volume %s in pool %s",
		                job->q.source, job->source_pool->name);
	return 0;
}

static int pool_info(struct job *job)
{
	struct statvfs v;

	if (job->pool_fd < 0)
		return 0;
	if (fstatvfs(job->pool_fd, &v))
		return job_fail_errno(job, "%s", job->pool->dir);
	job->out.size = MIN((uint64_t)v.f_blocks * v.f_frsize, STORAGE_SIZE_MAX);
	job->out.usage = MIN((uint64_t)(v.f_blocks - v.f_bfree) * v.f_frsize, STORAGE_SIZE_MAX);
	return 0;
}

/* The folder of a pool is there from now on. */
static int make_pool(const struct pool *pool)
{
	char path[STORAGE_DIR_LEN];
	size_t len = strlen(pool->dir);

	memcpy(path, pool->dir, len + 1);
	for (size_t i = 1; i <= len; i++) {
		if (path[i] != '/' && path[i] != '\0')
			continue;
		path[i] = '\0';
		if (mkdir(path, 0775) && errno != EEXIST)
			return -1;
		path[i] = pool->dir[i];
	}
	return 0;
}

static void run_driver(struct job *job)
{
	const struct driver *driver = job_driver(job->pool);

	if (job->q.kind == JOB_SWEEP) {
		if (job->pool_fd >= 0 && disk_sweep(job->pool_fd))
			(void)job_fail_errno(job,
			                     "pool %s: what was removed cannot be cleared away",
			                     job->pool->name);
		return;
	}
	if (job->q.kind == JOB_MEASURE) {
		if (open_places(job) == 0 && job->pool->driver == STORAGE_DIRECTORY)
			(void)dir_measure(job);
		return;
	}
	if (job->q.kind == STORAGE_POOL_SETUP) {
		(void)driver->setup(job);
		return;
	}
	if (job->q.kind == STORAGE_POOL_INFO) {
		(void)pool_info(job);
		return;
	}
	if (job->q.kind == STORAGE_POOL_LIST && !driver->run[STORAGE_POOL_LIST])
		return;
	if (!driver->run[job->q.kind])
		(void)job_fail(job, STORAGE_E_UNSUPPORTED, "pool %s cannot do that",
		               job->pool->name);
	else if (job->pool_fd < 0 || open_places(job) == 0)
		(void)driver->run[job->q.kind](job);
}

void job_run(struct job *job)
{
	job->out = (struct storage_answer){.kind = STORAGE_DONE};
	job->pool_fd = job->source_fd = job->at.dir = job->from.dir = -1;
	if (job->q.kind == STORAGE_POOL_SETUP && job->pool->dir[0] && make_pool(job->pool))
		(void)job_fail_errno(job, "pool %s: %s cannot be made", job->pool->name,
		                     job->pool->dir);
	if (job->out.kind == STORAGE_DONE)
		job->pool_fd = open_pool(job, job->pool);
	if (job->out.kind == STORAGE_DONE && job->source_pool)
		job->source_fd = open_pool(job, job->source_pool);
	if (job->out.kind == STORAGE_DONE)
		run_driver(job);
	job->at.dir = fd_close(job->at.dir);
	job->from.dir = fd_close(job->from.dir);
	job->pool_fd = fd_close(job->pool_fd);
	job->source_fd = fd_close(job->source_fd);
	job->out.serial = job->q.serial;
}
