/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The first program of a qube whose start is measured: says in xenstore that it runs. */
#include <stdio.h>
#include <unistd.h>

#include "lib/xen/store.h"

int main(void)
{
	struct store *store;

	if (store_open(&store) || store_write(store, "data/mark", "1"))
		perror("xenstore");
	for (;;)
		(void)pause();
}
