/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * If one of these failed, whoever takes over a confined process could do what doc/confinement.md says
 * it cannot. Each restriction alone: the attack succeeds in an unconfined child, and is refused in a
 * child that confine() gave this one mechanism only. A table of everything together follows.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/sandbox/attack.h"
#include "lib/sandbox/common_calls.h"

#define MEMORY_MAX              (256U << 20)
#define FILES_MAX               64U
#define LANDLOCK_CREATE_RULESET 444  /* absent from older headers */
#define KILLED                  1000 /* result: died of SIGSYS; other signals: 2000 + number */
#define NOT_CONFINED            3000 /* confine() failed */

static struct attack_world world;
static int n_tests;
static int n_failed;

static const struct confine_call calls[] = {CONFINE_CALLS_BASE, CONFINE_CALLS_LOOP};

/* One restriction: by one mechanism, the attack ends with this. */
static const struct row {
	const char *attack;
	uint32_t mechanism;
	int want;       /* errno or KILLED */
	bool root_only; /* succeeds unconfined for root only */
	int abi;        /* the first of Landlock that can refuse it; 0: any */
} rows[] = {
        {"gain-privileges", CONFINE_NO_NEW_PRIVS, EPERM, false},
        {"name-host", CONFINE_NO_NEW_PRIVS, EPERM, true},
        {"mount", CONFINE_NO_NEW_PRIVS, EPERM, true},
        {"use-leaked", CONFINE_FDS, EBADF, false},
        {"open-secret", CONFINE_NAMESPACES, ENOENT, false},
        {"open-passwd", CONFINE_NAMESPACES, ENOENT, false},
        {"list-folder", CONFINE_NAMESPACES, ENOENT, false},
        {"create-file", CONFINE_NAMESPACES, ENOENT, false},
        {"connect-path", CONFINE_NAMESPACES, ENOENT, false},
        {"connect-abstract", CONFINE_NAMESPACES, ECONNREFUSED, false},
        {"connect-tcp", CONFINE_NAMESPACES, ENETUNREACH, false},
        {"attach-segment", CONFINE_NAMESPACES, ENOENT, false},
        {"read-memory", CONFINE_NAMESPACES, ENOENT, false},
        {"run-program", CONFINE_NAMESPACES, ENOENT, false},
        {"attach", CONFINE_NAMESPACES, EPERM, false},
        {"map-too-much", CONFINE_LIMITS, ENOMEM, false},
        {"open-too-many", CONFINE_LIMITS, EMFILE, false},
        {"be-readable", CONFINE_LIMITS, EPERM, false},
        {"leave-core", CONFINE_LIMITS | CONFINE_NO_NEW_PRIVS, EPERM, false},
        {"open-secret", CONFINE_LANDLOCK, EACCES, false},
        {"open-to-write", CONFINE_LANDLOCK, EACCES, false},
        {"empty-file", CONFINE_LANDLOCK, EACCES, false},
        {"create-file", CONFINE_LANDLOCK, EACCES, false},
        {"list-folder", CONFINE_LANDLOCK, EACCES, false},
        {"remove-file", CONFINE_LANDLOCK, EACCES, false},
        {"make-folder", CONFINE_LANDLOCK, EACCES, false},
        {"run-program", CONFINE_LANDLOCK, EACCES, false},
        {"run-foreign", CONFINE_LANDLOCK, EACCES, false},
        {"connect-tcp", CONFINE_LANDLOCK, EACCES, false, 4},
        {"listen-tcp", CONFINE_LANDLOCK, EACCES, false, 4},
        {"connect-abstract", CONFINE_LANDLOCK, EPERM, false, 6},
        {"signal-other", CONFINE_LANDLOCK, EPERM, false, 6},
        {"signal-by-descriptor", CONFINE_LANDLOCK, EPERM, false, 6},
        {"signal-by-descriptor", CONFINE_SECCOMP, KILLED, false},
        {"attach", CONFINE_LANDLOCK, EPERM, false},
        {"climb", CONFINE_NAMESPACES, ENOENT, false},
        {"climb", CONFINE_LANDLOCK, EACCES, false},
        {"open-secret", CONFINE_SECCOMP, KILLED, false},
        {"make-socket", CONFINE_SECCOMP, KILLED, false},
        {"connect-path", CONFINE_SECCOMP, KILLED, false},
        {"run-program", CONFINE_SECCOMP, KILLED, false},
        {"make-process", CONFINE_SECCOMP, KILLED, false},
        {"attach", CONFINE_SECCOMP, KILLED, false},
        {"signal-other", CONFINE_SECCOMP, KILLED, false},
        {"map-executable", CONFINE_SECCOMP, KILLED, false},
        {"make-executable", CONFINE_SECCOMP, KILLED, false},
        {"change-user", CONFINE_SECCOMP, KILLED, false},
        {"new-user-space", CONFINE_SECCOMP, KILLED, false},
        {"use-keyring", CONFINE_SECCOMP, KILLED, false},
        {"load-bpf", CONFINE_SECCOMP, KILLED, true},
        {"make-ring", CONFINE_SECCOMP, KILLED, true},
        {"make-userfault", CONFINE_SECCOMP, KILLED, true},
        {"count-events", CONFINE_SECCOMP, KILLED, true},
};

