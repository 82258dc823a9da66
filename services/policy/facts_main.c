/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * skerry-policy-facts - tells the policy service about the qubes
 *
 * Asks the admin service for its system description, parses the JSON, and hands the deciding process a
 * table of typed records. While it is subscribed to the events of the admin service it announces every
 * change by itself; otherwise it asks anew whenever the service wants it. With a file in place of the
 * admin service it reads that. Started by skerry-policy with the channel on descriptor 3.
 * Trusts: the admin service, as far as its facts go. Does not decide anything.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/loop/loop.h"
#include "process/user.h"
#include "proto/events.h"
#include "proto/facts.h"
#include "proto/limits.h"
#include "services/policy/channel.h"
#include "services/policy/policy.h"
#include "services/policy/rights.h"
#include "services/policy/system.h"

#define CHANNEL_FD   3
#define JSON_MAX     (16U << 20) /* bytes of a system description; chosen */
#define RETRY_MS     1000U       /* to subscribe again; chosen */
#define RETRY_MAX_MS 30000U

static const char query_text[] = "internal.GetSystemInfo+ dom0 name dom0";
static const char events_text[] = "admin.Events+ dom0 name dom0";

struct helper {
	struct loop *loop;
	struct channel channel;
	const char *file;
	bool live;
	/* The query that runs. */
	struct loop_fd query;
	int query_fd;
	struct loop_timer query_timer;
	uint32_t generation; /* that it answers; 0: unasked */
	bool dirty;          /* an event came while it ran */
	uint32_t next;       /* a refresh that came while it ran */
	char *json;
	size_t json_len, json_room;
	/* The subscription. */
	struct loop_fd events;
	int events_fd;
	struct loop_timer retry;
	unsigned int retry_ms;
	char frame[EVENTS_FRAME_MAX];
	size_t frame_len;
};

static struct helper helper = {.query = LOOP_FD_EMPTY,
                               .events = LOOP_FD_EMPTY,
                               .query_fd = -1,
                               .events_fd = -1,
                               .retry_ms = RETRY_MS};

static void start_query(struct helper *h, uint32_t generation);

static void send_frame(struct helper *h, const void *data, size_t len)
{
	if (channel_send(&h->channel, data, len)) {
		LOG_ERRNO("the policy service does not take facts");
		loop_stop(h->loop, 1);
		return;
	}
	channel_flush(&h->channel);
}

static void send_head(struct helper *h, const struct facts_head *head)
{
	uint8_t frame[16];
	struct wire_writer w = wire_writer(frame, sizeof(frame));

	facts_encode_head(&w, head);
	send_frame(h, frame, w.len);
}

static void put_qube(struct wire_writer *w, const struct system_qube *qube)
{
	static struct facts_qube out;
	size_t i;

	if (qube->n_tags > FACTS_TAGS_MAX) {
		w->bad = true;
		return;
	}
	out.flags = (qube->template_for_dispvms ? FACTS_TEMPLATE_FOR_DISPVMS : 0U) |
	            (qube->internal ? FACTS_INTERNAL : 0U) | (qube->running ? FACTS_RUNNING : 0U);
	out.text[FACTS_NAME] = qube->name;
	out.text[FACTS_UUID] = qube->uuid;
	out.text[FACTS_TYPE] = qube->type;
	out.text[FACTS_DEFAULT_DISPVM] = qube->default_dispvm;
	out.text[FACTS_ICON] = qube->icon;
	out.text[FACTS_GUIVM] = qube->guivm;
	out.text[FACTS_RELAYVM] = qube->relayvm;
	out.text[FACTS_TRANSPORT_RPC] = qube->transport_rpc;
	for (i = 0; i < FACTS_TEXTS; i++)
		if (!out.text[i])
			out.text[i] = "";
	out.n_tags = qube->n_tags;
	for (i = 0; i < qube->n_tags; i++)
		out.tags[i] = qube->tags[i];
	facts_encode_qube(w, &out);
}

static int send_table(struct helper *h, const struct system *system, uint32_t generation)
{
	static uint8_t *frame;
	struct facts_head head = {.kind = FACTS_TABLE,
	                          .live = h->live,
	                          .generation = generation,
	                          .qubes = system_n_qubes(system)};
	struct wire_writer w;
	uint32_t i;

	if (!frame)
		frame = malloc(FACTS_FRAME_MAX);
	if (!frame)
		return -1;
	w = wire_writer(frame, FACTS_FRAME_MAX);
	facts_encode_head(&w, &head);
	for (i = 0; i < system_n_qubes(system); i++)
		put_qube(&w, system_qube(system, i));
	if (w.bad)
		return -1;
	send_frame(h, frame, w.len);
	return 0;
}

