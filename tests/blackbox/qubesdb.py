# SPDX-License-Identifier: GPL-2.0-or-later
"""QubesDB: dom0's server, the daemon in a qube, the library and the commands. If it failed, a qube would
start without its name and addresses, or could end or fill the process that serves it. Cases are numbered
as in doc/protocol/qubesdb.md."""

import os
import struct

from harness import *

READ, WRITE, MULTIREAD, LIST, RM, WATCH, UNWATCH, OK, NOENT, ERROR, R_READ, R_MULTI, R_LIST, R_WATCH = range(14)


def message(kind, path="", data=b""):
    return bytes([kind]) + field(path, 64) + b"\0" * 3 + struct.pack("<I", len(data)) + raw(data)


def receive(channel):
    head = channel.recv(72)
    equal(head[65:68], b"\0\0\0", "padding")
    (length,) = struct.unpack("<I", head[68:])
    check(length < 3072, "length")
    return head[0], head[1:65].rstrip(b"\0").decode(), channel.recv(length) if length else b""


def ask(channel, kind, path="", data=b""):
    channel.send(message(kind, path, data))
    return receive(channel)


def ask_list(channel, kind, path):
    channel.send(message(kind, path))
    rows = []
    while True:
        row_kind, row_path, data = receive(channel)
        equal(row_kind, R_MULTI if kind == MULTIREAD else R_LIST)
        if not row_path:
            equal(data, b"")
            return rows
        rows.append((row_path, data) if kind == MULTIREAD else row_path)


class Dom0:
    """skerry-qubesdb of qube 5, and the qube's end of its channel as raw bytes."""

    def __init__(self, t, domid=5, name="work", **more):
        self.t, self.domid, self.name = t, domid, name
        ready, ready_end = os.pipe()
        self.program = t.start("skerry-qubesdb", "--foreground", f"--ready-fd={ready_end}", domid, name,
                               pass_fds=(ready_end,), **more)
        os.close(ready_end)
        equal(os.read(ready, 1), b"\0", "ready")
        os.close(ready)

    def path(self, suffix=".sock"):
        return os.path.join(self.t.root, "run/qubes", f"qubesdb.{self.name}{suffix}")

    def local(self, suffix=".sock"):
        return self.t.connect(self.path(suffix))

    def qube(self):
        return self.t.vchan_client(0, self.domid, 111)


def fill(local, *paths):
    for path in paths:
        equal(ask(local, WRITE, path, "v" + path), (OK, path, b""))


@case("qubesdb-01 a message is 72 bytes and data")
def _(t):
    local = Dom0(t).local()
    local.send(b"\1" + field("/a", 64) + b"xyz" + struct.pack("<I", 1) + b"b")
    equal(receive(local), (OK, "/a", b""))
    equal(ask(local, READ, "/a"), (R_READ, "/a", b"b"))


@case("qubesdb-02 a missing key")
def _(t):
    equal(ask(Dom0(t).local(), READ, "/none"), (NOENT, "/none", b""))


@case("qubesdb-03 the longest value; a longer one is refused, the connection stays")
def _(t):
    local = Dom0(t).local()
    equal(ask(local, WRITE, "/l", b"x" * 3071), (OK, "/l", b""))
    equal(ask(local, WRITE, "/l", b"y" * 3072), (ERROR, "/l", b""))
    equal(ask(local, WRITE, "/l", b"y" * 100000), (ERROR, "/l", b""))
    equal(ask(local, READ, "/l"), (R_READ, "/l", b"x" * 3071))
    equal(ask(local, WRITE, "/nul", b"a\0b"), (ERROR, "/nul", b""))
    equal(ask(local, WRITE, "/empty", b""), (OK, "/empty", b""))
    equal(ask(local, READ, "/empty"), (R_READ, "/empty", b""))


@case("qubesdb-04 paths of entries, and what may stand in a path")
def _(t):
    db = Dom0(t)
    for path in ("a", "/a/"):
        local = db.local()
        equal(ask(local, WRITE, path, "x"), (ERROR, path, b""))
        local.expect_eof()
    local = db.local()
    for path in ("//a", "/../a", "/.", "/a:b@c-d_e.f"):
        equal(ask(local, WRITE, path, "x"), (OK, path, b""))
    for path in ("/a b", "/a*", "-a", "/\x7f"):
        equal(ask(local, WRITE, path, "x"), (ERROR, path, b""))
    long = "/" + "p" * 63
    equal(ask(local, WRITE, long, "x"), (OK, long[:63], b""))
    equal(ask(local, 200, "/x"), (ERROR, "/x", b""))
    equal(ask(local, R_READ, "/x"), (ERROR, "/x", b""))


