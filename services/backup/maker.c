/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Makes an archive, confined: asks the admin service for one file after the other, reads it, and writes
 * what scrypt makes of it to the one descriptor that it may write to.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "services/backup/archive.h"
#include "services/backup/service.h"

static struct backup_archive archive;

static void tell_progress(void *arg, uint64_t done)
{
	static time_t last;
	struct backup_message m = {.kind = BACKUP_PROGRESS, .bytes = done};
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	if (now.tv_sec == last)
		return;
	last = now.tv_sec;
	/* Nobody is there: that is found when the next file is asked for. */
	if (service_send(*(const int *)arg, &m))
		errno = 0;
}

/* The next request; 0 or -1. *ret_fd: what came with it, or -1. */
static int next(int conn, struct backup_message *m, int *ret_fd)
{
	static uint8_t packet[BACKUP_PACKET_MAX];
	const struct backup_message ask = {.kind = BACKUP_NEXT};
	int fds[FD_PASS_MAX];
	size_t n_fds = 0;
	ssize_t n;

	*ret_fd = -1;
	if (service_send(conn, &ask))
		return -1;
	n = fd_recv_message(conn, packet, sizeof(packet), fds, &n_fds);
	if (n <= 0)
		return -1;
	if (n_fds > 0)
		*ret_fd = fds[0];
	for (size_t i = 1; i < n_fds; i++)
		(void)fd_close(fds[i]);
	return backup_decode(packet, (size_t)n, m) == 0 &&
	                       (m->kind == BACKUP_END || m->kind == BACKUP_FILE)
	               ? 0
	               : -1;
}

static int open_source(const struct backup_message *m)
{
	int flags = m->medium == BACKUP_IMAGE ? O_NONBLOCK : O_DIRECTORY;

	return open(m->source, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | flags);
}

static int add(int conn, const struct backup_message *m, int given)
{
	OWNED_FD int opened = m->medium == BACKUP_MEMORY ? -1 : open_source(m);
	int fd = m->medium == BACKUP_MEMORY ? given : opened;
	enum backup_form form = m->medium == BACKUP_TREE   ? BACKUP_FORM_TREE
	                        : m->medium == BACKUP_HOME ? BACKUP_FORM_HOME
	                                                   : BACKUP_FORM_FILE;
	struct stat st;

	if (fd < 0 || fstat(fd, &st)) {
		service_fail(conn, BACKUP_E_FAILED, "%s cannot be read: %s",
		             m->source[0] ? m->source : m->path, strerror(errno));
		return -1;
	}
	if (form == BACKUP_FORM_FILE && !S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)) {
		service_fail(conn, BACKUP_E_FAILED, "%s is no file", m->source);
		return -1;
	}
	return backup_add(&archive, m->path, form, fd);
}

static int add_all(int conn)
{
	static struct backup_message m;

	for (;;) {
		OWNED_FD int given = -1;

		if (next(conn, &m, &given))
			return backup_fail(&archive, "the admin service wants no more of it");
		if (m.kind == BACKUP_END)
			return backup_end(&archive);
		if (add(conn, &m, given))
			return -1;
	}
}

int make_archive(int conn, int out, const struct backup_message *m, const char *pass,
                 unsigned int log_n)
{
	time_t now = time(NULL);
	struct tm tm;

	archive = (struct backup_archive){.fd = out,
	                                  .pass = pass,
	                                  .log_n = log_n,
	                                  .progress = tell_progress,
	                                  .arg = &conn,
	                                  .header = {.compressed = m->profile.compressed}};
	if (!localtime_r(&now, &tm) ||
	    snprintf(archive.header.id, sizeof(archive.header.id), "%04d%02d%02dT%02d%02d%02d-%d",
	             tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
	             (int)getpid()) < 0)
		return 1;
	if (maker_confine(conn, out, m))
		return 1;
	if (backup_start(&archive) == 0 && add_all(conn) == 0)
		return ARCHIVE_WHOLE;
	if (archive.fault.text[0])
		service_fail(conn, BACKUP_E_FAILED, "%s", archive.fault.text);
	return 1;
}
