# SPDX-License-Identifier: GPL-2.0-or-later
"""The monitor, the toolstacks, their makers of qubes and the local maker's child, the builder of domains, the keepers of a
qube's QubesDB and qrexec, and the reader of logs, attacked from inside their confinement. Those of Xen need no Xen for that:
confine-xen gives up what they do, by their code; tests/xen/confined.c is for what the hypervisor's own handles allow.

If this fails, whoever takes over one of the processes that hold the system together by what another one
says to it can do more with it than doc/confinement.md admits. Each attack is run in a test build by the
program itself; tests/confine/confine.c shows that each succeeds where nothing is confined.

Usage: control.py [root]   with "root": as root, or not at all
"""

import os
import re
import signal
import socket
import subprocess
import sys

import admin
from admin import ATTACKS, BUILD, HANG, LEAKED, World, one_of

import monitor_wire as w  # of tests/blackbox, which admin.py put into the path

ROOT = os.geteuid() == 0
# bytes of memory and descriptors, at most; 0: not limited, or by whoever starts it
admin.LIMITS.update({"skerryd": (1 << 30, 1 << 20), "skerry-ground-local": (256 << 20, 1 << 20),
                     "skerry-qubesdb": (64 << 20, 64), "skerry-qrexec": (1 << 30, 1 << 20),
                     "skerry log": (256 << 20, 1 << 20),
                     "skerry-ground-xen": (256 << 20, 1 << 20), "skerry-ground-xen maker": (256 << 20, 64),
                     "skerry-xen-builder": (6 << 30, 64),
                     "skerry-ground-local maker": (0, 0), "skerry-ground-local child": (0, 0)})
# What is their work, and why. All else is refused.
MAY = {
    "skerryd": {"signal-by-descriptor": "it ends processes, also those of a monitor before it"},
    "skerry-ground-local": {"signal-by-descriptor": "it ends and stops the processes of qubes",
                            "signal-other": "a child that cannot be watched"},
    "skerry log": {},
    "skerry-ground-xen": {"signal-by-descriptor": "it ends makers and readers of consoles",
                          "signal-other": "a child that cannot be watched"},
    "skerry-ground-xen maker": {},
    "skerry-xen-builder": {},
    "skerry-qrexec": {
        "make-socket": "its qube, its clients, policy, qubesd, the daemons of other qubes",
        "connect-path": "the same: no mechanism of the kernel tells one Unix socket's path from another's",
        "signal-other": "it ends slices and the runner",
    },
    "skerry-qubesdb": {
        "make-socket": "the broker of channels, or the qube itself where there is none",
        "connect-path": "the same: no mechanism of the kernel tells one Unix socket's path from another's",
        "signal-other": "it ends its slice",
    },
}
if ROOT:
    # The same right tells in whose PID namespace a process is, and no user namespace stands between.
    MAY["skerry-ground-local"]["read-memory"] = "CAP_SYS_PTRACE: whose a process in /proc is"
# They make namespaces, mounts and processes; what they have given up goes over to qubes.
GAVE_UP = ["load-bpf", "use-keyring", "make-ring", "make-userfault", "count-events", "gain-privileges", "use-leaked"]
UUID = "12345678-1234-1234-1234-1234567890ab"
MAKERS = ["skerry-ground-local maker", "skerry-ground-local child"]
XEN = ["skerry-ground-xen", "skerry-ground-xen maker", "skerry-xen-builder"]
CAPS = {"skerryd": 1 << 5, "skerry-ground-local": 1 << 5 | 1 << 19, "skerry-qubesdb": 1 << 1,
        "skerry-qrexec": 1 << 1, "skerry-ground-xen": 1 << 5, "skerry-ground-xen maker": 0, "skerry-xen-builder": 0}


