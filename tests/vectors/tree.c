/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/vectors/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fd.h"

/* A case's files on disk: what is tested is what reads real directories, links and all. */

static int base64_value(char c)
{
	static const char digits[] =
	        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

static size_t base64_decode(const char *text, char *out)
{
	unsigned int bits = 0;
	unsigned int n = 0;
	size_t len = 0;

	for (; base64_value(*text) >= 0; text++) {
		bits = bits << 6 | (unsigned int)base64_value(*text);
		n += 6;
		if (n >= 8) {
			n -= 8;
			out[len++] = (char)(bits >> n);
		}
	}
	return len;
}

/* {{ETC}} and its like become directories; given. */
static char *expand(const struct vector *v, const char *text, size_t len, size_t *ret_len)
{
	const struct {
		const char *word;
		const char *path;
	} words[] = {{"{{ETC}}", v->etc}, {"{{RUN}}", v->run}, {"{{LEGACY}}", v->legacy}};
	char *out = malloc(len * 64 + PATH_MAX);
	size_t n = 0;

	for (size_t i = 0; out && i < len;) {
		size_t w = 0;

		while (w < ARRAY_LEN(words) &&
		       (len - i < strlen(words[w].word) ||
		        memcmp(text + i, words[w].word, strlen(words[w].word))))
			w++;
		if (w == ARRAY_LEN(words)) {
			out[n++] = text[i++];
			continue;
		}
		memcpy(out + n, words[w].path, strlen(words[w].path));
		n += strlen(words[w].path);
		i += strlen(words[w].word);
	}
	if (out)
		out[n] = '\0';
	*ret_len = n;
	return out;
}

size_t tree_bytes(const struct vector *v, struct json_object *content, char *out, size_t max)
{
	struct json_object *value;
	char *text;
	size_t len;

	if (json_object_is_type(content, json_type_object) &&
	    json_object_object_get_ex(content, "b64", &value) &&
	    strlen(json_object_get_string(value)) < max)
		return base64_decode(json_object_get_string(value), out);
	text = expand(v, json_object_get_string(content),
	              (size_t)json_object_get_string_len(content), &len);
	len = text ? MIN(len, max) : 0;
	memcpy(out, text ? text : "", len);
	free(text);
	return len;
}

static int make_parents(char *path, const char *root)
{
	for (char *p = path + strlen(root) + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			return -1;
		*p = '/';
	}
	return 0;
}

static int write_file(const char *path, const char *data, size_t len)
{
	OWNED_FD int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	return fd < 0 ? -1 : fd_write_all(fd, data, len);
}

static int make_text(const struct vector *v, const char *path, struct json_object *text, bool link)
{
	size_t len;
	char *data = expand(v, json_object_get_string(text),
	                    (size_t)json_object_get_string_len(text), &len);
	int r;

	if (!data)
		return -1;
	r = link ? symlink(data, path) : write_file(path, data, len);
	free(data);
	return r;
}

static int make_bytes(const char *path, const char *text)
{
	char *data = malloc(strlen(text) + 1);
	int r;

	if (!data)
		return -1;
	r = write_file(path, data, base64_decode(text, data));
	free(data);
	return r;
}

static int make_entry(const struct vector *v, const char *name, struct json_object *content)
{
	struct json_object *value;
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/%s", v->root, name) >= (int)sizeof(path) ||
	    make_parents(path, v->root))
		return -1;
	if (json_object_is_type(content, json_type_string))
		return make_text(v, path, content, false);
	if (json_object_object_get_ex(content, "b64", &value))
		return make_bytes(path, json_object_get_string(value));
	if (json_object_object_get_ex(content, "symlink", &value))
		return make_text(v, path, value, true);
	return mkdir(path, 0755) < 0 && errno != EEXIST ? -1 : 0;
}

static bool is_absent(const struct vector *v, const char *dir)
{
	struct json_object *absent;

	if (!json_object_object_get_ex(v->json, "absent", &absent))
		return false;
	for (size_t i = 0; i < json_object_array_length(absent); i++) {
		if (strcmp(json_object_get_string(json_object_array_get_idx(absent, i)), dir) == 0)
			return true;
	}
	return false;
}

static int make_dir(const struct vector *v, char *out, const char *name)
{
	if (snprintf(out, PATH_MAX, "%s/%s", v->root, name) >= PATH_MAX)
		return -1;
	return is_absent(v, name) ? 0 : mkdir(out, 0755);
}

int tree_make(struct vector *v)
{
	struct json_object *files = NULL;
	const char *tmp = getenv("TMPDIR");
	char template[PATH_MAX / 2];

	(void)snprintf(template, sizeof(template), "%s/skerry-vector-XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(template) || !realpath(template, v->root))
		return -1;
	if (make_dir(v, v->etc, "etc") || make_dir(v, v->run, "run") ||
	    make_dir(v, v->legacy, "legacy"))
		return -1;
	(void)json_object_object_get_ex(v->json, "files", &files);
	if (!files)
		return 0;
	json_object_object_foreach(files, name, content)
	{
		char top[16];

		(void)snprintf(top, sizeof(top), "%.*s", (int)strcspn(name, "/"), name);
		if (!is_absent(v, top) && make_entry(v, name, content))
			return -1;
	}
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

void tree_remove(struct vector *v)
{
	if (v->root[0])
		(void)nftw(v->root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* nftw() has no argument for its function. */
static struct json_object *found;
static const struct vector *found_of;

static int read_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	char name[PATH_MAX];
	char *data;
	OWNED_FD int fd = -1;

	if (type != FTW_F || !S_ISREG(st->st_mode))
		return 0;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	data = malloc((size_t)st->st_size + 1);
	if (fd < 0 || !data || (st->st_size > 0 && fd_read_all(fd, data, (size_t)st->st_size))) {
		free(data);
		return -1;
	}
	(void)json_object_object_add(found, vector_logical(found_of, path, name, sizeof(name)),
	                             json_object_new_string_len(data, (int)st->st_size));
	free(data);
	return 0;
}

struct json_object *tree_read(const struct vector *v)
{
	found = json_object_new_object();
	found_of = v;
	(void)nftw(v->root, read_one, 16, FTW_PHYS);
	return found;
}
