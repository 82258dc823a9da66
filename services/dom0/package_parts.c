/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "services/dom0/package_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium/crypto_hash_sha256.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/sandbox/common_calls.h"
#include "lib/sandbox/program_calls.h"
#include "lib/sandbox/sandbox.h"

#define SQV        "/usr/bin/sqv"
#define MEMORY_MAX (256U << 20) /* a header twice, and what the C library wants */
#define VERIFY_MAX (1U << 30)   /* address space of sqv; chosen */
#define FILES_MAX  16U
#define COPY_BYTES (256U << 10)

static const struct confine_call reader_calls[] = {
        CONFINE_CALLS_BASE,
        {"pread64", "the memory files, from their beginning"},
        {"fstat", "their sizes"},
        {"newfstatat", "the same, other C libraries"},
};

static int confine_reader(const char *name, const int *fds, size_t n_fds)
{
	const struct confine_rights rights = {
	        .name = name,
	        .calls = reader_calls,
	        .n_calls = ARRAY_LEN(reader_calls),
	        .fds = fds,
	        .n_fds = n_fds,
	        .files_max = FILES_MAX,
	        .memory_max = MEMORY_MAX,
	        .required = CONFINE_NO_NEW_PRIVS | CONFINE_SECCOMP | CONFINE_LIMITS | CONFINE_FDS,
	        .wanted = CONFINE_LANDLOCK | CONFINE_NAMESPACES,
	};
	int r;

	/* What a kernel lacks is told once by who else is confined, not for each package. */
	log_set_fd(-1);
	r = confine(&rights);
	log_set_fd(STDERR_FILENO);
	return r;
}

/* Split. */

/* A header with its prefix; *ret_bytes is given. */
static int read_header(int fd, size_t max, uint8_t **ret_bytes, struct rpm_size *ret_size)
{
	uint8_t untrusted_prefix[RPM_PREFIX_LEN];
	enum rpm_result r;
	uint8_t *bytes;

	if (fd_read_all(fd, untrusted_prefix, sizeof(untrusted_prefix)))
		return PACKAGE_E_READ;
	r = rpm_prefix_decode(untrusted_prefix, max, ret_size);
	if (r != RPM_OK)
		return (int)r;
	bytes = malloc(RPM_PREFIX_LEN + rpm_size_rest(ret_size));
	if (!bytes)
		return PACKAGE_E_READ;
	memcpy(bytes, untrusted_prefix, sizeof(untrusted_prefix));
	if (fd_read_all(fd, bytes + RPM_PREFIX_LEN, rpm_size_rest(ret_size))) {
		free(bytes);
		return PACKAGE_E_READ;
	}
	*ret_bytes = bytes;
	return 0;
}

static int lay_aside_signature(const struct package_files *f)
{
	static const uint8_t zeros[8];
	uint8_t untrusted_padding[8];
	struct rpm_signature signature;
	struct rpm_size size;
	uint8_t *bytes;
	int r = read_header(f->in, RPM_SIGNATURE_MAX, &bytes, &size);

	if (r)
		return r;
	r = (int)rpm_signature_decode(bytes + RPM_PREFIX_LEN, &size, &signature);
	if (r == RPM_E_UNSIGNED && f->unsigned_too) {
		signature = (struct rpm_signature){0};
		r = 0;
	}
	if (r == 0 && fd_read_all(f->in, untrusted_padding, rpm_padding(&size)))
		r = PACKAGE_E_READ;
	if (r == 0 && memcmp(untrusted_padding, zeros, rpm_padding(&size)) != 0)
		r = RPM_E_ENTRY;
	if (r == 0 && fd_write_all(f->signature, signature.openpgp, signature.len))
		r = PACKAGE_E_WRITE;
	free(bytes);
	return r;
}

int package_split(const struct package_files *f)
{
	const int fds[] = {f->in, f->signature, f->header, STDERR_FILENO};
	uint8_t untrusted_lead[RPM_LEAD_LEN];
	struct rpm_size size;
	uint8_t *bytes;
	int r;

	if (confine_reader("package-split", fds, ARRAY_LEN(fds)))
		return PACKAGE_E_RIGHTS;
	if (fd_read_all(f->in, untrusted_lead, sizeof(untrusted_lead)))
		return PACKAGE_E_READ;
	r = (int)rpm_lead_check(untrusted_lead);
	if (r == 0)
		r = lay_aside_signature(f);
	if (r == 0)
		r = read_header(f->in, RPM_HEADER_MAX, &bytes, &size);
	if (r)
		return r;
	/* As bytes: nobody has signed them yet. */
	if (fd_write_all(f->header, bytes, RPM_PREFIX_LEN + rpm_size_rest(&size)))
		r = PACKAGE_E_WRITE;
	free(bytes);
	return r;
}

/* Verify. */

static const struct confine_call verifier_calls[] = {CONFINE_CALLS_PROGRAM};

/* The system's programs and libraries, the keys, and nothing that can be written. */
static int confine_verifier(const struct package_keys *keys, const int *fds, size_t n_fds)
{
	struct confine_path paths[CONFINE_PATHS_MAX] = {
	        {.path = "/usr", .run = true},
	        {.path = "/lib", .run = true},
	        {.path = "/lib64", .run = true},
	        {.path = "/etc/ld.so.cache"},
	};
	char folder[PATH_MAX];
	size_t n = 4;
	const struct confine_rights rights = {
	        .name = "package-verify",
	        .calls = verifier_calls,
	        .n_calls = ARRAY_LEN(verifier_calls),
	        .paths = paths,
	        .n_paths = n + 1,
	        .fds = fds,
	        .n_fds = n_fds,
	        .files_max = FILES_MAX + PACKAGE_KEYS_MAX,
	        .memory_max = VERIFY_MAX,
	        .required = CONFINE_NO_NEW_PRIVS | CONFINE_SECCOMP | CONFINE_LIMITS | CONFINE_FDS,
	        .wanted = CONFINE_LANDLOCK,
	};
	char *slash;

	/* The keys lie in one folder. */
	(void)snprintf(folder, sizeof(folder), "%s", keys->paths[0]);
	slash = strrchr(folder, '/');
	if (slash)
		*slash = '\0';
	paths[n] = (struct confine_path){.path = folder};
	log_set_fd(-1);
	return confine(&rights);
}

