/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What may be installed, and in which order: see image.h. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "services/dom0/image.h"

/* A clock that is behind does not make an old release new. */
static uint64_t now(const struct image_disk *d)
{
	time_t t = time(NULL);

	return MAX(t > 0 ? (uint64_t)t : 0, d->boot.seen);
}

/* The highest version that was ever taken: that of the image on trial may be above the floor. */
static uint64_t newest(const struct image_disk *d, const struct signify_keys *keys)
{
	struct image_report report;

	if (d->boot.trying && image_slot_found(d, d->boot.trying) &&
	    image_do(IMAGE_VERIFY, d, d->boot.trying, -1, keys, &report) == 0)
		return MAX(report.release.version, d->boot.floor);
	return d->boot.floor;
}

/* 0: newer than all before; 1: the newest that we have; -1 after a log line. */
static int judge(const struct image_disk *d, uint64_t have, const char *name,
                 const struct release *r)
{
	char expired[IMAGE_TIME_LEN], today[IMAGE_TIME_LEN];

	if (r->expires <= now(d)) {
		LOG("%s: version %" PRIu64
		    " was to be taken until %s, and it is %s: either dom0's clock is "
		    "wrong, or newer ones are withheld; try another qube (qubes-prefs updatevm "
		    "QUBE)",
		    name, r->version, image_time(r->expires, expired), image_time(now(d), today));
		return -1;
	}
	if (r->version < have) {
		LOG("%s: version %" PRIu64 " is older than %" PRIu64
		    ", which was taken already: an old image is offered; nothing older is ever "
		    "installed. Try another qube (qubes-prefs updatevm QUBE)",
		    name, r->version, have);
		return -1;
	}
	if (r->version == have)
		return 1;
	if (d->boot.good && have < r->after) {
		LOG("%s: version %" PRIu64 " needs %" PRIu64
		    " or later before it, and this is %" PRIu64
		    ": install one between (qubes-dom0-update skerry-dom0-VERSION)",
		    name, r->version, r->after, have);
		return -1;
	}
	return 0;
}

/* Who says that the version which we have is still the newest one. */
static int note_newest(struct image_disk *d, const char *name, const struct release *r)
{
	char until[IMAGE_TIME_LEN];

	d->boot.until = MAX(d->boot.until, r->expires);
	d->boot.seen = MAX(d->boot.seen, r->created);
	if (image_disk_write(d))
		return -1;
	(void)printf("%s: version %" PRIu64 " is here already, and is the newest until %s\n", name,
	             r->version, image_time(d->boot.until, until));
	return 0;
}

/* To where GRUB does not look yet. */
static int write_slot(struct image_disk *d, char slot, int package, const char *name,
                      const struct signify_keys *keys, uint64_t version)
{
	struct image_report report;
	char slot_name[] = "slot x";

	if (image_do(IMAGE_WRITE, d, slot, package, keys, &report)) {
		image_say(name, &report, keys);
		return -1;
	}
	/* Read back from the disk, not from memory. */
	if (fsync(d->slots[slot - 'a']) ||
	    posix_fadvise(d->slots[slot - 'a'], 0, 0, POSIX_FADV_DONTNEED)) {
		LOG_ERRNO(IMAGE_SLOTS "/%c", slot);
		return -1;
	}
	slot_name[5] = slot;
	if (image_do(IMAGE_VERIFY_WHOLE, d, slot, -1, keys, &report)) {
		image_say(slot_name, &report, keys);
		return -1;
	}
	if (report.release.version != version) {
		LOG("%s: it changed while it was read: try again", name);
		return -1;
	}
	return 0;
}

static int install(struct image_disk *d, int package, const char *name)
{
	struct signify_keys keys;
	struct image_report report;
	char slot = d->boot.good == 'a' ? 'b' : 'a';
	int r;

	if (image_keys_load(&keys))
		return -1;
	if (image_do(IMAGE_LOOK, d, 0, package, &keys, &report)) {
		image_say(name, &report, &keys);
		return -1;
	}
	r = judge(d, newest(d, &keys), name, &report.release);
	if (r)
		return r < 0 ? -1 : note_newest(d, name, &report.release);
	if (d->running == slot) {
		LOG("%s: dom0 runs from slot %c, into which it belongs: start the machine again "
		    "first, "
		    "or say that what runs is good (skerry image confirm)",
		    name, slot);
		return -1;
	}
	/* From here on the slot is nobody's until it is whole. */
	d->boot.trying = 0;
	d->boot.tries = 0;
	if (image_disk_write(d) || image_slot_close(d, slot) ||
	    write_slot(d, slot, package, name, &keys, report.release.version) ||
	    image_slot_commit(d, slot))
		return -1;
	d->boot.trying = slot;
	d->boot.tries = BOOT_STATE_TRIES;
	d->boot.seen = MAX(d->boot.seen, report.release.created);
	if (image_disk_write(d))
		return -1;
	(void)printf("%s: version %" PRIu64 " is in slot %c, and is tried at the next start\n",
	             name, report.release.version, slot);
	return 0;
}

