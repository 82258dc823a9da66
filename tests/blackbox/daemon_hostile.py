# SPDX-License-Identifier: GPL-2.0-or-later
"""Everything that can come at the daemon in a wrong form, at a wrong time, too often or not at all:
from the agent, local clients, policy, qubesd, and the daemon of the target."""

import os
import re
import select
import signal
import socket
import struct
import threading

from daemon_common import *

IDENT = b"SOCKET42".ljust(32, b"\0")


def trigger(d, name="svc", target="t", ident="SOCKET42", source=""):
    d.agent.send_message(TRIGGER_SERVICE4, pack_trigger4(name, target, ident, source))


def refused(d, ident=IDENT):
    d.agent.expect(SERVICE_REFUSED, ident)


def works(d):
    """A call of dom0 into the qube gets its port and its command through."""
    client = d.client()
    client.send_message(JUST_EXEC, pack_exec(0, 0, "user:alive"))
    kind, body = client.recv_message()
    equal(kind, JUST_EXEC)
    d.agent.expect(JUST_EXEC, pack_exec(0, unpack_exec(body)[1], "user:alive"))


def allow(t, target, more=""):
    return TextPolicy(t, lambda text: ALLOW.format(target=target) + more)


class Target:
    """The socket of a target's daemon, played by the test."""

    def __init__(self, t, name):
        self.server = t.listen(t.path("qrexec." + name))

    def accept(self, caller=42):
        channel = Channel(self.server.sock.accept()[0])
        channel.send_message(HELLO, pack_hello(3))
        equal(channel.recv_hello(), 3)
        kind, body = channel.recv_message()
        equal(kind, EXEC_CMDLINE)
        domain, port, command = unpack_exec(body)
        equal((domain, port), (caller, 0))
        return channel, command


# If this failed, a qube that opens calls without end would cost others their calls.
@case("daemon 10,000 open requests: those over the limit are refused, others are served")
def _(t):
    d = Daemon(t, program=t.script("slow", "exec sleep 1000\n"))
    thread = threading.Thread(target=lambda: [trigger(d, ident=f"N{i}") for i in range(10000)],
                              daemon=True)
    thread.start()
    for i in range(2048, 10000):
        refused(d, f"N{i}".encode().ljust(32, b"\0"))
    thread.join(HANG)
    works(d)
    check(len(descendants(d.program.pid)) < 200, "programs at once are limited")
    equal(d.program.stop(), 0)


# If this failed, long names in open requests would fill dom0's memory.
@case("daemon the names of open requests are limited together")
def _(t):
    d = Daemon(t, program=t.script("slow", "exec sleep 1000\n"))
    name = b"a" * 64999 + b"\0"
    thread = threading.Thread(target=lambda: [trigger(d, name, ident=f"N{i}") for i in range(300)],
                              daemon=True)
    thread.start()
    first = int(d.agent.recv_message()[1].rstrip(b"\0")[1:])
    check(first < 150, f"first refusal is number {first}")
    for i in range(first + 1, 300):
        refused(d, f"N{i}".encode().ljust(32, b"\0"))
    thread.join(HANG)
    works(d)
    check(d.program.rss_kib() < 40000, f"{d.program.rss_kib()} KiB")


# If this failed, a qube that never reads would make dom0's daemon grow without limit.
@case("daemon an agent that never reads: commands are refused at a limit, memory is bounded")
def _(t):
    d = Daemon(t, program=policy_program(t))
    body = pack_exec(0, 600) + b"c" * 60000 + b"\0"
    clients = [d.client() for _ in range(200)]      # 12 MB in all
    for client in clients:
        send_broken(client, EXEC_CMDLINE, body)
    wait_for(lambda: len(select.select(clients, [], [], 0)[0]) > 3, "refusals")
    check(d.program.rss_kib() < 20000, f"{d.program.rss_kib()} KiB")
    equal(d.agent.recv_message(), (EXEC_CMDLINE, body))     # it reads again: all goes on
    equal(d.agent.recv_message(), (EXEC_CMDLINE, body))


