/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef LIB_VCHAN_MEET_CALLS_H
#define LIB_VCHAN_MEET_CALLS_H

#include <sys/ioctl.h>
#include <sys/socket.h>

/*
 * The system calls by which a process meets its peers: by the broker, by a path, or over xenstore and
 * the grant devices; and hands what came of it to another process. Rows of a table of lib/sandbox. Of
 * sockets none but Unix ones, of ioctl the numbers of those devices.
 */
#define VCHAN_CALL_IOCTL(number, why)                                                              \
	{                                                                                          \
		"ioctl", why, 1,                                                                   \
		{                                                                                  \
			{                                                                          \
				.arg = 1, .mask = 0xffffffffU, .value = (number)                   \
			}                                                                          \
		}                                                                                  \
	}

#define VCHAN_CALLS_MEET                                                                           \
	{"socket", "a peer, the broker", 1, {{.arg = 0, .mask = ~0ULL, .value = AF_UNIX}}},        \
	        {"connect", "a peer, the broker"}, {"bind", "a peer is awaited"},                  \
	        {"listen", "a peer is awaited"}, {"accept4", "a peer"},                            \
	        {"getsockopt", "how a connection went"}, {"setsockopt", "how much it holds"},      \
	        {"shutdown", "its end"}, {"sendto", "handshakes"}, {"recvfrom", "handshakes"},     \
	        {"sendmsg", "handshakes with descriptors; what is handed on"},                     \
	        {"recvmsg", "handshakes with descriptors"}, {"readv", "xenstore"},                 \
	        {"eventfd2", "xenstore: events that came before an answer"},                       \
	        {"writev", "xenstore"}, {"fcntl", "descriptors without waiting"},                  \
	        {"epoll_create1", "one for each channel"},                                         \
	        {"inotify_init1", "a socket that is not there yet"},                               \
	        {"inotify_add_watch", "a socket that is not there yet"},                           \
	        {"timerfd_create", "the next try"}, {"timerfd_settime", "the next try"},           \
	        {"memfd_create", "rings"}, {"ftruncate", "rings"}, {"fstat", "rings"},             \
	        {"newfstatat", "whether a path is still the same socket"},                         \
	        {"statx", "the same, other C libraries"}, {"rename", "a socket takes its place"},  \
	        {"renameat2", "a stranger's socket is put back"}, {"unlink", "its own sockets"},   \
	        {"openat", "xenbus, grant devices; folders of sockets. Landlock judges"},          \
	        {"open", "the same, other C libraries"}, {"access", "whether there is Xen"},       \
	        {"faccessat", "the same, other C libraries"},                                      \
	        {"faccessat2", "the same, other C libraries"}, {"poll", "an answer of xenstore"},  \
	        {"ppoll", "the same, other C libraries"}, {"nanosleep", "between two tries"},      \
	        {"clock_nanosleep", "the same, other C libraries"},                                \
	        VCHAN_CALL_IOCTL(0x00184705, "gntalloc: allocate"),                                \
	        VCHAN_CALL_IOCTL(0x00184700, "gntdev: map"),                                       \
	        VCHAN_CALL_IOCTL(0x00104707, "both: what is told at the end"),                     \
	        VCHAN_CALL_IOCTL(0x00084501, "evtchn: bind to a peer's port"),                     \
	        VCHAN_CALL_IOCTL(0x00044502, "evtchn: a port for a peer"),                         \
	        VCHAN_CALL_IOCTL(0x00024506, "evtchn: this peer only"),                            \
	        VCHAN_CALL_IOCTL(0x00044504, "evtchn: notify"),                                    \
	        VCHAN_CALL_IOCTL(FIONREAD, "how much waits in a socket"),                          \
	        VCHAN_CALL_IOCTL(TIOCOUTQ, "how much waits in a socket")

#endif
