# SPDX-License-Identifier: GPL-2.0-or-later
"""qrexec-client against raw daemons and a raw service's end: cases 38 to 61, and hostile peers."""

import os
import signal
import socket
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import *  # noqa: E402,F403

TARGET, SOURCE, PORT = 42, 43, 513
UUID = "uuid:0c2a3a1e-4cf1-4c4a-8b2d-1d0f0a4a5a5b"
NIL = "uuid:00000000-0000-0000-0000-000000000000"


def daemon(t, name):
    return t.listen(t.path(f"qrexec.{name}"))


def greet(server):
    """Accept, HELLO 3 both ways."""
    link = server.accept()
    link.send_message(HELLO, pack_hello(VERSION_LOCAL))
    equal(link.recv_hello(), VERSION_LOCAL)
    return link


def start(t, *args, **more):
    return t.start("qrexec-client", f"--socket-dir={t.dir}", *args, **more)


class Call:
    """A started client, its daemon with the command read, and the service's end once granted."""

    def __init__(self, t, *options, name="target_domain", command="user:command", kind=EXEC_CMDLINE,
                 **more):
        self.t = t
        server = daemon(t, name)
        self.client = start(t, "-d", name, *options, command, **more)
        self.link = greet(server)
        self.link.expect(kind, pack_exec(0, 0, command))
        self.kind = kind
        self.service = None

    def grant(self, version=VERSION):
        self.link.send_message(self.kind, pack_exec(TARGET, PORT))
        self.service = self.t.vchan_client(0, TARGET, PORT)
        equal(self.service.recv_hello(), VERSION)
        self.service.send_message(HELLO, pack_hello(version))
        return self.service

    def end(self, code=0, rest=()):
        self.service.send_message(DATA_STDOUT)
        self.service.send_message(DATA_EXIT_CODE, pack_exit(code))
        status = self.client.wait()
        equal(self.service.recv_all_messages(), list(rest), "messages before the end")
        return status


EOF_ONLY = [(DATA_STDIN, b"")]


# If this failed, no tool of dom0 could run anything in a qube.
@case("qrexec-038 prefix data arrives at once, output and exit status come back")
def _(t):
    call = Call(t, "-p", "prefix data\n")
    service = call.grant()
    service.expect(DATA_STDIN, b"prefix data\n")
    service.send_message(DATA_STDOUT, b"stdout data\n")
    service.send_message(DATA_STDOUT)
    call.client.wait_output(b"stdout data\n")
    service.send_message(DATA_EXIT_CODE, pack_exit(42))
    equal(call.client.wait(), 42)
    equal(call.client.stdout, b"stdout data\n")
    equal(call.client.stderr, b"")


# If this failed, the last output of a command would be lost when the machine is busy.
@case("qrexec-039 everything came while the client stood still and 36 KiB wait on its input")
def _(t):
    ours, theirs = socket.socketpair()
    call = Call(t, stdin=theirs)
    service = call.grant()
    call.client.pause()
    ours.setblocking(False)
    ours.sendall(b"i" * 36864)
    service.send_message(DATA_STDOUT, b"stdout data\n")
    service.send_message(DATA_STDOUT)
    service.send_message(DATA_EXIT_CODE, pack_exit(42))
    service.close()
    call.client.resume()
    equal(call.client.wait(), 42)
    equal(call.client.stdout, b"stdout data\n")


LOOP = 'while read x; do echo input: "$x"; done; exit 44'


# If this failed, file copies between dom0 and a qube would stall.
@case("qrexec-040 -l: a local program is joined to the command")
def _(t):
    call = Call(t, "-l", LOOP, "-p", "prefix data\n", name=UUID)
    service = call.grant()
    service.expect(DATA_STDIN, b"prefix data\n")
    service.send_message(DATA_STDOUT, b"stdout data\n")
    equal(service.recv_data(DATA_STDIN, 19), b"input: stdout data\n")
    service.send_message(DATA_STDOUT)
    service.expect(DATA_STDIN)
    service.send_message(DATA_EXIT_CODE, pack_exit(42))
    equal(call.client.wait(), 42)
    equal(call.client.stdout, b"")


@case("qrexec-040 -l: QREXEC_REMOTE_DOMAIN is what -d names; a service of dom0 runs with its own")
def _(t):
    call = Call(t, "-l", "echo $QREXEC_REMOTE_DOMAIN; printf x >&2")
    call.grant()
    equal(call.service.recv_data(DATA_STDIN, 14), b"target_domain\n")
    call.service.expect(DATA_STDIN)
    equal(call.end(0), 0)
    equal(call.client.stderr, b"x")
    t.script("rpc/qubes.Local", 'echo "$1 $QREXEC_REMOTE_DOMAIN"; cat')
    call = Call(t, "-l", "QUBESRPC qubes.Local+arg src name dom0",
                env={"QREXEC_SERVICE_PATH": t.path("rpc")})
    call.grant()
    equal(call.service.recv_data(DATA_STDIN, 8), b"arg src\n")
    call.service.send_message(DATA_STDOUT)
    call.service.expect(DATA_STDIN)
    call.service.send_message(DATA_EXIT_CODE, pack_exit(0))
    equal(call.client.wait(), 0)


