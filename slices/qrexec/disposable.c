/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "slices/qrexec/disposable.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "slices/qrexec/qubesd.h"
#include "slices/qrexec/qubesd_reply.h"

#define KILL_AGAIN_MS 1000 /* qubesd did not take the kill; chosen */

struct disposable {
	struct keeper *k;
	struct disposable *next;
	struct disposable **place;
	char name[QREXEC_TARGET_LEN]; /* "": being created */
	bool with_uuid;
	bool doomed; /* to be killed: as soon as it exists, or again */
	void (*done)(void *arg, const char *name);
	void *arg;
	int fd; /* to its daemon; -1: not held */
	struct loop_fd source;
	struct qubesd_call *call; /* creation or kill */
	struct loop_timer again;
};

/* The note of who is owned. */

static int note_path(const struct disposable *d, char *dst, size_t len)
{
	int n = snprintf(dst, len, "%s/disposable.%s.%s", d->k->options->socket_dir,
	                 d->k->options->uuid, d->name);

	return n < 0 || (size_t)n >= len ? -1 : 0;
}

static void note_write(const struct disposable *d)
{
	OWNED_FD int fd = -1;
	char path[PATH_MAX];

	if (note_path(d, path, sizeof(path)) == 0)
		fd = open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		LOG_ERRNO("%s is not noted as a disposable of %s", d->name, d->k->options->name);
}

static void note_remove(const struct disposable *d)
{
	char path[PATH_MAX];

	if (note_path(d, path, sizeof(path)) == 0 && unlink(path) && errno != ENOENT)
		LOG_ERRNO("unlink %s", path);
}

/* Objects. */

static void disposable_free(struct disposable *d)
{
	loop_fd_remove(d->k->loop, &d->source);
	loop_timer_clear(d->k->loop, &d->again);
	(void)fd_close(d->fd);
	qubesd_cancel(d->call);
	*d->place = d->next;
	if (d->next)
		d->next->place = d->place;
	free(d);
}

static struct disposable *disposable_new(struct keeper *k)
{
	struct disposable *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->k = k;
	d->fd = -1;
	d->source = (struct loop_fd)LOOP_FD_EMPTY;
	d->next = k->disposables;
	d->place = &k->disposables;
	if (d->next)
		d->next->place = &d->next;
	k->disposables = d;
	return d;
}

/* The end. */

static void on_kill_again(void *arg)
{
	disposable_kill(arg);
}

static void kill_again(struct disposable *d)
{
	if (loop_timer_set(d->k->loop, &d->again, KILL_AGAIN_MS, on_kill_again, d))
		LOG("%s could not be killed and is left", d->name);
}

static void on_killed(void *arg, const char *reply, size_t len)
{
	struct disposable *d = arg;
	struct keeper *k = d->k;

	(void)len;
	d->call = NULL;
	if (!reply) {
		LOG("qubesd gave no answer to the end of %s", d->name);
		kill_again(d);
		return;
	}
	/* An error says that there is no such qube, or that it has ended. */
	note_remove(d);
	disposable_free(d);
	keeper_leave_check(k);
}

void disposable_kill(struct disposable *d)
{
	d->doomed = true;
	if (d->call)
		return;
	loop_fd_remove(d->k->loop, &d->source);
	d->fd = fd_close(d->fd);
	if (qubesd_start(d->k, "admin.vm.Kill", d->name, "", on_killed, d, &d->call))
		kill_again(d);
}

/* Creation. */

static void on_created(void *arg, const char *reply, size_t len)
{
	struct disposable *d = arg;
	struct keeper *k = d->k;

	d->call = NULL;
	if (!reply || qubesd_created_name(reply, len, d->with_uuid, d->name)) {
		if (!d->doomed)
			d->done(d->arg, NULL);
		d->name[0] = '\0';
		disposable_free(d);
		keeper_leave_check(k);
		return;
	}
	note_write(d);
	if (d->doomed)
		disposable_kill(d);
	else
		d->done(d->arg, d->name);
}

struct disposable *disposable_create(struct keeper *k, const char *template,
                                     void (*done)(void *arg, const char *name), void *arg)
{
	struct disposable *d = disposable_new(k);

	if (!d)
		return NULL;
	d->with_uuid = strncmp(template, "uuid:", 5) == 0;
	d->done = done;
	d->arg = arg;
	if (qubesd_start(k, "admin.vm.CreateDisposable", template, d->with_uuid ? "uuid" : "",
	                 on_created, d, &d->call)) {
		disposable_free(d);
		return NULL;
	}
	return d;
}

/* Its call. */

/* Anything that comes here is the end: its daemon has no more to say than that. */
static void on_held(void *arg, uint32_t events)
{
	struct disposable *d = arg;
	char byte[64];
	ssize_t n = recv(d->fd, byte, sizeof(byte), MSG_DONTWAIT);

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	disposable_kill(d);
}

void disposable_hold(struct disposable *d, int fd)
{
	d->fd = fd;
	if (loop_fd_add(d->k->loop, &d->source, fd, EPOLLIN, on_held, d)) {
		LOG_ERRNO("watching %s", d->name);
		disposable_kill(d);
	}
}

void disposables_kill_all(struct keeper *k)
{
	struct disposable *next;

	for (struct disposable *d = k->disposables; d; d = next) {
		next = d->next;
		disposable_kill(d);
	}
}

/* What was left. */

static void recover(struct keeper *k, const char *name)
{
	struct disposable *d;

	if (!qubesd_name_legal(name) || name[0] == '@')
		return;
	d = disposable_new(k);
	if (!d) {
		LOG("no memory to kill %s", name);
		return;
	}
	LOG("%s was left by a keeper of %s that was killed", name, k->options->name);
	(void)snprintf(d->name, sizeof(d->name), "%s", name);
	disposable_kill(d);
}

void disposables_recover(struct keeper *k)
{
	DIR *dir = opendir(k->options->socket_dir);
	const struct dirent *entry;
	char prefix[64];
	size_t len;

	if (!dir) {
		LOG_ERRNO("%s", k->options->socket_dir);
		return;
	}
	(void)snprintf(prefix, sizeof(prefix), "disposable.%s.", k->options->uuid);
	len = strlen(prefix);
	while ((entry = readdir(dir))) {
		if (strncmp(entry->d_name, prefix, len) == 0)
			recover(k, entry->d_name + len);
	}
	(void)closedir(dir);
}