int image_install(const char *path)
{
	const char *slash = strrchr(path, '/');
	struct image_disk d;
	OWNED_FD int package = open(path, O_RDONLY | O_CLOEXEC);
	int r;

	if (package < 0) {
		LOG_ERRNO("%s", path);
		return -1;
	}
	r = image_disk_open(&d, IMAGE_CHANGE);
	if (r == 0)
		r = install(&d, package, slash ? slash + 1 : path);
	image_disk_close(&d);
	return r;
}

/* It has come up. */
static int make_good(struct image_disk *d)
{
	struct signify_keys keys;
	struct image_report report;
	char name[] = "slot x";

	name[5] = d->running;
	if (image_keys_load(&keys))
		return -1;
	if (image_do(IMAGE_VERIFY, d, d->running, -1, &keys, &report)) {
		image_say(name, &report, &keys);
		return -1;
	}
	d->boot.good = d->running;
	d->boot.trying = 0;
	d->boot.tries = 0;
	d->boot.floor = MAX(d->boot.floor, report.release.version);
	d->boot.until = MAX(d->boot.until, report.release.expires);
	if (image_disk_write(d))
		return -1;
	LOG("%s: version %" PRIu64 " has come up: it is started from now on", name,
	    report.release.version);
	return 0;
}

static int confirm(struct image_disk *d)
{
	if (d->running && d->running == d->boot.trying)
		return make_good(d);
	if (d->boot.trying && d->boot.tries == 0) {
		LOG("the image in slot %c did not come up in %u starts: %s", d->boot.trying,
		    BOOT_STATE_TRIES,
		    d->boot.good ? "the one before it goes on" : "the medium's goes on");
		d->boot.trying = 0;
		return image_disk_write(d);
	}
	return 0;
}

int image_confirm(void)
{
	struct image_disk d;
	int r = image_disk_open(&d, IMAGE_CHANGE);

	if (r == 0)
		r = confirm(&d);
	image_disk_close(&d);
	return r;
}

static int go_back(struct image_disk *d)
{
	char other = d->boot.good == 'a' ? 'b' : 'a';
	struct signify_keys keys;
	struct image_report report;
	char name[] = "slot x";

	name[5] = other;
	if (!d->boot.good) {
		LOG("no image was installed yet: there is none to go back to");
		return -1;
	}
	if (image_keys_load(&keys))
		return -1;
	report = (struct image_report){.result = IMAGE_E_SLOT};
	if (!image_slot_found(d, other) ||
	    image_do(IMAGE_VERIFY_WHOLE, d, other, -1, &keys, &report)) {
		image_say(name, &report, &keys);
		return -1;
	}
	d->boot.good = other;
	d->boot.trying = 0;
	d->boot.tries = 0;
	if (image_disk_write(d))
		return -1;
	(void)printf("%s: version %" PRIu64 " is started from now on\n", name,
	             report.release.version);
	return 0;
}

int image_back(void)
{
	struct image_disk d;
	int r = image_disk_open(&d, IMAGE_CHANGE);

	if (r == 0)
		r = go_back(&d);
	image_disk_close(&d);
	return r;
}

int image_reset(void)
{
	struct image_disk d;
	struct signify_keys keys;
	struct image_report report;
	int r = image_keys_load(&keys);

	if (r)
		return r;
	r = image_disk_open(&d, IMAGE_ANEW);
	for (char slot = 'a'; r == 0 && slot <= 'b'; slot++) {
		if (!image_slot_found(&d, slot) ||
		    image_do(IMAGE_VERIFY_WHOLE, &d, slot, -1, &keys, &report))
			continue;
		/* What runs has come up; else the newest. */
		if (d.running == slot ||
		    (d.running != d.boot.good && report.release.version > d.boot.floor) ||
		    !d.boot.good)
			d.boot.good = slot;
		d.boot.floor = MAX(d.boot.floor, report.release.version);
		d.boot.seen = MAX(d.boot.seen, report.release.created);
		d.boot.until = MAX(d.boot.until, report.release.expires);
	}
	if (r == 0)
		r = image_disk_make(&d);
	image_disk_close(&d);
	return r;
}
