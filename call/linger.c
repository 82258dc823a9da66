/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "call/linger.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "call/data_internal.h"

#define READS_TURN 4 /* reads in a turn of the loop; chosen */

struct linger {
	struct loop *loop;
	struct vchan *vchan;
	struct loop_fd watch;
	struct loop_timer limit;
	struct loop_defer again;
};

static void over(void *arg)
{
	struct linger *l = arg;

	loop_fd_remove(l->loop, &l->watch);
	loop_timer_clear(l->loop, &l->limit);
	loop_defer_clear(l->loop, &l->again);
	(void)vchan_close(l->vchan);
	free(l);
}

static void drain(void *arg)
{
	struct linger *l = arg;
	ssize_t n = 1;

	for (int i = 0; i < READS_TURN && n > 0; i++)
		n = vchan_read(l->vchan, data_scratch, sizeof(data_scratch));
	if (n < 0)
		over(l);
	else if (n > 0 || vchan_readable(l->vchan, 1) > 0)
		loop_defer_set(l->loop, &l->again, drain, l);
}

static void on_channel(void *arg, uint32_t events)
{
	struct linger *l = arg;

	(void)events;
	(void)vchan_step(l->vchan);
	drain(l);
}

void linger(struct loop *loop, struct vchan *vchan)
{
	struct linger *l = vchan_half_close(vchan) ? calloc(1, sizeof(*l)) : NULL;

	if (!l) {
		(void)vchan_close(vchan);
		return;
	}
	l->loop = loop;
	l->vchan = vchan;
	l->watch = (struct loop_fd)LOOP_FD_EMPTY;
	if (loop_fd_add(loop, &l->watch, vchan_fd(vchan), EPOLLIN, on_channel, l) ||
	    loop_timer_set(loop, &l->limit, LINGER_MS, over, l))
		over(l);
	else
		loop_defer_set(loop, &l->again, drain, l);
}
