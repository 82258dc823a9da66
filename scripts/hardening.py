#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""hardening.py BUILD MISTAKES: what the built programs must have, as TAP; a result for each check of each program.

If one of these failed, a mistake in that program would be easier to exploit than we say. MISTAKES is
the program that makes one mistake of each kind; it must die of every one.
"""
import json
import os
import re
import signal
import subprocess
import sys

BANNED = {"strcpy", "strcat", "strncpy", "strncat", "sprintf", "vsprintf", "gets", "system", "popen", "tmpnam",
          "mktemp", "tempnam", "dlopen"}
# No canary: program or library, and why that is right.
NO_CANARY = {}
# The original's programs run a command line through a shell where the administrator configured one.
MAY_IMPORT = {}
PROGRAM_FOLDERS = ("slices/", "services/", "qube/", "tools/", "lib/")


def output(*cmd):
    return subprocess.run(cmd, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False).stdout.decode()


class Elf:
    def __init__(self, path):
        self.path = path
        self.name = os.path.basename(path)
        self.header = output("readelf", "-hW", path)
        self.segments = output("readelf", "-lW", path)
        self.dynamic = output("readelf", "-dW", path)
        self.notes = output("readelf", "-nW", path)
        self.static = "NEEDED" not in self.dynamic
        self.library = ".so" in self.name
        self.symbols = {line.split()[-1].split("@")[0] for line in output("nm", path).splitlines() if line.split()}
        self.imports = {line.split()[-1].split("@")[0] for line in output("nm", "-D", "-u", path).splitlines()
                        if line.split()}


def position_independent(e):
    """loaded at a random place"""
    return "Type:                              DYN" in e.header and (e.library or "PIE" in e.dynamic)


def read_only_relocations(e):
    """relocations are read-only, all bound at the start"""
    return "GNU_RELRO" in e.segments and "BIND_NOW" in e.dynamic.replace("FLAGS_1", "") + \
        ("BIND_NOW" if re.search(r"FLAGS_1.*NOW", e.dynamic) else "")


def stack_not_executable(e):
    """no executable stack"""
    m = re.search(r"GNU_STACK.*?\s(R[W ][E ])\s", e.segments)
    return bool(m) and "E" not in m.group(1)


def nothing_writable_and_executable(e):
    """no segment is writable and executable"""
    return not re.search(r"^\s*\w+\s+0x.*\sRWE\s", e.segments, re.M)


def no_search_path(e):
    """no library path inside"""
    return "RPATH" not in e.dynamic and "RUNPATH" not in e.dynamic


def control_flow_marks(e):
    """marked for indirect branch tracking and shadow stacks"""
    return bool(re.search(r"x86 feature:.*IBT, SHSTK", e.notes))


def canary(e):
    """stack canaries"""
    return e.name in NO_CANARY or any("stack_chk_fail" in s for s in e.symbols | e.imports)


def no_banned_imports(e):
    """no function that is banned here"""
    return e.static or not (e.imports & (BANNED - MAY_IMPORT.get(e.name, set())))


def no_build_path(e):
    """does not name the place where it was built"""
    with open(e.path, "rb") as f:
        return os.path.dirname(os.path.dirname(os.path.abspath(__file__))).encode() not in f.read()


CHECKS = [position_independent, read_only_relocations, stack_not_executable, nothing_writable_and_executable,
          no_search_path, control_flow_marks, canary, no_banned_imports, no_build_path]


def own_flags_count():
    """Canaries must come from our code, not only from the C library that a static program holds."""
    for entry in COMMANDS:
        yield entry["file"], all(f in entry["command"] for f in (
            "-fstack-protector-strong", "-fstack-clash-protection", "-D_FORTIFY_SOURCE=3", "-fcf-protection=full"))


def main():
    global COMMANDS
    build, mistakes = sys.argv[1:3]
    results = []
    targets = json.loads(output("meson", "introspect", "--targets", build))
    paths = sorted(f for t in targets if t["type"] in ("executable", "shared library") for f in t["filename"]
                   if os.path.relpath(f, build).startswith(PROGRAM_FOLDERS) and os.path.exists(f))
    results.append(("there are programs to look at", bool(paths)))
    for path in paths:
        e = Elf(path)
        for check in CHECKS:
            if check is control_flow_marks and "X86-64" not in e.header:
                continue
            results.append(("%s: %s" % (e.name, check.__doc__), check(e)))
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as f:
        COMMANDS = json.load(f)
    without = [name for name, good in own_flags_count() if not good]
    results.append(("every source is compiled with every hardening flag", not without))
    for name, signals in (("heap-overflow", [signal.SIGABRT]), ("stack-overflow", [signal.SIGABRT]),
                          ("signed-overflow", [signal.SIGILL]), ("wide-shift", [signal.SIGILL]),
                          ("index-out-of-bounds", [signal.SIGILL]), ("stale-stack", [signal.SIGABRT])):
        r = subprocess.run([mistakes, name], stderr=subprocess.DEVNULL, check=False)
        results.append(("a program that makes the mistake %s dies of it" % name, -r.returncode in signals))
    print("1..%d" % len(results))
    for number, (name, good) in enumerate(results, 1):
        print("%sok %d - %s" % ("" if good else "not ", number, name))
    for name in without:
        print("# without a flag: " + name)
    return 0 if all(good for _, good in results) else 1


if __name__ == "__main__":
    sys.exit(main())