# If this failed, a qube that asks and never reads would stop its daemon or fill its memory.
@case("daemon an agent that asks and never reads")
def _(t):
    d = Daemon(t, program=policy_program(t))
    bad = pack_message(TRIGGER_SERVICE4, pack_trigger4("", "t", "SOCKET42"))
    d.agent.sock.settimeout(1)
    sent = 0
    try:
        while sent < 64 << 20:
            sent += d.agent.sock.send(bad * 100)
    except TimeoutError:
        pass
    check(sent < 64 << 20, "the agent is made to wait")
    client = d.client()     # its command waits, the daemon does not
    client.send_message(JUST_EXEC, pack_exec(0, 0, "user:x"))
    client.expect(JUST_EXEC, pack_exec(42, 513))
    check(d.program.rss_kib() < 20000, f"{d.program.rss_kib()} KiB")
    equal(d.program.stop(), 0)


# If this failed, answers for an agent that is gone would reach its successor.
@case("daemon the agent restarts in the middle of calls")
def _(t):
    gate = threading.Event()
    TextPolicy(t, lambda text: gate.wait(HANG) and "result=deny\n")
    d = Daemon(t)
    for i in range(20):
        trigger(d, ident=f"N{i}")
    client = d.client()
    client.send_message(JUST_EXEC, pack_exec(0, 0, "user:x"))
    client.expect(JUST_EXEC, pack_exec(42, 513))
    d.new_server()
    d.agent.close()
    client.expect_eof()
    d.greet()
    gate.set()
    wait_for(lambda: os.path.exists(d.path), "socket")
    d.agent.quiet()
    works(d)


# If this failed, a call could reach the service of an older call whose caller never came.
@case("daemon a port whose call's end nobody told is held when the agent's connection ends")
def _(t):
    def ask(domain):
        client = d.client()
        client.send_message(JUST_EXEC, pack_exec(domain, 0, "u:x"))
        return client

    def port_of(client):
        port = unpack_exec(client.recv_message()[1])[1]
        d.agent.recv_message()
        return port
    d = Daemon(t, program=policy_program(t))
    equal([port_of(ask(43)), port_of(ask(43))], [514, 516])
    d.new_server()
    d.agent.close()
    d.greet()
    wait_for(lambda: os.path.exists(d.path), "socket")
    equal(port_of(ask(44)), 514, "another peer")
    equal([port_of(ask(43)) for _ in range(126)], list(range(518, 769, 2)), "the same peer")
    waiting = ask(43)
    waiting.quiet()
    d.agent.send_message(CONNECTION_TERMINATED, pack_exec(43, 516))
    equal(port_of(waiting), 516, "once the new connection told the end")


# If this failed, a call after the death of a daemon could reach the service of one before it.
@case("daemon it is killed with -9: the next one holds the ports of the calls that run")
def _(t):
    def call(domain):
        client = d.client()
        client.send_message(JUST_EXEC, pack_exec(domain, 0, "u:x"))
        d.agent.recv_message()
        return unpack_exec(client.recv_message()[1])[1]

    note = t.path("ports." + UUID)
    d = Daemon(t, program=policy_program(t))
    equal([call(43), call(43), call(7)], [514, 516, 513])
    d.agent.send_message(CONNECTION_TERMINATED, pack_exec(43, 514))
    wait_for(lambda: call(44) == 514, "the end was noticed")
    d.program.kill(signal.SIGKILL)
    d.program.wait()
    d.agent.expect_eof()
    d.server.close()
    d = Daemon(t, program=policy_program(t))
    equal([call(43), call(43), call(7)], [514, 518, 515])
    for domain, port in ((43, 514), (43, 516), (43, 518), (7, 513), (7, 515)):
        d.agent.send_message(CONNECTION_TERMINATED, pack_exec(domain, port))
    wait_for(lambda: b"are held" in d.program.stderr, "it is said")
    equal(d.program.stop(), 0)
    check(os.path.exists(note), "a call of 44 is still there")
    # A qube that was started anew has another number, and none of those calls.
    d.server.close()
    d = Daemon(t, xid=50, program=policy_program(t))
    equal(call(60), 514)
    d.agent.send_message(CONNECTION_TERMINATED, pack_exec(60, 514))
    wait_for(lambda: call(61) == 514, "the end was noticed")
    d.agent.send_message(CONNECTION_TERMINATED, pack_exec(61, 514))
    works(d)


