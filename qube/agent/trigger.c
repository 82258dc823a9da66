/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The local socket, where any user of the qube may ask for a call. Users are not trusted with the
 * agent: a client that says nothing, half a message, or never goes away costs a slot, and while
 * dom0 is slow the clients wait, not the agent. What a request says is dom0's to judge; only its
 * ident is ours. Source: doc/protocol/qrexec.md, section 11.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/bytes.h"
#include "lib/base/deadline.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "qube/agent/agent.h"
#include "qube/agent/share.h"

#define CLIENTS_MAX     8192  /* of which one user alone can have half; chosen */
#define MESSAGE_MS      30000 /* a client that does not finish its message; chosen */
#define ACCEPT_PAUSE_MS 200   /* after running out of descriptors; chosen */
#define BUCKETS         1024U
#define IDENT_OFFSET    128U /* in the body of TRIGGER_SERVICE4 */
#define IDENT_PREFIX    "SOCKET"

enum client_state {
	CLIENT_READING,   /* its message is not complete */
	CLIENT_ASKED,     /* dom0 has it */
	CLIENT_CONNECTED, /* it has its answer; its closing is the end of the call */
};

struct client {
	struct client *next; /* all of them */
	struct client *prev;
	struct client *next_same; /* in the bucket of its ident */
	struct agent *agent;
	struct share *share; /* of its user */
	enum client_state state;
	uint32_t ident; /* never used twice, unlike a descriptor's number */
	int fd;
	struct loop_fd watch;
	struct loop_timer deadline;
	uint8_t header[QREXEC_HEADER_LEN];
	uint8_t *body; /* owned; while reading */
	size_t body_len;
	size_t got;      /* bytes of header and body */
	uint32_t domain; /* connected */
	uint32_t port;
};

struct trigger {
	struct agent *agent;
	int listener;
	struct loop_fd watch;
	struct loop_timer pause;
	struct client clients; /* list head */
	struct shares shares;
	struct client *buckets[BUCKETS];
	uint32_t last_ident;
};

static void watch_listener(struct trigger *t)
{
	bool wanted =
	        control_ready(t->agent) && t->shares.used < CLIENTS_MAX && t->pause.index == 0;

	loop_fd_set(t->agent->loop, &t->watch, wanted ? EPOLLIN : 0);
}

static void drop(struct client *client)
{
	struct trigger *t = client->agent->trigger;
	struct client **p = &t->buckets[client->ident % BUCKETS];

	while (*p && *p != client)
		p = &(*p)->next_same;
	if (*p)
		*p = client->next_same;
	client->prev->next = client->next;
	client->next->prev = client->prev;
	share_give(&t->shares, client->share);
	loop_timer_clear(client->agent->loop, &client->deadline);
	loop_fd_remove(client->agent->loop, &client->watch);
	(void)fd_close(client->fd);
	free(client->body);
	free(client);
	watch_listener(t);
}

static void refuse_message(struct client *client, const char *why)
{
	static struct log_limit limit = LOG_LIMIT_QUBE;

	LOG_QUBE(&limit, "a local client is dropped: %s", why);
	drop(client);
}

static void on_deadline(void *arg)
{
	refuse_message(arg, "its request is not complete within the limit");
}

/* Asking. */

static void forward(struct client *client)
{
	struct agent *agent = client->agent;
	struct trigger *t = agent->trigger;
	char ident[QREXEC_IDENT_LEN];
	struct client **bucket;
	int len;

	client->ident = ++t->last_ident;
	bucket = &t->buckets[client->ident % BUCKETS];
	client->next_same = *bucket;
	*bucket = client;
	len = snprintf(ident, sizeof(ident), IDENT_PREFIX "%u", client->ident);
	/* The rest of the field stays as the client sent it: zeros. */
	memcpy(client->body + IDENT_OFFSET, ident, (size_t)len + 1);
	client->state = CLIENT_ASKED;
	loop_timer_clear(agent->loop, &client->deadline);
	control_send(agent, QREXEC_TRIGGER_SERVICE4, client->body, client->body_len, NULL, 0);
	free(client->body);
	client->body = NULL;
	loop_fd_set(agent->loop, &client->watch, EPOLLIN | EPOLLRDHUP);
}

