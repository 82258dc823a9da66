#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""./run xen: the system on real Xen, in QEMU without hardware help: dom0's image boots, qubes start, call each other, end.

Everything is done with dom0's commands, through its door (skerry-door(8)). The qubes stay on build/xen/disk; the next
./run xen finds them. Without a terminal: the same, every step checked, then switched off.
"""
import os
import shlex
import signal
import sys
import time

import tour
from tour import heading, paint, show, verdict

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(TOP, "tests", "xen"))

import dom0  # noqa: E402
import machine  # noqa: E402

PLACE = os.path.join(TOP, "build", "xen")
# Software emulation on a busy machine: only a hang takes so long.
LIMIT = 1200
POLICY = b"""qubes.Filecopy  *  work   vault  allow
qubes.Filecopy  *  vault  work   deny  notify=no
"""


class Tour:
    def __init__(self, image):
        self.m = dom0.Dom0(image, os.path.join(PLACE, "disk"))

    def run(self, *words, data=b"", check=True):
        """A command of dom0: (status, all that it said)."""
        if not self.m.door.sock:
            self.m.door.open(60)
        status, out, err = self.m.door.run(*words, data=data, seconds=LIMIT)
        said = (out + err).decode("utf-8", "backslashreplace")
        if check and status:
            raise tour.Failed("%s: %s" % (shlex.join(words), said.strip()))
        return status, said

    def shown(self, *words, data=b"", check=True):
        show("$ " + shlex.join(words))
        status, said = self.run(*words, data=data, check=check)
        if said.strip():
            show(said)
        return status, said

    def boot(self):
        heading("3. Xen boots, then dom0: one file that runs from memory, its state on build/xen/disk")
        began = time.monotonic()
        self.m.start()
        self.m.wait_ready(LIMIT)
        verdict(True, "its system answers at its door, %.0f s after QEMU began" % (time.monotonic() - began))
        self.shown("skerry", "init")
        # Without hardware help a PV kernel starts in half the time of a PVH one.
        for name, value in (("virt_mode", "pv"), ("memory", "144"), ("qrexec_timeout", str(LIMIT))):
            self.run("qvm-prefs", "tiny", name, value)
        self.run("qubes-policy", "-r", "30-user", data=POLICY)
        self.shown("skerry", "status")

    def qubes(self):
        heading("4. Two qubes, work and vault: domains of Xen")
        have = self.run("qvm-ls", "--raw-list")[1].split()
        for name, label in (("work", "blue"), ("vault", "black")):
            if name not in have:
                self.shown("skerry", "create", name, "--label=" + label)
        began = time.monotonic()
        self.shown("skerry", "start", "work", "vault")
        _, said = self.shown("skerry", "ls")
        verdict(all(any(line.split()[:1] == [n] and "Running" in line for line in said.splitlines()) for n in ("work", "vault")),
                "they run, %.0f s after they were asked to" % (time.monotonic() - began))
        _, said = self.shown("skerry", "run", "work", "--", "sh", "-c", "uname -sr; qubesdb-read /name; ls /dev/xvd*")
        verdict("work" in said and "/dev/xvdb" in said, "an own kernel, an own QubesDB, own disks")

    def calls(self):
        heading("5. A file from work to vault, which the policy allows")
        note = "the plans of %s\n" % os.urandom(4).hex()
        self.run("skerry", "run", "work", "--", "sh", "-c", "cat > plans.txt", data=note.encode())
        self.shown("skerry", "run", "work", "--", "qvm-copy-to-vm", "vault", "plans.txt")
        _, said = self.shown("skerry", "run", "vault", "--", "cat", "QubesIncoming/work/plans.txt")
        verdict(said == note, "over grants and event channels, from qube to qube, the same byte for byte")
        heading("6. And back, which it refuses")
        status, _ = self.shown("skerry", "run", "vault", "--", "qvm-copy-to-vm", "work", "QubesIncoming/work/plans.txt", check=False)
        verdict(status != 0, "refused")
        _, said = self.shown("skerry", "policy", "why", "vault", "work", "qubes.Filecopy", check=False)
        verdict("30-user" in said and "deny" in said, "the deciding rule, with file and line")

    def disposable(self):
        heading("7. A disposable")
        began = time.monotonic()
        status, said = self.shown("skerry", "disp", "--", "uname", "-a", check=False)
        verdict(status == 0 and "Linux" in said, "made, used and gone in %.0f s" % (time.monotonic() - began))

    def kill(self):
        heading("8. The monitor and the toolstack are killed; the qubes go on")
        for name in ("skerryd", "skerry-ground-xen"):
            self.shown("xen-kill", name)
            # The toolstack ends with the monitor: the next of both have to be there before it is killed by itself.
            end, status = time.monotonic() + LIMIT, 1
            while status and time.monotonic() < end:
                status, _ = self.run("skerry", "run", "work", "--", "cat", "plans.txt", check=False)
            verdict(status == 0, "a new one has adopted the domains: work still has its plans")

    def prompt(self):
        heading("Yours now: commands of dom0. 'exit' switches the machine off; the qubes stay on build/xen/disk. Worth trying:")
        for command in ("skerry ls", "skerry run work -- sh -c 'echo hello > note; ls -l'", "qvm-prefs work", "skerry disp -- uname -a",
                        "skerry policy why work vault qubes.Filecopy", "skerry status"):
            print("   " + paint(command, 36))
        while self.m.proc.poll() is None:
            try:
                words = shlex.split(input("dom0 (xen)$ "))
            except ValueError as error:
                print(error)
                continue
            except (EOFError, KeyboardInterrupt):
                print()
                return
            if words in (["exit"], ["quit"], ["logout"]):
                return
            if words:
                self.one(words)

    def one(self, words):
        try:
            if not self.m.door.sock:
                self.m.door.open(60)
            self.m.door.run(*words, seconds=LIMIT, output=pass_on)
        except KeyboardInterrupt:
            self.m.door.close()
            print()
        except dom0.Closed as error:
            print(error)

    def off(self):
        heading("9. Off")
        began = time.monotonic()
        verdict(self.m.off(LIMIT), "the qubes were asked to end, the disk is unmounted, the machine is off: %.0f s" % (
            time.monotonic() - began))


def pass_on(kind, data):
    where = sys.stdout if kind == "o" else sys.stderr
    where.buffer.write(data)
    where.flush()


def main():
    why = machine.why_not()
    if why:
        print("./run xen: " + why, file=sys.stderr)
        return 1
    heading("2. The images: a small qube, and dom0 with Xen, a kernel and its whole userland")
    os.makedirs(PLACE, exist_ok=True)
    image = dom0.images(PLACE, os.path.join(machine.TREE, "tests", "xen", "xen-kill") + ":/usr/bin/xen-kill")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    it = Tour(image)
    try:
        for part in (it.boot, it.qubes, it.calls, it.disposable, it.kill):
            part()
        if sys.stdin.isatty() and sys.stdout.isatty():
            it.prompt()
        it.off()
    except (tour.Failed, dom0.Closed) as error:
        verdict(False, str(error))
        print(*it.m.said(30), sep="\n", file=sys.stderr)
    finally:
        it.m.end()
    if tour.failures:
        print(paint("\n%d steps were not as they should be" % len(tour.failures), 31))
        return 1
    print(paint("\nAll as it should be.", 32))
    return 0


if __name__ == "__main__":
    sys.exit(main())
