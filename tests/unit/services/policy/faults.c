/* SPDX-License-Identifier: GPL-2.0-or-later */
/* If this fails, a machine short of memory or descriptors makes the deciding process crash, leak, or
 * allow what the policy refuses. */
#include "tests/unit/unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/base/bytes.h"
#include "lib/base/fd.h"
#include "proto/facts.h"
#include "services/policy/servers.h"

/*
 * The linker puts these in the place of the calls that the service makes: the n-th one fails. The
 * scenario is a life of the deciding process without its confinement: start, load, facts, one refused
 * and one allowed question as text and on a kept connection, an ask, a changed policy, and the end. An
 * answer may be missing after a failure. What is refused is never allowed; no descriptor and, under
 * AddressSanitizer, no memory is left.
 */
static bool armed, failed;
static unsigned int calls, fail_at;
static int fail_errno;

static bool fails(void)
{
	if (!armed || ++calls != fail_at)
		return false;
	failed = true;
	errno = fail_errno;
	return true;
}

#define FAULT(type, none, name, params, args)                                                      \
	type __real_##name params;                                                                 \
	type __wrap_##name params;                                                                 \
	type __wrap_##name params                                                                  \
	{                                                                                          \
		return fails() ? none : __real_##name args;                                        \
	}

FAULT(void *, NULL, malloc, (size_t n), (n))
FAULT(void *, NULL, calloc, (size_t n, size_t size), (n, size))
FAULT(void *, NULL, realloc, (void *p, size_t n), (p, n))
FAULT(void *, NULL, reallocarray, (void *p, size_t n, size_t size), (p, n, size))
FAULT(char *, NULL, strndup, (const char *s, size_t n), (s, n))
FAULT(char *, NULL, strdup, (const char *s), (s))
FAULT(char *, NULL, realpath, (const char *s, char *out), (s, out))
FAULT(DIR *, NULL, opendir, (const char *s), (s))
FAULT(int, -1, stat64, (const char *s, struct stat *st), (s, st))
FAULT(int, -1, fstat64, (int fd, struct stat *st), (fd, st))
FAULT(int, -1, epoll_create1, (int flags), (flags))
FAULT(int, -1, epoll_wait, (int e, struct epoll_event *ev, int n, int ms), (e, ev, n, ms))
FAULT(int, -1, inotify_init1, (int flags), (flags))
FAULT(int, -1, inotify_add_watch, (int fd, const char *s, uint32_t mask), (fd, s, mask))
FAULT(int, -1, accept4, (int fd, struct sockaddr *a, socklen_t *n, int f), (fd, a, n, f))
FAULT(int, -1, recvmmsg, (int fd, struct mmsghdr *m, unsigned int n, int f, struct timespec *t),
      (fd, m, n, f, t))
FAULT(int, -1, sendmmsg, (int fd, struct mmsghdr *m, unsigned int n, int f), (fd, m, n, f))
FAULT(ssize_t, -1, read, (int fd, void *p, size_t n), (fd, p, n))
FAULT(ssize_t, -1, recv, (int fd, void *p, size_t n, int flags), (fd, p, n, flags))
FAULT(ssize_t, -1, send, (int fd, const void *p, size_t n, int flags), (fd, p, n, flags))
/* What the fortified build calls instead. */
FAULT(ssize_t, -1, __read_chk, (int fd, void *p, size_t n, size_t room), (fd, p, n, room))
FAULT(ssize_t, -1, __recv_chk, (int fd, void *p, size_t n, size_t room, int flags),
      (fd, p, n, room, flags))
FAULT(char *, NULL, __realpath_chk, (const char *s, char *out, size_t room), (s, out, room))

/* Only a new source needs memory in the kernel; the loop relies on it. */
int __real_epoll_ctl(int e, int op, int fd, struct epoll_event *ev);
int __wrap_epoll_ctl(int e, int op, int fd, struct epoll_event *ev);
int __wrap_epoll_ctl(int e, int op, int fd, struct epoll_event *ev)
{
	return op == EPOLL_CTL_ADD && fails() ? -1 : __real_epoll_ctl(e, op, fd, ev);
}

static char dir[] = "/tmp/skerry-policy-faults-XXXXXX";
static char policy_dir[128], legacy_dir[128], policy_file[160];

struct world {
	struct service service;
	struct loop *loop;
	int helpers[3]; /* our ends */
	int listeners[2];
	int text, kept;
	unsigned int allowed; /* answers that allow */
};

static size_t descriptors(void)
{
	DIR *d = __real_opendir("/proc/self/fd");
	size_t n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	(void)closedir(d);
	return n;
}

