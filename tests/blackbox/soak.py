# SPDX-License-Identifier: GPL-2.0-or-later
# If this failed, a busy system would now and then lose a call, for ever.
"""Many calls, many at once, with programs dying.

SKERRY_SOAK=N: so many calls (default 2000; all: 100000). SKERRY_FLIGHT=N: so many at the same moment
(default 300; all: 2000)."""

import queue
import random
import signal
import statistics
import subprocess
import threading

from harness import *
from system import Qube
from two_qubes import POLICY, done, popen_call, start

CALLS = int(os.environ.get("SKERRY_SOAK", "2000"))
FLIGHT = int(os.environ.get("SKERRY_FLIGHT", "300"))
POLICY_MORE = """
test.Hold   * vma @anyvm   allow
test.Socket * vma vmb      allow
test.Cat    * vmc @adminvm allow
""" + POLICY
PAIR = 128  # data ports of one pair of qubes; protocol


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


def nothing_left(sut, target="vmb"):
    """No port and no slot is still taken: as many calls as ports can be held open at once."""
    held = [popen_call(sut, "vma", target, "test.Hold") for _ in range(PAIR)]
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


def socket_service(t, sut, qube, name):
    """A service that is a socket: answers each connection, below a qube's folder."""
    path = sut.inside(qube, "etc/qubes-rpc", name)

    def answer(channel):
        data = b""
        while not data.endswith(b"\0"):
            part = channel.sock.recv(4096)
            if not part:
                return
            data += part
        channel.send(b"ok\n")
    t.respond(path, answer)
    os.chmod(path, 0o777)


# If this failed, calls beyond the ports of a pair of qubes would be refused or forgotten.
def flight(t, transport, service):
    sut = start(t, transport, policy=POLICY_MORE)
    socket_service(t, sut, "vmb", "test.Socket")
    calls = [popen_call(sut, "vma", "vmb", service) for _ in range(FLIGHT)]
    for call in calls:
        call.stdin.close()
        call.stdin = None
    results = [(call.communicate(timeout=HANG * 10)[0][:2], call.returncode) for call in calls]
    equal([r for r in results if r != (b"ok", 0)], [], f"of {FLIGHT} calls at once")
    nothing_left(sut)
    done(t)


for _transport in ("socket", "memfd"):
    for _service in ("test.Ok", "test.Socket"):
        @case(f"{FLIGHT} calls in flight between two qubes, {_service}, {_transport}")
        def _(t, transport=_transport, service=_service):
            flight(t, transport, service)


def more_qubes(sut, count):
    """Qubes beside the first two, running."""
    names = [f"more{i}" for i in range(count)]
    for i, name in enumerate(names):
        sut.qubes[name] = Qube(name, 10 + i)
    sut._folders()
    for name in names:
        sut.service(name, "test.Hold", "#!/bin/sh\necho started\nexec cat >/dev/null\n")
    sut.describe()
    for name in names:
        sut.start_agent(name)
    for name in names:
        sut.start_daemon(name)
    return names


