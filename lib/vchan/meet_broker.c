/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The rendezvous through a broker: one connection to it asks for the other side, and the answer is a
 * connected socket. Nothing of one domain is visible to another, and nobody polls: the broker answers
 * both sides at the moment when both are there. Only a broker that does not run is tried again.
 *
 * Source: lib/vchan/broker.h.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

#include "lib/base/fd.h"
#include "lib/vchan/broker.h"
#include "lib/vchan/meet_internal.h"

/* 0: asked, or to be tried again later. */
static int ask(struct meet *meet)
{
	uint8_t data[BROKER_QUESTION_LEN];
	struct itimerspec never = {{0, 0}, {0, 0}};
	OWNED_FD int sock = fd_connect_unix(meet->path, SOCK_STREAM | SOCK_NONBLOCK);

	if (sock < 0)
		return meet_try_later(errno) ? meet_wait_more(meet) : -1;
	broker_encode_question(data, &(struct broker_question){
	                                     .op = meet->is_server ? BROKER_LISTEN : BROKER_CONNECT,
	                                     .peer = meet->peer,
	                                     .port = meet->port,
	                             });
	if (send(sock, data, sizeof(data), MSG_NOSIGNAL | MSG_DONTWAIT) != sizeof(data))
		return meet_wait_more(meet);
	if (meet_watch(meet, sock))
		return -1;
	meet->broker = fd_take(&sock);
	return timerfd_settime(meet->timer_fd, 0, &never, NULL);
}

int meet_broker(const char *path, int epoll_fd, bool is_server, uint32_t peer, uint32_t port,
                struct meet **ret_meet)
{
	struct meet *meet = meet_new(path, epoll_fd);

	if (!meet)
		return -1;
	meet->has_broker = true;
	meet->is_server = is_server;
	meet->peer = peer;
	meet->port = port;
	if (meet_make_timer(meet) || ask(meet)) {
		(void)meet_free(meet);
		return -1;
	}
	*ret_meet = meet;
	return 0;
}

/* A broker that ends, or says what it should not, is asked anew after a pause. */
static int take_answer(struct meet *meet, int *ret_sock)
{
	uint8_t data[BROKER_ANSWER_LEN];
	int fds[FD_PASS_MAX];
	size_t n_fds = 0;
	ssize_t n = fd_recv_message(meet->broker, data, sizeof(data), fds, &n_fds);

	if (n < 0 && errno == EAGAIN)
		return 0;
	meet->broker = fd_close(meet->broker);
	if (n == sizeof(data) && n_fds == 1 && broker_check_answer(data) &&
	    fd_set_blocking(fds[0], false) == 0) {
		*ret_sock = fds[0];
		return 0;
	}
	while (n >= 0 && n_fds > 0)
		(void)fd_close(fds[--n_fds]);
	return meet_wait_more(meet);
}

int meet_broker_step(struct meet *meet, int *ret_sock)
{
	return meet->broker >= 0 ? take_answer(meet, ret_sock) : ask(meet);
}
