# SPDX-License-Identifier: GPL-2.0-or-later
"""The keeper beside a slice or a runner that an attacker has taken over: scripts in their places.

A copy of the keeper finds its parts beside itself, so a folder decides what they are."""

import random
import shutil

from daemon_common import *

START, COMMAND, REFUSE, OPEN, REQUEST, TERMINATED, END = 1, 2, 3, 16, 17, 18, 19
COMMAND_MAX = 65535 - 8 + 255
HEAD = '''#!/usr/bin/python3 -IS
import os, socket, sys, time
place = os.path.dirname(os.path.abspath(sys.argv[0]))
keeper = socket.socket(fileno=3)
def note(name, data):
    with open(os.path.join(place, name), "ab") as file:
        file.write(data)
def lines(name):
    try:
        with open(os.path.join(place, name), encoding="ascii") as file:
            return file.read().split()
    except FileNotFoundError:
        return []
'''
# Each slice waits for its turn, does the attack of that turn, and lives on.
SLICE = HEAD + '''
turn = len(lines("slices"))
note("slices", b"%d\\n" % os.getpid())
data, fds, _, _ = socket.recv_fds(keeper, 65536, 8)
with open("/proc/self/environ", "rb") as file:
    note("started", b"%d\\n" % len(file.read()))
if not lines("mute"):
    keeper.send(bytes([16, 0, 0, 0, 4, 0, 0, 0]))
while len(lines("attacks")) <= turn:
    time.sleep(0.005)
for packet in lines("attacks")[turn].split(","):
    if packet == "close":
        keeper.close()
    elif packet == "fds":
        for _ in range(50):
            socket.send_fds(keeper, [bytes([18, 0, 0, 0, 7, 0, 0, 0, 1, 2, 0, 0])], [0, 1, 2])
    elif packet == "die":
        os.abort()
    else:
        try:
            keeper.send(bytes.fromhex(packet.removeprefix("x")))
        except BrokenPipeError:
            break
while True:
    time.sleep(1000)
'''


class Parts:
    """A folder with a copy of the keeper, and its parts: the real ones or scripts."""

    def __init__(self, t, slice_text=None, runner_text=None):
        self.t = t
        real = program("skerry-qrexec")
        self.keeper = t.path("parts/skerry-qrexec")
        os.makedirs(t.path("parts"))
        shutil.copy(real, self.keeper)
        for name, text in (("slice", slice_text), ("runner", runner_text)):
            if text is None:
                os.symlink(os.path.join(os.path.dirname(real), "skerry-qrexec-" + name),
                           t.path("parts/skerry-qrexec-" + name))
            else:
                t.file("parts/skerry-qrexec-" + name, text, 0o755)

    def lines(self, name):
        path = self.t.path("parts", name)
        return self.t.read(path).decode().split() if os.path.exists(path) else []

    def add(self, name, line):
        with open(self.t.path("parts", name), "a", encoding="ascii") as file:
            file.write(line + "\n")


def u32(*values):
    return b"".join(value.to_bytes(4, "little") for value in values)


def request(serial=1, has_source=0, ident=b"SOCKET1", source=b"", target=b"t", name=b"svc",
            length=None, unused=0):
    return (u32(REQUEST, serial, has_source) + ident.ljust(32, b"\0") + source.ljust(64, b"\0")
            + target.ljust(64, b"\0") + u32(len(name) if length is None else length, unused)
            + name + b"\0")


ATTACKS = {
    "nothing, as a packet": [b""],
    "one byte": [b"\x10"], "three bytes": [b"\x10\0\0"],
    "kind 0": [u32(0)], "kind 15": [u32(15, 0)], "kind 20": [u32(20, 0)], "kind 2^31": [u32(1 << 31)],
    "a START": [u32(START, 1, 1, 0, 0, 0, 0, 1, 0)],
    "a COMMAND": [u32(COMMAND, 0x200, 7, 513, 0, 0, 2) + b"a\0"],
    "a REFUSE": [u32(REFUSE, 0, 0) + bytes(32)],
    "OPEN again": [u32(OPEN, 4)], "OPEN of no version": [u32(OPEN, 9)],
    "TERMINATED, port 512": [u32(TERMINATED, 7, 512)],
    "TERMINATED, too long": [u32(TERMINATED, 7, 513, 0)],
    "a name with a newline": [request(name=b"a\nb")],
    "a name with a space": [request(name=b"a b")],
    "a name that begins with a plus": [request(name=b"+a")],
    "a name with a NUL": [request(name=b"a\0b")],
    "a length that lies": [request(length=4)],
    "a length that overflows": [request(length=0xffffffff)],
    "a target with a slash": [request(target=b"../t")],
    "a target without end": [request(target=b"t" * 64)],
    "a source that is not claimed": [request(source=b"far")],
    "an ident with a slash": [request(ident=b"a/b")],
    "the longest packet": [b"\x11\0\0\0" + b"a" * (COMMAND_MAX + 24)],
    "one longer than any": [b"\x11\0\0\0" + b"a" * (COMMAND_MAX + 100)],
    "END for no reason": [u32(END, 0)],
    "END, and what may not follow": [u32(END, 1), u32(OPEN, 4)],
    "closes, and lives on": ["close"], "descriptors, then a lie": ["fds", u32(0)], "a crash": ["die"],
}


