#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""coverage.py TREE: which part of each folder the tests have run, as TAP with a table, and as doc/coverage.md.

TREE is a build with -Db_coverage=true in which tests were run. A folder below its floor is a failure: then a
change came without the tests that the code around it has.
"""
import json
import os
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# folder: least share of lines and of branches, in percent, a little below what was measured; None: no floor.
FOLDERS = {
    "proto": (96, 87),
    "lib/wire": (97, 93),
    "lib/vchan": (92, 82),
    "lib": (83, 71),
    "call": (81, 72),
    "services/policy": (90, 79),
    "slices": (79, 60),
    "qube": None,
    "tools": None,
}
HEAD = """# Coverage

What the unit, fault, vector and black-box tests run, measured by gcov. `./test coverage` measures again and writes this file.
A branch is one of gcc's: each side of each condition, and of what macros and inlined functions bring with them.

"""
TAIL = """
Not counted: what a process does before it is killed (some tests kill), confinement (these programs run without it; `./test confine`
has its own), fuzzing, and `lib/sandbox/attack.c`, which only the attack tree holds.
Folders with a floor fail `./test coverage` below it.
"""


def measured(tree):
    cmd = ["gcovr", "--root", TOP, "--json-summary", "-", "-j", "2", "--exclude-unreachable-branches",
           "--gcov-ignore-parse-errors", "--exclude", "lib/sandbox/attack.c"]
    for folder in FOLDERS:
        cmd += ["--filter", os.path.join(TOP, folder) + "/"]
    done = subprocess.run(cmd + [tree], cwd=TOP, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)["files"]


def share(files, folder, what):
    some = [f for f in files if f["filename"].startswith(folder + "/")]
    total = sum(f[what + "_total"] for f in some)
    covered = sum(f[what + "_covered"] for f in some)
    return total, 100.0 * covered / total if total else 0.0


def main():
    files = measured(sys.argv[1])
    rows, bad = [], 0
    print("1..%d" % len(FOLDERS))
    for number, (folder, floor) in enumerate(FOLDERS.items(), 1):
        lines, line_share = share(files, folder, "line")
        branches, branch_share = share(files, folder, "branch")
        least = floor or (0, 0)
        good = lines > 0 and line_share >= least[0] and branch_share >= least[1]
        bad += not good
        rows.append("| `%s` | %d | %.1f %% | %d | %.1f %% | %s |" % (
            folder, lines, line_share, branches, branch_share, "%d %% / %d %%" % floor if floor else "–"))
        print("%sok %d - %s: lines %.1f %% (floor %d), branches %.1f %% (floor %d)" % (
            "" if good else "not ", number, folder, line_share, least[0], branch_share, least[1]))
    table = ["| folder | lines | run | branches | run | floor (lines / branches) |", "| --- | ---: | ---: | ---: | ---: | --- |"]
    table += rows
    for row in table:
        print("# " + row)
    worst = sorted((f for f in files if f["branch_total"] >= 20), key=lambda f: f["branch_percent"])[:10]
    text = HEAD + "\n".join(table) + "\n\nThe files with the least branches run:\n\n"
    text += "\n".join("- `%s`: %.1f %% of %d branches, %.1f %% of lines" % (
        f["filename"], f["branch_percent"], f["branch_total"], f["line_percent"]) for f in worst) + "\n"
    with open(os.path.join(TOP, "doc", "coverage.md"), "w", encoding="utf-8") as file:
        file.write(text + TAIL)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
