/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * In a qube of a test: does to dom0 what a qube can. Told by the kernel's command line:
 *
 *   attack      rings, agent, events, watches and console are attacked, all at once, from when dom0 makes the node
 *               "attack" until it makes "end"; then xenstore
 *   end=WORD    then: panic, reboot, or nothing
 *
 * tests/xen/limits_harm.c is the other side and knows the ports.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/bytes.h"
#include "lib/base/fd.h"
#include "lib/vchan/grant.h"
#include "lib/vchan/ring.h"
#include "lib/xen/store.h"
#include "proto/qrexec.h"
#include "tests/xen/hostile.h"

#define PAGE        4096U
#define PAGES       3U /* control page, left ring, right ring */
#define ORDER       12U
#define CLIENT_MS   20000 /* how long one is waited for that can come */
#define REFUSED_MS  500   /* and one that cannot */
#define CLIENT_LIVE 20U   /* byte of the control page; protocol */
#define SCRIBBLE_MS 60
#define SPOILT_MS   5000
#define STORM_PORTS 4
#define STORM_MS    4000
#define DEEP        200
#define TOKENS      200

static uint32_t seed = 0x5eed;
static int own;
static struct store *store;

static uint32_t random_word(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 17;
	seed ^= seed << 5;
	return seed;
}

static void rubbish(void *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		((uint8_t *)data)[i] = (uint8_t)random_word();
}

/* What a value may hold but no sane program writes: no NUL, for that would end it. */
static void rubbish_text(char *text, size_t len)
{
	rubbish(text, len);
	for (size_t i = 0; i < len; i++)
		if (text[i] == '\0')
			text[i] = '%';
	text[len] = '\0';
}

static long now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000L + t.tv_nsec / 1000000;
}

/* A server of one channel, made by hand. */

struct server {
	int port, memory, event;
	uint8_t *page;
	uint32_t references[PAGES], event_port, right_prod;
};

static void write_node(int port, const char *name, const char *value)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "/local/domain/%d/data/vchan/0/%d/%s", own, port, name);
	if (store_write(store, path, value) || store_set_access(store, path, own, 0, false))
		return;
}

static void write_number(int port, const char *name, uint32_t value)
{
	char text[16];

	(void)snprintf(text, sizeof(text), "%u", value);
	write_node(port, name, text);
}

static bool make(struct server *s, int port)
{
	*s = (struct server){.port = port, .page = MAP_FAILED};
	s->memory = grant_allocate(0, PAGES, s->references);
	s->event = event_open();
	if (s->memory < 0 || s->event < 0 || event_offer(s->event, 0, &s->event_port))
		return false;
	s->page = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, s->memory, 0);
	if (s->page == MAP_FAILED)
		return false;
	memset(s->page, 0, PAGE);
	ring_format((void *)s->page, ORDER, ORDER, s->references + 1, PAGES - 1);
	return true;
}

static void end(struct server *s)
{
	if (s->page != MAP_FAILED)
		(void)munmap(s->page, PAGES * PAGE);
	(void)fd_close(s->memory);
	(void)fd_close(s->event);
}

static void notify(const struct server *s)
{
	uint32_t port = s->event_port;

	(void)ioctl(s->event, VCHAN_EVENT_NOTIFY, &port);
}

/* By what it wrote in the page: an event may come of its own accord when a port is made. */
static bool has_client(const struct server *s, int wait_ms)
{
	const volatile uint8_t *live = s->page + CLIENT_LIVE;

	for (long until = now_ms() + wait_ms; now_ms() < until; (void)poll(NULL, 0, 10))
		if (*live == 1)
			return true;
	return false;
}

/* As a server sends: bytes, then the index, then the event. */
static void say(struct server *s, const void *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		s->page[2 * PAGE + (s->right_prod + i) % PAGE] = ((const uint8_t *)data)[i];
	s->right_prod += (uint32_t)len;
	__atomic_store_n((uint32_t *)(void *)(s->page + 12), s->right_prod, __ATOMIC_RELEASE);
	notify(s);
}

static void scribble(struct server *s, size_t from, size_t len)
{
	for (long until = now_ms() + SCRIBBLE_MS; now_ms() < until; notify(s))
		for (int i = 0; i < 50; i++)
			s->page[from + random_word() % len] = (uint8_t)random_word();
}

