/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The keys whose holders may say what dom0 is. They are a part of the image that runs. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "services/dom0/image.h"

static int read_file(const char *name, char **ret_text, size_t *ret_len)
{
	char path[PATH_MAX];
	OWNED_FD int fd = -1;

	if (path_make(path, sizeof(path), IMAGE_KEYS, name))
		return -1;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -1 : fd_read_to_end(fd, 256, SIGNIFY_FILE_MAX, ret_text, ret_len);
}

/* The same key in two files would sign for two. */
static bool is_known(const struct signify_keys *keys, const struct signify_key *key)
{
	for (size_t i = 0; i < keys->n; i++) {
		if (memcmp(keys->keys[i].key, key->key, sizeof(key->key)) == 0)
			return true;
	}
	return false;
}

static int add(struct signify_keys *keys, const char *name)
{
	struct signify_key key;
	char *text = NULL;
	size_t len;
	int r = -1;

	if (keys->n == SIGNIFY_KEYS_MAX)
		LOG(IMAGE_KEYS ": more than %u keys", SIGNIFY_KEYS_MAX);
	else if (read_file(name, &text, &len))
		LOG_ERRNO(IMAGE_KEYS "/%s", name);
	else if (signify_key_decode(text, len, &key))
		LOG(IMAGE_KEYS "/%s: not a public key as signify-openbsd -G writes it", name);
	else if (is_known(keys, &key))
		LOG(IMAGE_KEYS "/%s: this key is in another file already", name);
	else
		r = 0;
	free(text);
	if (r == 0)
		keys->keys[keys->n++] = key;
	return r;
}

/* All of them, if the file is not there. */
static int read_needed(struct signify_keys *keys)
{
	char *text = NULL;
	size_t len;
	int r = 0;

	keys->needed = keys->n;
	if (read_file("needed", &text, &len))
		r = errno == ENOENT ? 0 : -1;
	else if (len != 2 || text[1] != '\n' || text[0] < '1' || (size_t)(text[0] - '0') > keys->n)
		r = -1;
	else
		keys->needed = (size_t)(text[0] - '0');
	if (r)
		LOG(IMAGE_KEYS
		    "/needed: not a line with a number from 1 to %zu, the number of keys",
		    keys->n);
	free(text);
	return r;
}

int image_keys_load(struct signify_keys *keys)
{
	char path[PATH_MAX];
	DIR *dir = path_make(path, sizeof(path), IMAGE_KEYS, NULL) ? NULL : opendir(path);
	const struct dirent *entry;
	int r = 0;

	*keys = (struct signify_keys){0};
	while (dir && r == 0 && (entry = readdir(dir))) {
		const char *end = strrchr(entry->d_name, '.');

		if (end && end != entry->d_name && strcmp(end, ".pub") == 0)
			r = add(keys, entry->d_name);
	}
	if (dir)
		(void)closedir(dir);
	if (r == 0 && keys->n == 0) {
		LOG(IMAGE_KEYS
		    ": no key *.pub of who may sign images. Build dom0's image with one: "
		    "image/build --add KEY.pub:" IMAGE_KEYS "/NAME.pub:644");
		return -1;
	}
	return r ? -1 : read_needed(keys);
}