static void send_failed(struct helper *h, uint32_t generation, bool unreachable)
{
	struct facts_head head = {.kind = FACTS_FAILED,
	                          .live = false,
	                          .generation = generation,
	                          .unreachable = unreachable};

	send_head(h, &head);
}

static void send_json(struct helper *h, const char *text, size_t len, uint32_t generation)
{
	const char *why = "it does not fit";
	struct system *system = system_from_json(text, len, &why);

	if (!system || send_table(h, system, generation)) {
		LOG("the system description cannot be used: %s", why);
		send_failed(h, generation, true);
	}
	system_unref(system);
}

/* The reply of the admin service: '0' NUL JSON, or '2' NUL class … */
static void take_reply(struct helper *h, uint32_t generation)
{
	if (h->json_len >= 2 && memcmp(h->json, "0\0", 2) == 0) {
		send_json(h, h->json + 2, h->json_len - 2, generation);
	} else if (h->json_len >= 2 && memcmp(h->json, "2\0", 2) == 0) {
		LOG("the admin service refused the system description: %.*s", 200, h->json + 2);
		send_failed(h, generation, false);
	} else {
		LOG("the admin service gave no system description");
		send_failed(h, generation, true);
	}
}

static void query_end(struct helper *h, bool failed)
{
	uint32_t generation = h->generation, next = h->next;
	bool dirty = h->dirty && h->live;

	loop_fd_remove(h->loop, &h->query);
	loop_timer_clear(h->loop, &h->query_timer);
	h->query_fd = fd_close(h->query_fd);
	h->next = 0;
	h->dirty = false;
	/* What was read may be older than an event that was announced: once more. */
	if (dirty && !failed) {
		start_query(h, next ? next : generation);
		return;
	}
	/* While changes are announced, what was read is also what a later question is to be told. */
	if (h->live && next && !failed) {
		generation = next;
		next = 0;
	}
	if (failed)
		send_failed(h, generation, true);
	else
		take_reply(h, generation);
	if (h->json_room > 262144) {
		free(h->json);
		h->json = NULL;
		h->json_room = 0;
	}
	h->json_len = 0;
	if (next)
		start_query(h, next);
}

static void on_query_timeout(void *arg)
{
	LOG("the admin service does not answer");
	query_end(arg, true);
}

static int json_room(struct helper *h)
{
	size_t room = h->json_room ? h->json_room * 2 : 16384;
	char *json;

	if (h->json_len + 1 < h->json_room)
		return 0;
	json = room <= JSON_MAX ? realloc(h->json, room) : NULL;
	if (!json)
		return -1;
	h->json = json;
	h->json_room = room;
	return 0;
}

static void on_query(void *arg, uint32_t events)
{
	struct helper *h = arg;
	ssize_t n;

	if (json_room(h)) {
		LOG("the system description is too long");
		query_end(h, true);
		return;
	}
	n = read(h->query_fd, h->json + h->json_len, h->json_room - h->json_len - 1);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0) {
		h->json_len += (size_t)n;
		return;
	}
	if (h->json)
		h->json[h->json_len] = 0;
	query_end(h, n < 0);
}

/* A request to the admin service; small enough for any socket buffer. */
static int connect_request(const char *path, const char *request, size_t len)
{
	char full[PATH_MAX];
	OWNED_FD int fd = -1;

	if (path_make(full, sizeof(full), path, NULL))
		return -1;
	fd = fd_connect_unix(full, SOCK_STREAM | SOCK_NONBLOCK);
	if (fd < 0 || send(fd, request, len, MSG_NOSIGNAL) != (ssize_t)len || shutdown(fd, SHUT_WR))
		return -1;
	return fd_take(&fd);
}

static void start_query(struct helper *h, uint32_t generation)
{
	if (h->query_fd >= 0) {
		if (generation)
			h->next = generation;
		else
			h->dirty = true;
		return;
	}
	h->generation = generation;
	h->json_len = 0;
	h->query_fd =
	        connect_request("/var/run/qubesd.internal.sock", query_text, sizeof(query_text));
	if (h->query_fd >= 0 &&
	    loop_timer_set(h->loop, &h->query_timer, LIMIT_POLICY_MS, on_query_timeout, h) == 0 &&
	    loop_fd_add(h->loop, &h->query, h->query_fd, EPOLLIN, on_query, h) == 0)
		return;
	loop_timer_clear(h->loop, &h->query_timer);
	h->query_fd = fd_close(h->query_fd);
	send_failed(h, generation, true);
}