# If this failed, code that takes over a slice could stop the keeper with a crash of its own.
@case("daemon the slice is killed: a new agent is served")
def _(t):
    d = Daemon(t, program=policy_program(t))
    wait_for(lambda: os.path.exists(d.path), "socket")
    # The other one is the keeper's starter.
    (slice_pid,) = [pid for pid in descendants(d.program.pid) if name_of(pid) == "skerry-qrexec-s"]
    d.new_server()
    os.kill(slice_pid, signal.SIGKILL)
    d.agent.expect_eof()
    d.greet()
    wait_for(lambda: os.path.exists(d.path), "socket")
    works(d)


# If this failed, one tool could keep others from calling.
@case("daemon local clients that stop, go, and talk on")
def _(t):
    d = Daemon(t, program=policy_program(t))
    command = pack_message(EXEC_CMDLINE, pack_exec(0, 600, "u:x"))
    for cut in range(0, len(command), 3):
        client = d.client()
        client.send(command[:cut])
        client.close()
    for cut in (1, 8, 12, 20, len(command) - 1):
        client = t.connect(d.path)
        client.send(pack_message(HELLO, pack_hello(3)) + command[:cut])
        client.send(command[cut:])
        d.agent.expect(EXEC_CMDLINE, pack_exec(0, 600, "u:x"))
    client = t.connect(d.path)
    client.send(pack_message(HELLO, pack_hello(3)) + command + b"more")
    client.recv_to_eof()
    d.agent.expect(EXEC_CMDLINE, pack_exec(0, 600, "u:x"))
    client = d.client()
    client.send_message(EXEC_CMDLINE, pack_exec(0, 600, "u:x"))
    d.agent.expect(EXEC_CMDLINE, pack_exec(0, 600, "u:x"))
    client.send(b"more")
    client.recv_to_eof()
    works(d)
    wait_for(lambda: d.program.fds() < 20, "descriptors returned")


# If this failed, calls between two busy qubes would be refused instead of waiting for a port.
@case("daemon all ports of a pair in use: the next call waits, other pairs do not")
def _(t):
    d = Daemon(t, program=policy_program(t))
    clients = []
    for _ in range(128):
        client = d.client()
        client.send_message(JUST_EXEC, pack_exec(43, 0, "u:x"))
        clients.append(unpack_exec(client.recv_message()[1])[1])
        d.agent.recv_message()
    equal(sorted(clients), list(range(514, 769, 2)))
    waiting = d.client()
    waiting.send_message(JUST_EXEC, pack_exec(43, 0, "u:late"))
    other = d.client()
    other.send_message(JUST_EXEC, pack_exec(44, 0, "u:other"))
    kind, body = other.recv_message()
    equal(unpack_exec(body)[1] % 2, 0)
    d.agent.expect(JUST_EXEC, pack_exec(44, unpack_exec(body)[1], "u:other"))
    waiting.quiet()
    d.agent.send_message(CONNECTION_TERMINATED, pack_exec(43, 600))
    waiting.expect(JUST_EXEC, pack_exec(42, 600))
    d.agent.expect(JUST_EXEC, pack_exec(43, 600, "u:late"))


# If this failed, a target's broken daemon could confuse or stop the caller's.
@case("daemon malformed answers of the target's daemon refuse the call")
def _(t):
    allow(t, "t")
    d = Daemon(t)
    target = t.listen(t.path("qrexec.t"))
    hello = pack_message(HELLO, pack_hello(3))
    good = pack_message(EXEC_CMDLINE, pack_exec(43, 514))
    for answer in (b"", b"abc", hello, pack_message(HELLO, pack_hello(2)), hello + b"abc",
                   pack_message(0x301, pack_hello(3)) + good,
                   hello + pack_message(JUST_EXEC, pack_exec(43, 514)),
                   hello + pack_message(EXEC_CMDLINE, pack_exec(43, 514, "x")),
                   hello + pack_message(EXEC_CMDLINE, pack_exec(43, 512)),
                   hello + pack_message(EXEC_CMDLINE, pack_exec(43, 769)),
                   hello + pack_message(EXEC_CMDLINE, pack_exec(43, 0)),
                   hello + pack_message(EXEC_CMDLINE, pack_exec(0, 514)),
                   hello + pack_message(EXEC_CMDLINE, pack_exec(0xffffffff, 514))):
        trigger(d)
        channel = target.accept()
        channel.send(answer)
        channel.sock.shutdown(socket.SHUT_WR)
        refused(d)
        channel.close()
    trigger(d)
    channel = target.accept()
    for byte in hello + good:
        channel.send(bytes([byte]))
    d.agent.expect(SERVICE_CONNECT, struct.pack("<II", 43, 514) + IDENT)
    works(d)


