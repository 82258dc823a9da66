# SPDX-License-Identifier: GPL-2.0-or-later
"""qrexec-client-vm against a raw agent and a raw service's end: cases 93 to 101, and hostile peers."""

import os
import signal
import socket
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import *  # noqa: E402,F403

PEER, OWN, PORT = 43, 42, 1024
SERVICE = "qubes.ServiceName"


class Call:
    """A started client, its agent, and the service's end once granted."""

    def __init__(self, t, *args, options=(), target="target_domain", service=SERVICE, env=None,
                 **more):
        self.t = t
        self.agent = t.listen(t.path("agent.sock"))
        self.client = t.start("qrexec-client-vm", "-a", self.agent.path, *options, target, service,
                              *args, env={"VCHAN_DOMAIN": OWN, **(env or {})}, **more)
        self.lease = self.agent.accept()
        self.request = self.lease.recv_message()
        self.service = None

    def grant(self, version=VERSION):
        """The agent's answer, the channel and HELLO."""
        self.lease.send(pack_exec(PEER, PORT))
        self.service = self.t.vchan_client(OWN, PEER, PORT)
        equal(self.service.hello_second(version), VERSION, "version")
        return self.service

    def end(self, code=0, rest=()):
        """STDOUT EOF, EXIT_CODE; the exit status. rest: messages of the client before the end."""
        self.service.send_message(DATA_STDOUT)
        self.service.send_message(DATA_EXIT_CODE, pack_exit(code))
        status = self.client.wait()
        equal(self.service.recv_all_messages(), list(rest), "messages before the end")
        return status


def shell(script):
    return ["/bin/sh", "-c", script]


# If this failed, no program in a qube could call a service.
@case("qrexec-093 a call: request, channel, output, exit status")
def _(t):
    call = Call(t)
    equal(call.request, (TRIGGER_SERVICE4, pack_trigger4(SERVICE, "target_domain", "SOCKET")))
    service = call.grant()
    service.send_message(DATA_STDOUT, b"stdout data\n")
    service.send_message(DATA_STDOUT)
    service.send_message(DATA_EXIT_CODE, pack_exit(42))
    equal(call.client.wait(), 42)
    equal(call.client.stdout, b"stdout data\n")
    equal(call.client.stderr, b"")
    equal(service.recv_all_messages(), [(DATA_STDIN, b"")])


# If this failed, a relay could not make calls in the name of a remote qube.
@case("qrexec-093 --source-qube travels with the request")
def _(t):
    call = Call(t, options=["--source-qube=remote-qube"])
    equal(call.request[1], pack_trigger4(SERVICE, "target_domain", "SOCKET", "remote-qube"))
    call.grant()
    equal(call.end(0, [(DATA_STDIN, b"")]), 0)


# If this failed, scripts that still write $adminvm would be refused.
@case("qrexec-093 a dollar in the target becomes an at sign")
def _(t):
    call = Call(t, target="$dispvm:$x", service="a.B+$arg")
    equal(call.request[1], pack_trigger4("a.B+$arg", "@dispvm:@x", "SOCKET"))
    call.grant()
    equal(call.end(0, [(DATA_STDIN, b"")]), 0)


# If this failed, what a program pipes into a call would not arrive, or never end.
@case("qrexec-093 standard input arrives, then its end")
def _(t):
    call = Call(t)
    service = call.grant()
    call.client.write(b"stdin data\n")
    equal(service.recv_data(DATA_STDIN, 11), b"stdin data\n")
    call.client.close_stdin()
    service.expect(DATA_STDIN)
    service.send_message(DATA_STDERR, b"oops\n")
    equal(call.end(7), 7)
    equal(call.client.stderr, b"oops\n")


# If this failed, dom0 would take the call for ended while it still goes on.
@case("qrexec-093 the agent's connection stays open as long as the call")
def _(t):
    call = Call(t)
    call.grant()
    call.lease.quiet()
    equal(call.end(0, [(DATA_STDIN, b"")]), 0)
    call.lease.expect_eof()


