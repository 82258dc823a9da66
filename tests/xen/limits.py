#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Real Xen: what must be refused, what must hold against hostile qubes, and twenty qubes at once. The test itself is
tests/xen/limits_test.c, inside. Arguments: parts of it (starts, channels, life, harm, many); none: all. TAP.
"""
import os
import sys

import machine
import xen

PARTS = ["starts", "channels", "life", "harm", "many"]


def memory(parts):
    """MiB of the machine: twenty qubes of 96 MiB beside dom0, or three."""
    return 3072 if "many" in parts else 1536


def images(parts):
    here = os.path.join(machine.SOURCE, "tests", "xen")
    place = os.path.join(machine.TREE, "tests", "xen", "images")
    add = []
    for name in "node", "net", "hostile":
        folder = machine.build(os.path.join(here, name + ".recipe"), os.path.join(place, name))
        add.append(os.path.join(folder, "initramfs.gz") + ":/qubes/%s.gz:644" % name)
    add.append(os.path.join(folder, "vmlinuz") + ":/qubes/vmlinuz:644")
    # The list of children ends with the test's command line.
    with open(os.path.join(here, "limits.children"), encoding="utf-8") as f:
        text = f.read().rstrip("\n") + " " + " ".join(parts) + "\n"
    children = os.path.join(place, "-".join(["limits.children", *parts]))
    with open(children, "w", encoding="utf-8") as f:
        f.write(text)
    return machine.build(os.path.join(here, "limits.recipe"), os.path.join(place, "-".join(["limits", *parts])), *add,
                         children + ":/etc/skerry/children:644")


def main():
    why = machine.why_not()
    if why:
        print("1..0 # SKIP " + why)
        return 0
    try:
        parts = sys.argv[1:] or PARTS
        image = images(parts)
    except machine.NoPackages:
        print("1..0 # SKIP Debian's packages cannot be fetched here")
        return 0
    return xen.report(machine.Machine(image, memory=memory(parts)), 2 * xen.HANG)


if __name__ == "__main__":
    sys.exit(main())
