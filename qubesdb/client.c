/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libqubesdb. Requests and answers go over one connection. Each watch has a connection of its own, all
 * of them in one epoll descriptor: so a change can never come between the parts of an answer, and the
 * descriptor that the program waits for is readable exactly while there is one.
 */
#include <qubesdb-client.h>

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/compat.h"
#include "lib/base/fd.h"
#include "lib/base/paths.h"
#include "proto/qubesdb.h"

#define LIST_MAX 65536U /* entries of one answer; more than any store holds */

struct watch {
	struct watch *next;
	int fd;
	char path[QUBESDB_PATH_LEN];
};

struct qdb_handle {
	int fd;
	int epoll_fd;
	struct watch *watches;
	char rw_path[PATH_MAX];
	char ro_path[PATH_MAX];
};

struct answer {
	struct qubesdb_head head;
	char data[QUBESDB_DATA_LIMIT];
};

static int connect_to(const struct qdb_handle *h)
{
	int fd = fd_connect_unix(h->rw_path, SOCK_STREAM);

	return fd >= 0 ? fd : fd_connect_unix(h->ro_path, SOCK_STREAM);
}

static int make_paths(struct qdb_handle *h, const char *name)
{
	char file[NAME_MAX];

	if (name && (!*name || strlen(name) > 63 || strchr(name, '/'))) {
		errno = EINVAL;
		return -1;
	}
	(void)snprintf(file, sizeof(file), "qubesdb%s%s.sock", name ? "." : "", name ? name : "");
	if (path_make(h->rw_path, sizeof(h->rw_path), "/var/run/qubes", file))
		return -1;
	(void)snprintf(file, sizeof(file), "qubesdb%s%s.ro.sock", name ? "." : "",
	               name ? name : "");
	return path_make(h->ro_path, sizeof(h->ro_path), "/var/run/qubes", file);
}

PUBLIC qdb_handle_t qdb_open(char *vmname)
{
	qdb_handle_t h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->fd = h->epoll_fd = -1;
	if (make_paths(h, vmname) == 0) {
		h->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
		h->fd = connect_to(h);
	}
	if (h->fd >= 0 && h->epoll_fd >= 0)
		return h;
	qdb_close(h);
	return NULL;
}

PUBLIC void qdb_close(qdb_handle_t h)
{
	int saved = errno;

	if (!h)
		return;
	while (h->watches) {
		struct watch *w = h->watches;

		h->watches = w->next;
		(void)fd_close(w->fd);
		free(w);
	}
	(void)fd_close(h->fd);
	(void)fd_close(h->epoll_fd);
	free(h);
	errno = saved;
}

