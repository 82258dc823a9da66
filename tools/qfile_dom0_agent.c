/* SPDX-License-Identifier: GPL-2.0-or-later */
/* qfile-dom0-agent: sends files of dom0 to a qube; started by dom0's qvm-copy-to-vm. */
#include "filecopy/agent.h"

int main(int argc, char **argv)
{
	return filecopy_agent_main("qfile-dom0-agent", argc, argv);
}
