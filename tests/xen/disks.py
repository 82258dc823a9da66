#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The disk that keeps dom0's state, and volumes as block devices: a machine with an empty disk prepares it, works, and
loses its power; the next start finds all that was acknowledged. Then a disk that is encrypted: formatted with a passphrase,
not opened with another. The test itself is tests/xen/disks_test.c, inside. TAP.
"""
import os
import shutil
import sys
import tempfile

import machine

HANG = float(os.environ.get("SKERRY_XEN_HANG", "300"))


PASSPHRASE, MARK = "right passphrase", b"in the clear nowhere but here"
ASKS, ASKS_AGAIN = "Enter passphrase for /dev/vda1", "Verify passphrase"


class Test:
    def __init__(self, image, disk):
        self.image, self.disk = image, disk
        self.number, self.bad = 0, 0

    def result(self, good, text):
        self.number += 1
        self.bad += not good
        print("%sok %d - %s" % ("" if good else "not ", self.number, text), flush=True)

    def boot(self, name, cut_at=None, **more):
        """What the test inside found, as results; what the console said."""
        guest = machine.Machine(self.image, memory=512, disk=self.disk, xen=False, **more)
        said, console, in_time = guest.run(HANG, cut_at=cut_at)
        results = [line for line in said if line.startswith(("ok ", "not ok "))]
        for line in results:
            self.result(line.startswith("ok"), "%s: %s" % (name, line.partition(" - ")[2]))
        self.result(in_time and "1..%d" % len(results) in said, "%s: the boot comes to its end" % name)
        print(*[line for line in said if line.startswith("# ")], sep="\n")
        if self.bad:
            print(*["console: " + line for line in console[-60:]], sep="\n", file=sys.stderr)
        return guest, "\n".join(console)

    def volumes(self):
        for name, cut_at in (("first", "1.."), ("second", None)):
            _, console = self.boot(name, cut_at)
            self.result("passphrase" not in console, "%s: nobody is asked for a passphrase" % name)

    def on_disk(self, what):
        with open(self.disk, "rb") as f:
            return what in f.read()

    def encrypted(self):
        guest, console = self.boot("encrypted, first", options="skerry.encrypt test.state",
                             answers=[(ASKS, PASSPHRASE), (ASKS_AGAIN, PASSPHRASE), (ASKS, PASSPHRASE)])
        self.result(not guest.answers and PASSPHRASE not in console,
                    "encrypted, first: the passphrase is asked for, twice, and to open it, and never shown")
        with open(self.disk, "rb") as f:
            f.seek(1 << 20)
            head = f.read(8)
        self.result(head == b"LUKS\xba\xbe\0\2" and not self.on_disk(MARK), "encrypted: a LUKS2 partition; what was written is nowhere in the clear")
        guest = machine.Machine(self.image, memory=512, disk=self.disk, xen=False, options="test.state", answers=[(ASKS, "wrong")] * 3)
        said, console, in_time = guest.run(HANG)
        text = "\n".join(console)
        self.result(not guest.answers and text.count("No key available with this passphrase") == 3 and
                    "the passphrase of /dev/vda1 is not known: nothing can be started" in text,
                    "encrypted, a wrong passphrase: three tries, and a line that says what is wrong")
        self.result(in_time and not said, "encrypted, a wrong passphrase: nothing is started, and the machine ends")
        if self.bad:
            print(*["console: " + line for line in console[-60:]], sep="\n", file=sys.stderr)
        guest, _ = self.boot("encrypted, second", options="test.state", answers=[(ASKS, "wrong"), (ASKS, PASSPHRASE)])
        self.result(not guest.answers, "encrypted, second: asked for without a word on the command line, and once more after a mistake")


def main():
    why = machine.why_not()
    if why:
        print("1..0 # SKIP " + why)
        return 0
    here = os.path.join(machine.SOURCE, "tests", "xen")
    try:
        image = machine.build(os.path.join(here, "disks.recipe"), os.path.join(machine.TREE, "tests", "xen", "images", "disks"))
    except machine.NoPackages:
        print("1..0 # SKIP Debian's packages cannot be fetched here")
        return 0
    tmp = tempfile.mkdtemp(prefix="skerry-disks-")
    try:
        plain, encrypted = (Test(image, machine.empty_disk(os.path.join(tmp, name))) for name in ("disk", "encrypted"))
        plain.volumes()
        encrypted.number = plain.number
        encrypted.encrypted()
    finally:
        shutil.rmtree(tmp, ignore_errors=True)
    print("1..%d" % encrypted.number)
    return 1 if plain.bad or encrypted.bad else 0


if __name__ == "__main__":
    sys.exit(main())
