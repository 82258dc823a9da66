/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Qubes of a test, and what of dom0 and Xen is looked at before and after: where this is wrong, a leak is not seen. */
#include "tests/xen/qube.h"

#include <dirent.h>
#include <errno.h>
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
#include <xenctrl.h>

#include "lib/base/fd.h"
#include "lib/xen/store.h"
#include "tests/xen/tap.h"

#define DOM0_PORTS    4096
#define SLACK_KIB     256 /* of free memory: the hypervisor keeps some pages of its own heap */
#define LEFT_SECONDS  20
#define POLL_NS       50000000
#define NODE_PATH_MAX STORE_PATH_MAX

struct xen_ground *ground;
static const char *kernel, *console_program;
static xc_interface *hypervisor;

double qube_now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void rest(void)
{
	const struct timespec pause = {.tv_nsec = POLL_NS};

	(void)nanosleep(&pause, NULL);
}

bool qube_set_up(const char *with_kernel, const char *console)
{
	kernel = with_kernel;
	console_program = console;
	hypervisor = xc_interface_open(NULL, NULL, 0);
	if (!hypervisor || xen_ground_open(&ground))
		return false;
	xen_ground_keep_kernels(ground, "/var/lib/kernels");
	return true;
}

static bool add_disk(int domid, const char *path)
{
	struct xen_disk disk = {.path = path, .writable = true};
	struct stat st;

	if (!path)
		return true;
	if (stat(path, &st))
		return false;
	disk.major = major(st.st_rdev);
	disk.minor = minor(st.st_rdev);
	return xen_domain_add_disk(ground, domid, &disk) == 0;
}

bool qube_start(struct qube *q, const struct qube_want *want)
{
	struct xen_domain_spec spec = {
	        .kind = want->kind,
	        .name = want->name,
	        .kernel = kernel,
	        .initrd = want->initrd,
	        .cmdline = want->cmdline,
	        .memory_kib = want->kib,
	        .max_kib = want->max_kib ? want->max_kib : want->kib,
	        .vcpus = 1,
	};
	OWNED_FD int log = -1;

	*q = (struct qube){.domid = -1, .began = qube_now()};
	(void)snprintf(q->name, sizeof(q->name), "%s", want->name);
	memcpy(spec.uuid, want->name, MIN(strlen(want->name), sizeof(spec.uuid)));
	if (xen_domain_create(ground, &spec, &q->domid))
		return false;
	q->built = qube_now();
	if (want->log)
		log = open(want->log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
	q->console = xen_console_start(ground, q->domid, console_program, log < 0 ? 2 : log);
	return q->console > 0 && add_disk(q->domid, want->disk) &&
	       xen_domain_unpause(ground, q->domid) == 0;
}

int qube_wait_stopped(int domid, int seconds)
{
	double end = qube_now() + seconds;
	struct xen_domain_info info;

	while (xen_domain_info(ground, domid, &info) == 0) {
		struct pollfd look = {.fd = xen_ground_fd(ground), .events = POLLIN};

		if (info.state == XEN_DOMAIN_STOPPED)
			return (int)info.cause;
		if (qube_now() > end)
			return -1;
		(void)poll(&look, 1, 1000);
		if (xen_ground_step(ground) < 0)
			return -1;
	}
	return -1;
}

bool qube_destroy(struct qube *q)
{
	struct xen_domain_info info;
	char name[XEN_DOMAIN_NAME_MAX];
	bool good = xen_domain_destroy(ground, q->domid) == 0;
	double end = qube_now() + LEFT_SECONDS;

	if (q->console > 0) {
		(void)kill(q->console, SIGKILL);
		(void)waitpid(q->console, NULL, 0);
		q->console = 0;
	}
	/* Its pages go when the last mapping of them does. */
	while (xen_domain_info(ground, q->domid, &info) == 0 && qube_now() < end)
		rest();
	return good && xen_domain_info(ground, q->domid, &info) && errno == ESRCH &&
	       xen_domain_name(ground, q->domid, name) && errno == ENOENT;
}

/* Whether a process runs this program with this word in its command line. */
static bool runs(const char *pid, const char *program, const char *word)
{
	char path[64], text[512];
	OWNED_FD int fd = -1;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/%.16s/cmdline", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return false;
	text[n] = '\0';
	if (!strstr(text, program))
		return false;
	for (ssize_t at = 0; at < n; at += (ssize_t)strlen(text + at) + 1)
		if (strcmp(text + at, word) == 0)
			return true;
	return false;
}

static pid_t process_of(const char *name)
{
	return (pid_t)strtol(name, NULL, 10);
}

int qube_end_programs(const char *program, const char *word)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	int n = 0;

	while (dir && (entry = readdir(dir)))
		if (process_of(entry->d_name) > 1 && runs(entry->d_name, program, word))
			n += kill(process_of(entry->d_name), SIGKILL) == 0;
	if (dir)
		(void)closedir(dir);
	return n;
}

