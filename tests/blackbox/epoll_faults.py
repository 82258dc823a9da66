# SPDX-License-Identifier: GPL-2.0-or-later
"""Each wait of a running agent is interrupted in turn, each addition to what it watches fails.

If these failed, a signal could end a qube's agent or lose its calls, and one short of memory would not
live on. The agent is a test build whose epoll_wait and epoll_ctl fail on demand: failing_epoll.c."""

import mmap
import struct

from agent_serving import *

AGENT = os.path.join(BUILD, "tests/blackbox/qrexec-agent-failing")
NONE, WAITS, ADDITIONS = -1, 0, 1


class Faults:
    """The numbers that failing_epoll.c reads."""

    def __init__(self, t):
        self.path = t.file("faults", struct.pack("<3i", NONE, 0, WAITS))
        os.chmod(self.path, 0o666)
        with open(self.path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), 12)

    def set(self, which, left):
        """The call of that kind after the next left ones fails."""
        self.map[0:4] = struct.pack("<i", NONE)
        self.map[4:12] = struct.pack("<2i", 0, which)
        self.map[0:4] = struct.pack("<i", left)

    def clear(self):
        """Whether it was reached."""
        self.map[0:4] = struct.pack("<i", NONE)
        return struct.unpack("<i", self.map[4:8])[0] > 0


def agent_case(t, command, good):
    faults = Faults(t)
    serving = Serving(t, program=AGENT, env={"SKERRY_FAULT_FILE": faults.path})
    agent = serving.dom0.agent
    total = 0
    for which, name in ((WAITS, "epoll_wait"), (ADDITIONS, "an addition")):
        for n in numbers():
            what = f"{name} {n}"
            faults.set(which, n - 1)
            try:
                messages = serving.call(command(serving.dom0))
            except TimeoutError:
                raise Failure(f"{what}: a hang") from None
            hit = faults.clear()
            check(agent.running(), f"{what}: the agent ended: {agent.stderr[-500:]}")
            if which == WAITS or not hit:
                equal(collect(messages), (good, b"", 0), f"{what}: {agent.stderr[-500:]}")
            elif messages and messages[-1][0] == DATA_EXIT_CODE:
                code = struct.unpack("<i", messages[-1][1])[0]
                check(code in (0, PROBLEM), f"{what}: code {code}")
                if code == 0:
                    equal(collect(messages), (good, b"", 0), f"{what}: success with bytes lost")
            equal(collect(serving.call(command(serving.dom0))), (good, b"", 0), f"the next call after {what}")
            if not hit:
                break
            total += 1
    print(f"# {total} faults", flush=True)
    check(total > 5, "faults that were reached")


@case("faults-08 qrexec-agent: a program, what waits and what is watched")
def _(t):
    service(t, "qubes.Echo", "exec cat\n")
    agent_case(t, lambda dom0: f"{dom0.user}:QUBESRPC qubes.Echo domX", INPUT)


@case("faults-09 qrexec-agent: a socket service, what waits and what is watched")
def _(t):
    agent_case(t, lambda dom0: f"{dom0.user}:QUBESRPC qubes.Socket domX", TEXT)


if __name__ == "__main__":
    main()
