/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All methods, a row for each. Columns: name, destination, argument, payload, policy, handler, data.
 * Rows of a door are in byte order of their names, for a binary search.
 */
#include "services/admin/methods.h"

#include <stdlib.h>
#include <string.h>

#include "services/admin/backup.h"
#include "services/admin/device_methods.h"
#include "services/admin/events.h"
#include "services/admin/feature_methods.h"
#include "services/admin/firewall.h"
#include "services/admin/lifecycle.h"
#include "services/admin/misc.h"
#include "services/admin/pools.h"
#include "services/admin/stats.h"
#include "services/admin/tags.h"
#include "services/admin/volume_methods.h"

#define ROW(nm, dst, ar, pay, pol, handler, dat)                                                   \
	{                                                                                          \
		.name = nm, .dest = DEST_##dst, .arg = NEED_##ar, .payload = NEED_##pay,           \
		.policy = pol, .fn = handler, .data = dat                                          \
	}

#define CREATE(klass)                                                                              \
	ROW("admin.vm.Create." klass, DOM0, ANY, ANY, GLOBAL_RWX, method_create, klass)
#define CREATE_IN_POOL(klass)                                                                      \
	ROW("admin.vm.CreateInPool." klass, DOM0, ANY, ANY, GLOBAL_RWX, method_create_in_pool,     \
	    klass)

/* clang-format off */
#define DEVICES(cls)                                                                               \
	ROW("admin.vm.device." cls ".Assign", ANY, SOME, SOME, LOCAL_RWX, method_device_assign, cls), \
	ROW("admin.vm.device." cls ".Assigned", ANY, ANY, NONE, LOCAL_RO, method_device_assigned, cls), \
	ROW("admin.vm.device." cls ".Attach", ANY, SOME, ANY, LOCAL_RWX, method_device_attach, cls), \
	ROW("admin.vm.device." cls ".Attached", ANY, ANY, NONE, LOCAL_RO, method_device_attached, cls), \
	ROW("admin.vm.device." cls ".Available", ANY, ANY, NONE, LOCAL_RO, method_device_available, cls), \
	ROW("admin.vm.device." cls ".Detach", ANY, SOME, NONE, LOCAL_RWX, method_device_detach, cls), \
	ROW("admin.vm.device." cls ".Set.assignment", ANY, SOME, SOME, LOCAL_RWX, \
	    method_device_set_assignment, cls), \
	ROW("admin.vm.device." cls ".Unassign", ANY, SOME, NONE, LOCAL_RWX, method_device_unassign, cls)

