# SPDX-License-Identifier: GPL-2.0-or-later
"""qrexec-agent: the control channel, the lookup of services and their configuration.

If these failed, calls into a qube would not start, would start the wrong program, or one user of the
qube could stop all calls of the others.
"""

import resource
import signal

from agent_peer import *

BAD_CONFIGS = {
    "leading zeros": "wait-for-session = 00\n",
    "leading zero": "wait-for-session = 01\n",
    "empty value": "wait-for-session = \n",
    "double quotes": 'wait-for-session = "a"\n',
    "no equals sign": "wait-for-session\n",
    "force-user with a socket's setting": "force-user = 'user'\nskip-service-descriptor = true\n",
}


# A daemon that waits for the agent's HELLO would wait for ever.
@case("qrexec-062 the agent sends HELLO 4 first")
def _(t):
    dom0 = Dom0(t, hello=False)
    equal(dom0.control.recv_hello(), 4)


# A service that is only to be started would hold its caller until it ends.
@case("qrexec-063 JUST_EXEC of a socket service: header, only EXIT 0, TERMINATED")
def _(t):
    dom0 = Dom0(t)
    server = socket_service(t, "qubes.SocketService+")
    channel = dom0.rpc("qubes.SocketService a", JUST_EXEC)
    equal(channel.recv_all_messages(), [(DATA_EXIT_CODE, pack_exit(0))])
    equal(server.accept().recv_to_eof(), b"qubes.SocketService a\0")
    dom0.terminated(channel)


# A long command started in the background would keep its caller waiting.
@case("qrexec-064 JUST_EXEC of a shell command answers at once")
def _(t):
    dom0 = Dom0(t)
    t.script("go", "")
    channel = dom0.call(f"{dom0.user}:touch {t.path('began')}; sleep 1000", JUST_EXEC)
    equal(channel.recv_all_messages(), [(DATA_EXIT_CODE, pack_exit(0))])
    dom0.terminated(channel)
    wait_for(lambda: os.path.exists(t.path("began")), "the command")


@case("qrexec-064 JUST_EXEC of a service that fails, and of one that is absent")
def _(t):
    dom0 = Dom0(t)
    service(t, "qubes.Service", f'echo "$QREXEC_SERVICE_FULL_NAME" > {t.path("name")}\nexit 1\n')
    channel = dom0.rpc("qubes.Service+ domX", JUST_EXEC)
    equal(channel.recv_all_messages(), [(DATA_EXIT_CODE, pack_exit(0))])
    dom0.terminated(channel)
    wait_for(lambda: os.path.exists(t.path("name")) and t.read("name") == b"qubes.Service+\n")
    channel = dom0.rpc("qubes.Absent+ domX", JUST_EXEC)
    equal(channel.recv_all_messages(), [(DATA_EXIT_CODE, pack_exit(127))])
    dom0.terminated(channel)


# qvm-run would print nothing.
@case("qrexec-065 a shell command: output, both ends, EXIT 0, TERMINATED")
def _(t):
    dom0 = Dom0(t)
    channel = dom0.call(f"{dom0.user}:echo Hello world")
    channel.send_message(DATA_STDIN)
    dom0.ends(channel, 0, b"Hello world\n")


# qrexec-client-vm would not get through to dom0.
@case("qrexec-066 a local request goes to dom0, its answer comes back, its end is reported")
def _(t):
    dom0 = Dom0(t)
    client = t.connect(t.path("agent.sock"))
    equal(stat.S_IMODE(os.stat(t.path("agent.sock")).st_mode), 0o777, "mode of the socket")
    body = pack_trigger4("qubes.Service+arg", "target", "SOCKET", "source")
    client.send_message(TRIGGER_SERVICE4, body)
    kind, got = dom0.control.recv_message()
    equal(kind, TRIGGER_SERVICE4)
    source, target, ident, name = unpack_trigger4(got)
    equal((source, target, name), (b"source", b"target", b"qubes.Service+arg\0"))
    check(re.fullmatch(rb"SOCKET[0-9]+", ident), f"ident {ident}")
    dom0.control.send_message(SERVICE_CONNECT, pack_exec(43, 1024, ident))
    equal(client.recv(8), pack_exec(43, 1024))
    client.close()
    dom0.control.expect(CONNECTION_TERMINATED, pack_exec(43, 1024))


