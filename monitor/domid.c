/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Numbers of qubes: from 1 up, then round again, never one that is in use. The last one is written down
 * before it is given, so that a new monitor goes on after it: a number comes back only after all the
 * others, over 30,000 of them, were given.
 */
#include <errno.h>

#include "lib/base/log.h"
#include "monitor/monitor.h"

void domid_load(struct monitor *m)
{
	struct record r;

	if (record_read(m->records, RECORD_DOMID, 0, &r) == 0 && r.data[0] <= MONITOR_DOMID_MAX)
		m->last_domid = r.data[0];
}

uint32_t domid_next(struct monitor *m)
{
	struct record r = {.kind = RECORD_DOMID};
	uint32_t domid = m->last_domid;

	for (uint32_t i = 0; i < MONITOR_DOMID_MAX; i++) {
		domid = domid % MONITOR_DOMID_MAX + 1;
		if (m->by_domid[domid])
			continue;
		r.data[0] = domid;
		if (record_write(m->records, &r)) {
			LOG_ERRNO("the number of the last qube");
			return 0;
		}
		m->last_domid = domid;
		return domid;
	}
	return 0;
}
