# SPDX-License-Identifier: GPL-2.0-or-later
"""What the admin service and its store promise when things go wrong.

If one fails, a change that a tool was told of is lost, half a change is seen, or the service does not
come back by itself after a crash, a full disk, a damaged file or a clock that jumps.
"""

import json
import os
import random
import sqlite3
import threading

import admin_common as ac
from harness import *


def truth(value, about=""):
    equal((bool(value), about), (True, about))

ROUNDS = 40 if os.environ.get("LONG") else 8


class Broken(Exception):
    pass


def quiet_call(admin, *args, **more):
    """The reply, or None if the service went away under the call."""
    try:
        reply = admin.call(*args, **more)
    except OSError:
        return None
    return reply if reply else None


class Truth:
    """What was acknowledged, and what may or may not have happened."""

    def __init__(self):
        self.features, self.maybe = {}, {}
        self.qubes, self.maybe_qubes = {"work"}, set()

    def step(self, admin, rng):
        if rng.random() < 0.3:
            return self.qube(admin, rng)
        name, value = "f%d" % rng.randrange(6), str(rng.randrange(10 ** 9))
        reply = quiet_call(admin, "admin.vm.feature.Set", name, "work", value)
        if reply == b"0\0":
            self.features[name] = value
            self.maybe.pop(name, None)
        elif reply is None:
            self.maybe.setdefault(name, set()).add(value)
        return reply

    def qube(self, admin, rng):
        name = "q%d" % rng.randrange(5)
        if name in self.qubes and name not in self.maybe_qubes:
            reply = quiet_call(admin, "admin.vm.Remove", dest=name)
            if reply == b"0\0":
                self.qubes.discard(name)
        else:
            reply = quiet_call(admin, "admin.vm.Create.AppVM", payload="name=%s label=red" % name)
            if reply == b"0\0":
                self.qubes.add(name)
        if reply is None:
            self.maybe_qubes.add(name)
        return reply

    def check(self, admin):
        for name, value in self.features.items():
            got = admin.ok("admin.vm.feature.Get", name, "work")
            truth(got == value or got in self.maybe.get(name, ()), (name, got, value))
        listed = {line.split(" ")[0] for line in admin.ok("admin.vm.List").splitlines()}
        for name in {"q%d" % i for i in range(5)}:
            if name not in self.maybe_qubes:
                equal(name in listed, name in self.qubes)
            if name in listed:
                # Nothing half-made: it has its volumes, its template, its tags.
                equal(admin.ok("admin.vm.property.Get", "template", name), "default=False type=vm tpl")
                truth("created-by-dom0\n" in admin.ok("admin.vm.tag.List", dest=name))
                (self.qubes.add if True else None)(name)
            else:
                self.qubes.discard(name)
        self.maybe_qubes.clear()
        self.maybe.clear()
        for name in list(self.features):
            self.features[name] = admin.ok("admin.vm.feature.Get", name, "work")


def start():
    admin = ac.Admin()
    admin.ok("admin.property.Set", "default_kernel", payload="6.12.1-1.fc41")
    admin.ok("admin.vm.Create.TemplateVM", payload="name=tpl label=black")
    admin.ok("admin.property.Set", "default_template", payload="tpl")
    admin.ok("admin.vm.Create.AppVM", payload="name=work label=red")
    return admin


def load(admin, facts, rng, stop):
    while not stop.is_set():
        if facts.step(admin, rng) is None:
            return


@case("kill -9 of both, of the store, of the service, at random moments of a random load")
def _(t):
    rng = random.Random(7)
    admin = start()
    facts = Truth()
    for i in range(ROUNDS):
        stop = threading.Event()
        thread = threading.Thread(target=load, args=(admin, facts, rng, stop))
        thread.start()
        stop.wait(rng.uniform(0.02, 0.4))
        (admin.store if i % 2 else admin.admin).kill()
        stop.set()
        thread.join()
        admin.admin.wait(ac.HANG)
        admin.store.wait(ac.HANG)
        admin.stop(kill=True)
        admin.start()
        facts.check(admin)
    admin.close()


