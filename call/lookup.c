/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which file a service name stands for: service directories, configuration directories, and links
 * that mean a TCP port. Directories are the administrator's; a name in them was chosen by another
 * qube, but holds no '/'. A fault in a directory refuses the service: the next directory might hold
 * a file of the same name that was meant to be replaced.
 * Source: doc/protocol/qrexec.md, 10.2, 10.3 and 10.6.
 */
#include "call/service.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/bytes.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "proto/qrexec.h"

#define DEFAULT_SERVICES "/run/qubes-rpc:/usr/local/etc/qubes-rpc:/etc/qubes-rpc"
#define DEFAULT_CONFIGS                                                                            \
	"/run/qubes/rpc-config:/usr/local/etc/qubes/rpc-config:/etc/qubes/rpc-config"
#define TCP_DIR     "/dev/tcp"

#define LOOKUP_NEXT (-1) /* not here: try the next directory */

struct lookup {
	const char *list;
	bool is_default; /* the list is ours: below the root prefix */
	int (*try)(const char *path, const struct service_command *command,
	           struct service_found *out);
	const struct service_command *command;
	struct service_found *out;
};

static int problem(const char *path, const char *why)
{
	LOG("%s: %s", path, why);
	return QREXEC_EXIT_PROBLEM;
}

static int problem_errno(const char *path, const char *what)
{
	LOG_ERRNO("%s: %s", path, what);
	return QREXEC_EXIT_PROBLEM;
}

/* TCP services. */

static int take_port(const char *path, const char *port, struct service_found *out)
{
	size_t len = strlen(port);
	unsigned long value;

	if (len == 0 || len > 5 || strspn(port, "0123456789") != len || port[0] == '0')
		return problem(path, "not a TCP port");
	value = strtoul(port, NULL, 10);
	if (value > 65535)
		return problem(path, "not a TCP port");
	memcpy(out->port, port, len + 1);
	return 0;
}

static int take_host(const char *path, const char *host, size_t len, struct service_found *out)
{
	struct in6_addr address;
	char *percent;
	bool legal;

	if (len == 0 || len >= sizeof(out->host))
		return problem(path, "no host, or a very long one");
	memcpy(out->host, host, len);
	out->host[len] = '\0';
	percent = strchr(out->host, '%');
	if (percent)
		*percent = '\0';
	if (percent || strchr(out->host, ':'))
		legal = inet_pton(AF_INET6, out->host, &address) == 1;
	else
		legal = inet_pton(AF_INET, out->host, &address) == 1;
	if (percent)
		*percent = '%';
	return legal ? 0 : problem(path, "the host of a TCP service must be a number");
}

/* Argument HOST+PORT, where every other '+' stands for ':'. */
static int tcp_from_argument(const char *path, const char *argument, struct service_found *out)
{
	char host[sizeof(out->host)];
	const char *plus = strrchr(argument, '+');
	size_t len;

	if (!plus || strchr(argument, '_'))
		return problem(path, "the argument must be HOST+PORT");
	len = (size_t)(plus - argument);
	if (len >= sizeof(host))
		return problem(path, "a very long host");
	for (size_t i = 0; i < len; i++)
		host[i] = argument[i] == '+' ? ':' : argument[i];
	if (take_host(path, host, len, out))
		return QREXEC_EXIT_PROBLEM;
	return take_port(path, plus + 1, out);
}

/* text: what the link says after /dev/tcp */
static int find_tcp(const char *path, const char *text, const struct service_command *command,
                    struct service_found *out)
{
	const char *argument = command->argument ? command->argument : "";
	const char *slash;

	out->kind = SERVICE_TCP;
	if (*text == '\0')
		return tcp_from_argument(path, argument, out);
	text++;
	slash = strchr(text, '/');
	if (take_host(path, text, slash ? (size_t)(slash - text) : strlen(text), out))
		return QREXEC_EXIT_PROBLEM;
	if (!slash)
		return take_port(path, argument, out);
	if (*argument)
		return problem(path, "takes no argument");
	return take_port(path, slash + 1, out);
}

/* Service files. */

static int try_link(const char *path, const struct service_command *command,
                    struct service_found *out, bool *ret_tcp)
{
	char text[PATH_MAX];
	ssize_t len = readlink(path, text, sizeof(text) - 1);

	*ret_tcp = false;
	if (len < 0)
		return problem_errno(path, "readlink");
	text[len] = '\0';
	if (strncmp(text, TCP_DIR, strlen(TCP_DIR)) != 0)
		return 0;
	if (text[strlen(TCP_DIR)] != '\0' && text[strlen(TCP_DIR)] != '/')
		return 0;
	*ret_tcp = true;
	return find_tcp(path, text + strlen(TCP_DIR), command, out);
}

