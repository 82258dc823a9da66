/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rules and consequences of single features. Facts: doc/protocol/core-model.md, Features. */
#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>

#include "services/admin/feature_effect.h"
#include "services/admin/feature_methods.h"
#include "services/admin/preload.h"
#include "services/admin/property.h"
#include "services/admin/qdb.h"

#define SERVICE_MAX   48 /* bytes of a service's name: a QubesDB path has 63 */
#define VM_CONFIG_MAX 52
#define PERSIST_MAX   54

static bool check_service(const char *name, struct fault *f)
{
	if (text_starts(name, "app-dispvm."))
		return true;
	if (!name[0])
		return fault_set(f, E_VALUE, "Service name cannot be empty");
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return fault_set(f, E_VALUE, "Service name cannot be '.' or '..'");
	if (strlen(name) > SERVICE_MAX)
		return fault_set(f, E_VALUE, "Service name must not exceed %d bytes", SERVICE_MAX);
	return true;
}

static bool check_vm_config(const char *name, struct fault *f)
{
	if (!isalpha((unsigned char)name[0]))
		return fault_set(f, E_VALUE, "Config name must start with an ASCII letter");
	if (strlen(name) > VM_CONFIG_MAX)
		return fault_set(f, E_VALUE, "Config name must not exceed %d bytes", VM_CONFIG_MAX);
	return true;
}

/* An absolute path, or  file|dir:OWNER:GROUP:MODE:/path */
static bool check_persist(const char *name, const char *value, struct fault *f)
{
	AUTO_TEXT copy = {0};
	const char *kind, *owner, *group, *mode;
	char *at;

	if (!name[0] || strlen(name) > PERSIST_MAX)
		return fault_set(f, E_VALUE, "custom-persist key must have 1 to %d bytes",
		                 PERSIST_MAX);
	if (value[0] == '/' || !value[0])
		return true;
	text_puts(&copy, value);
	at = copy.data;
	kind = strsep(&at, ":");
	owner = at ? strsep(&at, ":") : NULL;
	group = at ? strsep(&at, ":") : NULL;
	mode = at ? strsep(&at, ":") : NULL;
	if (!at || (strcmp(kind, "file") != 0 && strcmp(kind, "dir") != 0) || !owner[0] ||
	    !group[0])
		return fault_set(f, E_VALUE, "invalid value format: '%.200s'", value);
	if (!mode[0] || strlen(mode) > 4 || !request_safe(mode, "01234567"))
		return fault_set(f, E_VALUE, "invalid mode in value: '%.200s'", value);
	if (at[0] != '/')
		return fault_set(f, E_VALUE, "invalid path in value: '%.200s'", value);
	return true;
}

static bool check_address(const char *name, const char *value, struct fault *f)
{
	struct in_addr a;

	if (value[0] && inet_pton(AF_INET, value, &a) != 1)
		return fault_set(f, E_VALUE, "%s must be an IPv4 address: '%.100s'", name, value);
	return true;
}

/* Cures a value that would be refused later: what it turns into must be possible now. */
static bool check_meminfo(struct qube *q, struct fault *f)
{
	if (property_has(q, PROP_MAXMEM) && q->klass != CLASS_ADMIN && qube_active(q))
		return fault_set(f, E_PROPERTY_VALUE,
		                 "maxmem cannot be changed while the qube %s is running", q->name);
	return true;
}

bool feature_check(struct qube *q, const char *name, const char *value, struct fault *f)
{
	if (strcmp(name, "service.meminfo-writer") == 0)
		return check_meminfo(q, f);
	if (text_starts(name, "service."))
		return check_service(name + 8, f);
	if (text_starts(name, "vm-config."))
		return check_vm_config(name + 10, f);
	if (text_starts(name, "custom-persist."))
		return check_persist(name + 15, value, f);
	if (strcmp(name, "net.fake-ip") == 0 || strcmp(name, "net.fake-gateway") == 0 ||
	    strcmp(name, "net.fake-netmask") == 0)
		return check_address(name, value, f);
	if (text_starts(name, "preload-dispvm-"))
		return preload_feature_check(q, name, value, f);
	return true;
}

/* The old way to say that a qube's memory is fixed: kept as maxmem, and the feature removed. */
static bool become_maxmem(struct qube *q, const char *value, struct fault *f)
{
	const struct property *p = property_by_name(q, "maxmem");
	bool done;

	if (!f || !value || !p || q->klass == CLASS_ADMIN)
		return true;
	done = value[0] ? property_reset(q, p, f) : property_set(q, p, "0", 1, f);
	if (done)
		feature_drop(q, "service.meminfo-writer");
	return done;
}

bool feature_effect(struct qube *q, const char *name, const char *value, struct fault *f)
{
	if (strcmp(name, "service.meminfo-writer") == 0)
		return become_maxmem(q, value, f);
	if (text_starts(name, "service.") || text_starts(name, "vm-config.") ||
	    text_starts(name, "custom-persist."))
		qdb_feature(q, name, value);
	if (strcmp(name, "boot-mode.active") == 0)
		property_changed(q, PROP_BOOTMODE);
	if (text_starts(name, "net.fake-"))
		qdb_network(q);
	return true;
}

void feature_settled(struct qube *q, const char *name)
{
	if (text_starts(name, "preload-dispvm-"))
		preload_settings_changed(q);
}