# If this failed, names that policy or another qube chose could become another command.
@case("daemon policy answers with names that do not belong in a command are refused")
def _(t):
    answers = {
        "user": "user=a:b\nresult=allow\ntarget=t\nautostart=False\nrequested_target=t\n",
        "user2": "user=a b\nresult=allow\ntarget=t\nautostart=False\nrequested_target=t\n",
        "target": ALLOW.format(target="../t"), "space": ALLOW.format(target="t t"),
        "source": ALLOW.format(target="t") + "policy_source=a b\n",
        "service": ALLOW.format(target="t") + "service=a b\n",
        "service2": ALLOW.format(target="t") + "service=+b\n",
        "uuid": ALLOW.format(target="t") + "target_uuid=uuid:../../t\n",
        "disp": ALLOW.format(target="@dispvm:t").replace("True", "False"),
    }
    TextPolicy(t, lambda text: answers[request_fields(text)["service_and_arg"]])
    d = Daemon(t)
    target = t.listen(t.path("qrexec.t"))
    for name in answers:
        trigger(d, name)
        refused(d)
    target.never_called()


# If this failed, the service would be told a wrong name of the caller, or of itself.
@case("daemon the command: user, service, argument, source, uuid of the target")
def _(t):
    answers = {
        "plain": ALLOW.format(target="t"), "with+arg": ALLOW.format(target="t"),
        "relayed": ALLOW.format(target="t") + "service=transport+remote+x\npolicy_source=far\n",
        "uuid": ALLOW.format(target="t") + "target_uuid=uuid:" + UUID + "\n",
        "default": ALLOW.format(target="t").replace("toto", "DEFAULT"),
    }
    TextPolicy(t, lambda text: answers[request_fields(text)["service_and_arg"]])
    d = Daemon(t, uuid=UUID[:-1] + "9")
    plain, uuid = Target(t, "t"), Target(t, "uuid:" + UUID)
    for name, target, wanted in (
            ("plain", plain, b"toto:QUBESRPC plain+ domain_name\0"),
            ("with+arg", plain, b"toto:QUBESRPC with+arg domain_name\0"),
            ("relayed", plain, b"toto:QUBESRPC transport+remote+x far\0"),
            ("uuid", uuid, b"toto:QUBESRPC uuid+ domain_name\0"),
            ("default", plain, b"DEFAULT:QUBESRPC default+ domain_name\0")):
        trigger(d, name)
        channel, command = target.accept()
        equal(command, wanted)
        channel.send_message(EXEC_CMDLINE, pack_exec(43, 514))
        d.agent.expect(SERVICE_CONNECT, struct.pack("<II", 43, 514) + IDENT)
        channel.expect_eof()


# If this failed, a halted qube could not be called, or a broken qubesd would let calls hang.
@case("daemon a target that does not run is started, once")
def _(t):
    allow(t, "t")
    d = Daemon(t)
    made = []

    def start(dest):
        made.append(Target(t, "t"))
        return b"0\0"
    qubesd = Qubesd(t, {"admin.vm.Start": start})
    trigger(d)
    qubesd.wait_for("admin.vm.Start+")
    wait_for(lambda: made, "started")
    channel, _ = made[0].accept()
    channel.send_message(EXEC_CMDLINE, pack_exec(43, 514))
    d.agent.expect(SERVICE_CONNECT, struct.pack("<II", 43, 514) + IDENT)
    equal(qubesd.calls, [("admin.vm.Start+", "dom0", "name", "t", b"")])


