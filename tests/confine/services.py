# SPDX-License-Identifier: GPL-2.0-or-later
"""The reader of qubes.SyncAppMenus, attacked from inside its own confinement.

If this fails, a qube whose list of applications takes over the process that reads it can read dom0's
files, start programs there, or reach other processes. Each attack is run in a test build by the program
itself, after confine(); tests/confine/confine.c shows that each succeeds without it.
"""

import os
import socket
import subprocess
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from policy import ATTACKS, World

BUILD = os.environ["SKERRY_BUILD"]
NAME = "qubes.SyncAppMenus"


def answer(server):
    """Stands for the admin service: what class the qube has."""
    while True:
        try:
            connection = server.accept()[0]
        except OSError:
            return
        with connection:
            while connection.recv(4096):
                pass
            connection.sendall(b"0\0work class=AppVM state=Running uuid=x\n")


def attack(world, name):
    env = dict(world.environment(NAME, name), QREXEC_REMOTE_DOMAIN="work")
    run = subprocess.run([os.path.join(BUILD, "services/dom0/dom0-sync-appmenus")], env=env, input=b"a.desktop:Name=A\n",
                         stderr=subprocess.PIPE, timeout=60, check=False)
    begun = f"attack {name} begins".encode() in run.stderr
    said = [line for line in run.stderr.splitlines() if line.startswith(f"attack {name}: ".encode())]
    return begun, said, run.stderr


def main():
    world = World()
    os.makedirs(os.path.join(world.root, "var/lib/qubes"), exist_ok=True)
    server = socket.socket(socket.AF_UNIX)
    server.bind(os.path.join(world.root, "run/qubesd.sock"))
    server.listen(8)
    threading.Thread(target=answer, args=(server,), daemon=True).start()
    failed = False
    print("1..%d" % len(ATTACKS))
    for number, name in enumerate(ATTACKS, 1):
        begun, said, text = attack(world, name)
        # Refused with an error, or the process died of it; not: it succeeded, or it never came to it.
        good = begun and not any(line.endswith(b": 0") for line in said)
        failed |= not good
        print("%sok %d - %s refuses %s" % ("" if good else "not ", number, NAME, name))
        if not good:
            print("# " + text.decode(errors="replace").replace("\n", "\n# "))
    server.close()
    world.close()
    return failed


if __name__ == "__main__":
    sys.exit(main())
