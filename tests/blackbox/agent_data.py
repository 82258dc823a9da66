# SPDX-License-Identifier: GPL-2.0-or-later
"""qrexec-agent: the data phase of services, their settings, sockets and TCP.

If these failed, output would be lost or cut, a call would never end, or a hostile caller could take
the service's process down with it.
"""

from agent_peer import *

HEADER = b"qubes.SocketService+arg domX\0"


def started_socket(t, dom0, config="", name="qubes.SocketService+arg"):
    """(channel of the caller, the service's end) of a new call to a socket service"""
    server = socket_service(t, name)
    t.file("rpc-config/" + name, config)
    channel = dom0.rpc(name + " domX")
    return channel, server.accept()


# A client that has said all would wait for a service that never hangs up.
@case("qrexec-077 exit-on-client-eof ends the call at STDIN EOF")
def _(t):
    dom0 = Dom0(t)
    channel, peer = started_socket(t, dom0, "exit-on-client-eof = true\n")
    equal(peer.recv(len(HEADER)), HEADER)
    channel.send_message(DATA_STDIN, b"in")
    equal(peer.recv(2), b"in")
    peer.send(b"out")
    channel.expect(DATA_STDERR)
    channel.expect(DATA_STDOUT, b"out")
    channel.send_message(DATA_STDIN)
    equal(channel.recv_all_messages(), [(DATA_STDOUT, b""), (DATA_EXIT_CODE, pack_exit(0))])
    equal(peer.recv_to_eof(), b"")
    dom0.terminated(channel)


@case("qrexec-078 exit-on-service-eof ends the call when the service has said all")
def _(t):
    dom0 = Dom0(t)
    channel, peer = started_socket(t, dom0, "exit-on-service-eof = true\n")
    peer.send(b"out")
    peer.shutdown()
    dom0.ends(channel, 0, b"out")


@case("qrexec-079 skip-service-descriptor: nothing but stdin")
def _(t):
    dom0 = Dom0(t)
    channel, peer = started_socket(t, dom0, "skip-service-descriptor = true\n")
    channel.send_message(DATA_STDIN, b"stdin data")
    channel.send_message(DATA_STDIN)
    equal(peer.recv_to_eof(), b"stdin data")
    peer.close()
    dom0.ends(channel, 0)


def tcp_listener(t, family, host):
    sock = t.own(socket.socket(family, socket.SOCK_STREAM))
    try:
        sock.bind((host, 0))
    except OSError as error:
        raise Skip(f"no {host}: {error}") from error
    sock.listen(8)
    sock.settimeout(HANG)
    return sock, sock.getsockname()[1]


def tcp_call(t, dom0, sock, target, name, argument, header=True):
    os.symlink(target, t.path("rpc", name))
    if not header:
        t.file("rpc-config/" + name, "skip-service-descriptor = true\n")
    token = name + ("" if argument is None else "+" + argument)
    channel = dom0.rpc(token + " domX")
    peer = t.own(Channel(sock.accept()[0]))
    channel.send_message(DATA_STDIN, b"in")
    channel.send_message(DATA_STDIN)
    equal(peer.recv_to_eof(), (token.encode() + b" domX\0" if header else b"") + b"in", target)
    peer.send(b"out")
    peer.close()
    dom0.ends(channel, 0, b"out")


@case("qrexec-080 TCP services: host and port in the link or in the argument")
def _(t):
    dom0 = Dom0(t)
    sock, port = tcp_listener(t, socket.AF_INET, "127.0.0.1")
    tcp_call(t, dom0, sock, f"/dev/tcp/127.0.0.1/{port}", "qubes.A", None)
    tcp_call(t, dom0, sock, f"/dev/tcp/127.0.0.1/{port}", "qubes.B", "", header=False)
    tcp_call(t, dom0, sock, "/dev/tcp/127.0.0.1", "qubes.C", str(port))
    tcp_call(t, dom0, sock, "/dev/tcp", "qubes.D", f"127.0.0.1+{port}")


@case("qrexec-080 TCP services over IPv6")
def _(t):
    dom0 = Dom0(t)
    sock, port = tcp_listener(t, socket.AF_INET6, "::1")
    tcp_call(t, dom0, sock, f"/dev/tcp/::1/{port}", "qubes.A", None)
    tcp_call(t, dom0, sock, "/dev/tcp/::1", "qubes.B", str(port))
    tcp_call(t, dom0, sock, "/dev/tcp", "qubes.C", f"++1+{port}")


