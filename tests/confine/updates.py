# SPDX-License-Identifier: GPL-2.0-or-later
"""Who reads packages and images for dom0, attacked from inside: the one who splits packages, sqv, the one who writes them anew;
who looks at an image, copies it to a slot, and reads the slot.

If this fails, the qube that dom0 updates through, or whoever signed a package, can take over a process of dom0 that
reads files, starts programs or reaches others. Each attack is run in a test build by the program itself, after
confine(); tests/confine/confine.c shows that each succeeds without it.
"""

import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../blackbox"))
from images_common import NEEDS_SIGNIFY, image, signers
from policy import ATTACKS, World
from rpm_common import NEEDS_TOOLS, Keys, assemble, main_header

BUILD = os.environ["SKERRY_BUILD"]
# sqv is a program of the system with its libraries: it is run, and its libraries are mapped. It stays in one process.
VERIFY = [a for a in ATTACKS if a not in ("run-program", "map-executable", "make-executable", "be-readable")] + ["run-foreign"]
PARTS = (("package-split", ATTACKS), ("package-verify", VERIFY), ("package-rewrite", ATTACKS), ("image-look", ATTACKS),
         ("image-write", ATTACKS), ("image-verify", ATTACKS))


def prepare_image(world):
    """An image that is good, and a disk for it: all three come to their turn. The state is anew each time."""
    keys, slots = os.path.join(world.root, "etc/skerry/image-keys"), os.path.join(world.root, "run/skerry-slots")
    os.makedirs(keys, exist_ok=True)
    os.makedirs(slots, exist_ok=True)
    shutil.copy(os.path.join(signers(), "one.pub"), keys)
    for name in ("a", "b", "state"):
        with open(os.path.join(slots, name), "wb") as file:
            file.truncate(1 << 20)


def attack(world, part, name):
    command = [os.path.join(BUILD, "services/dom0/rpmcanon"), "-", os.path.join(world.dir, "out.rpm")]
    if part.startswith("image"):
        prepare_image(world)
        command = [os.path.join(BUILD, "services/dom0/skerry-image"), "install", os.path.join(world.dir, "image.rpm")]
    run = subprocess.run(command,
                         env=world.environment(part, name), input=world.package, stderr=subprocess.PIPE,
                         stdout=subprocess.DEVNULL, timeout=60, check=False)
    begun = f"attack {name} begins".encode() in run.stderr
    said = [line for line in run.stderr.splitlines() if line.startswith(f"attack {name}: ".encode())]
    return begun, said, run.stderr


def main():
    if (NEEDS_TOOLS or NEEDS_SIGNIFY) and os.environ.get("MUST_RUN") != "1":
        print("1..0 # SKIP " + (NEEDS_TOOLS or NEEDS_SIGNIFY))
        return False
    world = World()
    keys = Keys(os.path.join(world.dir, "gnupg"), "ours")
    folder = os.path.join(world.root, "etc/pki/rpm-gpg")
    os.makedirs(folder)
    with open(os.path.join(folder, "RPM-GPG-KEY-ours"), "wb") as file:
        file.write(keys.export("ours"))
    world.package = keys.package("ours")
    payload = image(1, by=("one",))
    with open(os.path.join(world.dir, "image.rpm"), "wb") as file:
        file.write(assemble(None, main_header(payload=payload), payload))
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