int package_verify(const struct package_keys *keys, const struct package_files *f)
{
	static const int fds[] = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO, 3, 4};
	const char *argv[4 + 2 * PACKAGE_KEYS_MAX + 1] = {"sqv"};
	char *const environment[] = {(char *)(uintptr_t) "LC_ALL=C", NULL};
	size_t n = 1;
	OWNED_FD int nothing = open("/dev/null", O_RDWR);
	OWNED_FD int signature = fcntl(f->signature, F_DUPFD, 10);
	OWNED_FD int header = fcntl(f->header, F_DUPFD, 10);

	if (nothing < 0 || signature < 0 || header < 0 || dup2(nothing, STDIN_FILENO) < 0 ||
	    dup2(nothing, STDOUT_FILENO) < 0 || (!keys->show && dup2(nothing, STDERR_FILENO) < 0) ||
	    dup2(signature, 3) < 0 || dup2(header, 4) < 0)
		return PACKAGE_E_RIGHTS;
	for (size_t i = 0; i < keys->n; i++) {
		argv[n++] = "--keyring";
		argv[n++] = keys->paths[i];
	}
	argv[n++] = "/proc/self/fd/3";
	argv[n] = "/proc/self/fd/4";
	if (confine_verifier(keys, fds, ARRAY_LEN(fds)))
		return PACKAGE_E_RIGHTS;
	(void)execve(SQV, (char *const *)(uintptr_t)argv, environment);
	return 127;
}

/* Rewrite. */

static int read_file(int fd, size_t max, uint8_t **ret_bytes, size_t *ret_len)
{
	struct stat st;

	if (fstat(fd, &st) || st.st_size < 0 || (uint64_t)st.st_size > max)
		return PACKAGE_E_READ;
	*ret_len = (size_t)st.st_size;
	*ret_bytes = malloc(*ret_len + 1);
	if (!*ret_bytes || pread(fd, *ret_bytes, *ret_len, 0) != (ssize_t)*ret_len)
		return PACKAGE_E_READ;
	return 0;
}

/* Up to the end: what stands behind a package would be taken for its payload, and is not what was signed. */
static int copy_payload(const struct package_files *f, const uint8_t wanted[RPM_DIGEST_LEN])
{
	static uint8_t untrusted_data[COPY_BYTES];
	uint8_t digest[crypto_hash_sha256_BYTES];
	crypto_hash_sha256_state state;
	ssize_t n;

	(void)crypto_hash_sha256_init(&state);
	while ((n = read(f->in, untrusted_data, sizeof(untrusted_data))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return PACKAGE_E_READ;
		(void)crypto_hash_sha256_update(&state, untrusted_data, (unsigned long long)n);
		if (fd_write_all(f->out, untrusted_data, (size_t)n))
			return PACKAGE_E_WRITE;
	}
	(void)crypto_hash_sha256_final(&state, digest);
	return memcmp(digest, wanted, sizeof(digest)) == 0 ? 0 : PACKAGE_E_PAYLOAD;
}

/* A header that a known key signed, and the one who read it is gone. */
static int write_head(const struct package_files *f, struct rpm_package *ret)
{
	static uint8_t head[RPM_CANONICAL_MAX];
	uint8_t digest[crypto_hash_sha256_BYTES];
	struct rpm_signature signature = {0};
	struct rpm_size size;
	uint8_t *packet;
	uint8_t *header;
	size_t len;
	size_t n;
	int r = read_file(f->signature, RPM_OPENPGP_MAX, &packet, &signature.len);

	if (r == 0)
		r = read_file(f->header, RPM_HEADER_MAX, &header, &len);
	if (r)
		return r;
	signature.openpgp = packet;
	if (signature.len > 0 || !f->unsigned_too)
		r = (int)rpm_openpgp_check(packet, signature.len, &signature.tag);
	if (r == 0)
		r = len < RPM_PREFIX_LEN ? RPM_E_PREFIX
		                         : (int)rpm_prefix_decode(header, RPM_HEADER_MAX, &size);
	if (r == 0 && len != RPM_PREFIX_LEN + rpm_size_rest(&size))
		r = RPM_E_PREFIX;
	if (r == 0)
		r = (int)rpm_header_decode(header + RPM_PREFIX_LEN, &size, ret);
	if (r)
		return r;
	(void)crypto_hash_sha256(digest, header, len);
	n = rpm_canonical_encode(head, &signature, ret, digest);
	ret->payload_at = n + len;
	if (fd_write_all(f->out, head, n) || fd_write_all(f->out, header, len))
		return PACKAGE_E_WRITE;
	return 0;
}

int package_rewrite(const struct package_files *f)
{
	const int fds[] = {f->in, f->out, f->signature, f->header, f->result, STDERR_FILENO};
	struct rpm_package package;
	int r;

	if (confine_reader("package-rewrite", fds, ARRAY_LEN(fds)))
		return PACKAGE_E_RIGHTS;
	r = write_head(f, &package);
	if (r == 0)
		r = copy_payload(f, package.payload_sha256);
	if (r == 0 && fd_write_all(f->result, &package, sizeof(package)))
		r = PACKAGE_E_WRITE;
	return r;
}
