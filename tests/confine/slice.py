# SPDX-License-Identifier: GPL-2.0-or-later
"""Attacks from inside the real slices of a qube and the broker of channels, in their real confinement.
Needs a tree of -Dattack=true.

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


def world(t, memory_max=MEMORY_MAX, files_max=FILES_MAX):
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
        victim.pid, memory_max, files_max))


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


def refused(name, program):
    """From what the attacked process and its keeper logged: it came to it, and it was not let."""
    log = program.stderr.decode()
    check(f"attack {name} begins\n" in log, f"it never came to it: {log}")
    result = re.search(rf"attack {name}: (\d+)\n", log)
    check(not result or int(result[1]) != 0, f"the attack succeeded: {log}")


def leak(t):
    secret = os.open(t.file("leaked", "leaked"), os.O_RDONLY)
    os.dup2(secret, LEAKED)
    os.close(secret)


def attack_qubesdb(name):
    @case("confine the QubesDB slice: " + name)
    def _(t):
        leak(t)
        # The limits that stand in slice_main.c.
        env = {"SKERRY_ATTACK": "skerry-qubesdb-slice:" + name,
               "SKERRY_ATTACK_WORLD": world(t, 512 << 20, 288)}
        keeper = t.start("skerry-qubesdb", "--foreground", "42", "v", env=env, pass_fds=[LEAKED])
        os.close(LEAKED)
        equal(keeper.wait(), 1)
        refused(name, keeper)


# What the broker is for: sockets of its domains. It cannot connect them.
BROKER_MAY = {"make-socket"}


def attack_broker(name):
    @case("confine the broker of channels: " + name)
    def _(t):
        leak(t)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        t.own(ours)
        env = {"SKERRY_ATTACK": "skerry-channels:" + name, "SKERRY_ATTACK_WORLD": world(t, 128 << 20, 0)}
        broker = t.start("skerry-channels", "--dir=" + t.path("channels"), f"--monitor-fd={theirs.fileno()}",
                         env=env, pass_fds=[LEAKED, theirs.fileno()])
        os.close(LEAKED)
        broker.wait()
        refused(name, broker)


if __name__ == "__main__":
    for attack_name in ATTACKS:
        attack(attack_name)
        attack_qubesdb(attack_name)
        if attack_name not in BROKER_MAY:
            attack_broker(attack_name)
    main()
