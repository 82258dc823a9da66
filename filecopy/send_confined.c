/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the sender may do: read its user's files, write the stream, read the answer. It comes from another
 * qube; who takes the sender over by it can change no file, start nothing, and reach no network. It can
 * read what its user can, and write to the stream, for that is its work.
 */
#include "filecopy/send_confined.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/sandbox/common_calls.h"
#include "lib/sandbox/sandbox.h"

#define MEMORY_MAX (1U << 30) /* the folders of a tree as deep as a path is long; chosen */
#define CAP(n)     (1ULL << (n))

/* What an open may ask for beside reading. */
#define CHANGES (O_ACCMODE | O_CREAT | O_TRUNC)

static const struct confine_call calls[] = {
        CONFINE_CALLS_BASE,
        {"openat", "files and folders, to be read", 1, {{.arg = 2, .mask = CHANGES, .value = 0}}},
        {"open", "the same, other C libraries", 1, {{.arg = 1, .mask = CHANGES, .value = 0}}},
        {"fstat", "what is sent"},
        {"newfstatat", "what is sent"},
        {"statx", "the same, other C libraries"},
        {"readlink", "links"},
        {"readlinkat", "links"},
        {"getdents64", "folders"},
        {"lseek", "holes"},
        {"fcntl", "the size of the pipe; folders"},
        {"poll", "whether the answer is there"},
        {"ppoll", "the same, other C libraries"},
        {"rt_sigaction", "SIGPIPE"},
        {"writev", "messages, other C libraries"},
};

int send_confine(void)
{
	static const struct confine_rights rights = {
	        .name = "qfile-agent",
	        .calls = calls,
	        .n_calls = ARRAY_LEN(calls),
	        .reads_all = true,
	        .capabilities = CAP(CAP_DAC_READ_SEARCH) | CAP(CAP_DAC_OVERRIDE),
	        .memory_max = MEMORY_MAX,
	        .required = CONFINE_NO_NEW_PRIVS | CONFINE_SECCOMP | CONFINE_LIMITS,
	        .wanted = CONFINE_LANDLOCK,
	};
	int r;

	/* Standard error is what the user sees: a kernel without Landlock is no news to him. */
	log_set_fd(-1);
	r = confine(&rights);
	log_set_fd(STDERR_FILENO);
	if (r)
		LOG("this kernel cannot confine the sender: nothing is sent");
	return r;
}
