/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * skerry-policy-recorder - writes the decision log and the log lines of the policy service
 *
 * Takes one typed frame a decision. The deciding process cannot reach the file, so a decision that was
 * made is told and can never be untold; it can only fail to tell, and then the next record says how
 * many are lost. Started by skerry-policy with the channel on descriptor 3.
 *
 * To disk: fdatasync at most once a second while there is something new, and at the end. The file is
 * rotated at FILE_MAX bytes; FILES of them are kept. A file that cannot be written (a full disk) stops
 * neither decisions nor the journal: the chain goes on from its last whole line once it can be.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/bytes.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/loop/loop.h"
#include "proto/decision.h"
#include "proto/policy.h"
#include "services/policy/chain.h"
#include "services/policy/channel.h"
#include "services/policy/rights.h"

#define CHANNEL_FD  3
#define FILE_MAX    (16 << 20) /* bytes; chosen */
#define FILES       8          /* old ones that are kept; chosen */
#define SYNC_MS     1000U
#define PAUSE_MS    4U     /* between two looks at the channel; chosen */
#define RETRY_MS    1000U  /* before a log that could not be written is tried again; chosen */
#define TAIL_MIN    4096U  /* bytes of the log that are read for its last line, at first */
#define ANCHOR_EACH 10000U /* records between two heads in the journal */
#define OUT_MAX     (1U << 20)

/* Text that is gathered during a turn of the loop and written at its end. */
struct sink {
	int fd;
	char *data;
	size_t len;
};

static struct loop *loop;
static struct channel channel;
static struct loop_timer sync_timer;
static struct loop_timer pause_timer;
static struct loop_defer flush_defer;
static struct chain chain;
static struct sink journal = {.fd = STDERR_FILENO}, file = {.fd = -1};
static const char *path;
static off_t file_size;
static uint64_t anchored;
static struct loop_timer retry_timer;
static uint32_t taken; /* records */
static uint32_t missing,
        behind;     /* records that are not in the file; of them since the last flush */
static bool silent; /* it was said that the file cannot be had */
static char body[CHAIN_LINE_MAX], line[CHAIN_LINE_MAX];

static void start_file(void *arg);

/* The log goes on from its last whole line as soon as it can be written; what is missing is counted. */
static void file_failed(const char *what)
{
	if (!silent)
		LOG_ERRNO("%s %s: decisions are not logged to disk until it can be", path, what);
	silent = true;
	file.fd = fd_close(file.fd);
	file.len = 0;
	missing += behind;
	behind = 0;
	if (loop_timer_set(loop, &retry_timer, RETRY_MS, start_file, NULL))
		LOG_ERRNO("the decision log has ended");
}

static void sink_flush(struct sink *sink)
{
	if (sink->len > 0 && fd_write_all(sink->fd, sink->data, sink->len) && sink == &file)
		file_failed("cannot be written");
	sink->len = 0;
}

static void sink_add(struct sink *sink, const char *data, size_t len)
{
	if (sink->fd < 0 || len > OUT_MAX)
		return;
	if (!sink->data)
		sink->data = malloc(OUT_MAX);
	if (!sink->data)
		return;
	if (sink->len + len > OUT_MAX)
		sink_flush(sink);
	if (sink->fd < 0)
		return;
	memcpy(sink->data + sink->len, data, len);
	sink->len += len;
}

/* The head of the chain where the log's own disk does not keep it. */
static void anchor(void)
{
	char hex[CHAIN_HEX_LEN + 1];

	if (chain.sequence == 0 || anchored == chain.sequence)
		return;
	anchored = chain.sequence;
	chain_hex(&chain, hex);
	LOG("decision log: record %" PRIu64 ", head %s", chain.sequence, hex);
}

static size_t put_time(char *out, size_t max, uint64_t time_ns)
{
	time_t seconds = (time_t)(time_ns / 1000000000U);
	struct tm tm;
	size_t n;

	if (!gmtime_r(&seconds, &tm))
		memset(&tm, 0, sizeof(tm));
	n = strftime(out, max, "%Y-%m-%dT%H:%M:%S", &tm);
	return n +
	       (size_t)snprintf(out + n, max - n, ".%09uZ", (unsigned int)(time_ns % 1000000000U));
}

