#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The disk that keeps dom0's state, and volumes as block devices: a machine with an empty disk prepares it, works, and
loses its power; the next start finds all that was acknowledged. The test itself is tests/xen/disks_test.c, inside. TAP.
"""
import os
import shutil
import sys
import tempfile

import machine

HANG = float(os.environ.get("SKERRY_XEN_HANG", "300"))


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
    number, good = 0, True
    try:
        disk = machine.empty_disk(os.path.join(tmp, "disk"))
        for boot, cut_at in (("first", "1.."), ("second", None)):
            said, console, in_time = machine.Machine(image, memory=512, disk=disk, xen=False).run(HANG, cut_at=cut_at)
            results = [line for line in said if line.startswith(("ok ", "not ok "))]
            complete = in_time and "1..%d" % len(results) in said
            for line in results + ["%sok - the %s boot comes to its end" % ("" if complete else "not ", boot)]:
                number += 1
                state, _, text = line.partition(" - ")
                print("%sok %d - %s: %s" % ("not " if state.startswith("not") else "", number, boot, text))
                good = good and state.startswith("ok")
            print(*[line for line in said if line.startswith("# ")], sep="\n")
            if not good:
                print(*["console: " + line for line in console[-60:]], sep="\n", file=sys.stderr)
    finally:
        shutil.rmtree(tmp, ignore_errors=True)
    print("1..%d" % number)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