static void write_policy(const char *text)
{
	FILE *f = fopen(policy_file, "we");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static int listen_at(const char *name, int type)
{
	char path[160];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = fd_listen_unix(path, type | SOCK_NONBLOCK, 0600, 8);
	assert_true(fd >= 0);
	return fd;
}

static int dial(const char *name, int type)
{
	char path[160];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = fd_connect_unix(path, type | SOCK_NONBLOCK);
	assert_true(fd >= 0);
	return fd;
}

/* Three qubes, one of them dom0, as the facts helper tells them. */
static void send_facts(int fd, uint32_t generation)
{
	static const char *const names[] = {"dom0", "work", "vault"};
	static const char *const uuids[] = {"00000000-0000-0000-0000-000000000000",
	                                    "00000001-0000-4000-8000-000000000000",
	                                    "00000002-0000-4000-8000-000000000000"};
	struct facts_head head = {
	        .kind = FACTS_TABLE, .live = true, .generation = generation, .qubes = 3};
	uint8_t frame[2048];
	struct wire_writer w = wire_writer(frame + 4, sizeof(frame) - 4);
	static struct facts_qube qube;
	size_t i, k;

	facts_encode_head(&w, &head);
	for (i = 0; i < ARRAY_LEN(names); i++) {
		for (k = 0; k < FACTS_TEXTS; k++)
			qube.text[k] = "";
		qube.text[FACTS_NAME] = names[i];
		qube.text[FACTS_UUID] = uuids[i];
		qube.text[FACTS_TYPE] = i ? "AppVM" : "AdminVM";
		qube.text[FACTS_GUIVM] = i ? "dom0" : "";
		qube.flags = FACTS_RUNNING;
		facts_encode_qube(&w, &qube);
	}
	assert_false(w.bad);
	le32_put(frame, (uint32_t)w.len);
	(void)!__real_send(fd, frame, w.len + 4, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* What the helpers do: the one of facts answers, the others only take. */
static void help(struct world *w)
{
	static uint8_t data[65536];
	ssize_t n = __real_recv(w->helpers[0], data, sizeof(data), MSG_DONTWAIT);

	if (n >= 4)
		send_facts(w->helpers[0], w->service.facts.generation);
	(void)!__real_recv(w->helpers[1], data, sizeof(data), MSG_DONTWAIT);
	(void)!__real_recv(w->helpers[2], data, sizeof(data), MSG_DONTWAIT);
}

static void turns(struct world *w, unsigned int n)
{
	while (n-- > 0) {
		int r;

		help(w);
		armed = true;
		r = loop_turn(w->loop, failed ? 0 : 1);
		armed = false;
		if (r)
			return;
	}
}

/* Asked as text; whether an answer that allows came. */
static bool ask_text(struct world *w, const char *service)
{
	char text[256];
	ssize_t n;
	int fd = dial("text", SOCK_STREAM), i;

	n = snprintf(text, sizeof(text),
	             "source=work\nintended_target=vault\nservice_and_arg=%s\n\n", service);
	assert_int_equal(__real_send(fd, text, (size_t)n, MSG_NOSIGNAL), n);
	for (i = 0, n = -1; i < 12 && n < 0; i++) {
		turns(w, 1);
		n = __real_recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);
	}
	fd_close(fd);
	turns(w, 2);
	text[n > 0 ? n : 0] = 0;
	return strstr(text, "result=allow") != NULL;
}

static bool ask_kept(struct world *w, const char *name)
{
	const struct policy_question question = {.id = 5,
	                                         .source = "work",
	                                         .requested_source = "",
	                                         .target = "vault",
	                                         .service = name};
	static uint8_t packet[4096];
	static struct policy_answer answer;
	ssize_t n = policy_encode_question(packet, sizeof(packet), &question);
	int i;

	assert_true(n > 0);
	(void)!__real_send(w->kept, packet, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT);
	for (i = 0, n = -1; i < 12 && n < 0; i++) {
		turns(w, 1);
		n = __real_recv(w->kept, packet, sizeof(packet), MSG_DONTWAIT);
	}
	if (n <= 0)
		return false;
	assert_int_equal(policy_decode_answer(packet, (size_t)n, &answer), 0);
	assert_int_equal(answer.id, 5);
	return answer.verdict == POLICY_ALLOWED;
}

/* Without failures: what must come. With one: no more than that. */
static void expect(bool allowed, bool wanted)
{
	if (failed && wanted)
		return;
	assert_int_equal(allowed, wanted);
}

static int start(struct world *w)
{
	static const char *dirs[] = {policy_dir};
	const struct policy_place place = {.dirs = dirs, .n_dirs = 1, .legacy_dir = legacy_dir};
	int (*const attach[])(struct service *, int) = {facts_attach, prompts_attach,
	                                                record_attach};
	int pair[2], r;
	size_t i;

	armed = true;
	w->loop = loop_new();
	armed = false;
	if (!w->loop)
		return -1;
	service_init(&w->service, w->loop);
	for (i = 0; i < ARRAY_LEN(attach); i++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
		w->helpers[i] = pair[0];
		armed = true;
		r = attach[i](&w->service, pair[1]);
		armed = false;
		if (r) {
			fd_close(pair[1]);
			return -1;
		}
	}
	armed = true;
	r = live_init(&w->service.live, w->loop, &place, NULL);
	if (r == 0)
		r = text_server_start(&w->service, w->listeners[0], TEXT_POLICY);
	if (r == 0)
		r = calls_server_start(&w->service, w->listeners[1]);
	armed = false;
	return r;
}

static void use(struct world *w)
{
	w->kept = dial("kept", SOCK_SEQPACKET);
	expect(ask_text(w, "a.Allow"), true);
	expect(ask_text(w, "a.Deny"), false);
	expect(ask_kept(w, "a.Deny"), false);
	expect(ask_kept(w, "a.Allow"), true);
	expect(ask_text(w, "a.Ask"), false);
	write_policy("a.Allow * * * deny\na.Deny * * * allow\n");
	expect(ask_text(w, "a.Allow"), false);
	expect(ask_kept(w, "a.Allow"), false);
	expect(ask_text(w, "a.Deny"), true);
	w->kept = fd_close(w->kept);
}

static void end(struct world *w)
{
	size_t i;

	/* Connections that a failure left in a socket's queue, and those that are served. */
	for (i = 0; w->loop && i < 20; i++)
		(void)loop_turn(w->loop, 0);
	if (w->service.live.loop) {
		live_fini(&w->service.live);
		w->service.live.loop = NULL;
	}
	if (w->loop)
		service_fini(&w->service);
	w->loop = loop_free(w->loop);
	for (i = 0; i < ARRAY_LEN(w->helpers); i++)
		fd_close(w->helpers[i]);
	for (i = 0; i < ARRAY_LEN(w->listeners); i++)
		fd_close(w->listeners[i]);
}

static void life(void)
{
	static struct world w;
	size_t before = descriptors();

	memset(&w, 0, sizeof(w));
	memset(w.helpers, -1, sizeof(w.helpers));
	w.kept = -1;
	write_policy("a.Allow * * * allow\na.Deny * * * deny\na.Ask * * * ask\n");
	w.listeners[0] = listen_at("text", SOCK_STREAM);
	w.listeners[1] = listen_at("kept", SOCK_SEQPACKET);
	calls = 0;
	failed = false;
	if (start(&w) == 0)
		use(&w);
	end(&w);
	assert_int_equal(descriptors(), before);
}

static void each_call_fails(int error)
{
	unsigned int n;

	fail_at = 0;
	life();
	assert_true(calls > 100);
	fail_errno = error;
	for (n = 1;; n++) {
		fail_at = n;
		life();
		if (!failed)
			break;
	}
	assert_true(n > 100);
}

static void no_memory(void **state UNUSED)
{
	each_call_fails(ENOMEM);
}

static void no_access(void **state UNUSED)
{
	each_call_fails(EACCES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(no_memory),
	                                   cmocka_unit_test(no_access)};
	char path[160];
	int status;

	if (!mkdtemp(dir))
		return 1;
	(void)snprintf(policy_dir, sizeof(policy_dir), "%s/policy.d", dir);
	(void)snprintf(legacy_dir, sizeof(legacy_dir), "%s/policy", dir);
	(void)snprintf(policy_file, sizeof(policy_file), "%s/30-user.policy", policy_dir);
	if (mkdir(policy_dir, 0700) || mkdir(legacy_dir, 0700))
		return 1;
	status = cmocka_run_group_tests(tests, NULL, NULL);
	(void)unlink(policy_file);
	(void)rmdir(policy_dir);
	(void)rmdir(legacy_dir);
	(void)snprintf(path, sizeof(path), "%s/text", dir);
	(void)unlink(path);
	(void)snprintf(path, sizeof(path), "%s/kept", dir);
	(void)unlink(path);
	(void)rmdir(dir);
	return status;
}