def as_line(packets):
    return ",".join(packet if isinstance(packet, str) else "x" + packet.hex() for packet in packets)


def detached(t, parts, xid, uuid, name):
    """A keeper that waits for a new agent as long as it takes; its pid."""
    before = set(descendants(os.getpid()))
    started = t.start(parts.keeper, "-q", "--socket-dir=" + t.dir, "--uuid=" + uuid,
                      "--policy-program=" + policy_program(t, status=1), str(xid), name)
    return started, before


def alive(pid):
    try:
        os.kill(pid, 0)
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


# If this failed, a qube that took over its slice could go on in dom0 from there: stop the keeper, fill
# its descriptors, or keep running after it was found out.
@case("keeper a hostile slice is ended, the keeper and others go on")
def _(t):
    parts = Parts(t, SLICE)
    other = Daemon(t, xid=43, name="other", uuid=UUID[:-1] + "9")
    server = t.vchan_server(42, 0, CONTROL)
    started, before = detached(t, parts, 42, UUID, "v")
    t.own(server.accept())
    equal(started.wait(output=False), 0)
    agents, sizes = [], []
    for turn, (what, packets) in enumerate(ATTACKS.items()):
        wait_for(lambda: len(parts.lines("started")) == turn + 1, f"a slice before: {what}")
        pid = int(parts.lines("slices")[turn])
        wait_for(lambda: os.path.exists(t.path("qrexec.42")), f"the local socket before: {what}")
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            keeper = int(file.read().rsplit(")", 1)[1].split()[1])
        check(keeper not in before, "the slice is a child of the keeper")
        if os.access(f"/proc/{keeper}/fd", os.R_OK):  # not where it hides itself: harness.py, fds()
            sizes.append(len(os.listdir(f"/proc/{keeper}/fd")))
        client = t.connect(t.path("qrexec.42"))
        equal(client.recv_hello(), 3)
        server.close()
        server = t.vchan_server(42, 0, CONTROL)
        parts.add("attacks", as_line(packets))
        client.expect_eof()
        agents.append(t.own(server.accept()))
        wait_for(lambda: not alive(pid), f"the end of the slice after: {what}")
        check(alive(keeper), f"the keeper lives after: {what}")
    equal(set(parts.lines("started")), {"0"}, "bytes of the slice's environment")
    check(len(set(sizes)) <= 1, f"descriptors of the keeper: {sizes}")
    client = other.client()
    client.send_message(JUST_EXEC, pack_exec(0, 0, "user:alive"))
    client.expect(JUST_EXEC, pack_exec(43, 513))
    other.agent.expect(JUST_EXEC, pack_exec(0, 513, "user:alive"))


# If this failed, a slice that says what it may, in any order and without end, could stop its keeper.
@case("keeper a slice that says only what it may, in any order")
def _(t):
    parts = Parts(t, SLICE)
    server = t.vchan_server(42, 0, CONTROL)
    rng = random.Random(4)
    packets = []
    for i in range(3000):
        packets.append(rng.choice((
            request(serial=i, ident=b"N%d" % rng.randrange(9)),
            request(serial=7, has_source=1, source=b"far", ident=b"", name=b"a" * 3000),
            u32(TERMINATED, rng.randrange(4), rng.randrange(513, 769)),
            u32(END, rng.randrange(1, 4)))))
    parts.add("attacks", as_line(packets))
    d = t.start(parts.keeper, "--direct", "--socket-dir=" + t.dir, "--uuid=" + UUID,
                "--policy-program=" + policy_program(t, status=1), "42", "v")
    t.own(server.accept())
    wait_for(lambda: os.path.exists(t.path("qrexec.42")), "the local socket")
    for _ in range(20):
        client = t.connect(t.path("qrexec.42"))
        equal(client.recv_hello(), 3)
        client.close()
    check(d.running() and d.rss_kib() < (1 << 20 if b"asan" in t.read(parts.keeper) else 30000),
          "the keeper is well")
    equal(d.stop(), 0)