# A refused caller would wait for ever.
@case("qrexec-067 SERVICE_REFUSED closes the local request without data")
def _(t):
    dom0 = Dom0(t)
    client = t.connect(t.path("agent.sock"))
    client.send_message(TRIGGER_SERVICE4, pack_trigger4("a", "b", "SOCKET"))
    ident = unpack_trigger4(dom0.control.recv_message()[1])[2]
    dom0.control.send_message(SERVICE_REFUSED, field(ident, 32))
    client.expect_eof()


# Services would not know who calls them, or lose their messages.
@case("qrexec-068 a service behind a link: argument, source, stderr, /proc/self/fd/2")
def _(t):
    dom0 = Dom0(t)
    path = t.script("real", 'echo "arg: $1, remote: $QREXEC_REMOTE_DOMAIN"\n'
                            'echo one >&2\necho two > /proc/self/fd/2\n')
    os.symlink(path, t.path("rpc/qubes.Service"))
    channel = dom0.rpc("qubes.Service+arg domX")
    dom0.ends(channel, 0, b"arg: arg, remote: domX\n", b"one\ntwo\n")


# A service could take a stranger's variables for the caller's.
@case("qrexec-069 no argument: variables that are absent stay absent")
def _(t):
    dom0 = Dom0(t, env={"QREXEC_SERVICE_ARGUMENT": "old", "QREXEC_REQUESTED_TARGET": "old",
                        "QREXEC_REQUESTED_TARGET_KEYWORD": "old", "QREXEC_OTHER": "old"})
    service(t, "qubes.Service", 'env | grep ^QREXEC | sort\necho "$#"\n')
    channel = dom0.rpc("qubes.Service domX")
    out, err, code = collect(channel.recv_all_messages())
    equal((err, code), (b"", 0))
    lines = dict(line.split(b"=", 1) for line in out.splitlines()[:-1])
    equal(out.splitlines()[-1], b"0", "arguments")
    equal(lines.pop(b"QREXEC_AGENT_PID").isdigit(), True)
    equal(lines, {b"QREXEC_REMOTE_DOMAIN": b"domX", b"QREXEC_REQUESTED_TARGET_TYPE": b"",
                  b"QREXEC_SERVICE_FULL_NAME": b"qubes.Service",
                  b"QREXEC_SERVICE_PATH": raw(dom0.env["QREXEC_SERVICE_PATH"])})


@case("qrexec-070 settings for sockets are ignored for a program")
def _(t):
    dom0 = Dom0(t)
    service(t, "qubes.Service", "cat\n")
    t.file("rpc-config/qubes.Service", "skip-service-descriptor = true\n"
                                       "exit-on-client-eof = true\nexit-on-service-eof = true\n")
    channel = dom0.rpc("qubes.Service+ domX")
    channel.send_message(DATA_STDIN, b"text")
    channel.send_message(DATA_STDIN)
    dom0.ends(channel, 0, b"text")


# A service that needs the desktop would start before it.
@case("qrexec-071 wait-for-session runs qubes.WaitForSession first, then the service")
def _(t):
    dom0 = Dom0(t)
    log = t.file("log", mode=0o666)
    os.chmod(log, 0o666)
    service(t, "qubes.WaitForSession", f'read user\necho "wait $user $QREXEC_REMOTE_DOMAIN $#" >> {log}\n')
    service(t, "qubes.Service", f"echo service >> {log}\nexit 3\n")
    for config in ("qubes.Service+arg", "qubes.Service"):
        path = t.file("rpc-config/" + config,
                      f"wait-for-session = 1\nforce-user = '{dom0.user}'\n")
        channel = dom0.call("nobody-there:QUBESRPC qubes.Service+arg domX")
        dom0.ends(channel, 3)
        os.unlink(path)
    equal(t.read("log"), f"wait {dom0.user} domX 0\nservice\n".encode() * 2)


