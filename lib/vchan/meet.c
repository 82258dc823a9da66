/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/vchan/meet_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/fd.h"

#define TRY_FIRST_NS (40ULL * 1000)          /* chosen: less than a process start */
#define TRY_LAST_NS  (250ULL * 1000 * 1000)  /* chosen: without inotify */
#define TRY_SAFE_NS  (2000ULL * 1000 * 1000) /* chosen: with inotify, should an event get lost */
#define WATCH_NS     (MEET_WATCH_MS * 1000000ULL)
#define TEMP_NAMES   64 /* tries for a temporary name; chosen */

static uint64_t now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ULL + (uint64_t)t.tv_nsec;
}

struct meet *meet_new(const char *path, int epoll_fd)
{
	size_t len = strlen(path) + 1;
	struct meet *meet = malloc(sizeof(*meet) + len);

	if (!meet)
		return NULL;
	*meet = (struct meet){.epoll_fd = epoll_fd,
	                      .listener = -1,
	                      .timer_fd = -1,
	                      .inotify_fd = -1,
	                      .broker = -1};
	memcpy(meet->path, path, len);
	return meet;
}

int meet_watch(const struct meet *meet, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	return epoll_ctl(meet->epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

/* A name beside the path that nobody looks for; others may be making theirs at the same time. */
static int temp_name(char *dst, size_t dst_len, const char *path)
{
	static atomic_uint counter;
	const char *slash = strrchr(path, '/');
	int dir_len = slash ? (int)(slash - path) + 1 : 0;
	int n = snprintf(dst, dst_len, "%.*s.vchan-%ld-%u", dir_len, path, (long)getpid(),
	                 atomic_fetch_add_explicit(&counter, 1, memory_order_relaxed));

	if (n < 0 || (size_t)n >= dst_len) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return 0;
}

static int bind_temp(int sock, const char *path, char *temp, size_t temp_len)
{
	for (int i = 0; i < TEMP_NAMES; i++) {
		OWNED_FD int dir = -1;
		struct sockaddr_un addr;

		if (temp_name(temp, temp_len, path) || fd_unix_address(temp, &addr, &dir))
			return -1;
		if (bind(sock, (const struct sockaddr *)&addr, sizeof(addr)) == 0)
			return 0;
		if (errno != EADDRINUSE)
			return -1;
	}
	return -1;
}

/*
 * Where nothing is in the way the path is taken directly; a client that comes before listen() tries
 * again. 1: something is in the way.
 */
static int listen_free(struct meet *meet)
{
	OWNED_FD int dir = -1;
	struct sockaddr_un addr;
	struct stat st;

	if (fd_unix_address(meet->path, &addr, &dir))
		return -1;
	if (bind(meet->listener, (const struct sockaddr *)&addr, sizeof(addr)) < 0)
		return errno == EADDRINUSE ? 1 : -1;
	if (stat(meet->path, &st) < 0 || listen(meet->listener, 1) < 0 ||
	    meet_watch(meet, meet->listener) < 0) {
		int saved = errno;

		(void)unlink(meet->path);
		errno = saved;
		return -1;
	}
	meet->dev = st.st_dev;
	meet->ino = st.st_ino;
	return 0;
}

static int listen_at(struct meet *meet)
{
	char temp[PATH_MAX];
	struct stat st;
	int r = listen_free(meet);

	if (r <= 0)
		return r;
	if (bind_temp(meet->listener, meet->path, temp, sizeof(temp)))
		return -1;
	if (listen(meet->listener, 1) < 0 || stat(temp, &st) < 0 ||
	    meet_watch(meet, meet->listener) || rename(temp, meet->path) < 0) {
		int saved = errno;

		(void)unlink(temp);
		errno = saved;
		return -1;
	}
	meet->dev = st.st_dev;
	meet->ino = st.st_ino;
	return 0;
}

int meet_listen(const char *path, int epoll_fd, struct meet **ret_meet)
{
	struct meet *meet = meet_new(path, epoll_fd);

	if (!meet)
		return -1;
	meet->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (meet->listener < 0 || listen_at(meet)) {
		meet->listener = fd_close(meet->listener);
		free(meet);
		return -1;
	}
	*ret_meet = meet;
	return 0;
}

static bool is_ours(const struct meet *meet, const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && st.st_dev == meet->dev && st.st_ino == meet->ino;
}

/*
 * Removes the path if it names our own socket (H16). Between a look and an unlink() a newer server
 * may take the path, so the name is first moved aside, which is atomic, and what was caught is
 * looked at again; a stranger is put back unless yet another one has come. Its clients see no file
 * for a moment and try again. The inode number cannot have been reused: the listener still holds it.
 */
static void remove_path(const struct meet *meet)
{
	char temp[PATH_MAX];

	if (!is_ours(meet, meet->path) || temp_name(temp, sizeof(temp), meet->path))
		return;
	if (rename(meet->path, temp) < 0)
		return;
	if (!is_ours(meet, temp))
		(void)renameat2(AT_FDCWD, temp, AT_FDCWD, meet->path, RENAME_NOREPLACE);
	(void)unlink(temp);
}

static void close_listener(struct meet *meet)
{
	if (meet->listener < 0)
		return;
	remove_path(meet);
	meet->listener = fd_close(meet->listener);
}

static int accept_one(struct meet *meet, int *ret_sock)
{
	*ret_sock = accept4(meet->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (*ret_sock >= 0)
		return 0;
	if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
		return 0;
	return -1;
}

bool meet_try_later(int error)
{
	return error == ENOENT || error == ECONNREFUSED || error == EAGAIN || error == EINTR;
}

/*
 * A connection to the very socket that place names, whatever the path names by now: that descriptor
 * pins it. Without /proc by the path, which may by then be another server's.
 */
static int connect_pinned(const struct meet *meet, int place)
{
	char pinned[sizeof("/proc/self/fd/") + 11];
	int sock;

	(void)snprintf(pinned, sizeof(pinned), "/proc/self/fd/%d", place);
	sock = fd_connect_unix(pinned, SOCK_STREAM | SOCK_NONBLOCK);
	if (sock < 0 && errno == ENOENT)
		sock = fd_connect_unix(meet->path, SOCK_STREAM | SOCK_NONBLOCK);
	return sock;
}

/*
 * One attempt. A listener that was replaced while we connected may never serve us (V2), so the
 * path must name the same socket afterwards, or nothing: a server removes it when it accepts. What
 * is thrown away for that reason must have reached the replaced listener and no other: a server
 * takes one connection, and would be left with one that ends at once.
 */
static int try_connect(struct meet *meet, int *ret_sock)
{
	struct stat before, after;
	OWNED_FD int place = -1;
	OWNED_FD int sock = -1;

	*ret_sock = -1;
	place = open(meet->path, O_PATH | O_CLOEXEC);
	if (place < 0 || fstat(place, &before) < 0)
		return meet_try_later(errno) ? 0 : -1;
	sock = connect_pinned(meet, place);
	if (sock < 0)
		return meet_try_later(errno) ? 0 : -1;
	if (stat(meet->path, &after) == 0 &&
	    (after.st_dev != before.st_dev || after.st_ino != before.st_ino))
		return 0;
	*ret_sock = fd_take(&sock);
	return 0;
}

/* Watching is an optimisation: without it (no descriptor left, no directory yet) the timer does. */
static void watch_directory(struct meet *meet)
{
	char dir[PATH_MAX];
	const char *slash = strrchr(meet->path, '/');
	size_t len = slash ? (size_t)(slash - meet->path) : 0;

	if (len == 0 || len >= sizeof(dir))
		return;
	memcpy(dir, meet->path, len);
	dir[len] = '\0';
	meet->inotify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (meet->inotify_fd < 0)
		return;
	if (inotify_add_watch(meet->inotify_fd, dir, IN_CREATE | IN_MOVED_TO | IN_ONLYDIR) < 0 ||
	    meet_watch(meet, meet->inotify_fd))
		meet->inotify_fd = fd_close(meet->inotify_fd);
}

int meet_wait_more(struct meet *meet)
{
	uint64_t now = now_ns();
	uint64_t waited, next;
	struct itimerspec when = {{0, 0}, {0, 0}};

	if (meet->since_ns == 0)
		meet->since_ns = now;
	waited = now - meet->since_ns;
	next = MIN(MAX(waited / 2, TRY_FIRST_NS), TRY_LAST_NS);
	if (meet->inotify_fd < 0 && waited >= WATCH_NS && !meet->has_broker)
		watch_directory(meet);
	else if (meet->inotify_fd >= 0)
		next = TRY_SAFE_NS;
	when.it_value.tv_sec = (time_t)(next / 1000000000ULL);
	when.it_value.tv_nsec = (long)(next % 1000000000ULL);
	return timerfd_settime(meet->timer_fd, 0, &when, NULL);
}

int meet_make_timer(struct meet *meet)
{
	meet->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	return meet->timer_fd < 0 || meet_watch(meet, meet->timer_fd) ? -1 : 0;
}

static int connect_or_wait(struct meet *meet, int *ret_sock)
{
	if (try_connect(meet, ret_sock))
		return -1;
	return *ret_sock >= 0 ? 0 : meet_wait_more(meet);
}

int meet_connect(const char *path, int epoll_fd, struct meet **ret_meet, int *ret_sock)
{
	struct meet *meet = meet_new(path, epoll_fd);

	*ret_sock = -1;
	if (!meet)
		return -1;
	if (try_connect(meet, ret_sock))
		goto failed;
	if (*ret_sock < 0) {
		if (meet_make_timer(meet) || meet_wait_more(meet))
			goto failed;
	}
	*ret_meet = meet;
	return 0;
failed:
	(void)meet_free(meet);
	return -1;
}

int meet_step(struct meet *meet, int *ret_sock)
{
	char events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));

	if (meet->has_broker)
		return meet_broker_step(meet, ret_sock);
	if (meet->listener >= 0)
		return accept_one(meet, ret_sock);
	/* Only that something happened matters; what is left over wakes us again. */
	if (meet->inotify_fd >= 0 && read(meet->inotify_fd, events, sizeof(events)) < 0 &&
	    errno != EAGAIN)
		meet->inotify_fd = fd_close(meet->inotify_fd);
	return connect_or_wait(meet, ret_sock);
}

int meet_listener(const struct meet *meet)
{
	return meet->has_broker && meet->is_server ? meet->epoll_fd : meet->listener;
}

struct meet *meet_free(struct meet *meet)
{
	int saved = errno;

	if (!meet)
		return NULL;
	close_listener(meet);
	meet->timer_fd = fd_close(meet->timer_fd);
	meet->inotify_fd = fd_close(meet->inotify_fd);
	meet->broker = fd_close(meet->broker);
	free(meet);
	errno = saved;
	return NULL;
}
