/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tools/client/client.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/paths.h"
#include "tools/client/sink.h"
#include "tools/client/through_qrexec.h"

/* A request on its way over a socket. */
struct flight {
	struct admin_request *request;
	int fd;
	struct sink sink; /* what came so far */
};

/* The socket's path; of the two places the one where it is. */
static int socket_path(char path[PATH_MAX], const char *name)
{
	if (path_make(path, PATH_MAX, "/run", name))
		return -1;
	if (access(path, F_OK) == 0)
		return 0;
	if (path_make(path, PATH_MAX, "/var/run", name))
		return -1;
	return access(path, F_OK) == 0 ? 0 : path_make(path, PATH_MAX, "/run", name);
}

bool admin_in_dom0(void)
{
	static int known = -1;
	char path[PATH_MAX];

	if (known < 0)
		known = (socket_path(path, ADMIN_SOCKET) == 0 && access(path, F_OK) == 0) ||
		        !through_qrexec_possible();
	return known;
}

static struct admin_reply no_access(const char *doing, const char *path)
{
	const char *cure = "";

	if (errno == ENOENT || errno == ECONNREFUSED)
		cure = "; the system does not run: start it with 'skerry up', or name its folder "
		       "with "
		       "SKERRY_ROOT";
	else if (errno == EACCES)
		cure = "; only members of the group 'qubes' may";
	return admin_reply_error("QubesDaemonAccessError",
	                         arena_printf("Failed to %s qubesd service: %s: %s%s", doing, path,
	                                      strerror(errno), cure));
}

/* Writes the request; -1 with errno. EPIPE: the server closed, its reply says why. */
static int request_write(int fd, const struct admin_request *request)
{
	const char *header =
	        arena_printf("%s+%s dom0 name %s", request->method,
	                     request->argument ? request->argument : "", request->target);
	size_t header_len = strlen(header) + 1;
	size_t len = header_len + request->payload_len;
	char *packet = arena_alloc(len);
	size_t at = 0;

	memcpy(packet, header, header_len);
	if (request->payload_len)
		memcpy(packet + header_len, request->payload, request->payload_len);
	while (at < len) {
		ssize_t n = send(fd, packet + at, len - at, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EPIPE ? 0 : -1;
		at += (size_t)n;
	}
	return shutdown(fd, SHUT_WR);
}

/* Connects and sends; false: the request has its reply, an error. */
static bool flight_start(struct flight *flight, struct admin_request *request, const char *socket)
{
	char path[PATH_MAX];

	*flight = (struct flight){.request = request, .fd = -1};
	if (socket_path(path, socket)) {
		request->reply = no_access("name", socket);
		return false;
	}
	flight->fd = fd_connect_unix(path, SOCK_STREAM);
	if (flight->fd < 0) {
		request->reply = no_access("connect to", path);
		return false;
	}
	if (request_write(flight->fd, request)) {
		request->reply = no_access("write to", path);
		flight->fd = fd_close(flight->fd);
		return false;
	}
	return true;
}

/* Reads what is there; true: the request has its reply. */
static bool flight_read(struct flight *flight)
{
	enum sink_state state = sink_read(&flight->sink, flight->fd);

	if (state == SINK_MORE && flight->sink.len <= ADMIN_REPLY_MAX)
		return false;
	if (state == SINK_MORE)
		flight->request->reply = admin_reply_error("QubesDaemonCommunicationError",
		                                           "reply is longer than 64 MiB");
	else if (state == SINK_FAILED && errno != ECONNRESET)
		flight->request->reply = no_access("read from", ADMIN_SOCKET);
	else
		flight->request->reply = admin_reply_decode(flight->sink.data, flight->sink.len);
	flight->fd = fd_close(flight->fd);
	return true;
}

static void call_local(struct admin_request *request, const char *socket)
{
	struct flight flight;

	if (!flight_start(&flight, request, socket))
		return;
	while (!flight_read(&flight))
		;
}

static struct admin_reply call_one(struct admin_request *request)
{
	if (admin_in_dom0())
		call_local(request, ADMIN_SOCKET);
	else
		through_qrexec_call(request);
	return request->reply;
}

struct admin_reply admin_call_bytes(const char *method, const char *argument, const char *target,
                                    const void *payload, size_t len)
{
	struct admin_request request = {.method = method,
	                                .argument = argument,
	                                .target = target,
	                                .payload = payload,
	                                .payload_len = len};

	return call_one(&request);
}

struct admin_reply admin_call(const char *method, const char *argument, const char *target,
                              const char *payload)
{
	return admin_call_bytes(method, argument, target, payload, payload ? strlen(payload) : 0);
}

struct admin_reply admin_call_internal(const char *method, const char *argument, const char *target,
                                       const char *payload)
{
	struct admin_request request = {.method = method,
	                                .argument = argument,
	                                .target = target,
	                                .payload = payload,
	                                .payload_len = payload ? strlen(payload) : 0};

	call_local(&request, ADMIN_SOCKET_INTERNAL);
	return request.reply;
}

/* Ends those that have something to read; returns how many are left of @n. */
static size_t flights_read(struct flight *flights, struct pollfd *polled, size_t n)
{
	size_t left = 0;

	for (size_t i = 0; i < n; i++)
		if (!(polled[i].revents && flight_read(&flights[i])))
			flights[left++] = flights[i];
	return left;
}

void admin_call_all(struct admin_request *requests, size_t n)
{
	struct flight flights[ADMIN_BATCH_OPEN];
	struct pollfd polled[ADMIN_BATCH_OPEN];
	size_t open = 0, next = 0;

	if (!admin_in_dom0()) {
		for (; next < n; next++)
			through_qrexec_call(&requests[next]);
		return;
	}
	while (next < n || open) {
		while (next < n && open < ADMIN_BATCH_OPEN)
			if (flight_start(&flights[open], &requests[next++], ADMIN_SOCKET))
				open++;
		for (size_t i = 0; i < open; i++)
			polled[i] = (struct pollfd){.fd = flights[i].fd, .events = POLLIN};
		if (open && poll(polled, open, -1) < 0)
			continue; /* EINTR */
		open = flights_read(flights, polled, open);
	}
}

int admin_events_open(const char *target, const char **ret_error)
{
	struct admin_request request = {.method = "admin.Events", .target = target};
	struct flight flight;

	if (!admin_in_dom0())
		return through_qrexec_open(&request, ret_error);
	if (flight_start(&flight, &request, ADMIN_SOCKET))
		return flight.fd;
	*ret_error = request.reply.text;
	return -1;
}