@case("a full disk: the change is refused with its cause and undone, later ones work")
def _(t):
    admin = start()
    admin.stop()
    path = admin.path("var/lib/qubes/admin/admin.sqlite")
    limit = os.path.getsize(path) + 40960
    real = admin.program
    admin.program = lambda name: real(name)
    os.environ["PATH"] = os.environ.get("PATH", "")
    wrapper = admin.path("store-with-little-room")
    with open(wrapper, "w") as f:
        f.write("#!/bin/sh\nulimit -f %d\ntrap '' XFSZ\nexec %s \"$@\"\n" % (limit // 512, real("skerry-store")))
    os.chmod(wrapper, 0o755)
    admin.program = lambda name: wrapper if name == "skerry-store" else real(name)
    admin.start()
    refusals, done = 0, None
    for i in range(60):
        reply = admin.call("admin.vm.feature.Set", "big", "work", str(i) + "x" * 30000)
        if reply == b"0\0":
            done = i
        else:
            refusals += 1
            equal(reply.split(b"\0")[1], b"QubesException")
            truth(b"undone" in reply)
            got = admin.call("admin.vm.feature.Get", "big", "work")
            truth(got.startswith(b"2\0") if done is None else got[2:].startswith(b"%dx" % done), got[:40])
    truth(refusals > 0, "the disk was never full")
    admin.ok("admin.vm.List")
    admin.stop()
    admin.program = real
    admin.start()
    admin.ok("admin.vm.feature.Set", "big", "work", "small")
    equal(admin.ok("admin.vm.feature.Get", "big", "work"), "small")
    admin.close()


@case("a store that cannot be written: reads are answered, changes refused")
def _(t):
    if os.getuid() == 0:
        raise Skip("root writes everywhere")
    admin = start()
    admin.stop()
    folder = admin.path("var/lib/qubes/admin")
    for name in os.listdir(folder):
        os.chmod(os.path.join(folder, name), 0o400)
    os.chmod(folder, 0o500)
    admin.start()
    truth("work" in admin.ok("admin.vm.List"))
    equal(admin.call("admin.vm.tag.Set", "x", "work").split(b"\0")[1], b"QubesException")
    equal(admin.ok("admin.vm.tag.Get", "x", "work"), "0")
    os.chmod(folder, 0o700)
    admin.close()


@case("a damaged store: rows that can be read are kept, else the copy of the last good start")
def _(t):
    admin = start()
    admin.ok("admin.vm.tag.Set", "kept", "work")
    admin.stop()
    admin.start()
    admin.stop()
    path = admin.path("var/lib/qubes/admin/admin.sqlite")
    size = os.path.getsize(path)
    for damage in ("index", "header", "zero", "random"):
        with open(path, "r+b") as f:
            if damage == "header":
                f.write(b"\0" * 100)
            elif damage == "zero":
                f.truncate(0)
                f.write(b"garbage" * 1000)
            elif damage == "random":
                rng = random.Random(3)
                for _ in range(40):
                    f.seek(rng.randrange(4096, size))
                    f.write(bytes(rng.randrange(256) for _ in range(64)))
            else:
                f.seek(size - 4096)
                f.write(b"\xff" * 2048)
        admin.start()
        truth("work" in admin.ok("admin.vm.List"), damage)
        equal(admin.ok("admin.vm.tag.Get", "kept", "work"), "1")
        admin.ok("admin.vm.tag.Set", "after-" + damage, "work")
        admin.stop()
    truth(any(".damaged-" in name for name in os.listdir(os.path.dirname(path))))
    admin.start()
    admin.close()


@case("rows that make no sense are left out, the rest is served")
def _(t):
    admin = start()
    admin.stop()
    db = admin.database()
    for table, owner, name, value in (
            ("qube", "x", "bad", "AppVM 3"), ("qube", "0" * 36, "b", "NoVM 3"), ("qube", "1" * 36, "c", "AppVM 99999"),
            ("property", "9" * 36, "memory", "1"), ("property", "", "nosuch", "1"), ("label", "", "l", "x"),
            ("device", "9" * 36, "pci", ""), ("pool", "", "p", ""), ("volume", "9" * 36, "root", "size=x")):
        db.execute("INSERT OR REPLACE INTO %s(owner, name, value) VALUES(?, ?, ?)" % table, (owner, name, value))
    owner = db.execute("SELECT owner FROM qube WHERE name = 'work'").fetchone()[0]
    db.execute("INSERT OR REPLACE INTO property(owner, name, value) VALUES(?, 'netvm', 'nosuch')", (owner,))
    db.execute("INSERT OR REPLACE INTO property(owner, name, value) VALUES(?, 'kernel', 'nosuch')", (owner,))
    db.execute("INSERT OR REPLACE INTO property(owner, name, value) VALUES(?, 'nosuch', '1')", (owner,))
    db.commit()
    db.close()
    admin.start()
    equal(admin.ok("admin.vm.property.Get", "netvm", "work"), "default=False type=vm ")
    equal(admin.ok("admin.vm.property.Get", "kernel", "work"), "default=False type=str nosuch")
    admin.ok("admin.vm.Create.AppVM", payload="name=new label=red")
    admin.close()


@case("a second service does not start; a stale socket does not matter")
def _(t):
    admin = start()
    try:
        ac.Admin(root=admin.root, qubesdb=False)
        raise Broken("two services at once")
    except ac.Wrong:
        pass
    admin.ok("admin.vm.List")
    admin.stop(kill=True)
    truth(os.path.exists(admin.path("run/qubesd.sock")))
    admin.start()
    admin.ok("admin.vm.List")
    admin.close()


@case("a qube that is half made or half removed at a crash is not listed afterwards")
def _(t):
    admin = start()
    admin.stop()
    db = admin.database()
    owner = db.execute("SELECT owner FROM qube WHERE name = 'work'").fetchone()[0]
    db.execute("INSERT INTO kept(owner, name, value) VALUES('', 'making/' || ?, 'work')", (owner,))
    db.commit()
    db.close()
    admin.start()
    truth("work " not in admin.ok("admin.vm.List"))
    ac.until(lambda: admin.stop() is None or True)
    db = admin.database()
    equal(db.execute("SELECT count(*) FROM property WHERE owner = ?", (owner,)).fetchone()[0], 0)
    equal(db.execute("SELECT count(*) FROM kept WHERE name LIKE '%making/%'").fetchone()[0], 0)
    db.close()
    admin.start()
    admin.close()


@case("numbers of disposables rest, also after a restart and when the clock went back")
def _(t):
    admin = start()
    admin.ok("admin.vm.property.Set", "template_for_dispvms", "work", "True")
    name = admin.ok("admin.vm.CreateDisposable", dest="work")
    admin.ok("admin.vm.Remove", dest=name)
    admin.stop(kill=True)
    db = admin.database()
    rows = dict(db.execute("SELECT name, value FROM kept WHERE name LIKE 'dispid/%'"))
    db.close()
    equal(list(rows), ["dispid/" + name[4:]])
    admin.start()
    admin.close()


if __name__ == "__main__":
    main()
