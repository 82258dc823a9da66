/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_DOM0_IMAGE_H
#define SERVICES_DOM0_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/compat.h"
#include "proto/image/boot_state.h"
#include "proto/image/signify.h"
#include "services/dom0/image_parts.h"

/*
 * Images of dom0 in the slots of its disk. One slot is good: its image has come up. A new image goes to the
 * other one; then GRUB starts it a few times at most, and it is good once it has come up. Killed at any
 * moment, or without power, there is a good one, whole.
 * The folder IMAGE_SLOTS is made at each start of the machine: the files state, a, b are the partitions, and
 * running says which slot dom0 was started from, if it was from one. See doc/updates.md.
 */

#define IMAGE_SLOTS "/run/skerry-slots"
#define IMAGE_KEYS                                                                                 \
	"/etc/skerry/image-keys" /* *.pub of signify(1); needed: how many must sign, or all */
#define SLOTS 2
#define STATE_BYTES                                                                                \
	2048U /* a head as in a slot, the block of boot_state.h, the end of an archive */

struct image_disk {
	int state;        /* locked while something changes */
	int slots[SLOTS]; /* a, b */
	uint64_t bytes[SLOTS];
	char running; /* 'a', 'b'; 0: started from somewhere else */
	struct boot_state boot;
};

#define IMAGE_DISK_EMPTY                                                                           \
	{                                                                                          \
		.state = -1, .slots = { -1, -1 }                                                   \
	}

enum image_purpose {
	IMAGE_READ,
	IMAGE_CHANGE, /* one at a time; what was never used is made ready */
	IMAGE_ANEW,   /* one at a time; nobody looks at what the state was */
};

/** image_disk_open() - 0, or -1 after a log line; image_disk_close() after either */
int image_disk_open(struct image_disk *d, enum image_purpose purpose) MUST_CHECK;
void image_disk_close(struct image_disk *d);

/** image_disk_write() - d->boot, on the disk when it returns; 0, or -1 after a log line */
int image_disk_write(const struct image_disk *d) MUST_CHECK;

/** image_disk_make() - the same, and all that stands around it */
int image_disk_make(const struct image_disk *d) MUST_CHECK;

/** image_slot_close(), image_slot_commit() - GRUB finds the slot no longer; finds it. 0, or -1 after a log line */
int image_slot_close(const struct image_disk *d, char slot) MUST_CHECK;
int image_slot_commit(const struct image_disk *d, char slot) MUST_CHECK;

/** image_slot_found() - would GRUB find it? */
bool image_slot_found(const struct image_disk *d, char slot) MUST_CHECK;

/** image_keys_load() - 0, or -1 after a log line */
int image_keys_load(struct signify_keys *keys) MUST_CHECK;

enum image_step { IMAGE_LOOK, IMAGE_WRITE, IMAGE_VERIFY, IMAGE_VERIFY_WHOLE };

/**
 * image_do() - one step of image_parts.h in a process of its own
 * @package:  -1, or the package
 * Errors: 0: ret->result is IMAGE_OK. -1 otherwise; IMAGE_E_MAX: the process itself failed.
 */
int image_do(enum image_step step, const struct image_disk *d, char slot, int package,
             const struct signify_keys *keys, struct image_report *ret) MUST_CHECK;

/** image_say() - what is wrong and what to do about it, to the log; @name: of the file or the slot */
void image_say(const char *name, const struct image_report *report,
               const struct signify_keys *keys);

/** image_install() - what a package holds to the other slot. 0; -1 after a log line */
int image_install(const char *path) MUST_CHECK;

/** image_confirm() - the image that runs is good: it has come up. 0, or -1 after a log line */
int image_confirm(void) MUST_CHECK;

/** image_reset() - the state anew, by what is in the slots. 0, or -1 after a log line */
int image_reset(void) MUST_CHECK;

/** image_back() - the other image is started from now on. 0, or -1 after a log line */
int image_back(void) MUST_CHECK;

/** image_time() - "2026-11-28 15:00 UTC" */
#define IMAGE_TIME_LEN 32
const char *image_time(uint64_t seconds, char text[IMAGE_TIME_LEN]);

#endif