@case("qrexec-071 configuration under a name of 255 bytes")
def _(t):
    dom0 = Dom0(t)
    argument = "a" * (255 - len("qubes.Service+"))
    service(t, "qubes.Service", "echo ok\n")
    t.file("rpc-config/qubes.Service+" + argument, "broken\n")
    dom0.ends(dom0.rpc(f"qubes.Service+{argument} domX"), 125)
    dom0.ends(dom0.rpc(f"qubes.Service+{argument}a domX"), 0, b"ok\n")


@case("qrexec-072 a service that is absent, and a file that no kernel can execute")
def _(t):
    dom0 = Dom0(t)
    channel = dom0.rpc("qubes.Absent+arg domX")
    equal(channel.recv_all_messages(),
          all_ends(DATA_STDOUT, DATA_STDERR) + [(DATA_EXIT_CODE, pack_exit(127))])
    dom0.terminated(channel)
    t.file("rpc/qubes.Broken", b"\0", 0o755)
    channel = dom0.rpc("qubes.Broken+arg domX")
    out, err, code = collect(channel.recv_all_messages())
    equal((out, code), (b"", 125))
    check(b"qubes.Broken" in err, f"stderr {err}")
    dom0.terminated(channel)
    service(t, "qubes.NoInterpreter", "")
    t.file("rpc/qubes.NoInterpreter", "#!/nonexistent/interpreter\n", 0o755)
    equal(collect(dom0.rpc("qubes.NoInterpreter domX").recv_all_messages())[2], 127)


# A mistake in a configuration file would run the service with other settings than were meant.
@case("qrexec-073 bad configuration refuses the service")
def _(t):
    dom0 = Dom0(t)
    service(t, "qubes.Service", "echo must not run\n")
    for what, text in BAD_CONFIGS.items():
        t.file("rpc-config/qubes.Service+arg", text)
        channel = dom0.rpc("qubes.Service+arg domX")
        equal(collect(channel.recv_all_messages()), (b"", b"", 125), what)
        dom0.terminated(channel)
    os.unlink(t.path("rpc-config/qubes.Service+arg"))
    os.symlink("/dev/null/x", t.path("rpc-config/qubes.Service+arg"))
    dom0.ends(dom0.rpc("qubes.Service+arg domX"), 125)
    os.unlink(t.path("rpc-config/qubes.Service+arg"))
    os.chmod(t.path("rpc-config"), 0)
    dom0.ends(dom0.rpc("qubes.Service+arg domX"), 125)
    os.chmod(t.path("rpc-config"), 0o755)
    dom0.ends(dom0.rpc("qubes.Service+arg domX"), 0, b"must not run\n")


@case("qrexec-074 directories in order; a broken entry does not fall back")
def _(t):
    dom0 = Dom0(t)
    service(t, "qubes.Service+arg", "echo rpc+arg\n")
    service(t, "qubes.Service", "echo rpc\n")
    service(t, "qubes.Service+arg", "echo local+arg\n", "local-rpc")
    dom0.ends(dom0.rpc("qubes.Service+arg domX"), 0, b"local+arg\n")
    service(t, "qubes.Service", "echo local\n", "local-rpc")
    os.unlink(t.path("local-rpc/qubes.Service+arg"))
    dom0.ends(dom0.rpc("qubes.Service+arg domX"), 0, b"rpc+arg\n")
    os.symlink("/dev/null/x", t.path("local-rpc/qubes.Service+arg"))
    dom0.ends(dom0.rpc("qubes.Service+arg domX"), 125)
    os.unlink(t.path("local-rpc/qubes.Service+arg"))
    os.symlink("nowhere", t.path("local-rpc/qubes.Service+arg"))
    dom0.ends(dom0.rpc("qubes.Service+arg domX"), 0, b"rpc+arg\n")


@case("qrexec-074 what is neither program nor socket is refused")
def _(t):
    dom0 = Dom0(t)
    os.mkdir(t.path("rpc/qubes.Directory"))
    t.file("rpc/qubes.Data", "no program\n", 0o644)
    for name in ("qubes.Directory", "qubes.Data", "..", "."):
        dom0.ends(dom0.rpc(f"{name} domX"), 125)


