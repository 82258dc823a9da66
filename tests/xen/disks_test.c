/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs in dom0's image on a kernel of its own, without Xen: the disk that keeps state, and volumes as
 * block devices. If this fails, what a user's qubes wrote is lost, or a template is changed by a qube.
 * Usage: xen-disks-test STORAGE-PROGRAM PORT. On the second boot with a disk it looks at what the first left.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "tests/xen/tap.h"
#include "tests/xen/volumes.h"

#define MIB       (1ULL << 20)
#define ORIGIN    (STORAGE_F_RW | STORAGE_F_SAVE)
#define SNAPSHOT  (STORAGE_F_RW | STORAGE_F_SNAP)
#define POOL      "/var/lib/qubes"
#define KEPT      "/etc/qubes/kept"
#define MARK      POOL "/mark"
#define MARK_TEXT "in the clear nowhere but here"
#define STATE                                                                                      \
	"test.state" /* on the kernel's command line: only that state is kept, and no volumes */
#define XFS_MAGIC 0x58465342L

static const char *program;
static char device[STORAGE_PATH_LEN];

static bool done(const struct storage_answer *a)
{
	return a->kind == STORAGE_DONE;
}

/* Starts a volume; its device is in "device". */
static bool begin(const char *vid, const char *source, uint32_t more)
{
	const struct storage_answer *a = volumes_ask(STORAGE_START, vid, source, more);

	(void)snprintf(device, sizeof(device), "%s", a->path);
	return done(a) && a->medium == STORAGE_MEDIUM_BLOCK && strncmp(device, "/dev/", 5) == 0;
}

static bool stop(const char *vid)
{
	return done(volumes_ask(STORAGE_STOP, vid, NULL, 0));
}

static void test_data(void)
{
	struct statfs fs;

	(void)tap_result(statfs(POOL, &fs) == 0 && fs.f_type == XFS_MAGIC,
	                 "state is kept on the partition that was found or made");
	(void)tap_result(close(open(KEPT, O_CREAT | O_WRONLY | O_CLOEXEC, 0600)) == 0,
	                 "what the image has in /etc/qubes can be added to");
}

/* A template's root and the private volume of a qube. */
static void test_origin(const char *vid, const char *what)
{
	bool good;

	volumes_use("default", ORIGIN, 16 * MIB);
	good = done(volumes_ask(STORAGE_CREATE, vid, NULL, 0)) && begin(vid, NULL, 0) &&
	       volumes_size(device) == 16 * MIB && volumes_write(device, MIB, "first") && stop(vid);
	(void)tap_result(good, "%s: a device, written to and stopped", what);
	good = begin(vid, NULL, 0) && volumes_holds(device, MIB, "first") &&
	       volumes_write(device, MIB, "second") && stop(vid) && begin(vid, NULL, 0) &&
	       volumes_holds(device, MIB, "second") && stop(vid);
	(void)tap_result(good, "%s: the next starts see it", what);
	good = done(volumes_ask(STORAGE_REVISIONS, vid, NULL, 0)) && *volumes_part(0) &&
	       done(volumes_revert(vid, volumes_part(0))) && begin(vid, NULL, 0) &&
	       volumes_holds(device, MIB, "first") && stop(vid);
	(void)tap_result(good, "%s: reverted, it holds what it held before", what);
}