static const struct method main_methods[] = {
	ROW("admin.Events", ANY, NONE, NONE, GLOBAL_RO, method_events, NULL),
	ROW("admin.backup.Cancel", DOM0, SOME, NONE, GLOBAL_RWX, method_backup_cancel, NULL),
	ROW("admin.backup.Execute", DOM0, SOME, NONE, GLOBAL_RWX, method_backup_execute, NULL),
	ROW("admin.backup.Info", DOM0, SOME, NONE, LOCAL_RO, method_backup_info, NULL),
	ROW("admin.deviceclass.List", DOM0, NONE, NONE, GLOBAL_RO, method_deviceclass_list, NULL),
	ROW("admin.label.Create", DOM0, SOME, SOME, GLOBAL_RWX, method_label_create, NULL),
	ROW("admin.label.Get", DOM0, SOME, NONE, GLOBAL_RO, method_label_get, NULL),
	ROW("admin.label.Index", DOM0, SOME, NONE, GLOBAL_RO, method_label_index, NULL),
	ROW("admin.label.List", DOM0, NONE, NONE, GLOBAL_RO, method_label_list, NULL),
	ROW("admin.label.Remove", DOM0, SOME, NONE, GLOBAL_RWX, method_label_remove, NULL),
	ROW("admin.pool.Add", DOM0, SOME, SOME, GLOBAL_RWX, method_pool_add, NULL),
	ROW("admin.pool.Info", DOM0, SOME, NONE, GLOBAL_RO, method_pool_info, NULL),
	ROW("admin.pool.List", DOM0, NONE, NONE, GLOBAL_RO, method_pool_list, NULL),
	ROW("admin.pool.ListDrivers", DOM0, NONE, NONE, GLOBAL_RO, method_pool_list_drivers, NULL),
	ROW("admin.pool.Remove", DOM0, SOME, NONE, GLOBAL_RWX, method_pool_remove, NULL),
	ROW("admin.pool.Set.ephemeral_volatile", DOM0, SOME, SOME, GLOBAL_RWX,
	    method_pool_set_ephemeral, NULL),
	ROW("admin.pool.Set.revisions_to_keep", DOM0, SOME, SOME, GLOBAL_RWX,
	    method_pool_set_revisions, NULL),
	ROW("admin.pool.UsageDetails", DOM0, SOME, NONE, GLOBAL_RO, method_pool_usage_details, NULL),
	ROW("admin.pool.volume.List", DOM0, SOME, NONE, GLOBAL_RO, method_pool_volume_list, NULL),
	ROW("admin.property.Get", DOM0, SOME, NONE, GLOBAL_RO, method_property_get, NULL),
	ROW("admin.property.GetAll", DOM0, NONE, NONE, GLOBAL_RO, method_property_get_all, NULL),
	ROW("admin.property.GetDefault", DOM0, SOME, NONE, GLOBAL_RO, method_property_get_default, NULL),
	ROW("admin.property.Help", DOM0, SOME, NONE, GLOBAL_RO, method_property_help, NULL),
	ROW("admin.property.List", DOM0, NONE, NONE, GLOBAL_RO, method_property_list, NULL),
	ROW("admin.property.Reset", DOM0, SOME, NONE, GLOBAL_RWX, method_property_reset, NULL),
	ROW("admin.property.Set", DOM0, SOME, ANY, GLOBAL_RWX, method_property_set, NULL),
	ROW("admin.vm.Console", ANY, NONE, NONE, LOCAL_RWX, method_console, NULL),
	CREATE("AdminVM"),
	CREATE("AppVM"),
	CREATE("DispVM"),
	CREATE("RemoteVM"),
	CREATE("StandaloneVM"),
	CREATE("TemplateVM"),
	ROW("admin.vm.CreateDisposable", ANY, ANY, ANY, GLOBAL_RWX, method_create_disposable, NULL),
	CREATE_IN_POOL("AdminVM"),
	CREATE_IN_POOL("AppVM"),
	CREATE_IN_POOL("DispVM"),
	CREATE_IN_POOL("RemoteVM"),
	CREATE_IN_POOL("StandaloneVM"),
	CREATE_IN_POOL("TemplateVM"),
	ROW("admin.vm.CurrentState", ANY, NONE, NONE, LOCAL_RO, method_current_state, NULL),
	ROW("admin.vm.Kill", ANY, NONE, NONE, LOCAL_RWX, method_kill, NULL),
	ROW("admin.vm.List", ANY, NONE, NONE, GLOBAL_RO, method_vm_list, NULL),
	ROW("admin.vm.Pause", ANY, NONE, NONE, LOCAL_RWX, method_pause, NULL),
	ROW("admin.vm.Remove", ANY, NONE, NONE, GLOBAL_RWX, method_remove, NULL),
	ROW("admin.vm.Resume", ANY, NONE, NONE, LOCAL_RWX, method_resume, NULL),
	ROW("admin.vm.Shutdown", ANY, ANY, NONE, LOCAL_RWX, method_shutdown, NULL),
	ROW("admin.vm.Start", ANY, NONE, NONE, LOCAL_RWX, method_start, NULL),
	ROW("admin.vm.Stats", ANY, NONE, NONE, GLOBAL_RO, method_stats, NULL),
	ROW("admin.vm.Suspend", ANY, NONE, NONE, LOCAL_RWX, method_suspend, NULL),
	ROW("admin.vm.Unpause", ANY, NONE, NONE, LOCAL_RWX, method_unpause, NULL),
	DEVICES("block"),
	ROW("admin.vm.device.denied.Add", ANY, NONE, ANY, LOCAL_RWX, method_denied_add, NULL),
	ROW("admin.vm.device.denied.List", ANY, NONE, NONE, LOCAL_RO, method_denied_list, NULL),
	ROW("admin.vm.device.denied.Remove", ANY, NONE, ANY, LOCAL_RWX, method_denied_remove, NULL),
	DEVICES("mic"),
	DEVICES("pci"),
	DEVICES("usb"),
	ROW("admin.vm.feature.CheckWithAdminVM", ANY, SOME, NONE, LOCAL_RO,
	    method_feature_check_admin, NULL),
	ROW("admin.vm.feature.CheckWithNetvm", ANY, SOME, NONE, LOCAL_RO, method_feature_check_netvm,
	    NULL),
	ROW("admin.vm.feature.CheckWithTemplate", ANY, SOME, NONE, LOCAL_RO,
	    method_feature_check_template, NULL),
	ROW("admin.vm.feature.CheckWithTemplateAndAdminVM", ANY, SOME, NONE, LOCAL_RO,
	    method_feature_check_template_admin, NULL),
	ROW("admin.vm.feature.Get", ANY, SOME, NONE, LOCAL_RO, method_feature_get, NULL),
	ROW("admin.vm.feature.List", ANY, NONE, NONE, LOCAL_RO, method_feature_list, NULL),
	ROW("admin.vm.feature.Remove", ANY, SOME, NONE, LOCAL_RWX, method_feature_remove, NULL),
	ROW("admin.vm.feature.Set", ANY, SOME, ANY, LOCAL_RWX, method_feature_set, NULL),
	ROW("admin.vm.firewall.Get", QUBE, NONE, NONE, LOCAL_RO, method_firewall_get, NULL),
	ROW("admin.vm.firewall.Reload", QUBE, NONE, NONE, LOCAL_RWX, method_firewall_reload, NULL),
	ROW("admin.vm.firewall.Set", QUBE, NONE, SOME, LOCAL_RWX, method_firewall_set, NULL),
	ROW("admin.vm.notes.Get", QUBE, NONE, NONE, LOCAL_RO, method_notes_get, NULL),
	ROW("admin.vm.notes.Set", QUBE, NONE, ANY, LOCAL_RWX, method_notes_set, NULL),
	ROW("admin.vm.property.Get", ANY, SOME, NONE, LOCAL_RO, method_property_get, NULL),
	ROW("admin.vm.property.GetAll", ANY, NONE, NONE, LOCAL_RO, method_property_get_all, NULL),
	ROW("admin.vm.property.GetDefault", ANY, SOME, NONE, LOCAL_RO, method_property_get_default,
	    NULL),
	ROW("admin.vm.property.Help", ANY, SOME, NONE, LOCAL_RO, method_property_help, NULL),
	ROW("admin.vm.property.List", ANY, NONE, NONE, LOCAL_RO, method_property_list, NULL),
	ROW("admin.vm.property.Reset", ANY, SOME, NONE, LOCAL_RWX, method_property_reset, NULL),
	ROW("admin.vm.property.Set", ANY, SOME, ANY, LOCAL_RWX, method_property_set, NULL),
	ROW("admin.vm.tag.Get", ANY, SOME, NONE, LOCAL_RO, method_tag_get, NULL),
	ROW("admin.vm.tag.List", ANY, NONE, NONE, LOCAL_RO, method_tag_list, NULL),
	ROW("admin.vm.tag.Remove", ANY, SOME, NONE, LOCAL_RWX, method_tag_remove, NULL),
	ROW("admin.vm.tag.Set", ANY, SOME, NONE, LOCAL_RWX, method_tag_set, NULL),
	ROW("admin.vm.volume.Clear", ANY, SOME, NONE, LOCAL_RWX, method_volume_clear, NULL),
	ROW("admin.vm.volume.CloneFrom", ANY, SOME, NONE, LOCAL_RWX, method_volume_clone_from, NULL),
	ROW("admin.vm.volume.CloneTo", ANY, SOME, SOME, LOCAL_RWX, method_volume_clone_to, NULL),
	ROW("admin.vm.volume.Info", ANY, SOME, NONE, LOCAL_RO, method_volume_info, NULL),
	ROW("admin.vm.volume.List", ANY, NONE, NONE, LOCAL_RO, method_volume_list, NULL),
	ROW("admin.vm.volume.ListSnapshots", ANY, SOME, NONE, LOCAL_RO, method_volume_list_snapshots,
	    NULL),
	ROW("admin.vm.volume.Resize", ANY, SOME, SOME, LOCAL_RWX, method_volume_resize, NULL),
	ROW("admin.vm.volume.Revert", ANY, SOME, SOME, LOCAL_RWX, method_volume_revert, NULL),
	ROW("admin.vm.volume.Set.ephemeral", ANY, SOME, SOME, LOCAL_RWX, method_volume_set_ephemeral,
	    NULL),
	ROW("admin.vm.volume.Set.revisions_to_keep", ANY, SOME, SOME, LOCAL_RWX,
	    method_volume_set_revisions, NULL),
	ROW("admin.vm.volume.Set.rw", ANY, SOME, SOME, LOCAL_RWX, method_volume_set_rw, NULL),
	ROW("admin.vmclass.List", DOM0, NONE, NONE, GLOBAL_RO, method_vmclass_list, NULL),
};

