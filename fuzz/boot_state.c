/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any block as GRUB may have left it: what is read is written, and read again as the same. */
#include "proto/image/boot_state.h"

#include <string.h>

#include "lib/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t block[BOOT_STATE_LEN];
	struct boot_state state, again;

	/* The filling need not be guessed. */
	memset(block, '#', sizeof(block));
	memcpy(block, data, len < sizeof(block) ? len : sizeof(block));
	if (boot_state_decode(block, &state))
		return 0;
	CHECK(!state.good || state.good == 'a' || state.good == 'b');
	CHECK(!state.trying || (state.trying != state.good && state.trying <= 'b'));
	CHECK(state.tries <= BOOT_STATE_TRIES_MAX);
	boot_state_encode(block, &state);
	CHECK(boot_state_decode(block, &again) == 0);
	CHECK(again.good == state.good && again.trying == state.trying &&
	      again.tries == state.tries && again.floor == state.floor &&
	      again.seen == state.seen && again.until == state.until);
	return 0;
}
