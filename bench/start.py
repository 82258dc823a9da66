# SPDX-License-Identifier: GPL-2.0-or-later
"""How long a qube takes to start, and a disposable from the pool to say its first byte, on this machine.

    bench/start.py [--rounds N] [--stage DIR] [--other DIR] [--root DIR]

Starts the installed system (build/stage, see scripts/stage.sh) in a folder of its own and, by turns:
bubblewrap with /bin/true (the reference), start and kill of an app qube, `skerry disp` with a ready
pool. --other: a second stage, measured by turns with the first, so that load hits both alike.
Nothing passes or fails by time. Run it as an ordinary user, or as root to measure the system of root.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

SOURCE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(SOURCE, "scripts"))
import tour  # noqa: E402

REFERENCE = ["bwrap", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "--unshare-all", "/bin/true"]
POOL_WAIT = 60  # seconds


def milliseconds(fn):
    begin = time.monotonic()
    fn()
    return 1000 * (time.monotonic() - begin)


class Subject:
    """One system, of one stage."""

    def __init__(self, stage, folder):
        self.bin = os.path.join(stage, "usr/local/bin")
        self.name, self.figures = stage, {}
        os.makedirs(os.path.join(folder, "etc"))
        subprocess.run(["cp", "-a", os.path.join(stage, "etc") + "/.", os.path.join(folder, "etc")], check=True)
        tour.STAGE = os.path.join(stage, "usr/local")
        self.system = tour.System(folder)
        self.system.start()
        self.run("skerry", "init")
        self.run("qvm-create", "--label", "red", "bench")

    def run(self, *words):
        subprocess.run([os.path.join(self.bin, words[0]), *words[1:]], env=self.system.env(), check=True,
                       stdout=subprocess.DEVNULL)

    def note(self, what, value):
        self.figures.setdefault(what, []).append(value)

    def output(self, *words):
        return subprocess.run([os.path.join(self.bin, words[0]), *words[1:]], env=self.system.env(), check=True,
                              stdout=subprocess.PIPE).stdout.decode()

    def pool_wait(self):
        end = time.monotonic() + POOL_WAIT
        while time.monotonic() < end and self.output("skerry", "ls").count(" Paused ") < 2:
            time.sleep(0.1)
        time.sleep(0.5)

    def disposable(self):
        begin = time.monotonic()
        with subprocess.Popen([os.path.join(self.bin, "skerry"), "disp", "--", "echo", "x"], env=self.system.env(),
                              stdout=subprocess.PIPE) as process:
            if os.read(process.stdout.fileno(), 1) != b"x":
                sys.exit("the disposable said nothing")
            self.note("disposable, first byte", 1000 * (time.monotonic() - begin))

    def round(self):
        self.pool_wait()
        self.note("start", milliseconds(lambda: self.run("qvm-start", "bench")))
        time.sleep(0.1)
        self.note("kill", milliseconds(lambda: self.run("qvm-kill", "bench")))
        time.sleep(0.1)
        self.disposable()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--stage", default=os.path.join(SOURCE, "build/stage"))
    parser.add_argument("--other")
    parser.add_argument("--root", help="where the systems' folders are made")
    o = parser.parse_args()
    base = tempfile.mkdtemp(prefix="skerry-start-", dir=o.root)
    subjects, reference = [], []
    try:
        for number, stage in enumerate([o.stage, o.other] if o.other else [o.stage]):
            subjects.append(Subject(os.path.abspath(stage), os.path.join(base, str(number))))
        for number in range(o.rounds):
            for subject in subjects if number % 2 else reversed(subjects):
                reference.append(milliseconds(lambda: subprocess.run(REFERENCE, check=True)))
                subject.round()
        unit = statistics.median(reference)
        print("load %s; bubblewrap with /bin/true: median %.1f ms, least %.1f" % (
            " ".join("%.1f" % load for load in os.getloadavg()), unit, min(reference)))
        print("| what | median ms | least ms | median / bubblewrap's |\n| --- | ---: | ---: | ---: |")
        for subject in subjects:
            for what, values in subject.figures.items():
                print("| %s%s | %.1f | %.1f | %.1f |" % (what, ", " + subject.name if o.other else "",
                                                      statistics.median(values), min(values),
                                                      statistics.median(values) / unit))
    finally:
        for subject in subjects:
            subject.system.stop()
        subprocess.run(["chmod", "-R", "u+rwX", base], check=False)
        shutil.rmtree(base, ignore_errors=True)


if __name__ == "__main__":
    main()