@case("qubesdb-05 the socket for reading")
def _(t):
    db = Dom0(t)
    fill(db.local(), "/a")
    local = db.local(".ro.sock")
    equal(ask(local, WRITE, "/a", "x"), (ERROR, "/a", b""))
    equal(ask(local, RM, "/a"), (ERROR, "/a", b""))
    equal(ask(local, READ, "/a"), (R_READ, "/a", b"v/a"))
    equal(ask(local, WATCH, "/a"), (OK, "/a", b""))
    equal(os.stat(db.path()).st_mode & 0o777, 0o660)
    equal(os.stat(db.path(".ro.sock")).st_mode & 0o777, 0o666)


@case("qubesdb-06 LIST takes its path for a string")
def _(t):
    local = Dom0(t).local()
    fill(local, "/b/c", "/b-x", "/b", "/c")
    equal(ask_list(local, LIST, "/b"), ["/b", "/b-x", "/b/c"])
    equal(ask_list(local, LIST, "/b/"), ["/b/c"])
    equal(ask_list(local, LIST, ""), ["/b", "/b-x", "/b/c", "/c"])
    equal(ask_list(local, LIST, "/"), ["/b", "/b-x", "/b/c", "/c"])
    equal(ask_list(local, LIST, "/none"), [])
    equal(ask_list(local, MULTIREAD, "/b"), [("/b", b"v/b"), ("/b-x", b"v/b-x"), ("/b/c", b"v/b/c")])


@case("qubesdb-07 MULTIREAD of everything, backwards")
def _(t):
    local = Dom0(t).local()
    fill(local, "/1", "/2", "/3")
    equal(ask_list(local, MULTIREAD, ""), [("/3", b"v/3"), ("/2", b"v/2"), ("/1", b"v/1")])


@case("qubesdb-08 RM of a key and of what is below one")
def _(t):
    local = Dom0(t).local()
    fill(local, "/d", "/d/1", "/d/2", "/e")
    equal(ask(local, RM, "/d/"), (OK, "/d/", b""))
    equal(ask_list(local, LIST, ""), ["/d", "/e"])
    equal(ask(local, RM, "/d/"), (NOENT, "/d/", b""))
    equal(ask(local, RM, "/d"), (OK, "/d", b""))
    equal(ask(local, RM, "/d"), (NOENT, "/d", b""))
    equal(ask(local, RM, ""), (NOENT, "", b""))
    equal(ask(local, RM, "/e", "x"), (ERROR, "/e", b""))
    equal(ask(local, RM, "/"), (OK, "/", b""))
    equal(ask_list(local, LIST, ""), [])


@case("qubesdb-09 one event a registration, after the answer")
def _(t):
    db = Dom0(t)
    local, other = db.local(), db.local()
    for _ in range(2):
        equal(ask(local, WATCH, "/w"), (OK, "/w", b""))
    equal(ask(local, WRITE, "/w", "1"), (OK, "/w", b""))
    for _ in range(2):
        equal(receive(local), (R_WATCH, "/w", b""))
    fill(other, "/w")
    for _ in range(2):
        equal(receive(local), (R_WATCH, "/w", b""))
    equal(ask(local, UNWATCH, "/w"), (OK, "/w", b""))
    equal(ask(local, UNWATCH, "/w"), (OK, "/w", b""))
    equal(ask(local, UNWATCH, "/w"), (NOENT, "/w", b""))
    fill(other, "/w")
    equal(ask(local, READ, "/w"), (R_READ, "/w", b"v/w"))


@case("qubesdb-10 removing a prefix is one event")
def _(t):
    db = Dom0(t)
    exact, prefix, root, writer = db.local(), db.local(), db.local(), db.local()
    fill(writer, "/w/a", "/w/b")
    equal(ask(exact, WATCH, "/w/a")[0], OK)
    equal(ask(prefix, WATCH, "/w/")[0], OK)
    equal(ask(root, WATCH, "/")[0], OK)
    equal(ask(writer, RM, "/w/"), (OK, "/w/", b""))
    equal(receive(prefix), (R_WATCH, "/w/", b""))
    equal(receive(root), (R_WATCH, "/w/", b""))
    fill(writer, "/end")
    equal(receive(root), (R_WATCH, "/end", b""))
    equal(ask(exact, READ, "/w/a"), (NOENT, "/w/a", b""))
    equal(ask(prefix, READ, "/w/a"), (NOENT, "/w/a", b""))


