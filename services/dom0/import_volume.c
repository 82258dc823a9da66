/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * admin.vm.volume.Import and admin.vm.volume.ImportWithSize in dom0: data from standard input into the
 * file that the admin service names. The answer is the admin service's own frame.
 *
 * The data comes from the caller and is only copied. The size, the first line of ImportWithSize, is
 * checked here for its letters and by the admin service for the rest. Zeros become holes.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"

#define INTERNAL  "/run/qubesd.internal.sock"
#define SIZE_LINE 21U          /* bytes with its newline; protocol */
#define BLOCK     (128U << 10) /* bytes; a block of zeros becomes a hole; protocol */
#define FRAME_MAX 65536U

static const char *source, *dest, *volume;
static char block[BLOCK];

struct frame {
	char data[FRAME_MAX + 1]; /* a NUL stands behind the last byte */
	size_t len;
};

/* One question; 0, or -1 after a log line. */
static int ask(const char *method, const char *payload, struct frame *out)
{
	char path[PATH_MAX], head[512];
	OWNED_FD int fd = -1;
	int n = snprintf(head, sizeof(head), "internal.vm.volume.%s+%s %s name %s", method, volume,
	                 source, dest);
	ssize_t got = 1;

	out->len = 0;
	if (n < 0 || (size_t)n >= sizeof(head) || path_make(path, sizeof(path), INTERNAL, NULL)) {
		LOG("the name of the qube or the volume is too long");
		return -1;
	}
	fd = fd_connect_unix(path, SOCK_STREAM);
	if (fd < 0 || fd_write_all(fd, head, (size_t)n + 1) ||
	    fd_write_all(fd, payload, strlen(payload)) || shutdown(fd, SHUT_WR)) {
		LOG_ERRNO("%s: the admin service cannot be asked", path);
		return -1;
	}
	while (got > 0 && out->len < FRAME_MAX) {
		got = read(fd, out->data + out->len, FRAME_MAX - out->len);
		if (got < 0 && errno == EINTR)
			got = 1;
		else if (got > 0)
			out->len += (size_t)got;
	}
	out->data[out->len] = '\0';
	if (got == 0 && out->len >= 2)
		return 0;
	LOG("the admin service gave no answer");
	return -1;
}

static int pass_on(const struct frame *f)
{
	return fd_write_all(STDOUT_FILENO, f->data, f->len) ? 1 : 0;
}

/* The first line, byte by byte: what follows it is data. */
static int read_size(char size[SIZE_LINE + 1])
{
	size_t n = 0;

	while (n < SIZE_LINE) {
		char untrusted_byte;
		ssize_t r = read(STDIN_FILENO, &untrusted_byte, 1);

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0 || untrusted_byte == '\n')
			break;
		if (untrusted_byte < ' ' || untrusted_byte > '~') {
			LOG("the size is not a number");
			return -1;
		}
		size[n++] = untrusted_byte;
	}
	size[n] = '\0';
	return 0;
}

/* As much as there is, up to @want; -1 with errno. */
static ssize_t read_block(size_t want)
{
	size_t n = 0;

	while (n < want) {
		ssize_t r = read(STDIN_FILENO, block + n, want - n);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -1;
		if (r == 0)
			break;
		n += (size_t)r;
	}
	return (ssize_t)n;
}

static bool is_zero(const char *data, size_t n)
{
	return n == 0 || (data[0] == '\0' && memcmp(data, data + 1, n - 1) == 0);
}

/* The bytes that came, or -1 with errno. The file is new: what is not written is a hole. */
static int64_t copy(int fd, uint64_t size)
{
	uint64_t done = 0;

	while (done < size) {
		ssize_t n = read_block((size_t)MIN(size - done, (uint64_t)BLOCK));
		size_t written = 0;

		if (n < 0)
			return -1;
		if (n == 0)
			break;
		while (!is_zero(block, (size_t)n) && written < (size_t)n) {
			ssize_t r = pwrite(fd, block + written, (size_t)n - written,
			                   (off_t)(done + written));

			if (r < 0 && errno == EINTR)
				continue;
			if (r < 0)
				return -1;
			written += (size_t)r;
		}
		done += (uint64_t)n;
	}
	return fdatasync(fd) ? -1 : (int64_t)done;
}

static void import(const char *path, uint64_t size, char end[256])
{
	OWNED_FD int fd = open(path, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
	int64_t done = fd < 0 ? -1 : copy(fd, size);

	if (done < 0) {
		LOG_ERRNO("%s", path);
		(void)snprintf(end, 256, "fail\nerror copying data");
	} else if ((uint64_t)done < size) {
		(void)snprintf(end, 256,
		               "fail\nnot enough data (copied %" PRId64 " bytes, expected %" PRIu64
		               " bytes)",
		               done, size);
	} else if (read_block(1) != 0) {
		(void)snprintf(end, 256, "fail\ntoo much data (expected %" PRIu64 " bytes)", size);
	} else {
		(void)snprintf(end, 256, "ok");
	}
}

/* "SIZE PATH"; the path with the prefix of this system before it. */
static int parse(const struct frame *f, uint64_t *ret_size, char path[PATH_MAX])
{
	char *end;

	errno = 0;
	*ret_size = strtoull(f->data + 2, &end, 10);
	if (errno || *end != ' ' || end[1] != '/' || path_make(path, PATH_MAX, end + 1, NULL)) {
		LOG("the admin service answered with something else than a size and a path");
		return -1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	static struct frame frame;
	const char *name = strrchr(argv[0], '/');
	char size_text[SIZE_LINE + 1] = "", path[PATH_MAX], end[256];
	uint64_t size;

	name = name ? name + 1 : argv[0];
	log_init(name);
	source = getenv("QREXEC_REMOTE_DOMAIN");
	dest = getenv("QREXEC_REQUESTED_TARGET");
	volume = argc > 1 ? argv[1] : getenv("QREXEC_SERVICE_ARGUMENT");
	if (!source || !dest || !volume) {
		LOG("QREXEC_REMOTE_DOMAIN, QREXEC_REQUESTED_TARGET and an argument are needed: "
		    "this is a service");
		return 2;
	}
	if (strcmp(name, "admin.vm.volume.ImportWithSize") == 0 && read_size(size_text))
		return 1;
	if (ask("ImportBegin", size_text, &frame))
		return 1;
	if (memcmp(frame.data, "0\0", 2) != 0)
		return pass_on(&frame);
	if (parse(&frame, &size, path))
		(void)snprintf(end, sizeof(end), "fail\nerror copying data");
	else
		import(path, size, end);
	return ask("ImportEnd", end, &frame) ? 1 : pass_on(&frame);
}
