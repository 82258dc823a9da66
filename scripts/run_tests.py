#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs the tests that meson knows, by tier, and counts what their TAP says. See ./test --help.

A test program that prints no plan, prints fewer results than it planned, ends with a status that its
results do not explain, dies, or runs out of time counts as failed, whatever else it printed.

Started by root, the tiers that stand for an ordinary user's programs run as nobody, in a private
folder, and confinement is tested both ways.
"""
import atexit
import concurrent.futures
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
NOBODY = 65534
# tier: [(tree, run as an ordinary user)]
TIERS = {
    "build": [],
    "lint": [("clang", False)],
    "unit": [("san", True)],
    "vectors": [("san", True)],
    "blackbox": [("san", True), ("release", True)],
    "confine": [("release", True), ("release", False), ("attack", True), ("attack", False)],
    "hardening": [("release", False)],
    "model": [("release", True)],
    "faults": [("san", True), ("release", True)],
    "fuzz": [("fuzz", True)],
    "system": [("release", True), ("release", False)],
    "xen": [("release", False)],
    "repro": [("release", False)],
    "coverage": [("cov", True)],
}
ON_DEMAND = {"repro", "coverage"}
MEASURED = ("unit", "faults", "vectors", "blackbox")  # what "coverage" runs
TREES = ["release", "san", "clang", "fuzz", "attack"]
# LONG=1: the counts of a long run, for the tests that repeat something; each may be set by itself.
LONG = {"SKERRY_SOAK": "100000", "SKERRY_CALLS": "100000", "SKERRY_BULK_MIB": "8192", "FUZZ_RUNS": "20000000",
        "FUZZ_SECONDS": "600"}
OK_LINE = re.compile(r"^(not )?ok\b(?:\s+(\d+))?(?:\s*-?\s*(.*))?$")
MUST_RUN = os.environ.get("MUST_RUN", "") not in ("", "0")
JOBS = int(os.environ.get("JOBS", "2"))
IS_LONG = os.environ.get("LONG", "") not in ("", "0")
PATIENCE = 60 if IS_LONG else 4  # a loaded machine may take this many times the stated limit

lock = threading.Lock()
totals = {"passed": 0, "failed": 0, "skipped": 0}
failures = []


def say(*lines):
    with lock:
        print(*lines, sep="\n", flush=True)


class Outcome:
    """What one program's output and end amount to."""

    def __init__(self):
        self.passed = self.skipped = 0
        self.failed = []  # names
        self.skips = []  # names with their reasons
        self.notes = []  # why the program as a whole failed

    def fail(self, why):
        self.notes.append(why)


def read_tap(text, status):
    out, plan, seen, bailed = Outcome(), None, 0, False
    for line in text.splitlines():
        m = re.match(r"^1\.\.(\d+)(\s*#\s*SKIP(.*))?", line, re.I)
        if m:
            plan = int(m.group(1))
            if plan == 0:
                out.skipped += 1
                out.skips.append("all of it: " + (m.group(3) or "").strip())
            continue
        if line.startswith("Bail out!"):
            bailed = True
            out.fail(line)
            continue
        m = OK_LINE.match(line)
        if not m:
            continue
        seen += 1
        name = (m.group(3) or "").strip() or "number %s" % m.group(2)
        if re.search(r"#\s*SKIP", name, re.I):
            out.skipped += 1
            out.skips.append(name)
        elif m.group(1):
            out.failed.append(name)
        else:
            out.passed += 1
    if plan is None and not bailed:
        out.fail("it printed no plan")
    elif plan is not None and plan != seen:
        out.fail("it planned %d results and printed %d" % (plan, seen))
    if status < 0:
        out.fail("it died of signal %d" % -status)
    elif status > 0 and not out.failed and not out.notes:
        out.fail("it ended with status %d" % status)
    return out


def read_status(status):
    out = Outcome()
    if status == 0:
        out.passed = 1
    elif status == 77:
        out.skipped = 1
        out.skips.append("status 77")
    else:
        out.fail("it ended with status %d" % status)
    return out


