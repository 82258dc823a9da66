/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "services/admin/qdb.h"

void qdb_fill(struct qube *q, void (*fn)(void *arg, bool ok), void *arg)
{
	fn(arg, true);
}
void qdb_write(struct qube *q, const char *key, const char *value)
{
}
void qdb_remove(struct qube *q, const char *key)
{
}
void qdb_read_all(struct qube *q, const char *prefix,
                  void (*fn)(void *arg, bool ok, const struct pair *untrusted_pairs, size_t n),
                  void *arg)
{
	fn(arg, false, NULL, 0);
}
void qdb_open(struct qube *q)
{
}
void qdb_close(struct qube *q)
{
}
void qdb_audiovm(struct qube *q, struct qube *audiovm)
{
}
void qdb_keyboard_layout(struct qube *q)
{
}
void qdb_meminfo_writer(struct qube *q)
{
}
void qdb_feature(struct qube *q, const char *feature, const char *value)
{
}
void qdb_network(struct qube *q)
{
}
void qdb_netvm(struct qube *netvm)
{
}
void qdb_firewall(struct qube *q)
{
}
