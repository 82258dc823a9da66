/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef LIB_VCHAN_MEET_INTERNAL_H
#define LIB_VCHAN_MEET_INTERNAL_H

#include <stdint.h>
#include <sys/types.h>

#include "lib/vchan/meet.h"

/* What the two ways of finding each other share: meet.c by paths, meet_broker.c by a broker. */
struct meet {
	int epoll_fd;   /* borrowed */
	int listener;   /* server; -1 else */
	int timer_fd;   /* client that waits; -1 else */
	int inotify_fd; /* client that has waited long; -1 else */
	int broker;     /* connection on which an answer is awaited; -1: none, the timer runs */
	bool has_broker;
	bool is_server; /* with a broker only */
	uint32_t peer;  /* with a broker only */
	uint32_t port;  /* with a broker only */
	dev_t dev;      /* server: identity of our own path */
	ino_t ino;
	uint64_t since_ns; /* client: start of the wait; 0 before the first miss */
	char path[];
};

/** meet_new() - NULL with errno; freed by meet_free() */
struct meet *meet_new(const char *path, int epoll_fd) MUST_CHECK;

/** meet_watch() - 0 or -1 with errno */
int meet_watch(const struct meet *meet, int fd) MUST_CHECK;

/** meet_make_timer(), meet_wait_more() - a pause that grows with the time waited; 0 or -1 with errno */
int meet_make_timer(struct meet *meet) MUST_CHECK;
int meet_wait_more(struct meet *meet) MUST_CHECK;

/** meet_try_later() - whether connect(2) may succeed another time */
bool meet_try_later(int error);

/** meet_broker_step() - meet_step() of a rendezvous by broker */
int meet_broker_step(struct meet *meet, int *ret_sock) MUST_CHECK;

#endif
