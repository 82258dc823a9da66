/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * skerry-door - lets the user's machine run dom0's commands, when dom0 itself is a virtual machine on it: over
 * a serial port of virtio that leads out. Only in images for QEMU; an image for hardware has neither this
 * program nor the port.
 *
 * Who is outside shows that it has the key with which this machine was started (fw_cfg): the answer to a
 * random question, by HMAC-SHA-512-256. Then it may run the programs of /usr/bin, one at a time, as root: it is
 * dom0's owner. Nothing of a qube comes here but as output of those programs.
 *
 *   frame     length u32 little-endian of what follows | kind u8 | bytes
 *   outside   h  begin anew     a  answer         r  words of a command, each with its NUL
 *             i  input; empty: its end            k  end the command
 *   inside    n  question       y  let in         o  output      e  errors
 *             x  exit status u32                  !  text: what went wrong
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/bytes.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"

#define KEY_FILE  "/sys/firmware/qemu_fw_cfg/by_name/opt/org.skerry/key/raw"
#define PROGRAMS  "/usr/bin/"
#define FRAME_MAX 65535U /* with its kind; chosen */
#define ARGS_MAX  256
#define AGAIN_MS  100 /* between two looks whether somebody is there */

struct door {
	int port;
	uint8_t key[crypto_auth_KEYBYTES];
	uint8_t question[32];
	bool asked, let_in;
	uint8_t in[4 + FRAME_MAX + 1];
	size_t in_len;
	pid_t pid; /* of the command; 0: none */
	int pidfd, input, output, errors;
	uint8_t pending[FRAME_MAX]; /* input that the command did not take yet */
	size_t pending_at, pending_len;
	bool input_ends;
};

static void send_frame(struct door *d, char kind, const void *data, size_t len)
{
	uint8_t head[5] = {0};
	uint32_t n = (uint32_t)len + 1;

	for (int i = 0; i < 4; i++)
		head[i] = (uint8_t)(n >> (8 * i));
	head[4] = (uint8_t)kind;
	/* Nobody there: what cannot be said is not missed. */
	if (fd_write_all(d->port, head, sizeof(head)) || fd_write_all(d->port, data, len))
		LOG_ERRNO("the port");
}

static void say_wrong(struct door *d, const char *text)
{
	send_frame(d, '!', text, strlen(text));
}

/* The command. */

static void forget_command(struct door *d)
{
	d->pidfd = fd_close(d->pidfd);
	d->input = fd_close(d->input);
	d->output = fd_close(d->output);
	d->errors = fd_close(d->errors);
	d->pid = 0;
	d->pending_at = d->pending_len = 0;
	d->input_ends = false;
}

static void end_command(struct door *d)
{
	if (d->pid == 0)
		return;
	(void)kill(-d->pid, SIGKILL);
	(void)waitpid(d->pid, NULL, 0);
	forget_command(d);
}

static NORETURN void become(char **args, const int in[2], const int out[2], const int err[2])
{
	static char env[] = "PATH=/usr/bin:/usr/sbin", home[] = "HOME=/root";
	char *const environment[] = {env, home, NULL};
	char path[256];

	(void)setsid();
	(void)signal(SIGPIPE, SIG_DFL);
	(void)snprintf(path, sizeof(path), PROGRAMS "%s", args[0]);
	if (dup2(in[0], 0) == 0 && dup2(out[1], 1) == 1 && dup2(err[1], 2) == 2)
		(void)execve(path, args, environment);
	(void)fprintf(stderr, "%s: %s\n", path, strerror(errno));
	_exit(127);
}

static void close_pair(int pair[2])
{
	pair[0] = fd_close(pair[0]);
	pair[1] = fd_close(pair[1]);
}

static int start(struct door *d, char **args)
{
	int in[2] = {-1, -1}, out[2] = {-1, -1}, err[2] = {-1, -1};

	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC) ||
	    (d->pid = fork()) < 0) {
		d->pid = 0;
		close_pair(in);
		close_pair(out);
		close_pair(err);
		return -1;
	}
	if (d->pid == 0)
		become(args, in, out, err);
	d->pidfd = (int)syscall(SYS_pidfd_open, d->pid, 0);
	d->input = fd_take(&in[1]);
	d->output = fd_take(&out[0]);
	d->errors = fd_take(&err[0]);
	close_pair(in);
	close_pair(out);
	close_pair(err);
	return d->pidfd < 0 || fd_set_blocking(d->input, false) ||
	                       fd_set_blocking(d->output, false) ||
	                       fd_set_blocking(d->errors, false)
	               ? -1
	               : 0;
}

static void run(struct door *d, uint8_t *words, size_t len)
{
	char *args[ARGS_MAX + 1];
	size_t n = 0;

	if (d->pid) {
		say_wrong(d, "a command runs already");
		return;
	}
	if (len == 0 || words[len - 1] != '\0') {
		say_wrong(d, "no words of a command");
		return;
	}
	for (size_t at = 0; at < len && n < ARGS_MAX; at += strlen(args[n++]) + 1)
		args[n] = (char *)words + at;
	args[n] = NULL;
	if (strchr(args[0], '/') || args[0][0] == '.' || args[0][0] == '\0') {
		say_wrong(d, "the command must be the name of a program in " PROGRAMS);
	} else if (start(d, args)) {
		say_wrong(d, strerror(errno));
		end_command(d);
	}
}

/* What it has written so far; 0: no more will come. */
static int pass_on(struct door *d, int *fd, char kind)
{
	uint8_t bytes[16384];
	ssize_t n;

	while (*fd >= 0 && (n = read(*fd, bytes, sizeof(bytes))) != -1) {
		if (n == 0) {
			*fd = fd_close(*fd);
			return 0;
		}
		send_frame(d, kind, bytes, (size_t)n);
	}
	return 1;
}

