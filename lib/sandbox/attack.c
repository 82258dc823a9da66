/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The attacks of attack.h. Each tries one thing with plain system calls and says how it ended. Never
 * part of an installed program.
 */
#include "lib/sandbox/attack.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/io_uring.h>
#include <linux/openat2.h>
#include <linux/perf_event.h>
#include <linux/userfaultfd.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fd.h"

static int result(long r)
{
	return r < 0 ? errno : 0;
}

static int in_dir(const struct attack_world *w, const char *name, int flags)
{
	char path[600];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", w->dir, name);
	fd = open(path, flags | O_CLOEXEC, 0600);
	if (fd < 0)
		return errno;
	(void)fd_close(fd);
	return 0;
}

static int open_secret(const struct attack_world *w)
{
	return in_dir(w, "secret", O_RDONLY);
}

static int open_to_write(const struct attack_world *w)
{
	return in_dir(w, "secret", O_WRONLY);
}

/* An open to read that takes away what there is to be read. */
static int empty_file(const struct attack_world *w)
{
	return in_dir(w, "victim", O_RDONLY | O_TRUNC);
}

static int create_file(const struct attack_world *w)
{
	return in_dir(w, "new", O_WRONLY | O_CREAT);
}

static int list_folder(const struct attack_world *w)
{
	return in_dir(w, ".", O_RDONLY | O_DIRECTORY);
}

static int open_passwd(const struct attack_world *w UNUSED)
{
	int fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);

	(void)fd_close(fd);
	return result(fd);
}

static int remove_file(const struct attack_world *w)
{
	char path[600];

	(void)snprintf(path, sizeof(path), "%s/victim", w->dir);
	return result(unlink(path));
}

static int make_folder(const struct attack_world *w)
{
	char path[600];

	(void)snprintf(path, sizeof(path), "%s/folder", w->dir);
	return result(mkdir(path, 0700));
}

static int connect_path(const struct attack_world *w)
{
	char path[600];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/socket", w->dir);
	fd = fd_connect_unix(path, SOCK_STREAM);
	return result(fd);
}

static int connect_abstract(const struct attack_world *w)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	size_t len = strlen(w->abstract);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(addr.sun_path + 1, w->abstract, len);
	if (fd < 0)
		return errno;
	return result(connect(fd, (struct sockaddr *)&addr,
	                      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + len)));
}

static int connect_tcp(const struct attack_world *w)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
	                           .sin_port = htons((uint16_t)w->tcp_port),
	                           .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return fd < 0 ? errno : result(connect(fd, (struct sockaddr *)&addr, sizeof(addr)));
}

static int listen_tcp(const struct attack_world *w UNUSED)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
	                           .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return fd < 0 ? errno : result(bind(fd, (struct sockaddr *)&addr, sizeof(addr)));
}

static int make_socket(const struct attack_world *w UNUSED)
{
	return result(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

static int run_program(const struct attack_world *w UNUSED)
{
	char *const argv[] = {(char[]){"sh"}, (char[]){"-c"}, (char[]){"exit 0"}, NULL};

	/* Succeeds by never coming back: the shell's status 0 is the result. */
	(void)execve("/bin/sh", argv, (char *[]){NULL});
	return errno;
}

/* A program that does not belong to the system: what a downloaded one would be. */
static int run_foreign(const struct attack_world *w)
{
	char path[600];
	char *const argv[] = {(char[]){"runs"}, NULL};

	(void)snprintf(path, sizeof(path), "%s/runs", w->dir);
	(void)execve(path, argv, (char *[]){NULL});
	return errno;
}

static int make_process(const struct attack_world *w UNUSED)
{
	pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);

	if (pid == 0)
		(void)syscall(SYS_exit_group, 0);
	return result(pid);
}

static int attach(const struct attack_world *w)
{
	if (ptrace(PTRACE_SEIZE, w->victim, NULL, NULL) < 0)
		return errno;
	(void)ptrace(PTRACE_DETACH, w->victim, NULL, NULL);
	return 0;
}

static int read_memory(const struct attack_world *w)
{
	char path[64];
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/mem", (int)w->victim);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return result(fd);
}

static int signal_other(const struct attack_world *w)
{
	return result(kill(w->victim, SIGCONT));
}

static int signal_by_descriptor(const struct attack_world *w)
{
	int fd = (int)syscall(SYS_pidfd_open, w->victim, 0U);

	return fd < 0 ? errno : result(syscall(SYS_pidfd_send_signal, fd, SIGCONT, NULL, 0U));
}

static int map_executable(const struct attack_world *w UNUSED)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS,
	               -1, 0);

	return p == MAP_FAILED ? errno : 0;
}