# A link that is not complete would let a caller choose where to connect.
@case("qrexec-081 wrong TCP links and arguments: STDOUT EOF, STDERR EOF, 125")
def _(t):
    dom0 = Dom0(t)
    sock, port = tcp_listener(t, socket.AF_INET, "127.0.0.1")
    rows = [("/dev/tcp", ""), ("/dev/tcp", "127.0.0.1"), ("/dev/tcp/127.0.0.1", ""),
            ("/dev/tcp/::1", ""), ("/dev/tcp/127.0.0.1", f"127.0.0.1+{port}"),
            ("/dev/tcp/::1", f"++1+{port}"), ("/dev/tcp/", str(port)), ("/dev/tcp/", ""),
            (f"/dev/tcp/127.0.0.1/{port}", "x"), (f"/dev/tcp/127.0.0.1/0{port}", ""),
            ("/dev/tcp/127.0.0.1/0", ""), ("/dev/tcp/127.0.0.1/65536", ""),
            (f"/dev/tcp/localhost/{port}", ""), ("/dev/tcp", f"localhost+{port}"),
            ("/dev/tcp", f"127.0.0.1_+{port}"), (f"/dev/tcp/127.0.0.1/{port}/", "")]
    for i, (target, argument) in enumerate(rows):
        os.symlink(target, t.path(f"rpc/qubes.S{i}"))
        channel = dom0.rpc(f"qubes.S{i}+{argument} domX")
        equal(channel.recv_all_messages(), all_ends(DATA_STDOUT, DATA_STDERR) +
              [(DATA_EXIT_CODE, pack_exit(125))], f"{target} + {argument}")
        dom0.terminated(channel)
    sock.settimeout(0)
    try:
        sock.accept()
        raise Failure("a connection was made")
    except BlockingIOError:
        pass


@case("qrexec-082 stdout closed early: its EOF at once, stderr goes on, then the code")
def _(t):
    dom0 = Dom0(t)
    channel = dom0.call(f"{dom0.user}:exec >&-; read go; echo late >&2; exit 42")
    channel.expect(DATA_STDOUT)
    channel.send_message(DATA_STDIN, b"go\n")
    channel.expect(DATA_STDERR, b"late\n")
    channel.expect(DATA_STDERR)
    channel.expect(DATA_EXIT_CODE, pack_exit(42))
    channel.expect_eof()
    dom0.terminated(channel)


@case("qrexec-083 stdout and stderr are kept apart")
def _(t):
    dom0 = Dom0(t)
    channel = dom0.call(f"{dom0.user}:echo out; echo err >&2")
    dom0.ends(channel, 0, b"out\n", b"err\n")


@case("qrexec-083 cat, message by message")
def _(t):
    dom0 = Dom0(t)
    channel = dom0.call(f"{dom0.user}:cat")
    for i in range(50):
        channel.send_message(DATA_STDIN, b"message %d" % i)
        channel.expect(DATA_STDOUT, b"message %d" % i)
    channel.send_message(DATA_STDIN)
    dom0.ends(channel, 0)


@case("qrexec-083 a service that closes stdin early hears no more and is not hurt")
def _(t):
    dom0 = Dom0(t)
    channel = dom0.call(f"{dom0.user}:exec <&-; echo closed; while ! [ -e {t.path('go')} ]; do :; done; exit 3")
    channel.expect(DATA_STDOUT, b"closed\n")
    for _ in range(20):
        channel.send_message(DATA_STDIN, b"x" * 1000)
    t.file("go")
    dom0.ends(channel, 3)


@case("qrexec-083 256 KiB of stdin for a process that does not read yet")
def _(t):
    dom0 = Dom0(t)
    channel = dom0.call(f"{dom0.user}:while ! [ -e {t.path('go')} ]; do sleep 0.01; done; cat")
    data = os.urandom(256 * 1024)
    def feed():
        for i in range(0, len(data), 32768):
            channel.send_message(DATA_STDIN, data[i:i + 32768])
        channel.send_message(DATA_STDIN)
    feeder = threading.Thread(target=feed)
    feeder.start()
    t.file("go")
    dom0.ends(channel, 0, data)
    feeder.join()


# Programs that use one socket for both directions, as the original's do.
@case("qrexec-084 SIGUSR1: what is written to fd 0 arrives as STDOUT")
def _(t):
    dom0 = Dom0(t)
    channel = dom0.call(f"{dom0.user}:echo before; read go; kill -USR1 $QREXEC_AGENT_PID; echo after >&0")
    channel.expect(DATA_STDOUT, b"before\n")
    channel.send_message(DATA_STDIN, b"go\n")
    dom0.ends(channel, 0, b"after\n")
    channel = dom0.call(f"{dom0.user}:cat; kill -USR1 $QREXEC_AGENT_PID; echo after >&0")
    channel.send_message(DATA_STDIN)
    dom0.ends(channel, 0, b"after\n")


@case("qrexec-085 a process that ends while a child keeps stdout")
def _(t):
    dom0 = Dom0(t)
    fifo = t.path("fifo")
    os.mkfifo(fifo)
    os.chmod(fifo, 0o666)
    channel = dom0.call(f"{dom0.user}:(cat <&3; read go < {fifo}; echo late) 3<&0 & exit 42")
    # The child's cat ends although the caller never said EOF: stdin was closed at the exit.
    with open(fifo, "wb") as file:
        file.write(b"go\n")
    dom0.ends(channel, 42, b"late\n")


