/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef LIB_BASE_FD_H
#define LIB_BASE_FD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/base/compat.h"

/* Descriptors in one message, at most: SCM_RIGHTS beyond this are closed and refused. Chosen. */
#define FD_PASS_MAX 8

void fd_close_owned(int *fd);

/* OWNED_FD int fd = …; closed on every way out of the block unless taken. */
#define OWNED_FD CLEANUP(fd_close_owned)

/** fd_take() - move ownership out of a variable, which becomes -1 */
static inline int fd_take(int *fd)
{
	int value = *fd;

	*fd = -1;
	return value;
}

/** fd_close() - close unless negative; keeps errno; always returns -1 for `x = fd_close(x)` */
int fd_close(int fd);

/** fd_set_blocking() - 0 or -1 with errno */
int fd_set_blocking(int fd, bool blocking) MUST_CHECK;

/** fd_set_cloexec() - 0 or -1 with errno */
int fd_set_cloexec(int fd, bool cloexec) MUST_CHECK;

/**
 * fd_send_message() - one message with descriptors over a Unix socket
 * @fds:  borrowed; n_fds of them, at most FD_PASS_MAX
 *
 * Errors: bytes sent, or -1 with errno (EAGAIN: the socket is full, nothing was sent). EINTR is
 *         retried; SIGPIPE is never raised.
 */
ssize_t fd_send_message(int sock, const void *data, size_t len, const int *fds, size_t n_fds)
        MUST_CHECK;

/**
 * fd_recv_message() - one message with descriptors from a Unix socket
 * @ret_fds:    room for FD_PASS_MAX; given to the caller, close-on-exec
 * @ret_n_fds:  how many came
 *
 * Errors: bytes read (0 = end of stream), or -1 with errno. EMSGSIZE: data or descriptors were cut
 *         off; all descriptors of that message are closed.
 */
ssize_t fd_recv_message(int sock, void *data, size_t len, int ret_fds[FD_PASS_MAX],
                        size_t *ret_n_fds) MUST_CHECK;

/** fd_write_all() - blocking write of everything; 0 or -1 with errno */
int fd_write_all(int fd, const void *data, size_t len) MUST_CHECK;

/** fd_read_all() - blocking read of exactly len bytes; 0, or -1 with errno (EPIPE: ended early) */
int fd_read_all(int fd, void *data, size_t len) MUST_CHECK;

/**
 * fd_read_to_end() - everything up to the end of what a descriptor gives
 * @expected:  bytes that are likely to come; more are taken as well
 * @max:       no more than that
 * @ret_data:  given, to be freed; a NUL stands behind the last byte
 * Errors: 0, or -1 with errno (EFBIG: more than @max).
 */
int fd_read_to_end(int fd, size_t expected, size_t max, char **ret_data, size_t *ret_len)
        MUST_CHECK;

/**
 * fd_connect_unix() / fd_listen_unix() - a Unix socket at a path of any length up to PATH_MAX
 * @type:  SOCK_STREAM or SOCK_SEQPACKET, with SOCK_NONBLOCK if wanted; SOCK_CLOEXEC is added
 *
 * A path longer than sun_path goes through /proc/self/fd of its directory.
 * fd_listen_unix() removes what is at the path first and leaves mode @mode.
 * Errors: the descriptor (given), or -1 with errno.
 */
int fd_connect_unix(const char *path, int type) MUST_CHECK;
int fd_listen_unix(const char *path, int type, mode_t mode, int backlog) MUST_CHECK;

/**
 * fd_unix_address() - the address of a Unix socket at a path of any length up to PATH_MAX
 * @ret_dir:  given to the caller; -1, or a descriptor that must stay open as long as the address
 *            is used: a path that does not fit in sun_path is reached through its directory
 * Errors: 0, or -1 with errno (ENAMETOOLONG: the last component does not fit either).
 */
struct sockaddr_un;
int fd_unix_address(const char *path, struct sockaddr_un *addr, int *ret_dir) MUST_CHECK;

/** fd_open_stdio() - descriptors 0, 1 and 2 that are not open become /dev/null, so that no other
 *  descriptor takes their place; 0 or -1 with errno */
int fd_open_stdio(void) MUST_CHECK;

/** fd_close_from() - close every descriptor from first up, but those of keep[] (sorted or not) */
void fd_close_from(int first, const int *keep, size_t n_keep);

#endif
