/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * policy-socket - decisions a second over the kept connection of the policy service
 *
 * usage: policy-socket SOCKET SECONDS DEPTH SOURCE TARGET SERVICE
 * Keeps DEPTH questions under way. Prints decisions, seconds, and the time of one in µs (p50, p99).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "proto/policy.h"

#define DEPTH_MAX 256U
#define BATCH     32U
#define BUCKETS   200000U /* of 0.1 µs */

static uint64_t sent_ns[DEPTH_MAX];
static uint32_t histogram[BUCKETS];

static uint64_t now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

static int send_some(int fd, struct policy_question *q, const uint32_t *ids, unsigned int n)
{
	static uint8_t packets[BATCH][4096];
	struct mmsghdr messages[BATCH];
	struct iovec parts[BATCH];
	unsigned int i, done = 0;

	memset(messages, 0, sizeof(messages));
	for (i = 0; i < n; i++) {
		ssize_t len;

		q->id = ids[i];
		len = policy_encode_question(packets[i], sizeof(packets[i]), q);
		if (len < 0)
			return -1;
		sent_ns[ids[i]] = now_ns();
		parts[i] = (struct iovec){packets[i], (size_t)len};
		messages[i].msg_hdr.msg_iov = &parts[i];
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	while (done < n) {
		int r = sendmmsg(fd, messages + done, n - done, MSG_NOSIGNAL);

		if (r <= 0)
			return -1;
		done += (unsigned int)r;
	}
	return 0;
}

/* Takes what is there, at least one; ids of the answered questions in ids. */
static int take_some(int fd, uint32_t *ids)
{
	static uint8_t packets[BATCH][4096];
	static struct policy_answer answer;
	struct mmsghdr messages[BATCH];
	struct iovec parts[BATCH];
	uint64_t now;
	int i, n;

	memset(messages, 0, sizeof(messages));
	for (i = 0; i < (int)BATCH; i++) {
		parts[i] = (struct iovec){packets[i], sizeof(packets[i])};
		messages[i].msg_hdr.msg_iov = &parts[i];
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	n = recvmmsg(fd, messages, BATCH, MSG_WAITFORONE, NULL);
	now = now_ns();
	for (i = 0; i < n; i++) {
		uint64_t slot;

		if (policy_decode_answer(packets[i], messages[i].msg_len, &answer) ||
		    answer.verdict == POLICY_NO_ANSWER || answer.id >= DEPTH_MAX)
			return -1;
		ids[i] = answer.id;
		slot = (now - sent_ns[answer.id]) / 100;
		histogram[MIN(slot, (uint64_t)BUCKETS - 1)]++;
	}
	return n;
}

static double percentile(uint64_t total, double part)
{
	uint64_t want = (uint64_t)((double)total * part), seen = 0;
	unsigned int i;

	for (i = 0; i < BUCKETS - 1; i++) {
		seen += histogram[i];
		if (seen > want)
			break;
	}
	return i / 10.0;
}

int main(int argc, char **argv)
{
	struct policy_question q = {.requested_source = ""};
	uint32_t ids[DEPTH_MAX];
	uint64_t begin, end, total = 0;
	unsigned int depth, i;
	int fd, n;

	if (argc != 7) {
		(void)fprintf(stderr,
		              "usage: policy-socket SOCKET SECONDS DEPTH SOURCE TARGET SERVICE\n");
		return 2;
	}
	depth = (unsigned int)strtoul(argv[3], NULL, 10);
	q.source = argv[4];
	q.target = argv[5];
	q.service = argv[6];
	fd = fd_connect_unix(argv[1], SOCK_SEQPACKET);
	if (fd < 0 || depth < 1 || depth > DEPTH_MAX) {
		perror(argv[1]);
		return 1;
	}
	for (i = 0; i < depth; i++)
		ids[i] = i;
	begin = now_ns();
	end = begin + strtoull(argv[2], NULL, 10) * 1000000000U;
	for (i = 0; i < depth; i += BATCH)
		if (send_some(fd, &q, ids + i, MIN(BATCH, depth - i)))
			return 1;
	while (now_ns() < end) {
		n = take_some(fd, ids);
		if (n <= 0 || send_some(fd, &q, ids, (unsigned int)n)) {
			(void)fprintf(stderr, "policy-socket: no answer\n");
			return 1;
		}
		total += (unsigned int)n;
	}
	(void)printf("%llu decisions, %.0f/s, p50 %.1f us, p99 %.1f us\n",
	             (unsigned long long)total, (double)total * 1e9 / (double)(now_ns() - begin),
	             percentile(total, 0.5), percentile(total, 0.99));
	return 0;
}
