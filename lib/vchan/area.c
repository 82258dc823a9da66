/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/vchan/area.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fd.h"

#define SIZE_SEALS (F_SEAL_SHRINK | F_SEAL_GROW)

int area_make(size_t len)
{
	OWNED_FD int memfd = memfd_create("vchan", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (memfd < 0 || ftruncate(memfd, (off_t)len) < 0 ||
	    fcntl(memfd, F_ADD_SEALS, F_SEAL_SEAL | SIZE_SEALS) < 0)
		return -1;
	return fd_take(&memfd);
}

/*
 * The seals come first: once they are there, the size that is seen then is the last. Descriptors of
 * other file systems, which could fault, have no seals; files of huge pages have them, but one page
 * and two rings of at most 256 pages, all powers of two, never add up to whole huge pages of 2 MiB.
 */
int area_check(int untrusted_memfd, size_t len)
{
	struct stat st;
	int seals = fcntl(untrusted_memfd, F_GET_SEALS);

	if (seals < 0 || (seals & SIZE_SEALS) != SIZE_SEALS || fstat(untrusted_memfd, &st) < 0 ||
	    st.st_size != (off_t)len) {
		errno = EPROTO;
		return -1;
	}
	return 0;
}
