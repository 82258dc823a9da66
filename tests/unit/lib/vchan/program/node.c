/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A program as one writes it for Qubes: nothing but libvchan.h, found by pkg-config. It copies
 * standard input to the channel and the channel to standard output until both have ended, or
 * (server echo) sends back what comes.
 *
 *   node server|client|echo DOMAIN PORT
 */
#include <errno.h>
#include <libvchan.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char buf[65536];

static int write_all(libvchan_t *ctrl, const char *data, int len)
{
	while (len > 0) {
		int n = libvchan_write(ctrl, data, (size_t)len);

		if (n <= 0)
			return -1;
		data += n;
		len -= n;
	}
	return 0;
}

static int output_all(const char *data, int len)
{
	while (len > 0) {
		ssize_t n = write(1, data, (size_t)len);

		if (n <= 0)
			return -1;
		data += n;
		len -= (int)n;
	}
	return 0;
}

static void echo(libvchan_t *ctrl)
{
	int n;

	while ((n = libvchan_read(ctrl, buf, sizeof(buf))) > 0) {
		if (write_all(ctrl, buf, n) < 0)
			return;
	}
}

/* The number of bytes to come back is known: as many as were sent. */
static int copy(libvchan_t *ctrl)
{
	long sent = 0, got = 0;
	int input_open = 1;

	while (input_open || got < sent) {
		struct pollfd fds[2] = {{.fd = libvchan_fd_for_select(ctrl), .events = POLLIN},
		                        {.fd = -1, .events = POLLIN}};
		int space = libvchan_buffer_space(ctrl);
		int ready = libvchan_data_ready(ctrl);

		if (input_open && space > 0)
			fds[1].fd = 0;
		if (!libvchan_is_open(ctrl) && ready == 0)
			return 1;
		if (poll(fds, 2, ready > 0 ? 0 : -1) < 0 && errno != EINTR)
			return 1;
		if (fds[0].revents)
			libvchan_wait(ctrl);
		if (libvchan_data_ready(ctrl) > 0) {
			int n = libvchan_read(ctrl, buf, sizeof(buf));

			if (n < 0 || output_all(buf, n) < 0)
				return 1;
			got += n;
		}
		if (fds[1].revents) {
			ssize_t n = read(0, buf,
			                 (size_t)space < sizeof(buf) ? (size_t)space : sizeof(buf));

			if (n <= 0)
				input_open = 0;
			else if (write_all(ctrl, buf, (int)n) < 0)
				return 1;
			else
				sent += n;
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	libvchan_t *ctrl;
	int domain, port;
	int status = 0;

	if (argc != 4)
		return 2;
	domain = (int)strtol(argv[2], NULL, 10);
	port = (int)strtol(argv[3], NULL, 10);
	if (strcmp(argv[1], "client") == 0)
		ctrl = libvchan_client_init(domain, port);
	else
		ctrl = libvchan_server_init(domain, port, 4096, 4096);
	if (!ctrl) {
		perror("libvchan");
		return 1;
	}
	if (strcmp(argv[1], "echo") == 0)
		echo(ctrl);
	else
		status = copy(ctrl);
	libvchan_close(ctrl);
	return status;
}
