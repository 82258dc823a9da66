# SPDX-License-Identifier: GPL-2.0-or-later
"""The policy service over its life: floods at its start, changes of place, the end of any process."""

import json
import os
import signal
import socket
import threading

from harness import *
from policy_common import *

LOG = "root/var/log/qubes/policy-decisions.log"
CALLS = "run/qubes/policy.calls.sock"


def child(service, name):
    """The pid of one process of the service; None: it does not run now."""
    for pid in descendants(service.program.pid):
        try:
            with open("/proc/%d/cmdline" % pid, "rb") as f:
                if os.path.basename(f.read().split(b"\0")[0]).decode() == name:
                    return pid
        except OSError:
            pass
    return None


def kill_child(service, name):
    """kill -9, and wait for the one that takes its place."""
    wait_for(lambda: child(service, name))
    old = child(service, name)
    os.kill(old, signal.SIGKILL)
    wait_for(lambda: child(service, name) not in (None, old))
    return old


class Held(Service):
    """An admin service that answers only once it may; with its events or without."""

    def __init__(self, t, policy, events=False, **more):
        self.go, self.events = threading.Event(), events
        super().__init__(t, policy, **more)

    def on_query(self, conn):
        recv_all(conn)
        self.go.wait(HANG)
        conn.sendall(b"0\0" + json.dumps({"domains": self.domains}).encode())

    def on_events(self, conn):
        recv_all(conn)
        conn.sendall(b"1\0\0connection-established\0\0")
        threading.Event().wait(HANG)

    def listen(self, name, handler):
        if self.events and name == "var/run/qubesd.internal.sock":
            super().listen("run/qubesd.sock", self.on_events)
        super().listen(name, handler)


def flood(t, s, ready):
    """3,000 questions on kept connections and 300 as text, before there is anything to decide with."""
    kept = [s.connect(CALLS, socket.SOCK_SEQPACKET) for _ in range(3)]
    senders = []
    for sock in kept:
        def send(sock=sock):
            for i in range(1000):
                sock.send(packet(i))
        senders.append(threading.Thread(target=send))
        senders[-1].start()
    texts = []
    for _ in range(300):
        texts.append(s.connect())
        texts[-1].sendall(b"source=work\nintended_target=vault\nservice_and_arg=a.Allow\n\n")
    for sender in senders:
        sender.join(HANG)
    ready()
    for sock in kept:
        answers = [unpack_answer(sock.recv(70000)) for _ in range(1000)]
        equal(sorted(a[0] for a in answers), list(range(1000)))
        equal({a[1] for a in answers}, {1})
    for sock in texts:
        equal(recv_all(sock).decode(), ALLOWED % "DEFAULT")


# If these failed, calls made while the machine starts would be refused for no reason.
@case("policy start: thousands of questions before the first facts are all answered, asked for")
def _(t):
    s = Held(t, "a.Allow * * * allow\n")
    flood(t, s, s.go.set)


@case("policy start: thousands of questions before the first facts are all answered, with events")
def _(t):
    s = Held(t, "a.Allow * * * allow\n", events=True)
    flood(t, s, s.go.set)


@case("policy start: thousands of questions before the first facts are all answered, from a file")
def _(t):
    facts = t.file("info.json", json.dumps({"domains": system_e()}))
    s = Service(t, "a.Allow * * * allow\n", args=("--system-info", facts))
    touched = threading.Event()

    def touch():
        # Changes of the file while questions wait for it.
        while not touched.wait(0.001):
            os.utime(facts)

    toucher = threading.Thread(target=touch)
    toucher.start()
    flood(t, s, touched.set)
    toucher.join()