@case("qrexec-040 -l: a socket service of dom0 gets its header and both directions")
def _(t):
    server = t.listen(t.path("rpc-socket"))
    os.makedirs(t.path("rpc"))
    os.symlink(server.path, t.path("rpc/qubes.Local"))
    call = Call(t, "-l", "QUBESRPC qubes.Local+arg src name dom0",
                env={"QREXEC_SERVICE_PATH": t.path("rpc")})
    service = call.grant()
    local = server.accept()
    header = b"qubes.Local+arg src name dom0\0"
    equal(local.recv(len(header)), header)
    service.send_message(DATA_STDOUT, b"down")
    equal(local.recv(4), b"down")
    local.send(b"up")
    equal(service.recv_data(DATA_STDIN, 2), b"up")
    local.shutdown()
    service.expect(DATA_STDIN)
    service.send_message(DATA_STDOUT)
    equal(local.recv_to_eof(), b"")
    service.send_message(DATA_EXIT_CODE, pack_exit(0))
    equal(call.client.wait(), 0)


@case("qrexec-040 -l: a service that is not there is 127, before anything is asked of the qube")
def _(t):
    server = daemon(t, "target_domain")
    client = start(t, "-d", "target_domain", "-l", "QUBESRPC absent src name dom0", "user:command",
                   env={"QREXEC_SERVICE_PATH": t.path("rpc")})
    equal(client.wait(), 127)
    server.never_called()


def connect_case(t, *options):
    target, source = daemon(t, "target_domain"), daemon(t, SOURCE)
    client = start(t, "-d", "target_domain", "-c", f"SOCKET11,src_domain,{SOURCE}", *options,
                   "user:command")
    link = greet(target)
    link.expect(EXEC_CMDLINE, pack_exec(SOURCE, 0, "user:command"))
    link.send_message(EXEC_CMDLINE, pack_exec(TARGET, PORT))
    back = greet(source)
    back.expect(SERVICE_CONNECT, pack_exec(TARGET, PORT) + field("SOCKET11", 32))
    return client, link, back


# If this failed, a policy program could not connect two qubes.
@case("qrexec-041 -c joins a request to a command in another qube")
def _(t):
    client, _, _ = connect_case(t)
    equal(client.wait(), 0)
    equal((client.stdout, client.stderr), (b"", b""))


@case("qrexec-041 -c -W waits for the end of the target's connection")
def _(t):
    client, link, _ = connect_case(t, "-W")
    link.quiet()
    check(client.running(), "ended before the call")
    link.close()
    equal(client.wait(), 0)


class Service:
    """-c -d dom0: a service of dom0 for a waiting request."""

    def __init__(self, t, command, *options, hello=True, **more):
        self.source = daemon(t, SOURCE)
        listener = t.vchan_server(SOURCE, 0, 42)
        self.client = start(t, "-d", "dom0", "-c", f"SOCKET11,src_domain,{SOURCE}", *options,
                            command, **more)
        self.link = greet(self.source)
        self.link.expect(SERVICE_CONNECT, pack_exec(0, 0) + field("SOCKET11", 32))
        self.link.send_message(SERVICE_CONNECT, pack_exec(SOURCE, 42))
        self.caller = listener.accept()
        if hello:
            equal(self.caller.hello_first(), VERSION)

    def rest(self):
        return self.caller.recv_all_messages()


def ended(*data, code=0):
    """The messages of a service in dom0 that wrote these bytes, joined."""
    return [(DATA_STDERR, b"")] + [(DATA_STDOUT, part) for part in data] + \
        [(DATA_STDOUT, b""), (DATA_EXIT_CODE, pack_exit(code))]


def joined(messages):
    """Neighbouring data messages of one type as one: how a stream is cut is nobody's promise."""
    out = []
    for kind, body in messages:
        if out and body and out[-1][0] == kind and out[-1][1] and kind != DATA_EXIT_CODE:
            out[-1] = (kind, out[-1][1] + body)
        else:
            out.append((kind, body))
    return out


# If this failed, no qube could call a service of dom0 through a policy program.
@case("qrexec-042 -c -d dom0 runs a command for the caller")
def _(t):
    service = Service(t, "echo Hello world")
    equal(service.caller.recv_message(), (DATA_STDERR, b""))
    equal(joined(service.rest()), ended(b"Hello world\n")[1:])
    equal(service.client.wait(), 0)


