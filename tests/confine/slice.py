# SPDX-License-Identifier: GPL-2.0-or-later
"""Attacks from inside the real qrexec slice, in its real confinement. Needs a tree of -Dattack=true.

If one of these failed, a qube that took over its slice could reach dom0 or another qube from there.
That each attack succeeds where nothing is confined is shown by tests/confine/confine.c."""

import os
import re
import socket
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../blackbox"))
from daemon_common import *  # noqa: E402,F403

ATTACKS = re.findall(r'^\s*\{"([a-z-]+)", \w+\},$',
                     open(os.path.join(SOURCE, "lib/sandbox/attack.c"), encoding="utf-8").read(),
                     re.MULTILINE)
MEMORY_MAX, FILES_MAX = 64 << 20, 16
LEAKED = 50


def world(t):
    """What there is to attack: texts for SKERRY_ATTACK_WORLD."""
    t.file("w/secret", "secret")
    t.script("w/runs", "exit 0\n")
    t.listen(t.path("w/socket"))
    abstract = t.own(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
    abstract.bind("\0skerry-attack-" + os.path.basename(t.dir))
    abstract.listen()
    tcp = t.own(socket.socket())
    tcp.bind(("127.0.0.1", 0))
    tcp.listen()
    victim = t.start("/bin/sleep", "1000")
    return " ".join(str(part) for part in (
        t.path("w"), "skerry-attack-" + os.path.basename(t.dir), tcp.getsockname()[1], -1, LEAKED,
        victim.pid, MEMORY_MAX, FILES_MAX))


def attack(name):
    @case("confine the qrexec slice: " + name)
    def _(t):
        secret = os.open(t.file("leaked", "leaked"), os.O_RDONLY)
        os.dup2(secret, LEAKED)
        os.close(secret)
        env = {"SKERRY_ATTACK": "skerry-qrexec-slice:" + name, "SKERRY_ATTACK_WORLD": world(t)}
        server = t.vchan_server(42, 0, CONTROL)
        daemon = t.start("skerry-qrexec", "--direct", "-u", UUID, "--socket-dir=" + t.dir, "42", "v",
                         env=env, pass_fds=[LEAKED])
        os.close(LEAKED)
        t.own(server.accept())
        equal(daemon.wait(), 1)
        log = daemon.stderr.decode()
        check(f"attack {name} begins\n" in log, f"the slice never came to it: {log}")
        result = re.search(rf"attack {name}: (\d+)\n", log)
        # Without a result the attack was the end of the slice.
        check(not result or int(result[1]) != 0, f"the attack succeeded: {log}")


if __name__ == "__main__":
    for attack_name in ATTACKS:
        attack(attack_name)
    main()
