/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One operation. This process is not confined: it opens what the archive goes to, starts the calls into
 * qubes, and gives the archive its name when it is whole. It reads one packet of the admin service and
 * no byte of a profile, a volume or a qube but a passphrase; what does is its child, confined. If either
 * is killed the archive, which has no name yet, is gone with it.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "services/backup/program.h"
#include "services/backup/service.h"

#define REQUEST_MS 10000 /* from the connection to the request; chosen */

static uint8_t packet[BACKUP_PACKET_MAX];

int service_send(int conn, const struct backup_message *m)
{
	static uint8_t out[BACKUP_PACKET_MAX];
	ssize_t n = backup_encode(out, sizeof(out), m);

	if (n < 0)
		errno = EMSGSIZE;
	return n > 0 && fd_send_message(conn, out, (size_t)n, NULL, 0) == n ? 0 : -1;
}

void service_fail(int conn, enum backup_code code, const char *fmt, ...)
{
	char text[600], shown[900];
	struct backup_message m = {.kind = BACKUP_FAILED, .code = code, .text = shown};
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	(void)escape_text(shown, sizeof(shown), text, strlen(text));
	if (service_send(conn, &m))
		LOG("nobody is told: %s", text);
}

/* Where the archive goes, and who carries it there. */
struct way {
	struct place place;
	int out;    /* owned by place, or the call's input */
	pid_t call; /* 0: none */
};

static int open_way(int conn, const struct backup_message *m, struct way *w)
{
	const struct backup_profile *p = &m->profile;

	*w = (struct way){.place = {.fd = -1, .dir = -1}, .out = -1};
	if (strcmp(p->destination_vm, "dom0") == 0) {
		if (place_open(conn, p->destination_path, &w->place))
			return -1;
		w->out = w->place.fd;
		return 0;
	}
	w->call = storing_call(conn, p->destination_vm, p->destination_path, &w->out);
	return w->call > 0 ? 0 : -1;
}

static int process_handle(pid_t pid)
{
	return pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0U) : -1;
}

/* Which of the two ended: 0 the maker, 1 the call, -1: the admin service wants no more of it. */
static int wait_any(int conn, pid_t maker, pid_t call)
{
	OWNED_FD int maker_fd = process_handle(maker);
	OWNED_FD int call_fd = process_handle(call);
	struct pollfd fds[] = {{.fd = maker_fd, .events = POLLIN},
	                       {.fd = call_fd, .events = POLLIN},
	                       {.fd = conn, .events = POLLRDHUP}};

	while (poll(fds, ARRAY_LEN(fds), -1) < 0) {
		if (errno != EINTR)
			return -1;
	}
	if (fds[2].revents & (POLLRDHUP | POLLHUP | POLLERR))
		return -1;
	return fds[0].revents ? 0 : 1;
}

/* The maker said what was wrong, if it could. */
static int judge_maker(int conn, pid_t maker)
{
	int status = 0;

	while (waitpid(maker, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == ARCHIVE_WHOLE)
		return 0;
	if (WIFSIGNALED(status))
		service_fail(
		        conn, BACKUP_E_FAILED,
		        "The process that makes the backup was ended by signal %d; nothing is kept",
		        WTERMSIG(status));
	return -1;
}

/* The archive is whole; whoever carries it must say so too. */
static int finish(int conn, const struct backup_message *m, struct way *w)
{
	struct backup_message done = {.kind = BACKUP_DONE, .text = w->place.name};

	if (w->call == 0) {
		if (place_keep(conn, &w->place))
			return 1;
		return service_send(conn, &done) ? 1 : 0;
	}
	w->out = fd_close(w->out);
	if (wait_any(conn, 0, w->call) != 1)
		return 1;
	if (program_wait(w->call)) {
		w->call = 0;
		service_fail(conn, BACKUP_E_FAILED, "qubes.Backup in %s says that it failed",
		             m->profile.destination_vm);
		return 1;
	}
	w->call = 0;
	done.text = m->profile.destination_path;
	return service_send(conn, &done) ? 1 : 0;
}

static pid_t start_maker(int conn, const struct backup_message *m, int out, const char *pass,
                         unsigned int log_n)
{
	pid_t parent = getpid(), pid = fork();

	if (pid != 0) {
		/* Its own programs go with it, by its group. */
		if (pid > 0)
			(void)setpgid(pid, pid);
		return pid;
	}
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	(void)setpgid(0, 0);
	_exit(make_archive(conn, out, m, pass, log_n));
}

static int run(int conn, const struct backup_message *m, const char *pass, unsigned int log_n)
{
	struct way w;
	int r = 1, ended;
	pid_t maker;

	if (open_way(conn, m, &w))
		return 1;
	maker = start_maker(conn, m, w.out, pass, log_n);
	if (maker < 0) {
		service_fail(conn, BACKUP_E_FAILED, "No process can be started");
		ended = -1;
	} else {
		ended = wait_any(conn, maker, w.call);
	}
	if (ended == 1)
		service_fail(conn, BACKUP_E_FAILED, "qubes.Backup in %s has ended too early",
		             m->profile.destination_vm);
	if (ended != 0 && maker > 0)
		(void)kill(-maker, SIGKILL);
	if (maker > 0 && judge_maker(conn, maker) == 0 && ended == 0)
		r = finish(conn, m, &w);
	if (w.call > 0)
		program_end(w.call);
	if (w.out != w.place.fd)
		(void)fd_close(w.out);
	place_drop(&w.place);
	return r;
}

static int make(int conn, const struct backup_message *m, unsigned int log_n)
{
	char pass[SERVICE_PASS_LEN];
	const char *text = m->profile.passphrase_text;
	int r;

	if (text[0] == '\0') {
		if (passphrase_from(conn, m->profile.passphrase_vm, m->name, pass))
			return 1;
	} else if (strlen(text) >= sizeof(pass)) {
		service_fail(conn, BACKUP_E_FAILED, "The passphrase is too long");
		return 1;
	} else {
		memcpy(pass, text, strlen(text) + 1);
	}
	r = run(conn, m, pass, log_n);
	explicit_bzero(pass, sizeof(pass));
	return r;
}

void operate(int conn, unsigned int log_n)
{
	static struct backup_message m;
	struct pollfd wait = {.fd = conn, .events = POLLIN};
	int fds[FD_PASS_MAX], r = 1;
	size_t n_fds = 0;
	ssize_t n = poll(&wait, 1, REQUEST_MS) == 1
	                    ? fd_recv_message(conn, packet, sizeof(packet), fds, &n_fds)
	                    : -1;

	for (size_t i = 0; n >= 0 && i < n_fds; i++)
		(void)fd_close(fds[i]);
	if (n <= 0 || backup_decode(packet, (size_t)n, &m))
		LOG("a request that is none");
	else if (m.kind == BACKUP_READ)
		r = read_profile(conn, &m);
	else if (m.kind == BACKUP_MAKE)
		r = make(conn, &m, log_n);
	else
		LOG("a request of an unknown kind");
	explicit_bzero(packet, sizeof(packet));
	exit(r);
}
