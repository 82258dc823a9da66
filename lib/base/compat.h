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
#define CONTAINER_OF(p, type, member)                                                              \
	((type *)(void *)((char *)(p) - __builtin_offsetof(type, member)))

/* Each argument is evaluated once: it may be a look at what a peer changes in between. */
#define MIN(a, b)  PICK_(a, b, <, __COUNTER__)
#define MAX(a, b)  PICK_(a, b, >, __COUNTER__)
#define PICK_(...) PICK_AS_(__VA_ARGS__)
#define PICK_AS_(a, b, op, n)                                                                      \
	__extension__({                                                                            \
		__auto_type pick_a_##n = (a);                                                      \
		__auto_type pick_b_##n = (b);                                                      \
		pick_a_##n op pick_b_##n ? pick_a_##n : pick_b_##n;                                \
	})

#endif
