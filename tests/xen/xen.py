#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Real Xen: the dom0 image boots, its toolstack builds PV and PVH qubes, and vchans over grants work in both roles
against our library and the stock one. The test itself is tests/xen/dom0_test.c, inside. TAP.
"""
import os
import sys

import machine

# Seconds until a boot with all its qubes is called a hang; 40 to 100 on an idle machine of two processors.
HANG = float(os.environ.get("SKERRY_XEN_HANG", "900"))


def images(recipe=os.path.join(machine.SOURCE, "tests", "xen", "dom0.recipe"), name="dom0"):
    """Builds the qube's image and dom0's, which holds it; where dom0's is. Another recipe needs another name."""
    place = os.path.join(machine.TREE, "tests", "xen", "images")
    node = machine.build(os.path.join(machine.SOURCE, "tests", "xen", "node.recipe"), os.path.join(place, "node"))
    return machine.build(recipe, os.path.join(place, name), os.path.join(node, "vmlinuz") + ":/qubes/vmlinuz:644",
                         os.path.join(node, "initramfs.gz") + ":/qubes/node.gz:644")


def main():
    why = machine.why_not()
    if why:
        print("1..0 # SKIP " + why)
        return 0
    try:
        image = images()
    except machine.NoPackages:
        print("1..0 # SKIP Debian's packages cannot be fetched here")
        return 0
    return report(machine.Machine(image), HANG)


def report(guest, seconds):
    """Runs the test in a machine and hands on what it said; the status to exit with."""
    said, console, in_time = guest.run(seconds)
    results = [line for line in said if line.startswith(("ok ", "not ok "))]
    for line in said:
        if not line.startswith("1.."):
            print(line)
    complete = "1..%d" % len(results) in said
    print("%sok %d - the test inside ended, and the machine switched itself off" % (
        "" if complete and in_time else "not ", len(results) + 1))
    print("1..%d" % (len(results) + 1))
    good = complete and in_time and not any(line.startswith("not") for line in results)
    if not good:
        print(*["console: " + line for line in console[-80:]], sep="\n", file=sys.stderr)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