# A caller that lies about lengths must not read or write past anything.
@case("qrexec-086 65536 bytes are taken, 65537 end the call, and TERMINATED is sent")
def _(t):
    dom0 = Dom0(t)
    channel = dom0.call(f"{dom0.user}:cat")
    data = os.urandom(65536)
    channel.send_message(DATA_STDIN, data)
    equal(channel.recv_data(DATA_STDOUT, len(data)), data)
    channel.send(pack_header(DATA_STDIN, 65537))
    channel.recv_to_eof()
    dom0.terminated(channel)


@case("qrexec-086 a peer of version 2: 4096 bytes at most, both ways")
def _(t):
    dom0 = Dom0(t)
    channel = dom0.call(f"{dom0.user}:head -c 300000 /dev/zero", version=2)
    messages = dom0.ends(channel, 0, bytes(300000))
    check(max(len(body) for _, body in messages) <= 4096, "a chunk above 4096")
    channel = dom0.call(f"{dom0.user}:cat", version=2)
    channel.send_message(DATA_STDIN, b"x" * 4096)
    equal(channel.recv_data(DATA_STDOUT, 4096), b"x" * 4096)
    channel.send(pack_header(DATA_STDIN, 4097))
    channel.recv_to_eof()
    dom0.terminated(channel)


@case("qrexec-086 a HELLO that is none, or too old, ends the call")
def _(t):
    dom0 = Dom0(t)
    for kind, body in ((HELLO, pack_hello(1)), (HELLO, pack_hello(0)), (0x301, pack_hello()),
                       (HELLO, b"12345678")):
        channel = dom0.call(f"{dom0.user}:cat", hello=False)
        equal(channel.recv_hello(), 4)
        channel.send_message(kind, body)
        channel.recv_to_eof()
        dom0.terminated(channel)


@case("qrexec-087 STDERR and EXIT_CODE from the caller are ignored, an unknown type is not")
def _(t):
    dom0 = Dom0(t)
    channel = dom0.call(f"{dom0.user}:cat")
    channel.send_message(DATA_STDERR, b"junk")
    channel.send_message(DATA_EXIT_CODE, pack_exit(9))
    channel.send_message(DATA_STDOUT, b"wrong type, still input")
    channel.expect(DATA_STDOUT, b"wrong type, still input")
    channel.send_message(DATA_STDIN)
    dom0.ends(channel, 0)
    channel = dom0.call(f"{dom0.user}:cat")
    channel.send_message(0x194, b"junk")
    channel.recv_to_eof()
    dom0.terminated(channel)


@case("qrexec-092 a service ended by a signal: 128 + its number")
def _(t):
    dom0 = Dom0(t)
    dom0.ends(dom0.call(f"{dom0.user}:kill -9 $$"), 137)
    dom0.ends(dom0.call(f"{dom0.user}:kill -TERM $$"), 143)


# A slow reader must not make the agent hold what it did not take.
@case("agent-20 a service that writes without end to a caller that does not read is held back")
def _(t):
    dom0 = Dom0(t)
    channel = dom0.call(f"{dom0.user}:echo $QREXEC_AGENT_PID; exec cat /dev/zero")
    pid = int(channel.recv_message()[1].split(b"\n")[0])
    dom0.ends(dom0.call(f"{dom0.user}:echo other"), 0, b"other\n")
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        rss = int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1))
    check(rss < 65536, f"{rss} KiB")
    channel.close()
    dom0.terminated(channel)


@case("agent-21 8 MiB through a program and back, and through a socket service")
def _(t):
    dom0 = Dom0(t)
    data = os.urandom(1 << 20) * 8
    server = socket_service(t, "qubes.Echo")
    t.file("rpc-config/qubes.Echo", "skip-service-descriptor = true\n")
    def echo():
        peer = t.own(server.accept())
        while True:
            part = peer.sock.recv(1 << 18)
            if not part:
                break
            peer.send(part)
        peer.close()
    for channel, helper in ((dom0.call(f"{dom0.user}:cat"), None),
                            (dom0.rpc("qubes.Echo domX"), threading.Thread(target=echo))):
        def feed():
            for i in range(0, len(data), 65536):
                channel.send_message(DATA_STDIN, data[i:i + 65536])
            channel.send_message(DATA_STDIN)
        feeder = threading.Thread(target=feed)
        for thread in filter(None, (helper, feeder)):
            thread.start()
        out, err, code = collect(channel.recv_all_messages())
        check(out == data, "the data changed")
        equal((err, code), (b"", 0))
        feeder.join()
        dom0.terminated(channel)


if __name__ == "__main__":
    main()
