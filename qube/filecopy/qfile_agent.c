/* SPDX-License-Identifier: GPL-2.0-or-later */
/* qfile-agent: sends files to another qube; the local program of qvm-copy's call. */
#include "filecopy/agent.h"

int main(int argc, char **argv)
{
	return filecopy_agent_main("qfile-agent", argc, argv);
}
