/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/vchan/vchan.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/paths.h"
#include "lib/vchan/grant.h"
#include "lib/vchan/vchan_extra.h"
#include "lib/vchan/vchan_internal.h"

#define DEFAULT_DIR "/var/run/vchan"
#define DOMID_LIMIT 0x7FF0 /* protocol: higher ones are reserved */
#define PEEK_MAX    64

static const struct transport_ops *const transports[] = {
        [VCHAN_SOCKET] = &transport_socket,
        [VCHAN_MEMFD] = &transport_memfd,
        [VCHAN_GRANT] = &transport_grant,
};

void vchan_end(struct vchan *vchan, const char *why)
{
	if (vchan->state == VCHAN_CLOSED)
		return;
	vchan->state = VCHAN_CLOSED;
	vchan->why = why;
}

int vchan_watch(struct vchan *vchan, int op, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.fd = vchan->sock};

	return epoll_ctl(vchan->epoll_fd, op, vchan->sock, &event);
}

void vchan_unwatch(struct vchan *vchan)
{
	(void)epoll_ctl(vchan->epoll_fd, EPOLL_CTL_DEL, vchan->sock, NULL);
}

static int domain_from_text(const char *text, int *ret_domain)
{
	char *end;
	long value;

	if (*text < '0' || *text > '9') {
		errno = EINVAL;
		return -1;
	}
	value = strtol(text, &end, 10);
	if (*end != '\0' || value >= DOMID_LIMIT) {
		errno = EINVAL;
		return -1;
	}
	*ret_domain = (int)value;
	return 0;
}

#define SYSTEM_BROKER "/run/skerry/channels/0/broker.sock"

/*
 * dom0's own programs on a system whose channels are made by a broker, started by a user and not by the
 * monitor: nothing is set, and dom0's socket is where it always is. NULL: there is none.
 */
static const char *system_broker(const struct vchan_config *config, const char *transport)
{
	static char path[PATH_MAX];

	if (config->dir || config->broker || (transport && *transport) ||
	    path_make(path, sizeof(path), SYSTEM_BROKER, NULL) || access(path, F_OK))
		return NULL;
	return path;
}

int vchan_config_from_env(struct vchan_config *out)
{
	const char *transport = getenv("VCHAN_TRANSPORT");
	const char *domain = getenv("VCHAN_DOMAIN");
	const char *broker;

	*out = (struct vchan_config){.transport = VCHAN_SOCKET,
	                             .dir = getenv("VCHAN_SOCKET_DIR"),
	                             .broker = getenv("VCHAN_BROKER")};
	if (grant_wanted(transport, out->dir)) {
		out->transport = VCHAN_GRANT;
		return grant_own_domain(&out->own);
	}
	broker = system_broker(out, transport);
	if (broker) {
		out->broker = broker;
		out->transport = VCHAN_MEMFD;
	} else if (transport && strcmp(transport, "memfd") == 0) {
		out->transport = VCHAN_MEMFD;
	} else if (transport && *transport && strcmp(transport, "socket") != 0) {
		errno = EINVAL;
		return -1;
	}
	return domain && *domain ? domain_from_text(domain, &out->own) : 0;
}

static int check_config(const struct vchan_config *config)
{
	bool domains = config->own >= 0 && config->own < DOMID_LIMIT && config->peer >= 0 &&
	               config->peer < DOMID_LIMIT && config->own != config->peer;
	bool sizes = config->read_min <= VCHAN_RING_MAX && config->write_min <= VCHAN_RING_MAX;

	if (!domains || !sizes || config->port < 0 ||
	    (unsigned int)config->transport >= ARRAY_LEN(transports)) {
		errno = EINVAL;
		return -1;
	}
	return 0;
}

int vchan_folder(char *path, size_t path_len)
{
	const char *dir = getenv("VCHAN_SOCKET_DIR");
	int n = 0;

	if (!dir || !*dir)
		return path_make(path, path_len, DEFAULT_DIR, NULL);
	n = snprintf(path, path_len, "%s", dir);
	if (n >= 0 && (size_t)n < path_len)
		return 0;
	errno = ENAMETOOLONG;
	return -1;
}

static int make_path(char *path, size_t path_len, const struct vchan_config *config, bool is_server)
{
	char base[PATH_MAX];
	const char *dir = config->dir;
	int n;

	if (!dir || !*dir) {
		if (vchan_folder(base, sizeof(base)))
			return -1;
		dir = base;
	}
	n = snprintf(path, path_len, "%s/vchan.%d.%d.%d%s", dir,
	             is_server ? config->own : config->peer, is_server ? config->peer : config->own,
	             config->port, transports[config->transport]->suffix);
	if (n < 0 || (size_t)n >= path_len) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return 0;
}

static struct vchan *vchan_new(enum vchan_transport transport, bool is_server)
{
	struct vchan *vchan = calloc(1, sizeof(*vchan));

