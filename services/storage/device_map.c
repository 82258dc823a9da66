/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's device mapper, by its ioctls: a request is a head, and for a table one line for each
 * part of the device. See device.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "services/storage/device.h"

#define SECTOR        512U
#define CHUNK_SECTORS 32U /* 16 KiB of a snapshot are copied together; chosen */
#define ROW_MAX       256U
#define LINES_MAX     2U
#define KEY_LEN       64U /* two keys of 256 bits: XTS */

struct line {
	struct dm_target_spec spec;
	char text[ROW_MAX - sizeof(struct dm_target_spec)];
};

struct request {
	struct dm_ioctl head;
	struct line lines[LINES_MAX];
};

static int control = -1;

int map_open(void)
{
	control = open("/dev/mapper/control", O_RDWR | O_CLOEXEC);
	return control < 0 ? -1 : 0;
}

static struct request request(const char *name)
{
	struct request q = {.head = {.version = {DM_VERSION_MAJOR, 0, 0},
	                             .data_size = sizeof(struct request),
	                             .data_start = offsetof(struct request, lines)}};

	(void)snprintf(q.head.name, sizeof(q.head.name), "%s", name);
	return q;
}

static void add_line(struct request *q, uint64_t start, uint64_t sectors, const char *type)
{
	struct line *l = &q->lines[q->head.target_count++];

	l->spec.sector_start = start;
	l->spec.length = sectors;
	l->spec.next = sizeof(*l);
	(void)snprintf(l->spec.target_type, sizeof(l->spec.target_type), "%s", type);
}

static int device_numbers(int fd, char text[32], uint64_t *ret_sectors)
{
	struct stat st;
	uint64_t bytes;

	if (fstat(fd, &st) || ioctl(fd, BLKGETSIZE64, &bytes))
		return -1;
	(void)snprintf(text, 32, "%u:%u", major(st.st_rdev), minor(st.st_rdev));
	*ret_sectors = bytes / SECTOR;
	return 0;
}

static int simple(unsigned long command, const char *name, uint32_t flags)
{
	struct request q = request(name);

	q.head.flags = flags;
	return ioctl(control, command, &q);
}

/* A device with this table, in use from now on; nothing of it is left if that fails. */
static int make(const char *name, struct request *table, uint32_t *ret_number)
{
	struct request q = request(name);
	int kept;

	if (ioctl(control, DM_DEV_CREATE, &q))
		return -1;
	*ret_number = minor((dev_t)q.head.dev);
	if (ioctl(control, DM_TABLE_LOAD, table) == 0 && simple(DM_DEV_SUSPEND, name, 0) == 0)
		return 0;
	kept = errno;
	(void)simple(DM_DEV_REMOVE, name, 0);
	errno = kept;
	return -1;
}

/* An origin that is smaller than the device goes on as zeros. It goes with the snapshot that has it. */
static int make_longer(const char *name, const char *origin, uint64_t has, uint64_t sectors,
                       char ret_numbers[32])
{
	struct request q;
	char longer[DM_NAME_LEN];
	uint32_t number;

	(void)snprintf(longer, sizeof(longer), "%.120s-base", name);
	q = request(longer);
	q.head.flags = DM_READONLY_FLAG;
	add_line(&q, 0, has, "linear");
	(void)snprintf(q.lines[0].text, sizeof(q.lines[0].text), "%s 0", origin);
	add_line(&q, has, sectors - has, "zero");
	if (make(longer, &q, &number))
		return -1;
	(void)snprintf(ret_numbers, 32, "%u:%u", major((dev_t)q.head.dev), number);
	return 0;
}

int map_snapshot(const char *name, int origin, int changes, uint64_t sectors, uint32_t *ret_number)
{
	struct request q = request(name);
	char base[32], store[32], longer[DM_NAME_LEN];
	uint64_t has, room;
	int r;

	(void)snprintf(longer, sizeof(longer), "%.120s-base", name);
	if (device_numbers(origin, base, &has) || device_numbers(changes, store, &room))
		return -1;
	if (has < sectors && make_longer(name, base, has, sectors, base))
		return -1;
	add_line(&q, 0, sectors, "snapshot");
	/* N: what changed is known in memory alone; nobody will want it after the qube's end. */
	(void)snprintf(q.lines[0].text, sizeof(q.lines[0].text), "%s %s N %u", base, store,
	               CHUNK_SECTORS);
	r = make(name, &q, ret_number);
	if (has < sectors) {
		int kept = errno;

		(void)simple(DM_DEV_REMOVE, longer, DM_DEFERRED_REMOVE);
		errno = kept;
	}
	return r;
}

int map_crypt(const char *name, int device, uint64_t sectors, uint32_t *ret_number)
{
	struct request q = request(name);
	uint8_t key[KEY_LEN];
	char hex[2 * KEY_LEN + 1], numbers[32];
	uint64_t room;
	int r = -1;

	if (device_numbers(device, numbers, &room) ||
	    getrandom(key, sizeof(key), 0) != (ssize_t)sizeof(key))
		return -1;
	for (size_t i = 0; i < sizeof(key); i++)
		(void)snprintf(hex + 2 * i, 3, "%02x", key[i]);
	q.head.flags = DM_SECURE_DATA_FLAG;
	add_line(&q, 0, MIN(sectors, room), "crypt");
	(void)snprintf(q.lines[0].text, sizeof(q.lines[0].text), "aes-xts-plain64 %s 0 %s 0", hex,
	               numbers);
	r = make(name, &q, ret_number);
	explicit_bzero(key, sizeof(key));
	explicit_bzero(hex, sizeof(hex));
	explicit_bzero(&q, sizeof(q));
	return r;
}

int map_find(const char *name, uint32_t *ret_number)
{
	struct request q = request(name);

	if (ioctl(control, DM_DEV_STATUS, &q))
		return errno == ENXIO ? 0 : -1;
	*ret_number = minor((dev_t)q.head.dev);
	return 1;
}

int map_remove(const char *name)
{
	return simple(DM_DEV_REMOVE, name, 0) == 0 || errno == ENXIO ? 0 : -1;
}
