/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "filecopy/reply.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "filecopy/complain.h"
#include "lib/base/bytes.h"
#include "lib/base/fd.h"
#include "proto/filecopy.h"

bool reply_is_there(int fd)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

	return poll(&poll_fd, 1, 0) > 0;
}

/* The name of which the answer speaks, "" if of none; what is not plain ASCII becomes '_'. */
static void read_name(int fd, char name[FILECOPY_REPLY_NAME_MAX + 1])
{
	uint8_t untrusted_len_bytes[FILECOPY_TAIL_LEN];
	uint32_t untrusted_len;
	size_t len;

	name[0] = '\0';
	if (fd_read_all(fd, untrusted_len_bytes, sizeof(untrusted_len_bytes))) {
		(void)fputs("EOF\n", stderr);
		return;
	}
	untrusted_len = le32_get(untrusted_len_bytes);
	len = MIN((size_t)untrusted_len, (size_t)FILECOPY_REPLY_NAME_MAX);
	memset(name, 0, len + 1);
	/* An answer that ends inside the name has said the rest already. */
	(void)!fd_read_all(fd, name, len);
	for (size_t i = 0; i < len && name[i]; i++) {
		if (name[i] < 0x20 || name[i] > 0x7e || name[i] == '"')
			name[i] = '_';
	}
}

static void tell_error(const char *program, int code, const char *name)
{
	errno = code;
	switch (code) {
	case EEXIST:
		complain(program, "A file named \"%s\" already exists in QubesIncoming dir", name);
		return;
	case EINVAL:
		complain(program, "File copy: Corrupted data from packer%s\"%s\"",
		         name[0] ? "; Last file: " : "", name);
		return;
	case EILSEQ:
		complain(program,
		         "Forbidden character in file or link target. Name might look somewhat "
		         "like \"%s\"",
		         name);
		return;
	case ENOLINK:
		complain(program, "Cannot verify that link at \"%s\" would not be broken by copy",
		         name);
		return;
	default:
		complain(program, "File copy: \"%s%s%s\"", strerror(code),
		         name[0] ? "; Last file: " : "", name);
		return;
	}
}

bool reply_read(int fd, const char *program, bool finished, uint32_t crc)
{
	static char name[FILECOPY_REPLY_NAME_MAX + 1];
	uint8_t untrusted_bytes[FILECOPY_REPLY_LEN];
	uint32_t untrusted_error;
	uint64_t untrusted_crc;

	if (fd_read_all(fd, untrusted_bytes, sizeof(untrusted_bytes))) {
		(void)fputs("EOF\n", stderr);
		return false;
	}
	filecopy_reply_decode(untrusted_bytes, &untrusted_error, &untrusted_crc);
	read_name(fd, name);
	if (untrusted_error != 0) {
		tell_error(program, (int)untrusted_error, name);
		return false;
	}
	/* "All is well" before the end was sent is no such thing. */
	if (untrusted_crc != crc || !finished) {
		errno = 0;
		complain(program, "File transfer failed: checksum mismatch");
		return false;
	}
	return true;
}