static int check_header(struct client *client)
{
	struct qrexec_header header = qrexec_decode_header(client->header);

	if (header.type != QREXEC_TRIGGER_SERVICE4 || header.len <= QREXEC_TRIGGER4_LEN ||
	    header.len > QREXEC_BODY_MAX) {
		refuse_message(client, "its request has a wrong type or length");
		return -1;
	}
	client->body_len = header.len;
	client->body = malloc(client->body_len);
	if (!client->body) {
		refuse_message(client, "no memory");
		return -1;
	}
	return 0;
}

/* Reads up to need bytes of header and body. 1: there; 0: not yet; -1: the client is gone. */
static int fill(struct client *client, uint8_t *at, size_t need)
{
	while (client->got < need) {
		ssize_t n = recv(client->fd, at, need - client->got, MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n <= 0) {
			drop(client);
			return -1;
		}
		at += n;
		client->got += (size_t)n;
	}
	return 1;
}

static void read_request(struct client *client)
{
	int r = 1;

	if (!control_ready(client->agent)) {
		loop_fd_set(client->agent->loop, &client->watch, 0);
		return;
	}
	if (client->got < QREXEC_HEADER_LEN) {
		r = fill(client, client->header + client->got, QREXEC_HEADER_LEN);
		if (r <= 0 || check_header(client))
			return;
	}
	r = fill(client, client->body + (client->got - QREXEC_HEADER_LEN),
	         QREXEC_HEADER_LEN + client->body_len);
	if (r > 0)
		forward(client);
}

/* After its request a client has nothing to say; what it says is thrown away, its end is the news. */
static void await_end(struct client *client)
{
	char junk[256];
	ssize_t n = recv(client->fd, junk, sizeof(junk), MSG_DONTWAIT);

	if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)))
		return;
	if (client->state == CLIENT_CONNECTED)
		control_send_terminated(client->agent, client->domain, client->port);
	drop(client);
}

static void on_client(void *arg, uint32_t events)
{
	struct client *client = arg;

	if (client->state != CLIENT_READING)
		await_end(client);
	else if (client->watch.events == 0 && events & (EPOLLHUP | EPOLLERR))
		drop(client);
	else
		read_request(client);
}

/* New clients. */

static struct client *new_client(struct trigger *t, int fd)
{
	static struct log_limit limit = LOG_LIMIT_QUBE;
	struct ucred peer = {.uid = (uid_t)-1};
	socklen_t len = sizeof(peer);
	struct client *client = calloc(1, sizeof(*client));

	if (!client)
		return NULL;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0)
		client->share = share_take(&t->shares, peer.uid);
	if (client->share)
		return client;
	LOG_QUBE(&limit, "a local client is dropped: user %u has too many requests", peer.uid);
	free(client);
	return NULL;
}

static void add_client(struct trigger *t, int fd)
{
	struct client *client = new_client(t, fd);

	if (!client) {
		(void)fd_close(fd);
		return;
	}
	client->agent = t->agent;
	client->fd = fd;
	client->watch = (struct loop_fd)LOOP_FD_EMPTY;
	client->next = t->clients.next;
	client->prev = &t->clients;
	client->next->prev = client;
	t->clients.next = client;
	if (loop_fd_add(t->agent->loop, &client->watch, fd, EPOLLIN, on_client, client) ||
	    loop_timer_set(t->agent->loop, &client->deadline, deadline_ms(MESSAGE_MS), on_deadline,
	                   client)) {
		drop(client);
		return;
	}
	read_request(client);
}

static void on_pause_over(void *arg)
{
	watch_listener(arg);
}

static void on_listener(void *arg, uint32_t events)
{
	struct trigger *t = arg;

	(void)events;
	for (int i = 0; i < 16 && t->shares.used < CLIENTS_MAX; i++) {
		int fd = accept4(t->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd >= 0) {
			add_client(t, fd);
			continue;
		}
		if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
			break;
		LOG_ERRNO("accepting a local client");
		if (loop_timer_set(t->agent->loop, &t->pause, ACCEPT_PAUSE_MS, on_pause_over, t))
			loop_stop(t->agent->loop, 1);
		break;
	}
	watch_listener(t);
}