	if (!vchan)
		return NULL;
	vchan->ops = transports[transport];
	vchan->state = VCHAN_WAITING;
	vchan->why = "open";
	vchan->sock = -1;
	vchan->is_server = is_server;
	vchan->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (vchan->epoll_fd < 0) {
		free(vchan);
		return NULL;
	}
	return vchan;
}

/* The socket of the broker that this channel is to be made by; NULL: by path. */
static const char *broker_of(const struct vchan_config *config)
{
	const char *broker = config->broker ? config->broker : getenv("VCHAN_BROKER");

	return config->transport == VCHAN_MEMFD && broker && *broker ? broker : NULL;
}

static int start(struct vchan *vchan, const struct vchan_config *config)
{
	const char *broker = broker_of(config);
	char path[PATH_MAX];
	int sock = -1;

	if (vchan->ops->start)
		return vchan->ops->start(vchan, config);
	if (vchan->ops->prepare(vchan, config))
		return -1;
	if (broker)
		return meet_broker(broker, vchan->epoll_fd, vchan->is_server,
		                   (uint32_t)config->peer, (uint32_t)config->port, &vchan->meet);
	if (make_path(path, sizeof(path), config, vchan->is_server))
		return -1;
	if (vchan->is_server)
		return meet_listen(path, vchan->epoll_fd, &vchan->meet);
	if (meet_connect(path, vchan->epoll_fd, &vchan->meet, &sock))
		return -1;
	if (sock < 0)
		return 0;
	vchan->meet = meet_free(vchan->meet);
	vchan->sock = sock;
	return vchan->ops->attach(vchan, true);
}

static int open_channel(const struct vchan_config *config, bool is_server, struct vchan **ret_vchan)
{
	struct vchan *vchan;

	if (check_config(config))
		return -1;
	vchan = vchan_new(config->transport, is_server);
	if (!vchan)
		return -1;
	vchan->speaks = config->speaks;
	if (start(vchan, config)) {
		int saved = errno;

		(void)vchan_close(vchan);
		errno = saved;
		return -1;
	}
	*ret_vchan = vchan;
	return 0;
}

int vchan_listen(const struct vchan_config *config, struct vchan **ret_vchan)
{
	return open_channel(config, true, ret_vchan);
}

int vchan_connect(const struct vchan_config *config, struct vchan **ret_vchan)
{
	return open_channel(config, false, ret_vchan);
}

static uint32_t transport_number(const struct transport_ops *ops)
{
	uint32_t number = 0;

	while (number + 1 < ARRAY_LEN(transports) && transports[number] != ops)
		number++;
	return number;
}

int vchan_export(struct vchan *vchan, struct vchan_handle *ret_handle, int fds[VCHAN_FDS_MAX])
{
	*ret_handle = (struct vchan_handle){
	        .transport = transport_number(vchan->ops),
	        .is_server = vchan->is_server,
	};
	if (vchan->state != VCHAN_OPEN) {
		errno = ENOTCONN;
		return -1;
	}
	if (vchan->ops->export(vchan, ret_handle, fds))
		return -1;
	(void)fd_close(vchan->epoll_fd);
	free(vchan);
	return 0;
}

int vchan_import(const struct vchan_handle *handle, const int fds[VCHAN_FDS_MAX],
                 struct vchan **ret_vchan)
{
	struct vchan *vchan = NULL;
	uint32_t n_fds = MIN(handle->n_fds, (uint32_t)VCHAN_FDS_MAX);

	if (handle->n_fds > VCHAN_FDS_MAX || handle->n_fds == 0 || handle->is_server > 1 ||
	    handle->transport >= ARRAY_LEN(transports))
		errno = EINVAL;
	else
		vchan = vchan_new((enum vchan_transport)handle->transport, handle->is_server);
	if (!vchan) {
		for (uint32_t i = 0; i < n_fds; i++)
			(void)fd_close(fds[i]);
		return -1;
	}
	vchan->sock = fds[0];
	if (vchan->ops->import(vchan, handle, fds)) {
		int saved = errno;

		(void)vchan_close(vchan);
		errno = saved;
		return -1;
	}
	*ret_vchan = vchan;
	return 0;
}

struct vchan *vchan_close(struct vchan *vchan)
{
	if (!vchan)
		return NULL;
	vchan->ops->detach(vchan);
	(void)meet_free(vchan->meet);
	(void)fd_close(vchan->sock);
	(void)fd_close(vchan->epoll_fd);
	free(vchan);
	return NULL;
}

bool vchan_half_close(struct vchan *vchan)
{
	return vchan->sock >= 0 && vchan->state == VCHAN_OPEN && vchan->ops->half_close &&
	       vchan->ops->half_close(vchan);
}

int vchan_fd(const struct vchan *vchan)
{
	return vchan->epoll_fd;
}

static void step_meet(struct vchan *vchan)
{
	int sock = -1;

	if (meet_step(vchan->meet, &sock)) {
		vchan_end(vchan, "rendezvous failed");
		vchan->meet = meet_free(vchan->meet);
	} else if (sock >= 0) {
		vchan->sock = sock;
		if (vchan->ops->attach(vchan, false)) {
			vchan_end(vchan, "cannot set up the connection");
			/* Nothing would wake us for it; and its peer is not to wait. */
			vchan->sock = fd_close(vchan->sock);
		}
		/* Last: the peer has work to do with what it was sent while the path is removed. */
		vchan->meet = meet_free(vchan->meet);
	}
}