# If this failed, a qube could not have as many calls open as is promised, or they would starve others.
@case(f"{FLIGHT} calls open at the same moment, to as many qubes as that needs")
def _(t):
    sut = start(t, "memfd", policy=POLICY_MORE)
    names = more_qubes(sut, -(-FLIGHT // PAIR))
    calls = [popen_call(sut, "vma", names[i // PAIR], "test.Hold") for i in range(FLIGHT)]
    wait_for(lambda: sut.call("vma", "vmb", "test.Ok").returncode == 0, "a call beside them")
    for i, call in enumerate(calls):
        equal(call.stdout.readline(), b"started\n", f"call {i}")
    equal(sut.call("vma", "vmb", "test.Ok").returncode, 0, "a call when all are open")
    for call in calls:
        call.stdin.close()
    equal({call.wait() for call in calls}, {0})
    done(t)


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


def parts_of(sut, name):
    """Pids of a qube's keeper, which runs in the background, and of its slice and runner."""
    found, keepers = {}, {}
    for pid in descendants(os.getpid()):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                words = file.read().split(b"\0")
            with open(f"/proc/{pid}/stat", encoding="ascii") as file:
                parent = int(file.read().rsplit(")", 1)[1].split()[1])
        except (OSError, ValueError):
            continue
        if words[0].endswith(b"skerry-qrexec") and name.encode() in words:
            keepers[pid] = parent
        elif words[0] in (b"skerry-qrexec-slice", b"skerry-qrexec-runner"):
            found[words[0].decode(), parent] = pid
    # Its starter looks like it, and is its child.
    keeper = next((pid for pid, parent in keepers.items() if parent not in keepers), None)
    return keeper, [pid for (_, parent), pid in found.items() if parent == keeper]


# If this failed, a slice or runner that crashes would leave its qube without calls, or touch others.
@case("slice and runner of one qube die at random moments")
def _(t):
    sut = start(t, "memfd", policy=POLICY_MORE)
    sut.qubes["vmc"] = Qube("vmc", 3)
    sut._folders()
    sut.service("vmc", "test.Cat", "#!/bin/sh\nexec cat\n")
    sut.service("vmc", "test.Hold", "#!/bin/sh\necho started\nexec cat >/dev/null\n")
    sut.describe()
    sut.start_agent("vmc")
    keeper = sut.popen([sut.program("skerry-qrexec"), "-q", "--uuid=" + sut.qubes["vmc"].uuid, "3", "vmc",
                        sut.account.pw_name])
    equal(keeper.wait(), 0, "the start in the background")
    stop, deaths = threading.Event(), []

    def killer():
        rng = random.Random(3)
        while not stop.is_set():
            _, parts = parts_of(sut, "vmc")
            calls = [popen_call(sut, "vmc", "dom0", "test.Cat"), popen_call(sut, "vma", "vmc", "test.Cat")]
            time.sleep(rng.random() * 0.05)
            if parts:
                try:
                    os.kill(rng.choice(parts), signal.SIGKILL)
                    deaths.append(1)
                except ProcessLookupError:
                    pass
            for call in calls:
                try:
                    call.communicate(timeout=1)
                except subprocess.TimeoutExpired:
                    call.kill()  # its service went with the slice
                    call.communicate()

    thread = threading.Thread(target=killer)
    thread.start()
    try:
        results = call_many(sut, max(400, CALLS // 5), 16, lambda i: ("vma", "vmb", "test.Ok"))
    finally:
        stop.set()
        thread.join()
    print(f"# {len(deaths)} deaths of slice and runner during {len(results)} calls")
    check(deaths, "somebody died")
    equal([status for _, status, _ in results if status != 0], [], "calls of others")
    wait_for(lambda: sut.call("vmc", "dom0", "test.Cat", b"x").stdout == b"x", "calls to dom0")
    wait_for(lambda: sut.call("vma", "vmc", "test.Cat", b"x").stdout == b"x", "calls to the qube")
    # Calls wait for ports that are held since a slice died: up to 130 s.
    nothing_left(sut, "vmc")
    nothing_left(sut)
    os.kill(parts_of(sut, "vmc")[0], signal.SIGTERM)
    wait_for(lambda: parts_of(sut, "vmc")[0] is None, "the end of its daemon")
    done(t)


def anonymous_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("RssAnon:"))


def private_kib(pid):
    """What this process has to itself."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        return sum(int(line.split()[1]) for line in file if line.startswith("Private_"))


with open(program("skerry-qrexec"), "rb") as _file:
    SANITIZED = b"SKERRY_TEST_LIMIT_DIVISOR" in _file.read()

if not SANITIZED:
    # If this failed, thirty qubes would take from dom0 what it has for itself.
    @case("keeper and slice of a qube keep to 512 KiB after 1,000 calls")
    def _(t):
        sut = start(t, "memfd")
        ways = [("vma", "vmb", "test.Ok"), ("vma", "dom0", "test.Ok"), ("vma", "vmb", "test.Refused")]
        call_many(sut, 1000, 16, lambda i: ways[i % 3])
        for name in ("vma", "vmb"):
            keeper = sut.qubes[name].daemon.pid
            parts = {}
            for pid in [keeper] + descendants(keeper):
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    parts[pid] = os.path.basename(file.read().split(b"\0")[0].decode())
            # They hide their memory: only root may read how much of it is nobody else's.
            if os.geteuid() == 0:
                sizes = [(part, private_kib(pid)) for pid, part in parts.items() if "runner" not in part]
                print(f"# {name}: private KiB {sizes}")
                check(sum(size for _, size in sizes) <= 512, f"{name}: {sizes}")
            else:
                check(anonymous_kib(keeper) <= 384, f"{name}: keeper {anonymous_kib(keeper)} KiB")
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
