#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""lint.py TOOL [BUILD]: one linter over all files it is for, as TAP: a result for each file.

TOOL: format, tidy (needs the build folder), cppcheck, shell, spelling, manuals.
"""
import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
os.chdir(TOP)
JOBS = 2


def files(*endings):
    r = subprocess.run(["git", "-c", "safe.directory=*", "ls-files", "-co", "--exclude-standard"],
                       stdout=subprocess.PIPE, check=True)
    names = r.stdout.decode().split("\n")
    return sorted(n for n in names if n and n.endswith(endings) and os.path.isfile(n))


def run(cmd):
    r = subprocess.run(cmd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, check=False)
    return r.returncode, r.stdout.decode("utf-8", "replace")


def clang_format(_):
    return [(f, ["clang-format", "--dry-run", "-Werror", f]) for f in files(".c", ".h")]


def clang_tidy(build):
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as f:
        known = {os.path.relpath(os.path.join(e["directory"], e["file"])) for e in json.load(f)}
    skipped = ("tests/", "fuzz/", "bench/")
    # gcc's own warnings and flags mean nothing to clang: what it does not know is not an error here.
    return [(f, ["clang-tidy", "--quiet", "-p", build, "--extra-arg=-Wno-unknown-warning-option",
                 "--extra-arg=-Wno-unused-command-line-argument",
                 "--extra-arg=-Wno-ignored-optimization-argument", f])
            for f in sorted(known) if not f.startswith(skipped)]


def cppcheck(_):
    own = [f for f in files(".c") if not f.startswith(("tests/", "fuzz/", "bench/"))]
    common = ["cppcheck", "--quiet", "--error-exitcode=1", "--inline-suppr", "--std=c11", "-I.", "-D_GNU_SOURCE",
              "-DSKERRY_CONFINE=1", "-DSKERRY_ATTACK=0", "-DSKERRY_VERSION=\"0\"", "--enable=warning,portability",
              "--suppress=missingInclude", "--suppress=unknownMacro", "--suppress=normalCheckLevelMaxBranches",
              # False for compound literals: the order of their members cannot matter.
              "--suppress=unknownEvaluationOrder", "--suppress=incorrectStringBooleanError",
              # NULL is a pointer in the C libraries that this is for, and ends lists of arguments.
              "--suppress=varFuncNullUB"]
    return [(f, common + [f]) for f in own]


def is_shell(name):
    with open(name, "rb") as f:
        return f.readline().startswith((b"#!/bin/sh", b"#!/bin/bash", b"#!/usr/bin/env bash"))


def shell(_):
    return [(f, ["shellcheck", f]) for f in files("") if is_shell(f)]


def spelling(_):
    texts = [f for f in files(".c", ".h", ".md", ".py", ".build", ".1", ".5", ".7", ".8", ".sh")]
    return [(f, ["codespell", "--ignore-words-list=fo,te,ot,nd,sav,ans,isnt,crate,inout,ro,nin,passt", f]) for f in texts]


def manuals(_):
    return [(f, ["mandoc", "-T", "lint", "-W", "warning", f]) for f in files(".1", ".5", ".7", ".8")
            if f.startswith("doc/man/")]


TOOLS = {"format": clang_format, "tidy": clang_tidy, "cppcheck": cppcheck, "shell": shell, "spelling": spelling,
         "manuals": manuals}


def main():
    work = TOOLS[sys.argv[1]](sys.argv[2] if len(sys.argv) > 2 else None)
    print("1..%d" % len(work))
    failed = False
    with ThreadPoolExecutor(JOBS) as pool:
        for number, ((name, _), (status, out)) in enumerate(zip(work, pool.map(run, (w[1] for w in work))), 1):
            failed |= status != 0
            print("%sok %d - %s" % ("not " if status else "", number, name), flush=True)
            if status:
                # clang-tidy's way to a finding is long: its steps are left out, the findings are not.
                found = re.sub(r"^\S+: note: .*\n(?:\s.*\n)*", "", out, flags=re.M)
                for line in found.split("\n")[:40]:
                    print("# " + line)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
