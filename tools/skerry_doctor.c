/* SPDX-License-Identifier: GPL-2.0-or-later */
/* skerry doctor: whether this machine has what the local ground needs, each with what to do if not. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <linux/seccomp.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/paths.h"
#include "tools/skerry_admin.h"

enum finding { GOOD, WORSE, BAD };

struct check {
	const char *name;
	enum finding (*look)(const char **ret_detail);
	const char *cure; /* told unless GOOD */
};

/* Makes a user namespace and one more thing in a child; its errno. */
static int namespace_try(int flags)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(unshare(flags) ? errno : 0);
	while (pid > 0 && waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return errno;
	return pid > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
}

static enum finding look_kernel(const char **ret_detail)
{
	struct utsname uts;
	int major = 0, minor = 0;
	char *end;

	if (uname(&uts))
		return BAD;
	major = (int)strtol(uts.release, &end, 10);
	if (*end == '.')
		minor = (int)strtol(end + 1, NULL, 10);
	*ret_detail = arena_dup(uts.release);
	return major > 5 || (major == 5 && minor >= 13) ? GOOD : WORSE;
}

static enum finding look_namespaces(const char **ret_detail)
{
	int r = namespace_try(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET |
	                      CLONE_NEWIPC | CLONE_NEWUTS);

	*ret_detail = r ? strerror(r) : "user, mount, pid, network, ipc, uts";
	return r ? BAD : GOOD;
}

/* The first folder of PATH that has a program. */
static const char *program_find(const char *name)
{
	const char *path = getenv("PATH");

	for (path = path ? path : "/usr/bin:/bin"; *path;) {
		size_t len = strcspn(path, ":");
		const char *whole = arena_printf("%.*s/%s", (int)len, path, name);

		if (access(whole, X_OK) == 0)
			return whole;
		path += len + (path[len] == ':');
	}
	return NULL;
}

static enum finding look_program(const char *name, enum finding without, const char **ret_detail)
{
	const char *found = program_find(name);

	*ret_detail = found ? found : "not installed";
	return found ? GOOD : without;
}

static enum finding look_bubblewrap(const char **ret_detail)
{
	return look_program("bwrap", BAD, ret_detail);
}

static enum finding look_pasta(const char **ret_detail)
{
	return look_program("pasta", WORSE, ret_detail);
}

static enum finding look_landlock(const char **ret_detail)
{
	/* LANDLOCK_CREATE_RULESET_VERSION is 1 */
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0, 1);

	*ret_detail = version > 0 ? arena_printf("version %ld", version) : strerror(errno);
	return version > 0 ? GOOD : WORSE;
}

static enum finding look_seccomp(const char **ret_detail)
{
	unsigned int action = SECCOMP_RET_KILL_PROCESS;
	long r = syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action);

	*ret_detail = r == 0 ? "filters that end the process" : strerror(errno);
	return r == 0 ? GOOD : BAD;
}

/* The folder of our control group, in which we may make others or not. */
static enum finding look_cgroup(const char **ret_detail)
{
	OWNED_FD int fd = open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC);
	char *data, *line;
	const char *folder;
	size_t len;

	if (fd < 0 || fd_read_to_end(fd, 4096, 65536, &data, &len))
		return WORSE;
	line = strncmp(data, "0::", 3) == 0 ? data : strstr(data, "\n0::");
	folder = line ? arena_copy(strstr(line, "0::") + 3, strcspn(strstr(line, "0::") + 3, "\n"))
	              : NULL;
	free(data);
	if (!folder || access("/sys/fs/cgroup/cgroup.controllers", F_OK)) {
		*ret_detail = "no control groups of version 2";
		return WORSE;
	}
	folder = arena_printf("/sys/fs/cgroup%s", folder);
	*ret_detail = folder;
	if (access(folder, W_OK) == 0)
		return GOOD;
	*ret_detail = arena_printf("%s: %s", folder, strerror(errno));
	return WORSE;
}

/* The folder of the system, or the next above it that exists. */
static const char *existing_folder(void)
{
	char own[PATH_MAX];
	const char *root = paths_root();
	char *path;

	if (!*root && geteuid() != 0 && paths_user_root(own, sizeof(own)) == 0)
		root = own;
	path = arena_dup(*root ? root : "/var/lib");
	while (access(path, F_OK) && strrchr(path, '/') > path)
		*strrchr(path, '/') = '\0';
	return path;
}

