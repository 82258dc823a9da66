# SPDX-License-Identifier: GPL-2.0-or-later
"""skerry-admin and skerry-store, attacked from inside their own confinement.

The admin service reads what qubes wrote, the store what the admin service writes. If this fails, whoever
takes over one of them by that can read dom0's files, start programs, open connections that are none of
its work, or reach other processes. Each attack is run in a test build by the program itself, after
confine(); tests/confine/confine.c shows that each succeeds without it.

Usage: admin.py [root]   with "root": as root, or not at all
"""

import ctypes
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../blackbox"))
from admin_common import BUILD, HANG, Monitor

with open(os.path.join(HERE, "../../lib/sandbox/attack.c"), encoding="utf-8") as source:
    ATTACKS = re.findall(r'^\s*\{"([a-z-]+)", \w+\},$', source.read(), re.MULTILINE)
LEAKED = 50
IPC_CREAT, IPC_EXCL, IPC_RMID = 0o1000, 0o2000, 0
# program -> bytes of memory and descriptors, at most: rights.c and store_rights.c
LIMITS = {"skerry-admin": (4 << 30, 8192), "skerry-store": (512 << 20, 64)}
# What is their work, and why. All else is refused.
MAY = {
    "skerry-admin": {
        "make-socket": "QubesDB of each qube that starts, and the policy service, which may be started again",
        "connect-path": "the same: no mechanism of the kernel tells one Unix socket's path from another's",
    },
    "skerry-store": {},
}


class World:
    """What there is to attack, beside the folder that the programs work in."""

    def __init__(self):
        self.top = tempfile.mkdtemp(prefix="ca")
        self.dir, self.root = os.path.join(self.top, "w"), os.path.join(self.top, "root")
        os.makedirs(self.dir)
        os.makedirs(os.path.join(self.root, "run/qubes"))
        self.own = os.path.join(self.root, "var/lib/qubes/admin")
        os.makedirs(self.own, 0o700)
        for path in ("w/secret", "w/victim", "root/var/lib/qubes/admin/secret"):
            with open(os.path.join(self.top, path), "w", encoding="utf-8") as f:
                f.write("secret\n")
        shutil.copy("/bin/true", os.path.join(self.dir, "runs"))
        self.path = socket.socket(socket.AF_UNIX)
        self.path.bind(os.path.join(self.dir, "socket"))
        self.path.listen(8)
        self.name = "skerry-ca-%d" % os.getpid()
        self.abstract = socket.socket(socket.AF_UNIX)
        self.abstract.bind("\0" + self.name)
        self.abstract.listen(8)
        self.tcp = socket.create_server(("127.0.0.1", 0))
        self.victim = subprocess.Popen(["sleep", "1000"])
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.key = 0x5e000000 + os.getpid()
        self.segment = self.libc.shmget(self.key, 4096, IPC_CREAT | IPC_EXCL | 0o600)
        if self.segment < 0:
            raise OSError(ctypes.get_errno(), "shmget")
        secret = os.open(os.path.join(self.dir, "secret"), os.O_RDONLY)
        os.dup2(secret, LEAKED)
        os.close(secret)

    def environment(self, program, attack):
        env = dict(os.environ, SKERRY_ATTACK_START=self.own)
        if attack:
            env["SKERRY_ATTACK"] = program + ":" + attack
        env["SKERRY_ATTACK_WORLD"] = " ".join(str(part) for part in (
            self.dir, self.name, self.tcp.getsockname()[1], self.key, LEAKED, self.victim.pid,
            *LIMITS[program]))
        return env

    def close(self):
        self.victim.kill()
        self.victim.wait()
        self.libc.shmctl(self.segment, IPC_RMID, None)
        os.close(LEAKED)
        shutil.rmtree(self.top, ignore_errors=True)


