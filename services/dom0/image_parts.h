/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_DOM0_IMAGE_PARTS_H
#define SERVICES_DOM0_IMAGE_PARTS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/compat.h"
#include "proto/image/release.h"
#include "proto/image/signify.h"

/*
 * An image of dom0 out of a package into a slot of the disk, in processes of their own:
 *
 *   look    reads of a package what is signed of its image, and whether enough keys have signed it.
 *   write   copies package to slot, all but the slot's first sector, by which GRUB knows it.
 *   verify  reads the slot and nothing else: it has never seen the package, so what that may have done to
 *           its readers cannot have reached it. Only its word counts.
 *
 * Each can read and write the descriptors that it is given, and nothing else.
 */

#define IMAGE_FOLDER "./usr/share/skerry/image/" /* of the files in a package */
#define SLOT_SECTOR                                                                                \
	512U /* the slot's first: a head with the file skerry/slot-a or skerry/slot-b, by which GRUB finds it */

enum image_result {
	IMAGE_OK = 0,
	IMAGE_E_READ,     /* the disk */
	IMAGE_E_WRITE,    /* the disk */
	IMAGE_E_PACKAGE,  /* no package, or one that is packed */
	IMAGE_E_SHORT,    /* it ends within @part */
	IMAGE_E_NONE,     /* no image in it: @part is missing */
	IMAGE_E_FOREIGN,  /* @part does not belong to an image */
	IMAGE_E_UNSIGNED, /* by fewer keys than are needed */
	IMAGE_E_RELEASE,  /* what is signed is not understood */
	IMAGE_E_PART,     /* @part is not what was signed */
	IMAGE_E_SPACE,    /* more than the slot takes */
	IMAGE_E_SLOT,     /* the slot holds something else */
	IMAGE_E_MAX,
};

#define IMAGE_PART_MAX 64U
struct image_report {
	uint32_t result;
	uint32_t n_signed; /* keys that have signed it */
	char part[IMAGE_PART_MAX];
	struct release release; /* if @result is IMAGE_OK */
};

struct image_files {
	int package; /* -1: none */
	int slot;    /* -1: none; open for reading only where it is verified */
	int result;  /* pipe: struct image_report */
	uint64_t package_bytes;
	uint64_t slot_bytes;
	const struct signify_keys *keys;
};

/* In a child; returns its status: 0 if it has reported. @whole: the parts as well, not only what is signed */
int image_look(const struct image_files *f) MUST_CHECK;
int image_write(const struct image_files *f) MUST_CHECK;
int image_verify(const struct image_files *f, bool whole) MUST_CHECK;

#endif