@case("qubesdb-11 READ with data ends the connection")
def _(t):
    local = Dom0(t).local()
    local.send(message(READ, "/a", "x"))
    local.expect_eof()


@case("qubesdb-12 a qube's daemon asks first and serves when it has everything")
def _(t):
    server = t.vchan_server(0, 5, 111)
    daemon = t.start("qubesdb-daemon", "--foreground", 0, env={"VCHAN_DOMAIN": 5})
    dom0 = server.accept()
    equal(receive(dom0), (MULTIREAD, "", b""))
    sock = os.path.join(t.root, "run/qubes/qubesdb.sock")
    dom0.send(message(R_MULTI, "/name", "work"))
    check(not os.path.exists(sock), "not yet")
    dom0.send(message(R_MULTI))
    local = t.connect(sock)
    equal(ask(local, READ, "/name"), (R_READ, "/name", b"work"))
    # A change here goes there, and back comes what dom0 writes.
    equal(ask(local, WRITE, "/mine", "1"), (OK, "/mine", b""))
    equal(receive(dom0), (WRITE, "/mine", b"1"))
    dom0.send(message(OK, "/mine"))
    equal(ask(local, WATCH, "/theirs"), (OK, "/theirs", b""))
    dom0.send(message(WRITE, "/theirs", "2"))
    equal(receive(local), (R_WATCH, "/theirs", b""))
    equal(receive(dom0), (OK, "/theirs", b""))
    equal(ask(local, RM, "/theirs"), (OK, "/theirs", b""))
    equal(receive(local), (R_WATCH, "/theirs", b""))
    equal(receive(dom0), (RM, "/theirs", b""))
    dom0.close()
    equal(daemon.wait(), 1)
    check(not os.path.exists(sock), "its sockets are gone")


@case("qubesdb-13 changes go to the qube once it has asked for everything")
def _(t):
    db = Dom0(t)
    local, qube = db.local(), db.qube()
    fill(local, "/before")
    qube.quiet()
    qube.send(message(MULTIREAD))
    equal(receive(qube), (R_MULTI, "/before", b"v/before"))
    equal(receive(qube), (R_MULTI, "", b""))
    fill(local, "/after")
    equal(receive(qube), (WRITE, "/after", b"v/after"))
    equal(ask(local, RM, "/before"), (OK, "/before", b""))
    equal(receive(qube), (RM, "/before", b""))
    # What the qube does is seen here, and not sent back.
    equal(ask(local, WATCH, "/q"), (OK, "/q", b""))
    equal(ask(qube, WRITE, "/q", "x"), (OK, "/q", b""))
    equal(receive(local), (R_WATCH, "/q", b""))
    equal(ask(local, READ, "/q"), (R_READ, "/q", b"x"))
    equal(ask(qube, RM, "/q"), (OK, "/q", b""))
    equal(receive(local), (R_WATCH, "/q", b""))
    equal(ask(qube, RM, "/q"), (OK, "/q", b""))
    qube.quiet()


BAD = [message(READ, "/a"), message(LIST, ""), message(WATCH, "/a"), message(UNWATCH, "/a"), message(NOENT, "/a"),
       message(R_READ, "/a"), message(R_LIST), message(R_WATCH, "/a"), message(R_MULTI, "/a", "x"), message(77, "/a"),
       message(WRITE, "a", "x"), message(WRITE, "/a/", "x"), message(WRITE, "/a b", "x"), message(RM, "/a", "x"),
       message(ERROR, "/a", "x"), message(OK, "/a", "x"), message(WRITE, "/a", b"x" * 3072),
       message(MULTIREAD, "", "x"), b"\1" + field("/a", 64) + b"\0\0\0\xff\xff\xff\xff"]


@case("qubesdb-14 what a qube may not say ends its channel, and nothing else")
def _(t):
    db = Dom0(t)
    local = db.local()
    fill(local, "/a")
    for bad in BAD:
        qube = db.qube()
        qube.send(bad)
        if bad[0] == MULTIREAD or bad[0] in (WRITE, RM):
            qube.recv_to_eof()
        else:
            qube.expect_eof()
        equal(ask(local, READ, "/a"), (R_READ, "/a", b"v/a"))
    qube = db.qube()
    equal(ask_list(qube, MULTIREAD, ""), [("/a", b"v/a")])
    qube.send(message(MULTIREAD))
    equal(receive(qube)[0], ERROR)
    qube.expect_eof()
    check(db.program.running(), "it serves on")


