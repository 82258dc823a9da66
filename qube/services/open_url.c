/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qubes.OpenURL: an address that another qube wants opened here. The program that opens it gets it as one
 * word, and this one becomes that program, so that the call lasts as long as it.
 */
#include <errno.h>
#include <limits.h>
#include <unistd.h>

#include "lib/base/input.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "proto/services/open.h"

int main(void)
{
	static struct input in;
	static char untrusted_line[OPEN_URL_MAX + 2];
	char opener[PATH_MAX];
	ssize_t n;

	log_init("qubes.OpenURL");
	input_init(&in, STDIN_FILENO);
	n = input_line(&in, untrusted_line, sizeof(untrusted_line));
	if (n > 0 && untrusted_line[n - 1] == '\n')
		n--;
	if (n < 0 || n > OPEN_URL_MAX || !open_url_legal(untrusted_line, (size_t)n)) {
		LOG("not an address of http, https or ftp");
		return 1;
	}
	untrusted_line[n] = '\0'; /* in the newline's place, or behind it all */
	if (path_make(opener, sizeof(opener), "/usr/bin/qubes-open", NULL) == 0)
		execl(opener, "qubes-open", untrusted_line, (char *)NULL);
	LOG_ERRNO("qubes-open");
	return 1;
}
