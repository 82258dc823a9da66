/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef LIB_SANDBOX_COMMON_CALLS_H
#define LIB_SANDBOX_COMMON_CALLS_H

#include <sys/mman.h>

#include "lib/sandbox/sandbox.h"

/*
 * What every process of ours needs to run at all, as the first lines of its table:
 *
 *   static const struct confine_call calls[] = {
 *           CONFINE_CALLS_BASE,
 *           CONFINE_CALLS_LOOP,
 *           {"recvmsg", "requests of the keeper"},
 *   };
 *
 * None of them makes memory executable, opens a path or a socket, or starts a program.
 */
#define CONFINE_CALLS_BASE                                                                         \
	{"read", "descriptors it was given"}, {"write", "descriptors it was given; the log"},      \
	        {"close", "descriptors it was given"}, {"exit", "end"}, {"exit_group", "end"},     \
	        {"rt_sigreturn", "return from a handler"}, {"rt_sigprocmask", "abort"},            \
	        {"brk", "malloc"}, {"munmap", "free"}, {"futex", "locks of the C library"},        \
	        {"mremap", "realloc"}, {"madvise", "free"}, {"restart_syscall", "after SIGCONT"},  \
	        {"clock_gettime", "deadlines, log, where the vDSO cannot"},                        \
	        {"getpid", "log, abort"}, {"gettid", "abort"}, {"getrandom", "seed of malloc"},    \
	        {"tgkill", "abort", 1, {{.arg = 2, .mask = ~0ULL, .value = 6}}},                   \
	        {"mmap",                                                                           \
	         "malloc; never executable",                                                       \
	         1,                                                                                \
	         {{.arg = 2, .mask = PROT_EXEC, .value = 0}}},                                     \
	{                                                                                          \
		"mprotect", "malloc; never executable", 1,                                         \
		{                                                                                  \
			{                                                                          \
				.arg = 2, .mask = PROT_EXEC, .value = 0                            \
			}                                                                          \
		}                                                                                  \
	}

/* A vchan over grants: IOCTL_EVTCHN_NOTIFY, and no other; the number means nothing to the grant devices. */
#define CONFINE_CALLS_GRANT                                                                        \
	{                                                                                          \
		"ioctl", "event channel of a vchan over grants", 1,                                \
		{                                                                                  \
			{                                                                          \
				.arg = 1, .mask = ~0ULL, .value = 0x00044504                       \
			}                                                                          \
		}                                                                                  \
	}

/* lib/loop, once its descriptors exist. */
#define CONFINE_CALLS_LOOP                                                                         \
	{"epoll_wait", "event loop"}, {"epoll_pwait", "event loop, other C libraries"},            \
	{                                                                                          \
		"epoll_ctl", "event loop"                                                          \
	}

#endif