static int make_executable(const struct attack_world *w UNUSED)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? errno : result(mprotect(p, 4096, PROT_READ | PROT_EXEC));
}

static int change_user(const struct attack_world *w UNUSED)
{
	return result(syscall(SYS_setresuid, -1, geteuid(), -1));
}

static int name_host(const struct attack_world *w UNUSED)
{
	char name[64];

	if (gethostname(name, sizeof(name)) < 0)
		return errno;
	return result(sethostname(name, strlen(name)));
}

static int mount_something(const struct attack_world *w)
{
	if (mount("x", w->dir, "tmpfs", 0, NULL) < 0)
		return errno;
	return result(umount2(w->dir, MNT_DETACH));
}

static int new_user_space(const struct attack_world *w UNUSED)
{
	return result(unshare(CLONE_NEWUSER));
}

static int load_bpf(const struct attack_world *w UNUSED)
{
	union bpf_attr attr = {
	        .map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1};

	return result(syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr)));
}

static int use_keyring(const struct attack_world *w UNUSED)
{
	/* KEYCTL_GET_KEYRING_ID of the session keyring, created if it is not there. */
	return result(syscall(SYS_keyctl, 0, -3, 1, 0, 0));
}

/* Three large parts of the kernel that none of our programs has a use for. */
static int make_ring(const struct attack_world *w UNUSED)
{
	struct io_uring_params params = {0};
	int fd = (int)syscall(SYS_io_uring_setup, 1, &params);

	(void)fd_close(fd);
	return result(fd);
}

static int make_userfault(const struct attack_world *w UNUSED)
{
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);

	(void)fd_close(fd);
	return result(fd);
}

static int count_events(const struct attack_world *w UNUSED)
{
	struct perf_event_attr attr = {.type = PERF_TYPE_SOFTWARE,
	                               .size = sizeof(attr),
	                               .config = PERF_COUNT_SW_CPU_CLOCK,
	                               .exclude_kernel = 1};
	int fd = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);

	(void)fd_close(fd);
	return result(fd);
}

static int attach_segment(const struct attack_world *w)
{
	return result(shmget(w->shm_key, 1, 0));
}

static int map_too_much(const struct attack_world *w)
{
	void *p = mmap(NULL, w->memory_max, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
	               -1, 0);

	return p == MAP_FAILED ? errno : 0;
}

static int open_too_many(const struct attack_world *w)
{
	for (unsigned int i = 0; i <= w->files_max; i++) {
		if (dup(2) < 0)
			return errno;
	}
	return 0;
}

static int use_leaked(const struct attack_world *w)
{
	return result(fcntl(w->leaked_fd, F_GETFD));
}

static int be_readable(const struct attack_world *w UNUSED)
{
	return prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 1 ? 0 : EPERM;
}

static int leave_core(const struct attack_world *w UNUSED)
{
	const struct rlimit limit = {.rlim_cur = 4096, .rlim_max = 4096};

	return result(setrlimit(RLIMIT_CORE, &limit));
}

static int gain_privileges(const struct attack_world *w UNUSED)
{
	return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0 ? 0 : EPERM;
}

/* A process that may work in one folder (SKERRY_ATTACK_START, else the world's) tries to leave it. */
static const char *start_folder(const struct attack_world *w)
{
	const char *start = getenv("SKERRY_ATTACK_START");

	return start ? start : w->dir;
}

/* Of the calls that open, the one that a process confined to a folder has. */
static int open_at(int folder, const char *path, int flags)
{
	const struct open_how how = {.flags = (unsigned int)(flags | O_CLOEXEC),
	                             .mode = flags & O_CREAT ? 0600 : 0};

	return (int)syscall(SYS_openat2, folder, path, &how, sizeof(how));
}

