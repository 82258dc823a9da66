/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A partition table as UEFI 2.10, chapter 5, has it. */
#include "image/gpt.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "lib/crc/crc32.h"

#define MIB           (1ULL << 20)
#define SMALLEST      (8 * MIB)
#define SLOT_BYTES    (256 * MIB) /* four times an image of today; chosen */
#define HEAD_LEN      92U
#define ENTRIES       128U
#define ENTRY_LEN     128U
#define TABLE_LEN     (ENTRIES * ENTRY_LEN)
#define SECTOR_MAX    4096U
#define DISK_GUID_AT  56U
#define ENTRY_GUID_AT 16U

/* 0fc63daf-8483-4772-8e79-3d69d8477de4, Linux data, as it is stored. */
static const uint8_t type_linux[16] = {0xaf, 0x3d, 0xc6, 0x0f, 0x83, 0x84, 0x72, 0x47,
                                       0x8e, 0x79, 0x3d, 0x69, 0xd8, 0x47, 0x7d, 0xe4};

struct layout {
	uint32_t sector;
	uint64_t last;       /* sector of the disk */
	uint64_t table;      /* sectors that the entries take */
	uint64_t begin, end; /* sectors of the data's partition, both included */
	bool slots;          /* the others stand behind it */
};

static void put(uint8_t *at, uint64_t value, size_t len)
{
	for (size_t i = 0; i < len; i++)
		at[i] = (uint8_t)(value >> (8 * i));
}

static void fill_entry(uint8_t *entry, uint64_t begin, uint64_t end, const uint8_t id[16],
                       const char *name)
{
	memcpy(entry, type_linux, sizeof(type_linux));
	memcpy(entry + ENTRY_GUID_AT, id, 16);
	put(entry + 32, begin, 8);
	put(entry + 40, end, 8);
	for (size_t i = 0; i < GPT_NAME_MAX && name[i]; i++)
		put(entry + 56 + 2 * i, (uint8_t)name[i], 2);
}

/* The data's identity is random; those of the others follow from it, so that a second writing finds them again. */
static void fill_table(uint8_t table[TABLE_LEN], const struct layout *l, const uint8_t id[32],
                       const char *name)
{
	static const struct {
		const char *name;
		uint64_t bytes;
	} others[GPT_SLOTS] = {{GPT_SLOT_A, SLOT_BYTES},
	                       {GPT_SLOT_B, SLOT_BYTES},
	                       {GPT_STATE, MIB}};
	uint64_t begin = l->end + 1;
	uint8_t other_id[16];

	memset(table, 0, TABLE_LEN);
	fill_entry(table, l->begin, l->end, id + 16, name);
	for (size_t i = 0; l->slots && i < GPT_SLOTS; i++) {
		uint64_t sectors = others[i].bytes / l->sector;

		memcpy(other_id, id + 16, sizeof(other_id));
		other_id[15] ^= (uint8_t)(i + 1);
		fill_entry(table + (i + 1) * ENTRY_LEN, begin, begin + sectors - 1, other_id,
		           others[i].name);
		begin += sectors;
	}
}

static void fill_head(uint8_t *head, const struct layout *l, const uint8_t id[32],
                      uint32_t table_crc, bool second)
{
	memset(head, 0, SECTOR_MAX);
	memcpy(head, "EFI PART", 8);
	put(head + 8, 0x00010000, 4);
	put(head + 12, HEAD_LEN, 4);
	put(head + 24, second ? l->last : 1, 8);
	put(head + 32, second ? 1 : l->last, 8);
	put(head + 40, 2 + l->table, 8);
	put(head + 48, l->last - l->table - 1, 8);
	memcpy(head + DISK_GUID_AT, id, 16);
	put(head + 72, second ? l->last - l->table : 2, 8);
	put(head + 80, ENTRIES, 4);
	put(head + 84, ENTRY_LEN, 4);
	put(head + 88, table_crc, 4);
	put(head + 16, crc32_update(0, head, HEAD_LEN), 4);
}

/* What older programs see: one partition of type 0xee over everything. */
static void fill_mbr(uint8_t *mbr, const struct layout *l)
{
	memset(mbr, 0, SECTOR_MAX);
	put(mbr + 446 + 1, 0x000200, 3);
	mbr[446 + 4] = 0xee;
	put(mbr + 446 + 5, 0xffffff, 3);
	put(mbr + 446 + 8, 1, 4);
	put(mbr + 446 + 12, MIN(l->last, 0xffffffffULL), 4);
	put(mbr + 510, 0xaa55, 2);
}

static int write_at(int fd, const void *data, size_t len, uint64_t at)
{
	ssize_t n = pwrite(fd, data, len, (off_t)at);

	if (n == (ssize_t)len)
		return 0;
	if (n >= 0)
		errno = EIO;
	return -1;
}

static int write_copy(int fd, const struct layout *l, const uint8_t id[32], const uint8_t *table,
                      bool second)
{
	static uint8_t head[SECTOR_MAX];
	uint64_t at = second ? l->last - l->table : 2;

	fill_head(head, l, id, crc32_update(0, table, TABLE_LEN), second);
	if (write_at(fd, table, TABLE_LEN, at * l->sector) ||
	    write_at(fd, head, l->sector, (second ? l->last : 1) * l->sector))
		return -1;
	return fsync(fd);
}

int gpt_write(int fd, uint64_t bytes, uint32_t sector, const uint8_t id[32], const char *name)
{
	static uint8_t table[TABLE_LEN], mbr[SECTOR_MAX];
	struct layout l = {.sector = sector};

	if ((sector != 512 && sector != SECTOR_MAX) || bytes < SMALLEST) {
		errno = sector == 512 || sector == SECTOR_MAX ? ENOSPC : EINVAL;
		return -1;
	}
	l.last = bytes / sector - 1;
	l.table = TABLE_LEN / sector;
	l.begin = MIB / sector;
	l.end = (l.last - l.table - 1) / l.begin * l.begin - 1;
	l.slots = bytes >= GPT_SLOTS_FROM;
	if (l.slots)
		l.end -= (2 * SLOT_BYTES + MIB) / sector;
	fill_table(table, &l, id, name);
	fill_mbr(mbr, &l);
	if (write_copy(fd, &l, id, table, true) || write_at(fd, mbr, sector, 0))
		return -1;
	return write_copy(fd, &l, id, table, false);
}

int gpt_identity(int fd, uint32_t sector, uint8_t ret_id[32])
{
	static uint8_t head[SECTOR_MAX], entry[ENTRY_LEN];

	if (sector > SECTOR_MAX || pread(fd, head, sector, sector) != (ssize_t)sector ||
	    memcmp(head, "EFI PART", 8) != 0 ||
	    pread(fd, entry, sizeof(entry), 2 * (off_t)sector) != (ssize_t)sizeof(entry)) {
		errno = EINVAL;
		return -1;
	}
	memcpy(ret_id, head + DISK_GUID_AT, 16);
	memcpy(ret_id + 16, entry + ENTRY_GUID_AT, 16);
	return 0;
}
