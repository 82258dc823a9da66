/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * skerry-store - keeps what the admin service must not forget
 *
 * Holds the SQLite file and one socket. Transactions that came together are committed together; each
 * is acknowledged when the disk has it. When something cannot be written it says so and drops what
 * came after, until the admin service has taken that back.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "process/user.h"
#include "services/admin/database.h"
#include "services/admin/rights.h"
#include "services/admin/store.h"

#define STORE_DIR "/var/lib/qubes/admin"
#define USER      "skerry-admin" /* monitor/processes.def */
#define GROUP_MAX 512            /* transactions in one commit; chosen */

struct store {
	struct database *db;
	int fd;
	bool open;      /* a group has begun */
	bool partial;   /* rows came whose COMMIT did not yet */
	bool refusing;  /* until RESUME */
	uint64_t first; /* transaction of the group */
	uint64_t last;
	unsigned int n; /* complete ones in the group */
	uint8_t packet[STORE_PACKET_MAX];
	uint8_t out[STORE_PACKET_MAX];
};

static int send_packet(struct store *s, const struct store_packet *p)
{
	size_t len = store_encode(s->out, sizeof(s->out), p);

	while (send(s->fd, s->out, len, MSG_NOSIGNAL) < 0)
		if (errno != EINTR)
			return -1;
	return 0;
}

static int send_row(void *arg, uint32_t kind, const char *owner, const char *name,
                    const char *value)
{
	struct store *s = arg;

	if (strlen(name) > STORE_NAME_MAX || strlen(value) > STORE_VALUE_MAX ||
	    strlen(owner) > 63) {
		LOG("a row is too long and is left out: %.100s", name);
		return 0;
	}
	return send_packet(s, &(struct store_packet){.kind = STORE_ROW,
	                                             .row = kind,
	                                             .owner = owner,
	                                             .name = name,
	                                             .value = value});
}

static int refuse(struct store *s, uint64_t seq)
{
	char why[256];

	snprintf(why, sizeof(why), "%s", database_why(s->db));
	LOG("transaction %llu cannot be written: %s", (unsigned long long)seq, why);
	database_rollback(s->db);
	s->open = s->partial = false;
	s->n = 0;
	s->refusing = true;
	return send_packet(s,
	                   &(struct store_packet){.kind = STORE_REFUSED, .seq = seq, .text = why});
}

static int commit(struct store *s)
{
	if (!s->open || s->partial)
		return 0;
	if (database_commit(s->db))
		return refuse(s, s->first);
	s->open = false;
	s->n = 0;
	return send_packet(s, &(struct store_packet){.kind = STORE_DURABLE, .seq = s->last});
}

static int begin(struct store *s, uint64_t seq)
{
	if (s->open)
		return 0;
	if (database_begin(s->db))
		return -1;
	s->open = true;
	s->first = seq;
	return 0;
}

static int on_packet(struct store *s, const struct store_packet *p)
{
	switch (p->kind) {
	case STORE_LOAD:
		if (database_rows(s->db, send_row, s)) {
			LOG("rows cannot be read: %s", database_why(s->db));
			return -1;
		}
		return send_packet(s, &(struct store_packet){.kind = STORE_END});
	case STORE_ROW:
		if (s->refusing)
			return 0;
		if (begin(s, p->seq) || database_put(s->db, p->row, p->owner, p->name, p->value))
			return refuse(s, s->open ? s->first : p->seq);
		s->partial = true;
		return 0;
	case STORE_COMMIT:
		if (s->refusing)
			return 0;
		if (begin(s, p->seq))
			return refuse(s, p->seq);
		s->partial = false;
		s->last = p->seq;
		return ++s->n >= GROUP_MAX ? commit(s) : 0;
	case STORE_RESUME:
		s->refusing = false;
		return 0;
	case STORE_END:
	case STORE_DURABLE:
	case STORE_REFUSED:
	case STORE_KINDS:
		break;
	}
	return -1;
}

