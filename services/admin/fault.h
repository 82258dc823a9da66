/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_ADMIN_FAULT_H
#define SERVICES_ADMIN_FAULT_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/compat.h"

/*
 * Why something is refused: the exception that the caller gets. A function that can refuse returns
 * false after fault_set(), and has changed nothing that the end of the turn does not undo.
 */
struct fault {
	const char *type; /* one of the names below; NULL: no fault */
	char text[1024];  /* as a person reads it; a "%" is doubled when it is sent */
};

#define E_PROTOCOL            "ProtocolError"
#define E_DENIED              "PermissionDenied"
#define E_QUBES               "QubesException"
#define E_VM                  "QubesVMError"
#define E_VALUE               "QubesValueError"
#define E_PROPERTY_VALUE      "QubesPropertyValueError"
#define E_NO_PROPERTY         "QubesNoSuchPropertyError"
#define E_NOT_FOUND           "QubesVMNotFoundError"
#define E_UUID                "QubesVMInvalidUUIDError"
#define E_EXISTS              "QubesVMAlreadyExistsError"
#define E_IN_USE              "QubesVMInUseError"
#define E_NOT_STARTED         "QubesVMNotStartedError"
#define E_NOT_RUNNING         "QubesVMNotRunningError"
#define E_NOT_PAUSED          "QubesVMNotPausedError"
#define E_NOT_SUSPENDED       "QubesVMNotSuspendedError"
#define E_NOT_HALTED          "QubesVMNotHaltedError"
#define E_SHUTDOWN_TIMEOUT    "QubesVMShutdownTimeoutError"
#define E_NO_TEMPLATE         "QubesNoTemplateError"
#define E_POOL_IN_USE         "QubesPoolInUseError"
#define E_STORAGE             "StoragePoolException"
#define E_MEMORY              "QubesMemoryError"
#define E_FEATURE_NOT_FOUND   "QubesFeatureNotFoundError"
#define E_TAG_NOT_FOUND       "QubesTagNotFoundError"
#define E_TAG                 "QubesInvalidTagError"
#define E_LABEL_NOT_FOUND     "QubesLabelNotFoundError"
#define E_LABEL_IN_USE        "QubesLabelInUseError"
#define E_LABEL               "QubesInvalidLabelError"
#define E_LABEL_VALUE         "QubesInvalidLabelValueError"
#define E_NOT_IMPLEMENTED     "QubesNotImplementedError"
#define E_BACKUP_PROFILE      "QubesBackupProfileNotFoundError"
#define E_BACKUP_CANCELLED    "BackupCancelledError"
#define E_BACKUP_RUNNING      "BackupAlreadyRunningError"
#define E_DEVICE_NOT_ASSIGNED "DeviceNotAssigned"
#define E_DEVICE_ATTACHED     "DeviceAlreadyAttached"
#define E_DEVICE_ASSIGNED     "DeviceAlreadyAssigned"
#define E_DEVICE_NOT_FOUND    "DeviceNotFound"
#define E_DEVICE_UNRECOGNIZED "UnrecognizedDevice"
#define E_DEVICE_MODE         "QubesUnrecognizedDeviceAssignmentMode"
#define E_COPY_TOKEN          "QubesVolumeCopyTokenNotFoundError"
#define E_COPY_IN_USE         "QubesVolumeCopyInUseError"
#define E_REVISION_NOT_FOUND  "QubesVolumeRevisionNotFoundError"

/** fault_set() - always returns false, for `return fault_set(…)`; @type one of the names above */
bool fault_set(struct fault *f, const char *type, const char *fmt, ...) PRINTF_LIKE(3, 4);

/** fault_keyerror() - the same for the classes whose text is the Python repr of a string */
bool fault_keyerror(struct fault *f, const char *type, const char *fmt, ...) PRINTF_LIKE(3, 4);

#endif
