/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "qube/services/render.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "qube/services/child.h"

#define HEAD_LEN 1024 /* bytes of a file that say what it is */

int render_init(struct render *render)
{
	const char *tmp = getenv("TMPDIR");
	int n;

	*render = (struct render){0};
	n = snprintf(render->folder, sizeof(render->folder), "%s/render-XXXXXX",
	             tmp && *tmp ? tmp : "/tmp");
	if (n < 0 || (size_t)n >= sizeof(render->folder) - 64) {
		render->folder[0] = '\0';
		errno = ENAMETOOLONG;
		return -1;
	}
	if (!mkdtemp(render->folder)) {
		render->folder[0] = '\0';
		return -1;
	}
	(void)snprintf(render->file, sizeof(render->file), "%.*s/document",
	               (int)sizeof(render->folder) - 64, render->folder);
	return 0;
}

void render_fini(struct render *render)
{
	struct dirent *entry;
	DIR *dir;

	if (!*render->folder)
		return;
	dir = opendir(render->folder);
	while (dir && (entry = readdir(dir)))
		(void)unlinkat(dirfd(dir), entry->d_name, 0);
	if (dir)
		(void)closedir(dir);
	(void)rmdir(render->folder);
	render->folder[0] = '\0';
}

static bool has(const uint8_t *head, size_t len, size_t at, const char *magic)
{
	size_t n = strlen(magic);

	return len >= at + n && memcmp(head + at, magic, n) == 0;
}

/* What the file begins with, and GraphicsMagick's name for it. XPM and others that are text are left
 * out: nothing sends them, and their readers are old. */
static void find_kind(struct render *render, const uint8_t *head, size_t len)
{
	static const struct {
		const char *magic;
		size_t at;
		const char *format;
	} kinds[] = {{"\x89PNG\r\n\x1a\n", 0, "PNG"},
	             {"\xff\xd8\xff", 0, "JPEG"},
	             {"GIF8", 0, "GIF"},
	             {"BM", 0, "BMP"},
	             {"WEBP", 8, "WEBP"},
	             {"II*", 0, "TIFF"},
	             {"MM", 0, "TIFF"},
	             {"P6", 0, "PPM"},
	             {"P5", 0, "PGM"},
	             {"P4", 0, "PBM"}};

	render->kind = RENDER_UNKNOWN;
	if (memmem(head, len, "%PDF-", 5)) {
		render->kind = RENDER_PDF;
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (has(head, len, kinds[i].at, kinds[i].magic)) {
			render->kind = RENDER_PICTURE;
			render->format = kinds[i].format;
			return;
		}
	}
	/* An icon's first four bytes are zeros and ones, which begin other things as well. */
	if (len >= 6 && memcmp(head, "\0\0\1\0", 4) == 0 && head[5] == 0) {
		render->kind = RENDER_PICTURE;
		render->format = "ICO";
	} else if (memmem(head, len, "<svg", 4)) {
		render->kind = RENDER_SVG;
	}
}

int render_receive(struct render *render, const void *head, size_t head_len, struct input *in)
{
	OWNED_FD int fd = open(render->file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	unsigned long long copied;
	uint8_t first[HEAD_LEN];
	ssize_t n;

	if (fd < 0 || (head_len > 0 && fd_write_all(fd, head, head_len)) ||
	    input_copy(in, fd, RENDER_FILE_MAX, &copied))
		return -1;
	n = pread(fd, first, sizeof(first), 0);
	if (n < 0)
		return -1;
	find_kind(render, first, (size_t)n);
	return 0;
}

int render_open(struct render *render, const char *path)
{
	static struct input in;
	OWNED_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return -1;
	input_init(&in, fd);
	return render_receive(render, NULL, 0, &in);
}

/* SVG to PNG, which GraphicsMagick reads; librsvg fetches nothing from elsewhere. */
static int draw_svg(struct render *render, uint32_t side)
{
	char out[PATH_MAX + 8];
	char pixels[16];
	char none[16];
	const char *argv[] = {"rsvg-convert", "-a",   "-f", "png",  "-o",         out,
	                      "-w",           pixels, "-h", pixels, render->file, NULL};

	(void)snprintf(out, sizeof(out), "%s.png", render->file);
	(void)snprintf(pixels, sizeof(pixels), "%u", side);
	if (side == 0) {
		argv[6] = render->file;
		argv[7] = NULL;
	}
	if (child_output(argv, -1, none, sizeof(none)) != 0) {
		LOG("the drawing cannot be rendered");
		return -1;
	}
	if (rename(out, render->file)) {
		LOG_ERRNO("%s", out);
		return -1;
	}
	render->kind = RENDER_PICTURE;
	render->format = "PNG";
	return 0;
}

/* Turned as its camera meant it, no larger than max, and as PNG, whose size is that of the pixels. */
static int normalise(const struct render *render, bool alpha, uint32_t max, const char *out)
{
	char source[PATH_MAX + 16];
	char target[PATH_MAX + 16];
	char smaller[32];
	char none[16];
	const char *with_alpha[] = {"gm",        "convert", source, "-auto-orient",
	                            "-geometry", smaller,   target, NULL};
	const char *flat[] = {"gm",        "convert", source,        "-auto-orient",
	                      "-geometry", smaller,   "-background", "white",
	                      "-flatten",  target,    NULL};

	(void)snprintf(source, sizeof(source), "%s:%s[0]", render->format, render->file);
	(void)snprintf(target, sizeof(target), "PNG32:%s", out);
	(void)snprintf(smaller, sizeof(smaller), "%ux%u>", max, max);
	return child_output(alpha ? with_alpha : flat, -1, none, sizeof(none));
}

static int copy_pixels(const char *file, bool alpha)
{
	char source[PATH_MAX + 16];
	const char *argv[] = {"gm", "convert", source, "-depth", "8", alpha ? "RGBA:-" : "RGB:-",
	                      NULL};
	static struct input in;
	unsigned long long copied;
	pid_t pid;
	int fd;
	int r;

	(void)snprintf(source, sizeof(source), "PNG:%s", file);
	if (child_start(argv, -1, &fd, &pid))
		return -1;
	input_init(&in, fd);
	r = input_copy(&in, STDOUT_FILENO, UINT64_MAX, &copied);
	(void)close(fd);
	return child_wait(pid) == 0 ? r : -1;
}

int render_picture(struct render *render, uint32_t side, bool alpha, uint32_t max)
{
	char file[PATH_MAX + 8];
	char source[PATH_MAX + 16];
	char size[64];
	const char *identify[] = {"gm", "identify", "-format", "%w %h\n", source, NULL};
	char *end;

	if (render->kind == RENDER_SVG && draw_svg(render, side))
		return -1;
	if (render->kind != RENDER_PICTURE) {
		LOG("no picture of a kind that is known here");
		return -1;
	}
	(void)snprintf(file, sizeof(file), "%s.norm", render->file);
	(void)snprintf(source, sizeof(source), "PNG:%s", file);
	if (normalise(render, alpha, max, file) != 0 ||
	    child_output(identify, -1, size, sizeof(size)) != 0) {
		LOG("the picture cannot be rendered");
		return -1;
	}
	end = strchr(size, '\n');
	if (!end || fd_write_all(STDOUT_FILENO, size, (size_t)(end - size) + 1) ||
	    copy_pixels(file, alpha)) {
		LOG("the picture cannot be sent");
		return -1;
	}
	return 0;
}
