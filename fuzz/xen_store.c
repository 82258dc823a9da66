/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What xenstore says, with values that a qube wrote: any bytes give a value in bounds, an event, or an error. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/check.h"
#include "lib/base/fd.h"
#include "lib/xen/store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct store_event event;
	struct store *store;
	char value[24], names[STORE_PAYLOAD_MAX];
	uint32_t number;
	size_t len;
	int pair[2];

	if (size > 60000)
		return 0;
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	CHECK(size == 0 || fd_write_all(pair[1], data, size) == 0);
	/* Its end, so that nothing is waited for. */
	CHECK(shutdown(pair[1], SHUT_WR) == 0);
	CHECK(store_new(pair[0], &store) == 0);
	if (store_read(store, "a", value, sizeof(value)) == 0)
		CHECK(strlen(value) < sizeof(value));
	if (store_read_number(store, "a", 8, 99, &number) == 0)
		CHECK(number >= 8 && number <= 99);
	if (store_list(store, "a", names, &len) == 0)
		CHECK(len <= sizeof(names) && (len == 0 || names[len - 1] == '\0'));
	while (store_next(store, &event) > 0)
		CHECK(strlen(event.path) < sizeof(event.path) &&
		      strlen(event.token) < sizeof(event.token));
	(void)store_free(store);
	(void)fd_close(pair[1]);
	return 0;
}