static void test_snapshot(const char *pool, const char *kind)
{
	static const char source[] = "vm-templates/t/root", vid[] = "appvms/a/root";
	char found[STORAGE_PATH_LEN], clean[256];
	bool good;

	volumes_use(pool, ORIGIN, 16 * MIB);
	good = done(volumes_ask(STORAGE_CREATE, source, NULL, 0)) && begin(source, NULL, 0) &&
	       volumes_write(device, MIB, "template") && stop(source);
	/* Larger than its source: the rest reads as zeros. */
	volumes_use(pool, SNAPSHOT, 24 * MIB);
	good = good && begin(vid, source, 0);
	(void)tap_result(good && strncmp(device, kind, strlen(kind)) == 0,
	                 "%s: a qube's root is %s", pool, device);
	good = good && volumes_size(device) == 24 * MIB && volumes_holds(device, MIB, "template") &&
	       volumes_write(device, MIB, "rubbish!") && volumes_holds(device, MIB, "rubbish!") &&
	       volumes_write(device, 20 * MIB, "beyond");
	(void)snprintf(clean, sizeof(clean), "%s/%s.img",
	               strcmp(pool, "plain") ? POOL : "/tmp/plain", source);
	(void)tap_result(good && volumes_holds(clean, MIB, "template"),
	                 "%s: what it writes is its own, and the template's does not change", pool);
	memcpy(found, device, sizeof(found));
	volumes_kill();
	good = good && volumes_begin(program) &&
	       volumes_pool("default", STORAGE_FILE_REFLINK, POOL) &&
	       volumes_pool("plain", STORAGE_FILE_REFLINK, "/tmp/plain");
	volumes_use(pool, SNAPSHOT, 24 * MIB);
	good = good && begin(vid, source, STORAGE_F_ADOPT) && strcmp(found, device) == 0;
	(void)tap_result(good, "%s: after kill -9 of the service the next one finds the device",
	                 pool);
	volumes_use(pool, SNAPSHOT, 40 * MIB + 4096);
	good = good && done(volumes_ask(STORAGE_RESIZE, vid, NULL, 0)) &&
	       volumes_size(device) == 40 * MIB + 4096 && volumes_holds(device, MIB, "rubbish!") &&
	       volumes_holds(device, 20 * MIB, "beyond") &&
	       volumes_write(device, 40 * MIB, "new room") &&
	       volumes_holds(device, 40 * MIB, "new room") &&
	       volumes_write(device, 2 * MIB, "and old");
	volumes_use(pool, SNAPSHOT, 48 * MIB);
	good = good && done(volumes_ask(STORAGE_RESIZE, vid, NULL, 0)) &&
	       volumes_size(device) == 48 * MIB && volumes_holds(device, 2 * MIB, "and old") &&
	       volumes_holds(device, 40 * MIB, "new room") &&
	       volumes_holds(device, MIB, "rubbish!");
	(void)tap_result(good && volumes_holds(clean, MIB, "template"),
	                 "%s: in use it becomes larger, twice, and what was written stays", pool);
	good = good && stop(vid) && volumes_devices() == 0;
	(void)tap_result(good, "%s: stopped, no device is left", pool);
	volumes_use(pool, SNAPSHOT, 24 * MIB);
	good = good && begin(vid, source, 0) && volumes_holds(device, MIB, "template") && stop(vid);
	(void)tap_result(good, "%s: the next start sees the template again", pool);
}

static void test_resize(void)
{
	static const char vid[] = "appvms/r/private";
	bool good;
	int user;

	volumes_use("default", ORIGIN, 8 * MIB);
	good = done(volumes_ask(STORAGE_CREATE, vid, NULL, 0)) && begin(vid, NULL, 0);
	volumes_use("default", ORIGIN, 12 * MIB);
	good = good && done(volumes_ask(STORAGE_RESIZE, vid, NULL, 0)) &&
	       volumes_size(device) == 12 * MIB && volumes_write(device, 11 * MIB, "new room");
	(void)tap_result(good, "a device in use becomes larger");
	user = open(device, O_RDONLY | O_CLOEXEC);
	(void)tap_result(volumes_ask(STORAGE_STOP, vid, NULL, 0)->code == STORAGE_E_IN_USE,
	                 "while somebody has it open, it is not stopped");
	(void)close(user);
	(void)tap_result(stop(vid) && begin(vid, NULL, 0) && volumes_size(device) == 12 * MIB &&
	                         volumes_holds(device, 11 * MIB, "new room") && stop(vid),
	                 "afterwards it is, and nothing is lost");
}

static bool file_has(const char *path, const char *text)
{
	OWNED_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	static char bytes[4 * 1048576];
	ssize_t n = fd < 0 ? -1 : read(fd, bytes, sizeof(bytes));

	return n > 0 && memmem(bytes, (size_t)n, text, strlen(text));
}

static void test_volatile(void)
{
	static const char vid[] = "appvms/a/volatile", file[] = POOL "/appvms/a/volatile-dirty.img";
	bool good;

	volumes_use("default", STORAGE_F_RW, 4 * MIB);
	good = begin(vid, NULL, 0) && volumes_write(device, 0, "in the clear") &&
	       file_has(file, "in the clear") && stop(vid) && access(file, F_OK);
	(void)tap_result(good, "a volatile volume is gone after its stop");
	good = begin(vid, NULL, STORAGE_F_EPHEMERAL) && volumes_write(device, 0, "in the clear") &&
	       volumes_holds(device, 0, "in the clear") && !file_has(file, "in the clear") &&
	       stop(vid) && volumes_devices() == 0;
	(void)tap_result(good, "an ephemeral one reaches the disk encrypted only");
}

