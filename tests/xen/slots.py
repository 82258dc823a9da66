#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Images of dom0 in the slots of a real disk, by the GRUB of the ISO, on Xen. If this fails, an update is never started, or one that
does not come up leaves a machine that does not. A blank disk gets slots; skerry-image writes an image into one, GRUB starts it, it
confirms itself; one whose kernel is none is tried three times and given up; a damaged one is passed over. TAP.
"""
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile

import iso
import machine

DISK = 3 << 30
SLOTS = ("a", "b", "state")
NAMES = {"skerry-slot-a": "a", "skerry-slot-b": "b", "skerry-boot": "state"}


class Test:
    def __init__(self, tmp):
        self.tmp, self.n, self.bad = tmp, 0, 0
        self.disc, self.disk, self.root = (os.path.join(tmp, name) for name in ("disc.iso", "disk", "root"))
        self.key = os.path.join(tmp, "key")
        self.command = os.path.join(machine.TREE, "services", "dom0", "skerry-image")

    def result(self, good, text, more=()):
        self.n += 1
        self.bad += not good
        print("%sok %d - %s" % ("" if good else "not ", self.n, text), flush=True)
        if not good:
            print(*more, sep="\n", file=sys.stderr)
        return good

    def partitions(self):
        """name: (begin, bytes) of the disk's slots, by its own table."""
        found = {}
        with open(self.disk, "rb") as f:
            f.seek(1024)
            table = f.read(128 * 128)
        for at in range(0, len(table), 128):
            begin, end = struct.unpack_from("<QQ", table, at + 32)
            name = table[at + 56:at + 128].decode("utf-16-le").rstrip("\0")
            if name in NAMES:
                found[NAMES[name]] = begin * 512, (end - begin + 1) * 512
        return found

    def image(self, *words):
        """The command over the disk's partitions, as files; what it said, and whether it was done."""
        place = os.path.join(self.root, "run/skerry-slots")
        os.makedirs(place, exist_ok=True)
        with open(self.disk, "r+b") as f:
            where = self.partitions()
            for name, (begin, size) in where.items():
                with open(os.path.join(place, name), "wb") as out:
                    f.seek(begin)
                    out.write(f.read(size))
            r = subprocess.run([self.command, *words], env=dict(os.environ, SKERRY_ROOT=self.root), stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, check=False)
            for name, (begin, size) in where.items():
                with open(os.path.join(place, name), "rb") as back:
                    f.seek(begin)
                    f.write(back.read(size))
        return r.stdout.decode("utf-8", "replace"), r.returncode == 0

    def state(self):
        said, _ = self.image("show", "--json")
        now = json.loads(said.splitlines()[-1])
        return now["good"], now["trying"], now["tries"], now["floor"]

    def install(self, image, version):
        r = subprocess.run([os.path.join(machine.SOURCE, "image", "package"), image, self.key + ".sec", "--version", str(version), "-o", self.tmp],
                           stdout=sys.stderr, check=False)
        said, done = self.image("install", os.path.join(self.tmp, "skerry-dom0-%d-1.noarch.rpm" % version))
        self.result(r.returncode == 0 and done, "version %d is installed" % version, [said])

    def boot(self, text, *expect, reboots=False):
        seconds, console = iso.boots(self.disc, self.tmp, "-cdrom", self.disc, "-boot", "d", "-drive",
                                     "file=%s,if=virtio,format=raw,cache=writethrough" % self.disk, reboots=reboots)
        good = seconds is not None and all(any(e in line for line in console) for e in expect)
        self.result(good, text, ["console: " + line for line in console[-60:]])
        print("# %s: %s s" % (text, "%.0f" % seconds if seconds else "-"))
        return console


def broken(image, to):
    """The same with a kernel that is none."""
    shutil.copytree(image, to)
    with open(os.path.join(to, "vmlinuz"), "wb") as f:
        f.write(b"no kernel\n" * 100)
    with open(os.path.join(to, "manifest.json"), encoding="utf-8") as f:
        manifest = json.load(f)
    manifest["parts"]["vmlinuz"] = {"size": 1000, "sha256": subprocess.run(["sha256sum", os.path.join(to, "vmlinuz")], stdout=subprocess.PIPE,
                                                                            check=True).stdout.decode().split()[0]}
    with open(os.path.join(to, "manifest.json"), "w", encoding="utf-8") as f:
        json.dump(manifest, f)
    return to


def run(t, image):
    console = t.boot("from the medium alone: a blank disk gets slots", "is prepared to keep all state")
    t.result(sorted(t.partitions()) == sorted(SLOTS) and not any("slot a" in line for line in console), "two, and a place for GRUB's state", console[-20:])
    t.result(t.state() == (None, None, 0, 0), "nothing is in them")
    t.install(image, 10)
    t.boot("GRUB starts the new image", "slot a: version 10 has come up")
    t.result(t.state() == ("a", None, 0, 10), "it is the good one", [str(t.state())])
    t.install(broken(image, os.path.join(t.tmp, "broken")), 11)
    t.result(t.state() == ("a", "b", 3, 10), "one without a kernel is on trial", [str(t.state())])
    console = t.boot("it is tried three times, then the one before is started", "slot b did not come up in 3 starts", reboots=True)
    starts = sum("Xen version" in line for line in console)
    t.result(starts == 4, "four starts of Xen: three and one", ["%d" % starts])
    t.result(t.state() == ("a", None, 0, 10), "and no more", [str(t.state())])
    # What the disk lost: a byte of the good image. The medium's own starts.
    begin, size = t.partitions()["a"]
    with open(t.disk, "r+b") as f:
        f.seek(begin + (8 << 20))
        byte = f.read(1)
        f.seek(begin + (8 << 20))
        f.write(bytes([byte[0] ^ 1]))
    said, done = t.image("verify")
    t.result(not done and "is not what was signed" in said, "damage is told", [said])
    console = t.boot("a damaged image is not started, the medium's is")
    t.result(not any("has come up" in line for line in console), "and nothing is confirmed")


def main():
    why = machine.why_not() or next((n + " is missing" for n in iso.TOOLS + ("rpmbuild", "signify-openbsd") if not shutil.which(n)), "")
    if why:
        print("1..0 # SKIP " + why)
        return 0
    tmp = tempfile.mkdtemp(prefix="skerry-slots-")
    t = Test(tmp)
    try:
        subprocess.run(["signify-openbsd", "-G", "-n", "-p", t.key + ".pub", "-s", t.key + ".sec"], check=True)
        os.makedirs(os.path.join(t.root, "etc/skerry/image-keys"))
        shutil.copy(t.key + ".pub", os.path.join(t.root, "etc/skerry/image-keys/key.pub"))
        try:
            image = machine.build(os.path.join(machine.SOURCE, "tests", "xen", "slots.recipe"), os.path.join(tmp, "image"),
                                  t.key + ".pub:/etc/skerry/image-keys/key.pub:644")
        except machine.NoPackages:
            print("1..0 # SKIP Debian's packages cannot be fetched here")
            return 0
        t.result(iso.make(image, t.disc), "an ISO whose dom0 knows a key")
        machine.empty_disk(t.disk, DISK)
        run(t, image)
    finally:
        shutil.rmtree(tmp, ignore_errors=True)
    print("1..%d" % t.n)
    return 1 if t.bad else 0


if __name__ == "__main__":
    sys.exit(main())
