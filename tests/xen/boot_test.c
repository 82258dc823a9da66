/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs in dom0 on real Xen: a template's root is imported, qubes boot from it, write, stop and start again.
 * If this fails, qubes do not find their disks, lose what they wrote, or keep what they should not.
 * Usage: xen-boot-test PORT. The template is the disk /dev/vdb, kernel and initrd are in /qubes.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "hypervisor/xen/domain.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/vchan/vchan.h"
#include "tests/xen/drive.h"
#include "tests/xen/tap.h"
#include "tests/xen/volumes.h"

#define MIB        (1ULL << 20)
#define STORAGE    "/usr/libexec/skerry/skerry-storage"
#define CONSOLE    "/usr/libexec/skerry/skerry-console"
#define TEMPLATE   "/dev/vdb"
#define ROOT       "vm-templates/tiny/root"
#define ORIGIN     (STORAGE_F_RW | STORAGE_F_SAVE)
#define SNAPSHOT   (STORAGE_F_RW | STORAGE_F_SNAP)
#define QUBE_KIB   (128U << 10)
#define PRIVATE    (16 * MIB)
#define CALL_BYTES 256

struct qube {
	const char *name;
	int domid;
	pid_t console;
};

static struct xen_ground *ground;
static uint64_t private_size = PRIVATE;

static double now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool done(const struct storage_answer *a)
{
	return a->kind == STORAGE_DONE;
}

/* As admin.vm.volume.Import does it: the data into the file that the service names, then it counts. */
static bool import_template(void)
{
	static char piece[65536];
	OWNED_FD int from = open(TEMPLATE, O_RDONLY | O_CLOEXEC), to = -1;
	uint64_t size = volumes_size(TEMPLATE);
	ssize_t n;

	volumes_use("default", ORIGIN, size);
	if (from < 0 || !done(volumes_ask(STORAGE_CREATE, ROOT, NULL, 0)))
		return false;
	to = open(volumes_ask(STORAGE_IMPORT_BEGIN, ROOT, NULL, 0)->path, O_WRONLY | O_CLOEXEC);
	while ((n = read(from, piece, sizeof(piece))) > 0) {
		bool zeros = piece[0] == 0 && memcmp(piece, piece + 1, (size_t)n - 1) == 0;

		if (zeros ? lseek(to, n, SEEK_CUR) < 0 : fd_write_all(to, piece, (size_t)n) != 0)
			return false;
	}
	return n == 0 && done(volumes_ask(STORAGE_IMPORT_END, ROOT, NULL, STORAGE_F_OK));
}

static const char *vid_of(const struct qube *q, const char *role)
{
	static char vid[64];

	(void)snprintf(vid, sizeof(vid), "appvms/%s/%s", q->name, role);
	return vid;
}

static const struct {
	const char *role;
	uint32_t flags;
} roles[] = {{"root", SNAPSHOT}, {"private", ORIGIN}, {"volatile", STORAGE_F_RW}};

static bool ask_role(const struct qube *q, size_t i, enum storage_kind kind)
{
	volumes_use("default", roles[i].flags,
	            strcmp(roles[i].role, "private") == 0 ? private_size : 32 * MIB);
	return done(volumes_ask(kind, vid_of(q, roles[i].role), i == 0 ? ROOT : NULL, 0));
}

static bool add_disks(const struct qube *q)
{
	for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
		struct xen_disk disk = {.number = (uint32_t)i, .writable = true};
		struct stat st;
		char path[STORAGE_PATH_LEN];

		if (!ask_role(q, i, STORAGE_START))
			return false;
		memcpy(path,
		       volumes_ask(STORAGE_START, vid_of(q, roles[i].role), i == 0 ? ROOT : NULL,
		                   STORAGE_F_ADOPT)
		               ->path,
		       sizeof(path));
		if (stat(path, &st) || !S_ISBLK(st.st_mode))
			return false;
		disk.path = path;
		disk.major = major(st.st_rdev);
		disk.minor = minor(st.st_rdev);
		if (xen_domain_add_disk(ground, q->domid, &disk))
			return false;
	}
	return true;
}

static bool start(struct qube *q, enum xen_domain_kind kind)
{
	const struct xen_domain_spec spec = {.kind = kind,
	                                     .name = q->name,
	                                     .uuid = {(uint8_t)*q->name, 2, 3},
	                                     .kernel = "/qubes/vmlinuz",
	                                     .initrd = "/qubes/initramfs",
	                                     .cmdline = "console=hvc0 quiet",
	                                     .memory_kib = QUBE_KIB,
	                                     .max_kib = QUBE_KIB,
	                                     .vcpus = 1};
	double began = now();

	if (xen_domain_create(ground, &spec, &q->domid))
		return false;
	q->console = xen_console_start(ground, q->domid, CONSOLE, 2);
	if (q->console <= 0 || !add_disks(q) || xen_domain_unpause(ground, q->domid) ||
	    !call_greet(q->domid, q->name))
		return false;
	tap_note("%s: from nothing to its agent %.1f s", q->name, now() - began);
	return true;
}