static const struct method internal_methods[] = {
	ROW("internal.GetSystemInfo", DOM0, NONE, NONE, NO_POLICY, method_system_info, NULL),
	ROW("internal.SuspendPost", DOM0, NONE, NONE, NO_POLICY, method_suspend_post, NULL),
	ROW("internal.SuspendPre", DOM0, NONE, NONE, NO_POLICY, method_suspend_pre, NULL),
	ROW("internal.backup.Execute", DOM0, SOME, SOME, NO_POLICY, method_backup_execute_given, NULL),
	ROW("internal.backup.Info", DOM0, SOME, SOME, NO_POLICY, method_backup_info_given, NULL),
	ROW("internal.vm.property.Table", DOM0, NONE, SOME, NO_POLICY, method_property_table, NULL),
	ROW("internal.vm.volume.ExportBegin", ANY, SOME, NONE, NO_POLICY, method_export_begin, NULL),
	ROW("internal.vm.volume.ExportEnd", ANY, SOME, NONE, NO_POLICY, method_export_end, NULL),
	ROW("internal.vm.volume.ImportBegin", ANY, SOME, ANY, NO_POLICY, method_import_begin, NULL),
	ROW("internal.vm.volume.ImportEnd", ANY, SOME, ANY, NO_POLICY, method_import_end, NULL),
};