# If this failed, a service with a typing error in its configuration would run with the defaults.
@case("qrexec-043 bad configuration is 125")
def _(t):
    t.script("rpc/qubes.Service", "echo must not run")
    os.makedirs(t.path("config"))
    for text in ("wait-for-session = 00", "wait-for-session = 01", "wait-for-session = ",
                 'wait-for-session = "a"', "wait-for-session", None):
        path = t.path("config/qubes.Service+arg")
        if os.path.lexists(path):
            os.unlink(path)
        if text is None:
            os.symlink("/dev/null/doesnotexist", path)
        else:
            t.file("config/qubes.Service+arg", text + "\n")
        service = Service(t, "QUBESRPC qubes.Service+arg src_domain name src_domain",
                          env=paths(t))
        equal(service.rest(), ended(code=125), repr(text))
        equal(service.client.wait(), 125, repr(text))


def paths(t, **more):
    return {"QREXEC_SERVICE_PATH": t.path("rpc"), "QUBES_RPC_CONFIG_PATH": t.path("config"), **more}


SHOW = '''echo "arg: $1, remote domain: $QREXEC_REMOTE_DOMAIN, input: $(cat)"
echo "$QREXEC_REQUESTED_TARGET_TYPE|${QREXEC_REQUESTED_TARGET-unset}|${QREXEC_REQUESTED_TARGET_KEYWORD-unset}"
echo "$QREXEC_SERVICE_PATH"
'''


# If this failed, a service would not know who calls it, or for whom.
@case("qrexec-044 a service gets its argument, its caller and the target that was asked for")
def _(t):
    t.script("rpc/qubes.Service", SHOW)
    for command, target in (
            ("QUBESRPC qubes.Service+arg src_domain name src_domain", "name|src_domain|unset"),
            ("nogui:QUBESRPC qubes.Service+arg src_domain name src_domain",
             "name|src_domain|unset"),
            ("QUBESRPC qubes.Service+arg src_domain keyword adminvm", "keyword|unset|adminvm")):
        service = Service(t, command, env=paths(t))
        service.caller.send_message(DATA_STDIN, b"stdin data")
        service.caller.send_message(DATA_STDIN)
        wanted = (f"arg: arg, remote domain: src_domain, input: stdin data\n{target}\n"
                  f"{t.path('rpc')}\n").encode()
        equal(joined(service.rest()), ended(wanted), command)
        equal(service.client.wait(), 0)


# If this failed, dom0's own tools could not call dom0's services.
@case("qrexec-045 dom0 to dom0: the service takes over the standard descriptors")
def _(t):
    t.script("rpc/qubes.Service", SHOW)
    for name in ("@adminvm", "dom0", NIL):
        for kind, target in (("name dom0", "name|dom0|unset"),
                             ("keyword adminvm", "keyword|unset|adminvm")):
            client = start(t, "-d", name,
                           f"DEFAULT:QUBESRPC qubes.Service+arg src_domain {kind}", env=paths(t))
            client.write(b"stdin data")
            client.close_stdin()
            equal(client.wait(), 0)
            equal(client.stdout, (f"arg: arg, remote domain: src_domain, input: stdin data\n"
                                  f"{target}\n{t.path('rpc')}\n").encode())
            equal(client.stderr, b"")


@case("qrexec-045 dom0 to dom0: exit status, prefix data, and what is refused")
def _(t):
    t.script("rpc/qubes.Exit", "cat; exit 7")
    call = "DEFAULT:QUBESRPC qubes.Exit dom0 name dom0"
    client = start(t, "-d", "dom0", "-p", "before ", call, env=paths(t))
    client.write(b"input")
    client.close_stdin()
    equal(client.wait(), 7)
    equal(client.stdout, b"before input")
    server = t.listen(t.path("rpc/qubes.Socket"))
    os.symlink("/dev/tcp/127.0.0.1/1", t.path("rpc/qubes.Tcp"))
    for args in (["DEFAULT:echo shell"], ["-l", "cat", call],
                 ["DEFAULT:QUBESRPC qubes.Socket dom0 name dom0"],
                 ["DEFAULT:QUBESRPC qubes.Tcp dom0 name dom0"],
                 ["user:QUBESRPC qubes.Exit dom0 name dom0"],
                 ["QUBESRPC qubes.Exit dom0 name dom0"]):
        client = start(t, "-d", "dom0", *args, env=paths(t))
        equal(client.wait(), 125, repr(args))
        equal(client.stdout, b"")
    server.never_called()


@case("qrexec-046 wrong number of words is 125, an absent service 127")
def _(t):
    t.script("rpc/qubes.Service", "echo must not run")
    for words, code in (("qubes.Service+arg src_domain name", 125),
                        ("qubes.Service+arg src_domain name src_domain more", 125),
                        ("qubes.Absent+arg src_domain name src_domain", 127)):
        service = Service(t, f"QUBESRPC {words}", env=paths(t))
        equal(service.rest(), ended(code=code), words)
        equal(service.client.wait(), code, words)
        client = start(t, "-d", "dom0", f"DEFAULT:QUBESRPC {words}", env=paths(t))
        equal(client.wait(), code, words)