@case("qrexec-075 service+ is preferred to service; the name stays as it was received")
def _(t):
    dom0 = Dom0(t)
    service(t, "qubes.Service", "echo plain\n")
    service(t, "qubes.Service+", 'echo "plus $QREXEC_SERVICE_FULL_NAME"\n')
    dom0.ends(dom0.rpc("qubes.Service domX"), 0, b"plus qubes.Service\n")
    server = socket_service(t, "qubes.SocketService+")
    channel = dom0.rpc("qubes.SocketService domX")
    peer = server.accept()
    equal(peer.recv(len(b"qubes.SocketService domX\0")), b"qubes.SocketService domX\0")
    peer.close()
    dom0.ends(channel, 0)


# Socket services are the fast way to answer calls: header, data, output.
@case("qrexec-075 a socket service: header, stdin, output, EXIT 0")
def _(t):
    dom0 = Dom0(t)
    server = socket_service(t, "qubes.SocketService+arg")
    channel = dom0.rpc("qubes.SocketService+arg domX")
    channel.send_message(DATA_STDIN, b"stdin data")
    channel.send_message(DATA_STDIN)
    peer = server.accept()
    equal(peer.recv_to_eof(), b"qubes.SocketService+arg domX\0stdin data")
    peer.send(b"stdout data")
    peer.close()
    messages = dom0.ends(channel, 0, b"stdout data")
    equal(messages[0], (DATA_STDERR, b""), "first message")


@case("qrexec-075 a socket service that nobody listens for, and one behind a long path")
def _(t):
    dom0 = Dom0(t)
    server = socket_service(t, "qubes.Dead")
    server.sock.close()
    dom0.ends(dom0.rpc("qubes.Dead domX"), 125)
    name = "qubes." + "l" * 100
    server = t.own(Server(t.path("rpc/short")))
    os.rename(t.path("rpc/short"), t.path("rpc", name))
    channel = dom0.rpc(name + " domX")
    peer = server.accept()
    peer.send(b"ok")
    peer.close()
    dom0.ends(channel, 0, b"ok")


@case("qrexec-076 force-user with a socket's setting refuses")
def _(t):
    dom0 = Dom0(t)
    service(t, "qubes.Service", "echo must not run\n")
    for key in ("skip-service-descriptor", "exit-on-client-eof", "exit-on-service-eof"):
        t.file("rpc-config/qubes.Service", f"force-user = '{dom0.user}'\n{key} = true\n")
        dom0.ends(dom0.rpc("qubes.Service+arg domX"), 125)
        t.file("rpc-config/qubes.Service", f"force-user = '{dom0.user}'\n{key} = false\n")
        dom0.ends(dom0.rpc("qubes.Service+arg domX"), 0, b"must not run\n")


# dom0 asks for nonsense, or the wrong user: the caller must hear of it and not hang.
@case("qrexec-088 commands that are not of the grammar")
def _(t):
    dom0 = Dom0(t)
    service(t, "qubes.Service", "echo ok\n")
    user = dom0.user
    for command in ("echo no colon", f"{user}:QUBESRPC  qubes.Service domX",
                    f"{user}:QUBESRPC qubes.Service  domX", f"{user}:QUBESRPC qubes.Service ",
                    f"{user}:QUBESRPC qubes.Service", f"{user}:QUBESRPCx qubes.Service domX",
                    f"{user}:QUBESRPC qubes.Service domX more", "somebody-else:echo hello",
                    "somebody-else:QUBESRPC qubes.Service domX", f"{user}:QUBESRPC +a domX",
                    f"{user}:QUBESRPC {'a' * 256} domX"):
        channel = dom0.call(command)
        equal(collect(channel.recv_all_messages()), (b"", b"", 125), command)
        dom0.terminated(channel)
    dom0.ends(dom0.rpc("qubes.Service domX"), 0, b"ok\n")


