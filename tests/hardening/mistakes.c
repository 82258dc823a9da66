/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mistakes NAME: makes one mistake of memory or arithmetic, compiled with the flags of every program
 * here. If it ends normally, that class of mistake would go unnoticed in a program that users run.
 * Run by scripts/hardening.py, which expects SIGABRT or SIGILL.
 */
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The compiler must not see through these. */
static volatile size_t length = 8;
static volatile int number = INT_MAX;
static char source[64] = "a text that is much longer than eight bytes";

/* FORTIFY at level 3: the size of the object is known at run time only. */
static int heap_overflow(void)
{
	char *p = malloc(length);

	if (!p)
		return 0;
	memcpy(p, source, length + 8);
	number = p[0];
	free(p);
	return 1;
}

static int __attribute__((noinline)) smash(char *p)
{
	for (size_t i = 0; i < length * 6; i++)
		((volatile char *)p)[i] = 'x';
	return p[1];
}

/* Byte by byte through a pointer, so that only the canary can notice. */
static int stack_overflow(void)
{
	char small[8];

	return smash(small) > 0;
}

static int signed_overflow(void)
{
	number = number + 1;
	return 1;
}

static int wide_shift(void)
{
	length = 33;
	number = 1 << length;
	return 1;
}

static int index_out_of_bounds(void)
{
	static int table[4];

	number = table[length];
	return 1;
}

static int __attribute__((noinline)) dirty(void)
{
	volatile char old[512];

	memset((char *)(uintptr_t)old, 0xa5, sizeof(old));
	return old[length];
}

/* An array that nobody wrote, on the stack where another function left its bytes: dies if they show. */
static int __attribute__((noinline)) stale(void)
{
	char fresh[512];
	const char *p = fresh;

	__asm__ volatile("" : "+r"(p) : : "memory");
	if (memchr(p, 0xa5, sizeof(fresh)))
		return 1;
	abort();
}

static int stale_stack(void)
{
	return dirty() != 0 && stale();
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*make)(void);
	} mistakes[] = {
	        {"heap-overflow", heap_overflow},
	        {"stack-overflow", stack_overflow},
	        {"signed-overflow", signed_overflow},
	        {"wide-shift", wide_shift},
	        {"index-out-of-bounds", index_out_of_bounds},
	        {"stale-stack", stale_stack},
	};

	for (size_t i = 0; argc == 2 && i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
		if (strcmp(argv[1], mistakes[i].name) == 0)
			return mistakes[i].make() ? 0 : 3;
	}
	return 2;
}
