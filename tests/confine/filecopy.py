# SPDX-License-Identifier: GPL-2.0-or-later
"""Attacks from inside the real receivers of files and their sender, in their real confinement. Needs -Dattack=true.

If one of these failed, whoever takes a receiver over by the stream it reads could reach what lies
outside of the folder it receives into, or take away what lies in it. That each attack succeeds where
nothing is confined is shown by tests/confine/confine.c."""

import os
import re
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../blackbox"))
from filecopy_common import *  # noqa: E402,F403

ATTACKS = re.findall(r'^\s*\{"([a-z-]+)", \w+\},$',
                     open(os.path.join(SOURCE, "lib/sandbox/attack.c"), encoding="utf-8").read(),
                     re.MULTILINE)
MEMORY_MAX, FILES_MAX = 256 << 20, 64
# What the sender is for: it reads whatever its user names, and holds what its caller gave it.
SENDER_MAY = {"open-secret", "list-folder", "open-passwd", "use-leaked"}
LEAKED = 50
RECEIVERS = {"qfile-unpacker": [QUBE + "qfile-unpacker", ""],
             "qfile-dom0-unpacker": [DOM0 + "qfile-dom0-unpacker", str(os.getuid())]}


def world(t, memory_max=MEMORY_MAX):
    """What there is to attack: texts for SKERRY_ATTACK_WORLD."""
    t.file("w/secret", "secret")
    t.file("w/victim", "victim")
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
        victim.pid, memory_max, FILES_MAX))


def attack(program, name):
    @case(f"confine {program}: {name}")
    def _(t):
        os.dup2(os.open(t.file("leaked", "leaked"), os.O_RDONLY), LEAKED)
        t.file("into/secret", "what came before")
        os.chmod(t.path("into"), 0o777)
        env = {"SKERRY_ATTACK": "qfile-unpacker:" + name, "SKERRY_ATTACK_WORLD": world(t),
               "SKERRY_ATTACK_START": t.path("into")}
        receiver = t.start(*RECEIVERS[program], t.path("into"), env=env, pass_fds=[LEAKED])
        os.close(LEAKED)
        receiver.close_stdin()
        status = receiver.wait()
        said = receiver.stderr.decode()
        check(f"attack {name} begins\n" in said, f"the receiver never came to it: {status} {said}")
        result = re.search(rf"attack {name}: (\d+)\n", said)
        # Without a result the attack was the end of the receiver.
        check(int(result[1]) != 0 if result else "Bad system call" in said, f"the attack succeeded: {said}")
        equal((t.read("w/secret"), os.listdir(t.path("into"))), (b"secret", ["secret"])
              if name != "climb-by-link" else (b"secret", os.listdir(t.path("into"))))
        check(not os.path.exists(t.path("w/climbed")), "a file outside")
        equal(t.read("w/victim"), b"victim")


def attack_sender(name):
    @case(f"confine qfile-agent: {'may ' * (name in SENDER_MAY)}{name}")
    def _(t):
        os.dup2(os.open(t.file("leaked", "leaked"), os.O_RDONLY), LEAKED)
        env = {"SKERRY_ATTACK": "qfile-agent:" + name, "SKERRY_ATTACK_WORLD": world(t, 1 << 30),
               "SKERRY_ATTACK_START": t.path("w")}
        sender = t.start(QUBE + "qfile-agent", t.path("w/secret"), env=env, pass_fds=[LEAKED])
        os.close(LEAKED)
        sender.close_stdin()
        status = sender.wait()
        said = sender.stderr.decode()
        check(f"attack {name} begins\n" in said, f"the sender never came to it: {status} {said}")
        result = re.search(rf"attack {name}: (\d+)\n", said)
        equal(bool(result) and int(result[1]) == 0, name in SENDER_MAY, said)
        check(result or status == 128 + 31, f"it ended without an answer: {status} {said}")
        equal((t.read("w/secret"), t.read("w/victim")), (b"secret", b"victim"))


if __name__ == "__main__":
    for attack_name in ATTACKS:
        attack_sender(attack_name)
    for receiver_name in RECEIVERS:
        for attack_name in ATTACKS:
            attack(receiver_name, attack_name)
    main()