/* The indices make no sense, for as long as there is a client to see it. */
static void spoil(struct server *s)
{
	const volatile uint8_t *live = s->page + CLIENT_LIVE;

	for (long until = now_ms() + SPOILT_MS; *live == 1 && now_ms() < until;) {
		rubbish(s->page, 16);
		notify(s);
		(void)poll(NULL, 0, 20);
	}
}

static void publish(const struct server *s, unsigned int kind)
{
	char text[64], folder[128];

	(void)snprintf(folder, sizeof(folder), "/local/domain/%d/data/vchan/0/%d", own, s->port);
	if (store_remove(store, folder))
		return;
	rubbish_text(text, sizeof(text) - 1);
	if (kind == 4)
		write_number(s->port, "ring-ref", random_word());
	else if (kind == 6)
		write_node(s->port, "ring-ref", text);
	else
		write_number(s->port, "ring-ref", s->references[0]);
	if (kind == 5)
		write_number(s->port, "event-channel", random_word() % 64);
	else if (kind == 7)
		write_node(s->port, "event-channel", text);
	else
		write_number(s->port, "event-channel", s->event_port);
}

static void ring_round(int port, unsigned int kind)
{
	struct server s;
	bool client;

	if (make(&s, port)) {
		if (kind == 2)
			rubbish(s.page + 16, 4);
		if (kind == 3)
			rubbish(s.page + 24, 8);
		publish(&s, kind);
		if (kind == 8) { /* taken back while the other side looks at it */
			end(&s);
			return;
		}
		if (kind == 10) /* changed between two looks */
			scribble(&s, 16, 2);
		client = has_client(&s, kind < 2 || kind > 8 ? CLIENT_MS : REFUSED_MS);
		if (client && kind == 0)
			scribble(&s, 0, PAGE);
		else if (client && kind == 1)
			spoil(&s);
		else if (client && kind == 9)
			scribble(&s, 20, 4);
	}
	end(&s);
}

/* The attacks, each for ever in a process of its own. */

static void attack_rings(void)
{
	for (unsigned int kind = 0;; kind++)
		ring_round(HOSTILE_RINGS, kind % 11);
}

/* Greets as an agent does, then speaks nonsense: of no type, of every type, too long, cut off. */
static void attack_agent(void)
{
	for (unsigned int n = 0;; n++) {
		uint8_t hello[QREXEC_HELLO_MESSAGE_LEN], message[256];
		struct server s;

		if (make(&s, 512)) {
			publish(&s, 0);
			if (has_client(&s, CLIENT_MS)) {
				qrexec_encode_hello(hello, QREXEC_VERSION);
				say(&s, hello, sizeof(hello));
				rubbish(message, sizeof(message));
				le32_put(message, 0x200 + random_word() % 0x20);
				le32_put(message + 4, n % 3 ? random_word() % 200 : random_word());
				(void)poll(NULL, 0, 300);
				say(&s, message, sizeof(message));
				if (n % 2)
					scribble(&s, 0, PAGE);
				(void)poll(NULL, 0, 300);
			}
		}
		end(&s);
	}
}

/* Storms rest, so that the other attacks come through as well: all share one processor in the test. */
static void calm(void)
{
	if (now_ms() % STORM_MS > STORM_MS / 8)
		(void)poll(NULL, 0, STORM_MS / 2);
}

static void attack_events(void)
{
	struct server servers[STORM_PORTS];

	for (int i = 0; i < STORM_PORTS; i++) {
		if (!make(&servers[i], HOSTILE_STORM + i))
			return;
		publish(&servers[i], 0);
	}
	for (;; calm())
		for (int i = 0; i < STORM_PORTS; i++)
			notify(&servers[i]);
}

static void attack_watches(void)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "/local/domain/%d/control/shutdown", own);
	for (;; calm()) {
		char text[64];

		write_number(HOSTILE_WATCHED, "event-channel", random_word() % 64);
		rubbish_text(text, sizeof(text) - 1);
		if (store_write(store, path, text))
			continue;
	}
}

