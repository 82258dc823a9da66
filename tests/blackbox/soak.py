# SPDX-License-Identifier: GPL-2.0-or-later
# If this failed, a busy system would now and then lose a call, for ever.
"""Many calls, many at once, with programs dying. SKERRY_SOAK=N calls (default 2000)."""

import queue
import random
import statistics
import subprocess
import threading

from harness import *
from system import Qube
from two_qubes import done, popen_call, start

CALLS = int(os.environ.get("SKERRY_SOAK", "2000"))


def call_many(sut, count, parallel, choose, timeout=60):
    """count calls; choose(i) -> (qube, target, service). [(i, status, seconds)], status None: hung."""
    todo, results = queue.SimpleQueue(), []
    for i in range(count):
        todo.put(i)

    def work():
        while True:
            try:
                i = todo.get_nowait()
            except queue.Empty:
                return
            began = time.monotonic()
            try:
                status = sut.call(*choose(i), timeout=timeout).returncode
            except subprocess.TimeoutExpired:
                status = None
            results.append((i, status, time.monotonic() - began))

    workers = [threading.Thread(target=work) for _ in range(parallel)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return results


def nothing_left(sut):
    """No port and no slot is still taken: as many calls as ports can be held open at once."""
    held = [popen_call(sut, "vma", "vmb", "test.Hold") for _ in range(120)]
    for call in held:
        equal(call.stdout.readline(), b"started\n", "a call after the storm")
    for call in held:
        call.stdin.close()
        equal(call.wait(), 0)


def soak(t, transport):
    sut = start(t, transport)
    ways = [("vma", "vmb", "test.Ok"), ("vma", "dom0", "test.Ok"), ("vmb", "", "test.Ok"),
            (None, "vmb", "DEFAULT:QUBESRPC test.Ok dom0"), ("vma", "vmb", "test.Refused")]
    wanted = [0, 0, 0, 0, REFUSED]
    for parallel in (16, 64):
        results = call_many(sut, CALLS // 2, parallel, lambda i: ways[i % len(ways)])
        wrong = [(ways[i % len(ways)], status) for i, status, _ in results
                 if status != wanted[i % len(ways)]]
        equal(wrong, [], f"{len(results)} calls, {parallel} at once: lost, hung or wrong")
    nothing_left(sut)
    done(t)


# If this failed, one call in some thousands would hang, as in the original.
@case("qrexec-033 many parallel calls all complete, socket")
def _(t):
    soak(t, "socket")


@case("qrexec-033 many parallel calls all complete, memfd")
def _(t):
    soak(t, "memfd")


def chaos(t, transport):
    """A third qube's programs die all the time; calls between the first two do not notice."""
    sut = start(t, transport)
    sut.qubes["vmc"] = Qube("vmc", 3)
    sut._folders()
    sut.service("vmc", "test.Cat", "#!/bin/sh\nexec cat\n")
    sut.describe()
    wait_for(lambda: sut.call(None, "vma", "DEFAULT:QUBESRPC test.Cat dom0").returncode == 0, "start")
    stop = threading.Event()
    deaths = []

    def killer():
        rng = random.Random(1)
        while not stop.is_set():
            sut.start_agent("vmc")
            sut.start_daemon("vmc")
            calls = [popen_call(sut, "vma", "vmc", "test.Cat") for _ in range(4)]
            time.sleep(rng.random() * 0.05)
            victims = [sut.qubes["vmc"].daemon, sut.qubes["vmc"].agent]
            rng.shuffle(victims)
            for victim in victims:
                victim.kill()
                victim.wait()
                time.sleep(rng.random() * 0.02)
            for link in glob.glob(sut.path("run/qubes/qrexec.vmc")):
                os.unlink(link)
            for call in calls:
                call.kill()
                call.communicate()
            deaths.append(1)

    thread = threading.Thread(target=killer)
    thread.start()
    try:
        results = call_many(sut, max(400, CALLS // 5), 16, lambda i: ("vma", "vmb", "test.Ok"))
    finally:
        stop.set()
        thread.join()
    print(f"# {len(deaths)} deaths of daemon and agent during {len(results)} calls")
    check(deaths, "somebody died")
    equal([status for _, status, _ in results if status != 0], [], "calls of others")
    sut.start_agent("vmc")
    sut.start_daemon("vmc")
    equal(sut.call("vma", "vmc", "test.Cat", b"x").stdout, b"x", "the killed qube works again")
    nothing_left(sut)
    done(t)


# If this failed, a qube that crashes would take the calls of others with it.
@case("daemon and agent of one qube die at random moments, socket")
def _(t):
    chaos(t, "socket")


@case("daemon and agent of one qube die at random moments, memfd")
def _(t):
    chaos(t, "memfd")


# If this failed, a restart of the policy service during calls would hang some of them.
@case("the policy service dies at random moments")
def _(t):
    sut = start(t, "socket")
    stop = threading.Event()

    def killer():
        rng = random.Random(2)
        while not stop.is_set():
            time.sleep(rng.random() * 0.1)
            sut.policy.kill()
            sut.policy.wait()
            sut.start_policy()

    thread = threading.Thread(target=killer)
    thread.start()
    try:
        results = call_many(sut, max(400, CALLS // 5), 16, lambda i: ("vma", "vmb", "test.Ok"))
    finally:
        stop.set()
        thread.join()
    statuses = {status: sum(1 for r in results if r[1] == status) for _, status, _ in results}
    print(f"# {statuses}")
    check(set(statuses) <= {0, REFUSED}, f"allowed or refused, nothing else: {statuses}")
    wait_for(lambda: sut.call("vma", "vmb", "test.Ok").returncode == 0, "calls after the last death")
    nothing_left(sut)
    done(t)


class Flood(threading.Thread):
    """A hostile agent: requests without end, never reads."""

    def __init__(self, t, sut, xid):
        super().__init__(daemon=True)
        path = sut.path("run/vchan", f"vchan.{xid}.0.{CONTROL}.sock")
        self.server = t.own(Server(path))
        os.chmod(path, 0o777)
        self.sent, self.stop = 0, False

    def run(self):
        try:
            channel = self.server.accept()
            channel.hello_first()
            message = b"".join(
                pack_message(TRIGGER_SERVICE4, pack_trigger4("test.Ok", "vmb", f"FLOOD{i}"))
                for i in range(64))
            channel.sock.settimeout(0.2)
            while not self.stop:
                try:
                    self.sent += channel.sock.send(message)
                except (TimeoutError, BlockingIOError):
                    pass
        except OSError:
            pass


# If this failed, a hostile qube could keep other qubes from calling.
@case("an agent that floods and never reads costs the others nothing")
def _(t):
    sut = start(t, "socket")
    sut.qubes["evil"] = Qube("evil", 66)
    before = call_many(sut, 300, 1, lambda i: ("vma", "vmb", "test.Ok"))
    flood = Flood(t, sut, 66)
    flood.start()
    sut.start_daemon("evil", wait=False)
    wait_for(lambda: flood.sent > 1 << 16, "the flood")
    during = call_many(sut, 300, 1, lambda i: ("vma", "vmb", "test.Ok"))
    flood.stop = True
    p99 = [statistics.quantiles([r[2] for r in some], n=100)[98] * 1000
           for some in (before, during)]
    print(f"# p99 {p99[0]:.2f} ms before, {p99[1]:.2f} ms during the flood "
          f"({flood.sent >> 10} KiB): x{p99[1] / p99[0]:.2f}")
    equal([r[1] for r in before + during if r[1] != 0], [], "calls of others")
    done(t)


if __name__ == "__main__":
    main()