static void report(bool ok, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void report(bool ok, const char *fmt, ...)
{
	char text[256];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	n_failed += !ok;
	printf("%sok %d - %s\n", ok ? "" : "not ", ++n_tests, text);
	(void)fflush(stdout);
}

/* In a child: confine if asked, then the attack; 0, errno, KILLED, … */
static int run(const struct attack *a, const struct confine_rights *rights)
{
	pid_t pid = fork();
	int status;
	int r;

	if (pid == 0) {
		if (rights && confine(rights))
			_exit(255);
		_exit(a->run(&world));
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	if (WIFSIGNALED(status))
		return WTERMSIG(status) == SIGSYS ? KILLED : 2000 + WTERMSIG(status);
	r = WEXITSTATUS(status);
	return r == 255 ? NOT_CONFINED : r;
}

/* Files an attack changed are put back for the next one. */
static void restore(void)
{
	char path[600];

	(void)snprintf(path, sizeof(path), "%s/victim", world.dir);
	(void)fd_close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	(void)snprintf(path, sizeof(path), "%s/folder", world.dir);
	(void)rmdir(path);
	(void)snprintf(path, sizeof(path), "%s/new", world.dir);
	(void)unlink(path);
}

static struct confine_rights rights_of(uint32_t mechanisms)
{
	static const int fds[] = {0, 1, 2};

	return (struct confine_rights){
	        .name = "confine-test",
	        .calls = calls,
	        .n_calls = ARRAY_LEN(calls),
	        .fds = fds,
	        .n_fds = ARRAY_LEN(fds),
	        .memory_max = MEMORY_MAX,
	        .files_max = FILES_MAX,
	        .required = mechanisms,
	};
}

static const char *mechanism_name(uint32_t m)
{
	return m & CONFINE_SECCOMP      ? "seccomp"
	       : m & CONFINE_LANDLOCK   ? "landlock"
	       : m & CONFINE_NAMESPACES ? "namespaces"
	       : m & CONFINE_LIMITS     ? "limits"
	       : m & CONFINE_FDS        ? "fds"
	                                : "privileges";
}

static void check_row(const struct row *row)
{
	const struct attack *a = attack_find(row->attack);
	uint32_t extra =
	        row->mechanism & (CONFINE_LANDLOCK | CONFINE_SECCOMP) ? CONFINE_NO_NEW_PRIVS : 0;
	const struct confine_rights rights = rights_of(row->mechanism | extra);
	int free_result;
	int r;

	if (row->root_only && geteuid() != 0) {
		printf("# %s: only root could do it at all\n", row->attack);
		return;
	}
	if (syscall(LANDLOCK_CREATE_RULESET, NULL, (size_t)0, 1U) < row->abi) {
		printf("ok %d - %s by %s # SKIP this kernel's Landlock is older than ABI %d\n",
		       ++n_tests, row->attack, mechanism_name(row->mechanism), row->abi);
		return;
	}
	restore();
	free_result = run(a, NULL);
	restore();
	r = run(a, &rights);
	if (row->root_only && free_result != 0 && r == row->want) {
		printf("ok %d - %s by %s # SKIP this kernel refuses it to root too: %s\n",
		       ++n_tests, row->attack, mechanism_name(row->mechanism),
		       strerror(free_result));
		return;
	}
	report(free_result == 0 && r == row->want, "%s by %s", row->attack,
	       mechanism_name(row->mechanism));
	if (free_result != 0 || r != row->want)
		printf("# unconfined %d, confined %d, expected %d\n", free_result, r, row->want);
}

/* With everything on, no attack of the list succeeds; which mechanism was first does not matter. */
static void check_all_together(void)
{
	const struct confine_rights rights =
	        rights_of(CONFINE_NO_NEW_PRIVS | CONFINE_SECCOMP | CONFINE_LANDLOCK |
	                  CONFINE_NAMESPACES | CONFINE_LIMITS | CONFINE_FDS);

	for (const struct attack *a = attacks; a->name; a++) {
		int r;

		restore();
		r = run(a, &rights);
		report(r != 0 && r != NOT_CONFINED && r != -1, "%s by everything", a->name);
	}
}

/* What the table grants works: a listed folder can be read, and written only if it says so. */
static void check_listed_path(bool write, uint32_t mechanism, const char *name, int want)
{
	const struct confine_path path = {.path = world.dir, .write = write};
	struct confine_rights rights = rights_of(mechanism | CONFINE_NO_NEW_PRIVS);
	int r;

	rights.paths = &path;
	rights.n_paths = 1;
	restore();
	r = run(attack_find(name), &rights);
	report(r == want, "%s in a folder listed %s by %s", name,
	       write ? "for writing" : "for reading", mechanism_name(mechanism));
	if (r != want)
		printf("# got %d, expected %d\n", r, want);
}

/* What a receiver of files may do in its folder, and what it may not do to what lies there or beside. */
static void check_created_path(uint32_t mechanism, const char *name, int want)
{
	char folder[600];
	char path[700];
	const struct confine_path listed = {.path = folder, .create = true};
	struct confine_rights rights = rights_of(mechanism | CONFINE_NO_NEW_PRIVS);
	int r;

	(void)snprintf(folder, sizeof(folder), "%s/inside", world.dir);
	(void)snprintf(path, sizeof(path), "%s/secret", folder);
	(void)mkdir(folder, 0700);
	(void)fd_close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	(void)setenv("SKERRY_ATTACK_START", folder, 1);
	rights.paths = &listed;
	rights.n_paths = 1;
	restore();
	r = run(attack_find(name), &rights);
	(void)unsetenv("SKERRY_ATTACK_START");
	report(r == want, "%s from a folder listed for creating by %s", name,
	       mechanism_name(mechanism));
	if (r != want)
		printf("# got %d, expected %d\n", r, want);
}

/* Programs run where the table says so, and read what they need there; others do not. */
static void check_listed_programs(void)
{
	const struct confine_path paths[] = {{.path = "/usr", .run = true},
	                                     {.path = "/bin", .run = true},
	                                     {.path = "/lib", .run = true},
	                                     {.path = "/lib64", .run = true}};
	struct confine_rights rights = rights_of(CONFINE_LANDLOCK | CONFINE_NO_NEW_PRIVS);
	int r;

	rights.paths = paths;
	rights.n_paths = ARRAY_LEN(paths);
	r = run(attack_find("run-program"), &rights);
	report(r == 0, "run-program in folders listed for running by landlock");
	if (r != 0)
		printf("# got %d\n", r);
	r = run(attack_find("run-foreign"), &rights);
	report(r == EACCES, "run-foreign outside folders listed for running by landlock");
	check_listed_path(true, CONFINE_LANDLOCK, "run-foreign", EACCES);
}

/* Who may read everything can change nothing; that an open to read empties no file is left to the filter. */
static void check_reading_all(void)
{
	static const struct confine_call to_read[] = {
	        CONFINE_CALLS_BASE,
	        {"openat",
	         "to read",
	         1,
	         {{.arg = 2, .mask = O_ACCMODE | O_CREAT | O_TRUNC, .value = 0}}},
	};
	static const struct {
		const char *attack;
		uint32_t mechanism;
		int want;
	} cases[] = {
	        {"open-secret", CONFINE_LANDLOCK, 0},
	        {"list-folder", CONFINE_LANDLOCK, 0},
	        {"open-to-write", CONFINE_LANDLOCK, EACCES},
	        {"create-file", CONFINE_LANDLOCK, EACCES},
	        {"remove-file", CONFINE_LANDLOCK, EACCES},
	        {"make-folder", CONFINE_LANDLOCK, EACCES},
	        {"run-program", CONFINE_LANDLOCK, EACCES},
	        {"attach", CONFINE_LANDLOCK, EPERM},
	        {"read-memory", CONFINE_LANDLOCK, EACCES},
	        {"open-secret", CONFINE_SECCOMP, 0},
	        {"open-to-write", CONFINE_SECCOMP, KILLED},
	        {"empty-file", CONFINE_SECCOMP, KILLED},
	        {"create-file", CONFINE_SECCOMP, KILLED},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct confine_rights rights = rights_of(cases[i].mechanism | CONFINE_NO_NEW_PRIVS);
		int r;

		rights.reads_all = true;
		rights.calls = to_read;
		rights.n_calls = ARRAY_LEN(to_read);
		restore();
		r = run(attack_find(cases[i].attack), &rights);
		report(r == cases[i].want, "%s where everything may be read, by %s",
		       cases[i].attack, mechanism_name(cases[i].mechanism));
		if (r != cases[i].want)
			printf("# got %d, expected %d\n", r, cases[i].want);
	}
}

/* For who must signal processes that it did not start, and for who has rights over other namespaces. */
static void check_loosened(void)
{
	struct confine_rights rights = rights_of(CONFINE_LANDLOCK | CONFINE_NO_NEW_PRIVS);

	rights.signals = true;
	report(run(attack_find("signal-other"), &rights) == 0,
	       "signal-other where landlock lets it");
	report(run(attack_find("open-secret"), &rights) == EACCES,
	       "open-secret by landlock, with signals");
	if (geteuid() != 0)
		return;
	rights = rights_of(CONFINE_NAMESPACES | CONFINE_NO_NEW_PRIVS);
	rights.same_users = true;
	report(run(attack_find("open-secret"), &rights) == ENOENT,
	       "open-secret by namespaces without new users");
	report(run(attack_find("connect-tcp"), &rights) == ENETUNREACH,
	       "connect-tcp by namespaces without new users");
}

static int harmless(const struct attack_world *w UNUSED)
{
	void *p = malloc(1 << 20);

	LOG("a line of a confined process");
	free(p);
	return p ? 0 : ENOMEM;
}

static void check_table_mistakes(void)
{
	static const struct confine_call unknown[] = {CONFINE_CALLS_BASE,
	                                              {"no_such_call", "a mistake"}};
	static const struct attack nothing = {"nothing", harmless};
	struct confine_rights rights = rights_of(CONFINE_NO_NEW_PRIVS | CONFINE_SECCOMP);

	report(run(&nothing, &rights) == 0, "malloc and the log work by seccomp");
	rights.calls = unknown;
	rights.n_calls = ARRAY_LEN(unknown);
	report(run(&nothing, &rights) == NOT_CONFINED, "a name that is no system call is refused");
	rights.required = CONFINE_NO_NEW_PRIVS;
	rights.wanted = CONFINE_SECCOMP;
	report(run(&nothing, &rights) == 0, "a mechanism that is only wanted may be missing");
}

static int listen_abstract(void)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int n = snprintf(world.abstract, sizeof(world.abstract), "skerry-test-%d", (int)getpid());
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(addr.sun_path + 1, world.abstract, (size_t)n);
	if (bind(fd, (struct sockaddr *)&addr,
	         (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n)))
		return -1;
	return listen(fd, 100);
}

static int listen_tcp(void)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
	                           .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(addr);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) || listen(fd, 100) ||
	    getsockname(fd, (struct sockaddr *)&addr, &len))
		return -1;
	world.tcp_port = ntohs(addr.sin_port);
	return 0;
}

