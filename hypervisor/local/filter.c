/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The system calls that a qube's programs may not make. A list of what is refused, for a qube runs
 * any program: what reaches deep into the kernel and is of no use to programs without privileges, what
 * makes new privileges to be had (namespaces), and what concerns the whole machine. A refusal is an
 * error that programs know to handle, never a kill.
 * Source: the calls' manual pages; which of them were ways out: doc/local-ground.md.
 */
#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "hypervisor/local/local.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"

/* What the maker of qubes does itself. */
enum { MAKERS = true };

/* name, error, why, whether the maker may */
static const struct {
	const char *name;
	int error;
	const char *why;
	bool maker;
} refused[] = {
        {"add_key", EPERM, "keyrings know no namespaces"},
        {"keyctl", EPERM, "keyrings know no namespaces"},
        {"request_key", EPERM, "keyrings know no namespaces"},
        {"bpf", EPERM, "code in the kernel"},
        {"perf_event_open", EPERM, "sees the whole machine"},
        {"userfaultfd", EPERM, "makes races in the kernel easy to win"},
        {"io_uring_setup", ENOSYS, "goes past this filter"},
        {"io_uring_enter", ENOSYS, "goes past this filter"},
        {"io_uring_register", ENOSYS, "goes past this filter"},
        {"mount", EPERM, "file systems' parsers", MAKERS},
        {"umount2", EPERM, "what a mount hides", MAKERS},
        {"umount", EPERM, "what a mount hides"},
        {"pivot_root", EPERM, "another root", MAKERS},
        {"chroot", EPERM, "another root", MAKERS},
        {"move_mount", EPERM, "as mount", MAKERS},
        {"open_tree", EPERM, "as mount", MAKERS},
        {"fsopen", EPERM, "as mount", MAKERS},
        {"fsconfig", EPERM, "as mount", MAKERS},
        {"fsmount", EPERM, "as mount", MAKERS},
        {"fspick", EPERM, "as mount", MAKERS},
        {"mount_setattr", EPERM, "as mount", MAKERS},
        {"unshare", EPERM, "new namespaces", MAKERS},
        {"setns", EPERM, "other namespaces", MAKERS},
        {"clone3", ENOSYS, "its flags cannot be seen here; the C library takes clone then", MAKERS},
        {"open_by_handle_at", EPERM, "files outside the tree"},
        {"name_to_handle_at", EPERM, "names for the former"},
        {"kexec_load", EPERM, "another kernel"},
        {"kexec_file_load", EPERM, "another kernel"},
        {"init_module", EPERM, "code in the kernel"},
        {"finit_module", EPERM, "code in the kernel"},
        {"delete_module", EPERM, "code in the kernel"},
        {"create_module", EPERM, "code in the kernel"},
        {"acct", EPERM, "the machine's"},
        {"swapon", EPERM, "the machine's"},
        {"swapoff", EPERM, "the machine's"},
        {"reboot", EPERM, "the machine's"},
        {"quotactl", EPERM, "the machine's"},
        {"quotactl_fd", EPERM, "the machine's"},
        {"syslog", EPERM, "the kernel's log"},
        {"settimeofday", EPERM, "the machine's clock"},
        {"clock_settime", EPERM, "the machine's clock"},
        {"clock_adjtime", EPERM, "the machine's clock"},
        {"adjtimex", EPERM, "the machine's clock"},
        {"stime", EPERM, "the machine's clock"},
        {"iopl", EPERM, "hardware"},
        {"ioperm", EPERM, "hardware"},
        {"modify_ldt", EPERM, "old code of the kernel"},
        {"vm86", EPERM, "old code of the kernel"},
        {"vm86old", EPERM, "old code of the kernel"},
        {"uselib", EPERM, "old code of the kernel"},
        {"ustat", EPERM, "old code of the kernel"},
        {"sysfs", EPERM, "old code of the kernel"},
        {"_sysctl", EPERM, "old code of the kernel"},
        {"nfsservctl", EPERM, "old code of the kernel"},
        {"lookup_dcookie", EPERM, "old code of the kernel"},
        {"fanotify_init", EPERM, "watches whole mounts"},
        {"move_pages", EPERM, "the machine's memory nodes"},
        {"migrate_pages", EPERM, "the machine's memory nodes"},
        {"mbind", EPERM, "the machine's memory nodes"},
        {"set_mempolicy", EPERM, "the machine's memory nodes"},
};

