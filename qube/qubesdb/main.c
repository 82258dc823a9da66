/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qubesdb-daemon - the QubesDB of a qube, inside it: a copy of the entries that dom0 has, and the local
 * sockets. It asks for all entries first, and serves when it has them. It ends when dom0 goes.
 * Trusts: dom0. Is trusted by: nobody outside its qube.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/vchan/vchan.h"
#include "qubesdb/db.h"
#include "qubesdb/sockets.h"

struct process {
	struct db db;
	struct loop_fd channel; /* until it is open */
	struct vchan *vchan;
	struct loop_defer drop;
	mode_t mode;
	int ready_fd; /* the starting process waits; -1: none */
	bool serves;
};

static struct process process = {.channel = LOOP_FD_EMPTY, .mode = 0666, .ready_fd = -1};

/* sd_notify(3): one packet to the socket that the environment names. */
static void notify_ready(void)
{
	const char *name = getenv("NOTIFY_SOCKET");
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	OWNED_FD int sock = -1;
	size_t len = name ? strlen(name) : 0;
	socklen_t addr_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);

	if (len == 0 || len >= sizeof(addr.sun_path))
		return;
	memcpy(addr.sun_path, name, len);
	if (addr.sun_path[0] == '@')
		addr.sun_path[0] = '\0';
	sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (sock < 0 ||
	    sendto(sock, "READY=1", 7, MSG_NOSIGNAL, (struct sockaddr *)&addr, addr_len) < 0)
		LOG_ERRNO("telling the starter at %s", name);
}

static void on_synced(void *arg)
{
	struct process *p = arg;
	int rw, ro;

	if (sockets_listen(NULL, p->mode, &rw, &ro)) {
		loop_stop(p->db.loop, 1);
		return;
	}
	p->db.local = local_new(&p->db, rw, ro);
	if (!p->db.local) {
		loop_stop(p->db.loop, 1);
		return;
	}
	p->serves = true;
	notify_ready();
	if (p->ready_fd >= 0 && write(p->ready_fd, "", 1) != 1)
		LOG_ERRNO("the starter could not be told");
	p->ready_fd = fd_close(p->ready_fd);
}

static void on_ended(void *arg, enum peer_end why)
{
	struct process *p = arg;

	LOG(why == PEER_CLOSED ? "dom0 has closed the channel" : "dom0 broke the protocol");
	loop_stop(p->db.loop, 1);
}

static void on_channel(void *arg, uint32_t events)
{
	static const struct peer_events handlers = {.synced = on_synced,
	                                            .ended = on_ended,
	                                            .arg = &process};
	struct process *p = arg;
	enum vchan_state state = vchan_step(p->vchan);

	(void)events;
	if (state == VCHAN_WAITING)
		return;
	loop_fd_remove(p->db.loop, &p->channel);
	if (state == VCHAN_OPEN)
		p->db.peer = peer_new(&p->db, p->vchan, false, &handlers);
	else
		(void)vchan_close(p->vchan);
	p->vchan = NULL;
	if (!p->db.peer) {
		LOG("the channel to dom0 could not be made");
		loop_stop(p->db.loop, 1);
	}
}

static void on_signal(void *arg, int signo, pid_t sender)
{
	struct process *p = arg;

	(void)signo;
	(void)sender;
	loop_stop(p->db.loop, 0);
}

static int set_up(struct process *p, int remote)
{
	struct vchan_config config;

	p->db.loop = loop_new();
	if (!p->db.loop || vchan_config_from_env(&config) ||
	    loop_signal_add(p->db.loop, SIGTERM, on_signal, p) ||
	    loop_signal_add(p->db.loop, SIGINT, on_signal, p))
		return -1;
	config.peer = remote;
	config.port = QUBESDB_PORT;
	if (vchan_connect(&config, &p->vchan))
		return -1;
	return loop_fd_add(p->db.loop, &p->channel, vchan_fd(p->vchan), EPOLLIN, on_channel, p);
}

static int serve(struct process *p, int remote)
{
	int status = 1;

	if (set_up(p, remote)) {
		LOG_ERRNO("starting");
	} else {
		/* What came before we watched is seen as well. */
		on_channel(p, EPOLLIN);
		status = loop_run(p->db.loop);
	}
	if (p->serves)
		sockets_remove(NULL);
	p->db.peer = peer_free(p->db.peer);
	p->vchan = vchan_close(p->vchan);
	if (p->db.loop)
		p->db.local = local_free(p->db.local);
	entries_fini(&p->db.store);
	p->db.loop = loop_free(p->db.loop);
	return status == 0 ? 0 : 1;
}

static int detached(struct process *p, int remote)
{
	uint8_t byte;
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC))
		return 1;
	pid = fork();
	if (pid < 0)
		return 1;
	if (pid > 0) {
		(void)fd_close(fds[1]);
		return read(fds[0], &byte, 1) == 1 ? 0 : 1;
	}
	(void)fd_close(fds[0]);
	p->ready_fd = fds[1];
	if (setsid() < 0)
		return 1;
	return serve(p, remote);
}

static int usage(FILE *to, int status)
{
	(void)fputs("usage: qubesdb-daemon [--foreground] [--rw-socket-perms=OCTAL] 0\n"
	            "The QubesDB of this qube; 0 is dom0, where its entries come from.\n",
	            to);
	return status;
}

int main(int argc, char **argv)
{
	bool foreground = getenv("NOTIFY_SOCKET") != NULL;
	char *end;
	long value;
	int i;

	log_init("qubesdb-daemon");
	vchan_use_grant();
	if (fd_open_stdio())
		return 1;
	(void)signal(SIGPIPE, SIG_IGN);
	for (i = 1; i < argc && argv[i][0] == '-'; i++) {
		static const char perms[] = "--rw-socket-perms=";

		if (strcmp(argv[i], "--foreground") == 0) {
			foreground = true;
		} else if (strncmp(argv[i], perms, sizeof(perms) - 1) == 0) {
			value = strtol(argv[i] + sizeof(perms) - 1, &end, 8);
			if (*end != '\0' || value < 0 || value > 0777)
				return usage(stderr, 1);
			process.mode = (mode_t)value;
		} else {
			return strcmp(argv[i], "--help") == 0 ? usage(stdout, 0) : usage(stderr, 1);
		}
	}
	if (i + 1 != argc)
		return usage(stderr, 1);
	value = strtol(argv[i], &end, 10);
	if (*argv[i] == '\0' || *end != '\0' || value < 0 || value >= 0x7FF0)
		return usage(stderr, 1);
	return foreground ? serve(&process, (int)value) : detached(&process, (int)value);
}
