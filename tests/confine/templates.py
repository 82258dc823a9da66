# SPDX-License-Identifier: GPL-2.0-or-later
"""Who reads what is in a template's package, attacked from inside: the decompressor, and the reader of its archives.

If this fails, who may sign templates can take over a process that reads files, starts programs or reaches others. Each
attack is run in a test build by the program itself, after confine(); tests/confine/confine.c shows that each succeeds
without it.
"""

import gzip
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../blackbox"))
from admin_common import Admin
from policy import ATTACKS, World
from rpm_common import assemble, cpio, main_header, tar_file, template_entries

BUILD = os.environ["SKERRY_BUILD"]
# gzip is a program of the system with its libraries, as sqv is: tests/confine/updates.py.
UNPACK = [a for a in ATTACKS if a not in ("run-program", "map-executable", "make-executable", "be-readable")] + ["run-foreign"]
PARTS = (("template-unpack", UNPACK), ("template-read", ATTACKS))


def attack(world, part, name):
    run = subprocess.run([os.path.join(BUILD, "tools/template/qvm-template"), "--verbose", "--cachedir=" + world.dir + "/cache", "install",
                          "--nogpgcheck", "--skip-start", "--name=t-%s" % name, world.package],
                         env=world.environment(part, name), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
                         stdout=subprocess.DEVNULL, timeout=60, check=False)
    begun = f"attack {name} begins".encode() in run.stderr
    said = [line for line in run.stderr.splitlines() if line.startswith(f"attack {name}: ".encode())]
    return begun, said, run.stderr


def main():
    world = World()
    admin = Admin(root=world.root)
    payload = gzip.compress(cpio(template_entries("t", tar_file(b"x" * 5000))))
    world.package = os.path.join(world.dir, "x.rpm")
    with open(world.package, "wb") as file:
        file.write(assemble(None, main_header(payload=payload, name="qubes-template-t"), payload))
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
    admin.close()
    world.close()
    return failed


if __name__ == "__main__":
    sys.exit(main())
