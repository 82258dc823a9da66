# SPDX-License-Identifier: GPL-2.0-or-later
"""What image/sign and image/package share: signify, and whether an image's parts are what its manifest says."""
import hashlib
import json
import os
import shutil
import subprocess

MANIFEST = "manifest.json"


def signify(*args):
    program = shutil.which("signify-openbsd") or shutil.which("signify")
    if not program:
        raise SystemExit("signify-openbsd is missing; Debian has it as a package of that name")
    return subprocess.run([program, *args], stdout=subprocess.DEVNULL, check=False).returncode == 0


def sha256(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


def wrong_parts(manifest, place):
    """Names of parts that are missing or other than the manifest says."""
    with open(manifest, encoding="utf-8") as f:
        parts = json.load(f)["parts"]
    for name, part in sorted(parts.items()):
        path = os.path.join(place, os.path.basename(name))
        if not os.path.isfile(path) or os.path.getsize(path) != part["size"] or sha256(path) != part["sha256"]:
            yield name