static void put_line(void)
{
	ssize_t n = chain_line(&chain, line, sizeof(line), body);

	if (n < 0) {
		LOG("a record of the decision log is too long");
		return;
	}
	sink_add(&file, line, (size_t)n);
	file_size += n;
}

static void put_start(size_t cut)
{
	struct timespec t;
	char hex[CHAIN_HEX_LEN + 1];
	size_t n;

	(void)clock_gettime(CLOCK_REALTIME, &t);
	n = put_time(body, sizeof(body), (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec);
	chain_hex(&chain, hex);
	n += (size_t)snprintf(body + n, sizeof(body) - n, " start prev=%s", hex);
	if (cut)
		(void)snprintf(body + n, sizeof(body) - n, " cut=%zu", cut);
	put_line();
}

/* A line of the log, with its newline at end: what the next start goes on from. */
static bool take_last(const char *text, const char *end)
{
	size_t i;

	if ((size_t)(end - text) <= CHAIN_HEX_LEN + 2 || text[CHAIN_HEX_LEN] != ' ')
		return false;
	/* prev= of the start to come; whether it is right is the verifier's matter. */
	for (i = 0; i < CHAIN_HASH_LEN; i++) {
		char pair[3] = {text[2 * i], text[2 * i + 1], 0};

		chain.hash[i] = (uint8_t)strtoul(pair, NULL, 16);
	}
	chain.sequence = strtoull(text + CHAIN_HEX_LEN + 1, NULL, 10);
	return true;
}

/* The last whole line in the last bytes of the file; false: they do not hold one. */
static bool find_last(size_t n, bool whole)
{
	char *end = memrchr(line, '\n', n), *begin;

	for (; end; end = begin) {
		begin = memrchr(line, '\n', (size_t)(end - line));
		if (!begin && !whole)
			return false;
		if (take_last(begin ? begin + 1 : line, end))
			return true;
	}
	return false;
}

/* A line that a crash left without its end was never confirmed: it goes, and the start says so. */
static ssize_t cut_torn(size_t n)
{
	char *end = memrchr(line, '\n', n);
	size_t torn = end ? n - (size_t)(end + 1 - line) : n;

	if (torn == 0)
		return 0;
	/* Longer than any line of ours: kept for the verifier to name. */
	if (!end && (off_t)n < file_size)
		return fd_write_all(file.fd, "\n", 1);
	if (ftruncate(file.fd, file_size - (off_t)torn))
		return -1;
	file_size -= (off_t)torn;
	return (ssize_t)torn;
}

/* Goes on from the last whole line of the file; bytes that were cut, or -1. */
static ssize_t read_tail(void)
{
	size_t want = TAIL_MIN;
	ssize_t n;

	if (file_size == 0)
		return 0;
	for (;; want *= 4) {
		want = MIN(want, sizeof(line));
		want = MIN(want, (size_t)file_size);
		n = pread(file.fd, line, want, file_size - (off_t)want);
		if (n <= 0)
			return -1;
		if (find_last((size_t)n, want == (size_t)file_size) || want == sizeof(line) ||
		    want == (size_t)file_size)
			break;
	}
	return cut_torn((size_t)n);
}

/* Opened and ours alone: a recorder that has not ended yet may still write its last lines. */
static int open_locked(void)
{
	struct stat st, now;

	for (;;) {
		file.fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
		if (file.fd < 0 || flock(file.fd, LOCK_EX | LOCK_NB) || fstat(file.fd, &st))
			return -1;
		/* Rotated in between: then the new one. */
		if (stat(path, &now) == 0 && now.st_ino == st.st_ino && now.st_dev == st.st_dev) {
			file_size = st.st_size;
			return 0;
		}
		file.fd = fd_close(file.fd);
	}
}

static void start_file(void *arg)
{
	ssize_t cut = open_locked() ? -1 : read_tail();

	if (cut < 0) {
		file_failed("cannot be opened");
		return;
	}
	put_start((size_t)cut);
	sink_flush(&file);
	if (file.fd >= 0 && silent)
		LOG("%s: decisions are logged to disk again", path);
	silent = silent && file.fd < 0;
}

static void rotate(void)
{
	char from[PATH_MAX], to[PATH_MAX];
	int i;

	(void)fdatasync(file.fd);
	anchor();
	for (i = FILES - 1; i >= 0; i--) {
		int n = i ? snprintf(from, sizeof(from), "%s.%d", path, i)
		          : snprintf(from, sizeof(from), "%s", path);
		int m = snprintf(to, sizeof(to), "%s.%d", path, i + 1);

		if (n >= (int)sizeof(from) || m >= (int)sizeof(to))
			return;
		if (rename(from, to) && errno != ENOENT)
			LOG_ERRNO("%s cannot be renamed", from);
	}
	file.fd = fd_close(file.fd);
	start_file(NULL);
}

/* Tells the service how many records it need not count as lost any more. */
static void confirm(void)
{
	uint8_t frame[4];

	le32_put(frame, taken);
	if (channel_send(&channel, frame, sizeof(frame)))
		LOG_ERRNO("the policy service takes no confirmation");
}

static void on_sync(void *arg)
{
	if (file.fd >= 0 && fdatasync(file.fd))
		LOG_ERRNO("the decision log cannot be written to disk");
}

static void on_pause_over(void *arg)
{
	channel_pause(&channel, false);
}

/*
 * Nobody waits for a record. Those of a busy time are taken together, or each call would be slowed
 * down by a process that wakes in the middle of it; until then they are safe in the socket.
 */
static void pause_reading(void)
{
	channel_pause(&channel,
	              loop_timer_set(loop, &pause_timer, PAUSE_MS, on_pause_over, NULL) == 0);
}

static void flush(void *arg)
{
	pause_reading();
	sink_flush(&journal);
	sink_flush(&file);
	behind = 0;
	confirm();
	if (file.fd < 0)
		return;
	if (file_size >= FILE_MAX)
		rotate();
	if (!sync_timer.index && loop_timer_set(loop, &sync_timer, SYNC_MS, on_sync, NULL))
		on_sync(NULL);
	if (chain.sequence - anchored >= ANCHOR_EACH)
		anchor();
}

/* A value without spaces: escaped, and spaces escaped too. */
static size_t put_value(size_t at, const char *key, const char *value)
{
	static char text[4U * DECISION_TEXT_MAX + 1];
	size_t i, n = escape_text(text, sizeof(text), value, strlen(value));
	int m = snprintf(body + at, sizeof(body) - at, " %s=", key);

	if (m < 0 || at + (size_t)m + 4 * n + 1 >= sizeof(body))
		return at;
	at += (size_t)m;
	for (i = 0; i < n; i++) {
		if (text[i] == ' ')
			at += (size_t)snprintf(body + at, sizeof(body) - at, "\\x20");
		else
			body[at++] = text[i];
	}
	body[at] = 0;
	return at;
}

static size_t put_if(size_t at, const char *key, const char *value)
{
	return value[0] ? put_value(at, key, value) : at;
}

static void put_record(const struct decision_record *r)
{
	static const char *const words[] = {" deny", " allow", " none"};
	char text[PATH_MAX + 32];
	size_t at = put_time(body, sizeof(body), r->time_ns);

	at += (size_t)snprintf(body + at, sizeof(body) - at, "%s", words[r->verdict]);
	at = put_value(at, "source", r->true_source);
	if (strcmp(r->true_source, r->source) != 0)
		at = put_value(at, "for", r->source);
	at = put_value(at, "target", r->target);
	at = put_value(at, "service", r->service);
	at = put_if(at, "to", r->final);
	if (r->file[0]) {
		(void)snprintf(text, sizeof(text), r->line ? "%s:%u" : "%s", r->file, r->line);
		at = put_value(at, "rule", text);
	}
	at = put_if(at, "reason", r->reason);
	at = put_if(at, "asked", r->asked);
	if (r->flags & DECISION_JUST)
		at = put_value(at, "mode", r->flags & DECISION_ASSUMED ? "just,assumed" : "just");
	else if (r->flags & DECISION_ASSUMED)
		at = put_value(at, "mode", "assumed");
	if (r->lost || missing) {
		(void)snprintf(text, sizeof(text), "%u", r->lost + missing);
		(void)put_value(at, "lost", text);
		behind += missing;
		missing = 0;
	}
	behind += 1 + r->lost;
	put_line();
}

/* A message of the original's form, escaped. */
PRINTF_LIKE(1, 2) static void say(const char *fmt, ...)
{
	static char text[8192], safe[4U * sizeof(text) + 2];
	va_list args;
	size_t n;
	int len;

	va_start(args, fmt);
	len = vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (len < 0)
		return;
	n = escape_text(safe, sizeof(safe) - 1, text, MIN((size_t)len, sizeof(text) - 1));
	safe[n++] = '\n';
	sink_add(&journal, safe, n);
}

static void say_record(const struct decision_record *r)
{
	const char *argument = strchr(r->service, '+') ? "" : "+";

	if (r->flags & DECISION_UNKNOWN_TARGET)
		say("qrexec: %s: %s -> %s: the target is not a known qube, taken as @default",
		    r->service, r->source, r->target);
	if (r->flags & DECISION_IGNORED_DEFAULT)
		say("qrexec: %s%s: %s -> %s: default_target= is not among the targets, ignored",
		    r->service, argument, r->source, r->requested);
	if (r->verdict == POLICY_ALLOWED)
		say("qrexec: %s%s: %s -> %s: allowed to %s", r->service, argument, r->source,
		    r->requested, r->final);
	else if (strncmp(r->reason, "error loading", 13) == 0)
		say("qrexec: %s: %s -> %s: %s", r->service, r->true_source, r->target, r->reason);
	else
		say("qrexec: %s: %s -> %s: denied: %s%s%s", r->service, r->true_source, r->target,
		    r->reason, r->file[0] ? ", " : "", r->file);
}

static void on_frame(void *arg, const uint8_t *untrusted_data, size_t len)
{
	struct decision_record record;

	if (decision_record_decode(untrusted_data, len, &record)) {
		LOG("a malformed frame from the policy service");
		loop_stop(loop, 1);
		return;
	}
	taken++;
	say_record(&record);
	if (file.fd >= 0)
		put_record(&record);
	else
		missing += 1 + record.lost;
	loop_defer_set(loop, &flush_defer, flush, NULL);
}

static void on_close(void *arg)
{
	loop_stop(loop, 0);
}

int main(int argc, char **argv)
{
	int r;

	log_init("skerry-policy");
	if (argc == 2 && strcmp(argv[1], "--version") == 0)
		return dprintf(STDOUT_FILENO, "%s\n", SKERRY_VERSION) < 0;
	if (argc > 2 || fcntl(CHANNEL_FD, F_GETFD) < 0) {
		LOG("%s is started by skerry-policy", argv[0]);
		return 2;
	}
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGTERM, SIG_IGN);
	(void)signal(SIGPIPE, SIG_IGN);
	path = argc == 2 ? argv[1] : NULL;
	loop = loop_new();
	if (!loop || fd_set_cloexec(CHANNEL_FD, true) ||
	    channel_init(&channel, loop, CHANNEL_FD, DECISION_FRAME_MAX, DECISION_FRAME_MAX)) {
		LOG_ERRNO("cannot start");
		return 1;
	}
	channel.on_frame = on_frame;
	channel.on_close = on_close;
	if (recorder_confine(path))
		return 1;
	if (path)
		start_file(NULL);
	r = loop_run(loop);
	sink_flush(&journal);
	sink_flush(&file);
	on_sync(NULL);
	anchor();
	return r == 0 ? 0 : 1;
}
