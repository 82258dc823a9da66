#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""./run xen: real Xen in QEMU, without hardware help. Says each step as the test in dom0 reports it (tests/xen)."""
import os
import sys
import threading
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(TOP, "tests", "xen"))

import machine  # noqa: E402
import xen  # noqa: E402


def follow(path, over, began):
    """Each line as soon as it is there."""
    at = 0
    while not over.is_set():
        over.wait(0.2)
        if not os.path.exists(path):
            continue
        with open(path, encoding="utf-8", errors="replace") as f:
            f.seek(at)
            for line in iter(f.readline, ""):
                if not line.endswith("\n"):
                    break
                at = f.tell()
                say(line.strip(), time.monotonic() - began)


def say(line, seconds):
    if line.startswith("ok "):
        print("  %5.0f s  %s" % (seconds, line.split(" - ", 1)[-1]))
    elif line.startswith("not ok "):
        print("  %5.0f s  FAILED: %s" % (seconds, line.split(" - ", 1)[-1]))
    elif line.startswith("# "):
        print("           %s" % line[2:])


def main():
    why = machine.why_not()
    if why:
        print("./run xen: " + why, file=sys.stderr)
        return 1
    print("2. The image of dom0: Xen, a kernel, and one file that runs from memory", flush=True)
    image = xen.images()
    print("3. Xen boots; dom0 starts qubes, talks with them over grants and ends them")
    guest, over, began = machine.Machine(image), threading.Event(), time.monotonic()
    follower = threading.Thread(target=follow, args=(guest.said, over, began), daemon=True)
    follower.start()
    said, _, in_time = guest.run(xen.HANG, keep_said=over)
    follower.join()
    good = in_time and said and not any(line.startswith("not ") for line in said)
    print("The machine switched itself off after %.0f s%s." % (
        time.monotonic() - began, "" if good else "; something above failed, or the end was not reached"))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