static const int spaces[] = {CLONE_NEWNS,  CLONE_NEWUTS, CLONE_NEWIPC,   CLONE_NEWUSER,
                             CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWCGROUP};

/* The kinds of sockets that programs use; others are large and little-tested code. */
static const int families[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK};

/* Requests that put input into a terminal that others read. Compared by their lower half: the kernel
 * looks at no more of it. */
static const unsigned int terminals[] = {TIOCSTI, 0x541cU /* TIOCLINUX */};

static int add_calls(scmp_filter_ctx ctx, bool maker)
{
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		int call = seccomp_syscall_resolve_name(refused[i].name);
		int r;

		if (maker && refused[i].maker)
			continue;
		if (call == __NR_SCMP_ERROR)
			continue; /* a library older than the call */
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO((uint32_t)refused[i].error), call, 0);
		if (r && r != -EDOM && r != -EACCES) {
			errno = -r;
			LOG_ERRNO("filter of %s", refused[i].name);
			return -1;
		}
	}
	return 0;
}

static int add_arguments(scmp_filter_ctx ctx)
{
	const uint32_t no = SCMP_ACT_ERRNO(EPERM);
	const uint32_t no_family = SCMP_ACT_ERRNO(EAFNOSUPPORT);
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(spaces) && r == 0; i++)
		r = seccomp_rule_add(ctx, no, SCMP_SYS(clone), 1,
		                     SCMP_A0_64(SCMP_CMP_MASKED_EQ, (uint64_t)spaces[i],
		                                (uint64_t)spaces[i]));
	for (size_t i = 0; i < ARRAY_LEN(terminals) && r == 0; i++)
		r = seccomp_rule_add(ctx, no, SCMP_SYS(ioctl), 1,
		                     SCMP_A1_64(SCMP_CMP_MASKED_EQ, 0xffffffffU, terminals[i]));
	/* Every family up to the last allowed one that is not in the list, and all beyond it. */
	for (int family = 0; family < families[ARRAY_LEN(families) - 1] && r == 0; family++) {
		bool allowed = false;

		for (size_t i = 0; i < ARRAY_LEN(families); i++)
			allowed = allowed || families[i] == family;
		if (!allowed)
			r = seccomp_rule_add(ctx, no_family, SCMP_SYS(socket), 1,
			                     SCMP_A0_32(SCMP_CMP_EQ, (uint32_t)family));
	}
	if (r == 0)
		r = seccomp_rule_add(ctx, no_family, SCMP_SYS(socket), 1,
		                     SCMP_A0_32(SCMP_CMP_GT,
		                                (uint32_t)families[ARRAY_LEN(families) - 1]));
	if (r) {
		errno = -r;
		LOG_ERRNO("filter of arguments");
	}
	return r ? -1 : 0;
}

/* 32-bit programs come under the same rules. */
static int add_architectures(scmp_filter_ctx ctx)
{
	int r = 0;

	if (seccomp_arch_native() == SCMP_ARCH_X86_64)
		r = seccomp_arch_add(ctx, SCMP_ARCH_X86);
	else if (seccomp_arch_native() == SCMP_ARCH_AARCH64)
		r = seccomp_arch_add(ctx, SCMP_ARCH_ARM);
	if (r == 0)
		r = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS));
	/* A tree of comparisons: each call of a qube's programs goes through it. */
	if (r == 0)
		(void)seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	return r && r != -EEXIST ? -1 : 0;
}

int local_filter_make(void)
{
	OWNED_FD int fd = memfd_create("filter", MFD_CLOEXEC);
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	int r = -1;

	if (fd >= 0 && ctx && add_architectures(ctx) == 0 && add_calls(ctx, false) == 0 &&
	    add_arguments(ctx) == 0)
		r = seccomp_export_bpf(ctx, fd);
	seccomp_release(ctx);
	if (r == 0)
		return fd_take(&fd);
	LOG("the filter of system calls cannot be made");
	return -1;
}

int local_filter_maker(void)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	int r = -1;

	if (!SKERRY_CONFINE)
		r = 0;
	else if (ctx && add_architectures(ctx) == 0 && add_calls(ctx, true) == 0)
		r = seccomp_load(ctx);
	seccomp_release(ctx);
	if (r == 0)
		return 0;
	LOG("the filter of the maker of qubes cannot be made");
	return -1;
}
