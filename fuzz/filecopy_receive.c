/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Any stream into the receiver, byte 0 is the options: a status and a reply of the right form,
 * nothing beside the destination is changed, and nothing but files, links and folders is in it.
 */
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "filecopy/receive.h"
#include "lib/base/bytes.h"
#include "lib/base/check.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/untrusted/path.h"
#include "proto/filecopy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static char base[64];
static char into[96];
static int top_fd;
static int proc_fd = -1;
static struct stat base_before;
static struct stat beside_before;

static void set_up(void)
{
	char beside[96];

	(void)snprintf(base, sizeof(base), "%s", "/dev/shm/skfuzzXXXXXX");
	CHECK(mkdtemp(base));
	(void)snprintf(into, sizeof(into), "%s/into", base);
	(void)snprintf(beside, sizeof(beside), "%s/beside", base);
	CHECK(mkdir(into, 0700) == 0 && mkdir(beside, 0700) == 0);
	top_fd = open(into, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(top_fd >= 0);
	if (receive_needs_proc(top_fd))
		proc_fd = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(stat(base, &base_before) == 0 && stat(beside, &beside_before) == 0);
	log_set_fd(-1);
}

static void check_beside(void)
{
	char beside[96];
	struct stat st;

	(void)snprintf(beside, sizeof(beside), "%s/beside", base);
	CHECK(stat(base, &st) == 0 && st.st_ctim.tv_sec == base_before.st_ctim.tv_sec &&
	      st.st_ctim.tv_nsec == base_before.st_ctim.tv_nsec);
	CHECK(stat(beside, &st) == 0 && st.st_ctim.tv_sec == beside_before.st_ctim.tv_sec &&
	      st.st_ctim.tv_nsec == beside_before.st_ctim.tv_nsec);
}

/* Looks at everything and takes it away. */
static void clear_destination(void)
{
	char *const paths[] = {into, NULL};
	FTS *walk = fts_open(paths, FTS_PHYSICAL, NULL);
	const FTSENT *entry;

	CHECK(walk);
	while ((entry = fts_read(walk))) {
		if (entry->fts_level == 0)
			continue;
		CHECK(entry->fts_info != FTS_DEFAULT);
		if (entry->fts_info == FTS_D)
			CHECK(chmod(entry->fts_accpath, 0700) == 0);
		else if (entry->fts_info == FTS_DP)
			CHECK(rmdir(entry->fts_accpath) == 0);
		else
			CHECK(unlink(entry->fts_accpath) == 0);
	}
	(void)fts_close(walk);
}

static int stream_of(const uint8_t *data, size_t len)
{
	int fd = memfd_create("stream", MFD_CLOEXEC);

	CHECK(fd >= 0 && fd_write_all(fd, data, len) == 0 && lseek(fd, 0, SEEK_SET) == 0);
	return fd;
}

static void check_reply(int fd, int status)
{
	static uint8_t reply[FILECOPY_REPLY_LEN + FILECOPY_TAIL_LEN + FILECOPY_NAME_MAX + 1];
	ssize_t n;

	CHECK(lseek(fd, 0, SEEK_SET) == 0);
	n = read(fd, reply, sizeof(reply));
	if (n == 0) {
		CHECK(status == RECEIVE_SILENT_STATUS);
		return;
	}
	CHECK(n >= FILECOPY_REPLY_LEN && status == reply[0]);
	CHECK(n == FILECOPY_REPLY_LEN ||
	      (n >= FILECOPY_REPLY_LEN + FILECOPY_TAIL_LEN &&
	       (size_t)n == FILECOPY_REPLY_LEN + FILECOPY_TAIL_LEN +
	                            le32_get(reply + FILECOPY_REPLY_LEN)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct receive_config config = {.mode_mask = 07777};
	int status;

	if (len == 0)
		return 0;
	if (!base[0])
		set_up();
	/* The flags that receivers have. */
	config.path_flags =
	        data[0] & (UNTRUSTED_ANY_BYTES | UNTRUSTED_LOOSE_TARGETS | UNTRUSTED_ANY_LINKS);
	config.no_temp = data[0] & 8;
	config.refuse_links = config.refuse_folders = data[0] & 16;
	config.files_max = data[0] & 32 ? 5 : 0;
	config.bytes_max = data[0] & 64 ? 1000 : 0;
	config.top_fd = top_fd;
	config.proc_fd = proc_fd;
	config.in_fd = stream_of(data + 1, len - 1);
	config.out_fd = memfd_create("reply", MFD_CLOEXEC);
	CHECK(config.out_fd >= 0);
	status = receive(&config);
	check_reply(config.out_fd, status);
	(void)fd_close(config.out_fd);
	/* After an error the receiver has closed it; a number that is taken again does no harm here. */
	if (fcntl(config.in_fd, F_GETFD) >= 0)
		(void)fd_close(config.in_fd);
	clear_destination();
	check_beside();
	return 0;
}
