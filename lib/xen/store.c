/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/xen/store.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/bytes.h"
#include "lib/base/fd.h"

enum { /* protocol */
       XS_DIRECTORY = 1,
       XS_READ = 2,
       XS_WATCH = 4,
       XS_UNWATCH = 5,
       XS_INTRODUCE = 8,
       XS_RELEASE = 9,
       XS_WRITE = 11,
       XS_MKDIR = 12,
       XS_RM = 13,
       XS_SET_PERMS = 14,
       XS_WATCH_EVENT = 15,
       XS_ERROR = 16,
};

#define HEADER_LEN 16U /* type u32 | request u32 | transaction u32 | length u32 */

struct message {
	uint32_t type;
	uint32_t serial;
	uint32_t len;
	char body[STORE_PAYLOAD_MAX + 1]; /* a NUL stands behind its last byte */
};

struct store {
	int fd;
	int wake_fd;  /* readable while events are kept that came before an answer */
	int epoll_fd; /* of both: what the user watches */
	bool woken;
	uint32_t serial;
	bool dead;
	bool lost; /* events that found no room */
	size_t n_events;
	struct store_event events[STORE_EVENTS_MAX];
	struct message in;
};

/* Text, so that no path or value can be cut or doubled by a NUL that stands in it. */
static const struct {
	const char *name;
	int value;
} errors[] = {
        {"EINVAL", EINVAL},       {"EACCES", EACCES},   {"EEXIST", EEXIST}, {"EISDIR", EISDIR},
        {"ENOENT", ENOENT},       {"ENOMEM", ENOMEM},   {"ENOSPC", ENOSPC}, {"EIO", EIO},
        {"ENOTEMPTY", ENOTEMPTY}, {"ENOSYS", ENOSYS},   {"EROFS", EROFS},   {"EBUSY", EBUSY},
        {"EAGAIN", EAGAIN},       {"EISCONN", EISCONN}, {"E2BIG", E2BIG},   {"EPERM", EPERM},
};

static int error_number(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(errors); i++)
		if (strcmp(name, errors[i].name) == 0)
			return errors[i].value;
	return EIO;
}

static int watch(const struct store *store, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	return epoll_ctl(store->epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

int store_new(int fd, struct store **ret_store)
{
	struct store *store = calloc(1, sizeof(*store));
	int saved;

	if (!store || fd < 0) {
		saved = errno;
		free(store);
		(void)fd_close(fd);
		errno = saved;
		return -1;
	}
	store->fd = fd;
	store->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	store->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (store->wake_fd < 0 || store->epoll_fd < 0 || watch(store, fd) ||
	    watch(store, store->wake_fd)) {
		saved = errno;
		(void)store_free(store);
		errno = saved;
		return -1;
	}
	*ret_store = store;
	return 0;
}

int store_open(struct store **ret_store)
{
	int fd = fd_connect_unix("/run/xenstored/socket", SOCK_STREAM);

	/* In a qube, and in dom0 where another domain holds the store. */
	if (fd < 0)
		fd = open("/dev/xen/xenbus", O_RDWR | O_CLOEXEC);
	return fd < 0 ? -1 : store_new(fd, ret_store);
}

struct store *store_free(struct store *store)
{
	if (store) {
		(void)fd_close(store->fd);
		(void)fd_close(store->wake_fd);
		(void)fd_close(store->epoll_fd);
	}
	free(store);
	return NULL;
}

int store_fd(const struct store *store)
{
	return store->epoll_fd;
}

static int ended(struct store *store, int error)
{
	store->dead = true;
	errno = error;
	return -1;
}

static int wait_readable(struct store *store, int timeout_ms)
{
	struct pollfd look = {.fd = store->fd, .events = POLLIN};
	int r;

	do {
		r = poll(&look, 1, timeout_ms);
	} while (r < 0 && errno == EINTR);
	return r;
}

static int read_exactly(struct store *store, void *data, size_t len)
{
	uint8_t *at = data;

	while (len > 0) {
		int ready = wait_readable(store, STORE_WAIT_MS);
		ssize_t n;

		if (ready <= 0)
			return ended(store, ready < 0 ? errno : ETIMEDOUT);
		n = read(store->fd, at, len);
		if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN))
			return ended(store, EIO);
		at += MAX(n, (ssize_t)0);
		len -= (size_t)MAX(n, (ssize_t)0);
	}
	return 0;
}

