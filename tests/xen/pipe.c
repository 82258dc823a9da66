/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One end of a vchan, over our library or the stock one. */
#include "tests/xen/pipe.h"

#include <errno.h>
#include <libxenvchan.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/vchan/vchan.h"

#define RETRY_NS 100000000

static void wait_event(const struct vchan *vchan)
{
	struct pollfd look = {.fd = vchan_fd(vchan), .events = POLLIN};

	(void)poll(&look, 1, -1);
}

/* Nothing could be moved; false: nothing ever will. */
static bool wait_more(struct pipe_end *end)
{
	if (end->library == PIPE_OURS) {
		wait_event(end->channel);
		(void)vchan_step(end->channel);
		return true;
	}
	if (end->library == PIPE_POLLED && libxenvchan_is_open(end->channel) == 1) {
		struct pollfd look = {.fd = libxenvchan_fd_for_select(end->channel),
		                      .events = POLLIN};

		(void)poll(&look, 1, -1);
		(void)libxenvchan_wait(end->channel);
		return true;
	}
	return false;
}

static int open_ours(struct pipe_end *end, enum pipe_role role, const struct vchan_config *config)
{
	struct vchan *vchan = NULL;

	if (role == PIPE_LISTEN ? vchan_listen(config, &vchan) : vchan_connect(config, &vchan))
		return -1;
	while (vchan_state(vchan) == VCHAN_WAITING) {
		wait_event(vchan);
		(void)vchan_step(vchan);
	}
	if (vchan_state(vchan) != VCHAN_OPEN) {
		(void)fprintf(stderr, "ours: %s\n", vchan_why(vchan));
		(void)vchan_close(vchan);
		return -1;
	}
	end->channel = vchan;
	return 0;
}

static struct libxenvchan *try_stock(enum pipe_role role, const struct vchan_config *config)
{
	char path[96];

	(void)snprintf(path, sizeof(path), "/local/domain/%d/data/vchan/%d/%d",
	               role == PIPE_LISTEN ? config->own : config->peer,
	               role == PIPE_LISTEN ? config->peer : config->own, config->port);
	if (role == PIPE_LISTEN)
		return libxenvchan_server_init(NULL, config->peer, path, config->read_min,
		                               config->write_min);
	return libxenvchan_client_init(NULL, config->peer, path);
}

static int open_stock(struct pipe_end *end, enum pipe_role role, const struct vchan_config *config)
{
	const struct timespec pause = {.tv_nsec = RETRY_NS};
	struct libxenvchan *channel = try_stock(role, config);

	while (!channel && role == PIPE_CONNECT) {
		(void)nanosleep(&pause, NULL);
		channel = try_stock(role, config);
	}
	if (!channel)
		return -1;
	channel->blocking = 0;
	/* One bit, signed in some releases of Xen and not in others: no constant suits both. */
	if (end->library == PIPE_STOCK)
		channel->blocking--;
	while (libxenvchan_is_open(channel) == 2)
		(void)libxenvchan_wait(channel);
	end->channel = channel;
	return 0;
}

int pipe_open(struct pipe_end *end, enum pipe_library library, enum pipe_role role, int own,
              int peer, int port, size_t ring)
{
	struct vchan_config config = {.transport = VCHAN_GRANT,
	                              .own = own,
	                              .peer = peer,
	                              .port = port,
	                              .read_min = ring,
	                              .write_min = ring};

	*end = (struct pipe_end){.library = library};
	if (library == PIPE_OURS ? open_ours(end, role, &config) : open_stock(end, role, &config)) {
		(void)fprintf(stderr, "port %d: %s\n", port, strerror(errno));
		return -1;
	}
	return 0;
}

int pipe_read(struct pipe_end *end, void *data, size_t len)
{
	char *at = data;

	while (len > 0) {
		ssize_t n = end->library == PIPE_OURS ? vchan_read(end->channel, at, len)
		                                      : libxenvchan_read(end->channel, at, len);

		if (n < 0 || (n == 0 && !wait_more(end)))
			return -1;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

int pipe_write(struct pipe_end *end, const void *data, size_t len)
{
	const char *at = data;

	while (len > 0) {
		ssize_t n = end->library == PIPE_OURS ? vchan_write(end->channel, at, len)
		                                      : libxenvchan_write(end->channel, at, len);

		if (n < 0 || (n == 0 && !wait_more(end)))
			return -1;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

void pipe_close(struct pipe_end *end)
{
	if (end->channel && end->library != PIPE_OURS)
		libxenvchan_close(end->channel);
	else if (end->channel)
		(void)vchan_close(end->channel);
	end->channel = NULL;
}
