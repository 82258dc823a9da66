# SPDX-License-Identifier: GPL-2.0-or-later
"""What happens when somebody does not answer, or is lost in the middle of a question.

Deadlines are the real ones divided by $SKERRY_TEST_LIMIT_DIVISOR, which only builds with sanitizers or
-Dattack=true read; in other builds those cases are not there. Nothing here fails for being slow:
each case waits for the end that the deadline brings."""

import signal
import socket
import struct
import threading

from daemon_common import *

IDENT = b"SOCKET42".ljust(32, b"\0")
VARIABLE = "SKERRY_TEST_LIMIT_DIVISOR"
with open(program("skerry-qrexec"), "rb") as file:
    SHORTENED = VARIABLE.encode() in file.read()
ANSWER, DENIED = b"SKPA", 0


def divided(by):
    return {VARIABLE: str(by)}


def deadline(name):
    """A case of a build that can shorten its deadlines."""
    return case(name) if SHORTENED else lambda function: function


def trigger(d, name="svc", target="t", ident="SOCKET42"):
    d.agent.send_message(TRIGGER_SERVICE4, pack_trigger4(name, target, ident))


def refused(d, ident=IDENT):
    d.agent.expect(SERVICE_REFUSED, ident)


def works(t, d):
    """HELLO and command in one write, so that no shortened deadline can matter."""
    client = t.connect(d.path)
    client.send(pack_message(HELLO, pack_hello(3)) +
                pack_message(JUST_EXEC, pack_exec(0, 0, "user:alive")))
    equal(client.recv_hello(), 3)
    kind, body = client.recv_message()
    equal(kind, JUST_EXEC)
    d.agent.expect(JUST_EXEC, pack_exec(0, unpack_exec(body)[1], "user:alive"))


if not SHORTENED:
    # If this failed, whoever sets dom0's environment could switch the limits off.
    @case("daemon no deadline of this build can be changed from outside")
    def _(t):
        for name in ("skerry-qrexec", "skerry-qrexec-slice", "skerry-qrexec-runner"):
            with open(program(name), "rb") as file:
                check(VARIABLE.encode() not in file.read(), name)


# If this failed, one stuck tool could hold a connection of dom0's daemon for ever.
@deadline("deadline a local client that says nothing, or half a command")
def _(t):
    d = Daemon(t, program=policy_program(t), env=divided(20))
    command = pack_message(HELLO, pack_hello(3)) + pack_message(EXEC_CMDLINE, pack_exec(0, 0, "u:x"))
    clients = []
    for cut in (0, 3, 8, 12, 15, 20, len(command) - 1):
        client = t.connect(d.path)
        client.send(command[:cut])
        clients.append(client)
    works(t, d)
    for client in clients:
        client.recv_to_eof()
    works(t, d)
    wait_for(lambda: d.program.fds() < 20, "descriptors returned")


# If this failed, a qube could stop its daemon by beginning a message.
@deadline("deadline an agent that does not finish a message")
def _(t):
    for cut in (1, 7, 8, 100):
        d = Daemon(t, program=policy_program(t), env=divided(20))
        d.agent.send(pack_message(TRIGGER_SERVICE4, pack_trigger4("svc", "t", "SOCKET42"))[:cut])
        d.agent.expect_eof()
        equal(d.program.wait(), 1)      # --direct, and no new agent
        d.server.close()


# If this failed, the start of a qube whose agent hangs would wait for ever.
@deadline("deadline an agent that does not greet, at first and after a restart")
def _(t):
    d = Daemon(t, program=policy_program(t), hello=False,
               env={"QREXEC_STARTUP_NOWAIT": "", **divided(20)})
    equal(d.program.wait(), 3)
    d.server.close()
    d = Daemon(t, program=policy_program(t), env=divided(20))
    d.new_server()
    d.agent.close()
    d.greet(hello=False)
    equal(d.program.wait(), 1)


# If this failed, a policy service that hangs would let every call wait without end.
@deadline("deadline policy does not answer: refused")
def _(t):
    gate = threading.Event()
    TextPolicy(t, lambda text: gate.wait(HANG) and "")
    d = Daemon(t, env=divided(600))
    trigger(d)
    refused(d)
    gate.set()
    works(t, d)
    slow = Daemon(t, xid=43, name="slow", uuid=UUID[:-1] + "9", env=divided(600),
                  program=t.script("hangs", "exec sleep 100000\n"))
    trigger(slow)
    refused(slow)
    works(t, slow)
    wait_for(lambda: len(descendants(slow.program.pid)) == 2, "the program's end")  # slice and starter stay


# If this failed, a qube that never comes up would hang its callers.
@deadline("deadline qubesd does not answer: refused")
def _(t):
    gate = threading.Event()
    TextPolicy(t, lambda text: ALLOW.format(target="t"))
    qubesd = Qubesd(t, {"admin.vm.Start": lambda dest: gate.wait(HANG) and b"0\0"})
    d = Daemon(t, env=divided(300))
    trigger(d)
    qubesd.wait_for("admin.vm.Start+")
    refused(d)
    gate.set()
    works(t, d)


