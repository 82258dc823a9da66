/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The steps of image_parts.h, each in a process of its own, and what is said of how they end. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "services/dom0/child.h"
#include "services/dom0/image.h"

const char *image_time(uint64_t seconds, char text[IMAGE_TIME_LEN])
{
	time_t when = (time_t)seconds;
	struct tm tm;

	if (strftime(text, IMAGE_TIME_LEN, "%Y-%m-%d %H:%M UTC", gmtime_r(&when, &tm)) == 0)
		text[0] = '\0';
	return text;
}

static int run(enum image_step step, const struct image_files *f)
{
	switch (step) {
	case IMAGE_LOOK:
		return image_look(f);
	case IMAGE_WRITE:
		return image_write(f);
	case IMAGE_VERIFY:
	case IMAGE_VERIFY_WHOLE:
		return image_verify(f, step == IMAGE_VERIFY_WHOLE);
	}
	return CHILD_LOST;
}

/* The slot as its reader may have it: for reading only. */
static int reopen(int fd)
{
	char path[32];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_RDONLY | O_CLOEXEC);
}

static int start(enum image_step step, const struct image_files *f, struct image_report *ret)
{
	struct image_files files = *f;
	int ends[2];
	bool told;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC))
		return -1;
	files.result = ends[1];
	pid = child_fork();
	if (pid == 0)
		_exit(run(step, &files));
	(void)fd_close(ends[1]);
	told = pid > 0 && fd_read_all(ends[0], ret, sizeof(*ret)) == 0;
	(void)fd_close(ends[0]);
	return child_wait(pid) == 0 && told && ret->result < IMAGE_E_MAX ? 0 : -1;
}

int image_do(enum image_step step, const struct image_disk *d, char slot, int package,
             const struct signify_keys *keys, struct image_report *ret)
{
	struct image_files f = {.package = package, .slot = -1, .keys = keys};
	OWNED_FD int read_only = -1;
	struct stat st;
	int r = -1;

	if (package >= 0 && fstat(package, &st) == 0)
		f.package_bytes = (uint64_t)st.st_size;
	if (step == IMAGE_WRITE)
		f.slot = d->slots[slot - 'a'];
	else if (step != IMAGE_LOOK)
		read_only = reopen(d->slots[slot - 'a']);
	if (read_only >= 0)
		f.slot = read_only;
	f.slot_bytes = slot ? d->bytes[slot - 'a'] : 0;
	if (step == IMAGE_LOOK || f.slot >= 0)
		r = start(step, &f, ret);
	if (r)
		*ret = (struct image_report){.result = IMAGE_E_MAX};
	ret->part[IMAGE_PART_MAX - 1] = '\0';
	return ret->result == IMAGE_OK ? 0 : -1;
}

/* What is wrong, with the part between, and what to do about it. */
static const struct {
	const char *before, *after, *cure;
	bool with_part;
} texts[IMAGE_E_MAX + 1] = {
        [IMAGE_E_READ] = {"", " cannot be read", "is the disk failing? See the kernel's log", true},
        [IMAGE_E_WRITE] = {"the slot cannot be written", "",
                           "is the disk failing? See the kernel's log"},
        [IMAGE_E_PACKAGE] = {"it is no package with an image, or a packed one", "",
                             "image/package writes packages that are not packed"},
        [IMAGE_E_SHORT] = {"it ends within ", "", "fetch it again: qubes-dom0-update", true},
        [IMAGE_E_NONE] = {"it has no ", "",
                          "it holds no whole image of dom0; image/package makes packages that do",
                          true},
        [IMAGE_E_FOREIGN] = {"it holds ", ", which is no part of an image",
                             "image/package makes packages that hold nothing else", true},
        [IMAGE_E_UNSIGNED] = {"", " is not signed by enough of the keys in " IMAGE_KEYS,
                              "fetch one that those have signed who sign your images", true},
        [IMAGE_E_RELEASE] = {"", " is signed, and not understood",
                             "the image that runs may be too old for it: ask who publishes it",
                             true},
        [IMAGE_E_PART] = {"", " is not what was signed",
                          "it was changed or damaged on its way: fetch it again, by another qube "
                          "if that does not help (qubes-prefs updatevm QUBE)",
                          true},
        [IMAGE_E_SPACE] = {"it is larger than a slot of this disk", "",
                           "a disk that Skerry prepares anew may have larger ones"},
        [IMAGE_E_SLOT] = {"no whole image is in it: ", "", "install one: qubes-dom0-update", true},
        [IMAGE_E_MAX] = {"who reads it failed", "", "the lines before say why"},
};

void image_say(const char *name, const struct image_report *report, const struct signify_keys *keys)
{
	uint32_t i = MIN(report->result, (uint32_t)IMAGE_E_MAX);
	const char *part = texts[i].with_part ? report->part : "";
	char count[64] = "";

	if (i == IMAGE_E_UNSIGNED)
		(void)snprintf(count, sizeof(count), " (%u have, %zu must)", report->n_signed,
		               keys->needed);
	LOG("%s: %s%s%s%s: %s", name, texts[i].before ? texts[i].before : "", part,
	    texts[i].after ? texts[i].after : "", count, texts[i].cure ? texts[i].cure : "");
}