# If this failed, the first bytes given by --prefix-data would come late or not at all.
@case("qrexec-093 --prefix-data is sent at once, before standard input")
def _(t):
    call = Call(t, options=["-p", "prefix data\n"])
    service = call.grant()
    equal(service.recv_data(DATA_STDIN, 12), b"prefix data\n")
    call.client.write(b"x")
    equal(service.recv_data(DATA_STDIN, 1), b"x")
    call.client.close_stdin()
    service.expect(DATA_STDIN)
    equal(call.end(0), 0)


def stdin_socket(t):
    ours, theirs = t.socketpair()
    call = Call(t, options=["--use-stdin-socket"], stdin=theirs)
    theirs.close()
    return ours, call, call.grant()


# If this failed, a program that hands its socket to the client could not talk both ways.
@case("qrexec-094 --use-stdin-socket: both directions, remote end first")
def _(t):
    ours, call, service = stdin_socket(t)
    ours.send(b"up")
    equal(service.recv_data(DATA_STDIN, 2), b"up")
    service.send_message(DATA_STDOUT, b"down")
    equal(ours.recv(4), b"down")
    service.send_message(DATA_STDOUT)
    equal(ours.recv_to_eof(), b"")
    ours.send(b"more")
    equal(service.recv_data(DATA_STDIN, 4), b"more")
    ours.shutdown()
    service.expect(DATA_STDIN)
    service.send_message(DATA_EXIT_CODE, pack_exit(42))
    equal(call.client.wait(), 42)
    equal(call.client.stdout, b"")


@case("qrexec-094 --use-stdin-socket: local end first")
def _(t):
    ours, call, service = stdin_socket(t)
    ours.shutdown()
    service.expect(DATA_STDIN)
    service.send_message(DATA_STDOUT, b"late")
    equal(ours.recv(4), b"late")
    service.send_message(DATA_STDOUT)
    equal(ours.recv_to_eof(), b"")
    service.send_message(DATA_EXIT_CODE, pack_exit(0))
    equal(call.client.wait(), 0)


@case("qrexec-094 --use-stdin-socket: a client that closed its input breaks writes to it")
def _(t):
    # The service's end of output and its exit code end the call: the client lets go of the socket.
    ours, call, service = stdin_socket(t)
    service.send_message(DATA_STDOUT)
    equal(ours.recv_to_eof(), b"")
    service.send_message(DATA_EXIT_CODE, pack_exit(3))
    equal(call.client.wait(), 3)
    equal(service.recv_all_messages(), [(DATA_STDIN, b"")])
    try:
        ours.send(b"x")
        raise Failure("the write did not fail")
    except BrokenPipeError:
        pass


# If this failed, a service would take a qube's text for complete though nobody told it so.
@case("qrexec-094 --use-stdin-socket: exit code before the local end still sends STDIN EOF")
def _(t):
    ours, call, service = stdin_socket(t)
    service.send_message(DATA_EXIT_CODE, pack_exit(42))
    service.expect(DATA_STDIN)
    service.send_message(DATA_STDOUT, b"rest")
    service.send_message(DATA_STDOUT)
    equal(ours.recv(4), b"rest")
    equal(call.client.wait(), 42)
    equal(service.recv_all_messages(), [])


# If this failed, another qube's text could drive the user's terminal.
@case("qrexec-095 -t replaces what could drive a terminal")
def _(t):
    call = Call(t, options=["-t", "-T"])
    service = call.grant()
    service.send_message(DATA_STDOUT, b"hello\0world\xff")
    service.send_message(DATA_STDERR, b"a\x1b[2Jb\xc3\xa9\n\t\r\b\a\x7f")
    equal(call.end(0, [(DATA_STDIN, b"")]), 0)
    equal(call.client.stdout, b"hello_world_")
    equal(call.client.stderr, b"a_[2Jb__\n\t\r\b\a_")


