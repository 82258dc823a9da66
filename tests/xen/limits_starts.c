/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What cannot be started: refused with the qube's name and the cause in one line of the log, and nothing left. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "tests/xen/limits.h"
#include "tests/xen/tap.h"

#define SAID      "/tmp/said"
#define TRUNCATED "/tmp/truncated"
#define DAMAGED   "/tmp/damaged"
#define TEXT      "/tmp/text"
#define OLD       "/tmp/old"
#define HUGE      "/tmp/huge"
#define HUGE_MIB  200

static bool write_file(const char *path, const void *bytes, size_t len, off_t size)
{
	OWNED_FD int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	return fd >= 0 && fd_write_all(fd, bytes, len) == 0 &&
	       (size == 0 || ftruncate(fd, size) == 0);
}

/* A kernel that ends too early, one whose packed part is rubbish, and files that are none of today's. */
static bool make_images(const char *kernel)
{
	static uint8_t bytes[16U << 20];
	static const uint8_t elf32[4096] = "\177ELF\1\1\1";
	OWNED_FD int fd = open(kernel, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, bytes, sizeof(bytes));

	if (n < (1 << 20) || n == sizeof(bytes) || !write_file(TRUNCATED, bytes, 1U << 20, 0))
		return false;
	for (ssize_t i = 0x20000; i < n; i += 97)
		bytes[i] ^= 0x5a;
	return write_file(DAMAGED, bytes, (size_t)n, 0) &&
	       write_file(TEXT, "no kernel\n", 10, 8192) &&
	       write_file(OLD, elf32, sizeof(elf32), 0) &&
	       write_file(HUGE, "", 0, (off_t)HUGE_MIB << 20);
}

/* One line was logged, with both words in it. */
static bool said(const char *name, const char *cause)
{
	char text[2048];
	OWNED_FD int fd = open(SAID, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n <= 0)
		return false;
	text[n] = '\0';
	if (strstr(text, name) && strstr(text, cause) && strchr(text, '\n') == text + n - 1)
		return true;
	text[strcspn(text, "\n")] = '\0';
	tap_note("said: %s", text);
	return false;
}

static int listen_to_log(void)
{
	int fd = open(SAID, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);

	if (fd >= 0)
		log_set_fd(fd);
	return fd;
}

/* Whether a start fails so, at once, and leaves no domain. */
static bool fails(const struct xen_domain_spec *spec, const char *cause, int domains)
{
	struct xen_domain_info infos[8];
	int log = listen_to_log(), domid = -1;
	bool failed = xen_domain_create(ground, spec, &domid) != 0;

	log_set_fd(2);
	(void)fd_close(log);
	if (!failed && xen_domain_destroy(ground, domid))
		tap_note("domain %d stays", domid);
	return failed && said(spec->name, cause) && strstr(xen_ground_why(ground), cause) &&
	       xen_domain_list(ground, infos, ARRAY_LEN(infos)) == domains;
}

