/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_STORAGE_RIGHTS_H
#define SERVICES_STORAGE_RIGHTS_H

#include "lib/base/compat.h"
#include "services/storage/job.h"

/* Each ends in confine(): 0, or -1 after a log line. Tested by tests/confine/storage.py. */

/** service_confine() - the service itself: starts workers, talks, and touches the folder of markers */
int service_confine(void) MUST_CHECK;

/** worker_confine() - a worker: the folders of one or two pools, @channel, and @devices if it is not 0 */
int worker_confine(const struct pool *pool, const struct pool *source, int channel, int devices)
        MUST_CHECK;

#endif
