/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qubes.GetImageRGBA: a picture of this qube, an icon of its theme, or a picture that follows the first
 * line, as raw pixels. Source: doc/protocol/services.md, GetImageRGBA.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "proto/services/image.h"
#include "qube/services/icons.h"
#include "qube/services/render.h"

#define ICON      "xdgicon:"
#define ICON_SIDE 512 /* pixels of an icon that is drawn; protocol */

static struct input in;

/* "-", or "TYPE:-": the type is a hint, and the picture says itself what it is. */
static bool follows(const char *line)
{
	size_t len = strlen(line);

	return strcmp(line, "-") == 0 || (len > 2 && strcmp(line + len - 2, ":-") == 0);
}

static int find(struct render *render, const char *line)
{
	char path[PATH_MAX];

	if (follows(line))
		return render_receive(render, NULL, 0, &in);
	if (strncmp(line, ICON, sizeof(ICON) - 1) != 0)
		return render_open(render, line);
	if (icons_find(line + sizeof(ICON) - 1, path)) {
		errno = ENOENT;
		return -1;
	}
	return render_open(render, path);
}

static int run(struct render *render)
{
	char line[PATH_MAX];
	ssize_t n;

	input_init(&in, STDIN_FILENO);
	n = input_line(&in, line, sizeof(line));
	if (n < 2 || line[n - 1] != '\n' || memchr(line, '\0', (size_t)n)) {
		LOG("which picture? one line: a file name, xdgicon:NAME, or -");
		return 1;
	}
	line[n - 1] = '\0';
	if (render_init(render) || find(render, line)) {
		LOG_ERRNO("%s", line);
		return 1;
	}
	return render_picture(render, ICON_SIDE, true, IMAGE_HEIGHT_MAX) ? 1 : 0;
}

int main(void)
{
	struct render render = {0};
	int status;

	log_init("qubes.GetImageRGBA");
	status = run(&render);
	render_fini(&render);
	return status;
}