@case("policy start: a service manager is told once the sockets are there")
def _(t):
    manager = t.own(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
    manager.bind(t.path("notify"))
    manager.settimeout(HANG)
    t.env["NOTIFY_SOCKET"] = t.path("notify")
    s = Service(t, "a.Allow * * * allow\n")
    equal(manager.recv(100), b"READY=1")
    equal(s.ask(), ALLOWED % "DEFAULT")


@case("policy sockets: who only looks whether they are there is not in the log")
def _(t):
    s = Service(t, "a.Allow * * * allow\n")
    for name in ("run/qubes/policy.sock", "etc/qubes-rpc/policy.EvalSimple", "etc/qubes-rpc/policy.EvalGUI"):
        s.connect(name).close()
        equal(s.raw("", name), "")
    equal(s.ask(), ALLOWED % "DEFAULT")
    equal(s.program.stop(), 0)
    true(b"malformed" not in s.program.stderr)


# If these failed, a policy that includes from a new folder would refuse every call until a restart.
@case("policy reload: includes from folders that were made after the start count at the next question")
def _(t):
    s = Service(t, "a.Allow * * * allow\n")
    equal(s.ask(), ALLOWED % "DEFAULT")
    for i in range(6):
        rules = t.file("place%d/rules" % i, "a.Allow * * * allow user=u%d\n" % i)
        s.write("etc/qubes/policy.d/30-user.policy", "!include %s\n" % rules)
        equal(s.ask(), ALLOWED % ("u%d" % i))
        t.file("place%d/rules" % i, "a.Allow * * * deny notify=no\n")
        equal(s.ask(), "result=deny")


@case("policy reload: an included folder that is removed and made again")
def _(t):
    rules = t.file("place/rules", "a.Allow * * * allow user=first\n")
    s = Service(t, "!include %s\n" % rules)
    equal(s.ask(), ALLOWED % "first")
    os.unlink(rules)
    os.rmdir(os.path.dirname(rules))
    equal(s.ask(), "result=deny")
    t.file("place/rules", "a.Allow * * * allow user=second\n")
    equal(s.ask(), ALLOWED % "second")


@case("policy reload: a kept connection that ends for a new place is not answered wrongly")
def _(t):
    s = Service(t, "a.Allow * * * allow\n")
    kept = s.connect(CALLS, socket.SOCK_SEQPACKET)
    kept.send(packet(1))
    equal(unpack_answer(kept.recv(70000))[:2], (1, 1))
    rules = t.file("new/rules", "a.Allow * * * allow user=new\n")
    s.write("etc/qubes/policy.d/30-user.policy", "!include %s\n" % rules)
    try:
        kept.send(packet(2))
        data = kept.recv(70000)
    except (BrokenPipeError, ConnectionResetError):
        data = b""
    if data:
        equal(unpack_answer(data)[1:], (1, ["new", "vault"] + unpack_answer(data)[2][2:]))
    again = s.connect(CALLS, socket.SOCK_SEQPACKET)
    again.send(packet(3))
    equal(unpack_answer(again.recv(70000))[2][0], "new")


# If these failed, the end of one small process would stop every call of the machine.
@case("policy helpers: kill -9 of the facts helper; the next questions are answered")
def _(t):
    s = Service(t, "a.Allow * * * allow\n")
    for _ in range(3):
        equal(s.ask(), ALLOWED % "DEFAULT")
        kill_child(s, "skerry-policy-facts")
        equal(s.ask(), ALLOWED % "DEFAULT")
    decider = child(s, "skerry-policy-decider")
    os.kill(child(s, "skerry-policy-facts"), signal.SIGKILL)
    equal(s.ask(), ALLOWED % "DEFAULT")
    equal(child(s, "skerry-policy-decider"), decider)


@case("policy helpers: kill -9 of the prompter; an open prompt is asked again, an answer still counts")
def _(t):
    s = Service(t, "a.Ask * * * ask\n")
    go = threading.Event()
    s.answer = lambda conn: go.wait(HANG) and b"allow:vault"
    sock = s.connect()
    sock.sendall(b"source=work\nintended_target=@default\nservice_and_arg=a.Ask\n\n")
    s.wait_calls(1)
    kill_child(s, "skerry-policy-prompter")
    s.wait_calls(2)
    equal(s.calls[0], s.calls[1])
    go.set()
    true(b"result=allow\ntarget=vault\n" in recv_all(sock))


def alive(pid):
    """Neither gone nor waiting for a parent that asks how it ended."""
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def connects(path):
    with socket.socket(socket.AF_UNIX) as sock:
        return sock.connect_ex(path) == 0


def verify(t):
    p = t.start("skerry", "policy", "log", "--verify")
    return p.wait(), p.stdout.decode()


@case("policy helpers: kill -9 of the recorder; decisions go on, the chain goes on, losses are counted")
def _(t):
    s = Service(t, "a.Allow * * * allow\n")
    equal(s.ask(), ALLOWED % "DEFAULT")
    wait_for(lambda: os.path.exists(t.path(LOG)) and b" allow " in t.read(LOG))
    for number in range(1, 4):
        wait_for(lambda: child(s, "skerry-policy-recorder"))
        old = child(s, "skerry-policy-recorder")
        os.kill(old, signal.SIGSTOP)
        for _ in range(20):
            equal(s.ask(), ALLOWED % "DEFAULT")
        os.kill(old, signal.SIGKILL)
        wait_for(lambda: child(s, "skerry-policy-recorder") not in (None, old))
        equal(s.ask(), ALLOWED % "DEFAULT")
        wait_for(lambda: t.read(LOG).count(b" lost=") == number)
    equal(s.program.stop(), 0)
    true(b"records may be missing in the decision log" in s.program.stderr)
    status, out = verify(t)
    equal((status, out[:6]), (0, "whole:"))
    text = t.read(LOG).decode()
    lost = sum(int(line.split(" lost=")[1].split()[0]) for line in text.splitlines() if " lost=" in line)
    equal((text.count(" allow ") + lost >= 64, text.count(" start ")), (True, 4))


@case("policy helpers: a log that cannot be written stops no decision and is said once")
def _(t):
    s = Service(t, "a.Allow * * * allow\n", args=("--decision-log", "/dev/full"))
    for _ in range(50):
        equal(s.ask(), ALLOWED % "DEFAULT")
    equal(s.program.stop(), 0)
    equal(s.program.stderr.count(b"not logged to disk until it can be"), 1)
    equal(s.program.stderr.count(b": allowed to vault"), 50)


@case("policy helpers: a log that comes back goes on and says how many are missing")
def _(t):
    os.makedirs(t.path("logs"))
    os.makedirs(t.path("logs/log"))
    s = Service(t, "a.Allow * * * allow\n", args=("--decision-log", t.path("logs/log")))
    for _ in range(5):
        equal(s.ask(), ALLOWED % "DEFAULT")
    os.rmdir(t.path("logs/log"))
    wait_for(lambda: os.path.isfile(t.path("logs/log")))
    equal(s.ask(), ALLOWED % "DEFAULT")
    wait_for(lambda: b" lost=5\n" in t.read("logs/log"))
    equal(s.program.stop(), 0)


@case("policy log: two services with one log do not break its chain")
def _(t):
    s = Service(t, "a.Allow * * * allow\n")
    equal(s.ask(), ALLOWED % "DEFAULT")
    other = t.start("skerry-policy", "--socket-path", t.path("other.sock"), "--eval-socket-path",
                    t.path("other.eval"), "--gui-socket-path", t.path("other.gui"))
    other.wait_output(b"not logged to disk until it can be", "stderr")
    equal(s.ask(), ALLOWED % "DEFAULT")
    equal(s.program.stop(), 0)
    other.wait_output(b"decisions are logged to disk again", "stderr")
    equal(other.stop(), 0)
    equal(verify(t)[0], 0)


# If these failed, a crash or a full log would look like tampering, or hide it.
@case("policy log: a last line that a crash cut is cut off, and the chain goes on")
def _(t):
    s = Service(t, "a.Allow * * * allow\n")
    for torn in (1, 2, 30, 100, 10000):
        equal(s.ask(), ALLOWED % "DEFAULT")
        equal(s.program.stop(), 0)
        wait_for(lambda: t.read(LOG).endswith(b"rule=%s:1\n" % s.path("etc/qubes/policy.d/30-user.policy").encode()))
        data = t.read(LOG)
        last = len(data) - data[:-1].rindex(b"\n") - 1
        torn = min(torn, last - 1)
        os.truncate(t.path(LOG), len(data) - torn)
        equal(verify(t)[0], 1)
        s.program = t.start("skerry-policy")
        wait_for(lambda: t.read(LOG).endswith(b" cut=%d\n" % (last - torn)))
        equal(verify(t)[0], 0)
    equal(s.program.stop(), 0)


@case("policy log: it is rotated, and all its files are one chain")
def _(t):
    s = Service(t, "a.Allow * * * allow\n")
    asked = 0
    while not os.path.exists(t.path(LOG + ".2")):
        s.ask(service="a.Allow+" + "x" * 60000)
        asked += 1
        equal(asked < 20000, True)
    equal(s.program.stop(), 0)
    text = b"".join(t.read(LOG + end) for end in (".2", ".1", ""))
    lines = [line.split(b"service=")[0] + line[-300:] for line in text.splitlines()]
    # A recorder that is behind counts what it was not told.
    lost = sum(int(line.split(b" lost=")[1].split()[0]) for line in lines if b" lost=" in line)
    equal(len(lines) + lost >= asked, True)
    status, out = verify(t)
    equal((status, out.startswith("whole: %d records, the last is %d" % (len(lines), len(lines)))), (0, True))
    with open(t.path(LOG + ".1"), "r+b") as f:
        f.seek(70000)
        f.write(b"y")
    status, out = verify(t)
    equal((status, ".log.1:3: changed" in out), (1, True))
    os.unlink(t.path(LOG + ".1"))
    equal(verify(t)[0], 1)


@case("policy: kill -9 of the deciding process; connections wait and are answered")
def _(t):
    s = Service(t, "a.Allow * * * allow\n")
    for _ in range(3):
        equal(s.ask(), ALLOWED % "DEFAULT")
        kept = s.connect(CALLS, socket.SOCK_SEQPACKET)
        kept.send(packet(1))
        equal(unpack_answer(kept.recv(70000))[:2], (1, 1))
        kill_child(s, "skerry-policy-decider")
        equal(kept.recv(100), b"")
        equal(s.ask(), ALLOWED % "DEFAULT")
        kept = s.connect(CALLS, socket.SOCK_SEQPACKET)
        kept.send(packet(2))
        equal(unpack_answer(kept.recv(70000))[:2], (2, 1))
    equal(s.program.stop(), 0)
    equal(verify(t)[0], 0)


@case("policy: kill -9 of the service; nothing of it stays, and a new one takes its place")
def _(t):
    s = Service(t, "a.Allow * * * allow\n")
    equal(s.ask(), ALLOWED % "DEFAULT")
    pids = descendants(s.program.pid)
    equal(len(pids), 4)
    s.program.kill(signal.SIGKILL)
    s.program.wait()
    wait_for(lambda: not any(map(alive, pids)))
    again = t.start("skerry-policy")
    wait_for(lambda: connects(s.path("run/qubes/policy.sock")))
    equal(s.ask(), ALLOWED % "DEFAULT")
    equal(again.stop(), 0)
    equal(verify(t)[0], 0)


if __name__ == "__main__":
    main()