# An agent that goes on with a broken daemon would run commands that nobody meant.
@case("qrexec-089 an illegal message on the control channel ends the agent")
def _(t):
    for what, kind, body in (("HELLO 1", HELLO, pack_hello(1)), ("no HELLO", 0x301, pack_hello())):
        dom0 = Dom0(t, hello=False)
        dom0.control.recv_hello()
        dom0.control.send_message(kind, body)
        equal(dom0.agent.wait(output=False), 1, what)
    for what, kind, body in (("unknown type", 0x299, b""), ("second HELLO", HELLO, pack_hello()),
                             ("EXEC of 8 bytes", EXEC_CMDLINE, pack_exec(43, 1024)),
                             ("REFUSED of 16", SERVICE_REFUSED, bytes(16)),
                             ("TERMINATED", CONNECTION_TERMINATED, bytes(8))):
        dom0 = Dom0(t)
        dom0.control.send_message(kind, body)
        equal(dom0.agent.wait(output=False), 1, what)
    dom0 = Dom0(t)
    dom0.control.send(pack_header(EXEC_CMDLINE, 1 << 30))
    equal(dom0.agent.wait(output=False), 1, "absurd length")


@case("qrexec-089 answers with a bad ident are ignored")
def _(t):
    dom0 = Dom0(t)
    for ident in ("SOCKET", "SOCKETx", "SOCKET-1", "SOCKET1x", "socket1", "", "SOCKET99999999999999"):
        dom0.control.send_message(SERVICE_CONNECT, pack_exec(43, 1024, ident))
        dom0.control.send_message(SERVICE_REFUSED, field(ident, 32))
    dom0.ends(dom0.call(f"{dom0.user}:echo alive"), 0, b"alive\n")


@case("qrexec-089 a command line without its NUL is cut, not overrun")
def _(t):
    dom0 = Dom0(t)
    server = t.vchan_server(PEER, OWN, 1024)
    dom0.control.send_message(EXEC_CMDLINE, pack_exec(43, 1024) + f"{dom0.user}:echo abX".encode())
    channel = t.own(server.accept())
    channel.port = 1024
    channel.hello_first()
    dom0.ends(channel, 0, b"ab\n")


# The largest command that dom0 may send must arrive, though the ring is smaller.
@case("qrexec-089 a command of 65527 bytes over rings of 4096")
def _(t):
    dom0 = Dom0(t)
    command = f"{dom0.user}:echo ok #"
    dom0.ends(dom0.call(command + "x" * (65526 - len(command))), 0, b"ok\n")


@case("qrexec-090 bad local requests are closed, nothing reaches dom0")
def _(t):
    dom0 = Dom0(t)
    good = pack_trigger4("a", "b", "SOCKET")
    for kind, length, body in ((TRIGGER_SERVICE3, 98, bytes(98)), (TRIGGER_SERVICE4, 160, bytes(160)),
                               (TRIGGER_SERVICE4, 65161, b""), (TRIGGER_SERVICE4, 0, b""),
                               (HELLO, 4, pack_hello()), (TRIGGER_SERVICE4, 0xffffffff, b"")):
        client = t.connect(t.path("agent.sock"))
        client.send(pack_header(kind, length) + body)
        client.expect_eof()
    client = t.connect(t.path("agent.sock"))
    client.send_message(TRIGGER_SERVICE4, good)
    equal(dom0.control.recv_message()[0], TRIGGER_SERVICE4, "first message that dom0 sees")


@case("qrexec-090 the largest local request arrives whole over rings of 4096")
def _(t):
    dom0 = Dom0(t)
    client = t.connect(t.path("agent.sock"))
    name = b"n" * 64999 + b"\0"
    client.send_message(TRIGGER_SERVICE4, pack_trigger4(name, "target", "SOCKET"))
    kind, body = dom0.control.recv_message()
    equal((kind, unpack_trigger4(body)[3]), (TRIGGER_SERVICE4, name))


# One user who connects and says nothing must not stop the others.
@case("qrexec-091 silent and slow local clients do not block others")
def _(t):
    dom0 = Dom0(t)
    request = pack_message(TRIGGER_SERVICE4, pack_trigger4("a", "b", "SOCKET"))
    silent = [t.connect(t.path("agent.sock")) for _ in range(300)]
    for i, client in enumerate(silent):
        client.send(request[:i % len(request)])
    client = t.connect(t.path("agent.sock"))
    client.send(request)
    equal(dom0.control.recv_message()[0], TRIGGER_SERVICE4)
    dom0.ends(dom0.call(f"{dom0.user}:echo alive"), 0, b"alive\n")