static int try_service(const char *path, const struct service_command *command,
                       struct service_found *out)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? LOOKUP_NEXT : problem_errno(path, "lstat");
	if (S_ISLNK(st.st_mode)) {
		bool is_tcp;
		int r = try_link(path, command, out, &is_tcp);

		if (r || is_tcp)
			return r;
		if (stat(path, &st) < 0)
			return errno == ENOENT ? LOOKUP_NEXT : problem_errno(path, "stat");
	}
	(void)bytes_copy_text(out->path, sizeof(out->path), path);
	if (S_ISSOCK(st.st_mode)) {
		out->kind = SERVICE_SOCKET;
		return 0;
	}
	if (!S_ISREG(st.st_mode) || faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) < 0)
		return problem(path, "neither a program that can be executed nor a socket");
	out->kind = SERVICE_EXECUTABLE;
	return 0;
}

/* Configuration files. */

static int read_settings(int fd, const char *path, struct service_settings *out)
{
	char *data;
	size_t len = 0;
	unsigned int line = 0;
	int r = 0;

	data = malloc(SERVICE_CONFIG_MAX + 1);
	if (!data)
		return problem_errno(path, "malloc");
	while (len <= SERVICE_CONFIG_MAX) {
		ssize_t n = read(fd, data + len, SERVICE_CONFIG_MAX + 1 - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			r = problem_errno(path, "read");
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	if (r == 0 && len > SERVICE_CONFIG_MAX)
		r = problem(path, "too large for a service configuration");
	if (r == 0 && service_settings_parse(data, len, out, &line)) {
		LOG("%s: line %u is not of the configuration format, or contradicts another", path,
		    line);
		r = QREXEC_EXIT_PROBLEM;
	}
	free(data);
	return r;
}

static int try_config(const char *path, const struct service_command *command,
                      struct service_found *out)
{
	OWNED_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	(void)command;
	if (fd < 0)
		return errno == ENOENT ? LOOKUP_NEXT : problem_errno(path, "open");
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return problem(path, "not a file");
	return read_settings(fd, path, &out->settings);
}

/* Both. */

static int make_path(const struct lookup *l, char *dst, size_t len, const char *dir, int dir_len,
                     const char *name)
{
	char part[PATH_MAX];
	int n = snprintf(part, sizeof(part), "%.*s/%s", dir_len, dir, name);

	if (n < 0 || (size_t)n >= sizeof(part))
		return -1;
	if (l->is_default)
		return path_make(dst, len, part, NULL);
	return bytes_copy_text(dst, len, part);
}

static int search(const struct lookup *l, const char *name)
{
	const char *dir = l->list;

	if (strlen(name) > NAME_MAX || strchr(name, '/'))
		return LOOKUP_NEXT;
	for (;;) {
		int dir_len = (int)strcspn(dir, ":");
		char path[PATH_MAX];
		int r;

		if (dir_len > 0) {
			if (make_path(l, path, sizeof(path), dir, dir_len, name))
				return problem(name, "a very long path");
			r = l->try(path, l->command, l->out);
			if (r != LOOKUP_NEXT)
				return r;
		}
		if (!dir[dir_len])
			return LOOKUP_NEXT;
		dir += dir_len + 1;
	}
}

/* service+argument in all directories, then service in all directories. */
static int search_both(const struct lookup *l)
{
	const struct service_command *command = l->command;
	char name[NAME_MAX + 2];
	int n = snprintf(name, sizeof(name), "%s+%s", command->service,
	                 command->argument ? command->argument : "");
	int r = LOOKUP_NEXT;

	if (n > 0 && (size_t)n < sizeof(name))
		r = search(l, name);
	return r == LOOKUP_NEXT ? search(l, command->service) : r;
}

static struct lookup lookup_make(const char *list, const char *env, const char *fallback)
{
	struct lookup l = {.list = list ? list : getenv(env)};

	if (!l.list) {
		l.list = fallback;
		l.is_default = true;
	}
	return l;
}

static int check_kind(const struct service_command *command, struct service_found *out)
{
	struct service_settings *settings = &out->settings;

	if (out->kind != SERVICE_EXECUTABLE)
		return 0;
	if (command->n_tokens != (command->dom0 ? 4U : 2U))
		return problem(command->service, "a call with a wrong number of words");
	if (settings->skip_descriptor || settings->exit_on_client_eof ||
	    settings->exit_on_service_eof) {
		LOG("%s: settings for sockets are ignored for a program", out->path);
		settings->skip_descriptor = false;
		settings->exit_on_client_eof = false;
		settings->exit_on_service_eof = false;
	}
	return 0;
}

int service_find(const struct service_command *command, const char *path_list,
                 const char *config_list, struct service_found *out)
{
	struct lookup services = lookup_make(path_list, "QREXEC_SERVICE_PATH", DEFAULT_SERVICES);
	struct lookup configs = lookup_make(config_list, "QUBES_RPC_CONFIG_PATH", DEFAULT_CONFIGS);
	int r;

	*out = (struct service_found){0};
	services.try = try_service;
	configs.try = try_config;
	services.command = configs.command = command;
	services.out = configs.out = out;
	/* In dom0 nogui means that nobody is there to wait for: the file is not even read. */
	if (!command->dom0 || !command->nogui) {
		r = search_both(&configs);
		if (r != LOOKUP_NEXT && r)
			return r;
	}
	r = search_both(&services);
	if (r == LOOKUP_NEXT) {
		LOG("no service %s", command->full_name);
		return QREXEC_EXIT_NOT_FOUND;
	}
	return r ? r : check_kind(command, out);
}
