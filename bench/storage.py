# SPDX-License-Identifier: GPL-2.0-or-later
"""How long the storage service takes, beside what a plain command takes in the same run.

    bench/storage.py [--build DIR] [--rounds N] [--dir DIR]

Clone of an image of 1 GiB and of a tree of 1 GiB in 20,000 files against `cp --reflink=auto -a` and a
sync at the priority that the service gives a clone (others' work goes before it); import of 512 MiB against dd with fdatasync; a look at a volume and the start of a tree.
Nothing passes or fails by time. --dir: on which file system.
"""

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

SOURCE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(SOURCE, "tests", "blackbox"))
from storage_common import *  # noqa: E402

MIB = 1 << 20


class Service(Storage):
    def __init__(self, build, root):
        self.serial, self.waiting = 0, {}
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(600)
        self.sock = ours
        self.popen = subprocess.Popen([os.path.join(build, "services/storage/skerry-storage"),
                                       "--admin-fd=%d" % theirs.fileno()], pass_fds=[theirs.fileno()],
                                      env=dict(os.environ, SKERRY_ROOT=root))
        theirs.close()


def timed(fn):
    begin = time.monotonic()
    fn()
    return time.monotonic() - begin


def run(*argv):
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def report(what, ours, theirs, unit, size=None):
    a, b = statistics.median(ours), statistics.median(theirs)
    if size:
        print("| %s | %.0f MB/s | %.0f MB/s | %.2f |" % (what, size / a / 1e6, size / b / 1e6, b / a))
    else:
        scale = {"s": 1, "ms": 1000}[unit]
        print("| %s | %.2f %s | %.2f %s | %.2f |" % (what, a * scale, unit, b * scale, unit, b / a))


def fill_tree(top):
    data = os.urandom(54 * 1024)
    for n in range(20000):
        folder = os.path.join(top, "home/user/%03d" % (n // 100))
        if n % 100 == 0:
            os.makedirs(folder)
        with open(os.path.join(folder, str(n)), "wb") as f:
            f.write(data)


def clones(s, base, rounds):
    for vid in ("appvms/a/private", "appvms/b/private"):
        s.do(CREATE, "p", vid, ORIGIN, 1024 * MIB)
        s.do(CREATE, "d", vid, ORIGIN, 1024 * MIB)
    image = os.path.join(base, "pool/appvms/a/private.img")
    run("dd", "if=/dev/urandom", "of=" + image, "bs=1M", "count=1024", "conv=notrunc,fsync")
    tree = s.do(START, "d", "appvms/a/private", ORIGIN, MIB).path
    fill_tree(tree)
    s.do(STOP, "d", "appvms/a/private", ORIGIN, MIB)
    for name, pool, source in (("image of 1 GiB", "p", image), ("tree of 20,000 files, 1 GiB", "d", tree)):
        ours, theirs = [], []
        for _ in range(rounds):
            copy = os.path.join(base, "copy")
            theirs.append(timed(lambda: run("nice", "-n", "5", "ionice", "-c2", "-n7", "sh", "-c", 'cp --reflink=auto -a "$1" "$2" && sync -f "$2"', "-",
                                            source, copy)))
            shutil.rmtree(copy, ignore_errors=True)
            if os.path.exists(copy):
                os.unlink(copy)
            ours.append(timed(lambda: s.do(CLONE, pool, "appvms/b/private", ORIGIN, MIB, 0,
                                           source="appvms/a/private", source_pool=pool)))
        report("clone, " + name, ours, theirs, "s")


def imports(s, base, rounds):
    data = os.path.join(base, "data")
    run("dd", "if=/dev/urandom", "of=" + data, "bs=1M", "count=512")
    ours, theirs = [], []

    def dd(path):
        run("dd", "if=" + data, "of=" + path, "bs=128K", "conv=sparse,notrunc,nocreat,fdatasync")

    def imported():
        begun = s.do(IMPORT_BEGIN, "p", "appvms/b/private", ORIGIN, 512 * MIB)
        dd(begun.path)
        s.do(IMPORT_END, "p", "appvms/b/private", ORIGIN | OK, MIB)

    for _ in range(rounds):
        plain = os.path.join(base, "plain")
        with open(plain, "wb") as f:
            f.truncate(512 * MIB)
        theirs.append(timed(lambda: dd(plain)))
        os.unlink(plain)
        ours.append(timed(imported))
    report("import of 512 MiB, against dd alone", ours, theirs, None, 512 * MIB)


def small(s, rounds):
    for n in range(20):
        s.do(CREATE, "d", "appvms/q%d/private" % n, ORIGIN, MIB)

    def each(kind):
        for n in range(20):
            s.do(kind, "d", "appvms/q%d/private" % n, ORIGIN, MIB)

    def spawn():
        for _ in range(20):
            run("/bin/true")

    looks, starts, stops, spawns = [], [], [], []
    for _ in range(rounds * 3):
        spawns.append(timed(spawn) / 20)
        looks.append(timed(lambda: each(INFO)) / 20)
        starts.append(timed(lambda: each(START)) / 20)
        stops.append(timed(lambda: each(STOP)) / 20)
    report("a look at a volume, against a start of /bin/true", looks, spawns, "ms")
    report("start of a private tree, against the same", starts, spawns, "ms")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=os.path.join(SOURCE, "build/release"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dir", default=None)
    o = parser.parse_args()
    base = tempfile.mkdtemp(prefix="bench-storage-", dir=o.dir)
    try:
        os.makedirs(os.path.join(base, "root/run/qubes"))
        s = Service(o.build, os.path.join(base, "root"))
        s.pool("p", FILE_REFLINK, os.path.join(base, "pool"))
        s.pool("d", DIRECTORY, os.path.join(base, "trees"))
        print("| what | here | reference | reference / here |\n| --- | ---: | ---: | ---: |")
        small(s, o.rounds)
        clones(s, base, o.rounds)
        imports(s, base, o.rounds)
        s.sock.close()
        s.popen.wait()
    finally:
        shutil.rmtree(base, ignore_errors=True)


if __name__ == "__main__":
    main()
