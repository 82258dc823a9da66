#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The whole system on real Xen, through its door as its owner has it: boot, qubes of both kinds, calls under policy,
disposables and their pool, what goes wrong with a clear word, kill -9 of everything that is not the kernel, and power cuts.
Arguments: parts of it, the first of them "qubes"; none: all. TAP.
"""
import os
import random
import re
import shutil
import sys
import tempfile
import threading
import time

import dom0
import machine

PARTS = ["qubes", "rights", "calls", "network", "disposable", "pool", "wrong", "kills", "stops", "power", "random_cuts"]
# How often the power goes; SKERRY_CUTS=N for more.
CUTS = int(os.environ.get("SKERRY_CUTS", "20" if os.environ.get("LONG") else "2"))
# Seconds until anything is called a hang; a machine without hardware help that others use needs a tenth of it.
HANG = float(os.environ.get("SKERRY_XEN_HANG", "900"))
POLICY = """test.Echo  *  work   vault  allow
test.Echo  *  vault  work   deny
"""


# Capabilities, by bit.
CHOWN, DAC, DAC_READ, FOWNER, FSETID, KILL, SETGID, SETUID, ADMIN, SETFCAP = (1 << n for n in (0, 1, 2, 3, 4, 5, 6, 7, 21, 31))
OWN = 0x70000000  # users of qubes begin there: proto/monitor.h


def users():
    """Whom each program of the monitor's table runs as, by the table and the image's list of users."""
    with open(os.path.join(machine.SOURCE, "image", "dom0.passwd"), encoding="ascii") as f:
        numbers = {line.split(":")[0]: int(line.split(":")[2]) for line in f if ":" in line and not line.startswith("#")}
    with open(os.path.join(machine.SOURCE, "monitor", "processes.def"), encoding="utf-8") as f:
        rows = re.findall(r'\.program = "([^"]+)".*?\.user = (NULL|"[^"]+")', f.read(), re.DOTALL)
    return {program: 0 if user == "NULL" else numbers[user.strip('"')] for program, user in rows}, numbers


def promised():
    """Program -> the kinds of its processes that dom0 has for as long as qubes run: (user, capabilities, filter, no new
    privileges); None stands for all capabilities. doc/confinement.md says why each has what it has.
    """
    user, number = users()
    free = (0, None, 0, 0)
    qube = "of a qube"

    def held(program, capabilities=0):
        return user[program], capabilities, 2, 1

    return {
        "init": {free}, "xenstored": {free}, "skerry-door": {free}, "xen-status": {free},
        "skerryd": {(0, KILL, 2, 1), free},
        "skerry-ground-xen": {(number["skerry-xen"], KILL, 2, 1), (0, CHOWN | DAC | SETGID | SETUID | ADMIN, 0, 1)},
        "skerry-console": {(qube, 0, 2, 1)},
        "skerry-admin": {held("skerry-admin")},
        "skerry-store": {held("skerry-store")},
        "skerry-storage": {held("skerry-storage", CHOWN | DAC | DAC_READ | FOWNER | FSETID | SETFCAP), held("skerry-storage", ADMIN)},
        "skerry-backup": {free},
        "skerry-policy": {free},
        "skerry-policy-decider": {held("skerry-policy")},
        "skerry-policy-facts": {held("skerry-policy")},
        # They make files and sockets in folders of root's, without a capability.
        "skerry-policy-prompter": {(0, 0, 0, 1)},
        "skerry-policy-recorder": {(0, 0, 2, 1)},
        "skerry-qrexec": {held("skerry-qrexec", DAC), free},
        "skerry-qrexec-slice": {(0, 0, 2, 1)},
        "skerry-qubesdb": {held("skerry-qubesdb", DAC)},
        "skerry-qubesdb-slice": {(0, 0, 2, 1)},
    }


def kinds(text):
    """What xen-status says: (program, kind) pairs."""
    found = set()
    for line in text.splitlines():
        words = line.split()
        uid, effective, held = int(words[1]), int(words[4], 16), int(words[5], 16)
        everything = held.bit_count() > 30
        found.add((words[0], ("of a qube" if uid >= OWN and int(words[2]) == uid else uid,
                              None if everything else effective | held, int(words[6]), int(words[7]))))
    return found


class Test:
    def __init__(self, image, disk):
        self.image, self.disk = image, disk
        self.n, self.bad = 0, 0
        self.m = None

    def result(self, good, text):
        self.n += 1
        self.bad += not good
        print("%sok %d - %s" % ("" if good else "not ", self.n, text), flush=True)
        return good

    def note(self, text):
        print("# " + text.replace("\n", "\n# "), flush=True)

    def do(self, *words, data=b""):
        """A command of dom0: (status, all that it said)."""
        if not self.m.door.sock:
            self.m.door.open(60)
        status, out, err = self.m.door.run(*words, data=data, seconds=HANG)
        return status, (out + err).decode("utf-8", "replace").strip()

    def good(self, text, *words, data=b"", expect=None):
        status, said = self.do(*words, data=data)
        good = status == 0 and (expect is None or expect in said)
        if not self.result(good, text):
            self.note("%s: %d: %s" % (" ".join(words), status, said))
        return good

    def refused(self, text, expect, *words):
        status, said = self.do(*words)
        if not self.result(status != 0 and expect in said, text):
            self.note("%s: %d: %s" % (" ".join(words), status, said))

    # parts

    def boot(self, text, **options):
        began = time.monotonic()
        self.m = dom0.Dom0(self.image, self.disk, **options).start()
        try:
            self.m.wait_ready(HANG)
        except dom0.Closed as error:
            self.note(str(error))
            return self.result(False, text)
        self.note("from QEMU's start to a system that answers: %.1f s" % (time.monotonic() - began))
        return self.result(True, text)

    def in_qube(self, qube, command):
        return "qvm-run", "-p", "--no-gui", qube, command

    def call(self, text, source="work", target="vault"):
        return self.good(text, *self.in_qube(source, "echo hello | qrexec-client-vm %s test.Echo" % target),
                         expect="from %s: hello" % source)

    def running(self):
        _, said = self.do("qvm-ls", "--raw-data", "--fields", "name,state")
        return sorted(line.split("|")[0] for line in said.splitlines() if line.endswith("|Running"))

    def qubes(self):
        self.good("skerry init makes a template and a qube for disposables", "skerry", "init")
        for setting in (("virt_mode", "pv"), ("qrexec_timeout", "800"), ("memory", "144")):
            self.do("qvm-prefs", "tiny", *setting)
        self.good("a qube is made", "qvm-create", "work", "--label=blue")
        self.good("and another, which can be a netvm", "qvm-create", "vault", "--label=black", "--property", "provides_network=True")
        self.good("a policy is set", "qubes-policy", "-r", "30-user", data=POLICY.encode())
        began = time.monotonic()
        _, said = self.do("xen-status", "skerry", "start", "work", "vault")
        self.note("both up after %.1f s" % (time.monotonic() - began))
        self.during(said)
        self.result(self.running() == ["dom0", "vault", "work"], "and are shown as running")
        self.is_kind("work", "PV", "and are PV, as they were set to be")

    def is_kind(self, qube, kind, text):
        status, said = self.do(*self.in_qube(qube, "cat /sys/hypervisor/guest_type"))
        if not self.result(status == 0 and said == kind, text):
            self.note("%s: %d: %s" % (qube, status, said))

    def during(self, said):
        """While a qube was made there were processes that read its kernel: as itself and nobody else, and who made it."""
        seen = kinds("\n".join(line for line in said.splitlines() if len(line.split()) == 8 and line.split()[1].isdigit()))
        builder = ("skerry-xen-builder", ("of a qube", 0, 2, 1))
        maker = ("skerry-ground-xen", (users()[1]["skerry-xen"], 0, 2, 1))
        if not self.result(builder in seen, "a qube's kernel is read by a process with the qube's user, a filter and no capability") or \
           not self.result(maker in seen, "who makes its domain has a user of its own, a filter and no capability"):
            self.note(said)

    def rights(self):
        """Each process is what the tables promise, and all that they promise is there."""
        end, wanted = time.monotonic() + 60, {(name, kind) for name, all_kinds in promised().items() for kind in all_kinds}
        while True:
            status, said = self.do("xen-status")
            seen = kinds(said) if status == 0 else set()
            # One that has just been started confines itself in the next moment.
            if seen == wanted or time.monotonic() > end:
                break
        if not self.result(seen == wanted, "every process of dom0 has the user, capabilities, filter and privileges that it is to have"):
            self.note("not promised: %r; promised and not there: %r" % (sorted(map(str, seen - wanted)), sorted(map(str, wanted - seen))))

    def calls(self):
        self.call("a call that the policy allows runs in the other qube")
        self.refused("a call that it does not is refused", "refused",
                     *self.in_qube("vault", "echo hello | qrexec-client-vm work test.Echo"))
        self.good("a qube has its entries of QubesDB", *self.in_qube("work", "qubesdb-read /name"), expect="work")
        self.good("what it writes to its private volume", "qvm-run", "-p", "--no-gui", "-u", "root", "work",
                  "echo kept > /dev/xvdb && sync && head -n 1 /dev/xvdb", expect="kept")
        self.good("paused and unpaused", "qvm-pause", "vault")
        self.good("it goes on", "qvm-unpause", "vault")
        self.call("and answers again")

    # network

    def shell(self, qube, command):
        """What root says there."""
        return self.do("qvm-run", "-p", "--no-gui", "-u", "root", qube, command)[1]

    def becomes(self, text, qube, command, expect):
        """Until @expect(what was said) is true: a kernel and a program in the qube have to see the change first."""
        end, said = time.monotonic() + 300, ""
        while time.monotonic() < end:
            said = self.shell(qube, command)
            if expect(said):
                return self.result(True, text)
            time.sleep(0.3)
        self.note("%s: %s: %s" % (qube, command, said))
        return self.result(False, text)

    def serve(self, qube):
        """It tells its name to who asks on port 7777, on the address of Qubes' name servers as well."""
        self.shell(qube, "ip link set lo up; ip addr add 10.139.1.1/32 dev lo; "
                   "nc -ll -p 7777 -e /bin/echo I am %s < /dev/null > /dev/null 2>&1 & true" % qube)

    def reaches(self, text, source, target, address="10.139.1.1"):
        return self.becomes(text, source, "nc -w 3 %s 7777 < /dev/null" % address, lambda said: said == "I am " + target)

    def uplink(self, text, qube, there):
        return self.becomes(text, qube, "ls /sys/class/net", lambda said: "lo" in said and ("eth" in said) == there)

    def prefs(self, qube, name):
        return self.do("qvm-prefs", qube, name)[1]

    def network(self):
        self.uplink("a qube without a netvm has no interface", "work", False)
        self.result(self.shell("work", "ip route") == "", "and no route")
        self.good("a qube for the network is made", "qvm-create", "sys-net", "--label=red", "--property", "provides_network=True")
        began = time.monotonic()
        # Emulated, a PVH kernel takes some times as long; it is one more here, for the whole system over one.
        self.do("qvm-prefs", "sys-net", "virt_mode", "pvh")
        self.good("and starts", "qvm-start", "sys-net")
        self.is_kind("sys-net", "PVH", "as PVH")
        self.note("sys-net up after %.1f s" % (time.monotonic() - began))
        self.serve("sys-net")
        self.good("a running qube is given a netvm", "qvm-prefs", "work", "netvm", "sys-net")
        self.reaches("TCP from it to its netvm, by the address of a name server", "work", "sys-net")
        said = self.shell("work", "ip addr show dev eth0; ip route; cat /etc/resolv.conf")
        good = all(word in said for word in ("inet %s/32" % self.prefs("work", "ip"), self.prefs("work", "mac"),
                                             "default via %s dev eth0" % self.prefs("sys-net", "ip"), "nameserver 10.139.1.1",
                                             "nameserver 10.139.1.2"))
        if not self.result(good, "address, hardware address, gateway and name servers are those of the Admin API"):
            self.note(said)
        self.shell("work", "ip addr add 10.137.99.99/32 dev eth0; ping -c 2 -W 1 -I 10.137.99.99 10.139.1.1")
        names, values = [line.split() for line in self.shell("sys-net", "grep ^TcpExt /proc/net/netstat").splitlines()]
        self.result(int(dict(zip(names, values))["IPReversePathFilter"]) >= 2, "what comes with an address that is not its own is dropped there")
        self.two_clients()
        self.netvm_ends()

    def two_clients(self):
        vault = self.prefs("vault", "ip")
        self.good("another qube is given the same netvm", "qvm-prefs", "vault", "netvm", "sys-net")
        self.shell("vault", "nc -ll -p 7777 -e /bin/echo I am vault < /dev/null > /dev/null 2>&1 & true")
        self.reaches("the netvm reaches it", "sys-net", "vault", vault)
        self.result("I am" not in self.shell("work", "nc -w 3 %s 7777 < /dev/null" % vault), "the first qube does not")
        self.good("the first qube is given the second as its netvm", "qvm-prefs", "work", "netvm", "vault")
        self.becomes("it has one interface, by way of that", "work", "ls /sys/class/net; ip route",
                     lambda said: said.split()[:2] == ["eth0", "lo"] and "default via %s dev eth0" % vault in said)
        self.reaches("TCP through one netvm to the next", "work", "sys-net")

    def netvm_ends(self):
        self.refused("a netvm is not asked to end while qubes need it", "", "qvm-shutdown", "sys-net")
        self.good("the netvm is killed", "qvm-kill", "sys-net")
        self.uplink("its client is told", "vault", False)
        self.good("the netvm starts again", "qvm-start", "sys-net")
        self.serve("sys-net")
        self.reaches("and everybody is connected again", "work", "sys-net")
        self.good("without a netvm", "qvm-prefs", "vault", "netvm", "")
        self.uplink("the interface goes at once", "vault", False)
        self.good("the netvm is asked to end, and does", "qvm-shutdown", "--wait", "--timeout", "300", "sys-net")
        # For kills(): the network of these two outlives them all.
        self.serve("vault")

    def disposable(self):
        began = time.monotonic()
        self.good("a disposable runs one command", "skerry", "disp", "--", "/bin/echo", "once", expect="once")
        self.note("a disposable from nothing: %.1f s" % (time.monotonic() - began))
        _, said = self.do("qvm-ls", "--raw-list")
        self.result("disp" not in said.replace("default-dvm", ""), "and is gone after it")

    def ready(self):
        """The disposables that wait, paused, to be used; all that the pool has."""
        _, names = self.do("qvm-features", "default-dvm", "preload-dispvm")
        _, said = self.do("qvm-ls", "--raw-data", "--fields", "name,state")
        paused = [line.split("|")[0] for line in said.splitlines() if line.endswith("|Paused")]
        return [name for name in names.split() if name in paused], names.split()

    def wait_ready(self, count, without=""):
        end = time.monotonic() + HANG
        ready, names = self.ready()
        while time.monotonic() < end and (len(ready) < count or without in names):
            time.sleep(0.5)
            ready, names = self.ready()
        return ready, names

    def pool(self):
        _, machine_mib = self.do("qubes-prefs", "maxmem")
        # Half of the memory may wait: two of them, and not a third.
        self.do("qvm-prefs", "default-dvm", "memory", str(int(int(machine_mib) / 2 / 2.4)))
        began = time.monotonic()
        self.good("a pool of ready disposables, of more than memory allows", "qvm-features", "default-dvm", "preload-dispvm-max", "9")
        ready, names = self.wait_ready(2)
        self.result(len(ready) == 2 and names == ready, "as many as memory allows wait, paused")
        self.note("two ready after %.1f s: %s" % (time.monotonic() - began, " ".join(names)))
        began = time.monotonic()
        status, used = self.do("skerry", "disp", "--", "/usr/bin/qubesdb-read", "/name")
        took = time.monotonic() - began
        if not self.result(status == 0 and used in ready, "one of them is handed out"):
            self.note("%d: %s" % (status, used))
        self.note("a disposable from the pool: %.1f s" % took)
        ready, names = self.wait_ready(2, without=used)
        self.result(len(ready) == 2 and names == ready and used not in names, "the pool is filled again, and never beyond that")
        _, said = self.do("qvm-ls", "--raw-list")
        self.result(used not in said.split(), "and the one that was used is gone")
        self.do("qvm-features", "default-dvm", "preload-dispvm-max", "0")
        end = time.monotonic() + 120
        while time.monotonic() < end and any(n in self.do("qvm-ls", "--raw-list")[1].split() for n in names):
            time.sleep(0.3)
        _, said = self.do("qvm-ls", "--raw-list")
        self.result(not [n for n in names if n in said.split()], "no pool is wanted any more: those that waited are gone")

    def wrong(self):
        self.do("qvm-create", "bad", "--label=red")
        self.do("qvm-prefs", "bad", "kernel", "broken")
        self.refused("a kernel that is none: the qube and the file are named", "broken/vmlinuz", "qvm-start", "bad")
        self.do("qvm-prefs", "bad", "kernel", "tiny")
        self.do("qvm-prefs", "bad", "memory", "100000")
        self.refused("more memory than there is", "Not enough memory", "qvm-start", "bad")
        self.do("qvm-prefs", "bad", "memory", "32")
        self.refused("a ramdisk that does not fit into its memory", "do not fit", "qvm-start", "bad")
        self.do("qvm-prefs", "bad", "memory", "128")
        self.do("qvm-prefs", "bad", "virt_mode", "hvm")
        self.refused("a device model that does not exist", "virt_mode pvh", "qvm-start", "bad")
        self.do("qvm-prefs", "bad", "virt_mode", "pv")
        self.good("the file of its private volume is taken away", "xen-kill", "/var/lib/qubes/appvms/bad/private.img")
        self.refused("a volume that is missing is named", "private", "qvm-start", "bad")
        self.result(self.running() == ["dom0", "vault", "work"], "nothing else was touched")
        self.good("the qube that could not start is removed", "qvm-remove", "-f", "bad")

    def settled(self):
        """Everything that is restarted is there again."""
        end = time.monotonic() + 120
        while time.monotonic() < end:
            if self.running() == ["dom0", "vault", "work"]:
                return True
            time.sleep(0.3)
        return False

    def kills(self):
        for name, what in (("skerryd", "the monitor"), ("skerry-ground-xen", "the toolstack"),
                           ("skerry-admin", "the admin service"), ("skerry-storage", "the storage service"),
                           ("skerry-policy-decider", "who decides calls"), ("skerry-qrexec-slice", "every qrexec slice"),
                           ("skerry-qrexec", "every keeper"), ("skerry-qubesdb-slice", "every QubesDB slice"),
                           ("skerry-console", "every reader of a console")):
            status, said = self.do("xen-kill", name)
            self.result(status == 0 and self.settled(), "kill -9 of %s (%s): both qubes go on" % (what, said))
            self.answers("after kill -9 of " + what)
        self.reaches("through all of that the network went on", "work", "vault")
        self.good("and is ended by who has found it", "qvm-prefs", "work", "netvm", "")
        self.uplink("in the qube as well", "work", False)

    def answers(self, when):
        """A call in flight may fail; the next ones do not."""
        end, status, said = time.monotonic() + 120, 1, ""
        while time.monotonic() < end and status:
            status, said = self.do(*self.in_qube("work", "echo hello | qrexec-client-vm vault test.Echo"))
        if not self.result(status == 0 and "from work: hello" in said, "calls work " + when):
            self.note(said)

    def stops(self):
        self.good("a qube is asked to end, and does", "qvm-shutdown", "--wait", "--timeout", "300", "work")
        self.result(self.running() == ["dom0", "vault"], "it is halted")
        # In the background: a call that is open when its qube's kernel dies is not what is tested here.
        self.do("qvm-run", "-p", "--no-gui", "-u", "root", "vault",
                "(sleep 2; echo c > /proc/sysrq-trigger) < /dev/null > /dev/null 2>&1 & true")
        end = time.monotonic() + 120
        while time.monotonic() < end and self.running() != ["dom0"]:
            time.sleep(0.3)
        self.result(self.running() == ["dom0"], "a kernel that panics is an end that is noticed")

    def power(self):
        self.do("qvm-prefs", "work", "netvm", "")
        self.good("a change is acknowledged", "qvm-tags", "work", "add", "kept-over-the-cut")
        self.good("and a new qube", "qvm-create", "late", "--label=green")
        self.m.cut()
        self.m.end()
        # Processors that cannot run PVH this time: the next best is what the qube gets.
        if not self.boot("the power is cut at once; the machine boots again, on other processors", cpu=machine.CPU_WITHOUT_HVM):
            return
        self.good("the acknowledged change is there", "qvm-tags", "work", expect="kept-over-the-cut")
        self.good("and the new qube", "qvm-ls", "--raw-list", expect="late")
        self.do("qvm-prefs", "work", "virt_mode", "pvh")
        self.good("the qube starts again", "skerry", "start", "work")
        self.is_kind("work", "PV", "as PV, for this machine has no hardware for PVH")
        self.good("with what it had on its private volume", "qvm-run", "-p", "--no-gui", "-u", "root", "work",
                  "head -n 1 /dev/xvdb", expect="kept")
        self.good("what it now writes and flushes", "qvm-run", "-p", "--no-gui", "-u", "root", "work",
                  "echo flushed > /dev/xvdb && sync && head -n 1 /dev/xvdb", expect="flushed")

    def random_cuts(self):
        seed = os.environ.get("SKERRY_SEED") or "%d" % time.time()
        chance = random.Random(seed)
        self.good("a counter", "qvm-features", "work", "counter", "0")
        state = self.state()
        for cut in range(CUTS):
            moment = chance.uniform(0.3, 8)
            acknowledged, under_way = self.changes(state, cut, moment)
            self.m.end()
            if not self.boot("cut %d: the power goes %.2f s into changes; the machine boots again" % (cut, moment),
                             cpu=machine.CPU_WITHOUT_HVM):
                return
            self.note("seed %s: %d changes were acknowledged, one was under way: %s" % (seed, acknowledged, under_way[1:]))
            self.compare(state, under_way)
        self.good("a qube starts again", "skerry", "start", "work")
        self.good("with what it had flushed before the first of these cuts", "qvm-run", "-p", "--no-gui", "-u", "root",
                  "work", "head -n 1 /dev/xvdb", expect="flushed")
        self.result(self.m.off(HANG), "an orderly end, with a qube running")
        held = [line for line in self.m.said(200) if "unmounting" in line or "do not end" in line]
        if not self.result(not held, "and every disk is unmounted, for nobody holds it"):
            self.note("\n".join(held))

    def changes(self, state, cut, seconds):
        """Changes one after the other until the power goes; how many were acknowledged, and what was under way."""
        timer = threading.Timer(seconds, self.m.proc.kill)
        timer.start()
        count = 0
        while True:
            name = "c%dn%d" % (cut, count)
            made = sorted(q for q in state["qubes"] if re.match(r"c\d+n\d+$", q))
            todo = [("tags", "add", name, ("qvm-tags", "work", "add", name)),
                    ("counter", "set", name, ("qvm-features", "work", "counter", name)),
                    ("qubes", "add", name, ("qvm-create", name, "--label=green")),
                    ("qubes", "remove", made[0] if made else "", ("qvm-remove", "-f", made[0] if made else ""))]
            what, how, value, words = todo[count % 4 if made else count % 3]
            try:
                status, said = self.do(*words)
            except (dom0.Closed, OSError):
                timer.join()
                return count, (words, what, how, value)
            if status:
                self.result(False, "%s: %s" % (" ".join(words), said))
            self.apply(state, what, how, value)
            count += 1

    def state(self):
        """All that changes() changes."""
        asked = (("tags", ("qvm-tags", "work")), ("qubes", ("qvm-ls", "--raw-list")), ("counter", ("qvm-features", "work", "counter")))
        return {what: set(self.do(*words)[1].split()) for what, words in asked}

    @staticmethod
    def apply(state, what, how, value):
        if how == "set":
            state[what] = {value}
        elif how == "add":
            state[what].add(value)
        else:
            state[what].discard(value)

    def compare(self, state, under_way):
        """What is there is what was acknowledged, with or without what was under way; what is there counts from now on."""
        _, what, how, value = under_way
        there = self.state()
        done = {key: set(values) for key, values in state.items()}
        self.apply(done, what, how, value)
        if not self.result(there in (state, done), "what was acknowledged is there, and nothing else but what was under way"):
            self.note("there: %s\nacknowledged: %s\nunder way: %s" % (there, state, under_way))
        state.update(there)

    def run(self, parts):
        try:
            if self.boot("dom0 boots, and its system answers at its door"):
                for part in parts:
                    getattr(self, part)()
        except dom0.Closed as error:
            self.result(False, "the system answers: %s" % error)
        finally:
            if self.bad and self.m:
                print(*["console: " + line for line in self.m.said(80)], sep="\n", file=sys.stderr)
            if self.m:
                self.m.end()
        print("1..%d" % self.n)
        return 1 if self.bad else 0


def image():
    """As ./run xen has it, with what kills in dom0 and a kernel that is none."""
    place = os.path.join(machine.TREE, "tests", "xen", "images")
    broken = os.path.join(place, "broken")
    os.makedirs(place, exist_ok=True)
    with open(broken, "w", encoding="ascii") as f:
        f.write("this is no kernel\n")
    return dom0.images(place, *(os.path.join(machine.TREE, "tests", "xen", n) + ":/usr/bin/" + n for n in ("xen-kill", "xen-status")),
                       broken + ":/usr/share/skerry/vm-kernels/broken/vmlinuz:644")


def main():
    why = machine.why_not()
    if why:
        print("1..0 # SKIP " + why)
        return 0
    try:
        where = image()
    except machine.NoPackages:
        print("1..0 # SKIP Debian's packages cannot be fetched here")
        return 0
    tmp = tempfile.mkdtemp(prefix="skerry-xen-disk-")
    try:
        return Test(where, os.path.join(tmp, "disk")).run(sys.argv[1:] or PARTS)
    finally:
        shutil.rmtree(tmp, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