/* dom0's answers. */

/* *ret_left: the ident is one of ours, but its client has gone. */
static struct client *find(struct agent *agent, const char *ident, bool *ret_left)
{
	unsigned long number = 0;
	char *end = NULL;
	struct client *client;

	*ret_left = false;
	if (strncmp(ident, IDENT_PREFIX, strlen(IDENT_PREFIX)) == 0 &&
	    ident[strlen(IDENT_PREFIX)] >= '0' && ident[strlen(IDENT_PREFIX)] <= '9')
		number = strtoul(ident + strlen(IDENT_PREFIX), &end, 10);
	if (!end || *end || number > UINT32_MAX) {
		LOG("an answer from dom0 with a bad ident: %s", ident);
		return NULL;
	}
	for (client = agent->trigger->buckets[number % BUCKETS]; client;
	     client = client->next_same) {
		if (client->ident == number && client->state == CLIENT_ASKED)
			return client;
	}
	*ret_left = number > 0 && number <= agent->trigger->last_ident;
	LOG("an answer from dom0 that nobody waits for: %s", ident);
	return NULL;
}

void trigger_connect(struct agent *agent, const char *ident, uint32_t domain, uint32_t port)
{
	bool left;
	struct client *client = find(agent, ident, &left);
	uint8_t answer[QREXEC_EXEC_LEN];

	if (!client) {
		if (left)
			absent_serve(agent, domain, port);
		return;
	}
	absent_cancel(agent, domain, port);
	client->state = CLIENT_CONNECTED;
	client->domain = domain;
	client->port = port;
	qrexec_encode_exec(answer, domain, port);
	/* Nothing else was ever sent on this socket, so eight bytes fit; if not, the client is gone. */
	if (send(client->fd, answer, sizeof(answer), MSG_NOSIGNAL | MSG_DONTWAIT) !=
	    (ssize_t)sizeof(answer)) {
		drop(client);
		absent_serve(agent, domain, port);
	}
}

void trigger_refuse(struct agent *agent, const char *ident)
{
	bool left;
	struct client *client = find(agent, ident, &left);

	if (client)
		drop(client);
}

void trigger_control_changed(struct agent *agent, bool lost)
{
	struct trigger *t = agent->trigger;
	struct client *client = t ? t->clients.next : NULL;

	while (client && client != &t->clients) {
		struct client *next = client->next;

		if (lost && client->state == CLIENT_ASKED)
			drop(client);
		else if (client->state == CLIENT_READING)
			loop_fd_set(agent->loop, &client->watch,
			            control_ready(agent) ? EPOLLIN : 0);
		client = next;
	}
	if (t)
		watch_listener(t);
}

int trigger_start(struct agent *agent)
{
	struct trigger *t = calloc(1, sizeof(*t));

	if (!t)
		return -1;
	t->agent = agent;
	t->shares.max = CLIENTS_MAX;
	t->clients.next = t->clients.prev = &t->clients;
	t->watch = (struct loop_fd)LOOP_FD_EMPTY;
	t->listener = fd_listen_unix(agent->socket_path, SOCK_STREAM | SOCK_NONBLOCK, 0777, 1024);
	if (t->listener < 0 ||
	    loop_fd_add(agent->loop, &t->watch, t->listener, 0, on_listener, t)) {
		LOG_ERRNO("%s", agent->socket_path);
		(void)fd_close(t->listener);
		free(t);
		return -1;
	}
	agent->trigger = t;
	return 0;
}

void trigger_stop(struct agent *agent)
{
	struct trigger *t = agent->trigger;

	while (t->clients.next != &t->clients)
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): drop() unlinks it */
		drop(t->clients.next);
	loop_timer_clear(agent->loop, &t->pause);
	loop_fd_remove(agent->loop, &t->watch);
	t->listener = fd_close(t->listener);
}