static const struct method misc_methods[] = {
	ROW("qubes.FeaturesRequest", DOM0, NONE, NONE, NO_POLICY, method_features_request, NULL),
	ROW("qubes.NotifyTools", DOM0, NONE, NONE, NO_POLICY, method_notify_tools, NULL),
	ROW("qubes.NotifyUpdates", DOM0, NONE, SOME, NO_POLICY, method_notify_updates, NULL),
};
/* clang-format on */

const struct method *methods_of(enum door door, size_t *ret_n)
{
	static const struct {
		const struct method *rows;
		size_t n;
	} doors[DOORS] = {
	        [DOOR_MAIN] = {main_methods, ARRAY_LEN(main_methods)},
	        [DOOR_INTERNAL] = {internal_methods, ARRAY_LEN(internal_methods)},
	        [DOOR_MISC] = {misc_methods, ARRAY_LEN(misc_methods)},
	};

	*ret_n = doors[door].n;
	return doors[door].rows;
}

static int by_name(const void *key, const void *row)
{
	return strcmp(key, ((const struct method *)row)->name);
}

const struct method *method_find(enum door door, const char *name)
{
	size_t n;
	const struct method *rows = methods_of(door, &n);

	return bsearch(name, rows, n, sizeof(*rows), by_name);
}