static bool stop(struct qube *q)
{
	struct xen_domain_info info = {0};
	double end = now() + 120;
	bool good = xen_domain_ask(ground, q->domid, "poweroff") == 0;

	while (good && xen_domain_info(ground, q->domid, &info) == 0 &&
	       info.state != XEN_DOMAIN_STOPPED && now() < end) {
		struct pollfd look = {.fd = xen_ground_fd(ground), .events = POLLIN};

		(void)poll(&look, 1, 500);
		good = xen_ground_step(ground) >= 0;
	}
	good = good && info.state == XEN_DOMAIN_STOPPED &&
	       xen_domain_destroy(ground, q->domid) == 0;
	(void)kill(q->console, SIGKILL);
	(void)waitpid(q->console, NULL, 0);
	for (size_t i = 0; i < ARRAY_LEN(roles); i++)
		good = ask_role(q, i, STORAGE_STOP) && good;
	return good;
}

/* What dom0 uses with a qube running: its image, which is in memory, and all its programs. */
static void note_memory(void)
{
	FILE *file = fopen("/proc/meminfo", "re");
	unsigned long total = 0, available = 0, value;
	char line[128];

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "MemTotal: %lu", &value) == 1)
			total = value;
		if (sscanf(line, "MemAvailable: %lu", &value) == 1)
			available = value;
	}
	if (file)
		(void)fclose(file);
	tap_note("dom0: %lu MiB of %lu in use with one qube", (total - available) >> 10,
	         total >> 10);
}

/* The service's answer to a request. */
static const char *disk(const struct qube *q, const char *request)
{
	static char got[CALL_BYTES];
	size_t len = 0;
	int status = call_service(q->name, "test.Disk", request, got, sizeof(got) - 1, &len);

	got[len] = '\0';
	if (status)
		tap_note("%s: %s: status %d", q->name, request, status);
	return got;
}

static bool is(const struct qube *q, const char *request, const char *answer)
{
	const char *got = disk(q, request);

	if (strcmp(got, answer) != 0)
		tap_note("%s: %s: '%s' and not '%s'", q->name, request, got, answer);
	return strcmp(got, answer) == 0;
}

static void first_life(struct qube *q)
{
	if (!tap_result(start(q, XEN_DOMAIN_PV),
	                "PV: a qube boots from its template's root to its agent"))
		return;
	note_memory();
	(void)tap_result(is(q, "write /etc/mark on-the-root", "ok") &&
	                         is(q, "read /etc/mark", "on-the-root"),
	                 "PV: it can change its root");
	(void)tap_result(is(q, "write /home/mark at-home", "ok") &&
	                         is(q, "size /dev/xvdb", "16777216") &&
	                         strstr(disk(q, "read /proc/swaps"), "/dev/xvdc"),
	                 "PV: it has its private volume at /rw and /home, and the volatile one as "
	                 "swap");
	(void)tap_result(stop(q) && volumes_devices() == 0,
	                 "PV: it ends, its volumes are stopped, and no device is left");
}

static void second_life(struct qube *q)
{
	double before, after;
	char text[32];

	if (!tap_result(start(q, XEN_DOMAIN_PVH), "PVH: the same qube boots again"))
		return;
	(void)tap_result(is(q, "read /etc/mark", "") && is(q, "read /home/mark", "at-home"),
	                 "PVH: what it did to its root is gone, what is at /home is there");
	before = strtod(disk(q, "grow /dev/xvdb"), NULL);
	private_size = 48 * MIB;
	(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)private_size);
	(void)tap_result(ask_role(q, 1, STORAGE_RESIZE) && disk(q, "size /dev/xvdb") &&
	                         is(q, "size /dev/xvdb", text),
	                 "PVH: its private volume becomes larger while it runs");
	after = strtod(disk(q, "grow /dev/xvdb"), NULL);
	(void)tap_result(before > 0 && after > 2 * before,
	                 "PVH: and the file system in it, as qubes.ResizeDisk does it");
	(void)tap_result(stop(q) && volumes_devices() == 0,
	                 "PVH: it ends, its volumes are stopped, and no device is left");
}

int main(int argc, char **argv)
{
	struct qube qube = {.name = "disks"};

	if (argc != 2)
		return 2;
	log_init("xen-boot-test");
	(void)signal(SIGPIPE, SIG_IGN);
	tap_open(argv[1]);
	vchan_use_grant();
	if (tap_result(xen_ground_open(&ground) == 0 && volumes_begin(STORAGE) &&
	                       volumes_pool("default", STORAGE_FILE_REFLINK, "/var/lib/qubes"),
	               "hypervisor and storage can be reached") &&
	    tap_result(import_template(), "a template's root is imported")) {
		volumes_use("default", ORIGIN, PRIVATE);
		(void)tap_result(done(volumes_ask(STORAGE_CREATE, "appvms/disks/private", NULL, 0)),
		                 "a qube's private volume is made");
		first_life(&qube);
		second_life(&qube);
		(void)tap_result(volumes_end() == 0, "the service ends with its peer");
	}
	return tap_end();
}
