/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What qvm-template tells the update qube: options, a name, repositories and their keys. */
#include "services/dom0/template.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium/utils.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/untrusted/name.h"
#include "services/dom0/qubesd_ask.h"

#define KEY_MAX (1U << 20) /* bytes of a key; chosen */

bool template_spec_legal(const char *spec)
{
	static const char letters[] =
	        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	        "._+:~*?^-";

	return spec[0] && spec[0] != '-' && strlen(spec) < 200 &&
	       strspn(spec, letters) == strlen(spec);
}

static int read_whole(const char *path, size_t max, char **ret, size_t *ret_len)
{
	OWNED_FD int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd >= 0 && fd_read_to_end(fd, 4096, max, ret, ret_len) == 0)
		return 0;
	LOG_ERRNO("%s", path);
	return -1;
}

/* A file with several repositories is sent once: they stand together. */
static int put_files(FILE *to, const struct repos *repos)
{
	for (size_t i = 0; i < repos->n; i++) {
		char *text;
		size_t len;

		if (i > 0 && strcmp(repos->list[i].file, repos->list[i - 1].file) == 0)
			continue;
		if (read_whole(repos->list[i].file, REPOS_FILE_MAX, &text, &len))
			return -1;
		(void)fprintf(to, "%s\n", text);
		free(text);
	}
	return 0;
}

static int put_keys(FILE *to, const struct repos *repos)
{
	for (size_t i = 0; i < repos->n; i++) {
		const size_t variant = sodium_base64_VARIANT_ORIGINAL;
		char path[PATH_MAX];
		char *base64;
		char *key;
		size_t len;

		if (!repos->list[i].key[0])
			continue;
		if (path_make(path, sizeof(path), repos->list[i].key, NULL) ||
		    read_whole(path, KEY_MAX, &key, &len))
			return -1;
		base64 = malloc(sodium_base64_encoded_len(len, (int)variant));
		if (base64)
			(void)fprintf(to,
			              "###!Q!BEGIN-QUBES-WRAPPER!Q!###\n#%s\n#%s\n"
			              "###!Q!END-QUBES-WRAPPER!Q!###\n",
			              repos->list[i].key,
			              sodium_bin2base64(
			                      base64, sodium_base64_encoded_len(len, (int)variant),
			                      (const unsigned char *)key, len, (int)variant));
		free(key);
		free(base64);
		if (!base64)
			return -1;
	}
	return 0;
}

/* A file in memory, so that nobody waits for anybody. */
static int make_request(const struct template_options *options, const struct repos *repos,
                        const char *spec)
{
	int fd = memfd_create("request", MFD_CLOEXEC);
	FILE *to = fd < 0 ? NULL : fdopen(fcntl(fd, F_DUPFD_CLOEXEC, 0), "w");
	int failed;

	if (!to)
		return fd_close(fd);
	for (size_t i = 0; i < options->n_words; i++)
		(void)fprintf(to, "%s\n", options->words[i]);
	(void)fprintf(to, "%s\n---\n", spec);
	failed = put_files(to, repos) || put_keys(to, repos) || ferror(to);
	if (fclose(to) || failed || lseek(fd, 0, SEEK_SET) != 0)
		return fd_close(fd);
	return fd;
}

static int update_qube(char name[32])
{
	const struct qubesd_question question = {.socket = QUBESD_SOCKET,
	                                         .method = "admin.property.Get+updatevm",
	                                         .source = "dom0",
	                                         .dest = "dom0"};
	const char *found;
	char *data;
	size_t len;

	if (qubesd_ask(&question, &data, &len))
		return -1;
	found = strstr(data, " type=vm ");
	found = found ? found + strlen(" type=vm ") : "";
	(void)snprintf(name, 32, "%s",
	               untrusted_qube_name_check(found, strlen(found)) == UNTRUSTED_QUBE_NAME_OK
	                       ? found
	                       : "");
	free(data);
	if (name[0])
		return 0;
	LOG("no qube to update through: set the property updatevm (qubes-prefs updatevm QUBE)");
	return -1;
}

int template_call(const char *service, const struct template_options *options,
                  const struct repos *repos, const char *spec, pid_t *ret_pid)
{
	char command[128];
	char qube[32];
	/* -T: what the qube says on standard error is shown without its control characters. */
	const char *const argv[] = {"qrexec-client", "-T", "-d", qube, command, NULL};
	posix_spawn_file_actions_t actions;
	OWNED_FD int request = -1;
	int ends[2];
	int error;

	if (update_qube(qube))
		return -1;
	request = make_request(options, repos, spec);
	if (request < 0 || pipe2(ends, O_CLOEXEC)) {
		LOG_ERRNO("the request");
		return -1;
	}
	(void)snprintf(command, sizeof(command), "DEFAULT:QUBESRPC %s dom0", service);
	(void)posix_spawn_file_actions_init(&actions);
	error = posix_spawn_file_actions_adddup2(&actions, request, STDIN_FILENO);
	if (!error)
		error = posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
	if (!error)
		error = posix_spawnp(ret_pid, argv[0], &actions, NULL,
		                     (char *const *)(uintptr_t)argv, environ);
	(void)posix_spawn_file_actions_destroy(&actions);
	(void)close(ends[1]);
	if (!error)
		return ends[0];
	(void)close(ends[0]);
	errno = error;
	LOG_ERRNO("qrexec-client");
	return -1;
}
