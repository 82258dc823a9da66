/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "qube/agent/share.h"

#include <stdlib.h>

struct share {
	struct share *next;
	uid_t uid;
	size_t used; /* 1 …; without slots it is forgotten */
};

static struct share *find(const struct shares *shares, uid_t uid)
{
	struct share *share = shares->users;

	while (share && share->uid != uid)
		share = share->next;
	return share;
}

struct share *share_take(struct shares *shares, uid_t uid)
{
	struct share *share = find(shares, uid);

	if ((share ? share->used : 0) >= shares->max - shares->used)
		return NULL;
	if (!share) {
		share = calloc(1, sizeof(*share));
		if (!share)
			return NULL;
		share->uid = uid;
		share->next = shares->users;
		shares->users = share;
	}
	share->used++;
	shares->used++;
	return share;
}

void share_give(struct shares *shares, struct share *share)
{
	struct share **p = &shares->users;

	shares->used--;
	if (--share->used > 0)
		return;
	while (*p != share)
		p = &(*p)->next;
	*p = share->next;
	free(share);
}
