/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * skerry-console - what one qube writes on its Xen console, to a log. Without a reader a qube's
 * kernel waits for ever on a full console. Started by the toolstack with the log as descriptor 1, the event
 * channel, bound to that qube, as 3, the console's page as 4, and the local port and the qube's name as arguments.
 *
 * Trust: the qube writes any byte of the page at any time. What it says is escaped, cut into lines and limited.
 * Exit: 0 the event channel ended, 100 the page made no sense, 111 it could not start.
 */
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/sandbox/common_calls.h"
#include "lib/sandbox/sandbox.h"
#include "lib/xen/store.h"

#define EVENT_FD       3
#define PAGE_FD        4
#define EVENT_NOTIFY   0x00044504U /* IOCTL_EVTCHN_NOTIFY */
#define EXIT_MALFORMED 100
#define EXIT_AGAIN     111
#define RING           2048U
#define LINE_MAX_BYTES 256U
#define LOG_MAX_BYTES  (4U << 20)
#define MEMORY_MAX     (32U << 20) /* address space, bytes; chosen */

/* xen/include/public/io/console.h */
struct console_page {
	uint8_t in[1024];
	uint8_t out[RING];
	_Atomic uint32_t in_cons, in_prod;
	_Atomic uint32_t out_cons, out_prod;
};
static_assert(offsetof(struct console_page, out_cons) == 3080, "layout of Xen");

struct console {
	struct console_page *page;
	uint32_t port;
	uint32_t taken;
	struct log_limit limit;
	uint64_t log_len; /* bytes of the log's file */
	uint8_t line[LINE_MAX_BYTES];
	size_t len;
};

static void write_line(struct console *c)
{
	char text[LINE_MAX_BYTES * 4 + 2];
	size_t n = escape_text(text, sizeof(text) - 1, c->line, c->len);

	c->len = 0;
	if (!log_allow(&c->limit))
		return;
	text[n] = '\n';
	c->log_len += n + 1;
	/* Nothing that a qube says may fill dom0's disk. */
	if (c->log_len > LOG_MAX_BYTES && ftruncate(1, 0) == 0) {
		c->log_len = 0;
		LOG("the log was full, and begins anew");
	}
	/* A log that cannot be written is no reason to stop the qube. */
	if (fd_write_all(1, text, n + 1))
		return;
}

static void take_byte(struct console *c, uint8_t untrusted_byte)
{
	if (untrusted_byte == '\n' || c->len == sizeof(c->line))
		write_line(c);
	if (untrusted_byte != '\n' && untrusted_byte != '\r')
		c->line[c->len++] = untrusted_byte;
}

/* All that is there now; 0, or -1: an index that cannot be. */
static int drain(struct console *c)
{
	uint8_t untrusted_bytes[RING];
	uint32_t untrusted_prod = atomic_load(&c->page->out_prod);
	uint32_t n = untrusted_prod - c->taken;

	if (n > RING)
		return -1;
	for (uint32_t i = 0; i < n; i++)
		untrusted_bytes[i] = c->page->out[(c->taken + i) % RING];
	c->taken += n;
	atomic_store(&c->page->out_cons, c->taken);
	if (n > 0)
		(void)ioctl(EVENT_FD, EVENT_NOTIFY, &c->port);
	for (uint32_t i = 0; i < n; i++)
		take_byte(c, untrusted_bytes[i]);
	return 0;
}

static int run(struct console *c)
{
	struct pollfd look = {.fd = EVENT_FD, .events = POLLIN};

	for (;;) {
		uint32_t ports[4];
		ssize_t n;

		if (drain(c)) {
			LOG("the console's indices make no sense");
			return EXIT_MALFORMED;
		}
		if (poll(&look, 1, -1) < 0 && errno != EINTR)
			return EXIT_AGAIN;
		n = read(EVENT_FD, ports, sizeof(ports));
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
			return 0;
		if (n > 0 && write(EVENT_FD, ports, (size_t)n) < 0)
			return 0;
	}
}

static int confine_console(void)
{
	static const struct confine_call calls[] = {CONFINE_CALLS_BASE,
	                                            CONFINE_CALLS_GRANT,
	                                            {"poll", "the event channel"},
	                                            {"ftruncate", "a log that is full"}};
	static const int fds[] = {1, 2, EVENT_FD};
	static const struct confine_rights rights = {
	        .name = "skerry-console",
	        .calls = calls,
	        .n_calls = ARRAY_LEN(calls),
	        .fds = fds,
	        .n_fds = ARRAY_LEN(fds),
	        .memory_max = MEMORY_MAX,
	        .files_max = 8,
	        .required = CONFINE_NO_NEW_PRIVS | CONFINE_SECCOMP | CONFINE_LIMITS | CONFINE_FDS,
	        .wanted = CONFINE_LANDLOCK | CONFINE_NAMESPACES,
	};

	return confine(&rights);
}

int main(int argc, char **argv)
{
	static struct console console = {.limit = {.burst = 1000, .per_second = 10}};
	static char name[64];
	struct stat st;

	log_init("skerry-console");
	if (argc != 3 || !store_decimal(argv[1], 1, UINT32_MAX, &console.port)) {
		(void)fprintf(stderr, "usage: skerry-console LOCAL-PORT QUBE\n");
		return 2;
	}
	(void)snprintf(name, sizeof(name), "skerry-console of %s", argv[2]);
	log_init(name);
	console.page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, PAGE_FD, 0);
	if (console.page == MAP_FAILED) {
		LOG_ERRNO("the console's page");
		return EXIT_AGAIN;
	}
	if (fstat(1, &st) == 0 && S_ISREG(st.st_mode))
		console.log_len = (uint64_t)st.st_size;
	/* Its reader before us may have taken some. */
	console.taken = atomic_load(&console.page->out_cons);
	if (confine_console())
		return EXIT_AGAIN;
	return run(&console);
}
