/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef LIB_BASE_COMPAT_H
#define LIB_BASE_COMPAT_H

/*
 * What differs between compilers, in one place. No other file has an #ifdef on the compiler.
 */

#define MUST_CHECK        __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))
#define NORETURN          __attribute__((noreturn))
#define UNUSED            __attribute__((unused))
#define PUBLIC            __attribute__((visibility("default")))
#define CLEANUP(fn)       __attribute__((cleanup(fn)))
#define ARRAY_LEN(a)      (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)         ((a) < (b) ? (a) : (b))
#define MAX(a, b)         ((a) > (b) ? (a) : (b))
#define CONTAINER_OF(p, type, member)                                                              \
	((type *)(void *)((char *)(p) - __builtin_offsetof(type, member)))

#endif