static int receive(struct store *store)
{
	uint8_t head[HEADER_LEN];
	struct message *in = &store->in;

	if (read_exactly(store, head, sizeof(head)))
		return -1;
	in->type = le32_get(head);
	in->serial = le32_get(head + 4);
	in->len = le32_get(head + 12);
	if (in->len > STORE_PAYLOAD_MAX)
		return ended(store, EPROTO);
	in->body[in->len] = '\0';
	return read_exactly(store, in->body, in->len);
}

/* Path and token, each with its NUL; one that is longer than any of ours is not for us. */
static void keep_event(struct store *store)
{
	const struct message *in = &store->in;
	size_t path_len = strlen(in->body) + 1;
	const char *token = in->body + path_len;
	struct store_event *event;

	if (path_len >= in->len || path_len > STORE_PATH_MAX || strlen(token) >= STORE_TOKEN_MAX ||
	    store->n_events == STORE_EVENTS_MAX) {
		store->lost = true;
		return;
	}
	event = &store->events[store->n_events++];
	memcpy(event->path, in->body, path_len);
	memcpy(event->token, token, strlen(token) + 1);
}

/* An event came while an answer was waited for: nothing else would tell of it. */
static void wake(struct store *store)
{
	const uint64_t one = 1;

	if (!store->woken && write(store->wake_fd, &one, sizeof(one)) == sizeof(one))
		store->woken = true;
}

static void wake_over(struct store *store)
{
	uint64_t count;

	if (store->woken && store->n_events == 0 && !store->lost &&
	    read(store->wake_fd, &count, sizeof(count)) == sizeof(count))
		store->woken = false;
}

int store_next(struct store *store, struct store_event *ret_event)
{
	while (store->n_events == 0 && !store->lost) {
		if (store->dead || wait_readable(store, 0) <= 0)
			break;
		if (receive(store))
			return -1;
		if (store->in.type == XS_WATCH_EVENT)
			keep_event(store);
	}
	if (store->n_events > 0) {
		*ret_event = store->events[0];
		store->n_events--;
		memmove(&store->events[0], &store->events[1],
		        store->n_events * sizeof(store->events[0]));
		wake_over(store);
		return 1;
	}
	if (store->lost) {
		*ret_event = (struct store_event){0};
		store->lost = false;
		wake_over(store);
		return 1;
	}
	if (store->dead) {
		errno = EIO;
		return -1;
	}
	return 0;
}

/* One request and its answer, which then is in store->in. */
static int request(struct store *store, uint32_t type, const char *body, size_t len)
{
	/* One write: the kernel's device takes a message in pieces, but wakes xenstored for each. */
	uint8_t out[HEADER_LEN + STORE_PAYLOAD_MAX];

	if (store->dead || len > STORE_PAYLOAD_MAX) {
		errno = store->dead ? EIO : E2BIG;
		return -1;
	}
	store->serial++;
	le32_put(out, type);
	le32_put(out + 4, store->serial);
	le32_put(out + 8, 0);
	le32_put(out + 12, (uint32_t)len);
	memcpy(out + HEADER_LEN, body, len);
	if (fd_write_all(store->fd, out, HEADER_LEN + len))
		return ended(store, errno);
	do {
		if (receive(store))
			return -1;
		if (store->in.type == XS_WATCH_EVENT) {
			keep_event(store);
			wake(store);
		}
	} while (store->in.type == XS_WATCH_EVENT);
	if (store->in.serial != store->serial)
		return ended(store, EPROTO);
	if (store->in.type == XS_ERROR) {
		errno = error_number(store->in.body);
		return -1;
	}
	return store->in.type == type ? 0 : ended(store, EPROTO);
}