# If this failed, tools of dom0 that administer policy would not reach its services in dom0.
@case("qrexec-046 dom0 for dom0: a call that names no target is one to dom0")
def _(t):
    t.script("rpc/qubes.Service", 'echo "$1 $QREXEC_REMOTE_DOMAIN $QREXEC_REQUESTED_TARGET_TYPE '
                                  '$QREXEC_REQUESTED_TARGET"\n')
    client = start(t, "-d", "dom0", "DEFAULT:QUBESRPC qubes.Service+arg dom0", env=paths(t))
    equal((client.wait(), client.stdout), (0, b"arg dom0 name dom0\n"))


# If this failed, a service that needs the user's session would start before it exists.
@case("qrexec-047 wait-for-session runs qubes.WaitForSession first")
def _(t):
    t.script("rpc/qubes.WaitForSession",
             f'echo "wait $QREXEC_REMOTE_DOMAIN" >>{t.path("log")}; sleep 0.2')
    t.script("rpc/qubes.Service", f'echo service >>{t.path("log")}')
    t.file("config/qubes.Service+arg", "wait-for-session = 1\n")
    service = Service(t, "QUBESRPC qubes.Service+arg src_domain name src_domain", env=paths(t))
    equal(joined(service.rest()), ended())
    equal(service.client.wait(), 0)
    equal(t.read("log"), b"wait src_domain\nservice\n")


HEADER = b"qubes.SocketService+arg src_domain name src_domain\0"


def socket_service(t, *options, config=""):
    """(server's connection, Service)"""
    server = t.listen(t.path("service.sock"))
    os.makedirs(t.path("rpc"), exist_ok=True)
    link = t.path("rpc/qubes.SocketService")
    if not os.path.lexists(link):
        os.symlink(server.path, link)
    t.file("config/qubes.SocketService", config)
    service = Service(t, "QUBESRPC qubes.SocketService+arg src_domain name src_domain", *options,
                      env=paths(t))
    return server.accept(), service


# If this failed, services that listen on a socket (the policy's own among them) would not be told
# who calls.
@case("qrexec-048 socket service: header, input, output")
def _(t):
    local, service = socket_service(t)
    service.caller.send_message(DATA_STDIN, b"stdin data")
    service.caller.send_message(DATA_STDIN)
    equal(local.recv_to_eof(), HEADER + b"stdin data")
    local.send(b"stdout data")
    local.close()
    equal(joined(service.rest()), ended(b"stdout data"))
    equal(service.client.wait(), 0)


@case("qrexec-048 socket service without the header")
def _(t):
    local, service = socket_service(t, config="skip-service-descriptor = true\n")
    service.caller.send_message(DATA_STDIN, b"stdin data")
    service.caller.send_message(DATA_STDIN)
    equal(local.recv_to_eof(), b"stdin data")
    local.close()
    equal(joined(service.rest()), ended())
    equal(service.client.wait(), 0)


@case("qrexec-049 socket service that never reads")
def _(t):
    local, service = socket_service(t)
    service.caller.send_message(DATA_STDIN, b"never read")
    local.send(b"stdout data")
    local.close()
    equal(joined(service.rest()), ended(b"stdout data"))
    equal(service.client.wait(), 0)


@case("qrexec-049 socket service that closes at once after writing")
def _(t):
    local, service = socket_service(t)
    local.send(b"stdout data")
    local.close()
    equal(joined(service.rest()), ended(b"stdout data"))
    equal(service.client.wait(), 0)


@case("qrexec-050 socket service: shutdown of reading, then writes, then shutdown of writing")
def _(t):
    local, service = socket_service(t, "-w0")
    equal(local.recv(len(HEADER)), HEADER)
    local.shutdown(socket.SHUT_RD)
    local.send(b"stdout data")
    local.shutdown(socket.SHUT_WR)
    local.close()
    equal(joined(service.rest()), ended(b"stdout data"))
    equal(service.client.wait(), 0)


@case("qrexec-050 socket service: shutdown of writing first")
def _(t):
    local, service = socket_service(t)
    equal(local.recv(len(HEADER)), HEADER)
    local.shutdown(socket.SHUT_WR)
    equal(service.caller.recv_message(), (DATA_STDERR, b""))
    equal(service.caller.recv_message(), (DATA_STDOUT, b""))
    service.caller.send_message(DATA_STDIN, b"stdin data")
    equal(local.recv(10), b"stdin data")
    local.shutdown(socket.SHUT_RD)
    try:
        service.caller.send_message(DATA_STDIN, b"nobody reads")
    except BrokenPipeError:  # the service is over, and the client may know already
        pass
    equal(service.rest(), [(DATA_EXIT_CODE, pack_exit(0))])
    equal(service.client.wait(), 0)


@case("qrexec-051 a service that closed its input takes late input without failure")
def _(t):
    t.script("rpc/qubes.Service", "exec <&-; echo closed; sleep 0.3; exec >&-; exit 0")
    service = Service(t, "QUBESRPC qubes.Service+arg src_domain name src_domain", env=paths(t))
    equal(service.caller.recv_message(), (DATA_STDERR, b""))
    equal(service.caller.recv_data(DATA_STDOUT, 7), b"closed\n")
    service.caller.send_message(DATA_STDIN, b"late data")
    service.caller.send_message(DATA_STDIN, b"later data")
    equal(service.rest(), [(DATA_STDOUT, b""), (DATA_EXIT_CODE, pack_exit(0))])
    equal(service.client.wait(), 0)