static int send_all(int fd, const uint8_t *data, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

static int ask(int fd, enum qubesdb_type type, const char *path, const void *data, size_t len)
{
	uint8_t message[QUBESDB_HEAD_LEN + QUBESDB_DATA_LIMIT];

	if (strlen(path) >= QUBESDB_PATH_LEN || len >= QUBESDB_DATA_LIMIT) {
		errno = EINVAL;
		return -1;
	}
	qubesdb_encode_head(message, type, path, len);
	if (len > 0)
		memcpy(message + QUBESDB_HEAD_LEN, data, len);
	return send_all(fd, message, QUBESDB_HEAD_LEN + len);
}

static int receive(int fd, struct answer *a)
{
	uint8_t head[QUBESDB_HEAD_LEN];

	if (fd_read_all(fd, head, sizeof(head)))
		return -1;
	qubesdb_decode_head(head, &a->head);
	if (a->head.untrusted_data_len >= QUBESDB_DATA_LIMIT) {
		errno = EPROTO;
		return -1;
	}
	return fd_read_all(fd, a->data, a->head.untrusted_data_len);
}

/* 0: the answer has the type that is wanted; else -1 with errno. */
static int receive_of(int fd, struct answer *a, enum qubesdb_type wanted)
{
	if (receive(fd, a))
		return -1;
	if (a->head.untrusted_type == (uint32_t)wanted)
		return 0;
	errno = a->head.untrusted_type == QUBESDB_ERROR_NOENT ? ENOENT : EINVAL;
	return -1;
}

static char *copy(const void *data, size_t len)
{
	char *text = malloc(len + 1);

	if (!text)
		return NULL;
	if (len > 0)
		memcpy(text, data, len);
	text[len] = '\0';
	return text;
}

PUBLIC char *qdb_read(qdb_handle_t h, char *path, unsigned int *value_len)
{
	struct answer a;
	char *value;

	if (ask(h->fd, QUBESDB_READ, path, NULL, 0) || receive_of(h->fd, &a, QUBESDB_RESP_READ))
		return NULL;
	value = copy(a.data, a.head.untrusted_data_len);
	if (value && value_len)
		*value_len = a.head.untrusted_data_len;
	return value;
}

/* What a list of answers becomes. width 1: paths; 2: paths and values, and their lengths. */
struct list {
	char **texts;
	unsigned int *lens;
	size_t n, max, width;
};

static void list_free(struct list *list)
{
	for (size_t i = 0; i < list->n * list->width; i++)
		free(list->texts[i]);
	free(list->texts);
	free(list->lens);
}

static int list_grow(struct list *list)
{
	size_t max = list->max ? list->max * 2 : 32;
	char **texts;
	unsigned int *lens;

	if (list->n + 1 < list->max)
		return 0;
	texts = realloc(list->texts, max * list->width * sizeof(*texts));
	if (!texts)
		return -1;
	list->texts = texts;
	lens = realloc(list->lens, max * sizeof(*lens));
	if (!lens)
		return -1;
	list->lens = lens;
	list->max = max;
	return 0;
}

/* Room for one more row always stands behind the last: the NULLs that end it. */
static int list_add(struct list *list, const struct answer *a)
{
	char **row;

	if (list->n >= LIST_MAX) {
		errno = EPROTO;
		return -1;
	}
	if (list_grow(list))
		return -1;
	row = &list->texts[list->n * list->width];
	row[0] = copy(a->head.path, strlen(a->head.path));
	if (!row[0])
		return -1;
	if (list->width == 2) {
		row[1] = copy(a->data, a->head.untrusted_data_len);
		if (!row[1]) {
			free(row[0]);
			return -1;
		}
	}
	list->lens[list->n++] = a->head.untrusted_data_len;
	return 0;
}

static int receive_list(qdb_handle_t h, enum qubesdb_type type, char *path, struct list *list)
{
	enum qubesdb_type answer =
	        type == QUBESDB_LIST ? QUBESDB_RESP_LIST : QUBESDB_RESP_MULTIREAD;
	struct answer a;

	if (ask(h->fd, type, path, NULL, 0))
		return -1;
	for (;;) {
		if (receive_of(h->fd, &a, answer))
			return -1;
		if (a.head.path[0] == '\0')
			break;
		if (list_add(list, &a)) {
			/* The rest of the answer would be taken for the next one's. */
			(void)shutdown(h->fd, SHUT_RDWR);
			return -1;
		}
	}
	if (list_grow(list))
		return -1;
	for (size_t i = 0; i < list->width; i++)
		list->texts[list->n * list->width + i] = NULL;
	return 0;
}

PUBLIC char **qdb_list(qdb_handle_t h, char *path, unsigned int *list_len)
{
	struct list list = {.width = 1};

	if (receive_list(h, QUBESDB_LIST, path, &list)) {
		list_free(&list);
		return NULL;
	}
	free(list.lens);
	if (list_len)
		*list_len = (unsigned int)list.n;
	return list.texts;
}

PUBLIC char **qdb_multiread(qdb_handle_t h, char *path, unsigned int **values_len,
                            unsigned int *list_len)
{
	struct list list = {.width = 2};

	if (receive_list(h, QUBESDB_MULTIREAD, path, &list)) {
		list_free(&list);
		return NULL;
	}
	if (values_len)
		*values_len = list.lens;
	else
		free(list.lens);
	if (list_len)
		*list_len = (unsigned int)list.n;
	return list.texts;
}

static int change(int fd, enum qubesdb_type type, const char *path, const void *data, size_t len)
{
	struct answer a;

	return ask(fd, type, path, data, len) == 0 && receive_of(fd, &a, QUBESDB_OK) == 0;
}

PUBLIC int qdb_write(qdb_handle_t h, char *path, char *value, unsigned int value_len)
{
	return change(h->fd, QUBESDB_WRITE, path, value, value_len);
}

PUBLIC int qdb_rm(qdb_handle_t h, char *path)
{
	return change(h->fd, QUBESDB_RM, path, NULL, 0);
}

PUBLIC int qdb_watch(qdb_handle_t h, char *path)
{
	struct epoll_event event = {.events = EPOLLIN};
	struct watch *w = calloc(1, sizeof(*w));

	if (!w)
		return 0;
	w->fd = connect_to(h);
	event.data.fd = w->fd;
	if (w->fd < 0 || !change(w->fd, QUBESDB_WATCH, path, NULL, 0) ||
	    epoll_ctl(h->epoll_fd, EPOLL_CTL_ADD, w->fd, &event)) {
		w->fd = fd_close(w->fd);
		free(w);
		return 0;
	}
	memcpy(w->path, path, strlen(path) + 1);
	w->next = h->watches;
	h->watches = w;
	return 1;
}

PUBLIC int qdb_unwatch(qdb_handle_t h, char *path)
{
	struct watch **at = &h->watches;
	struct watch *w;

	while (*at && strcmp((*at)->path, path) != 0)
		at = &(*at)->next;
	w = *at;
	if (!w) {
		errno = ENOENT;
		return 0;
	}
	*at = w->next;
	(void)fd_close(w->fd);
	free(w);
	return 1;
}

PUBLIC char *qdb_read_watch(qdb_handle_t h)
{
	struct epoll_event event;
	struct answer a;
	int n;

	do {
		n = epoll_wait(h->epoll_fd, &event, 1, -1);
	} while (n < 0 && errno == EINTR);
	if (n != 1 || receive_of(event.data.fd, &a, QUBESDB_RESP_WATCH))
		return NULL;
	return copy(a.head.path, strlen(a.head.path));
}

PUBLIC int qdb_watch_fd(qdb_handle_t h)
{
	return h->epoll_fd;
}
