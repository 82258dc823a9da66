/* SPDX-License-Identifier: GPL-2.0-or-later */
/* qvm-start, with a drive where one is asked for: a device, or an image file that becomes a loop device. */
#include <string.h>
#include <unistd.h>

#include "tools/qvm/device.h"
#include "tools/qvm/child.h"

enum {
	ALL = ARG_OWN,
	EXCLUDE,
	SKIP_IF_RUNNING,
	DRIVE,
	HDDISK,
	CDROM,
	INSTALL_WINDOWS_TOOLS,
	VMNAME
};

#define GROUP_DRIVE   1
#define WINDOWS_TOOLS "dom0:/usr/lib/qubes/qubes-windows-tools.iso"

static const struct arg table[] = {
        ARGS_COMMON,
        [ALL] = ARG_ROW_ALL,
        [EXCLUDE] = ARG_ROW_EXCLUDE,
        [SKIP_IF_RUNNING] = {ARG_FLAG,
                             {"--skip-if-running"},
                             .help = "do nothing where the qube runs already"},
        [DRIVE] = {ARG_VALUE,
                   {"--drive"},
                   .metavar = "DRIVE",
                   .group = GROUP_DRIVE,
                   .help = "attach a drive for the first boot: hd:QUBE:DEVICE or "
                           "cdrom:QUBE:DEVICE; DEVICE is a block device or the path of an image"},
        [HDDISK] = {ARG_VALUE,
                    {"--hddisk"},
                    .metavar = "IMAGE",
                    .group = GROUP_DRIVE,
                    .help = "as --drive=hd:IMAGE"},
        [CDROM] = {ARG_VALUE,
                   {"--cdrom"},
                   .metavar = "IMAGE",
                   .group = GROUP_DRIVE,
                   .help = "as --drive=cdrom:IMAGE"},
        [INSTALL_WINDOWS_TOOLS] = {ARG_FLAG,
                                   {"--install-windows-tools"},
                                   .group = GROUP_DRIVE,
                                   .help = "attach the Windows tools as a CD-ROM"},
        [VMNAME] = ARG_ROW_VMNAME(ARG_ANY),
        {ARG_END},
};

static const struct args_program program = {"qvm-start", "Start qubes.", NULL, table};

struct drive {
	bool cdrom;
	const char *backend; /* NULL: no drive */
	const char *device;  /* port, or a path */
};

static struct drive drive_parse(const struct args *args)
{
	const char *text = args_value(args, DRIVE);
	struct drive drive = {.cdrom = !args_has(args, HDDISK)};
	const char *colon;

	if (text && strncmp(text, "cdrom:", 6) == 0) {
		text += 6;
	} else if (text && strncmp(text, "hd:", 3) == 0) {
		drive.cdrom = false;
		text += 3;
	} else if (text) {
		args_error(&program, "--drive wants hd:… or cdrom:…: %s", text_repr(text));
	}
	if (!text)
		text = args_has(args, HDDISK)  ? args_value(args, HDDISK)
		       : args_has(args, CDROM) ? args_value(args, CDROM)
		                               : WINDOWS_TOOLS;
	colon = strchr(text, ':');
	if (!colon)
		args_error(&program, "expected QUBE:DEVICE, no %s", text_repr(text));
	drive.backend = arena_copy(text, (size_t)(colon - text));
	drive.device = colon + 1;
	return drive;
}

/* A loop device for an image of dom0. */
static const char *loop_make(const struct drive *drive)
{
	const char *const with_sudo[] = {"sudo", "losetup", "-f", "--show", drive->device, NULL};
	const char *path, *slash;

	if (strcmp(drive->backend, "dom0") != 0)
		fail(&program,
		     "an image file in a qube: attach it there first ('losetup -f --show %s'), "
		     "then give the device",
		     drive->device);
	path = child_read(geteuid() == 0 ? with_sudo + 1 : with_sudo);
	if (!path)
		fail(&program, "no loop device for %s", drive->device);
	slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

#define LOOP_TRIES   50 /* the kernel's event has to reach the service first */
#define LOOP_WAIT_NS 100000000L

/* Waits until the service knows the device. */
static void loop_wait(const struct drive *drive)
{
	for (int i = 0; i < LOOP_TRIES; i++) {
		struct devices devices = devices_load("block", "Available", drive->backend, NULL);

		for (size_t j = 0; j < devices.n; j++)
			if (strcmp(devices.items[j].port, drive->device) == 0)
				return;
		(void)nanosleep(&(struct timespec){.tv_nsec = LOOP_WAIT_NS}, NULL);
	}
	fail(&program, "dom0 does not offer %s as a block device", drive->device);
}

/* Assigns or unassigns the drive. */
static struct admin_reply drive_call(const struct drive *drive, const struct qube *qube,
                                     bool assign)
{
	struct text_list options = {0};
	struct device device = {
	        .backend = drive->backend, .port = drive->device, .id = "*", .class = "block"};

	if (!assign)
		return admin_call("admin.vm.device.block.Unassign", device_argument(&device),
		                  qube->name, NULL);
	text_list_add(&options, drive->cdrom ? "devtype=cdrom" : "devtype=disk");
	text_list_add(&options, drive->cdrom ? "read-only=True" : "read-only=False");
	return admin_call("admin.vm.device.block.Assign", device_argument(&device), qube->name,
	                  device_payload(&device, "required", qube->name, &options));
}

static int start_failed(const struct qube *qube, const char *text)
{
	err_printf("Error: Starting qube failed: %s: %s\n", qube->name, text);
	return 1;
}

static int start(const struct args *args, struct qube *qube, const struct drive *drive)
{
	struct admin_reply reply;

	if (is_running(qube)) {
		if (args_has(args, SKIP_IF_RUNNING))
			return 0;
		return start_failed(qube, "Domain is already running");
	}
	if (drive->backend) {
		reply = drive_call(drive, qube, true);
		if (reply.error) {
			fail_trace(&reply);
			return start_failed(qube, admin_error_shown(&reply));
		}
	}
	reply = admin_call("admin.vm.Start", NULL, qube->name, NULL);
	if (drive->backend) {
		struct admin_reply undone = drive_call(drive, qube, false);

		if (undone.error && !reply.error)
			reply = undone;
	}
	if (!reply.error)
		return 0;
	fail_trace(&reply);
	return start_failed(qube, admin_error_shown(&reply));
}

int qvm_start_run(int argc, const char *const *argv)
{
	const struct args *args = args_parse(&program, argc, argv);
	struct drive drive = {0};
	struct qubes qubes;
	struct qube_list list;
	int status = 0;

	if (!args->given[VMNAME].n && !args_has(args, ALL))
		args_error(&program, "one of VMNAME and --all is required");
	if (args_has(args, DRIVE) || args_has(args, HDDISK) || args_has(args, CDROM) ||
	    args_has(args, INSTALL_WINDOWS_TOOLS))
		drive = drive_parse(args);
	qubes = qubes_or_fail(&program);
	list = qubes_named(args, &qubes, VMNAME, ALL, EXCLUDE);
	if (drive.backend && list.n != 1)
		args_error(&program, "a drive is for one qube");
	for (size_t i = 0; i < list.n; i++) {
		if (drive.backend && *drive.device == '/') {
			if (is_running(list.items[i]))
				return start_failed(list.items[i], "Domain is already running");
			drive.device = loop_make(&drive);
			loop_wait(&drive);
		}
		status |= start(args, list.items[i], &drive);
	}
	return status;
}
