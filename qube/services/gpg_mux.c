/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "qube/services/gpg_mux.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fd.h"

struct transfer {
	uint8_t data[GPG_FRAME_HEAD + GPG_FRAME_MAX];
	size_t len; /* bytes in data */
	size_t at;  /* of them written */
};

struct run {
	struct gpg_mux *mux;
	struct transfer out; /* a frame on its way to net_out */
	struct transfer
	        in; /* bytes of net_in until a frame is whole, then on their way to a sink */
	struct gpg_frame frame;
	bool has_frame;
	bool over;
};

static bool is_blocked(void)
{
	return errno == EAGAIN || errno == EINTR;
}

/*
 * A frame's data to its sink, which poll() said takes some: a pipe takes a whole frame then, so this does
 * not wait, though the descriptor, which others may share, is left as it is. A sink that does not want
 * more gets none.
 */
static int drain(struct run *run)
{
	int *sink = &run->mux->sinks[run->frame.index];
	ssize_t n;

	if (*sink >= 0 && run->in.at < run->in.len) {
		n = write(*sink, run->in.data + run->in.at, run->in.len - run->in.at);
		if (n < 0 && is_blocked())
			return 0;
		if (n < 0)
			*sink = fd_close(*sink);
		else
			run->in.at += (size_t)n;
	}
	if (*sink >= 0 && run->in.at < run->in.len)
		return 0;
	if (run->frame.len == 0)
		*sink = fd_close(*sink);
	run->in.len = 0;
	run->has_frame = false;
	return 0;
}

static int begin_frame(struct run *run)
{
	struct gpg_mux *mux = run->mux;

	if (gpg_frame_decode(run->in.data, mux->n_sinks, mux->may_end, &run->frame)) {
		errno = EPROTO;
		return -1;
	}
	if (run->frame.index < 0) {
		mux->status = -(run->frame.index + 1);
		run->over = true;
	}
	return 0;
}

/* More of a frame. */
static int receive(struct run *run)
{
	size_t want = GPG_FRAME_HEAD;
	ssize_t n;

	if (run->in.len >= GPG_FRAME_HEAD)
		want += run->frame.len;
	n = read(run->mux->net_in, run->in.data + run->in.len, want - run->in.len);
	if (n < 0 && is_blocked())
		return 0;
	if (n <= 0) {
		errno = n < 0 ? errno : EPIPE;
		return -1;
	}
	run->in.len += (size_t)n;
	if (run->in.len == GPG_FRAME_HEAD && begin_frame(run))
		return -1;
	if (!run->over && run->in.len == GPG_FRAME_HEAD + run->frame.len &&
	    run->in.len >= GPG_FRAME_HEAD) {
		run->has_frame = true;
		run->in.at = GPG_FRAME_HEAD;
		/* What needs no write is done at once; the rest when its sink takes it. */
		if (run->frame.len == 0 || run->mux->sinks[run->frame.index] < 0)
			return drain(run);
	}
	return 0;
}

static int flush(struct run *run)
{
	ssize_t n =
	        write(run->mux->net_out, run->out.data + run->out.at, run->out.len - run->out.at);

	if (n < 0)
		return is_blocked() ? 0 : -1;
	run->out.at += (size_t)n;
	if (run->out.at == run->out.len)
		run->out.len = run->out.at = 0;
	return 0;
}

/* What a source gives, or its end, as a frame. */
static int take(struct run *run, size_t i)
{
	struct gpg_mux *mux = run->mux;
	struct gpg_frame frame = {.index = (int32_t)i};
	ssize_t n = read(mux->sources[i], run->out.data + GPG_FRAME_HEAD, GPG_FRAME_MAX);

	if (n < 0 && is_blocked())
		return 0;
	if (n <= 0)
		mux->sources[i] = fd_close(mux->sources[i]);
	frame.len = n > 0 ? (uint32_t)n : 0;
	gpg_frame_encode(&frame, run->out.data);
	run->out.len = GPG_FRAME_HEAD + frame.len;
	run->out.at = 0;
	return flush(run);
}

static bool any_source(const struct gpg_mux *mux)
{
	for (size_t i = 0; i < mux->n_sources; i++) {
		if (mux->sources[i] >= 0)
			return true;
	}
	return false;
}

/* What may be done now, as descriptors to wait for: [0] net_in or a sink, [1] net_out, then sources. */
static nfds_t prepare(const struct run *run, struct pollfd *p)
{
	const struct gpg_mux *mux = run->mux;

	for (size_t i = 0; i < 2 + mux->n_sources; i++)
		p[i] = (struct pollfd){.fd = -1, .events = POLLIN};
	if (run->has_frame) {
		p[0].fd = mux->sinks[run->frame.index];
		p[0].events = POLLOUT;
	} else {
		p[0].fd = mux->net_in;
	}
	if (run->out.len > 0) {
		p[1].fd = mux->net_out;
		p[1].events = POLLOUT;
	} else {
		for (size_t i = 0; i < mux->n_sources; i++)
			p[2 + i].fd = mux->sources[i];
	}
	return (nfds_t)(2 + mux->n_sources);
}

static int turn(struct run *run)
{
	struct pollfd p[2 + GPG_FDS_MAX];
	nfds_t n = prepare(run, p);
	int r = 0;

	if (poll(p, n, -1) < 0)
		return errno == EINTR ? 0 : -1;
	if (p[0].revents)
		r = run->has_frame ? drain(run) : receive(run);
	if (r == 0 && p[1].revents)
		r = flush(run);
	for (nfds_t i = 2; i < n && r == 0 && run->out.len == 0; i++) {
		if (p[i].revents)
			r = take(run, i - 2);
	}
	return r;
}

int gpg_mux_run(struct gpg_mux *mux)
{
	struct run run = {.mux = mux};
	int r = fd_set_blocking(mux->net_in, false) || fd_set_blocking(mux->net_out, false) ? -1
	                                                                                    : 0;

	mux->status = -1;
	(void)signal(SIGPIPE, SIG_IGN);
	while (r == 0 && !run.over) {
		if (mux->ends_with_sources && !any_source(mux) && run.out.len == 0)
			break;
		r = turn(&run);
	}
	return r;
}

int gpg_mux_send_status(struct gpg_mux *mux, int status)
{
	struct gpg_frame frame = {.index = -(status + 1)};
	uint8_t head[GPG_FRAME_HEAD];

	gpg_frame_encode(&frame, head);
	if (fd_set_blocking(mux->net_out, true))
		return -1;
	return fd_write_all(mux->net_out, head, sizeof(head));
}
