/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Profiles of backups: what is taken has texts that end and fits into a packet; what is not says why. */
#include "services/backup/profile.h"

#include <string.h>

#include "lib/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static char store[PROFILE_SIZE_MAX + 1], why[PROFILE_WHY_LEN], packet[BACKUP_PACKET_MAX];
	static struct backup_message m, back;
	ssize_t n;

	memset(store, 'x', sizeof(store));
	memset(&m, 0, sizeof(m));
	why[0] = '\0';
	if (backup_profile_parse((const char *)data, len, store, &m.profile, why)) {
		CHECK(why[0] && memchr(why, '\0', sizeof(why)));
		return 0;
	}
	m.kind = BACKUP_PROFILE;
	n = backup_encode(packet, sizeof(packet), &m);
	CHECK(n > 0 && backup_decode(packet, (size_t)n, &back) == 0);
	CHECK(back.profile.n_include == m.profile.n_include);
	for (size_t i = 0; i < back.profile.n_include; i++)
		CHECK(back.profile.include[i][0] &&
		      strcmp(back.profile.include[i], m.profile.include[i]) == 0);
	return 0;
}
