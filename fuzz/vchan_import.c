/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A handle that is wrong in every way: vchan_import() refuses it, or the channel can be used. */
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/check.h"
#include "lib/base/fd.h"
#include "lib/vchan/vchan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vchan_handle handle;
	int fds[VCHAN_FDS_MAX];
	int pair[2];
	struct vchan *vchan;
	uint8_t buf[64];

	if (size < sizeof(handle))
		return 0;
	memcpy(&handle, data, sizeof(handle));
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
	fds[0] = pair[0];
	for (int i = 1; i < VCHAN_FDS_MAX; i++)
		fds[i] = memfd_create("hostile", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	CHECK(ftruncate(fds[1], size > sizeof(handle) ? 4096 * (off_t)data[sizeof(handle)] : 0) ==
	      0);
	/* Descriptors beyond the handle's count are not the library's. */
	for (uint32_t i = handle.n_fds; i < VCHAN_FDS_MAX; i++) {
		(void)fd_close(fds[i]);
		fds[i] = -1;
	}
	if (vchan_import(&handle, fds, &vchan) == 0) {
		for (int i = 0; i < 3; i++) {
			(void)vchan_step(vchan);
			CHECK(vchan_write(vchan, buf, sizeof(buf)) <= (ssize_t)sizeof(buf));
			CHECK(vchan_read(vchan, buf, sizeof(buf)) <= (ssize_t)sizeof(buf));
		}
		(void)vchan_close(vchan);
	}
	(void)fd_close(pair[1]);
	return 0;
}