class Program:
    """One that runs, in the world, with an attacker in it or none."""

    def __init__(self, world, name, attack=None):
        env = dict(world.environment(name, attack), SKERRY_ROOT=world.root)
        os.makedirs(os.path.join(world.root, "run/skerry"), exist_ok=True)
        os.makedirs(os.path.join(world.root, "var/log/qubes"), exist_ok=True)
        with open(os.path.join(world.root, "var/log/qubes/qrexec.v.log"), "w", encoding="ascii") as log:
            log.write("a line\n")
        self.ours, theirs = w.pair()
        theirs.set_inheritable(True)
        argv = {
            "skerryd": ["monitor/skerryd", "--without=skerry-ground-local", "--without=skerry-channels",
                        "--without=skerry-policy", f"--admin-fd={theirs.fileno()}"],
            "skerry log": ["tools/skerry", "log", "v"],
            "skerry-qrexec": ["slices/qrexec/skerry-qrexec", "--direct", "--uuid=" + UUID, "42", "v"],
            "skerry-qubesdb": ["slices/qubesdb/skerry-qubesdb", "--foreground", "42", "v"],
            **{xen: ["tests/confine/confine-xen", xen, str(theirs.fileno())] for xen in XEN},
        }.get(name, ["hypervisor/skerry-ground-local", f"--monitor-fd={theirs.fileno()}"])
        self.process = subprocess.Popen([os.path.join(BUILD, argv[0]), *argv[1:]], env=env,
                                        pass_fds=[LEAKED, theirs.fileno()], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        theirs.close()
        if name.endswith(" child"):
            self.order(world)

    def order(self, world):
        private = os.path.join(world.root, "private")
        os.makedirs(private, exist_ok=True)
        w.Peer(self.ours).ask(w.CREATE, domid=7, name="work", uuid=b"u" * 16, volumes=[
            ("root", w.VOLUME_HOST, "", 1), ("private", w.VOLUME_DIR, private, 0)])

    def end(self):
        if self.process.poll() is None and self.ours:
            self.ours.close()
        try:
            _, said = self.process.communicate(timeout=HANG)
        finally:
            self.process.kill()
            self.process.wait(HANG)
        return self.process.returncode, said.decode(errors="replace")


def run(world, name, attack):
    """What it came to: "refused", "succeeded", or a text that is neither."""
    program = Program(world, name, attack)
    if not name.endswith(" child"):
        try:
            program.process.wait(HANG)
        except subprocess.TimeoutExpired:
            pass
    status, said = program.end()
    said = said.replace(r"\x0a", "\n")  # what the toolstack repeats of its child
    result = re.search(r"attack %s: (\d+)$" % attack, said, re.MULTILINE)
    if f"attack {attack} begins\n" not in said:
        return f"it never came to it: status {status}, said {said[-500:]}"
    if result:
        return "refused" if int(result[1]) else "succeeded"
    return "refused" if name in MAKERS or status == -signal.SIGSYS else f"it ended without an answer: {status} {said[-500:]}"


def as_seen(world, name):
    """What the kernel says of one that serves."""
    program = Program(world, name)
    try:
        if name == "skerryd":
            w.Peer(program.ours).send(w.HELLO, 1, version=1)
        elif name == "skerry-ground-local":
            w.Peer(program.ours).wait(lambda m: m.kind == w.END)
        proc = f"/proc/{program.process.pid}/"
        # Until it has confined itself.
        for _ in range(500):
            with open(proc + "status", encoding="ascii") as f:
                status = f.read()
            if one_of(status, "Seccomp:") == ["2"]:
                break
            signal.sigtimedwait([], 0.02)
        with open(proc + "limits", encoding="ascii") as f:
            limits = f.read()
        found = {key: one_of(status, key + ":")[0] for key in ("NoNewPrivs", "Seccomp", "CapEff")}
        found["memory"] = one_of(limits, "Max address space")[0]
        found["core"] = one_of(limits, "Max core file size")[0]
        found["owner"] = os.stat(proc + "status").st_uid
        # An ordinary user's toolstack has its capabilities in a user namespace of its own.
        caps = CAPS[name] if ROOT or name.startswith("skerry-ground") else 0
        wanted = {"NoNewPrivs": "1", "Seccomp": "2", "CapEff": "%016x" % caps, "memory": str(admin.LIMITS[name][0]),
                  "core": "0", "owner": 0}
        return "" if found == wanted else f"{found!r}, not {wanted!r}"
    finally:
        program.process.terminate()
        program.end()


def cases():
    for name, may in MAY.items():
        if name in CAPS:
            yield name + ": is what the kernel says", as_seen, name, None
        for attack in ATTACKS:
            # Their descriptors are closed before they are these programs: toolstack.c, console.c.
            if name in XEN and attack == "use-leaked":
                continue
            wanted = "succeeded" if attack in may else "refused"
            yield f"{name}: {'may ' * (attack in may)}{attack}", wanted, name, attack
    for name in MAKERS:
        for attack in GAVE_UP:
            yield f"{name}: {attack}", "refused", name, attack


def main():
    if sys.argv[1:] == ["root"] and not ROOT:
        print("1..0 # SKIP needs root")
        return 0
    world = World()
    rows = list(cases())
    failed = 0
    print("1..%d" % len(rows))
    for number, (title, wanted, name, attack) in enumerate(rows, 1):
        if attack is None:
            why = wanted(world, name)
        else:
            came = run(world, name, attack)
            why = "" if came == wanted else came
        print("%sok %d - %s" % ("not " if why else "", number, title), flush=True)
        if why:
            failed += 1
            print("# " + why.replace("\n", "\n# "))
    world.close()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