static void attack_console(void)
{
	int fd = open("/dev/hvc0", O_WRONLY | O_NOCTTY | O_CLOEXEC);
	uint8_t text[4096];

	for (;; calm()) {
		rubbish(text, sizeof(text));
		if (fd < 0 || write(fd, text, sizeof(text)) < 0)
			(void)poll(NULL, 0, 10);
	}
}

/* xenstore, after the others: they need a node or two. */

static void fill_node(const char *path)
{
	char text[2049];
	size_t len = 1U << random_word() % 12;

	rubbish_text(text, len);
	if (store_write(store, path, text) && store_set_access(store, path, 0, 0, true))
		return;
}

static void fill_below(const char *path, int depth)
{
	char names[STORE_PAYLOAD_MAX], child[STORE_PATH_MAX];
	size_t len = 0;

	fill_node(path);
	if (depth == 0 || store_list(store, path, names, &len))
		return;
	for (size_t at = 0; at < len; at += strlen(names + at) + 1)
		if (snprintf(child, sizeof(child), "%s/%s", path, names + at) < (int)sizeof(child))
			fill_below(child, depth - 1);
}

static void attack_store(void)
{
	char path[STORE_PATH_MAX], token[16];
	int n = 0, watched = 0;
	size_t len;

	(void)snprintf(path, sizeof(path), "/local/domain/%d", own);
	fill_below(path, 8);
	/* As deep as a path may be. */
	len = (size_t)snprintf(path, sizeof(path), "/local/domain/%d/data", own);
	while (len + 3 < sizeof(path) && n < DEEP) {
		memcpy(path + len, "/d", 3);
		len += 2;
		n++;
		if (store_make_folder(store, path))
			break;
	}
	/* And as wide as the quota lets it. */
	for (int i = 0; i < 100000; i++) {
		(void)snprintf(path, sizeof(path), "/local/domain/%d/data/w%d", own, i);
		if (store_make_folder(store, path))
			break;
		n++;
		fill_node(path);
	}
	for (int i = 0; i < TOKENS; i++) {
		(void)snprintf(token, sizeof(token), "t%d", i);
		watched += store_watch(store, "/local/domain", token) == 0;
	}
	(void)snprintf(path, sizeof(path), "/local/domain/%d/attr", own);
	(void)snprintf(token, sizeof(token), "%d+%d", n, watched);
	if (store_write(store, path, token))
		(void)fprintf(stderr, "hostile: %s nodes and watches\n", token);
}

static void (*const attacks[])(void) = {attack_rings, attack_agent, attack_events, attack_watches,
                                        attack_console};

static const char *command_line(void)
{
	static char text[512];
	OWNED_FD int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	text[n < 0 ? 0 : n] = '\0';
	return text;
}

static void finish(const char *line)
{
	if (strstr(line, "end=panic")) {
		OWNED_FD int fd = open("/proc/sysrq-trigger", O_WRONLY | O_CLOEXEC);

		if (fd < 0 || write(fd, "c", 1) != 1)
			perror("panic");
	} else if (strstr(line, "end=reboot")) {
		(void)reboot(RB_AUTOBOOT);
	}
}

/* A connection to xenstore each: one process's answers are not another's. */
static bool open_store(void)
{
	uint32_t domid;

	if (store_open(&store) || store_read_number(store, "domid", 1, 0x7FEF, &domid))
		return false;
	own = (int)domid;
	return true;
}

static void wait_for(const char *node)
{
	uint32_t one;

	while (store_read_number(store, node, 1, 1, &one))
		(void)poll(NULL, 0, 500);
}

static void attack(void)
{
	pid_t pids[ARRAY_LEN(attacks)];

	if (!open_store() || store_write(store, "data/up", "1"))
		return;
	wait_for("attack");

	for (size_t i = 0; i < ARRAY_LEN(attacks); i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			seed += (uint32_t)i * 7919;
			if (open_store())
				attacks[i]();
			_exit(1);
		}
	}
	wait_for("end");
	for (size_t i = 0; i < ARRAY_LEN(attacks); i++)
		(void)kill(pids[i], SIGKILL);
	attack_store();
}

int main(void)
{
	const char *line = command_line();

	if (strstr(line, "attack"))
		attack();
	finish(line);
	for (;;)
		(void)pause();
}