# If this failed, one dead daemon would hang the calls of everybody who calls its qube.
@deadline("deadline the target's daemon does not answer: refused")
def _(t):
    TextPolicy(t, lambda text: ALLOW.format(target="t"))
    t.listen(t.path("qrexec.t"))
    d = Daemon(t, env=divided(20))
    for _ in range(3):
        trigger(d)
        refused(d)
    works(t, d)


# If this failed, a daemon that greets and then stands still would hang the callers of its qube.
@deadline("deadline the target's daemon greets and gives no port: refused")
def _(t):
    TextPolicy(t, lambda text: ALLOW.format(target="t"))
    target = t.listen(t.path("qrexec.t"))
    d = Daemon(t, env=divided(100))
    trigger(d)
    channel = t.own(Channel(target.sock.accept()[0]))
    channel.send_message(HELLO, pack_hello(3))
    refused(d)
    works(t, d)


# If this failed, calls of a busy pair of qubes would wait for a port for ever.
@deadline("deadline no port becomes free")
def _(t):
    d = Daemon(t, program=policy_program(t), env=divided(15))
    for i in range(129):
        client = t.connect(d.path)
        client.send(pack_message(HELLO, pack_hello(3)) +
                    pack_message(JUST_EXEC, pack_exec(43, 0, f"u:{i}")))
        client.recv_hello()
        if i < 128:
            d.agent.expect(JUST_EXEC, pack_exec(43, unpack_exec(client.recv_message()[1])[1], f"u:{i}"))
    client.expect_eof()
    works(t, d)


# If this failed, a qube whose agent dies often would have no ports left for a peer.
@deadline("deadline a held port is given again when no service can wait any more, to who waits for it")
def _(t):
    def ask(i):
        client = t.connect(d.path)
        client.send(pack_message(HELLO, pack_hello(3)) +
                    pack_message(JUST_EXEC, pack_exec(43, 0, f"u:{i}")))
        client.recv_hello()
        return client

    def port_of(client, i):
        port = unpack_exec(client.recv_message()[1])[1]
        d.agent.expect(JUST_EXEC, pack_exec(43, port, f"u:{i}"))
        return port
    # The divided limit of a call that waits for a port is the shorter one by far.
    d = Daemon(t, program=policy_program(t), env=divided(20))
    ports = [port_of(ask(i), i) for i in range(2)]
    d.new_server()
    d.agent.close()
    d.greet()
    wait_for(lambda: os.path.exists(d.path), "socket")
    equal(len({port_of(ask(i), i) for i in range(126)} | set(ports)), 128)
    waiting = [ask(200), ask(201)]
    equal(sorted(port_of(client, 200 + i) for i, client in enumerate(waiting)), ports)


# If this failed, dom0 could not stop a daemon whose qubesd hangs.
@case("deadline SIGTERM with a disposable that qubesd does not take back")
def _(t):
    gate = threading.Event()
    TextPolicy(t, lambda text: ALLOW.format(target="@dispvm:template"))
    qubesd = Qubesd(t, {"admin.vm.CreateDisposable": b"0\0disp1",
                        "admin.vm.Kill": lambda dest: gate.wait(HANG) and b"0\0"})
    target = t.listen(t.path("qrexec.disp1"))
    d = Daemon(t)
    trigger(d)
    t.own(target.accept())
    equal(d.program.stop(), 0)
    gate.set()
    check("admin.vm.Kill+" in qubesd.methods(), "it was tried")
    check(os.path.exists(t.path(f"disposable.{UUID}.disp1")), "the note stays for the next daemon")


# --- disposables always have an owner ---------------------------------------------------------

KILL = ("admin.vm.Kill+", "dom0", "name", "disp1", b"")


def disposable(t, **answers):
    TextPolicy(t, lambda text: ALLOW.format(target="@dispvm:template"))
    return Qubesd(t, {"admin.vm.CreateDisposable": b"0\0disp1",
                      **{"admin.vm." + name: answer for name, answer in answers.items()}})


# If this failed, a daemon that was killed would leave its disposables running for ever.
@case("disposable its daemon is killed with -9: the next one kills it")
def _(t):
    qubesd = disposable(t)
    target = t.listen(t.path("qrexec.disp1"))
    d = Daemon(t)
    trigger(d)
    t.own(target.accept())
    d.program.kill()
    d.program.wait()
    check("admin.vm.Kill+" not in qubesd.methods(), "nobody could")
    t.file("disposable." + UUID + "...", b"")        # no names of qubes
    t.file("disposable." + UUID + ".@dispvm", b"")
    t.file("disposable." + UUID[:-1] + "7.other", b"")
    d.server.close()
    d = Daemon(t)
    qubesd.wait_for("admin.vm.Kill+")
    wait_for(lambda: not os.path.exists(t.path(f"disposable.{UUID}.disp1")), "note removed")
    equal([call for call in qubesd.calls if call[0] == "admin.vm.Kill+"], [KILL])
    works(t, d)