class Pair:
    """Both programs, as the monitor joins them; the one to look at holds a descriptor too many."""

    def __init__(self, world, program, attack=None):
        self.program = program
        env = world.environment(program, attack)
        store, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.ground, monitor = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.monitor = Monitor(self.ground)
        self.monitor.start()
        self.ready, ready = os.pipe()
        self.processes = {}
        self.start(world, env, "skerry-store", ["--admin-fd=%d" % other.fileno()], [other.fileno()])
        self.start(world, env, "skerry-admin", [
            "--store-fd=%d" % store.fileno(), "--monitor-fd=%d" % monitor.fileno(), "--ready-fd=%d" % ready],
            [store.fileno(), monitor.fileno(), ready])
        for sock in (store, other, monitor):
            sock.close()
        os.close(ready)
        self.process = self.processes[program]

    def start(self, world, env, program, args, fds):
        watched = program == self.program
        self.processes[program] = subprocess.Popen(
            [os.path.join(BUILD, "services/admin", program), "--root=" + world.root, *args], env=env,
            pass_fds=fds + [LEAKED] * watched, stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE if watched else subprocess.DEVNULL)

    def end(self):
        """The status of the one that is looked at, and what it said."""
        try:
            _, said = self.process.communicate(timeout=HANG)
        finally:
            for process in self.processes.values():
                process.terminate()
                process.wait(HANG)
            self.ground.shutdown(socket.SHUT_RDWR)
            self.monitor.join(HANG)
            self.ground.close()
            os.close(self.ready)
        return self.process.returncode, said.decode(errors="replace")


def attacked(world, program, attack):
    """Why the attack is not known to be refused; "" if it is."""
    status, said = Pair(world, program, attack).end()
    result = re.search(r"attack %s: (\d+)\n" % attack, said)
    if "attack %s begins\n" % attack not in said:
        why = "it never came to it"
    elif result:
        why = "" if int(result[1]) else "the attack succeeded"
    else:
        # The filter's signal alone is a refusal; any other end is none.
        why = "" if status == -signal.SIGSYS else "it ended without an answer"
    return why and "%s; status %d, said: %s" % (why, status, said[-500:])


def allowed(world, program, attack):
    """That what stands in MAY is really let: a line that is not needed any more has to go."""
    _, said = Pair(world, program, attack).end()
    return "" if "attack %s: 0\n" % attack in said else "it is refused: " + said[-500:]


def one_of(text, name):
    return re.search(r"^%s\s+(.*)$" % name, text, re.MULTILINE)[1].split()


def as_seen(world, program):
    """What the kernel says of one that runs: what a filter's signal hides from the attacks."""
    pair = Pair(world, program)
    try:
        if os.read(pair.ready, 1) != b"\n":
            return "the service did not start"
        proc = "/proc/%d/" % pair.process.pid
        with open(proc + "status", encoding="ascii") as f:
            status = f.read()
        with open(proc + "limits", encoding="ascii") as f:
            limits = f.read()
        memory, files = LIMITS[program]
        found = {name: one_of(status, name + ":")[0] for name in ("NoNewPrivs", "Seccomp", "CapPrm", "CapEff", "CapBnd")}
        found.update({name: one_of(limits, name)[:2] for name in (
            "Max core file size", "Max address space", "Max open files")})
        # The files in /proc of a process that is not dumpable are root's.
        found["owner"] = os.stat(proc + "status").st_uid
        # A user's bounding set is without meaning: he cannot have a capability by no_new_privs.
        wanted = {"NoNewPrivs": "1", "Seccomp": "2", "CapPrm": "0" * 16, "CapEff": "0" * 16,
                  "CapBnd": "0" * 16 if os.geteuid() == 0 else found["CapBnd"],
                  "Max core file size": ["0", "0"], "Max address space": [str(memory)] * 2,
                  "Max open files": [str(files)] * 2, "owner": 0}
        return "" if found == wanted else "%r, not %r" % (found, wanted)
    finally:
        pair.processes["skerry-admin"].terminate()
        pair.end()


def main():
    if sys.argv[1:] == ["root"] and os.geteuid() != 0:
        print("1..0 # SKIP needs root")
        return 0
    world = World()
    cases = []
    for program, may in MAY.items():
        cases.append((program, "is what the kernel says", as_seen))
        for attack in ATTACKS:
            name, judge = ("may " + attack, allowed) if attack in may else (attack, attacked)
            cases.append((program, name, lambda w, p, judge=judge, attack=attack: judge(w, p, attack)))
    failed = 0
    print("1..%d" % len(cases))
    for number, (program, name, run) in enumerate(cases, 1):
        why = run(world, program)
        print("%sok %d - %s: %s" % ("not " if why else "", number, program, name), flush=True)
        if why:
            failed += 1
            print("# " + why.replace("\n", "\n# "))
    world.close()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