/* From an open folder, up as far as it goes and down to the world. */
static int climb_from(const struct attack_world *w, int fd)
{
	char path[800];
	size_t len = 0;

	for (int up = 0; up < 24; up++) {
		(void)snprintf(path + len, sizeof(path) - len, "%s/climbed", w->dir + 1);
		if (open_at(fd, path, O_WRONLY | O_CREAT) >= 0)
			return 0;
		memcpy(path + len, "../", 3);
		len += 3;
	}
	return errno;
}

/* From every folder that is open or can be opened. */
static int climb(const struct attack_world *w)
{
	int own = open_at(AT_FDCWD, start_folder(w), O_RDONLY | O_DIRECTORY);
	int top = open_at(AT_FDCWD, "/", O_RDONLY | O_DIRECTORY);
	int last = own < 0 || top < 0 ? errno : EBADF;

	for (int fd = 3; fd < 64; fd++) {
		int probe = open_at(fd, ".", O_PATH | O_DIRECTORY);

		if (probe < 0)
			continue;
		(void)fd_close(probe);
		last = climb_from(w, fd);
		if (last == 0)
			return 0;
	}
	return last;
}

static int climb_by_link(const struct attack_world *w)
{
	char path[600];
	int own = open_at(AT_FDCWD, start_folder(w), O_RDONLY | O_DIRECTORY);

	(void)snprintf(path, sizeof(path), "%s/secret", w->dir);
	if (own < 0 || (symlinkat(path, own, "way-out") < 0 && errno != EEXIST))
		return errno;
	return result(open_at(own, "way-out", O_WRONLY));
}

static int take_by_link(const struct attack_world *w)
{
	char path[600];
	int own = open_at(AT_FDCWD, start_folder(w), O_RDONLY | O_DIRECTORY);

	(void)snprintf(path, sizeof(path), "%s/secret", w->dir);
	return result(linkat(AT_FDCWD, path, own, "taken", 0));
}

static int read_below(const struct attack_world *w)
{
	int own = open_at(AT_FDCWD, start_folder(w), O_RDONLY | O_DIRECTORY);

	return result(open_at(own, "secret", O_RDONLY));
}

static int move_below(const struct attack_world *w)
{
	int own = open_at(AT_FDCWD, start_folder(w), O_RDONLY | O_DIRECTORY);

	if (renameat(own, "secret", own, "moved") < 0)
		return errno;
	return result(renameat(own, "moved", own, "secret"));
}

const struct attack attacks[] = {
        {"open-secret", open_secret},
        {"open-to-write", open_to_write},
        {"empty-file", empty_file},
        {"create-file", create_file},
        {"list-folder", list_folder},
        {"open-passwd", open_passwd},
        {"remove-file", remove_file},
        {"make-folder", make_folder},
        {"connect-path", connect_path},
        {"connect-abstract", connect_abstract},
        {"connect-tcp", connect_tcp},
        {"listen-tcp", listen_tcp},
        {"make-socket", make_socket},
        {"run-program", run_program},
        {"run-foreign", run_foreign},
        {"make-process", make_process},
        {"attach", attach},
        {"read-memory", read_memory},
        {"signal-other", signal_other},
        {"signal-by-descriptor", signal_by_descriptor},
        {"map-executable", map_executable},
        {"make-executable", make_executable},
        {"change-user", change_user},
        {"name-host", name_host},
        {"mount", mount_something},
        {"new-user-space", new_user_space},
        {"load-bpf", load_bpf},
        {"use-keyring", use_keyring},
        {"make-ring", make_ring},
        {"make-userfault", make_userfault},
        {"count-events", count_events},
        {"attach-segment", attach_segment},
        {"map-too-much", map_too_much},
        {"open-too-many", open_too_many},
        {"use-leaked", use_leaked},
        {"be-readable", be_readable},
        {"leave-core", leave_core},
        {"gain-privileges", gain_privileges},
        {"climb", climb},
        {"climb-by-link", climb_by_link},
        {"take-by-link", take_by_link},
        {"read-below", read_below},
        {"move-below", move_below},
        {NULL, NULL},
};

const struct attack *attack_find(const char *name)
{
	for (const struct attack *a = attacks; a->name; a++) {
		if (strcmp(a->name, name) == 0)
			return a;
	}
	return NULL;
}