enum vchan_state vchan_step(struct vchan *vchan)
{
	if (vchan->meet)
		step_meet(vchan);
	else if (vchan->sock >= 0 || vchan->ops->start)
		vchan->ops->step(vchan);
	return vchan->state;
}

enum vchan_state vchan_state(const struct vchan *vchan)
{
	return vchan->state;
}

const char *vchan_why(const struct vchan *vchan)
{
	return vchan->why;
}

/* A server may be written to before its client is there; nothing else can be done with it then. */
static bool early(const struct vchan *vchan)
{
	return vchan->sock < 0 && vchan->is_server && vchan->state == VCHAN_WAITING;
}

static int not_connected(const struct vchan *vchan)
{
	if (vchan->state == VCHAN_WAITING)
		return 0;
	errno = EPIPE;
	return -1;
}

size_t vchan_readable(struct vchan *vchan, size_t wanted)
{
	return vchan->sock >= 0 ? vchan->ops->readable(vchan, wanted) : 0;
}

size_t vchan_writable(struct vchan *vchan, size_t wanted)
{
	return vchan->sock >= 0 || early(vchan) ? vchan->ops->writable(vchan, wanted) : 0;
}

ssize_t vchan_read(struct vchan *vchan, void *buf, size_t len)
{
	return vchan->sock >= 0 ? vchan->ops->read(vchan, buf, len) : not_connected(vchan);
}

ssize_t vchan_peek(struct vchan *vchan, void *buf, size_t len)
{
	len = MIN(len, (size_t)PEEK_MAX);
	return vchan->sock >= 0 ? vchan->ops->peek(vchan, buf, len) : not_connected(vchan);
}

ssize_t vchan_write(struct vchan *vchan, const void *buf, size_t len)
{
	if (vchan->sock < 0 && !early(vchan))
		return not_connected(vchan);
	return vchan->ops->write(vchan, buf, len);
}

int vchan_write_message(struct vchan *vchan, const void *head, size_t head_len, const void *body,
                        size_t body_len)
{
	const struct iovec parts[2] = {
	        {.iov_base = (void *)(uintptr_t)head, .iov_len = head_len},
	        {.iov_base = (void *)(uintptr_t)body, .iov_len = body_len},
	};

	if (head_len > VCHAN_RING_MAX || body_len > VCHAN_RING_MAX) {
		errno = EMSGSIZE;
		return -1;
	}
	if (vchan->sock < 0 && !early(vchan))
		return not_connected(vchan) ? -1 : 1;
	return vchan->ops->write_message(vchan, parts);
}

ssize_t vchan_to_fd(struct vchan *vchan, int fd, size_t len, bool *ret_blocked)
{
	*ret_blocked = false;
	if (vchan->sock < 0)
		return not_connected(vchan);
	return len > 0 ? vchan->ops->to_fd(vchan, fd, len, ret_blocked) : 0;
}

ssize_t vchan_from_pipe(struct vchan *vchan, int pipe, size_t len, bool *ret_blocked)
{
	*ret_blocked = false;
	if (vchan->sock < 0 && !early(vchan))
		return not_connected(vchan);
	return len > 0 ? vchan->ops->from_pipe(vchan, pipe, len, ret_blocked) : 0;
}

ssize_t vchan_message_from_fd(struct vchan *vchan, int fd, size_t head_len, size_t len,
                              void (*make_head)(void *arg, uint8_t *head, size_t body_len),
                              void *arg)
{
	if (vchan->sock < 0 || !vchan->ops->message_from_fd || head_len > VCHAN_HEAD_MAX ||
	    len == 0) {
		errno = EOPNOTSUPP;
		return -1;
	}
	return vchan->ops->message_from_fd(vchan, fd, head_len, len, make_head, arg);
}

void vchan_set_patient(struct vchan *vchan)
{
	if (vchan->sock >= 0 && vchan->ops->set_patient)
		vchan->ops->set_patient(vchan);
}

void vchan_refresh(struct vchan *vchan)
{
	if (vchan->sock >= 0 && vchan->state != VCHAN_CLOSED)
		vchan->ops->refresh(vchan);
}

void vchan_poke(struct vchan *vchan)
{
	if (vchan->sock >= 0)
		vchan->ops->poke(vchan);
}

int vchan_listener(const struct vchan *vchan)
{
	return vchan->meet ? meet_listener(vchan->meet) : -1;
}

bool vchan_connected(const struct vchan *vchan)
{
	/* A server over grants has its event channel from the start. */
	return vchan->sock >= 0 && (!vchan->ops->start || vchan->state != VCHAN_WAITING);
}

size_t vchan_ring_size(const struct vchan *vchan, bool rx)
{
	return vchan->ops->ring_size(vchan, rx);
}
