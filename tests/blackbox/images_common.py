# SPDX-License-Identifier: GPL-2.0-or-later
"""Images of dom0 as image/package makes them, byte by byte, so that any of them can be wrong, and keys that sign them."""

import atexit
import hashlib
import os
import random
import shutil
import subprocess
import tempfile
import time

PREFIX = "./usr/share/skerry/image/"
DAY = 86400
NEEDS_SIGNIFY = None if shutil.which("signify-openbsd") else "signify-openbsd is not installed"
SIGNERS = None


def signers():
    """Keys of signify by name: one, two, three of those who sign images, and other."""
    global SIGNERS
    if SIGNERS is None:
        SIGNERS = tempfile.mkdtemp(prefix="skerry-signers-")
        atexit.register(shutil.rmtree, SIGNERS, True)
        for name in ("one", "two", "three", "other"):
            signify("-G", "-n", "-p", f"{SIGNERS}/{name}.pub", "-s", f"{SIGNERS}/{name}.sec")
    return SIGNERS


def signify(*words):
    subprocess.run(["signify-openbsd", *words], check=True, timeout=60, stdout=subprocess.DEVNULL)


def signed(text, *names):
    out = b""
    with tempfile.TemporaryDirectory() as folder:
        with open(folder + "/m", "wb") as file:
            file.write(text)
        for name in names:
            signify("-S", "-s", f"{signers()}/{name}.sec", "-m", folder + "/m", "-x", folder + "/s")
            with open(folder + "/s", "rb") as file:
                out += file.read()
    return out


def member(name, data, mode=0o100644, size=None):
    name = name.encode() + b"\0"
    fields = (0, mode, 0, 0, 1, 0, len(data) if size is None else size, 0, 0, 0, 0, len(name), 0)
    head = b"070701" + b"".join(b"%08x" % f for f in fields) + name
    return head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4)


def archive(members):
    return b"".join(member(PREFIX + name, data) for name, data in members) + member("TRAILER!!!", b"", 0)


def parts(version):
    pick = random.Random(version)
    return {"initramfs.gz": pick.randbytes(300001), "manifest.json": b"{}\n", "vmlinuz": pick.randbytes(70000),
            "xen.gz": pick.randbytes(5)}


def release(version, contents, created=None, expires=None, after=0):
    created = int(time.time()) if created is None else created
    lines = ["skerry-image 1", f"version {version}", f"created {created}", f"expires {created + 90 * DAY if expires is None else expires}",
             f"after {after}"]
    lines += [f"part {name} {len(data)} {hashlib.sha256(data).hexdigest()}" for name, data in sorted(contents.items())]
    return ("\n".join(lines) + "\n").encode()


def image(version, by=("one", "two"), contents=None, text=None, **words):
    """The payload of a package with an image, as image/package makes it."""
    contents = contents or parts(version)
    text = text or release(version, contents, **words)
    members = {"release": text, "release.sig": signed(text, *by), **contents}
    return archive(sorted(members.items()))
