/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A ring of fixed-size records in a shared file, one a process. Writers take a place with one atomic
 * addition, so a slice and its keeper may share a ring; nothing in the file is ever read back except
 * that counter, whose value is reduced modulo the ring's size before it is used.
 */
#include "lib/trace/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/fd.h"

#define TRACE_RECORDS  4096U /* chosen: 256 KiB a process; a power of two */
#define TRACE_FILE_LEN (sizeof(struct trace_head) + TRACE_RECORDS * sizeof(struct trace_record))

_Static_assert(sizeof(struct trace_head) == 64, "layout of the file");
_Static_assert(sizeof(struct trace_record) == 64, "a record is one cache line");
_Static_assert((TRACE_RECORDS & (TRACE_RECORDS - 1)) == 0, "a power of two");

static int ring_fd = -1;
static struct trace_head *head;
static struct trace_record *records;

static int map_ring(int fd)
{
	void *p = mmap(NULL, TRACE_FILE_LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		return -1;
	ring_fd = fd;
	head = p;
	records = (struct trace_record *)(void *)((char *)p + sizeof(struct trace_head));
	return 0;
}

void trace_open(const char *dir, const char *name)
{
	const char *wanted = getenv("SKERRY_TRACE");
	OWNED_FD int fd = -1;
	char path[PATH_MAX];
	int n;

	if (head)
		return;
	if (wanted && strcmp(wanted, "1") == 0 && mkdir(dir, 0750) && errno != EEXIST)
		return;
	n = snprintf(path, sizeof(path), "%s/%s.%d", dir, name, (int)getpid());
	if (n < 0 || (size_t)n >= sizeof(path))
		return;
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (fd < 0 || ftruncate(fd, TRACE_FILE_LEN) || map_ring(fd))
		return;
	(void)fd_take(&fd);
	head->capacity = TRACE_RECORDS;
	head->pid = (uint32_t)getpid();
	(void)snprintf(head->name, sizeof(head->name), "%s", name);
	memcpy(head->magic, TRACE_MAGIC, sizeof(head->magic));
}

int trace_fd(void)
{
	return ring_fd;
}

void trace_adopt(int fd)
{
	struct stat st;

	if (head || fstat(fd, &st) || st.st_size != (off_t)TRACE_FILE_LEN || map_ring(fd))
		(void)fd_close(fd);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

void trace_point(uint64_t call, enum trace_stage stage, uint32_t detail, const char *text)
{
	struct trace_record *r;

	if (!head)
		return;
	r = &records[__atomic_fetch_add(&head->next, 1, __ATOMIC_RELAXED) % TRACE_RECORDS];
	__atomic_store_n(&r->time_ns, 0, __ATOMIC_RELEASE);
	r->call = call;
	r->stage = stage;
	r->detail = detail;
	memset(r->text, 0, sizeof(r->text));
	if (text)
		memcpy(r->text, text, strnlen(text, sizeof(r->text) - 1));
	__atomic_store_n(&r->time_ns, now_ns(), __ATOMIC_RELEASE);
}

uint64_t trace_call_id(uint32_t service_domain, uint32_t client_domain, uint32_t port)
{
	return (uint64_t)(service_domain & 0xffffffU) << 36 |
	       (uint64_t)(client_domain & 0xffffffU) << 12 | (port & 0xfffU);
}

uint64_t trace_own_id(uint32_t domain, uint32_t serial)
{
	return 1ULL << 63 | (uint64_t)(domain & 0xffffffU) << 32 | serial;
}

void trace_link(uint64_t own_id, uint64_t call_id, uint32_t port)
{
	static const char hex[] = "0123456789abcdef";
	char text[17] = {0};

	if (!head)
		return;
	for (int i = 0; i < 16; i++)
		text[i] = hex[call_id >> (60 - 4 * i) & 15];
	trace_point(own_id, TRACE_PORT, port, text);
}
