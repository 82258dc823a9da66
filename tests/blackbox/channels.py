# SPDX-License-Identifier: GPL-2.0-or-later
"""The broker of memfd channels. If it failed, a qube would wait for a channel for ever, get one that
was meant for another qube, or keep the others from making theirs."""

import array
import os
import socket
import struct

from harness import *

MAGIC = 0x6b736362
LISTEN, CONNECT = 1, 2
OPEN, CLOSE, DONE, FAILED = 11, 12, 32, 34


class Broker:
    def __init__(self, t, dir_name="vchan"):
        self.t = t
        self.dir = t.path(dir_name)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.monitor = t.own(ours)
        self.monitor.settimeout(HANG)
        ready, ready_end = os.pipe()
        self.program = t.start("skerry-channels", "--dir=" + self.dir, f"--monitor-fd={theirs.fileno()}",
                               f"--ready-fd={ready_end}", pass_fds=(theirs.fileno(), ready_end))
        theirs.close()
        os.close(ready_end)
        equal(os.read(ready, 2), b"\0", "ready")
        os.close(ready)
        self.serial = 0

    def ask(self, kind, domid):
        """Whether the broker did it."""
        self.serial += 1
        self.monitor.send(struct.pack("<III", kind, self.serial, domid) + (b"\0" * 4 if kind == OPEN else b""))
        answer_kind, serial, domain = struct.unpack("<III", self.monitor.recv(4096)[:12])
        equal((serial, domain), (self.serial, domid))
        return {DONE: True, FAILED: False}[answer_kind]

    def add(self, *domids):
        for domid in domids:
            check(self.ask(OPEN, domid), "opened")
        return self

    def wish(self, domid, op, peer, port=513):
        sock = self.t.own(socket.socket(socket.AF_UNIX))
        sock.settimeout(HANG)
        sock.connect(os.path.join(self.dir, str(domid), "broker.sock"))
        try:
            sock.send(struct.pack("<IIII", MAGIC, op, peer, port))
        except (BrokenPipeError, ConnectionResetError):
            pass  # it was closed at once, which whoever reads from it will see
        return sock


def answer(t, sock):
    """The end that the broker gives."""
    data, ancillary, _, _ = sock.recvmsg(64, socket.CMSG_SPACE(64))
    equal(data, struct.pack("<II", MAGIC, 0))
    fds = array.array("i")
    fds.frombytes(ancillary[0][2])
    equal(len(fds), 1)
    end = t.own(socket.socket(fileno=fds[0]))
    end.settimeout(HANG)
    return end


def joined(t, a, b):
    one, other = answer(t, a), answer(t, b)
    one.send(b"there")
    other.send(b"back")
    equal(other.recv(16), b"there")
    equal(one.recv(16), b"back")


def waits(sock):
    sock.setblocking(False)
    try:
        data = sock.recv(1)
    except BlockingIOError:
        sock.settimeout(HANG)
        return
    raise Failure(f"an answer came: {data}")


def closed(sock):
    """Its end; a reset says that something we sent was not read before."""
    try:
        equal(sock.recv(16), b"")
    except ConnectionResetError:
        pass


@case("both orders of listening and connecting meet")
def _(t):
    b = Broker(t).add(1, 2)
    server = b.wish(1, LISTEN, 2)
    joined(t, server, b.wish(2, CONNECT, 1))
    client = b.wish(2, CONNECT, 1, 514)
    joined(t, client, b.wish(1, LISTEN, 2, 514))
    equal(b.program.stop(), 143)


@case("only the pair and the port that were meant")
def _(t):
    b = Broker(t).add(1, 2, 3)
    server = b.wish(1, LISTEN, 2, 513)
    others = [b.wish(3, CONNECT, 1, 513), b.wish(2, CONNECT, 1, 514), b.wish(0, CONNECT, 1, 513),
              b.wish(2, LISTEN, 1, 513), b.wish(2, CONNECT, 3, 513), b.wish(3, LISTEN, 2, 514)]
    joined(t, server, b.wish(2, CONNECT, 1, 513))
    for sock in others:
        waits(sock)


@case("a newer listener takes the place of an older one")
def _(t):
    b = Broker(t).add(1, 2)
    old = b.wish(1, LISTEN, 2)
    new = b.wish(1, LISTEN, 2)
    closed(old)
    joined(t, new, b.wish(2, CONNECT, 1))


