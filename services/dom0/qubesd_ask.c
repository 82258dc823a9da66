/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "services/dom0/qubesd_ask.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"

static int send_question(int fd, const struct qubesd_question *q)
{
	char head[512];
	int n = snprintf(head, sizeof(head), "%s%s %s name %s", q->method,
	                 strchr(q->method, '+') ? "" : "+", q->source, q->dest);

	if (n < 0 || (size_t)n >= sizeof(head)) {
		errno = EMSGSIZE;
		return -1;
	}
	/* With its NUL, which ends the header. */
	if (fd_write_all(fd, head, (size_t)n + 1))
		return -1;
	if (q->payload_len > 0 && fd_write_all(fd, q->payload, q->payload_len))
		return -1;
	return shutdown(fd, SHUT_WR);
}

/* TYPE NUL TRACEBACK NUL TEXT NUL … */
static void log_refusal(const struct qubesd_question *q, const char *data, size_t len)
{
	const char *type = data + 2;
	const char *trace = type + strlen(type) + 1;
	const char *text = trace < data + len ? trace + strlen(trace) + 1 : trace;

	LOG("%s of %s: %s: %s", q->method, q->source, type, text < data + len ? text : "");
}

int qubesd_ask(const struct qubesd_question *question, char **ret_data, size_t *ret_len)
{
	char path[PATH_MAX];
	OWNED_FD int fd = -1;
	char *data = NULL;
	size_t len = 0;

	*ret_data = NULL;
	if (path_make(path, sizeof(path), question->socket, NULL) == 0)
		fd = fd_connect_unix(path, SOCK_STREAM);
	if (fd < 0 || send_question(fd, question) ||
	    fd_read_to_end(fd, 4096, QUBESD_ANSWER_MAX, &data, &len)) {
		LOG_ERRNO("%s by %s", question->method, question->socket);
		return -1;
	}
	if (len < 2 || data[1] != '\0' || (data[0] != '0' && data[0] != '2')) {
		LOG("%s by %s: no answer", question->method, question->socket);
		free(data);
		return -1;
	}
	if (data[0] == '2') {
		log_refusal(question, data, len);
		free(data);
		return 1;
	}
	memmove(data, data + 2, len - 1);
	*ret_data = data;
	*ret_len = len - 2;
	return 0;
}
