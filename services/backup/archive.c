/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "services/backup/archive.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/tar/header.h"
#include "services/backup/program.h"

#define HEADER      "backup-header"
#define HEADER_HMAC "backup-header.hmac"
#define EMPTY_MAX                                                                                  \
	64 /* blocks of zeros between archives that were put one behind the other; chosen */

int backup_fail(struct backup_archive *a, const char *fmt, ...)
{
	char text[sizeof(a->fault.text)];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (!a->fault.text[0])
		(void)escape_text(a->fault.text, sizeof(a->fault.text), text, strlen(text));
	return -1;
}

static int memory_file(struct backup_archive *a)
{
	int fd = memfd_create("backup", MFD_CLOEXEC);

	if (fd < 0)
		(void)backup_fail(a, "memory: %s", strerror(errno));
	return fd;
}

static int copy_bytes(int from, int to, uint64_t n)
{
	static char buffer[256U << 10];

	while (n > 0) {
		size_t part = (size_t)MIN(n, (uint64_t)sizeof(buffer));

		if (fd_read_all(from, buffer, part) || fd_write_all(to, buffer, part))
			return -1;
		n -= part;
	}
	return 0;
}

static void tell(struct backup_archive *a, uint64_t bytes)
{
	a->done += bytes;
	if (a->progress)
		a->progress(a->arg, a->done);
}

/* --- writing --- */

/* A member of the outer tar: all that a file holds. */
static int put_member(struct backup_archive *a, const char *name, int data)
{
	static struct tar_header h;
	static const uint8_t zeros[TAR_BLOCK];
	uint8_t block[TAR_BLOCK];
	struct stat st;

	if (fstat(data, &st) || lseek(data, 0, SEEK_SET) < 0)
		return backup_fail(a, "%s: %s", name, strerror(errno));
	h = (struct tar_header){
	        .type = TAR_FILE, .mode = 0600, .size = (uint64_t)st.st_size, .mtime = 0};
	memcpy(h.name, name, strlen(name));
	if (tar_header_encode(block, &h))
		return backup_fail(a, "the name %s is too long", name);
	if (fd_write_all(a->fd, block, sizeof(block)) || copy_bytes(data, a->fd, h.size) ||
	    fd_write_all(a->fd, zeros, tar_padding(h.size)))
		return backup_fail(a, "the backup cannot be written: %s", strerror(errno));
	tell(a, sizeof(block) + h.size + tar_padding(h.size));
	return 0;
}

static int put_encrypted(struct backup_archive *a, const char *name, const char *phrase_name,
                         int plain)
{
	char phrase[BACKUP_PHRASE_LEN];
	OWNED_FD int secret = memory_file(a);
	int r;

	if (secret < 0)
		return -1;
	if (backup_phrase(phrase, a->header.id, phrase_name, a->pass))
		return backup_fail(a, "the passphrase is too long, or has more than one line");
	r = scrypt_run(true, plain, secret, phrase, a->log_n);
	explicit_bzero(phrase, sizeof(phrase));
	return r ? backup_fail(a, "%s cannot be encrypted: scrypt failed", name)
	         : put_member(a, name, secret);
}

int backup_start(struct backup_archive *a)
{
	char text[BACKUP_HEADER_MAX];
	ssize_t n = backup_header_encode(text, sizeof(text), &a->header);
	OWNED_FD int fd = memory_file(a);

	a->fault.text[0] = '\0';
	if (fd < 0 || n < 0 || fd_write_all(fd, text, (size_t)n))
		return backup_fail(a, "the header cannot be made");
	return put_member(a, HEADER, fd) || put_encrypted(a, HEADER_HMAC, NULL, fd) ? -1 : 0;
}

/* Up to a chunk of what comes out of a pipe; bytes, or -1 with errno. */
static int64_t fill_chunk(int from, int chunk)
{
	static char buffer[256U << 10];
	uint64_t n = 0;

	while (n < BACKUP_CHUNK) {
		ssize_t r =
		        read(from, buffer, (size_t)MIN(sizeof(buffer), (size_t)(BACKUP_CHUNK - n)));

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0 || (r > 0 && fd_write_all(chunk, buffer, (size_t)r)))
			return -1;
		if (r == 0)
			break;
		n += (uint64_t)r;
	}
	return (int64_t)n;
}