@case("clients of one port are served in their order, each once")
def _(t):
    b = Broker(t).add(1, 2)
    first, second = b.wish(2, CONNECT, 1), b.wish(2, CONNECT, 1)
    joined(t, b.wish(1, LISTEN, 2), first)
    waits(second)
    joined(t, b.wish(1, LISTEN, 2), second)


@case("a side that gave up is not waited for")
def _(t):
    b = Broker(t).add(1, 2)
    gone = b.wish(1, LISTEN, 2)
    gone.close()
    client = b.wish(2, CONNECT, 1)
    b.add(3)  # the broker has come round
    waits(client)
    joined(t, b.wish(1, LISTEN, 2), client)


@case("malformed questions end their connection only")
def _(t):
    b = Broker(t).add(1, 2)
    server = b.wish(1, LISTEN, 2)
    for data in (b"\0" * 16, struct.pack("<IIII", MAGIC, 3, 1, 1), struct.pack("<IIII", MAGIC, 0, 1, 1),
                 struct.pack("<IIII", MAGIC, CONNECT, 0x7FF0, 1), struct.pack("<IIII", MAGIC, CONNECT, 2, 1),
                 struct.pack("<III", MAGIC, CONNECT, 1), b"x"):
        sock = t.own(socket.socket(socket.AF_UNIX))
        sock.settimeout(HANG)
        sock.connect(os.path.join(b.dir, "2", "broker.sock"))
        sock.send(data)
        closed(sock)
    chatty = b.wish(2, CONNECT, 1, 600)
    chatty.send(b"more")
    closed(chatty)
    joined(t, server, b.wish(2, CONNECT, 1))
    check(b"question about channels that is none" in b.program.stderr, "a log line")


@case("a qube at its limit keeps no other one waiting")
def _(t):
    b = Broker(t).add(1, 2, 3)
    hoard = []
    for port in range(2048):
        hoard.append(b.wish(3, CONNECT, 1, port))
    over = b.wish(3, CONNECT, 1, 9999)
    closed(over)
    joined(t, b.wish(1, LISTEN, 2), b.wish(2, CONNECT, 1))
    hoard.pop().close()
    b.add(1)
    joined(t, b.wish(1, LISTEN, 3, 9999), b.wish(3, CONNECT, 1, 9999))


@case("a removed domain leaves nothing; one that is added again starts anew")
def _(t):
    b = Broker(t).add(1, 2)
    mine, theirs = b.wish(1, LISTEN, 2), b.wish(2, CONNECT, 1, 700)
    check(b.ask(CLOSE, 1), "closed")
    closed(mine)
    check(not os.path.exists(os.path.join(b.dir, "1")), "the folder is gone")
    waits(theirs)
    check(b.ask(CLOSE, 77), "nothing to close")
    b.add(1)
    joined(t, b.wish(1, LISTEN, 2, 700), theirs)
    old = b.wish(1, LISTEN, 2)
    b.add(1)
    closed(old)
    joined(t, b.wish(1, LISTEN, 2), b.wish(2, CONNECT, 1))


@case("it ends with its monitor, and when that speaks nonsense")
def _(t):
    b = Broker(t).add(1)
    b.monitor.close()
    equal(b.program.wait(), 0)
    b = Broker(t).add(1)
    b.monitor.send(b"nonsense")
    equal(b.program.wait(), 111)


@case("the library finds its peer through the broker, and through one that was started anew")
def _(t):
    def run(domain, *words):
        return t.start("vchan-node", *words, env={
            "VCHAN_TRANSPORT": "memfd", "VCHAN_DOMAIN": domain,
            "VCHAN_BROKER": t.path("vchan", str(domain), "broker.sock")})

    data = os.urandom(1 << 20)
    for first in ("server", "client", "restart"):
        b = Broker(t).add(5)
        echo = run(5, "echo", 0, 600) if first != "client" else None
        if first == "restart":
            wait_for(lambda: echo.state() == "S", "it waits")
            b.program.kill()
            b.program.wait()
            b = Broker(t).add(5)
        client = run(0, "client", 5, 600)
        echo = echo or run(5, "echo", 0, 600)
        client.write(data)
        client.close_stdin()
        equal(client.wait(), 0, first)
        equal(echo.wait(), 0, first)
        check(client.stdout == data, "what came back")
        b.program.stop()


@case("usage")
def _(t):
    equal(t.start("skerry-channels").wait(), 2)
    equal(t.start("skerry-channels", "--dir=/x", "--monitor-fd=1").wait(), 2)
    help_text = t.start("skerry-channels", "--help")
    equal(help_text.wait(), 0)
    check(b"usage" in help_text.stdout, "usage")


if __name__ == "__main__":
    main()
