# SPDX-License-Identifier: GPL-2.0-or-later
"""Who reads packages for dom0, attacked from inside: the one who splits them, sqv, the one who writes them anew.

If this fails, the qube that dom0 updates through, or whoever signed a package, can take over a process of dom0 that
reads files, starts programs or reaches others. Each attack is run in a test build by the program itself, after
confine(); tests/confine/confine.c shows that each succeeds without it.
"""

import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../blackbox"))
from policy import ATTACKS, World
from rpm_common import NEEDS_TOOLS, Keys

BUILD = os.environ["SKERRY_BUILD"]
# sqv is a program of the system with its libraries: it is run, and its libraries are mapped. It stays in one process.
VERIFY = [a for a in ATTACKS if a not in ("run-program", "map-executable", "make-executable", "be-readable")] + ["run-foreign"]
PARTS = (("package-split", ATTACKS), ("package-verify", VERIFY), ("package-rewrite", ATTACKS))


def attack(world, part, name):
    run = subprocess.run([os.path.join(BUILD, "services/dom0/rpmcanon"), "-", os.path.join(world.dir, "out.rpm")],
                         env=world.environment(part, name), input=world.package, stderr=subprocess.PIPE,
                         stdout=subprocess.DEVNULL, timeout=60, check=False)
    begun = f"attack {name} begins".encode() in run.stderr
    said = [line for line in run.stderr.splitlines() if line.startswith(f"attack {name}: ".encode())]
    return begun, said, run.stderr


def main():
    if NEEDS_TOOLS and os.environ.get("MUST_RUN") != "1":
        print("1..0 # SKIP " + NEEDS_TOOLS)
        return False
    world = World()
    keys = Keys(os.path.join(world.dir, "gnupg"), "ours")
    folder = os.path.join(world.root, "etc/pki/rpm-gpg")
    os.makedirs(folder)
    with open(os.path.join(folder, "RPM-GPG-KEY-ours"), "wb") as file:
        file.write(keys.export("ours"))
    world.package = keys.package("ours")
    failed = False
    runs = [(part, name) for part, names in PARTS for name in names]
    print("1..%d" % len(runs))
    for number, (part, name) in enumerate(runs, 1):
        begun, said, text = attack(world, part, name)
        # Refused with an error, or the process died of it; not: it succeeded, or it never came to it.
        good = begun and not any(line.endswith(b": 0") for line in said)
        failed |= not good
        print("%sok %d - %s refuses %s" % ("" if good else "not ", number, part, name))
        if not good:
            print("# " + text.decode(errors="replace").replace("\n", "\n# "))
    keys.close()
    world.close()
    return failed


if __name__ == "__main__":
    sys.exit(main())
