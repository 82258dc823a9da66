/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/untrusted/path.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "lib/untrusted/text.h"

/* Where a scan of a path stands. */
struct walk {
	unsigned int flags;
	size_t up;    /* ".." that may still come */
	size_t depth; /* ordinary components so far */
};

static bool is_dots(const unsigned char *component, size_t len, size_t dots)
{
	return len == dots && memcmp(component, "..", dots) == 0;
}

/* -EILSEQ, -ENOLINK or 0 for a component of that name alone. */
static int take_component(struct walk *w, const unsigned char *component, size_t len)
{
	if (len == 0 || is_dots(component, len, 1))
		return w->flags & UNTRUSTED_LOOSE_PATHS ? 0 : -EILSEQ;
	if (is_dots(component, len, 2)) {
		if (w->up == 0)
			return -ENOLINK;
		w->up--;
		return 0;
	}
	w->depth++;
	w->up = 0;
	return 0;
}

static int check_bytes(const struct walk *w, const unsigned char *component, size_t len)
{
	if (w->flags & UNTRUSTED_ANY_BYTES || len == 0)
		return 0;
	return untrusted_text_shown((const char *)component, len) ? 0 : -EILSEQ;
}

/*
 * The number of components that are not ".." (with LOOSE_PATHS: nor "." nor empty), or an error.
 * The first thing wrong from the left is what is reported.
 */
static int scan(const char *untrusted_path, size_t up, unsigned int flags, size_t *ret_depth)
{
	const unsigned char *at = (const unsigned char *)untrusted_path;
	struct walk w = {.flags = flags, .up = up};

	*ret_depth = 0;
	if (*at == '\0')
		return flags & UNTRUSTED_LOOSE_PATHS ? 0 : -ENOLINK;
	if (*at == '/')
		return -ENOLINK;
	for (;;) {
		size_t len = (size_t)((const unsigned char *)strchrnul((const char *)at, '/') - at);
		int r = take_component(&w, at, len);

		if (r == 0)
			r = check_bytes(&w, at, len);
		if (r)
			return r;
		at += len;
		if (*at == '\0')
			break;
		/* A slash is followed by a component, or it is the last byte. */
		if (*++at == '\0') {
			if (!(flags & UNTRUSTED_TRAILING_SLASH))
				return -EILSEQ;
			break;
		}
	}
	*ret_depth = w.depth;
	return 0;
}

int untrusted_path_check(const char *untrusted_name, unsigned int flags)
{
	size_t depth;

	if (flags & ~(unsigned int)UNTRUSTED_PATH_FLAGS)
		return -EINVAL;
	if (scan(untrusted_name, 0, flags, &depth) || depth == 0)
		return -EILSEQ;
	return 0;
}

int untrusted_link_check(const char *untrusted_name, const char *untrusted_target,
                         unsigned int flags)
{
	size_t depth;
	size_t ignored;

	if (flags & ~(unsigned int)UNTRUSTED_PATH_FLAGS)
		return -EINVAL;
	if (scan(untrusted_name, 0, flags, &depth))
		return -EILSEQ;
	if (flags & UNTRUSTED_ANY_LINKS)
		return depth > 0 ? 0 : -ENOLINK;
	if (flags & UNTRUSTED_LOOSE_TARGETS)
		flags |= UNTRUSTED_LOOSE_PATHS;
	if (depth < 2)
		return -ENOLINK;
	/* The target is seen from the folder that holds the link, and the top-level object stays. */
	return scan(untrusted_target, depth - 2, flags | UNTRUSTED_TRAILING_SLASH, &ignored);
}