/* A script is enough: its interpreter is the system's. */
static int make_program(void)
{
	static const char text[] = "#!/bin/sh\nexit 0\n";
	char path[600];
	int fd, r;

	(void)snprintf(path, sizeof(path), "%s/runs", world.dir);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
	r = fd < 0 ? -1 : fd_write_all(fd, text, sizeof(text) - 1);
	(void)fd_close(fd);
	return r;
}

static int make_world(void)
{
	char path[600];

	(void)snprintf(world.dir, sizeof(world.dir), "/tmp/skconfineXXXXXX");
	if (!mkdtemp(world.dir))
		return -1;
	(void)snprintf(path, sizeof(path), "%s/secret", world.dir);
	(void)fd_close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	if (make_program())
		return -1;
	(void)snprintf(path, sizeof(path), "%s/socket", world.dir);
	if (fd_listen_unix(path, SOCK_STREAM, 0600, 100) < 0 || listen_abstract() || listen_tcp())
		return -1;
	world.shm_key = 0x5e441000 + (int)(getpid() & 0xfff);
	if (shmget(world.shm_key, 4096, IPC_CREAT | 0600) < 0)
		return -1;
	world.leaked_fd = dup2(2, 70);
	world.memory_max = MEMORY_MAX;
	world.files_max = FILES_MAX;
	world.victim = fork();
	if (world.victim == 0) {
		/* Where a security module restricts tracing, the control must still be able to. */
		(void)prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
		for (;;)
			(void)pause();
	}
	return world.victim < 0 ? -1 : 0;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void end_world(void)
{
	(void)kill(world.victim, SIGKILL);
	(void)waitpid(world.victim, NULL, 0);
	(void)shmctl(shmget(world.shm_key, 1, 0), IPC_RMID, NULL);
	(void)nftw(world.dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

int main(void)
{
	log_init("confine-test");
	if (!SKERRY_CONFINE) {
		printf("1..0 # SKIP this build has sanitizers; confinement is tested in the "
		       "release build\n");
		return 0;
	}
	if (make_world()) {
		printf("Bail out! no world to attack\n");
		return 1;
	}
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		check_row(&rows[i]);
	check_all_together();
	check_listed_path(false, CONFINE_LANDLOCK, "open-secret", 0);
	check_listed_path(false, CONFINE_LANDLOCK, "list-folder", 0);
	check_listed_path(false, CONFINE_LANDLOCK, "create-file", EACCES);
	check_listed_path(false, CONFINE_LANDLOCK, "open-passwd", EACCES);
	check_listed_path(true, CONFINE_LANDLOCK, "create-file", 0);
	check_listed_path(true, CONFINE_LANDLOCK, "remove-file", 0);
	check_listed_programs();
	check_listed_path(false, CONFINE_NAMESPACES, "open-secret", 0);
	check_listed_path(false, CONFINE_NAMESPACES, "create-file", EROFS);
	check_listed_path(false, CONFINE_NAMESPACES, "open-passwd", ENOENT);
	check_listed_path(true, CONFINE_NAMESPACES, "create-file", 0);
	check_created_path(CONFINE_NAMESPACES, "climb", EROFS);
	check_created_path(CONFINE_NAMESPACES, "climb-by-link", ENOENT);
	check_created_path(CONFINE_NAMESPACES, "take-by-link", ENOENT);
	check_created_path(CONFINE_LANDLOCK, "climb", EACCES);
	check_created_path(CONFINE_LANDLOCK, "climb-by-link", EACCES);
	check_created_path(CONFINE_LANDLOCK, "take-by-link", EXDEV);
	check_created_path(CONFINE_LANDLOCK, "read-below", EACCES);
	check_created_path(CONFINE_LANDLOCK, "move-below", EACCES);
	check_created_path(CONFINE_SECCOMP, "move-below", KILLED);
	check_reading_all();
	check_loosened();
	check_table_mistakes();
	end_world();
	printf("1..%d\n", n_tests);
	return n_failed > 0;
}
