/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tools/ask_screen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lib/base/fd.h"

/* Drawing and keys. Everything that a qube chose passes ask_show(). */

static struct {
	char data[16384];
	size_t len;
} page;

static void page_flush(void)
{
	/* A terminal that went away also ends the input, which is what counts. */
	if (fd_write_all(STDOUT_FILENO, page.data, page.len))
		page.len = 0;
	page.len = 0;
}

static void page_add(const char *text)
{
	size_t len = strlen(text);

	if (page.len + len >= sizeof(page.data))
		return;
	memcpy(page.data + page.len, text, len);
	page.len += len;
}

static unsigned int columns(void)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) || size.ws_col < 20)
		return 80;
	return size.ws_col;
}

/* One row, cut to the width so that the count of rows is true. */
static void row(struct ask_screen *screen, enum skerry_style style, const char *text)
{
	char cut[512];
	size_t max = MIN((size_t)columns() - 1, sizeof(cut) - 1);

	(void)snprintf(cut, max + 1, "%s", text);
	page_add(skerry_style(screen->options, style));
	page_add(cut);
	page_add(skerry_style(screen->options, STYLE_PLAIN));
	page_add("\r\n");
	screen->rows++;
}

static void erase(struct ask_screen *screen)
{
	char move[32];

	if (screen->rows == 0)
		return;
	(void)snprintf(move, sizeof(move), "\033[%uA\r\033[J", screen->rows);
	page_add(move);
	screen->rows = 0;
}

/* A number picks by place, anything else by part of the name. */
static size_t filter_number(const struct ask_screen *screen)
{
	if (!screen->filter_len || screen->filter[strspn(screen->filter, "0123456789")])
		return 0;
	return strtoul(screen->filter, NULL, 10);
}

static bool fits(const struct ask_screen *screen, size_t index)
{
	size_t number = filter_number(screen);

	if (number >= 1 && number <= screen->request->n_targets)
		return index + 1 == number;
	return strstr(screen->request->targets[index], screen->filter) != NULL;
}

static size_t count_fits(const struct ask_screen *screen)
{
	size_t i, n = 0;

	for (i = 0; i < screen->request->n_targets; i++)
		n += fits(screen, i);
	return n;
}

/* The target under the cursor; NULL: none is chosen. */
static const char *choice(const struct ask_screen *screen)
{
	size_t i, n = 0;

	for (i = 0; screen->chosen && i < screen->request->n_targets; i++)
		if (fits(screen, i) && n++ == screen->cursor)
			return screen->request->targets[i];
	return NULL;
}

static void draw_targets(struct ask_screen *screen)
{
	const struct ask_request *request = screen->request;
	size_t first = screen->cursor >= ASK_ROWS ? screen->cursor - ASK_ROWS + 1 : 0;
	size_t i, n = 0, total = count_fits(screen);
	char safe[ASK_TEXT_MAX + 4], text[ASK_TEXT_MAX + 64];

	for (i = 0; i < request->n_targets && n < first + ASK_ROWS; i++) {
		bool disposable = strncmp(request->targets[i], "@dispvm:", 8) == 0;

		if (!fits(screen, i) || n++ < first)
			continue;
		ask_show(safe, request->targets[i] + (disposable ? 8 : 0));
		(void)snprintf(text, sizeof(text),
		               disposable ? " %s %3zu  Disposable VM (%s)" : " %s %3zu  %s",
		               screen->chosen && n - 1 == screen->cursor ? ">" : " ", i + 1, safe);
		row(screen, screen->chosen && n - 1 == screen->cursor ? STYLE_BOLD : STYLE_PLAIN,
		    text);
	}
	if (total > first + ASK_ROWS) {
		(void)snprintf(text, sizeof(text), "      ... and %zu more",
		               total - first - ASK_ROWS);
		row(screen, STYLE_FAINT, text);
	}
	if (total == 0)
		row(screen, STYLE_FAINT, "      no target fits");
}