@case("qrexec-095 filtered by default towards a terminal, and not with the option against it")
def _(t):
    for options, wanted in (([], b"a_b"), (["--no-filter-escape-chars-stdout"], b"a\x1bb")):
        ours, theirs = os.openpty()
        call = Call(t, options=options, stdout=theirs)
        service = call.grant()
        service.send_message(DATA_STDOUT, b"a\x1bb")
        equal(call.end(0, [(DATA_STDIN, b"")]), 0)
        equal(os.read(ours, 100), wanted)
        os.close(ours)
        os.close(theirs)


@case("qrexec-095 bytes pass unchanged into a pipe")
def _(t):
    call = Call(t)
    service = call.grant()
    every = bytes(range(256)) * 64
    service.send_message(DATA_STDOUT, every)
    service.send_message(DATA_STDERR, every)
    equal(call.end(0, [(DATA_STDIN, b"")]), 0)
    equal(call.client.stdout, every)
    equal(call.client.stderr, every)


# If this failed, a script could not tell a refusal from a failure of the service.
@case("qrexec-096 refused: the message, the status, and no local program")
def _(t):
    mark = t.path("started")
    call = Call(t, *shell(f"touch {mark}"))
    call.lease.close()
    equal(call.client.wait(), 126)
    equal(call.client.stderr, b"Request refused\n")
    equal(call.client.stdout, b"")
    check(not os.path.exists(mark), "the local program was started")


# If this failed, an old agent that expects one end of input would get two, or an exit code.
@case("qrexec-097 the service cannot be run: one STDIN EOF, status 125")
def _(t):
    call = Call(t)
    call.grant()
    equal(call.end(125, [(DATA_STDIN, b"")]), 125)


@case("qrexec-097 the same with a local program")
def _(t):
    call = Call(t, "/bin/cat")
    call.grant()
    equal(call.end(125, [(DATA_STDIN, b"")]), 125)


@case("qrexec-098 a local cat sends the output back")
def _(t):
    call = Call(t, "/bin/cat")
    service = call.grant()
    service.send_message(DATA_STDOUT, b"there and back")
    equal(service.recv_data(DATA_STDIN, 14), b"there and back")
    service.send_message(DATA_STDOUT)
    service.expect(DATA_STDIN)
    service.send_message(DATA_EXIT_CODE, pack_exit(42))
    equal(call.client.wait(), 42)
    equal(service.recv_all_messages(), [])


# If this failed, a program that answers on one socket (a proxy) would stop working in a qube.
@case("qrexec-099 SIGUSR1: output is read from the local program's stdin socket")
def _(t):
    # The signal comes between two writes, and what was written to fd 0 before must arrive too.
    call = Call(t, *shell("kill -USR1 $QREXEC_AGENT_PID; echo from fd 0 >&0; cat >&0"))
    service = call.grant()
    equal(service.recv_data(DATA_STDIN, 10), b"from fd 0\n")
    service.send_message(DATA_STDOUT, b"echo")
    equal(service.recv_data(DATA_STDIN, 4), b"echo")
    service.send_message(DATA_STDOUT)
    service.expect(DATA_STDIN)
    service.send_message(DATA_EXIT_CODE, pack_exit(0))
    equal(call.client.wait(), 0)


@case("qrexec-099 SIGUSR1 after the remote end closed the program's input")
def _(t):
    call = Call(t, *shell("cat; kill -USR1 $QREXEC_AGENT_PID; echo late >&0"))
    service = call.grant()
    service.send_message(DATA_STDOUT, b"one")
    equal(service.recv_data(DATA_STDIN, 3), b"one")
    service.send_message(DATA_STDOUT)
    equal(service.recv_data(DATA_STDIN, 5), b"late\n")
    service.expect(DATA_STDIN)
    service.send_message(DATA_EXIT_CODE, pack_exit(0))
    equal(call.client.wait(), 0)


@case("qrexec-099 SIGUSR1 without a local program changes nothing")
def _(t):
    call = Call(t)
    service = call.grant()
    call.client.kill(signal.SIGUSR1)
    call.client.write(b"still here")
    equal(service.recv_data(DATA_STDIN, 10), b"still here")
    equal(call.end(0, [(DATA_STDIN, b"")]), 0)