@case("qrexec-052 256 KiB of input to a process that does not read yet")
def _(t):
    t.script("rpc/qubes.Service", f"while [ ! -e {t.path('go')} ]; do sleep 0.02; done; exec cat")
    service = Service(t, "QUBESRPC qubes.Service+arg src_domain name src_domain", env=paths(t))
    data = os.urandom(256 << 10)

    def push():
        for at in range(0, len(data), 32768):
            service.caller.send_message(DATA_STDIN, data[at:at + 32768])
        service.caller.send_message(DATA_STDIN)
    thread = threading.Thread(target=push, daemon=True)
    thread.start()
    thread.join(0.2)
    t.file("go")
    equal(service.caller.recv_message(), (DATA_STDERR, b""))
    equal(service.caller.recv_data(DATA_STDOUT, len(data)), data)
    equal(service.rest(), [(DATA_STDOUT, b""), (DATA_EXIT_CODE, pack_exit(0))])
    equal(service.client.wait(), 0)


@case("qrexec-053 exit codes are cut to eight bits")
def _(t):
    for code, wanted in ((256, 0), (300, 44), (255, 255), (0, 0), (1, 1)):
        call = Call(t)
        call.grant()
        equal(call.end(code, EOF_ONLY), wanted, str(code))


@case("qrexec-054 the channel closed without an exit code is 255")
def _(t):
    call = Call(t)
    service = call.grant()
    service.send_message(DATA_STDOUT, b"half")
    service.close()
    equal(call.client.wait(), 255)
    equal(call.client.stdout, b"half")


# If this failed, a qube could drive the terminal of dom0.
@case("qrexec-055 -t -T replace what could drive a terminal")
def _(t):
    call = Call(t, "-t", "-T")
    service = call.grant()
    service.send_message(DATA_STDOUT, b"a\x1bb\xc3\xa9\n\t")
    service.send_message(DATA_STDERR, b"c\x1bd\xc3\xa9\n\t")
    equal(call.end(0, EOF_ONLY), 0)
    equal(call.client.stdout, b"a_b__\n\t")
    equal(call.client.stderr, b"c_d__\n\t")


@case("qrexec-055 towards a terminal it is always done, into a pipe never by itself")
def _(t):
    ours, theirs = os.openpty()
    call = Call(t, stdout=theirs)
    service = call.grant()
    service.send_message(DATA_STDOUT, b"a\x1bb")
    service.send_message(DATA_STDERR, b"a\x1bb")
    equal(call.end(0, EOF_ONLY), 0)
    equal(os.read(ours, 100), b"a_b")
    equal(call.client.stderr, b"a\x1bb")
    os.close(ours)
    os.close(theirs)


@case("qrexec-056 -E: status 0 whatever the command returned")
def _(t):
    call = Call(t, "-E")
    call.grant()
    equal(call.end(9, EOF_ONLY), 0)


@case("qrexec-057 -e: only the status of the start")
def _(t):
    for code in (127, 0, 125):
        call = Call(t, "-e", kind=JUST_EXEC)
        service = call.grant()
        call.client.write(b"goes nowhere")
        service.send_message(DATA_EXIT_CODE, pack_exit(code))
        service.close()
        equal(call.client.wait(), code)
        equal(call.client.stdout, b"")


@case("qrexec-058 -w: nobody comes to the channel: 125")
def _(t):
    call = Call(t, "-w", "1")
    call.link.send_message(EXEC_CMDLINE, pack_exec(TARGET, PORT))
    equal(call.client.wait(), 125)


@case("qrexec-059 the local program's status")
def _(t):
    for script, remote, wanted in (("exit 5", 0, 5), ("exit 5", 3, 3), ("kill -9 $$", 0, 137)):
        call = Call(t, "-l", script)
        call.grant().expect(DATA_STDIN)
        equal(call.end(remote), wanted, f"{script}, remote {remote}")