class Ground:
    """How test programs are started: as whom, from which path, with which folder to write to."""

    def __init__(self, ordinary, top):
        self.drop = ordinary and os.geteuid() == 0
        self.top = top
        self.tmp = tempfile.mkdtemp(prefix="skerry-test-", dir="/tmp")
        if self.drop:
            os.chown(self.tmp, NOBODY, NOBODY)

    def command(self, cmd):
        cmd = [c.replace(TOP, self.top) for c in cmd]
        if self.drop:
            cmd = ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups"] + cmd
        return cmd

    def environment(self, extra):
        env = dict(LONG if IS_LONG else {})
        env.update(os.environ, TMPDIR=self.tmp, PYTHONDONTWRITEBYTECODE="1")
        env.update((k, v.replace(TOP, self.top)) for k, v in extra.items())
        if self.drop:
            # A path of root's own programs is of no use to nobody.
            env.update(HOME=self.tmp, USER="nobody", LOGNAME="nobody", PATH="/usr/local/bin:/usr/bin:/bin")
        for name in ("SKERRY_ROOT", "MAKEFLAGS", "XDG_RUNTIME_DIR"):
            env.pop(name, None)
        return env

    def close(self):
        shutil.rmtree(self.tmp, ignore_errors=True)


def run_program(test, ground):
    proc = subprocess.Popen(ground.command(test["cmd"]), env=ground.environment(test["env"]),
                            cwd=(test["workdir"] or ground.tmp).replace(TOP, ground.top), stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    late = False
    try:
        out, err = proc.communicate(timeout=max(test["timeout"], 30) * PATIENCE)
    except subprocess.TimeoutExpired:
        late = True
        os.killpg(proc.pid, signal.SIGKILL)
        out, err = proc.communicate()
    try:
        os.killpg(proc.pid, signal.SIGKILL)  # what it left behind
    except ProcessLookupError:
        pass
    out, err = out.decode("utf-8", "replace"), err.decode("utf-8", "replace")
    result = read_tap(out, proc.returncode) if test["protocol"] == "tap" else read_status(proc.returncode)
    if late:
        result.fail("it did not end within %d s" % (test["timeout"] * PATIENCE))
    return result, out, err


def account(label, result, out, err, seconds=None):
    bad = bool(result.failed or result.notes)
    if MUST_RUN and result.skipped:
        result.failed += ["(skipped) " + s for s in result.skips]
        result.skipped, bad = 0, True
    with lock:
        totals["passed"] += result.passed
        totals["failed"] += len(result.failed) + len(result.notes)
        totals["skipped"] += result.skipped
    counts = "%d passed" % result.passed
    counts += ", %d failed" % (len(result.failed) + len(result.notes)) if bad else ""
    counts += ", %d skipped" % result.skipped if result.skipped else ""
    counts += ", %.0f s" % seconds if seconds is not None and seconds >= 1 else ""
    lines = ["%s %-48s %s" % ("FAIL" if bad else "ok  ", label, counts)]
    lines += ["       skipped: " + s for s in result.skips[:10]]
    if bad:
        names = result.failed + result.notes
        failures.append((label, names))
        lines += ["     | " + n for n in names]
        lines += ["     out: " + t for t in out.splitlines() if not t.startswith("ok ")][-60:]
        lines += ["     err: " + t for t in err.splitlines()][-60:]
    say(*lines)


def tests_of(tree, tier, text):
    data = subprocess.run(["meson", "introspect", "--tests", os.path.join(TOP, "build", tree)],
                          stdout=subprocess.PIPE, check=True, cwd=TOP).stdout
    for test in json.loads(data):
        suites = [s.split(":")[-1] for s in test["suite"]]
        if tier in suites and text in test["name"]:
            test["root"] = "root" in suites
            test["workdir"] = test["workdir"] or os.path.join(TOP, "build", tree)
            yield test


def run_suite(tree, tier, ordinary, text, top):
    tests = list(tests_of(tree, tier, text))
    if not tests:
        return 0
    ground, root_ground = Ground(ordinary, top), Ground(False, top)
    as_whom = " as nobody" if ground.drop and tier in ("confine", "system") else ""

    def one(test):
        began = time.monotonic()
        result, out, err = run_program(test, root_ground if test["root"] else ground)
        account("%s/%s %s%s" % (tier, test["name"], tree, as_whom), result, out, err, time.monotonic() - began)

    try:
        for together in (True, False):
            some = [t for t in tests if t.get("is_parallel", True) == together]
            some.sort(key=lambda t: -t["timeout"])
            with concurrent.futures.ThreadPoolExecutor(JOBS if together else 1) as pool:
                for f in [pool.submit(one, t) for t in some]:
                    f.result()
    finally:
        ground.close()
        root_ground.close()
    return len(tests)


def measure(usable, text, top):
    """Runs what MEASURED names in the counting tree, then says what was run of each folder."""
    if "cov" not in usable:
        return 0
    tree = os.path.join(TOP, "build", "cov")
    for folder, _, names in os.walk(tree):
        os.chmod(folder, 0o777)  # the programs write their counts there, as nobody as well
        for name in names:
            if name.endswith(".gcda"):
                os.unlink(os.path.join(folder, name))
    # The counts go to the path that was compiled in; where nobody cannot reach that, root runs the tests. What
    # root's programs count, those that they start as somebody else must be able to add to.
    os.umask(0)
    for suite in MEASURED:
        run_suite("cov", suite, top == TOP, text, top)
    ground = Ground(False, TOP)
    test = {"cmd": [sys.executable, os.path.join(TOP, "scripts", "coverage.py"), tree], "workdir": TOP, "env": {},
            "timeout": 300, "protocol": "tap"}
    result, out, err = run_program(test, ground)
    ground.close()
    say(*[line[2:] for line in out.splitlines() if line.startswith("# ")])
    account("coverage/floors", result, out, err)
    return 1


def run_tier(tier, usable, text, top):
    """All tests of a tier, and a line that counts them. A tier without any is a failure."""
    began, before = time.monotonic(), dict(totals)
    found = 0 if TIERS[tier] else 1  # what "build" has to say, build() said
    if tier == "coverage":
        found += measure(usable, text, top)
    # What looks at the sources and the build looks at the real ones.
    if not any(ordinary for _, ordinary in TIERS[tier]):
        top = TOP
    for tree, ordinary in TIERS[tier]:
        if tree in usable and (ordinary or os.geteuid() == 0 or tier != "confine"):
            found += run_suite(tree, tier, ordinary, text, top)
    if not found and text:
        return
    if not found:
        result = Outcome()
        result.failed.append("there is no test")
        account(tier, result, "", "")
    if TIERS[tier]:
        say("%s: %s in %.0f s" % (tier, ", ".join("%d %s" % (totals[k] - before[k], k) for k in totals),
                                  time.monotonic() - began), "")


def build(trees, wanted):
    """Builds; each tree is a result of the tier "build" if that was asked for."""
    usable = set()
    for tree in trees:
        r = subprocess.run([os.path.join(TOP, "scripts", "setup.sh"), tree], stderr=subprocess.PIPE)
        result = Outcome()
        if r.returncode == 0:
            usable.add(tree)
            result.passed = 1 if wanted else 0
        else:
            result.failed.append("does not build without errors and warnings")
        if wanted or r.returncode:
            account("build/" + tree, result, "", r.stderr.decode("utf-8", "replace"))
    return usable


def nobody_can_reach(path):
    return subprocess.run(["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups",
                           "test", "-r", path], stderr=subprocess.DEVNULL).returncode == 0


def reachable_top():
    """The tree at a path that an ordinary user can reach: itself, or a private mount of it; None: neither."""
    program = os.path.join(TOP, "scripts", "run_tests.py")
    if os.geteuid() != 0 or nobody_can_reach(program):
        return TOP
    if not os.stat(program).st_mode & 0o004:
        return None  # no mount helps: the files themselves are root's alone
    space = ["unshare", "-m", "--propagation", "private"]
    if os.environ.get("SKERRY_TEST_SPACE") != "1":
        if subprocess.run(space + ["true"], stderr=subprocess.DEVNULL).returncode:
            return None
        os.environ["SKERRY_TEST_SPACE"] = "1"
        os.execvp("unshare", space + [sys.executable] + sys.argv)
    place = tempfile.mkdtemp(prefix="skerry-tree-", dir="/tmp")
    atexit.register(remove_place, place, True)
    os.chmod(place, 0o755)
    subprocess.run(["mount", "--bind", TOP, place], check=True)
    return place


def copied_top():
    """Where nothing may be mounted: a copy, without what only the build needs."""
    place = tempfile.mkdtemp(prefix="skerry-tree-", dir="/tmp")
    atexit.register(remove_place, place, False)
    shutil.copytree(TOP, place, symlinks=True, dirs_exist_ok=True,
                    ignore=shutil.ignore_patterns("*.o", "*.a", ".git", "ccache", "meson-private"))
    subprocess.run(["chmod", "-R", "a+rX", place], check=True)
    return place


def remove_place(place, mounted):
    if mounted and subprocess.run(["umount", "-l", place]).returncode == 0:
        os.rmdir(place)
    elif not mounted:
        shutil.rmtree(place, ignore_errors=True)


def vectors(kind, paths):
    for path in paths:
        if not os.path.exists(path):
            sys.exit("%s: no such file or folder" % path)
    if not build(["release"], False):
        finish()
    program = os.path.join(TOP, "build", "release", "tests", "vectors", kind + "-vectors")
    drivers = [os.path.join(TOP, "tests", "vectors", kind + end) for end in ("_daemon.py", "_programs.py")]
    if not any(os.path.exists(p) for p in [program, *drivers]):
        sys.exit("no vectors of kind %s; %s is missing" % (kind, program))
    ground = Ground(False, TOP)
    # What needs the running service or programs has a driver of its own beside the program. Each takes its cases
    # and leaves those of the other, so one of them may find nothing to do; finish() wants something to pass.
    for command in [program], *(["/usr/bin/python3", driver] for driver in drivers):
        if not os.path.exists(command[-1]):
            continue
        test = {"cmd": command + [os.path.abspath(p) for p in paths], "workdir": None,
                "env": {"SKERRY_BUILD": os.path.join(TOP, "build", "release")},
                "timeout": 600, "protocol": "tap"}
        result, out, err = run_program(test, ground)
        if result.skipped and not result.passed and not result.failed and not result.notes:
            continue
        account("vectors/" + os.path.basename(command[-1]), result, out, err)
    ground.close()


def finish():
    if failures:
        say("", "Failed:")
        for label, names in failures:
            say(*["  %s: %s" % (label, n) for n in names])
    line = "%d passed, %d failed" % (totals["passed"], totals["failed"])
    if totals["skipped"]:
        line += ", %d skipped" % totals["skipped"]
    say(line)
    sys.exit(1 if totals["failed"] or not totals["passed"] else 0)


def main():
    args = sys.argv[1:]
    if len(args) >= 3 and args[0] == "vectors":
        vectors(args[1], args[2:])
        finish()
    text = "".join(a[1:] for a in args if a.startswith("/"))
    tiers = [a for a in args if not a.startswith("/")]
    if len(tiers) == 2 and tiers[1] not in TIERS:
        text = tiers.pop()
    unknown = [t for t in tiers if t not in TIERS]
    if unknown:
        sys.exit("no tier is called %s; there are: %s" % (unknown[0], " ".join(TIERS)))
    tiers = tiers or [t for t in TIERS if t not in ON_DEMAND]
    needed = {tree for tier in tiers for tree, _ in TIERS[tier]}
    top = reachable_top()
    usable = build([t for t in TREES + ["cov"] if t in needed or (t in TREES and "build" in tiers)], "build" in tiers)
    top = top or copied_top()
    for tier in tiers:
        run_tier(tier, usable, text, top)
    finish()


if __name__ == "__main__":
    main()