# If this failed, a tool that moves a file would delete it though the copy had failed.
@case("qrexec-100 the local program's failure counts when the service succeeded")
def _(t):
    call = Call(t, "/bin/false")
    service = call.grant()
    service.send_message(DATA_STDOUT)
    service.send_message(DATA_EXIT_CODE, pack_exit(0))
    equal(call.client.wait(), 1)
    check(service.recv_all_messages() in ([], [(DATA_STDIN, b"")]), "at most one STDIN EOF")


@case("qrexec-100 statuses of the service and the local program", None)
def _(t):
    for script, remote, wanted in (("exit 0", 0, 0), ("exit 5", 0, 5), ("exit 5", 3, 3),
                                   ("kill -9 $$", 0, 137), ("exit 0", 255, 255),
                                   ("exit 0", 256, 0), ("exit 0", 300, 44)):
        call = Call(t, *shell(script))
        service = call.grant()
        service.expect(DATA_STDIN)
        equal(call.end(remote), wanted, f"{script}, remote {remote}")


@case("qrexec-100 a local program that is not there is 127, one that cannot be run 126")
def _(t):
    for path, wanted in ((t.path("absent"), 127), (t.file("data", "x", 0o644), 126)):
        call = Call(t, path)
        service = call.grant()
        service.expect(DATA_STDIN)
        equal(call.end(0), wanted)


@case("qrexec-101 the channel closed without an exit code is 255")
def _(t):
    for program in ([], ["/bin/cat"]):
        call = Call(t, *program)
        service = call.grant()
        service.send_message(DATA_STDOUT, b"half")
        service.close()
        equal(call.client.wait(), 255)
        equal(call.client.stdout, b"" if program else b"half")


# If this failed, qvm-copy could not reach the user's terminal from inside the call.
@case("qrexec-105 local program: SAVED_FD_0, SAVED_FD_1, QREXEC_AGENT_PID, argv[0]")
def _(t):
    call = Call(t, *shell("read x <&$SAVED_FD_0; echo \"$x\" >&$SAVED_FD_1; echo $QREXEC_AGENT_PID;"
                          "echo ${SAVED_FD_2-none}; echo $0"))
    service = call.grant()
    call.client.write(b"typed\n")
    wanted = f"{call.client.pid}\nnone\nsh\n".encode()
    equal(service.recv_data(DATA_STDIN, len(wanted)), wanted)
    service.expect(DATA_STDIN)
    equal(call.end(0), 0)
    equal(call.client.stdout, b"typed\n")


@case("qrexec-105 PASS_LOCAL_STDERR: SAVED_FD_2")
def _(t):
    call = Call(t, *shell("echo saved >&$SAVED_FD_2"), env={"PASS_LOCAL_STDERR": "1"})
    call.grant().expect(DATA_STDIN)
    equal(call.end(0), 0)
    equal(call.client.stderr, b"saved\n")


# If this failed, a local program would keep the call's connections open after the call.
@case("client-vm: a local program inherits standard and saved descriptors, and no other")
def _(t):
    call = Call(t, *shell("exec 9>&$SAVED_FD_1; ls /proc/self/fd | sort -n | tr '\\n' ' ' >&9"))
    call.grant().expect(DATA_STDIN)
    equal(call.end(0), 0)
    # 0 1 2, the two saved ones, 9, and the folder that ls reads
    equal(len(call.client.stdout.split()), 7, call.client.stdout.decode())


# Bad input: whatever the agent or the peer sends, one defined end.

@case("client-vm: the agent's answer is cut off")
def _(t):
    for length in range(1, 8):
        call = Call(t)
        call.lease.send(pack_exec(PEER, PORT)[:length])
        call.lease.close()
        equal(call.client.wait(), 1, f"{length} bytes")


