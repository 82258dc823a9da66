/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The system call filter: the calls of the table, with their argument rules; any other ends the
 * process, and so does a call of another architecture. A name that this architecture does not have
 * is a mistake in the table and fails: a filter that silently lost a line would be found by a user.
 */
#include "lib/sandbox/sandbox_internal.h"

#include <errno.h>
#include <seccomp.h>

#include "lib/base/log.h"

static int add_call(scmp_filter_ctx filter, const struct confine_call *call)
{
	struct scmp_arg_cmp args[ARRAY_LEN(call->args)];
	int number = seccomp_syscall_resolve_name(call->name);

	if (number < 0) {
		LOG("no system call is named %s here", call->name);
		return -ENOSYS;
	}
	if (call->n_args > ARRAY_LEN(args))
		return -EINVAL;
	for (size_t i = 0; i < call->n_args; i++)
		args[i] = SCMP_CMP64(call->args[i].arg, SCMP_CMP_MASKED_EQ, call->args[i].mask,
		                     call->args[i].value);
	return seccomp_rule_add_exact_array(filter, SCMP_ACT_ALLOW, number, call->n_args, args);
}

static int fill(scmp_filter_ctx filter, const struct confine_rights *rights)
{
	int r = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);

	for (size_t i = 0; r == 0 && i < rights->n_calls; i++) {
		r = add_call(filter, &rights->calls[i]);
		/* The same line twice is harmless: tables are put together from parts. */
		if (r == -EEXIST)
			r = 0;
		if (r)
			LOG("%s: rule of %s", rights->name, rights->calls[i].name);
	}
	return r;
}

int sandbox_seccomp(const struct confine_rights *rights)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int r = -ENOMEM;

	if (filter) {
		r = fill(filter, rights);
		if (r == 0)
			r = seccomp_load(filter);
		seccomp_release(filter);
	}
	if (r == 0)
		return 0;
	errno = -r;
	LOG_ERRNO("system call filter");
	return -1;
}
