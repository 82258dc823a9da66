/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads one profile, confined to their folder. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/paths.h"
#include "services/backup/profile.h"
#include "services/backup/service.h"

#define NAME_LEN_MAX 200U

static char text[PROFILE_SIZE_MAX + 1], store[PROFILE_SIZE_MAX + 1], why[PROFILE_WHY_LEN];

/* A name that leads nowhere but to a file of the folder. */
static bool name_legal(const char *untrusted_name)
{
	size_t len = strlen(untrusted_name);

	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)untrusted_name[i] <= ' ' || untrusted_name[i] == 0x7f ||
		    untrusted_name[i] == '/')
			return false;
	}
	return len > 0 && len <= NAME_LEN_MAX;
}

/* Bytes, or -1 with errno. */
static ssize_t load(const char *name)
{
	char file[NAME_LEN_MAX + 8], path[PATH_MAX];
	OWNED_FD int fd = -1;
	struct stat st;
	size_t len = 0;

	errno = ENOENT;
	if (!name_legal(name))
		return -1;
	(void)snprintf(file, sizeof(file), "%s.conf", name);
	if (path_make(path, sizeof(path), "/etc/qubes/backup", file))
		return -1;
	fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st))
		return -1;
	if (!S_ISREG(st.st_mode)) {
		errno = EINVAL;
		return -1;
	}
	while (len < sizeof(text)) {
		ssize_t n = read(fd, text + len, sizeof(text) - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -1 : (ssize_t)len;
		len += (size_t)n;
	}
	return (ssize_t)len;
}

int read_profile(int conn, const struct backup_message *m)
{
	static struct backup_message out = {.kind = BACKUP_PROFILE};
	size_t given = strlen(m->text);
	ssize_t len;

	if (reader_confine(conn))
		return 1;
	len = given ? (ssize_t)given : load(m->name);
	/* Where there is no folder for them, Landlock has no rule for it either. */
	if (len < 0 && (errno == ENOENT || errno == EACCES)) {
		service_fail(conn, BACKUP_E_NO_PROFILE, "Backup profile does not exist: %s",
		             m->name);
		return 1;
	}
	if (len < 0) {
		service_fail(conn, BACKUP_E_FAILED,
		             "Invalid backup profile - it cannot be read: %s", strerror(errno));
		return 1;
	}
	if (backup_profile_parse(given ? m->text : text, (size_t)len, store, &out.profile, why)) {
		service_fail(conn, BACKUP_E_FAILED, "%s", why);
		return 1;
	}
	if (service_send(conn, &out) == 0)
		return 0;
	service_fail(conn, BACKUP_E_FAILED, "Invalid backup profile - its lists are too long");
	return 1;
}
