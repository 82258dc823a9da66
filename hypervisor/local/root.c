/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The root of a qube, put together at <stage>/root in a mount namespace of the caller's own:
 *
 *   template HOST: this machine's /usr with a minimal /etc     template DIR: a whole tree
 *   both: below what Skerry puts into qubes, below the qube's own names; read-only
 *   private volume: /rw, of which home is /home and usrlocal is /usr/local
 *
 * Trust: nothing that lies in a volume. What the qube can change is opened below the volume's folder
 * without following a link, and mounted by descriptor, so a link to a place in dom0 mounts nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "hypervisor/local/local.h"
#include "hypervisor/local/mounts.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"

#define ACCOUNTS_MAX (1U << 20) /* bytes of a template's list of accounts; chosen */
#define QUBE_UID     1000U
#define COPY_MAX     (256 << 10) /* bytes; chosen: ld.so.cache is the largest */
#define RUN_MIN_KIB  16384U      /* of /run; chosen */

/* What a root on this machine's /usr takes from its /etc, if it is there: settings without secrets. */
static const char *const host_etc[] = {
        "alternatives",
        "bash.bashrc",
        "ca-certificates",
        "ca-certificates.conf",
        "debian_version",
        "fonts",
        "host.conf",
        "inputrc",
        "ld.so.cache",
        "ld.so.conf",
        "ld.so.conf.d",
        "locale.conf",
        "login.defs",
        "mime.types",
        "networks",
        "nsswitch.conf",
        "pam.d",
        "profile",
        "profile.d",
        "protocols",
        "security",
        "services",
        "shells",
        "skel",
        "ssl/certs",
        "terminfo",
        "X11",
        "xdg",
};

/* Folders of every root; of a tree that has them they are joined with its own. */
static const char *const folders[] = {
        "dev",     "etc",     "home",    "media",   "mnt",       "opt",       "proc",      "root",
        "run",     "rw",      "srv",     "sys",     "tmp",       "usr",       "usr/local", "var",
        "etc/ssl", "var/tmp", "var/log", "var/lib", "var/cache", "var/spool",
};

struct root {
	const struct local *local;
	const struct local_qube *q;
	const struct monitor_create *create;
	char top[PATH_MAX];  /* folders and files of this qube alone */
	char root[PATH_MAX]; /* what the qube will see */
	int top_fd;
};

static int say(const char *what)
{
	LOG_ERRNO("%s", what);
	return -1;
}

static int put_file(const struct root *r, const char *name, const char *text, size_t len)
{
	OWNED_FD int fd = openat(r->top_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	return fd < 0 || fd_write_all(fd, text, len) ? -1 : 0;
}

static int put_text(const struct root *r, const char *name, const char *text)
{
	return put_file(r, name, text, strlen(text));
}

/* Accounts. */

/* A file of a template, whose links lead nowhere but into it; "" if it has none. */
static char *read_template(const char *tree, const char *name, size_t *ret_len)
{
	struct open_how how = {.flags = O_RDONLY | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT};
	OWNED_FD int dir = open(tree, O_PATH | O_DIRECTORY | O_CLOEXEC);
	OWNED_FD int fd = dir < 0 ? -1 : (int)syscall(SYS_openat2, dir, name, &how, sizeof(how));
	char *text = NULL;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode) ||
	    fd_read_to_end(fd, 4096, ACCOUNTS_MAX, &text, ret_len)) {
		*ret_len = 0;
		return strdup("");
	}
	return text;
}

/* The template's list, or a small one, with a line for the qube's user. */
static int put_accounts(const struct root *r, const char *name, const char *tree, const char *small,
                        const char *line)
{
	size_t len = 0, name_len = strcspn(line, ":") + 1;
	char *old = tree ? read_template(tree, name, &len) : strdup("");
	const char *at = old;
	char *text = NULL;
	bool has = false;
	int n = -1;

	while (old && !has && at && *at) {
		has = strncmp(at, line, name_len) == 0;
		at = strchr(at, '\n');
		at = at ? at + 1 : NULL;
	}
	if (old)
		n = asprintf(&text, "%s%s", len ? old : small, has ? "" : line);
	free(old);
	if (n < 0)
		return -1;
	n = put_file(r, name, text, (size_t)n);
	free(text);
	return n;
}

