/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's device mapper, by its ioctls: a request is a head, and for a table one line for each
 * part of the device. See device.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <linux/fs.h>
#include <linux/major.h>
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

/* What stands below a snapshot, under a name of its own: it can become longer. It goes with the snapshot that has it. */
static void base_name(const char *name, char base[DM_NAME_LEN])
{
	(void)snprintf(base, DM_NAME_LEN, "%.120s-base", name);
}

/* An origin that is smaller than the device goes on as zeros. */
static struct request base_table(const char *base, const char *origin, uint64_t has,
                                 uint64_t sectors)
{
	struct request q = request(base);

	q.head.flags = DM_READONLY_FLAG;
	add_line(&q, 0, MIN(has, sectors), "linear");
	(void)snprintf(q.lines[0].text, sizeof(q.lines[0].text), "%s", origin);
	if (has < sectors)
		add_line(&q, has, sectors - has, "zero");
	return q;
}

static int make_base(const char *name, const char *origin, uint64_t has, uint64_t sectors,
                     char ret_numbers[32])
{
	char base[DM_NAME_LEN], from[40];
	struct request q;
	uint32_t number;

	base_name(name, base);
	(void)snprintf(from, sizeof(from), "%s 0", origin);
	q = base_table(base, from, has, sectors);
	if (make(base, &q, &number))
		return -1;
	(void)snprintf(ret_numbers, 32, "%u:%u", major((dev_t)q.head.dev), number);
	return 0;
}

int map_snapshot(const char *name, int origin, int changes, uint64_t sectors, uint32_t *ret_number)
{
	struct request q = request(name);
	char base[32], store[32], below[DM_NAME_LEN];
	uint64_t has, room;
	int r, kept;

	base_name(name, below);
	if (device_numbers(origin, base, &has) || device_numbers(changes, store, &room) ||
	    make_base(name, base, has, sectors, base))
		return -1;
	add_line(&q, 0, sectors, "snapshot");
	/* N: what changed is known in memory alone; nobody will want it after the qube's end. */
	(void)snprintf(q.lines[0].text, sizeof(q.lines[0].text), "%s %s N %u", base, store,
	               CHUNK_SECTORS);
	r = make(name, &q, ret_number);
	kept = errno;
	(void)simple(DM_DEV_REMOVE, below, DM_DEFERRED_REMOVE);
	errno = kept;
	return r;
}

/* The first line of a device's table. */
static int table_of(const char *name, struct line *ret_line)
{
	struct request q = request(name);

	q.head.flags = DM_STATUS_TABLE_FLAG;
	if (ioctl(control, DM_TABLE_STATUS, &q))
		return -1;
	if (q.head.target_count == 0 || q.head.flags & DM_BUFFER_FULL_FLAG ||
	    q.head.data_start != offsetof(struct request, lines)) {
		errno = EIO;
		return -1;
	}
	*ret_line = q.lines[0];
	ret_line->text[sizeof(ret_line->text) - 1] = '\0';
	return 0;
}

/* Another table for a device in use: what is written meanwhile waits. */
static int exchange_table(const char *name, struct request *table)
{
	int r, kept;

	if (ioctl(control, DM_TABLE_LOAD, table))
		return -1;
	r = simple(DM_DEV_SUSPEND, name, DM_SUSPEND_FLAG | DM_SKIP_LOCKFS_FLAG);
	kept = errno;
	/* Whatever happened, it is not left waiting. */
	if (simple(DM_DEV_SUSPEND, name, 0) && r == 0)
		return -1;
	errno = kept;
	return r;
}

int map_grow(const char *name, uint64_t sectors)
{
	unsigned int base[2], store[2];
	char below[DM_NAME_LEN];
	struct line snap, origin;
	struct request q;

	if (table_of(name, &snap))
		return -1;
	if (strcmp(snap.spec.target_type, "snapshot") != 0 ||
	    sscanf(snap.text, "%u:%u %u:%u", &base[0], &base[1], &store[0], &store[1]) != 4 ||
	    store[0] != LOOP_MAJOR) {
		/* Encrypted with a key that nobody has: no second table can be made. */
		errno = EOPNOTSUPP;
		return -1;
	}
	if (sectors <= snap.spec.length)
		return 0;
	base_name(name, below);
	if (table_of(below, &origin) || loop_grow(store[1]))
		return -1;
	q = base_table(below, origin.text, origin.spec.length, sectors);
	if (exchange_table(below, &q))
		return -1;
	/* What changed so far goes over from the table before to this one: it has the same store. */
	q = request(name);
	add_line(&q, 0, sectors, "snapshot");
	(void)snprintf(q.lines[0].text, sizeof(q.lines[0].text), "%u:%u %u:%u N %u", base[0],
	               base[1], store[0], store[1], CHUNK_SECTORS);
	return exchange_table(name, &q);
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