@case("qubesdb-15 a qube's daemon that is started anew gets everything again")
def _(t):
    db = Dom0(t)
    fill(db.local(), "/a")
    for _ in range(3):
        qube = db.qube()
        equal(ask_list(qube, MULTIREAD, ""), [("/a", b"v/a")])
        qube.close()


@case("qubesdb-20 a local program that stops in the middle of a message delays nobody")
def _(t):
    db = Dom0(t)
    stuck, local = db.local(), db.local()
    stuck.send(message(WRITE, "/a", "abc")[:50])
    fill(local, "/b")
    deaf = db.local()
    equal(ask(deaf, WATCH, "/")[0], OK)
    for _ in range(2000):
        fill(local, "/b")
    stuck.send(message(WRITE, "/a", "abc")[50:])
    equal(receive(stuck), (OK, "/a", b""))


@case("qubesdb-21 a stray byte of a qube makes nobody busy")
def _(t):
    db = Dom0(t)
    qube = db.qube()
    qube.send(b"\1")
    fill(db.local(), "/b")
    wait_for(lambda: db.program.state() == "S", "it sleeps")
    qube.send(message(WRITE, "/c", "x")[1:])
    equal(receive(qube), (OK, "/c", b""))


@case("qubesdb-22 the order in which firewall rules are written is the order in which they come")
def _(t):
    db = Dom0(t)
    local, qube = db.local(), db.qube()
    equal(ask_list(qube, MULTIREAD, ""), [])
    base = "/qubes-firewall/10.137.0.5"
    ask(local, RM, base + "/")
    fill(local, base + "/policy", base + "/0000", base)
    equal([receive(qube)[:2] for _ in range(3)],
          [(WRITE, base + "/policy"), (WRITE, base + "/0000"), (WRITE, base)])


@case("a qube cannot fill its store without end, nor can it keep its own writer from reading")
def _(t):
    db = Dom0(t)
    qube = db.qube()
    value = b"x" * 3000
    full = 0
    for i in range(1600):
        kind, _, _ = ask(qube, WRITE, f"/fill/{i}", value)
        full += kind == ERROR
    check(full > 100, "refused")
    equal(ask(qube, RM, "/fill/")[0], OK)
    equal(ask(qube, WRITE, "/fill/1", value)[0], OK)
    # It does not read: its channel ends when too much waits, and local programs notice nothing.
    equal(ask_list(qube, MULTIREAD, ""), [("/fill/1", value)])
    local = db.local()
    for i in range(4000):
        equal(ask(local, WRITE, f"/l/{i % 50}", value)[0], OK)
    again = db.qube()
    check(len(ask_list(again, MULTIREAD, "")) == 51, "a new channel has all")


@case("connections have a limit; those over it are closed")
def _(t):
    db = Dom0(t)
    some = [db.local() for _ in range(256)]
    fill(some[-1], "/a")
    over = db.local()
    over.expect_eof()
    some.pop().close()
    wait_for(lambda: try_ask(db), "room again")


def try_ask(db):
    local = db.local()
    try:
        return ask(local, READ, "/a")[0] == R_READ
    except (ConnectionError, Failure):
        return False


@case("dom0's own store has no channel and the short names")
def _(t):
    db = Dom0(t, 0, "dom0")
    fill(db.local(), "/a")
    equal(ask(t.connect(os.path.join(t.root, "run/qubes/qubesdb.sock")), READ, "/a"), (R_READ, "/a", b"v/a"))
    equal(os.readlink(os.path.join(t.root, "run/qubes/qubesdb.ro.sock")), "qubesdb.dom0.ro.sock")


@case("in the background: log, pid file, and nothing left at the end")
def _(t):
    starter = t.start("skerry-qubesdb", "--rw-socket-perms=666", 5, "work")
    equal(starter.wait(output=False), 0)
    run = os.path.join(t.root, "run/qubes")
    equal(os.stat(os.path.join(run, "qubesdb.work.sock")).st_mode & 0o777, 0o666)
    with open(os.path.join(run, "qubesdb.work.pid"), encoding="ascii") as file:
        pid = int(file.read())
    os.kill(pid, 15)
    wait_for(lambda: not os.path.exists(os.path.join(run, "qubesdb.work.sock")), "the sockets go")
    check(os.path.exists(os.path.join(t.root, "var/log/qubes/qubesdb.work.log")), "a log")
    equal(t.start("skerry-qubesdb", 5).wait(), 1)
    equal(t.start("skerry-qubesdb", 5, "../x").wait(), 1)
    equal(t.start("skerry-qubesdb", "--help").wait(), 0)


