#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The image of dom0 on a CD: if this fails, what a user writes to a stick does not boot. Each firmware starts GRUB, that Xen,
that dom0, until process 1 says that all is ready; the same twice is the same file. TAP.
"""
import filecmp
import os
import shutil
import subprocess
import sys
import tempfile
import time

import machine

HANG = float(os.environ.get("SKERRY_XEN_HANG", "400"))
FIRMWARE = "/usr/share/ovmf/OVMF.fd"
TOOLS = ("grub-mkimage", "xorriso", "mcopy", "mkfs.vfat")


def make(image, out, **env):
    return subprocess.run([sys.executable, os.path.join(machine.SOURCE, "image", "iso"), image, out, "--xen",
                           "console=com1 com1=115200,8n1 dom0_mem=512M dom0_max_vcpus=1"], stdout=sys.stderr, env=dict(os.environ, **env),
                          check=False).returncode == 0


def boots(disc, tmp, *options, reboots=False):
    """Seconds until all was ready, or None; what the console said. reboots: the machine goes on after a restart."""
    console = os.path.join(tmp, "console")
    began = time.monotonic()
    command = [*machine.NICE, "qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", machine.CPU, "-m", "1280", "-display", "none",
               *([] if reboots else ["-no-reboot"]), "-net", "none", "-serial", "file:" + console, "-monitor", "none", *options]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr) as proc:
        ready = None
        while proc.poll() is None and time.monotonic() - began < HANG and ready is None:
            time.sleep(0.5)
            if any("all is ready" in line for line in machine.Machine.read(console)):
                ready = time.monotonic() - began
        proc.kill()
    return ready, machine.Machine.read(console)


def main():
    why = machine.why_not() or next((t + " is missing" for t in TOOLS if not shutil.which(t)), "")
    if not why and not os.path.exists(FIRMWARE):
        why = FIRMWARE + " is missing"
    if why:
        print("1..0 # SKIP " + why)
        return 0
    place = os.path.join(machine.TREE, "tests", "xen", "images", "dom0-iso")
    try:
        image = machine.build(os.path.join(machine.SOURCE, "image", "dom0.recipe"), place)
    except machine.NoPackages:
        print("1..0 # SKIP Debian's packages cannot be fetched here")
        return 0
    tmp = tempfile.mkdtemp(prefix="skerry-iso-")
    failed = 0
    try:
        disc, again = os.path.join(tmp, "a.iso"), os.path.join(tmp, "longer-name-of-a-folder", "b.iso")
        os.mkdir(os.path.dirname(again))
        made = make(image, disc)
        time.sleep(1.1)  # another second: no time of the build may be in it
        same = made and make(image, again, TZ="Asia/Tokyo", HOME=tmp) and filecmp.cmp(disc, again, shallow=False)
        failed += not same
        print("%sok 1 - two builds in other folders, at other times, are the same file" % ("" if same else "not "))
        ways = [("BIOS from the CD", ["-cdrom", disc]), ("UEFI from the CD", ["-cdrom", disc, "-bios", FIRMWARE])]
        if os.environ.get("LONG"):
            ways.append(("BIOS from a stick", ["-drive", "file=%s,format=raw,if=ide" % disc]))
        for number, (name, options) in enumerate(ways, 2):
            seconds, console = boots(disc, tmp, *options)
            failed += seconds is None
            print("%sok %d - %s: dom0 is ready" % ("" if seconds else "not ", number, name))
            print("# %s: %s s from the firmware's start" % (name, "%.0f" % seconds if seconds else "-"))
            if seconds is None:
                print(*["console: " + line for line in console[-40:]], sep="\n", file=sys.stderr)
    finally:
        shutil.rmtree(tmp, ignore_errors=True)
    print("1..%d" % (len(ways) + 1))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