def left_alone(t, dom0, port=1024):
    """A client that goes before it has its answer."""
    client = t.connect(t.path("agent.sock"))
    client.send_message(TRIGGER_SERVICE4, pack_trigger4("a", "b", "SOCKET"))
    ident = unpack_trigger4(dom0.control.recv_message()[1])[2]
    client.close()
    # The agent has noticed once it has forwarded a request that came later.
    after = t.connect(t.path("agent.sock"))
    after.send_message(TRIGGER_SERVICE4, pack_trigger4("c", "b", "SOCKET"))
    dom0.control.recv_message()
    dom0.control.send_message(SERVICE_CONNECT, pack_exec(43, port, ident))
    return after


# The service of a caller that went would wait for it for two minutes, with its port in use in dom0.
@case("agent-01 a caller that has gone: its service is let go, then the end is reported")
def _(t):
    dom0 = Dom0(t)
    left_alone(t, dom0)
    dom0.control.quiet()
    t.vchan_client(OWN, 43, 1024).recv_to_eof()
    dom0.control.expect(CONNECTION_TERMINATED, pack_exec(43, 1024))


# A service could be let go that belongs to a caller who is there.
@case("agent-01 a caller that has gone and one that is there, on the same port")
def _(t):
    dom0 = Dom0(t)
    left_alone(t, dom0)
    path = t.vchan_path(OWN, 43, 1024)
    wait_for(lambda: os.path.exists(path), "the agent in the caller's place")
    client = t.connect(t.path("agent.sock"))
    client.send_message(TRIGGER_SERVICE4, pack_trigger4("d", "b", "SOCKET"))
    ident = unpack_trigger4(dom0.control.recv_message()[1])[2]
    dom0.control.send_message(SERVICE_CONNECT, pack_exec(43, 1024, ident))
    equal(client.recv(8), pack_exec(43, 1024))
    check(not os.path.exists(path), "nobody but the caller listens")
    dom0.control.quiet()


# Restarting the daemon in dom0 must not cut off the qube, nor the calls that run.
@case("agent-02 the control channel comes back, running calls go on")
def _(t):
    dom0 = Dom0(t)
    socket_server = socket_service(t, "qubes.Socket")
    program_call = dom0.call(f"{dom0.user}:cat")
    socket_call = dom0.rpc("qubes.Socket domX")
    peer = socket_server.accept()
    dom0.control.close()
    # The agent listens again at the same path: this waits for it.
    def again():
        try:
            control = t.vchan_client(OWN, 0, CONTROL)
            control.hello_second()
            return control
        except (Failure, OSError):
            return None
    dom0.control = wait_for(again, "a new control channel")
    program_call.send_message(DATA_STDIN, b"still here")
    program_call.send_message(DATA_STDIN)
    dom0.ends(program_call, 0, b"still here")
    peer.send(b"me too")
    peer.close()
    dom0.ends(socket_call, 0, b"me too")
    dom0.ends(dom0.call(f"{dom0.user}:echo new"), 0, b"new\n")


# An update of the agent's package must not cut calls that run.
@case("agent-03 SIGTERM: socket removed, exit 0, running calls are finished")
def _(t):
    dom0 = Dom0(t)
    server = socket_service(t, "qubes.Socket")
    program_call = dom0.call(f"{dom0.user}:cat")
    socket_call = dom0.rpc("qubes.Socket domX")
    peer = server.accept()
    dom0.agent.kill(signal.SIGTERM)
    equal(dom0.agent.wait(output=False), 0)
    check(not os.path.exists(t.path("agent.sock")), "the socket is still there")
    dom0.control.expect_eof()
    peer.send(b"late")
    peer.close()
    equal(collect(socket_call.recv_all_messages()), (b"late", b"", 0))
    program_call.send_message(DATA_STDIN, b"later")
    program_call.send_message(DATA_STDIN)
    equal(collect(program_call.recv_all_messages()), (b"later", b"", 0))