@case("qrexec-060 exit statuses of wrong usage")
def _(t):
    usage = 1
    for status, args in (
            (usage, []), (usage, ["-d", "vm"]), (usage, ["user:cmd"]),
            (usage, ["-d", "vm", "user:cmd", "more"]),
            (usage, ["-d", "vm", "-w", "x", "user:cmd"]),
            (usage, ["-d", "vm", "-w", "-1", "user:cmd"]),
            (usage, ["-d", "vm", "-w", "08", "user:cmd"]),
            (usage, ["-d", "vm", "-c", "ident", "user:cmd"]),
            (usage, ["-d", "vm", "-c", "ident,name", "user:cmd"]),
            (usage, ["-d", "vm", "-c", "ident,name,", "user:cmd"]),
            (usage, ["-d", "vm", "-c", "ident,name,x", "user:cmd"]),
            (usage, ["-d", "vm", "-c", "ident,name,0", "user:cmd"]),
            (usage, ["-d", "vm", "-c", "i" * 32 + ",name,1", "user:cmd"]),
            (usage, ["-d", "vm", "-c", "ident,name,1", "-l", "cat", "user:cmd"]),
            (usage, ["-d", "vm", "-c", "ident,name,1", "-k", "user:cmd"]),
            (usage, ["-d", "vm", "-e", "-l", "cat", "user:cmd"]),
            (0, ["-d", "vm", "-x", "user:cmd"]), (0, ["--nonsense"]), (0, ["-h"]),
            (2, ["-d", "vm", "-p", "a", "-p", "b", "user:cmd"]),
            (2, ["-d", "vm", "--use-stdin-socket", "user:cmd"]),
            (2, ["-d", "vm", "--use-stdin-socket", "-l", "cat", "user:cmd"]),
            (125, ["-d", "nobody", "user:cmd"]), (125, ["-d", "../x", "user:cmd"]),
            (125, ["-d", "", "user:cmd"]), (137, ["-d", "nobody", "-c", "i,n,1", "user:cmd"]),
            (137, ["-d", "dom0", "-c", "i,n,1", "cmd"])):
        equal(start(t, *args).wait(), status, repr(args))


@case("qrexec-061 the wrong direction's type is written to standard output all the same")
def _(t):
    call = Call(t)
    service = call.grant()
    service.send_message(DATA_STDIN, b"odd")
    equal(call.end(0, EOF_ONLY), 0)
    equal(call.client.stdout, b"odd")


# If this failed, an updates proxy in dom0 that hands over its connection would not work.
@case("client: --use-stdin-socket carries both directions")
def _(t):
    ours, theirs = t.socketpair()
    call = Call(t, "--use-stdin-socket", stdin=theirs)
    theirs.close()
    service = call.grant()
    ours.send(b"up")
    equal(service.recv_data(DATA_STDIN, 2), b"up")
    service.send_message(DATA_STDOUT, b"down")
    equal(ours.recv(4), b"down")
    ours.shutdown()
    service.expect(DATA_STDIN)
    service.send_message(DATA_STDOUT)
    equal(ours.recv_to_eof(), b"")
    service.send_message(DATA_EXIT_CODE, pack_exit(3))
    equal(call.client.wait(), 3)


# If this failed, a qube made for one command would go on after it.
@case("client: -k asks qubesd to kill the qube, whatever the call came to")
def _(t):
    asked = []

    def qubesd(channel):
        asked.append(channel.recv_to_eof())
        channel.send(b"0\0")
    t.respond(os.path.join(t.root, "run/qubesd.sock"), qubesd)
    call = Call(t, "-k")
    call.grant()
    equal(call.end(4, EOF_ONLY), 4)
    equal(asked, [b"admin.vm.Kill+ dom0 name target_domain\0"])
    equal(start(t, "-k", "-d", "nobody", "user:cmd").wait(), 125)
    equal(asked[1:], [b"admin.vm.Kill+ dom0 name nobody\0"])


@case("client: the default folder of sockets is below SKERRY_ROOT")
def _(t):
    server = t.listen(os.path.join(t.root, "var/run/qubes/qrexec.vm"))
    client = t.start("qrexec-client", "-d", "vm", "user:cmd")
    greet(server).close()
    equal(client.wait(), 125)


@case("client: a command of 65526 bytes is sent, one more is refused here")
def _(t):
    command = "u:" + "c" * 65524
    call = Call(t, command=command)
    call.grant()
    equal(call.end(0, EOF_ONLY), 0)
    equal(start(t, "-d", "target_domain", command + "c").wait(), 125)


# Bad input from the daemon's socket.

@case("client: the daemon's HELLO is wrong, cut off, or there is none")
def _(t):
    for message in (pack_message(0x301, pack_hello(3)), pack_message(HELLO, pack_hello(2)),
                    pack_message(HELLO, pack_hello(0)), pack_message(HELLO, b"\3\0\0\0\0"),
                    pack_header(HELLO, 0xffffffff) + b"abcd", b"", b"\0", pack_header(HELLO, 4),
                    pack_message(HELLO, pack_hello(3))[:11]):
        server = daemon(t, "vm")
        client = start(t, "-d", "vm", "user:cmd")
        link = server.accept()
        link.send(message)
        link.shutdown()
        equal(client.wait(), 125, repr(message))
        link.close()


@case("client: later versions of the daemon are taken")
def _(t):
    for version in (4, 99, 0xffffffff):
        server = daemon(t, "vm")
        client = start(t, "-d", "vm", "user:cmd")
        link = server.accept()
        link.send_message(HELLO, pack_hello(version))
        equal(link.recv_hello(), VERSION_LOCAL)
        link.expect(EXEC_CMDLINE, pack_exec(0, 0, "user:cmd"))
        link.close()
        equal(client.wait(), 125)