static uint32_t used_ports(void)
{
	uint32_t used = 0;

	for (evtchn_port_t port = 1; port < DOM0_PORTS; port++) {
		xc_evtchn_status_t status = {.dom = 0, .port = port};

		if (xc_evtchn_status(hypervisor, &status))
			break;
		used += status.status != EVTCHNSTAT_closed;
	}
	return used;
}

/* What is made once and stays, whatever comes and goes in it. */
static bool stays(const char *path)
{
	static const char *const paths[] = {"/vm",
	                                    "/local/domain/0/data",
	                                    "/local/domain/0/data/vchan",
	                                    "/local/domain/0/backend",
	                                    "/local/domain/0/backend/vbd",
	                                    "/local/domain/0/backend/vif"};

	for (size_t i = 0; i < ARRAY_LEN(paths); i++)
		if (strcmp(path, paths[i]) == 0)
			return true;
	return false;
}

static uint32_t nodes_below(struct store *store, const char *path)
{
	char names[STORE_PAYLOAD_MAX], child[NODE_PATH_MAX];
	size_t len = 0;
	uint32_t n = !stays(path);

	if (store_list(store, path, names, &len))
		return n;
	for (size_t at = 0; at < len; at += strlen(names + at) + 1) {
		if (snprintf(child, sizeof(child), "%s/%s", strcmp(path, "/") == 0 ? "" : path,
		             names + at) < (int)sizeof(child))
			n += nodes_below(store, child);
	}
	return n;
}

uint64_t qube_peak_kib(const char *program)
{
	char path[64], line[128], name[32];
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	uint64_t most = 0;

	while (dir && (entry = readdir(dir))) {
		unsigned long long peak = 0;
		FILE *file;

		(void)snprintf(path, sizeof(path), "/proc/%.16s/status", entry->d_name);
		file = process_of(entry->d_name) > 0 ? fopen(path, "re") : NULL;
		*name = '\0';
		while (file && fgets(line, sizeof(line), file)) {
			(void)sscanf(line, "Name: %31s", name);
			(void)sscanf(line, "VmHWM: %llu", &peak);
		}
		if (file)
			(void)fclose(file);
		if (strcmp(name, program) == 0)
			most = MAX(most, (uint64_t)peak);
	}
	if (dir)
		(void)closedir(dir);
	return most;
}

bool qube_ground_state(struct qube_ground_state *s)
{
	xc_physinfo_t info = {0};
	struct xen_domain_info infos[64];
	struct store *store;

	*s = (struct qube_ground_state){0};
	if (xc_physinfo(hypervisor, &info) || store_open(&store))
		return false;
	s->free_kib = info.free_pages * 4;
	s->nodes = nodes_below(store, "/");
	(void)store_free(store);
	s->ports = used_ports();
	s->domains = xen_domain_list(ground, infos, ARRAY_LEN(infos));
	return true;
}

bool qube_nothing_left(const struct qube_ground_state *before)
{
	double end = qube_now() + LEFT_SECONDS;
	struct qube_ground_state s;

	while (qube_ground_state(&s)) {
		if (s.domains == before->domains && s.ports == before->ports &&
		    s.nodes == before->nodes && s.free_kib + SLACK_KIB >= before->free_kib)
			return true;
		if (qube_now() > end) {
			tap_note("left: domains %d -> %d, ports %u -> %u, nodes %u -> %u, free KiB "
			         "%llu -> %llu",
			         before->domains, s.domains, before->ports, s.ports, before->nodes,
			         s.nodes, (unsigned long long)before->free_kib,
			         (unsigned long long)s.free_kib);
			return false;
		}
		rest();
	}
	return false;
}
