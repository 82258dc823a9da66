#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds programs and dom0's image twice, from copies in other folders, with other settings, by another user if root
runs it, and compares all that comes out byte by byte. TAP.
"""
import os
import shutil
import subprocess
import sys
import tempfile

import repro

NOBODY = 65534
# The system's: another user may not be able to reach the one of a developer.
PYTHON = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable

def make(place, name, env, umask, user):
    source, cache = os.path.join(place, name), os.path.join(place, "cache")
    repro.copy_tree(source)
    tree = os.path.join(source, "build-" + name)
    env = dict(os.environ, CC="gcc", CCACHE_DISABLE="1", HOME=place, SOURCE_DATE_EPOCH="1767225600", **env)
    how = {"cwd": source, "env": env, "umask": umask, "stdout": subprocess.DEVNULL, "check": True}
    if user is not None:
        subprocess.run(["chown", "-R", "%d:%d" % (user, user), place], check=True)
        how.update(user=user, group=user, extra_groups=[])
    subprocess.run(["meson", "setup", tree], **how)
    subprocess.run(["ninja", "-C", tree], **how)
    subprocess.run(["meson", "install", "-C", tree, "--no-rebuild"], **dict(how, env=dict(env, DESTDIR=source + "/stage")))
    out = os.path.join(place, "out")
    subprocess.run([PYTHON, "image/build", "--tree", tree, "--output", out, "--cache", cache], **how)
    found = {}
    for file_name in sorted(os.listdir(out)):
        with open(os.path.join(out, file_name), "rb") as f:
            found[file_name] = f.read()
    return found


def main():
    for program in ("dpkg-deb", "apt-get"):
        if not shutil.which(program):
            print("1..0 # SKIP %s is missing" % program)
            return 0
    with tempfile.TemporaryDirectory(prefix="skerry-repro-") as tmp:
        os.chmod(tmp, 0o755)
        places = [os.path.join(tmp, "a"), os.path.join(tmp, "another", "and-longer")]
        for place in places:
            os.makedirs(place)
        first = make(places[0], "x", {"TZ": "UTC", "LC_ALL": "C"}, 0o022, None)
        second = make(places[1], "some-other-name", {"TZ": "Asia/Tokyo", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "3"}, 0o077,
                      NOBODY if os.geteuid() == 0 else None)
    names = sorted(set(first) | set(second))
    for number, name in enumerate(names, 1):
        print("%sok %d - %s is the same in both builds (%d bytes)" % (
            "" if first.get(name) == second.get(name) else "not ", number, name, len(first.get(name, b""))))
    print("1..%d" % len(names))
    return 0 if first == second and names else 1


if __name__ == "__main__":
    sys.exit(main())