@case("client: the daemon's answer is wrong, cut off, or there is none")
def _(t):
    good = pack_message(EXEC_CMDLINE, pack_exec(TARGET, PORT))
    for message in (b"", good[:1], good[:8], good[:15],
                    pack_message(JUST_EXEC, pack_exec(TARGET, PORT)),
                    pack_message(HELLO, pack_exec(TARGET, PORT)),
                    pack_message(EXEC_CMDLINE, pack_exec(TARGET, PORT) + b"\0"),
                    pack_message(EXEC_CMDLINE, pack_exec(TARGET, 0)),
                    pack_message(EXEC_CMDLINE, pack_exec(TARGET, 0x80000000)),
                    pack_message(EXEC_CMDLINE, pack_exec(0xffffffff, PORT)),
                    pack_message(EXEC_CMDLINE, pack_exec(0, PORT)),     # ourselves
                    pack_header(EXEC_CMDLINE, 0xffffffff) + b"12345678"):
        call = Call(t, name="vm")
        call.link.send(message)
        call.link.shutdown()
        equal(call.client.wait(), 125, repr(message))
        call.link.close()


@case("client: HELLO and the answer in single bytes")
def _(t):
    server = daemon(t, "vm")
    client = start(t, "-d", "vm", "user:cmd")
    link = server.accept()
    for byte in pack_message(HELLO, pack_hello(3)):
        link.send(bytes([byte]))
    link.recv_hello()
    link.recv_message()
    for byte in pack_message(EXEC_CMDLINE, pack_exec(TARGET, PORT)):
        link.send(bytes([byte]))
    service = t.vchan_client(0, TARGET, PORT)
    service.hello_second()
    service.send_message(DATA_EXIT_CODE, pack_exit(6))
    service.close()
    equal(client.wait(), 6)


@case("client: -c ends with 137 if either daemon fails")
def _(t):
    target, source = daemon(t, "vm"), daemon(t, SOURCE)
    client = start(t, "-d", "vm", "-c", f"i,n,{SOURCE}", "user:cmd")
    greet(target).close()
    equal(client.wait(), 137)
    client = start(t, "-d", "vm", "-c", f"i,n,{SOURCE}", "user:cmd")
    link = greet(target)
    link.recv_message()
    link.send_message(EXEC_CMDLINE, pack_exec(TARGET, PORT))
    source.accept().close()
    equal(client.wait(), 137)


# Bad input from the qube.

@case("client: the service's HELLO is wrong or cut off: 125")
def _(t):
    for message in (pack_message(0x301, pack_hello()), pack_message(HELLO, pack_hello(1)),
                    pack_message(HELLO, b""), pack_message(HELLO, b"\4\0\0\0\0"),
                    pack_header(HELLO, 0xffffffff), b"", b"\0\3", pack_header(HELLO, 4)):
        call = Call(t)
        call.link.send_message(EXEC_CMDLINE, pack_exec(TARGET, PORT))
        service = t.vchan_client(0, TARGET, PORT)
        service.send(message)
        service.shutdown()
        equal(call.client.wait(), 125, repr(message))
        equal(call.client.stdout, b"")
        service.close()


@case("client: the service breaks the protocol")
def _(t):
    for message in (pack_message(0x194, b"x"), pack_message(0), pack_message(HELLO, pack_hello()),
                    pack_message(TRIGGER_SERVICE4, b"x" * 200), pack_header(DATA_STDOUT, 65537),
                    pack_header(DATA_STDERR, 0xffffffff), pack_header(DATA_EXIT_CODE, 65537)):
        call = Call(t)
        service = call.grant()
        service.send_message(DATA_STDOUT, b"before")
        service.send(message)
        equal(call.client.wait(), 125, repr(message))


@case("client: messages cut off by the end of the channel")
def _(t):
    message = pack_message(DATA_STDOUT, b"0123456789")
    for length in (1, 7, 8, 9, 17):
        call = Call(t)
        service = call.grant()
        service.send(message[:length])
        service.close()
        equal(call.client.wait(), 255, f"{length} bytes")


@case("client: a flood of ends, exit codes and late data is one call's matter")
def _(t):
    call = Call(t)
    service = call.grant()
    service.send_message(DATA_STDOUT, b"kept")
    service.send(pack_message(DATA_STDOUT) * 1000 + pack_message(DATA_STDERR) * 1000)
    service.send_message(DATA_STDOUT, b"dropped")
    service.send_message(DATA_EXIT_CODE, pack_exit(4))
    equal(call.client.wait(), 4)
    equal(call.client.stdout, b"kept")


@case("client: readers of standard output and standard error that go away")
def _(t):
    for stream in ("stdout", "stderr"):
        ours, theirs = os.pipe()
        call = Call(t, **{stream: theirs})
        os.close(ours)
        os.close(theirs)
        service = call.grant()
        kind = DATA_STDOUT if stream == "stdout" else DATA_STDERR
        for _ in range(4):
            service.send_message(kind, b"x" * 60000)
        call.client.write(b"input goes on")
        equal(service.recv_data(DATA_STDIN, 13), b"input goes on")
        equal(call.end(6, EOF_ONLY), 6, stream)


