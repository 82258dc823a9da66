#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""boot.py [tiny|debian]: real Xen: qubes whose root is a template's disk, in dom0 with a disk of its own. The test itself is
tests/xen/boot_test.c, inside; LONG=1 runs it with the Debian template as well. TAP.
"""
import os
import shutil
import subprocess
import sys
import tempfile

import machine

HANG = float(os.environ.get("SKERRY_XEN_HANG", "1500"))


# Each template: recipe, MiB.
TEMPLATES = {"tiny": ("root.recipe", 24), "debian": ("debian.recipe", 400)}


def run(name, image, place):
    """The lines of one boot with this template, and what the console said."""
    recipe, mib = TEMPLATES[name]
    root = machine.build(os.path.join(machine.SOURCE, "tests", "xen", recipe), os.path.join(place, "root-" + name), disk=mib)
    tmp = tempfile.mkdtemp(prefix="skerry-boot-")
    try:
        template = os.path.join(tmp, "template")
        subprocess.run(["cp", "--sparse=always", os.path.join(root, "root.img"), template], check=True)
        disk = machine.empty_disk(os.path.join(tmp, "disk"), 1200 << 20)
        said, console, in_time = machine.Machine(image, memory=1280, dom0_memory=640, disk=disk, more_disks=[template]).run(HANG)
    finally:
        shutil.rmtree(tmp, ignore_errors=True)
    results = [line for line in said if line.startswith(("ok ", "not ok "))]
    complete = in_time and "1..%d" % len(results) in said
    lines = [line for line in said if not line.startswith("1..")]
    return lines + ["%sok - the test inside ended, and the machine switched itself off" % ("" if complete else "not ")], console


def main():
    why = machine.why_not() or ("" if shutil.which("debugfs", path="/sbin:/usr/sbin") else "debugfs is missing")
    if why:
        print("1..0 # SKIP " + why)
        return 0
    place = os.path.join(machine.TREE, "tests", "xen", "images")
    number, good = 0, True
    try:
        kernel = machine.build(os.path.join(machine.SOURCE, "image", "qube-kernel.recipe"), os.path.join(place, "kernel"))
        image = machine.build(os.path.join(machine.SOURCE, "tests", "xen", "boot.recipe"), os.path.join(place, "boot"),
                              os.path.join(kernel, "vmlinuz") + ":/qubes/vmlinuz:644",
                              os.path.join(kernel, "initramfs.gz") + ":/qubes/initramfs:644")
        for name in sys.argv[1:] or (["tiny", "debian"] if os.environ.get("LONG") else ["tiny"]):
            lines, console = run(name, image, place)
            for line in lines:
                state, _, text = line.partition(" - ")
                if not text or line.startswith("#"):
                    print(line)
                    continue
                number += 1
                good = good and state.startswith("ok")
                print("%sok %d - %s: %s" % ("" if state.startswith("ok") else "not ", number, name, text), flush=True)
            if not good:
                print(*["console: " + line for line in console[-80:]], sep="\n", file=sys.stderr)
    except machine.NoPackages:
        print("1..0 # SKIP Debian's packages cannot be fetched here")
        return 0
    print("1..%d" % number)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
