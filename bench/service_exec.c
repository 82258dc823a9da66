/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The trivial executable service: three bytes and out. Static, so that what is measured is the call
 * and not the dynamic linker.
 */
#include <unistd.h>

int main(void)
{
	return write(STDOUT_FILENO, "ok\n", 3) == 3 ? 0 : 1;
}