@case("client-vm: the agent's answer in single bytes")
def _(t):
    call = Call(t)
    for byte in pack_exec(PEER, PORT)[:-1]:
        call.lease.send(bytes([byte]))
    call.lease.send(pack_exec(PEER, PORT)[-1:])
    call.service = t.vchan_client(OWN, PEER, PORT)
    call.service.hello_second()
    equal(call.end(0, [(DATA_STDIN, b"")]), 0)


@case("client-vm: answers that name no channel")
def _(t):
    for domain, port in ((0xffffffff, 513), (PEER, 0), (PEER, 0xffffffff), (OWN, 513)):
        call = Call(t)
        call.lease.send(pack_exec(domain, port))
        equal(call.client.wait(), 1, f"{domain} {port}")


@case("client-vm: no agent")
def _(t):
    client = t.start("qrexec-client-vm", "-a", t.path("absent"), "t", "s")
    equal(client.wait(), 1)
    check(b"absent" in client.stderr, "the path is said")


@case("client-vm: the default agent is below SKERRY_ROOT")
def _(t):
    agent = t.listen(os.path.join(t.root, "var/run/qubes/qrexec-agent"))
    client = t.start("qrexec-client-vm", "t", "s")
    agent.accept().close()
    equal(client.wait(), 126)


BAD_HELLO = {
    "type": pack_message(0x301, pack_hello()),
    "short": pack_message(HELLO, b""),
    "long": pack_message(HELLO, b"\4\0\0\0\0\0\0\0"),
    "version 1": pack_message(HELLO, pack_hello(1)),
    "version 0": pack_message(HELLO, pack_hello(0)),
    "data first": pack_message(DATA_STDOUT, b"x"),
    "huge": pack_header(HELLO, 0xffffffff),
}


@case("client-vm: the peer's HELLO is wrong")
def _(t):
    for what, message in BAD_HELLO.items():
        call = Call(t)
        call.lease.send(pack_exec(PEER, PORT))
        service = t.vchan_client(OWN, PEER, PORT)
        service.send(message)
        equal(call.client.wait(), 1, what)
        equal(call.client.stdout, b"")


@case("client-vm: the peer closes before or within HELLO")
def _(t):
    hello = pack_message(HELLO, pack_hello())
    for length in (0, 1, 8, 11):
        call = Call(t)
        call.lease.send(pack_exec(PEER, PORT))
        service = t.vchan_client(OWN, PEER, PORT)
        service.send(hello[:length])
        service.close()
        equal(call.client.wait(), 1, f"{length} bytes")


BAD_DATA = {
    "unknown type": pack_message(0x194, b"x"),
    "type 0": pack_message(0),
    "second HELLO": pack_message(HELLO, pack_hello()),
    "a control message": pack_message(EXEC_CMDLINE, pack_exec(0, 513, "id")),
    "65537 bytes": pack_header(DATA_STDOUT, 65537),
    "4 GiB": pack_header(DATA_STDOUT, 0xffffffff),
    "4 GiB of STDERR": pack_header(DATA_STDERR, 0xffffffff),
    "4 GiB of exit code": pack_header(DATA_EXIT_CODE, 0xffffffff),
}


@case("client-vm: the peer breaks the protocol in the data phase")
def _(t):
    for what, message in BAD_DATA.items():
        call = Call(t)
        service = call.grant()
        service.send_message(DATA_STDOUT, b"before")
        service.send(message)
        equal(call.client.wait(), 1, what)


@case("client-vm: messages cut off by the end of the channel")
def _(t):
    message = pack_message(DATA_STDOUT, b"0123456789")
    for length in (1, 7, 8, 9, 17):
        call = Call(t)
        service = call.grant()
        service.send(message[:length])
        service.close()
        equal(call.client.wait(), 255, f"{length} bytes")


@case("client-vm: messages in single bytes")
def _(t):
    call = Call(t)
    service = call.grant()
    for byte in pack_message(DATA_STDOUT, b"out") + pack_message(DATA_STDERR, b"err"):
        service.send(bytes([byte]))
    equal(call.end(9, [(DATA_STDIN, b"")]), 9)
    equal(call.client.stdout, b"out")
    equal(call.client.stderr, b"err")