@case("client: a local program that ends at once while the qube sends a lot")
def _(t):
    call = Call(t, "-l", "exit 0")
    service = call.grant()
    service.expect(DATA_STDIN)
    for _ in range(100):
        service.send_message(DATA_STDOUT, b"x" * 60000)
    equal(call.end(2), 2)


@case("client: -c -d dom0: callers that break the protocol, vanish, or never greet")
def _(t):
    for message in (pack_message(HELLO, pack_hello(1)), pack_message(0x301, pack_hello()), b"",
                    pack_message(HELLO, pack_hello()) + pack_message(0x194, b"x"),
                    pack_message(HELLO, pack_hello()) + pack_header(DATA_STDIN, 0xffffffff)):
        service = Service(t, "exec sleep 1000", hello=False)
        service.caller.send(message)
        service.caller.shutdown()
        service.caller.close()
        equal(service.client.wait(output=False), 137, repr(message))


@case("client: -c -d dom0: the channel's limit")
def _(t):
    source = daemon(t, SOURCE)
    client = start(t, "-d", "dom0", "-w", "1", "-c", f"SOCKET11,src_domain,{SOURCE}", "echo x")
    link = greet(source)
    link.recv_message()
    link.send_message(SERVICE_CONNECT, pack_exec(SOURCE, 42))
    equal(client.wait(), 137)


# If this failed, dom0 would log a call as one that ran though its program could not be started.
@case("client: -c -d dom0 with a program that cannot be executed")
def _(t):
    t.file("rpc/qubes.NoFormat", b"\0\1\2", 0o755)
    t.file("rpc/qubes.NoInterpreter", "#!/nonexistent/interpreter\n", 0o755)
    server = t.listen(t.path("rpc/qubes.Dead"))
    server.sock.close()
    for name, code in (("qubes.NoFormat", 125), ("qubes.NoInterpreter", 127), ("qubes.Dead", 125)):
        service = Service(t, f"QUBESRPC {name}+arg src_domain name src_domain", env=paths(t))
        equal(service.rest(), ended(code=code), name)
        equal(service.client.wait(), code, name)
    service = Service(t, "exit 9")
    equal(joined(service.rest()), ended(code=9))
    equal(service.client.wait(), 0, "a program that ran and failed is not our failure")


@case("client: -e to dom0 says whether the service was started")
def _(t):
    t.script("rpc/qubes.Start", f"readlink /proc/self/fd/0 >{t.path('stdin')}; mv {t.path('stdin')} "
                                f"{t.path('done')}")
    t.file("rpc/qubes.NoFormat", b"\0\1\2", 0o755)
    for name, code in (("qubes.Start", 0), ("qubes.NoFormat", 125), ("qubes.Absent", 127)):
        client = start(t, "-e", "-d", "dom0", f"DEFAULT:QUBESRPC {name} dom0 name dom0",
                       env=paths(t))
        equal(client.wait(), code, name)
    wait_for(lambda: os.path.exists(t.path("done")), "the started service")
    equal(t.read("done"), b"/dev/null\n")


# If this failed, `qrexec-client -p ... | reader` would hang until something is typed.
@case("client: -p to dom0 leaves neither a child nor an open output behind")
def _(t):
    t.script("rpc/qubes.Quick", "read children </proc/$$/task/$$/children; echo \"[$children]\"\n"
                                "head -c 6; exit 7\n")
    client = start(t, "-d", "dom0", "-p", "prefix", "DEFAULT:QUBESRPC qubes.Quick dom0 name dom0",
                   env=paths(t))
    equal(client.wait(), 7, "with standard input still open")
    equal(client.stdout, b"[]\nprefix")


def ignore_sigchld():
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)


# If this failed, a tool started by a daemon that ignores SIGCHLD would take failure for success.
@case("client: -l under a parent that ignores SIGCHLD")
def _(t):
    call = Call(t, "-l", "exit 5", preexec_fn=ignore_sigchld)
    call.grant().expect(DATA_STDIN)
    equal(call.end(0), 5)


# If this failed, half a file on a full disk would look like a whole one.
@case("client: output that cannot be written, input that cannot be read")
def _(t):
    with open("/dev/full", "wb") as full:
        call = Call(t, stdout=full)
    service = call.grant()
    try:
        service.send_message(DATA_STDOUT, b"lost")
        service.send_message(DATA_STDOUT, bytes(CHUNK))
    except BrokenPipeError:  # the client knows already
        pass
    equal(call.client.wait(), 125)
    folder = os.open(t.dir, os.O_RDONLY)
    call = Call(t, stdin=folder)
    os.close(folder)
    call.grant()
    equal(call.client.wait(), 125)


if __name__ == "__main__":
    main()
