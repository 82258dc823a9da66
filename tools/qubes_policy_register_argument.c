/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qubes-policy-register-argument - the service policy.RegisterArgument: one more allow rule
 *
 * The caller is a qube that policy trusts with this and nothing else: every text that reaches the
 * rule is checked, and nothing is printed (QSB-099). Source: doc/protocol/policy.md, 14.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "services/policy/policy.h"
#include "services/policy/store.h"

#define FILE_NAME "60-registered-arguments.policy"
#define VALUE_MAX 64U /* bytes; protocol */
#define LETTERS   "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._"

static bool only(const char *text, const char *chars)
{
	return text && text[0] && text[strspn(text, chars)] == '\0';
}

/* A qube's name or uuid, which is one word of a rule and no keyword. */
static bool qube_ok(const char *text)
{
	return only(text, LETTERS ":") && strlen(text) < 64;
}

static bool registered(const struct policy *policy, const char *service, const char *value)
{
	for (uint32_t i = 0; i < policy_n_rules(policy); i++) {
		const struct rule *rule = policy_rule(policy, i);

		if (rule->service != NO_ID && rule->argument != NO_ID &&
		    strcmp(policy_symbol(policy, rule->service), service) == 0 &&
		    strcmp(policy_symbol(policy, rule->argument) + 1, value) == 0)
			return true;
	}
	return false;
}

static int append_line(const char *dir, const char *line)
{
	char path[PATH_MAX];
	OWNED_FD
	int fd = -1;
	char *old = NULL;
	char *all;
	size_t len = 0;
	int n;
	int r = -1;

	if (snprintf(path, sizeof(path), "%s/%s", dir, FILE_NAME) >= (int)sizeof(path))
		return -1;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && errno != ENOENT)
		return -1;
	if (fd >= 0 && fd_read_to_end(fd, 4096, POLICY_FILE_MAX / 2, &old, &len))
		return -1;
	n = asprintf(&all, "%s%s%s", old ? old : "",
	             old && len > 0 && old[len - 1] != '\n' ? "\n" : "", line);
	/* A NUL in the old text would cut it. */
	if (n > 0 && (size_t)n >= len + strlen(line))
		r = store_replace(dir, FILE_NAME, all, (size_t)n);
	if (n >= 0)
		free(all);
	free(old);
	return r;
}

static int add_rule(const char *service, const char *value, const char *frontend,
                    const char *backend)
{
	char run[PATH_MAX];
	char etc[PATH_MAX];
	char legacy[PATH_MAX];
	const char *dirs[] = {run, etc};
	struct policy_place place = {.dirs = dirs, .n_dirs = 2, .legacy_dir = legacy};
	struct policy_fault fault;
	struct policy *policy;
	OWNED_FD
	int lock = -1;
	char line[1024];
	bool there;
	int n;

	if (path_make(run, sizeof(run), POLICY_RUN_DIR, NULL) ||
	    path_make(etc, sizeof(etc), POLICY_ETC_DIR, NULL) ||
	    path_make(legacy, sizeof(legacy), POLICY_LEGACY_DIR, NULL))
		return -1;
	lock = store_lock(etc);
	policy = lock < 0 ? NULL : policy_load_disk(&place, NULL, &fault);
	if (!policy)
		return -1;
	there = registered(policy, service, value);
	(void)policy_unref(policy);
	n = snprintf(line, sizeof(line), "%s +%s %s %s allow\n", service, value, frontend, backend);
	if (there || n < 0 || (size_t)n >= sizeof(line))
		return -1;
	return append_line(etc, line);
}

int main(int argc, char **argv)
{
	const char *full = getenv("QREXEC_SERVICE_FULL_NAME");
	const char *plus = full ? strchr(full, '+') : NULL;
	const char *service = plus ? plus + 1 : argc > 1 ? argv[1] : NULL;
	const char *backend = getenv("QREXEC_REMOTE_DOMAIN");
	const char *frontend = getenv("QREXEC_REQUESTED_TARGET");
	char *value;
	size_t len;
	int r;

	log_init("qubes-policy-register-argument");
	if (!only(service, LETTERS) || strlen(service) > 255 || !qube_ok(backend) ||
	    !qube_ok(frontend))
		return 1;
	if (fd_read_to_end(STDIN_FILENO, 4096, VALUE_MAX, &value, &len))
		return 1;
	r = strlen(value) == len && only(value, LETTERS)
	            ? add_rule(service, value, frontend, backend)
	            : -1;
	free(value);
	return r ? 1 : 0;
}
