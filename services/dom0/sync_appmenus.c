/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qubes.SyncAppMenus: a qube tells of its applications; dom0 keeps a checked entry and a picture of each.
 * With --from QUBE dom0 asks by itself (qubes.GetAppmenus), for qubes that do not tell.
 * Source: doc/protocol/services.md, SyncAppMenus.
 */
#include "services/dom0/sync_appmenus.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/sandbox/common_calls.h"
#include "lib/sandbox/sandbox.h"
#include "lib/untrusted/name.h"
#include "services/dom0/qubesd_ask.h"

#define READER_MEMORY (256U << 20) /* an answer, its entries, one icon; chosen */
#define READER_FILES  32U

static const struct confine_call reader_calls[] = {
        CONFINE_CALLS_BASE,
        {"poll", "the qube's bytes, with a deadline"},
        {"ppoll", "the same, other C libraries"},
        {"sendmsg", "names of icons, to the fetcher"},
        {"recvmsg", "ends from which icons come"},
        {"openat", "files of the menus, for Landlock to judge"},
        {"open", "the same, other C libraries"},
        {"fstat", "folders, files"},
        {"newfstatat", "folders, files"},
        {"statx", "the same, other C libraries"},
        {"lseek", "folders"},
        {"getdents64", "folders"},
        {"fcntl", "folders"},
        {"access", "whether an icon is there"},
        {"faccessat", "the same, other C libraries"},
        {"faccessat2", "the same, other C libraries"},
        {"fsync", "files to disk"},
        {"rename", "files into their places"},
        {"renameat", "the same, other C libraries"},
        {"unlink", "what failed"},
        {"unlinkat", "applications that are gone"},
};

int sync_confine(const char *qube)
{
	static char folder[PATH_MAX];
	const struct confine_path path = {.path = folder, .write = true};
	const struct confine_rights rights = {
	        .name = "qubes.SyncAppMenus",
	        .calls = reader_calls,
	        .n_calls = ARRAY_LEN(reader_calls),
	        .paths = &path,
	        .n_paths = 1,
	        .files_max = READER_FILES,
	        .memory_max = READER_MEMORY,
	        .required = CONFINE_NO_NEW_PRIVS | CONFINE_SECCOMP | CONFINE_LIMITS,
	        .wanted = CONFINE_LANDLOCK,
	};

	if (menus_path(folder, qube, NULL, NULL, NULL))
		return -1;
	return confine(&rights);
}

/* Whether a qube of this class whose list is empty has none: any other class would lose what its qubes
 * use, for one package manager that failed. */
static int may_be_empty(const char *qube, bool *ret_may)
{
	const struct qubesd_question question = {
	        .socket = QUBESD_SOCKET, .method = "admin.vm.List", .source = "dom0", .dest = qube};
	char *data;
	size_t len;

	if (qubesd_ask(&question, &data, &len))
		return -1;
	*ret_may = strstr(data, " class=AppVM ") != NULL;
	free(data);
	return 0;
}

static int read_and_store(int in, int fetcher, const char *qube, bool may_empty, bool ascii_only)
{
	static struct menus menus;
	char *untrusted_data;
	size_t len;
	int r;

	if (sync_confine(qube))
		return 1;
	if (fd_read_to_end(in, 4096, MENUS_BYTES_MAX, &untrusted_data, &len)) {
		LOG_ERRNO("the list of applications");
		return 1;
	}
	r = menus_read(&menus, untrusted_data, len, ascii_only);
	free(untrusted_data);
	if (r == 0 && menus.n == 0 && !may_empty) {
		LOG("%s: no applications: nothing is changed", qube);
		r = -1;
	} else if (r == 0) {
		sync_icons(&menus, qube, fetcher);
		r = menus_store(&menus, qube);
	}
	menus_fini(&menus);
	return r ? 1 : 0;
}

static int run(const char *qube, int in, bool may_empty, bool ascii_only)
{
	int ends[2];
	int status;
	pid_t pid;

	if (menus_folders(qube) || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends)) {
		LOG_ERRNO("%s", MENUS_FOLDER);
		return 1;
	}
	pid = fork();
	if (pid == 0) {
		(void)close(ends[0]);
		_exit(read_and_store(in, ends[1], qube, may_empty, ascii_only));
	}
	(void)close(ends[1]);
	if (pid < 0) {
		LOG_ERRNO("fork");
		return 1;
	}
	sync_fetch(ends[0], qube);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static int usage(FILE *to, int status)
{
	(void)fputs("usage: qubes.SyncAppMenus            (as a service)\n"
	            "       dom0-sync-appmenus --from QUBE\n",
	            to);
	return status;
}

int main(int argc, char **argv)
{
	const char *qube = getenv("QREXEC_REMOTE_DOMAIN");
	bool from = argc == 3 && strcmp(argv[1], "--from") == 0;
	int in = STDIN_FILENO;
	bool may_empty;
	int call = 0;
	int status;

	log_init("qubes.SyncAppMenus");
	(void)signal(SIGPIPE, SIG_IGN);
	if (from)
		qube = argv[2];
	if (!qube || (argc > 1 && argv[1][0] == '-' && !from))
		return usage(stderr, 2);
	if (untrusted_qube_name_check(qube, strlen(qube)) != UNTRUSTED_QUBE_NAME_OK) {
		LOG("no name of a qube: %s", qube);
		return 2;
	}
	if (may_be_empty(qube, &may_empty))
		return 1;
	if (from) {
		call = sync_call(qube, "qubes.GetAppmenus", "", &in);
		if (call < 0) {
			LOG_ERRNO("qrexec-client");
			return 1;
		}
	}
	/* Nothing may also mean that the call failed, which shows only after it. */
	status = run(qube, in, may_empty && !from, from);
	if (call > 0) {
		int call_status;

		(void)close(in);
		while (waitpid(call, &call_status, 0) < 0 && errno == EINTR)
			;
		if (!WIFEXITED(call_status) || WEXITSTATUS(call_status))
			status = 1;
	}
	return status;
}
