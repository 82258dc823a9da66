/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The memfd handshake from a hostile server: any bytes, with a memfd that may be wrong in every way. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/check.h"
#include "lib/base/fd.h"
#include "lib/vchan/vchan.h"

#define HELLO_MAX 64

static char dir[] = "/tmp/skerry-fuzz-XXXXXX";
static char path[64];

static int hostile_memfd(uint8_t kind, uint8_t pages)
{
	int seals = (kind & 1 ? F_SEAL_SHRINK : 0) | (kind & 2 ? F_SEAL_GROW : 0);
	int fd;

	if (kind & 4)
		return open("/dev/null", O_RDWR | O_CLOEXEC);
	fd = memfd_create("hostile", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	CHECK(fd >= 0 && ftruncate(fd, 4096 * (off_t)pages) == 0);
	CHECK(fcntl(fd, F_ADD_SEALS, seals) == 0);
	return fd;
}

static void serve(int listener, const uint8_t *data, size_t size)
{
	OWNED_FD int sock = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	OWNED_FD int memfd = hostile_memfd(data[0], data[1]);
	int fds[3] = {memfd, memfd, memfd};
	size_t len = size - 2 < HELLO_MAX ? size - 2 : HELLO_MAX;

	if (sock >= 0 && fd_send_message(sock, data + 2, len, fds, (data[0] >> 3) % 4) < 0)
		CHECK(errno == EAGAIN || errno == EPIPE);
}

static void use(struct vchan *vchan)
{
	uint8_t buf[64];

	for (int i = 0; i < 4; i++) {
		(void)vchan_step(vchan);
		(void)vchan_readable(vchan, 1);
		if (vchan_read(vchan, buf, sizeof(buf)) < 0 ||
		    vchan_write(vchan, buf, sizeof(buf)) < 0)
			CHECK(vchan_state(vchan) == VCHAN_CLOSED);
	}
}

static void remove_dir(void)
{
	(void)unlink(path);
	(void)rmdir(dir);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	CHECK(mkdtemp(dir) && atexit(remove_dir) == 0);
	CHECK(snprintf(path, sizeof(path), "%s/vchan.1.2.3.memfd", dir) > 0);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct vchan_config config = {
	        .transport = VCHAN_MEMFD, .dir = dir, .own = 2, .peer = 1, .port = 3};
	OWNED_FD int listener = -1;
	struct vchan *vchan;

	if (size < 3)
		return 0;
	listener = fd_listen_unix(path, SOCK_STREAM | SOCK_NONBLOCK, 0600, 1);
	CHECK(listener >= 0);
	CHECK(vchan_connect(&config, &vchan) == 0);
	serve(listener, data, size);
	use(vchan);
	(void)vchan_close(vchan);
	(void)unlink(path);
	return 0;
}