@case("agent-04 systemd is told when HELLO is done")
def _(t):
    sock = t.own(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
    sock.bind(t.path("notify"))
    os.chmod(t.path("notify"), 0o777)
    sock.settimeout(HANG)
    Dom0(t, env={"NOTIFY_SOCKET": t.path("notify")})
    equal(sock.recv(100), b"READY=1")


@case("agent-05 --help exits 2, --version 0, nonsense 2")
def _(t):
    equal(t.start("qrexec-agent", "--help").wait(), 2)
    equal(t.start("qrexec-agent", "--version").wait(), 0)
    equal(t.start("qrexec-agent", "--nonsense").wait(), 2)
    equal(t.start("qrexec-agent", "extra").wait(), 2)


# A worker that is killed must not leave dom0 with a port in use.
@case("agent-06 a data process that is killed is reported as ended")
def _(t):
    dom0 = Dom0(t)
    channel = dom0.call(f"{dom0.user}:echo $QREXEC_AGENT_PID; exec cat")
    pid = int(channel.recv_message()[1])
    os.kill(pid, signal.SIGKILL)
    dom0.terminated(channel)
    dom0.ends(dom0.call(f"{dom0.user}:echo alive"), 0, b"alive\n")


# Services run in the user's session, not the agent's, when there is a fork server.
@case("agent-07 the fork server runs what the agent would")
def _(t):
    dom0 = Dom0(t, "--fork-server-socket=" + t.path("fork.%s.sock"), fork_server=True)
    service(t, "qubes.Service", 'echo "$1 $MARK $QREXEC_REMOTE_DOMAIN"; cat\nexit 7\n')
    dom0.ends(dom0.call(f"{dom0.user}:echo [$MARK]"), 0, b"[]\n")
    server = t.start("qrexec-fork-server", t.path(f"fork.{dom0.user}.sock"), user=dom0.user,
                     env=dict(dom0.env, MARK="session", USER=dom0.user))
    equal(server.wait(output=False), 0)
    channel = dom0.rpc("qubes.Service+arg domX")
    channel.send_message(DATA_STDIN, b"in")
    channel.send_message(DATA_STDIN)
    dom0.ends(channel, 7, b"arg session domX\nin")
    dom0.ends(dom0.call(f"{dom0.user}:echo [$MARK]"), 0, b"[session]\n")
    dom0.ends(dom0.call(f"{dom0.user}:nogui:echo [$MARK]"), 0, b"[]\n")
    channel = dom0.call(f"{dom0.user}:true", JUST_EXEC)
    equal(channel.recv_all_messages(), [(DATA_EXIT_CODE, pack_exit(0))])
    dom0.terminated(channel)


@case("agent-08 a fork server drops malformed requests and goes on")
def _(t):
    path = t.path("fork.sock")
    server = t.start("qrexec-fork-server", path, user=runner(), env={"USER": runner()})
    equal(server.wait(output=False), 0)
    equal(stat.S_IMODE(os.stat(path).st_mode), 0o600, "mode of the socket")
    command = b"true\0"
    for header in (struct.pack("<iiiI", EXEC_CMDLINE, 1, 1, 0),
                   struct.pack("<iiiI", EXEC_CMDLINE, 1, 1, 0xffffffff),
                   struct.pack("<iiiI", HELLO, 1, 1, len(command)),
                   struct.pack("<iiiI", EXEC_CMDLINE, 1, 1, 4) + b"a\0b\0",
                   struct.pack("<iiiI", EXEC_CMDLINE, 1, 1, 4) + b"abcd"):
        client = t.connect(path)
        client.send(header)
        client.expect_eof()


# Bursts of calls must neither be lost nor need a descriptor each in the agent.
@case("agent-09 200 programs and 200 socket calls in flight at once")
def _(t):
    dom0 = Dom0(t)
    server = socket_service(t, "qubes.Socket")
    servers = []
    for i in range(400):
        servers.append(t.vchan_server(PEER, OWN, 2000 + i))
        command = "cat" if i % 2 else "QUBESRPC qubes.Socket domX"
        dom0.control.send_message(EXEC_CMDLINE, pack_exec(43, 2000 + i, f"{dom0.user}:{command}"))
    peers = [t.own(server.accept()) for _ in range(200)]
    channels = [t.own(s.accept()) for s in servers]
    for channel in channels:
        channel.hello_first()
        channel.send_message(DATA_STDIN, b"x")
        channel.send_message(DATA_STDIN)
    for peer in peers:
        peer.recv_to_eof()
        peer.send(b"x")
        peer.close()
    for channel in channels:
        equal(collect(channel.recv_all_messages()), (b"x", b"", 0))
    ports = sorted(unpack_exec(dom0.control.recv_message()[1])[1] for _ in range(400))
    equal(ports, list(range(2000, 2400)))


# If this failed, dom0 would keep a port for a call that ended while its daemon was away, and after
# some restarts of the daemon no call to this qube would find a port.
@case("agent-10 ends of calls that were not told yet are told on the next control channel")
def _(t):
    dom0 = Dom0(t)
    call = dom0.call(f"{dom0.user}:cat")
    # dom0 stops reading; requests of local users fill what the channel holds.
    name = "s+" + "a" * (NAME_MAX - 3)
    users = [t.connect(t.path("agent.sock")) for _ in range(12)]
    for user in users:
        user.send_message(TRIGGER_SERVICE4, pack_trigger4(name, "target", "SOCKET"))
    call.send_message(DATA_STDIN)
    equal(collect(call.recv_all_messages()), (b"", b"", 0))
    more = dom0.call(f"{dom0.user}:exit 3")
    equal(collect(more.recv_all_messages()), (b"", b"", 3))
    dom0.control.close()
    for user in users:
        user.expect_eof()
    dom0.control = t.vchan_client(OWN, 0, CONTROL)
    dom0.control.hello_second()
    got = sorted(dom0.control.recv_message() for _ in range(2))
    equal(got, sorted((CONNECTION_TERMINATED, pack_exec(PEER, c.port)) for c in (call, more)))
    dom0.ends(dom0.call(f"{dom0.user}:echo on"), 0, b"on\n")
    dom0.control.quiet()


# If this failed, services would break on select(), or hold what belongs to the agent.
@case("agent-11 a service has descriptors 0 to 2 and the agent's own limit of them")
def _(t):
    def limited():
        resource.setrlimit(resource.RLIMIT_NOFILE, (500, 1000))
    show = "ulimit -Sn; exec ls /proc/self/fd"
    wanted = b"500\n0\n1\n2\n3\n"  # 3: what ls reads
    service(t, "qubes.WaitForSession", f"({show}) >{t.path('session')}\n")
    t.file("rpc-config/qubes.Show", "wait-for-session = true\n")
    service(t, "qubes.Show", show + "\n")
    os.chmod(t.dir, 0o777)
    dom0 = Dom0(t, "--fork-server-socket=" + t.path("fork.%s.sock"), fork_server=True,
                preexec_fn=limited)
    commands = [f"{dom0.user}:QUBESRPC qubes.Show domX", f"{dom0.user}:{show}"]
    for where in ("agent", "fork server"):
        for command in commands:
            channel = dom0.call(command)
            out = collect(channel.recv_all_messages())[0]
            equal(out, wanted, f"{where}: {command}")
            dom0.terminated(channel)
        equal(t.read("session"), wanted, "qubes.WaitForSession")
        if where == "agent":
            server = t.start("qrexec-fork-server", t.path(f"fork.{dom0.user}.sock"), user=dom0.user,
                             env=dict(dom0.env, USER=dom0.user), preexec_fn=limited)
            equal(server.wait(output=False), 0)


# If this failed, a qube that was short of memory once could run no program until it is restarted.
@case("agent-12 the process that starts workers is killed, and calls go on")
def _(t):
    dom0 = Dom0(t)
    children = descendants(dom0.agent.pid)
    for pid in children:
        os.kill(pid, signal.SIGKILL)
    # The idle workers died with it: a call given to one would end with it.
    wait_for(lambda: dom0.agent.stderr.count(b"a worker ended") >= len(children) - 1, "their end")
    for _ in range(3):
        dom0.ends(dom0.call(f"{dom0.user}:ulimit -Sn; grep -c . /proc/self/stat; exit 2"), 2,
                  f"{resource.getrlimit(resource.RLIMIT_NOFILE)[0]}\n1\n".encode())


if __name__ == "__main__":
    main()