static int put_chunks(struct backup_archive *a, const char *path, int from)
{
	char name[BACKUP_PATH_LEN], phrase_name[BACKUP_PATH_LEN];

	for (unsigned int number = 0;; number++) {
		OWNED_FD int chunk = memory_file(a);
		int64_t n;

		if (chunk < 0)
			return -1;
		n = fill_chunk(from, chunk);
		if (n < 0)
			return backup_fail(a, "%s: %s", path, strerror(errno));
		if (n == 0 && number > 0)
			return 0;
		if (backup_chunk_name(name, path, number))
			return backup_fail(a, "%s is too large", path);
		memcpy(phrase_name, name, sizeof(name));
		phrase_name[strlen(name) - 4] = '\0';
		if (put_encrypted(a, name, phrase_name, chunk))
			return -1;
		if (n < (int64_t)BACKUP_CHUNK)
			return 0;
	}
}

/* A child of ours at one end of a pipe: 0 in the child (@end: its end), the pid in the parent. */
static pid_t fork_with_pipe(bool child_writes, int *end)
{
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC))
		return -1;
	pid = fork();
	*end = ends[(pid == 0) == child_writes];
	fd_close(ends[(pid == 0) != child_writes]);
	if (pid < 0)
		*end = fd_close(*end);
	return pid;
}

static pid_t gzip_between(bool unpack, int in, int out)
{
	const char *const pack_args[] = {"gzip", "-c", NULL}, *const unpack_args[] = {"gzip", "-d",
	                                                                              "-c", NULL};

	return program_start(unpack ? unpack_args : pack_args, NULL, in, out, -1);
}

NORETURN static void be_writer(int out, const char *path, enum backup_form form, int data)
{
	char why[160] = "";
	int r = form == BACKUP_FORM_FILE   ? inner_write(out, path, data)
	        : form == BACKUP_FORM_TREE ? inner_write_tree(out, path, data, why)
	                                   : inner_write_home(out, path, data, why);

	if (r)
		LOG("%s: %s", path, why[0] ? why : strerror(errno));
	_exit(r ? 1 : 0);
}

int backup_add(struct backup_archive *a, const char *path, enum backup_form form, int data)
{
	OWNED_FD int plain = -1;
	OWNED_FD int packed = -1;
	pid_t writer, gzip = 0;
	int ends[2], r;

	if (!backup_path_legal(path))
		return backup_fail(a, "%s is no name for a file of a backup", path);
	writer = fork_with_pipe(true, &plain);
	if (writer == 0)
		be_writer(plain, path, form, data);
	if (writer < 0)
		return backup_fail(a, "%s: %s", path, strerror(errno));
	if (a->header.compressed && pipe2(ends, O_CLOEXEC) == 0) {
		packed = ends[0];
		gzip = gzip_between(false, plain, ends[1]);
		fd_close(ends[1]);
		plain = fd_close(plain);
	}
	if (a->header.compressed && gzip <= 0)
		r = backup_fail(a, "gzip cannot be started");
	else
		r = put_chunks(a, path, a->header.compressed ? packed : plain);
	fd_close_owned(&packed);
	fd_close_owned(&plain);
	if (gzip > 0 && program_wait(gzip))
		r = backup_fail(a, "%s cannot be compressed", path);
	if (program_wait(writer))
		r = backup_fail(a, "%s cannot be read", path);
	return r;
}

int backup_end(struct backup_archive *a)
{
	static const uint8_t zeros[2 * TAR_BLOCK];

	return fd_write_all(a->fd, zeros, sizeof(zeros))
	               ? backup_fail(a, "the backup cannot be written: %s", strerror(errno))
	               : 0;
}

/* --- reading --- */