static int put_names(const struct root *r, const char *tree)
{
	const char *user = r->create->default_user;
	char passwd[256], group[128], hosts[256], shadow[128];

	(void)snprintf(passwd, sizeof(passwd), "%s:x:%u:%u::/home/%s:/bin/bash\n", user, QUBE_UID,
	               QUBE_UID, user);
	(void)snprintf(group, sizeof(group), "%s:x:%u:\n", user, QUBE_UID);
	(void)snprintf(shadow, sizeof(shadow), "%s:*:19000:0:99999:7:::\n", user);
	(void)snprintf(hosts, sizeof(hosts),
	               "127.0.0.1 localhost %s\n::1 localhost ip6-localhost ip6-loopback\n",
	               r->q->name);
	if (put_accounts(r, "etc/passwd", tree,
	                 "root:x:0:0:root:/root:/bin/bash\n"
	                 "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
	                 passwd) ||
	    put_accounts(r, "etc/group", tree, "root:x:0:\nnogroup:x:65534:\n", group) ||
	    put_accounts(r, "etc/shadow", NULL, "root:*:19000:0:99999:7:::\n", shadow) ||
	    put_text(r, "etc/hosts", hosts) ||
	    put_text(r, "etc/resolv.conf", "nameserver 10.139.1.1\nnameserver 10.139.1.2\n"))
		return -1;
	(void)snprintf(hosts, sizeof(hosts), "%s\n", r->q->name);
	return put_text(r, "etc/hostname", hosts);
}

/* The parts. */

static int make_top(struct root *r)
{
	if (mount("skerry", r->local->stage, "tmpfs", MS_NOSUID | MS_NODEV, "size=16m,mode=0755"))
		return say(r->local->stage);
	(void)snprintf(r->top, sizeof(r->top), "%.*s/top", PATH_MAX - 8, r->local->stage);
	(void)snprintf(r->root, sizeof(r->root), "%.*s/root", PATH_MAX - 8, r->local->stage);
	if (mkdir(r->top, 0755) || mkdir(r->root, 0755))
		return say(r->top);
	r->top_fd = open(r->top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; i < ARRAY_LEN(folders) && r->top_fd >= 0; i++)
		if (mkdirat(r->top_fd, folders[i], 0755))
			return say(folders[i]);
	if (r->top_fd < 0 || symlinkat("../run", r->top_fd, "var/run") ||
	    symlinkat("../run/lock", r->top_fd, "var/lock"))
		return say(r->top);
	return 0;
}

/* A small file costs less copied than mounted: bubblewrap changes each mount once more. */
static int copy_small(const char *from, const char *to, off_t len)
{
	OWNED_FD int in = open(from, O_RDONLY | O_CLOEXEC);
	OWNED_FD int out = -1;

	if (in < 0)
		return errno == EACCES ? 0 : -1;
	out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	while (out >= 0 && len > 0) {
		ssize_t n = sendfile(out, in, NULL, (size_t)len);

		if (n < 0)
			return -1;
		if (n == 0)
			break; /* it has become shorter */
		len -= n;
	}
	return out < 0 ? -1 : 0;
}

/* A file or folder of this machine's /etc, in the qube's. */
static int lend(const struct root *r, const char *name)
{
	char from[PATH_MAX], to[PATH_MAX];
	OWNED_FD int fd = -1;
	OWNED_FD int place = -1;
	struct stat st;

	(void)snprintf(from, sizeof(from), "/etc/%s", name);
	(void)snprintf(to, sizeof(to), "%.*s/etc/%s", PATH_MAX - 64, r->top, name);
	fd = open(from, O_PATH | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st))
		return errno == ENOENT || errno == EACCES ? 0 : say(from);
	if (S_ISREG(st.st_mode) && st.st_size <= COPY_MAX)
		return copy_small(from, to, st.st_size) ? say(from) : 0;
	if (S_ISDIR(st.st_mode)) {
		if (mkdir(to, 0755))
			return say(to);
	} else {
		place = open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
		if (place < 0)
			return say(to);
	}
	return mounts_bind(fd, to, true) ? say(from) : 0;
}

