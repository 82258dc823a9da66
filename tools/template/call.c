/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What qvm-template tells the update qube: options, a name, repositories and their keys. */
#include "tools/template/template.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium/utils.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/untrusted/name.h"
#include "tools/qvm/child.h"

#define KEY_MAX (1U << 20) /* bytes of a key; chosen */

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
static int make_request(const struct template_options *options, const char *spec)
{
	const struct repos *repos = options->repos;
	int fd = memfd_create("request", MFD_CLOEXEC);
	FILE *to = fd < 0 ? NULL : fdopen(fcntl(fd, F_DUPFD_CLOEXEC, 0), "w");
	int failed;

	if (!to)
		return fd_close(fd);
	for (size_t i = 0; i < options->words.n; i++)
		(void)fprintf(to, "%s\n", options->words.items[i]);
	(void)fprintf(to, "%s\n---\n", spec);
	failed = put_files(to, repos) || put_keys(to, repos) || ferror(to);
	if (fclose(to) || failed || lseek(fd, 0, SEEK_SET) != 0)
		return fd_close(fd);
	return fd;
}

/* The qube that dom0 updates through; NULL after a message. */
static const char *update_qube(const struct template_options *options)
{
	struct admin_reply reply;
	struct property value;

	if (options->updatevm)
		return options->updatevm;
	reply = admin_call("admin.property.Get", "updatevm", "dom0", NULL);
	if (reply.error) {
		fail_trace(&reply);
		err_printf("qvm-template: updatevm: %s\n", out_safe(admin_error_shown(&reply)));
		return NULL;
	}
	if (property_decode(reply.content, &value) &&
	    untrusted_qube_name_check(value.value, strlen(value.value)) == UNTRUSTED_QUBE_NAME_OK)
		return value.value;
	err_printf("qvm-template: no qube to update through: set the property updatevm "
	           "(qubes-prefs updatevm QUBE)\n");
	return NULL;
}

/* The program to call it; what the qube says on standard error is shown without its control characters. */
static void add_program(struct text_list *argv, const char *qube, const char *service)
{
	char *path = arena_alloc(PATH_MAX);

	if (!*qube) {
		text_list_add(argv, path_make(path, PATH_MAX, "/etc/qubes-rpc", service) ? service
		                                                                         : path);
	} else if (admin_in_dom0()) {
		text_list_add(argv, "qrexec-client");
		text_list_add(argv, "-T");
		text_list_add(argv, "-d");
		text_list_add(argv, qube);
		text_list_add(argv, arena_printf("DEFAULT:QUBESRPC %s dom0", service));
	} else {
		text_list_add(argv, "qrexec-client-vm");
		text_list_add(argv, "-T");
		text_list_add(argv, qube);
		text_list_add(argv, service);
	}
	text_list_add(argv, NULL);
}

int template_call(const char *service, const struct template_options *options, const char *spec,
                  pid_t *ret_pid)
{
	const char *qube = update_qube(options);
	struct text_list argv = {0};
	OWNED_FD int request = -1;
	int ends[2];

	if (!qube)
		return -1;
	request = make_request(options, spec);
	if (request < 0 || pipe2(ends, O_CLOEXEC)) {
		err_printf("qvm-template: the request: %m\n");
		return -1;
	}
	add_program(&argv, qube, service);
	*ret_pid = child_start(argv.items, (const int[]){request, ends[1], -1});
	fd_close(ends[1]);
	if (*ret_pid > 0)
		return ends[0];
	err_printf("%s: %m\n", argv.items[0]);
	return fd_close(ends[0]);
}