# If this failed, a disposable whose caller goes away while it is made would be left.
@case("disposable the caller's agent goes while qubesd creates it")
def _(t):
    gate = threading.Event()
    qubesd = disposable(t, CreateDisposable=lambda dest: gate.wait(HANG) and b"0\0disp1")
    d = Daemon(t)
    trigger(d)
    qubesd.wait_for("admin.vm.CreateDisposable+")
    d.new_server()
    d.agent.close()
    d.greet()
    gate.set()
    qubesd.wait_for("admin.vm.Kill+")
    equal(qubesd.calls[-1], KILL)
    check("admin.vm.Start+" not in qubesd.methods(), "it is not started")


@case("disposable SIGTERM while qubesd creates it")
def _(t):
    gate = threading.Event()
    qubesd = disposable(t, CreateDisposable=lambda dest: gate.wait(HANG) and b"0\0disp1")
    d = Daemon(t)
    trigger(d)
    qubesd.wait_for("admin.vm.CreateDisposable+")
    d.program.kill(signal.SIGTERM)
    wait_for(lambda: not os.path.exists(d.path), "the daemon ends")
    gate.set()
    equal(d.program.wait(), 0)
    equal(qubesd.calls[-1], KILL)


# If this failed, a restart of qubesd would leave disposables running.
@case("disposable qubesd is not there when it should be killed: tried until it is")
def _(t):
    answers = [b"", b"", b"0\0"]
    qubesd = disposable(t, Kill=lambda dest: answers.pop(0))
    target = t.listen(t.path("qrexec.disp1"))
    d = Daemon(t)
    trigger(d)
    target.accept().close()
    refused(d)
    wait_for(lambda: not answers, "three tries")
    wait_for(lambda: not os.path.exists(t.path(f"disposable.{UUID}.disp1")), "note removed")
    equal(qubesd.methods().count("admin.vm.Kill+"), 3)


# --- the kept connection to policy ------------------------------------------------------------

class CallsPolicy:
    """The policy service on its packet socket, played by the test."""

    def __init__(self, t):
        path = os.path.join(t.root, "run/qubes/policy.calls.sock")
        self.sock = t.own(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))
        self.sock.bind(path)
        os.chmod(path, 0o777)
        self.sock.listen()
        self.sock.settimeout(HANG)
        self.t = t

    def accept(self):
        sock = self.t.own(self.sock.accept()[0])
        sock.settimeout(HANG)
        return sock


def question_id(sock):
    packet = sock.recv(70000)
    check(packet, "a question")
    return struct.unpack_from("<I", packet, 4)[0]


def answer(number, verdict=DENIED):
    """Magic, the question's number, verdict, autostart, six texts that are empty but for their NUL."""
    return ANSWER + struct.pack("<IBB6H", number, verdict, 0, *[1] * 6) + bytes(6)


# If this failed, a restart of the policy service would hang or allow the calls that it was asked about.
@case("policy the kept connection is lost: asked again once, then refused")
def _(t):
    policy = CallsPolicy(t)
    d = Daemon(t)
    for i in range(5):
        trigger(d, ident=f"N{i}")
    first = policy.accept()
    numbers = [question_id(first) for _ in range(5)]
    first.close()
    second = policy.accept()
    equal(sorted(question_id(second) for _ in range(5)), sorted(numbers))
    second.send(answer(numbers[0]))
    refused(d, b"N0".ljust(32, b"\0"))
    second.close()
    equal(sorted(d.agent.recv_message() for _ in range(4)),
          [(SERVICE_REFUSED, f"N{i}".encode().ljust(32, b"\0")) for i in range(1, 5)])
    trigger(d, ident="N9")
    third = policy.accept()
    third.send(answer(question_id(third)))
    refused(d, b"N9".ljust(32, b"\0"))
    works(t, d)


# If this failed, a confused policy service could answer another question than it was asked.
@case("policy answers that nobody asked for, twice, or malformed")
def _(t):
    policy = CallsPolicy(t)
    d = Daemon(t)
    trigger(d)
    sock = policy.accept()
    number = question_id(sock)
    for other in (number + 1, number + 2048, 0xffffffff):
        sock.send(answer(other))
    d.agent.quiet()
    sock.send(answer(number))
    sock.send(answer(number))
    refused(d)
    for bad in (b"\0", answer(1)[:-1], answer(1) + b"\0", answer(1, verdict=9)):
        trigger(d)
        question_id(sock)
        sock.send(bad)
        equal(sock.recv(10), b"")       # dropped, and the question comes again
        sock = policy.accept()
        sock.send(answer(question_id(sock)))
        refused(d)
    works(t, d)


if __name__ == "__main__":
    main()