/* The next member's header: 0, 1 at the end, -1. */
static int read_header(struct backup_archive *a, char name[BACKUP_PATH_LEN], uint64_t *ret_size)
{
	static struct tar_header h;
	uint8_t block[TAR_BLOCK];
	enum tar_result r = TAR_END;

	for (int i = 0; r == TAR_END && i < EMPTY_MAX; i++) {
		if (fd_read_all(a->fd, block, sizeof(block))) {
			if (errno == EPIPE && i > 0)
				return 1;
			return backup_fail(a, "the backup is cut off: %s",
			                   errno == EPIPE ? "it ends without its end"
			                                  : strerror(errno));
		}
		r = tar_header_decode(block, &h);
	}
	if (r == TAR_END)
		return 1;
	if (r == TAR_BAD || h.type != TAR_FILE || strlen(h.name) >= BACKUP_PATH_LEN ||
	    h.size > BACKUP_CHUNK_ENC)
		return backup_fail(a, "this is not a backup, or it is damaged");
	memcpy(name, h.name, strlen(h.name) + 1);
	*ret_size = h.size;
	return 0;
}

static int read_data(struct backup_archive *a, uint64_t size, int to)
{
	uint8_t padding[TAR_BLOCK];

	if (copy_bytes(a->fd, to, size) || fd_read_all(a->fd, padding, tar_padding(size)))
		return backup_fail(a, "the backup is cut off");
	tell(a, TAR_BLOCK + size + tar_padding(size));
	return 0;
}

/* One member by its name, into memory: descriptor or -1. */
static int read_named(struct backup_archive *a, const char *wanted, uint64_t max)
{
	char name[BACKUP_PATH_LEN];
	OWNED_FD int fd = memory_file(a);
	uint64_t size;
	int r = fd < 0 ? -1 : read_header(a, name, &size);

	if (r == 0 && (strcmp(name, wanted) != 0 || size > max))
		r = backup_fail(a, "%s is not where it should be: this is not a backup of format 4",
		                wanted);
	if (r == 1)
		r = backup_fail(a, "this is not a backup: it is empty");
	if (r == 0)
		r = read_data(a, size, fd);
	return r ? -1 : fd_take(&fd);
}

static ssize_t whole(int fd, char *out, size_t max)
{
	return pread(fd, out, max, 0);
}

static int look_ahead(struct backup_archive *a)
{
	char name[BACKUP_PATH_LEN];
	int r = read_header(a, name, &a->next_size);

	a->at_end = r != 0;
	if (r)
		return r < 0 ? -1 : 0;
	if (backup_chunk_parse(name, a->next_path, &a->next_number))
		return backup_fail(a, "a file in the backup has a name that none has: %.60s", name);
	return 0;
}

int backup_open(struct backup_archive *a)
{
	char text[BACKUP_HEADER_MAX + 1], again[BACKUP_HEADER_MAX + 1], phrase[BACKUP_PHRASE_LEN];
	OWNED_FD int header = -1;
	OWNED_FD int hmac = -1;
	OWNED_FD int plain = -1;
	const char *why;
	ssize_t n, m;

	a->fault.text[0] = '\0';
	header = read_named(a, HEADER, BACKUP_HEADER_MAX);
	hmac = header < 0 ? -1 : read_named(a, HEADER_HMAC, 2 * BACKUP_HEADER_MAX);
	plain = hmac < 0 ? -1 : memory_file(a);
	if (plain < 0)
		return -1;
	n = whole(header, text, sizeof(text));
	if (n < 0 || backup_phrase(phrase, "", NULL, a->pass))
		return backup_fail(a, "the passphrase is too long, or has more than one line");
	if (scrypt_run(false, hmac, plain, phrase, 0)) {
		(void)backup_fail(a, "wrong passphrase, or the backup is damaged");
		return 1;
	}
	explicit_bzero(phrase, sizeof(phrase));
	m = whole(plain, again, sizeof(again));
	if (m != n || memcmp(text, again, (size_t)n) != 0)
		return backup_fail(a,
		                   "the header is not the one that was made with this passphrase");
	/* Only now is it more than bytes. */
	if (backup_header_decode(text, (size_t)n, &a->header, &why))
		return backup_fail(a, "this backup cannot be read: %s", why);
	return look_ahead(a);
}

