#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Real Xen: qubes whose root is a template's disk, in dom0 with a disk of its own. The test itself is
tests/xen/boot_test.c, inside. TAP.
"""
import os
import shutil
import sys
import tempfile

import machine

HANG = float(os.environ.get("SKERRY_XEN_HANG", "1500"))


def main():
    why = machine.why_not() or ("" if shutil.which("debugfs", path="/sbin:/usr/sbin") else "debugfs is missing")
    if why:
        print("1..0 # SKIP " + why)
        return 0
    here = os.path.join(machine.SOURCE, "tests", "xen")
    place = os.path.join(machine.TREE, "tests", "xen", "images")
    try:
        root = machine.build(os.path.join(here, "root.recipe"), os.path.join(place, "root"), disk=24)
        kernel = machine.build(os.path.join(machine.SOURCE, "image", "qube-kernel.recipe"), os.path.join(place, "kernel"))
        image = machine.build(os.path.join(here, "boot.recipe"), os.path.join(place, "boot"),
                              os.path.join(kernel, "vmlinuz") + ":/qubes/vmlinuz:644",
                              os.path.join(kernel, "initramfs.gz") + ":/qubes/initramfs:644")
    except machine.NoPackages:
        print("1..0 # SKIP Debian's packages cannot be fetched here")
        return 0
    tmp = tempfile.mkdtemp(prefix="skerry-boot-")
    try:
        template = os.path.join(tmp, "template")
        shutil.copyfile(os.path.join(root, "root.img"), template)
        disk = machine.empty_disk(os.path.join(tmp, "disk"))
        said, console, in_time = machine.Machine(image, memory=1280, dom0_memory=640, disk=disk, more_disks=[template]).run(HANG)
    finally:
        shutil.rmtree(tmp, ignore_errors=True)
    results = [line for line in said if line.startswith(("ok ", "not ok "))]
    complete = in_time and "1..%d" % len(results) in said
    print(*[line for line in said if not line.startswith("1..")], sep="\n")
    print("%sok %d - the test inside ended, and the machine switched itself off" % ("" if complete else "not ", len(results) + 1))
    print("1..%d" % (len(results) + 1))
    good = complete and not any(line.startswith("not") for line in results)
    if not good:
        print(*["console: " + line for line in console[-80:]], sep="\n", file=sys.stderr)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