/* 0: the admin service is gone; -1: something is wrong with it, or with us. */
static int serve(struct store *s)
{
	struct pollfd wait = {.fd = s->fd, .events = POLLIN};
	struct store_packet p;
	ssize_t n;

	for (;;) {
		n = recv(s->fd, s->packet, sizeof(s->packet), MSG_DONTWAIT);
		if (n == 0)
			return 0;
		if (n < 0 && errno == EAGAIN) {
			if (commit(s))
				return -1;
			if (poll(&wait, 1, -1) < 0 && errno != EINTR)
				return -1;
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == ECONNRESET ? 0 : -1;
		if (store_decode(s->packet, (size_t)n, &p) || on_packet(s, &p))
			return -1;
	}
}

static const char usage[] =
        "usage: skerry-store [--root=DIR] [--dir=DIR] --admin-fd=N [--ready-fd=N]\n"
        "The monitor starts it; see skerry-admin(8).\n";

static int open_dir(const char *given, char dir[PATH_MAX])
{
	char *p;

	if (given ? (unsigned int)snprintf(dir, PATH_MAX, "%s", given) >= PATH_MAX
	          : path_make(dir, PATH_MAX, STORE_DIR, NULL))
		return -1;
	for (p = dir + 1; (p = strchr(p, '/')); p++) {
		*p = 0;
		if (mkdir(dir, 0755) && errno != EEXIST && errno != EROFS && errno != EACCES)
			LOG_ERRNO("%s", dir);
		*p = '/';
	}
	if (mkdir(dir, 0700) && errno != EEXIST)
		LOG_ERRNO("%s", dir);
	return 0;
}

/* The folder is its user's, and what an older system left in it as root. */
static int own_dir(const char *dir)
{
	DIR *d = opendir(dir);
	const struct dirent *e;
	uid_t uid;
	gid_t gid;
	int r = d ? 0 : -1;

	if (d && geteuid() == 0 && user_find(USER, &uid, &gid) == 0) {
		r = fchown(dirfd(d), uid, gid);
		while (r == 0 && (e = readdir(d)))
			if (e->d_name[0] != '.')
				r = fchownat(dirfd(d), e->d_name, uid, gid, AT_SYMLINK_NOFOLLOW);
	}
	if (d)
		(void)closedir(d);
	if (r == 0 && user_enter(USER) == 0)
		return 0;
	LOG_ERRNO("%s: giving it to " USER, dir);
	return -1;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"root", required_argument, NULL, 'r'},
	                                        {"dir", required_argument, NULL, 'd'},
	                                        {"admin-fd", required_argument, NULL, 'a'},
	                                        {"ready-fd", required_argument, NULL, 'y'},
	                                        {"help", no_argument, NULL, 'h'},
	                                        {0}};
	static struct store store = {.fd = -1};
	const char *given = NULL;
	char dir[PATH_MAX];
	int code, ready = -1;

	log_init("skerry-store");
	while ((code = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (code == 'r')
			paths_set_root(optarg);
		else if (code == 'd')
			given = optarg;
		else if (code == 'a')
			store.fd = (int)strtol(optarg, NULL, 10);
		else if (code == 'y')
			ready = (int)strtol(optarg, NULL, 10);
		else
			return code == 'h' ? fputs(usage, stdout) < 0 : (fputs(usage, stderr), 2);
	}
	if (optind < argc || store.fd < 0)
		return fputs(usage, stderr), 2;
	if (fd_open_stdio() || open_dir(given, dir) || own_dir(dir))
		return 1;
	umask(077);
	if (store_rights_drop(dir, store.fd, ready))
		return 1;
	store.db = database_open(dir);
	if (!store.db)
		return 111;
	database_backup(store.db, dir);
	if (ready >= 0 && write(ready, "\n", 1) != 1)
		LOG_ERRNO("nobody hears that the store is ready");
	fd_close(ready);
	code = serve(&store);
	database_rollback(store.db);
	database_close(store.db);
	return code ? 1 : 0;
}
