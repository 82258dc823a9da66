/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The order in which a process gives up its rights, and the mechanisms that are one call each. The
 * order matters: a mount needs capabilities and no Landlock rule; the maps of a user namespace need
 * /proc and a dumpable process; the system call filter comes last, for it forbids the others.
 *
 * Trusts: the rights table, which is constant data of the program. Nothing here reads input.
 */
#include "lib/sandbox/sandbox.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/sandbox/attack.h"
#include "lib/sandbox/sandbox_internal.h"

static int no_new_privs(const struct confine_rights *rights)
{
	(void)rights;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
		return 0;
	LOG_ERRNO("cannot forbid new privileges");
	return -1;
}

/* Also what a new user namespace gave. A process of user 0 is then an ordinary one. */
static int drop_capabilities(const struct confine_rights *rights)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct have[_LINUX_CAPABILITY_U32S_3] = {0};
	const uint32_t keep[_LINUX_CAPABILITY_U32S_3] = {(uint32_t)rights->capabilities,
	                                                 (uint32_t)(rights->capabilities >> 32)};

	/* Fails without CAP_SETPCAP, and then there is nothing to lose. */
	for (int cap = 0; cap <= 63; cap++)
		if (!rights->for_programs || !(rights->capabilities >> cap & 1))
			(void)prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (rights->capabilities && syscall(SYS_capget, &head, have) < 0) {
		LOG_ERRNO("cannot read capabilities");
		return -1;
	}
	for (size_t i = 0; i < ARRAY_LEN(have); i++) {
		have[i].permitted &= keep[i];
		have[i].effective = have[i].permitted;
		have[i].inheritable = 0;
	}
	if (syscall(SYS_capset, &head, have) == 0)
		return 0;
	LOG_ERRNO("cannot drop capabilities");
	return -1;
}

static int set_limit(int resource, rlim_t max, const char *name)
{
	const struct rlimit limit = {.rlim_cur = max, .rlim_max = max};

	if (setrlimit((__rlimit_resource_t)resource, &limit) == 0)
		return 0;
	LOG_ERRNO("cannot set the limit of %s", name);
	return -1;
}

static int limits(const struct confine_rights *rights)
{
	if (set_limit(RLIMIT_CORE, 0, "core files"))
		return -1;
	if (rights->files_max && set_limit(RLIMIT_NOFILE, rights->files_max, "descriptors"))
		return -1;
	/* A sanitizer maps terabytes, and reports leaks by attaching to its own process. */
	if (!SKERRY_CONFINE)
		return 0;
	if (rights->memory_max && set_limit(RLIMIT_AS, rights->memory_max, "memory"))
		return -1;
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0)
		return 0;
	LOG_ERRNO("cannot hide the memory from other processes");
	return -1;
}

static int close_others(const struct confine_rights *rights)
{
	if (rights->fds || rights->n_fds > 0)
		fd_close_from(0, rights->fds, rights->n_fds);
	return 0;
}

/* In this order. */
static const struct step {
	uint32_t mechanism;
	bool sanitized_too; /* a sanitizer's runtime can live with it */
	int (*apply)(const struct confine_rights *rights);
	const char *name;
} steps[] = {
        {CONFINE_NO_NEW_PRIVS, true, no_new_privs, "no new privileges"},
        {CONFINE_FDS, true, close_others, "closing of descriptors"},
        {CONFINE_NAMESPACES, false, sandbox_namespaces, "namespaces"},
        {CONFINE_NO_NEW_PRIVS, true, drop_capabilities, "no capabilities"},
        {CONFINE_LIMITS, true, limits, "limits"},
        {CONFINE_LANDLOCK, false, sandbox_landlock, "Landlock"},
        {CONFINE_SECCOMP, false, sandbox_seccomp, "system call filter"},
};

int confine(const struct confine_rights *rights)
{
	/* For the log: a confined process can open no file of a time zone. */
	tzset();
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		if (!((rights->required | rights->wanted) & steps[i].mechanism))
			continue;
		if (!SKERRY_CONFINE && !steps[i].sanitized_too)
			continue;
		if (steps[i].apply(rights) == 0)
			continue;
		if (rights->required & steps[i].mechanism) {
			LOG("%s: cannot run without %s", rights->name, steps[i].name);
			return -1;
		}
		LOG("%s: this kernel gives no %s; going on without", rights->name, steps[i].name);
	}
	attack_from_environment(rights->name);
	return 0;
}
