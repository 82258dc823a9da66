#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""fuzz_one.py PROGRAM CORPUS: one fuzz target for the test run, as TAP.

First each seed, then a fixed number of random inputs from a fixed seed, so that a run can be
repeated. FUZZ_RUNS sets the number, FUZZ_SECONDS how long they may take at most. New inputs go to a temporary directory; what crashed is kept
beside the program and named.
"""
import os
import subprocess
import sys
import tempfile


def main():
    program, corpus = sys.argv[1:3]
    runs = os.environ.get("FUZZ_RUNS", "20000")
    seconds = os.environ.get("FUZZ_SECONDS", "12")
    env = dict(os.environ, ASAN_OPTIONS="detect_leaks=1", UBSAN_OPTIONS="halt_on_error=1")
    print("1..2")
    seeds = len(os.listdir(corpus)) if os.path.isdir(corpus) else 0
    if not seeds:
        print("not ok 1 - the corpus has seeds\nnot ok 2 - random inputs")
        return 1
    with tempfile.TemporaryDirectory() as new:
        common = [program, "-timeout=60", "-rss_limit_mb=1024", "-seed=1", "-print_final_stats=1",
                  "-artifact_prefix=%s-" % program]
        failed = False
        for number, (name, args) in enumerate((
                ("all %d seeds" % seeds, ["-runs=0", corpus]),
                ("%s random inputs" % runs, ["-runs=" + runs, "-max_total_time=" + seconds, new, corpus])), 1):
            r = subprocess.run(common + args, env=env, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            text = r.stdout.decode("utf-8", "replace").splitlines()
            ok = r.returncode == 0
            failed |= not ok
            print("%sok %d - %s" % ("" if ok else "not ", number, name))
            for line in text[-2:] if ok else text[-60:]:
                print("# " + line)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