int backup_next(struct backup_archive *a, char path[BACKUP_PATH_LEN])
{
	if (a->at_end)
		return 1;
	if (a->next_number != 0)
		return backup_fail(a, "%s does not begin with its first part", a->next_path);
	memcpy(path, a->next_path, BACKUP_PATH_LEN);
	return 0;
}

static int decrypt_chunk(struct backup_archive *a, const char *path, unsigned int number, int to)
{
	char name[BACKUP_PATH_LEN], phrase[BACKUP_PHRASE_LEN];
	OWNED_FD int secret = memory_file(a);
	OWNED_FD int plain = memory_file(a);
	struct stat st;
	int r;

	if (secret < 0 || plain < 0 || read_data(a, a->next_size, secret))
		return -1;
	if (backup_chunk_name(name, path, number))
		return backup_fail(a, "%s has too many parts", path);
	name[strlen(name) - 4] = '\0';
	if (backup_phrase(phrase, a->header.id, name, a->pass))
		return backup_fail(a, "the passphrase is too long");
	r = scrypt_run(false, secret, plain, phrase, 0);
	explicit_bzero(phrase, sizeof(phrase));
	if (r)
		return backup_fail(a, "%s is damaged, or not of this backup", name);
	if (fstat(plain, &st) || lseek(plain, 0, SEEK_SET) < 0)
		return backup_fail(a, "%s: %s", name, strerror(errno));
	/* Whoever reads may have had enough: that is what it says. */
	return copy_bytes(plain, to, (uint64_t)st.st_size);
}

/* All chunks of a file, one after the other; -1 also when the reader has ended. */
static int give_chunks(struct backup_archive *a, const char *path, int to)
{
	for (unsigned int number = 0;; number++) {
		if (decrypt_chunk(a, path, number, to) || look_ahead(a))
			return -1;
		if (a->at_end || strcmp(a->next_path, path) != 0)
			return 0;
		if (a->next_number != number + 1)
			return backup_fail(a, "a part of %s is missing", path);
	}
}

struct outcome {
	int result;
	uint64_t size;
};

NORETURN static void be_reader(int in, const char *path, enum backup_form form, int out,
                               uint64_t size_max, int report)
{
	struct outcome o = {0};

	o.result = form == BACKUP_FORM_HOME ? inner_read_home(in, out)
	                                    : inner_read(in, path, out, size_max, &o.size);
	_exit(fd_write_all(report, &o, sizeof(o)) ? 1 : 0);
}

int backup_take(struct backup_archive *a, enum backup_form form, int out, uint64_t size_max,
                uint64_t *ret_size)
{
	char path[BACKUP_PATH_LEN];
	OWNED_FD int feed = -1;
	OWNED_FD int report_in = -1;
	struct outcome o = {.result = -1};
	pid_t reader, gzip = 0;
	int report[2], r;

	memcpy(path, a->next_path, sizeof(path));
	if (pipe2(report, O_CLOEXEC))
		return backup_fail(a, "%s: %s", path, strerror(errno));
	report_in = report[0];
	reader = fork_with_pipe(false, &feed);
	if (reader == 0)
		be_reader(feed, path, form, out, size_max, report[1]);
	fd_close(report[1]);
	if (reader > 0 && a->header.compressed) {
		int ends[2] = {-1, -1};

		if (pipe2(ends, O_CLOEXEC) == 0)
			gzip = gzip_between(true, ends[0], feed);
		fd_close(ends[0]);
		fd_close(feed);
		feed = ends[1];
	}
	r = reader < 0 || gzip < 0 || feed < 0
	            ? backup_fail(a, "%s cannot be read: %s", path, strerror(errno))
	            : give_chunks(a, path, feed);
	fd_close_owned(&feed);
	if (gzip > 0 && program_wait(gzip))
		r = backup_fail(a, "%s is damaged: it cannot be decompressed", path);
	if (reader > 0 &&
	    (fd_read_all(report_in, &o, sizeof(o)) || program_wait(reader) || o.result))
		r = backup_fail(a, "%s is damaged, too large, or there is no room for it", path);
	if (r)
		return backup_fail(a, "%s cannot be read", path);
	*ret_size = o.size;
	return 0;
}