static void command_ended(struct door *d)
{
	uint8_t status[4] = {0};
	int wait_status = 0, code;

	(void)waitpid(d->pid, &wait_status, 0);
	(void)pass_on(d, &d->output, 'o');
	(void)pass_on(d, &d->errors, 'e');
	code = WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
	status[0] = (uint8_t)code;
	forget_command(d);
	send_frame(d, 'x', status, sizeof(status));
}

static void give_input(struct door *d)
{
	while (d->input >= 0 && d->pending_at < d->pending_len) {
		ssize_t n =
		        write(d->input, d->pending + d->pending_at, d->pending_len - d->pending_at);

		if (n < 0 && errno == EAGAIN)
			return;
		/* It reads no more: the rest is for nobody. */
		d->pending_at = n < 0 ? d->pending_len : d->pending_at + (size_t)n;
	}
	if (d->input_ends)
		d->input = fd_close(d->input);
}

/* Who is outside. */

static void ask(struct door *d)
{
	d->asked = true;
	d->let_in = false;
	randombytes_buf(d->question, sizeof(d->question));
	send_frame(d, 'n', d->question, sizeof(d->question));
}

static void check(struct door *d, const uint8_t *answer, size_t len)
{
	bool good = d->asked && len == crypto_auth_BYTES &&
	            crypto_auth_verify(answer, d->question, sizeof(d->question), d->key) == 0;

	d->asked = false;
	d->let_in = good;
	if (good)
		send_frame(d, 'y', NULL, 0);
	else
		say_wrong(d, "that is not the key of this machine");
}

static void take_frame(struct door *d, char kind, uint8_t *data, size_t len)
{
	if (kind == 'h') {
		end_command(d);
		ask(d);
	} else if (kind == 'a') {
		check(d, data, len);
	} else if (!d->let_in) {
		say_wrong(d, "show first that you have the key");
	} else if (kind == 'r') {
		run(d, data, len);
	} else if (kind == 'k') {
		if (d->pid)
			(void)kill(-d->pid, SIGTERM);
	} else if (kind == 'i' && d->pid) {
		memcpy(d->pending, data, len);
		d->pending_at = 0;
		d->pending_len = len;
		d->input_ends = d->input_ends || len == 0;
		give_input(d);
	}
}

/* Whoever is there has gone, or speaks something else. */
static void start_anew(struct door *d)
{
	end_command(d);
	d->in_len = 0;
	d->asked = d->let_in = false;
}

static void take_frames(struct door *d)
{
	/* One input at a time: the next is read when the command has taken this one. */
	while (d->in_len >= 4 && d->pending_at == d->pending_len) {
		size_t len = (size_t)d->in[0] | (size_t)d->in[1] << 8 | (size_t)d->in[2] << 16 |
		             (size_t)d->in[3] << 24;

		if (len == 0 || len > FRAME_MAX) {
			start_anew(d);
			return;
		}
		if (d->in_len < 4 + len)
			return;
		take_frame(d, (char)d->in[4], d->in + 5, len - 1);
		d->in_len -= 4 + len;
		memmove(d->in, d->in + 4 + len, d->in_len);
	}
}

static void read_port(struct door *d)
{
	const struct timespec pause = {.tv_nsec = AGAIN_MS * 1000000L};
	size_t have = MIN(d->in_len, sizeof(d->in) - 1);
	ssize_t n = read(d->port, d->in + have, sizeof(d->in) - have);

	if (n > 0) {
		d->in_len += (size_t)n;
		take_frames(d);
	} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		start_anew(d);
		(void)nanosleep(&pause, NULL);
	}
}

static NORETURN void serve(struct door *d)
{
	for (;;) {
		bool full = d->pending_at < d->pending_len;
		struct pollfd look[] = {{.fd = full ? -1 : d->port, .events = POLLIN},
		                        {.fd = d->pidfd, .events = POLLIN},
		                        {.fd = d->output, .events = POLLIN},
		                        {.fd = d->errors, .events = POLLIN},
		                        {.fd = full ? d->input : -1, .events = POLLOUT}};

		if (poll(look, ARRAY_LEN(look), -1) < 0)
			continue;
		if (look[2].revents)
			(void)pass_on(d, &d->output, 'o');
		if (look[3].revents)
			(void)pass_on(d, &d->errors, 'e');
		if (look[4].revents) {
			give_input(d);
			take_frames(d);
		}
		if (look[1].revents)
			command_ended(d);
		if (look[0].revents)
			read_port(d);
	}
}

static int read_key(uint8_t key[crypto_auth_KEYBYTES])
{
	OWNED_FD int fd = open(KEY_FILE, O_RDONLY | O_CLOEXEC);

	return fd >= 0 && read(fd, key, crypto_auth_KEYBYTES) == (ssize_t)crypto_auth_KEYBYTES ? 0
	                                                                                       : -1;
}

int main(int argc, char **argv)
{
	static struct door door = {
	        .port = -1, .pidfd = -1, .input = -1, .output = -1, .errors = -1};

	log_init("skerry-door");
	if (argc != 2) {
		(void)fprintf(stderr, "usage: skerry-door PORT\n");
		return 2;
	}
	(void)signal(SIGPIPE, SIG_IGN);
	door.port = open(argv[1], O_RDWR | O_CLOEXEC);
	if (sodium_init() < 0 || door.port < 0) {
		LOG_ERRNO("%s", argv[1]);
		return 1;
	}
	if (read_key(door.key)) {
		LOG("this machine was started without a key: nobody is let in");
		for (;;)
			(void)pause();
	}
	serve(&door);
}
