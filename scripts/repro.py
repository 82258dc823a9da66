#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds the tree twice, from copies in folders of different length and name, with another time zone,
language and umask, and compares every program and library byte by byte. TAP.

A third build, without the flags that hide the folder, must differ: the comparison itself works.
"""
import os
import shutil
import subprocess
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
KEEP = ("slices/", "services/", "qube/", "tools/", "lib/")


def copy_tree(to):
    names = subprocess.run(["git", "-c", "safe.directory=*", "ls-files", "-co", "--exclude-standard"], cwd=TOP,
                           stdout=subprocess.PIPE, check=True).stdout.decode().split("\n")
    for name in filter(None, names):
        if os.path.isfile(os.path.join(TOP, name)):
            os.makedirs(os.path.dirname(os.path.join(to, name)), exist_ok=True)
            shutil.copy(os.path.join(TOP, name), os.path.join(to, name))


def build(source, build_name, env, umask, break_it=False):
    copy_tree(source)
    if break_it:
        path = os.path.join(source, "meson.build")
        with open(path, encoding="utf-8") as f:
            text = f.read()
        with open(path, "w", encoding="utf-8") as f:
            f.write(text.replace("warnings + hardening + prefix_map", "warnings + hardening"))
    tree = os.path.join(source, build_name)
    env = dict(os.environ, CC="gcc", CCACHE_DISABLE="1", **env)
    for cmd in (["meson", "setup", tree], ["ninja", "-C", tree]):
        subprocess.run(cmd, cwd=source, env=env, check=True, stdout=subprocess.DEVNULL, umask=umask)
    found = {}
    for folder, _, names in os.walk(tree):
        for name in names:
            path = os.path.join(folder, name)
            place = os.path.relpath(path, tree)
            if place.startswith(KEEP):
                with open(path, "rb") as f:
                    data = f.read()
                if data.startswith(b"\x7fELF") and not place.endswith(".o"):
                    found[place] = data
    return found


def main():
    with tempfile.TemporaryDirectory(prefix="skerry-repro-") as tmp:
        first = build(tmp + "/a", "build", {"TZ": "UTC", "LC_ALL": "C"}, 0o022)
        second = build(tmp + "/a-much/longer name".replace(" ", "-") + "/tree", "other",
                       {"TZ": "Asia/Tokyo", "LC_ALL": "C.UTF-8"}, 0o077)
        broken = build(tmp + "/third/place", "build", {}, 0o022, break_it=True)
    names = sorted(set(first) | set(second))
    print("1..%d" % (len(names) + 2))
    failed = not names
    print("%sok 1 - there are programs to compare" % ("" if names else "not "))
    for number, name in enumerate(names, 2):
        same = first.get(name) == second.get(name)
        failed |= not same
        print("%sok %d - %s is the same in both builds" % ("" if same else "not ", number, name))
    differs = any(first.get(n) != broken.get(n) for n in names)
    failed |= not differs
    print("%sok %d - without the prefix maps the comparison finds a difference" % ("" if differs else "not ",
                                                                                    len(names) + 2))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
