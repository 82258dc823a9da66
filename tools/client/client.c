/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tools/client/client.h"

#include <errno.h>
#include <limits.h>
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
};

/* The path of a socket: of the two places the one where the service's is. */
static const char *socket_path(const char *name)
{
	static char paths[2][PATH_MAX];
	char *path = paths[strcmp(name, ADMIN_SOCKET) != 0];
	char service[PATH_MAX];

	if (*path)
		return path;
	if (path_make(service, sizeof(service), "/var/run", ADMIN_SOCKET) == 0 &&
	    access(service, F_OK) == 0)
		return path_make(path, PATH_MAX, "/var/run", name) == 0 ? path : NULL;
	return path_make(path, PATH_MAX, "/run", name) == 0 ? path : NULL;
}

bool admin_in_dom0(void)
{
	static int known = -1;

	if (known < 0)
		known = (socket_path(ADMIN_SOCKET) &&
		         access(socket_path(ADMIN_SOCKET), F_OK) == 0) ||
		        !through_qrexec_possible();
	return known;
}

static struct admin_reply no_access(const char *doing, const char *path)
{
	const char *cure = "";

	if (errno == ENOENT || errno == ECONNREFUSED)
		cure = "; the system does not run: 'skerry up' starts it, or SKERRY_ROOT names the "
		       "folder of another";
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
	const char *path = socket_path(socket);

	*flight = (struct flight){.request = request, .fd = -1};
	if (!path) {
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

/* Reads the reply, waiting; @room is where replies come in, one after the other. */
static void flight_read(struct flight *flight, struct sink *room)
{
	enum sink_state state;

	room->len = 0;
	do
		state = sink_receive(room, flight->fd);
	while (state == SINK_MORE && room->len <= ADMIN_REPLY_MAX);
	if (state == SINK_MORE)
		flight->request->reply = admin_reply_error("QubesDaemonCommunicationError",
		                                           "reply is longer than 64 MiB");
	else if (state == SINK_FAILED && errno != ECONNRESET)
		flight->request->reply = no_access("read from", "qubesd.sock");
	else
		flight->request->reply =
		        admin_reply_decode(arena_copy(room->data, room->len), room->len);
	flight->fd = fd_close(flight->fd);
}

static void call_local(struct admin_request *request, const char *socket)
{
	struct flight flight;
	struct sink room = {0};

	if (flight_start(&flight, request, socket))
		flight_read(&flight, &room);
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

void admin_call_all(struct admin_request *requests, size_t n)
{
	struct flight flights[ADMIN_BATCH_OPEN]; /* a ring: the oldest is waited for */
	size_t next = 0, oldest = 0, open = 0;
	struct sink room = {0};

	if (!admin_in_dom0()) {
		for (; next < n; next++)
			through_qrexec_call(&requests[next]);
		return;
	}
	while (next < n || open) {
		while (next < n && open < ADMIN_BATCH_OPEN)
			if (flight_start(&flights[(oldest + open) % ADMIN_BATCH_OPEN],
			                 &requests[next++], ADMIN_SOCKET))
				open++;
		if (!open)
			break;
		flight_read(&flights[oldest], &room);
		oldest = (oldest + 1) % ADMIN_BATCH_OPEN;
		open--;
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