/* Texts one after the other, each with its NUL but for the last if value says so. */
static int request_texts(struct store *store, uint32_t type, const char *const *texts, size_t n,
                         bool last_is_value)
{
	char body[STORE_PAYLOAD_MAX];
	size_t len = 0;

	for (size_t i = 0; i < n; i++) {
		size_t text_len = strlen(texts[i]) + (last_is_value && i == n - 1 ? 0 : 1);

		if (text_len > sizeof(body) - len) {
			errno = E2BIG;
			return -1;
		}
		memcpy(body + len, texts[i], text_len);
		len += text_len;
	}
	return request(store, type, body, len);
}

int store_read(struct store *store, const char *path, char *value, size_t max)
{
	if (request_texts(store, XS_READ, &path, 1, false))
		return -1;
	if (store->in.len >= max || strlen(store->in.body) != store->in.len) {
		errno = E2BIG;
		return -1;
	}
	memcpy(value, store->in.body, store->in.len + 1);
	return 0;
}

bool store_decimal(const char *untrusted_text, uint32_t least, uint32_t most, uint32_t *ret_value)
{
	uint64_t value = 0;
	size_t n = 0;

	for (; untrusted_text[n] >= '0' && untrusted_text[n] <= '9' && n < 10; n++)
		value = value * 10 + (uint64_t)(untrusted_text[n] - '0');
	if (n == 0 || untrusted_text[n] != '\0' || value < least || value > most)
		return false;
	*ret_value = (uint32_t)value;
	return true;
}

int store_read_number(struct store *store, const char *path, uint32_t least, uint32_t most,
                      uint32_t *ret_value)
{
	char untrusted_value[16];

	if (store_read(store, path, untrusted_value, sizeof(untrusted_value))) {
		if (errno == E2BIG)
			errno = ERANGE;
		return -1;
	}
	if (!store_decimal(untrusted_value, least, most, ret_value)) {
		errno = ERANGE;
		return -1;
	}
	return 0;
}

int store_write(struct store *store, const char *path, const char *value)
{
	const char *const texts[] = {path, value};

	return request_texts(store, XS_WRITE, texts, 2, true);
}

int store_make_folder(struct store *store, const char *path)
{
	return request_texts(store, XS_MKDIR, &path, 1, false);
}

int store_remove(struct store *store, const char *path)
{
	return request_texts(store, XS_RM, &path, 1, false) && errno != ENOENT ? -1 : 0;
}

int store_list(struct store *store, const char *path, char names[STORE_PAYLOAD_MAX],
               size_t *ret_len)
{
	if (request_texts(store, XS_DIRECTORY, &path, 1, false))
		return -1;
	if (store->in.len > 0 && store->in.body[store->in.len - 1] != '\0') {
		errno = EPROTO;
		return -1;
	}
	memcpy(names, store->in.body, store->in.len);
	*ret_len = store->in.len;
	return 0;
}

int store_set_access(struct store *store, const char *path, int owner, int reader, bool write)
{
	char first[16], second[16];
	const char *const texts[] = {path, first, second};

	(void)snprintf(first, sizeof(first), "%c%d", reader == STORE_EVERYBODY ? 'r' : 'n', owner);
	(void)snprintf(second, sizeof(second), "%c%d", write ? 'b' : 'r', reader);
	return request_texts(store, XS_SET_PERMS, texts, reader < 0 ? 2 : 3, false);
}

int store_watch(struct store *store, const char *path, const char *token)
{
	const char *const texts[] = {path, token};

	return request_texts(store, XS_WATCH, texts, 2, false);
}

int store_unwatch(struct store *store, const char *path, const char *token)
{
	const char *const texts[] = {path, token};

	return request_texts(store, XS_UNWATCH, texts, 2, false);
}

int store_introduce(struct store *store, int domid, uint64_t frame, uint32_t port)
{
	char texts[3][24];
	const char *const list[] = {texts[0], texts[1], texts[2]};

	(void)snprintf(texts[0], sizeof(texts[0]), "%d", domid);
	(void)snprintf(texts[1], sizeof(texts[1]), "%llu", (unsigned long long)frame);
	(void)snprintf(texts[2], sizeof(texts[2]), "%u", port);
	return request_texts(store, XS_INTRODUCE, list, 3, false);
}

int store_release(struct store *store, int domid)
{
	char text[24];
	const char *const list[] = {text};

	(void)snprintf(text, sizeof(text), "%d", domid);
	return request_texts(store, XS_RELEASE, list, 1, false);
}