static enum finding look_folder(const char **ret_detail)
{
	const char *folder = existing_folder();

	*ret_detail = folder;
	return access(folder, W_OK | X_OK) == 0 ? GOOD : BAD;
}

/* Whether a file there can be a copy that shares its blocks. */
static enum finding look_reflink(const char **ret_detail)
{
	const char *folder = existing_folder();
	OWNED_FD int from = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	OWNED_FD int to = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (from < 0 || to < 0 || ftruncate(from, 4096)) {
		*ret_detail = strerror(errno);
		return WORSE;
	}
	if (ioctl(to, FICLONE, from) == 0) {
		*ret_detail = "copies share blocks";
		return GOOD;
	}
	*ret_detail = arena_printf("%s: copies take their whole size", folder);
	return WORSE;
}

static enum finding look_memfd(const char **ret_detail)
{
	OWNED_FD int fd = (int)syscall(SYS_memfd_create, "doctor", 1U);

	*ret_detail = fd >= 0 ? "shared memory without a file" : strerror(errno);
	return fd >= 0 ? GOOD : BAD;
}

static const struct check checks[] = {
        {"kernel", look_kernel, "Linux 5.13 or newer has all mechanisms; update it"},
        {"namespaces", look_namespaces,
         "let users make namespaces: sysctl kernel.unprivileged_userns_clone=1, "
         "user.max_user_namespaces=10000, kernel.apparmor_restrict_unprivileged_userns=0"},
        {"seccomp", look_seccomp, "a kernel with CONFIG_SECCOMP_FILTER is needed"},
        {"landlock", look_landlock,
         "add landlock to the kernel's lsm= list; without it files are kept apart by namespaces "
         "alone"},
        {"bubblewrap", look_bubblewrap, "apt-get install bubblewrap"},
        {"pasta", look_pasta,
         "install pasta: on Debian apt-get install passt; without it qubes have no network"},
        {"cgroup", look_cgroup,
         "without control groups a qube can take all memory; run in a session of systemd, or "
         "'systemd-run --user --scope -p Delegate=yes'"},
        {"memfd", look_memfd, "the channels between qubes need it"},
        {"folder", look_folder, "make it writable, or choose another with SKERRY_ROOT"},
        {"reflink", look_reflink,
         "put the folder on btrfs or xfs: starting a qube is faster and takes no space"},
};

static void print_check(const struct check *check, enum finding finding, const char *detail,
                        const struct skerry_options *options)
{
	static const char *const words[] = {
	        [GOOD] = "good", [WORSE] = "without", [BAD] = "missing"};
	static const enum skerry_style styles[] = {
	        [GOOD] = STYLE_GOOD, [WORSE] = STYLE_WARN, [BAD] = STYLE_BAD};

	if (options->json) {
		out_printf("{\"check\": %s, \"finding\": \"%s\", \"detail\": %s, \"cure\": %s}\n",
		           json_text(check->name), words[finding], json_text(detail),
		           finding == GOOD ? "null" : json_text(check->cure));
		return;
	}
	out_printf("%-11s ", check->name);
	out_escape(skerry_style(options, styles[finding]));
	out_printf("%-8s", words[finding]);
	out_escape(skerry_style(options, STYLE_PLAIN));
	out_printf("%s\n", detail);
	if (finding != GOOD)
		out_printf("%20s%s\n", "", check->cure);
}

int skerry_doctor(int argc, char **argv, const struct skerry_options *options)
{
	int bad = 0, worse = 0;

	argc = words_take(argc, argv, (const struct word_option[]){{0}});
	if (argc != 1)
		return skerry_usage("doctor");
	out_flush();
	for (size_t i = 0; i < ARRAY_LEN(checks); i++) {
		const char *detail = "";
		enum finding finding = checks[i].look(&detail);

		print_check(&checks[i], finding, detail, options);
		bad += finding == BAD;
		worse += finding == WORSE;
	}
	if (!options->json)
		out_printf("\n%s\n",
		           bad     ? "The local ground does not work here: see what is missing."
		           : worse ? "The local ground works here; see what it does without."
		                   : "This machine has all that the local ground uses.");
	return bad ? SKERRY_REFUSED : SKERRY_DONE;
}
