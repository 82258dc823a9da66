/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_ADMIN_VOLUMES_INTERNAL_H
#define SERVICES_ADMIN_VOLUMES_INTERNAL_H

/** volumes_tell() - the storage service learns at our start of all pools, of the volumes that are in use,
 *  and of those that may have been in use when we ended: they are committed */
void volumes_tell(void);

#endif