@case("client-vm: largest message is taken, version 2 peers send and get small ones")
def _(t):
    call = Call(t)
    service = call.grant()
    service.send_message(DATA_STDOUT, b"m" * CHUNK)
    equal(call.end(0, [(DATA_STDIN, b"")]), 0)
    equal(len(call.client.stdout), CHUNK)
    call = Call(t)
    service = call.grant(version=2)
    call.client.write(b"i" * 20000)
    call.client.close_stdin()
    total = 0
    while total < 20000:
        kind, body = service.recv_message()
        equal(kind, DATA_STDIN)
        check(0 < len(body) <= CHUNK_V2, f"a message of {len(body)}")
        total += len(body)
    service.expect(DATA_STDIN)
    service.send(pack_header(DATA_STDOUT, CHUNK_V2 + 1))
    equal(call.client.wait(), 1)


@case("client-vm: exit codes of odd lengths and values")
def _(t):
    for body, wanted in ((b"", 255), (b"\5", 255), (b"\5\0\0", 255), (b"\5\0\0\0\7", 5),
                         (pack_exit(-1), 255)):
        call = Call(t)
        service = call.grant()
        service.send_message(DATA_STDOUT)
        service.send_message(DATA_EXIT_CODE, body)
        service.close()
        equal(call.client.wait(), wanted, repr(body))


@case("client-vm: data after its own end, ends twice, exit code twice")
def _(t):
    call = Call(t)
    service = call.grant()
    service.send_message(DATA_STDOUT, b"kept")
    service.send(pack_message(DATA_STDOUT) * 3)
    service.send_message(DATA_STDOUT, b"dropped")
    service.send_message(DATA_EXIT_CODE, pack_exit(4))
    equal(call.client.wait(), 4)
    equal(call.client.stdout, b"kept")


@case("client-vm: the wrong direction's type is data all the same")
def _(t):
    call = Call(t)
    service = call.grant()
    service.send_message(DATA_STDIN, b"odd")
    equal(call.end(0, [(DATA_STDIN, b"")]), 0)
    equal(call.client.stdout, b"odd")


# If this failed, `qrexec-client-vm … | head` would hang or be reported as failed.
@case("client-vm: a reader of the output that goes away ends that direction only")
def _(t):
    ours, theirs = os.pipe()
    call = Call(t, stdout=theirs)
    os.close(theirs)
    os.close(ours)
    service = call.grant()
    service.send_message(DATA_STDOUT, b"x" * 1000)
    call.client.write(b"input goes on")
    equal(service.recv_data(DATA_STDIN, 13), b"input goes on")
    service.send_message(DATA_STDOUT, b"x" * CHUNK)
    equal(call.end(6, [(DATA_STDIN, b"")]), 6)


@case("client-vm: standard error that goes away")
def _(t):
    ours, theirs = os.pipe()
    call = Call(t, stderr=theirs)
    os.close(theirs)
    os.close(ours)
    service = call.grant()
    service.send_message(DATA_STDERR, b"x" * 1000)
    service.send_message(DATA_STDOUT, b"out")
    equal(call.end(6, [(DATA_STDIN, b"")]), 6)
    equal(call.client.stdout, b"out")


# If this failed, `qrexec-client-vm q s < file > file` would not work: files cannot be polled.
@case("client-vm: standard input and output are files")
def _(t):
    data = os.urandom(300000)
    with open(t.file("in", data), "rb") as source, open(t.path("out"), "wb") as sink:
        call = Call(t, stdin=source, stdout=sink)
        service = call.grant()
        equal(service.recv_data(DATA_STDIN, len(data)), data)
        service.expect(DATA_STDIN)
        for at in range(0, len(data), 50000):
            service.send_message(DATA_STDOUT, data[at:at + 50000])
        equal(call.end(0), 0)
    equal(t.read("out"), data)