void ask_screen_draw(struct ask_screen *screen)
{
	char safe[ASK_TEXT_MAX + 4], argument[ASK_TEXT_MAX + 4], text[3 * ASK_TEXT_MAX];
	const struct ask_request *request = screen->request;

	erase(screen);
	if (request) {
		row(screen, STYLE_PLAIN, "");
		ask_show(safe, request->source);
		(void)snprintf(text, sizeof(text), "Source     %s", safe);
		row(screen, STYLE_BOLD, text);
		ask_show(safe, request->service);
		ask_show(argument, strcmp(request->argument, "+") == 0 ? "" : request->argument);
		(void)snprintf(text, sizeof(text), "Operation  %s%s", safe, argument);
		row(screen, STYLE_BOLD, text);
		draw_targets(screen);
		(void)snprintf(text, sizeof(text), "Target: %s_", screen->filter);
		row(screen, STYLE_PLAIN, text);
		(void)snprintf(text, sizeof(text), "%s%s",
		               !screen->armed ? "Wait ..."
		               : choice(screen)
		                       ? "Enter: allow   Escape: refuse   type or arrows: choose"
		                       : "Escape: refuse   type or arrows: choose a target",
		               screen->waiting ? "   (more wait)" : "");
		row(screen, screen->armed ? STYLE_GOOD : STYLE_WARN, text);
	}
	page_flush();
}

void ask_screen_line(struct ask_screen *screen, const char *text)
{
	erase(screen);
	row(screen, STYLE_PLAIN, text);
	screen->rows = 0;
	ask_screen_draw(screen);
}

static void preselect(struct ask_screen *screen)
{
	const struct ask_request *request = screen->request;
	size_t i;

	screen->cursor = 0;
	screen->chosen = false;
	for (i = 0; i < request->n_targets; i++) {
		if (strcmp(request->targets[i], request->target) == 0) {
			screen->cursor = i;
			screen->chosen = true;
		}
	}
}

void ask_screen_show(struct ask_screen *screen, const struct ask_request *request)
{
	erase(screen);
	page_flush();
	screen->request = request;
	screen->armed = false;
	screen->filter[0] = 0;
	screen->filter_len = 0;
	if (request)
		preselect(screen);
	ask_screen_draw(screen);
}

static void filter_changed(struct ask_screen *screen)
{
	screen->cursor = 0;
	/* What was typed chooses once it leaves one. */
	screen->chosen = screen->filter_len > 0 && count_fits(screen) == 1;
	if (screen->filter_len == 0)
		preselect(screen);
}

static void move(struct ask_screen *screen, int step)
{
	size_t n = count_fits(screen);

	if (n == 0)
		return;
	if (screen->chosen && step > 0)
		screen->cursor = (screen->cursor + 1) % n;
	else if (screen->chosen)
		screen->cursor = (screen->cursor + n - 1) % n;
	screen->chosen = true;
}

static enum ask_result key(struct ask_screen *screen, char c, const char **ret_target)
{
	if (c == '\r' || c == '\n') {
		*ret_target = choice(screen);
		return screen->armed && *ret_target ? ASK_ALLOW : ASK_GOES_ON;
	}
	if (c == 3 || c == 4)
		return screen->armed ? ASK_DENY : ASK_GOES_ON;
	if ((c == 127 || c == 8) && screen->filter_len > 0)
		screen->filter[--screen->filter_len] = 0;
	else if (c > 32 && c < 127 && screen->filter_len < ASK_FILTER_MAX) {
		screen->filter[screen->filter_len++] = c;
		screen->filter[screen->filter_len] = 0;
	} else {
		return ASK_GOES_ON;
	}
	filter_changed(screen);
	return ASK_GOES_ON;
}

enum ask_result ask_screen_keys(struct ask_screen *screen, const char *keys, size_t len,
                                const char **ret_target)
{
	enum ask_result result = ASK_GOES_ON;
	size_t i;

	for (i = 0; screen->request && i < len && result == ASK_GOES_ON; i++) {
		if (keys[i] == 27 && i + 1 == len) {
			result = screen->armed ? ASK_DENY : ASK_GOES_ON;
		} else if (keys[i] == 27 && i + 2 < len &&
		           (keys[i + 1] == '[' || keys[i + 1] == 'O')) {
			if (keys[i + 2] == 'A' || keys[i + 2] == 'B')
				move(screen, keys[i + 2] == 'A' ? -1 : 1);
			i += 2;
		} else if (keys[i] != 27) {
			result = key(screen, keys[i], ret_target);
		}
	}
	return result;
}

int ask_screen_init(struct ask_screen *screen, const struct skerry_options *options)
{
	struct termios raw;

	*screen = (struct ask_screen){.options = options};
	if (tcgetattr(STDIN_FILENO, &screen->saved))
		return -1;
	raw = screen->saved;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ISIG | IEXTEN);
	raw.c_iflag &= ~(tcflag_t)(IXON | ICRNL);
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw))
		return -1;
	screen->raw = true;
	return 0;
}

void ask_screen_fini(struct ask_screen *screen)
{
	if (screen->raw)
		(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &screen->saved);
	screen->raw = false;
}