@case("daemon what qubesd may answer to a start")
def _(t):
    allow(t, "t")
    d = Daemon(t)
    qubesd = Qubesd(t, {})
    for answer in (b"2\0QubesException\0\0no\0\0", b"", b"1\0", b"0", b"x" * 70000, b"0" * 65535):
        qubesd.answers["admin.vm.Start"] = answer
        trigger(d)
        refused(d)
    works(d)


@case("daemon no qubesd, no autostart, no policy: refused")
def _(t):
    d = Daemon(t)
    trigger(d)
    refused(d)                      # nobody decides
    answers = [ALLOW.format(target="t"), ALLOW.format(target="t").replace("True", "False")]
    TextPolicy(t, lambda text: answers[int(request_fields(text)["service_and_arg"])])
    for name in "01":
        trigger(d, name)
        refused(d)


def disposable(t, answers):
    qubesd = Qubesd(t, {"admin.vm.CreateDisposable": b"0\0disp1", **answers})
    allow(t, "@dispvm:template")
    return Daemon(t), qubesd


KILL = ("admin.vm.Kill+", "dom0", "name", "disp1", b"")


# If these failed, disposables would be left behind, running, with the user's data.
@case("daemon a disposable lives as long as its call")
def _(t):
    made = []

    def start(dest):
        made.append(Target(t, dest))
        return b"0\0"
    d, qubesd = disposable(t, {"admin.vm.Start": start})
    trigger(d, target="@dispvm")
    wait_for(lambda: made, "started")
    channel, command = made[0].accept()
    equal(command, b"toto:QUBESRPC svc+ domain_name\0")
    channel.send_message(EXEC_CMDLINE, pack_exec(50, 514))
    d.agent.expect(SERVICE_CONNECT, struct.pack("<II", 50, 514) + IDENT)
    channel.quiet()
    equal(qubesd.calls, [("admin.vm.CreateDisposable+", "dom0", "name", "template", b""),
                         ("admin.vm.Start+", "dom0", "name", "disp1", b"")])
    channel.close()
    qubesd.wait_for("admin.vm.Kill+")
    equal(qubesd.calls[-1], KILL)


@case("daemon a disposable that does not start, or whose daemon fails, is killed")
def _(t):
    d, qubesd = disposable(t, {"admin.vm.Start": b"2\0QubesException\0"})
    trigger(d)
    refused(d)
    qubesd.wait_for("admin.vm.Kill+")
    equal(qubesd.calls[-1], KILL)
    del qubesd.calls[:]
    target = t.listen(t.path("qrexec.disp1"))
    qubesd.answers["admin.vm.Start"] = b"0\0"
    trigger(d)
    target.accept().close()
    refused(d)
    qubesd.wait_for("admin.vm.Kill+")
    equal(qubesd.calls[-1], KILL)


@case("daemon a disposable whose caller's agent goes, or whose daemon ends, is killed")
def _(t):
    d, qubesd = disposable(t, {})
    target = t.listen(t.path("qrexec.disp1"))
    trigger(d)
    target.accept()
    d.new_server()
    d.agent.close()
    qubesd.wait_for("admin.vm.Kill+")
    del qubesd.calls[:]
    d.greet()
    trigger(d)
    target.accept()
    equal(d.program.stop(), 0)
    qubesd.wait_for("admin.vm.Kill+")
    equal(qubesd.calls[-1], KILL)


@case("daemon what qubesd may answer to the creation of a disposable")
def _(t):
    d, qubesd = disposable(t, {})
    for answer in (b"", b"0\0", b"2\0QubesException\0", b"0\0a\0b", b"0\0a b", b"0\0../x",
                   b"0\0" + b"a" * 64, b"0\0@dispvm", b"0\0a\n"):
        qubesd.answers["admin.vm.CreateDisposable"] = answer
        trigger(d)
        refused(d)
    check("admin.vm.Start+" not in qubesd.methods(), "nothing is started")