static int copy_link(const struct root *r, const char *from, const char *to)
{
	char target[PATH_MAX];
	ssize_t n = readlink(from, target, sizeof(target) - 1);

	if (n < 0)
		return 0;
	target[n] = '\0';
	return symlinkat(target, r->top_fd, to);
}

/* What Skerry puts below /etc, where the top is no layer over it. */
static int lend_guest(const struct root *r)
{
	static const char *const names[] = {"qubes-rpc", "qubes"};
	char from[PATH_MAX], to[PATH_MAX];

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		OWNED_FD int fd = -1;

		(void)snprintf(from, sizeof(from), "%.*s/etc/%s", PATH_MAX - 64, r->local->guest,
		               names[i]);
		(void)snprintf(to, sizeof(to), "%.*s/etc/%s", PATH_MAX - 64, r->top, names[i]);
		fd = open(from, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0 && errno == ENOENT)
			continue;
		if (fd < 0 || mkdir(to, 0755) || mounts_bind(fd, to, true))
			return say(from);
	}
	return 0;
}

/* The folders that are links into /usr where the system is merged, and mounts where it is not. */
static int lend_programs(const struct root *r)
{
	static const char *const names[] = {"bin", "sbin", "lib", "lib32", "lib64", "libx32"};
	char from[16], to[PATH_MAX];

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		OWNED_FD int fd = -1;
		struct stat st;

		(void)snprintf(from, sizeof(from), "/%s", names[i]);
		if (lstat(from, &st))
			continue;
		if (S_ISLNK(st.st_mode)) {
			if (copy_link(r, from, names[i]))
				return say(from);
			continue;
		}
		(void)snprintf(to, sizeof(to), "%.*s/%s", PATH_MAX - 16, r->top, names[i]);
		fd = open(from, O_PATH | O_CLOEXEC);
		if (fd < 0 || mkdir(to, 0755) || mounts_bind(fd, to, true))
			return say(from);
	}
	return 0;
}

/* Of this machine: the top is the root, /usr in it is a join of ours and the machine's. */
static int make_host_root(struct root *r)
{
	char guest[PATH_MAX], at[PATH_MAX];
	const char *const layers[] = {guest, "/usr"};

	(void)snprintf(guest, sizeof(guest), "%.*s/usr", PATH_MAX - 8, r->local->guest);
	(void)snprintf(at, sizeof(at), "%.*s/usr", PATH_MAX - 8, r->top);
	if (put_names(r, NULL) || copy_link(r, "/etc/localtime", "etc/localtime") ||
	    copy_link(r, "/etc/os-release", "etc/os-release"))
		return say("etc of the qube");
	for (size_t i = 0; i < ARRAY_LEN(host_etc); i++)
		if (lend(r, host_etc[i]))
			return -1;
	if (lend_programs(r) || lend_guest(r))
		return -1;
	(void)snprintf(r->root, sizeof(r->root), "%s", r->top);
	return mounts_overlay(layers, ARRAY_LEN(layers), at) ? say("the layers of /usr") : 0;
}

static int make_tree_root(struct root *r, const char *tree)
{
	const char *const layers[] = {r->top, r->local->guest, tree};

	if (put_names(r, tree))
		return say("etc of the qube");
	return mounts_overlay(layers, ARRAY_LEN(layers), r->root) ? say(tree) : 0;
}

/* Part of the private volume, at its place. */
static int place_part(const struct root *r, int volume, const char *name, const char *place,
                      uid_t owner)
{
	char to[PATH_MAX];
	OWNED_FD int fd = mounts_open_below(volume, name, owner);

	(void)snprintf(to, sizeof(to), "%.*s/%s", PATH_MAX - 64, r->root, place);
	if (fd >= 0 && mounts_bind(fd, to, false) == 0)
		return 0;
	LOG_ERRNO("%s of the private volume, which must be a folder", name);
	return -1;
}