# If this failed, a slice that never greets would let a qube's start wait for ever.
@case("keeper a slice that lies before HELLO, dies or is silent ends the start")
def _(t):
    for i, (line, status) in enumerate((("x00", 1), ("die", 1), ("close", 1), ("x1200", 1),
                                        (as_line([request()]), 1), ("", 3))):
        place = Test(str(i))
        try:
            parts = Parts(place, SLICE)
            parts.add("mute", "1")
            if line:
                parts.add("attacks", line)
            server = place.vchan_server(42, 0, CONTROL)
            d = place.start(parts.keeper, "--direct", "--socket-dir=" + place.dir, "--uuid=" + UUID,
                            "42", "v", env={"QREXEC_STARTUP_TIMEOUT": 1 if status == 3 else 60})
            place.own(server.accept())
            equal(d.wait(output=False), status, line)
            pid = int(parts.lines("slices")[0])
            wait_for(lambda: not alive(pid), "the end of the slice")
        finally:
            equal(place.finish(), [])
            place.remove()


RUNNER = HEAD + '''
with open("/proc/self/status", "rb") as file:
    rights = dict(line.split(b":\\t") for line in file if b":\\t" in line)
note("rights", b"%s/%s\\n" % (rights[b"NoNewPrivs"].strip(), rights[b"Seccomp"].strip()))
note("runners", b"%d\\n" % os.getpid())
keeper.recv(70000)
for packet in lines("say"):
    if packet == "close":
        keeper.close()
    elif packet == "die":
        os.abort()
    else:
        try:
            keeper.send(bytes.fromhex(packet))
        except BrokenPipeError:
            break
while True:
    time.sleep(1000)
'''


# If this failed, a dom0 service's data could take the keeper down through the runner that moves it.
@case("keeper a hostile runner is ended, the next call gets another")
def _(t):
    parts = Parts(t, runner_text=RUNNER)
    server = t.vchan_server(42, 0, CONTROL)
    d = t.start(parts.keeper, "--direct", "--socket-dir=" + t.dir, "--uuid=" + UUID,
                "--policy-program=" + policy_program(t, ALLOW.format(target="dom0")), "42", "v")
    agent = t.own(server.accept())
    agent.hello_first()
    for turn, what in enumerate((["01"], ["0000"], ["00", "00"], ["ff" * 5000], ["close"], ["die"])):
        with open(t.path("parts/say"), "w", encoding="ascii") as file:
            file.write("\n".join(what))
        agent.send_message(TRIGGER_SERVICE4, pack_trigger4("svc", "dom0", "SOCKET42"))
        kind, body = agent.recv_message()
        equal((kind, len(body)), (SERVICE_CONNECT, 40), str(what))
        wait_for(lambda: len(parts.lines("runners")) == turn + 1, "a runner")
        pid = int(parts.lines("runners")[turn])
        wait_for(lambda: not alive(pid), f"the end of the runner after {what}")
        check(d.running(), f"the keeper lives after {what}")
    wait_for(lambda: d.fds() < 15, "descriptors returned")
    # What the keeper gave up the runner has: services of dom0 may use sudo. (As whoever runs this test has.)
    with open("/proc/self/status", "rb") as file:
        rights = dict(line.split(b":\t") for line in file if b":\t" in line)
    mine = "/".join(rights[name].strip().decode() for name in (b"NoNewPrivs", b"Seccomp"))
    equal(set(parts.lines("rights")), {mine}, "rights of the runner")
    equal(d.stop(), 0)


# If this failed, dom0 services of a qube would hang its calls when their runner stops.
@case("keeper a runner that stands still: the qube's other calls go on")
def _(t):
    parts = Parts(t, runner_text=HEAD + "time.sleep(100000)\n")
    server = t.vchan_server(42, 0, CONTROL)
    d = t.start(parts.keeper, "--direct", "--socket-dir=" + t.dir, "--uuid=" + UUID,
                "--policy-program=" + policy_program(t, ALLOW.format(target="dom0")), "42", "v")
    agent = t.own(server.accept())
    agent.hello_first()
    answers = set()
    for i in range(300):
        agent.send_message(TRIGGER_SERVICE4, pack_trigger4("svc", "dom0", f"N{i}"))
        answers.add(agent.recv_message()[0])
        if SERVICE_REFUSED in answers:
            break
    check(SERVICE_CONNECT in answers and answers <= {SERVICE_CONNECT, SERVICE_REFUSED}, str(answers))
    client = t.connect(t.path("qrexec.42"))
    client.send_message(HELLO, pack_hello(3))
    client.send_message(JUST_EXEC, pack_exec(50, 0, "user:x"))
    equal(client.recv_hello(), 3)
    client.recv_message()
    equal(d.stop(output=False), 0)  # the runner lives on, as one with services should, and holds it


if __name__ == "__main__":
    main()