@case("daemon a disposable by uuid")
def _(t):
    uuid = "uuid:" + UUID[:-1] + "7"
    made = []

    def start(dest):
        made.append(Target(t, dest))
        return b"0\0"
    qubesd = Qubesd(t, {"admin.vm.CreateDisposable": b"0\0" + uuid.encode(),
                        "admin.vm.Start": start})
    allow(t, "@dispvm:template", "target_uuid=@dispvm:" + uuid + "\n")
    d = Daemon(t)
    trigger(d)
    wait_for(lambda: made, "started")
    channel, _ = made[0].accept()
    equal(qubesd.calls[0], ("admin.vm.CreateDisposable+", "dom0", "name", uuid, b"uuid"))
    channel.close()
    refused(d)
    qubesd.wait_for("admin.vm.Kill+")
    equal(qubesd.calls[-1][3], uuid)


# If this failed, a policy program that hangs, dies or talks too much would stop other calls.
@case("daemon policy programs that fail")
def _(t):
    programs = {
        "killed": "kill -9 $$\n", "status": f"printf '{ALLOW.format(target='t')}'; exit 1\n",
        "long": "head -c 100000 /dev/zero\n", "closed": "exec 0<&- 1>&-; exit 0\n",
        "silent": "exit 0\n"}
    choose = t.script("choose", 'exec "$0.$4"\n')
    for name, text in programs.items():
        t.script("choose." + name, text)
    d = Daemon(t, program=choose)
    for name in programs:
        trigger(d, name)
        refused(d)
    trigger(d, "killed", source="remote")       # it could not be told of the claimed source
    refused(d)
    trigger(d, "nothere")
    refused(d)
    works(d)


# If this failed, the daemon could not take the place of the original one at a qube's start.
@case("daemon start: usage, missing uuid, bad domain, timeout, detached with log")
def _(t):
    for args in (["--help"], ["-h"], [], ["1"], ["1", "a", "b", "c"], ["--nonsense"],
                 ["1", "a"], ["-u", "x", "1", "a"], ["-u", UUID, "0", "a"],
                 ["-u", UUID, "x", "a"], ["-u", UUID, "1", "a b"], ["-u", UUID, "1", "a/b"]):
        equal(t.start("skerry-qrexec", *args).wait(), 1, repr(args))
    base = ["--socket-dir=" + t.dir, "-u", UUID, "--", "42", "domain_name"]
    late = t.start("skerry-qrexec", "-q", *base, env={"QREXEC_STARTUP_TIMEOUT": 1})
    equal((late.wait(), late.stdout, late.stderr), (3, b"", b""))
    direct = t.start("skerry-qrexec", "-D", *base, env={"QREXEC_STARTUP_TIMEOUT": 1})
    equal(direct.wait(), 3)
    server = t.vchan_server(42, 0, CONTROL)
    parent = t.start("skerry-qrexec", *base)
    agent = t.own(server.accept())
    check(parent.running(), "waits for HELLO")
    check(not os.path.lexists(t.path("qrexec.domain_name")), "no name before HELLO")
    agent.hello_first()
    equal(parent.wait(), 0)
    check(os.path.exists(t.path("qrexec.domain_name")), "name")
    equal(os.stat(t.path("qrexec.42")).st_mode & 0o777, 0o777)
    log = os.path.join(t.root, "var/log/qubes/qrexec.domain_name.log")
    equal(os.stat(log).st_mode & 0o777, 0o660)
    client = t.connect(t.path("qrexec.42"))
    client.send_message(HELLO, pack_hello(3))
    client.send_message(0x999, b"x")
    client.recv_to_eof()
    with open(log, encoding="ascii") as file:
        line = file.read()
    check(re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} qrexec-daemon\[\d+\]: "
                       r"local\.c:\d+:\w+: [^\n]*0x999[^\n]*\n", line), line)
    server.close()
    bad = t.vchan_server(42, 0, CONTROL)
    failing = t.start("skerry-qrexec", "-q", *base)
    t.own(bad.accept()).send_message(HELLO, pack_hello(1))
    equal(failing.wait(), 1)


@case("daemon start without waiting")
def _(t):
    parent = t.start("skerry-qrexec", "-q", "--socket-dir=" + t.dir, "-u", UUID, "42", "v",
                     env={"QREXEC_STARTUP_NOWAIT": ""})
    equal(parent.wait(), 0)
    server = t.vchan_server(42, 0, CONTROL)
    t.own(server.accept()).hello_first()
    t.connect(t.path("qrexec.42")).recv_hello()


if __name__ == "__main__":
    main()