static int place_private(const struct root *r, const char *path)
{
	uid_t owner = r->local->root ? MONITOR_OWNER_UID_BASE + r->q->owner : (uid_t)-1;
	OWNED_FD int volume = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	OWNED_FD int home = -1;
	OWNED_FD int user = -1;
	OWNED_FD int config = -1;
	char to[PATH_MAX];

	if (volume < 0)
		return say(path);
	home = mounts_open_below(volume, "home", owner);
	user = home < 0 ? -1 : mounts_open_below(home, r->create->default_user, owner);
	config = mounts_open_below(volume, "config", owner);
	if (user < 0 || config < 0)
		return say("home and config of the private volume must be folders");
	(void)snprintf(to, sizeof(to), "%.*s/rw", PATH_MAX - 8, r->root);
	if (mounts_bind(volume, to, false))
		return say(path);
	return place_part(r, volume, "home", "home", owner) ||
	                       place_part(r, volume, "usrlocal", "usr/local", owner)
	               ? -1
	               : 0;
}

/* The folder with the broker's socket, not the socket: a new broker makes a new one, seen then. */
static int place_channels(const struct root *r)
{
	const struct local_qube *q = r->q;
	char to[PATH_MAX], from[PATH_MAX], options[96], name[16];
	uid_t owner = r->local->root ? MONITOR_OWNER_UID_BASE + q->owner : geteuid();
	gid_t group = r->local->root ? owner : getegid();
	OWNED_FD int fd = -1;

	(void)snprintf(options, sizeof(options), "size=%lluk,mode=0755,uid=%u,gid=%u",
	               (unsigned long long)MAX(q->memory_max / 4, (uint64_t)RUN_MIN_KIB), owner,
	               group);
	(void)snprintf(to, sizeof(to), "%.*s/run", PATH_MAX - 16, r->root);
	if (mount("skerry", to, "tmpfs", MS_NOSUID | MS_NODEV, options))
		return say(to);
	(void)snprintf(name, sizeof(name), "%u", q->domid);
	(void)snprintf(to, sizeof(to), "%.*s/run/vchan", PATH_MAX - 16, r->root);
	if (path_make(from, sizeof(from), "/run/skerry/channels", name))
		return say("channels");
	fd = open(from, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || mkdir(to, 0755) || mounts_bind(fd, to, true) ? say(from) : 0;
}

static const struct monitor_volume *find_volume(const struct monitor_create *c, const char *role)
{
	for (size_t i = 0; i < MONITOR_VOLUMES_MAX; i++)
		if (strcmp(c->volumes[i].role, role) == 0)
			return &c->volumes[i];
	return NULL;
}

/*
 * Where the qube's outer user can reach it: the way to the stage may be closed to all but its owner.
 * What lies below that place is needed no more, and in this namespace only we are.
 */
static int show(const struct root *r)
{
	static const char *const places[] = {"/mnt", "/media", "/srv", "/opt"};
	OWNED_FD int fd = open(r->root, O_PATH | O_DIRECTORY | O_CLOEXEC);

	for (size_t i = 0; i < ARRAY_LEN(places) && fd >= 0; i++)
		if (access(places[i], F_OK) == 0)
			return mounts_bind(fd, places[i], false) || chdir(places[i])
			               ? say(places[i])
			               : 0;
	return say("/mnt, /media, /srv or /opt");
}

int local_root_make(const struct local *local, const struct local_qube *q,
                    const struct monitor_create *create)
{
	const struct monitor_volume *root = find_volume(create, "root");
	const struct monitor_volume *private = find_volume(create, "private");
	struct root r = {.local = local, .q = q, .create = create, .top_fd = -1};

	/* start.c has looked for them. */
	if (!root || !private || make_top(&r))
		return -1;
	if (root->kind == MONITOR_VOLUME_HOST ? make_host_root(&r) : make_tree_root(&r, root->path))
		return -1;
	if (place_private(&r, private->path) || place_channels(&r) ||
	    mounts_read_only(local->stage))
		return -1;
	return show(&r);
}
