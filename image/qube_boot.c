/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * skerry-qube-boot - first program of a qube whose root is a disk: the /init of the small archive that
 * dom0 gives it beside its kernel. Loads the modules that reaching the disk takes, mounts the root and
 * goes over into it: partition xvda3, as templates have it, or the whole of xvda. A disk xvdd holds
 * the kernel's other modules.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "image/init.h"
#include "lib/base/log.h"

#define ROOT        "/sysroot"
#define WAIT_TRIES  1500 /* for dom0's end of the disk; with the pause, 30 s; chosen */
#define OWN_INIT    "/sbin/init"
#define MODULES_DIR ROOT "/lib/modules"

static int mount_kernels(const char *base)
{
	static const struct {
		const char *type, *place;
	} mounts[] = {{"proc", "proc"}, {"sysfs", "sys"}, {"devtmpfs", "dev"}};
	char path[64];

	for (size_t i = 0; i < ARRAY_LEN(mounts); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", base, mounts[i].place);
		(void)mkdir(path, 0755);
		if (mount(mounts[i].type, path, mounts[i].type, MS_NOSUID | MS_NOEXEC, NULL) &&
		    errno != EBUSY)
			return -1;
	}
	return 0;
}

/* The kernel finds a disk's partitions before it shows the disk. */
static const char *find_root(void)
{
	const struct timespec pause = {.tv_nsec = 20000000};

	for (int i = 0; i < WAIT_TRIES; i++) {
		if (access("/dev/xvda3", F_OK) == 0)
			return "/dev/xvda3";
		if (access("/dev/xvda", F_OK) == 0)
			return "/dev/xvda";
		(void)nanosleep(&pause, NULL);
	}
	return NULL;
}

static int mount_any(const char *device, const char *place, unsigned long flags)
{
	static const char *const types[] = {"ext4", "xfs", "btrfs", "squashfs"};

	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		if (mount(device, place, types[i], flags, NULL) == 0)
			return 0;
		/* A disk that may not be written to is a root as well. */
		if (errno == EACCES || errno == EROFS)
			return mount(device, place, types[i], flags | MS_RDONLY, NULL);
		if (errno != EINVAL && errno != ENODEV)
			return -1;
	}
	return -1;
}

static int go_over(char *const argv[])
{
	if (umount2("/proc", MNT_DETACH) || umount2("/sys", MNT_DETACH) || chdir(ROOT) ||
	    mount(".", "/", NULL, MS_MOVE, NULL) || chroot(".") || chdir("/"))
		return -1;
	return execv(OWN_INIT, argv);
}

int main(int argc, char **argv)
{
	static char init[] = OWN_INIT;
	char *const next[] = {init, NULL};
	const char *device;

	(void)argc;
	(void)argv;
	log_init("skerry-qube-boot");
	if (getpid() != 1) {
		(void)fprintf(stderr, "skerry-qube-boot is started by a qube's kernel\n");
		return 2;
	}
	if (mount_kernels(""))
		LOG_ERRNO("mounting proc, sysfs, devtmpfs");
	ground_load_modules();
	device = find_root();
	(void)mkdir(ROOT, 0755);
	if (!device)
		LOG("no disk xvda appeared: the qube has no root");
	else if (mount_any(device, ROOT, MS_NOATIME))
		LOG_ERRNO("mounting %s", device);
	else if (access("/dev/xvdd", F_OK) == 0 && access(MODULES_DIR, F_OK) == 0 &&
	         mount_any("/dev/xvdd", MODULES_DIR, MS_RDONLY))
		LOG_ERRNO("mounting the kernel's modules");
	else if (mount("/dev", ROOT "/dev", NULL, MS_MOVE, NULL))
		LOG_ERRNO("/dev of the root");
	else if (go_over(next))
		LOG_ERRNO("%s on %s", OWN_INIT, device);
	/* The kernel panics when this ends, which ends the qube: dom0 sees a crash. */
	return 1;
}
