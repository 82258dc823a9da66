/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The partitions that GRUB and dom0 share. Every change of what is started is the write of one sector. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "proto/image/newc.h"
#include "services/dom0/image.h"

#define STATE_FILE "skerry/env" /* GRUB reads and writes it */

static int write_at(int fd, const char *name, const void *data, size_t len, off_t at)
{
	ssize_t n = pwrite(fd, data, len, at);

	if (n == (ssize_t)len && fsync(fd) == 0)
		return 0;
	if (n >= 0 && n != (ssize_t)len)
		errno = ENOSPC;
	LOG_ERRNO(IMAGE_SLOTS "/%s", name);
	return -1;
}

/* A name that is filled up, so that the next head begins at the next sector. */
static void fill_sector(uint8_t out[SLOT_SECTOR], uint32_t size, const char *name)
{
	const struct newc_head head = {.mode = NEWC_FILE,
	                               .size = size,
	                               .name_len = SLOT_SECTOR - NEWC_HEAD_LEN};

	memset(out, 0, SLOT_SECTOR);
	newc_encode(out, &head);
	memcpy(out + NEWC_HEAD_LEN, name, strlen(name));
}

static void slot_sector(uint8_t out[SLOT_SECTOR], char slot)
{
	fill_sector(out, 0, slot == 'a' ? "skerry/slot-a" : "skerry/slot-b");
}

int image_disk_write(const struct image_disk *d)
{
	uint8_t block[BOOT_STATE_LEN];

	boot_state_encode(block, &d->boot);
	/* The second sector never changes: filling. */
	return write_at(d->state, "state", block, BOOT_STATE_USED, SLOT_SECTOR);
}

/* All but the first sector, then that. */
int image_disk_make(const struct image_disk *d)
{
	const struct newc_head end = {.name_len = sizeof(NEWC_END)};
	uint8_t bytes[STATE_BYTES] = {0};

	fill_sector(bytes, BOOT_STATE_LEN, STATE_FILE);
	boot_state_encode(bytes + SLOT_SECTOR, &d->boot);
	newc_encode(bytes + SLOT_SECTOR + BOOT_STATE_LEN, &end);
	memcpy(bytes + SLOT_SECTOR + BOOT_STATE_LEN + NEWC_HEAD_LEN, NEWC_END, sizeof(NEWC_END));
	if (write_at(d->state, "state", bytes + SLOT_SECTOR, STATE_BYTES - SLOT_SECTOR,
	             SLOT_SECTOR))
		return -1;
	return write_at(d->state, "state", bytes, SLOT_SECTOR, 0);
}

static int read_state(struct image_disk *d, enum image_purpose purpose)
{
	static const uint8_t zeros[SLOT_SECTOR];
	uint8_t untrusted[SLOT_SECTOR + BOOT_STATE_LEN];
	uint8_t first[SLOT_SECTOR];

	if (pread(d->state, untrusted, sizeof(untrusted), 0) != (ssize_t)sizeof(untrusted)) {
		LOG(IMAGE_SLOTS "/state: it cannot be read, or is too short");
		return -1;
	}
	fill_sector(first, BOOT_STATE_LEN, STATE_FILE);
	if (purpose == IMAGE_ANEW)
		return 0;
	if (memcmp(untrusted, zeros, sizeof(zeros)) == 0)
		return purpose == IMAGE_READ ? 0 : image_disk_make(d);
	if (memcmp(untrusted, first, sizeof(first)) == 0 &&
	    boot_state_decode(untrusted + SLOT_SECTOR, &d->boot) == 0)
		return 0;
	LOG(IMAGE_SLOTS
	    "/state: what is there was written by neither GRUB nor us: nothing is changed. "
	    "Started from the medium, \"skerry image reset\" makes it anew from what the "
	    "slots hold");
	return -1;
}

static void read_running(struct image_disk *d)
{
	char path[PATH_MAX];
	OWNED_FD int fd = -1;
	char letter;

	if (path_make(path, sizeof(path), IMAGE_SLOTS, "running"))
		return;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && read(fd, &letter, 1) == 1 && (letter == 'a' || letter == 'b'))
		d->running = letter;
}

static int open_file(const char *name, bool change)
{
	int flags = change ? O_RDWR : O_RDONLY;
	char path[PATH_MAX];
	int fd;

	if (path_make(path, sizeof(path), IMAGE_SLOTS, name))
		return -1;
	fd = open(path, flags | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		LOG("%s: this disk has no slots for images of dom0. A disk of 2 GiB or more that "
		    "Skerry "
		    "itself prepares has them; this one goes on with the image that it is started "
		    "from",
		    path);
	else if (fd < 0)
		LOG_ERRNO("%s", path);
	return fd;
}

int image_disk_open(struct image_disk *d, enum image_purpose purpose)
{
	bool change = purpose != IMAGE_READ;
	static const char *const names[SLOTS] = {"a", "b"};

	*d = (struct image_disk)IMAGE_DISK_EMPTY;
	d->state = open_file("state", change);
	if (d->state < 0)
		return -1;
	if (flock(d->state, (change ? LOCK_EX : LOCK_SH) | LOCK_NB)) {
		LOG(errno == EWOULDBLOCK ? "another change of dom0's images is under way"
		                         : IMAGE_SLOTS "/state: %m");
		return -1;
	}
	for (size_t i = 0; i < SLOTS; i++) {
		off_t end;

		d->slots[i] = open_file(names[i], change);
		end = d->slots[i] < 0 ? -1 : lseek(d->slots[i], 0, SEEK_END);
		if (end < 0)
			return -1;
		d->bytes[i] = (uint64_t)end;
	}
	read_running(d);
	return read_state(d, purpose);
}

void image_disk_close(struct image_disk *d)
{
	d->state = fd_close(d->state);
	for (size_t i = 0; i < SLOTS; i++)
		d->slots[i] = fd_close(d->slots[i]);
}

int image_slot_close(const struct image_disk *d, char slot)
{
	static const uint8_t zeros[SLOT_SECTOR];

	return write_at(d->slots[slot - 'a'], slot == 'a' ? "a" : "b", zeros, sizeof(zeros), 0);
}

int image_slot_commit(const struct image_disk *d, char slot)
{
	uint8_t sector[SLOT_SECTOR];

	slot_sector(sector, slot);
	return write_at(d->slots[slot - 'a'], slot == 'a' ? "a" : "b", sector, sizeof(sector), 0);
}

bool image_slot_found(const struct image_disk *d, char slot)
{
	uint8_t sector[SLOT_SECTOR];
	uint8_t untrusted[SLOT_SECTOR];

	slot_sector(sector, slot);
	return pread(d->slots[slot - 'a'], untrusted, sizeof(untrusted), 0) ==
	               (ssize_t)sizeof(untrusted) &&
	       memcmp(sector, untrusted, sizeof(sector)) == 0;
}
