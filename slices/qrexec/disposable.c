/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "slices/qrexec/disposable.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/fd.h"
#include "slices/qrexec/qubesd.h"

struct disposable {
	struct keeper *k;
	struct disposable *next;
	struct disposable **place;
	char *name;
	int fd; /* to its daemon; -1: not held */
	struct loop_fd source;
	struct qubesd_call *kill;
};

static void disposable_free(struct disposable *d)
{
	loop_fd_remove(d->k->loop, &d->source);
	(void)fd_close(d->fd);
	qubesd_cancel(d->kill);
	*d->place = d->next;
	if (d->next)
		d->next->place = d->place;
	free(d->name);
	free(d);
}

struct disposable *disposable_new(struct keeper *k, const char *name)
{
	struct disposable *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->name = strdup(name);
	if (!d->name) {
		free(d);
		return NULL;
	}
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

static void on_killed(void *arg, const char *reply, size_t len)
{
	struct disposable *d = arg;
	struct keeper *k = d->k;

	(void)len;
	if (!reply)
		LOG("qubesd gave no answer to the end of %s", d->name);
	d->kill = NULL;
	disposable_free(d);
	keeper_leave_check(k);
}

void disposable_kill(struct disposable *d)
{
	if (d->kill)
		return;
	loop_fd_remove(d->k->loop, &d->source);
	d->fd = fd_close(d->fd);
	if (qubesd_start(d->k, "admin.vm.Kill", d->name, "", on_killed, d, &d->kill)) {
		LOG("%s could not be killed and is left", d->name);
		disposable_free(d);
	}
}

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
