/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The other side of a QubesDB's channel with any bytes: byte 0 says whether we are dom0's side, byte 1 is
 * the size of the pieces that they come in. The store stays within its limits and in order.
 */
#include <string.h>

#include "lib/base/check.h"
#include "lib/base/log.h"
#include "proto/limits.h"
#include "qubesdb/db.h"
#include "tests/unit/slices/fake_vchan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct vchan channel;
static bool ended;

/* What the fake has no use for. */
int vchan_fd(const struct vchan *v)
{
	static int fds[2];

	(void)v;
	/* An end of a pipe that nobody writes to. */
	if (fds[0] == 0 && pipe(fds))
		return -1;
	return fds[0];
}

enum vchan_state vchan_step(struct vchan *v)
{
	return vchan_state(v);
}

struct vchan *vchan_close(struct vchan *v)
{
	(void)v;
	return NULL;
}

static void on_synced(void *arg)
{
	(void)arg;
}

static void on_ended(void *arg, enum peer_end why)
{
	(void)arg;
	(void)why;
	ended = true;
}

static void check_store(const struct store *store)
{
	CHECK(store->n <= LIMIT_QUBESDB_ENTRIES && store->bytes <= LIMIT_QUBESDB_BYTES);
	for (size_t i = 0; i < store->n; i++) {
		const struct store_entry *e = store->entries[i];

		CHECK(qubesdb_key_ok(e->path) && qubesdb_path_ok(e->path));
		CHECK(strlen(e->value) == e->len);
		CHECK(i == 0 || strcmp(store->entries[i - 1]->path, e->path) < 0);
		CHECK(entries_find(store, e->path) == e);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const struct peer_events events = {.synced = on_synced, .ended = on_ended};
	static struct loop *loop;
	struct db db = {0};
	struct peer *peer;

	if (len < 2)
		return 0;
	log_set_fd(-1);
	if (!loop)
		loop = loop_new();
	CHECK(loop);
	memset(&channel, 0, sizeof(channel));
	channel.in = data + 2;
	channel.in_len = len - 2;
	channel.closed = true;
	channel.piece = data[1];
	channel.room = sizeof(channel.out);
	ended = false;
	db.loop = loop;
	CHECK(entries_write(&db.store, "/name", "work", 4) == 0);
	peer = peer_new(&db, &channel, data[0] & 1, &events);
	CHECK(peer);
	db.peer = peer;
	for (int i = 0; !ended && i < 100000; i++) {
		channel.room = 4096;
		CHECK(loop_turn(loop, 0) == 0);
	}
	CHECK(ended); /* it gets on with its input */
	check_store(&db.store);
	(void)peer_free(peer);
	entries_fini(&db.store);
	return 0;
}