static void send_file(struct helper *h, uint32_t generation)
{
	OWNED_FD int fd = open(h->file, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : 1;

	h->json_len = 0;
	while (n > 0) {
		if (json_room(h)) {
			n = -1;
			break;
		}
		n = read(fd, h->json + h->json_len, h->json_room - h->json_len - 1);
		if (n > 0)
			h->json_len += (size_t)n;
	}
	if (n < 0) {
		LOG("%s cannot be read", h->file);
		send_failed(h, generation, true);
		return;
	}
	if (h->json)
		h->json[h->json_len] = 0;
	send_json(h, h->json ? h->json : "", h->json_len, generation);
}

static void events_start(void *arg);

static void events_lost(struct helper *h)
{
	struct facts_head head = {.kind = FACTS_STALE, .live = false};

	loop_fd_remove(h->loop, &h->events);
	h->events_fd = fd_close(h->events_fd);
	h->frame_len = 0;
	if (h->live) {
		h->live = false;
		LOG("the events of the admin service have ended; asking for every question");
		send_head(h, &head);
	}
	if (loop_timer_set(h->loop, &h->retry, h->retry_ms, events_start, h))
		LOG_ERRNO("no further try to subscribe");
	h->retry_ms = MIN(h->retry_ms * 2, RETRY_MAX_MS);
}

static void take_event(struct helper *h, const struct event *event)
{
	struct facts_head head = {.kind = FACTS_STALE, .live = true};

	if (!events_change_facts(event->name))
		return;
	h->live = true;
	h->retry_ms = RETRY_MS;
	send_head(h, &head);
	h->dirty = h->query_fd >= 0;
	start_query(h, 0);
}

static void on_events(void *arg, uint32_t events)
{
	struct helper *h = arg;
	ssize_t n = read(h->events_fd, h->frame + h->frame_len, sizeof(h->frame) - h->frame_len);
	struct event event;
	size_t at = 0;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		events_lost(h);
		return;
	}
	h->frame_len += (size_t)n;
	while ((n = events_decode(h->frame + at, h->frame_len - at, &event)) > 0) {
		take_event(h, &event);
		at += (size_t)n;
	}
	memmove(h->frame, h->frame + at, h->frame_len - at);
	h->frame_len -= at;
	if (n < 0 || h->frame_len == sizeof(h->frame))
		events_lost(h);
}

static void events_start(void *arg)
{
	struct helper *h = arg;

	h->events_fd = connect_request("/run/qubesd.sock", events_text, sizeof(events_text));
	if (h->events_fd < 0 ||
	    loop_fd_add(h->loop, &h->events, h->events_fd, EPOLLIN, on_events, h))
		events_lost(h);
}

static void on_frame(void *arg, const uint8_t *untrusted_data, size_t len)
{
	struct helper *h = arg;
	struct wire_reader r = wire_reader(untrusted_data, len);
	struct facts_head head;

	if (facts_decode_head(&r, &head) || head.kind != FACTS_REFRESH) {
		LOG("a malformed frame from the policy service");
		loop_stop(h->loop, 1);
		return;
	}
	if (h->file)
		send_file(h, head.generation);
	else
		start_query(h, head.generation);
}

static void on_close(void *arg)
{
	loop_stop(((struct helper *)arg)->loop, 0);
}

int main(int argc, char **argv)
{
	log_init("skerry-policy");
	if (argc == 2 && strcmp(argv[1], "--version") == 0)
		return dprintf(STDOUT_FILENO, "%s\n", SKERRY_VERSION) < 0;
	if (argc > 2 || fcntl(CHANNEL_FD, F_GETFD) < 0) {
		LOG("%s is started by skerry-policy", argv[0]);
		return 2;
	}
	helper.file = argc == 2 ? argv[1] : NULL;
	helper.live = helper.file != NULL;
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGTERM, SIG_IGN);
	helper.loop = loop_new();
	if (!helper.loop || fd_set_cloexec(CHANNEL_FD, true) ||
	    channel_init(&helper.channel, helper.loop, CHANNEL_FD, FACTS_FRAME_MAX,
	                 2U * FACTS_FRAME_MAX)) {
		LOG_ERRNO("cannot start");
		return 1;
	}
	helper.channel.on_frame = on_frame;
	helper.channel.on_close = on_close;
	helper.channel.arg = &helper;
	if (user_enter_alone("skerry-policy") || facts_confine(helper.file))
		return 1;
	if (!helper.file)
		events_start(&helper);
	return loop_run(helper.loop) == 0 ? 0 : 1;
}