@case("client-vm: standard descriptors that are closed")
def _(t):
    agent = t.listen(t.path("agent.sock"))
    path = program("qrexec-client-vm")
    for closed in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-"):
        client = t.start("/bin/sh", "-c", f"exec {path} -a {agent.path} t s {closed}",
                         env={"VCHAN_DOMAIN": OWN})
        lease = agent.accept()
        lease.recv_message()
        lease.send(pack_exec(PEER, PORT))
        service = t.vchan_client(OWN, PEER, PORT)
        service.hello_second()
        service.send_message(DATA_STDERR, b"e")
        service.send_message(DATA_STDOUT, b"o")
        service.send_message(DATA_STDOUT)
        service.send_message(DATA_EXIT_CODE, pack_exit(8))
        equal(client.wait(), 8, closed)
        equal(client.stdout, b"" if ">" in closed.replace("2>", "") else b"o")
        service.close()


# If this failed, a program started after the client would find its terminal non-blocking.
@case("client-vm: inherited descriptors are blocking again at the end")
def _(t):
    import fcntl
    ours, theirs = os.pipe()
    call = Call(t, stdout=theirs)
    service = call.grant()
    service.send_message(DATA_STDOUT, b"x")
    equal(call.end(0, [(DATA_STDIN, b"")]), 0)
    check(not fcntl.fcntl(theirs, fcntl.F_GETFL) & os.O_NONBLOCK, "left non-blocking")
    os.close(ours)
    os.close(theirs)


# If this failed, one bulk call in a pipeline would keep memory from the programs that use its pipes after it.
@case("client-vm: inherited pipes hold as much as before at the end")
def _(t):
    import fcntl
    import threading
    out, their_out = os.pipe()
    their_in, given = os.pipe()
    before = fcntl.fcntl(given, fcntl.F_GETPIPE_SZ)
    call = Call(t, stdin=their_in, stdout=their_out)
    service = call.grant()
    data = os.urandom(1 << 20)
    got = []

    def read():
        while sum(map(len, got)) < len(data):
            got.append(os.read(out, 1 << 20))

    def write():
        left = memoryview(data)
        while left:
            left = left[os.write(given, left):]
        os.close(given)
    threads = [threading.Thread(target=work, daemon=True) for work in (read, write)]
    for thread in threads:
        thread.start()
    for at in range(0, len(data), 65536):
        service.send_message(DATA_STDOUT, data[at:at + 65536])
    equal(service.recv_data(DATA_STDIN, len(data)), data)
    for thread in threads:
        thread.join(HANG)
    equal(b"".join(got), data)
    check(fcntl.fcntl(their_out, fcntl.F_GETPIPE_SZ) > before, "wider meanwhile")
    service.expect(DATA_STDIN)
    equal(call.end(0), 0)
    equal([fcntl.fcntl(fd, fcntl.F_GETPIPE_SZ) for fd in (their_in, their_out)], [before, before])
    for fd in (out, their_out, their_in):
        os.close(fd)


# If this failed, a slow reader in one qube could be made to hold another qube's gigabytes.
@case("client-vm: a reader that waits holds the service back, and then gets everything")
def _(t):
    ours, theirs = os.pipe()
    call = Call(t, stdout=theirs)
    os.close(theirs)
    service = call.grant()
    service.sock.settimeout(0.5)
    sent, block = 0, pack_message(DATA_STDOUT, b"b" * 32768)
    left = b""
    try:
        while sent < 64 << 20:
            left = left or block
            done = service.sock.send(left)
            sent, left = sent + done, left[done:]
    except (TimeoutError, BlockingIOError):
        pass
    check(sent < 8 << 20, f"{sent} bytes were taken though nobody reads")
    service.sock.settimeout(HANG)
    import threading
    reader, got = None, []

    def read():
        while True:
            data = os.read(ours, 1 << 20)
            if not data:
                return
            got.append(len(data))
    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    service.send(left)
    total = (sent + len(left)) // len(block) * 32768
    equal(call.end(0, [(DATA_STDIN, b"")]), 0)
    reader.join(HANG)
    equal(sum(got), total)
    os.close(ours)