static void test_kernel(void)
{
	char other[STORAGE_PATH_LEN];
	bool good = mkdir("/tmp/kernels", 0755) == 0 && mkdir("/tmp/kernels/6.1", 0755) == 0 &&
	            close(open("/tmp/kernels/6.1/vmlinuz", O_CREAT | O_WRONLY, 0600)) == 0 &&
	            close(open("/tmp/kernels/6.1/modules.img", O_CREAT | O_WRONLY, 0600)) == 0 &&
	            truncate("/tmp/kernels/6.1/modules.img", MIB) == 0 &&
	            volumes_pool("kernels", STORAGE_LINUX_KERNEL, "/tmp/kernels");

	volumes_use("kernels", 0, 0);
	good = good && begin("6.1", NULL, 0);
	memcpy(other, device, sizeof(other));
	good = good && begin("6.1", NULL, 0) && strcmp(other, device) == 0 &&
	       !volumes_write(device, 0, "x") && stop("6.1") && stop("6.1");
	(void)tap_result(good,
	                 "a kernel's modules are one device for all qubes, which none can write");
}

/* Both fail in a process that was taken over; here they only end. */
static void test_device_process(void)
{
	char path[64], text[32] = "";
	pid_t child = 0;
	OWNED_FD int fd = -1;
	bool good;

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", volumes_pid(),
	               volumes_pid());
	fd = open(path, O_RDONLY | O_CLOEXEC);
	/* The first child is the oldest. */
	if (fd >= 0 && read(fd, text, sizeof(text) - 1) > 0)
		child = (pid_t)strtol(text, NULL, 10);
	good = child > 1 && kill(child, SIGKILL) == 0;
	volumes_use("default", ORIGIN, 16 * MIB);
	(void)volumes_ask(STORAGE_STOP, "appvms/r/private", NULL, 0);
	(void)tap_result(good && volumes_end() == 1,
	                 "without its process for devices the service ends, to be started again");
}

static void first(void)
{
	(void)mkdir("/tmp/plain", 0755);
	(void)tap_result(volumes_begin(program) &&
	                         volumes_pool("default", STORAGE_FILE_REFLINK, POOL) &&
	                         volumes_pool("plain", STORAGE_FILE_REFLINK, "/tmp/plain"),
	                 "the service gives devices");
	test_origin("appvms/a/private", "private volume");
	test_snapshot("default", "/dev/loop");
	test_snapshot("plain", "/dev/dm-");
	test_resize();
	test_volatile();
	test_kernel();
	test_device_process();
	/* The machine is cut off with this qube at work. */
	volumes_use("default", ORIGIN, 16 * MIB);
	(void)tap_result(volumes_begin(program) &&
	                         volumes_pool("default", STORAGE_FILE_REFLINK, POOL) &&
	                         begin("appvms/a/private", NULL, 0) &&
	                         volumes_write(device, 2 * MIB, "flushed"),
	                 "a qube's write is flushed before the machine is cut off");
}

static void second(void)
{
	bool good = volumes_begin(program) && volumes_pool("default", STORAGE_FILE_REFLINK, POOL);

	volumes_use("default", ORIGIN, 16 * MIB);
	good = good && done(volumes_ask(STORAGE_STOP, "appvms/a/private", NULL, STORAGE_F_RECOVER));
	good = good && begin("appvms/a/private", NULL, 0) && volumes_holds(device, MIB, "first") &&
	       volumes_holds(device, 2 * MIB, "flushed") && stop("appvms/a/private");
	(void)tap_result(good, "after the cut, what the qube had flushed is its present state");
	(void)tap_result(volumes_end() == 0, "the service ends with its peer");
}

static bool only_state(void)
{
	char text[4096] = "";
	OWNED_FD int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);

	return fd >= 0 && read(fd, text, sizeof(text) - 1) > 0 && strstr(text, STATE);
}

/* What is written on one boot is there on the next. */
static void state(bool again)
{
	OWNED_FD int fd = open(MARK, (again ? O_RDONLY : O_WRONLY | O_CREAT) | O_CLOEXEC, 0600);
	char text[sizeof(MARK_TEXT)] = "";

	if (again)
		(void)tap_result(read(fd, text, sizeof(text)) == (ssize_t)sizeof(text) &&
		                         memcmp(text, MARK_TEXT, sizeof(text)) == 0,
		                 "what the boot before wrote is there");
	else
		(void)tap_result(fd_write_all(fd, MARK_TEXT, sizeof(MARK_TEXT)) == 0 &&
		                         fsync(fd) == 0,
		                 "state is written");
}

int main(int argc, char **argv)
{
	bool again;

	if (argc != 3)
		return 2;
	log_init("xen-disks-test");
	(void)signal(SIGPIPE, SIG_IGN);
	program = argv[1];
	tap_open(argv[2]);
	again = access(KEPT, F_OK) == 0;
	test_data();
	if (only_state()) {
		state(again);
		return tap_end();
	}
	if (again) {
		second();
		return tap_end();
	}
	first();
	(void)tap_end();
	/* Until it is cut off. */
	for (;;)
		(void)pause();
}