static void images(const struct xen_domain_spec *good, const char *kind)
{
	static const struct {
		const char *kernel, *initrd; /* NULL: the good one */
		const char *cause, *what;
	} rows[] = {
	        {"/nowhere/vmlinuz", NULL, "/nowhere/vmlinuz", "a kernel that is not there"},
	        {TEXT, NULL, "no kernel", "a kernel that is none"},
	        {OLD, NULL, "32-bit", "a kernel for 32 bits"},
	        {TRUNCATED, NULL, "cut off", "a kernel that is cut off"},
	        {DAMAGED, NULL, "unpacking its kernel", "a kernel whose packed part is damaged"},
	        {NULL, "/nowhere/initrd", "/nowhere/initrd", "a ramdisk that is not there"},
	        {NULL, "/tmp", "no file", "a ramdisk that is a folder"},
	        {NULL, HUGE, "do not fit", "a ramdisk larger than its memory"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct xen_domain_spec spec = *good;

		spec.kernel = rows[i].kernel ? rows[i].kernel : spec.kernel;
		spec.initrd = rows[i].initrd ? rows[i].initrd : spec.initrd;
		(void)tap_result(fails(&spec, rows[i].cause, 0), "%s: refused: %s", kind,
		                 rows[i].what);
	}
}

static void numbers(const struct xen_domain_spec *good)
{
	struct qube_ground_state state;
	struct xen_domain_spec spec = *good;

	spec.vcpus = XEN_DOMAIN_VCPUS_MAX + 1;
	(void)tap_result(fails(&spec, "65 processors", 0), "refused: too many processors");
	spec = *good;
	spec.name = "bad name";
	(void)tap_result(fails(&spec, "name cannot be", 0), "refused: a name that cannot be");
	spec = *good;
	spec.memory_kib = spec.max_kib = 1500;
	(void)tap_result(fails(&spec, "memory of 1500 KiB", 0), "refused: half a MiB");
	if (!qube_ground_state(&state))
		return;
	spec = *good;
	spec.memory_kib = spec.max_kib = (state.free_kib >> 10 << 10) + (64U << 10);
	(void)tap_result(fails(&spec, "MiB are free", 0), "refused: more memory than there is");
}

static bool disk_fails(int domid, const char *path, const char *cause)
{
	const struct xen_disk disk = {.path = path, .major = 7, .minor = 200};
	int log = listen_to_log();
	bool failed = xen_domain_add_disk(ground, domid, &disk) != 0;

	log_set_fd(2);
	(void)fd_close(log);
	return failed && said("broken", cause);
}

/* Beside a domain that is there: it never runs. */
static void beside(const struct xen_domain_spec *good)
{
	struct xen_domain_spec again = *good;
	int domid;

	if (!tap_result(xen_domain_create(ground, good, &domid) == 0, "a domain is built"))
		return;
	again.name = "again";
	(void)tap_result(fails(&again, "there already", 1), "refused: a uuid that a domain has");
	again.uuid[15]++;
	again.domid = (uint32_t)domid;
	(void)tap_result(fails(&again, "creating the domain", 1),
	                 "refused: a number that a domain has");
	(void)tap_result(disk_fails(domid, "/dev/nowhere", "/dev/nowhere"),
	                 "refused: a disk that is not there");
	(void)tap_result(disk_fails(domid, "/dev/null", "block device"),
	                 "refused: a disk that is no block device");
	(void)tap_result(xen_domain_destroy(ground, domid) == 0, "and ended before it ever ran");
}

/* It runs, and finds nothing to start: how it ended is told. */
static void nothing_to_run(void)
{
	static const struct qube_want want = {.name = "no-root",
	                                      .kind = XEN_DOMAIN_PV,
	                                      .cmdline = "quiet",
	                                      .kib = QUBE_KIB,
	                                      .log = "/tmp/console.no-root"};
	struct qube q;

	(void)tap_result(qube_start(&q, &want) &&
	                         qube_wait_stopped(q.domid, 300) == XEN_CAUSE_CRASH,
	                 "a qube without ramdisk and root crashes, and is seen to");
	(void)tap_result(qube_destroy(&q), "and nothing of it is left");
}

void limits_starts(const char *kernel)
{
	struct xen_domain_spec good = {.kind = XEN_DOMAIN_PV,
	                               .uuid = "broken",
	                               .name = "broken",
	                               .kernel = kernel,
	                               .initrd = INITRD_NODE,
	                               .cmdline = "quiet",
	                               .memory_kib = QUBE_KIB,
	                               .max_kib = QUBE_KIB,
	                               .vcpus = 1};

	if (!tap_result(make_images(kernel), "broken images are made"))
		return;
	images(&good, "PV");
	numbers(&good);
	good.kind = XEN_DOMAIN_PVH;
	images(&good, "PVH");
	beside(&good);
	nothing_to_run();
	(void)unlink(DAMAGED);
	(void)unlink(TRUNCATED);
}