# Both daemons and the commands together.

def make_root(path):
    os.makedirs(os.path.join(path, "run/qubes"))
    os.makedirs(os.path.join(path, "var"))
    os.symlink("../run", os.path.join(path, "var/run"))


def pair(t):
    db = Dom0(t)
    inside = os.path.join(t.dir, "inside")
    make_root(inside)
    daemon = t.start("qubesdb-daemon", 0, env={"SKERRY_ROOT": inside, "VCHAN_DOMAIN": 5})
    equal(daemon.wait(output=False), 0)
    return db, {"SKERRY_ROOT": inside}


def command(t, name, *words, env=None, status=0):
    program = t.start("qubesdb-cmd", "-c", name, *words, env=env)
    equal(program.wait(), status, " ".join(map(str, words)))
    return program.stdout.decode()


@case("qubesdb-16 a missing key on the command line")
def _(t):
    Dom0(t)
    program = t.start("qubesdb-cmd", "-c", "read", "-d", "work", "/none")
    equal(program.wait(), 2)
    check(b"Failed to read /none" in program.stderr, "what it says")
    equal(command(t, "read", "-d", "work", "--default=x", "/none"), "x\n")
    program = t.start("qubesdb-cmd", "-c", "read", "-d", "other", "/none")
    equal(program.wait(), 1)
    check(b"Failed connect to other daemon" in program.stderr, "what it says")
    equal(t.start("qubesdb-cmd").wait(), 0)
    equal(t.start("qubesdb-cmd", "-c", "write", "-d", "work", "/a").wait(), 1)


@case("qubesdb-17 values that a terminal would act on; qubesdb-18 lists")
def _(t):
    Dom0(t)
    command(t, "write", "-d", "work", "/q/a", "a\nb\x1b[1m", "/q/b", "c")
    equal(command(t, "read", "-d", "work", "/q/a"), "a\\x0ab\\x1b[1m\n")
    equal(command(t, "read", "-d", "work", "-r", "/q/a"), "a\nb\x1b[1m\n")
    equal(command(t, "read", "-d", "work", "-f", "/q/b"), "/q/b = c\n")
    equal(command(t, "list", "-d", "work", "-f", "/q"), "/q/a\n/q/b\n")
    equal(command(t, "list", "-d", "work", "/q/"), "a\nb\n")
    equal(command(t, "multiread", "-d", "work", "/q/"), "a = a\\x0ab\\x1b[1m\nb = c\n")
    equal(command(t, "read", "-d", "work", "-x", "/q/b"), "c\n")
    command(t, "read", "-d", "work", "/q/b", status=2)
    command(t, "rm", "-d", "work", "/q/")
    equal(command(t, "list", "-d", "work", "/"), "")


@case("qubesdb-23 both daemons: what dom0 writes is read in the qube, and the other way")
def _(t):
    db, inside = pair(t)
    command(t, "write", "-d", "work", "/name", "work", "/type", "AppVM")
    wait_for(lambda: command(t, "list", "/", env=inside) == "/name\n/type\n", "there")
    watcher = t.start("qubesdb-cmd", "-c", "watch", "-d", "work", "-n", 2, "/from/", "/other")
    waiter = t.start("qubesdb-cmd", "-c", "read", "-d", "work", "-w", "/from/qube")
    wait_for(lambda: watcher.state() == "S" and waiter.state() == "S", "they wait")
    time_written = 0
    while waiter.running() or watcher.running():
        command(t, "write", "/from/qube", str(time_written), env=inside)
        time_written += 1
    equal(waiter.wait(), 0)
    equal(watcher.stdout, b"/from/qube\n/from/qube\n")
    equal(db.program.stop(), 0)


@case("an unmodified program of the broker's ground: memfd channels carry it too")
def _(t):
    env = {"VCHAN_TRANSPORT": "memfd"}
    Dom0(t, env=env)
    inside = os.path.join(t.dir, "inside")
    make_root(inside)
    command(t, "write", "-d", "work", "/name", "work")
    for _ in range(2):
        daemon = t.start("qubesdb-daemon", "--foreground", 0,
                         env=dict(env, SKERRY_ROOT=inside, VCHAN_DOMAIN=5))
        wait_for(lambda: os.path.exists(os.path.join(inside, "run/qubes/qubesdb.sock")), "it serves")
        equal(command(t, "read", "/name", env={"SKERRY_ROOT": inside}), "work\n")
        equal(daemon.stop(), 0)


if __name__ == "__main__":
    main()
