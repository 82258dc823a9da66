#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What the command line tools cost, against the real admin service.

    bench/tools.py [--build DIR] [--qubes N] [--rounds N] [--json]

Starts skerry-store and skerry-admin in a folder of their own, makes N qubes (200), and measures: the
listing of all with ten properties each, by qvm-ls and skerry ls; a listing of names; one property; for
comparison the start of a program that does nothing and of Python. For each the least and the median of
the wall-clock time, and the processor time of the command and of the service. Nothing passes or fails.
"""

import argparse
import json
import os
import resource
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

SOURCE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FIELDS = "name,state,label,template,netvm,vcpus,maxmem,memory-max,ip,virt-mode,qrexec-timeout,uuid"
HELLO, FAILED, END = 1, 34, 35  # proto/monitor.h


def monitor(sock):
    """As much of a monitor as a service without running qubes asks for."""
    while packet := sock.recv(65536):
        kind, serial, domid = struct.unpack_from("<III", packet)
        if kind == HELLO:
            sock.send(struct.pack("<III", END, serial, 0))
        else:
            sock.send(struct.pack("<IIIII", FAILED, serial, domid, 1, 0) + bytes(128))


class Service:
    def __init__(self, build):
        self.root = tempfile.mkdtemp(prefix="skerry-bench-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
        os.makedirs(os.path.join(self.root, "run/qubes"))
        pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(2)]
        (store, theirs), (mine, other) = pairs
        ready, told = os.pipe()
        threading.Thread(target=monitor, args=(mine,), daemon=True).start()
        folder = os.path.join(build, "services", "admin")
        with open(os.path.join(self.root, "log"), "wb") as log:
            self.store = subprocess.Popen([os.path.join(folder, "skerry-store"), "--root=" + self.root,
                                           "--admin-fd=%d" % theirs.fileno()], pass_fds=[theirs.fileno()], stderr=log)
            self.admin = subprocess.Popen([os.path.join(folder, "skerry-admin"), "--root=" + self.root,
                                           "--store-fd=%d" % store.fileno(), "--monitor-fd=%d" % other.fileno(),
                                           "--ready-fd=%d" % told, "--memory-mib=32768", "--cpus=8",
                                           "--dom0-memory-kib=4194304", "--timezone=UTC"],
                                          pass_fds=[store.fileno(), other.fileno(), told], stderr=log)
        os.close(told)
        if not os.read(ready, 1):
            sys.exit("skerry-admin did not start: " + open(os.path.join(self.root, "log"), encoding="utf-8").read())

    def ask(self, method, argument, payload):
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(os.path.join(self.root, "run/qubesd.sock"))
        sock.sendall(("%s+%s dom0 name dom0\0%s" % (method, argument, payload)).encode())
        sock.shutdown(socket.SHUT_WR)
        reply = b"".join(iter(lambda: sock.recv(65536), b""))
        sock.close()
        if not reply.startswith(b"0\0"):
            sys.exit("%s: %r" % (method, reply))

    def seconds(self):
        """Processor time of the service; by the scheduler's clock, the usual one has steps of 10 ms."""
        with open("/proc/%d/schedstat" % self.admin.pid, encoding="ascii") as f:
            return int(f.read().split()[0]) / 1e9

    def close(self):
        self.admin.terminate()
        self.admin.wait()
        self.store.terminate()
        self.store.wait()
        shutil.rmtree(self.root, ignore_errors=True)


def measure(service, name, command, rounds):
    env = dict(os.environ, SKERRY_ROOT=service.root)
    walls = []
    before, used = resource.getrusage(resource.RUSAGE_CHILDREN), service.seconds()
    for _ in range(rounds):
        begin = time.perf_counter()
        subprocess.run(command, env=env, stdout=subprocess.DEVNULL, check=True)
        walls.append(1e3 * (time.perf_counter() - begin))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    own = 1e3 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / rounds
    walls.sort()
    return {"name": "tools: " + name, "least_ms": walls[0], "median_ms": walls[rounds // 2], "command_ms": own,
            "service_ms": 1e3 * (service.seconds() - used) / rounds}


def print_figure(figure):
    print("| %-34s | %8.2f | %8.2f | %8.2f | %8.2f |" % (
        figure["name"][7:], figure["least_ms"], figure["median_ms"], figure["command_ms"], figure["service_ms"]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default=os.path.join(SOURCE, "build", "release"))
    parser.add_argument("--qubes", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--json", action="store_true", help="a line for each figure, for bench/run")
    given = parser.parse_args()
    qvm, skerry = (os.path.join(given.build, "tools", name) for name in ("qvm/qvm", "skerry"))
    service = Service(given.build)
    try:
        service.ask("admin.vm.Create.TemplateVM", "", "name=deb label=black")
        for i in range(given.qubes):
            service.ask("admin.vm.Create.AppVM", "deb", "name=vm%d label=red" % i)
        if not given.json:
            print("| %-34s | %8s | %8s | %8s | %8s |" % ("ms", "least", "median", "command", "service"))
            print("| --- | ---: | ---: | ---: | ---: |")
        for name, command in (
                ("qvm-ls, %d qubes, 10 properties" % given.qubes, [qvm, "ls", "--raw-data", "--fields", FIELDS]),
                ("qvm-ls", [qvm, "ls"]), ("skerry ls", [skerry, "ls"]),
                ("qvm-ls --raw-list", [qvm, "ls", "--raw-list"]), ("qvm-prefs vm1 memory", [qvm, "prefs", "vm1", "memory"]),
                ("true", ["/bin/true"]), ("python3 -c pass", ["/usr/bin/python3", "-c", "pass"])):
            figure = measure(service, name, command, given.rounds)
            if given.json:
                print(json.dumps(figure))
            else:
                print_figure(figure)
    finally:
        service.close()


if __name__ == "__main__":
    main()
