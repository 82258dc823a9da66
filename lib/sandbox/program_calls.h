/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef LIB_SANDBOX_PROGRAM_CALLS_H
#define LIB_SANDBOX_PROGRAM_CALLS_H

/*
 * What a program of the system needs to start, read files and its input, think, and write to its output: lines of a
 * table for confine(), before which it is executed. No socket, no other process or thread, nothing that changes a
 * file by its name; which files it opens is for Landlock to judge.
 */
#define CONFINE_CALLS_PROGRAM                                                                      \
	{"execve", "the program"}, {"read", "files, libraries, its input"},                        \
	        {"pread64", "the same"}, {"readv", "the same, other versions"},                    \
	        {"write", "its output; its messages"}, {"writev", "the same, other versions"},     \
	        {"openat", "files, for Landlock to judge"},                                        \
	        {"open", "the same, other C libraries"}, {"close", "files"}, {"lseek", "files"},   \
	        {"fstat", "files"}, {"stat", "files, other C libraries"}, {"newfstatat", "files"}, \
	        {"statx", "files"}, {"access", "start of the C library"},                          \
	        {"faccessat2", "the same, other C libraries"}, {"readlink", "the same"},           \
	        {"readlinkat", "the same"}, {"getcwd", "the same"}, {"fcntl", "files"},            \
	        {"ioctl", "is it a terminal?"}, {"mmap", "libraries, memory"},                     \
	        {"mprotect", "libraries"}, {"munmap", "memory"}, {"mremap", "memory"},             \
	        {"madvise", "memory"}, {"brk", "memory"},                                          \
	        {"arch_prctl", "start of the C library"}, {"set_tid_address", "the same"},         \
	        {"set_robust_list", "the same"}, {"rseq", "the same"},                             \
	        {"prlimit64", "size of its stack"}, {"poll", "are 0, 1 and 2 open?"},              \
	        {"rt_sigaction", "start of its language's runtime"}, {"rt_sigprocmask", "abort"},  \
	        {"rt_sigreturn", "return from a handler"}, {"sigaltstack", "its runtime"},         \
	        {"sched_getaffinity", "its runtime"}, {"sched_yield", "its runtime"},              \
	        {"getrandom", "seeds"}, {"clock_gettime", "the time, where the vDSO cannot"},      \
	        {"futex", "locks"}, {"getpid", "abort"}, {"gettid", "abort"},                      \
	        {"tgkill", "abort", 1, {{.arg = 2, .mask = ~0ULL, .value = 6}}}, {"exit", "end"},  \
	        {"exit_group", "end"}, {"fadvise64", "how it reads"},                              \
	        {"getrlimit", "size of its stack, other C libraries"},                             \
	        {"sysinfo", "how much memory there is"},                                           \
	{                                                                                          \
		"geteuid", "which rights it has"                                                   \
	}

#endif