@case("client-vm: a peer that never reads its input does not stop the output")
def _(t):
    call = Call(t, stdin=open("/dev/zero", "rb"))
    service = call.grant()
    data = b"o" * 200000
    for at in range(0, len(data), 50000):
        service.send_message(DATA_STDOUT, data[at:at + 50000])
    call.client.wait_output(data)
    service.send_message(DATA_STDOUT)
    service.send_message(DATA_EXIT_CODE, pack_exit(5))
    # The client may still have to say that its input ended.
    import threading
    threading.Thread(target=service.recv_to_eof, daemon=True).start()
    equal(call.client.wait(), 5)


@case("client-vm: 256 KiB through a local cat that starts late")
def _(t):
    call = Call(t, *shell("sleep 0.3; exec cat"))
    service = call.grant()
    data = os.urandom(256 << 10)
    import threading

    def push():
        for at in range(0, len(data), 32768):
            service.send_message(DATA_STDOUT, data[at:at + 32768])
        service.send_message(DATA_STDOUT)
    threading.Thread(target=push, daemon=True).start()
    equal(service.recv_data(DATA_STDIN, len(data)), data)
    service.expect(DATA_STDIN)
    service.send_message(DATA_EXIT_CODE, pack_exit(0))
    equal(call.client.wait(), 0)


@case("client-vm: largest and too large service names")
def _(t):
    name = "s" * 255 + "+" + "a" * (NAME_MAX - 1 - 256)
    call = Call(t, service=name)
    equal(call.request[1][160:], name.encode() + b"\0")
    call.lease.close()
    equal(call.client.wait(), 126)
    client = t.start("qrexec-client-vm", "-a", t.path("none"), "t", name + "x")
    equal(client.wait(), 2)


@case("client-vm: command lines that are wrong")
def _(t):
    for args in ([], ["target"], ["--nonsense", "t", "s"], ["--buffer-size=0", "t", "s"],
                 ["--buffer-size=12k", "t", "s"], ["--buffer-size=", "t", "s"],
                 ["--buffer-size=1048577", "t", "s"], ["-p", "a", "-p", "b", "t", "s"],
                 ["-s", "n" * 64, "t", "s"], ["n" * 64, "s"], ["t", ""],
                 ["--use-stdin-socket", "t", "s"], ["--use-stdin-socket", "t", "s", "cat"],
                 ["-a", "/" * 5000, "t", "s"]):
        equal(t.start("qrexec-client-vm", *args).wait(), 2, repr(args))


@case("client-vm: options end at the first word; sizes in C syntax; help")
def _(t):
    call = Call(t, "/bin/sh", "-c", "exit $#", "-t", "--help", "-x",
                options=["--buffer-size=0x2000"])
    call.grant().expect(DATA_STDIN)
    equal(call.end(0), 2)
    client = t.start("qrexec-client-vm", "--help")
    equal(client.wait(), 0)
    check(b"Usage" in client.stdout, "usage on standard output")


@case("client-vm: killed in the middle, the peer sees the end")
def _(t):
    call = Call(t)
    service = call.grant()
    call.client.kill(signal.SIGTERM)
    equal(call.client.wait(), 128 + signal.SIGTERM)
    service.expect_eof()
    call.lease.expect_eof()


# If this failed, a tool started by a daemon that ignores SIGCHLD would take failure for success.
@case("client-vm: a local program under a parent that ignores SIGCHLD")
def _(t):
    call = Call(t, "/bin/false",
                preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))
    call.grant().expect(DATA_STDIN)
    equal(call.end(0), 1)


# If this failed, half a file on a full disk would look like a whole one.
@case("client-vm: output that cannot be written")
def _(t):
    for body in (b"lost", bytes(CHUNK)):
        with open("/dev/full", "wb") as full:
            call = Call(t, stdout=full)
        service = call.grant()
        service.send_message(DATA_STDOUT, body)
        equal(call.client.wait(), 1)


if __name__ == "__main__":
    main()
