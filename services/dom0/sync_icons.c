/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The icons of qubes.SyncAppMenus, from both sides. */
#include "services/dom0/sync_appmenus.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/loop/loop.h"
#include "lib/picture/png.h"
#include "proto/services/image.h"

#define ICON_MS  20000  /* until an icon is there as a whole; chosen */
#define ICONS_MS 300000 /* until all of them are; chosen */
#define MS_TO_NS 1000000ULL

/* The reader. */

struct picture {
	struct image_size size;
	uint8_t *pixels;
};

static int fill_png(void *arg, int fd)
{
	const struct picture *picture = arg;

	return png_write(fd, picture->pixels, picture->size.width, picture->size.height, 4);
}

/* Errors: bytes read, fewer if the stream ended; -1: late, or with errno. */
static ssize_t read_until(int fd, void *dst, size_t len, uint64_t deadline_ns, bool line)
{
	char *to = dst;
	size_t done = 0;

	while (done < len && !(line && done > 0 && to[done - 1] == '\n')) {
		uint64_t now = loop_now_ns();
		struct pollfd p = {.fd = fd, .events = POLLIN};
		ssize_t n;

		if (now >= deadline_ns) {
			errno = ETIMEDOUT;
			return -1;
		}
		if (poll(&p, 1, (int)((deadline_ns - now) / MS_TO_NS) + 1) <= 0)
			continue;
		n = read(fd, to + done, line ? 1 : len - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

static enum image_result read_picture(int fd, struct picture *picture, uint64_t deadline_ns)
{
	static const struct image_limits limits = {.width = IMAGE_ICON_MAX,
	                                           .height = IMAGE_ICON_MAX};
	char untrusted_line[IMAGE_HEADER_MAX];
	ssize_t n = read_until(fd, untrusted_line, image_header_max(&limits), deadline_ns, true);
	enum image_result r;
	size_t len;

	if (n < 0)
		return IMAGE_E_SHORT;
	r = image_header_parse(untrusted_line, (size_t)n, &limits, &picture->size);
	if (r != IMAGE_OK)
		return r;
	len = (size_t)picture->size.width * picture->size.height * 4;
	picture->pixels = malloc(len);
	if (!picture->pixels ||
	    read_until(fd, picture->pixels, len, deadline_ns, false) != (ssize_t)len) {
		free(picture->pixels);
		return IMAGE_E_SHORT;
	}
	return IMAGE_OK;
}

/* -1: the fetcher could not start the call. */
static int ask_fetcher(int fetcher, const char *icon)
{
	int fds[FD_PASS_MAX];
	size_t n_fds = 0;
	char answer;

	if (fd_send_message(fetcher, icon, strlen(icon) + 1, NULL, 0) < 0 ||
	    fd_recv_message(fetcher, &answer, 1, fds, &n_fds) != 1)
		return -1;
	return n_fds == 1 ? fds[0] : -1;
}

static int sync_icon(const struct menus_app *app, const char *qube, int fetcher,
                     uint64_t deadline_ns)
{
	struct picture picture = {0};
	char path[PATH_MAX];
	enum image_result r;
	int fd = ask_fetcher(fetcher, app->values[APPMENUS_ICON]);
	int written;

	if (fd < 0)
		return -1;
	r = read_picture(fd, &picture, MIN(deadline_ns, loop_now_ns() + ICON_MS * MS_TO_NS));
	(void)fd_close(fd);
	if (r != IMAGE_OK) {
		LOG("the icon of %s: %s", app->name, image_error(r));
		return -1;
	}
	written = menus_path(path, qube, MENUS_ICONS, app->name, ".png");
	if (written == 0)
		written = menus_write(path, fill_png, &picture);
	if (written)
		LOG_ERRNO("the icon of %s", app->name);
	free(picture.pixels);
	return written;
}

void sync_icons(struct menus *menus, const char *qube, int fetcher)
{
	uint64_t deadline_ns = loop_now_ns() + ICONS_MS * MS_TO_NS;

	for (size_t i = 0; i < menus->n; i++) {
		struct menus_app *app = &menus->apps[i];
		const char *icon = app->values[APPMENUS_ICON];
		char path[PATH_MAX];

		if (!icon || !*icon || !app->values[APPMENUS_NAME])
			continue;
		if (strlen(icon) <= SYNC_ICON_MAX && loop_now_ns() < deadline_ns)
			(void)sync_icon(app, qube, fetcher, deadline_ns);
		/* An older picture is better than none. */
		app->has_icon = menus_path(path, qube, MENUS_ICONS, app->name, ".png") == 0 &&
		                access(path, F_OK) == 0;
	}
}

/* The fetcher. */

int sync_call(const char *qube, const char *service, const char *request, int *ret_fd)
{
	char command[128];
	const char *const argv[] = {"qrexec-client", "-d", qube, command, NULL};
	posix_spawn_file_actions_t actions;
	int in[2];
	int out[2];
	pid_t pid = -1;
	int error;

	(void)snprintf(command, sizeof(command), "DEFAULT:QUBESRPC %s dom0", service);
	if (pipe2(in, O_CLOEXEC))
		return -1;
	if (pipe2(out, O_CLOEXEC)) {
		(void)close(in[0]);
		(void)close(in[1]);
		return -1;
	}
	(void)posix_spawn_file_actions_init(&actions);
	error = posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
	if (!error)
		error = posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
	if (!error && fd_write_all(in[1], request, strlen(request)))
		error = errno;
	if (!error)
		error = posix_spawnp(&pid, argv[0], &actions, NULL, (char *const *)(uintptr_t)argv,
		                     environ);
	(void)posix_spawn_file_actions_destroy(&actions);
	(void)close(in[0]);
	(void)close(in[1]);
	(void)close(out[1]);
	if (error) {
		(void)close(out[0]);
		errno = error;
		return -1;
	}
	*ret_fd = out[0];
	return pid;
}

/* The reader is confined and not believed: an icon's name is looked at again. */
static int start_icon(const char *qube, const char *icon, size_t len, int *ret_fd)
{
	char request[SYNC_ICON_MAX + 16];

	if (len < 2 || icon[len - 1] != '\0' ||
	    !appmenus_value_legal(APPMENUS_ICON, icon, len - 1)) {
		errno = EINVAL;
		return -1;
	}
	(void)snprintf(request, sizeof(request), "%s%s\n", *icon == '/' ? "" : "xdgicon:", icon);
	return sync_call(qube, "qubes.GetImageRGBA", request, ret_fd);
}

static void end_call(pid_t pid)
{
	if (pid <= 0)
		return;
	(void)kill(pid, SIGTERM);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

void sync_fetch(int reader, const char *qube)
{
	char icon[SYNC_ICON_MAX + 1];
	int fds[FD_PASS_MAX];
	size_t n_fds;
	pid_t call = -1;
	ssize_t n;

	/* One call at a time: the one before is over when the next is asked for. */
	while ((n = fd_recv_message(reader, icon, sizeof(icon), fds, &n_fds)) > 0) {
		int fd = -1;
		ssize_t sent;

		for (size_t i = 0; i < n_fds; i++)
			(void)close(fds[i]);
		end_call(call);
		call = start_icon(qube, icon, (size_t)n, &fd);
		if (call < 0)
			LOG_ERRNO("qubes.GetImageRGBA of %s", qube);
		sent = fd_send_message(reader, "", 1, &fd, fd >= 0);
		(void)fd_close(fd);
		if (sent < 0)
			break;
	}
	end_call(call);
}
