/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * See record.h. Files are named "KIND.DOMID". They need no fsync: after a power cut no process of them
 * runs, and /run is empty.
 */
#include "process/record.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/bytes.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/wire/reader.h"

#define RECORD_MAGIC 0x63657273U /* "srec" */
#define FOLDER       "/run/skerry/records"

/* Offsets in a file. */
enum {
	AT_KIND = 4,
	AT_DOMID = 8,
	AT_PID = 12,
	AT_ZERO = 16,
	AT_START = 20,
	AT_UUID = 28,
	AT_NAME = 44,
	AT_DATA = 76
};
static_assert(AT_DATA + 4U * RECORD_DATA_MAX == RECORD_LEN, "record");

void record_encode(uint8_t *out, const struct record *in)
{
	le32_put(out, RECORD_MAGIC);
	le32_put(out + AT_KIND, in->kind);
	le32_put(out + AT_DOMID, in->domid);
	le32_put(out + AT_PID, in->pid);
	le32_put(out + AT_ZERO, 0);
	le64_put(out + AT_START, in->start);
	memcpy(out + AT_UUID, in->uuid, sizeof(in->uuid));
	memcpy(out + AT_NAME, in->name, sizeof(in->name));
	for (size_t i = 0; i < RECORD_DATA_MAX; i++)
		le32_put(out + AT_DATA + 4 * i, in->data[i]);
}

/* The rule for names is that of the messages that it came with. */
static bool name_legal(const char name[MONITOR_NAME_LEN])
{
	struct monitor_message m = {.kind = MONITOR_QUBE, .domid = 1};

	m.qube.state = MONITOR_RUNNING;
	memcpy(m.qube.name, name, MONITOR_NAME_LEN);
	if (name[0] == '\0')
		m.qube.name[0] = 'x';
	return monitor_check(&m);
}

int record_decode(const uint8_t *data, size_t len, struct record *out)
{
	struct wire_reader r = wire_reader(data, len);
	uint32_t magic = wire_u32(&r);
	uint32_t unused;

	*out = (struct record){0};
	out->kind = wire_u32(&r);
	out->domid = wire_u32(&r);
	out->pid = wire_u32(&r);
	unused = wire_u32(&r);
	out->start = wire_u64(&r);
	wire_copy(&r, out->uuid, sizeof(out->uuid));
	wire_copy(&r, out->name, sizeof(out->name));
	for (size_t i = 0; i < RECORD_DATA_MAX; i++)
		out->data[i] = wire_u32(&r);
	if (!wire_end(&r) || magic != RECORD_MAGIC || unused || out->kind == 0 ||
	    out->kind > RECORD_MAX || out->domid > MONITOR_DOMID_MAX || out->pid > INT_MAX ||
	    !name_legal(out->name))
		return -1;
	return 0;
}

int record_open(void)
{
	static const char *const folders[] = {"/run", "/run/skerry", FOLDER};
	char path[PATH_MAX];
	int fd;

	for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
		if (path_make(path, sizeof(path), folders[i], NULL) ||
		    (mkdir(path, i < 2 ? 0755 : 0700) && errno != EEXIST)) {
			LOG_ERRNO("%s", path);
			return -1;
		}
	}
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		LOG_ERRNO("%s", path);
	return fd;
}

static void file_name(char *dst, size_t len, uint32_t kind, uint32_t domid, const char *tail)
{
	(void)snprintf(dst, len, "%u.%u%s", kind, domid, tail);
}

int record_write(int dir, const struct record *record)
{
	uint8_t data[RECORD_LEN];
	char name[32], temp[40];
	OWNED_FD int fd = -1;

	record_encode(data, record);
	file_name(name, sizeof(name), record->kind, record->domid, "");
	file_name(temp, sizeof(temp), record->kind, record->domid, ".new");
	fd = openat(dir, temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -1;
	if (fd_write_all(fd, data, sizeof(data)) == 0 && renameat(dir, temp, dir, name) == 0)
		return 0;
	(void)unlinkat(dir, temp, 0);
	return -1;
}

void record_remove(int dir, uint32_t kind, uint32_t domid)
{
	char name[32];

	file_name(name, sizeof(name), kind, domid, "");
	if (unlinkat(dir, name, 0) && errno != ENOENT)
		LOG_ERRNO("record %s", name);
}

static int read_file(int dir, const char *name, struct record *out)
{
	uint8_t data[RECORD_LEN + 1];
	OWNED_FD int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n = fd < 0 ? -1 : read(fd, data, sizeof(data));

	if (n < 0)
		return -1;
	if (record_decode(data, (size_t)n, out) == 0)
		return 0;
	errno = EBADMSG;
	return -1;
}

int record_read(int dir, uint32_t kind, uint32_t domid, struct record *out)
{
	char name[32];

	file_name(name, sizeof(name), kind, domid, "");
	return read_file(dir, name, out);
}

static void visit(int dir, const char *name, uint32_t kind,
                  void (*fn)(void *arg, const struct record *record), void *arg, int *n)
{
	struct record record;

	/* Others are on their way to their name. */
	if (name[strspn(name, "0123456789.")] != '\0' || name[0] == '.')
		return;
	if (read_file(dir, name, &record)) {
		/* Left half-written by a starter that died: its process never ran. */
		LOG_ERRNO("%s in %s is no record of a process: removed", name, FOLDER);
		(void)unlinkat(dir, name, 0);
		return;
	}
	if (record.kind != kind)
		return;
	++*n;
	fn(arg, &record);
}

int record_each(int dir, uint32_t kind, void (*fn)(void *arg, const struct record *record),
                void *arg)
{
	int own = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = own < 0 ? NULL : fdopendir(own);
	struct dirent *entry;
	int n = 0;

	if (!d)
		return fd_close(own);
	while ((entry = readdir(d)))
		visit(dir, entry->d_name, kind, fn, arg, &n);
	(void)closedir(d);
	return n;
}
