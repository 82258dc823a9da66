/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "services/dom0/package.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "services/dom0/child.h"
#include "services/dom0/package_parts.h"

#define KEY_PREFIX "RPM-GPG-KEY-"

int package_keys_load(struct package_keys *keys, const char *folder)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;

	*keys = (struct package_keys){0};
	if (!dir) {
		LOG_ERRNO("the keys of packages, %s", folder);
		return -1;
	}
	while ((entry = readdir(dir))) {
		if (strncmp(entry->d_name, KEY_PREFIX, strlen(KEY_PREFIX)) != 0)
			continue;
		if (keys->n == PACKAGE_KEYS_MAX ||
		    asprintf(&keys->paths[keys->n], "%s/%s", folder, entry->d_name) < 0)
			break;
		keys->n++;
	}
	(void)closedir(dir);
	if (keys->n > 0 && !entry)
		return 0;
	LOG("%s: %s", folder,
	    entry ? "more keys than are taken, or no memory" : "no key " KEY_PREFIX "*");
	package_keys_fini(keys);
	return -1;
}

void package_keys_fini(struct package_keys *keys)
{
	while (keys->n > 0)
		free(keys->paths[--keys->n]);
}

static int say_status(const char *step, int status, char *why)
{
	static const char *const texts[] = {
	        [PACKAGE_E_READ - 100] = "it ends too early",
	        [PACKAGE_E_WRITE - 100] = "it cannot be written: no space?",
	        [PACKAGE_E_RIGHTS - 100] = "this system cannot confine who reads it",
	        [PACKAGE_E_PAYLOAD - 100] = "its content is not what was signed",
	};

	if (status > 0 && status < RPM_E_MAX)
		(void)snprintf(why, PACKAGE_WHY_MAX, "%s", rpm_error((enum rpm_result)status));
	else if (status >= 100 && (size_t)status < 100 + ARRAY_LEN(texts))
		(void)snprintf(why, PACKAGE_WHY_MAX, "%s", texts[status - 100]);
	else
		(void)snprintf(why, PACKAGE_WHY_MAX, "%s failed", step);
	return -1;
}

static int split(const struct package_files *f, char *why)
{
	pid_t pid = child_fork();
	int status;

	if (pid == 0)
		_exit(package_split(f));
	status = child_wait(pid);
	return status == 0 ? 0 : say_status("reading it", status, why);
}

/* Nobody changes them any more, whoever still holds them. */
static int seal(const struct package_files *f)
{
	const int all = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;

	return fcntl(f->signature, F_ADD_SEALS, all) || fcntl(f->header, F_ADD_SEALS, all) ? -1 : 0;
}

static int verify(const struct package_keys *keys, const struct package_files *f, char *why)
{
	pid_t pid = child_fork();
	int status;

	if (pid == 0)
		_exit(package_verify(keys, f));
	status = child_wait(pid);
	if (status == 0)
		return 0;
	/* sqv has one status for all that is wrong with a signature. */
	if (status == 1) {
		(void)snprintf(why, PACKAGE_WHY_MAX, "none of the known keys has signed it");
		return -1;
	}
	return say_status("sqv(1)", status, why);
}

static int rewrite(struct package_files *f, struct rpm_package *ret, char *why)
{
	int ends[2];
	pid_t pid;
	bool told;
	int status;

	if (pipe2(ends, O_CLOEXEC))
		return say_status("a pipe", 255, why);
	f->result = ends[1];
	pid = child_fork();
	if (pid == 0) {
		(void)close(ends[0]);
		_exit(package_rewrite(f));
	}
	(void)close(ends[1]);
	told = pid > 0 && fd_read_all(ends[0], ret, sizeof(*ret)) == 0;
	(void)close(ends[0]);
	status = child_wait(pid);
	if (status == 0 && told)
		return 0;
	return say_status("writing it", status ? status : 255, why);
}

int package_check(const struct package_keys *keys, int in_fd, int out_fd, struct rpm_package *ret,
                  char *why)
{
	OWNED_FD int signature = memfd_create("signature", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	OWNED_FD int header = memfd_create("header", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct package_files f = {.in = in_fd,
	                          .out = out_fd,
	                          .signature = signature,
	                          .header = header,
	                          .result = -1,
	                          .unsigned_too = keys->unsigned_too};

	if (signature < 0 || header < 0)
		return say_status("memory", 255, why);
	if (split(&f, why))
		return -1;
	if (seal(&f))
		return say_status("sealing it", 255, why);
	if (!keys->unsigned_too && verify(keys, &f, why))
		return -1;
	return rewrite(&f, ret, why);
}
